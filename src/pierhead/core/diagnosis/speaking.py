"""Which of a program's last lines tell why it ended.

A program says much before it dies: that it goes on without a cache, what to do should memory run out.
Lines that it marks as news, or that tell what was overcome, are not listened to, and warnings only
where it says nothing graver. An exception that nobody caught is listened to first: what else was
written counts when the exception names something before it, or is of a kind that wraps others.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pierhead.core.diagnosis.phrases import in_small, phrase

_EARLY = r"^.{0,60}?"  #: where a log line has its level
_NEWS = re.compile(
    _EARLY + r"(?:\b(?:INFO|DEBUG|TRACE|NOTICE)\b|level=(?:info|debug)\b"
    r"|\"level\": ?\"(?:info|debug)\")|^[ID]\d{4} "
)
_WARNING = re.compile(
    _EARLY + r"(?:\bWARN(?:ING)?\b|level=warn|\"level\": ?\"warn)|^W\d{4} |\bwarning:"
)
_GRAVE = re.compile(
    _EARLY + r"(?:\b(?:ERROR|FATAL|CRITICAL|SEVERE)\b|level=(?:error|fatal)"
    r"|\"level\": ?\"(?:error|fatal)\")|^[EF]\d{4} |^(?:[\w./-]+: )?(?:[Ff]atal|[Ee]rror)(?: error)?:"
)
_OVERCOME = tuple(
    map(
        phrase,
        (
            r"\bcontinuing\b",
            r"\bgo(?:es|ing)? on\b",
            r"carrying on",
            r"\bignor(?:ed|ing)\b",
            r"fall(?:ing|s)? back",
            r"\bskipp(?:ed|ing)\b",
            r"\bhandled\b",
            r"\brecovered\b",
            r"\bretrying\b",
            r"will (?:be )?retr",
            r"\btip:",
            r"\bif you (?:see|get|run)\b",
            r"\bin case (?:of|you)\b",
            r"non-?fatal",
            r"not fatal",
        ),
    )
)
_RAISED = re.compile(
    r"(?<![\w.$'\"`(/])(?P<type>(?:[A-Za-z_]\w*[.$])*(?:[A-Z]\w*)?(?:Error|Exception|Interrupt))(?=:|\s*$)"
    r"|^(?:[a-z_]\w*\.)+[A-Z]\w*(?=: )|^panic: |\bpanicked at\b|^terminate called after"
)
_SOURCE = re.compile(r"(?:\braise|\bexcept|\bcatch|\bthrow)\b[^:]*$|^\s{2,}|\]\s{3,}|^\S+\) +File ")
#: Mistakes in a program's own code: what it wrote before does not explain them.
_MISTAKES = frozenset({
    "ArithmeticError", "AssertionError", "AttributeError", "IndexError", "KeyError", "NameError",
    "NotImplementedError", "RecursionError", "TypeError", "UnboundLocalError", "ZeroDivisionError",
    "ReferenceError",
})  # fmt: skip
_CHAINED = re.compile(r"direct cause of the following|During handling of the above|root cause")
_FRAMES = 4  #: lines of a traceback above its end that belong to it


@dataclass(frozen=True, slots=True)
class Words:
    """What a program wrote, the lines that tell most first."""

    groups: tuple[str, ...]  #: texts to be searched in this order
    error: str  #: the exception that ended it; "" when none is told


def spoken(lines: Sequence[str]) -> Words:
    """The lines that tell why a program ended; its cost follows their length."""
    marked = _loud(lines)
    loud = [line for line, _ in marked]
    at = next((n for n in range(len(loud) - 1, -1, -1) if marked[n][1]), None)
    if at is None:
        return Words(("\n".join(loud),), "")
    first = at
    while first > max(0, at - _FRAMES) and loud[first - 1].startswith("  "):
        first -= 1
    groups = [loud[at:], loud[first : at + 1]]
    if _wraps(loud, at):
        groups.append(loud[:at])
    return Words(tuple("\n".join(group) for group in groups), loud[at].strip())


def _loud(lines: Sequence[str]) -> list[tuple[str, bool]]:
    """The lines that are listened to, and is each that of an exception?"""
    told = [(line, _raised(line)) for line in lines]
    told = [(line, raised) for line, raised in told if raised or not _quiet(line)]
    if any(raised or _GRAVE.search(line) for line, raised in told):
        return [(line, raised) for line, raised in told if raised or not _WARNING.search(line)]
    return told


def _overcome(line: str) -> bool:
    small = in_small(line)
    return any(words.search(line, small) for words in _OVERCOME)


def _quiet(line: str) -> bool:
    if _overcome(line):
        return True
    return _NEWS.search(line) is not None and not _GRAVE.search(line)


def _raised(line: str) -> bool:
    """Is it the line of an exception, and not of the source that raises it?"""
    found = _RAISED.search(line)
    if found is None or _SOURCE.search(line[: found.start()]):
        return False
    before = line[: found.start()]
    return not (_NEWS.search(line) or _WARNING.search(line) or _overcome(before))


def _wraps(lines: Sequence[str], at: int) -> bool:
    """May something that was written before the exception explain it?"""
    if any(_CHAINED.search(line) for line in lines):
        return True
    found = _RAISED.search(lines[at])
    kind = (found["type"] or "") if found is not None else ""
    return kind.rpartition(".")[2] not in _MISTAKES
