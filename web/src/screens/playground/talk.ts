/** A talk with one or two services, in words of data. Pure. */

import { ApiError } from "@/api/error";

export type Side = "a" | "b";
export const SIDES: readonly Side[] = ["a", "b"];

/** null or "" = as the service has it. */
export interface Parameters {
  system: string;
  temperature: number | null;
  topP: number | null;
  maxTokens: number | null;
  seed: number | null;
  stop: readonly string[];
}

export const USUAL: Parameters = { system: "", temperature: null, topP: null, maxTokens: 512, seed: null, stop: [] };

export interface Usage {
  prompt_tokens?: number;
  completion_tokens?: number;
  total_tokens?: number;
}

/** Times in milliseconds of the page's clock. */
export interface Answer {
  service: string;
  state: "waiting" | "streaming" | "done" | "stopped" | "failed";
  text: string;
  /** What the model said to itself, where it tells. */
  thinking: string;
  began: number;
  first?: number;
  ended?: number;
  usage?: Usage;
  finish?: string;
  error?: unknown;
}

export interface Turn {
  id: number;
  question: string;
  answers: Partial<Record<Side, Answer>>;
}

export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

export const going = (answer: Answer | undefined): boolean => answer?.state === "waiting" || answer?.state === "streaming";

/** What a side has heard and said before; questions that it was not asked are not told to it. */
export function heard(turns: readonly Turn[], side: Side): Message[] {
  return turns.flatMap(({ question, answers }): Message[] => {
    const text = answers[side]?.text;
    return text ? [{ role: "user", content: question }, { role: "assistant", content: text }] : [];
  });
}

/** The request for the next answer. */
export function requestOf(service: string, before: readonly Message[], question: string, given: Parameters): Record<string, unknown> {
  const system: Message[] = given.system.trim() ? [{ role: "system", content: given.system }] : [];
  const optional = {
    temperature: given.temperature,
    top_p: given.topP,
    max_tokens: given.maxTokens,
    seed: given.seed,
    stop: given.stop.length ? given.stop : null,
  };
  return {
    model: service,
    messages: [...system, ...before, { role: "user", content: question }],
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== null)),
    stream: true,
    stream_options: { include_usage: true },
  };
}

interface Chunk {
  choices?: { delta?: { content?: string | null; reasoning_content?: string | null }; finish_reason?: string | null }[];
  usage?: Usage | null;
  error?: { message?: string; code?: string | number; type?: string };
}

/** The answer after one event of the stream. Throws ApiError where the service breaks it off. */
export function folded(answer: Answer, data: string, now: number): Answer {
  if (data === "[DONE]") return answer;
  const chunk = JSON.parse(data) as Chunk;
  if (chunk.error) {
    const code = String(chunk.error.code ?? chunk.error.type ?? "");
    throw new ApiError({ status: 0, code: code || "BrokenOff", message: chunk.error.message ?? "" });
  }
  const [choice] = chunk.choices ?? [];
  const said = choice?.delta?.content ?? "";
  const thought = choice?.delta?.reasoning_content ?? "";
  const next: Answer = { ...answer, text: answer.text + said, thinking: answer.thinking + thought };
  if ((said || thought) && next.first === undefined) {
    next.first = now;
    next.state = "streaming";
  }
  if (chunk.usage) next.usage = chunk.usage;
  if (choice?.finish_reason) next.finish = choice.finish_reason;
  return next;
}

export interface Measured {
  /** Seconds until the first token. */
  ttft?: number | undefined;
  /** Seconds in all. */
  took?: number | undefined;
  /** Tokens per second after the first one. */
  rate?: number | undefined;
}

/** How quick it was; a rate needs two tokens and a usage. */
export function measured({ began, first, ended, usage }: Answer): Measured {
  const tokens = usage?.completion_tokens ?? 0;
  const spoke = first !== undefined && ended !== undefined ? (ended - first) / 1000 : 0;
  return {
    ttft: first === undefined ? undefined : (first - began) / 1000,
    took: ended === undefined ? undefined : (ended - began) / 1000,
    rate: tokens > 1 && spoke > 0 ? (tokens - 1) / spoke : undefined,
  };
}

export interface Piece {
  code: boolean;
  /** What the fence says after its marks. */
  language: string;
  text: string;
}

/** Prose and fenced code, in order; a fence that is still open is code already. */
export function pieces(text: string): Piece[] {
  const found: Piece[] = [];
  for (const line of text.split("\n")) {
    const fence = /^\s*(?:```|~~~)\s*(\S*)/.exec(line);
    const last = found.at(-1);
    if (fence) found.push({ code: !last?.code, language: fence[1] ?? "", text: "" });
    else if (last) last.text += (last.text ? "\n" : "") + line;
    else found.push({ code: false, language: "", text: line });
  }
  return found.filter(({ code, text: told }) => code || told.trim());
}

/** How alike two texts are, from their vectors: 1 = alike. */
export function cosine(left: readonly number[], right: readonly number[]): number {
  const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, value, index) => sum + value * (b[index] ?? 0), 0);
  const size = Math.sqrt(dot(left, left) * dot(right, right));
  return size ? dot(left, right) / size : 0;
}
