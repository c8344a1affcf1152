/** ACS3-HMAC-SHA256, in the browser. Pure but for the hash functions, which may be the browser's. */

export interface Credential {
  id: string;
  secret: string;
  /** The security token of a session credential. */
  token?: string;
}

export interface Unsigned {
  method: string;
  /** Percent-encoded. */
  path: string;
  /** Not encoded. */
  query: readonly (readonly [string, string])[];
  /** Only `host`, `content-type` and `x-acs-*` are signed. */
  headers: Readonly<Record<string, string>>;
  body: Uint8Array;
}

/** What was signed, step by step. Holds no secret. */
export interface Trace {
  canonicalRequest: string;
  stringToSign: string;
  authorization: string;
}

export interface Signed {
  headers: Record<string, string>;
  trace: Trace;
}

const ALGORITHM = "ACS3-HMAC-SHA256";
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** UTF-8; halves of a surrogate pair become U+FFFD. */
export const bytes = (text: string): Uint8Array => encoder.encode(text);

const hex = (data: Uint8Array): string =>
  Array.from(data, (each) => each.toString(16).padStart(2, "0")).join("");

/** RFC 3986: letters, digits and `-_.~` stay, everything else is `%XX`. */
export function encode(text: string): string {
  const whole = decoder.decode(encoder.encode(text));
  return encodeURIComponent(whole).replace(
    /[!'()*]/g,
    (each) => `%${each.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** A path as it goes on the wire: each segment decoded, then encoded. */
export function encodePath(path: string): string {
  return path.split("/").map((segment) => encode(decoded(segment))).join("/");
}

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // a lone `%` stands for itself
  }
}

/** A query string, in the order given. */
export function encodeQuery(query: Unsigned["query"]): string {
  return query.map(([name, value]) => `${encode(name)}=${encode(value)}`).join("&");
}

function byBytes(left: string, right: string): number {
  const [a, b] = [bytes(left), bytes(right)];
  for (let i = 0; i < Math.min(a.length, b.length); i += 1) {
    const difference = a[i]! - b[i]!;
    if (difference) return difference;
  }
  return a.length - b.length;
}

/** The five parts that both sides have to agree on, one below the other. */
export function canonical(request: Unsigned, bodyHash: string): { text: string; names: string } {
  const headers = Object.entries(request.headers)
    .map(([name, value]) => [name.toLowerCase(), value.trim()] as const)
    .filter(([name]) => name.startsWith("x-acs-") || name === "host" || name === "content-type")
    .sort(([a], [b]) => byBytes(a, b));
  const names = headers.map(([name]) => name).join(";");
  const query = [...request.query].sort((a, b) => byBytes(a[0], b[0]) || byBytes(a[1], b[1]));
  const text = [
    request.method,
    request.path || "/",
    encodeQuery(query),
    headers.map(([name, value]) => `${name}:${value}\n`).join(""),
    names,
    bodyHash,
  ].join("\n");
  return { text, names };
}

interface Hashes {
  sha256(data: Uint8Array): Promise<Uint8Array>;
  hmac(key: Uint8Array, data: Uint8Array): Promise<Uint8Array>;
}

/** The browser's own functions; a page over plain http from another host has none. */
export function ownHashes(subtle: SubtleCrypto): Hashes {
  return {
    sha256: async (data) => new Uint8Array(await subtle.digest("SHA-256", data as BufferSource)),
    hmac: async (key, data) => {
      const how = { name: "HMAC", hash: "SHA-256" };
      const imported = await subtle.importKey("raw", key as BufferSource, how, false, ["sign"]);
      return new Uint8Array(await subtle.sign("HMAC", imported, data as BufferSource));
    },
  };
}

/** Written in JavaScript, loaded only where the browser has none. */
export async function writtenHashes(): Promise<Hashes> {
  const [{ sha256 }, { hmac }] = await Promise.all([
    import("@noble/hashes/sha2.js"),
    import("@noble/hashes/hmac.js"),
  ]);
  return {
    sha256: (data) => Promise.resolve(sha256(data)),
    hmac: (key, data) => Promise.resolve(hmac(sha256, key, data)),
  };
}

let known: Promise<Hashes> | undefined;

function hashes(): Promise<Hashes> {
  const subtle: SubtleCrypto | undefined = globalThis.crypto.subtle;
  known ??= subtle ? Promise.resolve(ownHashes(subtle)) : writtenHashes();
  return known;
}

/** 32 hexadecimal digits. */
export const nonce = (): string => hex(crypto.getRandomValues(new Uint8Array(16)));

/** A time as the header has it: `2023-10-26T10:22:32Z`. */
export const stamp = (at: Date): string => at.toISOString().replace(/\.\d{3}Z$/, "Z");

/** Sign a request. `headers` of the answer are the given ones and those that were added. */
export async function sign(
  request: Unsigned,
  key: Credential,
  moment: { date: string; nonce: string },
  using?: Hashes,
): Promise<Signed> {
  const { sha256, hmac } = using ?? (await hashes());
  const bodyHash = hex(await sha256(request.body));
  const headers: Record<string, string> = {
    ...request.headers,
    "x-acs-date": moment.date,
    "x-acs-signature-nonce": moment.nonce,
    "x-acs-content-sha256": bodyHash,
  };
  if (key.token) {
    headers["x-acs-accesskey-id"] = key.id;
    headers["x-acs-security-token"] = key.token;
  }
  const { text, names } = canonical({ ...request, headers }, bodyHash);
  const stringToSign = `${ALGORITHM}\n${hex(await sha256(bytes(text)))}`;
  const signature = hex(await hmac(bytes(key.secret), bytes(stringToSign)));
  const authorization = `${ALGORITHM} Credential=${key.id},SignedHeaders=${names},Signature=${signature}`;
  headers["authorization"] = authorization;
  return { headers, trace: { canonicalRequest: text, stringToSign, authorization } };
}
