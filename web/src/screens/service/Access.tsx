/** Who may call the service: its tokens, their limits, what was used with them. */

import { PlusOutlined } from "@ant-design/icons";
import { Alert, Input, InputNumber } from "antd";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { useArn } from "@/api/queries";
import { Ago, Amount, Confirm, Copyable, DataTable, Dialog, Empty, Failure, Guarded, useDeed, When } from "@/parts";
import { Field } from "../create/Step";
import { type Limits, type Token, useChange, useOwn, useTokens } from "./asked";
import { Rotate, Secret } from "./Secret";

const DEFAULT = "default";
const BOUNDS = ["RequestsPerMinute", "TokensPerMinute", "Concurrency", "MonthlyTokens"] as const;

interface Usage {
  TokenName: string;
  Requests: number;
  PromptTokens: number;
  CompletionTokens: number;
}

type Asked = { kind: "add" | "limits" | "rotate" | "revoke"; token: Token | undefined };

export function Access({ name }: { name: string }) {
  const { t } = useTranslation("service");
  const { data, error, refetch } = useTokens(name);
  const { data: used } = useOwn<{ Usages: { Usage: Usage[] } }>(name, "GetServiceUsage", {}, 30_000);
  const arn = useArn()("service", name);
  const [asked, setAsked] = useState<Asked>();
  const [made, setMade] = useState<Token>();
  const { own } = useChange(name);
  if (error) return <Failure error={error} retry={() => void refetch()} />;
  const usage = (token: Token) => used?.Usages.Usage.find((one) => one.TokenName === token.TokenName);
  const token = asked?.token;
  return (
    <div className="stack">
      <div className="row">
        <span className="muted">{t("access.about")}</span>
        <span className="spread" />
        <Guarded type="primary" icon={<PlusOutlined aria-hidden />} action="pierhead:AddServiceToken" resource={arn} onClick={() => setAsked({ kind: "add", token: undefined })}>
          {t("access.add")}
        </Guarded>
      </div>
      {made?.AccessToken && (
        <Alert
          type="success"
          title={t("access.made", { token: made.TokenName })}
          description={<Copyable text={made.AccessToken} what={t("token.one", { token: made.TokenName })} />}
          closable={{ onClose: () => setMade(undefined), "aria-label": t("access.hide") }}
        />
      )}
      <DataTable<Token>
        label={t("tabs.access")}
        rows={data?.Tokens.Token}
        rowKey={(one) => one.TokenName}
        prefix="token."
        scrollX={980}
        empty={<Empty title={t("access.none")} about={t("access.about")} />}
        expandable={{
          expandedRowRender: (one) => <Secret name={name} token={one.TokenName} rotate={false} />,
          columnWidth: 40,
        }}
        columns={[
          {
            title: t("access.name"),
            key: "name",
            render: (_, one) => (
              <div className="two-lines">
                <strong className="mono">{one.TokenName}</strong>
                <span className="muted small">{one.UserName ? t("access.for", { user: one.UserName }) : one.TokenName === DEFAULT ? t("access.usual") : ""}</span>
              </div>
            ),
          },
          { title: t("access.limits"), key: "limits", render: (_, one) => <Bounds limits={one.Limits} /> },
          {
            title: t("access.used"),
            key: "used",
            render: (_, one) => <Used usage={usage(one)} />,
          },
          {
            title: t("access.changed"),
            key: "changed",
            width: 170,
            render: (_, one) => (
              <div className="two-lines">
                <Ago at={one.UpdateDate} />
                {one.PreviousUntil && (
                  <span className="small tone-warn">
                    {t("access.previous")} <When at={one.PreviousUntil} />
                  </span>
                )}
              </div>
            ),
          },
          {
            title: <span className="hidden-text">{t("replicas.actions")}</span>,
            key: "actions",
            width: 250,
            align: "end",
            render: (_, one) => (
              <div className="row end">
                <Guarded size="small" action="pierhead:UpdateServiceToken" resource={arn} aria-label={t("access.limitsOf", { token: one.TokenName })} onClick={() => setAsked({ kind: "limits", token: one })}>
                  {t("access.setLimits")}
                </Guarded>
                <Guarded size="small" action="pierhead:RotateServiceToken" resource={arn} aria-label={t("access.rotateOf", { token: one.TokenName })} onClick={() => setAsked({ kind: "rotate", token: one })}>
                  {t("token.rotate")}
                </Guarded>
                <Guarded
                  size="small"
                  danger
                  action="pierhead:RevokeServiceToken"
                  resource={arn}
                  off={one.TokenName === DEFAULT ? t("access.keepUsual") : undefined}
                  aria-label={t("access.revokeOf", { token: one.TokenName })}
                  onClick={() => setAsked({ kind: "revoke", token: one })}
                >
                  {t("access.revoke")}
                </Guarded>
              </div>
            ),
          },
        ]}
      />
      {asked?.kind === "add" && <Form name={name} close={() => setAsked(undefined)} done={setMade} />}
      {asked?.kind === "limits" && token && <Form name={name} token={token} close={() => setAsked(undefined)} />}
      {asked?.kind === "rotate" && token && (
        <Rotate name={name} token={token.TokenName} close={() => setAsked(undefined)} done={(AccessToken) => setMade({ ...token, AccessToken })} />
      )}
      {asked?.kind === "revoke" && token && (
        <Confirm
          title={t("access.revokeTitle")}
          object={`${name} / ${token.TokenName}`}
          about={t("access.revokeAbout")}
          action={t("access.revoke")}
          danger
          run={() => own("RevokeServiceToken", { TokenName: token.TokenName })}
          close={() => setAsked(undefined)}
        />
      )}
    </div>
  );
}

