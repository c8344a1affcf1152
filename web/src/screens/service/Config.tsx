/** Versions, the difference between two of them, the way back; labels. */

import { Button, Segmented, Select, Skeleton, Tag } from "antd";
import { useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useArn } from "@/api/queries";
import type { Service } from "@/api/types";
import { Ago, Confirm, CopyButton, DataTable, Dialog, Empty, Failure, Guarded, JsonEditor, parsed, useDeed, useUrl } from "@/parts";
import { useChange, useVersions, type Version } from "./asked";
import { compared, linesOf } from "./diff";
import { Difference } from "./Difference";
import { Labels } from "./Labels";

export function Config({ name, service }: { name: string; service: Service }) {
  const { t } = useTranslation("service");
  const { data, error, refetch } = useVersions(name);
  const [editing, setEditing] = useState(false);
  const arn = useArn()("service", name);
  if (error) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton active paragraph={{ rows: 8 }} title={false} />;
  return (
    <div className="stack">
      <section className="panel" aria-label={t("config.versions")}>
        <div className="row section-head">
          <h2>{t("config.versions")}</h2>
          <span className="spread" />
          <Guarded size="small" action="eas:UpdateService" resource={arn} onClick={() => setEditing(true)}>
            {t("config.edit")}
          </Guarded>
        </div>
        <Versions name={name} versions={data.Versions} current={service.CurrentVersion} />
      </section>
      <Compare versions={data.Versions} current={service.CurrentVersion} />
      <Labels name={name} />
      {editing && <Edit name={name} config={service.ServiceConfig} close={() => setEditing(false)} />}
    </div>
  );
}

function Versions({ name, versions, current }: { name: string; versions: Version[]; current: number }) {
  const { t } = useTranslation("service");
  const [back, setBack] = useState<Version>();
  const [, put] = useUrl();
  const { part } = useChange(name);
  const arn = useArn()("service", name);
  return (
    <>
      <DataTable<Version>
        label={t("config.versions")}
        rows={versions}
        rowKey={(one) => String(one.ImageId)}
        page={8}
        prefix="version."
        scrollX={680}
        empty={<Empty title={t("config.none")} />}
        columns={[
          {
            title: t("config.version"),
            key: "version",
            width: 130,
            render: (_, one) => (
              <span className="row tight">
                <strong>{one.ImageId}</strong>
                {one.ImageId === current && <Tag>{t("config.current")}</Tag>}
              </span>
            ),
          },
          { title: t("config.made"), key: "made", width: 140, render: (_, one) => <Ago at={one.BuildTime} /> },
          { title: t("config.message"), key: "message", render: (_, one) => <span className="wrapped">{one.Message}</span> },
          {
            title: <span className="hidden-text">{t("replicas.actions")}</span>,
            key: "actions",
            width: 230,
            align: "end",
            render: (_, one) =>
              one.ImageId === current ? null : (
                <div className="row end">
                  <Button size="small" aria-label={t("config.compareOne", { version: one.ImageId })} onClick={() => put({ a: String(one.ImageId), b: String(current) })}>
                    {t("config.compare")}
                  </Button>
                  <Guarded
                    size="small"
                    action="eas:UpdateServiceVersion"
                    resource={arn}
                    off={one.ServiceRunnable === "false" ? t("config.notRunnable") : undefined}
                    aria-label={t("config.rollbackOne", { version: one.ImageId })}
                    onClick={() => setBack(one)}
                  >
                    {t("config.rollback")}
                  </Guarded>
                </div>
              ),
          },
        ]}
      />
      {back && (
        <Confirm
          title={t("config.rollbackTitle", { version: back.ImageId })}
          object={name}
          about={t("config.rollbackAbout", { version: back.ImageId, current })}
          action={t("config.rollback")}
          run={() => part("PUT", "version", { Version: back.ImageId })}
          close={() => setBack(undefined)}
        />
      )}
    </>
  );
}

function Compare({ versions, current }: { versions: Version[]; current: number }) {
  const { t } = useTranslation("service");
  const [search, put] = useUrl();
  const known = versions.map((one) => one.ImageId);
  const chosen = (text: string | undefined, usual: number) => (known.includes(Number(text)) ? Number(text) : usual);
  const right = chosen(search["b"], current);
  const left = chosen(search["a"], known.find((one) => one !== right) ?? right);
  const of = (version: number) => versions.find((one) => one.ImageId === version)?.ServiceConfig ?? "";
  const pairs = useMemo(() => compared(linesOf(of(left)), linesOf(of(right))), [versions, left, right]);
  const changes = pairs.filter(({ kind }) => kind !== "same").length;
  const unified = search["diff"] === "unified";
  const pick = (key: "a" | "b", value: number) => (
    <Select
      size="small"
      aria-label={t(`config.${key}`)}
      style={{ minWidth: 120 }}
      value={value}
      onChange={(version: number) => put({ [key]: String(version) })}
      options={known.map((version) => ({ value: version, label: t("config.numbered", { version }) + (version === current ? ` · ${t("config.current")}` : "") }))}
    />
  );
  return (
    <section className="panel" aria-label={t("config.document")}>
      <div className="row section-head">
        <h2>{t("config.document")}</h2>
        {known.length > 1 && (
          <>
            {pick("a", left)}
            <span aria-hidden>→</span>
            {pick("b", right)}
            <span className="muted" role="status">
              {t("config.changes", { count: changes })}
            </span>
          </>
        )}
        <span className="spread" />
        {known.length > 1 && (
          <Segmented
            size="small"
            aria-label={t("config.view")}
            value={unified ? "unified" : "split"}
            onChange={(value) => put({ diff: value === "split" ? undefined : value })}
            options={["split", "unified"].map((value) => ({ value, label: t(`config.${value}`) }))}
          />
        )}
        <CopyButton text={linesOf(of(right)).join("\n")} what={t("config.document")} />
      </div>
      <Difference pairs={pairs} unified={unified || known.length < 2} left={t("config.numbered", { version: left })} right={t("config.numbered", { version: right })} />
    </section>
  );
}

/** Another service JSON in the place of this one: it becomes a new version. */
function Edit({ name, config, close }: { name: string; config: string; close: () => void }) {
  const { t } = useTranslation("service");
  const [text, setText] = useState(() => linesOf(config).join("\n"));
  const deed = useDeed();
  const { part } = useChange(name);
  const read = parsed(text);
  const send = () => void deed.go(() => part("PUT", "", read.value, { UpdateType: "replace" }), close);
  return (
    <Dialog kept width={760} title={t("config.editTitle", { name })} action={t("config.save")} off={!!read.error} deed={deed} send={send} close={close}>
      <span className="muted">{t("config.editAbout")}</span>
      <JsonEditor label={t("config.document")} value={text} onChange={setText} error={read.error} height={380} />
    </Dialog>
  );
}
