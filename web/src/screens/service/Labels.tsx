/** Labels: key and value, added, changed, taken away. */

import { CloseOutlined } from "@ant-design/icons";
import { Input } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useArn, useServiceRow } from "@/api/queries";
import { Failure, Guarded } from "@/parts";
import { useChange } from "./asked";

export function Labels({ name }: { name: string }) {
  const { t } = useTranslation("service");
  const labels = Object.entries(useServiceRow(name)?.Labels ?? {});
  const { part } = useChange(name);
  const arn = useArn()("service", name);
  const [key, setKey] = useState("");
  const [value, setValue] = useState("");
  const [failed, setFailed] = useState<unknown>();
  const run = (change: Promise<unknown>, done?: () => void) => {
    setFailed(undefined);
    change.then(done, setFailed);
  };
  const add = () =>
    run(part("PUT", "label", { Labels: { [key.trim()]: value } }), () => {
      setKey("");
      setValue("");
    });
  return (
    <section className="panel" aria-label={t("labels.title")}>
      <h2>{t("labels.title")}</h2>
      <div className="stack">
        {labels.length > 0 ? (
          <ul className="labels">
            {labels.map(([one, told]) => (
              <li key={one} className="mono">
                {one}={told}
                <Guarded
                  type="text"
                  size="small"
                  action="eas:DeleteServiceLabel"
                  resource={arn}
                  icon={<CloseOutlined aria-hidden />}
                  aria-label={t("labels.remove", { key: one })}
                  onClick={() => run(part("DELETE", "label", undefined, { Keys: one }))}
                />
              </li>
            ))}
          </ul>
        ) : (
          <span className="muted">{t("labels.none")}</span>
        )}
        <form
          className="row"
          onSubmit={(event) => {
            event.preventDefault();
            if (key.trim()) add();
          }}
        >
          <Input size="small" className="mono" style={{ width: 170 }} aria-label={t("labels.key")} placeholder={t("labels.key")} value={key} onChange={(event) => setKey(event.target.value)} />
          <Input size="small" className="mono" style={{ width: 170 }} aria-label={t("labels.value")} placeholder={t("labels.value")} value={value} onChange={(event) => setValue(event.target.value)} />
          <Guarded size="small" action="eas:UpdateServiceLabel" resource={arn} disabled={!key.trim()} onClick={add}>
            {t("labels.set")}
          </Guarded>
          <button type="submit" hidden aria-hidden tabIndex={-1} />
        </form>
        {failed !== undefined && <Failure error={failed} />}
      </div>
    </section>
  );
}
