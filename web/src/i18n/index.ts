/** Texts: one namespace per screen, loaded when a screen needs it, switched without a reload. */

import i18next, { type BackendModule } from "i18next";
import { initReactI18next } from "react-i18next";
import { preferences, subscribe } from "@/app/preferences";

export const LANGUAGES = ["en", "zh-CN", "zh-TW"] as const;
export type Language = (typeof LANGUAGES)[number];
/** Each language in its own words. */
export const NAMES: Record<Language, string> = { en: "English", "zh-CN": "简体中文", "zh-TW": "繁體中文" };

const files = import.meta.glob<{ default: Record<string, unknown> }>("./{en,zh-CN,zh-TW}/*.json");

const lazily: BackendModule = {
  type: "backend",
  init: () => {},
  read: (language, namespace, done) => {
    const load = files[`./${language}/${namespace}.json`];
    if (!load) return done(new Error(`There are no texts ${namespace} in ${language}.`), null);
    load().then((found) => done(null, found.default as Record<string, string>), (failure: Error) => done(failure, null));
  },
};

/** The language that was chosen, else the first one of the browser's that there is. */
export function wanted(): Language {
  const chosen = preferences().language;
  if (chosen) return chosen;
  for (const asked of navigator.languages) {
    if (/^zh-(TW|HK|MO|Hant)/i.test(asked)) return "zh-TW";
    if (/^zh/i.test(asked)) return "zh-CN";
    if (/^en/i.test(asked)) return "en";
  }
  return "en";
}

function told(language: string): void {
  document.documentElement.lang = language;
}

/** Begin, in the language wanted. */
export async function startTexts(): Promise<void> {
  i18next.on("languageChanged", told);
  subscribe(() => {
    if (wanted() !== i18next.language) void i18next.changeLanguage(wanted());
  });
  await i18next
    .use(lazily)
    .use(initReactI18next)
    .init({
      lng: wanted(),
      fallbackLng: "en",
      supportedLngs: LANGUAGES,
      load: "currentOnly",
      ns: ["common", "shell"],
      defaultNS: "common",
      fallbackNS: "common",
      interpolation: { escapeValue: false },
      react: { useSuspense: true },
    });
}
