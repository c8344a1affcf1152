/** Numbers, sizes and times in words. Pure but for Intl. */

const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** A number with at most `digits` digits after the point. */
export function number(value: number, language: string, digits = 1): string {
  return new Intl.NumberFormat(language, { maximumFractionDigits: digits }).format(value);
}

/** A size: 1.5 GiB. */
export function size(bytes: number, language: string): string {
  let at = 0;
  let value = bytes;
  while (Math.abs(value) >= 1024 && at < BINARY.length - 1) {
    value /= 1024;
    at += 1;
  }
  return `${number(value, language, at && Math.abs(value) < 100 ? 1 : 0)} ${BINARY[at]}`;
}

/** A span of time, seconds: 85 ms, 1.2 s, 3 min 5 s, 2 h 10 min. */
export function span(seconds: number, language: string): string {
  const tell = (value: number, unit: string, digits = 0) => `${number(value, language, digits)} ${unit}`;
  const whole = Math.round(seconds);
  if (seconds < 0.9995) return tell(seconds * 1000, "ms", seconds < 0.01 ? 1 : 0);
  if (seconds < 59.95) return tell(seconds, "s", 1);
  const parts: [number, string][] = [
    [Math.floor(whole / 86_400), "d"],
    [Math.floor(whole / 3600) % 24, "h"],
    [Math.floor(whole / 60) % 60, "min"],
    [whole % 60, "s"],
  ];
  const first = parts.findIndex(([value]) => value > 0);
  return parts.slice(first, first + 2).filter(([value]) => value > 0).map(([value, unit]) => tell(value, unit)).join(" ");
}

const STEPS: [number, Intl.RelativeTimeFormatUnit][] = [
  [60, "second"],
  [3600, "minute"],
  [86_400, "hour"],
  [30 * 86_400, "day"],
  [365 * 86_400, "month"],
  [Infinity, "year"],
];
const SECONDS: Partial<Record<Intl.RelativeTimeFormatUnit, number>> = {
  second: 1,
  minute: 60,
  hour: 3600,
  day: 86_400,
  month: 30 * 86_400,
  year: 365 * 86_400,
};

/** How long ago (or ahead), in words. Both in milliseconds. */
export function ago(at: number, now: number, language: string): string {
  const seconds = Math.trunc((at - now) / 1000);
  const [, unit] = STEPS.find(([below]) => Math.abs(seconds) < below)!;
  const words = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  return words.format(Math.trunc(seconds / SECONDS[unit]!), unit);
}

/** A moment, milliseconds, with its zone. */
export function moment(at: number, language: string, zone: "local" | "utc"): string {
  return new Intl.DateTimeFormat(language, {
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
    timeZoneName: "short",
    ...(zone === "utc" ? { timeZone: "UTC" } : {}),
  }).format(at);
}

export type Time = string | number | Date;

/** Milliseconds; numbers below 10^11 are seconds. NaN = no time. */
export function milliseconds(at: Time): number {
  if (at instanceof Date) return at.getTime();
  if (typeof at === "string") return Date.parse(at);
  return Math.abs(at) < 1e11 ? at * 1000 : at;
}
