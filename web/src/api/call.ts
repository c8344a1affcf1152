/** Calls of the public APIs, signed like any other client's. */

import { permitted, type Right } from "./allowed";
import { ApiError, refusal } from "./error";
import { credential, read, send, serverNow, wireLanguage, type SessionCredential } from "./session";
import { bytes, encodePath, encodeQuery, nonce, sign, stamp, type Trace } from "./sign";

export { ApiError, cancelled, unreachable } from "./error";
export { console_, consoleResponse } from "./session";

/** The signed APIs by their versions. */
export const EAS = "2021-07-01";
export const RAM = "2015-05-01";
export const STS = "2015-04-01";
export const NATIVE = "2026-11-01";

export type Value = string | number | boolean | null | undefined | object;
export type Values = Readonly<Record<string, Value>>;

export interface Options {
  /** Pairs where a name may come more than once. */
  query?: Values | readonly (readonly [string, string])[];
  /** Sent as JSON; a string is sent as it is. */
  body?: unknown;
  /** Ask for the documented example: checked like a real call, and nothing is written. */
  mock?: boolean;
  /** ZStack only: the uuid of another login than the session's own. */
  login?: string;
  signal?: AbortSignal;
  /** What it needs: without it the call is not made. Only of what throws. */
  right?: Right;
}

/** What was sent and what came back, for those who want to see more than the answer. */
export interface Exchange {
  status: number;
  headers: Record<string, string>;
  body: unknown;
  text: string;
  requestId: string;
  /** Milliseconds until the whole answer was there. */
  took: number;
  /** What was signed; undefined for calls that are not signed. */
  trace?: Trace;
  sent: { method: string; url: string; body: string };
  /** What went wrong; undefined = nothing. */
  error?: ApiError;
}

/** Query values as they go on the wire; what is not there is left out, structures are JSON. */
export function pairs(values: NonNullable<Options["query"]> = {}): [string, string][] {
  if (Array.isArray(values)) return (values as readonly (readonly [string, string])[]).map(([name, value]) => [name, value]);
  return Object.entries(values).flatMap(([name, value]): [string, string][] => {
    if (value === null || value === undefined) return [];
    return [[name, typeof value === "object" ? JSON.stringify(value) : String(value)]];
  });
}

/** Build a path from parts that are not encoded: at`/api/v2/services/${region}/${name}`. */
export function at(parts: TemplateStringsArray, ...names: string[]): string {
  return parts.reduce((path, part, index) => path + encodeURIComponent(names[index - 1] ?? "") + part);
}

interface Request {
  method: string;
  path: string;
  query: [string, string][];
  headers: Record<string, string>;
  body: Uint8Array;
  signal?: AbortSignal | undefined;
}

const REFUSED = /^(InvalidSecurityToken|InvalidAccessKeyId)/;

/** Sign and send; once more with a new credential where the first one was at its end. */
async function signed(request: Request): Promise<Exchange> {
  if (request.path.split("/").some((segment) => segment === "." || segment === "..")) {
    throw new ApiError({ status: 0, code: "InvalidPath", message: "`.` and `..` are no names: browsers drop them." });
  }
  const key = await credential();
  const first = await once(request, key);
  if (!first.error || !REFUSED.test(first.error.code)) return first;
  return once(request, await credential(key));
}

async function once(request: Request, key: SessionCredential): Promise<Exchange> {
  const unsigned = { ...request, headers: { ...request.headers, host: location.host } };
  const moment = { date: stamp(new Date(serverNow())), nonce: nonce() };
  const { headers, trace } = await sign(unsigned, key, moment);
  delete headers["host"]; // browsers set it themselves, and allow nobody else to
  return { ...(await exchange({ ...request, headers })), trace };
}

async function exchange(request: Request): Promise<Exchange> {
  const query = encodeQuery(request.query);
  const url = query ? `${request.path}?${query}` : request.path;
  const started = performance.now();
  const response = await send(url, {
    method: request.method,
    headers: { accept: "application/json", "accept-language": wireLanguage(), ...request.headers },
    body: request.body.length ? (request.body as BodyInit) : null,
    credentials: "omit",
    signal: request.signal ?? null,
  });
  const text = await response.clone().text();
  const body = await read(response);
  const failed = !response.ok || isFailure(body);
  const found: Exchange = {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body,
    text,
    requestId: requestIdOf(response, body),
    took: performance.now() - started,
    sent: { method: request.method, url, body: new TextDecoder().decode(request.body) },
  };
  return failed ? { ...found, error: refusal(response, body) } : found;
}

function isFailure(body: unknown): boolean {
  return typeof body === "object" && body !== null && (body as { success?: unknown }).success === false;
}

