/** Access keys of a user, or of whoever is signed in. A secret is shown once. */

import { PlusOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { Ago, Confirm, Copyable, Failure, Guarded, StatusTag } from "@/parts";
import { type AccessKey, useAnswer, useChange, useRows } from "./asking";
import { Section } from "./Section";

const MOST = 2;

export function Keys({ name, resource }: { name: string; resource: string }) {
  const { t } = useTranslation(["access", "common"]);
  const change = useChange();
  const [made, setMade] = useState<AccessKey>();
  const [failed, setFailed] = useState<unknown>();
  const [going, setGoing] = useState<AccessKey>();
  const { data, error, refetch } = useRows<AccessKey>("ListAccessKeys", "AccessKeys", { UserName: name });
  const create = () => {
    setFailed(undefined);
    change<{ AccessKey: AccessKey }>("CreateAccessKey", { UserName: name }).then(({ AccessKey }) => setMade(AccessKey), setFailed);
  };
  const turn = (key: AccessKey) => {
    setFailed(undefined);
    const Status = key.Status === "Active" ? "Inactive" : "Active";
    change("UpdateAccessKey", { UserName: name, UserAccessKeyId: key.AccessKeyId, Status }).catch(setFailed);
  };
  return (
    <Section
      title={t("keys.title")}
      count={data?.length}
      action={
        <Guarded
          size="small"
          icon={<PlusOutlined aria-hidden />}
          action="ram:CreateAccessKey"
          resource={resource}
          off={data && data.length >= MOST ? t("keys.most", { count: MOST }) : undefined}
          onClick={create}
        >
          {t("keys.create")}
        </Guarded>
      }
    >
      {error && <Failure error={error} retry={() => void refetch()} />}
      {failed !== undefined && <Failure error={failed} />}
      {made && <Once made={made} done={() => setMade(undefined)} />}
      {data?.length === 0 && <p className="muted">{t("keys.none")}</p>}
      <ul className="lines">
        {data?.map((key) => (
          <li key={key.AccessKeyId}>
            <span>
              <Copyable text={key.AccessKeyId} what="AccessKeyId" />
              <span className="row muted">
                <StatusTag status={key.Status} />
                <span>
                  {t("common:created")} <Ago at={key.CreateDate} />
                </span>
                <LastUsed name={name} id={key.AccessKeyId} />
              </span>
            </span>
            <span className="row">
              <Guarded size="small" action="ram:UpdateAccessKey" resource={resource} onClick={() => turn(key)} aria-label={t(key.Status === "Active" ? "keys.offOne" : "keys.onOne", { id: key.AccessKeyId })}>
                {t(key.Status === "Active" ? "keys.off" : "keys.on")}
              </Guarded>
              <Guarded size="small" danger action="ram:DeleteAccessKey" resource={resource} onClick={() => setGoing(key)} aria-label={t("keys.deleteOne", { id: key.AccessKeyId })}>
                {t("common:delete")}
              </Guarded>
            </span>
          </li>
        ))}
      </ul>
      {going && (
        <Confirm
          danger
          title={t("keys.delete")}
          object={going.AccessKeyId}
          about={t("keys.deleteAbout")}
          action={t("common:delete")}
          run={() => change("DeleteAccessKey", { UserName: name, UserAccessKeyId: going.AccessKeyId })}
          close={() => setGoing(undefined)}
        />
      )}
    </Section>
  );
}

function LastUsed({ name, id }: { name: string; id: string }) {
  const { t } = useTranslation("access");
  const { data } = useAnswer<{ AccessKeyLastUsed: { LastUsedDate?: string } }>("GetAccessKeyLastUsed", { UserName: name, UserAccessKeyId: id });
  if (!data) return null;
  const at = data.AccessKeyLastUsed.LastUsedDate;
  return <span>{at ? <>{t("keys.used")} <Ago at={at} /></> : t("keys.unused")}</span>;
}

/** Kept by nobody: not by the server, not by this page once it is put away. */
function Once({ made, done }: { made: AccessKey; done: () => void }) {
  const { t } = useTranslation("access");
  return (
    <div className="secret-once" role="status">
      <strong>{t("keys.once")}</strong>
      <dl className="cards" style={{ margin: "8px 0" }}>
        <div>
          <dt>AccessKeyId</dt>
          <dd>
            <Copyable text={made.AccessKeyId} what="AccessKeyId" />
          </dd>
        </div>
        <div>
          <dt>AccessKeySecret</dt>
          <dd>
            <Copyable text={made.AccessKeySecret ?? ""} what="AccessKeySecret" />
          </dd>
        </div>
      </dl>
      <Button size="small" onClick={done}>
        {t("keys.kept")}
      </Button>
    </div>
  );
}
