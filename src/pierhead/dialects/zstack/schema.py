"""The `schema` map of an answer: path -> class on the server, so that typed clients build objects.

Parents stand before children. There is no entry for what is null or absent, nor for a field that
older clients lack while they know its class: they cannot resolve the path and give up.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

from pierhead.dialects.zstack.catalog import Api, inner_class, load


@dataclass(frozen=True, slots=True)
class _Plan:
    """What one class brings in: its own name and the fields that hold further classes."""

    java: str
    fields: tuple[tuple[str, str, bool], ...]  #: (field, inventory, is it a list)


def schema_of(api: Api, answer: Mapping[str, Any]) -> dict[str, str]:
    """The map for an answer of `api`."""
    found: dict[str, str] = {}
    for key, kind in api.response.items():
        inventory, listed = inner_class(kind, load().inventories)
        if inventory and answer.get(key) is not None:
            found.update(_below(key, answer[key], inventory, listed))
    return found


def _below(path: str, value: Any, inventory: str, listed: bool) -> Iterator[tuple[str, str]]:
    plan = _plan(inventory)
    if not listed:
        yield from _one(path, value, plan)
        return
    for place, item in enumerate(cast(list[Any], value)):
        yield from _one(f"{path}[{place}]", item, plan)


def _one(path: str, value: Any, plan: _Plan) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        return
    if plan.java:
        yield path, plan.java
    entries = cast(dict[str, Any], value)
    for name, inventory, listed in plan.fields:
        inner = entries.get(name)
        if inner:  # not null, and an empty list names nothing
            yield from _below(f"{path}.{name}", inner, inventory, listed)


@cache
def _plan(name: str) -> _Plan:
    known = load().inventories
    inventory = known[name]
    fields: list[tuple[str, str, bool]] = []
    for item in inventory.fields:
        inner, listed = inner_class(item.type, known)
        lost = item.newer and inventory.java and inner and not known[inner].newer
        if inner and not lost:
            fields.append((item.name, inner, listed))
    return _Plan(inventory.java, tuple(fields))
