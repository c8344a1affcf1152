import { Link } from "@tanstack/react-router";
import type { TableProps } from "antd";
import { Tag } from "antd";
import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import type { ServiceRow } from "@/api/types";
import { Ago, Amount, Span, StatusTag } from "@/parts";

const by = <Value extends string | number>(of: (row: ServiceRow) => Value) => (a: ServiceRow, b: ServiceRow) => {
  const [left, right] = [of(a), of(b)];
  return left < right ? -1 : left > right ? 1 : a.ServiceName.localeCompare(b.ServiceName);
};

/** The columns of the list. Two lines to a row: what it is, and what there is to say of it. */
export function useColumns(): NonNullable<TableProps<ServiceRow>["columns"]> {
  const { t } = useTranslation(["services", "common"]);
  return useMemo(
    () => [
      { title: t("common:name"), key: "name", sorter: by((row) => row.ServiceName), width: 220, render: (_, row) => <Name row={row} /> },
      { title: t("common:state"), key: "status", sorter: by((row) => row.Status), width: 190, render: (_, row) => <State row={row} /> },
      { title: t("replicas"), key: "replicas", sorter: by((row) => row.Wanted), width: 100, align: "end", render: (_, row) => <Replicas row={row} /> },
      {
        title: <abbr title={t("qpsAbout")}>{t("qps")}</abbr>,
        key: "qps",
        sorter: by((row) => row.Qps),
        width: 104,
        align: "end",
        render: (_, row) => (
          <>
            <Amount value={row.Qps} unit="/s" />
            {row.ErrorsPerSecond > 0 && (
              <div className="tone-bad small">
                <Amount value={row.ErrorsPerSecond} unit={t("errors")} />
              </div>
            )}
          </>
        ),
      },
      { title: <abbr title={t("p95About")}>P95</abbr>, key: "p95", sorter: by((row) => row.P95 ?? -1), width: 78, align: "end", render: (_, row) => <Span value={row.P95} /> },
      { title: <abbr title={t("ttftAbout")}>TTFT</abbr>, key: "ttft", sorter: by((row) => row.Ttft ?? -1), width: 80, align: "end", render: (_, row) => <Span value={row.Ttft} /> },
      { title: t("tokens"), key: "tokens", sorter: by((row) => row.TokensPerSecond), width: 96, align: "end", render: (_, row) => <Amount value={row.TokensPerSecond} unit="/s" /> },
      { title: t("common:updated"), key: "updated", sorter: by((row) => row.UpdateTime), width: 118, render: (_, row) => <Ago at={row.UpdateTime} /> },
    ],
    [t],
  );
}

function Name({ row }: { row: ServiceRow }) {
  const labels = Object.entries(row.Labels);
  return (
    <div className="two-lines">
      <div className="row tight">
        <Link to="/services/$name" params={{ name: row.ServiceName }} className="strong clipped">
          {row.ServiceName}
        </Link>
        {row.Source === "zstack" && <Tag>ZStack</Tag>}
      </div>
      <div className="muted small clipped" title={row.Model}>
        {[row.Spec, row.Workspace, ...labels.slice(0, 2).map(([key, value]) => `${key}=${value}`)].filter(Boolean).join(" · ")}
        {labels.length > 2 && ` +${labels.length - 2}`}
      </div>
    </div>
  );
}

function State({ row }: { row: ServiceRow }) {
  const { t } = useTranslation("services");
  const asleep = row.Status === "Running" && row.Wanted === 0;
  const plain = row.Status === "Running" && !asleep && row.Ready >= row.Wanted;
  const waiting = [
    row.Queued > 0 && t("queued", { count: row.Queued }),
    row.Held > 0 && t("held", { count: row.Held }),
  ].filter(Boolean);
  return (
    <div className="two-lines">
      <StatusTag status={asleep ? "ScaledToZero" : row.Status} />
      {!plain && (
        <div className="muted small clipped" title={row.Message}>
          {row.Reason && row.Reason !== row.Status ? `${row.Reason}: ` : ""}
          {row.Message}
        </div>
      )}
      {plain && waiting.length > 0 && <div className="muted small">{waiting.join(" · ")}</div>}
    </div>
  );
}

function Replicas({ row }: { row: ServiceRow }) {
  const { t } = useTranslation("services");
  const short = row.Status !== "Stopped" && row.Ready < row.Wanted;
  return (
    <span className={short ? "tone-warn" : undefined} title={t("replicasTold", { ready: row.Ready, wanted: row.Wanted })}>
      {row.Ready} / {row.Wanted}
    </span>
  );
}
