import { Link } from "@tanstack/react-router";
import { type TableProps, Tag } from "antd";
import { useTranslation } from "react-i18next";
import { type Accelerator, useNodes } from "@/api/platform";
import { Bytes, DataTable, Empty, Failure, Meter, PageFilter, useUrlText } from "@/parts";
import { size } from "@/parts/format";

interface Row extends Accelerator {
  NodeName: string;
}

const text = (row: Row) =>
  [row.NodeName, row.AcceleratorId, row.Vendor, row.Model, ...row.Holders.Holder.map((one) => one.ServiceName)].join("\n").toLowerCase();

/** Every accelerator of every machine, and who has it. */
export function Accelerators() {
  const { t } = useTranslation("infrastructure");
  const { data, error, refetch } = useNodes();
  const [q] = useUrlText("q");
  const columns = useColumns();
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />;
  const all = data?.Nodes.Node.flatMap((node): Row[] => node.Accelerators.Accelerator.map((one) => ({ ...one, NodeName: node.NodeName })));
  const rows = all?.filter((row) => text(row).includes(q.toLowerCase()));
  return (
    <div className="stack" style={{ gap: 10 }}>
      {all && all.length > 0 && <PageFilter label={t("accelerators.filter")} />}
      <DataTable
        label={t("tabs.accelerators")}
        rows={rows}
        columns={columns}
        rowKey={(row) => `${row.NodeName} ${row.AcceleratorId}`}
        scrollX={860}
        empty={
          all?.length ? (
            <Empty title={t("nothing")} about={t("nothingAbout")} />
          ) : (
            <Empty title={t("accelerators.empty.title")} about={t("accelerators.empty.about")} />
          )
        }
      />
    </div>
  );
}

function useColumns(): NonNullable<TableProps<Row>["columns"]> {
  const { t, i18n } = useTranslation(["infrastructure", "common"]);
  const bytes = (value: number) => size(value, i18n.language);
  return [
    {
      title: t("accelerators.device"),
      key: "device",
      width: 280,
      sorter: (a, b) => a.Model.localeCompare(b.Model),
      render: (_, row) => (
        <div className="two-lines">
          <span className="row tight">
            <span className="strong clipped">{row.Model}</span>
            {row.Part && <Tag>{t("accelerators.part")}</Tag>}
          </span>
          <span className="muted mono clipped" title={row.AcceleratorId}>
            {row.AcceleratorId}
          </span>
        </div>
      ),
    },
    { title: t("accelerators.node"), key: "node", width: 160, sorter: (a, b) => a.NodeName.localeCompare(b.NodeName), dataIndex: "NodeName" },
    { title: t("accelerators.vendor"), key: "vendor", width: 130, render: (_, row) => [row.Vendor, row.Capability].filter(Boolean).join(" ") },
    {
      title: t("accelerators.memory"),
      key: "memory",
      sorter: (a, b) => a.Memory - b.Memory,
      render: (_, row) =>
        row.MemoryUsed === undefined ? (
          <Bytes value={row.Memory} />
        ) : (
          <Meter
            bare
            // Engines take all that they may: full memory is what is wanted.
            warn={1.01}
            label={t("accelerators.memory")}
            used={row.MemoryUsed}
            whole={row.Memory}
            told={t("of", { used: bytes(row.MemoryUsed), whole: bytes(row.Memory) })}
          />
        ),
    },
    {
      title: t("accelerators.holders"),
      key: "holders",
      width: 240,
      render: (_, row) =>
        row.Holders.Holder.length ? (
          <div className="holders">
            {row.Holders.Holder.map((one) => (
              <span key={one.InstanceName} className="clipped">
                {one.ServiceName ? (
                  <Link to="/services/$name" params={{ name: one.ServiceName }}>
                    {one.ServiceName}
                  </Link>
                ) : (
                  t("accelerators.other")
                )}{" "}
                <span className="muted mono">{one.InstanceName}</span>
              </span>
            ))}
          </div>
        ) : (
          <span className="muted">{t("accelerators.nobody")}</span>
        ),
    },
  ];
}
