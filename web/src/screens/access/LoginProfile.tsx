/** May this user sign in here, and with a password that must be changed? */

import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Confirm, Failure, FormDialog, type Given, Guarded, When } from "@/parts";
import { useAnswer, useChange } from "./asking";
import { Section } from "./Section";

interface Profile {
  CreateDate: string;
  PasswordResetRequired: boolean;
}

/** `has`: the user has a password; else there is nothing to ask for. */
export function LoginProfile({ name, resource, has }: { name: string; resource: string; has: boolean }) {
  const { t } = useTranslation(["access", "common"]);
  const change = useChange();
  const [asked, setAsked] = useState<"create" | "change" | "end">();
  const { data, error } = useAnswer<{ LoginProfile: Profile }>("GetLoginProfile", { UserName: name }, { on: has });
  const close = () => setAsked(undefined);
  return (
    <Section
      title={t("login.title")}
      action={
        <div className="row">
          {has ? (
            <>
              <Guarded size="small" action="ram:UpdateLoginProfile" resource={resource} onClick={() => setAsked("change")}>
                {t("login.change")}
              </Guarded>
              <Guarded size="small" danger action="ram:DeleteLoginProfile" resource={resource} onClick={() => setAsked("end")}>
                {t("login.end")}
              </Guarded>
            </>
          ) : (
            <Guarded size="small" action="ram:CreateLoginProfile" resource={resource} onClick={() => setAsked("create")}>
              {t("login.create")}
            </Guarded>
          )}
        </div>
      }
    >
      {has && error && <Failure error={error} />}
      {!has && <p className="muted">{t("login.none")}</p>}
      {has && data && (
        <p className="muted">
          {t("login.since")} <When at={data.LoginProfile.CreateDate} />
          {data.LoginProfile.PasswordResetRequired && ` · ${t("login.mustChange")}`}
        </p>
      )}
      {asked === "end" && (
        <Confirm
          danger
          title={t("login.end")}
          object={name}
          about={t("login.endAbout")}
          action={t("login.end")}
          run={() => change("DeleteLoginProfile", { UserName: name })}
          close={close}
        />
      )}
      {(asked === "create" || asked === "change") && (
        <Password
          title={t(`login.${asked}`)}
          run={(given) => change(asked === "create" ? "CreateLoginProfile" : "UpdateLoginProfile", { UserName: name, ...given })}
          close={close}
        />
      )}
    </Section>
  );
}

function Password({ title, run, close }: { title: string; run: (given: Given) => Promise<unknown>; close: () => void }) {
  const { t } = useTranslation(["access", "common"]);
  return (
    <FormDialog
      title={title}
      about={t("login.about")}
      action={t("common:save")}
      fields={[
        { name: "Password", label: t("login.password"), kind: "secret", required: true },
        { name: "PasswordResetRequired", label: t("login.mustChange"), kind: "check" },
      ]}
      initial={{ PasswordResetRequired: false }}
      run={run}
      close={close}
    />
  );
}
