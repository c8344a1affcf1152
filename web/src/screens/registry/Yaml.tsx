import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { CodeBlock, Failure, JsonEditor } from "@/parts";
import { lineOf, unreadable } from "./yaml-lines";

/** The editor of a description; lines that look broken are named while it is written. */
export function YamlEditor({ value = "", onChange, readOnly = false, height }: { value?: string; onChange?: (value: string) => void; readOnly?: boolean; height?: number }) {
  const { t } = useTranslation("registry");
  const lines = useUnreadable(value, !readOnly);
  const text = value.split("\n");
  return (
    <>
      <JsonEditor
        language="yaml"
        value={value}
        label={t("fields.yaml")}
        readOnly={readOnly}
        height={height ?? 220}
        {...(onChange ? { onChange } : {})}
      />
      {lines.length > 0 && (
        <ul className="yaml-notes tone-warn small" role="status">
          {lines.slice(0, 4).map((line) => (
            <li key={line}>{t("yaml.line", { line, text: (text[line - 1] ?? "").trim() || "…" })}</li>
          ))}
        </ul>
      )}
    </>
  );
}

function useUnreadable(text: string, wanted: boolean): number[] {
  const [lines, setLines] = useState<number[]>([]);
  useEffect(() => {
    if (!wanted) return;
    let over = false;
    const timer = setTimeout(() => void unreadable(text).then((found) => over || setLines(found)), 300);
    return () => {
      over = true;
      clearTimeout(timer);
    };
  }, [text, wanted]);
  return lines;
}

const AROUND = 3;

/** A failure; if it names a line of the description, with what stands there. */
export function YamlFailure({ error, yaml, title }: { error: unknown; yaml: string; title?: string }) {
  const { t } = useTranslation("registry");
  const message = error instanceof Error ? error.message : "";
  const line = /yaml/i.test(message) ? lineOf(message) : undefined;
  const all = yaml.split("\n");
  const from = Math.max(0, (line ?? 1) - 1 - AROUND);
  const near = all.slice(from, (line ?? 1) + AROUND).map((each, index) => `${String(from + index + 1).padStart(4)}  ${each}`);
  return (
    <div className="stack" style={{ gap: 8 }}>
      <Failure error={error} {...(title ? { title } : {})} />
      {line !== undefined && line <= all.length && <CodeBlock code={near.join("\n")} label={t("yaml.near", { line })} bad={line - 1 - from} />}
    </div>
  );
}
