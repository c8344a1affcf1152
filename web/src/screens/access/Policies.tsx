/** Policies: which actions on which objects are allowed or denied. */

import { Segmented, Tag } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { useSession } from "@/api/session";
import { Ago, FormDialog, JsonEditor, parsed, useUrl } from "@/parts";
import { made, type Policy, useChange, useRows } from "./asking";
import { Opens } from "./Attached";
import { by, Listing } from "./Listing";
import { Opened } from "./ThingDrawer";
import { PolicyDrawer } from "./PolicyDrawer";
import { filled } from "./Users";

const TYPES = ["all", "Custom", "System"] as const;

export function Policies() {
  const { t } = useTranslation(["access", "common"]);
  const [search, put] = useUrl();
  const [creating, setCreating] = useState(false);
  const type = search["type"] ?? "all";
  const { name, of = "Custom" } = search;
  const close = () => put({ name: undefined, of: undefined });
  const found = useRows<Policy>("ListPolicies", "Policies", type === "all" ? {} : { PolicyType: type });
  // Of both types there may be one of the same name.
  const open = (name: string, kind: string) => put({ name, of: kind });
  return (
    <>
      <Listing
        word="policies"
        found={found}
        rowKey={(row) => `${row.PolicyType}/${row.PolicyName}`}
        textOf={(row) => `${row.PolicyName}\n${row.Description}`}
        open={(row) => open(row.PolicyName, row.PolicyType)}
        create={{ action: "ram:CreatePolicy", run: () => setCreating(true) }}
        beside={
          <Segmented
            aria-label={t("policies.type")}
            value={type}
            onChange={(value) => put({ type: value === "all" ? undefined : value, page: undefined })}
            options={TYPES.map((value) => ({ value, label: value === "all" ? t("common:all") : t(`type.${value}`) }))}
          />
        }
        columns={[
          { title: t("common:name"), key: "name", width: 280, sorter: by((row: Policy) => row.PolicyName), render: (_, row) => <Opens name={row.PolicyName} open={() => open(row.PolicyName, row.PolicyType)} /> },
          { title: t("policies.type"), key: "type", width: 110, sorter: by((row: Policy) => row.PolicyType), render: (_, row) => <Tag>{t(`type.${row.PolicyType}`)}</Tag> },
          { title: t("description"), dataIndex: "Description" },
          { title: t("policies.attached"), key: "attached", width: 110, align: "end", sorter: by((row: Policy) => row.AttachmentCount), dataIndex: "AttachmentCount" },
          { title: t("common:updated"), key: "updated", width: 140, sorter: by((row: Policy) => row.UpdateDate), render: (_, row) => <Ago at={made(row.UpdateDate)} /> },
        ]}
      />
      {creating && <CreatePolicy close={() => setCreating(false)} done={(name) => open(name, "Custom")} />}
      {name && (
        <Opened name={name} found={found} is={(row) => row.PolicyName === name && row.PolicyType === of} close={close}>
          <PolicyDrawer key={name} name={name} type={of} close={close} />
        </Opened>
      )}
    </>
  );
}

function CreatePolicy({ close, done }: { close: () => void; done: (name: string) => void }) {
  const { t } = useTranslation(["access", "common"]);
  const { Principal } = useSession();
  const change = useChange();
  const first = {
    Version: "1",
    Statement: [{ Effect: "Allow", Action: ["eas:List*", "eas:Describe*"], Resource: [`acs:eas:*:${Principal.Account}:service/*`] }],
  };
  const [text, setText] = useState(() => JSON.stringify(first, null, 2));
  return (
    <FormDialog
      wide
      title={t("policies.create")}
      action={t("common:create")}
      fields={[
        { name: "PolicyName", label: t("common:name"), required: true, hint: t("nameHint") },
        { name: "Description", label: t("description") },
      ]}
      run={async (given) => {
        await change("CreatePolicy", { ...filled(given), PolicyDocument: text });
        done(String(given["PolicyName"]));
      }}
      close={close}
    >
      <p style={{ margin: "0 0 4px" }}>{t("policies.document")}</p>
      <JsonEditor label={t("policies.document")} value={text} onChange={setText} error={parsed(text).error} height={280} />
    </FormDialog>
  );
}
