/** How the hub itself is: whether it acts, and how well it sees its cluster. Anybody may ask that. */

import { useQuery } from "@tanstack/react-query";
import { useLive } from "./live";
import { ApiError } from "./error";
import { read, send } from "./session";

export interface Health {
  role: "active" | "standby" | "waiting";
  /** Absent where replicas run on the hub's machine. */
  cluster?: {
    /** Seconds; null = the cluster was never seen since the hub started. */
    facts_age_seconds: number | null;
    /** Why what is known may be old; "" = it is not. */
    problem: string;
  };
}

/** Seconds from which on it is worth telling that what is shown of the cluster is old. */
export const OLD = 60;

export type Told =
  | { kind: "unseen"; problem: string }
  | { kind: "old"; problem: string; seconds: number }
  | { kind: "standby" };

/** What people should know of a hub's health; nothing while all is well. */
export function told({ role, cluster }: Health): Told[] {
  const found: Told[] = [];
  const age = cluster?.facts_age_seconds ?? null;
  if (cluster && age === null && cluster.problem) found.push({ kind: "unseen", problem: cluster.problem });
  if (cluster && age !== null && age > OLD) found.push({ kind: "old", problem: cluster.problem, seconds: age });
  if (role === "standby") found.push({ kind: "standby" });
  return found;
}

/**
 * The hub's health, asked again every five seconds where there is a cluster. Elsewhere nothing of it can change
 * without a restart, after which everything is asked anew.
 */
export function useHealth() {
  const live = useLive();
  return useQuery({
    queryKey: ["health"],
    queryFn: async ({ signal }) => {
      const answer = await send("/healthz", { signal });
      if (!answer.ok) throw new ApiError({ status: answer.status, code: "Unhealthy", message: "The hub is not well." });
      return (await read(answer)) as Health;
    },
    enabled: live === "live",
    retry: false,
    refetchInterval: ({ state }) => (state.data?.cluster || state.data?.role === "standby" ? 5_000 : false),
  });
}
