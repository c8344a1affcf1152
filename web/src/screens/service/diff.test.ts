import { expect, it } from "vitest";
import { compared, linesOf } from "./diff";

const kinds = (left: string[], right: string[]) => compared(left, right).map(({ kind }) => kind);

it("tells nothing of what is the same, whatever the order of its keys", () => {
  expect(kinds(linesOf('{"a":1,"b":[2]}'), linesOf('{"b":[2],"a":1}'))).toEqual(Array(6).fill("same"));
});
it("puts a changed line beside what it became", () => {
  expect(compared(["a", "b", "c"], ["a", "x", "c"])[1]).toEqual({ kind: "changed", left: "b", right: "x" });
});
it("tells lines that went and lines that came", () => {
  expect(kinds(["a", "b", "c"], ["a", "c"])).toEqual(["same", "gone", "same"]);
  expect(kinds(["a", "c"], ["a", "b", "c", "d"])).toEqual(["same", "new", "same", "new"]);
});
it("keeps both texts whole", () => {
  const [left, right] = ["qwertyuiop".split(""), "qatyxiopz".split("")];
  const pairs = compared(left, right);
  expect(pairs.flatMap((pair) => pair.left ?? [])).toEqual(left);
  expect(pairs.flatMap((pair) => pair.right ?? [])).toEqual(right);
});
