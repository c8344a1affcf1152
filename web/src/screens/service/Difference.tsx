import { useTranslation } from "react-i18next";
import type { Pair } from "./diff";

const SIGNS = { same: " ", gone: "−", new: "+", changed: "~" } as const;

/** Two documents: side by side, or one below the other. What changed has a sign as well as a colour. */
export function Difference({ pairs, unified, left, right }: { pairs: readonly Pair[]; unified: boolean; left: string; right: string }) {
  const { t } = useTranslation("service");
  return (
    <div className="diff" role="region" tabIndex={0} aria-label={t("config.document")}>
      <table>
        {!unified && (
          <thead>
            <tr>
              <th scope="col">{left}</th>
              <th scope="col">{right}</th>
            </tr>
          </thead>
        )}
        <tbody>{unified ? pairs.flatMap(stacked) : pairs.map(beside)}</tbody>
      </table>
    </div>
  );
}

function beside({ kind, left, right }: Pair, at: number) {
  return (
    <tr key={at}>
      <Cell text={left} kind={kind === "same" ? "same" : left === undefined ? "nothing" : "gone"} />
      <Cell text={right} kind={kind === "same" ? "same" : right === undefined ? "nothing" : "new"} />
    </tr>
  );
}

function stacked({ kind, left, right }: Pair, at: number) {
  if (kind === "same") return [<tr key={at}><Cell text={left} kind="same" /></tr>];
  return [
    ...(left === undefined ? [] : [<tr key={`${at} gone`}><Cell text={left} kind="gone" /></tr>]),
    ...(right === undefined ? [] : [<tr key={`${at} new`}><Cell text={right} kind="new" /></tr>]),
  ];
}

function Cell({ text, kind }: { text: string | undefined; kind: "same" | "gone" | "new" | "nothing" }) {
  return (
    <td className={kind}>
      <span aria-hidden className="sign">
        {kind === "nothing" ? " " : SIGNS[kind]}
      </span>
      {text ?? ""}
    </td>
  );
}
