import { Link } from "@tanstack/react-router";
import { useMutation } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { roa } from "@/api/call";
import { useServiceRow } from "@/api/queries";
import { Failure, Guarded, StatusTag } from "@/parts";

export const DEMO = "demo";
export const SPEC = "smollm2_135m_q4";

/** Create the service with the small model, and follow it until it answers. */
export function Demo() {
  const { t } = useTranslation("home");
  const row = useServiceRow(DEMO);
  const create = useMutation({
    mutationFn: () =>
      roa("POST", "/api/v2/app_services", { body: { ServiceName: DEMO, AppType: "LLM", ServiceSpec: SPEC, Replicas: 1 } }),
  });
  if (row) {
    return (
      <div role="status" className="row">
        <Link to="/services/$name" params={{ name: DEMO }} className="strong">
          {DEMO}
        </Link>
        <StatusTag status={row.Status} />
        <span className="muted small">{row.Status === "Running" ? t("start.serve.runs") : row.Message}</span>
      </div>
    );
  }
  return (
    <div className="stack" style={{ gap: 8 }}>
      <div>
        <Guarded type="primary" action="eas:CreateAppService" loading={create.isPending} onClick={() => create.mutate()}>
          {t("start.serve.do")}
        </Guarded>
      </div>
      {create.isSuccess && (
        <span role="status" className="muted">
          {t("start.serve.accepted")}
        </span>
      )}
      {create.error && <Failure error={create.error} />}
    </div>
  );
}
