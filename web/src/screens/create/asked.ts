/** What the form asks the platform. */

import { useQuery } from "@tanstack/react-query";
import { onAll, toList } from "@/api/allowed";
import { roa, rpc, zstack } from "@/api/call";
import { CHECKS } from "../registry/calls";
import type { Template } from "./draft";

export interface Model {
  uuid: string;
  name: string;
  description: string | null;
  /** Bytes. */
  size: number;
  installPath: string;
  modelServiceRefs: { modelServiceUuid?: string }[];
}

/** Sizes in bytes. */
export interface Fit {
  Fits: boolean;
  Reason: string;
  Message: string;
  Needed: number;
  Weights?: number;
  KvCache?: number;
  Compute?: number;
  Overhead?: number;
  MemoryLimit?: number;
  Total: number;
  Free: number;
  NodeName: string;
  ReplicasNow: number;
  Replicas: number;
  Context: number;
  Slots: number;
  LargestContext: number;
  MostSlots: number;
  Engine: string;
  EngineReason: string;
  Conversion: string;
  Guessed: boolean;
}

export const useTemplates = () =>
  useQuery({
    queryKey: ["templates"],
    queryFn: ({ signal }) => zstack<{ inventories: Template[] }>("GET", "/ai/model-services", { signal, right: toList("zstack:QueryModelService") }),
    select: ({ inventories }) => inventories,
    staleTime: 30_000,
  });

export const useModels = () =>
  useQuery({
    queryKey: ["models"],
    queryFn: ({ signal }) => zstack<{ inventories: Model[] }>("GET", "/ai/models", { signal, right: toList("zstack:QueryModel") }),
    select: ({ inventories }) => inventories,
    staleTime: 30_000,
  });

export interface Size {
  InstanceType: string;
  CPU: number;
  Memory: number;
  GPU: string;
  GPUAmount: number;
  IsAvailable: boolean;
}

export const useSizes = () =>
  useQuery({
    queryKey: ["sizes"],
    queryFn: ({ signal }) => roa<{ InstanceMetas: Size[] }>("GET", "/api/v2/public/instance_types", { signal, right: onAll("eas:DescribeMachineSpec") }),
    select: ({ InstanceMetas }) => InstanceMetas,
    staleTime: 30_000,
  });

export const useWorkspaces = () =>
  useQuery({
    queryKey: ["workspaces"],
    queryFn: ({ signal }) =>
      rpc<{ Workspaces: { Workspace: { WorkspaceId: string; Name: string }[] } }>("ListWorkspaces", { MaxItems: 1000 }, { signal, right: toList("pierhead:ListWorkspaces", "pierhead:GetWorkspace") }),
    select: ({ Workspaces }) => Workspaces.Workspace,
    staleTime: 30_000,
    retry: false,
  });

/** Does it fit? Asked anew whenever the document is another one; `document` undefined = nothing to ask about yet. */
export function useFit(document: Record<string, unknown> | undefined, workspace: string) {
  const text = document && JSON.stringify(document);
  return useQuery({
    queryKey: ["fit", text, workspace],
    queryFn: async ({ signal }) => {
      const given = { ServiceDocument: text, ...(workspace ? { WorkspaceId: workspace } : {}) };
      return (await rpc<{ Fit: Fit }>("CheckServiceFit", given, { signal, right: CHECKS() })).Fit;
    },
    enabled: text !== undefined,
    staleTime: 20_000,
    retry: false,
  });
}
