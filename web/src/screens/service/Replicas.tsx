/** Its replicas, each with its state; one can be replaced or its process restarted. */

import { Tag } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useArn, useServiceInstances } from "@/api/queries";
import type { Instance } from "@/api/types";
import { Ago, Confirm, Copyable, DataTable, Empty, Failure, Guarded, StatusTag, useUrl } from "@/parts";
import { useChange } from "./asked";

const stateOf = (one: Instance) => one.Status ?? one.InstanceStatus ?? "";

export function Replicas({ name }: { name: string }) {
  const { t } = useTranslation(["service", "common"]);
  const { data, error, refetch } = useServiceInstances(name);
  const [, put] = useUrl();
  const arn = useArn()("service", name);
  const [asked, setAsked] = useState<{ instance: string; soft: boolean }>();
  const { part } = useChange(name);
  if (error) return <Failure error={error} retry={() => void refetch()} />;
  const ask = (instance: string, soft: boolean) => setAsked({ instance, soft });
  return (
    <>
      <DataTable<Instance>
        label={t("tabs.replicas")}
        rows={data?.Instances}
        rowKey={(one) => one.InstanceName}
        prefix="replica."
        scrollX={860}
        onOpen={(one) => put({ tab: "logs", instance: one.InstanceName })}
        empty={<Empty title={t("replicas.none")} about={t("replicas.noneAbout")} />}
        columns={[
          {
            title: t("common:name"),
            key: "name",
            render: (_, one) => <Copyable text={one.InstanceName} />,
          },
          {
            title: t("common:state"),
            key: "state",
            render: (_, one) => (
              <div className="two-lines">
                <StatusTag status={stateOf(one)} />
                {one.Reason && <span className="muted small">{one.Reason}</span>}
                {one["Isolated"] === true && <Tag>{t("replicas.isolated")}</Tag>}
              </div>
            ),
          },
          {
            title: t("replicas.address"),
            key: "address",
            render: (_, one) => (
              <div className="two-lines mono">
                <span>{one.InstancePort ? `${one.InnerIP}:${one.InstancePort}` : "–"}</span>
                <span className="muted">{one.HostName}</span>
              </div>
            ),
          },
          { title: t("replicas.restarts"), key: "restarts", align: "end", width: 100, render: (_, one) => one.RestartCount ?? 0 },
          { title: t("replicas.started"), key: "started", width: 140, render: (_, one) => <Ago at={one.StartTime} /> },
          {
            title: <span className="hidden-text">{t("replicas.actions")}</span>,
            key: "actions",
            align: "end",
            width: 260,
            render: (_, one) => (
              <div className="row end">
                <Guarded size="small" action="eas:DeleteServiceInstances" resource={arn} aria-label={t("replicas.restartOne", { name: one.InstanceName })} onClick={() => ask(one.InstanceName, true)}>
                  {t("replicas.restart")}
                </Guarded>
                <Guarded size="small" danger action="eas:DeleteServiceInstances" resource={arn} aria-label={t("replicas.replaceOne", { name: one.InstanceName })} onClick={() => ask(one.InstanceName, false)}>
                  {t("replicas.replace")}
                </Guarded>
              </div>
            ),
          },
        ]}
      />
      {asked && (
        <Confirm
          title={t(asked.soft ? "replicas.restartTitle" : "replicas.replaceTitle")}
          object={asked.instance}
          about={t(asked.soft ? "replicas.restartAbout" : "replicas.replaceAbout")}
          action={t(asked.soft ? "replicas.restart" : "replicas.replace")}
          danger={!asked.soft}
          run={() => part("DELETE", "instances", undefined, { InstanceList: asked.instance, ...(asked.soft ? { SoftRestart: true } : {}) })}
          close={() => setAsked(undefined)}
        />
      )}
    </>
  );
}
