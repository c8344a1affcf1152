/** Step 4: the very call, as JSON and as code, and what a dry run of it said. */

import { Alert, Skeleton, Tabs } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import type { Exchange } from "@/api/call";
import { useSample } from "@/api/samples";
import { CodeBlock, Failure } from "@/parts";
import type { Call } from "./draft";
import { Step } from "./Step";

const LANGUAGES = ["python", "curl", "typescript"] as const;
const NAMES = { python: "Python", curl: "curl", typescript: "TypeScript" } as const;

export function Review({ call, outcome, number }: { call: Call; outcome: Partial<Exchange> | undefined; number: number }) {
  const { t } = useTranslation("create");
  const [shown, setShown] = useState("json");
  const query = new URLSearchParams(call.query).toString();
  const path = call.product === "zstack" ? `/zstack/v1${call.path}` : call.path;
  return (
    <Step number={number} title={t("review.title")} about={t("review.about", { operation: call.operation })}>
      <p className="mono" style={{ overflowWrap: "anywhere" }}>
        <strong>{call.method}</strong> {path}
        {query && `?${query}`}
      </p>
      <Tabs
        size="small"
        activeKey={shown}
        onChange={setShown}
        items={[
          { key: "json", label: "JSON", children: <CodeBlock code={JSON.stringify(call.body, null, 2)} label={call.operation} height={360} /> },
          ...LANGUAGES.map((language) => ({
            key: language,
            label: NAMES[language],
            children: <Sample call={call} language={language} wanted={shown === language} />,
          })),
        ]}
      />
      {outcome && !outcome.error && <Alert type="success" showIcon title={t("review.accepted")} description={t("review.acceptedAbout", { status: outcome.status, took: Math.round(outcome.took ?? 0) })} />}
    </Step>
  );
}

function Sample({ call, language, wanted }: { call: Call; language: (typeof LANGUAGES)[number]; wanted: boolean }) {
  const { data, error, refetch } = useSample(call, language, wanted);
  if (error) return <Failure error={error} retry={() => void refetch()} />;
  if (data === undefined) return <Skeleton active paragraph={{ rows: 6 }} title={false} />;
  return <CodeBlock code={data} label={NAMES[language]} height={360} />;
}
