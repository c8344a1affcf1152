import { expect, it } from "vitest";

type Texts = { [key: string]: string | Texts };

const files = import.meta.glob<Texts>("./*/*.json", { eager: true, import: "default" });
const names = Object.keys(files).filter((name) => name.startsWith("./en/")).map((name) => name.slice("./en/".length));

function keys(texts: Texts, before = ""): string[] {
  return Object.entries(texts).flatMap(([key, value]) =>
    typeof value === "string" ? [`${before}${key} ${(value.match(/\{\{\w+\}\}/g) ?? []).sort().join(" ")}`] : keys(value, `${before}${key}.`),
  );
}

it.each(names)("%s has the same keys and values to fill in, in each language", (name) => {
  for (const language of ["zh-CN", "zh-TW"]) {
    expect(keys(files[`./${language}/${name}`] ?? {}).sort()).toEqual(keys(files[`./en/${name}`]!).sort());
  }
});

it("has no file in another language only", () => {
  expect(Object.keys(files)).toHaveLength(names.length * 3);
});
