/** How the next answers are to be made. What is empty is left to the service. */

import { Button, Input, InputNumber, Select } from "antd";
import { useId } from "react";
import { useTranslation } from "react-i18next";
import { setParameters, useTalk } from "./store";
import { USUAL } from "./talk";

const NUMBERS = [
  { key: "temperature", max: 2, step: 0.1, min: 0 },
  { key: "topP", max: 1, step: 0.05, min: 0 },
  { key: "maxTokens", max: 1_000_000, step: 64, min: 1 },
  { key: "seed", max: Number.MAX_SAFE_INTEGER, step: 1, min: 0 },
] as const;

const STOPS = 4;

export function ParametersPanel() {
  const { t } = useTranslation("playground");
  const { parameters } = useTalk();
  const id = useId();
  return (
    <div className="stack talk-parameters">
      <div>
        <label htmlFor={`${id}system`}>{t("parameters.system")}</label>
        <Input.TextArea
          id={`${id}system`}
          autoSize={{ minRows: 3, maxRows: 10 }}
          value={parameters.system}
          placeholder={t("parameters.systemPlaceholder")}
          onChange={(event) => setParameters({ system: event.target.value })}
        />
      </div>
      {NUMBERS.map(({ key, ...range }) => (
        <div key={key}>
          <label htmlFor={id + key}>{t(`parameters.${key}`)}</label>
          <InputNumber
            id={id + key}
            {...range}
            style={{ width: "100%" }}
            {...(key === "maxTokens" || key === "seed" ? { precision: 0 } : {})}
            value={parameters[key]}
            placeholder={t("parameters.own")}
            onChange={(value) => setParameters({ [key]: value })}
          />
          <p className="hint">{t(`parameters.${key}About`)}</p>
        </div>
      ))}
      <div>
        <label htmlFor={`${id}stop`}>{t("parameters.stop")}</label>
        <Select
          id={`${id}stop`}
          mode="tags"
          open={false}
          suffixIcon={null}
          maxCount={STOPS}
          style={{ width: "100%" }}
          value={[...parameters.stop]}
          placeholder={t("parameters.none")}
          onChange={(stop: string[]) => setParameters({ stop })}
        />
        <p className="hint">{t("parameters.stopAbout")}</p>
      </div>
      <Button size="small" onClick={() => setParameters(USUAL)} style={{ alignSelf: "flex-start" }}>
        {t("parameters.reset")}
      </Button>
    </div>
  );
}
