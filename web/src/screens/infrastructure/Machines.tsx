import { Link } from "@tanstack/react-router";
import type { TableProps } from "antd";
import { useTranslation } from "react-i18next";
import { type Node, useNodes } from "@/api/platform";
import { Bytes, DataTable, Empty, Failure, Meter } from "@/parts";
import { number, size } from "@/parts/format";

/** Machines with what they have and what of it is taken. */
export function Machines() {
  const { t } = useTranslation("infrastructure");
  const { data, error, refetch } = useNodes();
  const columns = useColumns();
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />;
  const warnings = data?.Warnings.Warning ?? [];
  return (
    <div className="stack">
      {warnings.length > 0 && (
        <ul className="node-warnings" aria-label={t("nodes.warnings")}>
          {warnings.map((warning) => (
            <li key={warning}>{warning}</li>
          ))}
        </ul>
      )}
      <DataTable
        label={t("tabs.nodes")}
        rows={data?.Nodes.Node}
        columns={columns}
        rowKey={(row) => row.NodeName}
        scrollX={900}
        empty={<Empty title={t("nodes.empty.title")} about={t("nodes.empty.about")} />}
      />
      {data && (
        <section className="panel" aria-label={t("nodes.runtime")}>
          <dl className="facts-line">
            <dt>{t("nodes.runtime")}</dt>
            <dd>{data.Runtime}</dd>
            <dt>{t("nodes.limits")}</dt>
            <dd>{data.Limits}</dd>
            <dt>{t("nodes.mounts")}</dt>
            <dd>{data.Mounts}</dd>
          </dl>
        </section>
      )}
    </div>
  );
}

function useColumns(): NonNullable<TableProps<Node>["columns"]> {
  const { t, i18n } = useTranslation(["infrastructure", "common"]);
  const of = (used: string, whole: string) => t("of", { used, whole });
  const plain = (value: number) => number(value, i18n.language, 1);
  const bytes = (value: number) => size(value, i18n.language);
  return [
    {
      title: t("common:name"),
      key: "name",
      width: 200,
      sorter: (a, b) => a.NodeName.localeCompare(b.NodeName),
      render: (_, row) => (
        <div className="two-lines">
          <span className="strong">{row.NodeName}</span>
          <span className="muted small">{row.Architecture}</span>
        </div>
      ),
    },
    {
      title: t("nodes.cpu"),
      key: "cpu",
      sorter: (a, b) => a.Reserved.Cpu - b.Reserved.Cpu,
      render: (_, row) => <Meter bare label={t("nodes.cpu")} used={row.Reserved.Cpu} whole={row.Cpu} told={of(plain(row.Reserved.Cpu), plain(row.Cpu))} />,
    },
    {
      title: t("nodes.memory"),
      key: "memory",
      sorter: (a, b) => a.Reserved.Memory - b.Reserved.Memory,
      render: (_, row) => (
        <Meter bare label={t("nodes.memory")} used={row.Reserved.Memory} whole={row.Memory} told={of(bytes(row.Reserved.Memory), bytes(row.Memory))} />
      ),
    },
    { title: t("nodes.free"), key: "free", align: "end", width: 120, sorter: (a, b) => a.MemoryFree - b.MemoryFree, render: (_, row) => <Bytes value={row.MemoryFree} /> },
    {
      title: t("nodes.gpus"),
      key: "gpus",
      width: 150,
      render: (_, row) => {
        const all = row.Accelerators.Accelerator;
        if (!all.length) return <span className="muted">{t("common:none")}</span>;
        const held = all.filter((one) => one.Holders.Holder.length > 0).length;
        return (
          <Link to="/infrastructure" search={{ tab: "accelerators", q: row.NodeName }}>
            {t("nodes.held", { held, count: all.length })}
          </Link>
        );
      },
    },
    { title: t("nodes.replicas"), key: "replicas", align: "end", width: 100, sorter: (a, b) => a.Reserved.Replicas - b.Reserved.Replicas, render: (_, row) => row.Reserved.Replicas },
  ];
}
