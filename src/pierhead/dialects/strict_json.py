"""JSON from strangers: nothing too deep, too large, twice named or unspeakable gets past here."""

import json
import math
import re
from typing import Any, NoReturn, cast

from pierhead.core.errors import Invalid

MAX_DEPTH = 64  #: levels, unless a caller says otherwise
#: Characters that no text may hold: NUL, and halves of UTF-16 pairs.
UNCLEAN = re.compile("[\x00\ud800-\udfff]")
_MAX_INT = 2**63 - 1
_MAX_DIGITS = 4000  #: Python itself refuses to read more than 4300


def parse_json(text: str, name: str, depth: int = MAX_DEPTH) -> Any:
    """A JSON value whose depth, numbers and texts are harmless; `depth` is the most it may be nested.

    Raises:
        Invalid: it is not JSON, or not harmless; the message names `name`.
    """
    try:
        value: Any = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_no_constant, parse_int=_integer
        )
    except _Unclean as error:
        raise Invalid(name, str(error)) from error
    except RecursionError as error:
        raise Invalid(name, f"it is nested deeper than {depth} levels") from error
    except ValueError as error:
        problem = (
            f"it is not JSON ({error})"
            if isinstance(error, json.JSONDecodeError)
            else "it is not JSON"
        )
        raise Invalid(name, problem) from error
    _harmless(value, name, depth)
    return value


class _Unclean(ValueError):
    """JSON that another reader could take for something else."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        double = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise _Unclean(f"the key [{double[:80]}] is given more than once")
    for key, item in pairs:
        if isinstance(item, int) and abs(item) > _MAX_INT:
            raise _Unclean(f"the number under [{key[:80]}] is too large")
    return value


def _no_constant(text: str) -> NoReturn:
    raise _Unclean(f"{text} is no JSON number")


def _integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise _Unclean(f"the number {text[:30]}... is too large")
    return int(text)


def _harmless(value: Any, name: str, depth: int) -> None:
    """Walks level by level, so that depth costs no stack."""
    level: list[Any] = [value]
    for _ in range(depth + 1):
        level = [inner for outer in level for inner in _inside(outer, name)]
        if not level:
            return
    raise Invalid(name, f"it is nested deeper than {depth} levels")


def _fits(value: float) -> bool:
    return abs(value) <= _MAX_INT if isinstance(value, int) else math.isfinite(value)


def _inside(value: Any, name: str) -> list[Any]:
    if isinstance(value, str):
        _clean(value, name)
    elif isinstance(value, int | float) and not _fits(value):
        raise Invalid(name, "it holds a number that is too large")
    elif isinstance(value, dict):
        entries = cast(dict[str, Any], value)
        for key in entries:
            _clean(key, name)
        return list(entries.values())
    elif isinstance(value, list):
        return cast(list[Any], value)
    return []


def _clean(text: str, name: str) -> None:
    if UNCLEAN.search(text):
        raise Invalid(name, "it holds a NUL character or half a UTF-16 pair")
