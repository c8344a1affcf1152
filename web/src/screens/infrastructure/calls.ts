/** What the screen asks for besides nodes, and what it changes. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { onThing } from "@/api/allowed";
import { rpc, type Values } from "@/api/call";

export const KINDS = ["oss", "s3", "nas", "hf", "modelscope"] as const;
export type Kind = (typeof KINDS)[number];

export interface Connection {
  ConnectionName: string;
  Kind: Kind;
  /** What a service names to be served by it. */
  Serves: string;
  Bucket: string;
  Endpoint: string;
  StorageRegion: string;
  StorageAccessKeyId: string;
  AllowPrivate: boolean;
  MountTarget: string;
  LocalPath: string;
  Nfs: string;
  Workspaces: string[];
  /** Those that may be seen; `ServiceCount` counts all. */
  Services: string[];
  ServiceCount: number;
  CreateDate: string;
}

/** One snapshot of the cache; sizes in bytes. */
export interface Entry {
  EntryId: string;
  Source: string;
  Bytes: number;
  State: "whole" | "fetching" | "unfinished";
  Done: number;
  /** 0 = not known. */
  Total: number;
  Converted: boolean;
  LastUsed: string;
  KeptFor: string[];
  Services: string[];
}

export interface Entries {
  Bytes: number;
  Entries: { Entry: Entry[] };
}

const CONNECTIONS = ["storage-connections"];
const CACHE = ["cache-entries"];

export const useConnections = () =>
  useQuery({
    queryKey: CONNECTIONS,
    queryFn: async ({ signal }) => {
      const answer = await rpc<{ StorageConnections: { StorageConnection: Connection[] } }>("ListStorageConnections", {}, { signal, right: onThing("pierhead:ListStorageConnections", "storageconnection") });
      return answer.StorageConnections.StorageConnection;
    },
  });

function useChange<Given>(key: string[], run: (given: Given) => Promise<unknown>) {
  const client = useQueryClient();
  return useMutation({ mutationFn: run, onSettled: () => client.invalidateQueries({ queryKey: key }) });
}

export const useAddConnection = () => useChange(CONNECTIONS, (given: Values) => rpc("CreateStorageConnection", given));

export const useRemoveConnection = () =>
  useChange(CONNECTIONS, (given: { name: string; force: boolean }) =>
    rpc("DeleteStorageConnection", { ConnectionName: given.name, ...(given.force ? { Force: true } : {}) }),
  );

/** What the cache has; quickly again while something is being fetched. */
export const useCache = () =>
  useQuery({
    queryKey: CACHE,
    queryFn: ({ signal }) => rpc<Entries>("ListCacheEntries", {}, { signal, right: onThing("pierhead:ListCacheEntries", "cache") }),
    refetchInterval: ({ state }) => (state.data?.Entries.Entry.some((one) => one.State === "fetching") ? 1_500 : 10_000),
  });

/** What a pruning would remove: everything that nobody needs, until no more than `limit` bytes are left. */
export const usePrunable = (limit: number, enabled: boolean) =>
  useQuery({
    queryKey: [...CACHE, "prunable", limit],
    queryFn: ({ signal }) => rpc<Entries>("PruneCache", { Limit: limit, DryRun: true }, { signal, right: onThing("pierhead:PruneCache", "cache") }),
    enabled,
    staleTime: 0,
  });

export const usePrune = () => useChange(CACHE, (limit: number) => rpc<Entries>("PruneCache", { Limit: limit }));
