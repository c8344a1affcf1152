import { CopyButton } from "./Copyable";

/** Code to read and copy. `bad`: the line (from 0) that is marked. */
export function CodeBlock({
  code,
  label,
  wrap = false,
  bad,
  height,
}: {
  code: string;
  label: string;
  wrap?: boolean;
  bad?: number;
  /** The most, pixels. */
  height?: number;
}) {
  return (
    <div className={wrap ? "code wrap" : "code"}>
      {/* Scrolls: so it must take the focus. */}
      <pre tabIndex={0} role="region" aria-label={label} style={height ? { maxHeight: height } : undefined}>
        <code>{bad === undefined ? code : marked(code, bad)}</code>
      </pre>
      <div className="copy">
        <CopyButton text={code} what={label} />
      </div>
    </div>
  );
}

function marked(code: string, bad: number) {
  return code.split("\n").map((line, index) => (
    <span key={index} className={index === bad ? "line-bad" : undefined}>
      {`${line}\n`}
    </span>
  ));
}
