import { DeleteOutlined } from "@ant-design/icons";
import { type TableProps, Tag } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useNodes } from "@/api/platform";
import { useArn } from "@/api/queries";
import { Ago, Bytes, Copyable, DataTable, Empty, Failure, Guarded, Meter, PageFilter, StatusTag, useUrlText } from "@/parts";
import { size } from "@/parts/format";
import { type Entry, useCache } from "./calls";
import { Prune } from "./Prune";
import { Used } from "./Storage";

const KINDS = { whole: "ok", fetching: "busy", unfinished: "warn" } as const;
const text = (row: Entry) => [row.EntryId, row.Source, row.State, ...row.Services, ...row.KeptFor].join("\n").toLowerCase();

/** Weights on this machine's disk: what is there, what is coming, what can go. */
export function Cache() {
  const { t } = useTranslation("infrastructure");
  const { data, error, refetch } = useCache();
  const [q] = useUrlText("q");
  const columns = useColumns();
  if (error && !data) return <Failure error={error} retry={() => void refetch()} />;
  const all = data?.Entries.Entry;
  const rows = all?.filter((row) => text(row).includes(q.toLowerCase()));
  return (
    <div className="stack">
      <Disk entries={all} bytes={data?.Bytes} />
      <Fetches entries={all ?? []} />
      {all && all.length > 0 && <PageFilter label={t("cache.filter")} />}
      <DataTable
        label={t("tabs.cache")}
        rows={rows}
        columns={columns}
        rowKey={(row) => row.EntryId}
        usualOrder="-used"
        scrollX={940}
        empty={
          all?.length ? (
            <Empty title={t("nothing")} about={t("nothingAbout")} />
          ) : (
            <Empty title={t("cache.empty.title")} about={t("cache.empty.about")} />
          )
        }
      />
    </div>
  );
}

/** The disk that the cache lies on, and the way to make room. */
function Disk({ entries, bytes }: { entries: Entry[] | undefined; bytes: number | undefined }) {
  const { t, i18n } = useTranslation("infrastructure");
  const { data, error } = useNodes();
  const [pruning, setPruning] = useState(false);
  const arn = useArn();
  const tell = (value: number) => size(value, i18n.language);
  const disk = data?.Cache;
  return (
    <section className="panel disk" aria-label={t("cache.disk")}>
      {error && !data ? <Failure error={error} /> : null}
      {disk && (
        <>
          <Meter
            label={t("cache.disk")}
            used={disk.DiskTotal - disk.DiskFree}
            whole={disk.DiskTotal}
            told={t("of", { used: tell(disk.DiskTotal - disk.DiskFree), whole: tell(disk.DiskTotal) })}
            more={t("cache.free", { free: tell(disk.DiskFree), keep: tell(disk.KeepFree) })}
          />
          <dl className="facts-line">
            <dt>{t("cache.bytes")}</dt>
            <dd>
              <Bytes value={bytes} /> <span className="muted">{disk.Limit ? t("cache.limit", { limit: tell(disk.Limit) }) : t("cache.noLimit")}</span>
            </dd>
            <dt>{t("cache.folder")}</dt>
            <dd>
              <Copyable text={disk.Folder} what={t("cache.folder")} />
            </dd>
          </dl>
        </>
      )}
      <Guarded
        icon={<DeleteOutlined aria-hidden />}
        action="pierhead:PruneCache"
        resource={arn("cache", "*", "pierhead")}
        off={entries?.length === 0 ? t("cache.prune.none") : undefined}
        onClick={() => setPruning(true)}
      >
        {t("cache.prune.open")}
      </Guarded>
      {pruning && <Prune close={() => setPruning(false)} />}
    </section>
  );
}

function Fetches({ entries }: { entries: Entry[] }) {
  const { t, i18n } = useTranslation("infrastructure");
  const running = entries.filter((one) => one.State === "fetching");
  if (!running.length) return null;
  const tell = (value: number) => size(value, i18n.language);
  return (
    <section className="panel" aria-labelledby="cache-fetches">
      <h2 id="cache-fetches">{t("cache.fetches")}</h2>
      <ul className="fetches">
        {running.map((one) => (
          <li key={one.EntryId}>
            <Meter
              label={one.Source || one.EntryId}
              used={one.Done}
              whole={one.Total || one.Done || 1}
              warn={1.01}
              told={one.Total ? t("of", { used: tell(one.Done), whole: tell(one.Total) }) : tell(one.Done)}
              more={one.Services.join(", ")}
            />
          </li>
        ))}
      </ul>
    </section>
  );
}

function useColumns(): NonNullable<TableProps<Entry>["columns"]> {
  const { t, i18n } = useTranslation(["infrastructure", "common"]);
  return [
    {
      title: t("cache.source"),
      key: "source",
      sorter: (a, b) => a.Source.localeCompare(b.Source),
      render: (_, row) => (
        <div className="two-lines">
          <span className="row tight">
            <span className="strong clipped" title={row.Source}>
              {row.Source || row.EntryId}
            </span>
            {row.Converted && <Tag title={t("cache.convertedAbout")}>{t("cache.converted")}</Tag>}
          </span>
          <span className="muted mono clipped">{row.EntryId}</span>
        </div>
      ),
    },
    {
      title: t("common:state"),
      key: "state",
      width: 170,
      sorter: (a, b) => a.State.localeCompare(b.State),
      render: (_, row) => (
        <div className="two-lines">
          <StatusTag status={row.State} kind={KINDS[row.State] ?? "idle"} word={t(`cache.states.${row.State}`)} />
          {row.State !== "whole" && row.Total > 0 && (
            <span className="muted small">{t("of", { used: size(row.Done, i18n.language), whole: size(row.Total, i18n.language) })}</span>
          )}
        </div>
      ),
    },
    { title: t("cache.size"), key: "size", width: 110, align: "end", sorter: (a, b) => a.Bytes - b.Bytes, render: (_, row) => <Bytes value={row.Bytes} /> },
    {
      title: t("cache.keptFor"),
      key: "services",
      width: 220,
      render: (_, row) => (row.Services.length ? <Used names={row.Services} count={row.Services.length} /> : <Kept row={row} />),
    },
    { title: t("cache.used"), key: "used", width: 140, sorter: (a, b) => a.LastUsed.localeCompare(b.LastUsed), render: (_, row) => <Ago at={row.LastUsed} /> },
  ];
}

/** What it is kept for though no service that may be seen has it. */
function Kept({ row }: { row: Entry }) {
  const { t } = useTranslation("infrastructure");
  if (!row.KeptFor.length) return <span className="muted">{t("cache.unused")}</span>;
  return (
    <span className="mono clipped" title={row.KeptFor.join("\n")}>
      {row.KeptFor[0]}
    </span>
  );
}
