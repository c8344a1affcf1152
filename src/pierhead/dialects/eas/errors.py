"""Wire codes: which core error becomes which code and status, and the envelope that carries it.

{"RequestId", "HostId", "Code", "Message", "Recommend" [, "AccessDeniedDetail"]}
"""

from typing import Any

from pierhead.core import errors
from pierhead.core.languages import Language
from pierhead.core.principals import Principal
from pierhead.dialects import denial
from pierhead.dialects.eas.chinese import in_chinese
from pierhead.dialects.signing.codes import CODES as SIGNATURE_CODES
from pierhead.dialects.signing.codes import PLATFORM_CODES, SignError

#: Code -> (HTTP status, what it means). Clients decide by code and by 4xx against 5xx.
CODES: dict[str, tuple[int, str]] = {
    **SIGNATURE_CODES,
    "Forbidden.RAM": (403, "No policy allows it, or one denies it."),
    "InvalidService.NotFound": (404, "The service does not exist."),
    "InvalidGroup.NotFound": (404, "The group does not exist."),
    "InvalidInstance.NotFound": (404, "The instance (replica) does not exist."),
    "InvalidResource.NotFound": (404, "The resource does not exist."),
    "InvalidGateway.NotFound": (404, "The gateway does not exist."),
    "InvalidBenchmarkTask.NotFound": (404, "The benchmark task does not exist."),
    "InvalidAutoScaler.NotFound": (404, "The service has no auto-scaler."),
    "InvalidCronScaler.NotFound": (404, "The service has no cron-scaler."),
    "InvalidMirror.NotFound": (404, "The service has no mirror."),
    "InvalidWorkspace.NotFound": (404, "The workspace does not exist, and strict_ids is on."),
    "InvalidQuota.NotFound": (404, "The quota does not exist, and strict_ids is on."),
    "InvalidRegion.NotFound": (404, "The region is not the one of this platform."),
    "InvalidService.Conflict": (
        409,
        "The service's state forbids it: name taken, being deleted, or changed at the same time.",
    ),
    "InvalidService.Locked": (
        409,
        "The service is locked against such a change: UpdateServiceSafetyLock takes the lock off.",
    ),
    "MissingParameter": (400, "A required parameter is absent; the message names it."),
    "InvalidParameter": (400, "A parameter is not legal; the message names it and what is legal."),
    "UnsupportedOperation": (
        400,
        "The operation, or a part of the request, is not available here; the message says why.",
    ),
    "QuotaExceeded": (400, "A quota or the capacity refuses it for good."),
    "Throttling.User": (
        429,
        "Too many attempts failed, or too many calls came; x-acs-retry-after tells for how long.",
    ),
    "InvalidAction.NotFound": (404, "No operation has this path."),
    "InvalidAction.Mismatch": (400, "x-acs-action names another operation than the path."),
    "InvalidVersion": (400, "x-acs-version is not 2021-07-01."),
    "UnsupportedHTTPMethod": (405, "The path has no operation with this method."),
    **PLATFORM_CODES,
}

#: What a core error's kind is called in a `...NotFound` code.
_NOUNS = {
    "service": "Service",
    "group": "Group",
    "instance": "Instance",
    "replica": "Instance",
    "resource": "Resource",
    "gateway": "Gateway",
    "benchmarktask": "BenchmarkTask",
    "autoscaler": "AutoScaler",
    "cronscaler": "CronScaler",
    "mirror": "Mirror",
    "region": "Region",
    "workspace": "Workspace",
    "quota": "Quota",
}

#: Core error -> code; NotFound is worked out by kind. The first class that fits counts.
_BY_CLASS: tuple[tuple[type[errors.PierheadError], str], ...] = (
    (errors.Missing, "MissingParameter"),
    (errors.Invalid, "InvalidParameter"),
    (errors.Unsupported, "UnsupportedOperation"),
    (errors.Locked, "InvalidService.Locked"),
    (errors.Conflict, "InvalidService.Conflict"),
    (errors.Stale, "InvalidService.Conflict"),
    (errors.Forbidden, "Forbidden.RAM"),
    (errors.OverQuota, "QuotaExceeded"),
    (errors.Throttled, "Throttling.User"),
    (errors.Unavailable, "ServiceUnavailable"),
)

#: Where each code is explained, relative to the project; the anchor is the code without its dot.
REFERENCE = "docs/reference/eas-errors.md"


class WireError(errors.Refused):
    """A refusal that only this wire knows; `code` is one of CODES."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def code_of(error: errors.PierheadError) -> str:
    """The wire code of an error raised on purpose."""
    if isinstance(error, WireError | SignError):
        return error.code
    if isinstance(error, errors.NotFound):
        noun = _NOUNS.get(error.kind.lower().replace(" ", "").replace("-", ""))
        return f"Invalid{noun}.NotFound" if noun else "InvalidParameter"
    return next((code for kind, code in _BY_CLASS if isinstance(error, kind)), "InternalError")


def status_of(code: str) -> int:
    """The HTTP status that goes with a code."""
    return CODES[code][0]


def envelope(
    error: errors.PierheadError,
    request_id: str,
    host: str,
    principal: Principal | None = None,
    language: Language = Language.EN,
) -> dict[str, Any]:
    """The body of a refusal, as clients of every age read it."""
    code = code_of(error)
    text = error.message if code != "InternalError" else CODES[code][1]
    if language is not Language.EN:
        text = in_chinese(code, text, language)
    body: dict[str, Any] = {
        "RequestId": request_id,
        "HostId": host,
        "Code": code,
        "Message": text,
        "Recommend": f"{REFERENCE}#{anchor(code)}",
    }
    if isinstance(error, errors.Forbidden):
        body["AccessDeniedDetail"] = denial.detail(error, principal)
    if isinstance(error, SignError):
        body |= error.shown
    return body


def anchor(code: str) -> str:
    """The anchor of a code's heading: lower case, no dot."""
    return code.lower().replace(".", "")


def reference() -> str:
    """The page that `Recommend` points to, as Markdown: one heading per code."""
    parts = ["# EAS error codes\n"]
    for code, (status, meaning) in sorted(CODES.items()):
        parts.append(f"## {code}\n\nHTTP {status}. {meaning}\n")
    return "\n".join(parts)
