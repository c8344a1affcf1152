import { expect, it } from "vitest";
import { followed, pageBefore, preceded, SIZE } from "./tail";

const lines = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => `line ${from + at}`);
const newest = (total: number) => ({ Logs: lines(Math.max(0, total - SIZE), total), TotalCount: total });

it("adds only what is new", () => {
  const held = followed(followed(undefined, newest(1_500)), newest(1_503));
  expect(held.start).toBe(500);
  expect(held.lines).toEqual(lines(500, 1_503));
});
it("stays the same while nothing is written", () => {
  const held = followed(undefined, newest(10));
  expect(followed(held, newest(10))).toBe(held);
});
it("begins anew after a gap, and with another log", () => {
  const held = followed(undefined, newest(1_500));
  expect(followed(held, newest(4_000)).start).toBe(3_000);
  expect(followed(held, newest(3)).lines).toEqual(lines(0, 3));
});
it("fetches what came before, though lines were added meanwhile", () => {
  let held = followed(undefined, newest(2_345));
  const total = 2_350;
  while (held.start > 0) {
    const number = pageBefore({ ...held, total });
    const end = total - (number - 1) * SIZE;
    held = preceded(held, { Logs: lines(Math.max(0, end - SIZE), end), TotalCount: total }, number);
  }
  expect(held.lines).toEqual(lines(0, 2_345));
});
