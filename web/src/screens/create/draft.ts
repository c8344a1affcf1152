/** What the form holds, and the one call that it comes to. Pure. */

import type { ServiceRow } from "@/api/types";

export type Source = "template" | "model" | "oss" | "nas" | "json";
export const SOURCES: readonly Source[] = ["template", "model", "oss", "nas", "json"];
export const METRICS = ["qps", "cpu", "concurrency", "queue", "tokens", "gpu[util]"] as const;

export interface Draft {
  name: string;
  source: Source;
  /** Name of a template: how the model is served. */
  spec: string;
  /** Id of a registered model. */
  model: string;
  ossPath: string;
  ossEndpoint: string;
  nasTarget: string;
  nasPath: string;
  /** A whole service JSON, as text. */
  json: string;
  size: "usual" | "named" | "own";
  instanceType: string;
  cpu: number | null;
  /** GiB. */
  memory: number | null;
  gpu: number | null;
  replicas: number;
  workspace: string;
  labels: string;
  scaling: boolean;
  low: number;
  high: number;
  metric: (typeof METRICS)[number];
  threshold: number;
}

export const EMPTY: Draft = {
  name: "",
  source: "template",
  spec: "",
  model: "",
  ossPath: "",
  ossEndpoint: "",
  nasTarget: "",
  nasPath: "",
  json: '{\n  "metadata": {"name": "my_service", "instance": 1},\n  "containers": [{"image": "pierhead/smollm2_135m_q4"}]\n}\n',
  size: "usual",
  instanceType: "",
  cpu: null,
  memory: null,
  gpu: null,
  replicas: 1,
  workspace: "",
  labels: "",
  scaling: false,
  low: 1,
  high: 4,
  metric: "concurrency",
  threshold: 4,
};

export interface Template {
  uuid: string;
  name: string;
  description: string;
  framework: string;
  system: boolean;
  zoneUuid: string;
  requestMemory: number;
  modelServiceRefs: { modelUuid?: string }[];
}

/** A call, ready to be sent, shown and written as a sample. */
export interface Call {
  product: "eas" | "zstack";
  version: string;
  operation: string;
  action: string;
  method: string;
  path: string;
  query: Record<string, string>;
  body: Record<string, unknown>;
  /** Body and query together, as samples are asked for. */
  params: Record<string, unknown>;
}

const NAME = /^[a-z0-9_]{3,63}$/;
const MEBI = 1024;

