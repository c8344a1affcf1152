/** The one error of all calls, whatever the dialect. */

export interface Told {
  /** HTTP status; 0 = no answer came. */
  status: number;
  code: string;
  message: string;
  requestId?: string;
  /** Where to read on, or what to do. */
  recommend?: string;
  /** The canonical request that the server made, told with SignatureDoesNotMatch. */
  canonical?: string;
  /** The action that is missing, told with a denial. */
  action?: string;
  /** The ARN it is missing on, if the page knew before it asked. */
  resource?: string;
  /** Seconds after which it may be tried again. */
  retryAfter?: number;
  /** The body as it came. */
  body?: unknown;
}

export class ApiError extends Error implements Told {
  readonly status: number;
  readonly code: string;
  readonly requestId: string;
  readonly recommend: string;
  readonly canonical: string | undefined;
  readonly action: string | undefined;
  readonly resource: string | undefined;
  readonly retryAfter: number | undefined;
  readonly body: unknown;

  constructor(told: Told) {
    super(told.message);
    this.name = "ApiError";
    this.status = told.status;
    this.code = told.code;
    this.requestId = told.requestId ?? "";
    this.recommend = told.recommend ?? "";
    this.canonical = told.canonical;
    this.action = told.action;
    this.resource = told.resource;
    this.retryAfter = told.retryAfter;
    this.body = told.body;
  }
}

/** Did no answer come at all? */
export const unreachable = (error: unknown): boolean => error instanceof ApiError && error.status === 0;

/** Was the caller's own wish to stop the cause? */
export const cancelled = (error: unknown): boolean =>
  error instanceof DOMException && error.name === "AbortError";

type Fields = Record<string, unknown>;

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const fields = (value: unknown): Fields => (value && typeof value === "object" ? (value as Fields) : {});

/** An answer that is no success, in the envelope of whichever dialect. */
export function refusal(response: Response, body: unknown): ApiError {
  const outer = fields(body);
  const inner = fields(outer["error"]);
  const ours = "message" in inner ? openai(inner) : "code" in inner ? zstack(inner) : alibaba(outer);
  const after = Number(response.headers.get("x-acs-retry-after") ?? response.headers.get("retry-after"));
  return new ApiError({
    status: response.status,
    code: ours.code || `HTTP ${response.status}`,
    message: ours.message || (typeof body === "string" ? body.slice(0, 300) : "") || response.statusText,
    requestId: ours.requestId || (response.headers.get("x-acs-request-id") ?? ""),
    recommend: ours.recommend ?? "",
    canonical: canonicalIn(ours.message),
    action: ours.action,
    retryAfter: Number.isFinite(after) && after > 0 ? after : undefined,
    body,
  });
}

function alibaba(body: Fields) {
  const denied = fields(body["AccessDeniedDetail"]);
  return {
    code: text(body["Code"]),
    message: text(body["Message"]) || text(body["message"]) || text(body["detail"]),
    requestId: text(body["RequestId"]),
    recommend: text(body["Recommend"]),
    action: text(denied["AuthAction"]) || undefined,
  };
}

function zstack(error: Fields) {
  const details = text(error["details"]);
  const description = text(error["description"]);
  return {
    code: text(error["code"]),
    message: [description, details].filter(Boolean).join(" "),
    requestId: text(error["requestId"]),
    recommend: text(error["elaboration"]),
    action: undefined,
  };
}

/** What a service says; a part without a code has at least a type. */
function openai(error: Fields) {
  return {
    code: text(error["code"]) || text(error["type"]),
    message: text(error["message"]),
    requestId: "",
    recommend: "",
    action: undefined,
  };
}

/** A mismatch of signatures is told with the server's own canonical request. */
function canonicalIn(message: string): string | undefined {
  return /(?:^|[^A-Z])((?:GET|POST|PUT|DELETE|PATCH|HEAD)\n\/[\s\S]*\n[0-9a-f]{64})/.exec(message)?.[1];
}
