/** An editor for JSON or YAML. It is loaded when the first one is shown. */

import { Skeleton } from "antd";
import { lazy, Suspense } from "react";

export interface EditorProps {
  value: string;
  onChange?: (value: string) => void;
  /** Names it to those who do not see it. */
  label: string;
  language?: "json" | "yaml";
  readOnly?: boolean;
  /** What is wrong with the text; told below it. */
  error?: string | undefined;
  height?: number;
}

const Editor = lazy(() => import("./Editor"));

export function JsonEditor(props: EditorProps) {
  const { error, height = 320 } = props;
  return (
    <div>
      <div className={error ? "editor bad" : "editor"}>
        <Suspense fallback={<Skeleton.Node active style={{ width: "100%", height }} />}>
          <Editor {...props} height={height} />
        </Suspense>
      </div>
      {error && (
        <p role="alert" style={{ color: "var(--bad)", margin: "4px 0 0" }}>
          {error}
        </p>
      )}
    </div>
  );
}

/** Read a JSON text, or tell what is wrong with it. */
export function parsed(text: string): { value: unknown; error?: undefined } | { value?: undefined; error: string } {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (failure) {
    return { error: (failure as SyntaxError).message };
  }
}
