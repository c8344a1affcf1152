"""How one field is compared with what a client wrote: kinds, operators, patterns. Pure.

`holds` is the meaning; `store/query.py` says the same in SQL, and a test compares both.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from functools import lru_cache
from math import floor, isfinite
from typing import TypeVar

from pierhead.core.errors import Invalid
from pierhead.core.moments import read_moment

#: Text, number, truth value or whole epoch seconds.
Value = str | int | float | bool

T = TypeVar("T", str, float)

#: A longer pattern is no search but a load.
MAX_PATTERN = 4096
_LARGEST = 2**63 - 1
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}(\.0{0,30})?")
_DECIMAL = re.compile(r"[+-]?([0-9]{1,400}(\.[0-9]{0,400})?|\.[0-9]{1,400})([eE][+-]?[0-9]{1,4})?")
#: NUL, and half of a surrogate pair.
_NOWHERE = re.compile("[\0\ud800-\udfff]")
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


class Op(StrEnum):
    """How a field is compared; the values are the REST form's spelling."""

    NOT_EQUAL = "!="
    AT_LEAST = ">="
    AT_MOST = "<="
    NOT_IN = "!?="
    NOT_LIKE = "!~="
    LIKE = "~="
    IN = "?="
    EQUAL = "="
    GREATER = ">"
    LESS = "<"
    IS_NULL = "is null"
    NOT_NULL = "not null"


class Kind(StrEnum):
    """What a field holds; texts that are compared with it are read as the same."""

    TEXT = "text"
    INTEGER = "integer"
    DECIMAL = "decimal"
    BOOLEAN = "boolean"
    TIME = "time"
    LIST = "list"  #: of texts; a condition holds when it does for some element


class Wild(Enum):
    """The wildcards of a pattern; not equal to the characters that they are written with."""

    RUN = "%"
    ONE = "_"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern taken apart: characters and wildcards. ASCII letters match in either case."""

    parts: tuple[str | Wild, ...]

    @property
    def literal(self) -> str | None:
        """Its text where it has no wildcard, so that it says "equal"."""
        letters = [part for part in self.parts if isinstance(part, str)]
        return "".join(letters) if len(letters) == len(self.parts) else None

    def fits(self, text: str) -> bool:
        """Does the whole text fit? In time proportional to text times pattern, whatever both are."""
        text = ascii_lower(text)
        first, *rest = _segments(self)
        if not rest:
            return len(text) == first.width and first.at(text, 0)
        if not first.at(text, 0):
            return False
        at = first.width
        for segment in rest[:-1]:
            found = segment.expression.search(text, at)
            if found is None:
                return False
            at = found.end()
        last = len(text) - rest[-1].width
        return last >= at and rest[-1].at(text, last)


@dataclass(frozen=True, slots=True)
class _Segment:
    """What stands between two runs of a pattern; it matches texts of one length."""

    expression: re.Pattern[str]
    width: int

    def at(self, text: str, place: int) -> bool:
        return self.expression.match(text, place) is not None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A condition whose text was read as the field's kind."""

    op: Op
    values: tuple[
        Value, ...
    ] = ()  #: one; several of `IN`; none where a pattern or nothing is asked
    pattern: Pattern = Pattern(())

    def holds(self, value: Value | None) -> bool:
        """Does it hold for a field's value? Of a field without one only `IS_NULL` does."""
        if self.op is Op.IS_NULL:
            return value is None
        if value is None:
            return False
        if self.op in (Op.LIKE, Op.NOT_LIKE):
            return self.pattern.fits(str(value)) is (self.op is Op.LIKE)
        return _holds(self.op, value, self.values)


def read(field: str, op: Op, text: str, kind: Kind) -> Comparison:
    """`<field> <op> <text>` for a field of this kind.

    A pattern without wildcards says "equal"; patterns are for texts only.

    Raises:
        Invalid: the text is no value of that kind.
    """
    if op in (Op.IS_NULL, Op.NOT_NULL):
        return Comparison(op)
    if op in (Op.IN, Op.NOT_IN):
        return Comparison(op, tuple(_value(field, part, kind) for part in text.split(",")))
    if op in (Op.LIKE, Op.NOT_LIKE):
        return _like(field, op, text, kind)
    return Comparison(op, (_value(field, text, kind),))


def stored(value: object, kind: Kind) -> Value | None:
    """A field's value as it is compared and ordered; times may be epoch seconds or the wire's text."""
    if value is None:
        return None
    if kind is Kind.TIME:
        found = read_moment(value) if isinstance(value, str) else value
        return floor(found) if isinstance(found, int | float) else None
    if kind in (Kind.TEXT, Kind.LIST):
        return str(value)
    return value if isinstance(value, int | float) else None


