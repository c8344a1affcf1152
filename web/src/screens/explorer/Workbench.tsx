/** One operation: its form on the left, on the right what comes of it. */

import { ClearOutlined } from "@ant-design/icons";
import { Button, Segmented, Switch, Tabs, Tag } from "antd";
import { useEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useSession } from "@/api/session";
import { useKey } from "@/app/keys";
import { Confirm, CopyButton, Guarded, JsonEditor, parsed, useRested, useUrl, useUrlText } from "@/parts";
import { Answer } from "./Answer";
import { ZstackOptions } from "./Credential";
import { Docs, Errors } from "./Docs";
import { Fields } from "./Fields";
import { History } from "./History";
import { useLogin } from "./login";
import { draft, keep, type Made } from "./memory";
import { open, plan } from "./plan";
import { Rich } from "./Rich";
import { Samples } from "./Samples";
import { Signature } from "./Signature";
import type { Json, Operation, Parameter, Values } from "./types";
import { useCall } from "./useCall";
import { begun, isObject, linked, objectOf, resourceOf, stripped, unlinked } from "./values";

const same = (left: unknown, right: unknown) => JSON.stringify(left) === JSON.stringify(right);

/** The values of the form; a reload, a link and the way back keep them. */
function useValues(operation: Operation) {
  const { Region } = useSession();
  const [search, put] = useUrl();
  const { Product, Id } = operation;
  const [values, setValues] = useState<Values>(() => {
    const [left, link] = [draft(Product, Id), unlinked(search["p"])];
    // A link has no secrets: what was typed here has.
    if (left && (!link || same(stripped(left), link))) return left;
    return link ?? begun(operation, Region);
  });
  const set = (next: Values) => {
    keep(Product, Id, next);
    setValues(next);
  };
  const settled = useRested(values, 350);
  const link = linked(settled);
  const wanted = link && !same(settled, begun(operation, Region)) ? link : undefined;
  useEffect(() => {
    if (search["p"] !== wanted) put({ p: wanted });
  }, [wanted, search["p"], put]);
  return { values, set, settled, linkable: link !== undefined };
}

