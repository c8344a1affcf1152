"""Questions in both spellings, REST's `q=name~=chat%` and RPC's conditions, as core queries.

What a field is and whether there is one is the evaluator's business, save for `fields`.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from pierhead.core.errors import Invalid
from pierhead.core.query import Condition, Op, Query
from pierhead.dialects.zstack.catalog import Api, load
from pierhead.dialects.zstack.errors import NotAmong, TextRefusal

DEFAULT_LIMIT = 1000
_MOST = 2**31 - 1
#: Alternatives are tried in this order at each place: the longest first, so `!?=` before `?=`.
_OPERATOR = re.compile("|".join(re.escape(op.value) for op in sorted(Op, key=lambda op: -len(op))))
_WITHOUT_VALUE = (Op.IS_NULL, Op.NOT_NULL)
#: RPC's spellings; REST's are taken as well.
_RPC = {
    **{op.value: op for op in Op},
    "in": Op.IN,
    "not in": Op.NOT_IN,
    "like": Op.LIKE,
    "not like": Op.NOT_LIKE,
    "is not null": Op.NOT_NULL,
    "==": Op.EQUAL,
}
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_TRUTH = {"true": True, "false": False}


def of_item(uuid: str) -> Query:
    """The question after one object."""
    return Query((Condition("uuid", Op.EQUAL, uuid),))


def of_rest(api: Api, given: Mapping[str, Sequence[str]]) -> Query:
    """A question out of a query string.

    Raises:
        TextRefusal: q, limit, start, count or replyWithCount is malformed (400).
        Invalid: `fields` or `filterName` names what there is not.
    """

    def first(name: str) -> str:
        return next(iter(given.get(name, ())), "")

    sort = first("sort")
    query = Query(
        conditions=tuple(condition(text) for text in given.get("q", ())),
        limit=_number("limit", first("limit"), DEFAULT_LIMIT),
        start=_number("start", first("start"), 0),
        count=_truth("count", first("count")),
        reply_with_count=_truth("replyWithCount", first("replyWithCount")),
        sort=sort.lstrip("+- ").strip(),  # a bare `+` arrives as a space
        descending=sort.startswith("-"),
        fields=_names(text for part in given.get("fields", ()) for text in part.split(",")),
        group_by=first("groupBy").strip(),
    )
    return _sound(api, query, first("filterName"))


def of_rpc(api: Api, given: Mapping[str, Any]) -> Query:
    """A question out of an RPC message.

    Raises:
        TextRefusal: a value has the wrong type.
        Invalid: an operator, a direction, a limit, or what `fields` or `filterName` names.
    """
    direction = str(given.get("sortDirection") or "asc").lower()
    if direction not in ("asc", "desc"):
        raise NotAmong("sortDirection", ("asc", "desc"), direction)
    fields = given.get("fields") or ()
    listed = fields.split(",") if isinstance(fields, str) else _list("fields", fields)
    query = Query(
        conditions=tuple(
            _condition(item) for item in _list("conditions", given.get("conditions") or ())
        ),
        limit=_number("limit", _text(given.get("limit")), DEFAULT_LIMIT),
        start=_number("start", _text(given.get("start")), 0),
        count=_truth("count", _text(given.get("count"))),
        reply_with_count=_truth("replyWithCount", _text(given.get("replyWithCount"))),
        sort=_text(given.get("sortBy")).strip(),
        descending=direction == "desc",
        fields=_names(_text(item) for item in listed),
        group_by=_text(given.get("groupBy")).strip(),
    )
    return _sound(api, query, _text(given.get("filterName")))


def condition(text: str) -> Condition:
    """One `q`: the leftmost operator splits it, of several at one place the longest.

    Raises:
        TextRefusal: there is no operator, or no field before it.
    """
    found = _OPERATOR.search(text)
    name = text[: found.start()].strip() if found else ""
    if found is None or not name:
        legal = " ".join(op.value for op in Op)
        raise TextRefusal(
            400, f"invalid query condition q[{text[:200]}]: a field and one of {legal} are needed"
        )
    op, value = Op(found.group()), text[found.end() :]
    if op in _WITHOUT_VALUE:
        if value.strip():
            raise TextRefusal(400, f"invalid query condition q[{text[:200]}]: {op} has no value")
        value = ""
    return Condition(name, op, value)


def _condition(item: Any) -> Condition:
    """One of RPC's conditions; a list as value is joined with commas."""
    if not isinstance(item, dict):
        raise TextRefusal(400, "conditions: a list of {name, op, value} is needed")
    given = cast(dict[str, Any], item)
    op = _RPC.get(_text(given.get("op")).strip().lower())
    if op is None:
        raise NotAmong("op", tuple(_RPC), _text(given.get("op")))
    value: Any = given.get("value")
    values = cast(list[Any], value) if isinstance(value, list) else [value]
    text = "" if op in _WITHOUT_VALUE else ",".join(_text(part) for part in values)
    name = _text(given.get("name")).strip()
    if not name:
        raise Invalid("conditions", "a condition names no field")
    return Condition(name, op, text)


def _sound(api: Api, query: Query, filter_name: str) -> Query:
    if filter_name.strip():
        kind = filter_name.partition(":")[0]
        raise Invalid("filterName", f"there is no filter of the type [{kind[:80]}] here")
    native = {field.name for field in load().inventories[api.inventory].fields}
    for name in query.fields:
        if name not in native:
            raise Invalid("fields", f"there is no field [{name[:80]}]", ", ".join(sorted(native)))
    return query


def _names(texts: Any) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.strip() for text in texts if text.strip()))


def _list(name: str, value: Any) -> Sequence[Any]:
    if isinstance(value, list | tuple):
        return cast(Sequence[Any], value)
    raise TextRefusal(400, f"{name}: a list is needed")


def _text(value: Any) -> str:
    """A scalar as the query string would hold it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def _number(name: str, text: str, default: int) -> int:
    text = text.strip()
    if not text:
        return default
    if not _INTEGER.fullmatch(text) or not 0 <= int(text) <= _MOST:
        raise TextRefusal(400, f"{name}: [{text[:80]}] is no whole number from 0 to {_MOST}")
    return int(text)


def _truth(name: str, text: str) -> bool:
    if not text.strip():
        return False
    found = _TRUTH.get(text.strip().lower())
    if found is None:
        raise TextRefusal(400, f"{name}: [{text[:80]}] is neither true nor false")
    return found
