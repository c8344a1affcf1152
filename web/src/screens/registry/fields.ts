/** What of an object can be given and changed, and how a form shows it. Pure. */

import type { Kind } from "./calls";

export type Shape = "text" | "area" | "code" | "yaml" | "whole" | "gib" | "choice" | "center" | "models";

export interface Field {
  name: string;
  shape: Shape;
  required?: boolean;
  /** Can it be given at first only? */
  fixed?: boolean;
  /** Can it be changed only, not given at first? */
  late?: boolean;
  choices?: readonly string[];
  /** The value of a new one. */
  usual?: unknown;
  example?: string;
  /** How many stand in its line. */
  line?: 1 | 2 | 3;
}

export const GIB = 2 ** 30;
const FRAMEWORKS = ["vLLM", "llama.cpp", "Transformers", "sentence_transformers", "Diffusers", "Ollama", "BentoML", "Other"];

const YAML = `services:
  - name: my-server:1.0.0
    ports: [5000]
    readyz: /health
    livez: /health
    serviceBootupTime: 60   # seconds
env: []
python:
  requirements_txt: |
    flask==3.1.2
`;

export const FIELDS: Record<Kind, readonly Field[]> = {
  center: [
    { name: "name", shape: "text", required: true, example: "models-2" },
    { name: "url", shape: "text", required: true, example: "file:///srv/models" },
    { name: "description", shape: "area" },
    { name: "managementIp", shape: "text", required: true, usual: "127.0.0.1", line: 2 },
    { name: "managementPort", shape: "whole", required: true, usual: 8800, line: 2 },
    { name: "containerRegistry", shape: "text", example: "registry.example.com/models" },
  ],
  model: [
    { name: "name", shape: "text", required: true, example: "qwen3-0.6b" },
    { name: "modelCenterUuid", shape: "center", required: true },
    { name: "installPath", shape: "text", required: true, example: "/srv/models/qwen3-0.6b" },
    { name: "description", shape: "area" },
    { name: "vendor", shape: "text", line: 2 },
    { name: "version", shape: "text", fixed: true, line: 2, example: "1.0.0" },
    { name: "parameters", shape: "text", line: 2, example: "0.6B" },
    { name: "recommendedGpuNum", shape: "text", line: 2 },
  ],
  template: [
    { name: "name", shape: "text", required: true, example: "my-server" },
    { name: "description", shape: "area" },
    { name: "modelCenterUuid", shape: "center", required: true, fixed: true },
    { name: "installPath", shape: "text", required: true, fixed: true, example: "/srv/my-server" },
    { name: "startCommand", shape: "code", required: true, example: "python server.py" },
    { name: "requestCpu", shape: "whole", required: true, usual: 1, line: 3 },
    { name: "requestMemory", shape: "gib", required: true, usual: GIB, line: 3 },
    { name: "pythonVersion", shape: "text", line: 3, example: "3.11" },
    { name: "framework", shape: "choice", choices: FRAMEWORKS, usual: "Other", line: 3 },
    { name: "type", shape: "choice", choices: ["Endpoint", "App", "FineTune", "ModelEval"], usual: "Endpoint", line: 3 },
    { name: "source", shape: "choice", choices: ["Other", "HuggingFace", "Bentoml"], usual: "Other", line: 3 },
    { name: "modelUuids", shape: "models", fixed: true },
    { name: "yaml", shape: "yaml", usual: YAML },
  ],
};

/** The fields of a form: for a new one, or for changing one. */
export const shown = (kind: Kind, changing: boolean): Field[] => FIELDS[kind].filter((field) => (changing ? !field.fixed : !field.late));

/** What is sent: of a new one everything that was filled in, of another only what is different. */
export function body(fields: readonly Field[], given: Record<string, unknown>, before?: Record<string, unknown>): Record<string, unknown> {
  const told = fields.flatMap(({ name, shape }): [string, unknown][] => {
    const value = given[name] ?? (shape === "yaml" || shape === "area" || shape === "text" ? "" : undefined);
    if (before) return value === undefined || value === (before[name] ?? "") ? [] : [[name, value]];
    const filled = value !== undefined && (value !== "" || shape === "yaml") && !(Array.isArray(value) && !value.length);
    return filled ? [[name, value]] : [];
  });
  return Object.fromEntries(told);
}

/** `K=V` lines as a map; the number of the first line (from 1) that is none. */
export function pairsOf(text: string): { pairs: Record<string, string>; bad?: number } {
  const pairs: Record<string, string> = {};
  for (const [index, line] of text.split("\n").entries()) {
    if (!line.trim()) continue;
    const [, key, value] = /^\s*([^=\s]+)=(.*)$/.exec(line) ?? [];
    if (key === undefined) return { pairs, bad: index + 1 };
    pairs[key] = value ?? "";
  }
  return { pairs };
}
