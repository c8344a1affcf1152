/** Why it is as it is, where it is reached, how it is called, and its facts. */

import { Link } from "@tanstack/react-router";
import { Segmented, Skeleton } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useServiceDiagnosis } from "@/api/queries";
import type { Service, ServiceRow } from "@/api/types";
import { Ago, Amount, Bytes, CodeBlock, Copyable, Failure, LinkButton, Span } from "@/parts";
import { useAttempts, useChatSample } from "./asked";
import { Secret } from "./Secret";

interface Props {
  name: string;
  service: Service;
  row: ServiceRow | undefined;
}

/** Is there nothing to explain? */
const quiet = (row: ServiceRow) => row.Status === "Stopped" || (row.Status === "Running" && row.Ready >= row.Wanted && row.Reason === "Running");

export function Overview({ name, service, row }: Props) {
  return (
    <div className="stack">
      {row && !quiet(row) && <Why name={name} row={row} />}
      <Figures row={row} />
      <div className="two">
        <div className="stack">
          <Endpoint name={name} service={service} />
          <CallIt name={name} />
        </div>
        <Facts service={service} row={row} />
      </div>
    </div>
  );
}

function Why({ name, row }: { name: string; row: ServiceRow }) {
  const { t } = useTranslation("service");
  const { data } = useServiceDiagnosis(name);
  const bad = row.Status === "Failed" || row.Status === "DeleteFailed";
  const found = data?.DiagnosisList ?? [];
  return (
    <section className={`panel why ${bad ? "bad" : "warn"}`} aria-label={t("why.title")} role={bad ? "alert" : "status"}>
      <h2>
        {t("why.title")} <span className="mono muted">{row.Reason}</span>
      </h2>
      {found.length ? (
        found.map((one) => (
          <dl key={one.Error} className="cause">
            <dt>{t("why.error")}</dt>
            <dd>
              <strong>{one.Error}</strong>
            </dd>
            <dt>{t("why.cause")}</dt>
            <dd>
              {one.Causes.map((cause) => (
                <p key={cause}>{cause}</p>
              ))}
            </dd>
            <dt>{t("why.advice")}</dt>
            <dd>
              {one.Advices.map((advice) => (
                <p key={advice}>{advice}</p>
              ))}
            </dd>
          </dl>
        ))
      ) : (
        <p>{row.Message}</p>
      )}
      <LastLines name={name} />
    </section>
  );
}

/** What the newest run wrote last. */
function LastLines({ name }: { name: string }) {
  const { t } = useTranslation("service");
  const { data } = useAttempts(name, { Lines: 5 });
  const newest = data?.Attempts.Attempt.toSorted((a, b) => a.StartDate.localeCompare(b.StartDate) || a.Number - b.Number).at(-1);
  const lines = newest?.Lines.Line ?? [];
  if (!newest || !lines.length) return null;
  const end = newest.Signal ? t("why.signal", { signal: newest.Signal }) : newest.ExitCode === undefined ? "" : t("why.exit", { code: newest.ExitCode });
  return (
    <>
      <p className="muted small why-lines">
        {t("why.lines", { instance: newest.InstanceName, number: newest.Number })} {end}{" "}
        <Link to="/services/$name" params={{ name }} search={{ tab: "logs" }}>
          {t("why.log")}
        </Link>
      </p>
      <CodeBlock code={lines.join("\n")} label={t("why.lastLines")} wrap height={140} />
    </>
  );
}

