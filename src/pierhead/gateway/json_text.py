"""The members of a JSON object and where their text lies, so that one can be changed and no other byte."""

import json
import re
from dataclasses import dataclass
from typing import Any

_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Member:
    """One key with its value, which is `text[start:end]`."""

    key: str
    value: Any
    start: int
    end: int


def members(text: str) -> list[Member]:
    """The members of the one object that `text` is; a key that is there twice is here twice.

    Raises:
        ValueError: it is not JSON, or no object.
        IndexError: it ends too early.
        RecursionError: it is nested too deeply.
    """
    found: list[Member] = []
    at = _next(text, 0)
    if text[at] != "{":
        raise ValueError("no object")
    at = _next(text, at + 1)
    while text[at] != "}":
        member = _member(text, at)
        found.append(member)
        at = _next(text, member.end)
        if text[at] not in ",}":
            raise ValueError("neither another member nor the end")
        if text[at] == ",":
            at = _next(text, at + 1)
            if text[at] != '"':
                raise ValueError("a comma without a member")
    if _next(text, at + 1) != len(text):
        raise ValueError("something after the end")
    return found


def _member(text: str, at: int) -> Member:
    key, at = _value(text, at)
    at = _next(text, at)
    if not isinstance(key, str) or text[at] != ":":
        raise ValueError("no key with a value")
    start = _next(text, at + 1)
    value, end = _value(text, start)
    return Member(key, value, start, end)


def _value(text: str, at: int) -> tuple[Any, int]:
    return _DECODER.raw_decode(text, at)


def _next(text: str, at: int) -> int:
    """The next place that is not white."""
    space = _SPACE.match(text, at)
    return space.end() if space else at
