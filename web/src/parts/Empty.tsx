import type { ReactNode } from "react";

/** Nothing here: what would be, and one thing to do about it. */
export function Empty({ title, about, action }: { title: string; about?: ReactNode; action?: ReactNode }) {
  return (
    <div className="empty">
      <h2>{title}</h2>
      {about && <p>{about}</p>}
      {action}
    </div>
  );
}
