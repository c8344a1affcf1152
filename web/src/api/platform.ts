/** How the platform as a whole is: what needs attention, what its machines have. */

import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { onThing, toList } from "./allowed";
import { rpc } from "./call";

/** Cores, bytes, accelerators, replicas. */
export interface Reserved {
  Cpu: number;
  Memory: number;
  Gpus: number;
  Replicas: number;
}

export interface Trouble {
  ServiceName: string;
  WorkspaceId: string;
  Status: string;
  Reason: string;
  Error: string;
  Cause: string;
  Advice: string;
}

/** Sizes in bytes. */
export interface Overview {
  Services: { Total: number; ByStatus: { Status: { Name: string; Count: number }[] } };
  Troubles: { Trouble: Trouble[] };
  /** Troubled services in all; not all of them are among `Troubles`. */
  TroubleCount: number;
  Gateways: number;
  Capacity: {
    Nodes: number;
    Cpu: number;
    Memory: number;
    MemoryFree: number;
    Gpus: number;
    GpuMemory: number;
    GpuMemoryFree: number;
    Reserved: Reserved;
  };
  Warnings: { Warning: string[] };
  Versions: { Pierhead: string; Python: string; Runtime: string; Database: string };
}

export interface Holder {
  InstanceName: string;
  ServiceName: string;
}

export interface Accelerator {
  AcceleratorId: string;
  Vendor: string;
  Model: string;
  Capability: string;
  Memory: number;
  /** Absent where nothing tells it. */
  MemoryUsed?: number;
  Part: boolean;
  Holders: { Holder: Holder[] };
}

export interface Node {
  NodeName: string;
  Architecture: string;
  Cpu: number;
  Memory: number;
  MemoryFree: number;
  Reserved: Reserved;
  Accelerators: { Accelerator: Accelerator[] };
}

export interface Nodes {
  Runtime: string;
  Limits: string;
  Mounts: string;
  Warnings: { Warning: string[] };
  Nodes: { Node: Node[] };
  /** `Limit` 0 = as much as there is. */
  Cache: { Folder: string; DiskTotal: number; DiskFree: number; Limit: number; KeepFree: number };
}

/** It tells of what may be seen: one of these is enough. */
const LOOKS = toList("pierhead:GetOverview", "eas:ListServices", "eas:DescribeService");

/** How everything is at present; asked again every five seconds. */
export function useOverview() {
  const { i18n } = useTranslation();
  return useQuery({
    queryKey: ["overview", i18n.language],
    queryFn: ({ signal }) => rpc<Overview>("GetOverview", { Language: i18n.language }, { signal, right: LOOKS }),
    refetchInterval: 5_000,
  });
}

/** Every machine with what it has and who has it; asked again every ten seconds. */
export const useNodes = () =>
  useQuery({
    queryKey: ["nodes"],
    queryFn: ({ signal }) => rpc<Nodes>("ListNodes", {}, { signal, right: onThing("pierhead:ListNodes", "node") }),
    refetchInterval: 10_000,
  });
