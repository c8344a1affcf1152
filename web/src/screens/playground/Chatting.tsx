/** The talk itself: whom to ask, what was said, what to ask next. */

import { CloseOutlined, PlusOutlined, RedoOutlined } from "@ant-design/icons";
import { Link } from "@tanstack/react-router";
import { Button, Drawer, Grid } from "antd";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Empty, useUrl } from "@/parts";
import { AnswerView } from "./AnswerView";
import { Composer } from "./Composer";
import { ParametersPanel } from "./ParametersPanel";
import { ServiceChoice } from "./ServiceChoice";
import { again, ask, busy, useTalk } from "./store";
import { going, type Side, SIDES, type Turn } from "./talk";

export interface Asked {
  side: Side;
  service: string;
}

export function Chatting({ asked, compare }: { asked: readonly Asked[]; compare: boolean }) {
  const { t } = useTranslation("playground");
  const { turns } = useTalk();
  const [search, put] = useUrl();
  const wide = Grid.useBreakpoint().lg !== false;
  const under = busy(turns);
  const panel = search["parameters"] === "shown" || (wide && search["parameters"] !== "hidden");
  const close = () => put({ parameters: wide ? "hidden" : undefined });
  return (
    <div className={panel && wide ? "talk" : "talk plain"}>
      <section className="panel talk-main" aria-label={t("talk")}>
        <Sides asked={asked} compare={compare} />
        <Turns turns={turns} compare={compare} />
        <Composer services={asked.map(({ service }) => service)} busy={under} send={(question) => ask(question, asked)} />
        <div className="talk-hint">
          <span>{t("hint")}</span>
          {turns.length > 0 && !under && asked.length > 0 && (
            <Button type="link" size="small" icon={<RedoOutlined aria-hidden />} style={{ height: 20, padding: 0 }} onClick={() => again(asked)}>
              {t("again")}
            </Button>
          )}
        </div>
      </section>
      {panel && wide && (
        <aside className="panel talk-parameters" aria-label={t("parameters.title")}>
          <div className="row" style={{ justifyContent: "space-between", marginBottom: 8 }}>
            <h2 className="section-title" style={{ margin: 0 }}>
              {t("parameters.title")}
            </h2>
            <Button type="text" size="small" icon={<CloseOutlined aria-hidden />} aria-label={t("parameters.hide")} title={t("parameters.hide")} onClick={close} />
          </div>
          <ParametersPanel />
        </aside>
      )}
      {!wide && (
        <Drawer open={panel} title={t("parameters.title")} size={320} onClose={close} destroyOnHidden>
          <ParametersPanel />
        </Drawer>
      )}
    </div>
  );
}

function Sides({ asked, compare }: { asked: readonly Asked[]; compare: boolean }) {
  const { t } = useTranslation("playground");
  const [, put] = useUrl();
  const named = (side: Side) => asked.find((one) => one.side === side)?.service ?? "";
  return (
    <div className={compare ? "talk-sides two" : "talk-sides"}>
      {SIDES.filter((side) => side === "a" || compare).map((side) => (
        <div key={side}>
          {compare && <span className="muted">{side.toUpperCase()}</span>}
          <ServiceChoice label={t(`service.${side}`)} value={named(side)} onChange={(name) => put({ [side]: name })} />
          {side === "a" && !compare && (
            <Button icon={<PlusOutlined aria-hidden />} onClick={() => put({ compare: "yes" })}>
              {t("compare")}
            </Button>
          )}
          {side === "b" && (
            <Button
              type="text"
              icon={<CloseOutlined aria-hidden />}
              aria-label={t("alone")}
              title={t("alone")}
              onClick={() => put({ b: undefined, compare: undefined })}
            />
          )}
        </div>
      ))}
    </div>
  );
}

/** Follows the end as long as whoever reads is there. */
function useFollowing(of: readonly Turn[]) {
  const frame = useRef<HTMLDivElement>(null);
  const follows = useRef(true);
  useEffect(() => {
    follows.current = true; // whoever asks wants to see the answer
  }, [of.length]);
  useEffect(() => {
    const shown = frame.current;
    if (shown && follows.current) shown.scrollTop = shown.scrollHeight;
  }, [of]);
  const onScroll = () => {
    const shown = frame.current;
    if (shown) follows.current = shown.scrollHeight - shown.scrollTop - shown.clientHeight < 40;
  };
  return { frame, onScroll };
}

function Turns({ turns, compare }: { turns: readonly Turn[]; compare: boolean }) {
  const { t } = useTranslation("playground");
  const { frame, onScroll } = useFollowing(turns);
  return (
    <div className="talk-turns" ref={frame} onScroll={onScroll} tabIndex={0} role="region" aria-label={t("turns")}>
      {turns.length ? turns.map((turn) => <OneTurn key={turn.id} turn={turn} compare={compare} />) : <Start />}
      <Spoken turns={turns} />
    </div>
  );
}

function OneTurn({ turn, compare }: { turn: Turn; compare: boolean }) {
  const both = turn.answers.a && turn.answers.b;
  return (
    <div>
      <div className="talk-question">{turn.question}</div>
      <div className={both ? "talk-answers two" : "talk-answers"}>
        {SIDES.map((side) => {
          const answer = turn.answers[side];
          return answer && <AnswerView key={side} answer={answer} named={compare || !!both} />;
        })}
      </div>
    </div>
  );
}

/** For those who listen: that an answer is there, not each of its words. */
function Spoken({ turns }: { turns: readonly Turn[] }) {
  const { t } = useTranslation("playground");
  const [told, setTold] = useState("");
  const last = turns.at(-1);
  const answers = last ? Object.values(last.answers) : [];
  const over = answers.length > 0 && !answers.some(going);
  const text = over ? answers.map(({ service, text: said }) => t("spoken", { service, said })).join(" ") : "";
  useEffect(() => setTold(text), [text]);
  return (
    <span className="hidden-text" role="status">
      {told}
    </span>
  );
}

function Start() {
  const { t } = useTranslation("playground");
  return (
    <Empty
      title={t("start.title")}
      about={t("start.about")}
      action={<Link to="/services">{t("start.services")}</Link>}
    />
  );
}
