import { Link } from "@tanstack/react-router";
import { Skeleton } from "antd";
import { useTranslation } from "react-i18next";
import type { ServiceRow } from "@/api/types";
import { Amount, StatusTag } from "@/parts";

/** How many services are in which state. */
export function Counts({ rows }: { rows: ServiceRow[] | undefined }) {
  const { t } = useTranslation("home");
  const states = new Map<string, number>();
  for (const row of rows ?? []) states.set(row.Status, (states.get(row.Status) ?? 0) + 1);
  const sum = (of: (row: ServiceRow) => number) => (rows ?? []).reduce((total, row) => total + of(row), 0);
  const [ready, wanted] = [sum((row) => row.Ready), sum((row) => row.Wanted)];
  return (
    <section className="panel third" aria-labelledby="home-services">
      <h2 id="home-services">
        {t("services.title")} <Link to="/services">{t("services.all")}</Link>
      </h2>
      {!rows && <Skeleton active paragraph={{ rows: 3 }} title={false} />}
      {rows && (
        <>
          <dl className="figures">
            <div>
              <dt>{t("services.running")}</dt>
              <dd>
                {states.get("Running") ?? 0} <small>{t("services.of", { count: rows.length })}</small>
              </dd>
            </div>
            <div>
              <dt>{t("services.ready")}</dt>
              <dd className={ready < wanted ? "tone-warn" : undefined}>
                {ready} <small>{t("services.of", { count: wanted })}</small>
              </dd>
            </div>
            <div>
              <dt>{t("services.waiting")}</dt>
              <dd>
                <Amount value={sum((row) => row.Queued + row.Held)} />
              </dd>
            </div>
          </dl>
          {rows.length === 0 && <p className="muted">{t("services.none")}</p>}
          <ul className="by-state">
            {[...states].sort(([, a], [, b]) => b - a).map(([status, count]) => (
              <li key={status}>
                <Link to="/services" search={{ status }} aria-label={t("services.show", { status, count })}>
                  <StatusTag status={status} />
                </Link>
                {count}
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}
