/** What happened and why, newest first. */

import { Pagination, Segmented } from "antd";
import { useTranslation } from "react-i18next";
import { useServiceEvents } from "@/api/queries";
import type { ServiceEvent } from "@/api/types";
import { DataTable, Empty, Failure, StatusTag, useUrl, When } from "@/parts";

const SIZE = 50;

export function Events({ name }: { name: string }) {
  const { t } = useTranslation("service");
  const [search, put] = useUrl();
  const page = Math.max(1, Number(search["page"]) || 1);
  const type = search["type"] === "Warning" || search["type"] === "Normal" ? search["type"] : undefined;
  const { data, error, refetch } = useServiceEvents(name, { PageNum: page, PageSize: SIZE, ...(type ? { EventType: type } : {}) });
  const rows = data?.Events.map((event, at) => ({ ...event, at }));
  return (
    <div className="stack">
      <div className="row">
        <Segmented
          aria-label={t("events.kind")}
          value={type ?? "all"}
          onChange={(value) => put({ type: value === "all" ? undefined : value, page: undefined })}
          options={["all", "Warning", "Normal"].map((value) => ({ value, label: t(`events.kinds.${value}`) }))}
        />
        <span className="muted">{data && t("events.count", { count: data.TotalCount })}</span>
      </div>
      {error ? (
        <Failure error={error} retry={() => void refetch()} />
      ) : (
        <DataTable<ServiceEvent & { at: number }>
          label={t("tabs.events")}
          rows={rows}
          rowKey={(event) => `${event.Time} ${event.at}`}
          page={SIZE + 1}
          prefix="event."
          scrollX={760}
          empty={<Empty title={t("events.none")} about={t("events.noneAbout")} />}
          columns={[
            { title: t("events.time"), key: "time", width: 220, render: (_, event) => <When at={event.Time} /> },
            { title: t("events.reason"), key: "reason", width: 210, render: (_, event) => <StatusTag status={event.Reason} word={event.Reason} kind={event.Type === "Warning" ? "warn" : "ok"} /> },
            { title: t("events.message"), key: "message", render: (_, event) => <span className="wrapped">{event.Message}</span> },
          ]}
        />
      )}
      {data && data.TotalCount > SIZE && (
        <Pagination align="end" current={page} pageSize={SIZE} total={data.TotalCount} showSizeChanger={false} onChange={(next) => put({ page: next === 1 ? undefined : String(next) })} />
      )}
    </div>
  );
}
