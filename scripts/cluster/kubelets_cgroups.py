"""Control groups, version 1, of the nodes: bounds of their pods, and the list of all that runs on a node.

The kubelet makes groups below a node's own, in every hierarchy. containerd is put into a second one, of one
hierarchy only: whatever it starts is in there or below the first, so that a node ends without a search by name.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
#: What the kubelet needs; the machine may mount more.
NEEDED = ("cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "pids")
_TRACKING = "pids"
_PATIENCE = 20.0
_SHARES = "16384"  #: of the processor's time, where a process that is in no group has 1024


def missing() -> list[str]:
    """Hierarchies that are not mounted."""
    return [each for each in NEEDED if not (ROOT / each / "cgroup.procs").exists()]


def make(name: str) -> None:
    for hierarchy in _hierarchies():
        (hierarchy / name).mkdir(exist_ok=True)
    for what in ("cpuset.cpus", "cpuset.mems"):  # empty in a new group, which then can hold nothing
        (ROOT / "cpuset" / name / what).write_text((ROOT / "cpuset" / what).read_text())
    # All of a node is one group here, beside every single process of the machine: it counts as several of them.
    (ROOT / "cpu" / name / "cpu.shares").write_text(_SHARES)
    _tracked(name).mkdir(exist_ok=True)


def track(name: str, pid: int) -> None:
    """From now on what this process starts belongs to the node."""
    (_tracked(name) / "cgroup.procs").write_text(str(pid))


def end(name: str) -> None:
    """Kill all that runs on the node, and remove its groups.

    Raises:
        TimeoutError: something did not end.
    """
    deadline = time.monotonic() + _PATIENCE
    while pids := _running(name):
        if time.monotonic() > deadline:
            raise TimeoutError(f"processes of {name} do not end: {sorted(pids)}")
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    for folder in _groups(name):
        _remove(folder, deadline)


def _remove(folder: Path, deadline: float) -> None:
    for root, _, _ in os.walk(folder, topdown=False):
        while True:
            try:
                Path(root).rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:  # busy for a moment after its last process
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)


def _running(name: str) -> set[int]:
    found: set[int] = set()
    for folder in _groups(name):
        for root, _, _ in os.walk(folder):
            with suppress(OSError):
                found |= {int(each) for each in (Path(root) / "cgroup.procs").read_text().split()}
    return found - {0}


def _groups(name: str) -> Iterator[Path]:
    yield from (each / name for each in _hierarchies() if (each / name).is_dir())
    if _tracked(name).is_dir():
        yield _tracked(name)


def _tracked(name: str) -> Path:
    return ROOT / _TRACKING / f"{name}.daemons"


def _hierarchies() -> list[Path]:
    return [each for each in sorted(ROOT.iterdir()) if each.is_dir() and not each.is_symlink()]
