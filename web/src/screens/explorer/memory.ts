/** Forms that were left, and calls that were made: for as long as the page is open, and nowhere else. */

import { useSyncExternalStore } from "react";
import { currentSession, subscribe } from "@/api/session";
import type { Values } from "./types";

export interface Made {
  number: number;
  /** Milliseconds. */
  at: number;
  product: string;
  id: string;
  mock: boolean;
  /** 0 = no answer came. */
  status: number;
  code: string;
  requestId: string;
  /** Milliseconds. */
  took: number;
  /** Without secrets. */
  values: Values;
}

const MOST = 50;
const drafts = new Map<string, Values>();
let history: readonly Made[] = [];
let count = 0;
const listeners = new Set<() => void>();

function become(next: readonly Made[]): void {
  history = next;
  for (const listener of listeners) listener();
}

// Whoever signs in next shall not find what the one before left.
subscribe(() => {
  if (currentSession() !== null) return;
  drafts.clear();
  become([]);
});

export const draft = (product: string, id: string): Values | undefined => drafts.get(`${product} ${id}`);

export function keep(product: string, id: string, values: Values): void {
  drafts.set(`${product} ${id}`, values);
}

export function remember(made: Omit<Made, "number">): void {
  count += 1;
  become([{ ...made, number: count }, ...history].slice(0, MOST));
}

export const clearHistory = (): void => become([]);

export const useHistory = (): readonly Made[] =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => history,
  );

