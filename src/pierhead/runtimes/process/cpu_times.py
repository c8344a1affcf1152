"""How much CPU replicas used: of each process and all that it started, in one walk over the host's."""

from collections.abc import Collection

import psutil


def cpu_seconds(pids: Collection[int]) -> dict[int, float]:
    """CPU seconds of each of these processes with its descendants; those that are gone are left out.

    Children that ended count as long as their parent waited for them.
    """
    parents: dict[int, int] = {}
    used: dict[int, float] = {}
    for process in psutil.process_iter(["ppid", "cpu_times"]):
        times = process.info["cpu_times"]
        if times is None:  # not ours to look at
            continue
        parents[process.pid] = process.info["ppid"]
        used[process.pid] = times.user + times.system + times.children_user + times.children_system
    sums = {pid: 0.0 for pid in pids if pid in used}
    for pid, seconds in used.items():
        owner = _owner(pid, parents, sums)
        if owner is not None:
            sums[owner] += seconds
    return sums


def _owner(pid: int, parents: dict[int, int], wanted: dict[int, float]) -> int | None:
    """The nearest of `wanted` above a process, or itself."""
    seen: set[int] = set()
    while pid not in wanted:
        if pid in seen or pid not in parents:
            return None
        seen.add(pid)
        pid = parents[pid]
    return pid
