/** What the platform runs on: machines, accelerators, storage, cache. */

import { Tabs } from "antd";
import { useTranslation } from "react-i18next";
import { PageHeader, useUrl } from "@/parts";
import { Accelerators } from "./Accelerators";
import { Cache } from "./Cache";
import "./infrastructure.css";
import { Machines } from "./Machines";
import { Storage } from "./Storage";

const TABS = { nodes: Machines, accelerators: Accelerators, storage: Storage, cache: Cache } as const;

export default function Infrastructure() {
  const { t } = useTranslation("infrastructure");
  const [search, put] = useUrl();
  const asked = search["tab"] ?? "nodes";
  const tab = asked in TABS ? asked : "nodes";
  return (
    <>
      <PageHeader title={t("title")} about={t("about")} />
      <Tabs
        activeKey={tab}
        // Filter, order and page are those of the tab that was left.
        onChange={(next) => put({ tab: next === "nodes" ? undefined : next, q: undefined, order: undefined, page: undefined })}
        destroyOnHidden
        items={Object.entries(TABS).map(([key, Shown]) => ({ key, label: t(`tabs.${key}`), children: <Shown /> }))}
      />
    </>
  );
}
