/** One listener for all keys of the page. The handler that came last is asked first. */

import { useEffect, useRef } from "react";

interface Bound {
  keys: string;
  run: { current: (event: KeyboardEvent) => unknown };
  typing: boolean;
}

const bound: Bound[] = [];

/** `mod+k` is Ctrl+K, on a Mac Cmd+K too. */
function nameOf(event: KeyboardEvent): string {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  return (event.ctrlKey || event.metaKey ? "mod+" : "") + (event.altKey ? "alt+" : "") + key;
}

function isTyping(target: EventTarget | null): boolean {
  const element = target instanceof HTMLElement ? target : null;
  return !!element?.closest("input, textarea, select, [contenteditable=true], [role=combobox]");
}

/** Is something open above the page, where the page's letters mean nothing? */
const covered = (): boolean => !!document.querySelector("[role=dialog]:not([hidden]) :focus, [role=menu] :focus");

function pressed(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing) return;
  const name = nameOf(event);
  const busy = isTyping(event.target) || covered();
  for (const each of bound.toReversed()) {
    if (each.keys !== name || (busy && !each.typing)) continue;
    if (each.run.current(event) === false) continue; // not mine
    event.preventDefault();
    return;
  }
}

/** Run at a key: `c`, `/`, `?`, `Escape`, `mod+k`. `typing`: in fields, too. `last`: asked after all others. False = it was for another. */
export function useKey(
  keys: string,
  run: (event: KeyboardEvent) => unknown,
  options: { typing?: boolean; off?: boolean; last?: boolean } = {},
): void {
  const latest = useRef(run);
  useEffect(() => {
    latest.current = run;
  });
  const { typing = false, off = false, last = false } = options;
  useEffect(() => {
    if (off) return;
    const mine: Bound = { keys, run: latest, typing };
    if (!bound.length) window.addEventListener("keydown", pressed);
    if (last) bound.unshift(mine);
    else bound.push(mine);
    return () => {
      bound.splice(bound.indexOf(mine), 1);
      if (!bound.length) window.removeEventListener("keydown", pressed);
    };
  }, [keys, typing, off, last]);
}

/** Move the focus to the page's filter; false = it has none. */
export function focusFilter(): boolean {
  const found = document.querySelector<HTMLElement>("[data-page-filter] input, input[data-page-filter]");
  found?.focus();
  return !!found;
}
