/** Quotas: what services may hold together. */

import { DeleteOutlined, EditOutlined } from "@ant-design/icons";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useArn } from "@/api/queries";
import { Confirm, FormDialog, type Given, Guarded } from "@/parts";
import { number, size } from "@/parts/format";
import { type Amounts, NATIVE, native, type Quota, useChange, useRows } from "./asking";
import { by, Listing } from "./Listing";

const KINDS = ["Cpu", "Memory", "Gpus", "Replicas"] as const;
const GIB = 1024 ** 3;

export function Quotas() {
  const { t } = useTranslation(["access", "common"]);
  const arn = useArn();
  const change = useChange();
  const [edited, setEdited] = useState<Quota | "new">();
  const [going, setGoing] = useState<Quota>();
  const found = useRows<Quota>("ListQuotas", "Quotas", {}, native);
  return (
    <>
      <Listing
        word="quotas"
        scrollX={1020}
        found={found}
        rowKey={(row) => row.QuotaId}
        textOf={(row) => `${row.QuotaId}\n${row.Workspaces.join(" ")}`}
        create={{ action: "pierhead:CreateQuota", run: () => setEdited("new") }}
        columns={[
          { title: "QuotaId", key: "name", sorter: by((row: Quota) => row.QuotaId), render: (_, row) => <strong className="mono">{row.QuotaId}</strong> },
          ...KINDS.map((kind) => ({
            title: t(`quotas.${kind}`),
            key: kind,
            width: 140,
            render: (_: unknown, row: Quota) => <Meter kind={kind} quota={row} />,
          })),
          { title: t("services"), key: "services", align: "end" as const, width: 90, dataIndex: "Services" },
          { title: t("workspaces.title"), key: "spaces", render: (_, row) => row.Workspaces.join(", ") || "–" },
          {
            title: <span className="hidden-text">{t("actions")}</span>,
            key: "actions",
            width: 90,
            render: (_, row) => (
              <span className="row" style={{ flexWrap: "nowrap" }}>
                <Guarded type="text" size="small" icon={<EditOutlined aria-hidden />} action="pierhead:UpdateQuota" resource={arn("quota", row.QuotaId, "pierhead")} aria-label={t("editOne", { name: row.QuotaId })} onClick={() => setEdited(row)} />
                <Guarded type="text" size="small" danger icon={<DeleteOutlined aria-hidden />} action="pierhead:DeleteQuota" resource={arn("quota", row.QuotaId, "pierhead")} aria-label={t("deleteOne", { name: row.QuotaId })} onClick={() => setGoing(row)} />
              </span>
            ),
          },
        ]}
      />
      {edited && <Edit of={edited} close={() => setEdited(undefined)} />}
      {going && (
        <Confirm
          danger
          title={t("quotas.delete")}
          object={going.QuotaId}
          about={t("quotas.deleteAbout", { count: going.Services })}
          action={t("common:delete")}
          run={() => change("DeleteQuota", { QuotaId: going.QuotaId }, NATIVE)}
          close={() => setGoing(undefined)}
        />
      )}
    </>
  );
}

/** Of so much, so much is used; where there is no limit, only what is used. */
function Meter({ kind, quota }: { kind: keyof Amounts; quota: Quota }) {
  const { t, i18n } = useTranslation("access");
  const tell = (value: number) => (kind === "Memory" ? size(value, i18n.language) : number(value, i18n.language, 2));
  const used = quota.Used[kind] ?? 0;
  const limit = quota.Limit[kind];
  if (limit === null || limit === undefined) {
    return (
      <span>
        {tell(used)} <span className="muted">/ {t("quotas.noLimit")}</span>
      </span>
    );
  }
  const part = limit ? Math.min(1, used / limit) : 1;
  return (
    <span>
      {tell(used)} / {tell(limit)}
      <span className="quota-bar" aria-hidden style={{ display: "block" }}>
        <i className={part >= 1 ? "full" : undefined} style={{ width: `${part * 100}%` }} />
      </span>
    </span>
  );
}

/** Bounds as the operation reads them; empty = none. */
export function bounds(given: Given, editing: boolean): Record<string, string | number> {
  const found: Record<string, string | number> = {};
  for (const kind of KINDS) {
    const value = given[kind];
    if (typeof value === "number") found[kind] = kind === "Memory" ? Math.round(value * GIB) : value;
    else if (editing) found[kind] = "none";
  }
  return found;
}

function Edit({ of, close }: { of: Quota | "new"; close: () => void }) {
  const { t } = useTranslation(["access", "common"]);
  const change = useChange();
  const old = of === "new" ? undefined : of;
  const memory = old?.Limit.Memory;
  return (
    <FormDialog
      title={old ? t("editOne", { name: old.QuotaId }) : t("quotas.create")}
      about={t("quotas.about")}
      action={old ? t("common:save") : t("common:create")}
      fields={[
        ...(old ? [] : [{ name: "QuotaId", label: "QuotaId", required: true, hint: t("nameHint") }]),
        ...KINDS.map((kind) => ({ name: kind, label: t(`quotas.${kind}`), kind: "number" as const, min: 0, ...(kind === "Memory" ? { unit: "GiB" } : {}) })),
      ]}
      initial={old ? { ...old.Limit, Memory: memory === null || memory === undefined ? undefined : memory / GIB } : {}}
      run={(given) =>
        old
          ? change("UpdateQuota", { QuotaId: old.QuotaId, ...bounds(given, true) }, NATIVE)
          : change("CreateQuota", { QuotaId: given["QuotaId"] as string, ...bounds(given, false) }, NATIVE)
      }
      close={close}
    />
  );
}
