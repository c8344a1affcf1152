"""Reads what keepers wrote, from the end: the cost follows the lines asked for, not the file."""

import heapq
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from pierhead.core.secrecy import masked
from pierhead.runtimes.base import LogLine

_BLOCK = 65536


def tail(run: Path, replica: str, limit: int) -> list[LogLine]:
    """The last `limit` lines of one run, oldest first."""
    lines = _last_lines(run / "log", limit)
    if len(lines) < limit:
        lines = _last_lines(run / "log.1", limit - len(lines)) + lines
    parsed: list[LogLine] = []
    for line in lines:
        parsed.append(_parse(line, replica, parsed[-1].at if parsed else 0.0))
    return parsed


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
    if limit <= 0:
        return []
    try:
        with path.open("rb") as file:
            position = file.seek(0, os.SEEK_END)
            blocks: list[bytes] = []
            count = 0
            while position > 0 and count <= limit:
                size = min(_BLOCK, position)
                position -= size
                file.seek(position)
                blocks.append(file.read(size))
                count += blocks[-1].count(b"\n")
    except FileNotFoundError:
        return []
    lines = b"".join(reversed(blocks)).split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    return lines[max(0, len(lines) - limit) :]


def _parse(line: bytes, replica: str, before: float) -> LogLine:
    stamp, _, text = line.partition(b" ")
    try:
        at = float(stamp)
    except ValueError:  # a line torn by a full disk: it keeps the time of the one before it
        at, text = before, line
    return LogLine(at, replica, text.decode("utf-8", "replace"))
