import { PlusOutlined } from "@ant-design/icons";
import { Link } from "@tanstack/react-router";
import type { TableProps } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useArn } from "@/api/queries";
import { Ago, Confirm, DataTable, Empty, Failure, Guarded, PageFilter, useUrlText } from "@/parts";
import { AddConnection } from "./AddConnection";
import { type Connection, useConnections, useRemoveConnection } from "./calls";

const text = (row: Connection) => [row.ConnectionName, row.Kind, row.Serves, row.Endpoint, ...row.Services].join("\n").toLowerCase();

/** Connections to where weights and data lie. */
export function Storage() {
  const { t } = useTranslation("infrastructure");
  const { data, error, refetch } = useConnections();
  const [q] = useUrlText("q");
  const [adding, setAdding] = useState(false);
  const [gone, setGone] = useState<Connection>();
  const columns = useColumns(setGone);
  const arn = useArn();
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />;
  const add = (
    <Guarded
      type="primary"
      icon={<PlusOutlined aria-hidden />}
      action="pierhead:CreateStorageConnection"
      resource={arn("storageconnection", "*", "pierhead")}
      onClick={() => setAdding(true)}
    >
      {t("storage.add")}
    </Guarded>
  );
  const rows = data?.filter((row) => text(row).includes(q.toLowerCase()));
  return (
    <div className="stack" style={{ gap: 10 }}>
      {data && data.length > 0 && (
        <div className="row" role="search" aria-label={t("storage.filter")}>
          <PageFilter label={t("storage.filter")} />
          <span className="spread" />
          {add}
        </div>
      )}
      <DataTable
        label={t("tabs.storage")}
        rows={rows}
        columns={columns}
        rowKey={(row) => row.ConnectionName}
        scrollX={940}
        empty={
          data?.length ? (
            <Empty title={t("nothing")} about={t("nothingAbout")} />
          ) : (
            <Empty title={t("storage.empty.title")} about={t("storage.empty.about")} action={add} />
          )
        }
      />
      {adding && <AddConnection close={() => setAdding(false)} />}
      {gone && <Remove connection={gone} close={() => setGone(undefined)} />}
    </div>
  );
}

function Remove({ connection, close }: { connection: Connection; close: () => void }) {
  const { t } = useTranslation(["infrastructure", "common"]);
  const remove = useRemoveConnection();
  const used = connection.ServiceCount > 0;
  return (
    <Confirm
      title={t("storage.remove.title")}
      object={connection.ConnectionName}
      about={used ? t("storage.remove.used", { count: connection.ServiceCount, names: connection.Services.join(", ") }) : t("storage.remove.about")}
      action={used ? t("storage.remove.force") : t("common:delete")}
      danger
      run={() => remove.mutateAsync({ name: connection.ConnectionName, force: used })}
      close={close}
    />
  );
}

function useColumns(remove: (row: Connection) => void): NonNullable<TableProps<Connection>["columns"]> {
  const { t } = useTranslation(["infrastructure", "common"]);
  const arn = useArn();
  return [
    {
      title: t("common:name"),
      key: "name",
      width: 180,
      sorter: (a, b) => a.ConnectionName.localeCompare(b.ConnectionName),
      render: (_, row) => (
        <div className="two-lines">
          <span className="strong clipped">{row.ConnectionName}</span>
          <span className="muted small">{t(`storage.kinds.${row.Kind}`)}</span>
        </div>
      ),
    },
    {
      title: t("storage.serves"),
      key: "serves",
      sorter: (a, b) => a.Serves.localeCompare(b.Serves),
      render: (_, row) => (
        <div className="two-lines">
          <span className="mono clipped" title={row.Serves}>
            {row.Serves}
          </span>
          <span className="muted small clipped">{row.Endpoint || row.LocalPath || row.Nfs || t("storage.public")}</span>
        </div>
      ),
    },
    {
      title: t("storage.key"),
      key: "key",
      width: 150,
      render: (_, row) => (row.StorageAccessKeyId ? <span className="mono">{row.StorageAccessKeyId}</span> : <span className="muted">–</span>),
    },
    { title: t("storage.workspaces"), key: "workspaces", width: 120, render: (_, row) => row.Workspaces.join(", ") || <span className="muted">{t("storage.everybody")}</span> },
    {
      title: t("storage.services"),
      key: "services",
      width: 150,
      sorter: (a, b) => a.ServiceCount - b.ServiceCount,
      render: (_, row) => <Used names={row.Services} count={row.ServiceCount} />,
    },
    { title: t("common:created"), key: "created", width: 120, sorter: (a, b) => a.CreateDate.localeCompare(b.CreateDate), render: (_, row) => <Ago at={row.CreateDate} /> },
    {
      title: <span className="hidden-text">{t("common:delete")}</span>,
      key: "do",
      width: 90,
      align: "end",
      render: (_, row) => (
        <Guarded
          size="small"
          type="text"
          danger
          action="pierhead:DeleteStorageConnection"
          resource={arn("storageconnection", row.ConnectionName, "pierhead")}
          aria-label={t("storage.remove.label", { name: row.ConnectionName })}
          onClick={() => remove(row)}
        >
          {t("common:delete")}
        </Guarded>
      ),
    },
  ];
}

/** Services by name, and how many more there are that may not be seen. */
export function Used({ names, count }: { names: readonly string[]; count: number }) {
  const { t } = useTranslation(["infrastructure", "common"]);
  const shown = names.slice(0, 3);
  if (!count) return <span className="muted">{t("common:none")}</span>;
  return (
    <span>
      {shown.map((name, index) => (
        <span key={name}>
          {index > 0 && ", "}
          <Link to="/services/$name" params={{ name }}>
            {name}
          </Link>
        </span>
      ))}
      {count > shown.length && <span className="muted"> {t("storage.others", { count: count - shown.length })}</span>}
    </span>
  );
}
