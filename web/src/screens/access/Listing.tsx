/** The list of a tab: a filter, one way to make more, rows that open. */

import { PlusOutlined } from "@ant-design/icons";
import type { UseQueryResult } from "@tanstack/react-query";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { useKey } from "@/app/keys";
import { DataTable, type DataTableProps, Empty, Failure, Guarded, PageFilter, useUrl } from "@/parts";

export function Listing<Row extends object>({
  word,
  found,
  columns,
  rowKey,
  textOf,
  open,
  create,
  beside,
  usualOrder = "name",
  scrollX = 760,
}: {
  /** The texts' part: users, groups. */
  word: string;
  found: UseQueryResult<Row[]>;
  columns: DataTableProps<Row>["columns"];
  rowKey: (row: Row) => string;
  /** What the filter looks at. */
  textOf: (row: Row) => string;
  open?: (row: Row) => void;
  create: { action: string; run: () => void };
  /** More filters. */
  beside?: ReactNode;
  usualOrder?: string;
  /** Below this width it scrolls, pixels. */
  scrollX?: number;
}) {
  const { t } = useTranslation("access");
  const [search, put] = useUrl();
  const words = (search["q"] ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const { data, error, refetch } = found;
  const rows = data?.filter((row) => words.every((each) => textOf(row).toLowerCase().includes(each)));
  useKey("c", create.run);
  if (error) return <Failure error={error} retry={() => void refetch()} />;
  const button = (
    <Guarded type="primary" icon={<PlusOutlined aria-hidden />} action={create.action} onClick={create.run}>
      {t(`${word}.create`)}
    </Guarded>
  );
  return (
    <>
      <div className="row access-bar">
        <div className="row" role="search" aria-label={t("filter")} style={{ flex: 1 }}>
          <PageFilter label={t("filter")} />
          {beside}
        </div>
        {button}
      </div>
      <DataTable
        label={t(`${word}.title`)}
        rows={rows}
        columns={columns}
        rowKey={rowKey}
        usualOrder={usualOrder}
        scrollX={scrollX}
        {...(open ? { onOpen: open } : {})}
        empty={
          data?.length ? (
            <Empty title={t("nothing")} action={<a href="#all" onClick={(event) => (event.preventDefault(), put({ q: undefined, type: undefined }))}>{t("showAll")}</a>} />
          ) : (
            <Empty title={t(`${word}.empty`)} about={t(`${word}.emptyAbout`)} action={button} />
          )
        }
      />
    </>
  );
}

/** Order by a text of the row. */
export const by =
  <Row,>(of: (row: Row) => string | number) =>
  (left: Row, right: Row) => {
    const [a, b] = [of(left), of(right)];
    return typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b));
  };
