/** The frame of every page: top bar, navigation, banner, palette. */

import {
  ApiOutlined,
  AppstoreOutlined,
  ClusterOutlined,
  DatabaseOutlined,
  HomeOutlined,
  MenuFoldOutlined,
  MenuUnfoldOutlined,
  MessageOutlined,
  SafetyOutlined,
  SearchOutlined,
  SettingOutlined,
} from "@ant-design/icons";
import { Link, Outlet, useNavigate, useRouterState } from "@tanstack/react-router";
import { Button, Skeleton } from "antd";
import { lazy, Suspense, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Banner, Renewed } from "./banner";
import { type Command, useCommands } from "./commands";
import { focusFilter, useKey } from "./keys";
import { choose, useDark, usePreferences } from "./preferences";
import { TopMenus } from "./top-menus";
import { useSignOut } from "./sign-out";

const Palette = lazy(() => import("./palette"));

const PLACES = [
  { to: "/", word: "home", icon: <HomeOutlined aria-hidden /> },
  { to: "/services", word: "services", icon: <AppstoreOutlined aria-hidden /> },
  { to: "/registry", word: "registry", icon: <DatabaseOutlined aria-hidden /> },
  { to: "/playground", word: "playground", icon: <MessageOutlined aria-hidden /> },
  { to: "/explorer", word: "explorer", icon: <ApiOutlined aria-hidden /> },
  { to: "/access", word: "access", icon: <SafetyOutlined aria-hidden /> },
  { to: "/infrastructure", word: "infrastructure", icon: <ClusterOutlined aria-hidden /> },
  { to: "/settings", word: "settings", icon: <SettingOutlined aria-hidden /> },
] as const;

function Navigation() {
  const { t } = useTranslation("shell");
  const { folded } = usePreferences();
  const turn = folded ? t("nav.unfold") : t("nav.fold");
  return (
    <nav className="nav" aria-label={t("nav.label")}>
      <ul>
        {PLACES.map(({ to, word, icon }) => (
          <li key={to}>
            <Link to={to} activeOptions={{ exact: to === "/", includeSearch: false }} title={t(`nav.${word}`)}>
              {icon}
              <span className={folded ? "hidden-text" : "word"}>{t(`nav.${word}`)}</span>
            </Link>
          </li>
        ))}
      </ul>
      <Button
        type="text"
        className="wide"
        icon={folded ? <MenuUnfoldOutlined aria-hidden /> : <MenuFoldOutlined aria-hidden />}
        aria-label={turn}
        title={turn}
        onClick={() => choose({ folded: !folded })}
      />
    </nav>
  );
}

function useOwnCommands(): void {
  const { t } = useTranslation("shell");
  const navigate = useNavigate();
  const dark = useDark();
  const { zone } = usePreferences();
  const signOut = useSignOut();
  const go = PLACES.map(
    ({ to, word }): Command => ({ id: `go ${to}`, title: t("palette.go", { place: t(`nav.${word}`) }), run: () => void navigate({ to }) }),
  );
  useCommands([
    ...go,
    { id: "create", title: t("palette.create"), keys: "c", run: () => void navigate({ to: "/services/new" }) },
    { id: "theme", title: t("palette.theme"), run: () => choose({ theme: dark ? "light" : "dark" }) },
    { id: "zone", title: t("palette.zone"), run: () => choose({ zone: zone === "utc" ? "local" : "utc" }) },
    { id: "sign-out", title: t("user.signOut"), run: signOut },
  ]);
}

/** The page is new: the focus goes to its beginning, as it would without a script. */
function useFocusOnArrival() {
  const main = useRef<HTMLElement>(null);
  const path = useRouterState({ select: (state) => state.location.pathname });
  const before = useRef(path);
  useEffect(() => {
    if (before.current !== path) main.current?.focus({ preventScroll: true });
    before.current = path;
  }, [path]);
  return main;
}

export default function Shell() {
  const { t } = useTranslation("shell");
  const { folded } = usePreferences();
  const [searching, setSearching] = useState(false);
  const navigate = useNavigate();
  const main = useFocusOnArrival();
  useOwnCommands();
  useKey("mod+k", () => setSearching(true), { typing: true });
  useKey("/", focusFilter, { last: true });
  useKey("c", () => void navigate({ to: "/services/new" }), { last: true });
  return (
    <div className={folded ? "shell folded" : "shell"}>
      <a className="skip" href="#main" onClick={(event) => (event.preventDefault(), main.current?.focus())}>
        {t("skip")}
      </a>
      <header className="top">
        <Link to="/" className="brand" aria-label={t("brand")}>
          <img src="/pierhead.svg" alt="" width={24} height={24} />
          <span className="wide">Pierhead</span>
        </Link>
        <Button icon={<SearchOutlined aria-hidden />} aria-label={t("palette.open")} onClick={() => setSearching(true)}>
          <span className="wide">{t("palette.open")}</span>
          <kbd className="keycap wide">Ctrl K</kbd>
        </Button>
        <span className="spread" />
        <TopMenus />
      </header>
      <Navigation />
      <main id="main" className="main" tabIndex={-1} ref={main}>
        <Banner />
        <Renewed />
        <Suspense fallback={<Skeleton active paragraph={{ rows: 6 }} />}>
          <Outlet />
        </Suspense>
      </main>
      {searching && (
        <Suspense fallback={null}>
          <Palette close={() => setSearching(false)} />
        </Suspense>
      )}
    </div>
  );
}
