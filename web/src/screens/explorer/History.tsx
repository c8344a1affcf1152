/** Calls of this page, newest first: what was asked without secrets, and how it ended. */

import { Button } from "antd";
import { useTranslation } from "react-i18next";
import { Ago, Empty, Span, StatusTag } from "@/parts";
import { clearHistory, type Made, useHistory } from "./memory";

export function History({ again }: { again: (made: Made) => void }) {
  const { t } = useTranslation("explorer");
  const made = useHistory();
  if (!made.length) return <Empty title={t("history.none")} about={t("history.about")} />;
  return (
    <div className="stack">
      <div className="row">
        <p className="field-about">{t("history.about")}</p>
        <span className="spread" />
        <Button size="small" onClick={clearHistory}>
          {t("history.clear")}
        </Button>
      </div>
      <ul className="history">
        {made.map((each) => (
          <li key={each.number}>
            <button type="button" onClick={() => again(each)} title={t("history.again")}>
              <StatusTag
                status={String(each.status)}
                kind={each.status >= 200 && each.status < 300 && !each.code ? "ok" : "bad"}
                word={each.status ? String(each.status) : t("history.unanswered")}
              />
              <span>
                <span className="history-id">{each.id}</span>
                <br />
                <span className="muted">{[each.mock ? t("answer.mock") : t("answer.real"), each.code].filter(Boolean).join(" · ")}</span>
              </span>
              <span className="muted">
                <Span value={each.took / 1000} />
              </span>
              <span className="muted">
                <Ago at={each.at} />
              </span>
            </button>
          </li>
        ))}
      </ul>
    </div>
  );
}
