/** What signs the calls: the session's credential with the time it has left, or a ZStack login of one's own. */

import { ReloadOutlined } from "@ant-design/icons";
import { Button, Input, Segmented } from "antd";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { credential, serverNow, useCredential } from "@/api/session";
import { Failure } from "@/parts";
import { logIn, logOut, useLogin } from "./login";

function useSeconds(until: number | undefined): number {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    const tell = () => setLeft(until === undefined ? 0 : Math.max(0, Math.floor((until - serverNow()) / 1000)));
    tell();
    const timer = setInterval(tell, 1_000);
    return () => clearInterval(timer);
  }, [until]);
  return left;
}

/** The credential's id and the time it has left. A call renews it by itself: the form stays as it is. */
export function CredentialChip() {
  const { t } = useTranslation("explorer");
  const held = useCredential();
  const left = useSeconds(held?.expires);
  const [failed, setFailed] = useState<unknown>();
  const renew = async (stale?: typeof held) => {
    try {
      await credential(stale);
      setFailed(undefined);
    } catch (error) {
      setFailed(error);
    }
  };
  useEffect(() => {
    void renew();
  }, []);
  const time = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
  return (
    <>
      <span className="credential" data-testid="credential">
        <span className="mono" title={held?.id}>
          {held ? `${held.id.slice(0, 10)}…` : "–"}
        </span>
        <span role="timer" className="mono" title={t("credential.about")} aria-label={t("credential.left", { time })}>
          {time}
        </span>
        <Button
          type="text"
          size="small"
          icon={<ReloadOutlined aria-hidden />}
          aria-label={t("credential.renew")}
          title={t("credential.renew")}
          onClick={() => void renew(held)}
        />
      </span>
      {failed !== undefined && <Failure error={failed} retry={() => void renew(held)} />}
    </>
  );
}

/** ZStack: whose login, and which form of the body. */
export function ZstackOptions({
  own,
  setOwn,
  flat,
  setFlat,
  wrapper,
}: {
  own: boolean;
  setOwn: (own: boolean) => void;
  flat: boolean;
  setFlat: (flat: boolean) => void;
  /** "" = the call has no such body. */
  wrapper: string;
}) {
  const { t } = useTranslation("explorer");
  return (
    <div className="zstack">
      <div className="row">
        <Segmented
          aria-label={t("zstack.login")}
          value={own ? "own" : "session"}
          onChange={(value) => setOwn(value === "own")}
          options={[
            { value: "session", label: t("zstack.session") },
            { value: "own", label: t("zstack.own") },
          ]}
        />
        {wrapper && (
          <Segmented
            aria-label={t("zstack.body")}
            value={flat ? "flat" : "wrapped"}
            onChange={(value) => setFlat(value === "flat")}
            options={[
              { value: "wrapped", label: t("zstack.wrapped", { wrapper }) },
              { value: "flat", label: t("zstack.flat") },
            ]}
          />
        )}
      </div>
      {own && <OwnLogin />}
    </div>
  );
}

function OwnLogin() {
  const { t } = useTranslation("explorer");
  const login = useLogin();
  const [account, setAccount] = useState("admin");
  const [password, setPassword] = useState("");
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<unknown>();
  const go = async (run: () => Promise<void>) => {
    setBusy(true);
    setFailed(undefined);
    try {
      await run();
      setPassword("");
    } catch (error) {
      setFailed(error);
    } finally {
      setBusy(false);
    }
  };
  if (login) {
    return (
      <div className="row">
        <span>{t("zstack.loggedIn", { account: login.account })}</span>
        <Button size="small" loading={busy} onClick={() => void go(logOut)}>
          {t("zstack.logOut")}
        </Button>
      </div>
    );
  }
  return (
    <form
      className="stack"
      onSubmit={(event) => {
        event.preventDefault();
        void go(() => logIn(account, password));
      }}
    >
      <div className="row login">
        <Input aria-label={t("zstack.account")} placeholder={t("zstack.account")} value={account} autoComplete="off" onChange={(event) => setAccount(event.target.value)} />
        <Input.Password aria-label={t("zstack.password")} placeholder={t("zstack.password")} value={password} autoComplete="off" onChange={(event) => setPassword(event.target.value)} />
        <Button htmlType="submit" loading={busy} disabled={!account || !password}>
          {t("zstack.logIn")}
        </Button>
      </div>
      <p className="field-about">{t("zstack.hashed")}</p>
      {failed !== undefined && <Failure error={failed} />}
    </form>
  );
}
