import { useTranslation } from "react-i18next";

type Kind = "ok" | "warn" | "bad" | "busy" | "idle";

const KINDS: Record<string, Kind> = {
  Running: "ok",
  Ready: "ok",
  Active: "ok",
  Enabled: "ok",
  Connected: "ok",
  Complete: "ok",
  Failed: "bad",
  DeleteFailed: "bad",
  Crashed: "bad",
  Error: "bad",
  NotReady: "warn",
  Waiting: "warn",
  Pending: "warn",
  Stopped: "idle",
  Disabled: "idle",
  Inactive: "idle",
  ScaledToZero: "idle",
  Creating: "busy",
  Cloning: "busy",
  Updating: "busy",
  Scaling: "busy",
  Starting: "busy",
  Stopping: "busy",
  Deleting: "busy",
  Terminating: "busy",
};

/** A state: a dot and its word. `kind` for words that are not known here. */
export function StatusTag({ status, kind, word }: { status: string; kind?: Kind; word?: string }) {
  const { t } = useTranslation();
  const found = kind ?? KINDS[status] ?? "idle";
  return (
    <span className={`status ${found}${found === "busy" ? " moving" : ""}`} data-status={status}>
      <i aria-hidden />
      {word ?? t(`status.${status}`, { defaultValue: status })}
    </span>
  );
}
