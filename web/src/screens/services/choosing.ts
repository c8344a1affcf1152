/** Which rows the filters of the URL leave. Pure. */

import type { ServiceRow } from "@/api/types";
import type { Search } from "@/app/router";

/** In the URL: services that belong to no workspace. */
export const NO_WORKSPACE = "-";

export function shown(rows: readonly ServiceRow[], search: Search): ServiceRow[] {
  const words = (search["q"] ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const space = search["workspace"];
  return rows.filter((row) => {
    if (search["status"] && row.Status !== search["status"]) return false;
    if (space && row.Workspace !== (space === NO_WORKSPACE ? "" : space)) return false;
    const text = textOf(row);
    return words.every((word) => text.includes(word));
  });
}

/** What the text of the filter is looked for in: names, model, labels as key=value. */
function textOf(row: ServiceRow): string {
  const labels = Object.entries(row.Labels).map(([key, value]) => `${key}=${value}`);
  return [row.ServiceName, row.ServiceId, row.Spec, row.Model, row.Status, row.Reason, ...labels].join("\n").toLowerCase();
}

export const workspaces = (rows: readonly ServiceRow[]): string[] => [...new Set(rows.map((row) => row.Workspace))].sort();

/** Services that run and that do not, and replicas over all. */
export function counted(rows: readonly ServiceRow[]) {
  const running = rows.filter((row) => row.Status === "Running").length;
  const sum = (of: (row: ServiceRow) => number) => rows.reduce((total, row) => total + of(row), 0);
  return { running, other: rows.length - running, ready: sum((row) => row.Ready), wanted: sum((row) => row.Wanted) };
}
