import { Link } from "@tanstack/react-router";
import { Skeleton } from "antd";
import { useTranslation } from "react-i18next";
import { useLive } from "@/api/live";
import type { ServiceRow } from "@/api/types";
import { Amount, Span } from "@/parts";

const MOST = 5;

/** What is asked of the services at this moment, and of which most. */
export function Traffic({ rows, gateways }: { rows: ServiceRow[] | undefined; gateways: number | undefined }) {
  const { t } = useTranslation("home");
  const live = useLive();
  const sum = (of: (row: ServiceRow) => number) => (rows ?? []).reduce((total, row) => total + of(row), 0);
  const errors = sum((row) => row.ErrorsPerSecond);
  const busiest = [...(rows ?? [])].filter((row) => row.Qps > 0).sort((a, b) => b.Qps - a.Qps).slice(0, MOST);
  return (
    <section className={live === "lost" ? "panel third stale" : "panel third"} aria-labelledby="home-traffic">
      <h2 id="home-traffic">
        {t("traffic.title")}
        {gateways !== undefined && (
          <span className={gateways ? "muted small" : "tone-bad small"} style={{ marginInlineStart: "auto", fontWeight: 400 }}>
            {t("traffic.gateways", { count: gateways })}
          </span>
        )}
      </h2>
      {!rows && <Skeleton active paragraph={{ rows: 3 }} title={false} />}
      {rows && (
        <>
          <dl className="figures">
            <div>
              <dt>{t("traffic.requests")}</dt>
              <dd>
                <Amount value={sum((row) => row.Qps)} /> <small>/s</small>
              </dd>
            </div>
            <div>
              <dt>{t("traffic.errors")}</dt>
              <dd className={errors > 0 ? "tone-bad" : undefined}>
                <Amount value={errors} digits={2} /> <small>/s</small>
              </dd>
            </div>
            <div>
              <dt>{t("traffic.tokens")}</dt>
              <dd>
                <Amount value={sum((row) => row.TokensPerSecond)} /> <small>/s</small>
              </dd>
            </div>
          </dl>
          {!busiest.length && <p className="muted">{t("traffic.quiet")}</p>}
          {busiest.length > 0 && <Busiest rows={busiest} />}
        </>
      )}
    </section>
  );
}

function Busiest({ rows }: { rows: ServiceRow[] }) {
  const { t } = useTranslation("home");
  return (
    <table className="busiest">
      <thead>
        <tr>
          <th scope="col">{t("traffic.busiest")}</th>
          <th scope="col">{t("traffic.requests")}</th>
          <th scope="col">P95</th>
          <th scope="col">TTFT</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr key={row.ServiceName}>
            <td>
              <Link to="/services/$name" params={{ name: row.ServiceName }}>
                {row.ServiceName}
              </Link>
            </td>
            <td>
              <Amount value={row.Qps} unit="/s" />
            </td>
            <td>
              <Span value={row.P95} />
            </td>
            <td>
              <Span value={row.Ttft} />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
