/**
 * The live list of services. Read with fetch rather than EventSource: a refusal then has a status,
 * and the heartbeats of a connection that is silently dead are missed.
 */

import { useSyncExternalStore } from "react";
import { permitted, toList } from "./allowed";
import { queryClient } from "./client";
import { ApiError } from "./error";
import { consoleResponse, currentSession, subscribe } from "./session";
import { applied, events } from "./stream";
import type { LiveServices, ServiceRow } from "./types";

/** `ending`: the hub said that it stops. `lost`: it does not answer. */
export type Live = "connecting" | "live" | "ending" | "lost";

const SILENCE = 25_000; // heartbeats come every 10 s
const SHORTEST = 500;
const LONGEST = 5_000;
const PATIENCE = 1_500; // a gap shorter than this is not worth a banner
const UNALLOWED = 60_000; // rights are remembered for as long

let state: Live = "connecting";
let running: AbortController | undefined;
let refused: ApiError | undefined;
const listeners = new Set<() => void>();

export const SERVICES = ["services"] as const;

function become(next: Live, why?: ApiError): void {
  if (state === next && refused === why) return;
  state = next;
  refused = why;
  for (const listener of listeners) listener();
}

function follow(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Why no rows come, to those who may see no service at all. */
export const useUnlisted = (): ApiError | undefined => useSyncExternalStore(follow, () => refused);

/** How the live connection is: for the banner, and for cells that would otherwise lie. */
export const useLive = (): Live => useSyncExternalStore(follow, () => state);

/** Keep the connection for as long as somebody is signed in. Returns how to end it. */
export function startLive(): () => void {
  const turn = () => (currentSession() ? begin() : end());
  const unsubscribe = subscribe(turn);
  const retry = () => wake?.();
  window.addEventListener("online", retry);
  turn();
  return () => {
    unsubscribe();
    window.removeEventListener("online", retry);
    end();
  };
}

function begin(): void {
  if (running) return;
  running = new AbortController();
  void keep(running.signal);
}

function end(): void {
  running?.abort();
  running = undefined;
  queryClient.clear();
  become("connecting");
}

let wake: (() => void) | undefined;

/** Resolves after a while, at once when the browser says that the network is back. */
function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      wake = undefined;
      resolve();
    };
    const timer = setTimeout(done, milliseconds);
    signal.addEventListener("abort", done, { once: true });
    wake = done;
  });
}

async function keep(signal: AbortSignal): Promise<void> {
  let wait = SHORTEST;
  let before = false;
  while (!signal.aborted) {
    const lost = setTimeout(() => become(state === "ending" ? "ending" : "lost"), PATIENCE);
    const opened = () => {
      clearTimeout(lost);
      wait = SHORTEST;
      become("live");
      if (before) void queryClient.invalidateQueries({ predicate: (each) => each.queryKey[0] !== SERVICES[0] });
      before = true;
    };
    try {
      await connection(signal, opened);
    } catch (failure) {
      if (failure instanceof ApiError && failure.status === 401) return;
      if (failure instanceof ApiError && failure.status === 403) {
        clearTimeout(lost);
        become("live", failure); // it does answer
        await pause(UNALLOWED, signal);
        continue;
      }
    }
    if (signal.aborted) return clearTimeout(lost);
    if (state === "live") become("connecting");
    await pause(wait, signal);
    if (state === "connecting" && before) become("lost");
    clearTimeout(lost);
    wait = Math.min(LONGEST, wait * 2);
  }
}

/** One connection, until it ends or falls silent. Throws ApiError where it was refused. */
async function connection(signal: AbortSignal, opened: () => void): Promise<void> {
  const own = new AbortController();
  const stop = () => own.abort();
  signal.addEventListener("abort", stop, { once: true });
  let silent = setTimeout(stop, SILENCE);
  try {
    await permitted(toList("eas:ListServices", "eas:DescribeService", "pierhead:ListServiceTraffic"));
    const response = await consoleResponse("/live", { signal: own.signal });
    opened();
    await events(response, take, () => {
      clearTimeout(silent);
      silent = setTimeout(stop, SILENCE);
    });
  } finally {
    clearTimeout(silent);
    signal.removeEventListener("abort", stop);
  }
}

function take(name: string, data: string): void {
  if (name === "ending") become("ending");
  if (name !== "services") return;
  const told = JSON.parse(data) as LiveServices;
  const old = queryClient.getQueryData<ServiceRow[]>(SERVICES) ?? [];
  queryClient.setQueryData(SERVICES, applied(old, told));
  for (const name of turned(old, told)) void queryClient.invalidateQueries({ queryKey: ["service", name] });
  for (const name of told.Gone) {
    // Nothing of it may be asked any more; whoever shows it learns of that by its row.
    void queryClient.cancelQueries({ queryKey: ["service", name] });
    queryClient.removeQueries({ queryKey: ["service", name], type: "inactive" });
  }
}

/** Services whose state is another one now: what was asked about them is no longer true. What is going is let go. */
function turned(old: readonly ServiceRow[], told: LiveServices): string[] {
  const known = new Map(old.map((row) => [row.ServiceName, outline(row)]));
  const rows = told.Rows.filter((row) => row.Status !== "Deleting" && known.has(row.ServiceName) && known.get(row.ServiceName) !== outline(row));
  return rows.map((row) => row.ServiceName);
}

function outline(row: ServiceRow): string {
  return [row.ServiceId, row.Status, row.Reason, row.Ready, row.Wanted, row.UpdateTime, row.Message].join("\n");
}
