/** Step 3: how many replicas, and who decides that later. */

import { Input, InputNumber, Select, Switch } from "antd";
import { useId } from "react";
import { useTranslation } from "react-i18next";
import { type Draft, METRICS } from "./draft";
import { Field, Step } from "./Step";

interface Props {
  draft: Draft;
  change: (part: Partial<Draft>) => void;
}

export function Scale({ draft, change, wrong }: Props & { wrong: string | undefined }) {
  const { t } = useTranslation("create");
  const [replicas, labels] = [useId(), useId()];
  if (draft.source === "model") {
    return <Step number={3} title={t("scale.title")} about={t("scale.registered")}>{null}</Step>;
  }
  return (
    <Step number={3} title={t("scale.title")}>
      <div className="stack">
        <div className="fields">
          <Field id={replicas} label={t("scale.replicas")} hint={t("scale.replicasHint")}>
            <InputNumber id={replicas} min={1} max={1000} precision={0} value={draft.replicas} onChange={(value) => change({ replicas: value ?? 1 })} />
          </Field>
          <Field id={labels} label={t("scale.labels")} hint={t("scale.labelsHint")} error={wrong === "labels" ? t("wrong.labels") : undefined}>
            <Input id={labels} className="mono" placeholder="team=search, tier=gold" value={draft.labels} onChange={(event) => change({ labels: event.target.value })} />
          </Field>
        </div>
        <label className="row">
          <Switch aria-label={t("scale.auto")} checked={draft.scaling} onChange={(scaling) => change({ scaling })} />
          {t("scale.auto")}
        </label>
        {draft.scaling && <Auto draft={draft} change={change} error={wrong === "limits" ? t("wrong.limits") : undefined} />}
      </div>
    </Step>
  );
}

function Auto({ draft, change, error }: Props & { error: string | undefined }) {
  const { t } = useTranslation("create");
  const [low, high, metric, threshold] = [useId(), useId(), useId(), useId()];
  return (
    <div className="fields">
      <Field id={low} label={t("scale.low")} hint={t("scale.lowHint")}>
        <InputNumber id={low} min={0} max={999} precision={0} value={draft.low} onChange={(value) => change({ low: value ?? 0 })} />
      </Field>
      <Field id={high} label={t("scale.high")} error={error}>
        <InputNumber id={high} min={1} max={1000} precision={0} value={draft.high} onChange={(value) => change({ high: value ?? 1 })} />
      </Field>
      <Field id={metric} label={t("scale.metric")}>
        <Select id={metric} aria-label={t("scale.metric")} value={draft.metric} onChange={(value) => change({ metric: value })} options={METRICS.map((value) => ({ value, label: t(`scale.metrics.${value}`) }))} />
      </Field>
      <Field id={threshold} label={t("scale.threshold")} hint={t("scale.thresholdHint")}>
        <InputNumber id={threshold} min={0.01} value={draft.threshold} onChange={(value) => change({ threshold: value ?? 1 })} />
      </Field>
    </div>
  );
}
