/** Who is signed in, and the short-lived credential that signs the calls. Nothing of it is stored. */

import { useSyncExternalStore } from "react";
import { ApiError, refusal } from "./error";
import type { Credential } from "./sign";
import type { Login, Session } from "./types";

export interface SessionCredential extends Credential {
  token: string;
  /** Milliseconds of the server's clock. */
  expires: number;
  zstack: string;
}

const RENEW_BEFORE = 60_000;

let session: Session | null | undefined; // undefined = not asked yet
let before: Session | undefined; // of who has just signed out: the page is there a moment longer
let held: SessionCredential | undefined;
let fetching: Promise<SessionCredential> | undefined;
let skew = 0;
const listeners = new Set<() => void>();

function changed(): void {
  for (const listener of listeners) listener();
}

/** Told whenever the session or the credential changes. */
export function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** The server's time, milliseconds: this machine's clock may be wrong, signatures must not be. */
export const serverNow = (): number => Date.now() + skew;

/** The session; null = nobody is signed in, undefined = not known yet. */
export const currentSession = (): Session | null | undefined => session;

/** The session of whoever is signed in. Throws outside of the signed-in part. */
export function useSession(): Session {
  const found = useSyncExternalStore(subscribe, currentSession) ?? before;
  if (!found) throw new ApiError({ status: 401, code: "NotSignedIn", message: "Nobody is signed in." });
  return found;
}

/** The credential in use, for a countdown; undefined = none was needed yet. */
export const useCredential = (): SessionCredential | undefined =>
  useSyncExternalStore(subscribe, () => held);

/** The language that answers are asked for in. */
export const wireLanguage = (): string => document.documentElement.lang || "en";

/** Fetch, or an ApiError with status 0; what was aborted stays an AbortError. */
export async function send(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, { ...init, cache: "no-store", redirect: "error" });
  } catch (failure) {
    if (failure instanceof DOMException && failure.name === "AbortError") throw failure;
    throw new ApiError({ status: 0, code: "Unreachable", message: "No answer came from the platform." });
  }
}

/** JSON where it is JSON, else the text; null = empty. */
export async function read(response: Response): Promise<unknown> {
  const content = await response.text();
  if (!content) return null;
  if (!/json/.test(response.headers.get("content-type") ?? "")) return content;
  try {
    return JSON.parse(content) as unknown;
  } catch {
    return content;
  }
}

export interface ConsoleOptions {
  method?: "GET" | "POST";
  body?: unknown;
  signal?: AbortSignal;
}

/** The answer of a path below /console/api, not read yet. Throws ApiError. */
export async function consoleResponse(path: string, options: ConsoleOptions = {}): Promise<Response> {
  const method = options.method ?? (options.body === undefined ? "GET" : "POST");
  const headers: Record<string, string> = { "accept-language": wireLanguage() };
  if (method === "POST") {
    headers["x-pierhead-console"] = "1";
    headers["content-type"] = "application/json";
    if (session) headers["x-pierhead-csrf"] = session.Csrf;
  }
  const body = method === "POST" ? JSON.stringify(options.body ?? {}) : null;
  const response = await send(`/console/api${path}`, {
    method,
    headers,
    body,
    credentials: "same-origin",
    signal: options.signal ?? null,
  });
  if (response.ok) return response;
  // What a service says through the relay is about its token, not about this session.
  const own = !response.headers.has("x-pierhead-relayed");
  if (response.status === 401 && own && path !== "/login" && session) ended();
  throw refusal(response, await read(response));
}

/** A path below /console/api: the ones that know the session by its cookie. Throws ApiError. */
export async function console_<T>(path: string, options: ConsoleOptions = {}): Promise<T> {
  return (await read(await consoleResponse(path, options))) as T;
}

function taken(response: Response): void {
  const told = Date.parse(response.headers.get("date") ?? "");
  const off = told - Date.now();
  skew = Number.isFinite(off) && Math.abs(off) > 5_000 ? off : 0;
}

/** Ask once who is signed in; null = nobody. Throws ApiError where no answer comes. */
export async function loadSession(): Promise<Session | null> {
  if (session !== undefined) return session;
  try {
    const response = await consoleResponse("/session");
    taken(response);
    session = (await read(response)) as Session;
  } catch (failure) {
    if (!(failure instanceof ApiError) || failure.status !== 401) throw failure;
    session = null;
  }
  changed();
  return session;
}

/** Sign in. Throws ApiError. */
export async function login(body: Login): Promise<Session> {
  const response = await consoleResponse("/login", { body });
  taken(response);
  session = (await read(response)) as Session;
  held = undefined;
  changed();
  return session;
}

/** Sign out: the session and its credential end at the hub, too. */
export async function logout(): Promise<void> {
  try {
    await console_("/logout", { method: "POST" });
  } finally {
    ended();
  }
}

/** Sign out of all sessions that this user has. Throws ApiError, and then nothing has ended here. */
export async function logoutEverywhere(): Promise<void> {
  await console_("/logout", { body: { Everywhere: true } });
  ended();
}

/** The session is over: whoever listens leads to the sign-in page. */
function ended(): void {
  before = session ?? undefined;
  session = null;
  held = undefined;
  changed();
}

/** A credential that is good for another minute at least; `stale` is one that was refused. */
export function credential(stale?: SessionCredential): Promise<SessionCredential> {
  const good = held && held !== stale && held.expires - serverNow() > RENEW_BEFORE;
  if (held && good) return Promise.resolve(held);
  fetching ??= mint().finally(() => (fetching = undefined));
  return fetching;
}

async function mint(): Promise<SessionCredential> {
  const response = await consoleResponse("/credential", { method: "POST" });
  taken(response);
  const made = (await read(response)) as Record<string, string>;
  held = {
    id: made["AccessKeyId"] ?? "",
    secret: made["AccessKeySecret"] ?? "",
    token: made["SecurityToken"] ?? "",
    expires: Date.parse(made["Expires"] ?? ""),
    zstack: made["ZStackSession"] ?? "",
  };
  changed();
  return held;
}
