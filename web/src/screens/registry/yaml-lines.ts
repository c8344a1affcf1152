/** Where a YAML text cannot be read. */

/** The line (from 1) that an error's text names. */
export function lineOf(message: string): number | undefined {
  const found = /\bline (\d+)/.exec(message)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** Lines (from 1) that the editor's own parser cannot read; the platform may be able to repair some. */
export async function unreadable(text: string): Promise<number[]> {
  const { yamlLanguage } = await import("@codemirror/lang-yaml");
  const lines = new Set<number>();
  // What is missing is missed where the text goes on: the last line with something in it says more.
  const lineAt = (from: number) => text.slice(0, from).trimEnd().split("\n").length;
  yamlLanguage.parser.parse(text).iterate({
    enter: ({ type, from }) => {
      if (type.isError) lines.add(lineAt(from));
    },
  });
  return [...lines];
}