def ascii_lower(text: str) -> str:
    """Lower case for A to Z and nothing else: what both databases do."""
    return text.translate(_ASCII_LOWER)


def _holds(op: Op, value: Value, wanted: tuple[Value, ...]) -> bool:
    if op is Op.NOT_NULL:
        return True
    if op in (Op.IN, Op.NOT_IN):
        return (value in wanted) is (op is Op.IN)
    (other,) = wanted
    if op in (Op.EQUAL, Op.NOT_EQUAL):
        return (value == other) is (op is Op.EQUAL)
    if isinstance(value, str) or isinstance(other, str):
        return _in_order(op, str(value), str(other))
    return _in_order(op, value, other)


def _in_order(op: Op, one: T, other: T) -> bool:
    less, more = one < other, one > other
    return {
        Op.LESS: less,
        Op.AT_MOST: not more,
        Op.GREATER: more,
        Op.AT_LEAST: not less,
    }[op]


def _like(field: str, op: Op, text: str, kind: Kind) -> Comparison:
    pattern = _pattern(_storable(field, text))
    if pattern.literal is not None:
        same = Op.EQUAL if op is Op.LIKE else Op.NOT_EQUAL
        return Comparison(same, (_value(field, pattern.literal, kind),))
    if kind not in (Kind.TEXT, Kind.LIST):
        raise Invalid(field, f"it is of kind {kind}, and patterns are for texts")
    if len(text) > MAX_PATTERN:
        raise Invalid(field, f"the pattern is longer than {MAX_PATTERN} characters")
    return Comparison(op, pattern=pattern)


def _pattern(text: str) -> Pattern:
    """A backslash takes the meaning from a wildcard or a backslash; before others it is itself."""
    parts: list[str | Wild] = []
    letters = iter(range(len(text)))
    for at in letters:
        letter = text[at]
        if letter == "\\" and text[at + 1 : at + 2] in ("%", "_", "\\"):
            parts.append(text[next(letters)])
        else:
            parts.append(_WILD.get(letter, letter))
    return Pattern(tuple(parts))


@lru_cache(64)
def _segments(pattern: Pattern) -> tuple[_Segment, ...]:
    found: list[list[str]] = [[]]
    for part in pattern.parts:
        if part is Wild.RUN:
            found.append([])
        else:
            found[-1].append("." if part is Wild.ONE else re.escape(ascii_lower(part)))
    return tuple(_Segment(re.compile("".join(each), re.DOTALL), len(each)) for each in found)


def _value(field: str, text: str, kind: Kind) -> Value:
    found = _READERS[kind](_storable(field, text))
    if found is None:
        raise Invalid(field, f"`{text[:100]}` is no {_NAMES[kind]}")
    return found


def _storable(field: str, text: str) -> str:
    """Refuse what a database can neither keep nor look for."""
    if _NOWHERE.search(text):
        raise Invalid(field, "a text with NUL or half a character is nowhere")
    return text


def _integer(text: str) -> int | None:
    if not _INTEGER.fullmatch(text.strip()):
        return None
    found = int(text.partition(".")[0])
    return found if -_LARGEST <= found <= _LARGEST else None


def _decimal(text: str) -> float | None:
    found = float(text) if _DECIMAL.fullmatch(text.strip()) else None
    return found if found is not None and isfinite(found) else None


def _boolean(text: str) -> bool | None:
    return {"true": True, "1": True, "false": False, "0": False}.get(text.strip().lower())


def _time(text: str) -> int | None:
    found = read_moment(text)
    return found if found is not None and abs(found) < _LARGEST // 1000 else None


_WILD: Mapping[str, Wild] = {wild.value: wild for wild in Wild}
_READERS: Mapping[Kind, Callable[[str], Value | None]] = {
    Kind.TEXT: str,
    Kind.LIST: str,
    Kind.INTEGER: _integer,
    Kind.DECIMAL: _decimal,
    Kind.BOOLEAN: _boolean,
    Kind.TIME: _time,
}
_NAMES: Mapping[Kind, str] = {
    Kind.TEXT: "text",
    Kind.LIST: "text",
    Kind.INTEGER: "integer of 64 bits",
    Kind.DECIMAL: "number",
    Kind.BOOLEAN: "`true` or `false`",
    Kind.TIME: "time such as `Nov 14, 2017 10:20:57 PM`, `2017-11-14T22:20:57Z` or epoch milliseconds",
}
