/** One answer: what was said as it comes, and how quickly. */

import { memo } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "@/api/error";
import { Amount, CodeBlock, CopyButton, Failure, Span } from "@/parts";
import { type Answer, going, measured, pieces } from "./talk";

export const AnswerView = memo(function AnswerView({ answer, named }: { answer: Answer; named: boolean }) {
  const { t } = useTranslation("playground");
  const under = going(answer);
  return (
    <article className="talk-answer" aria-label={t("answerOf", { service: answer.service })} aria-busy={under}>
      {named && <div className="muted mono">{answer.service}</div>}
      {answer.thinking && (
        <details open={under && !answer.text}>
          <summary>{t("thinking")}</summary>
          <div>{answer.thinking}</div>
        </details>
      )}
      {pieces(answer.text).map((piece, index) =>
        piece.code ? (
          <CodeBlock key={index} code={piece.text} label={piece.language || t("code")} wrap />
        ) : (
          <div key={index} className="said">
            {piece.text}
          </div>
        ),
      )}
      {under && <span className="talk-cursor" aria-hidden />}
      {answer.state === "waiting" && <span className="muted"> {t("waiting")}</span>}
      {answer.state === "failed" && <Failure error={inWords(answer.error, t("cutOff"), t("tokenRefused"))} title={t("failed", { service: answer.service })} />}
      {!under && <Figures answer={answer} />}
    </article>
  );
});

/** What went wrong on the way, in this page's words; what the service said stays as it is. */
function inWords(error: unknown, cutOff: string, tokenRefused: string): unknown {
  if (!(error instanceof ApiError)) return error;
  if (error.code === "CutOff") return new Error(cutOff);
  if (error.status === 401) return new Error(`${error.status} ${error.code}: ${error.message} ${tokenRefused}`);
  return error;
}

function Figures({ answer }: { answer: Answer }) {
  const { t } = useTranslation("playground");
  const { ttft, took, rate } = measured(answer);
  const { usage, finish } = answer;
  return (
    <div className="talk-figures">
      {answer.state === "stopped" && <span className="tone-warn">{t("stopped")}</span>}
      {ttft !== undefined && (
        <span title={t("ttftAbout")}>
          TTFT <Span value={ttft} />
        </span>
      )}
      {rate !== undefined && (
        <span>
          <Amount value={rate} unit={t("perSecond")} />
        </span>
      )}
      {usage && <span title={t("usageAbout")}>{t("usage", { prompt: usage.prompt_tokens ?? 0, completion: usage.completion_tokens ?? 0 })}</span>}
      {took !== undefined && (
        <span>
          {t("took")} <Span value={took} />
        </span>
      )}
      {finish && finish !== "stop" && <span className="tone-warn">{t(`finish.${finish}`, { defaultValue: finish })}</span>}
      {answer.text && <CopyButton text={answer.text} what={t("answer")} />}
    </div>
  );
}
