import { CloseOutlined, ReloadOutlined, WarningOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useLive } from "@/api/live";
import { wasRenewed } from "./renewed";

/** Told when the platform does not answer: what is shown may be old. */
export function Banner() {
  const { t } = useTranslation("shell");
  const live = useLive();
  const away = live === "lost" || live === "ending";
  return (
    <div role="status" aria-live="polite">
      {away && (
        <div className="banner" data-banner={live}>
          <WarningOutlined aria-hidden />
          <span>{t(`banner.${live}`)}</span>
        </div>
      )}
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
