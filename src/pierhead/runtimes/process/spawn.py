"""Starts a keeper: one posix_spawn, so the event loop is held up for a millisecond, not for a fork."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pierhead.runtimes.process import keeper
from pierhead.runtimes.process.identity import Identity, arguments, own_processes, stat
from pierhead.runtimes.process.records import RunFolder

_SCRIPT = keeper.__file__
#: Where the keeper finds the port's lease among its open files.
LEASE_FD = 3


def spawn(owner: str, replica: str, run: RunFolder, lease: int, spec: Mapping[str, Any]) -> int:
    """Start the keeper of one run in a session of its own; its pid.

    Raises:
        OSError: the kernel refuses (too many processes, no memory).
    """
    stdin = _unnamed_file(json.dumps({**spec, "lease": LEASE_FD}).encode())
    argv = [sys.executable, "-I", "-S", _SCRIPT, owner, replica, str(run.path)]
    files = [
        (os.POSIX_SPAWN_DUP2, stdin, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, str(run.path / "keeper.err"), _ERR_FLAGS, 0o600),
        (os.POSIX_SPAWN_DUP2, lease, LEASE_FD),
    ]
    try:
        return os.posix_spawn(
            argv[0], argv, {"LANG": "C.UTF-8"}, file_actions=files, setsid=True, setsigmask=()
        )
    finally:
        os.close(stdin)


_ERR_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND


def _unnamed_file(content: bytes) -> int:
    """A file without a name: what it holds is seen by nobody but who gets its descriptor."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("launch")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def living_keepers(owner: str, root: Path, boot: str) -> dict[tuple[str, str], Identity]:
    """Keepers of this owner and folder, by (service id, replica id)."""
    found: dict[tuple[str, str], Identity] = {}
    for pid in own_processes():
        argv = arguments(pid)
        if len(argv) < 4 or argv[-3] != owner or Path(argv[-4]).name != Path(_SCRIPT).name:
            continue
        run = Path(argv[-1])
        now = stat(pid)
        with suppress(ValueError):
            service, replica, *_ = run.relative_to(root).parts
            if replica == argv[-2] and now is not None and now.state not in "ZX":
                found[service, replica] = Identity(pid, now.ticks, boot)
    return found


def engine_environment(wanted: Mapping[str, str], first: tuple[str, ...] = ()) -> dict[str, str]:
    """The engine's whole environment: nothing of ours but what every program needs.

    The folders `first` go before all others in its PATH.
    """
    own = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        "TMPDIR": tempfile.gettempdir(),
    }
    found = {**own, **wanted}
    return {**found, "PATH": os.pathsep.join((*first, found["PATH"]))}
