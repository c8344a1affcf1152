"""What runs and earlier hubs left on disk, read so that one bad file holds nothing up.

Engines run as the same user and start in a folder beside these files, so any service may spoil its own;
a hub may be out of file descriptors. An end is then told as unseen, and one replica is left alone.
"""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any, TypeVar

from pierhead.core.diagnosis import Cause
from pierhead.core.errors import Unavailable
from pierhead.core.replicas import Exit
from pierhead.runtimes.process import logfiles
from pierhead.runtimes.process.records import Intent, ReplicaFolder, RunFacts, RunFolder

T = TypeVar("T")

#: What comes of a file that cannot be read now, or that says what no file of ours says.
_BAD = (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError)


def told(tell: Callable[[], T | None]) -> T | None:
    """What a file says; None also when it cannot be read or makes no sense."""
    try:
        return tell()
    except _BAD:
        return None


def has_run(run: RunFolder) -> bool:
    """Does anything say that its keeper began?"""
    return told(run.keeper) is not None or told(run.exit) is not None


def ready_at(run: RunFolder) -> float | None:
    """When it became ready, if that is known."""

    def read() -> float | None:
        found = run.marked("ready")
        return _number(found, "at") if found else None

    return told(read)


def paused(run: RunFolder) -> bool:
    """Was it ended by no fault of its own?"""
    return told(lambda: run.marked("pause")) is not None


def end(run: RunFolder, now: float) -> Exit:
    """How it ended: unseen, at `now`, if no file tells; with the reason of a runtime that ended it."""
    found, why = told(run.exit) or Exit(at=now, lost=True), killed(run)
    if why is None or found.oom:
        return found
    return replace(found, reason=why.reason, message=why.message, facts=why.facts)


def killed(run: RunFolder) -> Cause | None:
    """Why the runtime ended it, if it did and that can be read."""

    def read() -> Cause | None:
        found = run.marked("killed")
        if found is None:
            return None
        facts: dict[str, Any] = found.get("facts", {})
        words = {str(name): str(word) for name, word in facts.items()}
        return Cause(str(found["reason"]), str(found["message"]), words)

    return told(read)


def last_lines(run: RunFolder, replica: str, limit: int) -> list[str]:
    """What it wrote last; nothing if that cannot be read."""
    lines = told(lambda: logfiles.tail(run.path, replica, limit)) or []
    return [line.text for line in lines]


@dataclass(frozen=True, slots=True)
class Left:
    """How far an earlier hub was with one replica."""

    leave_by: float | None  #: epoch seconds; it was draining
    kill_at: float | None  #: epoch seconds; it was told to end
    run: RunFolder | None  #: the last one
    facts: RunFacts | None  #: of that one

    @property
    def leaving(self) -> bool:
        """Was it on its way out?"""
        return self.leave_by is not None or self.kill_at is not None


def left(folder: ReplicaFolder) -> Left:
    """All that has to be known before it is gone on with.

    Raises:
        Unavailable: a file of it cannot be read; none is guessed, so it must be left as it is.
    """
    with _readable(folder):
        drained, stopped = folder.marked("drain"), folder.marked("stop")
        run = folder.last_run()
        facts = run.facts() if run else None
        if drained and not stopped and facts and _number(drained, "at") < facts.started:
            drained = None  # it ended while the mark was written, and was run again since
        return Left(
            leave_by=_number(drained, "leave_by") if drained else None,
            kill_at=_number(stopped, "kill_at") if stopped else None,
            run=run,
            facts=facts,
        )


def intent(folder: ReplicaFolder) -> Intent | None:
    """That it shall be; None when its creation or removal was cut off.

    Raises:
        Unavailable: that cannot be told, for its file cannot be read.
    """
    with _readable(folder):
        return folder.intent()


def kept(folder: ReplicaFolder) -> bool:
    """Does a keeper hold it now, seen or not?

    Raises:
        Unavailable: that cannot be told, for its lock cannot be opened.
    """
    with _readable(folder):
        return folder.kept()


@contextmanager
def _readable(folder: ReplicaFolder) -> Generator[None]:
    try:
        yield
    except _BAD as error:
        why = str(error) or type(error).__name__
        raise Unavailable(
            f"The replica {folder.id}", f"a file of it cannot be read: {why}"
        ) from error


def _number(found: dict[str, Any], name: str) -> float:
    number = float(found[name])
    if not isfinite(number):
        raise ValueError(f"{name} is {number}")
    return number
