import { Link } from "@tanstack/react-router";
import { type TableProps, Tag } from "antd";
import { useTranslation } from "react-i18next";
import { Bytes, Copyable } from "@/parts";
import { Binding } from "./Bindings";
import { type Model, useCenters, useModels } from "./calls";
import { Facts, List, nameColumn } from "./List";

/** Weights that were registered. */
export function Models() {
  const found = useModels();
  const centers = new Map(useCenters().data?.rows.map((one) => [one.uuid, one.name]));
  const columns = useColumns(centers);
  return (
    <List<Model>
      kind="model"
      found={found}
      columns={columns}
      scrollX={900}
      text={(row) => [row.name, row.description ?? "", row.vendor ?? "", row.installPath, row.type ?? "", row.uuid].join("\n")}
      detail={(row) => <Detail row={row} center={centers.get(row.modelCenterUuid)} />}
    />
  );
}

const sizeOf = (row: Model) => row.artifactSizeBytes ?? row.size;

function useColumns(centers: ReadonlyMap<string, string>): NonNullable<TableProps<Model>["columns"]> {
  const { t } = useTranslation(["registry", "common"]);
  return [
    nameColumn(t("common:name"), (row) => ({
      marks: (
        <>
          {row.version && <Tag>{row.version}</Tag>}
          {row.shareMode === "Public" && <Tag>{t("model.public")}</Tag>}
        </>
      ),
      about: row.description || row.installPath,
      whole: row.installPath,
    })),
    { title: t("fields.vendor"), key: "vendor", width: 140, sorter: (a, b) => (a.vendor ?? "").localeCompare(b.vendor ?? ""), render: (_, row) => row.vendor ?? "–" },
    { title: t("model.architecture"), key: "architecture", width: 140, render: (_, row) => row.architectureType ?? row.type ?? "–" },
    { title: t("model.size"), key: "size", width: 110, align: "end", sorter: (a, b) => (sizeOf(a) ?? -1) - (sizeOf(b) ?? -1), render: (_, row) => <Bytes value={sizeOf(row)} /> },
    { title: t("fields.modelCenterUuid"), key: "center", width: 140, render: (_, row) => centers.get(row.modelCenterUuid) ?? "–" },
    {
      title: t("model.templates"),
      key: "templates",
      width: 110,
      align: "end",
      sorter: (a, b) => a.modelServiceRefs.length - b.modelServiceRefs.length,
      render: (_, row) => row.modelServiceRefs.length,
    },
  ];
}

function Detail({ row, center }: { row: Model; center: string | undefined }) {
  const { t } = useTranslation(["registry", "common"]);
  return (
    <div className="stack">
      <Facts
        facts={[
          ["UUID", <Copyable key="uuid" text={row.uuid} what="UUID" />],
          [t("fields.modelId"), row.modelId === row.uuid ? null : row.modelId],
          [t("fields.description"), row.description],
          [t("fields.vendor"), row.vendor],
          [t("fields.version"), row.version],
          [t("fields.parameters"), row.parameters],
          [t("model.architecture"), row.architectureType],
          [t("fields.type"), row.type],
          [t("model.size"), <Bytes key="size" value={sizeOf(row)} />],
          [
            t("fields.modelCenterUuid"),
            <Link key="center" to="/registry" search={{ tab: "centers", open: row.modelCenterUuid }}>
              {center ?? row.modelCenterUuid}
            </Link>,
          ],
          [t("fields.installPath"), <span key="path" className="mono">{row.installPath}</span>],
          [t("created"), row.createDate],
          [t("changed"), row.lastOpDate],
        ]}
      />
      <Binding model={row} />
    </div>
  );
}