function Bounds({ limits }: { limits: Limits }) {
  const { t } = useTranslation("service");
  const told = BOUNDS.filter((key) => limits[key] !== undefined);
  if (!told.length) return <span className="muted">{t("access.noLimits")}</span>;
  return (
    <div className="two-lines">
      {told.map((key) => (
        <span key={key} className="nowrap">
          <Amount value={limits[key]} /> <span className="muted">{t(`access.units.${key}`)}</span>
        </span>
      ))}
    </div>
  );
}

function Used({ usage }: { usage: Usage | undefined }) {
  const { t } = useTranslation("service");
  if (!usage) return <span className="muted">{t("access.unused")}</span>;
  return (
    <div className="two-lines">
      <span>
        <Amount value={usage.Requests} /> <span className="muted">{t("access.requests")}</span>
      </span>
      <span>
        <Amount value={usage.PromptTokens + usage.CompletionTokens} /> <span className="muted">{t("access.tokens")}</span>
      </span>
    </div>
  );
}

/** A new token, or other limits of one. */
function Form({ name, token, close, done }: { name: string; token?: Token; close: () => void; done?: (made: Token) => void }) {
  const { t } = useTranslation(["service", "common"]);
  const { own } = useChange(name);
  const [called, setCalled] = useState("");
  const [user, setUser] = useState("");
  const [limits, setLimits] = useState<Record<string, number | null>>({ ...token?.Limits });
  const deed = useDeed();
  const [nameId, userId] = [useId(), useId()];
  const save = async () => {
    const given = Object.fromEntries(BOUNDS.map((key) => [key, limits[key] ?? (token?.Limits[key] === undefined ? undefined : "none")]));
    if (token) return own("UpdateServiceToken", { TokenName: token.TokenName, ...given });
    const told = await own("AddServiceToken", { TokenName: called, ...(user ? { UserName: user } : {}), ...given });
    if (told.Token) done?.(told.Token);
    return told;
  };
  const off = !token && !called.trim();
  const send = () => void deed.go(save, close);
  return (
    <Dialog
      title={token ? t("access.limitsTitle", { token: token.TokenName }) : t("access.addTitle")}
      action={token ? t("common:save") : t("access.add")}
      off={off}
      deed={deed}
      send={send}
      close={close}
    >
      <form
        className="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (!off) send();
        }}
      >
        {!token && (
          <div className="fields">
            <Field id={nameId} label={t("access.name")} hint={t("access.nameHint")}>
              <Input id={nameId} autoFocus className="mono" maxLength={64} value={called} onChange={(event) => setCalled(event.target.value)} />
            </Field>
            <Field id={userId} label={t("access.user")} hint={t("access.userHint")}>
              <Input id={userId} maxLength={64} value={user} onChange={(event) => setUser(event.target.value)} />
            </Field>
          </div>
        )}
        <div className="fields">
          {BOUNDS.map((key) => (
            <Bound key={key} name={key} value={limits[key] ?? null} put={(value) => setLimits((before) => ({ ...before, [key]: value }))} />
          ))}
        </div>
        <span className="muted small">{t("access.emptyLimit")}</span>
        <button type="submit" hidden aria-hidden tabIndex={-1} />
      </form>
    </Dialog>
  );
}

function Bound({ name, value, put }: { name: (typeof BOUNDS)[number]; value: number | null; put: (value: number | null) => void }) {
  const { t } = useTranslation("service");
  const id = useId();
  return (
    <Field id={id} label={t(`access.bounds.${name}`)}>
      <InputNumber id={id} min={1} precision={0} value={value} placeholder={t("access.unlimited")} onChange={put} />
    </Field>
  );
}
