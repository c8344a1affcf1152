/** What a person chose for this browser: kept in localStorage, nothing secret. */

import { useSyncExternalStore } from "react";

export interface Preferences {
  theme: "system" | "light" | "dark";
  language: "" | "en" | "zh-CN" | "zh-TW";
  zone: "local" | "utc";
  density: "roomy" | "dense";
  folded: boolean;
}

const KEY = "pierhead.preferences";
const usual: Preferences = { theme: "system", language: "", zone: "local", density: "roomy", folded: false };
const listeners = new Set<() => void>();
let current = stored();

function stored(): Preferences {
  try {
    return { ...usual, ...(JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Preferences>) };
  } catch {
    return usual; // storage is forbidden, or another program wrote there
  }
}

export const preferences = (): Preferences => current;

export function choose(part: Partial<Preferences>): void {
  current = { ...current, ...part };
  try {
    localStorage.setItem(KEY, JSON.stringify(current));
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  for (const listener of listeners) listener();
}

export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const usePreferences = (): Preferences => useSyncExternalStore(subscribe, preferences);

function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const media = matchMedia(query);
      media.addEventListener("change", listener);
      return () => media.removeEventListener("change", listener);
    },
    () => matchMedia(query).matches,
  );
}

/** Dark by choice or by the system's wish. */
export function useDark(): boolean {
  const system = useMedia("(prefers-color-scheme: dark)");
  const { theme } = usePreferences();
  return theme === "dark" || (theme === "system" && system);
}

export const useStill = (): boolean => useMedia("(prefers-reduced-motion: reduce)");
