"""What the kernel knows of processes: CPU time, memory, and the machine they run on."""

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MB = 1024 * 1024
_POLL = 0.01


def cpu_seconds(pid: int) -> float:
    """CPU time of a process: user and system, all threads, also those that have ended.

    The clock's number is what clock_getcpuclockid(3) gives for a process: nanoseconds, not ticks.
    """
    return time.clock_gettime((~pid << 3) | 2)


@dataclass(slots=True)
class Spent:
    """CPU seconds and wall seconds of a stretch of time; filled in at its end."""

    cpu: float = 0.0
    wall: float = 0.0


@contextmanager
def spending(pid: int) -> Iterator[Spent]:
    """What process `pid` spends inside the `with`."""
    spent, cpu, wall = Spent(), cpu_seconds(pid), time.monotonic()
    yield spent
    spent.cpu, spent.wall = cpu_seconds(pid) - cpu, time.monotonic() - wall


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes: all that is mapped in; and with shared pages divided among those who share them."""

    rss: int
    pss: int


def memory(pid: int) -> Memory:
    """Of one process now."""
    found = {
        parts[0]: int(parts[1]) * 1024
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
        if (parts := line.split())
    }
    return Memory(found["Rss:"], found["Pss:"])


def peak(pid: int) -> int:
    """The most bytes (RSS) that were mapped in at once since its start, or since `peak_anew`."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def peak_anew(pid: int) -> None:
    """Forget the peak that was."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def children(pid: int) -> list[tuple[int, list[str]]]:
    """(pid, argv) of the direct children."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    pids = {int(child) for task in tasks for child in (task / "children").read_text().split()}
    return [(child, argv(child)) for child in sorted(pids)]


def argv(pid: int) -> list[str]:
    """The arguments it was started with."""
    return Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]


def everyone() -> Iterator[tuple[int, list[str]]]:
    """(pid, argv) of every process that can be seen."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                yield int(folder.name), argv(int(folder.name))
            except OSError:
                continue  # it ended while we looked


def until(done: Callable[[], bool], seconds: float, what: str, pause: float = _POLL) -> float:
    """Seconds until `done`; an error that names `what` when it takes longer than `seconds`."""
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"{what}: not within {seconds:g} s")
        time.sleep(pause)
    return time.monotonic() - began


def machine() -> dict[str, str | int | float]:
    """What it was measured on."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in info if "model name" in line), "")
    return {
        "cpu": model or platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "load": round(os.getloadavg()[0], 2),
    }


def yardstick() -> float:
    """CPU milliseconds of a fixed piece of Python: tells a slow or crowded machine from slow code."""
    return min(_piece() for _ in range(15)) * 1000


def _piece() -> float:
    began, kept = time.process_time(), dict[str, tuple[int, ...]]()
    for number in range(20_000):
        kept[str(number)] = (number,)
    return time.process_time() - began
