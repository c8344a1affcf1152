/** RAM users. */

import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Ago, FormDialog, useUrl } from "@/parts";
import { type User, useChange, useRows } from "./asking";
import { Opens } from "./Attached";
import { by, Listing } from "./Listing";
import { Opened } from "./ThingDrawer";
import { UserDrawer } from "./UserDrawer";

export function Users() {
  const { t } = useTranslation(["access", "common"]);
  const [{ name }, put] = useUrl();
  const close = () => put({ name: undefined });
  const [creating, setCreating] = useState(false);
  const found = useRows<User>("ListUsers", "Users");
  const open = (name: string) => put({ name });
  return (
    <>
      <Listing
        word="users"
        found={found}
        rowKey={(row) => row.UserName}
        textOf={(row) => `${row.UserName}\n${row.DisplayName}\n${row.Email}\n${row.Comments}`}
        open={(row) => open(row.UserName)}
        create={{ action: "ram:CreateUser", run: () => setCreating(true) }}
        columns={[
          { title: t("common:name"), key: "name", sorter: by((row: User) => row.UserName), render: (_, row) => <Opens name={row.UserName} open={open} /> },
          { title: t("users.display"), key: "display", sorter: by((row: User) => row.DisplayName), dataIndex: "DisplayName" },
          { title: t("users.email"), dataIndex: "Email" },
          { title: t("comments"), dataIndex: "Comments" },
          { title: t("common:created"), key: "created", width: 140, sorter: by((row: User) => row.CreateDate), render: (_, row) => <Ago at={row.CreateDate} /> },
        ]}
      />
      {creating && <CreateUser close={() => setCreating(false)} made={open} />}
      {name && (
        <Opened name={name} found={found} is={(row) => row.UserName === name} close={close}>
          <UserDrawer name={name} close={close} />
        </Opened>
      )}
    </>
  );
}

function CreateUser({ close, made }: { close: () => void; made: (name: string) => void }) {
  const { t } = useTranslation(["access", "common"]);
  const change = useChange();
  return (
    <FormDialog
      title={t("users.create")}
      about={t("users.createAbout")}
      action={t("common:create")}
      fields={[
        { name: "UserName", label: t("common:name"), required: true, hint: t("nameHint") },
        { name: "DisplayName", label: t("users.display") },
        { name: "Email", label: t("users.email") },
        { name: "Comments", label: t("comments") },
      ]}
      run={async (given) => {
        await change("CreateUser", filled(given));
        made(String(given["UserName"]));
      }}
      close={close}
    />
  );
}

/** What was left empty is not said. */
export const filled = <Given extends object>(given: Given): Partial<Given> =>
  Object.fromEntries(Object.entries(given).filter(([, value]) => value !== "" && value !== null && value !== undefined)) as Partial<Given>;
