"""What a runtime is asked to make true for one service."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pierhead.core.launch import Files
from pierhead.core.templates import Rolling, Template

if TYPE_CHECKING:
    from pierhead.core.scalers import AutoScaler  # which knows services, and these know us


@dataclass(frozen=True, slots=True)
class Workload:
    """N replicas of one rollout. Two workloads with the same `rollout` run the same thing."""

    service: str  #: service id
    name: str  #: service name
    rollout: str  #: `<version>.<epoch>`: changes with every new version and every restart
    replicas: int
    template: Template
    files: Files
    rolling: Rolling = Rolling()
    #: Leaving replicas that the data plane has let go of: their last request has ended.
    drained: frozenset[str] = frozenset()
    #: New replicas that a quota lets it start now; None = any number.
    room: int | None = None
    #: Old replicas that must leave before the quota has room for a new one; 0 = there is room.
    crowded: int = 0
    #: Its service is being deleted: what makes its replicas may go at once, they themselves drain.
    leaving: bool = False
    held: bool = False  #: nothing of this rollout is started: what runs of it runs on
    frozen: bool = False  #: a quota has no room for this rollout: the older ones serve on
    #: By which a runtime may follow the load itself, if it can: the count is then its own.
    scaler: "AutoScaler | None" = None


def rollout(version: int, epoch: int) -> str:
    """The rollout's name of a service's version and restart counter."""
    return f"{version}.{epoch}"


def version_of(rollout_name: str) -> int:
    """The number of the version that a rollout is of."""
    return int(rollout_name.partition(".")[0])
