/** A few questions, then one change. Stays open with the reason if it fails. */

import { Checkbox, Form, Input, InputNumber, Select } from "antd";
import type { ReactNode } from "react";
import { useTranslation } from "react-i18next";
import { Dialog, useDeed } from "./Dialog";

export interface Field {
  name: string;
  label: string;
  kind?: "text" | "long" | "secret" | "number" | "choice" | "check";
  required?: boolean;
  hint?: string;
  options?: readonly { value: string; label: string }[];
  min?: number;
  max?: number;
  unit?: string;
}

export type Given = Record<string, string | number | boolean | null | undefined>;

export function FormDialog({
  title,
  about,
  fields,
  initial = {},
  action,
  wide = false,
  children,
  run,
  close,
}: {
  title: string;
  about?: ReactNode;
  fields: readonly Field[];
  initial?: Given;
  /** The word on the button. */
  action: string;
  wide?: boolean;
  /** More than fields: an editor. */
  children?: ReactNode;
  run: (given: Given) => Promise<unknown>;
  close: () => void;
}) {
  const [form] = Form.useForm<Given>();
  const deed = useDeed();
  const go = (given: Given) => void deed.go(() => run(given), close);
  return (
    <Dialog title={title} action={action} width={wide ? 760 : 480} deed={deed} send={() => form.submit()} close={close}>
      <Form form={form} layout="vertical" requiredMark={false} initialValues={initial} onFinish={go}>
        {about && <p className="muted">{about}</p>}
        {fields.map((field, index) => (
          <One key={field.name} field={field} first={index === 0} />
        ))}
        {children}
        {/* Enter in a field sends the form: browsers want a button for it. */}
        <button type="submit" className="hidden-text" tabIndex={-1} aria-hidden />
      </Form>
    </Dialog>
  );
}

function One({ field, first }: { field: Field; first: boolean }) {
  const { t } = useTranslation();
  const rules = field.required ? [{ required: true, message: t("needed", { what: field.label }) }] : [];
  const check = field.kind === "check";
  return (
    <Form.Item
      name={field.name}
      label={check ? undefined : field.label}
      extra={field.hint}
      rules={rules}
      valuePropName={check ? "checked" : "value"}
      style={{ marginBottom: 12 }}
    >
      {control(field, first)}
    </Form.Item>
  );
}

function control(field: Field, first: boolean) {
  const { kind = "text", min, max, unit, options = [] } = field;
  const known = options.map(({ value, label }) => ({ value, label }));
  if (kind === "check") return <Checkbox>{field.label}</Checkbox>;
  if (kind === "long") return <Input.TextArea autoSize={{ minRows: 2, maxRows: 8 }} autoFocus={first} />;
  if (kind === "secret") return <Input.Password autoComplete="new-password" autoFocus={first} />;
  if (kind === "choice") return <Select options={known} showSearch allowClear={!field.required} autoFocus={first} />;
  if (kind !== "number") return <Input autoComplete="off" autoFocus={first} />;
  const range = { ...(min === undefined ? {} : { min }), ...(max === undefined ? {} : { max }) };
  return <InputNumber style={{ width: "100%" }} {...range} suffix={unit} autoFocus={first} />;
}