export function Workbench({ operation, again }: { operation: Operation; again: (made: Made) => void }) {
  const { t } = useTranslation("explorer");
  const session = useSession();
  const { values, set, settled, linkable } = useValues(operation);
  const [tab, setTab] = useUrlText("tab", "samples");
  const [view, setView] = useUrlText("view", "form");
  const [broken, setBroken] = useState<string>();
  const [strict, setStrict] = useState(false);
  const [confirming, setConfirming] = useState(false);
  const [own, setOwn] = useState(false);
  const [flat, setFlat] = useState(false);
  const login = useLogin();
  const { call, run, stop } = useCall();
  const result = useRef<HTMLElement>(null);
  const { Style, Writes, Authorization } = operation;
  const missing = open(operation, values);
  const busy = call?.busy ?? false;
  const unsigned = own && Style === "zstack" && !login;
  const hindered = broken ? t("broken") : unsigned ? t("zstack.first") : undefined;

  const go = (mock: boolean) => {
    setStrict(true);
    if (missing.length || hindered) return;
    setTab("answer");
    // In a narrow window the answer comes below the form.
    result.current?.scrollIntoView({ block: "nearest" });
    const chosen = own && Style === "zstack" ? { login: login?.uuid ?? "" } : {};
    void run({ operation, plan: plan(operation, values, flat), values, mock, ...chosen });
  };
  const real = () => {
    setStrict(true);
    if (missing.length || hindered) return;
    if (Writes) setConfirming(true);
    else go(false);
  };
  useKey("mod+Enter", () => (confirming ? false : go(Style !== "openai")), { typing: true });

  const right = useMemo(
    () => resourceOf(operation, settled, session.Region, session.Principal.Account),
    [operation, settled, session],
  );
  const realButton = { onClick: real, disabled: busy, ...(Style === "openai" ? { type: "primary" as const } : {}) };
  const realWord = Style === "openai" ? t("send") : t("real");
  return (
    <>
      <section className="form-pane" aria-label={t("request")}>
        <Head operation={operation} values={values} linkable={linkable} />
        {Style === "zstack" && <ZstackOptions own={own} setOwn={setOwn} flat={flat} setFlat={setFlat} wrapper={operation.Wrapper} />}
        <FormBar
          view={view}
          setView={setView}
          example={() => (setBroken(undefined), set({ ...operation.Example }))}
          clear={() => (setBroken(undefined), setStrict(false), set(begun(operation, session.Region)))}
        />
        {view === "json" ? (
          <JsonForm values={values} set={set} broken={broken} setBroken={setBroken} />
        ) : (
          <Form operation={operation} values={values} set={set} strict={strict} />
        )}
        <div className="send-bar">
          {strict && missing.length > 0 && (
            <p className="field-problem" role="alert">
              {t("inAddress", { names: missing.join(", ") })}
            </p>
          )}
          <div className="row">
            {Style !== "openai" && (
              <Button type="primary" onClick={() => go(true)} disabled={busy || !!hindered} title={hindered ?? t("mockAbout")}>
                {t("mock")} <kbd className="keycap wide on-accent" aria-hidden>Ctrl ⏎</kbd>
              </Button>
            )}
            {Authorization.Action && !own ? (
              <Guarded action={Authorization.Action} resource={right} off={hindered} {...realButton}>
                {realWord}
              </Guarded>
            ) : (
              <Button {...realButton} disabled={busy || !!hindered} title={hindered}>
                {realWord}
              </Button>
            )}
            {busy && <Button onClick={stop}>{t("stop")}</Button>}
            <span className="field-about">{Style === "openai" ? t("openaiAbout") : Writes ? t("writes") : t("reads")}</span>
          </div>
        </div>
      </section>
      <section className="result-pane" ref={result} aria-label={t("result")}>
        <Tabs
          size="small"
          tabBarGutter={14}
          activeKey={tab}
          onChange={setTab}
          destroyOnHidden
          items={[
            { key: "samples", label: t("tab.samples"), children: <Samples operation={operation} values={settled} /> },
            { key: "answer", label: t("tab.answer"), children: <Answer call={call} /> },
            { key: "signature", label: t("tab.signature"), children: <Signature operation={operation} exchange={call?.exchange} /> },
            { key: "docs", label: t("tab.docs"), children: <Docs operation={operation} /> },
            { key: "errors", label: t("tab.errors"), children: <Errors operation={operation} /> },
            { key: "history", label: t("tab.history"), children: <History again={again} /> },
          ]}
        />
      </section>
      {confirming && (
        <Confirm
          title={t("confirm.title", { operation: operation.Id })}
          object={objectOf(operation, values)}
          about={t("confirm.about")}
          action={t("confirm.action")}
          danger={Authorization.Access.toLowerCase() === "delete"}
          run={() => Promise.resolve(go(false))}
          close={() => setConfirming(false)}
        />
      )}
    </>
  );
}

function Head({ operation, values, linkable }: { operation: Operation; values: Values; linkable: boolean }) {
  const { t } = useTranslation("explorer");
  const { Id, Title, Method, Path, Style, Version, Unsupported, Deprecated } = operation;
  const address = Style === "rpc" ? `/?Action=${Id}&Version=${Version}` : Path;
  return (
    <div className="operation-head">
      <div className="row">
        <h2>{Id}</h2>
        {Deprecated && <Tag>{t("deprecated")}</Tag>}
        {Unsupported && <Tag>{t("unsupported")}</Tag>}
        <span className="spread" />
        <CopyButton text={linkOf(values)} what={linkable ? t("link") : t("linkShort")} />
      </div>
      {Title && Title !== Id && <p>{Title}</p>}
      <p className="address mono">
        <span className={`method ${Method.toLowerCase()}`}>{Method}</span> {address}
      </p>
      {Unsupported && <p className="note"><Rich text={t("unsupportedWhy", { why: Unsupported })} /></p>}
    </div>
  );
}

