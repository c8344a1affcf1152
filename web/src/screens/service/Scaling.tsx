/** Who decides how many replicas there are: load, or the clock. */

import { DeleteOutlined, PlusOutlined } from "@ant-design/icons";
import { Button, InputNumber, Select } from "antd";
import { useEffect, useId, useState } from "react";
import { useTranslation } from "react-i18next";
import type { ServiceRow } from "@/api/types";
import { Amount } from "@/parts";
import { METRICS } from "../create/draft";
import { Field } from "../create/Step";
import type { AutoScaler, Behavior } from "./asked";
import { Clock } from "./Clock";
import { ScalerPanel } from "./ScalerPanel";

export function Scaling({ name, row }: { name: string; row: ServiceRow | undefined }) {
  return (
    <div className="stack">
      <ByLoad name={name} row={row} />
      <Clock name={name} />
    </div>
  );
}

interface Form {
  low: number;
  high: number;
  strategies: { metricName: string; threshold: number; service?: string }[];
  /** Seconds. */
  up: number;
  down: number;
  grace: number;
}

const USUAL: Form = { low: 1, high: 4, strategies: [{ metricName: "concurrency", threshold: 4 }], up: 0, down: 300, grace: 600 };

function formOf(scaler: AutoScaler, name: string): Form {
  return {
    low: scaler.MinReplica,
    high: scaler.MaxReplica,
    strategies: scaler.ScaleStrategies.map(({ metricName, threshold, service }) => ({
      metricName: metricName.toLowerCase(),
      threshold,
      ...(service && service !== name ? { service } : {}),
    })),
    up: scaler.Behavior.scaleUp?.stabilizationWindowSeconds ?? USUAL.up,
    down: scaler.Behavior.scaleDown?.stabilizationWindowSeconds ?? USUAL.down,
    grace: scaler.Behavior.onZero?.scaleDownGracePeriodSeconds ?? USUAL.grace,
  };
}

/** The body to send; what this form does not know of the present behaviour stays as it is. */
function bodyOf(form: Form, before: Behavior = {}) {
  return {
    min: form.low,
    max: form.high,
    scaleStrategies: form.strategies,
    behavior: {
      ...before,
      scaleUp: { ...before.scaleUp, stabilizationWindowSeconds: form.up },
      scaleDown: { ...before.scaleDown, stabilizationWindowSeconds: form.down },
      onZero: { ...before.onZero, scaleDownGracePeriodSeconds: form.grace },
    },
  };
}

function ByLoad({ name, row }: { name: string; row: ServiceRow | undefined }) {
  const { t } = useTranslation("service");
  const words = {
    title: t("scaling.load"),
    none: t("scaling.noLoad"),
    add: t("scaling.addLoad"),
    removeTitle: t("scaling.removeLoad"),
    removeAbout: t("scaling.removeLoadAbout"),
  };
  return (
    <ScalerPanel<AutoScaler, Form>
      primary
      name={name}
      kind="autoscaler"
      every={10_000}
      words={words}
      usual={USUAL}
      formOf={(told) => formOf(told, name)}
      bodyOf={(form, before) => bodyOf(form, before?.Behavior)}
      wrong={({ high, low }) => (high <= low ? t("scaling.limits") : undefined)}
    >
      {(form, change, told) => (
        <>
          {told && <Now scaler={told} row={row} />}
          <LoadForm form={form} change={(part) => change({ ...form, ...part })} />
        </>
      )}
    </ScalerPanel>
  );
}

function Now({ scaler, row }: { scaler: AutoScaler; row: ServiceRow | undefined }) {
  const { t } = useTranslation("service");
  return (
    <p className="now">
      {row && t("scaling.now", { ready: row.Ready, wanted: row.Wanted, low: scaler.MinReplica, high: scaler.MaxReplica })}{" "}
      {scaler.CurrentMetrics.map((one) => (
        <span key={one.metricName} className="measure">
          {one.metricName.toLowerCase()} <strong><Amount value={one.value} digits={2} /></strong>
        </span>
      ))}
      {!scaler.CurrentMetrics.length && <span className="muted">{t("scaling.notMeasured")}</span>}
    </p>
  );
}

function LoadForm({ form, change }: { form: Form; change: (next: Partial<Form>) => void }) {
  const { t } = useTranslation(["service", "create"]);
  const metric = (at: number, part: Partial<Form["strategies"][number]>) =>
    change({ strategies: form.strategies.map((one, index) => (index === at ? { ...one, ...part } : one)) });
  return (
    <>
      <div className="fields">
        <Whole label={t("scaling.low")} hint={t("scaling.lowHint")} value={form.low} put={(low) => change({ low })} />
        <Whole label={t("scaling.high")} value={form.high} put={(high) => change({ high })} />
      </div>
      <div role="group" aria-label={t("scaling.strategies")} className="stack-tight">
        <span className="field-name">{t("scaling.strategies")}</span>
        {form.strategies.map((one, at) => (
          <div key={at} className="row">
            <Select
              aria-label={t("scaling.metric", { at: at + 1 })}
              style={{ minWidth: 260 }}
              value={one.metricName}
              onChange={(metricName: string) => metric(at, { metricName })}
              options={METRICS.map((value) => ({ value: value as string, label: t(`create:scale.metrics.${value}`) }))}
            />
            <span aria-hidden>&gt;</span>
            <InputNumber aria-label={t("scaling.threshold", { at: at + 1 })} min={0.001} value={one.threshold} onChange={(threshold) => metric(at, { threshold: threshold ?? 1 })} />
            <span className="muted">{t("scaling.perReplica")}</span>
            {one.service && <span className="mono muted">{one.service}</span>}
            {form.strategies.length > 1 && (
              <Button type="text" icon={<DeleteOutlined aria-hidden />} aria-label={t("scaling.removeMetric", { at: at + 1 })} onClick={() => change({ strategies: form.strategies.filter((_, index) => index !== at) })} />
            )}
          </div>
        ))}
        <div>
          <Button size="small" icon={<PlusOutlined aria-hidden />} onClick={() => change({ strategies: [...form.strategies, { metricName: "qps", threshold: 10 }] })}>
            {t("scaling.addMetric")}
          </Button>
        </div>
      </div>
      <div className="fields">
        <Whole label={t("scaling.up")} hint={t("scaling.upHint")} unit="s" value={form.up} put={(up) => change({ up })} />
        <Whole label={t("scaling.down")} hint={t("scaling.downHint")} unit="s" value={form.down} put={(down) => change({ down })} />
        {form.low === 0 && <Whole label={t("scaling.grace")} hint={t("scaling.graceHint")} unit="s" value={form.grace} put={(grace) => change({ grace })} />}
      </div>
    </>
  );
}

function Whole({ label, hint, unit, value, put }: { label: string; hint?: string; unit?: string; value: number; put: (value: number) => void }) {
  const id = useId();
  const [text, setText] = useState<number | null>(value);
  useEffect(() => setText(value), [value]);
  return (
    <Field id={id} label={label} hint={hint}>
      <InputNumber
        id={id}
        min={0}
        max={1_000_000}
        precision={0}
        {...(unit ? { suffix: unit } : {})}
        value={text}
        onChange={(next) => {
          setText(next);
          if (next !== null) put(next);
        }}
      />
    </Field>
  );
}
