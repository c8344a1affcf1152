/** What the APIs answer, as far as screens read it. */

export interface Principal {
  Account: string;
  Id: string;
  Kind: string;
  Name: string;
  Arn: string;
  Admin: boolean;
}

export interface Session {
  Principal: Principal;
  Expires: string;
  Csrf: string;
  Region: string;
  Version: string;
  /** Base URL of the data plane. */
  Gateway: string;
  /** Base URL of the APIs. */
  Endpoint: string;
}

export type Login =
  | { UserName: string; Password: string }
  | { AccessKeyId: string; AccessKeySecret: string }
  | { Ticket: string };

/** A line of the service list, as it comes live. Times in seconds, rates per second. */
export interface ServiceRow {
  ServiceName: string;
  ServiceId: string;
  Status: string;
  Reason: string;
  Message: string;
  Ready: number;
  Wanted: number;
  Spec: string;
  AppType: string;
  Model: string;
  Workspace: string;
  Region: string;
  UpdateTime: string;
  CreateTime: string;
  Qps: number;
  ErrorsPerSecond: number;
  P95: number | null;
  Ttft: number | null;
  TokensPerSecond: number;
  Queued: number;
  Held: number;
  Source: "eas" | "zstack";
  Labels: Record<string, string>;
}

/** A service as DescribeService answers. */
export interface Service {
  ServiceId: string;
  ServiceName: string;
  Status: string;
  Reason: string;
  Message: string;
  Region: string;
  InternetEndpoint: string;
  AccessToken: string;
  AppType?: string;
  AppSpecName?: string;
  AppVersion?: string;
  CallerUid: string;
  Cpu: number;
  /** MiB. */
  Memory: number;
  Gpu: number;
  CreateTime: string;
  UpdateTime: string;
  CurrentVersion: number;
  LatestVersion: number;
  Image: string;
  Labels: { LabelKey: string; LabelValue: string }[];
  QuotaId: string;
  RunningInstance: number;
  PendingInstance: number;
  TotalInstance: number;
  ServiceConfig: string;
  ServiceGroup: string;
  TrafficState: string;
  WorkspaceId: string;
  Weight: number;
  [other: string]: unknown;
}

export interface Instance {
  InstanceName: string;
  InstanceStatus?: string;
  Status?: string;
  Reason: string;
  HostName: string;
  HostIP: string;
  InnerIP: string;
  InstancePort: number;
  ReadyProcesses: number;
  TotalProcesses?: number;
  RestartCount?: number;
  StartTime?: string;
  [other: string]: unknown;
}

export interface ServiceEvent {
  Type: "Normal" | "Warning";
  Reason: string;
  Message: string;
  Time: string;
}

export interface Diagnosis {
  Error: string;
  Causes: string[];
  Advices: string[];
}

export interface Asked {
  Action: string;
  /** An ARN, or `*`. */
  Resource: string;
}

export interface Answered extends Asked {
  Allowed: boolean;
  Reason: string;
}

export interface LiveServices {
  Revision: number;
  All: boolean;
  Rows: ServiceRow[];
  Gone: string[];
}

export interface CatalogOperation {
  Id: string;
  Group: string;
  Title: string;
  Method: string;
  Path: string;
  Style: "roa" | "rpc" | "zstack" | "openai";
  Access: string;
  Supported: boolean;
  Deprecated: boolean;
}

export interface Catalog {
  Products: { Product: string; Version: string; Title: string; Operations: CatalogOperation[] }[];
}
