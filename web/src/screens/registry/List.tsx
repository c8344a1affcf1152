/** What the three lists have in common: filter, button, table, drawer, forms. */

import { DeleteOutlined, EditOutlined, PlusOutlined } from "@ant-design/icons";
import type { UseQueryResult } from "@tanstack/react-query";
import { Checkbox, Drawer, type TableProps } from "antd";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { useArn } from "@/api/queries";
import { Confirm, DataTable, Empty, Failure, Guarded, PageFilter, useUrl, useUrlText } from "@/parts";
import { type Kind, KINDS, type Listed, useRemove } from "./calls";
import { ObjectForm } from "./Form";

export interface Named {
  uuid: string;
  name: string;
}

export interface ListProps<Row extends Named> {
  kind: Kind;
  found: UseQueryResult<Listed<Row>>;
  columns: NonNullable<TableProps<Row>["columns"]>;
  /** What the text of the filter is looked for in. */
  text: (row: Row) => string;
  /** Another filter, of the URL. */
  keep?: (row: Row) => boolean;
  /** Beside the filter. */
  beside?: ReactNode;
  /** In the drawer. */
  detail: (row: Row) => ReactNode;
  /** In the drawer's head, before edit and delete. */
  more?: (row: Row) => ReactNode;
  /** Why it can be neither changed nor deleted; absent = it can. */
  fixed?: (row: Row) => string | undefined;
  scrollX?: number;
}

export function List<Row extends Named>(props: ListProps<Row>) {
  const { kind, found, columns, text, keep, beside } = props;
  const { t } = useTranslation(["registry", "common"]);
  const arn = useArn();
  const [search, put] = useUrl();
  const [adding, setAdding] = useState(false);
  const words = (search["q"] ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const all = found.data?.rows;
  const rows = all?.filter((row) => (keep?.(row) ?? true) && words.every((word) => text(row).toLowerCase().includes(word)));
  const open = all?.find((row) => row.uuid === search["open"]);
  if (found.error && !all) return <Failure error={found.error} retry={() => void found.refetch()} />;
  const add = (
    <Guarded type="primary" icon={<PlusOutlined aria-hidden />} action={`zstack:${KINDS[kind].add}`} resource={arn(KINDS[kind].resource, "*", "zstack")} onClick={() => setAdding(true)}>
      {t(`${kind}.add`)}
    </Guarded>
  );
  return (
    <>
      {all && all.length > 0 && (
        <div className="row registry-bar" role="search" aria-label={t(`${kind}.filter`)}>
          <PageFilter label={t(`${kind}.filter`)} />
          {beside}
          <span className="spread" />
          {add}
        </div>
      )}
      {found.data && found.data.total > found.data.rows.length && (
        <p className="muted" style={{ marginTop: 0 }}>
          {t("partly", { shown: found.data.rows.length, total: found.data.total })}
        </p>
      )}
      <DataTable
        label={t(`${kind}.list`)}
        rows={rows}
        columns={columns}
        rowKey={(row) => row.uuid}
        onOpen={(row) => put({ open: row.uuid })}
        usualOrder="name"
        {...(props.scrollX ? { scrollX: props.scrollX } : {})}
        empty={
          all?.length ? (
            <Empty title={t("nothing")} about={t("nothingAbout")} />
          ) : (
            <Empty title={t(`${kind}.empty.title`)} about={t(`${kind}.empty.about`)} action={add} />
          )
        }
      />
      {open && <Detail {...props} row={open} close={() => put({ open: undefined })} />}
      {adding && <ObjectForm kind={kind} close={() => setAdding(false)} />}
    </>
  );
}

function Detail<Row extends Named>({ kind, row, detail, more, fixed, close }: ListProps<Row> & { row: Row; close: () => void }) {
  const { t } = useTranslation(["registry", "common"]);
  const arn = useArn();
  const [doing, setDoing] = useState<"edit" | "remove">();
  const off = fixed?.(row);
  const resource = arn(KINDS[kind].resource, row.uuid, "zstack");
  return (
    <Drawer
      open
      size={680}
      title={row.name}
      onClose={close}
      closable={{ "aria-label": t("common:close") }}
      extra={
        <div className="row">
          {more?.(row)}
          <Guarded icon={<EditOutlined aria-hidden />} action={`zstack:${KINDS[kind].update}`} resource={resource} off={off} onClick={() => setDoing("edit")}>
            {t("common:edit")}
          </Guarded>
          <Guarded danger icon={<DeleteOutlined aria-hidden />} action={`zstack:${KINDS[kind].remove}`} resource={resource} off={off} onClick={() => setDoing("remove")}>
            {t("common:delete")}
          </Guarded>
        </div>
      }
    >
      {detail(row)}
      {doing === "edit" && <ObjectForm kind={kind} before={row} close={() => setDoing(undefined)} />}
      {doing === "remove" && <Remove kind={kind} row={row} close={() => setDoing(undefined)} gone={close} />}
    </Drawer>
  );
}

function Remove({ kind, row, close, gone }: { kind: Kind; row: Named; close: () => void; gone: () => void }) {
  const { t } = useTranslation(["registry", "common"]);
  const remove = useRemove(kind);
  const [enforce, setEnforce] = useState(false);
  return (
    <Confirm
      title={t(`${kind}.remove`)}
      object={row.name}
      about={
        <div className="stack" style={{ gap: 8 }}>
          <span>{t(`${kind}.removeAbout`)}</span>
          <Checkbox checked={enforce} onChange={(event) => setEnforce(event.target.checked)}>
            {t(`${kind}.enforce`)}
          </Checkbox>
        </div>
      }
      action={t("common:delete")}
      danger
      run={async () => {
        await remove.mutateAsync({ uuid: row.uuid, enforce });
        gone();
      }}
      close={close}
    />
  );
}

/** The column that most is told in: name, what marks it, a word about it. */
export function nameColumn<Row extends Named>(title: string, told: (row: Row) => { marks?: ReactNode; about: string | null; whole?: string }): ListProps<Row>["columns"][number] {
  const render = (_: unknown, row: Row) => {
    const { marks, about, whole } = told(row);
    return (
      <div className="two-lines">
        <span className="row tight">
          <span className="strong clipped">{row.name}</span>
          {marks}
        </span>
        <span className="muted small clipped" title={whole ?? about ?? ""}>
          {about}
        </span>
      </div>
    );
  };
  return { title, key: "name", sorter: (a, b) => a.name.localeCompare(b.name), render };
}

/** Which origin is shown: all, those that come with the platform, one's own. */
export function useOrigin(): ["all" | "system" | "own", (value: string) => void] {
  const [origin, set] = useUrlText("origin", "all");
  return [origin === "system" || origin === "own" ? origin : "all", set];
}

/** Names and values of a drawer; what is empty is left out. */
export function Facts({ facts }: { facts: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="detail">
      {facts.map(
        ([name, value]) =>
          value !== null && value !== undefined && value !== "" && (
            <div key={name} style={{ display: "contents" }}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ),
      )}
    </dl>
  );
}
