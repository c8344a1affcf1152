/** Server-sent events over fetch, and what they do to the rows. */

import type { LiveServices, ServiceRow } from "./types";

/** Tell each event of a response; `alive` at every byte, heartbeats too. Ends with the stream. */
export async function events(
  response: Response,
  tell: (name: string, data: string) => void,
  alive: () => void = () => {},
): Promise<void> {
  const reader = response.body!.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    alive();
    const blocks = (rest + decoder.decode(value, { stream: true })).split(/\r?\n\r?\n/);
    rest = blocks.pop() ?? "";
    for (const block of blocks) one(block, tell);
  }
}

function one(block: string, tell: (name: string, data: string) => void): void {
  let name = "message";
  const data: string[] = [];
  for (const line of block.split(/\r?\n/)) {
    const [, field, value = ""] = /^([^:]+)(?:: ?(.*))?$/.exec(line) ?? [];
    if (field === "event") name = value;
    if (field === "data") data.push(value);
  }
  if (data.length || name !== "message") tell(name, data.join("\n"));
}

/** The rows after a change, newest first; unchanged rows stay the same objects. */
export function applied(old: readonly ServiceRow[], told: LiveServices): ServiceRow[] {
  const rows = new Map(told.All ? [] : old.map((row) => [row.ServiceName, row]));
  for (const name of told.Gone) rows.delete(name);
  for (const row of told.Rows) rows.set(row.ServiceName, row);
  return [...rows.values()].sort(
    (a, b) => b.CreateTime.localeCompare(a.CreateTime) || a.ServiceName.localeCompare(b.ServiceName),
  );
}
