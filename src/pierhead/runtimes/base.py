"""The runtime protocol. A runtime makes workloads true and reports what is; it holds no truth."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from pierhead.core.replicas import Exit, ReplicaStatus, RuntimeInfo
from pierhead.core.scalers import AutoScaler
from pierhead.core.workloads import Workload


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line a replica wrote."""

    at: float  #: epoch seconds
    replica: str
    text: str


@dataclass(frozen=True, slots=True)
class LogQuery:
    """Which lines of a service's log: the `limit` ones before the last `skip`."""

    replica: str = ""  #: "" = of all
    previous: bool = False  #: of the run before the last restart
    skip: int = 0
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Attempt:
    """One run of a replica: when, how it ended and why; of old ones the first and the last are kept."""

    replica: str
    number: int  #: counts from 1, by replica
    started: float  #: epoch seconds
    ready_at: float | None = None  #: epoch seconds; None = it was never ready
    end: Exit | None = None  #: None = it runs, or nobody saw its end yet
    reason: str = ""  #: one word: why it ended
    message: str = ""
    lines: tuple[str, ...] = ()  #: what it wrote last


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process and all that it started take of their machine."""

    cpu_seconds: float  #: used since they began
    memory: int  #: bytes that are resident


class Follower(Protocol):
    """What follows the load of services in our place, as `Workload.scaler` says, where something does."""

    def followed(self, service: str, wanted: int) -> int | None:
        """How many replicas it wants where `wanted` were, from memory; None = the count is ours."""
        ...

    def stays(self, service: str, scaler: AutoScaler, *, bounded: bool) -> str:
        """Why it does not follow a service's load, where it should; "" = it does, or need not.

        `bounded`: its count is bounded by a quota.
        """
        ...


class NobodyFollows:
    """All counts are ours."""

    def followed(self, service: str, wanted: int) -> int | None:
        """None."""
        return None

    def stays(self, service: str, scaler: AutoScaler, *, bounded: bool) -> str:
        """Nothing to tell."""
        return ""


class Runtime(Protocol):
    """Every method may be called again at any time with the same result."""

    async def probe(self) -> RuntimeInfo:
        """What this runtime can do here, asked at start and by `doctor`."""
        ...

    async def adopt(self) -> None:
        """Find again what an earlier process of this platform left running; called once, first."""
        ...

    async def apply(self, workload: Workload) -> None:
        """Take the next safe steps toward `workload` and return at once; called until settled.

        Raises:
            Unavailable: a step could not be taken now (no free port, disk full); call again.
        """
        ...

    async def remove(self, service: str, grace: float) -> bool:
        """Take the next steps toward nothing being left of a service.

        True once no process, port or record of it remains. Replicas get `grace` seconds.
        """
        ...

    def observe(self, service: str | None = None) -> list[ReplicaStatus]:
        """Every replica (of one service, or of all), from memory, without I/O."""
        ...

    async def logs(
        self, service: str, *, replica: str = "", previous: bool = False, limit: int = 100_000
    ) -> list[LogLine]:
        """The last `limit` lines, oldest first; `previous` = of the run before the last restart."""
        ...

    async def log_page(self, service: str, query: LogQuery) -> tuple[list[LogLine], int]:
        """The lines, oldest first, and the number of all; the cost follows the place, not the log."""
        ...

    async def attempts(self, service: str, *, replica: str = "", lines: int = 0) -> list[Attempt]:
        """The runs that are kept, oldest first, with the last `lines` lines of each.

        Of each replica the first and the last five, also of some that were replaced since.
        """
        ...

    def changes(self) -> AsyncIterator[str]:
        """Service ids whose replicas changed: hints only, they may be lost or doubled."""
        ...

    async def close(self) -> None:
        """Let go of everything; replicas run on."""
        ...
