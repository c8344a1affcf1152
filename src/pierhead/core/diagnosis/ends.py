"""From the end of a process to one word: what the platform did, what it wrote, how it ended.

The first that speaks counts; the last rule shows the evidence and claims nothing.
"""

import re
from collections.abc import Mapping
from functools import lru_cache

from pierhead.core.causes import Cause, Facts
from pierhead.core.diagnosis.engine_patterns import Pattern
from pierhead.core.diagnosis.explaining import worded
from pierhead.core.diagnosis.patterns import PATTERNS
from pierhead.core.diagnosis.phrases import cut, in_small
from pierhead.core.diagnosis.speaking import spoken
from pierhead.core.replicas import Exit

CODES: Mapping[int, str] = {
    0: "Exited",
    125: "NotStarted",
    126: "CommandNotExecutable",
    127: "CommandNotFound",
}
SIGNALS: Mapping[int, str] = {
    1: "Terminated",
    2: "Terminated",
    4: "IllegalInstruction",
    6: "Aborted",
    7: "BusError",
    8: "ArithmeticFault",
    9: "Killed",
    11: "SegmentationFault",
    15: "Terminated",
    24: "CpuTimeLimit",
    25: "FileSizeLimit",
    31: "SystemCallRefused",
}
#: Ends that came from outside: nothing that the program wrote before explains them.
_FROM_OUTSIDE = frozenset({1, 2, 9, 15})
_NOT_EXECUTED, _NOT_FOUND = 126, 127
#: What the keeper writes when a command does not start.
_KEEPER = re.compile(r"\[pierhead\] cannot run (?P<command>\S+): (?P<problem>.+)")
_SHELL = re.compile(
    r"^(?:\S*sh): (?:line )?\d{0,6}:? ?(?P<command>\S+?): (?:not found|command not found)"
)
_TOO_LONG = "Argument list too long"
_LINE = 200  #: characters of a line that are shown
_LINES = 50  #: that are read


def crash(end: Exit, last_lines: tuple[str, ...]) -> Cause:
    """Why a replica's process ended, as far as the facts tell; of long or many lines parts are read."""
    last_lines = tuple(map(cut, last_lines[-_LINES:]))
    if end.oom:
        return worded("OutOfMemory", {"oom": "1", **end.facts})
    if end.lost:
        return worded("Lost", {"unseen": "1"})
    if end.reason:
        return Cause(end.reason, end.message, end.facts)
    number = _signal_of(end)
    ended = _ended(end)
    found, error = _read(last_lines)
    if found is not None and number not in _FROM_OUTSIDE:
        return worded(found[0], {**found[1], **ended})
    reason = _by_number(end, number, last_lines)
    if reason == "Crashed" and error:
        return worded("ProgramError", {"log_line": error, **ended})
    return worded(reason, {**ended, **_last(last_lines), **_not_run(end, last_lines)})


def _by_number(end: Exit, number: int, lines: tuple[str, ...]) -> str:
    """By the signal, else by the exit code."""
    told = (_KEEPER.match(line) for line in lines)
    if end.code == _NOT_EXECUTED and any(found and _TOO_LONG in found["problem"] for found in told):
        return "CommandTooLong"
    code = -1 if end.code is None else end.code
    return SIGNALS.get(number) or CODES.get(code, "Crashed")


@lru_cache(2048)  # a replica that crashed is looked at many times before its next run
def _read(lines: tuple[str, ...]) -> tuple[tuple[str, Facts] | None, str]:
    """The first pattern that is found in what it wrote itself, and the exception that it died of.

    What the keeper writes is left out: exit codes say it better.
    """
    own = tuple(line for line in lines if not line.startswith("[pierhead] cannot run"))
    words = spoken(own)
    return _written(words.groups), words.error[:_LINE]


def _written(groups: tuple[str, ...]) -> tuple[str, Facts] | None:
    for text in groups:
        small = in_small(text)
        for pattern in PATTERNS:
            found = next(filter(None, (words.search(text, small) for words in pattern.words)), None)
            if found is not None:
                line = _line_of(text, found.start())
                named = {name: value for name, value in found.groupdict().items() if value}
                return pattern.reason, {**_named(pattern, line), **named, "log_line": line}
    return None


def _named(pattern: Pattern, line: str) -> Facts:
    small = in_small(line)
    every = (words.search(line, small) for words in pattern.words)
    groups = (found.groupdict() for found in every if found is not None)
    return {name: value for each in groups for name, value in each.items() if value}


def _not_run(end: Exit, lines: tuple[str, ...]) -> Facts:
    """Of a command that did not start: which, and what the system said."""
    if end.code not in {_NOT_EXECUTED, _NOT_FOUND, 125}:
        return {}
    for pattern in (_KEEPER, _SHELL):
        for line in lines:
            found = pattern.search(line)
            if found is not None:
                return {name: value for name, value in found.groupdict().items() if value}
    return {}


def _ended(end: Exit) -> Facts:
    if end.signal is not None:
        return {"signal": str(end.signal)}
    return {"unseen": "1"} if end.code is None else {"code": str(end.code)}


def _signal_of(end: Exit) -> int:
    """The signal that ended it, also when a shell in between tells it as 128 + number; else 0."""
    if end.signal is not None:
        return end.signal
    return end.code - 128 if end.code is not None and 128 < end.code < 160 else 0


def _line_of(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    return text[start : start + _LINE].split("\n", 1)[0].strip()


def _last(lines: tuple[str, ...]) -> Facts:
    """What it wrote last, at most three lines."""
    shown = [line.strip()[:_LINE] for line in lines if line.strip(" \t~^")][-3:]
    if not shown:
        return {"silent_end": "1"}
    return {"last_lines" if len(shown) > 1 else "last_line": " | ".join(shown)}


# ---- what the platform ended itself ------------------------------------------------------------


def never_ready(
    seconds: float,
    ports: tuple[int, ...],
    problem: str,
    *,
    listens: bool,
    elsewhere: tuple[int, ...] = (),
) -> Cause:
    """Why a run was ended that was not ready in time.

    `ports` = the one it was given, then those its template declares; `problem` = its last probe's;
    `elsewhere` = other ports on which it listens.
    """
    facts = {"seconds": f"{seconds:g}", "port": str(ports[0]), "problem": problem}
    if listens:
        text = (
            f"It was ended, because it was not ready within {seconds:g} s: {problem}. "
            "Give it more time, or mend what its probe asks for."
        )
        return Cause("StartDeadlineExceeded", text, facts)
    declared = "".join(f", nor on its declared port {number}" for number in ports[1:])
    found = ", ".join(map(str, elsewhere))
    instead = f"; it listens on {found}" if found else ""
    text = (
        f"It was ended, because within {seconds:g} s nothing listened on the port that PORT names "
        f"({ports[0]}){declared}{instead}. "
        "Let the command listen on $PORT (or {port} in its arguments), or give it more time."
    )
    return Cause("NeverListened", text, {**facts, "found": found})


def not_alive(misses: int, problem: str) -> Cause:
    """Why a run was ended whose liveness probe failed so many times in a row."""
    text = f"It was ended, because the liveness probe failed {misses} times: {problem}"
    return Cause("LivenessFailed", text, {"misses": str(misses), "problem": problem})


def too_much_memory(used: str, limit: str) -> Cause:
    """Why a run was ended that used more memory than it may."""
    text = (
        f"It was ended, because it used {used} of memory and its limit is {limit}; "
        "raise the limit or shrink context, slots or model."
    )
    return Cause("OutOfMemory", text, {"used": used, "limit": limit})
