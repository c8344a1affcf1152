import { expect, it } from "vitest";
import { told } from "./health";

it("says nothing while all is well", () => {
  expect(told({ role: "active" })).toEqual([]);
  expect(told({ role: "active", cluster: { facts_age_seconds: 0, problem: "" } })).toEqual([]);
  expect(told({ role: "active", cluster: { facts_age_seconds: 60, problem: "away" } })).toEqual([]);
  expect(told({ role: "waiting", cluster: { facts_age_seconds: null, problem: "" } })).toEqual([]);
});

it("tells of facts that are old, also where nobody says why", () => {
  expect(told({ role: "active", cluster: { facts_age_seconds: 60.1, problem: "away" } })).toEqual([
    { kind: "old", problem: "away", seconds: 60.1 },
  ]);
  expect(told({ role: "active", cluster: { facts_age_seconds: 90, problem: "" } })).toEqual([
    { kind: "old", problem: "", seconds: 90 },
  ]);
});

it("tells of a cluster that was never seen, and of a hub that stands by", () => {
  expect(told({ role: "waiting", cluster: { facts_age_seconds: null, problem: "away" } })).toEqual([
    { kind: "unseen", problem: "away" },
  ]);
  expect(told({ role: "standby", cluster: { facts_age_seconds: 61, problem: "away" } }).map(({ kind }) => kind)).toEqual([
    "old",
    "standby",
  ]);
});
