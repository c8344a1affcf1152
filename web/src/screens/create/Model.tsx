/** Step 1: which model, from where, under which name. */

import { Input, Radio, Segmented, Select, Skeleton, Tag } from "antd";
import { useEffect, useId, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Bytes, Empty, Failure, JsonEditor, parsed } from "@/parts";
import { type Model as Registered, useModels, useTemplates } from "./asked";
import { type Draft, SOURCES, type Template } from "./draft";
import { Field, Step } from "./Step";

interface Props {
  draft: Draft;
  change: (part: Partial<Draft>) => void;
  wrong: string | undefined;
}

export function Model({ draft, change, wrong }: Props) {
  const { t } = useTranslation("create");
  return (
    <Step number={1} title={t("model.title")}>
      <div className="stack">
        <Segmented
          aria-label={t("model.source")}
          value={draft.source}
          onChange={(source) => change({ source })}
          options={SOURCES.map((value) => ({ value, label: t(`model.sources.${value}`) }))}
        />
        <p className="muted" style={{ margin: 0 }}>
          {t(`model.about.${draft.source}`)}
        </p>
        {draft.source === "template" && <Templates draft={draft} change={change} />}
        {draft.source === "model" && <Models draft={draft} change={change} />}
        {draft.source === "oss" && <Oss draft={draft} change={change} wrong={wrong} />}
        {draft.source === "nas" && <Nas draft={draft} change={change} wrong={wrong} />}
        {draft.source === "json" && (
          <JsonEditor
            label={t("model.json")}
            value={draft.json}
            onChange={(json) => change({ json })}
            error={parsed(draft.json).error}
            height={260}
          />
        )}
        {draft.source !== "json" && <Name draft={draft} change={change} wrong={wrong} />}
      </div>
    </Step>
  );
}

function Name({ draft, change, wrong }: Props) {
  const { t } = useTranslation("create");
  const id = useId();
  const error = draft.name && (wrong === "name" || wrong === "taken") ? t(`wrong.${wrong}`) : undefined;
  return (
    <div className="fields">
      <Field id={id} label={t("model.name")} hint={t("model.nameHint")} error={error}>
        <Input
          id={id}
          className="mono"
          value={draft.name}
          maxLength={63}
          aria-invalid={!!error}
          {...(error ? { status: "error" as const } : {})}
          onChange={(event) => change({ name: event.target.value })}
        />
      </Field>
    </div>
  );
}

function Templates({ draft, change }: Omit<Props, "wrong">) {
  const { t } = useTranslation(["create", "common"]);
  const { data, error, refetch } = useTemplates();
  const [text, setText] = useState("");
  const list = useRef<HTMLDivElement>(null);
  const known = !!data;
  useEffect(() => {
    // Whoever came by a link to one template sees it.
    const chosen = list.current?.querySelector<HTMLElement>(".ant-radio-wrapper-checked");
    if (chosen && list.current) list.current.scrollTop = Math.max(0, chosen.offsetTop - list.current.offsetTop - 60);
  }, [known]);
  if (error) return <Failure error={error} retry={() => void refetch()} />;
  if (!data) return <Skeleton active paragraph={{ rows: 4 }} title={false} />;
  const wanted = text.toLowerCase();
  const found = inOrder(data).filter((one) => `${one.name} ${one.description}`.toLowerCase().includes(wanted));
  return (
    <div>
      <Input allowClear aria-label={t("model.search")} placeholder={t("model.search")} value={text} style={{ maxWidth: 320 }} onChange={(event) => setText(event.target.value)} />
      <div className="choices" ref={list}>
        <Radio.Group aria-label={t("model.template")} value={draft.spec} onChange={(event) => change({ spec: String(event.target.value) })}>
          {found.map((one) => (
            <Radio key={one.uuid} value={one.name}>
              <span className="choice">
                <span className="mono">{one.name}</span>
                <span className="muted small clipped">{one.description}</span>
                {bringsWeights(one) && <Tag>{t("model.ready")}</Tag>}
                {!one.system && <Tag>{t("model.own")}</Tag>}
              </span>
            </Radio>
          ))}
        </Radio.Group>
        {!found.length && <Empty title={t("model.none")} />}
      </div>
    </div>
  );
}

/** The demo models come with their weights; all other built-in ones wait for theirs. */
const bringsWeights = (template: Template) => template.system && template.name.startsWith("smollm2_");

/** One's own first, then what works at once, then the rest. */
function inOrder(templates: readonly Template[]): Template[] {
  const rank = (one: Template) => (one.system ? (bringsWeights(one) ? 1 : 2) : 0);
  return templates.toSorted((a, b) => rank(a) - rank(b) || sizeRank(a.name) - sizeRank(b.name) || a.name.localeCompare(b.name));
}

