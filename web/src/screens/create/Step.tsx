import type { ReactNode } from "react";

/** One of the steps of the page. */
export function Step({ number, title, about, children }: { number: number; title: string; about?: string; children: ReactNode }) {
  return (
    <section className="panel step" aria-labelledby={`step-${number}`}>
      <h2 id={`step-${number}`}>
        <span className="ordinal" aria-hidden>
          {number}
        </span>
        {title}
      </h2>
      {about && <p className="muted">{about}</p>}
      {children}
    </section>
  );
}

/** A field with its name above and a word about it below. */
export function Field({ label, hint, error, children, id }: { label: string; hint?: ReactNode; error?: string | undefined; children: ReactNode; id?: string }) {
  return (
    <div className="field">
      <label {...(id ? { htmlFor: id } : {})}>{label}</label>
      {children}
      {error ? (
        <p className="tone-bad small" role="alert">
          {error}
        </p>
      ) : (
        hint && <p className="muted small">{hint}</p>
      )}
    </div>
  );
}
