import { useEffect, useLayoutEffect, useRef } from "react";
import { useTranslation } from "react-i18next";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useDark, usePreferences } from "@/app/preferences";
import type { ChartProps } from "./Chart";
import { moment } from "./format";

type Props = Omit<ChartProps, "title" | "unit" | "tell" | "height"> & { tell: (value: number) => string; height: number };

const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** Each line has its colour and its dashes: colour alone would not tell them apart for everybody. */
const DASHES = [[], [6, 3], [2, 2], [8, 3, 2, 3], [1, 3], [10, 4]];

export default function Plot({ times, lines, height, group, tell }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(undefined);
  const dark = useDark();
  const { zone } = usePreferences();
  const { t, i18n } = useTranslation();
  const telling = useRef(tell);
  useLayoutEffect(() => {
    telling.current = tell;
  });
  const labels = lines.map(({ label }) => label).join("\n");
  const language = i18n.language;

  useEffect(() => {
    const element = frame.current!;
    const axis = { stroke: colour("--muted"), grid: { stroke: colour("--line"), width: 1 }, ticks: { show: false } };
    const made = new uPlot(
      {
        width: element.clientWidth || 300,
        height,
        tzDate: (at) => (zone === "utc" ? uPlot.tzDate(new Date(at * 1000), "UTC") : new Date(at * 1000)),
        cursor: group ? { sync: { key: group } } : {},
        legend: { show: true, live: true },
        axes: [
          { ...axis, size: 28, values: (_plot, ticks) => ticks.map((at) => clock(at, language, zone)) },
          { ...axis, size: 64, space: 28, values: (_plot, ticks) => ticks.map((value) => telling.current(value)) },
        ],
        scales: { y: { range: (_plot, low, high) => [Math.min(0, low ?? 0), high ? high * 1.1 : 1] } },
        series: [
          { label: t("chart.time"), 
            value: (plot, value, _line, at) =>
              told(at === null ? last(plot.data[0]) : value, (when) => moment(when * 1000, language, zone)),
          },
          ...labels.split("\n").map((label, index) => ({
            label,
            stroke: colour(`--series-${(index % 6) + 1}`),
            dash: DASHES[index % DASHES.length]!,
            width: 1.5,
            points: { show: false },
            value: (plot: uPlot, value: number | null, line: number, at: number | null) =>
              told(at === null ? last(plot.data[line]) : value, telling.current),
          })),
        ],
      },
      [[], ...labels.split("\n").map(() => [])] as unknown as uPlot.AlignedData,
      element,
    );
    plot.current = made;
    const watch = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    watch.observe(element);
    return () => {
      watch.disconnect();
      made.destroy();
      plot.current = undefined;
    };
  }, [labels, height, group, dark, zone, language, t]);

  useEffect(() => {
    plot.current?.setData([times, ...lines.map(({ values }) => values)] as unknown as uPlot.AlignedData);
  }, [times, lines, labels, height, group, dark, zone, language, t]);

  return <div ref={frame} />;
}

const told = (value: number | null | undefined, tell: (value: number) => string) =>
  value === null || value === undefined ? "–" : tell(value);

/** Without a cursor the legend tells the newest value. */
const last = (values: uPlot.AlignedData[number] | undefined) => values?.[values.length - 1];

function clock(at: number, language: string, zone: "local" | "utc"): string {
  return new Intl.DateTimeFormat(language, {
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    ...(zone === "utc" ? { timeZone: "UTC" } : {}),
  }).format(at * 1000);
}
