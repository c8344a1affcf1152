/** The drawer of a user, a group, a role or a policy: loaded, shown, deleted after a question. */

import { DeleteOutlined } from "@ant-design/icons";
import type { UseQueryResult } from "@tanstack/react-query";
import { Drawer, Skeleton } from "antd";
import { type ReactNode, useState } from "react";
import { useTranslation } from "react-i18next";
import { Confirm, Empty, Failure, Guarded } from "@/parts";
import { useChange } from "./asking";

export interface Removal {
  /** RAM's operation: DeleteUser. */
  action: string;
  params: Record<string, string | boolean>;
  resource: string;
  title: string;
  about: string;
}

export function ThingDrawer({
  name,
  wide = 720,
  found,
  removal,
  actions,
  close,
  children,
}: {
  name: string;
  /** Pixels. */
  wide?: number;
  /** How far the loading of it is. */
  found: { error: unknown; loaded: boolean; refetch: () => unknown };
  /** Absent: it cannot be deleted. */
  removal?: Removal | undefined;
  /** Before the way to delete it. */
  actions?: ReactNode;
  close: () => void;
  children: ReactNode;
}) {
  const { t } = useTranslation(["access", "common"]);
  const change = useChange();
  const [going, setGoing] = useState(false);
  const failed = found.error !== null && found.error !== undefined;
  return (
    <Drawer
      open
      title={name}
      size={wide}
      onClose={close}
      closable={{ "aria-label": t("common:close") }}
      extra={
        <div className="row">
          {actions}
          {removal && (
            <Guarded danger icon={<DeleteOutlined aria-hidden />} action={`ram:${removal.action}`} resource={removal.resource} disabled={!found.loaded} onClick={() => setGoing(true)}>
              {t("common:delete")}
            </Guarded>
          )}
        </div>
      }
    >
      {failed && <Failure error={found.error} retry={() => void found.refetch()} />}
      {!failed && !found.loaded && <Skeleton active paragraph={{ rows: 6 }} />}
      {found.loaded && children}
      {going && removal && (
        <Confirm
          danger
          title={removal.title}
          object={name}
          about={removal.about}
          action={t("common:delete")}
          run={async () => {
            await change(removal.action, removal.params);
            close();
          }}
          close={() => setGoing(false)}
        />
      )}
    </Drawer>
  );
}

/** What is open, if it is there: the list tells, so that nobody asks for what was deleted. */
export function Opened<Row>({
  name,
  found,
  is,
  close,
  children,
}: {
  name: string;
  found: UseQueryResult<Row[]>;
  is: (row: Row) => boolean;
  close: () => void;
  children: ReactNode;
}) {
  const { t } = useTranslation(["access", "common"]);
  // Who may not list may still look at one.
  if (found.error || found.data?.some(is)) return children;
  if (!found.data || found.isFetching) return null;
  return (
    <Drawer open title={name} size={480} onClose={close} closable={{ "aria-label": t("common:close") }}>
      <Empty title={t("gone")} about={t("goneAbout", { name })} />
    </Drawer>
  );
}
