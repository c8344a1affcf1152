/** The right side of the top bar: region, language, theme, clock, user. */

import { BulbOutlined, ClockCircleOutlined, GlobalOutlined, TranslationOutlined, UserOutlined } from "@ant-design/icons";
import { Button, Dropdown } from "antd";
import { useTranslation } from "react-i18next";
import { useSession } from "@/api/session";
import { LANGUAGES, NAMES } from "@/i18n";
import { choose, type Preferences, usePreferences } from "./preferences";
import { useSignOut } from "./sign-out";

export function LanguageMenu() {
  const { t, i18n } = useTranslation("shell");
  const items = LANGUAGES.map((key) => ({
    key,
    label: <span lang={key}>{NAMES[key]}</span>,
    onClick: () => choose({ language: key }),
  }));
  return (
    <Dropdown trigger={["click"]} menu={{ items, selectable: true, selectedKeys: [i18n.language] }}>
      <Button type="text" icon={<TranslationOutlined aria-hidden />} aria-label={t("language")} title={t("language")} />
    </Dropdown>
  );
}

export function ThemeMenu() {
  const { t } = useTranslation("shell");
  const { theme } = usePreferences();
  const items = (["system", "light", "dark"] satisfies Preferences["theme"][]).map((key) => ({
    key,
    label: t(`theme.${key}`),
    onClick: () => choose({ theme: key }),
  }));
  return (
    <Dropdown trigger={["click"]} menu={{ items, selectable: true, selectedKeys: [theme] }}>
      <Button type="text" icon={<BulbOutlined aria-hidden />} aria-label={t("theme.label")} title={t("theme.label")} />
    </Dropdown>
  );
}

function ZoneSwitch() {
  const { t } = useTranslation("shell");
  const { zone } = usePreferences();
  return (
    <Button
      type="text"
      icon={<ClockCircleOutlined aria-hidden />}
      title={t("zone.about")}
      onClick={() => choose({ zone: zone === "utc" ? "local" : "utc" })}
    >
      <span className="wide">{t(`zone.${zone}`)}</span>
    </Button>
  );
}

function UserMenu() {
  const { t } = useTranslation("shell");
  const { Principal, Version } = useSession();
  const signOut = useSignOut();
  const items = [
    { key: "who", disabled: true, label: <span className="mono muted">{Principal.Arn || Principal.Id}</span> },
    { key: "version", disabled: true, label: <span className="muted">{t("user.version", { version: Version })}</span> },
    { type: "divider" as const },
    { key: "out", label: t("user.signOut"), onClick: signOut },
  ];
  return (
    <Dropdown trigger={["click"]} menu={{ items }}>
      <Button type="text" icon={<UserOutlined aria-hidden />} aria-label={t("user.label", { name: Principal.Name })}>
        <span className="wide">{Principal.Name}</span>
      </Button>
    </Dropdown>
  );
}

export function TopMenus() {
  const { t } = useTranslation("shell");
  const { Region } = useSession();
  return (
    <>
      <span className="row muted wide" title={t("region")}>
        <GlobalOutlined aria-hidden />
        <span className="hidden-text">{t("region")}</span>
        {Region}
      </span>
      <ZoneSwitch />
      <LanguageMenu />
      <ThemeMenu />
      <UserMenu />
    </>
  );
}
