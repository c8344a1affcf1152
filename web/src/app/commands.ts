/** What the command palette offers: each part of the console registers its own. */

import { useEffect, useRef, useSyncExternalStore } from "react";

export interface Command {
  id: string;
  /** Translated. */
  title: string;
  run: () => void;
  /** A key that does the same, shown beside it. */
  keys?: string;
}

let groups: ReadonlyMap<symbol, readonly Command[]> = new Map();
let all: readonly Command[] = [];
const listeners = new Set<() => void>();

function put(next: ReadonlyMap<symbol, readonly Command[]>): void {
  groups = next;
  all = [...groups.values()].flat();
  for (const listener of listeners) listener();
}

/** Offer commands as long as the caller is shown. */
export function useCommands(commands: readonly Command[]): void {
  const latest = useRef(commands);
  useEffect(() => {
    latest.current = commands;
  });
  const outline = commands.map(({ id, title, keys }) => `${id}\n${title}\n${keys ?? ""}`).join("\n\n");
  useEffect(() => {
    const me = Symbol();
    const offered = latest.current.map((each) => ({
      ...each,
      run: () => latest.current.find(({ id }) => id === each.id)?.run(),
    }));
    put(new Map([...groups, [me, offered]]));
    return () => put(new Map([...groups].filter(([key]) => key !== me)));
  }, [outline]);
}

export const useAllCommands = (): readonly Command[] =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => all,
  );
