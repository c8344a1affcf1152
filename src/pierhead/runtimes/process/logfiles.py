"""Reads what keepers wrote, from the end: the cost follows the lines asked for, not the file."""

import heapq
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pierhead.core.secrecy import masked
from pierhead.runtimes.base import LogLine

_BLOCK = 65536


@dataclass(frozen=True, slots=True)
class LogRun:
    """A run whose log is wanted."""

    path: Path
    replica: str
    hidden: tuple[str, ...]  #: secrets, which no line shows


def page(runs: Sequence[LogRun], skip: int, limit: int) -> tuple[list[LogLine], int]:
    """The `limit` lines before the last `skip` of several runs, oldest first, and the number of all."""
    read = [_counted(run.path, skip + limit) for run in runs]
    total = sum(count for _, count in read)
    found = [lines for lines, _ in read]
    if len(found) == 1:  # in one run the order is known: what is skipped need not be understood
        found, skip = [found[0][: max(0, len(found[0]) - skip)]], 0
    parsed = [_parsed(lines, run.replica) for lines, run in zip(found, runs, strict=True)]
    lines = merged(parsed, skip + limit)
    hidden = {run.replica: run.hidden for run in runs}
    shown = lines[: max(0, len(lines) - skip)]
    return [replace(one, text=masked(one.text, hidden[one.replica])) for one in shown], total


def tail(run: Path, replica: str, limit: int) -> list[LogLine]:
    """The last `limit` lines of one run, oldest first."""
    lines = _last_lines(run / "log", limit)
    if len(lines) < limit:
        lines = _last_lines(run / "log.1", limit - len(lines)) + lines
    return _parsed(lines, replica)


def hiding(lines: list[LogLine], hidden: tuple[str, ...]) -> list[LogLine]:
    """The lines with secrets masked."""
    if not hidden:
        return lines
    return [replace(line, text=masked(line.text, hidden)) for line in lines]


def merged(runs: Iterable[list[LogLine]], limit: int) -> list[LogLine]:
    """Several replicas' lines in the order of time, the last `limit` of them."""
    lines = list(heapq.merge(*runs, key=lambda line: line.at))
    return lines[max(0, len(lines) - limit) :]


def _last_lines(path: Path, limit: int) -> list[bytes]:
    return _from_end(path, limit, whole=False)[0] if limit > 0 else []


def _counted(run: Path, limit: int) -> tuple[list[bytes], int]:
    """A run's last `limit` lines, and the number of all."""
    lines, count = _from_end(run / "log", limit, whole=True)
    earlier, more = _from_end(run / "log.1", limit - len(lines), whole=True)
    return earlier + lines, more + count


def _from_end(path: Path, limit: int, *, whole: bool) -> tuple[list[bytes], int]:
    """The last `limit` lines, and the number of those that were seen; all of them if `whole`."""
    blocks: list[bytes] = []
    count = 0
    try:
        with path.open("rb") as file:
            position = file.seek(0, os.SEEK_END)
            while position > 0 and (whole or count <= limit):
                size = min(_BLOCK, position)
                position -= size
                file.seek(position)
                block = file.read(size)
                # What comes before the lines that are wanted is only counted.
                if count <= limit:
                    blocks.append(block)
                count += block.count(b"\n")
    except FileNotFoundError:
        return [], 0
    lines = b"".join(reversed(blocks)).split(b"\n")
    if lines[-1]:
        count += 1
    else:
        lines.pop()
    return lines[max(0, len(lines) - max(0, limit)) :], count


def _parsed(lines: Iterable[bytes], replica: str) -> list[LogLine]:
    parsed: list[LogLine] = []
    for line in lines:
        parsed.append(_parse(line, replica, parsed[-1].at if parsed else 0.0))
    return parsed


def _parse(line: bytes, replica: str, before: float) -> LogLine:
    stamp, _, text = line.partition(b" ")
    try:
        at = float(stamp)
    except ValueError:  # a line torn by a full disk: it keeps the time of the one before it
        at, text = before, line
    return LogLine(at, replica, text.decode("utf-8", "replace"))
