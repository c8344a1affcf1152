/** One user: facts, login, keys, groups, policies. */

import { EditOutlined } from "@ant-design/icons";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useArn } from "@/api/queries";
import { Copyable, FormDialog, Guarded, When } from "@/parts";
import { type Group, type User, useAnswer, useChange, useRows } from "./asking";
import { Attached, Members } from "./Attached";
import { Keys } from "./Keys";
import { LoginProfile } from "./LoginProfile";
import { Facts } from "./Section";
import { ThingDrawer } from "./ThingDrawer";

export function UserDrawer({ name, close }: { name: string; close: () => void }) {
  const { t } = useTranslation(["access", "common"]);
  const arn = useArn();
  const [editing, setEditing] = useState(false);
  const { data, error, refetch } = useAnswer<{ User: User }>("GetUser", { UserName: name });
  const resource = arn("user", name, "ram");
  const user = data?.User;
  return (
    <ThingDrawer
      name={name}
      found={{ error, loaded: !!user, refetch }}
      removal={{ action: "DeleteUser", params: { UserName: name }, resource, title: t("users.delete"), about: t("users.deleteAbout") }}
      actions={
        <Guarded icon={<EditOutlined aria-hidden />} action="ram:UpdateUser" resource={resource} disabled={!user} onClick={() => setEditing(true)}>
          {t("common:edit")}
        </Guarded>
      }
      close={close}
    >
      {user && (
        <>
          <Facts
            facts={[
              [t("users.id"), <Copyable key="id" text={user.UserId} what={t("users.id")} />],
              [t("users.display"), user.DisplayName],
              [t("users.email"), user.Email],
              [t("comments"), user.Comments],
              [t("common:created"), <When key="created" at={user.CreateDate} />],
              [t("users.lastLogin"), user.LastLoginDate ? <When at={user.LastLoginDate} /> : t("users.never")],
            ]}
          />
          <LoginProfile name={name} resource={resource} has={!!user.HasLoginProfile} />
          <Keys name={name} resource={resource} />
          <Groups name={name} resource={resource} />
          <Attached kind="User" name={name} />
        </>
      )}
      {editing && user && <EditUser user={user} close={() => setEditing(false)} />}
    </ThingDrawer>
  );
}

function Groups({ name, resource }: { name: string; resource: string }) {
  const { t } = useTranslation("access");
  const change = useChange();
  const mine = useRows<Group>("ListGroupsForUser", "Groups", { UserName: name });
  const all = useRows<Group>("ListGroups", "Groups");
  return (
    <Members
      title={t("groups.title")}
      none={t("users.noGroup")}
      rows={mine.data?.map(({ GroupName, Comments }) => ({ name: GroupName, about: Comments }))}
      error={mine.error}
      offered={(all.data ?? []).map(({ GroupName }) => GroupName)}
      addWord={t("users.join")}
      join={(group) => change("AddUserToGroup", { UserName: name, GroupName: group })}
      leave={(group) => change("RemoveUserFromGroup", { UserName: name, GroupName: group })}
      actions={{ join: "ram:AddUserToGroup", leave: "ram:RemoveUserFromGroup", resource }}
    />
  );
}

function EditUser({ user, close }: { user: User; close: () => void }) {
  const { t } = useTranslation(["access", "common"]);
  const change = useChange();
  return (
    <FormDialog
      title={t("users.edit", { name: user.UserName })}
      action={t("common:save")}
      fields={[
        { name: "NewDisplayName", label: t("users.display") },
        { name: "NewEmail", label: t("users.email") },
        { name: "NewComments", label: t("comments") },
      ]}
      initial={{ NewDisplayName: user.DisplayName, NewEmail: user.Email, NewComments: user.Comments }}
      run={(given) => change("UpdateUser", { UserName: user.UserName, ...given })}
      close={close}
    />
  );
}
