"""From bytes to typed values by the catalog alone: what the 108 operations take, read in one place.

Unknown fields are never an error, empty counts as absent, and whatever is hostile or mistyped ends
as `Missing` or `Invalid` with the field's name: no other exception leaves this module.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import unquote_to_bytes

from pierhead.core.errors import Invalid, Missing
from pierhead.dialects.eas.catalog import Field, Operation
from pierhead.dialects.eas.strict_json import UNCLEAN, parse_json

#: Sizes of a page above this are cut to it; the answer tells the effective size.
MAX_PAGE = 1000
_MAX_INT = 2**63 - 1
_MAX_DIGITS = 19
#: No listing is so long; what comes before it is a number that every database can skip.
_LAST_PAGE = 10**12
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Reading:
    """A request's values: only what the catalog knows, typed; absent ones are left out."""

    query: Mapping[str, Any] = field(default_factory=dict[str, Any])  #: defaults filled in
    body: Mapping[str, Any] = field(default_factory=dict[str, Any])
    unknown: tuple[str, ...] = ()  #: fields of the body that the catalog does not know


def read(operation: Operation, query: bytes, content_type: str, body: bytes) -> Reading:
    """The request's values.

    Raises:
        Missing: a required field is absent or empty.
        Invalid: a value is mistyped, not legal, or not clean text; the message names the field.
    """
    values = _read_query(operation, query)
    if operation.body is None:
        return Reading(values)
    document = parse_body(content_type, body)
    if operation.body.kind == "json_document":
        _object(operation.body.fields, document, "")
        return Reading(values, document)
    known = {item.name for item in operation.body.fields}
    unknown = tuple(name for name in document if name not in known)
    return Reading(values, _object(operation.body.fields, document, ""), unknown)


def _read_query(operation: Operation, query: bytes) -> dict[str, Any]:
    given = _pairs(query) if query else {}
    values: dict[str, Any] = {}
    for item in operation.query:
        text = given.get(item.name, "")
        if text:
            values[item.name] = _from_text(item, text)
        elif item.required and not given.get(item.instead):
            raise Missing(item.name, _hint(item))
        elif item.default is not None:
            values[item.name] = int(item.default) if item.paging else item.default
    return values


def _pairs(query: bytes) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in query.split(b"&"):
        name, _, value = part.replace(b"+", b" ").partition(b"=")
        key = _decode(name, "of the query")
        if key in pairs:
            raise Invalid(key[:80], "it is given more than once")
        if part:
            pairs[key] = _decode(value, key)
    return pairs


def _decode(raw: bytes, name: str) -> str:
    try:
        text = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError as error:
        raise Invalid(name[:80], "it is not UTF-8") from error
    if UNCLEAN.search(text):
        raise Invalid(name[:80], "it holds a NUL character")
    return text


def _from_text(item: Field, text: str) -> Any:
    """A value of the query string, where everything is text."""
    if item.paging:
        return _page(item, text)
    return _TEXT_READERS[item.type](item, text)


def _page(item: Field, text: str) -> int:
    count = _text_integer(item, text)
    if not 1 <= count <= _LAST_PAGE:
        raise Invalid(item.name, f"[{count}]", f"a whole number from 1 to {_LAST_PAGE}")
    return min(count, MAX_PAGE) if item.name == "PageSize" else count


def _text_string(item: Field, text: str) -> str:
    return _legal(item, text, item.name)


def _text_integer(item: Field, text: str) -> int:
    digits = text[1:] if text[0] == "-" else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _MAX_DIGITS):
        raise Invalid(item.name, _shown(text), "a whole number")
    number = int(text)
    _within(item, number, item.name)
    return number


def _text_number(item: Field, text: str) -> float:
    try:
        number = float(text)
    except ValueError as error:
        raise Invalid(item.name, _shown(text), "a number") from error
    return _finite(item, number, item.name)


def _text_boolean(item: Field, text: str) -> bool:
    value = {"true": True, "false": False}.get(text.lower())
    if value is None:
        raise Invalid(item.name, _shown(text), "true, false")
    return value


def _text_json(item: Field, text: str) -> Any:
    return _value(item, parse_json(text, item.name), item.name)


def _text_array(item: Field, text: str) -> Any:
    of_texts = item.items is None or item.items.type == "string"
    if text.lstrip().startswith("[") or not of_texts:
        return _text_json(item, text)
    parts = [part.strip() for part in text.split(",")]
    return [_value(item.items, part, item.name) for part in parts if part]


_TEXT_READERS: dict[str, Callable[[Field, str], Any]] = {
    "string": _text_string,
    "integer": _text_integer,
    "number": _text_number,
    "boolean": _text_boolean,
    "object": _text_json,
    "map": _text_json,
    "any": _text_json,
    "array": _text_array,
}


def parse_body(content_type: str, body: bytes) -> dict[str, Any]:
    """The body as a JSON object; an empty one is `{}`.

    A form with the one field `body`, and a JSON text inside a JSON string, are unwrapped once.

    Raises:
        Invalid: it is neither, or not clean.
    """
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise Invalid("body", "it is not UTF-8") from error
    if content_type.partition(";")[0].strip().lower() == _FORM:
        text = _form_text(text)
    if not text.strip():
        return {}
    value = parse_json(text, "body")
    if isinstance(value, str):
        value = parse_json(value or "{}", "body")
    if not isinstance(value, dict):
        raise Invalid("body", f"it is {_kind(value)}", "a JSON object")
    return cast(dict[str, Any], value)


