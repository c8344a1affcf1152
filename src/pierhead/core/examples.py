"""Examples of what operations take and answer: from types, names and known formats, always the same.

An example that a parameter brings along goes before what is made here. Nothing looks like a secret.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from pierhead.core.example_values import NUMBERS, SUFFIXES, TEXTS
from pierhead.core.reference import Operation, Parameter, Place

#: What stands for a secret.
HIDDEN = "********"
#: Of a map: what a label could be.
_NAME, _VALUE = "team", "chat"
#: Given with its secret or not at all; no example gives a secret.
_KEY = "AccessKeyId"
_SECRET = re.compile(r"(password|secret|token|^ak|^sk)$", re.IGNORECASE)
#: Of questions, besides what is required.
_PAGES = frozenset({"PageNumber", "PageNum", "PageSize", "MaxItems", "q", "limit"})
#: Names of objects that an example had better not name: a real call would not find them.
_OTHERS = re.compile(r"(Uuid|Uuids)$")


def hinted(operation: Operation, hints: Mapping[str, Any]) -> Operation:
    """The operation with the examples that names alone would not bring; `hints`: name -> example.

    What has an example or legal values keeps them; a text is no example of anything else.
    """
    return replace(
        operation,
        parameters=tuple(_hinted(one, hints) for one in operation.parameters),
        response=tuple(_hinted(one, hints) for one in operation.response),
    )


def _hinted(parameter: Parameter, hints: Mapping[str, Any]) -> Parameter:
    fields = tuple(_hinted(one, hints) for one in parameter.fields)
    items = None if parameter.items is None else _hinted(parameter.items, hints)
    found = replace(parameter, fields=fields, items=items)
    if found.name not in hints or found.example is not None or found.values:
        return found
    hint = hints[found.name]
    same = isinstance(hint, str) is (found.type == "string")
    return replace(found, example=hint) if same else found


def exemplified(operation: Operation) -> Operation:
    """The operation with an example of each parameter and field, and, where it has none, of itself."""
    parameters = tuple(with_example(one) for one in operation.parameters)
    response = tuple(with_example(one) for one in operation.response)
    return replace(
        operation,
        parameters=parameters,
        response=response,
        example=operation.example or request_of(parameters, writes=operation.writes),
        answer=operation.answer or {one.name: one.example for one in response},
    )


def request_of(parameters: tuple[Parameter, ...], *, writes: bool) -> dict[str, Any]:
    """What a caller would give: all that is required, and what is usual beside it.

    Args:
        parameters: each with its example.
        writes: does the operation change something? One that looks is not asked with every filter.
    """
    return {
        one.name: shortened(one) if one.place is Place.BODY else one.example
        for one in parameters
        if _is_usual(one, writes=writes)
    }


def shortened(parameter: Parameter) -> Any:
    """A parameter's example as a caller would write it: without what is deprecated or has no effect."""
    if parameter.type == "object" and parameter.fields and isinstance(parameter.example, dict):
        given = cast("dict[str, Any]", parameter.example)
        kept = {
            one.name: shortened(one)
            for one in parameter.fields
            if _is_usual(one, writes=True) and one.name in given
        }
        return kept or given
    if parameter.type == "array" and parameter.items is not None and parameter.example:
        return [shortened(parameter.items)] if parameter.items.fields else parameter.example
    return parameter.example


def example_of(parameter: Parameter) -> Any:
    """A legal value."""
    if parameter.example is not None:
        return parameter.example
    maker = _MAKERS.get(parameter.type, _text)
    return maker(parameter)


