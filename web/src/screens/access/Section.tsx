import type { ReactNode } from "react";

/** A part of a drawer, with its count and what can be done to it. */
export function Section({ title, count, action, children }: { title: string; count?: number | undefined; action?: ReactNode; children: ReactNode }) {
  return (
    <section className="section" aria-label={title}>
      <div className="row section-head">
        <h3>
          {title} {count !== undefined && <span className="muted">{count}</span>}
        </h3>
        {action}
      </div>
      {children}
    </section>
  );
}

/** Facts, one to a line. */
export function Facts({ facts }: { facts: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl className="cards">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value || "–"}</dd>
        </div>
      ))}
    </dl>
  );
}
