"""What requests have to observe at a service, and why one of them does not go on. Pure."""

from dataclasses import dataclass
from enum import Enum, StrEnum, auto


class Why(StrEnum):
    """What a request was refused for."""

    FULL = "queue_full"  #: every waiting place is taken, by others that have no more than a share
    LATE = "queue_timeout"  #: it waited as long as one may
    CONCURRENCY = "concurrency"  #: its token has as many at work as it may have; its own limit


class Way(Enum):
    """How a request comes to the queue of its service."""

    USUAL = auto()
    RELEASED = auto()  #: it was held: it waits even where every waiting place is taken
    BESIDE = auto()  #: it takes no slot, and only counts for its token


@dataclass(frozen=True, slots=True)
class Rejection:
    """A request that does not go on."""

    why: Why
    value: float  #: the limit: waiting places, seconds, or requests at the same time
    wait: float  #: seconds until another try is worth while, as far as one can tell


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a request of one token has to observe at one service. Compared by identity first: keep them."""

    slots: int | None = None  #: requests that the service works on at once; None = any number
    queue: int = 64  #: how many may wait, of all tokens
    seconds: float = 60.0  #: how long one may wait
    concurrency: int | None = None  #: requests of this token at work; None = any number
