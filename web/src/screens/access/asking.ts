/** What the screens of access ask and change: RAM's operations and our own, by their names. */

import { type QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { onThing, type Right, toList } from "@/api/allowed";
import { NATIVE, RAM, rpc, type Values } from "@/api/call";

export { NATIVE, RAM } from "@/api/call";

/** Lists are nested as the API has them: {"Users": {"User": [...]}}. */
export type Nested<Row> = Record<string, Record<string, Row[]>>;

interface Page {
  IsTruncated?: boolean;
  Marker?: string;
}

const rowsIn = <Row>(answer: object, outer: string): Row[] =>
  Object.values((answer as Nested<Row>)[outer] ?? {})[0] ?? [];

/** Kinds of things that RAM's operations are about, by the parameter that names one. */
const KINDS = ["User", "Group", "Role", "Policy"] as const;
/** Of these lists is left out what may not be seen. */
const SIEVED: Record<string, string> = { ListQuotas: "GetQuota", ListWorkspaces: "GetWorkspace" };

/** The right that a reading operation needs. */
function needed(action: string, params: Values, version: string): Right {
  if (version === NATIVE) return toList(`pierhead:${action}`, `pierhead:${SIEVED[action] ?? action}`);
  const named = KINDS.find((kind) => params[`${kind}Name`] !== undefined);
  const kind = named ?? KINDS.find((one) => action.startsWith(`List${one.replace(/y$/, "ie")}`));
  return kind ? onThing(`ram:${action}`, kind.toLowerCase(), named ? String(params[`${named}Name`]) : "*") : [];
}

/** All pages of a list. */
async function all<Row>(action: string, outer: string, params: Values, version: string, signal: AbortSignal): Promise<Row[]> {
  const found: Row[] = [];
  let marker: string | undefined;
  do {
    const answer = await rpc<Page>(action, { ...params, Marker: marker }, { version, signal, right: needed(action, params, version) });
    found.push(...rowsIn<Row>(answer, outer));
    marker = answer.IsTruncated ? answer.Marker : undefined;
  } while (marker);
  return found;
}

/** The rows of a list operation: useRows("ListUsers", "Users"). */
export function useRows<Row>(action: string, outer: string, params: Values = {}, options: { version?: string; on?: boolean } = {}) {
  const { version = RAM, on = true } = options;
  return useQuery({
    queryKey: ["access", action, params],
    queryFn: ({ signal }) => all<Row>(action, outer, params, version, signal),
    enabled: on,
  });
}

/** The answer of one operation. */
export function useAnswer<T>(action: string, params: Values = {}, options: { version?: string; on?: boolean } = {}) {
  const { version = RAM, on = true } = options;
  return useQuery({
    queryKey: ["access", action, params],
    queryFn: ({ signal }) => rpc<T>(action, params, { version, signal, right: needed(action, params, version) }),
    enabled: on,
  });
}

/** Who may do what is another now: both the lists and the buttons are asked again, but nothing about what is `gone`. */
function stale(client: QueryClient, gone: Values): Promise<unknown> {
  void client.invalidateQueries({ queryKey: ["allowed"] });
  const about = (params: Values | undefined) => Object.entries(gone).some(([key, value]) => params?.[key] === value);
  return client.invalidateQueries({ queryKey: ["access"], predicate: ({ queryKey }) => !about(queryKey[2] as Values | undefined) });
}

const ENDS = /^Delete(User|Group|Role|Policy)$/;

/** Change something. Throws ApiError. */
export function useChange(): <T = object>(action: string, params: Values, version?: string) => Promise<T> {
  const client = useQueryClient();
  return async <T>(action: string, params: Values, version = RAM) => {
    let gone: Values = {};
    try {
      const answer = await rpc<T>(action, params, { version });
      if (ENDS.test(action)) gone = params;
      return answer;
    } finally {
      await stale(client, gone);
    }
  };
}

export const native = { version: NATIVE } as const;

export interface User {
  UserName: string;
  UserId: string;
  DisplayName: string;
  Email: string;
  MobilePhone: string;
  Comments: string;
  CreateDate: string;
  UpdateDate: string;
  LastLoginDate?: string;
  /** Told of one user, not in lists. */
  HasLoginProfile?: boolean;
}

export interface Group {
  GroupName: string;
  GroupId: string;
  Comments: string;
  CreateDate: string;
  UpdateDate: string;
  JoinDate?: string;
}

export interface Role {
  RoleName: string;
  RoleId: string;
  Arn: string;
  Description: string;
  MaxSessionDuration: number;
  AssumeRolePolicyDocument?: string;
  CreateDate: string;
  UpdateDate: string;
}

export interface Policy {
  PolicyName: string;
  PolicyType: "System" | "Custom";
  Description: string;
  DefaultVersion: string;
  AttachmentCount: number;
  AttachDate?: string;
  Workspace?: string;
  CreateDate: string;
  UpdateDate: string;
}

export interface AccessKey {
  AccessKeyId: string;
  AccessKeySecret?: string;
  Status: "Active" | "Inactive";
  CreateDate: string;
}

export interface Amounts {
  Cpu?: number | null;
  Memory?: number | null;
  Gpus?: number | null;
  Replicas?: number | null;
}

export interface Quota {
  QuotaId: string;
  Limit: Amounts;
  Used: Amounts;
  Wanted: Amounts;
  Services: number;
  Workspaces: string[];
  UpdateDate: string;
}

export interface Workspace {
  WorkspaceId: string;
  Name: string;
  QuotaId: string;
  Services: number;
  CreateDate: string;
  UpdateDate: string;
}

/** JSON as it is read; what is none stays as it is. */
export function pretty(document: string): string {
  try {
    return JSON.stringify(JSON.parse(document), null, 2);
  } catch {
    return document;
  }
}

/** A moment, unless it is the beginning of all counting: what came with the platform was never made. */
export const made = (at: string | undefined): string | undefined => (at && Date.parse(at) > 0 ? at : undefined);
