"""Bodies that browsers send to the console: one JSON object, bounded in size and in time."""

import asyncio
import json
from typing import Any, cast

from starlette.requests import Request

from pierhead.core.errors import Invalid

#: Seconds for a whole body to arrive.
SECONDS = 30.0
#: Levels of a body: deeper ones are nobody's form.
_DEEP = 32


async def read_json(request: Request, limit: int, seconds: float = SECONDS) -> dict[str, Any]:
    """The body; an empty one is `{}`. `limit` in bytes.

    Raises:
        Invalid: it is no JSON object, is too large, or did not arrive in time.
        ClientDisconnect: the client went away meanwhile.
    """
    try:
        async with asyncio.timeout(seconds):
            text = await _read(request, limit)
    except TimeoutError as error:
        raise Invalid("body", f"it did not arrive within {seconds:g} s") from error
    return _object(text) if text.strip() else {}


async def _read(request: Request, limit: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
        raise _too_large(limit)
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise _too_large(limit)
        chunks.append(chunk)
    return b"".join(chunks)


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text.decode(), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Invalid("body", "it is not JSON in UTF-8") from error
    if not isinstance(found, dict):
        raise Invalid("body", "it is not a JSON object")
    body = cast("dict[str, Any]", found)
    _check_depth(body)
    return body


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice")
    return found


def _check_depth(value: object, left: int = _DEEP) -> None:
    if left == 0:
        raise Invalid("body", f"it is nested deeper than {_DEEP} levels")
    if isinstance(value, dict):
        for each in cast("dict[str, object]", value).values():
            _check_depth(each, left - 1)
    elif isinstance(value, list):
        for each in cast("list[object]", value):
            _check_depth(each, left - 1)


def _too_large(limit: int) -> Invalid:
    return Invalid("body", f"it is larger than {limit} bytes")
