/** The code of the call, in several languages, with what is set now. */

import { useQuery } from "@tanstack/react-query";
import { Drawer, Skeleton, Tabs } from "antd";
import { useTranslation } from "react-i18next";
import { makeCode } from "@/api/samples";
import { useSession } from "@/api/session";
import { CodeBlock, Failure, useUrlText } from "@/parts";

const NAMES: Record<string, string> = {
  python: "Python",
  typescript: "TypeScript",
  curl: "curl",
  go: "Go",
  java: "Java",
  php: "PHP",
  csharp: "C#",
};

export function Code({ operation, params, close }: { operation: string; params: object; close: () => void }) {
  const { t } = useTranslation("playground");
  const { Region } = useSession();
  const [language, setLanguage] = useUrlText("language", "python");
  const { data, error, refetch } = useQuery({
    queryKey: ["sample", operation, params],
    queryFn: ({ signal }) => makeCode({ product: "openai", version: "v1", operation, params }, Region, "", signal),
  });
  const order = Object.keys(NAMES);
  const items = Object.entries(data ?? {})
    .sort(([left], [right]) => order.indexOf(left) - order.indexOf(right))
    .map(([key, code]) => ({
      key,
      label: NAMES[key] ?? key,
      children: <CodeBlock code={code} label={t("codeIn", { language: NAMES[key] ?? key })} />,
    }));
  return (
    <Drawer open title={t("viewCode")} size={720} onClose={close}>
      <p className="muted" style={{ marginTop: 0 }}>
        {t("codeAbout")}
      </p>
      {error ? (
        <Failure error={error} retry={() => void refetch()} />
      ) : data ? (
        <Tabs activeKey={data[language] ? language : "python"} onChange={setLanguage} items={items} />
      ) : (
        <Skeleton active paragraph={{ rows: 10 }} />
      )}
    </Drawer>
  );
}
