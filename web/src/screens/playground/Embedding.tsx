/** Texts as vectors: their size, and how alike the texts are. */

import { useMutation } from "@tanstack/react-query";
import { Input } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { console_ } from "@/api/call";
import { Amount, CodeBlock, Failure, Guarded, Span, useUrl } from "@/parts";
import { useSpeaking } from "./Composer";
import { ServiceChoice } from "./ServiceChoice";
import { cosine } from "./talk";

interface Vectors {
  data: { index: number; embedding: number[] }[];
  usage?: { prompt_tokens?: number; total_tokens?: number };
}

interface Found extends Vectors {
  texts: string[];
  seconds: number;
}

const MOST = 20;
const SHOWN = 12;

export const linesOf = (text: string): string[] => text.split("\n").map((line) => line.trim()).filter(Boolean);

export function Embedding({ service }: { service: string }) {
  const { t } = useTranslation("playground");
  const { action, resource } = useSpeaking(service || undefined);
  const [, put] = useUrl();
  const [text, setText] = useState("");
  const texts = linesOf(text);
  const asked = useMutation({
    mutationFn: async (input: string[]): Promise<Found> => {
      const began = performance.now();
      const path = `/chat/${encodeURIComponent(service)}/v1/embeddings`;
      const found = await console_<Vectors>(path, { body: { model: service, input } });
      return { ...found, texts: input, seconds: (performance.now() - began) / 1000 };
    },
  });
  const off = !service ? t("off.service") : !texts.length ? t("off.text") : texts.length > MOST ? t("off.many", { count: MOST }) : undefined;
  return (
    <div className="stack">
      <section className="panel stack">
        <ServiceChoice label={t("service.a")} value={service} onChange={(name) => put({ a: name })} />
        <Input.TextArea
          aria-label={t("texts")}
          placeholder={t("textsPlaceholder")}
          autoSize={{ minRows: 4, maxRows: 12 }}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <div className="row">
          <Guarded
            type="primary"
            action={action}
            resource={resource}
            loading={asked.isPending}
            off={off}
            onClick={() => asked.mutate(texts)}
          >
            {t("embed")}
          </Guarded>
          <span className="muted">{t("textsCount", { count: texts.length })}</span>
        </div>
      </section>
      {asked.error && <Failure error={asked.error} title={t("failed", { service })} />}
      {asked.data && <Result found={asked.data} />}
    </div>
  );
}

function Result({ found }: { found: Found }) {
  const { t } = useTranslation("playground");
  const vectors = [...found.data].sort((left, right) => left.index - right.index).map(({ embedding }) => embedding);
  const head = vectors[0] ?? [];
  return (
    <section className="panel stack" aria-label={t("vectors")}>
      <div className="row">
        <strong>{t("dimensions", { count: head.length })}</strong>
        <span className="muted">
          <Amount value={found.usage?.prompt_tokens} unit={t("tokens")} /> · <Span value={found.seconds} />
        </span>
      </div>
      {vectors.length > 1 && <Matrix texts={found.texts} vectors={vectors} />}
      <CodeBlock
        label={t("vectors")}
        height={220}
        code={vectors.map((one) => `[${one.slice(0, SHOWN).map((value) => value.toFixed(4)).join(", ")}${one.length > SHOWN ? ", …" : ""}]`).join("\n")}
      />
    </section>
  );
}

function Matrix({ texts, vectors }: { texts: readonly string[]; vectors: readonly (readonly number[])[] }) {
  const { t, i18n } = useTranslation("playground");
  const told = new Intl.NumberFormat(i18n.language, { minimumFractionDigits: 3, maximumFractionDigits: 3 });
  return (
    <div style={{ overflowX: "auto" }} tabIndex={0} role="region" aria-label={t("alike")}>
      <table className="vectors">
        <caption className="muted" style={{ textAlign: "start", paddingBottom: 4 }}>
          {t("alike")}
        </caption>
        <thead>
          <tr>
            <td />
            {texts.map((_, index) => (
              <th key={index} scope="col">
                {index + 1}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {vectors.map((left, row) => (
            <tr key={row}>
              <th scope="row" title={texts[row]}>
                {row + 1}. {texts[row]}
              </th>
              {vectors.map((right, column) => {
                const value = cosine(left, right);
                const tint = `color-mix(in srgb, var(--accent) ${Math.round(Math.max(0, value) * 30)}%, transparent)`;
                return (
                  <td key={column} style={{ background: tint }}>
                    {told.format(value)}
                  </td>
                );
              })}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
