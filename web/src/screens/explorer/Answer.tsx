/** What came back: status, time, id, the headers that say something, and the body. */

import { Skeleton, Tag } from "antd";
import { useTranslation } from "react-i18next";
import type { Exchange } from "@/api/call";
import { CodeBlock, Copyable, Empty, Failure, Span, StatusTag } from "@/parts";

/** One call: under way, answered, or without an answer. */
export interface Call {
  mock: boolean;
  busy: boolean;
  /** What has come so far of an answer that comes bit by bit. */
  text?: string | undefined;
  exchange?: Exchange | undefined;
  /** Given up by who sent it. */
  stopped?: boolean;
  /** No answer came. */
  failed?: unknown;
}

const TOLD = /^(x-acs-|x-pierhead-|content-type$|content-length$|retry-after$|etag$|location$|date$|x-request-id$|x-ratelimit)/;
const MOST = 200_000;

function pretty({ body, text }: Exchange): string {
  return typeof body === "object" && body !== null ? JSON.stringify(body, null, 2) : text;
}

export function Answer({ call }: { call: Call | undefined }) {
  const { t } = useTranslation("explorer");
  if (!call) return <Empty title={t("answer.none")} about={t("answer.noneAbout")} />;
  if (call.failed !== undefined) return <Failure error={call.failed} title={t("answer.missing")} />;
  if (call.stopped) {
    return (
      <div className="stack">
        <p className="note" role="status">
          {t("answer.stopped")}
        </p>
        {call.text && <CodeBlock code={call.text} label={t("answer.body")} wrap />}
      </div>
    );
  }
  if (call.busy || !call.exchange) {
    return call.text ? <CodeBlock code={call.text} label={t("answer.body")} wrap /> : <Skeleton active aria-label={t("answer.busy")} />;
  }
  return <Come exchange={call.exchange} mock={call.mock} />;
}

function Come({ exchange, mock }: { exchange: Exchange; mock: boolean }) {
  const { t } = useTranslation("explorer");
  const { status, took, requestId, headers, error, sent } = exchange;
  const whole = pretty(exchange);
  const text = whole.length > MOST ? whole.slice(0, MOST) : whole;
  return (
    <div className="stack" data-testid="answer">
      <div className="row answer-line" role="status">
        <StatusTag status={String(status)} kind={error ? "bad" : "ok"} word={`HTTP ${status}`} />
        <Tag>{mock ? t("answer.mock") : t("answer.real")}</Tag>
        <span className="muted">
          <Span value={took / 1000} />
        </span>
        {requestId && !error?.requestId && (
          <span className="row muted request-id">
            RequestId <Copyable text={requestId} what="RequestId" />
          </span>
        )}
      </div>
      {error && <Failure error={error} />}
      <CodeBlock code={text} label={t("answer.body")} wrap />
      {text !== whole && <p className="field-about">{t("answer.cut", { shown: MOST, all: whole.length })}</p>}
      <details>
        <summary>{t("answer.headers")}</summary>
        <dl className="headers">
          {Object.entries(headers)
            .filter(([name]) => TOLD.test(name))
            .map(([name, value]) => (
              <div key={name}>
                <dt className="mono">{name}</dt>
                <dd className="mono">{value}</dd>
              </div>
            ))}
        </dl>
      </details>
      <details>
        <summary>{t("answer.sent")}</summary>
        <CodeBlock code={`${sent.method} ${sent.url}${sent.body ? `\n\n${sent.body}` : ""}`} label={t("answer.sent")} wrap />
      </details>
    </div>
  );
}
