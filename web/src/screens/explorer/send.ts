/** A planned request, sent in the way of its API. */

import { roaExchange, rpcExchange, zstackExchange, type Exchange } from "@/api/call";
import { refusal } from "@/api/error";
import { currentSession, send as fetched, wireLanguage } from "@/api/session";
import type { Plan } from "./plan";
import type { Operation } from "./types";

export interface How {
  mock: boolean;
  signal: AbortSignal;
  /** Of a ZStack login of one's own. */
  login?: string | undefined;
  /** Told with all that has come so far, where the answer comes bit by bit. */
  progress: (text: string) => void;
}

/** Send it; a refusal is told in what comes back. Throws ApiError where no answer came, AbortError where it was stopped. */
export function send(operation: Operation, { method, path, query, body }: Plan, how: How): Promise<Exchange> {
  const { mock, signal, login } = how;
  switch (operation.Style) {
    case "roa":
      return roaExchange(method, path, { query, body, mock, signal });
    case "rpc":
      return rpcExchange(operation.Id, Object.fromEntries(query), { version: operation.Version, mock, signal });
    case "zstack":
      return zstackExchange(method, path, { query, body, mock, signal, ...(login === undefined ? {} : { login }) });
    case "openai":
      return relayed(method, path, body, how);
  }
}

/** The data plane is another origin: the console passes the call on, with the service's own token. */
async function relayed(method: string, path: string, body: Plan["body"], how: How): Promise<Exchange> {
  const url = path.replace(/^\/api\/predict\//, "/console/api/chat/");
  const content = method === "GET" ? "" : JSON.stringify(body ?? {});
  const started = performance.now();
  const response = await fetched(url, {
    method,
    headers: {
      accept: "application/json, text/event-stream",
      "accept-language": wireLanguage(),
      "x-pierhead-console": "1",
      "x-pierhead-csrf": currentSession()?.Csrf ?? "",
      ...(content ? { "content-type": "application/json" } : {}),
    },
    body: content || null,
    credentials: "same-origin",
    signal: how.signal,
  });
  const text = await whole(response, how.progress);
  const answer = decoded(text);
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: answer,
    text,
    requestId: response.headers.get("x-request-id") ?? response.headers.get("x-acs-request-id") ?? "",
    took: performance.now() - started,
    sent: { method, url: path, body: content },
    ...(response.ok ? {} : { error: refusal(response, answer) }),
  };
}

async function whole(response: Response, progress: (text: string) => void): Promise<string> {
  if (!response.body) return "";
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return text + decoder.decode();
    text += decoder.decode(value, { stream: true });
    progress(text);
  }
}

function decoded(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
