/** Roles: what somebody may become for a while. */

import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useArn } from "@/api/queries";
import { useSession } from "@/api/session";
import { Ago, Copyable, Failure, FormDialog, Guarded, JsonEditor, parsed, Span, useUrl } from "@/parts";
import { pretty, type Role, useAnswer, useChange, useRows } from "./asking";
import { Attached, Opens } from "./Attached";
import { by, Listing } from "./Listing";
import { Facts, Section } from "./Section";
import { Opened, ThingDrawer } from "./ThingDrawer";
import { filled } from "./Users";

export function Roles() {
  const { t } = useTranslation(["access", "common"]);
  const [{ name }, put] = useUrl();
  const close = () => put({ name: undefined });
  const [creating, setCreating] = useState(false);
  const found = useRows<Role>("ListRoles", "Roles");
  const open = (name: string) => put({ name });
  return (
    <>
      <Listing
        word="roles"
        found={found}
        rowKey={(row) => row.RoleName}
        textOf={(row) => `${row.RoleName}\n${row.Description}`}
        open={(row) => open(row.RoleName)}
        create={{ action: "ram:CreateRole", run: () => setCreating(true) }}
        columns={[
          { title: t("common:name"), key: "name", width: 240, sorter: by((row: Role) => row.RoleName), render: (_, row) => <Opens name={row.RoleName} open={open} /> },
          { title: t("description"), dataIndex: "Description" },
          { title: t("roles.session"), key: "session", width: 150, align: "end", sorter: by((row: Role) => row.MaxSessionDuration), render: (_, row) => <Span value={row.MaxSessionDuration} /> },
          { title: t("common:created"), key: "created", width: 140, sorter: by((row: Role) => row.CreateDate), render: (_, row) => <Ago at={row.CreateDate} /> },
        ]}
      />
      {creating && <CreateRole close={() => setCreating(false)} made={open} />}
      {name && (
        <Opened name={name} found={found} is={(row) => row.RoleName === name} close={close}>
          <RoleDrawer name={name} close={close} />
        </Opened>
      )}
    </>
  );
}

function CreateRole({ close, made }: { close: () => void; made: (name: string) => void }) {
  const { t } = useTranslation(["access", "common"]);
  const { Principal } = useSession();
  const change = useChange();
  const trusted = {
    Version: "1",
    Statement: [{ Effect: "Allow", Action: "sts:AssumeRole", Principal: { RAM: [`acs:ram::${Principal.Account}:root`] } }],
  };
  const [trust, setTrust] = useState(() => JSON.stringify(trusted, null, 2));
  return (
    <FormDialog
      wide
      title={t("roles.create")}
      action={t("common:create")}
      fields={[
        { name: "RoleName", label: t("common:name"), required: true, hint: t("nameHint") },
        { name: "Description", label: t("description") },
        { name: "MaxSessionDuration", label: t("roles.sessionSeconds"), kind: "number", min: 3600, max: 43_200, unit: "s" },
      ]}
      initial={{ MaxSessionDuration: 3600 }}
      run={async (given) => {
        await change("CreateRole", { ...filled(given), AssumeRolePolicyDocument: trust });
        made(String(given["RoleName"]));
      }}
      close={close}
    >
      <p style={{ margin: "0 0 4px" }}>{t("roles.trust")}</p>
      <JsonEditor label={t("roles.trust")} value={trust} onChange={setTrust} error={parsed(trust).error} height={220} />
    </FormDialog>
  );
}

function RoleDrawer({ name, close }: { name: string; close: () => void }) {
  const { t } = useTranslation(["access", "common"]);
  const arn = useArn();
  const { data, error, refetch } = useAnswer<{ Role: Role }>("GetRole", { RoleName: name });
  const resource = arn("role", name, "ram");
  const role = data?.Role;
  return (
    <ThingDrawer
      name={name}
      found={{ error, loaded: !!role, refetch }}
      removal={{ action: "DeleteRole", params: { RoleName: name }, resource, title: t("roles.delete"), about: t("roles.deleteAbout") }}
      close={close}
    >
      {role && (
        <>
          <Facts
            facts={[
              ["ARN", <Copyable key="arn" text={role.Arn} what="ARN" />],
              [t("description"), role.Description],
              [t("roles.session"), <Span key="s" value={role.MaxSessionDuration} />],
              [t("common:created"), <Ago key="at" at={role.CreateDate} />],
            ]}
          />
          <Trust key={role.UpdateDate} role={role} resource={resource} />
          <Attached kind="Role" name={name} />
        </>
      )}
    </ThingDrawer>
  );
}

function Trust({ role, resource }: { role: Role; resource: string }) {
  const { t } = useTranslation(["access", "common"]);
  const change = useChange();
  const before = pretty(role.AssumeRolePolicyDocument ?? "");
  const [text, setText] = useState(before);
  const [failed, setFailed] = useState<unknown>();
  const wrong = parsed(text).error;
  const save = () => {
    setFailed(undefined);
    change("UpdateRole", { RoleName: role.RoleName, NewAssumeRolePolicyDocument: text }).catch(setFailed);
  };
  return (
    <Section
      title={t("roles.trust")}
      action={
        <Guarded size="small" action="ram:UpdateRole" resource={resource} off={text === before ? t("unchanged") : wrong} onClick={save}>
          {t("common:save")}
        </Guarded>
      }
    >
      <JsonEditor label={t("roles.trust")} value={text} onChange={setText} error={wrong} height={220} />
      {failed !== undefined && <Failure error={failed} />}
    </Section>
  );
}
