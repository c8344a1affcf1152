"""Which process is which: by pid, start time and boot, never by the pid alone.

Wire facts: /proc/<pid>/stat and /proc/sys/kernel/random/boot_id, see proc(5).
"""

import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Identity:
    """One process of one boot of one machine; a recycled pid has another start time."""

    pid: int
    ticks: int  #: start time, clock ticks since boot
    boot: str


@dataclass(frozen=True, slots=True)
class Stat:
    """What /proc says of a process now."""

    state: str  #: one letter; Z = dead, not yet reaped
    parent: int
    group: int
    session: int
    ticks: int


def boot_id() -> str:
    """An id that changes with every boot; "" where the kernel has none."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def stat(pid: int) -> Stat | None:
    """What /proc says of `pid`, or None when there is no such process."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    fields = text[text.rindex(")") + 2 :].split()  # the name before it may hold anything
    return Stat(fields[0], int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]))


def alive(identity: Identity, boot: str) -> bool:
    """Does exactly this process run now? Zombies do not."""
    if identity.boot != boot:
        return False
    now = stat(identity.pid)
    return now is not None and now.ticks == identity.ticks and now.state not in "ZX"


def arguments(pid: int) -> tuple[str, ...]:
    """The command line of a process; empty when it is gone, dead or not ours to read."""
    try:
        raw = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(os.fsdecode(part) for part in raw.split(b"\0")[:-1])


def environment(pid: int) -> dict[str, str]:
    """The environment a process was started with; empty when it is gone or not ours to read."""
    try:
        raw = os.fsdecode((_PROC / str(pid) / "environ").read_bytes())
    except OSError:
        return {}
    pairs = (entry.partition("=") for entry in raw.split("\0") if "=" in entry)
    return {name: value for name, _, value in pairs}


def own_processes() -> Iterator[int]:
    """Pids of this user's processes."""
    for entry in _PROC.iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if entry.stat().st_uid == os.geteuid():
                    yield int(entry.name)


def members(session: int, group: int) -> list[Identity]:
    """Processes of a session AND group whose leaders are gone: what a dead keeper's engine left.

    Both must fit: a recycled number alone would hit a stranger's session.
    """
    found: list[Identity] = []
    boot = boot_id()
    for pid in own_processes():
        now = stat(pid)
        if now and now.session == session and now.group == group and now.state not in "ZX":
            found.append(Identity(pid, now.ticks, boot))
    return found


class Handle:
    """A grip on one process: signals go to it or to nobody, even if its pid is recycled."""

    def __init__(self, identity: Identity, fd: int) -> None:
        self.identity = identity
        self.fd = fd  #: pidfd, readable once the process has ended; -1 where there are none

    @classmethod
    def of(cls, identity: Identity, boot: str) -> "Handle | None":
        """A handle on a living process; None when it is not alive."""
        fd = -1
        if hasattr(os, "pidfd_open"):
            try:
                fd = os.pidfd_open(identity.pid)
            except ProcessLookupError:
                return None
            except OSError:  # an old kernel, or a sandbox that forbids it: fall back to polling
                fd = -1
        # Checked after the pidfd was opened: from here on it names this process for ever.
        if alive(identity, boot):
            return cls(identity, fd)
        if fd >= 0:
            os.close(fd)
        return None

    def send(self, number: signal.Signals) -> None:
        """Signal the process; nothing happens when it has ended."""
        with suppress(ProcessLookupError):
            if self.fd >= 0:
                signal.pidfd_send_signal(self.fd, number)
            elif alive(self.identity, self.identity.boot):
                os.kill(self.identity.pid, number)

    def ended(self) -> bool:
        """Has the process ended? Reaps it if it is our child."""
        now = stat(self.identity.pid)
        if now is None or now.ticks != self.identity.ticks:
            return True
        if now.state in "ZX" and now.parent == os.getpid():
            with suppress(ChildProcessError):
                os.waitpid(self.identity.pid, os.WNOHANG)
        return now.state in "ZX"

    def close(self) -> None:
        """Let go; the process is not touched."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
