/** The list of services: live, filtered by the URL, several at once. */

import { PlusOutlined } from "@ant-design/icons";
import { useNavigate } from "@tanstack/react-router";
import { Button, Segmented, Select } from "antd";
import { type Key, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { useLive, useUnlisted } from "@/api/live";
import { useServices } from "@/api/queries";
import { useCommands } from "@/app/commands";
import { useKey } from "@/app/keys";
import { choose, usePreferences } from "@/app/preferences";
import { DataTable, Empty, Failure, Guarded, PageFilter, PageHeader, useUrl } from "@/parts";
import "./services.css";
import { Bulk } from "./Bulk";
import { useColumns } from "./columns";
import { counted, NO_WORKSPACE, shown, workspaces } from "./choosing";
import { DemoButton } from "./DemoButton";

export default function Services() {
  const { t } = useTranslation("services");
  const { data: rows } = useServices();
  const live = useLive();
  const navigate = useNavigate();
  const [search, put] = useUrl();
  const [chosen, setChosen] = useState<Key[]>([]);
  const columns = useColumns();
  const found = useMemo(() => (rows ? shown(rows, search) : undefined), [rows, search]);
  const marked = useMemo(() => (rows ?? []).filter((row) => chosen.includes(row.ServiceName)), [rows, chosen]);
  // Nothing comes to those who may list nothing: that is to be said, not waited for.
  const unlisted = useUnlisted();
  const create = () => void navigate({ to: "/services/new" });
  useKey("c", create);
  useCommands([{ id: "services.create", title: t("create"), keys: "c", run: create }]);
  const clear = () => put({ q: undefined, status: undefined, workspace: undefined, page: undefined });
  return (
    <>
      <PageHeader
        title={t("title")}
        about={rows?.length ? <Summary /> : t("about")}
        actions={
          <Guarded action="eas:CreateService" type="primary" icon={<PlusOutlined aria-hidden />} onClick={create}>
            {t("create")}
            <kbd className="keycap wide on-accent" aria-hidden>
              C
            </kbd>
          </Guarded>
        }
      />
      {rows && rows.length > 0 && <Filters />}
      {marked.length > 0 && <Bulk rows={marked} done={() => setChosen([])} />}
      {unlisted && <Failure error={unlisted} />}
      {(rows || !unlisted) && (
        <div className={live === "lost" ? "service-list stale" : "service-list"}>
          <DataTable
            label={t("title")}
            rows={found}
            columns={columns}
            rowKey={(row) => row.ServiceName}
            onOpen={(row) => void navigate({ to: "/services/$name", params: { name: row.ServiceName } })}
            chosen={chosen}
            onChoose={setChosen}
            scrollX={1020}
            empty={
              rows?.length ? (
                <Empty title={t("nothing.title")} about={t("nothing.about")} action={<Button onClick={clear}>{t("nothing.clear")}</Button>} />
              ) : (
                <Empty title={t("empty.title")} about={t("empty.about")} action={<DemoButton />} />
              )
            }
          />
        </div>
      )}
    </>
  );
}

function Summary() {
  const { t } = useTranslation("services");
  const { data: rows = [] } = useServices();
  const { running, other, ready, wanted } = counted(rows);
  return <>{t("summary", { count: rows.length, running, other, ready, wanted })}</>;
}

function Filters() {
  const { t } = useTranslation(["services", "common"]);
  const { data: rows = [] } = useServices();
  const { density } = usePreferences();
  const [search, put] = useUrl();
  const states = [...new Set(rows.map((row) => row.Status))].sort();
  const spaces = workspaces(rows);
  return (
    <div className="row filters" role="search" aria-label={t("filters")}>
      <PageFilter label={t("filter")} />
      <Select
        aria-label={t("common:state")}
        style={{ minWidth: 150 }}
        allowClear
        placeholder={t("anyState")}
        value={search["status"] ?? null}
        onChange={(value: string | null) => put({ status: value ?? undefined, page: undefined })}
        options={states.map((value) => ({
          value,
          label: `${t(`common:status.${value}`, { defaultValue: value })} (${rows.filter((row) => row.Status === value).length})`,
        }))}
      />
      {spaces.length > 1 && (
        <Select
          aria-label={t("workspace")}
          style={{ minWidth: 150 }}
          allowClear
          placeholder={t("anyWorkspace")}
          value={search["workspace"] ?? null}
          onChange={(value: string | null) => put({ workspace: value ?? undefined, page: undefined })}
          options={spaces.map((name) => ({ value: name || NO_WORKSPACE, label: name || t("noWorkspace") }))}
        />
      )}
      <span className="spread" />
      <Segmented
        aria-label={t("density.label")}
        className="wide"
        value={density}
        onChange={(value) => choose({ density: value as "roomy" | "dense" })}
        options={[
          { value: "roomy", label: t("density.roomy") },
          { value: "dense", label: t("density.dense") },
        ]}
      />
    </div>
  );
}
