import { expect, it } from "vitest";
import { applied, events } from "./stream";
import type { ServiceRow } from "./types";

const row = (ServiceName: string, CreateTime: string, Status = "Running") =>
  ({ ServiceName, CreateTime, Status }) as ServiceRow;

it("reads events however the bytes are cut", async () => {
  const bytes = new TextEncoder().encode(': beat\n\nevent: services\ndata: {"a":"中"}\n\nevent: ending\n\n');
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const byte of bytes) controller.enqueue(Uint8Array.of(byte));
      controller.close();
    },
  });
  const seen: [string, string][] = [];
  let beats = 0;
  await events(new Response(body), (name, data) => seen.push([name, data]), () => (beats += 1));
  expect(seen).toEqual([["services", '{"a":"中"}'], ["ending", ""]]);
  expect(beats).toBe(bytes.length);
});

it("keeps what did not change", () => {
  const [old, gone] = [row("a", "2026-01-01"), row("b", "2026-01-02")];
  const next = row("c", "2026-01-03");
  const rows = applied([old, gone], { Revision: 2, All: false, Rows: [next], Gone: ["b"] });
  expect(rows).toEqual([next, old]);
  expect(rows[1]).toBe(old);
  expect(applied(rows, { Revision: 3, All: true, Rows: [gone], Gone: [] })).toEqual([gone]);
});
