/** What the explorer does with the values of a form besides sending them. Pure. */

import type { Json, Operation, Parameter, Values } from "./types";
import { given } from "./plan";

/** As the platform's own redaction knows them. */
const SECRET =
  /secret|token|session_?(?:uu)?id|authori[sz]ation|dockerauth|passw|api_?key|private_?key|credential|cookie|signature$/i;

export const secretName = (name: string): boolean => SECRET.test(name);

/** The same without secrets: what may go into a link or a history. What is left out is not named either. */
export function stripped(values: Values): Values {
  return without(values) as Values;
}

function without(value: Json): Json {
  if (Array.isArray(value)) return value.map(without);
  if (value === null || typeof value !== "object") return typeof value === "string" ? bare(value) : value;
  // An environment variable tells its name beside its value.
  const told = value["name"] ?? value["Name"] ?? value["key"] ?? value["Key"];
  const hidden = typeof told === "string" && secretName(told);
  const kept = Object.entries(value).filter(
    ([name, each]) => !(typeof each === "string" && (secretName(name) || (hidden && /^value$/i.test(name)))),
  );
  return Object.fromEntries(kept.map(([name, each]) => [name, without(each)]));
}

/** A text may be a document of its own; and an address may hold a password. */
function bare(text: string): string {
  const address = text.replace(/(:\/\/)[^/\s:@]{1,256}:[^@\s/]{1,256}@/g, "$1");
  if (!/^\s*[{[]/.test(address)) return address;
  try {
    const inner = JSON.parse(address) as Json;
    const kept = without(inner);
    return JSON.stringify(kept) === JSON.stringify(inner) ? address : JSON.stringify(kept);
  } catch {
    return address;
  }
}

const LONGEST_LINK = 6_000;

/** The values as a link has them; "" = there are none, undefined = too many for a link. */
export function linked(values: Values): string | undefined {
  const shown = stripped(values);
  if (!Object.keys(shown).length) return "";
  const text = JSON.stringify(shown);
  return text.length > LONGEST_LINK ? undefined : text;
}

/** The values of a link; undefined = it has none, or they are no object. */
export function unlinked(text: string | undefined): Values | undefined {
  if (!text) return undefined;
  try {
    const value = JSON.parse(text) as Json;
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

export const isObject = (value: Json | undefined): value is Values =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** How a form begins: with the region, of which there is only one. */
export function begun(operation: Operation, region: string): Values {
  const places = operation.Parameters.filter(({ Place, Name }) => Place === "path" && /^(ClusterId|RegionId)$/.test(Name));
  return Object.fromEntries(places.map(({ Name }) => [Name, region]));
}

/** The resource of an action as far as the form tells it; what is open is anything. */
export function resourceOf(operation: Operation, values: Values, region: string, account: string): string {
  const told: Record<string, Json> = { ...values, regionId: region, accountId: account };
  return operation.Authorization.Resource.replace(/\{(\w+)\}/g, (_all, name: string) => {
    const value = told[name];
    return typeof value === "string" && value ? value : "*";
  });
}

/** What a call is about, in the words of its parameters: `ServiceName foo`. */
export function objectOf(operation: Operation, values: Values): string {
  const metadata = values["metadata"];
  const scalars = [
    ...operation.Parameters.filter(({ Name }) => !/^(ClusterId|RegionId)$/.test(Name) && !secretName(Name)).flatMap(
      (each): [string, Json, number][] => [[each.Name, values[each.Name] ?? null, weight(each)]],
    ),
    ["name", (isObject(metadata) ? metadata["name"] : values["name"]) ?? null, 2] as [string, Json, number],
  ];
  const told = scalars.filter(([, value, many]) => many > 0 && given(value) && typeof value !== "object");
  const [first] = told.sort((a, b) => b[2] - a[2]);
  const path = told.filter(([, , many]) => many === 3);
  const shown = path.length ? path : first ? [first] : [];
  return shown.map(([name, value]) => `${name} ${String(value)}`).join(", ") || operation.Id;
}

function weight({ Name, Place, Required }: Parameter): number {
  if (Place === "path") return 3;
  if (/(name|uuid|uuids|id)$/i.test(Name)) return Required ? 2 : 1;
  return 0;
}

export type Problem = "missing" | "low" | "high" | "long" | "value" | "type";

/** What the platform will most likely say of a value. */
export function problem(parameter: Parameter, value: Json | undefined): Problem | undefined {
  if (!given(value)) return parameter.Required ? "missing" : undefined;
  const number = parameter.Type === "integer" || parameter.Type === "number";
  if (number && Number.isNaN(Number(value))) return "type";
  if (number && parameter.Minimum !== null && Number(value) < parameter.Minimum) return "low";
  if (number && parameter.Maximum !== null && Number(value) > parameter.Maximum) return "high";
  if (typeof value !== "string") return undefined;
  if (parameter.Longest && [...value].length > parameter.Longest) return "long";
  return parameter.Values.length && !parameter.Open && !parameter.Values.includes(value) ? "value" : undefined;
}

/** One value set, or taken out by undefined. */
export function put(values: Values, name: string, value: Json | undefined): Values {
  if (value !== undefined) return { ...values, [name]: value };
  return Object.fromEntries(Object.entries(values).filter(([each]) => each !== name));
}

/** A text as somebody means it in a field for anything: JSON where it is JSON, else itself. */
export function meant(text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

/** The other way: what `meant` would read back as the same. */
export function shownAs(value: Json | undefined): string {
  if (value === undefined) return "";
  if (typeof value === "string" && meant(value) === value) return value;
  return JSON.stringify(value, null, typeof value === "object" ? 2 : 0);
}
