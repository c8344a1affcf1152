/** From the form to a request. Pure. */

import type { Json, Operation, Parameter, Values } from "./types";

export interface Plan {
  method: string;
  /** Percent-encoded. */
  path: string;
  query: [string, string][];
  /** undefined = the call has none. */
  body: Values | undefined;
}

/** ZStack: they stand beside the wrapper, not in it. */
const TAGS = new Set(["systemTags", "userTags"]);
const SLOT = /\{(\w+)\}/g;

const text = (value: Json): string => (typeof value === "string" ? value : JSON.stringify(value));

/** Is there something to send? */
export const given = (value: Json | undefined): boolean => value !== undefined && value !== null && value !== "";

/** Names of the address that are still open. */
export function open(operation: Operation, values: Values): string[] {
  const names = [...operation.Path.matchAll(SLOT)].map(([, name]) => name!);
  return names.filter((name) => !given(values[name]));
}

/** The request that the values make; names that the catalog does not know go where the others go. */
export function plan(operation: Operation, values: Values, flat = false): Plan {
  const known = new Map(operation.Parameters.map((each) => [each.Name, each]));
  const query: [string, string][] = [];
  const body: Values = {};
  // A ZStack action is named by its body's key, even if it takes nothing.
  const takes = operation.Document || !!operation.Wrapper || operation.Parameters.some(({ Place }) => Place === "body");
  for (const [name, value] of Object.entries(values)) {
    const place = placeOf(operation, known.get(name), takes);
    if (place === "query") query.push(...written(operation, name, value, known.get(name)?.Serialization));
    else if (place === "body") body[name] = value;
  }
  const path = operation.Path.replace(SLOT, (_all, name: string) => encodeURIComponent(text(values[name] ?? "")));
  const has = takes && operation.Style !== "rpc" && operation.Method !== "GET";
  return { method: operation.Method, path, query, body: has ? wrapped(operation, body, flat) : undefined };
}

function placeOf(operation: Operation, known: Parameter | undefined, takes: boolean): Parameter["Place"] {
  if (known && !(operation.Style === "rpc" && known.Place === "body")) return known.Place;
  return takes && operation.Style !== "rpc" ? "body" : "query";
}

function wrapped(operation: Operation, body: Values, flat: boolean): Values {
  if (operation.Style !== "zstack" || !operation.Wrapper || flat) return body;
  const all = Object.entries(body);
  const beside = Object.fromEntries(all.filter(([name]) => TAGS.has(name)));
  return { [operation.Wrapper]: Object.fromEntries(all.filter(([name]) => !TAGS.has(name))), ...beside };
}

function written(operation: Operation, name: string, value: Json, how = ""): [string, string][] {
  if (value === null) return [];
  if (how === "json") return [[name, text(value)]];
  if (how === "comma" && Array.isArray(value)) return [[name, value.map(text).join(",")]];
  return flattened(name, value, operation.Style === "rpc");
}

/** Lists and maps of a query: `Tag.1.Key=` in RPC style, else the name again and again. */
function flattened(name: string, value: Json, numbered: boolean): [string, string][] {
  if (value === null) return [];
  if (Array.isArray(value)) {
    return value.flatMap((each, index) => flattened(numbered ? `${name}.${index + 1}` : name, each, numbered));
  }
  if (typeof value === "object") {
    return Object.entries(value).flatMap(([key, each]) => flattened(`${name}.${key}`, each, numbered));
  }
  return [[name, text(value)]];
}

/** The first line (from 0) in which two texts differ; undefined = they are the same. */
export function firstDifference(left: string, right: string): number | undefined {
  if (left === right) return undefined;
  const [a, b] = [left.split("\n"), right.split("\n")];
  const at = a.findIndex((line, index) => line !== b[index]);
  return at < 0 ? a.length : at;
}
