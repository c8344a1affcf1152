/** What can be served: templates, models, and the places where they lie. */

import { Tabs } from "antd";
import { useTranslation } from "react-i18next";
import { PageHeader, useUrl } from "@/parts";
import { Centers } from "./Centers";
import { Models } from "./Models";
import "./registry.css";
import { Templates } from "./Templates";

const TABS = { services: Templates, models: Models, centers: Centers } as const;

export default function Registry() {
  const { t } = useTranslation("registry");
  const [search, put] = useUrl();
  const asked = search["tab"] ?? "services";
  const tab = asked in TABS ? asked : "services";
  return (
    <>
      <PageHeader title={t("title")} about={t("about")} />
      <Tabs
        activeKey={tab}
        // What is filtered and open is of the tab that was left.
        onChange={(next) =>
          put({ tab: next === "services" ? undefined : next, q: undefined, order: undefined, page: undefined, open: undefined, origin: undefined })
        }
        destroyOnHidden
        items={Object.entries(TABS).map(([key, Shown]) => ({ key, label: t(`tabs.${key}`), children: <Shown /> }))}
      />
    </>
  );
}
