/** Workspaces: they group services, bound policies, and may have a quota. */

import { DeleteOutlined, EditOutlined } from "@ant-design/icons";
import { Link } from "@tanstack/react-router";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useArn } from "@/api/queries";
import { Ago, Confirm, FormDialog, Guarded } from "@/parts";
import { NATIVE, native, type Quota, useChange, useRows, type Workspace } from "./asking";
import { by, Listing } from "./Listing";
import { filled } from "./Users";

export function Workspaces() {
  const { t } = useTranslation(["access", "common"]);
  const arn = useArn();
  const change = useChange();
  const [edited, setEdited] = useState<Workspace | "new">();
  const [going, setGoing] = useState<Workspace>();
  const found = useRows<Workspace>("ListWorkspaces", "Workspaces", {}, native);
  return (
    <>
      <Listing
        word="workspaces"
        found={found}
        rowKey={(row) => row.WorkspaceId}
        textOf={(row) => `${row.WorkspaceId}\n${row.Name}\n${row.QuotaId}`}
        create={{ action: "pierhead:CreateWorkspace", run: () => setEdited("new") }}
        columns={[
          { title: "WorkspaceId", key: "name", sorter: by((row: Workspace) => row.WorkspaceId), render: (_, row) => <strong className="mono">{row.WorkspaceId}</strong> },
          { title: t("common:name"), dataIndex: "Name" },
          { title: t("quotas.one"), dataIndex: "QuotaId" },
          {
            title: t("services"),
            key: "services",
            align: "end",
            width: 100,
            sorter: by((row: Workspace) => row.Services),
            render: (_, row) => (
              <Link to="/services" search={{ workspace: row.WorkspaceId }}>
                {row.Services}
              </Link>
            ),
          },
          { title: t("common:updated"), key: "updated", width: 140, sorter: by((row: Workspace) => row.UpdateDate), render: (_, row) => <Ago at={row.UpdateDate} /> },
          {
            title: <span className="hidden-text">{t("actions")}</span>,
            key: "actions",
            width: 90,
            render: (_, row) => (
              <span className="row" style={{ flexWrap: "nowrap" }}>
                <Guarded type="text" size="small" icon={<EditOutlined aria-hidden />} action="pierhead:UpdateWorkspace" resource={arn("workspace", row.WorkspaceId, "pierhead")} aria-label={t("editOne", { name: row.WorkspaceId })} onClick={() => setEdited(row)} />
                <Guarded type="text" size="small" danger icon={<DeleteOutlined aria-hidden />} action="pierhead:DeleteWorkspace" resource={arn("workspace", row.WorkspaceId, "pierhead")} aria-label={t("deleteOne", { name: row.WorkspaceId })} onClick={() => setGoing(row)} />
              </span>
            ),
          },
        ]}
      />
      {edited && <Edit of={edited} close={() => setEdited(undefined)} />}
      {going && (
        <Confirm
          danger
          title={t("workspaces.delete")}
          object={going.WorkspaceId}
          about={t("workspaces.deleteAbout")}
          action={t("common:delete")}
          run={() => change("DeleteWorkspace", { WorkspaceId: going.WorkspaceId }, NATIVE)}
          close={() => setGoing(undefined)}
        />
      )}
    </>
  );
}

function Edit({ of, close }: { of: Workspace | "new"; close: () => void }) {
  const { t } = useTranslation(["access", "common"]);
  const change = useChange();
  const quotas = useRows<Quota>("ListQuotas", "Quotas", {}, native);
  const old = of === "new" ? undefined : of;
  return (
    <FormDialog
      title={old ? t("editOne", { name: old.WorkspaceId }) : t("workspaces.create")}
      action={old ? t("common:save") : t("common:create")}
      fields={[
        ...(old ? [] : [{ name: "WorkspaceId", label: "WorkspaceId", required: true, hint: t("nameHint") }]),
        { name: "Name", label: t("common:name") },
        { name: "QuotaId", label: t("quotas.one"), kind: "choice", options: (quotas.data ?? []).map(({ QuotaId }) => ({ value: QuotaId, label: QuotaId })) },
      ]}
      initial={old ? { Name: old.Name, QuotaId: old.QuotaId || undefined } : {}}
      run={({ QuotaId, ...given }) =>
        old
          ? change("UpdateWorkspace", { ...filled(given), WorkspaceId: old.WorkspaceId, ...(QuotaId ? { QuotaId } : { NoQuota: true }) }, NATIVE)
          : change("CreateWorkspace", filled({ ...given, QuotaId }), NATIVE)
      }
      close={close}
    />
  );
}
