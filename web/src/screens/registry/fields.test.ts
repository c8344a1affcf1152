import { expect, it } from "vitest";
import { body, pairsOf, shown } from "./fields";
import { lineOf } from "./yaml-lines";

it("sends what was filled in for a new one, and only differences for another", () => {
  const fields = shown("model", false);
  expect(body(fields, { name: "a", installPath: "/x", vendor: "", modelCenterUuid: "c" })).toEqual({ name: "a", installPath: "/x", modelCenterUuid: "c" });
  const before = { name: "a", installPath: "/x", vendor: "v", description: null, modelCenterUuid: "c" };
  expect(body(shown("model", true), { ...before, name: "b", vendor: "" }, before)).toEqual({ name: "b", vendor: "" });
});

it("reads lines of K=V and names the first that is none", () => {
  expect(pairsOf("A=1\n\n B=x=y ")).toEqual({ pairs: { A: "1", B: "x=y " } });
  expect(pairsOf("A=1\nnothing")).toEqual({ pairs: { A: "1" }, bad: 2 });
});

it("finds the line that an error names", () => {
  expect(lineOf("invalid field[yaml]: line 12: did not find expected ',' or ']'.")).toBe(12);
  expect(lineOf("The name is taken.")).toBeUndefined();
});