/** The page's address with what the form holds now, secrets left out. */
function linkOf(values: Values): string {
  const url = new URL(location.href);
  const p = linked(values);
  if (p) url.searchParams.set("p", p);
  else url.searchParams.delete("p");
  return url.toString();
}

function FormBar({
  view,
  setView,
  example,
  clear,
}: {
  view: string;
  setView: (view: string) => void;
  example: () => void;
  clear: () => void;
}) {
  const { t } = useTranslation(["explorer", "common"]);
  const [only, setOnly] = useUrlText("only");
  return (
    <div className="row form-bar">
      <Segmented
        size="small"
        aria-label={t("view")}
        value={view}
        onChange={setView}
        options={[
          { value: "form", label: t("form") },
          { value: "json", label: "JSON" },
        ]}
      />
      {view === "form" && (
        <label className="row only">
          <Switch size="small" checked={!!only} onChange={(next) => setOnly(next ? "1" : "")} aria-label={t("onlyRequired")} />
          {t("onlyShort")}
        </label>
      )}
      <span className="spread" />
      <Button size="small" onClick={example}>
        {t("example")}
      </Button>
      <Button size="small" type="text" icon={<ClearOutlined aria-hidden />} aria-label={t("common:clear")} title={t("common:clear")} onClick={clear} />
    </div>
  );
}

const PLACES: Parameter["Place"][] = ["path", "query", "header", "body"];

function Form({ operation, values, set, strict }: { operation: Operation; values: Values; set: (values: Values) => void; strict: boolean }) {
  const { t } = useTranslation("explorer");
  const [only] = useUrlText("only");
  const { Parameters, Document, Style } = operation;
  const known = new Set(Parameters.map(({ Name }) => Name));
  const other = Object.keys(values).filter((name) => !known.has(name));
  const groups = PLACES.map((place) => [place, Parameters.filter(({ Place }) => Place === place)] as const).filter(([, each]) => each.length);
  if (!Parameters.length) return <p className="muted">{t("docs.noParameters")}</p>;
  return (
    <div className="form">
      {groups.map(([place, parameters]) => (
        <div key={place}>
          {(groups.length > 1 || Document) && Style !== "rpc" && (
            <h3>{place === "body" && Document ? t("place.document") : t(`place.${place}`)}</h3>
          )}
          <Fields parameters={parameters} values={values} onChange={set} only={!!only} strict={strict} />
        </div>
      ))}
      {other.length > 0 && <p className="note">{t("others", { names: other.join(", ") })}</p>}
      {Document && <p className="field-about">{t("document")}</p>}
    </div>
  );
}

/** The same values as one text; what is typed is taken as soon as it is JSON. */
function JsonForm({
  values,
  set,
  broken,
  setBroken,
}: {
  values: Values;
  set: (values: Values) => void;
  broken: string | undefined;
  setBroken: (why: string | undefined) => void;
}) {
  const { t } = useTranslation("explorer");
  const [text, setText] = useState(() => JSON.stringify(values, null, 2));
  const [told, setTold] = useState(values);
  if (values !== told) {
    setTold(values);
    setText(JSON.stringify(values, null, 2));
  }
  // What is left half written is not sent, and not kept.
  useEffect(() => () => setBroken(undefined), [setBroken]);
  const change = (next: string) => {
    setText(next);
    const read = parsed(next.trim() ? next : "{}");
    if (read.error !== undefined) return setBroken(read.error);
    if (!isObject(read.value as Json)) return setBroken(t("noObject"));
    setBroken(undefined);
    setTold(read.value as Values);
    set(read.value as Values);
  };
  return <JsonEditor value={text} onChange={change} label={t("json")} error={broken} height={420} />;
}
