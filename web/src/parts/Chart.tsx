/** Lines over time. The library is loaded with the first chart. */

import { Skeleton } from "antd";
import { lazy, Suspense, useId } from "react";
import { useTranslation } from "react-i18next";
import { number } from "./format";

export interface Line {
  label: string;
  /** As many as there are times; null = not known then. */
  values: readonly (number | null)[];
}

export interface ChartProps {
  title: string;
  /** Seconds since 1970, rising. */
  times: readonly number[];
  lines: readonly Line[];
  unit?: string;
  /** Pixels. */
  height?: number;
  /** Charts of one group move their cursors together. */
  group?: string;
  /** Told in the legend and at the axis; usually a number with the unit. */
  tell?: (value: number) => string;
}

const Plot = lazy(() => import("./Plot"));

export function Chart({ title, unit = "", height = 160, ...rest }: ChartProps) {
  const { t, i18n } = useTranslation();
  const id = useId();
  const tell = rest.tell ?? ((value: number) => `${number(value, i18n.language, 2)}${unit && ` ${unit}`}`);
  const summary = rest.lines.map(({ label, values }) => {
    const known = values.filter((value) => value !== null);
    if (!known.length) return t("chart.nothing", { label });
    const [low, high, last] = [Math.min(...known), Math.max(...known), known[known.length - 1]!].map(tell);
    return t("chart.summary", { label, last, low, high });
  });
  return (
    <figure className="chart" aria-labelledby={id}>
      <figcaption id={id}>
        {title}
        {unit && <span className="muted">{unit}</span>}
      </figcaption>
      <p className="hidden-text">{summary.join(" ")}</p>
      <div aria-hidden>
        <Suspense fallback={<Skeleton.Node active style={{ width: "100%", height }} />}>
          <Plot {...rest} height={height} tell={tell} />
        </Suspense>
      </div>
    </figure>
  );
}
