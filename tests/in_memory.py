"""Where what no test needs afterwards can lie in memory: there an fsync costs nothing, and a file little.

What runs does all it does on a disk, and asks for the same to be lasting; a process that is killed leaves
the same behind. `PYTEST_DEBUG_TEMPROOT=/tmp` puts the folders of tests on the disk for once.
"""

import os
import shutil
from pathlib import Path

#: Memory as a folder, where the system has it.
MEMORY = Path("/dev/shm")
#: Bytes that must be free for the folders of tests: what several workers need at a time, and much more.
FOR_TESTS = 4 << 30
_KIB = 1024


def folder(needed: int, *, runs: bool = False) -> Path | None:
    """The folder in memory, if it has so many bytes of room; None = there is none.

    `runs`: programs that lie there are to be started.
    """
    try:
        room = shutil.disk_usage(MEMORY).free
        still = os.statvfs(MEMORY).f_flag & os.ST_NOEXEC
    except OSError:
        return None
    fits = room >= needed and _available() >= 2 * needed and not (runs and still)
    return MEMORY if fits and os.access(MEMORY, os.W_OK) else None


def _available() -> int:
    """Bytes of memory that programs can have, as the kernel tells."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * _KIB
    return 0
