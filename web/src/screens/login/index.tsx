/** Sign in: with a password, an access key, or a ticket from the command line. */

import { useRouter } from "@tanstack/react-router";
import { Button, Form, Input, Segmented } from "antd";
import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { login } from "@/api/session";
import type { Login } from "@/api/types";
import { LanguageMenu, ThemeMenu } from "@/app/top-menus";
import { Failure } from "@/parts/Failure";
import { useTitle } from "@/parts/PageHeader";
import { useUrlText } from "@/parts/url";

const WAYS = ["password", "key", "ticket"] as const;
type Way = (typeof WAYS)[number];

interface Field {
  name: string;
  secret: boolean;
  complete: string;
}

const FIELDS: Record<Way, Field[]> = {
  password: [
    { name: "UserName", secret: false, complete: "username" },
    { name: "Password", secret: true, complete: "current-password" },
  ],
  key: [
    { name: "AccessKeyId", secret: false, complete: "off" },
    { name: "AccessKeySecret", secret: true, complete: "off" },
  ],
  ticket: [{ name: "Ticket", secret: true, complete: "off" }],
};

/** Only a path of this console: another origin must not be reached by a link to here. */
function target(to: string): string {
  return /^\/(?![/\\])/.test(to) && !to.startsWith("/login") ? to : "/";
}

/** The ticket in the fragment, which no server sees; taken out of the address at once. */
function takeTicket(): string {
  const ticket = new URLSearchParams(location.hash.slice(1)).get("ticket") ?? "";
  if (ticket) history.replaceState(history.state, "", location.pathname + location.search);
  return ticket;
}

function useSignIn() {
  const router = useRouter();
  const [to] = useUrlText("to", "/");
  const [failed, setFailed] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const signIn = async (body: Login) => {
    setBusy(true);
    setFailed(undefined);
    try {
      await login(body);
      router.history.push(target(to));
    } catch (error) {
      setFailed(error);
    } finally {
      setBusy(false);
    }
  };
  return { signIn, failed, busy, forget: () => setFailed(undefined) };
}

export default function SignIn() {
  const { t } = useTranslation("login");
  const [way, setWay] = useState<Way>("password");
  const { signIn, failed, busy, forget } = useSignIn();
  const begun = useRef(false);
  useTitle(t("title"));
  useEffect(() => {
    if (begun.current) return;
    begun.current = true;
    const Ticket = takeTicket();
    if (!Ticket) return;
    setWay("ticket");
    void signIn({ Ticket });
  });
  return (
    <main className="sign-in">
      <div className="panel stack">
        <div className="row">
          <img src="/pierhead.svg" alt="" width={32} height={32} />
          <h1 style={{ fontSize: 18, margin: 0, flex: 1 }}>{t("title")}</h1>
          <LanguageMenu />
          <ThemeMenu />
        </div>
        <Segmented
          block
          aria-label={t("way")}
          value={way}
          onChange={(next) => (setWay(next), forget())}
          options={WAYS.map((value) => ({ value, label: t(`ways.${value}`) }))}
        />
        <Form layout="vertical" key={way} requiredMark={false} onFinish={(given: Login) => void signIn(given)}>
          {FIELDS[way].map(({ name, secret, complete }, index) => {
            const Field = secret ? Input.Password : Input;
            return (
              <Form.Item key={name} name={name} label={t(`fields.${name}`)} rules={[{ required: true, message: t("required") }]}>
                <Field autoComplete={complete} autoFocus={index === 0} spellCheck={false} />
              </Form.Item>
            );
          })}
          <p className="muted">{t(`hints.${way}`)}</p>
          <Button type="primary" htmlType="submit" block loading={busy}>
            {t("submit")}
          </Button>
        </Form>
        {failed !== undefined && <Failure error={failed} title={t("failed")} />}
      </div>
    </main>
  );
}
