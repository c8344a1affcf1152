/** A table: sticky head, rows by keyboard, density, order and page in the URL. */

import { Skeleton, Table, type TableProps } from "antd";
import { type Key, type ReactNode, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useKey } from "@/app/keys";
import { usePreferences } from "@/app/preferences";
import { useUrl } from "./url";

type Columns<Row> = NonNullable<TableProps<Row>["columns"]>;

export interface DataTableProps<Row extends object> {
  /** Names the table to those who do not see it. */
  label: string;
  rows: readonly Row[] | undefined;
  /** A column with a `sorter` needs a `key`: it is in the URL. */
  columns: Columns<Row>;
  rowKey: (row: Row) => string;
  /** Open a row: Enter, or a click on it. */
  onOpen?: (row: Row) => void;
  /** Shown instead of no rows. */
  empty: ReactNode;
  chosen?: readonly Key[];
  onChoose?: (keys: Key[], rows: Row[]) => void;
  /** Rows on a page. */
  page?: number;
  /** Set if another table of the page keeps its order in the URL, too. */
  prefix?: string;
  /** Order where the URL has none: a column's key, with `-` before it for the other way. */
  usualOrder?: string;
  expandable?: TableProps<Row>["expandable"];
  scrollX?: number;
}

const INTERACTIVE = "a, button, input, label, [role=menuitem], .ant-dropdown, .ant-checkbox-wrapper";

export function DataTable<Row extends object>(props: DataTableProps<Row>) {
  const { rows, rowKey, onOpen, onChoose, chosen, empty, label, prefix = "", page: pageSize = 50 } = props;
  const { t } = useTranslation();
  const { density } = usePreferences();
  const [search, put] = useUrl();
  const order = search[`${prefix}order`] ?? props.usualOrder ?? "";
  const page = Math.max(1, Number(search[`${prefix}page`]) || 1);
  const { frame, at, setAt } = useRowKeys();
  if (!rows) return <Skeleton active paragraph={{ rows: 5 }} title={false} aria-label={label} />;
  if (!rows.length) return <>{empty}</>;
  const selection = onChoose && { selectedRowKeys: [...(chosen ?? [])], onChange: onChoose };
  return (
    <div ref={frame} role="region" aria-label={label}>
      <Table<Row>
        size={density === "dense" ? "small" : "middle"}
        dataSource={rows as Row[]}
        columns={ordered(props.columns, order)}
        rowKey={rowKey}
        sticky={{ offsetHeader: 48 }}
        scroll={props.scrollX ? { x: props.scrollX } : {}}
        showSorterTooltip={false}
        {...(selection ? { rowSelection: selection } : {})}
        {...(props.expandable ? { expandable: props.expandable } : {})}
        pagination={
          rows.length > pageSize && { current: page, pageSize, showSizeChanger: false, showTotal: (count) => t("total", { count }) }
        }
        rowClassName={(row) => `${onOpen ? "opens" : ""} ${rowKey(row) === at ? "at" : ""}`}
        onRow={(row, index) => ({
          // One row takes the focus by Tab: what scrolls must be reached by keyboard.
          tabIndex: (at ? rowKey(row) === at : index === 0) ? 0 : -1,
          onFocus: (event) => event.target === event.currentTarget && setAt(rowKey(row)),
          onClick: (event) => {
            if (!(event.target as Element).closest(INTERACTIVE)) onOpen?.(row);
          },
          onKeyDown: (event) => {
            if (event.key === "Enter" && event.target === event.currentTarget) onOpen?.(row);
          },
        })}
        onChange={(pages, _filters, sorter, { action }) => {
          const { columnKey, order: way } = Array.isArray(sorter) ? sorter[0]! : sorter;
          const next = way ? `${way === "descend" ? "-" : ""}${String(columnKey)}` : undefined;
          if (action === "sort") put({ [`${prefix}order`]: next, [`${prefix}page`]: undefined });
          else put({ [`${prefix}page`]: pages.current === 1 ? undefined : String(pages.current) });
        }}
      />
    </div>
  );
}

function ordered<Row>(columns: Columns<Row>, order: string): Columns<Row> {
  const [key, way] = order.startsWith("-") ? [order.slice(1), "descend" as const] : [order, "ascend" as const];
  return columns.map((column) =>
    "sorter" in column && column.sorter ? { ...column, sortOrder: column.key === key ? way : null } : column,
  );
}

/** j and k move through the rows that are shown. */
function useRowKeys() {
  const frame = useRef<HTMLDivElement>(null);
  const [at, setAt] = useState("");
  const move = (step: number) => {
    const rows = [...(frame.current?.querySelectorAll<HTMLElement>("tr[data-row-key]") ?? [])];
    if (!rows.length) return false;
    const now = rows.findIndex((row) => row.dataset["rowKey"] === at);
    const next = rows[now < 0 ? (step > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, now + step))]!;
    setAt(next.dataset["rowKey"] ?? "");
    return true;
  };
  // The hidden row that the widget measures columns by repeats the head's checkbox and sorters.
  useEffect(() => frame.current?.querySelectorAll(".ant-table-measure-row").forEach((row) => row.setAttribute("inert", "")));
  useKey("j", () => move(1));
  useKey("k", () => move(-1));
  useEffect(() => {
    const row = at && frame.current?.querySelector<HTMLElement>(`tr[data-row-key="${CSS.escape(at)}"]`);
    if (!row || row.contains(document.activeElement)) return;
    row.focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
  }, [at]);
  return { frame, at, setAt };
}
