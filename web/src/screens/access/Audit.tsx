/** The audit trail: who did what, and what came of it. Newest first. */

import { DownloadOutlined } from "@ant-design/icons";
import { useQuery } from "@tanstack/react-query";
import { Button, Input, Select } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { toList } from "@/api/allowed";
import { roa, type Values } from "@/api/call";
import { Ago, CodeBlock, Copyable, DataTable, Empty, Failure, Guarded, StatusTag, useUrl, When } from "@/parts";
import { useArn } from "@/api/queries";
import { Facts } from "./Section";

interface Entry {
  Number: number;
  Time: number;
  Actor: string;
  ActorArn: string;
  Door: string;
  Action: string;
  Resource: string;
  Outcome: "Success" | "Denied" | "Failed";
  Code: string;
  RequestId: string;
  SourceIp: string;
  UserAgent: string;
  Detail: Record<string, unknown>;
  Digest: string;
}

interface Page {
  Entries: Entry[];
  Next: number;
}

const SIZE = 50;
const EXPORTED = 1000;
const MOST = 20_000;
const KINDS = { Success: "ok", Denied: "bad", Failed: "warn" } as const;
const HOURS = { "1h": 1, "24h": 24, "7d": 168, "30d": 720 } as const;
const FILTERS = ["actor", "action", "resource"] as const;

/** What has no `*` of its own is looked for anywhere within. */
const within = (text: string | undefined): string | undefined => (!text ? undefined : text.includes("*") ? text : `*${text}*`);

function question(search: Record<string, string | undefined>, now: number): Values {
  const hours = HOURS[search["span"] as keyof typeof HOURS];
  return {
    Actor: within(search["actor"]),
    Action: within(search["action"]),
    Resource: within(search["resource"]),
    Outcome: search["outcome"],
    Door: search["door"],
    // A minute's step: the question stays the same while the page is looked at.
    Since: hours ? Math.floor(now / 60_000) * 60 - hours * 3600 : undefined,
  };
}

const RIGHT = toList("pierhead:ListAuditEntries");

export function Audit() {
  const { t } = useTranslation(["access", "common"]);
  const [search, put] = useUrl();
  const [since] = useState(() => Date.now());
  const asked = question(search, since);
  const before = search["before"];
  const { data, error, refetch } = useQuery({
    queryKey: ["access", "audit", asked, before],
    queryFn: ({ signal }) => roa<Page>("GET", "/audit", { query: { ...asked, Limit: SIZE, Before: before }, signal, right: RIGHT }),
    refetchInterval: before ? false : 15_000,
  });
  return (
    <>
      <Filters asked={asked} />
      {error ? (
        <Failure error={error} retry={() => void refetch()} />
      ) : (
        <DataTable
          label={t("audit.title")}
          rows={data?.Entries}
          rowKey={(row) => String(row.Number)}
          page={SIZE}
          scrollX={980}
          empty={<Empty title={t("audit.empty")} about={t("audit.emptyAbout")} />}
          expandable={{ expandedRowRender: (row) => <Whole entry={row} />, expandRowByClick: true }}
          columns={[
            { title: t("audit.time"), key: "time", width: 130, render: (_, row) => <Ago at={row.Time} /> },
            { title: t("audit.actor"), key: "actor", width: 150, render: (_, row) => <span title={row.ActorArn}>{row.Actor || "–"}</span> },
            { title: t("audit.action"), key: "action", width: 250, render: (_, row) => <Action name={row.Action} /> },
            { title: t("audit.resource"), key: "resource", ellipsis: true, render: (_, row) => <span className="mono" title={row.Resource}>{short(row.Resource) || "–"}</span> },
            {
              title: t("audit.outcome"),
              key: "outcome",
              width: 160,
              render: (_, row) => (
                <span className="access">
                  <StatusTag status={row.Outcome} kind={KINDS[row.Outcome]} word={t(`audit.${row.Outcome}`, { defaultValue: row.Outcome })} />
                  {row.Outcome !== "Success" && <span className="muted block">{row.Code}</span>}
                </span>
              ),
            },
            {
              title: t("audit.source"),
              key: "source",
              width: 130,
              render: (_, row) => (
                <span className="access">
                  {row.SourceIp || "–"}
                  <span className="muted block">{row.Door}</span>
                </span>
              ),
            },
          ]}
        />
      )}
      <div className="row" style={{ justifyContent: "flex-end", marginTop: 10 }}>
        {before && <Button onClick={() => put({ before: undefined })}>{t("audit.newest")}</Button>}
        {!!data?.Next && <Button onClick={() => put({ before: String(data.Next) })}>{t("audit.older")}</Button>}
      </div>
    </>
  );
}

