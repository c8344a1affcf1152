import { CheckCircleFilled, WarningFilled } from "@ant-design/icons";
import { Link } from "@tanstack/react-router";
import { useTranslation } from "react-i18next";
import type { Overview, Trouble } from "@/api/platform";
import { StatusTag } from "@/parts";

/** What somebody has to do something about; one line if it is nothing. */
export function Attention({ overview }: { overview: Overview }) {
  const { t } = useTranslation("home");
  const troubles = overview.Troubles.Trouble;
  const warnings = overview.Warnings.Warning;
  const more = overview.TroubleCount - troubles.length;
  if (!troubles.length && !warnings.length && !more) {
    return (
      <p className="panel all-well" style={{ margin: 0 }} role="status">
        <CheckCircleFilled className="tone-ok" aria-hidden />
        <strong>{t("attention.nothing")}</strong>
        <span className="muted">{t("attention.checked", { count: overview.Services.Total })}</span>
      </p>
    );
  }
  return (
    <section className="panel attention" aria-labelledby="home-attention">
      <h2 id="home-attention">
        <WarningFilled className="tone-bad" aria-hidden />
        {t("attention.title")}
        <span className="muted" style={{ fontWeight: 400 }}>
          {overview.TroubleCount + warnings.length}
        </span>
      </h2>
      <ul>
        {troubles.map((trouble) => (
          <One key={`${trouble.WorkspaceId} ${trouble.ServiceName}`} trouble={trouble} />
        ))}
        {warnings.map((warning) => (
          <li key={warning}>
            <StatusTag status="Warning" kind="warn" word={t("attention.platform")} />
            <span>{warning}</span>
          </li>
        ))}
        {more > 0 && (
          <li>
            <span />
            <Link to="/services">{t("attention.more", { count: more })}</Link>
          </li>
        )}
      </ul>
    </section>
  );
}

function One({ trouble }: { trouble: Trouble }) {
  const { t } = useTranslation("home");
  const told = [
    ["cause", trouble.Cause],
    ["advice", trouble.Advice],
  ] as const;
  return (
    <li>
      <div className="two-lines">
        <Link to="/services/$name" params={{ name: trouble.ServiceName }} className="strong clipped">
          {trouble.ServiceName}
        </Link>
        <StatusTag status={trouble.Status} />
      </div>
      <div>
        <div>{trouble.Error || trouble.Reason}</div>
        <dl className="small">
          {told.map(
            ([word, text]) =>
              text && (
                <div key={word} style={{ display: "contents" }}>
                  <dt>{t(`attention.${word}`)}</dt>
                  <dd>{text}</dd>
                </div>
              ),
          )}
        </dl>
      </div>
    </li>
  );
}
