import type { TableProps } from "antd";
import { useTranslation } from "react-i18next";
import { Bytes, Copyable, Meter, StatusTag } from "@/parts";
import { size } from "@/parts/format";
import { type Center, useCenters } from "./calls";
import { Facts, List, nameColumn } from "./List";

/** The roots under which models and code lie. */
export function Centers() {
  const found = useCenters();
  const columns = useColumns();
  return (
    <List<Center>
      kind="center"
      found={found}
      columns={columns}
      scrollX={860}
      text={(row) => [row.name, row.description ?? "", row.url, row.status, row.uuid].join("\n")}
      detail={(row) => <Detail row={row} />}
    />
  );
}

/** Connected is known to the tag; whatever else it is, is bad. */
const kindOf = (status: string) => (status === "Connected" ? "ok" : "bad");

function useColumns(): NonNullable<TableProps<Center>["columns"]> {
  const { t } = useTranslation(["registry", "common"]);
  return [
    nameColumn(t("common:name"), (row) => ({ about: row.description })),
    {
      title: t("fields.url"),
      key: "url",
      sorter: (a, b) => a.url.localeCompare(b.url),
      render: (_, row) => (
        <span className="mono clipped" title={row.url}>
          {row.url}
        </span>
      ),
    },
    { title: t("common:state"), key: "status", width: 150, sorter: (a, b) => a.status.localeCompare(b.status), render: (_, row) => <State row={row} /> },
    { title: t("center.room"), key: "room", width: 240, sorter: (a, b) => a.capacity.availableCapacity - b.capacity.availableCapacity, render: (_, row) => <Room row={row} /> },
  ];
}

function State({ row }: { row: Center }) {
  const { t } = useTranslation(["registry", "common"]);
  const kind = kindOf(row.status);
  return <StatusTag status={row.status} kind={kind} word={kind === "ok" ? t("common:status.Connected") : t("center.lost")} />;
}

function Room({ row, bare = true }: { row: Center; bare?: boolean }) {
  const { t, i18n } = useTranslation("registry");
  const { totalCapacity: whole, availableCapacity: free } = row.capacity;
  if (!whole) return <>–</>;
  const told = t("center.of", { used: size(whole - free, i18n.language), whole: size(whole, i18n.language) });
  return <Meter bare={bare} label={t("center.room")} used={whole - free} whole={whole} told={told} />;
}

function Detail({ row }: { row: Center }) {
  const { t } = useTranslation(["registry", "common"]);
  const { capacity } = row;
  return (
    <div className="stack">
      <Facts
        facts={[
          ["UUID", <Copyable key="uuid" text={row.uuid} what="UUID" />],
          [t("common:state"), <State key="state" row={row} />],
          [t("fields.url"), <Copyable key="url" text={row.url} what={t("fields.url")} />],
          [t("fields.description"), row.description],
          [t("center.management"), `${row.managementIp}:${row.managementPort}`],
          [t("fields.containerRegistry"), row.containerRegistry],
          [t("tabs.models"), <Bytes key="models" value={capacity.modelUsedCapacity} />],
          [t("tabs.services"), <Bytes key="services" value={capacity.modelServiceUsedCapacity} />],
          [t("center.datasets"), <Bytes key="datasets" value={capacity.datasetUsedCapacity} />],
          [t("created"), row.createDate],
          [t("changed"), row.lastOpDate],
        ]}
      />
      <Room row={row} bare={false} />
    </div>
  );
}
