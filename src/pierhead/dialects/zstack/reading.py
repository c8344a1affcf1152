"""Parameters as they came, as typed and legal values.

A wrong type is told in plain text (400), a wrong value by the dialect's own error (SYS.1007).
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from pierhead.core.errors import Invalid, Missing
from pierhead.core.registry import Extras
from pierhead.dialects.strict_json import parse_json
from pierhead.dialects.zstack.catalog import Api, Param, load
from pierhead.dialects.zstack.errors import NotAmong, TextRefusal

_UUID = re.compile(r"[0-9a-f]{12}[1-5][0-9a-f]{3}[89ab][0-9a-f]{15}")
_NUMBER = re.compile(r"[+-]?[0-9]{1,30}(\.[0-9]{1,30})?")
_WIDTHS = {"Integer": 2**31, "Long": 2**63}
_TRUTH = {"true": True, "false": False}
_MOST_ELEMENTS = 10_000
_LONGEST = 1024 * 1024  #: characters of a text without a limit of its own
_TAG_LISTS = (Param("systemTags", "List<String>"), Param("userTags", "List<String>"))


@dataclass(frozen=True, slots=True)
class Given:
    """A request's parameters by where they stood; an RPC message has a body only."""

    path: Mapping[str, str] = field(default_factory=dict[str, str])
    query: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    beside: Mapping[str, Any] = field(default_factory=dict[str, Any])  #: the wrapper's siblings


@dataclass(frozen=True, slots=True)
class Values:
    """What a handler gets of a request's parameters."""

    params: Mapping[str, Any]
    extras: Extras = field(default_factory=Extras)
    no_effect: tuple[str, ...] = ()  #: given ones that do nothing here


def read(api: Api, given: Given) -> Values:
    """Typed, trimmed, canonical and legal parameters; unknown ones are dropped, null ones absent.

    Raises:
        TextRefusal: a value has the wrong type (400).
        Missing: a mandatory one is absent.
        Invalid: a value is outside its range, length or enumeration.
    """
    return judge(api, types(api, given))


def types(api: Api, given: Given) -> dict[str, Any]:
    """The parameters with their types; only TextRefusal is raised."""
    found = _typed(api.params, lambda param: _raw(param, given), "")
    for tags in _TAG_LISTS if api.tags else ():
        inside = _typed((tags,), lambda param: given.body.get(param.name), "")
        outside = _typed((tags,), lambda param: given.beside.get(param.name), "")
        texts = [*inside.get(tags.name, ()), *outside.get(tags.name, ())]
        if texts:
            found[tags.name] = list(dict.fromkeys(texts))
    return found


def judge(api: Api, typed: Mapping[str, Any]) -> Values:
    """Typed parameters once their values are known to be legal; Missing and Invalid are raised."""
    for param in api.params:
        if param.name == "deleteMode" and param.name in typed:
            _legal(param, typed[param.name], "")  # before anything else
    params = _judged(api.params, typed, "")
    texts = {tags.name: tuple(typed.get(tags.name, ())) for tags in _TAG_LISTS}
    for name, listed in texts.items():
        if len(listed) > _MOST_ELEMENTS:
            raise Invalid(name, f"it has more than {_MOST_ELEMENTS} elements")
    # Required ones name objects that are there, not the one to be made.
    optional = {param.name for param in api.params if not param.required}
    uuid = params.pop("resourceUuid", None) if "resourceUuid" in optional else None
    if uuid is not None and not _UUID.fullmatch(uuid):
        legal = "32 lower-case hex digits of a UUID of version 1 to 5, without dashes"
        raise Invalid("resourceUuid", f"[{uuid[:80]}] is no uuid", legal)
    patterns = tuple(params.pop("tagUuids", ())) if "tagUuids" in optional else ()
    extras = Extras(uuid or "", patterns, texts["systemTags"], texts["userTags"])
    return Values(params, extras, _no_effect(api.params, params))


def _no_effect(params: Sequence[Param], values: Mapping[str, Any]) -> tuple[str, ...]:
    """Names of what was given in vain, in structs too."""
    names: list[str] = [param.name for param in params if param.no_effect and param.name in values]
    for param in params:
        inner = load().structs.get(_inside_list(param.type), ())
        for element in values.get(param.name, ()) if inner else ():
            names.extend(_no_effect(inner, element))
    return tuple(dict.fromkeys(names))


def _raw(param: Param, given: Given) -> Any:
    """The value as it came. RPC messages carry path and query parameters in their body."""
    if param.place == "path":
        return given.path.get(param.name, given.body.get(param.name))
    if param.place == "query" and not given.body:
        return _in_query(param, given.query)
    return given.body.get(param.name)


def _in_query(param: Param, query: Mapping[str, Sequence[str]]) -> Any:
    """`k=a&k=b` and `k.0=a&k.1=b` are a list, `k.sub=v` is a map."""
    if param.type.startswith("Map"):
        stem = f"{param.name}."
        entries = {
            name[len(stem) :]: texts[0] for name, texts in query.items() if name.startswith(stem)
        }
        return entries or None
    plain = query.get(param.name, ())
    if param.type.startswith("List"):
        indexed = [
            (int(name.rpartition(".")[2]), text)
            for name, texts in query.items()
            if re.fullmatch(re.escape(param.name) + r"\.[0-9]{1,9}", name)
            for text in texts
        ]
        return [*plain, *(text for _, text in sorted(indexed))] or None
    return plain[0] if plain else None


