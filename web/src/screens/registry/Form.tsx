import { Form, Input, InputNumber, Modal, Select } from "antd";
import { useEffect } from "react";
import { useTranslation } from "react-i18next";
import { type Kind, useCenters, useModels, useSave } from "./calls";
import { body, type Field, GIB, shown } from "./fields";
import { YamlEditor, YamlFailure } from "./Yaml";

type Values = Record<string, unknown>;

/** Add an object of a kind, or change one. */
export function ObjectForm({ kind, before, close }: { kind: Kind; before?: { uuid: string; name: string }; close: () => void }) {
  const { t } = useTranslation(["registry", "common"]);
  const [form] = Form.useForm<Values>();
  const save = useSave(kind);
  const centers = useCenters().data?.rows ?? [];
  const fields = shown(kind, before !== undefined);
  const usual = Object.fromEntries(fields.map((field) => [field.name, field.usual]));
  // The one that the installation made; it may come after the form is there.
  const center = (centers.find((one) => one.name === "default") ?? centers[0])?.uuid;
  useEffect(() => {
    if (!before && center && !form.isFieldTouched("modelCenterUuid")) form.setFieldValue("modelCenterUuid", center);
  }, [before, center, form]);
  const send = async () => {
    const given = await form.validateFields().catch(() => undefined);
    if (!given) return;
    const told = body(fields, given, before && (before as unknown as Values));
    if (before && !Object.keys(told).length) return close();
    save.mutate({ uuid: before?.uuid, body: told }, { onSuccess: close });
  };
  return (
    <Modal
      open
      width={kind === "template" ? 860 : 560}
      style={{ top: 24 }}
      title={before ? t(`${kind}.edit`, { name: before.name }) : t(`${kind}.add`)}
      okText={before ? t("common:save") : t(`${kind}.add`)}
      cancelText={t("common:cancel")}
      okButtonProps={{ loading: save.isPending }}
      onOk={() => void send()}
      onCancel={close}
      destroyOnHidden
    >
      <p className="muted" style={{ marginTop: 0 }}>
        {t(before ? `${kind}.editAbout` : `${kind}.addAbout`)}
      </p>
      <Form form={form} layout="vertical" className="registry-form" initialValues={before ? { ...before } : { ...usual, modelCenterUuid: center }} onFinish={() => void send()}>
        {lines(fields).map((line) => (
          <div key={line[0]!.name} className={line.length > 1 ? (line[0]!.line === 3 ? "thirds" : "pair") : undefined}>
            {line.map((field) => (
              <Form.Item
                key={field.name}
                name={field.name}
                label={t(`fields.${field.name}`)}
                rules={field.required ? [{ required: true, message: t("required") }] : []}
              >
                {input(field)}
              </Form.Item>
            ))}
          </div>
        ))}
        <button type="submit" hidden />
      </Form>
      {save.error && <YamlFailure error={save.error} yaml={String(form.getFieldValue("yaml") ?? "")} />}
    </Modal>
  );
}

/** Fields that share a line, together. */
function lines(fields: readonly Field[]): Field[][] {
  const found: Field[][] = [];
  for (const field of fields) {
    const last = found.at(-1);
    if (last && field.line && last[0]!.line === field.line && last.length < field.line) last.push(field);
    else found.push([field]);
  }
  return found;
}

function input(field: Field) {
  const example = field.example ? { placeholder: field.example } : {};
  switch (field.shape) {
    case "area":
      return <Input.TextArea autoSize={{ minRows: 1, maxRows: 4 }} />;
    case "code":
      return <Input.TextArea autoSize={{ minRows: 2, maxRows: 8 }} className="mono" spellCheck={false} {...example} />;
    case "yaml":
      return <YamlEditor />;
    case "whole":
      return <InputNumber min={1} precision={0} style={{ width: "100%" }} />;
    case "gib":
      return <Gib />;
    case "choice":
      return <Select options={(field.choices ?? []).map((value) => ({ value, label: value }))} />;
    case "center":
      return <CenterChoice />;
    case "models":
      return <ModelChoice />;
    default:
      return <Input autoComplete="off" {...example} />;
  }
}

/** A size in bytes, written in GiB. */
export function Gib({ value, onChange, id, placeholder }: { value?: number; onChange?: (value: number | undefined) => void; id?: string; placeholder?: string }) {
  return (
    <InputNumber
      {...(id ? { id } : {})}
      {...(placeholder ? { placeholder } : {})}
      min={0.01}
      step={0.5}
      suffix="GiB"
      style={{ width: "100%" }}
      value={value === undefined ? null : Math.round((value / GIB) * 1000) / 1000}
      onChange={(next) => onChange?.(next === null ? undefined : Math.round(next * GIB))}
    />
  );
}

function CenterChoice(props: { value?: string; onChange?: (value: string) => void; id?: string }) {
  const { data } = useCenters();
  return <Select {...props} loading={!data} options={(data?.rows ?? []).map((one) => ({ value: one.uuid, label: `${one.name} · ${one.url}` }))} />;
}

function ModelChoice(props: { value?: string[]; onChange?: (value: string[]) => void; id?: string }) {
  const { data } = useModels();
  return (
    <Select
      {...props}
      mode="multiple"
      allowClear
      showSearch={{ optionFilterProp: "label" }}
      loading={!data}
      options={(data?.rows ?? []).map((one) => ({ value: one.uuid, label: one.name }))}
    />
  );
}
