/** One policy: its document, its versions, who has it. */

import { Button, Skeleton, Tag } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useArn } from "@/api/queries";
import { Ago, Confirm, Failure, Guarded, JsonEditor, parsed } from "@/parts";
import { made, type Policy, pretty, useAnswer, useChange, useRows } from "./asking";
import { Facts, Section } from "./Section";
import { ThingDrawer } from "./ThingDrawer";

interface Version {
  VersionId: string;
  IsDefaultVersion: boolean;
  CreateDate: string;
  PolicyDocument?: string;
}

interface Answer {
  Policy: Policy;
  DefaultPolicyVersion: Version;
}

export function PolicyDrawer({ name, type, close }: { name: string; type: string; close: () => void }) {
  const { t } = useTranslation(["access", "common"]);
  const arn = useArn();
  const which = { PolicyName: name, PolicyType: type };
  const { data, error, refetch } = useAnswer<Answer>("GetPolicy", which);
  const own = type === "Custom";
  const resource = arn("policy", name, "ram");
  const policy = data?.Policy;
  const removal = {
    action: "DeletePolicy",
    params: { PolicyName: name, CascadingDelete: true },
    resource,
    title: t("policies.delete"),
    about: t("policies.deleteAbout", { count: policy?.AttachmentCount ?? 0 }),
  };
  return (
    <ThingDrawer name={name} wide={780} found={{ error, loaded: !!policy, refetch }} removal={own ? removal : undefined} close={close}>
      {policy && data && (
        <>
          <Facts
            facts={[
              [t("policies.type"), t(`type.${policy.PolicyType}`)],
              [t("description"), policy.Description],
              [t("policies.version"), policy.DefaultVersion],
              [t("common:updated"), <Ago key="at" at={made(policy.UpdateDate)} />],
            ]}
          />
          <Document key={policy.DefaultVersion} which={which} text={pretty(data.DefaultPolicyVersion.PolicyDocument ?? "")} own={own} resource={resource} />
          {own && <Versions which={which} resource={resource} />}
          <Entities which={which} />
        </>
      )}
    </ThingDrawer>
  );
}

type Which = { PolicyName: string; PolicyType: string };

/** A change is a new version, in force at once; the oldest makes room if there are too many. */
function Document({ which, text: before, own, resource }: { which: Which; text: string; own: boolean; resource: string }) {
  const { t } = useTranslation(["access", "common"]);
  const change = useChange();
  const [text, setText] = useState(before);
  const [failed, setFailed] = useState<unknown>();
  const wrong = parsed(text).error;
  const save = () => {
    setFailed(undefined);
    const PolicyDocument = text;
    const RotateStrategy = "DeleteOldestNonDefaultVersionWhenLimitExceeded";
    change("CreatePolicyVersion", { PolicyName: which.PolicyName, PolicyDocument, SetAsDefault: true, RotateStrategy }).catch(setFailed);
  };
  return (
    <Section
      title={t("policies.document")}
      action={
        own && (
          <Guarded size="small" type="primary" action="ram:CreatePolicyVersion" resource={resource} off={text === before ? t("unchanged") : wrong} onClick={save}>
            {t("policies.save")}
          </Guarded>
        )
      }
    >
      <JsonEditor label={t("policies.document")} value={text} onChange={setText} readOnly={!own} error={wrong} height={300} />
      {!own && <p className="muted">{t("policies.systemAbout")}</p>}
      {failed !== undefined && <Failure error={failed} />}
    </Section>
  );
}