/** The smallest precision first: it starts soonest. */
const sizeRank = (name: string) => ["q4", "int8", "fp16"].findIndex((end) => name.endsWith(end));

function Models({ draft, change }: Omit<Props, "wrong">) {
  const { t } = useTranslation("create");
  const { data: models, error, refetch } = useModels();
  const { data: templates = [] } = useTemplates();
  if (error) return <Failure error={error} retry={() => void refetch()} />;
  if (!models) return <Skeleton active paragraph={{ rows: 3 }} title={false} />;
  if (!models.length) return <Empty title={t("model.noModels")} about={t("model.noModelsAbout")} />;
  const bound = (model: Registered | undefined) =>
    templates.filter((one) => model?.modelServiceRefs.some((ref) => ref.modelServiceUuid === one.uuid));
  const chosen = models.find((one) => one.uuid === draft.model);
  const fitting = bound(chosen);
  return (
    <div className="stack">
      <div className="choices">
        <Radio.Group
          aria-label={t("model.registered")}
          value={draft.model}
          onChange={(event) => {
            const model = models.find((one) => one.uuid === event.target.value);
            change({ model: String(event.target.value), spec: bound(model)[0]?.name ?? draft.spec });
          }}
        >
          {models.map((one) => (
            <Radio key={one.uuid} value={one.uuid}>
              <span className="choice">
                <span className="mono">{one.name}</span>
                <span className="muted small clipped">{one.description ?? one.installPath}</span>
                <span className="muted small">
                  <Bytes value={one.size} />
                </span>
              </span>
            </Radio>
          ))}
        </Radio.Group>
      </div>
      {chosen && <Spec draft={draft} change={change} templates={fitting.length ? fitting : templates} hint={fitting.length ? undefined : t("model.unbound")} />}
    </div>
  );
}

function Spec({ draft, change, templates, hint }: Omit<Props, "wrong"> & { templates: readonly Template[]; hint?: string | undefined }) {
  const { t } = useTranslation("create");
  const id = useId();
  return (
    <Field id={id} label={t("model.spec")} hint={hint ?? t("model.specHint")}>
      <Select
        id={id}
        showSearch
        aria-label={t("model.spec")}
        value={draft.spec || null}
        placeholder={t("model.choose")}
        onChange={(spec: string) => change({ spec })}
        options={inOrder(templates).map(({ name }) => ({ value: name, label: name }))}
      />
    </Field>
  );
}

function Oss({ draft, change, wrong }: Props) {
  const { t } = useTranslation("create");
  const { data: templates = [] } = useTemplates();
  const [path, endpoint] = [useId(), useId()];
  const error = draft.ossPath && wrong === "ossPath" ? t("wrong.ossPath") : undefined;
  return (
    <div className="fields">
      <Field id={path} label={t("model.ossPath")} hint={t("model.ossHint")} error={error}>
        <Input id={path} className="mono" placeholder="oss://bucket/models/qwen/" value={draft.ossPath} onChange={(event) => change({ ossPath: event.target.value.trim() })} />
      </Field>
      <Field id={endpoint} label={t("model.ossEndpoint")} hint={t("model.ossEndpointHint")}>
        <Input id={endpoint} className="mono" placeholder="https://minio.local:9000" value={draft.ossEndpoint} onChange={(event) => change({ ossEndpoint: event.target.value.trim() })} />
      </Field>
      <Spec draft={draft} change={change} templates={templates} />
    </div>
  );
}

function Nas({ draft, change, wrong }: Props) {
  const { t } = useTranslation("create");
  const { data: templates = [] } = useTemplates();
  const [target, path] = [useId(), useId()];
  const error = draft.nasPath && draft.nasTarget && wrong === "nasPath" ? t("wrong.nasPath") : undefined;
  return (
    <div className="fields">
      <Field id={target} label={t("model.nasTarget")} hint={t("model.nasTargetHint")}>
        <Input id={target} className="mono" placeholder="models.local" value={draft.nasTarget} onChange={(event) => change({ nasTarget: event.target.value.trim() })} />
      </Field>
      <Field id={path} label={t("model.nasPath")} error={error} hint={t("model.nasHint")}>
        <Input id={path} className="mono" placeholder="/models/qwen" value={draft.nasPath} onChange={(event) => change({ nasPath: event.target.value.trim() })} />
      </Field>
      <Spec draft={draft} change={change} templates={templates} />
    </div>
  );
}
