/** The platform's settings: what each is, where it comes from, what it means. */

import { useQuery } from "@tanstack/react-query";
import { Segmented, Tag } from "antd";
import { useTranslation } from "react-i18next";
import { onThing } from "@/api/allowed";
import { rpc } from "@/api/call";
import { DataTable, Empty, Failure, PageFilter, useUrl } from "@/parts";

interface Setting {
  Name: string;
  Value: string;
  Source: string;
  Meaning: string;
}

const USUAL = "default";

export function Platform() {
  const { t } = useTranslation(["settings", "common"]);
  const [search, put] = useUrl();
  const { data, error, refetch } = useQuery({
    queryKey: ["settings"],
    queryFn: ({ signal }) => rpc<{ Settings: { Setting: Setting[] } }>("ListSettings", {}, { signal, right: onThing("pierhead:ListSettings", "setting") }),
    staleTime: 60_000,
  });
  if (error) return <Failure error={error} retry={() => void refetch()} />;
  const words = (search["q"] ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  const changed = search["source"] === "changed";
  const rows = data?.Settings.Setting.filter((row) => {
    const text = `${row.Name}\n${row.Value}\n${row.Meaning}`.toLowerCase();
    return words.every((word) => text.includes(word)) && (!changed || row.Source !== USUAL);
  });
  return (
    <>
      <div className="row" role="search" aria-label={t("filter")} style={{ marginBottom: 10 }}>
        <PageFilter label={t("filter")} />
        <Segmented
          aria-label={t("source")}
          value={changed ? "changed" : "all"}
          onChange={(value) => put({ source: value === "all" ? undefined : value, page: undefined })}
          options={[
            { value: "all", label: t("common:all") },
            { value: "changed", label: t("changed") },
          ]}
        />
        <span className="muted">{t("platformAbout")}</span>
      </div>
      <DataTable
        label={t("tab.platform")}
        rows={rows}
        rowKey={(row) => row.Name}
        page={200}
        scrollX={860}
        usualOrder="name"
        columns={[
          { title: t("common:name"), key: "name", width: 240, sorter: (a, b) => a.Name.localeCompare(b.Name), render: (_, row) => <span className="mono">{row.Name}</span> },
          { title: t("value"), key: "value", width: 240, render: (_, row) => <span className="mono" style={{ overflowWrap: "anywhere" }}>{row.Value || "–"}</span> },
          {
            title: t("source"),
            key: "source",
            width: 170,
            sorter: (a, b) => a.Source.localeCompare(b.Source),
            render: (_, row) => <Source told={row.Source} />,
          },
          { title: t("meaning"), dataIndex: "Meaning" },
        ]}
        empty={<Empty title={t("nothing")} />}
      />
    </>
  );
}

/** Where a value comes from, and which one exactly: "flag --listen". */
function Source({ told }: { told: string }) {
  const { t } = useTranslation("settings");
  const [kind = "", ...which] = told.split(" ");
  return (
    <>
      <Tag {...(told === USUAL ? {} : { color: "blue" })}>{t(`from.${kind}`, { defaultValue: kind })}</Tag>
      {which.length > 0 && <div className="mono muted">{which.join(" ")}</div>}
    </>
  );
}
