"""Lines of containers, as the platform knows lines of replicas. Pure."""

from collections.abc import Iterable

from pierhead.core.secrecy import masked
from pierhead.runtimes.base import LogLine
from pierhead.runtimes.kubernetes.quantities import moment


def lines(text: str, replica: str, hidden: tuple[str, ...]) -> list[LogLine]:
    """What a server sent with times; a line without one has that of the line before it."""
    found: list[LogLine] = []
    at = 0.0
    for line in text.split("\n"):
        if not line:
            continue
        stamp, gap, rest = line.partition(" ")
        told = moment(stamp) if gap or stamp.endswith("Z") else None
        at = at if told is None else told
        shown = masked(line if told is None else rest, hidden).rstrip("\r")
        found.append(LogLine(at, replica, shown))
    return found


def merged(each: Iterable[list[LogLine]], limit: int) -> list[LogLine]:
    """The last `limit` lines of several logs, by time; lines of one log keep their order."""
    every = sorted((line for log in each for line in log), key=lambda line: line.at)
    return every[max(0, len(every) - limit) :]
