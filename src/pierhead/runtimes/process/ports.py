"""Ports for replicas: leased for as long as the keeper lives, across hubs and hub crashes.

A lease is an flock on a file per port in a folder that all hubs of this user share; the open file
is handed to the keeper, so the kernel itself ends the lease with the keeper.
"""

import fcntl
import os
import socket
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from pierhead.core.errors import Unavailable
from pierhead.core.ids import Entropy


def shared_folder() -> Path:
    """Where the hubs of this user keep their leases."""
    return Path(tempfile.gettempdir()) / f"pierhead-ports-{os.geteuid()}"


@dataclass(frozen=True, slots=True)
class Lease:
    """A port that nobody else takes while `fd`, or a copy of it, is open."""

    port: int
    fd: int

    def close(self) -> None:
        """Let go of this copy."""
        os.close(self.fd)


def lease(ports: range, host: str, folder: Path, entropy: Entropy) -> Lease:
    """A free port of the range, looked for from a random place on.

    Raises:
        Unavailable: every port is taken, or the lease folder is not safely ours.
    """
    _check(folder)
    start = int.from_bytes(entropy(4), "big") % max(1, len(ports))
    for offset in range(len(ports)):
        port = ports[(start + offset) % len(ports)]
        found = _try(port, host, folder)
        if found is not None:
            return found
    raise Unavailable(
        "A port",
        f"all ports {ports.start}-{ports.stop - 1} on {host} are taken; widen the range or stop services",
    )


def _check(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        raise Unavailable(str(folder), "it must be a folder that only this user can write")


def _try(port: int, host: str, folder: Path) -> Lease | None:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    first = os.open(folder / str(port), flags, 0o600)
    # Above the numbers that a keeper's standard files and lease get, so that neither hides the other.
    fd = fcntl.fcntl(first, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(first)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    if not _can_bind(host, port):
        os.close(fd)
        return None
    return Lease(port, fd)


def _can_bind(host: str, port: int) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
