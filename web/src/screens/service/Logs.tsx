/** The log: its end followed, searched, of one replica or all, of this run or an earlier one. */

import { ArrowDownOutlined, ArrowUpOutlined, DownloadOutlined } from "@ant-design/icons";
import { Button, Checkbox, Select, Skeleton } from "antd";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { useServiceInstances } from "@/api/queries";
import { Empty, Failure, LogView, PageFilter, plain, useMatches, useRested, useUrl } from "@/parts";
import { type Attempt, useAttempts } from "./asked";
import { useTail } from "./tail";

const NONE: readonly string[] = [];

export function Logs({ name }: { name: string }) {
  const [search] = useUrl();
  const [instance = "", number = ""] = (search["attempt"] ?? "").split("#");
  return (
    <div className="stack">
      {search["attempt"] ? <Past name={name} instance={instance} number={number} /> : <Present name={name} />}
    </div>
  );
}

function Present({ name }: { name: string }) {
  const { t } = useTranslation("service");
  const [search] = useUrl();
  const [follow, setFollow] = useState(true);
  const text = search["q"] ?? "";
  const keyword = useRested(search["only"] ? text : "", 400);
  const { held, error, filling, fill } = useTail(name, { instance: search["instance"] ?? "", keyword, previous: !!search["previous"] }, follow);
  const save = async () => {
    const all = await fill(true);
    if (all) download(`${name}.log`, all.lines);
  };
  return (
    <Shown
      name={name}
      lines={held?.lines}
      first={(held?.start ?? 0) + 1}
      follow={follow}
      onFollow={setFollow}
      save={() => void save()}
      saving={filling}
      error={error}
      more={
        held && held.start > 0 ? (
          <div className="row small muted">
            {t("logs.before", { count: held.start })}
            <Button size="small" disabled={filling} onClick={() => void fill(false)}>
              {t("logs.some")}
            </Button>
            <Button size="small" loading={filling} onClick={() => void fill(true)}>
              {t("logs.all")}
            </Button>
          </div>
        ) : null
      }
    />
  );
}

/** A run that ended: its last lines, as they were kept. */
function Past({ name, instance, number }: { name: string; instance: string; number: string }) {
  const { t } = useTranslation("service");
  const { data, error } = useAttempts(name, { InstanceName: instance, Attempt: number, Lines: 1_000 });
  const found = data?.Attempts.Attempt[0];
  const lines = found?.Lines.Line ?? (data ? NONE : undefined);
  return (
    <Shown
      name={name}
      lines={lines}
      first={1}
      save={() => lines && download(`${name}-${instance}-${number}.log`, lines)}
      error={error}
      more={found?.Message ? <p className="small past"><strong>{found.Reason}</strong> {found.Message}</p> : <span className="muted small">{t("logs.kept")}</span>}
    />
  );
}

interface ShownProps {
  name: string;
  lines: readonly string[] | undefined;
  first: number;
  follow?: boolean;
  onFollow?: (follow: boolean) => void;
  save: () => void;
  saving?: boolean;
  error: unknown;
  more: React.ReactNode;
}

