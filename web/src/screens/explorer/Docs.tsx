/** What there is to know of an operation, in the language of the page. */

import { useTranslation } from "react-i18next";
import { CodeBlock, Empty, StatusTag } from "@/parts";
import { typeOf } from "./Fields";
import { given } from "./plan";
import { Rich } from "./Rich";
import type { Operation, Parameter } from "./types";

export function Docs({ operation }: { operation: Operation }) {
  const { t } = useTranslation("explorer");
  const { Title, Id, Description, Unsupported, Parameters, Response, Answer, Changes } = operation;
  return (
    <div className="docs stack">
      <div>
        <h2>{Title && Title !== Id ? Title : Id}</h2>
        {Description.split(/\n+/).map((each, index) => each && <p key={index}><Rich text={each} /></p>)}
        {Unsupported && <p className="note"><Rich text={t("unsupportedWhy", { why: Unsupported })} /></p>}
      </div>
      <Facts operation={operation} />
      <section>
        <h3 className="section-title">{t("docs.parameters")}</h3>
        {Parameters.length ? <Table label={t("docs.parameters")} parameters={Parameters} places /> : <p className="muted">{t("docs.noParameters")}</p>}
      </section>
      <section>
        <h3 className="section-title">{t("docs.response")}</h3>
        {Response.length > 0 && <Table label={t("docs.response")} parameters={Response} />}
        {Object.keys(Answer).length > 0 && (
          <>
            <p className="field-about">{t("docs.answer")}</p>
            <CodeBlock code={JSON.stringify(Answer, null, 2)} label={t("docs.answer")} height={360} />
          </>
        )}
      </section>
      <section>
        <h3 className="section-title">{t("docs.changes")}</h3>
        {Changes.length ? (
          <table className="plain">
            <tbody>
              {Changes.map((each, index) => (
                <tr key={index}>
                  <td className="mono nowrap">{each.Version}</td>
                  <td className="nowrap">{t(`docs.change.${each.Kind}`, { defaultValue: each.Kind })}</td>
                  <td><Rich text={each.Text} /></td>
                </tr>
              ))}
            </tbody>
          </table>
        ) : (
          <p className="muted">{operation.Since ? t("docs.unchanged", { since: operation.Since }) : t("docs.noChanges")}</p>
        )}
      </section>
    </div>
  );
}

function Facts({ operation }: { operation: Operation }) {
  const { t } = useTranslation("explorer");
  const { Authorization: right, Method, Path, Style, Version, Id, Synchronous, Unsupported, Since, Wrapper } = operation;
  const address = Style === "rpc" ? `${Method} /?Action=${Id}&Version=${Version}` : `${Method} ${Path}`;
  const facts: [string, React.ReactNode][] = [
    [t("docs.call"), <code key="call">{address}</code>],
    [t("docs.style"), t(`docs.styles.${Style}`)],
    [t("docs.action"), right.Action ? <code key="action">{right.Action}</code> : t("docs.noAction")],
    [t("docs.access"), t(`docs.levels.${right.Access.toLowerCase()}`, { defaultValue: right.Access })],
    [t("docs.resource"), <code key="resource">{right.Resource}</code>],
    [t("docs.conditions"), right.Conditions.length ? <code key="conditions">{right.Conditions.join(", ")}</code> : "–"],
    [t("docs.mode"), Synchronous ? t("docs.synchronous") : t("docs.asynchronous")],
    [t("docs.since"), Since || "–"],
    [
      t("docs.here"),
      <StatusTag key="here" status="here" kind={Unsupported ? "idle" : "ok"} word={Unsupported ? t("unsupported") : t("docs.supported")} />,
    ],
  ];
  if (Wrapper) facts.splice(2, 0, [t("docs.wrapper"), <code key="wrapper">{`{"${Wrapper}": {…}}`}</code>]);
  return (
    <dl className="op-facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

interface Line {
  parameter: Parameter;
  depth: number;
  path: string;
}

/** Each parameter and, below it, its fields. */
function lines(parameters: readonly Parameter[], depth = 0, before = ""): Line[] {
  return parameters.flatMap((parameter) => {
    const path = `${before}/${parameter.Name}`;
    let inner: Parameter = parameter;
    while (inner.Items) inner = inner.Items;
    return [{ parameter, depth, path }, ...lines(inner.Fields, depth + 1, path)];
  });
}

function Table({ parameters, label, places = false }: { parameters: readonly Parameter[]; label: string; places?: boolean }) {
  const { t } = useTranslation("explorer");
  return (
    // Scrolls: so it must take the focus.
    <div className="table-frame" tabIndex={0} role="region" aria-label={label}>
      <table className="plain">
        <thead>
          <tr>
            <th scope="col">{t("docs.name")}</th>
            <th scope="col">{t("docs.type")}</th>
            <th scope="col">{t("docs.about")}</th>
          </tr>
        </thead>
        <tbody>
          {lines(parameters).map(({ parameter, depth, path }) => (
            <tr key={path}>
              <td style={{ paddingInlineStart: 8 + depth * 12 }}>
                <code>{parameter.Name}</code>
                {parameter.Required && (
                  <span className="required">
                    *<span className="hidden-text">{t("required")}</span>
                  </span>
                )}
              </td>
              <td className="muted type">
                {parameter.TypeText || typeOf(parameter)}
                {places && depth === 0 && <div>{t(`place.${parameter.Place}`)}</div>}
              </td>
              <td>
                <Meaning parameter={parameter} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const asText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

function Meaning({ parameter }: { parameter: Parameter }) {
  const { t } = useTranslation("explorer");
  const { Description, Default, Values, Open, Minimum, Maximum, Longest, Unit, Since, Deprecated, Effectless, Example, Type } = parameter;
  const told = [
    given(Default) && t("usual", { value: asText(Default) }),
    Values.length > 0 && t(Open ? "docs.known" : "docs.legal", { values: Values.join(", ") }),
    (Minimum !== null || Maximum !== null) && t("docs.range", { low: Minimum ?? "–∞", high: Maximum ?? "∞" }),
    Longest > 0 && t("docs.longest", { count: Longest }),
    Unit && t("docs.unit", { unit: Unit }),
    given(Example) && Type !== "object" && typeof Example !== "object" && t("docs.example", { value: asText(Example) }),
    Since && t("docs.sinceVersion", { since: Since }),
    Deprecated && t("docs.deprecated"),
    Effectless && t("docs.effectless", { why: Effectless }),
  ].filter(Boolean);
  return (
    <>
      {Description && <div><Rich text={Description} /></div>}
      {told.length > 0 && <div className="muted">{told.join(" ")}</div>}
    </>
  );
}

/** Codes that the operation may answer. */
export function Errors({ operation }: { operation: Operation }) {
  const { t } = useTranslation("explorer");
  if (!operation.ErrorCodes.length) return <Empty title={t("errors.none")} />;
  return (
    <div className="table-frame" tabIndex={0} role="region" aria-label={t("tab.errors")}>
      <table className="plain errors">
        <thead>
          <tr>
            <th scope="col">{t("errors.status")}</th>
            <th scope="col">{t("errors.code")}</th>
          </tr>
        </thead>
        <tbody>
          {operation.ErrorCodes.map(({ Code, Status, Message }) => (
            <tr key={Code}>
              <td className="mono">{Status || "–"}</td>
              <td>
                <code className="code-name">{Code}</code>
                <div className="muted">
                  <Rich text={Message} />
                </div>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
