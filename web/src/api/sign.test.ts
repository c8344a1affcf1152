import { describe, expect, it } from "vitest";
import { bytes, canonical, encode, encodePath, ownHashes, sign, stamp, writtenHashes } from "./sign";

const published = {
  method: "POST",
  path: "/",
  query: [
    ["RegionId", "cn-shanghai"],
    ["ImageId", "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd"],
  ] as [string, string][],
  headers: {
    host: "ecs.cn-shanghai.aliyuncs.com",
    "x-acs-action": "RunInstances",
    "x-acs-version": "2014-05-26",
  },
  body: new Uint8Array(),
};
const key = { id: "YourAccessKeyId", secret: "YourAccessKeySecret" };
const moment = { date: "2023-10-26T10:22:32Z", nonce: "3156853299f313e23d1673dc12e1703d" };
const signature = "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0";

describe("the published example", () => {
  it("is met with the browser's functions", async () => {
    const signed = await sign(published, key, moment, ownHashes(crypto.subtle));
    expect(signed.headers["authorization"]).toMatch(new RegExp(`Signature=${signature}$`));
  });
  it("is met with the written ones, for pages that have no secure context", async () => {
    const signed = await sign(published, key, moment, await writtenHashes());
    expect(signed.trace.authorization).toBe(
      "ACS3-HMAC-SHA256 Credential=YourAccessKeyId,SignedHeaders=host;x-acs-action;" +
        "x-acs-content-sha256;x-acs-date;x-acs-signature-nonce;x-acs-version," +
        `Signature=${signature}`,
    );
  });
});

describe("encoding", () => {
  it("keeps only what RFC 3986 keeps", () => {
    expect(encode("a b*c~/中!'()")).toBe("a%20b%2Ac~%2F%E4%B8%AD%21%27%28%29");
  });
  it("does not fail for half a character", () => {
    expect(encode("\ud800")).toBe("%EF%BF%BD");
  });
  it("encodes a path once, however it comes", () => {
    expect(encodePath("/api/v2/a b%2Fc/%")).toBe("/api/v2/a%20b%2Fc/%25");
  });
  it("sorts by name, then by value, as bytes", () => {
    const query: [string, string][] = [["b", "2"], ["b", "1"], ["aé", "1"], ["a~", "1"]];
    const { text } = canonical({ ...published, query }, "");
    expect(text.split("\n")[2]).toBe("a~=1&a%C3%A9=1&b=1&b=2");
  });
});

it("signs the session token, and trims values", async () => {
  const request = { ...published, headers: { host: " h ", "Content-Type": "text/plain", other: "x" } };
  const { headers, trace } = await sign({ ...request, body: bytes("x") }, { ...key, token: "T" }, moment);
  expect(headers["x-acs-security-token"]).toBe("T");
  expect(trace.canonicalRequest).toContain("content-type:text/plain\nhost:h\nx-acs-accesskey-id:");
  expect(trace.canonicalRequest).not.toContain("other");
});

it("tells the second, not the millisecond", () => {
  expect(stamp(new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678)))).toBe("2026-01-02T03:04:05Z");
});
