/** Lines of a log: as many as you like, only those in view are in the document. */

import { useVirtualizer } from "@tanstack/react-virtual";
import { memo, type ReactNode, useEffect, useMemo, useRef } from "react";

export interface LogViewProps {
  lines: readonly string[];
  label: string;
  wrap?: boolean;
  /** Marked where it occurs, whatever its case. */
  search?: string;
  /** The line (from 0) to show. */
  at?: number;
  /** Stay at the end as lines come; told when a person scrolls away from it or back. */
  follow?: boolean;
  onFollow?: (follow: boolean) => void;
  height?: number | string;
  /** Number of the first line. */
  first?: number;
}

const HEIGHT = 18;
/** Milliseconds from a key to the scrolling that it brings about, at most. */
const HAND = 500;
const SCROLLING = new Set(["Home", "End", "PageUp", "PageDown", "ArrowUp", "ArrowDown", " "]);
// What terminals colour with.
const COLOURS = /\u001b\[[0-9;?]*[ -/]*[@-~]/g;

/** A line without the colours of a terminal. */
export const plain = (line: string): string => (line.includes("\u001b") ? line.replace(COLOURS, "") : line);

/** Numbers (from 0) of the lines that have the text. */
export function useMatches(lines: readonly string[], search: string): number[] {
  return useMemo(() => {
    const wanted = search.toLowerCase();
    if (!wanted) return [];
    return lines.flatMap((line, index) => (plain(line).toLowerCase().includes(wanted) ? [index] : []));
  }, [lines, search]);
}

export function LogView({ lines, label, wrap = false, search = "", at, follow = false, onFollow, height = 480, first = 1 }: LogViewProps) {
  const frame = useRef<HTMLDivElement>(null);
  const rows = useVirtualizer({
    count: lines.length,
    getScrollElement: () => frame.current,
    estimateSize: () => HEIGHT,
    overscan: 12,
    enabled: true,
  });
  useEffect(() => {
    rows.measure();
  }, [wrap, rows]);
  // What the page scrolls by itself is no wish of a person; and a person's hand wins over it.
  const byHand = useRef(false);
  const since = useRef(-Infinity);
  // Where the hand found it: what is above that since was scrolled there, however late it is told.
  const found = useRef(0);
  const taken = () => {
    byHand.current = true;
    since.current = performance.now();
    found.current = frame.current?.scrollTop ?? 0;
    rows.cancelScroll();
  };
  useEffect(() => {
    if (!follow || !lines.length) return;
    // A key may be down already, and its scrolling not yet told.
    if (performance.now() - since.current <= HAND) return;
    const left = byHand.current && (frame.current?.scrollTop ?? 0) < found.current - HEIGHT;
    if (!left) rows.scrollToIndex(lines.length - 1, { align: "end" });
  }, [follow, lines.length, rows]);
  useEffect(() => {
    if (at !== undefined) rows.scrollToIndex(at, { align: "center" });
  }, [at, rows]);
  const scrolled = () => {
    const element = frame.current;
    if (!element || !onFollow || !byHand.current) return;
    const end = element.scrollHeight - element.scrollTop - element.clientHeight < 2 * HEIGHT;
    if (end !== follow) onFollow(end);
  };
  const width = `${String(first + lines.length).length + 3}ch`;
  return (
    <div
      ref={frame}
      className={wrap ? "log wrap" : "log"}
      style={{ height }}
      tabIndex={0}
      role="log"
      aria-label={label}
      aria-live="off"
      onWheel={taken}
      onKeyDown={(event) => SCROLLING.has(event.key) && taken()}
      onPointerDown={taken}
      onScroll={scrolled}
      onScrollEnd={() => (byHand.current = false)}
    >
      <div style={{ height: rows.getTotalSize(), position: "relative" }}>
        {rows.getVirtualItems().map(({ index, start }) => (
          <div
            key={index}
            data-index={index}
            ref={wrap ? rows.measureElement : undefined}
            className={index === at ? "log-line current" : "log-line"}
            style={{ transform: `translateY(${start}px)` }}
          >
            <span className="number" style={{ minWidth: width }} aria-hidden>
              {first + index}
            </span>
            <Line text={lines[index] ?? ""} search={search} />
          </div>
        ))}
      </div>
    </div>
  );
}

const Line = memo(function Line({ text, search }: { text: string; search: string }) {
  const shown = plain(text);
  return <span>{search ? marked(shown, search) : shown || " "}</span>;
});

function marked(text: string, search: string): ReactNode[] {
  const [lower, wanted] = [text.toLowerCase(), search.toLowerCase()];
  const parts: ReactNode[] = [];
  let from = 0;
  for (let hit = lower.indexOf(wanted); hit >= 0; hit = lower.indexOf(wanted, from)) {
    parts.push(text.slice(from, hit), <mark key={hit}>{text.slice(hit, hit + wanted.length)}</mark>);
    from = hit + wanted.length;
  }
  return [...parts, text.slice(from)];
}
