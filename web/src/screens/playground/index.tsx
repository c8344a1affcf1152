/** The playground: talk to a service, or to two with one question. */

import { CodeOutlined, DownloadOutlined, PlusOutlined, SlidersOutlined } from "@ant-design/icons";
import { Button, Grid, Segmented } from "antd";
import { useTranslation } from "react-i18next";
import { useServices } from "@/api/queries";
import type { ServiceRow } from "@/api/types";
import { useCommands } from "@/app/commands";
import { PageHeader, useUrl } from "@/parts";
import "./playground.css";
import { type Asked, Chatting } from "./Chatting";
import { Code } from "./Code";
import { Embedding } from "./Embedding";
import { answers } from "./ServiceChoice";
import { clear, exported, useTalk } from "./store";
import { heard, requestOf } from "./talk";

const EMBEDS = /embed|bge|gte|e5-|minilm/i;

/** Its name is all that a list tells of what a model is for. */
const embeds = (row: ServiceRow | undefined): boolean => !!row && EMBEDS.test(`${row.Model} ${row.Spec}`);

function useAsked(): { asked: Asked[]; compare: boolean; embedding: boolean } {
  const [search] = useUrl();
  const { data: rows = [] } = useServices();
  const usual = rows.filter(answers).toSorted((left, right) => right.Ready - left.Ready);
  const compare = search["compare"] === "yes" || !!search["b"];
  const a = search["a"] ?? usual[0]?.ServiceName ?? "";
  const b = compare ? (search["b"] ?? usual.find((row) => row.ServiceName !== a)?.ServiceName ?? "") : "";
  const mode = search["mode"] ?? (embeds(rows.find((row) => row.ServiceName === a)) ? "embedding" : "chat");
  const asked: Asked[] = [];
  if (a) asked.push({ side: "a", service: a });
  if (b) asked.push({ side: "b", service: b });
  return { asked, compare, embedding: mode === "embedding" };
}

export default function Playground() {
  const { t } = useTranslation("playground");
  const { asked, compare, embedding } = useAsked();
  const [search, put] = useUrl();
  const [first] = asked;
  const talk = useTalk();
  const code = () => put({ code: "shown" });
  useCommands([
    { id: "playground.new", title: t("new"), run: clear },
    { id: "playground.code", title: t("viewCode"), run: code },
  ]);
  return (
    <>
      <PageHeader
        title={t("title")}
        about={t("about")}
        actions={
          <>
            <Segmented
              aria-label={t("mode.label")}
              value={embedding ? "embedding" : "chat"}
              onChange={(mode) => put({ mode })}
              options={(["chat", "embedding"] as const).map((value) => ({ value, label: t(`mode.${value}`) }))}
            />
            {!embedding && <ChatActions />}
            <Button icon={<CodeOutlined aria-hidden />} onClick={code} disabled={!first}>
              {t("viewCode")}
            </Button>
          </>
        }
      />
      {embedding ? <Embedding service={first?.service ?? ""} /> : <Chatting asked={asked} compare={compare} />}
      {search["code"] && first && (
        <Code
          operation={embedding ? "CreateEmbedding" : "CreateChatCompletion"}
          params={
            embedding
              ? { ServiceName: first.service, model: first.service, input: [t("sampleText")] }
              : { ServiceName: first.service, ...requestOf(first.service, heard(talk.turns.slice(0, -1), "a"), talk.turns.at(-1)?.question ?? t("sampleText"), talk.parameters) }
          }
          close={() => put({ code: undefined, language: undefined })}
        />
      )}
    </>
  );
}

function ChatActions() {
  const { t } = useTranslation("playground");
  const [search, put] = useUrl();
  const wide = Grid.useBreakpoint().lg !== false;
  const talk = useTalk();
  const none = talk.turns.length === 0;
  const shown = search["parameters"] === "shown" || (wide && search["parameters"] !== "hidden");
  return (
    <>
      {!shown && (
        <Button icon={<SlidersOutlined aria-hidden />} onClick={() => put({ parameters: wide ? undefined : "shown" })}>
          {t("parameters.title")}
        </Button>
      )}
      <Button icon={<DownloadOutlined aria-hidden />} disabled={none} onClick={() => save(exported(talk))}>
        {t("export")}
      </Button>
      <Button icon={<PlusOutlined aria-hidden />} disabled={none} onClick={clear}>
        {t("new")}
      </Button>
    </>
  );
}

function save(text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = "conversation.json";
  link.click();
  URL.revokeObjectURL(url);
}
