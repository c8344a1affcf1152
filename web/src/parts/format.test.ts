import { expect, it } from "vitest";
import { ago, milliseconds, moment, size, span } from "./format";

it("tells sizes", () => {
  expect([0, 1023, 1536, 15.2 * 2 ** 30].map((each) => size(each, "en"))).toEqual(["0 B", "1,023 B", "1.5 KiB", "15.2 GiB"]);
});
it("tells spans", () => {
  expect([0, 0.0012, 0.085, 1.24, 185, 7800, 86_400].map((each) => span(each, "en"))).toEqual([
    "0 ms", "1.2 ms", "85 ms", "1.2 s", "3 min 5 s", "2 h 10 min", "1 d",
  ]);
});
it("tells midnight as 00, in each language", () => {
  for (const language of ["en", "zh-CN", "zh-TW"]) {
    expect(moment(Date.UTC(2026, 0, 2, 0, 10), language, "utc")).toContain("00:10:00");
  }
});
it("takes seconds, milliseconds and texts", () => {
  expect(milliseconds(1_700_000_000)).toBe(1_700_000_000_000);
  expect(milliseconds("2026-01-02T03:04:05Z")).toBe(milliseconds(Date.UTC(2026, 0, 2, 3, 4, 5)));
});
it("tells how long ago", () => {
  expect(ago(0, 90_000, "en")).toBe("1 minute ago");
  expect(ago(0, 2 * 86_400_000, "zh-CN")).toBe("前天");
});
