import type { ReactNode } from "react";
import { Dialog, useDeed } from "./Dialog";

/** One question before a change, naming what it is about. Stays open with the reason if it fails. */
export function Confirm({
  object,
  about,
  run,
  close,
  ...rest
}: {
  /** What is going to happen: "Delete the service". */
  title: string;
  /** The name of what it happens to. */
  object: string;
  /** What follows from it. */
  about?: ReactNode;
  /** The word on the button. */
  action: string;
  danger?: boolean;
  /** There is nothing to do (yet). */
  off?: boolean;
  run: () => Promise<unknown>;
  close: () => void;
}) {
  const deed = useDeed();
  return (
    <Dialog {...rest} deed={deed} send={() => void deed.go(run, close)} close={close}>
      <strong className="mono">{object}</strong>
      {about && <div>{about}</div>}
    </Dialog>
  );
}
