"""What replicas take of this host: CPU and memory of each process and all that it started.

Only their own processes are looked at, however many others the host has, and nothing of it is kept.
Wire facts: /proc/<pid>/stat, see proc(5).
"""

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from pierhead.runtimes.base import Footprint
from pierhead.runtimes.process.tree import children

_TICKS, _PAGE = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
#: Places behind the name of the program, which may hold anything: CPU of itself and of children that
#: it waited for, in ticks; resident pages.
_CPU, _RESIDENT = slice(11, 15), 21


def footprints(pids: Collection[int]) -> Mapping[int, Footprint]:
    """By process, with its descendants; those that are gone are left out. Blocks.

    Memory is what is resident, mapped weights included; what several map counts for each.
    """
    found: dict[int, Footprint] = {}
    for pid in pids:
        sums = [one for each in _family(pid) if (one := _own(each)) is not None]
        if sums:
            found[pid] = Footprint(
                sum(one.cpu_seconds for one in sums), sum(one.memory for one in sums)
            )
    return found


def _family(pid: int) -> Iterator[int]:
    rest = [pid]
    while rest:
        one = rest.pop()
        yield one
        rest += children(one)


def _own(pid: int) -> Footprint | None:
    """Of one process; None when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()
    return Footprint(sum(map(int, fields[_CPU])) / _TICKS, int(fields[_RESIDENT]) * _PAGE)
