/** The registry's objects, asked for and changed by the ZStack APIs. Times are the server's, without a zone. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { onService, onThing, type Right, toList } from "@/api/allowed";
import { at, type Options, rpc, zstack } from "@/api/call";

export interface Binding {
  uuid: string;
  modelUuid: string;
  modelServiceUuid: string;
  isDefault: boolean;
}

export interface Model {
  uuid: string;
  name: string;
  description: string | null;
  installPath: string;
  parameters: string | null;
  modelCenterUuid: string;
  vendor: string | null;
  modelId: string | null;
  introduction: string | null;
  /** Bytes; null = not measured yet. */
  size: number | null;
  artifactSizeBytes: number | null;
  version: string | null;
  type: string | null;
  architectureType: string | null;
  shareMode: string | null;
  modelServiceRefs: Binding[];
  createDate: string;
  lastOpDate: string;
}

/** A model service: a template that can be deployed many times. */
export interface Template {
  uuid: string;
  name: string;
  description: string | null;
  yaml: string;
  requestCpu: number;
  /** Bytes. */
  requestMemory: number;
  modelCenterUuid: string;
  type: string;
  framework: string;
  source: string;
  /** Comes with the platform. */
  system: boolean;
  gpuComputeCapability: string | null;
  installPath: string;
  pythonVersion: string | null;
  version: string | null;
  startCommand: string;
  supportDistributed: boolean;
  modelServiceRefs: Binding[];
  createDate: string;
  lastOpDate: string;
}

/** Bytes by kind. */
export interface Room {
  modelUsedCapacity: number;
  modelServiceUsedCapacity: number;
  datasetUsedCapacity: number;
  cacheUsedCapacity: number;
  availableCapacity: number;
  totalCapacity: number;
}

export interface Center {
  uuid: string;
  name: string;
  description: string | null;
  url: string;
  status: string;
  parameters: string | null;
  managementIp: string;
  managementPort: number;
  containerRegistry: string | null;
  capacity: Room;
  createDate: string;
  lastOpDate: string;
}

export interface Zone {
  uuid: string;
  name: string;
  isDefault: boolean;
}

export interface Group {
  uuid: string;
  name: string;
  serviceName: string;
  modelServiceUuid: string | null;
  modelUuid: string | null;
  status: string;
}

/** How each kind of object is called by the APIs. */
export const KINDS = {
  center: { path: "ai/model-centers", add: "AddModelCenter", update: "UpdateModelCenter", remove: "DeleteModelCenter", resource: "ModelCenterVO" },
  model: { path: "ai/models", add: "AddModel", update: "UpdateModel", remove: "DeleteModel", resource: "ModelVO" },
  template: { path: "ai/model-services", add: "AddModelService", update: "UpdateModelService", remove: "DeleteModelService", resource: "ModelServiceVO" },
} as const;
export type Kind = keyof typeof KINDS;

/** As many as are asked for at once; a longer list says that it is not whole. */
export const MOST = 1000;

export interface Listed<Row> {
  rows: Row[];
  total: number;
}

function useList<Row>(path: string, name: string, right: () => Right, every?: number) {
  return useQuery({
    queryKey: ["registry", name],
    queryFn: async ({ signal }): Promise<Listed<Row>> => {
      const query = { limit: MOST, replyWithCount: true, sort: "+name" };
      const answer = await zstack<{ inventories?: Row[]; total?: number }>("GET", path, { query, signal, right: right() });
      const rows = answer.inventories ?? [];
      return { rows, total: answer.total ?? rows.length };
    },
    ...(every ? { refetchInterval: every } : {}),
  });
}

const EVERY = 15_000;
const question = (name: string) => () => toList(`zstack:Query${name}`);