function Figures({ row }: { row: ServiceRow | undefined }) {
  const { t } = useTranslation("service");
  if (!row) return null;
  const shown: [string, React.ReactNode][] = [
    ["ready", <>{row.Ready} / {row.Wanted}</>],
    ["qps", <Amount value={row.Qps} unit="/s" />],
    ["errors", <Amount value={row.ErrorsPerSecond} unit="/s" />],
    ["p95", <Span value={row.P95} />],
    ["ttft", <Span value={row.Ttft} />],
    ["tokens", <Amount value={row.TokensPerSecond} unit="/s" />],
    ["queued", <Amount value={row.Queued + row.Held} />],
  ];
  return (
    <dl className="tiles">
      {shown.map(([key, value]) => (
        <div key={key} className="panel">
          <dt>{t(`figures.${key}`)}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

function Endpoint({ name, service }: { name: string; service: Service }) {
  const { t } = useTranslation("service");
  return (
    <section className="panel" aria-label={t("endpoint.title")}>
      <h2>{t("endpoint.title")}</h2>
      <dl className="facts">
        <dt>{t("endpoint.address")}</dt>
        <dd>
          <Copyable text={service.InternetEndpoint} what={t("endpoint.address")} />
        </dd>
        <dt>OpenAI</dt>
        <dd>
          <Copyable text={`${service.InternetEndpoint}/v1`} what={t("endpoint.openai")} />
        </dd>
        <dt>{t("endpoint.token")}</dt>
        <dd>
          <Secret name={name} />
        </dd>
      </dl>
    </section>
  );
}

const LANGUAGES = { python: "Python", curl: "curl", typescript: "TypeScript" } as const;

function CallIt({ name }: { name: string }) {
  const { t } = useTranslation("service");
  const [language, setLanguage] = useState<keyof typeof LANGUAGES>("python");
  const { data, error, refetch } = useChatSample(name, language);
  return (
    <section className="panel" aria-label={t("call.title")}>
      <div className="row section-head">
        <h2>{t("call.title")}</h2>
        <Segmented
          size="small"
          aria-label={t("call.language")}
          value={language}
          onChange={setLanguage}
          options={(Object.keys(LANGUAGES) as (keyof typeof LANGUAGES)[]).map((value) => ({ value, label: LANGUAGES[value] }))}
        />
        <span className="spread" />
        <LinkButton size="small" to="/playground" search={{ a: name }}>
          {t("call.try")}
        </LinkButton>
      </div>
      {error ? (
        <Failure error={error} retry={() => void refetch()} />
      ) : data === undefined ? (
        <Skeleton active paragraph={{ rows: 5 }} title={false} />
      ) : (
        <CodeBlock code={data} label={LANGUAGES[language]} height={340} />
      )}
    </section>
  );
}

/** On how many machines each replica is, as the service's document says. */
function nodesOf(config: string): number {
  try {
    const document = JSON.parse(config) as { pierhead?: { nodes?: number } };
    return document.pierhead?.nodes ?? 1;
  } catch {
    return 1;
  }
}

function Facts({ service, row }: { service: Service; row: ServiceRow | undefined }) {
  const { t } = useTranslation(["service", "common"]);
  const labels = Object.entries(row?.Labels ?? {});
  const nodes = nodesOf(service.ServiceConfig);
  const shown: [string, React.ReactNode][] = [
    ["id", <Copyable text={service.ServiceId} what={t("facts.id")} />],
    ["spec", service.AppSpecName && <span className="mono">{service.AppSpecName}</span>],
    ["image", service.Image && <span className="mono">{service.Image}</span>],
    ["model", row?.Model && <span className="mono wrapped">{row.Model}</span>],
    ["version", service.CurrentVersion === service.LatestVersion ? service.CurrentVersion : t("facts.versionTold", { current: service.CurrentVersion, latest: service.LatestVersion })],
    ["nodes", nodes > 1 && t("facts.nodesTold", { nodes })],
    ["memory", service.Memory > 0 && <Bytes value={service.Memory * 1024 ** 2} />],
    ["cpu", service.Cpu > 0 && <Amount value={service.Cpu} />],
    ["gpu", service.Gpu > 0 && <Amount value={service.Gpu} />],
    ["workspace", service.WorkspaceId],
    ["quota", service.QuotaId],
    ["group", service.ServiceGroup],
    ["traffic", service.TrafficState !== "standalone" && service.TrafficState],
    ["labels", labels.length > 0 && <span className="wrapped">{labels.map(([key, value]) => `${key}=${value}`).join(", ")}</span>],
    ["door", row?.Source === "zstack" && "ZStack"],
    ["created", <Ago at={service.CreateTime} />],
    ["updated", <Ago at={row?.UpdateTime ?? service.UpdateTime} />],
  ];
  return (
    <section className="panel" aria-label={t("facts.title")}>
      <h2>{t("facts.title")}</h2>
      <dl className="facts">
        {shown
          .filter(([, value]) => value)
          .map(([key, value]) => (
            <div key={key} className="fact">
              <dt>{t(`facts.${key}`)}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
    </section>
  );
}
