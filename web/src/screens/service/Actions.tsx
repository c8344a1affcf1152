/** What can be done with a service as a whole. */

import { DeleteOutlined, MessageOutlined } from "@ant-design/icons";
import { useNavigate } from "@tanstack/react-router";
import { Button, InputNumber } from "antd";
import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { useArn, useDeleteService, useRestartService, useScaleService, useStartService, useStopService } from "@/api/queries";
import type { Service, ServiceRow } from "@/api/types";
import { useCommands } from "@/app/commands";
import { Confirm, Guarded } from "@/parts";

type Change = "start" | "stop" | "restart" | "scale" | "delete";

const ACTIONS: Record<Change, string> = {
  start: "eas:StartService",
  stop: "eas:StopService",
  restart: "eas:RestartService",
  scale: "eas:UpdateService",
  delete: "eas:DeleteService",
};
const DOWN = new Set(["Stopped", "Stopping"]);

export function Actions({ name, service, row }: { name: string; service: Service | undefined; row: ServiceRow | undefined }) {
  const { t } = useTranslation("service");
  const navigate = useNavigate();
  const arn = useArn()("service", name);
  const [asked, setAsked] = useState<Change>();
  const status = row?.Status ?? service?.Status ?? "";
  const down = DOWN.has(status);
  const failed = status === "Failed";
  const shown: Change[] = [...(down || failed ? (["start"] as const) : []), "scale", "restart", ...(down ? [] : (["stop"] as const)), "delete"];
  const off = (change: Change): string | undefined => {
    if (status === "Deleting") return t("off.deleting");
    if (down && (change === "restart" || change === "scale")) return t("off.stopped");
    return undefined;
  };
  const chat = () => void navigate({ to: "/playground", search: { a: name } });
  useCommands([
    { id: "service.chat", title: t("commands.chat", { name }), run: chat },
    ...shown.map((change) => ({ id: `service.${change}`, title: t(`commands.${change}`, { name }), run: () => setAsked(change) })),
  ]);
  return (
    <>
      <Button icon={<MessageOutlined aria-hidden />} onClick={chat} type={status === "Running" ? "primary" : "default"}>
        {t("chat")}
      </Button>
      {shown.map((change) => (
        <Guarded
          key={change}
          action={ACTIONS[change]}
          resource={arn}
          off={off(change)}
          danger={change === "delete"}
          type={change === "start" ? "primary" : "default"}
          {...(change === "delete" ? { icon: <DeleteOutlined aria-hidden /> } : {})}
          onClick={() => setAsked(change)}
        >
          {t(`do.${change}`)}
        </Guarded>
      ))}
      {asked && <Ask change={asked} name={name} wanted={row?.Wanted ?? service?.TotalInstance ?? 1} close={() => setAsked(undefined)} />}
    </>
  );
}

function Ask({ change, name, wanted, close }: { change: Change; name: string; wanted: number; close: () => void }) {
  const { t } = useTranslation("service");
  const id = useId();
  const [replicas, setReplicas] = useState(wanted);
  const [start, stop, restart, remove, scale] = [useStartService(), useStopService(), useRestartService(), useDeleteService(), useScaleService()];
  const run = {
    start: () => start.mutateAsync(name),
    stop: () => stop.mutateAsync(name),
    restart: () => restart.mutateAsync(name),
    delete: () => remove.mutateAsync(name),
    scale: () => scale.mutateAsync({ name, replicas }),
  }[change];
  return (
    <Confirm
      title={t(`ask.${change}.title`)}
      object={name}
      about={
        <div className="stack">
          <span>{t(`ask.${change}.about`)}</span>
          {change === "scale" && (
            <div className="row">
              <label htmlFor={id}>{t("ask.scale.replicas")}</label>
              <InputNumber id={id} autoFocus min={0} max={1000} precision={0} value={replicas} onChange={(value) => setReplicas(value ?? 0)} />
              <span className="muted">{t("ask.scale.now", { wanted })}</span>
            </div>
          )}
        </div>
      }
      action={t(`do.${change}`)}
      danger={change === "delete" || change === "stop"}
      run={run}
      close={close}
    />
  );
}
