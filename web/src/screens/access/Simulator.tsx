/** May somebody do something? Asked of the policies, not done. */

import { useQuery } from "@tanstack/react-query";
import { AutoComplete, Button, Input, Table } from "antd";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { onAll } from "@/api/allowed";
import { console_, RAM, rpc } from "@/api/call";
import { useSession } from "@/api/session";
import type { Catalog } from "@/api/types";
import { Failure, Guarded, JsonEditor, parsed, useUrl } from "@/parts";
import { type Policy, pretty, type Role, type User, useAnswer, useRows } from "./asking";

interface Spoken {
  Policy: string;
  Statement: number;
  Effect: string;
  Applies: boolean;
}

interface Decision {
  Allowed: boolean;
  Policy: string;
  Statement: number;
  Actions: string[];
  Resources: string[];
  Spoken: Spoken[];
}

interface Question {
  Principal: string;
  ActionName: string;
  Resource: string;
  Workspace: string | undefined;
  Context: string | undefined;
}

const read = (search: Record<string, string | undefined>): Question => ({
  Principal: search["principal"] ?? "",
  ActionName: search["action"] ?? "",
  Resource: search["resource"] ?? "",
  Workspace: search["workspace"],
  Context: search["context"],
});

/** The question is in the URL, so that a decision can be shown to somebody. */
export function Simulator() {
  const { t } = useTranslation("access");
  const [search, put] = useUrl();
  const asked = read(search);
  const [draft, setDraft] = useState(asked);
  const whole = asked.Principal && asked.ActionName;
  const { data, error, isFetching, refetch } = useQuery({
    queryKey: ["access", "SimulatePolicy", asked],
    queryFn: ({ signal }) =>
      rpc<Decision>("SimulatePolicy", { ...asked, Resource: asked.Resource || "*" }, { version: RAM, signal, right: onAll("ram:SimulatePolicy") }),
    enabled: !!whole,
    staleTime: 0,
  });
  const wrong = draft.Context ? parsed(draft.Context).error : undefined;
  const off = !draft.Principal.trim() || !draft.ActionName.trim() ? t("simulate.needed") : wrong;
  const go = () => {
    if (off) return;
    const { Principal, ActionName, Resource, Workspace, Context } = draft;
    put({ principal: Principal.trim(), action: ActionName.trim(), resource: Resource.trim(), workspace: Workspace?.trim(), context: Context?.trim() });
    if (JSON.stringify(draft) === JSON.stringify(asked)) void refetch();
  };
  return (
    <div className="stack">
      <form className="panel stack" onSubmit={(event) => (event.preventDefault(), go())} aria-label={t("simulate.title")}>
        <p className="muted" style={{ margin: 0 }}>
          {t("simulate.about")}
        </p>
        <Fields draft={draft} change={(part) => setDraft({ ...draft, ...part })} wrong={wrong} />
        <div className="row">
          <Guarded type="primary" htmlType="submit" action="ram:SimulatePolicy" loading={isFetching} off={off}>
            {t("simulate.do")}
          </Guarded>
          {whole && (
            <Button
              onClick={() => {
                put({ principal: undefined, action: undefined, resource: undefined, workspace: undefined, context: undefined });
                setDraft(read({}));
              }}
            >
              {t("simulate.clear")}
            </Button>
          )}
        </div>
      </form>
      {error && <Failure error={error} />}
      {data && !error && <Result decision={data} asked={asked} />}
    </div>
  );
}

