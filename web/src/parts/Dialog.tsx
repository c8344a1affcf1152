/** A dialog that does one thing. It stays open with the reason if that fails. */

import { Modal } from "antd";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Failure } from "./Failure";

export interface Deed {
  busy: boolean;
  /** Why it failed; undefined = it did not. */
  failed: unknown;
  /** Do it, once at a time; `done` follows a success. */
  go: (run: () => Promise<unknown>, done?: () => void) => Promise<void>;
}

/** Something that is done at the press of a button, and may fail. */
export function useDeed(): Deed {
  const [busy, setBusy] = useState(false);
  const [failed, setFailed] = useState<unknown>();
  const go = async (run: () => Promise<unknown>, done?: () => void) => {
    setBusy(true);
    setFailed(undefined);
    try {
      await run();
      done?.();
    } catch (error) {
      setFailed(error);
    } finally {
      setBusy(false);
    }
  };
  return { busy, failed, go };
}

export interface DialogProps {
  title: string;
  /** The word on the button. */
  action: string;
  danger?: boolean;
  /** There is nothing to do (yet). */
  off?: boolean;
  /** Pixels. */
  width?: number;
  /** A click beside it does not close it: what was written there would be lost. */
  kept?: boolean;
  deed: Deed;
  /** The button was pressed. */
  send: () => void;
  close: () => void;
  children: ReactNode;
}

export function Dialog({ title, action, danger = false, off = false, width, kept = false, deed, send, close, children }: DialogProps) {
  const { t } = useTranslation();
  return (
    <Modal
      open
      title={title}
      {...(width ? { width } : {})}
      okText={action}
      cancelText={t("cancel")}
      okButtonProps={{ danger, loading: deed.busy, disabled: off }}
      onOk={send}
      onCancel={close}
      {...(kept ? { mask: { closable: false } } : {})}
      destroyOnHidden
    >
      <div className="stack">
        {children}
        {deed.failed !== undefined && <Failure error={deed.failed} />}
      </div>
    </Modal>
  );
}
