/** Step 2: engine and room for one replica. */

import { InputNumber, Radio, Select } from "antd";
import { useId } from "react";
import { useTranslation } from "react-i18next";
import { type Fit, useSizes, useWorkspaces } from "./asked";
import type { Draft } from "./draft";
import { Field, Step } from "./Step";

interface Props {
  draft: Draft;
  change: (part: Partial<Draft>) => void;
}

export function Room({ draft, change, fit }: Props & { fit: Fit | undefined }) {
  const { t } = useTranslation("create");
  const registered = draft.source === "model";
  const ways = registered ? (["usual", "own"] as const) : (["usual", "named", "own"] as const);
  return (
    <Step number={2} title={t("room.title")} about={fit?.EngineReason || t("room.about")}>
      <div className="stack">
        <Radio.Group
          aria-label={t("room.size")}
          value={draft.size}
          onChange={(event) => change({ size: event.target.value as Draft["size"] })}
          options={ways.map((value) => ({ value, label: t(`room.sizes.${value}`) }))}
        />
        {draft.size === "named" && <Named draft={draft} change={change} />}
        {draft.size === "own" && <Own draft={draft} change={change} />}
        {!registered && <Place draft={draft} change={change} />}
      </div>
    </Step>
  );
}

function Named({ draft, change }: Props) {
  const { t } = useTranslation("create");
  const { data = [] } = useSizes();
  const id = useId();
  return (
    <Field id={id} label={t("room.instanceType")} hint={t("room.instanceTypeHint")}>
      <Select
        id={id}
        showSearch
        style={{ maxWidth: 460 }}
        aria-label={t("room.instanceType")}
        value={draft.instanceType || null}
        placeholder={t("model.choose")}
        onChange={(instanceType: string) => change({ instanceType })}
        options={data.map((size) => ({
          value: size.InstanceType,
          disabled: !size.IsAvailable,
          label: `${size.InstanceType} · ${t("room.told", { cpu: size.CPU, memory: size.Memory })}${size.GPUAmount ? ` · ${size.GPUAmount} × ${size.GPU}` : ""}`,
        }))}
      />
    </Field>
  );
}

function Own({ draft, change }: Props) {
  const { t } = useTranslation("create");
  const [memory, cpu, gpu] = [useId(), useId(), useId()];
  return (
    <div className="fields">
      <Field id={memory} label={t("room.memory")} hint={t("room.usual")}>
        <InputNumber id={memory} min={0.01} max={1_000_000} suffix="GiB" value={draft.memory} onChange={(value) => change({ memory: value })} />
      </Field>
      <Field id={cpu} label={t("room.cpu")} hint={t("room.usual")}>
        <InputNumber id={cpu} min={0.01} max={1024} value={draft.cpu} onChange={(value) => change({ cpu: value })} />
      </Field>
      {draft.source !== "model" && (
        <Field id={gpu} label={t("room.gpu")} hint={t("room.usual")}>
          <InputNumber id={gpu} min={0} max={1024} precision={0} value={draft.gpu} onChange={(value) => change({ gpu: value })} />
        </Field>
      )}
    </div>
  );
}

function Place({ draft, change }: Props) {
  const { t } = useTranslation("create");
  const { data = [] } = useWorkspaces();
  const id = useId();
  if (!data.length) return null;
  return (
    <div className="fields">
      <Field id={id} label={t("room.workspace")} hint={t("room.workspaceHint")}>
        <Select
          id={id}
          allowClear
          aria-label={t("room.workspace")}
          value={draft.workspace || null}
          placeholder={t("room.noWorkspace")}
          onChange={(workspace: string | undefined) => change({ workspace: workspace ?? "" })}
          options={data.map((one) => ({ value: one.WorkspaceId, label: one.Name ? `${one.Name} (${one.WorkspaceId})` : one.WorkspaceId }))}
        />
      </Field>
    </div>
  );
}
