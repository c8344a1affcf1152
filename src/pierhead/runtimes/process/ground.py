"""What all replicas of one process runtime share."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, TypeVar

from pierhead.core.devices import Devices
from pierhead.core.ids import Clock, Entropy
from pierhead.core.launch import Launch, Placement
from pierhead.core.workloads import Workload
from pierhead.runtimes.process import hardware
from pierhead.runtimes.process.identity import boot_id
from pierhead.runtimes.process.limits import Limits
from pierhead.runtimes.process.mounting import Mounts, possible
from pierhead.runtimes.process.ports import shared_folder
from pierhead.runtimes.process.probing import Prober

P = ParamSpec("P")
T = TypeVar("T")

MIB = 1024 * 1024
#: How many replicas' files are written at once.
_THREADS = 4


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator or a test may choose."""

    owner: str  #: tells this platform's processes and cgroups from another's on the same host
    ports: range = range(21000, 29000)  #: below the kernel's own ephemeral ports
    host: str = "127.0.0.1"
    port_locks: Path = field(default_factory=shared_folder)
    boot: str = field(default_factory=boot_id)
    log_bytes: int = 10 * MIB  #: of one log file; there are at most two per run
    mounts: Mounts = field(default_factory=possible)
    closed: tuple[str, ...] = ()  #: folders of the platform's own, in which no replica sees files
    cores: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    accelerators: Callable[[], hardware.Found] = hardware.look  #: what GPUs there are; blocks
    open_files: int = 0  #: engines' soft RLIMIT_NOFILE; 0 = as this process has it


@dataclass(frozen=True, slots=True)
class Grant:
    """What one run gets of the machine."""

    threads: int  #: CPU threads that its engine may use
    devices: Devices = field(default_factory=Devices)
    names: tuple[str, ...] = ()  #: of the devices, as CUDA_VISIBLE_DEVICES takes them
    share: float = 0.0  #: of the one device's memory; 0 = all of each


class Disk:
    """Threads for what writes files: a slow disk holds up who waits for it, and not the event loop."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="replica-disk")

    async def do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`work(...)`; one that was begun is ended, although its caller may be cancelled."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: work(*args, **kwargs))

    async def close(self) -> None:
        """Wait for what was begun."""
        await asyncio.to_thread(self._threads.shutdown)


@dataclass(frozen=True, slots=True)
class Ground:
    """The runtime's parts, as its replicas need them."""

    root: Path
    node: str
    settings: Settings
    launch: Callable[[Workload, Placement], Launch]
    clock: Clock
    entropy: Entropy
    engine_key: Callable[[str], str]
    limits: Limits
    mounts: Mounts
    prober: Prober
    hint: Callable[[str], None]
    released: Callable[[], None]  #: a run has ended that had devices
    disk: Disk = field(default_factory=Disk)
