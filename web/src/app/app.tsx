/** Everything around the routes: theme, widgets' language, queries, live rows. */

import { QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { App as Widgets, ConfigProvider } from "antd";
import type { Locale } from "antd/es/locale";
import { useEffect, useLayoutEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { queryClient } from "@/api/client";
import { startLive } from "@/api/live";
import { currentSession, subscribe } from "@/api/session";
import { useDark, useStill } from "./preferences";
import { router } from "./router";
import { themeOf } from "./theme";

const locales: Record<string, () => Promise<{ default: Locale }>> = {
  en: () => import("antd/es/locale/en_US"),
  "zh-CN": () => import("antd/es/locale/zh_CN"),
  "zh-TW": () => import("antd/es/locale/zh_TW"),
};

function useLocale(): Locale | undefined {
  const { i18n } = useTranslation();
  const [locale, setLocale] = useState<Locale>();
  useEffect(() => {
    let current = true;
    void locales[i18n.language]?.().then((found) => current && setLocale(found.default));
    return () => {
      current = false;
    };
  }, [i18n.language]);
  return locale;
}

/** Whoever is no longer signed in goes to the sign-in page, and comes back to where they were. */
function useWayOut(): void {
  useEffect(
    () =>
      subscribe(() => {
        const here = router.state.location;
        if (currentSession() !== null || here.pathname === "/login") return;
        void router.navigate({ to: "/login", search: { to: here.href } });
      }),
    [],
  );
}

export function App() {
  const dark = useDark();
  const still = useStill();
  const theme = useMemo(() => themeOf(dark, still), [dark, still]);
  const locale = useLocale();
  useLayoutEffect(() => {
    document.documentElement.dataset["theme"] = dark ? "dark" : "light";
  }, [dark]);
  useEffect(startLive, []);
  useWayOut();
  return (
    <ConfigProvider theme={theme} button={{ autoInsertSpace: false }} {...(locale ? { locale } : {})}>
      <Widgets>
        <QueryClientProvider client={queryClient}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </Widgets>
    </ConfigProvider>
  );
}
