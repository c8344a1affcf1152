"""A server's refusals in our words: a pure function of the status and the body of its answer."""

import re
from collections.abc import Mapping
from typing import Any

from pierhead.core.errors import (
    Invalid,
    NotFound,
    OverQuota,
    PierheadError,
    Refused,
    Stale,
    Unavailable,
)
from pierhead.core.redaction import one_line
from pierhead.runtimes.kubernetes import fields
from pierhead.runtimes.kubernetes.api import Denied, Expired, OwnedElsewhere

SERVER = "The Kubernetes API"
_MANAGER = re.compile(r'conflict with "(?P<manager>[^"]+)"')
_QUOTA = re.compile(r"exceeded quota|forbidden: exceeded", re.IGNORECASE)
_LONGEST = 600  #: characters of a server's sentence


def refusal(status: int, body: Mapping[str, Any], asked: str) -> PierheadError:
    """The error for an answer with `status`; `asked` = what was asked for, in words."""
    said = one_line(str(body.get("message") or f"it answered {status} to {asked}"), _LONGEST)
    details = fields.mapping(body, "details")
    kind, name = fields.text(details, "kind") or "object", fields.text(details, "name")
    if status == 404:
        return NotFound(kind, name or asked)
    if status == 410:
        return Expired(said)
    if status == 409:
        return _conflict(body, details, said)
    if status == 403:
        return OverQuota(f"The cluster refuses: {said}") if _QUOTA.search(said) else Denied(said)
    return _other(status, details, said)


def _other(status: int, details: Mapping[str, Any], said: str) -> PierheadError:
    if status == 422:
        return _invalid(details, said)
    if status == 401:
        return Unavailable(SERVER, "it does not accept the credentials that it is called with")
    if status == 429 or status >= 500:
        return Unavailable(SERVER, said)
    return Refused(f"The cluster refuses: {said}")


def _conflict(body: Mapping[str, Any], details: Mapping[str, Any], said: str) -> PierheadError:
    causes = [each for each in fields.many(details, "causes") if each.get("field")]
    owned = [each for each in causes if "FieldManagerConflict" in str(each.get("reason"))]
    if not owned:
        # Somebody was faster, or made one of that name: what is there now is looked at anew.
        return Stale(said)
    managers = {
        found["manager"]
        for each in owned
        if (found := _MANAGER.search(str(each.get("message", ""))))
    }
    which = tuple(fields.text(each, "field") for each in owned)
    kind, name = fields.text(details, "kind") or "object", fields.text(details, "name")
    return OwnedElsewhere(kind, name, tuple(sorted(managers)), which)


def _invalid(details: Mapping[str, Any], said: str) -> PierheadError:
    causes = [each for each in fields.many(details, "causes") if each.get("field")]
    if not causes:
        return Refused(f"The cluster refuses: {said}")
    told = fields.text(causes[0], "message") or said
    return Invalid(fields.text(causes[0], "field"), one_line(told, _LONGEST))
