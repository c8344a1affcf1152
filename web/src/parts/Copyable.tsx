import { CheckOutlined, CopyOutlined } from "@ant-design/icons";
import { Button } from "antd";
import { useEffect, useState } from "react";
import { useTranslation } from "react-i18next";

/** Copy a text; a page over plain http from another host has no clipboard, so the old way is tried. */
export async function copy(text: string): Promise<boolean> {
  const clipboard: Clipboard | undefined = navigator.clipboard;
  try {
    if (clipboard) {
      await clipboard.writeText(text);
      return true;
    }
  } catch {
    // Not allowed: the old way may still be.
  }
  const area = document.createElement("textarea");
  area.value = text;
  area.style.position = "fixed";
  area.style.opacity = "0";
  const before = document.activeElement;
  // Inside of a dialog the focus may not leave it.
  (before?.closest("[role=dialog]") ?? document.body).append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (before instanceof HTMLElement) before.focus();
  return done;
}

/** A button that copies; `what` names it for those who do not see it. */
export function CopyButton({ text, what, label }: { text: string; what?: string; label?: string }) {
  const { t } = useTranslation();
  const [done, setDone] = useState<boolean>();
  useEffect(() => {
    if (done === undefined) return;
    const timer = setTimeout(() => setDone(undefined), 2_000);
    return () => clearTimeout(timer);
  }, [done]);
  const told = done === undefined ? t("copy.do", { what: what ?? "" }).trim() : done ? t("copy.done") : t("copy.failed");
  return (
    <Button
      type={label ? "default" : "text"}
      size="small"
      icon={done ? <CheckOutlined aria-hidden /> : <CopyOutlined aria-hidden />}
      aria-label={told}
      title={told}
      onClick={() => void copy(text).then(setDone)}
    >
      {label}
      <span className="hidden-text" role="status">{done === undefined ? "" : told}</span>
    </Button>
  );
}

/** A value that can be copied: an id, an address. */
export function Copyable({ text, shown, what, mono = true }: { text: string; shown?: string; what?: string; mono?: boolean }) {
  return (
    <span className="copyable">
      <span className={mono ? "value mono" : "value"} title={shown ? undefined : text}>
        {shown ?? text}
      </span>
      <CopyButton text={text} {...(what ? { what } : {})} />
    </span>
  );
}
