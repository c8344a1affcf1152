"""The audit trail as the API shows it: GET /audit, an operation of the platform's own.

Query: Since, Until (epoch seconds or 2026-11-21T19:27:22Z), Actor, Action, Resource, Outcome, Door
(all may hold `*`), Limit (1 to 1000), Before (entries older than that number, newest first) or After
(newer ones, oldest first). `Next` is the number to go on with; 0 = there is no more.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from pierhead.core.audit import document
from pierhead.core.errors import Invalid
from pierhead.dialects.eas.app import Own
from pierhead.operations.audit import page
from pierhead.operations.platform import Platform
from pierhead.store.audit import AuditQuery

PATH = "/audit"
ACTION, RESOURCE = "pierhead:ListAuditEntries", "acs:pierhead:*:{account}:audit"
MOST = 1000
_OUTCOMES = ("Success", "Denied", "Failed")
_TEXTS = {
    "Actor": "actor",
    "Action": "action",
    "Resource": "resource",
    "Outcome": "outcome",
    "Door": "door",
}
_NAMES = (*_TEXTS, "Since", "Until", "Limit", "Before", "After")


def own(platform: Platform, settle: Callable[[], Awaitable[None]]) -> Mapping[tuple[str, str], Own]:
    """The operation, by method and path; `settle` returns once all entries can be read."""

    async def entries(query: Mapping[str, str]) -> dict[str, Any]:
        asked = read(query)
        await settle()
        found = await page(platform, asked)
        end = found[-1].number if len(found) == asked.limit else 0
        return {"Entries": [document(one) for one in found], "Next": end}

    return {("GET", PATH): Own(ACTION, RESOURCE, entries, example)}


def example(query: Mapping[str, str]) -> dict[str, Any]:
    """What a mock call is answered.

    Raises:
        Invalid: a name or a value is not legal.
    """
    from pierhead.dialects.audit_explained import told_audit  # most hubs never mock

    read(query)
    return dict(told_audit().answer)


def read(query: Mapping[str, str]) -> AuditQuery:
    """The question in a query.

    Raises:
        Invalid: a name or a value is not legal.
    """
    odd = next((name for name in query if name not in _NAMES), None)
    if odd is not None:
        raise Invalid(odd[:80], "there is no such parameter", ", ".join(_NAMES))
    outcome = query.get("Outcome", "")
    if outcome and "*" not in outcome and outcome.title() not in _OUTCOMES:
        raise Invalid("Outcome", f"[{outcome[:80]}]", ", ".join(_OUTCOMES))
    return AuditQuery(
        **{field: query.get(name, "")[:400] for name, field in _TEXTS.items()},
        since=_moment(query, "Since", 0.0),
        until=_moment(query, "Until", float("inf")),
        before=_number(query, "Before", 0),
        after=_number(query, "After", -1),
        limit=min(max(_number(query, "Limit", 100), 1), MOST),
    )


def _number(query: Mapping[str, str], name: str, usual: int) -> int:
    given = query.get(name, "")
    if given and not re.fullmatch(r"[0-9]{1,18}", given):
        raise Invalid(name, f"[{given[:80]}]", "a whole number")
    return int(given) if given else usual


def _moment(query: Mapping[str, str], name: str, usual: float) -> float:
    given = query.get(name, "")
    if not given:
        return usual
    try:
        if re.fullmatch(r"[0-9]{1,12}(\.[0-9]{1,9})?", given):
            return float(given)
        moment = datetime.fromisoformat(given)
        if moment.tzinfo is not None:
            return moment.timestamp()
    except ValueError:
        pass
    raise Invalid(name, f"[{given[:80]}]", "epoch seconds, or a time such as 2026-11-21T19:27:22Z")