def echoed(answer: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    """The answer with what the client sent, wherever a field has the same name and kind."""
    found = dict(answer)
    for name, value in answer.items():
        if isinstance(value, Mapping):
            found[name] = _overlaid(cast("Mapping[str, Any]", value), sent)
    return _overlaid(found, sent)


def fits(parameter: Parameter, value: Any) -> str:
    """Why a value is not one that the parameter describes; "" = it is one. Null is always one."""
    return "" if value is None else _misfit(parameter, value, parameter.name)


def _overlaid(fields: Mapping[str, Any], sent: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: sent[name] if _is_echo(name, value, sent.get(name)) else value
        for name, value in fields.items()
    }


def _is_echo(name: str, value: Any, given: Any) -> bool:
    plain = isinstance(given, str | int | float) and type(given) is type(value)
    return plain and not is_secret(name)


def is_secret(name: str) -> bool:
    """Is it the name of something that is not shown?"""
    return _SECRET.search(name) is not None


def _is_usual(one: Parameter, *, writes: bool) -> bool:
    if one.required or one.place is Place.PATH:
        return True
    if one.deprecated or one.effectless or one.since:
        return False
    if is_secret(one.name) or one.name.endswith(_KEY):
        return False
    if one.example in ([], {}):
        return False
    if not writes:
        return one.name in _PAGES
    return not _OTHERS.search(one.name)


def with_example(parameter: Parameter) -> Parameter:
    """The parameter, and all below it, with an example each."""
    fields = tuple(with_example(one) for one in parameter.fields)
    items = None if parameter.items is None else with_example(_called(parameter))
    found = replace(parameter, fields=fields, items=items)
    return replace(found, example=example_of(found))


def _called(parameter: Parameter) -> Parameter:
    """The items of a list or map, their example by its own name: theirs is none."""
    assert parameter.items is not None  # noqa: S101 - asked by the caller
    items = parameter.items
    if items.type != "string" or items.values or items.example is not None:
        return items
    if parameter.type == "map":
        return replace(items, example=_VALUE)
    return replace(items, example=example_of(replace(items, name=_singular(parameter.name))))


def _object(parameter: Parameter) -> dict[str, Any]:
    return {one.name: example_of(one) for one in parameter.fields}


def _array(parameter: Parameter) -> list[Any]:
    if parameter.items is None:
        return []
    if parameter.values:
        return [parameter.values[0]]
    return [example_of(parameter.items)]


def _singular(name: str) -> str:
    return name[:-1] if name.endswith("s") and not name.endswith("ss") else name


def _map(parameter: Parameter) -> dict[str, Any]:
    return {_NAME: _VALUE if parameter.items is None else example_of(parameter.items)}


def _text(parameter: Parameter) -> str:
    if parameter.values:
        usual = parameter.default
        return usual if usual in parameter.values else parameter.values[0]
    if isinstance(parameter.default, str) and parameter.default:
        return parameter.default
    name = parameter.name
    if is_secret(name):
        return HIDDEN
    found = TEXTS.get(name.lower())
    if found is None:
        found = next((text for suffix, text in SUFFIXES if name.endswith(suffix)), "example")
    return found[: parameter.longest] if parameter.longest else found


def _integer(parameter: Parameter) -> int:
    return int(_number(parameter))


def _number(parameter: Parameter) -> float:
    told = parameter.default if isinstance(parameter.default, int | float) else None
    number = NUMBERS.get(parameter.name.lower(), 1) if told is None else told
    if parameter.minimum is not None:
        number = max(number, parameter.minimum)
    return number if parameter.maximum is None else min(number, parameter.maximum)


def _boolean(parameter: Parameter) -> bool:
    return parameter.default is True or parameter.default == "true"


def _anything(_parameter: Parameter) -> Any:
    return {}


_MAKERS = {
    "object": _object,
    "array": _array,
    "map": _map,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "any": _anything,
}
_KINDS: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "map": (dict,),
    "array": (list,),
}


def _misfit(parameter: Parameter, value: Any, where: str) -> str:
    kinds = _KINDS.get(parameter.type)
    if kinds is None or value is None:
        return ""
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        return f"{where} is no {parameter.type}"
    if isinstance(value, list):
        return _misfit_inside(parameter.items, enumerate(cast("list[Any]", value)), where)
    if isinstance(value, dict):
        return _misfit_entries(parameter, cast("dict[str, Any]", value), where)
    return _misfit_facets(parameter, value, where)


def _misfit_inside(items: Parameter | None, entries: Any, where: str) -> str:
    if items is None:
        return ""
    return next(filter(None, (_misfit(items, one, f"{where}[{at}]") for at, one in entries)), "")


def _misfit_entries(parameter: Parameter, entries: Mapping[str, Any], where: str) -> str:
    if parameter.type == "map":
        return _misfit_inside(parameter.items, entries.items(), where)
    known = {one.name: one for one in parameter.fields}
    strangers = [name for name in entries if known and name not in known]
    if strangers:
        return f"{where} has no {strangers[0]}"
    found = (
        _misfit(known[name], one, f"{where}.{name}")
        for name, one in entries.items()
        if name in known
    )
    return next(filter(None, found), "")


def _misfit_facets(parameter: Parameter, value: Any, where: str) -> str:
    if parameter.values and not parameter.open and value not in parameter.values:
        return f"{where} is none of {', '.join(parameter.values)}"
    if isinstance(value, str):
        long = parameter.longest and len(value) > parameter.longest
        return f"{where} is too long" if long else ""
    low, high = parameter.minimum, parameter.maximum
    within = (low is None or value >= low) and (high is None or value <= high)
    return "" if within else f"{where} is out of range"
