/** How the console looks in this browser. Nothing of it is told to the platform. */

import { Radio } from "antd";
import { useId } from "react";
import { useTranslation } from "react-i18next";
import { choose, type Preferences, usePreferences } from "@/app/preferences";
import { LANGUAGES, NAMES } from "@/i18n";

export function Look() {
  const { t } = useTranslation(["settings", "shell"]);
  const { theme, language, zone, density } = usePreferences();
  const now = new Date();
  const local = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return (
    <section className="panel stack" style={{ maxWidth: 720 }}>
      <p className="muted" style={{ margin: 0 }}>
        {t("look.about")}
      </p>
      <Choice
        label={t("shell:language")}
        value={language || "browser"}
        choose={(value) => choose({ language: value === "browser" ? "" : (value as Preferences["language"]) })}
        options={[{ value: "browser", label: t("look.browser") }, ...LANGUAGES.map((value) => ({ value, label: NAMES[value] }))]}
      />
      <Choice
        label={t("shell:theme.label")}
        value={theme}
        choose={(value) => choose({ theme: value as Preferences["theme"] })}
        options={(["system", "light", "dark"] as const).map((value) => ({ value, label: t(`shell:theme.${value}`) }))}
      />
      <Choice
        label={t("look.zone")}
        value={zone}
        choose={(value) => choose({ zone: value as Preferences["zone"] })}
        options={[
          { value: "local", label: `${t("shell:zone.local")} (${local})` },
          { value: "utc", label: `${t("shell:zone.utc")} (${now.toISOString().slice(11, 16)})` },
        ]}
      />
      <Choice
        label={t("look.density")}
        value={density}
        choose={(value) => choose({ density: value as Preferences["density"] })}
        options={(["roomy", "dense"] as const).map((value) => ({ value, label: t(`look.${value}`) }))}
      />
    </section>
  );
}

function Choice({
  label,
  value,
  options,
  choose: chosen,
}: {
  label: string;
  value: string;
  options: readonly { value: string; label: string }[];
  choose: (value: string) => void;
}) {
  const id = useId();
  return (
    <div role="group" aria-labelledby={id}>
      <div id={id} style={{ fontWeight: 500, marginBottom: 4 }}>
        {label}
      </div>
      <Radio.Group optionType="button" value={value} options={options.map((one) => ({ ...one }))} onChange={(event) => chosen(event.target.value as string)} />
    </div>
  );
}