def _typed(params: Sequence[Param], raw: Callable[[Param], Any], prefix: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for param in params:
        given = raw(param)
        if given is None:
            continue
        value = _value(param.type, given, f"{prefix}{param.name}")
        if isinstance(value, str) and not param.verbatim:
            value = value.strip()
        if value != "" or not param.blank_absent:
            values[param.name] = value
    return values


def _value(kind: str, given: Any, name: str) -> Any:
    """`given` as the Java type `kind`."""
    reader = _SCALARS.get(kind)
    if reader is not None:
        return reader(given, name)
    if kind.startswith("List<"):
        return _list(_inside_list(kind), given, name)
    if kind.startswith("Map<"):
        return _map(kind.partition(",")[2][:-1], given, name)
    return _struct(kind, given, name)


def _inside_list(kind: str) -> str:
    return kind.removeprefix("List<").removesuffix(">")


def _refuse(name: str, needed: str, given: Any) -> TextRefusal:
    kind = cast(type[Any], type(given)).__name__
    shown = f"a {kind}" if kind in ("dict", "list") else repr(given)[:80]
    return TextRefusal(400, f"invalid type of field[{name}]: {needed} is needed, not {shown}")


def _string(given: Any, name: str) -> str:
    if not isinstance(given, str):
        raise _refuse(name, "a string", given)
    return given


def _integer(given: Any, name: str) -> int:
    number = _decimal(given, name, "an integer")
    if isinstance(number, float) and not number.is_integer():
        raise _refuse(name, "an integer", given)
    return int(number)


def _decimal(given: Any, name: str, needed: str = "a number") -> int | float:
    if isinstance(given, str) and _NUMBER.fullmatch(given.strip()):
        text = given.strip()
        head, _, tail = text.partition(".")
        return int(head) if not tail.strip("0") else float(text)
    if isinstance(given, bool) or not isinstance(given, int | float) or not math.isfinite(given):
        raise _refuse(name, needed, given)
    return given


def _boolean(given: Any, name: str) -> bool:
    found = _TRUTH.get(given.strip().lower()) if isinstance(given, str) else given
    if not isinstance(found, bool):
        raise _refuse(name, "true or false", given)
    return found


_SCALARS: Mapping[str, Callable[[Any, str], Any]] = {
    "String": _string,
    "Integer": _integer,
    "Long": _integer,
    "Float": _decimal,
    "Boolean": _boolean,
}


def _list(kind: str, given: Any, name: str) -> list[Any]:
    if not isinstance(given, list):
        raise _refuse(name, "a list", given)
    found = [
        _value(kind, item, f"{name}[{place}]") for place, item in enumerate(cast(list[Any], given))
    ]
    return [item.strip() if isinstance(item, str) else item for item in found]


def _map(kind: str, given: Any, name: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise _refuse(name, "a map", given)
    entries = cast(dict[str, Any], given)
    return {
        key: _value(kind, item, f"{name}[{key[:80]}]")
        for key, item in entries.items()
        if item is not None
    }


def _struct(kind: str, given: Any, name: str) -> dict[str, Any]:
    """A struct, or the JSON text of one."""
    if isinstance(given, str):
        try:
            given = parse_json(given, name)
        except Invalid as error:
            raise TextRefusal(400, f"field[{name}]: {error.message}") from error
    if not isinstance(given, dict):
        raise _refuse(name, "a map", given)
    entries = cast(dict[str, Any], given)
    return _typed(load().structs[kind], lambda param: entries.get(param.name), f"{name}.")


def _judged(params: Sequence[Param], typed: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for param in params:
        if param.name in typed:
            values[param.name] = _legal(param, typed[param.name], prefix)
        elif param.required:
            raise Missing(f"{prefix}{param.name}")
        elif param.default is not None:
            values[param.name] = param.default
    return values


def _legal(param: Param, value: Any, prefix: str) -> Any:
    """The value in its canonical spelling."""
    name = f"{prefix}{param.name}"
    if isinstance(value, list | dict):
        return _legal_inside(param, cast(Any, value), prefix)
    if isinstance(value, str):
        _measure(name, len(value), param.shortest, param.longest or _LONGEST, "characters")
        return _spelled(param, value, name)
    if isinstance(value, int | float) and not isinstance(value, bool):
        width = _WIDTHS.get(_inside_list(param.type), math.inf)
        low = -width if param.low is None else param.low
        high = width - 1 if param.high is None else param.high
        if not low <= value <= high:
            raise Invalid(name, f"{value} is outside its range", f"from {low:.0f} to {high:.0f}")
    return value


def _legal_inside(param: Param, value: Any, prefix: str) -> Any:
    name = f"{prefix}{param.name}"
    inner = load().structs.get(_inside_list(param.type), ())
    _measure(name, len(value), param.shortest, _MOST_ELEMENTS, "elements")
    if isinstance(value, dict):
        entries = cast(dict[str, Any], value)
        return {param.keys.get(key.casefold(), key): item for key, item in entries.items()}
    listed = cast(list[Any], value)
    if inner:
        return [_judged(inner, item, f"{name}[{place}].") for place, item in enumerate(listed)]
    one = replace(param, type=_inside_list(param.type), shortest=0, longest=0)
    return [_legal(one, item, prefix) for item in listed]


def _spelled(param: Param, value: str, name: str) -> str:
    if param.values:
        found = {legal.casefold(): legal for legal in param.values}.get(value.casefold())
        if found is None:
            raise NotAmong(name, param.values, value)
        return found
    return param.spelling.get(value.casefold(), value) if param.spelling else value


def _measure(name: str, size: int, shortest: int, longest: int, unit: str) -> None:
    if size < shortest:
        raise Invalid(name, f"it has {size} {unit}", f"at least {shortest}")
    if size > longest:
        raise Invalid(name, f"it has {size} {unit}", f"at most {longest}")
