import { Button } from "antd";
import { useTranslation } from "react-i18next";
import { forgetRights, MISSING } from "@/api/allowed";
import { ApiError } from "@/api/error";
import { Copyable } from "./Copyable";

const STEPS = new Set([0, 400, 401, 403, 404, 409, 413, 429, 500, 503]);

/** What went wrong: what happened, the number, the next step, the request's id. */
export function Failure({ error, title, retry }: { error: unknown; title?: string; retry?: () => void }) {
  const { t } = useTranslation();
  const known = error instanceof ApiError ? error : undefined;
  if (known?.code === MISSING) return <Missing error={known} {...(retry ? { retry } : {})} />;
  // ZStack answers 503 to every failure: there, the number alone advises nothing.
  const status = known && known.status === 503 && /^[A-Z]+\.\d+$/.test(known.code) ? -1 : (known?.status ?? -1);
  const message = known && status === 0 ? t("failure.unreachable") : error instanceof Error ? error.message : String(error);
  const number = known?.status ? `${known.status} ${known.code}` : (known?.code ?? "");
  return (
    <div className="failure" role="alert">
      <h2>
        {title ?? t("failure.title")} {number && <span className="mono">({number})</span>}
      </h2>
      <p>{message}</p>
      <p className="muted">
        {known?.action && `${t("failure.missing", { action: known.action })} `}
        {known?.retryAfter
          ? t("failure.after", { count: Math.ceil(known.retryAfter) })
          : (advice(known) ?? (STEPS.has(status) && t(`failure.step.${status}`)))}
      </p>
      <div className="row">
        {retry && (
          <Button size="small" onClick={retry}>
            {t("failure.retry")}
          </Button>
        )}
        {known?.requestId && (
          <span className="row muted">
            RequestId <Copyable text={known.requestId} what="RequestId" />
          </span>
        )}
      </div>
    </div>
  );
}

/** What was not asked for, since the right to it is missing: which right that is. */
function Missing({ error, retry }: { error: ApiError; retry?: () => void }) {
  const { t } = useTranslation();
  return (
    <div className="failure missing" role="note" data-missing={error.action}>
      <h2>{t("missing.title")}</h2>
      <p>{t("guarded.missing", { action: error.action, resource: error.resource })}</p>
      {retry && (
        <Button size="small" onClick={() => void forgetRights().then(retry)}>
          {t("failure.retry")}
        </Button>
      )}
    </div>
  );
}

/** What the platform itself advises, if it is a sentence and not a place to read on. */
const advice = (error: ApiError | undefined) => (error?.recommend.includes(" ") ? error.recommend : undefined);
