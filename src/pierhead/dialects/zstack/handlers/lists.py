"""Answers with many objects: which ones a call asks for, and the fields of them that it wants."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pierhead.core.errors import PierheadError
from pierhead.core.query import Found, Query
from pierhead.dialects.zstack.calls import Call
from pierhead.dialects.zstack.errors import Asked, body_of

T = TypeVar("T")
Answer = dict[str, Any]


def question(call: Call) -> Query:
    """What the call asks for."""
    return call.query or Query()


def answer(query: Query, found: Found[T], shown: Iterable[Mapping[str, Any]]) -> Answer:
    """A page, with the number of all where it is asked for; only that number with `count`."""
    if query.count:
        return {"total": found.total or 0}
    rows = [_chosen(row, query.fields) for row in shown]
    total = {"total": found.total or 0} if query.reply_with_count else {}
    return {"inventories": rows, **total}


async def batch(
    call: Call, uuids: Sequence[str], act: Callable[[str], Awaitable[object]]
) -> Answer:
    """`act` on each; one that is refused does not keep the others from it."""
    results: list[Answer] = []
    for uuid in dict.fromkeys(uuids):
        try:
            await act(uuid)
        except PierheadError as error:
            results.append(result(call, uuid, error))
        else:
            results.append(result(call, uuid))
    return {"results": results}


def result(call: Call, uuid: str, error: PierheadError | None = None) -> Answer:
    """How it went with one object of a batch."""
    if error is None:
        return {"uuid": uuid, "success": True}
    asked = Asked(call.api.message, call.params)
    return {"uuid": uuid, "success": False, "error": body_of(error, asked, call.language)}


def _chosen(row: Mapping[str, Any], fields: tuple[str, ...]) -> Answer:
    return {name: row[name] for name in fields if name in row} if fields else dict(row)
