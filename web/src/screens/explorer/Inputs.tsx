/** What a value is typed or chosen with, by its type. */

import { DeleteOutlined, PlusOutlined } from "@ant-design/icons";
import { AutoComplete, Button, Input, InputNumber, Select } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useServices } from "@/api/queries";
import { useSession } from "@/api/session";
import { Fields } from "./Fields";
import { given } from "./plan";
import type { Json, Parameter, Values } from "./types";
import { isObject, meant, secretName, shownAs } from "./values";

export interface Field {
  parameter: Parameter;
  value: Json | undefined;
  onChange: (value: Json | undefined) => void;
  /** Names it to those who do not see it: the names on the way to it. */
  label: string;
  id?: string | undefined;
  describedBy?: string | undefined;
  bad?: boolean;
}

/** Names that this platform can offer itself. */
function useOffered(parameter: Parameter): string[] {
  const { Region } = useSession();
  const { data = [] } = useServices();
  if (parameter.Values.length) return parameter.Values;
  if (/^(ClusterId|RegionId|Region)$/.test(parameter.Name)) return [Region];
  return /^ServiceName$/.test(parameter.Name) ? data.map(({ ServiceName }) => ServiceName) : [];
}

/** The way of typing that fits; JSON where a value is not what the catalog says. */
export function AnyValue(field: Field) {
  const { parameter, value } = field;
  const { Type, Values: legal, Open, Items } = parameter;
  if (Type === "boolean") return <Choice {...field} legal={["true", "false"]} />;
  if (Type === "integer" || Type === "number") return <Numeric {...field} />;
  if (Type === "array" && Items?.Type === "string" && (value === undefined || isTexts(value))) return <Texts {...field} />;
  if (Type === "array" && (value === undefined || Array.isArray(value))) return <List {...field} />;
  if (Type === "map" && (value === undefined || isObject(value))) return <Pairs {...field} />;
  if (Type === "object" && parameter.Fields.length && (value === undefined || isObject(value))) return <Inner {...field} />;
  if (Type !== "string" || (value !== undefined && typeof value !== "string")) return <Anything {...field} />;
  return legal.length && !Open ? <Choice {...field} legal={legal} /> : <Text {...field} />;
}

const isTexts = (value: Json): boolean => Array.isArray(value) && value.every((each) => typeof each === "string");

const named = ({ id, label, describedBy, bad }: Field) => ({
  ...(id ? { id } : {}),
  "aria-label": label,
  ...(describedBy ? { "aria-describedby": describedBy } : {}),
  ...(bad ? { "aria-invalid": true } : {}),
});

/** What an example looks like; told as one, so that nobody takes it for a value. */
function useHint({ Example }: Parameter): string {
  const { t } = useTranslation("explorer");
  return given(Example) && typeof Example !== "object" ? t("eg", { value: String(Example).slice(0, 60) }) : "";
}

function Choice(field: Field & { legal: readonly string[] }) {
  const { parameter, value, onChange, legal } = field;
  const shown = value === undefined || value === null ? null : String(value);
  const hint = useHint(parameter);
  return (
    <Select<string | null>
      {...named(field)}
      className="whole"
      allowClear
      showSearch={legal.length > 8}
      value={shown}
      placeholder={hint}
      options={legal.map((each) => ({ value: each, label: each }))}
      onChange={(next) => onChange(next === null || next === undefined ? undefined : parameter.Type === "boolean" ? next === "true" : next)}
    />
  );
}

function Numeric(field: Field) {
  const { parameter, value, onChange } = field;
  const hint = useHint(parameter);
  return (
    <InputNumber
      {...named(field)}
      className="whole"
      value={typeof value === "number" || typeof value === "string" ? value : null}
      placeholder={hint}
      status={field.bad ? "error" : ""}
      onChange={(next) => onChange(next === null ? undefined : Number(next))}
    />
  );
}

function Text(field: Field) {
  const { parameter, value, onChange } = field;
  const offered = useOffered(parameter);
  const hint = useHint(parameter);
  const text = typeof value === "string" ? value : "";
  const change = (next: string) => onChange(next === "" ? undefined : next);
  const status = field.bad ? "error" : "";
  if (offered.length) {
    return (
      <AutoComplete
        {...named(field)}
        className="whole"
        value={text}
        placeholder={hint}
        status={status}
        options={offered.filter((each) => each.includes(text) || offered.includes(text)).map((each) => ({ value: each }))}
        onChange={change}
      />
    );
  }
  if (secretName(parameter.Name) && !/uu?id$/i.test(parameter.Name)) {
    return (
      <Input.Password
        {...named(field)}
        value={text}
        status={status}
        autoComplete="off"
        data-secret
        onChange={(event) => change(event.target.value)}
      />
    );
  }
  return (
    <Input.TextArea
      {...named(field)}
      value={text}
      placeholder={hint}
      status={status}
      autoSize={{ minRows: 1, maxRows: 10 }}
      spellCheck={false}
      onChange={(event) => change(event.target.value)}
    />
  );
}

