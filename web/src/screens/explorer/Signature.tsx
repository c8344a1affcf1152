/** What was signed, step by step; on a mismatch beside what the server made of it. */

import { useTranslation } from "react-i18next";
import type { Exchange } from "@/api/call";
import { CodeBlock, Empty } from "@/parts";
import { firstDifference } from "./plan";
import type { Operation } from "./types";

/** A security token is not needed to compare two requests. */
export function shortened(text: string): string {
  return text.replace(/(x-acs-security-token:.{8}).+/g, "$1…");
}

interface Server {
  CanonicalRequest?: unknown;
  StringToSign?: unknown;
}

const told = (value: unknown): string | undefined => (typeof value === "string" && value ? value : undefined);

export function Signature({ operation, exchange }: { operation: Operation; exchange: Exchange | undefined }) {
  const { t } = useTranslation("explorer");
  if (operation.Style === "zstack") return <p>{t("signature.zstack")}</p>;
  if (operation.Style === "openai") return <p>{t("signature.openai")}</p>;
  const trace = exchange?.trace;
  if (!exchange || !trace) return <Empty title={t("signature.none")} about={t("signature.noneAbout")} />;
  const body = (exchange.error?.body ?? {}) as Server;
  const mismatch = exchange.error?.code === "SignatureDoesNotMatch";
  const canonical = told(body.CanonicalRequest) ?? exchange.error?.canonical;
  const stringToSign = told(body.StringToSign);
  return (
    <div className="stack">
      <p className="field-about">{t("signature.about")}</p>
      {mismatch && (
        <p className="note bad" role="alert">
          {canonical === undefined ? t("signature.untold") : t("signature.mismatch")}
        </p>
      )}
      <Step title={t("signature.canonical")} ours={trace.canonicalRequest} theirs={canonical} />
      <Step title={t("signature.string")} ours={trace.stringToSign} theirs={stringToSign} />
      <Step title={t("signature.header")} ours={trace.authorization} theirs={undefined} />
    </div>
  );
}

function Step({ title, ours, theirs }: { title: string; ours: string; theirs: string | undefined }) {
  const { t } = useTranslation("explorer");
  const at = theirs === undefined ? undefined : firstDifference(ours, theirs);
  const bad = at === undefined ? {} : { bad: at };
  return (
    <section>
      <h3 className="section-title">{title}</h3>
      {at !== undefined && (
        <p className="note bad" data-testid="first-difference">
          {t("signature.differs", { line: at + 1 })}
        </p>
      )}
      {theirs !== undefined && <p className="field-about">{t("signature.ours")}</p>}
      <CodeBlock code={shortened(ours)} label={title} wrap {...bad} />
      {theirs !== undefined && (
        <>
          <p className="field-about">{t("signature.theirs")}</p>
          <CodeBlock code={shortened(theirs)} label={`${title}: ${t("signature.theirs")}`} wrap {...bad} />
        </>
      )}
    </section>
  );
}
