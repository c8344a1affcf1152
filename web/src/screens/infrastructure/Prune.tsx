import { InputNumber, Skeleton } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Bytes, Confirm, Failure } from "@/parts";
import { size } from "@/parts/format";
import { usePrunable, usePrune } from "./calls";

const GIB = 2 ** 30;

/** Remove what no service needs. What would go is asked for first, and told with its size. */
export function Prune({ close }: { close: () => void }) {
  const { t, i18n } = useTranslation("infrastructure");
  const [keep, setKeep] = useState(0);
  const limit = Math.round(keep * GIB);
  const { data, error, isFetching } = usePrunable(limit, true);
  const prune = usePrune();
  const gone = data?.Entries.Entry ?? [];
  const bytes = size(data?.Bytes ?? 0, i18n.language);
  return (
    <Confirm
      title={t("cache.prune.title")}
      object={data ? t("cache.prune.object", { count: gone.length, bytes }) : t("cache.prune.counting")}
      action={t("cache.prune.do", { bytes })}
      danger
      off={gone.length === 0}
      about={
        <div className="stack" style={{ gap: 10 }}>
          <span>{t(data && !gone.length ? "cache.prune.nothing" : "cache.prune.about")}</span>
          <label className="row">
            {t("cache.prune.keep")}
            <InputNumber min={0} step={1} value={keep} onChange={(value) => setKeep(value ?? 0)} suffix="GiB" style={{ width: 120 }} />
          </label>
          {error && !data ? <Failure error={error} /> : null}
          {isFetching && !data && <Skeleton active paragraph={{ rows: 2 }} title={false} />}
          <ul className="outcomes" aria-live="polite">
            {gone.map((one) => (
              <li key={one.EntryId}>
                <span className="clipped" style={{ flex: 1 }} title={one.Source}>
                  {one.Source || one.EntryId}
                </span>
                <Bytes value={one.Bytes} />
              </li>
            ))}
          </ul>
        </div>
      }
      run={() => prune.mutateAsync(limit)}
      close={close}
    />
  );
}
