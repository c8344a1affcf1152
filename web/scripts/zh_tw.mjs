// The texts in Traditional Chinese, made from the Simplified ones: characters by OpenCC (s2t),
// words by the glossary. Both the screens' texts and those of the operations in the API explorer.
// `--check` only tells whether what is committed is what would be made.
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Converter } from "opencc-js/cn2t";

/** Where texts lie: all Simplified ones of a place, and what a Traditional one is called there. */
const places = [
  { from: "../src/i18n/zh-CN/", to: "../src/i18n/zh-TW/", simplified: ".json", traditional: ".json" },
  {
    from: "../../src/pierhead/web/texts/",
    to: "../../src/pierhead/web/texts/",
    simplified: ".zh-CN.json",
    traditional: ".zh-TW.json",
  },
];
const { words, must } = JSON.parse(readFileSync(new URL("glossary.json", import.meta.url), "utf8"));
const convert = Converter({ from: "cn", to: "t" });

/** A text, or all texts of a catalog. What stands in {{ }} is a name, and stays. */
function traditional(value) {
  if (typeof value !== "string") {
    return Object.fromEntries(Object.entries(value).map(([key, text]) => [key, traditional(text)]));
  }
  return value
    .split(/(\{\{.*?\}\})/)
    .map((part, at) => (at % 2 ? part : words.reduce((text, [from, to]) => text.replaceAll(from, to), convert(part))))
    .join("");
}

/** What one file's Traditional texts are, as they are to be written. */
function made(file) {
  return `${JSON.stringify(traditional(JSON.parse(readFileSync(file, "utf8"))), null, 2)}\n`;
}

/** Write what has changed in a place, remove what has lost its source; a check only lists both. */
function renew(place, checking) {
  const from = new URL(place.from, import.meta.url);
  const to = new URL(place.to, import.meta.url);
  if (!existsSync(from)) return [];
  const stale = [];
  const wanted = new Set();
  for (const name of readdirSync(from).filter((each) => each.endsWith(place.simplified))) {
    const target = name.slice(0, -place.simplified.length) + place.traditional;
    wanted.add(target);
    const text = made(new URL(name, from));
    const file = new URL(target, to);
    if (existsSync(file) && readFileSync(file, "utf8") === text) continue;
    stale.push(fileURLToPath(file));
    if (!checking) writeFileSync(file, text);
  }
  for (const name of readdirSync(to).filter((each) => each.endsWith(place.traditional))) {
    if (wanted.has(name)) continue;
    stale.push(fileURLToPath(new URL(name, to)));
    if (!checking) rmSync(new URL(name, to));
  }
  return stale;
}

for (const [simplified, wanted] of Object.entries(must)) {
  const got = traditional(simplified);
  if (got !== wanted) throw new Error(`${simplified} became ${got} and must be ${wanted}: see glossary.json.`);
}
const checking = process.argv.includes("--check");
const stale = places.flatMap((place) => renew(place, checking));
if (checking && stale.length) {
  console.error(`Not what zh-CN gives; run \`npm run i18n\` in web/:\n${stale.join("\n")}`);
  process.exit(1);
}