function Versions({ which, resource }: { which: Which; resource: string }) {
  const { t } = useTranslation(["access", "common"]);
  const change = useChange();
  const [shown, setShown] = useState("");
  const [asked, setAsked] = useState<{ version: Version; what: "use" | "drop" }>();
  const { data, error } = useRows<Version>("ListPolicyVersions", "PolicyVersions", which);
  const newest = data?.toSorted((left, right) => Number(right.VersionId.slice(1)) - Number(left.VersionId.slice(1)));
  const run = () => {
    const { version, what } = asked!;
    const action = what === "use" ? "SetDefaultPolicyVersion" : "DeletePolicyVersion";
    return change(action, { PolicyName: which.PolicyName, VersionId: version.VersionId });
  };
  return (
    <Section title={t("policies.versions")} count={data?.length}>
      {error && <Failure error={error} />}
      <ul className="lines">
        {newest?.map((version) => {
          const { VersionId: id } = version;
          return (
            <li key={id}>
              <span>
                <strong className="mono">{id}</strong> {version.IsDefaultVersion && <Tag color="blue">{t("policies.inForce")}</Tag>}{" "}
                <span className="muted">
                  <Ago at={version.CreateDate} />
                </span>
                {shown === id && <OneVersion which={which} id={id} />}
              </span>
              <span className="row">
                <Button size="small" type="text" aria-expanded={shown === id} onClick={() => setShown(shown === id ? "" : id)} aria-label={t("policies.showOne", { id })}>
                  {t(shown === id ? "policies.hide" : "policies.show")}
                </Button>
                {!version.IsDefaultVersion && (
                  <>
                    <Guarded size="small" action="ram:SetDefaultPolicyVersion" resource={resource} onClick={() => setAsked({ version, what: "use" })} aria-label={t("policies.useOne", { id })}>
                      {t("policies.use")}
                    </Guarded>
                    <Guarded size="small" danger action="ram:DeletePolicyVersion" resource={resource} onClick={() => setAsked({ version, what: "drop" })} aria-label={t("policies.dropOne", { id })}>
                      {t("common:delete")}
                    </Guarded>
                  </>
                )}
              </span>
            </li>
          );
        })}
      </ul>
      {asked && (
        <Confirm
          danger={asked.what === "drop"}
          title={t(asked.what === "use" ? "policies.useOne" : "policies.dropOne", { id: asked.version.VersionId })}
          object={which.PolicyName}
          about={t(asked.what === "use" ? "policies.useAbout" : "policies.dropAbout")}
          action={asked.what === "use" ? t("policies.use") : t("common:delete")}
          run={run}
          close={() => setAsked(undefined)}
        />
      )}
    </Section>
  );
}

function OneVersion({ which, id }: { which: Which; id: string }) {
  const { t } = useTranslation("access");
  const { data, error } = useAnswer<{ PolicyVersion: Version }>("GetPolicyVersion", { ...which, VersionId: id });
  if (error) return <Failure error={error} />;
  if (!data) return <Skeleton active paragraph={{ rows: 3 }} title={false} />;
  return <JsonEditor readOnly label={t("policies.documentOf", { id })} value={pretty(data.PolicyVersion.PolicyDocument ?? "")} height={200} />;
}

interface Entity {
  UserName?: string;
  GroupName?: string;
  RoleName?: string;
  AttachDate: string;
  Workspace?: string;
}

interface Entities {
  Users: { User: Entity[] };
  Groups: { Group: Entity[] };
  Roles: { Role: Entity[] };
}

function Entities({ which }: { which: Which }) {
  const { t } = useTranslation("access");
  const { data, error } = useAnswer<Entities>("ListEntitiesForPolicy", which);
  const all = data && [
    ...data.Users.User.map((one) => ({ ...one, kind: "users", name: one.UserName ?? "" })),
    ...data.Groups.Group.map((one) => ({ ...one, kind: "groups", name: one.GroupName ?? "" })),
    ...data.Roles.Role.map((one) => ({ ...one, kind: "roles", name: one.RoleName ?? "" })),
  ];
  return (
    <Section title={t("policies.who")} count={all?.length}>
      {error && <Failure error={error} />}
      {all?.length === 0 && <p className="muted">{t("policies.nobody")}</p>}
      <ul className="lines">
        {all?.map(({ kind, name, Workspace, AttachDate }) => (
          <li key={`${kind}/${name}/${Workspace ?? ""}`}>
            <span>
              <strong>{name}</strong> <Tag>{t(`one.${kind}`)}</Tag>
              {Workspace && <Tag>{t("attach.in", { workspace: Workspace })}</Tag>}
            </span>
            <span className="muted">
              <Ago at={AttachDate} />
            </span>
          </li>
        ))}
      </ul>
    </Section>
  );
}