/** What was done, and whose operation it is in small. */
function Action({ name }: { name: string }) {
  const [product = "", ...rest] = name.split(":");
  return (
    <span className="access" title={name}>
      {rest.join(":") || product}
      {rest.length > 0 && <span className="muted block">{product}</span>}
    </span>
  );
}

/** Without the account, which is everybody's. */
const short = (arn: string): string => arn.replace(/^acs:([^:]*):[^:]*:[^:]*:/, "$1: ");

function Filters({ asked }: { asked: Values }) {
  const { t } = useTranslation(["access", "common"]);
  const arn = useArn();
  const [search, put] = useUrl();
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<unknown>();
  const set = (name: string, value: string | undefined) => put({ [name]: value || undefined, before: undefined });
  const run = async () => {
    setBusy(true);
    setFailed(undefined);
    await exported(asked).catch(setFailed);
    setBusy(false);
  };
  return (
    <>
      <div className="row access-bar" role="search" aria-label={t("filter")}>
        <div className="row" style={{ flex: 1 }}>
          {FILTERS.map((name, index) => (
            <Search key={name} name={name} first={index === 0} value={search[name] ?? ""} set={(value) => set(name, value)} />
          ))}
          <Select
            aria-label={t("audit.outcome")}
            style={{ width: 130 }}
            value={search["outcome"] ?? ""}
            onChange={(value: string) => set("outcome", value)}
            options={[{ value: "", label: t("audit.anyOutcome") }, ...Object.keys(KINDS).map((value) => ({ value, label: t(`audit.${value}`) }))]}
          />
          <Select
            aria-label={t("audit.span")}
            style={{ width: 140 }}
            value={search["span"] ?? ""}
            onChange={(value: string) => set("span", value)}
            options={[{ value: "", label: t("audit.anyTime") }, ...Object.keys(HOURS).map((value) => ({ value, label: t(`audit.${value}`) }))]}
          />
        </div>
        <Guarded icon={<DownloadOutlined aria-hidden />} action="pierhead:ListAuditEntries" resource={arn("audit", "", "pierhead").replace(/\/$/, "")} loading={busy} onClick={() => void run()}>
          {t("audit.export")}
        </Guarded>
      </div>
      {failed !== undefined && <Failure error={failed} />}
    </>
  );
}

/** Asked when it is left or sent, not with every letter. */
function Search({ name, first, value, set }: { name: string; first: boolean; value: string; set: (value: string) => void }) {
  const { t } = useTranslation("access");
  return (
    <Input
      key={value}
      {...(first ? { "data-page-filter": true } : {})}
      aria-label={t(`audit.${name}`)}
      placeholder={t(`audit.${name}`)}
      defaultValue={value}
      style={{ width: 160 }}
      onPressEnter={(event) => set(event.currentTarget.value.trim())}
      onBlur={(event) => event.currentTarget.value.trim() !== value && set(event.currentTarget.value.trim())}
    />
  );
}

function Whole({ entry }: { entry: Entry }) {
  const { t } = useTranslation("access");
  const detail = Object.keys(entry.Detail).length > 0;
  return (
    <div className="stack">
      <Facts
        facts={[
          [t("audit.number"), entry.Number],
          [t("audit.time"), <When key="at" at={entry.Time} />],
          ["ARN", <Copyable key="arn" text={entry.ActorArn} what="ARN" />],
          [t("audit.resource"), <Copyable key="resource" text={entry.Resource} what={t("audit.resource")} />],
          ["RequestId", <Copyable key="id" text={entry.RequestId} what="RequestId" />],
          [t("audit.agent"), entry.UserAgent],
          [t("audit.digest"), <span key="digest" className="mono">{entry.Digest}</span>],
        ]}
      />
      {detail && <CodeBlock wrap label={t("audit.detail")} code={JSON.stringify(entry.Detail, null, 2)} />}
    </div>
  );
}

/** All entries that pass the filters, a line each, as the CLI exports them; throws ApiError. */
async function exported(asked: Values): Promise<void> {
  const lines: string[] = [];
  let before: number | undefined;
  do {
    const page: Page = await roa<Page>("GET", "/audit", { query: { ...asked, Limit: EXPORTED, Before: before } });
    lines.push(...page.Entries.map((entry) => JSON.stringify(entry)));
    before = page.Next || undefined;
  } while (before && lines.length < MOST);
  const url = URL.createObjectURL(new Blob([`${lines.join("\n")}\n`], { type: "application/x-ndjson" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = "audit.jsonl";
  link.click();
  URL.revokeObjectURL(url);
}
