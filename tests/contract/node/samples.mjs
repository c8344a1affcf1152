// Runs samples in TypeScript as they are shown, one after the other: a JSON line in, a JSON line out.
// A sample ends when it has told its answer (console.log) or its failure (console.error).
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { inspect } from "node:util";
import typescript from "typescript";

const require = createRequire(import.meta.url);
const compilerOptions = {
  module: typescript.ModuleKind.CommonJS,
  target: typescript.ScriptTarget.ES2022,
  esModuleInterop: true,
};

for await (const line of createInterface({ input: process.stdin })) {
  const { code } = JSON.parse(line);
  const { outputText, diagnostics } = typescript.transpileModule(code, {
    compilerOptions,
    reportDiagnostics: true,
  });
  const wrong = diagnostics.map((one) => typescript.flattenDiagnosticMessageText(one.messageText, "\n"));
  const told = wrong.length ? { failed: true, said: wrong.join("\n") } : await run(outputText);
  process.stdout.write(`${JSON.stringify(told)}\n`);
}

function run(code) {
  return new Promise((resolve) => {
    const console = {
      log: (said) => resolve({ failed: false, said }),
      error: (error) => resolve({ failed: true, said: inspect(error) }),
    };
    new Function("require", "exports", "console", "process", code)(require, {}, console, {
      env: process.env,
    });
  });
}
