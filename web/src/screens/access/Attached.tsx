/** The policies of a user, a group or a role. */

import { PlusOutlined } from "@ant-design/icons";
import { Button, Tag } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useArn } from "@/api/queries";
import { Confirm, Failure, FormDialog, Guarded } from "@/parts";
import { type Policy, useChange, useRows, native, type Workspace } from "./asking";
import { Section } from "./Section";

export type Kind = "User" | "Group" | "Role";

export function Attached({ kind, name }: { kind: Kind; name: string }) {
  const { t } = useTranslation(["access", "common"]);
  const arn = useArn();
  const change = useChange();
  const [adding, setAdding] = useState(false);
  const [going, setGoing] = useState<Policy>();
  const given = { [`${kind}Name`]: name };
  const { data, error, refetch } = useRows<Policy>(`ListPoliciesFor${kind}`, "Policies", given);
  const resource = arn(kind.toLowerCase(), name, "ram");
  return (
    <Section
      title={t("policies.title")}
      count={data?.length}
      action={
        <Guarded size="small" icon={<PlusOutlined aria-hidden />} action={`ram:AttachPolicyTo${kind}`} resource={resource} onClick={() => setAdding(true)}>
          {t("attach.do")}
        </Guarded>
      }
    >
      {error && <Failure error={error} retry={() => void refetch()} />}
      {data?.length === 0 && <p className="muted">{t("attach.none")}</p>}
      <ul className="lines">
        {data?.map((policy) => (
          <li key={`${policy.PolicyType}/${policy.PolicyName}/${policy.Workspace ?? ""}`}>
            <span>
              <strong className="mono">{policy.PolicyName}</strong> <Tag>{t(`type.${policy.PolicyType}`)}</Tag>
              {policy.Workspace && <Tag>{t("attach.in", { workspace: policy.Workspace })}</Tag>}
              <span className="muted block">{policy.Description}</span>
            </span>
            <Guarded
              size="small"
              type="text"
              action={`ram:DetachPolicyFrom${kind}`}
              resource={resource}
              onClick={() => setGoing(policy)}
              aria-label={t("detach.one", { name: policy.PolicyName })}
            >
              {t("detach.do")}
            </Guarded>
          </li>
        ))}
      </ul>
      {adding && <Attach kind={kind} name={name} close={() => setAdding(false)} />}
      {going && (
        <Confirm
          danger
          title={t("detach.title", { name })}
          object={going.PolicyName}
          about={t("detach.about")}
          action={t("detach.do")}
          run={() =>
            change(`DetachPolicyFrom${kind}`, {
              ...given,
              PolicyName: going.PolicyName,
              PolicyType: going.PolicyType,
              Workspace: going.Workspace || undefined,
            })
          }
          close={() => setGoing(undefined)}
        />
      )}
    </Section>
  );
}

function Attach({ kind, name, close }: { kind: Kind; name: string; close: () => void }) {
  const { t } = useTranslation("access");
  const change = useChange();
  const policies = useRows<Policy>("ListPolicies", "Policies");
  const spaces = useRows<Workspace>("ListWorkspaces", "Workspaces", {}, native);
  const error = policies.error;
  const known = (policies.data ?? []).map((one) => ({
    value: `${one.PolicyType}/${one.PolicyName}`,
    label: `${one.PolicyName} · ${one.Description || t(`type.${one.PolicyType}`)}`,
  }));
  return (
    <FormDialog
      title={t("attach.title", { name })}
      about={t("attach.about")}
      action={t("attach.do")}
      fields={[
        { name: "policy", label: t("attach.policy"), kind: "choice", required: true, options: known },
        {
          name: "workspace",
          label: t("attach.workspace"),
          kind: "choice",
          hint: t("attach.workspaceAbout"),
          options: (spaces.data ?? []).map(({ WorkspaceId, Name }) => ({ value: WorkspaceId, label: Name ? `${WorkspaceId} · ${Name}` : WorkspaceId })),
        },
      ]}
      run={(given) => {
        const [type, ...rest] = String(given["policy"]).split("/");
        return change(`AttachPolicyTo${kind}`, {
          [`${kind}Name`]: name,
          PolicyType: type,
          PolicyName: rest.join("/"),
          Workspace: given["workspace"] || undefined,
        });
      }}
      close={close}
    >
      {error && <Failure error={error} retry={() => void policies.refetch()} />}
    </FormDialog>
  );
}

/** A small list of names with a way out for each, and a way in: groups of a user, users of a group. */
export function Members({
  title,
  none,
  rows,
  error,
  join,
  leave,
  offered,
  addWord,
  actions,
}: {
  title: string;
  none: string;
  rows: readonly { name: string; about: string }[] | undefined;
  error: unknown;
  join: (name: string) => Promise<unknown>;
  leave: (name: string) => Promise<unknown>;
  /** What may be added. */
  offered: readonly string[];
  addWord: string;
  actions: { join: string; leave: string; resource: string };
}) {
  const { t } = useTranslation("access");
  const [adding, setAdding] = useState(false);
  const [failed, setFailed] = useState<unknown>();
  const taken = new Set(rows?.map(({ name }) => name));
  const free = offered.filter((name) => !taken.has(name));
  const out = (name: string) => {
    setFailed(undefined);
    leave(name).catch(setFailed);
  };
  return (
    <Section
      title={title}
      count={rows?.length}
      action={
        <Guarded
          size="small"
          icon={<PlusOutlined aria-hidden />}
          action={actions.join}
          resource={actions.resource}
          off={free.length ? undefined : t("members.nobody")}
          onClick={() => setAdding(true)}
        >
          {addWord}
        </Guarded>
      }
    >
      {error !== null && error !== undefined && <Failure error={error} />}
      {failed !== undefined && <Failure error={failed} />}
      {rows?.length === 0 && <p className="muted">{none}</p>}
      <ul className="lines">
        {rows?.map(({ name, about }) => (
          <li key={name}>
            <span>
              <strong>{name}</strong> <span className="muted">{about}</span>
            </span>
            <Guarded
              size="small"
              type="text"
              action={actions.leave}
              resource={actions.resource}
              aria-label={t("members.out", { name })}
              onClick={() => out(name)}
            >
              {t("members.remove")}
            </Guarded>
          </li>
        ))}
      </ul>
      {adding && (
        <FormDialog
          title={addWord}
          action={t("members.add")}
          fields={[{ name: "name", label: title, kind: "choice", required: true, options: free.map((value) => ({ value, label: value })) }]}
          run={({ name }) => join(String(name))}
          close={() => setAdding(false)}
        />
      )}
    </Section>
  );
}

/** A button that leads to a thing by its name. */
export function Opens({ name, open }: { name: string; open: (name: string) => void }) {
  return (
    <Button type="link" className="opens-name" onClick={() => open(name)}>
      {name}
    </Button>
  );
}
