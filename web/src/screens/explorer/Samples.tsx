/** The call as code, made by the platform while the form changes. */

import { useQuery, keepPreviousData } from "@tanstack/react-query";
import { Segmented, Skeleton, Tabs } from "antd";
import { useTranslation } from "react-i18next";
import { refusal } from "@/api/error";
import { read, send, useSession } from "@/api/session";
import { CodeBlock, Failure, useUrlText } from "@/parts";
import type { Operation, Values } from "./types";

const LANGUAGES = [
  ["python", "Python"],
  ["typescript", "TypeScript"],
  ["java", "Java"],
  ["go", "Go"],
  ["csharp", "C#"],
  ["php", "PHP"],
  ["curl", "curl"],
] as const;
/** Run by the platform's own tests; of the others only the grammar is checked. */
const RUN = new Set(["python", "typescript", "curl"]);

interface Sample {
  code: string;
  kind: string;
}

async function made(body: object, language: string, signal: AbortSignal): Promise<Sample> {
  const response = await send("/api/product/makeCode", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    credentials: "omit",
    signal,
  });
  const answer = await read(response);
  if (!response.ok) throw refusal(response, answer);
  const { data } = answer as { data: { demoSdk: Record<string, string>; callType?: Record<string, string> } };
  return { code: data.demoSdk[language] ?? "", kind: data.callType?.[language] ?? "" };
}

/** `values`: settled ones. */
export function Samples({ operation, values }: { operation: Operation; values: Values }) {
  const { t } = useTranslation("explorer");
  const { Region } = useSession();
  const [language, setLanguage] = useUrlText("lang", "python");
  const [kind, setKind] = useUrlText("call", "typed");
  const { Product: product, Version: apiVersion, Id: apiName } = operation;
  const params = JSON.stringify(values);
  const { data, error, isPlaceholderData } = useQuery({
    queryKey: ["sample", product, apiName, language, kind, params],
    queryFn: ({ signal }) =>
      made({ callType: kind, product, apiVersion, apiName, regionId: Region, language, params }, language, signal),
    staleTime: 60_000,
    gcTime: 60_000,
    // The old code stays until the new one is there; that of another call would be a lie.
    placeholderData: (before, query) => (query?.queryKey[2] === apiName && query.queryKey[3] === language ? keepPreviousData(before) : undefined),
  });
  const name = LANGUAGES.find(([id]) => id === language)?.[1] ?? language;
  return (
    <div className="samples">
      <Tabs
        size="small"
        className="languages"
        tabBarGutter={12}
        activeKey={language}
        onChange={setLanguage}
        items={LANGUAGES.map(([key, label]) => ({ key, label }))}
      />
      {language === "python" && (operation.Style === "roa" || operation.Style === "rpc") && (
        <Segmented
          className="kind"
          size="small"
          aria-label={t("samples.kind")}
          value={kind}
          onChange={setKind}
          options={[
            { value: "typed", label: t("samples.typed") },
            { value: "generic", label: t("samples.generic") },
          ]}
        />
      )}
      {error && <Failure error={error} title={t("samples.failed")} />}
      {!data && !error && <Skeleton active paragraph={{ rows: 8 }} title={false} />}
      {data && !error && (
        <div className={isPlaceholderData ? "settling" : undefined} aria-busy={isPlaceholderData} data-testid="sample">
          <CodeBlock code={data.code} label={t("samples.label", { language: name, operation: apiName })} />
          <p className="field-about">
            {RUN.has(language) ? t("samples.run") : t("samples.checked")}
            {language === "python" && kind === "typed" && data.kind === "generic" && ` ${t("samples.untyped")}`}
          </p>
        </div>
      )}
    </div>
  );
}
