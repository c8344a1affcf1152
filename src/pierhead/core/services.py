"""A service: what somebody wants (`Service`), what was seen of it (`Seen`), never mixed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pierhead.core.causes import Cause
from pierhead.core.moments import utc
from pierhead.core.mounts import Source
from pierhead.core.replicas import ReplicaStatus
from pierhead.core.shares import WHOLE, Share
from pierhead.core.templates import Rolling, Template
from pierhead.core.workloads import rollout

#: Reason of a hold by a file system that does not answer.
HANGS = "StorageHangs"


class Wanted(StrEnum):
    """What the owner wants of the service as a whole."""

    RUNNING = "running"
    STOPPED = "stopped"
    DELETED = "deleted"


class Change(StrEnum):
    """The last thing that was asked; names the transitional status until it is done."""

    CREATE = "create"
    CLONE = "clone"
    UPDATE = "update"
    SCALE = "scale"
    START = "start"
    STOP = "stop"
    RESTART = "restart"
    DELETE = "delete"


@dataclass(frozen=True, slots=True)
class Relaying:
    """How the gateway gives a service's requests to its replicas."""

    #: `prefix`: like prompts go to the same replica; "" = they do not; None = the platform's choice.
    affinity: str | None = None
    repeats: bool = True  #: what one replica did not answer may be asked of another one


@dataclass(frozen=True, slots=True)
class Intake:
    """How many requests a service takes in."""

    queue: int = 64  #: that may wait for each ready replica, beyond those it works on
    rate: int = 0  #: that may begin in a second, at all replicas together; 0 = any number
    #: That a replica works on at once, as its owner says of a program of its own; 0 = it does not say.
    workers: int = 0


@dataclass(frozen=True, slots=True)
class Version:
    """The content of one version of a service; never changed after it was written."""

    number: int
    template: Template
    source: Source | None  #: the service's own weights; None = the template's
    rolling: Rolling = Rolling()
    request_timeout: float | None = None  #: seconds a request may take; None = the platform's limit
    relaying: Relaying = Relaying()
    intake: Intake = Intake()
    #: What the client submitted for this version, word for word (JSON object); it may hold secrets.
    submitted: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)

    @property
    def weights(self) -> Source | None:
        """Where the weights come from, the service's own mount first."""
        return self.source or self.template.source


class Lock(StrEnum):
    """What its owner keeps a service from."""

    NONE = "none"
    DANGEROUS = "dangerous"  #: being stopped or deleted
    ALL = "all"  #: every change, but of the lock itself


@dataclass(frozen=True, slots=True)
class Registration:
    """How a service hangs together with what is registered, and with others; nothing of it touches a replica."""

    title: str = ""  #: display name; "" = the service's name
    description: str | None = None
    template: str = ""  #: uuid of the registered template it was made from, while that exists
    model: str = ""  #: uuid of the model it serves
    zone: str = ""
    kind: str = "Container"  #: `Container` or `VirtualMachine`, as the deployment said
    type: str = "Endpoint"  #: the template's type when it was deployed
    yaml: str = ""  #: effective YAML of the snapshot
    runtime: str = ""  #: `ai::runtime`, "" = the platform's choice
    open: bool = False  #: `ai::auth::none`: its endpoint asks for no token
    datasets: tuple[str, ...] = ()  #: uuids
    needs: tuple[str, ...] = ()  #: ids of services that must run before it starts
    share: Share = WHOLE  #: in the traffic of its group
    lock: Lock = Lock.NONE


@dataclass(frozen=True, slots=True)
class Service:
    """Wanted state. Every change raises `revision`, which also guards the write."""

    id: str  #: 32 lower-case hex digits
    name: str
    account: str
    caller: str  #: principal that created it
    origin: str  #: which door and form: `eas.app`, `eas.service`
    wanted: Wanted
    change: Change
    replicas: int
    current: Version
    latest: int  #: highest version number
    epoch: int  #: raised by restart
    revision: int
    token: str = field(repr=False)  #: what opens its endpoint; "" = it cannot be opened
    created: float
    updated: float
    workspace: str = ""
    quota: str = ""
    group: str = ""
    labels: Mapping[str, str] = field(default_factory=dict[str, str])
    registration: Registration = Registration()

    @property
    def rollout(self) -> str:
        """Name of what should run now; see workloads.Workload."""
        return rollout(self.current.number, self.epoch)

    @property
    def wanted_replicas(self) -> int:
        """Replicas that should run now."""
        return self.replicas if self.wanted is Wanted.RUNNING else 0

    @property
    def full_name(self) -> str:
        """`<group>.<name>` inside a group, else the name."""
        return f"{self.group}.{self.name}" if self.group else self.name


@dataclass(frozen=True, slots=True)
class Hold:
    """Why no (further) replica is being started; `permanent` = not without somebody's doing."""

    reason: str  #: one word
    message: str  #: what is missing and what to do about it
    permanent: bool = False
    progressing: bool = False  #: it goes on by itself, at its own pace: no deadline counts
    placement: bool = False  #: no machine has what a replica needs
    stage: str = ""  #: a word for how far it is; another one is an event, unlike another message
    #: What is behind the message, by name, as people read it: `{"needed": "12.0 GiB"}`.
    facts: Mapping[str, str] = field(default_factory=dict[str, str])
    bytes: int = 0  #: that are to be fetched or converted; 0 = not known
    done: int = 0  #: of these, those that are
    since: float = 0.0  #: when it was first held for this reason, epoch seconds; 0 = not known
    #: Of a quota: (since when, up to how many replicas) it wants; asked in steps, it waits in steps.
    asked: tuple[tuple[float, int], ...] = ()

    @property
    def cause(self) -> Cause:
        """Why it is held, and since when unless it goes on."""
        if self.progressing or not self.since:
            return Cause(self.reason, self.message, self.facts)
        since = utc(self.since)
        # Whoever mends a mount asks first when it stopped.
        message = f"{self.message} Since {since}." if self.reason == HANGS else self.message
        return Cause(self.reason, message, {**self.facts, "since": since})


@dataclass(frozen=True, slots=True)
class Seen:
    """What the reconciler last saw of a service; written only by it."""

    revision: int = 0  #: revision of the wanted state that this answers
    settled: int = 0  #: highest revision that was wholly reached
    since: float = 0.0  #: when `revision` was first seen
    hold: Hold | None = None
    replicas: tuple[ReplicaStatus, ...] = ()
    failed_roll: bool = False  #: the newest version did not come up; the old one serves on
    served: bool = False  #: at least one replica was ready since the last start
    broken: str = ""  #: why removal does not come to an end
    granted: int = 0  #: replicas that it may have by its quotas, also while one is being replaced

    def of(self, rollout_name: str) -> tuple[ReplicaStatus, ...]:
        """Replicas of one rollout."""
        return tuple(replica for replica in self.replicas if replica.rollout == rollout_name)


UNSEEN = Seen()
