/** One change for several services, and what came of it for each. */

import { CheckCircleFilled, CloseCircleFilled, MinusCircleOutlined } from "@ant-design/icons";
import { Alert, Button, Modal } from "antd";
import { useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError, roa } from "@/api/call";
import { servicePath, useArn } from "@/api/queries";
import { useSession } from "@/api/session";
import type { ServiceRow } from "@/api/types";
import { Guarded } from "@/parts";

type Change = "start" | "stop";
interface Outcome {
  name: string;
  /** undefined = still under way, null = done. */
  error?: unknown;
}

const ACTIONS = { start: "eas:StartService", stop: "eas:StopService" } as const;
/** As many at the same time: enough to be quick, few enough to leave the hub its breath. */
const TOGETHER = 4;

const wants = (row: ServiceRow, change: Change) =>
  change === "stop" ? row.Status !== "Stopped" && row.Status !== "Stopping" : ["Stopped", "Stopping", "Failed"].includes(row.Status);

export function Bulk({ rows, done }: { rows: readonly ServiceRow[]; done: () => void }) {
  const { t } = useTranslation(["services", "common"]);
  const arn = useArn();
  const [asked, setAsked] = useState<{ change: Change; rows: ServiceRow[] }>();
  return (
    <div className="bulk row" role="toolbar" aria-label={t("bulk.label")}>
      <strong role="status">{t("bulk.chosen", { count: rows.length })}</strong>
      {(["start", "stop"] as const).map((change) => {
        const some = rows.filter((row) => wants(row, change));
        return (
          <Guarded
            key={change}
            size="small"
            action={ACTIONS[change]}
            resource={arn("service", rows.length === 1 ? rows[0]!.ServiceName : "*")}
            off={some.length ? undefined : t(`bulk.none.${change}`)}
            onClick={() => setAsked({ change, rows: some })}
          >
            {t(`bulk.${change}`, { count: some.length })}
          </Guarded>
        );
      })}
      <Button size="small" type="text" onClick={done}>
        {t("bulk.unchoose")}
      </Button>
      {asked && <Run {...asked} close={() => setAsked(undefined)} done={done} />}
    </div>
  );
}

function Run({ change, rows, close, done }: { change: Change; rows: ServiceRow[]; close: () => void; done: () => void }) {
  const { t } = useTranslation(["services", "common"]);
  const { Region } = useSession();
  const [outcomes, setOutcomes] = useState<Record<string, Outcome>>();
  const ended = outcomes ? Object.values(outcomes).filter((one) => "error" in one) : [];
  const over = ended.length === rows.length;
  const go = async () => {
    setOutcomes({});
    const left = [...rows];
    const worker = async () => {
      for (let row = left.shift(); row; row = left.shift()) {
        const name = row.ServiceName;
        const error: unknown = await roa("PUT", servicePath(Region, name, change)).then(() => null, (failure: unknown) => failure);
        setOutcomes((before) => ({ ...before, [name]: { name, error } }));
      }
    };
    await Promise.all(Array.from({ length: TOGETHER }, worker));
  };
  return (
    <Modal
      open
      title={t(`bulk.title.${change}`, { count: rows.length })}
      okText={over ? t("common:close") : t(`bulk.do.${change}`)}
      cancelText={t("common:cancel")}
      okButtonProps={{ loading: outcomes !== undefined && !over, danger: change === "stop" && !over }}
      cancelButtonProps={{ style: outcomes ? { display: "none" } : {} }}
      onOk={() => {
        if (!over) return void go();
        close();
        done();
      }}
      onCancel={close}
    >
      <p>{t(`bulk.about.${change}`)}</p>
      <ul className="outcomes" aria-live="polite">
        {rows.map(({ ServiceName }) => (
          <Line key={ServiceName} name={ServiceName} outcome={outcomes?.[ServiceName]} />
        ))}
      </ul>
      {over && (
        <Alert
          type={ended.some((one) => one.error) ? "warning" : "success"}
          title={t("bulk.result", { good: ended.filter((one) => !one.error).length, count: rows.length })}
        />
      )}
    </Modal>
  );
}

function Line({ name, outcome }: { name: string; outcome: Outcome | undefined }) {
  const { t } = useTranslation("services");
  const { error } = outcome ?? {};
  const told = !outcome ? t("bulk.waiting") : !error ? t("bulk.accepted") : error instanceof ApiError ? `${error.status} ${error.code}: ${error.message}` : String(error);
  return (
    <li>
      {!outcome ? <MinusCircleOutlined aria-hidden /> : error ? <CloseCircleFilled className="tone-bad" aria-hidden /> : <CheckCircleFilled className="tone-ok" aria-hidden />}
      <span>
        <strong>{name}</strong> <span className="muted">{told}</span>
      </span>
    </li>
  );
}