export const useCenters = () => useList<Center>(KINDS.center.path, "centers", question("ModelCenter"), EVERY);
export const useModels = () => useList<Model>(KINDS.model.path, "models", question("Model"), EVERY);
export const useTemplates = () => useList<Template>(KINDS.template.path, "templates", question("ModelService"), EVERY);
export const useGroups = () =>
  useList<Group>("ai/model-services/instances/groups", "groups", () => toList("zstack:QueryModelServiceInstanceGroup", "eas:ListServices", "eas:DescribeService"));
export const useZones = () => useList<Zone>("zones", "zones", () => onThing("zstack:QueryZone", "ZoneVO"));

function useChange<Given, Made = unknown>(run: (given: Given) => Promise<Made>) {
  const client = useQueryClient();
  return useMutation({ mutationFn: run, onSettled: () => client.invalidateQueries({ queryKey: ["registry"] }) });
}

type Body = Record<string, unknown>;

/** The key of a PUT's body: updateModel. */
const verb = (name: string) => name.charAt(0).toLowerCase() + name.slice(1);

/** Add, or change those fields of one. */
export const useSave = (kind: Kind) =>
  useChange(({ uuid, body }: { uuid?: string | undefined; body: Body }) => {
    const { path, update } = KINDS[kind];
    if (uuid === undefined) return zstack("POST", path, { body: { param: body } });
    return zstack("PUT", `${path}/${at`${uuid}`}`, { body: { [verb(update)]: body } });
  });

/** `enforce`: also while something uses it. */
export const useRemove = (kind: Kind) =>
  useChange(({ uuid, enforce }: { uuid: string; enforce: boolean }) => {
    const options: Options = { query: { deleteMode: enforce ? "Enforcing" : "Permissive" } };
    return zstack("DELETE", `${KINDS[kind].path}/${at`${uuid}`}`, options);
  });

/** A deployment of a template; answers the group that it became. */
export const useDeploy = () =>
  useChange(({ uuid, body }: { uuid: string; body: Body }) =>
    zstack<{ inventory: Group }>("PUT", at`ai/model-services/${uuid}`, { body: { deployModelService: body } }),
  );

/** Is the model one of this template's? */
export const useBind = () =>
  useChange(({ model, template, bound }: { model: string; template: string; bound: boolean }) =>
    zstack(bound ? "POST" : "DELETE", at`ai/models/${model}/model-services/${template}`, bound ? { body: { param: {} } } : {}),
  );

/** Bytes. What is not known is absent. */
export interface Fit {
  Fits?: boolean;
  Reason: string;
  Message: string;
  Needed?: number;
  Total?: number;
  Free?: number;
  MemoryLimit?: number;
}

/** What asking whether something fits needs. */
export const CHECKS = (): Right => onService("*", "pierhead:CheckServiceFit");

/** Would a deployment be started here? Told by the template's name, as CreateAppService names it. */
export const useTemplateFit = (name: string, enabled: boolean) =>
  useQuery({
    queryKey: ["fit", name],
    queryFn: async ({ signal }) => {
      const document = { ServiceName: "fit_check", AppType: "LLM", ServiceSpec: name, Replicas: 1 };
      return (await rpc<{ Fit: Fit }>("CheckServiceFit", { ServiceDocument: JSON.stringify(document) }, { signal, right: CHECKS() })).Fit;
    },
    enabled,
  });

/** Does the template serve this model here? The platform says by leaving it in or out. */
export const useMatch = (template: string, model: string, zone: string) =>
  useQuery({
    queryKey: ["registry", "match", template, model],
    queryFn: async ({ signal }) => {
      const body = { name: "match", type: "Container", modelUuids: [model], modelServiceUuids: [template], instanceNumber: 1, zoneUuid: zone };
      const answer = await zstack<{ inventories?: Template[] }>("POST", "ai/model-services/templates", { body: { param: body }, signal, right: toList("zstack:MatchModelServiceTemplateWithModel") });
      return (answer.inventories ?? []).length > 0;
    },
    enabled: Boolean(model && zone),
  });
