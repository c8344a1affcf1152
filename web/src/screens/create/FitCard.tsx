/** Whether it fits: the verdict, both numbers, what they consist of. */

import { CheckCircleFilled, CloseCircleFilled } from "@ant-design/icons";
import { Skeleton } from "antd";
import { useTranslation } from "react-i18next";
import { Amount, Bytes, Failure } from "@/parts";
import { number } from "@/parts/format";
import type { Fit, useFit } from "./asked";

const PARTS = ["Weights", "KvCache", "Compute", "Overhead"] as const;

export function FitCard({ fit, note }: { fit: ReturnType<typeof useFit>; note?: string | undefined }) {
  const { t } = useTranslation("create");
  return (
    <section className="panel fit" aria-label={t("fit.title")} aria-live="polite" aria-busy={fit.isFetching}>
      <h2>{t("fit.title")}</h2>
      {fit.error ? (
        <Failure error={fit.error} title={t("fit.failed")} />
      ) : fit.data ? (
        <Told fit={fit.data} note={note} />
      ) : fit.isFetching ? (
        <Skeleton active paragraph={{ rows: 4 }} title={false} />
      ) : (
        <p className="muted">{t("fit.nothing")}</p>
      )}
    </section>
  );
}

function Told({ fit, note }: { fit: Fit; note: string | undefined }) {
  const { t } = useTranslation("create");
  const has = fit.MemoryLimit || fit.Total;
  return (
    <>
      <p className={`verdict ${fit.Fits ? "tone-ok" : "tone-bad"}`}>
        {fit.Fits ? <CheckCircleFilled aria-hidden /> : <CloseCircleFilled aria-hidden />}
        <strong>{t(fit.Fits ? "fit.fits" : "fit.not")}</strong>
      </p>
      <dl className="numbers">
        <div>
          <dt>{t("fit.needed")}</dt>
          <dd className={fit.Fits ? undefined : "tone-bad"}>
            <Bytes value={fit.Needed} />
          </dd>
        </div>
        <div>
          <dt>{t(fit.MemoryLimit ? "fit.limit" : "fit.total")}</dt>
          <dd>
            <Bytes value={has} />
          </dd>
        </div>
        <div>
          <dt>{t("fit.free")}</dt>
          <dd>
            <Bytes value={fit.Free} />
          </dd>
        </div>
      </dl>
      <Bar fit={fit} has={has} />
      <p className="small fit-message">{fit.Message}</p>
      <dl className="facts">
        <dt>{t("fit.context")}</dt>
        <dd>
          <Amount value={fit.Context} unit={t("fit.tokens")} /> <Most value={fit.LargestContext} />
        </dd>
        <dt>{t("fit.slots")}</dt>
        <dd>
          <Amount value={fit.Slots} /> <Most value={fit.MostSlots} />
        </dd>
        <dt>{t("fit.replicas")}</dt>
        <dd>{t("fit.now", { count: fit.ReplicasNow })}</dd>
        <dt>{t("fit.engine")}</dt>
        <dd>
          {fit.Engine || "–"}
          {fit.Conversion && <span className="muted"> · {fit.Conversion}</span>}
        </dd>
      </dl>
      {fit.Guessed && <p className="small muted">{t("fit.guessed")}</p>}
      {note && <p className="small muted">{note}</p>}
    </>
  );
}

/** The most that would fit; where nothing fits there is nothing to say. */
function Most({ value }: { value: number }) {
  const { t, i18n } = useTranslation("create");
  return value > 0 ? <span className="muted">{t("fit.most", { most: number(value, i18n.language) })}</span> : null;
}

/** The parts of what is needed, against what there is. */
function Bar({ fit, has }: { fit: Fit; has: number }) {
  const { t } = useTranslation("create");
  const whole = Math.max(fit.Needed, has, 1);
  const parts = PARTS.filter((part) => (fit[part] ?? 0) > 0);
  return (
    <>
      <div className="fit-bar" aria-hidden>
        {parts.map((part) => (
          <i key={part} className={part} style={{ width: `${((fit[part] ?? 0) / whole) * 100}%` }} />
        ))}
        <b style={{ insetInlineStart: `${Math.min(100, (has / whole) * 100)}%` }} />
      </div>
      <ul className="legend">
        {parts.map((part) => (
          <li key={part}>
            <i className={part} aria-hidden />
            {t(`fit.parts.${part}`)} <Bytes value={fit[part] ?? 0} />
          </li>
        ))}
      </ul>
    </>
  );
}
