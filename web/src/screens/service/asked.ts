/** What the tabs ask. Keys begin with ["service", name]: they are asked again when the live row changes. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { onService } from "@/api/allowed";
import { roa, rpc, type Values } from "@/api/call";
import { readService, servicePath, useStays } from "@/api/queries";
import { useSample } from "@/api/samples";
import { useSession } from "@/api/session";

export interface Attempt {
  InstanceName: string;
  Number: number;
  StartDate: string;
  ReadyDate: string;
  EndDate: string;
  ExitCode?: number;
  Signal?: number;
  Reason: string;
  Message: string;
  Lines: { Line: string[] };
}

export interface Limits {
  RequestsPerMinute?: number;
  TokensPerMinute?: number;
  Concurrency?: number;
  MonthlyTokens?: number;
}

export interface Token {
  TokenName: string;
  UserName: string;
  AccessToken?: string;
  Limits: Limits;
  PreviousUntil: string;
  CreateDate: string;
  UpdateDate: string;
}

export interface Version {
  ImageId: number;
  BuildTime: string;
  Message: string;
  ServiceConfig: string;
  ServiceRunnable: "true" | "false" | "unknown";
}

export interface AutoScaler {
  MinReplica: number;
  MaxReplica: number;
  ScaleStrategies: { metricName: string; threshold: number; service?: string }[];
  CurrentMetrics: { metricName: string; value: number; service?: string }[];
  Behavior: Behavior;
}

export interface Behavior {
  onZero?: { scaleDownGracePeriodSeconds?: number; scaleUpActivationReplicas?: number };
  scaleUp?: { stabilizationWindowSeconds?: number };
  scaleDown?: { stabilizationWindowSeconds?: number };
}

export interface Job {
  Name: string;
  Schedule: string;
  TargetSize: number;
  TimeZone?: string;
  State?: string;
  Message?: string;
  LastProbeTime?: string;
}

export interface Series {
  /** Seconds since 1970. */
  Start: number;
  /** Seconds. */
  Step: number;
  Series: Record<string, (number | null)[]>;
}

/** Ask one of our own operations about the service, if that is allowed. Throws ApiError. */
export function readOwn<T>(name: string, action: string, given: Values, signal: AbortSignal): Promise<T> {
  return rpc<T>(action, { ServiceName: name, ...given }, { signal, right: onService(name, `pierhead:${action}`) });
}

/** Answer of an own operation about the service. */
export function useOwn<T>(name: string, action: string, given: Values = {}, every?: number, wanted = true) {
  const stays = useStays(name);
  return useQuery({
    queryKey: ["service", name, action, given],
    queryFn: ({ signal }) => readOwn<T>(name, action, given, signal),
    enabled: wanted && stays,
    ...(every ? { refetchInterval: every } : {}),
  });
}

export const useAttempts = (name: string, given: Values = {}, wanted = true) =>
  useOwn<{ Attempts: { Attempt: Attempt[] } }>(name, "ListServiceAttempts", given, undefined, wanted);

export const useTokens = (name: string) => useOwn<{ Tokens: { Token: Token[] } }>(name, "ListServiceTokens");

const SCALED = { autoscaler: "AutoscalerEnabled", cronscaler: "CronscalerEnabled" } as const;

/** The scaler of one kind; null = it has none. The list tells that first: it is no error to have none. */
export function useScaler<T>(name: string, kind: keyof typeof SCALED, every?: number) {
  const { Region } = useSession();
  const stays = useStays(name);
  return useQuery({
    queryKey: ["service", name, kind],
    queryFn: async ({ signal }) => {
      const query = { ServiceName: name, [SCALED[kind]]: true, PageSize: 1 };
      const { TotalCount } = await roa<{ TotalCount: number }>("GET", "/api/v2/services", { query, signal, right: onService(name, READERS[kind]) });
      return TotalCount ? await readService<T>(Region, name, kind, { signal }) : null;
    },
    enabled: stays,
    ...(every ? { refetchInterval: every } : {}),
  });
}

const READERS = { autoscaler: "eas:DescribeServiceAutoScaler", cronscaler: "eas:DescribeServiceCronScaler" } as const;

export function useVersions(name: string) {
  const { Region } = useSession();
  const stays = useStays(name);
  return useQuery({
    queryKey: ["service", name, "versions"],
    queryFn: ({ signal }) => readService<{ Versions: Version[]; TotalCount: number }>(Region, name, "versions", { query: { PageSize: 100 }, signal }),
    enabled: stays,
  });
}

/** Change something of the service; then all that was asked about it is asked again. */
export function useChange(name: string) {
  const { Region } = useSession();
  const client = useQueryClient();
  const settled = { onSettled: () => client.invalidateQueries({ queryKey: ["service", name] }) };
  const part = useMutation({
    mutationFn: (given: { method: string; part: string; body?: unknown; query?: Values }) =>
      roa("" + given.method, servicePath(Region, name, given.part), {
        ...(given.body === undefined ? {} : { body: given.body }),
        ...(given.query ? { query: given.query } : {}),
      }),
    ...settled,
  });
  const own = useMutation({
    mutationFn: (given: { action: string; values?: Values }) =>
      rpc<{ Token?: Token }>(given.action, { ServiceName: name, ...given.values }),
    ...settled,
  });
  return {
    /** Of EAS: method and part of the service. */
    part: (method: string, at: string, body?: unknown, query?: Values) =>
      part.mutateAsync({ method, part: at, ...(body === undefined ? {} : { body }), ...(query ? { query } : {}) }),
    /** Of our own: an action by its name. */
    own: (action: string, values?: Values) => own.mutateAsync({ action, ...(values ? { values } : {}) }),
  };
}

/** How to call the service, as code that the platform writes. */
export function useChatSample(name: string, language: string) {
  const params = { ServiceName: name, model: name, messages: [{ role: "user", content: "What is a pier head?" }], max_tokens: 64 };
  return useSample({ product: "openai", version: "v1", operation: "CreateChatCompletion", params }, language);
}