function requestIdOf(response: Response, body: unknown): string {
  const told = (body as { RequestId?: unknown } | null)?.RequestId;
  return typeof told === "string" ? told : (response.headers.get("x-acs-request-id") ?? "");
}

function content(body: unknown): { headers: Record<string, string>; body: Uint8Array } {
  if (body === undefined || body === null) return { headers: {}, body: new Uint8Array() };
  const told = typeof body === "string" ? body : JSON.stringify(body);
  return { headers: { "content-type": "application/json;charset=utf-8" }, body: bytes(told) };
}

const mocked = (mock?: boolean): Record<string, string> => (mock ? { "x-pierhead-mock": "true" } : {});

/** An EAS operation, with all that was exchanged; an error is told in it, not thrown. */
export async function roaExchange(method: string, path: string, options: Options = {}): Promise<Exchange> {
  const { headers, body } = content(options.body);
  return signed({
    method: method.toUpperCase(),
    path: encodePath(path),
    query: pairs(options.query),
    headers: { ...headers, "x-acs-version": EAS, ...mocked(options.mock) },
    body,
    signal: options.signal,
  });
}

/** An EAS operation by method and path. Throws ApiError. */
export async function roa<T = Record<string, unknown>>(
  method: string,
  path: string,
  options: Options = {},
): Promise<T> {
  await permitted(options.right ?? []);
  return answered<T>(await roaExchange(method, path, options));
}

export interface RpcOptions {
  /** RAM, STS or NATIVE (the usual one). */
  version?: string;
  mock?: boolean;
  signal?: AbortSignal;
  right?: Right;
}

/** An RPC operation, with all that was exchanged; an error is told in it, not thrown. */
export async function rpcExchange(action: string, params: Values = {}, options: RpcOptions = {}): Promise<Exchange> {
  const version = options.version ?? NATIVE;
  const form = encodeQuery(pairs(params));
  return signed({
    method: "POST",
    path: "/",
    query: [["Action", action], ["Version", version]],
    headers: {
      ...(form ? { "content-type": "application/x-www-form-urlencoded" } : {}),
      "x-acs-action": action,
      "x-acs-version": version,
      ...mocked(options.mock),
    },
    body: bytes(form),
    signal: options.signal,
  });
}

/** An operation of RAM, STS or our own by name. Throws ApiError. */
export async function rpc<T = Record<string, unknown>>(
  action: string,
  params: Values = {},
  options: RpcOptions = {},
): Promise<T> {
  await permitted(options.right ?? []);
  return answered<T>(await rpcExchange(action, params, options));
}

/** A ZStack API, with all that was exchanged; a job (202) is waited for unless it was a mock. */
export async function zstackExchange(method: string, path: string, options: Options = {}): Promise<Exchange> {
  const first = await loggedIn(method, path, options);
  if (first.error?.code !== "ID.1001" || options.login !== undefined) return first;
  return loggedIn(method, path, options, await credential());
}

async function loggedIn(
  method: string,
  path: string,
  options: Options,
  stale?: SessionCredential,
): Promise<Exchange> {
  const uuid = options.login ?? (await credential(stale)).zstack;
  const { headers, body } = content(options.body);
  const whole = path.startsWith("/zstack/") ? path : `/zstack/v1/${path.replace(/^\//, "")}`;
  const authorization = { authorization: `OAuth ${uuid}` };
  const request: Request = {
    method: method.toUpperCase(),
    path: encodePath(whole),
    query: pairs(options.query),
    headers: { ...headers, ...authorization, ...mocked(options.mock) },
    body,
    signal: options.signal,
  };
  const found = await exchange(request);
  return found.status === 202 && !options.mock ? finished(found, authorization, options.signal) : found;
}

/** Ask for a job until it is done: quickly at first, then once a second. */
async function finished(first: Exchange, headers: Record<string, string>, signal?: AbortSignal): Promise<Exchange> {
  const told = (first.body as { location?: unknown } | null)?.location;
  if (typeof told !== "string") return first;
  const path = new URL(told, location.href).pathname;
  for (let pause = 100; ; pause = Math.min(1_000, pause * 2)) {
    await rest(pause, signal);
    const found = await exchange({ method: "GET", path, query: [], headers, body: new Uint8Array(), signal });
    if (found.status !== 202) return { ...found, sent: first.sent, took: first.took + found.took };
  }
}

function rest(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new DOMException("The call was given up.", "AbortError"));
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

/** A ZStack API by method and path (below /zstack/v1). Throws ApiError. */
export async function zstack<T = Record<string, unknown>>(
  method: string,
  path: string,
  options: Options = {},
): Promise<T> {
  await permitted(options.right ?? []);
  return answered<T>(await zstackExchange(method, path, options));
}

function answered<T>(found: Exchange): T {
  if (found.error) throw found.error;
  return found.body as T;
}
