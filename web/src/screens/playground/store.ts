/** The talk of this browser tab: it stays while somebody looks at other screens, and ends with the page. */

import { useSyncExternalStore } from "react";
import { ApiError, cancelled } from "@/api/error";
import { consoleResponse, subscribe as onSession, currentSession } from "@/api/session";
import { events } from "@/api/stream";
import { type Answer, folded, going, heard, type Parameters, requestOf, type Side, type Turn, USUAL } from "./talk";

export interface Talk {
  turns: readonly Turn[];
  parameters: Parameters;
}

const EMPTY: Talk = { turns: [], parameters: USUAL };
/** Milliseconds between two looks of the page at what has come: more often is not read. */
const BEAT = 40;

let talk = EMPTY;
let number = 0;
let timer: ReturnType<typeof setTimeout> | undefined;
const running = new Map<string, AbortController>();
const listeners = new Set<() => void>();

function tell(): void {
  clearTimeout(timer);
  timer = undefined;
  for (const listener of listeners) listener();
}

function put(next: Talk, soon = false): void {
  talk = next;
  if (!soon) tell();
  else timer ??= setTimeout(tell, BEAT);
}

let shown = talk;
const snapshot = () => (timer === undefined ? (shown = talk) : shown);

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export const useTalk = (): Talk => useSyncExternalStore(subscribe, snapshot);

// What one person asked is not the next one's to read.
onSession(() => {
  if (currentSession() === null) clear();
});

export const setParameters = (part: Partial<Parameters>): void =>
  put({ ...talk, parameters: { ...talk.parameters, ...part } });

/** Begin anew; the parameters stay. */
export function clear(): void {
  stop();
  put({ ...talk, turns: [] });
}

/** End what is being answered; what came until now stays. */
export function stop(): void {
  for (const each of running.values()) each.abort();
}

/** Ask the services of the sides. */
export function ask(question: string, sides: readonly { side: Side; service: string }[]): void {
  const before = talk.turns;
  const id = (number += 1);
  const began = performance.now();
  const answers = Object.fromEntries(
    sides.map(({ side, service }) => [side, { service, state: "waiting", text: "", thinking: "", began } satisfies Answer]),
  );
  put({ ...talk, turns: [...before, { id, question, answers }] });
  for (const { side, service } of sides) {
    const body = requestOf(service, heard(before, side), question, talk.parameters);
    void answered(id, side, service, body);
  }
}

/** Ask the last question again, of the same sides or of others. */
export function again(sides: readonly { side: Side; service: string }[]): void {
  const last = talk.turns.at(-1);
  if (!last) return;
  talk = { ...talk, turns: talk.turns.slice(0, -1) };
  ask(last.question, sides);
}

function change(id: number, side: Side, next: (answer: Answer) => Answer, soon = false): void {
  const turns = talk.turns.map((turn) => {
    const answer = turn.answers[side];
    return turn.id === id && answer ? { ...turn, answers: { ...turn.answers, [side]: next(answer) } } : turn;
  });
  put({ ...talk, turns }, soon);
}

async function answered(id: number, side: Side, service: string, body: unknown): Promise<void> {
  const key = `${id}/${side}`;
  const own = new AbortController();
  running.set(key, own);
  const end = (part: Partial<Answer>) => change(id, side, (answer) => ({ ...answer, ended: performance.now(), ...part }));
  try {
    await stream(service, body, own.signal, (data) => change(id, side, (answer) => folded(answer, data, performance.now()), true));
    end({ state: "done" });
  } catch (error) {
    if (cancelled(error) || own.signal.aborted) end({ state: "stopped" });
    else end({ state: "failed", error });
  } finally {
    running.delete(key);
  }
}

/** Throws ApiError; a stream without its last word was cut off on the way. */
async function stream(service: string, body: unknown, signal: AbortSignal, take: (data: string) => void): Promise<void> {
  const path = `/chat/${encodeURIComponent(service)}/v1/chat/completions`;
  const response = await consoleResponse(path, { body, signal });
  let whole = false;
  let broken: unknown;
  await events(response, (_name, data) => {
    if (data === "[DONE]") whole = true;
    try {
      if (data && !broken) take(data);
    } catch (error) {
      broken = error;
    }
  });
  if (broken) throw broken;
  if (!whole) throw new ApiError({ status: 502, code: "CutOff", message: "The answer was cut off before its end." });
}

export const busy = (turns: readonly Turn[]): boolean =>
  turns.some(({ answers }) => going(answers.a) || going(answers.b));

/** The talk as a document that can be kept: nothing secret is in it. */
export function exported({ turns, parameters }: Talk): string {
  const told = turns.map(({ question, answers }) => ({
    question,
    answers: Object.values(answers).map(({ service, state, text, thinking, usage, finish, error }) => ({
      service,
      state,
      text,
      ...(thinking ? { thinking } : {}),
      usage,
      finish,
      ...(error instanceof Error ? { error: error.message } : {}),
    })),
  }));
  return `${JSON.stringify({ parameters, turns: told }, null, 2)}\n`;
}
