"""Answers in the shape of this wire: the superset envelope, what jobs may keep, and bytes."""

import json
from collections.abc import Mapping
from typing import Any, cast

from pydantic_core import PydanticSerializationError, to_json

from pierhead.core.query import Query
from pierhead.dialects.zstack.catalog import Api
from pierhead.dialects.zstack.schema import schema_of

JSON = "application/json;charset=utf-8"
TEXT = "text/plain;charset=utf-8"
#: Answers that clients read to the letter, without `success` and `error`.
BARE = frozenset({"ValidateSession", "GetVersion"})
#: APIs whose answer is a secret: told to the caller only, never kept for a poll.
TOLD_ONCE = frozenset({"CreateAccessKey", "RenewSession"})
_SECRETS = frozenset({"AccessKeySecret", "accessToken"})


def success(
    api: Api, answer: Mapping[str, Any], query: Query | None = None, *, schema: bool = False
) -> dict[str, Any]:
    """A final REST body; queries always carry a `schema`, others when it was asked for."""
    body = asked_part(answer, query)
    if schema or query is not None:
        body["schema"] = schema_of(api, body)
    return body if api.name in BARE else {"success": True, **body, "error": None}


def failure(error: Mapping[str, Any]) -> dict[str, Any]:
    """The body of a 503."""
    return {"success": False, "error": error}


def asked_part(answer: Mapping[str, Any], query: Query | None) -> dict[str, Any]:
    """The answer as far as the question goes: only the total, only the fields asked for."""
    body = dict(answer)
    if query is None:
        return body
    if not (query.count or query.reply_with_count):
        body.pop("total", None)
    if query.count:
        return {"total": body.get("total")}
    if query.fields:
        body["inventories"] = [
            {name: row[name] for name in query.fields if name in row}
            for row in cast(list[dict[str, Any]], body["inventories"])
        ]
    return body


def kept(api: Api, answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer as its job keeps it: whoever knows a job's id may read it, so no secrets."""
    body = cast(dict[str, Any], _veiled(dict(answer)))
    if api.name == "RenewSession":
        cast(dict[str, Any], body["inventory"])["uuid"] = None
    return body


def _veiled(value: Any) -> Any:
    if isinstance(value, dict):
        entries = cast(dict[str, Any], value)
        return {key: None if key in _SECRETS else _veiled(item) for key, item in entries.items()}
    if isinstance(value, list):
        return [_veiled(item) for item in cast(list[Any], value)]
    return value


def encoded(body: Any) -> bytes:
    """As JSON; a text that UTF-8 cannot hold is shown with a question mark."""
    try:
        return to_json(body)  # half of json's time for a list of 100
    except PydanticSerializationError:
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode("utf-8", "replace")
