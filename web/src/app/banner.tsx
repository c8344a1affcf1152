import { CloseOutlined, PauseCircleOutlined, ReloadOutlined, WarningOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { type Told, told, useHealth } from "@/api/health";
import { useLive } from "@/api/live";
import { moment, span } from "@/parts/format";
import { usePreferences } from "./preferences";
import { wasRenewed } from "./renewed";

/** Told when the platform does not answer, or does not see all of itself: what is shown may be old. */
export function Banner() {
  const { t } = useTranslation("shell");
  const live = useLive();
  const health = useHealth();
  const away = live === "lost" || live === "ending";
  const known = away || !health.data ? [] : told(health.data);
  return (
    <div role="status" aria-live="polite">
      {away && (
        <div className="banner" data-banner={live}>
          <WarningOutlined aria-hidden />
          <span>{t(`banner.${live}`)}</span>
        </div>
      )}
      {known.map((each) => (
        <Known key={each.kind} told={each} at={health.dataUpdatedAt} />
      ))}
    </div>
  );
}

/** `at`: when the hub told it, milliseconds. */
function Known({ told, at }: { told: Told; at: number }) {
  const { t, i18n } = useTranslation("shell");
  const { zone } = usePreferences();
  if (told.kind === "standby") {
    return (
      <div className="banner calm" data-banner="standby">
        <PauseCircleOutlined aria-hidden />
        <span>{t("banner.standby")}</span>
      </div>
    );
  }
  const values =
    told.kind === "old"
      ? { age: span(told.seconds, i18n.language), since: moment(at - told.seconds * 1000, i18n.language, zone) }
      : {};
  return (
    // Its age grows all the time: what a screen reader was told once it is not told anew.
    <div className="banner" data-banner={told.kind} aria-live="off">
      <WarningOutlined aria-hidden />
      <div>
        <span>{t(`banner.${told.kind}`, values)}</span>
        {told.problem && <div className="about">{t("banner.why", { problem: told.problem })}</div>}
      </div>
    </div>
  );
}

/** Told until it is put away: why the page was loaded anew. */
export function Renewed() {
  const { t } = useTranslation(["shell", "common"]);
  const [shown, setShown] = useState(wasRenewed);
  if (!shown) return null;
  return (
    <div role="status" className="banner calm">
      <ReloadOutlined aria-hidden />
      <span>{t("renewed")}</span>
      <span className="spread" />
      <Button type="text" size="small" icon={<CloseOutlined aria-hidden />} aria-label={t("common:close")} onClick={() => setShown(false)} />
    </div>
  );
}
