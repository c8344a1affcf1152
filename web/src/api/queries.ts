/** What most screens ask for. Keys: ["services"], ["service", name, part...]; see also `live.ts`. */

import { useMutation, useQuery, useQueryClient, type UseQueryResult } from "@tanstack/react-query";
import { onService, toList } from "./allowed";
import { at, type Options, roa, type Values } from "./call";
import { SERVICES, useUnlisted } from "./live";
import { useSession } from "./session";
import type { Diagnosis, Instance, Service, ServiceEvent, ServiceRow } from "./types";

export { useAllowed, useArn, type May } from "./allowed";

interface Paged {
  PageNumber: number;
  PageSize: number;
  TotalCount: number;
}

interface Numbered {
  PageNum: number;
  TotalCount: number;
  TotalPageNum: number;
}

export interface LogQuery {
  InstanceName?: string;
  Keyword?: string;
  Previous?: boolean;
  StartTime?: string;
  EndTime?: string;
  PageNum?: number;
  PageSize?: number;
}

export interface EventQuery {
  EventType?: "Normal" | "Warning";
  InstanceName?: string;
  StartTime?: string;
  EndTime?: string;
  PageNum?: number;
  PageSize?: number;
}

const ROWS = {
  queryKey: SERVICES,
  queryFn: () => Promise.reject<ServiceRow[]>(new Error("Rows come by the live connection.")),
  enabled: false,
  staleTime: Infinity,
  gcTime: Infinity,
};

/** All services that may be listed; they come by themselves and stay up to date. */
export function useServices(): UseQueryResult<ServiceRow[]> {
  return useQuery<ServiceRow[]>(ROWS);
}

/** The live row of one service; undefined = there is none (yet). */
export function useServiceRow(name: string): ServiceRow | undefined {
  return useServices().data?.find((row) => row.ServiceName === name);
}

/** May it still be asked about? Of what is being deleted everything may be gone the next moment. */
export function useStays(name: string): boolean {
  const { data } = useQuery<ServiceRow[], Error, string | undefined>({
    ...ROWS,
    select: (rows) => rows.find((row) => row.ServiceName === name)?.Status,
  });
  return data !== "Deleting";
}

/**
 * Is there such a service? undefined = not known yet. Its live row tells; where there is none the list is asked,
 * which has an answer for what is not there, too. `seen`: its row has been there before.
 */
export function useExists(name: string, seen: boolean): boolean | undefined {
  const { Region } = useSession();
  const rows = useServices().data;
  const unlisted = useUnlisted();
  const row = rows?.some((each) => each.ServiceName === name);
  const listed = useQuery({
    queryKey: ["service", name, "listed"],
    queryFn: async ({ signal }) => {
      const query = { ServiceName: name, PageSize: 1 };
      const right = toList("eas:ListServices", "eas:DescribeService");
      return (await roa<{ TotalCount: number }>("GET", "/api/v2/services", { query, signal, right })).TotalCount > 0;
    },
    enabled: !!Region && !seen && (row === false || !!unlisted),
    staleTime: 0,
    gcTime: 0,
  });
  if (row || seen) return !!row;
  // Who may list nothing may still be allowed to look at this one.
  return listed.error ? true : listed.data;
}

/** The path of a service or of a part of it. */
export function servicePath(region: string, name: string, part = ""): string {
  return at`/api/v2/services/${region}/${name}` + (part ? `/${part}` : "");
}

/** The action that each part of a service is read by. */
const READS: Record<string, string> = {
  "": "eas:DescribeService",
  instances: "eas:ListServiceInstances",
  events: "eas:DescribeServiceEvent",
  logs: "eas:DescribeServiceLog",
  diagnosis: "eas:DescribeServiceDiagnosis",
  autoscaler: "eas:DescribeServiceAutoScaler",
  cronscaler: "eas:DescribeServiceCronScaler",
  versions: "eas:ListServiceVersions",
};

/** Read a service or a part of it, if that is allowed. Throws ApiError. */
export function readService<T>(region: string, name: string, part: string, options: Pick<Options, "query" | "signal">): Promise<T> {
  return roa<T>("GET", servicePath(region, name, part), { ...options, right: onService(name, READS[part] ?? "") });
}

function useServicePart<T>(name: string, part: string, query: Values = {}, every?: number, wanted = true) {
  const { Region } = useSession();
  const stays = useStays(name);
  return useQuery({
    enabled: wanted && stays,
    queryKey: ["service", name, part || "self", query],
    queryFn: ({ signal }) => readService<T>(Region, name, part, { query, signal }),
    ...(every ? { refetchInterval: every } : {}),
  });
}

/** `wanted`: it is known that there is one. */
export const useService = (name: string, wanted: boolean) => useServicePart<Service>(name, "", {}, undefined, wanted);

export const useServiceInstances = (name: string, query: Values = {}) =>
  useServicePart<{ Instances: Instance[] } & Paged>(name, "instances", { PageSize: 100, ...query }, 10_000);

export const useServiceEvents = (name: string, query: EventQuery = {}) =>
  useServicePart<{ Events: ServiceEvent[] } & Numbered>(name, "events", { ...query }, 10_000);

/** `every`: milliseconds between two looks, for following; absent = once. */
export const useServiceLogs = (name: string, query: LogQuery = {}, every?: number) =>
  useServicePart<{ Logs: string[] } & Numbered>(name, "logs", { ...query }, every);

export const useServiceDiagnosis = (name: string) =>
  useServicePart<{ DiagnosisList: Diagnosis[] }>(name, "diagnosis");

/** A change of one service; what was asked about it is asked again. */
function useServiceChange<Given>(run: (region: string, given: Given) => Promise<unknown>, named: (given: Given) => string) {
  const { Region } = useSession();
  const client = useQueryClient();
  return useMutation({
    mutationFn: (given: Given) => run(Region, given),
    onSettled: (_done, _failed, given) => client.invalidateQueries({ queryKey: ["service", named(given)] }),
  });
}

const itself = (name: string) => name;

export const useStopService = () =>
  useServiceChange((region, name: string) => roa("PUT", servicePath(region, name, "stop")), itself);

export const useStartService = () =>
  useServiceChange((region, name: string) => roa("PUT", servicePath(region, name, "start")), itself);

export const useRestartService = () =>
  useServiceChange((region, name: string) => roa("PUT", servicePath(region, name, "restart")), itself);

export const useDeleteService = () =>
  useServiceChange((region, name: string) => roa("DELETE", servicePath(region, name)), itself);

/** Update by a service JSON (or a part of one). */
export const useUpdateService = () =>
  useServiceChange(
    (region, given: { name: string; body: unknown; query?: Values }) =>
      roa("PUT", servicePath(region, given.name), { body: given.body, ...(given.query ? { query: given.query } : {}) }),
    (given) => given.name,
  );

/** Set the number of replicas. */
export const useScaleService = () =>
  useServiceChange(
    (region, given: { name: string; replicas: number }) =>
      roa("PUT", servicePath(region, given.name), { body: { metadata: { instance: given.replicas } } }),
    (given) => given.name,
  );

/** Create by a service JSON. */
export const useCreateService = () =>
  useServiceChange(
    (_region, given: { name: string; body: unknown; query?: Values }) =>
      roa<{ ServiceName: string; ServiceId: string; Status: string }>("POST", "/api/v2/services", {
        body: given.body,
        ...(given.query ? { query: given.query } : {}),
      }),
    (given) => given.name,
  );
