"""What the kernel says of all processes of one run: where they listen, how much memory is theirs.

Wire facts: /proc/<pid>/{task/*/children,fd,net/tcp,net/tcp6,status}, see proc(5).
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_LISTEN = "0A"
#: Memory that goes away with the process; mapped files, such as weights, are the page cache's.
_OWN = frozenset({"RssAnon:", "RssShmem:", "VmSwap:"})


@dataclass(frozen=True, slots=True)
class Tree:
    """A keeper's descendants. Whatever detaches itself becomes the keeper's own child, so none is missed."""

    keeper: int

    def listening(self) -> frozenset[int]:
        """TCP ports on which a process of the tree listens."""
        pids = list(self._pids())
        sockets = {inode for pid in pids for inode in _sockets(pid)}
        return frozenset(
            port
            for table in ("tcp", "tcp6")
            for port, inode in _listeners(self.keeper, table)
            if inode in sockets
        )

    def memory(self) -> int:
        """Bytes that the tree's processes hold for themselves, in memory and swapped out."""
        return sum(_own_bytes(pid) for pid in self._pids())

    def _pids(self) -> Iterator[int]:
        rest = children(self.keeper)
        while rest:
            pid = rest.pop()
            yield pid
            rest += children(pid)


def children(pid: int) -> list[int]:
    """Of a process and all its threads; none when it is gone."""
    found: list[int] = []
    try:
        for thread in (_PROC / str(pid) / "task").iterdir():
            found += [int(child) for child in (thread / "children").read_text().split()]
    except OSError:
        pass  # it has ended: whom it had belongs to the keeper now
    return found


def _sockets(pid: int) -> set[str]:
    found: set[str] = set()
    folder = _PROC / str(pid) / "fd"
    try:
        names = os.listdir(folder)  # noqa: PTH208 - a Path for each descriptor would cost more
    except OSError:
        return found  # ended, or not ours to read
    for name in names:
        try:
            target = os.readlink(folder / name)  # noqa: PTH115
        except OSError:
            continue  # closed meanwhile
        if target.startswith("socket:["):
            found.add(target[8:-1])
    return found


def _listeners(pid: int, table: str) -> Iterator[tuple[int, str]]:
    """(port, inode) of every listening socket in the network that `pid` is in."""
    try:
        lines = (_PROC / str(pid) / "net" / table).read_text().splitlines()[1:]
    except OSError:
        return
    for line in lines:
        fields = line.split()
        if fields[3] == _LISTEN:
            yield int(fields[1].rpartition(":")[2], 16), fields[9]


def _own_bytes(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "status").read_text().splitlines()
    except OSError:
        return 0
    kib = (line.split() for line in lines)
    return sum(int(fields[1]) * 1024 for fields in kib if fields and fields[0] in _OWN)