function Texts(field: Field) {
  const { t } = useTranslation("explorer");
  const { parameter, value, onChange } = field;
  return (
    <Select
      {...named(field)}
      className="whole"
      mode="tags"
      value={(value as string[] | undefined) ?? []}
      placeholder={t("texts")}
      suffixIcon={null}
      {...(parameter.Items?.Values.length ? {} : { open: false })}
      options={(parameter.Items?.Values ?? []).map((each) => ({ value: each, label: each }))}
      onChange={(next) => onChange(next.length ? next : undefined)}
    />
  );
}

function Inner({ parameter, value, onChange, label }: Field) {
  return (
    <Fields
      parameters={parameter.Fields}
      values={isObject(value) ? value : {}}
      onChange={onChange}
      only={false}
      strict={false}
      label={label}
    />
  );
}

const EMPTY: Partial<Record<Parameter["Type"], Json>> = { object: {}, array: [], map: {}, boolean: false };

function List(field: Field) {
  const { t } = useTranslation("explorer");
  const { parameter, value, onChange, label } = field;
  const items = Array.isArray(value) ? value : [];
  const item = parameter.Items;
  if (!item) return <Anything {...field} />;
  const set = (next: Json[]) => onChange(next.length ? next : undefined);
  return (
    <div className="items" role="group" {...named(field)}>
      {items.map((each, index) => (
        <div className="item" key={index}>
          <div>
            <AnyValue
              parameter={item}
              value={each}
              label={`${label}[${index}]`}
              onChange={(next) => set(items.with(index, next ?? EMPTY[item.Type] ?? ""))}
            />
          </div>
          <Button
            type="text"
            icon={<DeleteOutlined aria-hidden />}
            aria-label={t("remove", { name: `${label}[${index}]` })}
            onClick={() => set(items.filter((_, at) => at !== index))}
          />
        </div>
      ))}
      <Button size="small" icon={<PlusOutlined aria-hidden />} onClick={() => set([...items, EMPTY[item.Type] ?? (item.Type === "integer" || item.Type === "number" ? 0 : "")])}>
        {t("add", { name: parameter.Name || label })}
      </Button>
    </div>
  );
}

/** What was made of rows while they are typed: two names may be the same for a moment. */
function Pairs(field: Field) {
  const { t } = useTranslation("explorer");
  const { parameter, value, onChange, label } = field;
  const [rows, setRows] = useState<[string, Json][]>(() => Object.entries((value as Values | undefined) ?? {}));
  const [told, setTold] = useState(value);
  if (value !== told) {
    setTold(value);
    setRows(Object.entries((value as Values | undefined) ?? {}));
  }
  const set = (next: [string, Json][]) => {
    const named = next.filter(([name]) => name !== "");
    const made = named.length ? (Object.fromEntries(named) as Values) : undefined;
    setRows(next);
    setTold(made);
    onChange(made);
  };
  const item = parameter.Items ?? ({ ...parameter, Name: "", Type: "any", Fields: [], Items: null } as Parameter);
  return (
    <div className="items" role="group" {...named(field)}>
      {rows.map(([name, each], index) => (
        <div className="item pair" key={index}>
          <Input
            value={name}
            aria-label={t("key", { name: label })}
            placeholder={t("keyHint")}
            onChange={(event) => set(rows.with(index, [event.target.value, each]))}
          />
          <div>
            <AnyValue
              parameter={secretName(name) && item.Type === "string" ? { ...item, Name: name } : item}
              value={each}
              label={`${label}.${name}`}
              onChange={(next) => set(rows.with(index, [name, next ?? EMPTY[item.Type] ?? ""]))}
            />
          </div>
          <Button
            type="text"
            icon={<DeleteOutlined aria-hidden />}
            aria-label={t("remove", { name: `${label}.${name}` })}
            onClick={() => set(rows.filter((_, at) => at !== index))}
          />
        </div>
      ))}
      <Button size="small" icon={<PlusOutlined aria-hidden />} onClick={() => setRows([...rows, ["", EMPTY[item.Type] ?? ""]])}>
        {t("add", { name: parameter.Name || label })}
      </Button>
    </div>
  );
}

/** JSON where it is JSON, else a text. */
function Anything(field: Field) {
  const { t } = useTranslation("explorer");
  const { value, onChange } = field;
  const [text, setText] = useState(() => shownAs(value));
  const [told, setTold] = useState(value);
  if (value !== told) {
    setTold(value);
    setText(shownAs(value));
  }
  return (
    <Input.TextArea
      {...named(field)}
      className="mono"
      value={text}
      placeholder={t("anything")}
      autoSize={{ minRows: 1, maxRows: 12 }}
      spellCheck={false}
      onChange={(event) => {
        const next = event.target.value === "" ? undefined : meant(event.target.value);
        setText(event.target.value);
        setTold(next);
        onChange(next);
      }}
    />
  );
}
