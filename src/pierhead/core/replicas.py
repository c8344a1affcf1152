"""A replica's state: one enum, one table of legal steps, and what a runtime reports about it.

                 +-----------------------------(crash)---------------------------+
                 v                                                               |
  PENDING -> STARTING -> READY <-> UNREADY      any of these -> CRASHED -(back-off)-> STARTING
     |           |          |         |                             |
     +-----------+----------+---------+--> DRAINING -> STOPPING -> STOPPED (then forgotten)

Owners: the runtime alone moves a replica; the planner (plan.py) only asks for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ReplicaState(StrEnum):
    """Where a replica is in its life."""

    PENDING = "pending"  #: intent written, no process yet
    STARTING = "starting"  #: process runs, not ready
    READY = "ready"  #: takes requests
    UNREADY = "unready"  #: was ready, its probe fails
    CRASHED = "crashed"  #: exited by itself; runs again after its back-off
    DRAINING = "draining"  #: gets no new requests, ends those it has
    STOPPING = "stopping"  #: told to terminate
    STOPPED = "stopped"  #: gone on purpose; its record is removed next


STEPS: dict[ReplicaState, frozenset[ReplicaState]] = {
    ReplicaState.PENDING: frozenset(
        {ReplicaState.STARTING, ReplicaState.CRASHED, ReplicaState.STOPPING, ReplicaState.STOPPED}
    ),
    ReplicaState.STARTING: frozenset(
        {ReplicaState.READY, ReplicaState.CRASHED, ReplicaState.DRAINING, ReplicaState.STOPPING}
    ),
    ReplicaState.READY: frozenset(
        {ReplicaState.UNREADY, ReplicaState.CRASHED, ReplicaState.DRAINING, ReplicaState.STOPPING}
    ),
    ReplicaState.UNREADY: frozenset(
        {ReplicaState.READY, ReplicaState.CRASHED, ReplicaState.DRAINING, ReplicaState.STOPPING}
    ),
    ReplicaState.CRASHED: frozenset(
        {ReplicaState.STARTING, ReplicaState.STOPPING, ReplicaState.STOPPED}
    ),
    ReplicaState.DRAINING: frozenset({ReplicaState.STOPPING, ReplicaState.STOPPED}),
    ReplicaState.STOPPING: frozenset({ReplicaState.STOPPED}),
    ReplicaState.STOPPED: frozenset(),
}

#: States of a replica that is on its way out: it counts for nothing and gets no new requests.
LEAVING = frozenset({ReplicaState.DRAINING, ReplicaState.STOPPING, ReplicaState.STOPPED})


class IllegalStep(ValueError):
    """A replica was moved along an edge that the table does not have: a bug, not a condition."""


def step(old: ReplicaState, new: ReplicaState) -> ReplicaState:
    """`new`, if the table allows it from `old` (staying is always allowed).

    Raises:
        IllegalStep: the table has no such edge.
    """
    if new is not old and new not in STEPS[old]:
        raise IllegalStep(f"{old} -> {new}")
    return new


@dataclass(frozen=True, slots=True)
class Exit:
    """How a replica's process ended."""

    at: float  #: epoch seconds
    code: int | None = None
    signal: int | None = None
    oom: bool = False  #: the kernel's memory limit killed it
    lost: bool = False  #: nobody saw the end (its keeper was killed too, or the machine restarted)
    reason: str = ""  #: one word, when the platform itself ended it
    message: str = ""  #: and why it did
    #: What is behind the message, by name: `{"used": "1.2 GiB"}`.
    facts: Mapping[str, str] = field(default_factory=dict[str, str])

    def __str__(self) -> str:
        if self.oom:
            return "killed: out of memory"
        if self.reason:
            return f"ended by the platform: {self.reason}"
        if self.signal is not None:
            return f"killed by signal {self.signal}"
        return "ended unseen" if self.lost or self.code is None else f"exit code {self.code}"


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """One replica as its runtime sees it now."""

    id: str
    service: str  #: service id
    rollout: str  #: which version and restart it belongs to (see workloads.Workload)
    state: ReplicaState
    created: float
    node: str = ""
    host: str = ""
    port: int = 0
    pid: int | None = None
    started: float | None = None  #: this run's launch
    ready_at: float | None = None
    runs: int = 0  #: launches so far; restarts = runs - 1
    failures: int = 0  #: crashes in a row, without a good spell between
    retry_at: float | None = None  #: CRASHED: when it runs again
    reason: str = ""  #: one word
    message: str = ""  #: a sentence
    last_exit: Exit | None = None
    last_lines: tuple[str, ...] = ()  #: what the crashed run wrote last
    limits: str = ""  #: which limits hold, e.g. `cgroup: memory 1.0 GiB, cpu 2`
    keyed: bool = False
    key_of: str = ""  #: whose key its engine checks: an id of what shares one; "" = its own
    api: str = "any"
    command: tuple[str, ...] = ()  #: what its last run executes, secrets masked
    engine: str = ""  #: of its last run; "" = of a release that did not tell
    model: str = ""  #: the name its engine knows the model by; "" = the service's
    devices: tuple[str, ...] = ()  #: accelerators that are its own
    #: Seconds from launch to ready that its run may take; None = no run, or it may take its time.
    deadline: float | None = None
    unready_at: float | None = None  #: UNREADY: since when
    #: Of a replica over several machines: those of its members, by their ranks; "" = not placed yet.
    members: tuple[str, ...] = ()

    @property
    def address(self) -> str:
        """`host:port`, or "" before it has one."""
        return f"{self.host}:{self.port}" if self.port else ""

    @property
    def places(self) -> tuple[str, ...]:
        """The machines that it is on, the one that has its engine first; "" = not known."""
        return (self.node, *self.members)


@dataclass(frozen=True, slots=True)
class Accelerator:
    """One GPU of a node."""

    uuid: str
    spec: str  #: uuid of its kind, the same on every node
    vendor: str  #: `NVIDIA`, `Huawei`, ...
    name: str
    memory: int  #: bytes
    capability: str = ""  #: CUDA compute capability, e.g. `9.0`
    address: str = ""  #: PCI address
    serial: str = ""
    id: str = ""  #: what it is called everywhere and for good: `GPU-<uuid>`, `MIG-<uuid>`
    #: Its place among the node's devices in the order of their addresses; None = only `id` names it.
    index: int | None = None
    memory_free: int | None = None  #: bytes, when it was last looked at; None = not known
    part: bool = False  #: a split device's part, which is a device of its own


@dataclass(frozen=True, slots=True)
class Node:
    """One machine a runtime can use."""

    name: str
    cpu: int
    memory: int
    memory_free: int
    gpus: int = 0
    architecture: str = ""  #: `X86_64`, `AARCH64`; "" = not known
    accelerators: tuple[Accelerator, ...] = ()


@dataclass(frozen=True, slots=True)
class RuntimeInfo:
    """What a runtime can do, asked once at start."""

    name: str
    nodes: tuple[Node, ...]
    limits: str  #: how memory and CPU limits are enforced here, in a sentence
    warnings: tuple[str, ...] = field(default_factory=tuple)
    mounts: str = ""  #: how replicas are shown their files, in a sentence
    #: Can files be shown at the path that a document names? Else they are found where they lie.
    binds: bool = False
    #: Why a replica can be on one node only, in a clause; "" = it can span several.
    one_node: str = ""