function Shown({ name, lines, first, follow, onFollow, save, saving = false, error, more }: ShownProps) {
  const { t } = useTranslation("service");
  const [search, put] = useUrl();
  const text = search["q"] ?? "";
  const wrap = search["wrap"] === "1";
  const matches = useMatches(lines ?? NONE, text);
  const [cursor, setCursor] = useState(0);
  useEffect(() => setCursor(0), [text]);
  const at = text && !follow && matches.length ? matches[Math.min(cursor, matches.length - 1)] : undefined;
  const step = (by: number) => {
    if (!matches.length) return;
    onFollow?.(false);
    setCursor((before) => (follow ? (by > 0 ? 0 : matches.length - 1) : (before + by + matches.length) % matches.length));
  };
  return (
    <>
      <div className="row logs-bar" onKeyDown={(event) => event.key === "Enter" && (event.target as Element).tagName === "INPUT" && step(event.shiftKey ? -1 : 1)}>
        <PageFilter label={t("logs.search")} />
        <span className="muted nowrap" role="status">
          {text && (matches.length ? t("logs.match", { at: at === undefined ? "–" : cursor + 1, count: matches.length }) : t("logs.noMatch"))}
        </span>
        <Button size="small" icon={<ArrowUpOutlined aria-hidden />} aria-label={t("logs.previousMatch")} title={t("logs.previousMatch")} disabled={!matches.length} onClick={() => step(-1)} />
        <Button size="small" icon={<ArrowDownOutlined aria-hidden />} aria-label={t("logs.nextMatch")} title={t("logs.nextMatch")} disabled={!matches.length} onClick={() => step(1)} />
        <Which name={name} />
        <span className="spread" />
        {onFollow && (
          <>
            <Checkbox checked={!!search["only"]} onChange={(event) => put({ only: event.target.checked ? "1" : undefined })}>
              {t("logs.only")}
            </Checkbox>
            <Checkbox checked={!!follow} onChange={(event) => onFollow(event.target.checked)}>
              {t("logs.follow")}
            </Checkbox>
          </>
        )}
        <Checkbox checked={wrap} onChange={(event) => put({ wrap: event.target.checked ? "1" : undefined })}>
          {t("logs.wrap")}
        </Checkbox>
      </div>
      {error !== undefined && error !== null && <Failure error={error} />}
      <div className="row">
        {more}
        <span className="spread" />
        <Button size="small" icon={<DownloadOutlined aria-hidden />} loading={saving} disabled={!lines?.length} onClick={save}>
          {t("logs.download")}
        </Button>
      </div>
      {!lines ? (
        !error && <Skeleton active paragraph={{ rows: 10 }} title={false} />
      ) : !lines.length ? (
        <Empty title={t("logs.none")} about={t("logs.noneAbout")} />
      ) : (
        <LogView
          lines={lines}
          label={t("logs.label", { name })}
          wrap={wrap}
          search={text}
          first={first}
          height="calc(100vh - 330px)"
          {...(at === undefined ? {} : { at })}
          {...(onFollow ? { follow: !!follow, onFollow } : {})}
        />
      )}
    </>
  );
}

/** Of which replica, and of which of its runs. */
function Which({ name }: { name: string }) {
  const { t } = useTranslation("service");
  const [search, put] = useUrl();
  const { data: instances } = useServiceInstances(name);
  const { data: past } = useAttempts(name);
  const live = (instances?.Instances ?? []).map((one) => one.InstanceName);
  const ended = (past?.Attempts.Attempt ?? []).filter((one) => one.EndDate).toReversed();
  const value = search["attempt"] ? `attempt:${search["attempt"]}` : search["previous"] ? "previous" : search["instance"] ? `instance:${search["instance"]}` : "all";
  return (
    <Select
      aria-label={t("logs.which")}
      style={{ minWidth: 210 }}
      popupMatchSelectWidth={false}
      value={value}
      onChange={(next: string) => {
        const [kind, ...rest] = next.split(":");
        const told = rest.join(":");
        put({
          instance: kind === "instance" ? told : undefined,
          attempt: kind === "attempt" ? told : undefined,
          previous: kind === "previous" ? "1" : undefined,
        });
      }}
      options={[
        { value: "all", label: t("logs.every") },
        ...live.map((instance) => ({ value: `instance:${instance}`, label: instance })),
        { value: "previous", label: t("logs.previous") },
        ...(ended.length
          ? [{ label: t("logs.ended"), options: ended.map((one) => ({ value: `attempt:${one.InstanceName}#${one.Number}`, label: <Run attempt={one} /> })) }]
          : []),
      ]}
    />
  );
}

function Run({ attempt }: { attempt: Attempt }) {
  const { t } = useTranslation("service");
  const end = attempt.Signal ? t("why.signal", { signal: attempt.Signal }) : attempt.ExitCode === undefined ? attempt.Reason : t("why.exit", { code: attempt.ExitCode });
  return (
    <>
      {attempt.InstanceName} #{attempt.Number} <span className="muted">{end}</span>
    </>
  );
}

function download(file: string, lines: readonly string[]): void {
  const url = URL.createObjectURL(new Blob([lines.map(plain).join("\n"), "\n"], { type: "text/plain" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1_000);
}
