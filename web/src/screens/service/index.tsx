/** One service: its state and what can be done with it, and a tab for each of its sides. */

import { useParams } from "@tanstack/react-router";
import { Skeleton, Tabs } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "@/api/call";
import { useExists, useService, useServiceRow } from "@/api/queries";
import type { Service as Told, ServiceRow } from "@/api/types";
import { Empty, Failure, LinkButton, PageHeader, StatusTag, useUrl } from "@/parts";
import { Access } from "./Access";
import { Actions } from "./Actions";
import { Config } from "./Config";
import { Events } from "./Events";
import { Logs } from "./Logs";
import { Metrics } from "./Metrics";
import { Overview } from "./Overview";
import { Replicas } from "./Replicas";
import { Scaling } from "./Scaling";
import "./service.css";

const TABS = ["overview", "replicas", "logs", "events", "metrics", "config", "scaling", "access"] as const;
type Tab = (typeof TABS)[number];

export default function Service() {
  const { t } = useTranslation("service");
  const { name = "" } = useParams({ strict: false });
  const row = useServiceRow(name);
  const [seen, setSeen] = useState("");
  if (row && seen !== name) setSeen(name);
  const exists = useExists(name, seen === name);
  const { data: service, error, refetch } = useService(name, exists === true);
  const missing = error instanceof ApiError && error.status === 404;
  // The live row tells first that it is gone; then what was read before is history.
  if (exists === false || (missing && !row)) return <Gone name={name} />;
  return (
    <>
      <PageHeader
        title={name}
        beside={row && <State row={row} />}
        about={service ? [service.AppSpecName || service.Image, row?.Workspace, service.ServiceGroup].filter(Boolean).join(" · ") : t("about")}
        actions={<Actions name={name} service={service} row={row} />}
      />
      {error ? (
        <Failure error={error} retry={() => void refetch()} />
      ) : service ? (
        <Sides name={name} service={service} row={row} />
      ) : (
        <Skeleton active paragraph={{ rows: 8 }} />
      )}
    </>
  );
}

function State({ row }: { row: ServiceRow }) {
  const { t } = useTranslation("service");
  const asleep = row.Status === "Running" && row.Wanted === 0;
  return (
    <span className="row" role="status">
      <StatusTag status={asleep ? "ScaledToZero" : row.Status} />
      <span className="muted">{t("replicaCount", { ready: row.Ready, wanted: row.Wanted })}</span>
    </span>
  );
}

function Gone({ name }: { name: string }) {
  const { t } = useTranslation("service");
  return (
    <>
      <PageHeader title={name} />
      <Empty
        title={t("gone.title")}
        about={t("gone.about", { name })}
        action={
          <LinkButton type="primary" to="/services">
            {t("gone.list")}
          </LinkButton>
        }
      />
    </>
  );
}

function Sides({ name, service, row }: { name: string; service: Told; row: ServiceRow | undefined }) {
  const { t } = useTranslation("service");
  const [search, put] = useUrl();
  const tab = TABS.includes(search["tab"] as Tab) ? (search["tab"] as Tab) : "overview";
  // What another tab kept in the URL means nothing in this one.
  const go = (next: string) =>
    put({ ...Object.fromEntries(Object.keys(search).map((key) => [key, undefined])), tab: next === "overview" ? undefined : next });
  const shown: Record<Tab, React.ReactNode> = {
    overview: <Overview name={name} service={service} row={row} />,
    replicas: <Replicas name={name} />,
    logs: <Logs name={name} />,
    events: <Events name={name} />,
    metrics: <Metrics name={name} />,
    config: <Config name={name} service={service} />,
    scaling: <Scaling name={name} row={row} />,
    access: <Access name={name} />,
  };
  return (
    <Tabs
      className="sides"
      activeKey={tab}
      onChange={go}
      destroyOnHidden
      items={TABS.map((key) => ({ key, label: t(`tabs.${key}`), children: key === tab ? shown[key] : null }))}
    />
  );
}
