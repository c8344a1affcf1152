/** Groups: users that share policies. */

import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useArn } from "@/api/queries";
import { Ago, FormDialog, useUrl } from "@/parts";
import { type Group, type User, useChange, useRows } from "./asking";
import { Attached, Members, Opens } from "./Attached";
import { by, Listing } from "./Listing";
import { Facts } from "./Section";
import { Opened, ThingDrawer } from "./ThingDrawer";
import { filled } from "./Users";

export function Groups() {
  const { t } = useTranslation(["access", "common"]);
  const [{ name }, put] = useUrl();
  const close = () => put({ name: undefined });
  const change = useChange();
  const [creating, setCreating] = useState(false);
  const found = useRows<Group>("ListGroups", "Groups");
  const open = (name: string) => put({ name });
  return (
    <>
      <Listing
        word="groups"
        found={found}
        rowKey={(row) => row.GroupName}
        textOf={(row) => `${row.GroupName}\n${row.Comments}`}
        open={(row) => open(row.GroupName)}
        create={{ action: "ram:CreateGroup", run: () => setCreating(true) }}
        columns={[
          { title: t("common:name"), key: "name", width: 260, sorter: by((row: Group) => row.GroupName), render: (_, row) => <Opens name={row.GroupName} open={open} /> },
          { title: t("comments"), dataIndex: "Comments" },
          { title: t("common:created"), key: "created", width: 140, sorter: by((row: Group) => row.CreateDate), render: (_, row) => <Ago at={row.CreateDate} /> },
        ]}
      />
      {creating && (
        <FormDialog
          title={t("groups.create")}
          action={t("common:create")}
          fields={[
            { name: "GroupName", label: t("common:name"), required: true, hint: t("nameHint") },
            { name: "Comments", label: t("comments") },
          ]}
          run={async (given) => {
            await change("CreateGroup", filled(given));
            open(String(given["GroupName"]));
          }}
          close={() => setCreating(false)}
        />
      )}
      {name && (
        <Opened name={name} found={found} is={(row) => row.GroupName === name} close={close}>
          <GroupDrawer name={name} group={found.data?.find((one) => one.GroupName === name)} close={close} />
        </Opened>
      )}
    </>
  );
}

function GroupDrawer({ name, group, close }: { name: string; group: Group | undefined; close: () => void }) {
  const { t } = useTranslation(["access", "common"]);
  const arn = useArn();
  const change = useChange();
  const resource = arn("group", name, "ram");
  const inside = useRows<User & { JoinDate: string }>("ListUsersForGroup", "Users", { GroupName: name });
  const all = useRows<User>("ListUsers", "Users");
  return (
    <ThingDrawer
      name={name}
      wide={640}
      found={{ error: undefined, loaded: true, refetch: () => undefined }}
      removal={{ action: "DeleteGroup", params: { GroupName: name }, resource, title: t("groups.delete"), about: t("groups.deleteAbout") }}
      close={close}
    >
      {group && <Facts facts={[[t("comments"), group.Comments], [t("common:created"), <Ago key="at" at={group.CreateDate} />]]} />}
      <Members
        title={t("users.title")}
        none={t("groups.nobody")}
        rows={inside.data?.map(({ UserName, DisplayName }) => ({ name: UserName, about: DisplayName }))}
        error={inside.error}
        offered={(all.data ?? []).map(({ UserName }) => UserName)}
        addWord={t("groups.add")}
        join={(user) => change("AddUserToGroup", { UserName: user, GroupName: name })}
        leave={(user) => change("RemoveUserFromGroup", { UserName: user, GroupName: name })}
        actions={{ join: "ram:AddUserToGroup", leave: "ram:RemoveUserFromGroup", resource }}
      />
      <Attached kind="Group" name={name} />
    </ThingDrawer>
  );
}
