import { describe, expect, it } from "vitest";
import { firstDifference, open, plan } from "./plan";
import type { Operation, Parameter } from "./types";
import { linked, meant, objectOf, problem, resourceOf, shownAs, stripped, unlinked } from "./values";

const parameter = (Name: string, more: Partial<Parameter> = {}) =>
  ({ Name, Type: "string", Place: "body", Required: false, Values: [], Open: false, Minimum: null, Maximum: null, Longest: 0, Serialization: "", ...more }) as Parameter;

const operation = (more: Partial<Operation>) =>
  ({ Id: "Op", Style: "roa", Method: "POST", Path: "/", Wrapper: "", Document: false, Parameters: [], ...more }) as Operation;

describe("a request", () => {
  it("has each value in its place", () => {
    const update = operation({
      Method: "PUT",
      Path: "/api/v2/services/{ClusterId}/{ServiceName}",
      Document: true,
      Parameters: [
        parameter("ClusterId", { Place: "path" }),
        parameter("ServiceName", { Place: "path" }),
        parameter("UpdateType", { Place: "query" }),
        parameter("Keys", { Place: "query", Type: "array", Serialization: "comma" }),
        parameter("Labels", { Place: "query", Type: "map", Serialization: "json" }),
      ],
    });
    const values = { ClusterId: "local", ServiceName: "a/中", UpdateType: "merge", Keys: ["a", "b"], Labels: { x: "y" }, metadata: { instance: 2 } };
    expect(plan(update, values)).toEqual({
      method: "PUT",
      path: "/api/v2/services/local/a%2F%E4%B8%AD",
      query: [["UpdateType", "merge"], ["Keys", "a,b"], ["Labels", '{"x":"y"}']],
      body: { metadata: { instance: 2 } },
    });
    expect(open(update, { ClusterId: "local", ServiceName: "" })).toEqual(["ServiceName"]);
  });
  it("numbers lists in RPC style, and has no body", () => {
    const tag = operation({ Style: "rpc", Parameters: [parameter("Tag", { Place: "query", Type: "array" })] });
    const { query, body } = plan(tag, { Tag: [{ Key: "a" }, { Key: "b" }] });
    expect(query).toEqual([["Tag.1.Key", "a"], ["Tag.2.Key", "b"]]);
    expect(body).toBeUndefined();
  });
  it("wraps a ZStack body, tags beside it, unless it shall be flat", () => {
    const add = operation({ Style: "zstack", Wrapper: "param", Parameters: [parameter("name"), parameter("systemTags", { Type: "array" })] });
    const values = { name: "chat", systemTags: ["a"] };
    expect(plan(add, values).body).toEqual({ param: { name: "chat" }, systemTags: ["a"] });
    expect(plan(add, values, true).body).toEqual(values);
    expect(plan(operation({ Style: "zstack", Method: "PUT", Wrapper: "getVersion" }), {}).body).toEqual({ getVersion: {} });
    const find = operation({ Style: "zstack", Method: "GET", Parameters: [parameter("q", { Place: "query", Type: "array" })] });
    expect(plan(find, { q: ["a=1", "b=2"] }).query).toEqual([["q", "a=1"], ["q", "b=2"]]);
  });
});

describe("a link", () => {
  it("never holds a secret, however deep", () => {
    const values = {
      UserName: "alice",
      Password: "p",
      max_tokens: 5,
      config: '{"token":"t","name":"n"}',
      image: "https://me:pw@host/x",
      envs: [{ name: "HF_TOKEN", value: "hf" }, { name: "MODE", value: "fast" }],
    };
    expect(stripped(values)).toEqual({
      UserName: "alice",
      max_tokens: 5,
      config: '{"name":"n"}',
      image: "https://host/x",
      envs: [{ name: "HF_TOKEN" }, { name: "MODE", value: "fast" }],
    });
  });
  it("gives back what it holds, or nothing", () => {
    expect(unlinked(linked({ a: ["中", 1] }))).toEqual({ a: ["中", 1] });
    expect([unlinked("["), unlinked("[]"), unlinked(""), linked({})]).toEqual([undefined, undefined, undefined, ""]);
    expect(linked({ a: "x".repeat(7_000) })).toBeUndefined();
  });
});

it("names what a call is about", () => {
  const create = operation({ Id: "CreateService", Document: true });
  expect(objectOf(create, { metadata: { name: "foo" } })).toBe("name foo");
  expect(objectOf(create, {})).toBe("CreateService");
  const stop = operation({ Parameters: [parameter("ClusterId", { Place: "path" }), parameter("ServiceName", { Place: "path" })] });
  expect(objectOf(stop, { ClusterId: "local", ServiceName: "chat" })).toBe("ServiceName chat");
  expect(resourceOf({ ...stop, Authorization: { Resource: "acs:eas:{regionId}:{accountId}:service/{ServiceName}" } } as Operation, {}, "local", "1")).toBe(
    "acs:eas:local:1:service/*",
  );
});

it("foresees what the platform will say", () => {
  const size = parameter("size", { Type: "integer", Minimum: 1, Maximum: 9, Required: true });
  expect([undefined, 0, 10, 5].map((value) => problem(size, value))).toEqual(["missing", "low", "high", undefined]);
  expect(problem(parameter("a", { Values: ["x"] }), "y")).toBe("value");
});

it("reads a field for anything as it shows it", () => {
  for (const value of ["text", "5", 5, true, ["a"], { a: 1 }, null]) expect(meant(shownAs(value))).toEqual(value);
});

it("finds the first line that differs", () => {
  expect(firstDifference("a\nb\nc", "a\nx\nc")).toBe(1);
  expect(firstDifference("a", "a\nb")).toBe(1);
  expect(firstDifference("a", "a")).toBeUndefined();
});
