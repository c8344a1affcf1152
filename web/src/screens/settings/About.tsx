/** What this is, and what others made that the page carries. */

import { useQuery } from "@tanstack/react-query";
import { useTranslation } from "react-i18next";
import { ApiError } from "@/api/error";
import { read, send, useSession } from "@/api/session";
import { CodeBlock, DataTable, Empty, Failure, PageFilter, useUrl } from "@/parts";
import { Lines } from "./Lines";

interface Licence {
  name: string;
  version: string;
  identifier?: string | null;
  text?: string | null;
}

/** Written with the page by its build. */
const WHERE = "/licences.json";

async function licences(signal: AbortSignal): Promise<Licence[]> {
  const response = await send(WHERE, { signal });
  const found = await read(response);
  if (!response.ok || !Array.isArray(found)) {
    throw new ApiError({ status: response.ok ? 404 : response.status, code: "NoLicences", message: WHERE });
  }
  return found as Licence[];
}

export function About() {
  const { t } = useTranslation(["settings", "common"]);
  const { Version } = useSession();
  const [search] = useUrl();
  const { data, error, refetch } = useQuery({ queryKey: ["licences"], queryFn: ({ signal }) => licences(signal), staleTime: Infinity });
  const word = (search["q"] ?? "").toLowerCase();
  const rows = data?.filter((row) => `${row.name} ${row.identifier ?? ""}`.toLowerCase().includes(word));
  return (
    <div className="stack">
      <section className="panel">
        <h2>Pierhead</h2>
        <Lines
          lines={[
            [t("about.version"), <span key="version" className="mono">{Version}</span>],
            [t("about.licence"), "Apache-2.0"],
            [t("about.what"), t("about.purpose")],
          ]}
        />
      </section>
      <section className="stack">
        <div className="row">
          <h2 className="section-title" style={{ margin: 0 }}>
            {t("about.carried")} {data && <span className="muted">{data.length}</span>}
          </h2>
          <PageFilter label={t("filter")} />
        </div>
        {error ? (
          <Failure error={error} title={t("about.missing")} retry={() => void refetch()} />
        ) : (
          <DataTable
            label={t("about.carried")}
            rows={rows}
            rowKey={(row) => `${row.name}@${row.version}`}
            usualOrder="name"
            page={200}
            expandable={{
              rowExpandable: (row) => !!row.text,
              expandRowByClick: true,
              expandedRowRender: (row) => <CodeBlock wrap height={320} label={t("about.text", { name: row.name })} code={row.text ?? ""} />,
            }}
            columns={[
              { title: t("common:name"), key: "name", sorter: (a, b) => a.name.localeCompare(b.name), render: (_, row) => <span className="mono">{row.name}</span> },
              { title: t("about.version"), key: "version", width: 160, render: (_, row) => <span className="mono">{row.version}</span> },
              { title: t("about.licence"), key: "licence", width: 200, sorter: (a, b) => (a.identifier ?? "").localeCompare(b.identifier ?? ""), render: (_, row) => row.identifier || t("common:unknown") },
            ]}
            empty={<Empty title={t("nothing")} />}
          />
        )}
      </section>
    </div>
  );
}
