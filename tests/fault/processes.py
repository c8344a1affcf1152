"""What runs on this machine for one data folder, read from /proc and from nowhere else."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Role = Literal["up", "hub", "gateway", "keeper", "engine"]


@dataclass(frozen=True, slots=True, order=True)
class Process:
    """One process: a recycled pid has another start time."""

    pid: int
    born: int  #: clock ticks since boot
    role: Role
    replica: str = ""

    @property
    def alive(self) -> bool:
        """Does exactly this process still run?"""
        found = _stat(self.pid)
        return found is not None and found[2] == self.born and found[0] not in "ZX"

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal it; one that has ended is left in peace."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)


def of(folder: Path) -> list[Process]:
    """Every process of the platform on `folder`: supervisor, hub, gateway, keepers and engines.

    An engine is known by its keeper; one that lost its keeper by the folder in its arguments.
    """
    table = dict(_table())
    found: dict[int, Process] = {}
    for pid, (_parent, born, argv) in table.items():
        role = _role(argv, str(folder))
        if role is not None:
            found[pid] = Process(pid, born, role, argv[-2] if role == "keeper" else "")
    for pid, (parent, born, _argv) in table.items():
        above = found.get(parent)
        if above is not None and above.role == "keeper":
            found[pid] = Process(pid, born, "engine", above.replica)
    return sorted(found.values())


def _role(argv: list[str], folder: str) -> Role | None:
    if len(argv) > 1 and argv[1].endswith("observer.py"):
        return None  # it is told the folder, but belongs to the test
    if not any(_within(argument, folder) for argument in argv):
        return None
    if len(argv) > 3 and argv[-4].endswith("keeper.py"):
        return "keeper"
    if "pierhead" in " ".join(argv[:3]):
        verbs: list[Role] = ["up", "hub", "gateway"]
        return next((verb for verb in verbs if verb in argv), None)
    return "engine"


def _within(argument: str, folder: str) -> bool:
    value = argument.partition("=")[2] or argument
    return value == folder or value.startswith(folder + "/")


#: Arguments by (pid, start): of processes that are old enough to have become what they are to be.
_SETTLED: dict[tuple[int, int], list[str]] = {}
#: Clock ticks after which a process is taken to have called exec, if it ever does.
_OLD = 10 * os.sysconf("SC_CLK_TCK")


def _table() -> Iterator[tuple[int, tuple[int, int, list[str]]]]:
    now = time.clock_gettime(time.CLOCK_BOOTTIME) * os.sysconf("SC_CLK_TCK")
    seen: set[tuple[int, int]] = set()
    for name in os.listdir("/proc"):  # noqa: PTH208 - ten times a second
        if not name.isdigit():
            continue
        pid = int(name)
        found = _stat(pid)
        if found is None or found[0] in "ZX":
            continue
        argv = _arguments(pid, found[2], now)
        if argv is not None:
            seen.add((pid, found[2]))
            yield pid, (found[1], found[2], argv)
    for key in _SETTLED.keys() - seen:
        del _SETTLED[key]


def _arguments(pid: int, born: int, now: float) -> list[str] | None:
    """What a process was started with; None when it has ended."""
    known = _SETTLED.get((pid, born))
    if known is not None:
        return known
    try:
        raw = _read(f"/proc/{pid}/cmdline")
    except OSError:
        return None
    argv = [os.fsdecode(part) for part in raw.split(b"\0")[:-1]]
    if now - born > _OLD:
        _SETTLED[pid, born] = argv
    return argv


def _stat(pid: int) -> tuple[str, int, int] | None:
    """State, parent, start time."""
    try:
        text = _read(f"/proc/{pid}/stat")
    except OSError:
        return None
    fields = text[text.rindex(b")") + 2 :].split(None, 20)
    return fields[0].decode(), int(fields[1]), int(fields[19])


def _read(path: str) -> bytes:
    """A file of /proc; hundreds of them are read at each look."""
    number = os.open(path, os.O_RDONLY)
    try:
        found = part = os.read(number, 1 << 16)
        while len(part) == 1 << 16:
            part = os.read(number, 1 << 16)
            found += part
        return found
    finally:
        os.close(number)