def _form_text(text: str) -> str:
    """The JSON in a form; `curl -d '{..}'` calls plain JSON a form, so that is taken as it is."""
    if not text.strip() or text.lstrip().startswith("{"):
        return text
    fields = _pairs(text.encode())
    if "body" not in fields:
        raise Invalid("body", "it is a form without the field `body`", "body=<JSON>, or plain JSON")
    return fields["body"]


def typed(fields: tuple[Field, ...], document: Mapping[str, Any], path: str) -> dict[str, Any]:
    """A JSON object inside a document, checked as a body with these fields is; `path` ends with a dot.

    Raises:
        Missing: a required field is absent or empty.
        Invalid: a value is mistyped, or not legal; the message names the field.
    """
    return _object(fields, document, path)


def _object(fields: tuple[Field, ...], document: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The known fields of a JSON object; null and empty text count as absent."""
    values: dict[str, Any] = {}
    for item in fields:
        name = f"{path}{item.name}"
        value = document.get(item.name)
        if value is not None and value != "":
            values[item.name] = _value(item, value, name)
        elif item.required and not document.get(item.instead):
            raise Missing(name, _hint(item))
    return values


def _value(item: Field | None, value: Any, name: str) -> Any:
    """A value of a JSON document, checked against its field (None = anything goes)."""
    return value if item is None else _READERS[item.type](item, value, name)


def _string(item: Field, value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise Invalid(name, f"it is {_kind(value)}", "a text")
    return _legal(item, value, name)


def _whole(item: Field, value: Any, name: str) -> int:
    whole = isinstance(value, float) and value.is_integer() and abs(value) <= _MAX_INT
    if isinstance(value, bool) or not (whole or isinstance(value, int)):
        raise Invalid(name, f"it is {_kind(value)}", "a whole number")
    number = int(value)
    _within(item, number, name)
    return number


def _number(item: Field, value: Any, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Invalid(name, f"it is {_kind(value)}", "a number")
    return _finite(item, value, name)


def _boolean(_item: Field, value: Any, name: str) -> bool:
    if not isinstance(value, bool):
        raise Invalid(name, f"it is {_kind(value)}", "true, false")
    return value


def _structure(item: Field, value: Any, name: str) -> dict[str, Any]:
    entries = _entries(value, name)
    return _object(item.fields, entries, f"{name}.") if item.fields else entries


def _map(item: Field, value: Any, name: str) -> dict[str, Any]:
    """A map with keys of the caller's own; null counts as absent unless the field says otherwise."""
    entries = _entries(value, name)
    if item.of is None or item.of.type == "any":
        return entries
    return {
        key: None if entry is None else _value(item.of, entry, f"{name}.{key[:80]}")
        for key, entry in entries.items()
        if entry is not None or item.nullable
    }


def _entries(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Invalid(name, f"it is {_kind(value)}", "a JSON object")
    return cast(dict[str, Any], value)


def _array(item: Field, value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise Invalid(name, f"it is {_kind(value)}", "a JSON list")
    entries = cast(list[Any], value)
    return [_value(item.items, entry, f"{name}[{at}]") for at, entry in enumerate(entries)]


def _anything(_item: Field, value: Any, _name: str) -> Any:
    return value


_READERS: dict[str, Callable[[Field, Any, str], Any]] = {
    "string": _string,
    "integer": _whole,
    "number": _number,
    "boolean": _boolean,
    "object": _structure,
    "map": _map,
    "array": _array,
    "any": _anything,
}


def _legal(item: Field, text: str, name: str) -> str:
    """`text` if the field takes it; an order's spelling is put right, an unknown sort is left open."""
    if not item.values or item.open or item.name == "Sort" or text in item.values:
        return text
    if item.name == "Order":
        spelled = next((value for value in item.values if value.lower() == text.lower()), None)
        if spelled is not None:
            return spelled
    raise Invalid(name, _shown(text), ", ".join(item.values))


def _within(item: Field, number: float, name: str) -> None:
    low, high = item.minimum, item.maximum
    if (low is not None and number < low) or (high is not None and number > high):
        raise Invalid(name, f"[{number}]", _range(low, high))


def _finite(item: Field, number: float, name: str) -> float:
    if not math.isfinite(number):
        raise Invalid(name, f"[{number}]", "a finite number")
    _within(item, number, name)
    return number


def _range(low: float | None, high: float | None) -> str:
    if high is None:
        return f"a number from {low}"
    return f"a number up to {high}" if low is None else f"a number from {low} to {high}"


def _hint(item: Field) -> str:
    return f"one of {', '.join(item.values)}" if item.values else item.note


def _shown(text: str) -> str:
    return f"[{text[:80]}]"


def _kind(value: object) -> str:
    return _KIND_WORDS.get(type(value).__name__, "of another type")


_KIND_WORDS = {
    "NoneType": "null",
    "bool": "a boolean",
    "int": "a number",
    "float": "a number",
    "str": "a text",
    "dict": "an object",
    "list": "a list",
}
