/** Lines of a log, by their places in the whole of it: the end is followed, what came before is fetched when wanted. */

import { useCallback, useEffect, useRef, useState } from "react";
import { cancelled } from "@/api/call";
import { readService, useStays } from "@/api/queries";
import { useSession } from "@/api/session";

export interface Held {
  lines: readonly string[];
  /** Place (from 0) of the first of them. */
  start: number;
  /** Lines there are. */
  total: number;
}

export interface Page {
  Logs: string[];
  TotalCount: number;
}

/** Lines of one call. */
export const SIZE = 1_000;

/** With the newest page added; anew where it does not meet what is held, or the log is another one now. */
export function followed(held: Held | undefined, page: Page): Held {
  const start = page.TotalCount - page.Logs.length;
  const fresh = { lines: page.Logs, start, total: page.TotalCount };
  if (!held || page.TotalCount < held.total) return fresh;
  const end = held.start + held.lines.length;
  if (start > end) return fresh;
  if (page.TotalCount === held.total) return held;
  return { ...held, lines: held.lines.concat(page.Logs.slice(end - start)), total: page.TotalCount };
}

/** Number of the page that has the line before the first one held; pages count from the end. */
export const pageBefore = (held: Held): number => Math.floor((held.total - held.start) / SIZE) + 1;

/** With the lines before it that a page has. */
export function preceded(held: Held, page: Page, number: number): Held {
  const start = Math.max(0, page.TotalCount - number * SIZE);
  const older = page.Logs.slice(0, Math.max(0, held.start - start));
  return older.length ? { ...held, lines: [...older, ...held.lines], start: held.start - older.length } : held;
}

export interface Wanted {
  instance: string;
  keyword: string;
  previous: boolean;
}

/** Follow a log as long as `on`; every two seconds a look at its end. */
export function useTail(name: string, { instance, keyword, previous }: Wanted, on: boolean) {
  const { Region } = useSession();
  const stays = useStays(name);
  const [held, setHeld] = useState<Held>();
  const [error, setError] = useState<unknown>();
  const [filling, setFilling] = useState(false);
  const latest = useRef<Held>(undefined);
  const put = useCallback((next: Held) => {
    latest.current = next;
    setHeld(next);
  }, []);
  const ask = useCallback(
    (number: number, signal?: AbortSignal) => {
      const query = {
        PageNum: number,
        PageSize: SIZE,
        ...(instance ? { InstanceName: instance } : {}),
        ...(keyword ? { Keyword: keyword } : {}),
        ...(previous ? { Previous: true } : {}),
      };
      return readService<Page>(Region, name, "logs", { query, ...(signal ? { signal } : {}) });
    },
    [Region, name, instance, keyword, previous],
  );

  const run = useRef<AbortController>(undefined);
  useEffect(() => {
    const controller = new AbortController();
    run.current = controller;
    latest.current = undefined;
    setHeld(undefined);
    setError(undefined);
    setFilling(false);
    return () => controller.abort();
  }, [ask]);

  useEffect(() => {
    if (!stays) return;
    const controller = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async () => {
      try {
        put(followed(latest.current, await ask(1, controller.signal)));
        setError(undefined);
      } catch (failure) {
        if (!cancelled(failure) && !controller.signal.aborted) setError(failure);
      }
      if (on && !controller.signal.aborted) timer = setTimeout(() => void look(), 2_000);
    };
    void look();
    return () => {
      controller.abort();
      clearTimeout(timer);
    };
  }, [ask, on, put, stays]);

  /** Fetch what came before: one page, or all of it. Returns what is held then. */
  const fill = useCallback(
    async (all: boolean): Promise<Held | undefined> => {
      const signal = run.current?.signal;
      setFilling(true);
      try {
        let seen = latest.current?.total ?? 0;
        for (let before = latest.current; before && before.start > 0; before = latest.current) {
          // Pages count from an end that moves on while lines are written.
          const number = pageBefore({ ...before, total: seen });
          const page = await ask(number, signal);
          const held = latest.current ?? before;
          const next = preceded(held, page, number);
          if (next === held && page.TotalCount <= seen) break; // the log was cut meanwhile
          seen = page.TotalCount;
          if (next === held) continue;
          put(next);
          if (!all) break;
        }
      } catch (failure) {
        if (!cancelled(failure)) setError(failure);
      } finally {
        setFilling(false);
      }
      return latest.current;
    },
    [ask, put],
  );
  return { held, error, filling, fill };
}
