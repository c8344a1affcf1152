/** From a model to an endpoint: four steps on one page, beside them whether it fits and the button. */

import { useNavigate } from "@tanstack/react-router";
import { Button, Space } from "antd";
import { useEffect, useMemo, useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError, roaExchange, zstackExchange, type Exchange } from "@/api/call";
import { useServices } from "@/api/queries";
import type { ServiceRow } from "@/api/types";
import { useKey } from "@/app/keys";
import { Failure, Guarded, PageHeader, useRested, useUrl } from "@/parts";
import { useFit, useTemplates } from "./asked";
import "./create.css";
import { callOf, checked, type Call, type Draft, EMPTY, freeName, problem, type Source, SOURCES } from "./draft";
import { FitCard } from "./FitCard";
import { Model } from "./Model";
import { Review } from "./Review";
import { Room } from "./Room";
import { Scale } from "./Scale";

const NO_ROWS: readonly ServiceRow[] = [];

/** Send the call; `mock` = as a dry run, which writes nothing. */
function sent(call: Call, mock: boolean): Promise<Exchange> {
  const options = { body: call.body, query: call.query, mock };
  return call.product === "zstack" ? zstackExchange(call.method, call.path, options) : roaExchange(call.method, call.path, options);
}

/** The form; which model it is about is in the URL, so that others can lead to it. */
function useDraft() {
  const [search, put] = useUrl();
  const { data: rows = NO_ROWS } = useServices();
  const [own, setOwn] = useState<Partial<Draft>>({});
  const source = SOURCES.includes(search["source"] as Source) ? (search["source"] as Source) : search["model"] ? "model" : "template";
  const spec = search["spec"] ?? "";
  const model = search["model"] ?? "";
  const draft = useMemo(() => {
    const known = { ...EMPTY, ...own, source, spec, model };
    return { ...known, name: own.name ?? (spec ? freeName(spec, rows) : "") };
  }, [own, source, spec, model, rows]);
  const change = (part: Partial<Draft>) => {
    const { source: nextSource, spec: nextSpec, model: nextModel, ...rest } = part;
    const url: Record<string, string | undefined> = {};
    if (nextSource !== undefined) url["source"] = nextSource === "template" ? undefined : nextSource;
    if (nextSpec !== undefined) url["spec"] = nextSpec || undefined;
    if (nextModel !== undefined) url["model"] = nextModel || undefined;
    if (Object.keys(url).length) put(url);
    if (Object.keys(rest).length) setOwn((before) => ({ ...before, ...rest }));
  };
  return { draft, change, rows };
}

export default function Create() {
  const { t } = useTranslation(["create", "common"]);
  const navigate = useNavigate();
  const { draft, change, rows } = useDraft();
  const { data: templates } = useTemplates();
  const template = templates?.find((each) => each.name === draft.spec);
  const call = useMemo(() => callOf(draft, template), [draft, template]);
  const wrong = problem(draft, rows);
  // Resting takes all of it along: a half-typed name is never asked about.
  const asking = wrong === undefined || wrong === "taken";
  const rested = useRested(asking ? JSON.stringify(checked(draft, call)) : "", 350);
  const fit = useFit(rested ? (JSON.parse(rested) as Record<string, unknown>) : undefined, draft.workspace);
  const [busy, setBusy] = useState<"real" | "mock">();
  const [outcome, setOutcome] = useState<Exchange | { error: ApiError }>();
  useEffect(() => setOutcome(undefined), [rested]);

  const refused = fit.error instanceof ApiError && fit.error.status === 400;
  const off = wrong
    ? t(`wrong.${wrong}`)
    : fit.data && !fit.data.Fits
      ? t("wrong.fit", { need: gib(fit.data.Needed), has: gib(fit.data.MemoryLimit || fit.data.Total) })
      : refused
        ? t("wrong.refused")
        : undefined;
  const run = async (mock: boolean) => {
    setBusy(mock ? "mock" : "real");
    try {
      const found = await sent(call, mock);
      setOutcome(found);
      if (!mock && !found.error) await navigate({ to: "/services/$name", params: { name: createdName(found, draft.name) } });
    } catch (error) {
      setOutcome({ error: error instanceof ApiError ? error : new ApiError({ status: 0, code: "Unreachable", message: String(error) }) });
    } finally {
      setBusy(undefined);
    }
  };
  useKey("mod+Enter", () => (off || busy ? false : void run(false)), { typing: true });
  return (
    <>
      <PageHeader title={t("title")} about={t("about")} />
      <div className="wizard">
        <div className="stack">
          <Model draft={draft} change={change} wrong={wrong} />
          {draft.source !== "json" && <Room draft={draft} change={change} fit={fit.data} />}
          {draft.source !== "json" && <Scale draft={draft} change={change} wrong={wrong} />}
          <Review call={call} outcome={outcome} number={draft.source === "json" ? 2 : 4} />
        </div>
        <aside>
          <FitCard fit={fit} note={draft.source === "model" ? t("fit.byTemplate", { spec: draft.spec }) : undefined} />
          <section className="panel stack" aria-label={t("finish")}>
            <Space.Compact block>
              <Guarded
                type="primary"
                block
                action={call.action}
                loading={busy === "real"}
                disabled={busy === "mock"}
                off={off}
                onClick={() => void run(false)}
              >
                {t("create")}
              </Guarded>
              <Button loading={busy === "mock"} disabled={!!wrong || busy === "real"} onClick={() => void run(true)}>
                {t("dryRun")}
              </Button>
            </Space.Compact>
            {off ? <p className="small muted block-reason">{off}</p> : <p className="small muted block-reason">{t("shortcut")}</p>}
            {outcome?.error && <Failure error={outcome.error} />}
          </section>
        </aside>
      </div>
    </>
  );
}

const gib = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;

/** The name that the platform gave it, whatever the dialect. */
function createdName(found: Exchange, wish: string): string {
  const told = found.body as { ServiceName?: string } | null;
  return told?.ServiceName ?? wish;
}