function Fields({ draft, change, wrong }: { draft: Question; change: (part: Partial<Question>) => void; wrong: string | undefined }) {
  const { t, i18n } = useTranslation("access");
  const { Principal } = useSession();
  const id = useId();
  const users = useRows<User>("ListUsers", "Users");
  const roles = useRows<Role>("ListRoles", "Roles");
  const catalog = useQuery({
    queryKey: ["catalog", i18n.language],
    queryFn: ({ signal }) => console_<Catalog>(`/catalog?lang=${encodeURIComponent(i18n.language)}`, { signal }),
    staleTime: Infinity,
  });
  const who = ["root", ...(users.data ?? []).map((one) => `user/${one.UserName}`), ...(roles.data ?? []).map((one) => `role/${one.RoleName}`)];
  const actions = (catalog.data?.Products ?? [])
    .filter(({ Product }) => Product !== "openai" && Product !== "zstack")
    .flatMap(({ Product, Operations }) => Operations.map(({ Id }) => `${Product.toLowerCase()}:${Id}`));
  const among = (text: string, option?: { value?: string }) => (option?.value ?? "").toLowerCase().includes(text.toLowerCase());
  const options = (values: readonly string[]) => [...new Set(values)].map((value) => ({ value }));
  return (
    <div className="cards">
      <div className="field">
        <label htmlFor={`${id}who`}>{t("simulate.principal")}</label>
        <AutoComplete id={`${id}who`} style={{ width: "100%" }} value={draft.Principal} placeholder="user/alice" options={options(who)} showSearch={{ filterOption: among }} onChange={(value: string) => change({ Principal: value })} />
      </div>
      <div className="field">
        <label htmlFor={`${id}action`}>{t("simulate.action")}</label>
        <AutoComplete id={`${id}action`} style={{ width: "100%" }} value={draft.ActionName} placeholder="eas:DescribeService" options={options(actions)} showSearch={{ filterOption: among }} onChange={(value: string) => change({ ActionName: value })} />
      </div>
      <div className="field">
        <label htmlFor={`${id}resource`}>{t("simulate.resource")}</label>
        <Input id={`${id}resource`} value={draft.Resource} placeholder={`acs:eas:*:${Principal.Account}:service/*`} onChange={(event) => change({ Resource: event.target.value })} />
      </div>
      <div className="field">
        <label htmlFor={`${id}space`}>{t("simulate.workspace")}</label>
        <Input id={`${id}space`} value={draft.Workspace ?? ""} onChange={(event) => change({ Workspace: event.target.value || undefined })} />
      </div>
      <div className="field">
        <label htmlFor={`${id}context`}>{t("simulate.context")}</label>
        <Input id={`${id}context`} status={wrong ? "error" : ""} value={draft.Context ?? ""} placeholder='{"acs:SourceIp": "10.0.0.1"}' onChange={(event) => change({ Context: event.target.value || undefined })} />
      </div>
    </div>
  );
}

function Result({ decision, asked }: { decision: Decision; asked: Question }) {
  const { t } = useTranslation("access");
  const { Allowed, Policy: decided, Statement } = decision;
  return (
    <section className="stack" aria-label={t("simulate.result")} role="status">
      <div className={Allowed ? "decision yes" : "decision no"}>
        <h2 className={Allowed ? "tone-ok" : "tone-bad"}>{t(Allowed ? "simulate.allowed" : "simulate.denied")}</h2>
        <div>
          {t("simulate.told", { principal: asked.Principal, action: asked.ActionName, resource: asked.Resource || "*" })}{" "}
          {decided && Statement ? t("simulate.by", { policy: decided, statement: Statement }) : t(Allowed ? "simulate.account" : "simulate.byNone")}
        </div>
      </div>
      {decided && Statement > 0 && <Deciding policy={decided} statement={Statement} />}
      {decision.Spoken.length > 0 && (
        <Table
          size="small"
          pagination={false}
          rowKey={(row) => `${row.Policy}/${row.Statement}`}
          dataSource={decision.Spoken}
          title={() => <strong>{t("simulate.spoken")}</strong>}
          columns={[
            { title: t("simulate.policy"), dataIndex: "Policy" },
            { title: t("simulate.statement"), dataIndex: "Statement", align: "end", width: 110 },
            { title: t("simulate.effect"), key: "effect", width: 130, render: (_, row) => <span className={row.Effect === "Deny" ? "tone-bad" : "tone-ok"}>{t(`simulate.${row.Effect}`, { defaultValue: row.Effect })}</span> },
            { title: t("simulate.applies"), key: "applies", render: (_, row) => t(row.Applies ? "simulate.doesApply" : "simulate.doesNot") },
          ]}
        />
      )}
    </section>
  );
}

/** The statement that decided, as it is written. */
function Deciding({ policy, statement }: { policy: string; statement: number }) {
  const { t } = useTranslation("access");
  const known = useRows<Policy>("ListPolicies", "Policies");
  const found = known.data?.find((one) => one.PolicyName === policy);
  const { data } = useAnswer<{ DefaultPolicyVersion: { PolicyDocument: string } }>(
    "GetPolicy",
    { PolicyName: policy, PolicyType: found?.PolicyType ?? "Custom" },
    { on: !!found },
  );
  const text = data?.DefaultPolicyVersion.PolicyDocument;
  const one = text && (parsed(text).value as { Statement?: unknown[] } | undefined)?.Statement?.[statement - 1];
  if (!one) return null;
  return <JsonEditor readOnly height={170} label={t("simulate.by", { policy, statement })} value={pretty(JSON.stringify(one))} />;
}
