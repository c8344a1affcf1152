import { type ReactNode, useId } from "react";
import "./Meter.css";

/** How much of something is taken: a bar, and always the numbers. Above `warn` of the whole it is marked. */
export function Meter({
  label,
  used,
  whole,
  told,
  more,
  warn = 0.9,
  bare = false,
}: {
  label: string;
  used: number;
  whole: number;
  /** The numbers in words: "3.5 of 24 GiB". */
  told: string;
  /** A line below. */
  more?: ReactNode;
  warn?: number;
  /** The label is only for those who do not see it, as in the cell of a table. */
  bare?: boolean;
}) {
  const id = useId();
  const share = whole > 0 ? Math.min(1, Math.max(0, used / whole)) : 0;
  const tone = used > whole ? "bad" : share >= warn ? "warn" : "";
  return (
    <div className={`meter ${tone}${bare ? " bare" : ""}`}>
      <span id={id} className={bare ? "hidden-text" : undefined}>
        {label}
      </span>
      <span className={bare ? "nowrap" : "told nowrap"}>{told}</span>
      <div
        className="track"
        role="meter"
        aria-labelledby={id}
        aria-valuemin={0}
        aria-valuemax={100}
        aria-valuenow={Math.round(share * 100)}
        aria-valuetext={told}
      >
        <i style={{ width: `${share * 100}%` }} />
      </div>
      {more && <span className="more muted small">{more}</span>}
    </div>
  );
}