/** What is missing or wrong, as a key of the texts; undefined = nothing. */
export function problem(draft: Draft, rows: readonly ServiceRow[]): string | undefined {
  if (draft.source === "json") return readJson(draft.json) ? undefined : "json";
  if (!NAME.test(draft.name)) return "name";
  if (rows.some((row) => row.ServiceName === draft.name)) return "taken";
  if (draft.source === "model" && !draft.model) return "model";
  if (!draft.spec) return "spec";
  if (draft.source === "oss" && !/^oss:\/\/[^/]+\//.test(draft.ossPath)) return "ossPath";
  if (draft.source === "nas" && (!draft.nasTarget || !draft.nasPath.startsWith("/"))) return "nasPath";
  if (draft.size === "named" && !draft.instanceType) return "size";
  if (labelsOf(draft.labels) === undefined) return "labels";
  if (draft.scaling && draft.high <= draft.low) return "limits";
  return undefined;
}

/** The text as an object; undefined = it is none. */
export function readJson(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return value && typeof value === "object" && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** `team=search, tier=gold` as an object; undefined = it is not of this form. */
export function labelsOf(text: string): Record<string, string> | undefined {
  const found: Record<string, string> = {};
  for (const part of text.split(",").map((each) => each.trim()).filter(Boolean)) {
    const at = part.indexOf("=");
    if (at < 1) return undefined;
    found[part.slice(0, at).trim()] = part.slice(at + 1).trim();
  }
  return found;
}

/** Is it one of the few things that CreateAppService can say? */
const simple = (draft: Draft): boolean =>
  draft.size === "usual" && !draft.scaling && !draft.labels.trim() && !(draft.source === "oss" && draft.ossEndpoint);

/** The call that creates what the form says. */
export function callOf(draft: Draft, template: Template | undefined): Call {
  if (draft.source === "model") return deployment(draft, template);
  const query: Record<string, string> = draft.workspace && draft.source !== "json" ? { WorkspaceId: draft.workspace } : {};
  if (draft.source !== "json" && simple(draft)) {
    return eas("CreateAppService", "/api/v2/app_services", query, appBody(draft));
  }
  const labels = labelsOf(draft.labels) ?? {};
  if (draft.source !== "json" && Object.keys(labels).length) query["Labels"] = JSON.stringify(labels);
  return eas("CreateService", "/api/v2/services", query, documentOf(draft));
}

function eas(operation: string, path: string, query: Record<string, string>, body: Record<string, unknown>): Call {
  const told = query["Labels"] ? { ...query, Labels: JSON.parse(query["Labels"]) as unknown } : query;
  const action = `eas:${operation}`;
  return { product: "eas", version: "2021-07-01", operation, action, method: "POST", path, query, body, params: { ...told, ...body } };
}

function appBody(draft: Draft): Record<string, unknown> {
  const config = {
    oss: { ModelStorage: "oss", OssPath: draft.ossPath },
    nas: { ModelStorage: "nas", NasMountTarget: draft.nasTarget, NasPath: draft.nasPath },
  }[draft.source as "oss" | "nas"] as Record<string, string> | undefined;
  return {
    ServiceName: draft.name,
    AppType: "LLM",
    ServiceSpec: draft.spec,
    Replicas: draft.replicas,
    ...(config ? { Config: config } : {}),
  };
}

function documentOf(draft: Draft): Record<string, unknown> {
  if (draft.source === "json") return readJson(draft.json) ?? {};
  const mount = {
    oss: { oss: { path: draft.ossPath, ...(draft.ossEndpoint ? { endpoint: draft.ossEndpoint } : {}), readOnly: true } },
    nas: { nfs: { server: draft.nasTarget, path: draft.nasPath, readOnly: true } },
  }[draft.source as "oss" | "nas"];
  const own = draft.size === "own";
  return {
    metadata: {
      name: draft.name,
      instance: draft.replicas,
      ...(own && draft.cpu ? { cpu: draft.cpu } : {}),
      ...(own && draft.memory ? { memory: Math.round(draft.memory * MEBI) } : {}),
      ...(own && draft.gpu ? { gpu: draft.gpu } : {}),
    },
    containers: [{ image: `pierhead/${draft.spec}` }],
    ...(mount ? { storage: [{ mount_path: "/mnt/model", ...mount, properties: { resource_type: "model" } }] } : {}),
    ...(draft.size === "named" ? { cloud: { computing: { instance_type: draft.instanceType } } } : {}),
    ...(draft.scaling
      ? {
          autoscaler: {
            min: draft.low,
            max: draft.high,
            scaleStrategies: [{ metricName: draft.metric, threshold: draft.threshold }],
          },
        }
      : {}),
  };
}

function deployment(draft: Draft, template: Template | undefined): Call {
  const own = draft.size === "own";
  const inner = {
    name: draft.name,
    modelUuid: draft.model,
    type: "Container",
    zoneUuid: template?.zoneUuid ?? "",
    ...(own && draft.cpu ? { cpuNum: Math.ceil(draft.cpu) } : {}),
    ...(own && draft.memory ? { memorySize: Math.round(draft.memory * MEBI ** 3) } : {}),
  };
  const uuid = template?.uuid ?? "";
  return {
    product: "zstack",
    version: "v1",
    operation: "DeployModelService",
    action: "zstack:DeployModelService",
    method: "PUT",
    path: `/ai/model-services/${encodeURIComponent(uuid)}`,
    query: {},
    body: { deployModelService: inner },
    params: { uuid, ...inner },
  };
}

/** What the fit is checked for: the call's own document. Of a registered model it is the template's. */
export function checked(draft: Draft, call: Call): Record<string, unknown> {
  if (call.product === "eas") return call.body;
  return { ServiceName: draft.name, AppType: "LLM", ServiceSpec: draft.spec, Replicas: 1 };
}

/** A name that is free, from a template's or a model's. */
export function freeName(wish: string, rows: readonly ServiceRow[]): string {
  const base = (wish.toLowerCase().replace(/[^a-z0-9]+/g, "_").replace(/^_+|_+$/g, "") || "service").slice(0, 55);
  const long = base.length < 3 ? `${base}_llm` : base;
  const taken = new Set(rows.map((row) => row.ServiceName));
  for (let count = 1; ; count += 1) {
    const name = count === 1 ? long : `${long}_${count}`;
    if (!taken.has(name)) return name;
  }
}
