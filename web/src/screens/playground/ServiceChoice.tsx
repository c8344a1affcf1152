/** Which service is asked: those that answer now, and those that wake up for a request. */

import { Select } from "antd";
import { useTranslation } from "react-i18next";
import { useServices } from "@/api/queries";
import type { ServiceRow } from "@/api/types";
import { StatusTag } from "@/parts";

/** Can it be asked? One that was scaled to zero wakes up with the question. */
export const answers = (row: ServiceRow): boolean => row.Ready > 0 || row.Status === "Running";

const asleep = (row: ServiceRow) => row.Status === "Running" && row.Wanted === 0;

export function ServiceChoice({ label, value, onChange }: { label: string; value: string; onChange: (name: string) => void }) {
  const { t } = useTranslation("playground");
  const { data: rows = [] } = useServices();
  const found = rows.filter(answers);
  const gone = value && !found.some((row) => row.ServiceName === value);
  return (
    <Select
      aria-label={label}
      showSearch
      value={value || null}
      placeholder={t("choose")}
      onChange={onChange}
      popupMatchSelectWidth={360}
      {...(gone ? { status: "warning" as const } : {})}
      options={found.map((row) => ({ value: row.ServiceName, label: row.ServiceName, row }))}
      optionRender={({ data }) => <Option row={data.row} />}
    />
  );
}

function Option({ row }: { row: ServiceRow }) {
  return (
    <div className="row" style={{ justifyContent: "space-between", flexWrap: "nowrap" }}>
      <span style={{ minWidth: 0, overflow: "hidden", textOverflow: "ellipsis" }}>
        {row.ServiceName} <span className="muted">{row.Model || row.Spec}</span>
      </span>
      <StatusTag status={asleep(row) ? "ScaledToZero" : row.Status} />
    </div>
  );
}
