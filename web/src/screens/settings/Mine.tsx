/** Who is signed in, with what, and for how long. */

import { Button } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { logoutEverywhere, useCredential, useSession } from "@/api/session";
import { useSignOut } from "@/app/sign-out";
import { Ago, Confirm, Copyable, When } from "@/parts";
import { Lines } from "./Lines";

export function Mine() {
  const { t } = useTranslation("settings");
  const { Principal, Expires, Region, Endpoint, Gateway } = useSession();
  const key = useCredential();
  const signOut = useSignOut();
  const [everywhere, setEverywhere] = useState(false);
  return (
    <div className="settings-columns">
      <section className="panel">
        <h2>{t("mine.who")}</h2>
        <Lines
          lines={[
            [t("mine.name"), <strong key="name">{Principal.Name || "–"}</strong>],
            [t("mine.kind"), t(`mine.kinds.${Principal.Kind}`, { defaultValue: Principal.Kind })],
            ["ARN", <Copyable key="arn" text={Principal.Arn} what="ARN" />],
            [t("mine.account"), <Copyable key="account" text={Principal.Account} what={t("mine.account")} />],
            [t("mine.rights"), t(Principal.Admin ? "mine.admin" : "mine.policies")],
          ]}
        />
      </section>
      <section className="panel">
        <h2>{t("mine.session")}</h2>
        <Lines
          lines={[
            [t("mine.expires"), <span key="expires"><When at={Expires} /> <span className="muted">(<Ago at={Expires} />)</span></span>],
            [t("mine.key"), key ? <span key="key"><Copyable text={key.id} what={t("mine.key")} /> <span className="muted">(<Ago at={key.expires} />)</span></span> : t("mine.noKey")],
          ]}
        />
        <p className="muted">{t("mine.keyAbout")}</p>
        <div className="row">
          <Button onClick={signOut}>{t("mine.signOut")}</Button>
          <Button danger onClick={() => setEverywhere(true)}>
            {t("mine.everywhere")}
          </Button>
        </div>
        {everywhere && (
          <Confirm
            danger
            title={t("mine.everywhere")}
            object={Principal.Name}
            about={t("mine.everywhereAbout")}
            action={t("mine.everywhere")}
            run={logoutEverywhere}
            close={() => setEverywhere(false)}
          />
        )}
      </section>
      <section className="panel">
        <h2>{t("mine.where")}</h2>
        <Lines
          lines={[
            [t("mine.region"), Region],
            [t("mine.endpoint"), <Copyable key="endpoint" text={Endpoint} what={t("mine.endpoint")} />],
            [t("mine.gateway"), <Copyable key="gateway" text={Gateway} what={t("mine.gateway")} />],
          ]}
        />
      </section>
    </div>
  );
}
