/** Scaling by the clock: jobs with a schedule each, and days on which none runs. */

import { DeleteOutlined, PlusOutlined } from "@ant-design/icons";
import { Button, Input, InputNumber } from "antd";
import { useId } from "react";
import { useTranslation } from "react-i18next";
import { Ago } from "@/parts";
import { Field } from "../create/Step";
import type { Job } from "./asked";
import { ScalerPanel } from "./ScalerPanel";

interface Told {
  ScaleJobs: Job[];
  ExcludeDates: string[];
}

interface Form {
  jobs: Job[];
  excluded: string;
}

const JOB: Job = { Name: "", Schedule: "0 0 8 * * 1-5", TargetSize: 2, TimeZone: "" };

const formOf = (told: Told): Form => ({ jobs: told.ScaleJobs, excluded: told.ExcludeDates.join("\n") });

const bodyOf = (form: Form) => ({
  ScaleJobs: form.jobs.map(({ Name, Schedule, TargetSize, TimeZone }) => ({
    ...(Name ? { Name } : {}),
    Schedule,
    TargetSize,
    ...(TimeZone ? { TimeZone } : {}),
  })),
  ExcludeDates: form.excluded.split("\n").map((line) => line.trim()).filter(Boolean),
});

export function Clock({ name }: { name: string }) {
  const { t } = useTranslation("service");
  const words = { title: t("clock.title"), none: t("clock.none"), add: t("clock.add"), removeTitle: t("clock.removeTitle"), removeAbout: t("clock.removeAbout") };
  return (
    <ScalerPanel<Told, Form>
      name={name}
      kind="cronscaler"
      words={words}
      usual={{ jobs: [JOB], excluded: "" }}
      formOf={formOf}
      bodyOf={bodyOf}
      wrong={({ jobs }) => (jobs.length ? undefined : t("clock.needsJob"))}
    >
      {(form, change) => <Jobs form={form} change={change} />}
    </ScalerPanel>
  );
}

function Jobs({ form, change }: { form: Form; change: (next: Form) => void }) {
  const { t } = useTranslation("service");
  const id = useId();
  const job = (at: number, part: Partial<Job>) => change({ ...form, jobs: form.jobs.map((one, index) => (index === at ? { ...one, ...part } : one)) });
  return (
    <>
      <div className="jobs">
        <table>
          <thead>
            <tr>
              {["name", "schedule", "target", "zone", "last"].map((key) => (
                <th key={key} scope="col">
                  {t(`clock.${key}`)}
                </th>
              ))}
              <th scope="col">
                <span className="hidden-text">{t("replicas.actions")}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {form.jobs.map((one, at) => (
              <tr key={at}>
                <td>
                  <Input aria-label={t("clock.of", { what: t("clock.name"), at: at + 1 })} placeholder={`job-${at + 1}`} value={one.Name} onChange={(event) => job(at, { Name: event.target.value })} />
                </td>
                <td>
                  <Input className="mono" aria-label={t("clock.of", { what: t("clock.schedule"), at: at + 1 })} value={one.Schedule} onChange={(event) => job(at, { Schedule: event.target.value })} />
                </td>
                <td>
                  <InputNumber aria-label={t("clock.of", { what: t("clock.target"), at: at + 1 })} min={0} max={1_000} precision={0} value={one.TargetSize} onChange={(TargetSize) => job(at, { TargetSize: TargetSize ?? 0 })} />
                </td>
                <td>
                  <Input aria-label={t("clock.of", { what: t("clock.zone"), at: at + 1 })} placeholder="UTC" value={one.TimeZone ?? ""} onChange={(event) => job(at, { TimeZone: event.target.value })} />
                </td>
                <td className="small">
                  {one.State ? (
                    <span title={one.Message}>
                      {one.State} <span className="muted"><Ago at={one.LastProbeTime} /></span>
                    </span>
                  ) : (
                    "–"
                  )}
                </td>
                <td>
                  <Button type="text" icon={<DeleteOutlined aria-hidden />} aria-label={t("clock.removeJob", { at: at + 1 })} onClick={() => change({ ...form, jobs: form.jobs.filter((_, index) => index !== at) })} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p className="muted small" style={{ margin: 0 }}>
        {t("clock.fields")}
      </p>
      <div>
        <Button size="small" icon={<PlusOutlined aria-hidden />} onClick={() => change({ ...form, jobs: [...form.jobs, JOB] })}>
          {t("clock.addJob")}
        </Button>
      </div>
      <Field id={id} label={t("clock.excluded")} hint={t("clock.excludedHint")}>
        <Input.TextArea id={id} className="mono" rows={2} value={form.excluded} onChange={(event) => change({ ...form, excluded: event.target.value })} />
      </Field>
    </>
  );
}
