/** A token: hidden, shown on request, rotated. It is fetched only when somebody asks for it. */

import { EyeInvisibleOutlined, EyeOutlined } from "@ant-design/icons";
import { Select } from "antd";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { rpc } from "@/api/call";
import { useArn } from "@/api/queries";
import { Confirm, Copyable, Failure, Guarded } from "@/parts";
import { type Token, useChange } from "./asked";

const DOTS = "••••••••••••••••";

export function Secret({ name, token = "default", rotate = true }: { name: string; token?: string; rotate?: boolean }) {
  const { t } = useTranslation("service");
  const arn = useArn()("service", name);
  const [value, setValue] = useState<string>();
  const [failed, setFailed] = useState<unknown>();
  const [asking, setAsking] = useState(false);
  const reveal = async () => {
    if (value !== undefined) return setValue(undefined);
    setFailed(undefined);
    try {
      const { Token: told } = await rpc<{ Token: Token }>("GetServiceToken", { ServiceName: name, TokenName: token });
      setValue(told.AccessToken ?? "");
    } catch (error) {
      setFailed(error);
    }
  };
  return (
    <div className="stack">
      <div className="row">
        {value === undefined ? <span className="mono" aria-label={t("token.hidden")}>{DOTS}</span> : <Copyable text={value} what={t("token.one", { token })} />}
        <Guarded
          size="small"
          action="pierhead:GetServiceToken"
          resource={arn}
          icon={value === undefined ? <EyeOutlined aria-hidden /> : <EyeInvisibleOutlined aria-hidden />}
          onClick={() => void reveal()}
        >
          {t(value === undefined ? "token.reveal" : "token.hide")}
        </Guarded>
        {rotate && (
          <Guarded size="small" action="pierhead:RotateServiceToken" resource={arn} onClick={() => setAsking(true)}>
            {t("token.rotate")}
          </Guarded>
        )}
      </div>
      {failed !== undefined && <Failure error={failed} />}
      {asking && <Rotate name={name} token={token} close={() => setAsking(false)} done={setValue} />}
    </div>
  );
}

/** Seconds for which the old secret goes on working. */
const OVERLAPS = [0, 300, 3_600, 86_400, 604_800];

export function Rotate({ name, token, close, done }: { name: string; token: string; close: () => void; done?: (secret: string) => void }) {
  const { t } = useTranslation("service");
  const { own } = useChange(name);
  const id = useId();
  const [overlap, setOverlap] = useState(0);
  return (
    <Confirm
      title={t("token.rotateTitle")}
      object={`${name} / ${token}`}
      about={
        <div className="stack">
          <span>{t("token.rotateAbout")}</span>
          <div className="row">
            <label htmlFor={id}>{t("token.overlap")}</label>
            <Select
              id={id}
              aria-label={t("token.overlap")}
              style={{ minWidth: 200 }}
              value={overlap}
              onChange={setOverlap}
              options={OVERLAPS.map((value) => ({ value, label: t(`token.overlaps.${value}`) }))}
            />
          </div>
        </div>
      }
      action={t("token.rotate")}
      danger={overlap === 0}
      run={async () => {
        const told = await own("RotateServiceToken", { TokenName: token, Overlap: overlap });
        done?.(told.Token?.AccessToken ?? "");
      }}
      close={close}
    />
  );
}
