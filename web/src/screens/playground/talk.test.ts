import { describe, expect, it } from "vitest";
import { type Answer, cosine, folded, heard, measured, pieces, requestOf, type Turn, USUAL } from "./talk";

const fresh: Answer = { service: "chat", state: "waiting", text: "", thinking: "", began: 1_000 };
const delta = (content: string) => JSON.stringify({ choices: [{ delta: { content } }] });

describe("the stream", () => {
  it("is folded into one answer with its times", () => {
    let answer = folded(fresh, JSON.stringify({ choices: [{ delta: { role: "assistant", content: null } }] }), 1_100);
    expect(answer.first).toBeUndefined();
    answer = folded(answer, delta("Hel"), 1_250);
    answer = folded(answer, delta("lo"), 1_500);
    answer = folded(answer, JSON.stringify({ choices: [{ delta: {}, finish_reason: "stop" }] }), 1_600);
    answer = folded(answer, JSON.stringify({ choices: [], usage: { completion_tokens: 3 } }), 1_600);
    answer = folded(answer, "[DONE]", 1_700);
    expect(answer).toMatchObject({ text: "Hello", state: "streaming", first: 1_250, finish: "stop" });
    expect(measured({ ...answer, ended: 2_250 })).toEqual({ ttft: 0.25, took: 1.25, rate: 2 });
  });

  it("tells the service's own words when it breaks off", () => {
    const broken = JSON.stringify({ error: { message: "The replica broke off.", code: "bad_upstream" } });
    expect(() => folded(fresh, broken, 0)).toThrow("The replica broke off.");
  });
});

describe("the request", () => {
  it("leaves out what is left to the service", () => {
    const body = requestOf("chat", [], "Hi", { ...USUAL, maxTokens: null });
    expect(body).toEqual({
      model: "chat",
      messages: [{ role: "user", content: "Hi" }],
      stream: true,
      stream_options: { include_usage: true },
    });
  });

  it("keeps a zero, and tells the system prompt first", () => {
    const body = requestOf("chat", [], "Hi", { ...USUAL, temperature: 0, system: "Be brief.", stop: ["#"] });
    expect(body).toMatchObject({ temperature: 0, stop: ["#"], messages: [{ role: "system" }, { role: "user" }] });
  });

  it("tells a side only what it answered itself", () => {
    const turns: Turn[] = [
      { id: 1, question: "One?", answers: { a: { ...fresh, text: "1" } } },
      { id: 2, question: "Two?", answers: { a: { ...fresh, state: "failed" }, b: { ...fresh, text: "2" } } },
    ];
    expect(heard(turns, "a").map(({ content }) => content)).toEqual(["One?", "1"]);
    expect(heard(turns, "b").map(({ content }) => content)).toEqual(["Two?", "2"]);
  });
});

it("parts prose from code, also while a fence is open", () => {
  expect(pieces("So:\n```py\nx = 1\n```\nDone")).toEqual([
    { code: false, language: "", text: "So:" },
    { code: true, language: "py", text: "x = 1" },
    { code: false, language: "", text: "Done" },
  ]);
  expect(pieces("```\nhalf")).toEqual([{ code: true, language: "", text: "half" }]);
});

it("compares vectors by their angle", () => {
  expect(cosine([1, 0], [3, 0])).toBe(1);
  expect(cosine([1, 0], [0, 2])).toBe(0);
  expect(cosine([], [])).toBe(0);
});
