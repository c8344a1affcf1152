/** A form made from a catalog: each parameter with what it takes, down to the last field. */

import { Tag, Tooltip } from "antd";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { AnyValue, type Field } from "./Inputs";
import { given } from "./plan";
import { Rich } from "./Rich";
import type { Parameter, Values } from "./types";
import { isObject, problem, put } from "./values";

/** Parameters one below the other. */
export function Fields({
  parameters,
  values,
  onChange,
  only,
  strict,
  label = "",
}: {
  parameters: readonly Parameter[];
  values: Values;
  onChange: (values: Values) => void;
  /** Only what is required or has a value. */
  only: boolean;
  /** Say what is missing, too. */
  strict: boolean;
  label?: string;
}) {
  const shown = parameters.filter(({ Name, Required }) => !only || Required || given(values[Name]));
  return (
    <div className="op-fields">
      {shown.map((each) => (
        <One
          key={each.Name}
          parameter={each}
          value={values[each.Name]}
          onChange={(value) => onChange(put(values, each.Name, value))}
          label={label ? `${label}.${each.Name}` : each.Name}
          only={only}
          strict={strict}
        />
      ))}
    </div>
  );
}

function One({ only, strict, ...field }: Field & { only: boolean; strict: boolean }) {
  const { parameter, value, onChange, label } = field;
  const { t } = useTranslation("explorer");
  const id = useId();
  const found = problem(parameter, value);
  const told = found && (found !== "missing" || strict) ? t(`problem.${found}`, limits(parameter)) : "";
  const nested = parameter.Type === "object" && parameter.Fields.length > 0;
  const [open, setOpen] = useState(parameter.Required || given(value));
  const about = <About parameter={parameter} id={`${id}-about`} />;
  if (nested) {
    return (
      <fieldset className="op-field nested">
        <legend>
          <button type="button" aria-expanded={open} onClick={() => setOpen(!open)}>
            <span aria-hidden>{open ? "−" : "+"}</span> <Name parameter={parameter} />
          </button>
        </legend>
        {about}
        {open && (
          <Fields
            parameters={parameter.Fields}
            values={isObject(value) ? value : {}}
            onChange={(next) => onChange(Object.keys(next).length ? next : undefined)}
            only={only}
            strict={strict && isObject(value)}
            label={label}
          />
        )}
      </fieldset>
    );
  }
  return (
    <div className="op-field">
      <div className="field-head">
        <label htmlFor={`${id}-value`}>
          <Name parameter={parameter} />
        </label>
      </div>
      <AnyValue {...field} id={`${id}-value`} describedBy={`${id}-about ${id}-problem`} bad={!!told} />
      <p className="field-problem" id={`${id}-problem`}>
        {told}
      </p>
      {about}
    </div>
  );
}

const limits = ({ Minimum, Maximum, Longest, Values: values, Type }: Parameter) => ({
  low: Minimum,
  high: Maximum,
  long: Longest,
  values: values.join(", "),
  type: Type,
});

function Name({ parameter }: { parameter: Parameter }) {
  const { t } = useTranslation("explorer");
  const { Name: name, Required, Type, TypeText, Unit, Deprecated, Effectless } = parameter;
  return (
    <>
      <span className="op-field-name">{name}</span>
      {Required && (
        <span className="required" title={t("required")}>
          *<span className="hidden-text">{t("required")}</span>
        </span>
      )}
      <span className="field-type">
        {TypeText || typeOf(parameter) || Type}
        {Unit && `, ${Unit}`}
      </span>
      {Deprecated && <Tag>{t("deprecated")}</Tag>}
      {Effectless && (
        <Tooltip title={Effectless}>
          <Tag>{t("effectless")}</Tag>
        </Tooltip>
      )}
    </>
  );
}

/** `array of string`, `map of any`. */
export function typeOf({ Type, Items }: Parameter): string {
  return Items && Type !== "object" ? `${Type}<${typeOf(Items)}>` : Type;
}

function About({ parameter, id }: { parameter: Parameter; id: string }) {
  const { t } = useTranslation("explorer");
  const { Description, Default } = parameter;
  const usual = given(Default) ? t("usual", { value: typeof Default === "string" ? Default : JSON.stringify(Default) }) : "";
  return (
    <p className="field-about" id={id}>
      <Rich text={[Description, usual].filter(Boolean).join(" ")} />
    </p>
  );
}
