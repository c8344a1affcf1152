/** Settings: the platform's, the session, how the console looks, and what it is made of. */

import { Tabs } from "antd";
import type { ComponentType } from "react";
import { useTranslation } from "react-i18next";
import { PageHeader, useUrl } from "@/parts";
import "./settings.css";
import { About } from "./About";
import { Look } from "./Look";
import { Mine } from "./Mine";
import { Platform } from "./Platform";

const TABS: Record<string, ComponentType> = { platform: Platform, session: Mine, look: Look, about: About };

export default function Settings() {
  const { t } = useTranslation("settings");
  const [search, put] = useUrl();
  const asked = search["tab"] ?? "platform";
  const tab = asked in TABS ? asked : "platform";
  const others = Object.fromEntries(Object.keys(search).map((name) => [name, undefined]));
  return (
    <>
      <PageHeader title={t("title")} about={t("intro")} />
      <Tabs
        activeKey={tab}
        onChange={(next) => put({ ...others, tab: next === "platform" ? undefined : next })}
        destroyOnHidden
        items={Object.entries(TABS).map(([key, Part]) => ({ key, label: t(`tab.${key}`), children: <Part /> }))}
      />
    </>
  );
}
