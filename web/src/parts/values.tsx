/** Values in a line: sizes, spans, times. Each follows the language; times the UTC/local switch. */

import { useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { usePreferences } from "@/app/preferences";
import { ago, milliseconds, moment, number, size, span, type Time } from "./format";

const NOTHING = "–";

let now = Date.now();
let timer: ReturnType<typeof setInterval> | undefined;
const listeners = new Set<() => void>();

function follow(listener: () => void): () => void {
  listeners.add(listener);
  timer ??= setInterval(() => {
    now = Date.now();
    for (const each of listeners) each();
  }, 5_000);
  return () => {
    listeners.delete(listener);
    if (listeners.size) return;
    clearInterval(timer);
    timer = undefined;
  };
}

/** Milliseconds; moves on every five seconds. */
export const useNow = (): number => useSyncExternalStore(follow, () => now);

function useWords(at: Time | null | undefined) {
  const { i18n } = useTranslation();
  const { zone } = usePreferences();
  const value = at === null || at === undefined || at === "" ? NaN : milliseconds(at);
  return { value, language: i18n.language, full: Number.isNaN(value) ? "" : moment(value, i18n.language, zone) };
}

/** A moment: date, time, zone. */
export function When({ at }: { at: Time | null | undefined }) {
  const { value, full } = useWords(at);
  if (Number.isNaN(value)) return <>{NOTHING}</>;
  return (
    <time className="nowrap" dateTime={new Date(value).toISOString()}>
      {full}
    </time>
  );
}

/** What is a little ahead of our clock, which moves in steps, is now. */
const nearly = (value: number, current: number) => (value - current < 5_000 ? Math.max(value, current) : current);

/** How long ago; the moment itself as a tooltip. */
export function Ago({ at }: { at: Time | null | undefined }) {
  const { value, language, full } = useWords(at);
  const current = useNow();
  if (Number.isNaN(value)) return <>{NOTHING}</>;
  return (
    <time className="nowrap" dateTime={new Date(value).toISOString()} title={full}>
      {ago(value, nearly(value, current), language)}
    </time>
  );
}

/** A size in bytes. */
export function Bytes({ value }: { value: number | null | undefined }) {
  const { i18n } = useTranslation();
  return <span className="nowrap">{value === null || value === undefined ? NOTHING : size(value, i18n.language)}</span>;
}

/** A span in seconds. */
export function Span({ value }: { value: number | null | undefined }) {
  const { i18n } = useTranslation();
  return <span className="nowrap">{value === null || value === undefined ? NOTHING : span(value, i18n.language)}</span>;
}

/** A number, with its unit after it. */
export function Amount({ value, unit = "", digits = 1 }: { value: number | null | undefined; unit?: string; digits?: number }) {
  const { i18n } = useTranslation();
  if (value === null || value === undefined) return <>{NOTHING}</>;
  return <span className="nowrap">{`${number(value, i18n.language, digits)}${unit && ` ${unit}`}`}</span>;
}
