/** Its figures over time: one window for all charts, their cursors together. */

import { useQuery } from "@tanstack/react-query";
import { Segmented, Skeleton } from "antd";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import { useStays } from "@/api/queries";
import { serverNow } from "@/api/session";
import { Chart, Empty, Failure, type Line, useUrlText } from "@/parts";
import { number, size, span } from "@/parts/format";
import { readOwn, type Series } from "./asked";

/** Seconds of the window, and between two points. */
const RANGES: Record<string, [number, number]> = { "15m": [900, 10], "1h": [3_600, 30], "6h": [21_600, 120], "24h": [86_400, 600] };

type Unit = "rate" | "span" | "bytes" | "count";
const CHARTS: [string, Unit, string[]][] = [
  ["requests", "rate", ["Qps", "ErrorsPerSecond"]],
  ["latency", "span", ["P50", "P95"]],
  ["ttft", "span", ["TtftP50", "TtftP95"]],
  ["interToken", "span", ["InterTokenP50"]],
  ["tokens", "rate", ["TokensPerSecond"]],
  ["queue", "count", ["InFlight", "Queued", "Held"]],
  ["replicas", "count", ["Ready", "Wanted"]],
  ["memory", "bytes", ["MemoryBytes"]],
  ["cpu", "count", ["CpuCores"]],
];

function useSeries(name: string, range: string) {
  const [window, step] = RANGES[range] ?? RANGES["1h"]!;
  const stays = useStays(name);
  return useQuery({
    queryKey: ["service", name, "series", range],
    queryFn: ({ signal }) => {
      const now = Math.floor(serverNow() / 1_000);
      return readOwn<Series>(name, "GetServiceSeries", { Since: String(now - window), Step: step }, signal);
    },
    enabled: stays,
    refetchInterval: Math.max(10, step / 2) * 1_000,
    placeholderData: (before) => before,
  });
}

export function Metrics({ name }: { name: string }) {
  const { t } = useTranslation("service");
  const [range, setRange] = useUrlText("range", "1h");
  const { data, error, refetch } = useSeries(name, range);
  const nothing = data && !Object.values(data.Series).some((points) => points.some((point) => point !== null));
  return (
    <div className="stack">
      <div className="row">
        <Segmented
          aria-label={t("metrics.range")}
          value={range in RANGES ? range : "1h"}
          onChange={setRange}
          options={Object.keys(RANGES).map((value) => ({ value, label: t(`metrics.ranges.${value}`) }))}
        />
        <span className="muted">{t("metrics.about")}</span>
      </div>
      {error ? (
        <Failure error={error} retry={() => void refetch()} />
      ) : !data ? (
        <Skeleton active paragraph={{ rows: 10 }} title={false} />
      ) : nothing ? (
        <Empty title={t("metrics.none")} about={t("metrics.noneAbout")} />
      ) : (
        <Charts data={data} />
      )}
    </div>
  );
}

function Charts({ data }: { data: Series }) {
  const { t, i18n } = useTranslation("service");
  const language = i18n.language;
  const most = Math.max(0, ...Object.values(data.Series).map((points) => points.length));
  const times = useMemo(() => Array.from({ length: most }, (_, at) => data.Start + at * data.Step), [data.Start, data.Step, most]);
  const tell: Record<Unit, (value: number) => string> = {
    rate: (value) => `${number(value, language, 2)} /s`,
    span: (value) => span(value, language),
    bytes: (value) => size(value, language),
    count: (value) => number(value, language, Math.abs(value) < 0.1 ? 3 : 2),
  };
  return (
    <div className="charts">
      {CHARTS.map(([key, unit, names]) => (
        <div key={key} className="panel">
          <Lines title={t(`metrics.charts.${key}`)} times={times} data={data} names={names} tell={tell[unit]} />
        </div>
      ))}
    </div>
  );
}

function Lines({ title, times, data, names, tell }: { title: string; times: readonly number[]; data: Series; names: string[]; tell: (value: number) => string }) {
  const { t } = useTranslation("service");
  const lines = useMemo<Line[]>(
    () => names.map((name) => ({ label: t(`metrics.lines.${name}`), values: data.Series[name] ?? times.map(() => null) })),
    [names, data, times, t],
  );
  return <Chart title={title} times={times} lines={lines} tell={tell} group="service" height={150} />;
}
