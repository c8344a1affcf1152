"""From query and form to typed values by the catalog alone; unknown parameters are never an error."""

import math
import re
from collections.abc import Callable, Mapping

from pierhead.core.errors import Invalid
from pierhead.core.identities import check_name
from pierhead.dialects.ram.catalog import Operation, Parameter
from pierhead.dialects.ram.errors import RamError
from pierhead.dialects.signing.signature_rpc import FORM
from pierhead.dialects.signing.signed_request import split_pairs

#: A bound of `none` is infinite.
Value = str | int | bool | float

_MAX_DIGITS = 18
#: What is said of a bound that is not to be.
NONE = "none"
_DECIMAL = re.compile(r"[0-9]{1,9}(\.[0-9]{1,6})?")
_FORMS = {
    "phone": (re.compile(r"\+?[0-9]{1,4}-[0-9]{4,20}"), "like 86-13800000000"),
    "email": (re.compile(r"[!-?A-~]+@[!-?A-~]+\.[!-?A-~]+"), "like alice@example.com"),
    "version": (re.compile(r"v[1-9][0-9]{0,8}"), "like v1"),
}


def parameters(query: bytes, content_type: str, body: bytes) -> dict[str, str]:
    """All parameters of a call by name, those of the form among them.

    Raises:
        RamError: the body is no form, a name is given twice, or a text is not UTF-8.
    """
    pairs = split_pairs(query.decode("latin-1"))
    if body:
        kind = content_type.partition(";")[0].strip().lower()
        if kind != FORM:
            raise RamError("InvalidParameter", f"The body is [{kind[:60]}]. Legal: {FORM}.")
        pairs += split_pairs(body.decode("latin-1"))
    given: dict[str, str] = {}
    for raw, value in pairs:
        try:
            name, text = raw.decode(), value.decode()
        except UnicodeDecodeError as error:
            shown = ascii(raw[:80])[2:-1]
            raise RamError("InvalidParameter", f"The parameter {shown} is not UTF-8.") from error
        if name in given:
            raise RamError("InvalidParameter", f"The parameter {name[:80]} is given twice.")
        given[name] = text
    return given


def read(operation: Operation, given: Mapping[str, str]) -> dict[str, Value]:
    """The values of a call: only what the catalog knows, typed; absent and empty ones are left out.

    An extension is never empty: a script whose variable holds nothing would do it without a bound.

    Raises:
        RamError: a required parameter is absent, or a value is not legal.
    """
    values: dict[str, Value] = {}
    for item in operation.parameters:
        text = given.get(item.name, "")
        if text:
            values[item.name] = _READERS[item.type](item, text)
        elif item.extension and not item.required and item.name in given:
            raise _invalid(item, ".Empty", "it is empty; leave it out for none")
        elif item.required:
            raise RamError(f"Missing{item.name}", f"{item.name} is mandatory for this action.")
        elif item.default is not None:
            values[item.name] = item.default
    return values


def _name(item: Parameter, text: str) -> str:
    _check_length(item, len(text))
    try:
        return check_name(item.of, text)
    except Invalid as error:
        raise _invalid(item, ".InvalidChars", str(error).partition(": ")[2]) from error


def _text(item: Parameter, text: str) -> str:
    _check_length(item, len(text))
    if not text.replace("\n", "").isprintable():
        raise _invalid(item, ".InvalidChars", "it holds a character that cannot be printed")
    return text


def _document(item: Parameter, text: str) -> str:
    _check_length(item, len(text.encode()))
    return text


def _plain(_item: Parameter, text: str) -> str:
    return text


def _form(item: Parameter, text: str) -> str:
    _check_length(item, len(text))
    pattern, legal = _FORMS[item.type]
    if pattern.fullmatch(text) is None:
        raise _invalid(item, ".Format", f"[{text[:80]}]. Legal: {legal}")
    return text


def _boolean(item: Parameter, text: str) -> bool:
    value = {"true": True, "false": False}.get(text.lower())
    if value is None:
        raise _invalid(item, "", f"[{text[:80]}]. Legal: true, false")
    return value


def _integer(item: Parameter, text: str) -> int:
    low, high = 1 if item.minimum is None else item.minimum, item.maximum or 2**31
    right = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    if not right or not low <= int(text) <= high:
        more = f", or {NONE}" if item.type == "whole" else ""
        raise _invalid(item, "", f"[{text[:80]}]. Legal: a whole number from {low} to {high}{more}")
    return int(text)


def _choice(item: Parameter, text: str) -> str:
    if text not in item.values:
        raise _invalid(item, "", f"[{text[:80]}]. Legal: {', '.join(item.values)}")
    return text


def _bound(item: Parameter, text: str) -> float:
    if text == NONE:
        return math.inf
    high = item.maximum or 2**31
    if _DECIMAL.fullmatch(text) is None or float(text) > high:
        raise _invalid(item, "", f"[{text[:80]}]. Legal: a number from 0 to {high}, or {NONE}")
    return float(text)


def _whole(item: Parameter, text: str) -> float:
    return _integer(item, text) if text != NONE else math.inf


_READERS: dict[str, Callable[[Parameter, str], Value]] = {
    "name": _name,
    "text": _text,
    "document": _document,
    "plain": _plain,
    "secret": _plain,
    "phone": _form,
    "email": _form,
    "version": _form,
    "boolean": _boolean,
    "integer": _integer,
    "choice": _choice,
    "bound": _bound,
    "whole": _whole,
}


def _check_length(item: Parameter, length: int) -> None:
    if item.maximum is not None and length > item.maximum:
        raise _invalid(item, ".Length", f"it is longer than {item.maximum}")


def _invalid(item: Parameter, suffix: str, problem: str) -> RamError:
    return RamError(
        f"InvalidParameter.{item.name}{suffix}",
        f"The parameter {item.name} is not valid: {problem.rstrip('.')}.",
    )
