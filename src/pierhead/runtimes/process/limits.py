"""Memory and CPU limits of replicas: by cgroup where this process may make one, else by rlimit.

Wire facts: kernel documentation, admin-guide/cgroup-v1/memory, sched-bwc and cgroup-v2.
"""

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pierhead.core.errors import Unavailable
from pierhead.core.resources import Resources, human_bytes

_ROOT = Path("/sys/fs/cgroup")
_PERIOD = 100_000  #: microseconds, the kernel's default accounting period
#: Politeness of engines that no cgroup bounds: the control plane stays responsive beside them.
_NICE = 5
_TRIAL = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Controller:
    """Where cgroups for one resource are made, and what the files are called there."""

    base: Path
    version: int

    def path(self, name: str) -> Path:
        """The cgroup of that name."""
        return self.base / name


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one run must be put under, for the keeper and for people."""

    cgroups: tuple[str, ...] = ()
    oom_file: str = ""
    data_bytes: int = 0  #: RLIMIT_DATA, 0 = none
    nice: int = 0
    text: str = "none"


@dataclass(frozen=True, slots=True)
class Limits:
    """How limits are enforced on this machine."""

    owner: str
    memory: Controller | None
    cpu: Controller | None

    @property
    def sentence(self) -> str:
        """For `RuntimeInfo.limits`."""
        how = {
            (True, True): "Memory and CPU limits are enforced by cgroups.",
            (
                True,
                False,
            ): "Memory limits are enforced by cgroups; CPU only by thread count and nice.",
            (
                False,
                True,
            ): "CPU limits are enforced by cgroups; memory by RLIMIT_DATA, which leaves mapped weights out.",
            (
                False,
                False,
            ): "No cgroup may be made here: memory is limited by RLIMIT_DATA, which leaves mapped weights out, CPU only by thread count and nice.",
        }
        return how[(self.memory is not None, self.cpu is not None)]

    def bounds(self, replica: str, wanted: Resources) -> Bounds:
        """What to put a replica under; nothing is touched yet."""
        name = self._name(replica)
        groups: list[str] = []
        texts: list[str] = []
        oom_file, data_bytes, nice = "", 0, 0
        if wanted.memory is not None and self.memory is not None:
            groups.append(str(self.memory.path(name)))
            oom_file = str(self.memory.path(name) / _OOM_FILE[self.memory.version])
            texts.append(f"cgroup memory {human_bytes(wanted.memory)}")
        elif wanted.memory is not None:
            data_bytes = wanted.memory
            texts.append(f"rlimit data {human_bytes(wanted.memory)}")
        if wanted.cpu is not None and self.cpu is not None:
            groups.append(str(self.cpu.path(name)))
            texts.append(f"cgroup cpu {wanted.cpu:g}")
        elif wanted.cpu is not None:
            nice = _NICE
            texts.append(f"nice {_NICE}")
        unique = tuple(dict.fromkeys(groups))
        return Bounds(unique, oom_file, data_bytes, nice, ", ".join(texts) or "none")

    def prepare(self, replica: str, wanted: Resources) -> None:
        """Make the cgroups and set their limits; again is fine.

        Raises:
            Unavailable: the kernel refuses now.
        """
        name = self._name(replica)
        try:
            if wanted.memory is not None and self.memory is not None:
                _limit_memory(self.memory, name, wanted.memory)
            if wanted.cpu is not None and self.cpu is not None:
                _limit_cpu(self.cpu, name, wanted.cpu)
        except OSError as error:
            raise Unavailable("The replica's cgroup", str(error)) from error

    def release(self, replica: str, recorded: Iterable[str] = ()) -> bool:
        """Remove a replica's cgroups; False while a process is still in one."""
        name = self._name(replica)
        bases = [controller.path(name) for controller in (self.memory, self.cpu) if controller]
        paths = {*bases, *(Path(path) for path in recorded if Path(path).name == name)}
        return all([_remove(path) for path in paths])

    def sweep(self, known: frozenset[str]) -> None:
        """Remove cgroups of replicas that are not known any more, and who is still in them."""
        names = {self._name(replica) for replica in known}
        prefix = self._name("")
        for controller in (self.memory, self.cpu):
            for path in controller.base.glob(f"{prefix}*") if controller else ():
                if path.name not in names and not _remove(path):
                    _kill_members(path)
                    _remove(path)

    def _name(self, replica: str) -> str:
        return f"pierhead-{self.owner}-{replica}"


_OOM_FILE = {1: "memory.oom_control", 2: "memory.events"}


def detect(owner: str) -> Limits:
    """Find out what works here, by doing it once."""
    return Limits(owner, _working("memory", owner), _working("cpu", owner))


def _working(resource: str, owner: str) -> Controller | None:
    name = f"pierhead-{owner}-trial{os.getpid()}"
    for controller in _candidates(resource):
        try:
            if resource == "memory":
                _limit_memory(controller, name, _TRIAL)
            else:
                _limit_cpu(controller, name, 1.0)
        except (OSError, ValueError):
            continue  # not allowed, read-only, or the controller is not handed down to us
        finally:
            _remove(controller.path(name))
        return controller
    return None


def _candidates(resource: str) -> list[Controller]:
    """Our own cgroup first: limits set above us go on to hold for the replicas."""
    found: list[Controller] = []
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return found
    for line in lines:
        number, names, path = line.split(":", 2)
        relative = path.strip("/")
        if resource in names.split(","):
            found.append(Controller(_ROOT / names / relative, 1))
        elif number == "0" and not names and (_ROOT / "cgroup.controllers").exists():
            own = _ROOT / relative
            # v2 forbids processes beside child cgroups that have controllers: so the parent is
            # the place when we were put into a leaf of a delegated tree.
            found += [Controller(own, 2), *([Controller(own.parent, 2)] if relative else [])]
    return found


def _limit_memory(controller: Controller, name: str, limit: int) -> None:
    path = controller.path(name)
    path.mkdir(exist_ok=True)
    if controller.version == 2:
        (path / "memory.max").write_text(str(limit))
        _write_if_there(path / "memory.swap.max", "0")
        return
    _set_v1_memory(path, limit)
    if int((path / "memory.limit_in_bytes").read_text()) > limit:
        raise ValueError("the limit was not taken")


def _set_v1_memory(path: Path, limit: int) -> None:
    """memory + swap must never be below memory, so the order depends on the direction."""
    both = path / "memory.memsw.limit_in_bytes"
    if both.exists() and int(both.read_text()) < limit:
        both.write_text(str(limit))
    (path / "memory.limit_in_bytes").write_text(str(limit))
    _write_if_there(both, str(limit))


def _limit_cpu(controller: Controller, name: str, cores: float) -> None:
    path = controller.path(name)
    path.mkdir(exist_ok=True)
    quota = max(1000, int(cores * _PERIOD))
    if controller.version == 2:
        (path / "cpu.max").write_text(f"{quota} {_PERIOD}")
        return
    (path / "cpu.cfs_period_us").write_text(str(_PERIOD))
    (path / "cpu.cfs_quota_us").write_text(str(quota))


def _write_if_there(path: Path, text: str) -> None:
    with suppress(FileNotFoundError, PermissionError):
        if path.exists():
            path.write_text(text)


def _remove(path: Path) -> bool:
    try:
        path.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return not path.exists()
    return True


def _kill_members(path: Path) -> None:
    for _ in range(50):
        try:
            pids = [int(line) for line in (path / "cgroup.procs").read_text().split()]
        except OSError:
            return
        if not pids:
            return
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
