/** Who may do what: users, groups, roles, policies, workspaces, quotas, and who did what. */

import { Tabs } from "antd";
import type { ComponentType } from "react";
import { useTranslation } from "react-i18next";
import { useUrl } from "@/parts";
import { PageHeader } from "@/parts";
import "./access.css";
import { Audit } from "./Audit";
import { Groups } from "./Groups";
import { Policies } from "./Policies";
import { Quotas } from "./Quotas";
import { Roles } from "./Roles";
import { Simulator } from "./Simulator";
import { Users } from "./Users";
import { Workspaces } from "./Workspaces";

const TABS: Record<string, ComponentType> = {
  users: Users,
  groups: Groups,
  roles: Roles,
  policies: Policies,
  simulator: Simulator,
  workspaces: Workspaces,
  quotas: Quotas,
  audit: Audit,
};

export default function Access() {
  const { t } = useTranslation("access");
  const [search, put] = useUrl();
  const asked = search["tab"] ?? "users";
  const tab = asked in TABS ? asked : "users";
  // Filters are a tab's own: another one begins without them.
  const others = Object.fromEntries(Object.keys(search).map((name) => [name, undefined]));
  return (
    <>
      <PageHeader title={t("title")} about={t("about")} />
      <Tabs
        activeKey={tab}
        onChange={(next) => put({ ...others, tab: next === "users" ? undefined : next })}
        destroyOnHidden
        items={Object.entries(TABS).map(([key, Part]) => ({ key, label: t(`tab.${key}`), children: <Part /> }))}
      />
    </>
  );
}
