/** Two texts side by side. Pure. */

export interface Pair {
  kind: "same" | "gone" | "new" | "changed";
  left?: string;
  right?: string;
}

/** Lines of a document, keys in order: two of the same meaning give the same lines. */
export function linesOf(document: string): string[] {
  try {
    return JSON.stringify(sorted(JSON.parse(document)), null, 2).split("\n");
  } catch {
    return document.split("\n");
  }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!value || typeof value !== "object") return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(entries.map(([key, inner]) => [key, sorted(inner)]));
}

/** The lines of both, the longest common sequence beside itself; a run that went and one that came are beside each other. */
export function compared(left: readonly string[], right: readonly string[]): Pair[] {
  let from = 0;
  while (from < left.length && from < right.length && left[from] === right[from]) from += 1;
  let end = 0;
  while (end < left.length - from && end < right.length - from && left[left.length - 1 - end] === right[right.length - 1 - end]) end += 1;
  const same = (line: string): Pair => ({ kind: "same", left: line, right: line });
  const middle = between(left.slice(from, left.length - end), right.slice(from, right.length - end));
  return [...left.slice(0, from).map(same), ...middle, ...left.slice(left.length - end).map(same)];
}

function between(left: readonly string[], right: readonly string[]): Pair[] {
  const longest = table(left, right);
  const pairs: Pair[] = [];
  let [gone, came]: [string[], string[]] = [[], []];
  const flush = () => {
    for (let at = 0; at < Math.max(gone.length, came.length); at += 1) pairs.push(beside(gone[at], came[at]));
    [gone, came] = [[], []];
  };
  for (let [a, b] = [0, 0]; a < left.length || b < right.length; ) {
    if (a < left.length && b < right.length && left[a] === right[b]) {
      flush();
      pairs.push({ kind: "same", left: left[a]!, right: right[b]! });
      a += 1;
      b += 1;
    } else if (b >= right.length || (a < left.length && longest[a + 1]![b]! >= longest[a]![b + 1]!)) {
      gone.push(left[a]!);
      a += 1;
    } else {
      came.push(right[b]!);
      b += 1;
    }
  }
  flush();
  return pairs;
}

function beside(left: string | undefined, right: string | undefined): Pair {
  if (left === undefined) return { kind: "new", right: right! };
  return right === undefined ? { kind: "gone", left } : { kind: "changed", left, right };
}

/** Lengths of the longest common sequence from each place on. */
function table(left: readonly string[], right: readonly string[]): number[][] {
  const rows = Array.from({ length: left.length + 1 }, () => new Array<number>(right.length + 1).fill(0));
  for (let a = left.length - 1; a >= 0; a -= 1) {
    for (let b = right.length - 1; b >= 0; b -= 1) {
      rows[a]![b] = left[a] === right[b] ? rows[a + 1]![b + 1]! + 1 : Math.max(rows[a + 1]![b]!, rows[a]![b + 1]!);
    }
  }
  return rows;
}
