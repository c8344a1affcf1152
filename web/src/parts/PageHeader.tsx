import { type ReactNode, useEffect } from "react";

/** The head of a page; its title is the window's, too. */
export function PageHeader({
  title,
  about,
  actions,
  beside,
}: {
  title: string;
  about?: ReactNode;
  /** Buttons at the end of the line. */
  actions?: ReactNode;
  /** Beside the title: a state, for example. */
  beside?: ReactNode;
}) {
  useTitle(title);
  return (
    <div className="page-head">
      <div style={{ flex: "1 1 280px", minWidth: 0 }}>
        <div className="row">
          <h1>{title}</h1>
          {beside}
        </div>
        {about && <p className="about">{about}</p>}
      </div>
      {actions && <div className="row">{actions}</div>}
    </div>
  );
}

/** Name the window. */
export function useTitle(title: string): void {
  useEffect(() => {
    document.title = title ? `${title} · Pierhead` : "Pierhead";
  }, [title]);
}
