import { useNavigate } from "@tanstack/react-router";
import { Button } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { roa } from "@/api/call";
import { Failure, Guarded } from "@/parts";

const NAME = "demo";
const SPEC = "smollm2_135m_q4";

/** Serve the small model that everybody can: from nothing to an endpoint with one press. */
export function DemoButton() {
  const { t } = useTranslation("services");
  const navigate = useNavigate();
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<unknown>();
  const run = async () => {
    setBusy(true);
    setFailed(undefined);
    try {
      await roa("POST", "/api/v2/app_services", { body: { ServiceName: NAME, AppType: "LLM", ServiceSpec: SPEC, Replicas: 1 } });
      await navigate({ to: "/services/$name", params: { name: NAME } });
    } catch (failure) {
      setFailed(failure);
    } finally {
      setBusy(false);
    }
  };
  return (
    <div className="stack" style={{ alignItems: "center" }}>
      <div className="row">
        <Guarded type="primary" action="eas:CreateAppService" loading={busy} onClick={() => void run()}>
          {t("empty.demo")}
        </Guarded>
        <Button onClick={() => void navigate({ to: "/services/new" })}>{t("empty.other")}</Button>
      </div>
      {failed !== undefined && <Failure error={failed} />}
    </div>
  );
}
