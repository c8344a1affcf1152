"""What only the process knows that runs the hub: its settings, its disk, what its machine could serve.

Bootstrap fills it in. Without it (a verb of the command line, a test) everything here is unavailable.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from pierhead.core.errors import Unavailable
from pierhead.core.principals import Principal
from pierhead.core.services import Seen, Service
from pierhead.setting_values import Explained


@dataclass(frozen=True, slots=True)
class Kept:
    """One snapshot of the cache."""

    id: str
    name: str  #: where it came from
    bytes: int  #: on the disk
    state: str  #: `whole`, `fetching` or `unfinished`
    done: int = 0  #: of `total` bytes, while it is being fetched
    total: int = 0  #: 0 = not known
    used: float = 0.0  #: epoch seconds of the last use
    users: tuple[str, ...] = ()  #: what services name, and it is kept for
    converted: bool = False  #: made here of other files


@dataclass(frozen=True, slots=True)
class Disk:
    """The file system on which the cache lies."""

    folder: str
    total: int  #: bytes
    free: int  #: bytes
    limit: int  #: bytes that the cache may take; 0 = as many as there are
    keep_free: int  #: bytes that are to stay free


@dataclass(frozen=True, slots=True)
class FitAnswer:
    """Would a service be started here? All sizes are bytes; None = it cannot be told."""

    service: str
    template: str
    replicas: int
    fits: bool | None
    reason: str  #: one word; "" = it fits, or nothing speaks against it
    message: str
    engine: str = ""
    why: str = ""  #: this engine
    conversion: str = ""
    precision_wanted: str = ""
    precision_found: str = ""
    guessed: bool = False  #: by the figures of its family, since the weights cannot be seen
    context: int = 0  #: tokens of a request
    slots: int = 0  #: requests at once
    weights: int | None = None
    kv_cache: int | None = None
    compute: int | None = None
    overhead: int | None = None
    needed: int | None = None  #: all of these, of one replica
    limit: int | None = None  #: that its template sets
    total: int | None = None  #: that the machine has for a replica
    free: int | None = None  #: of these, now
    node: str = ""
    replicas_now: int = 0  #: how many would fit into what is free
    largest_context: int = 0
    most_slots: int = 0


@dataclass(frozen=True, slots=True)
class ExportWish:
    """How a service shall be written down for elsewhere; "" = as this hub's settings say."""

    namespace: str = ""
    image: str = ""  #: with Pierhead in it
    secrets: bool = False  #: with its secrets' values, not with what stands for them


@dataclass(frozen=True, slots=True)
class Exported:
    """A service as objects of another system, as text."""

    text: str
    warnings: tuple[str, ...] = ()  #: what it does not have there, and what is to be filled in


def _unknown(*_asked: Any, **_more: Any) -> NoReturn:
    raise Unavailable("The hub's own machine", "this process does not run on it")


@dataclass(frozen=True, slots=True)
class Premises:
    """Each may raise Unavailable; those that are awaited ask a disk, in a thread."""

    version: str = ""
    settings: Callable[[], Sequence[Explained]] = _unknown
    disk: Callable[[], Awaitable[Disk]] = _unknown
    cache: Callable[[], Awaitable[Sequence[Kept]]] = _unknown
    #: (bytes that may stay, only say what would go) -> what went
    prune: Callable[[int, bool], Awaitable[Sequence[Kept]]] = _unknown
    #: (who asks, a service's document, workspace); raises what CreateService would of a bad document.
    fit: Callable[[Principal, str, str], Awaitable[FitAnswer]] = _unknown
    #: (who asks, a service and what was seen of it, how): its manifests for Kubernetes.
    export: Callable[[Principal, Service, Seen, ExportWish], Awaitable[Exported]] = _unknown


NOWHERE = Premises()
