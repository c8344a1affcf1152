/** A ZStack login of one's own beside the console's. In memory only; the password leaves as its SHA-512. */

import { useSyncExternalStore } from "react";
import { zstackExchange } from "@/api/call";
import { currentSession, subscribe } from "@/api/session";
import { bytes } from "@/api/sign";

export interface Login {
  account: string;
  uuid: string;
}

let login: Login | undefined;
const listeners = new Set<() => void>();

function become(next: Login | undefined): void {
  login = next;
  for (const listener of listeners) listener();
}

subscribe(() => {
  if (currentSession() === null) become(undefined);
});

export const useLogin = (): Login | undefined =>
  useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => login,
  );

/** SHA-512, hexadecimal; a page over plain http from another host has no function of its own for it. */
export async function sha512(text: string): Promise<string> {
  const subtle: SubtleCrypto | undefined = crypto.subtle;
  const hash = subtle
    ? new Uint8Array(await subtle.digest("SHA-512", bytes(text) as BufferSource))
    : (await import("@noble/hashes/sha2.js")).sha512(bytes(text));
  return Array.from(hash, (each) => each.toString(16).padStart(2, "0")).join("");
}

/** Log in by account and password. Throws ApiError. */
export async function logIn(account: string, password: string): Promise<void> {
  const body = { logInByAccount: { accountName: account, password: await sha512(password) } };
  const found = await zstackExchange("PUT", "/zstack/v1/accounts/login", { body, login: "" });
  if (found.error) throw found.error;
  const { inventory } = found.body as { inventory: { uuid: string } };
  become({ account, uuid: inventory.uuid });
}

/** Log out, at the platform too. A login that has ended there already is no failure. */
export async function logOut(): Promise<void> {
  const ended = login;
  become(undefined);
  if (!ended) return;
  await zstackExchange("DELETE", `/zstack/v1/accounts/sessions/${ended.uuid}`, { login: ended.uuid });
}
