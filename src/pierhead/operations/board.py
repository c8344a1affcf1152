"""All services at a glance, renewed every second as long as somebody looks: one look for all who do."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import structlog

from pierhead.core.errors import Throttled, Unavailable
from pierhead.core.names import ID_DIGITS
from pierhead.core.permits import Deed, Target
from pierhead.core.registry import ResourceType
from pierhead.core.replicas import ReplicaState
from pierhead.core.services import Seen, Service
from pierhead.core.status import verdict
from pierhead.core.traffic import Traffic
from pierhead.core.twins import LIST, LOOK, LOOK_AT_GROUPS
from pierhead.operations.platform import Platform
from pierhead.operations.services import GROUP
from pierhead.store import services as rows

log: structlog.stdlib.BoundLogger = structlog.get_logger("pierhead.board")

#: Seconds between two looks, which are one read of the database each.
APART = 1.0
#: How many may look at once, all together and in one name.
MOST, EACH = 200, 20
#: Seconds after which somebody who was one too many may try again.
_RETRY = 10.0

_LIST = "pierhead:ListServiceTraffic"
_SHOWN_BY = (_LIST, LIST, LOOK, LOOK_AT_GROUPS)


@dataclass(frozen=True, slots=True)
class Row:
    """One service as a list shows it. Two that show the same are equal."""

    service: Service = field(compare=False, repr=False)  #: for the question who may see it
    name: str
    id: str  #: as EAS has it
    status: str
    reason: str
    message: str
    ready: int
    wanted: int
    spec: str
    app_type: str
    model: str
    workspace: str
    created: float  #: epoch seconds
    updated: float  #: epoch seconds
    source: str  #: which door it came by: `eas`, `zstack`
    labels: Mapping[str, str]
    qps: float  #: requests that ended, per second
    errors: float  #: of these, per second
    p95: float | None  #: seconds of a request
    ttft: float | None  #: median, seconds
    tokens: float  #: written, per second
    queued: int
    held: int


class Board:
    """The rows, at a revision that counts up with every change."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._rows: Mapping[str, Row] = {}
        self._revision = self._looks = 0
        self._changed = asyncio.Event()
        self._watchers = Counter[str]()
        self._task: asyncio.Task[None] | None = None
        self._ended = False

    @property
    def revision(self) -> int:
        """Of the rows as they are; 0 = nobody has looked yet."""
        return self._revision

    @property
    def rows(self) -> Mapping[str, Row]:
        """By service id; of nobody's permission. Never changed: news are another mapping."""
        return self._rows

    @property
    def ended(self) -> bool:
        """Is the hub about to stop?"""
        return self._ended

    @property
    def watchers(self) -> int:
        """How many look."""
        return self._watchers.total()

    @property
    def now(self) -> float:
        """Epoch seconds."""
        return self._platform.clock()

    @property
    def region(self) -> str:
        """Of all services."""
        return self._platform.region

    def enter(self, who: str) -> None:
        """One more looks, in the name of the principal `who`; each call needs a `leave`.

        Raises:
            Throttled: too many do.
        """
        if self._watchers.total() >= MOST or self._watchers[who] >= EACH:
            raise Throttled(f"{self._watchers[who]} pages of yours are open already", _RETRY)
        self._watchers[who] += 1
        if self._task is None:
            self._task = asyncio.create_task(self._renew(), name="board")

    def leave(self, who: str) -> None:
        """One less; when nobody is left, nothing is asked or remembered any more."""
        self._watchers[who] -= 1
        self._watchers += Counter()  # drops those at zero
        if not self._watchers and self._task is not None:
            self._task.cancel()
            self._task, self._rows, self._revision = None, {}, 0

    async def news(self, revision: int, seconds: float) -> None:
        """Return when the rows are not those of `revision` any more, at the end, or after `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while not self._ended and self._revision in {0, revision}:
                    await self._changed.wait()

    def end(self) -> None:
        """Let all go who look: the hub stops."""
        self._ended = True
        self._ring()

    async def look(self) -> None:
        """Find out how it is now.

        Raises:
            Unavailable: the database does not answer.
        """
        platform = self._platform
        known = await platform.db.read(rows.everything)
        traffic, now = platform.traffic(), platform.clock()
        found = {service.id: _row(service, seen, traffic, now) for service, seen in known}
        if found != self._rows or not self._revision:
            self._looks += 1
            self._rows, self._revision = found, self._looks
            self._ring()

    async def _renew(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            try:
                await self.look()
            except Unavailable:
                pass  # what is shown stays until it answers again
            except Exception:  # any class: one fault must not leave everybody with what was
                log.exception("the services could not be looked at; it is tried again")
            await asyncio.sleep(max(APART / 2, began + APART - loop.time()))

    def _ring(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


def deed(circumstances: Mapping[str, str]) -> Deed:
    """What looking at the board is, for policies: whoever may list or see some service may look."""
    groups = ("zstack", f"{ResourceType.GROUP}/*")
    target = Target(("eas", "service/*"), (groups,), lists=_SHOWN_BY)
    return Deed((_LIST, LIST), (target,), circumstances)


def _row(service: Service, seen: Seen, traffic: Traffic, now: float) -> Row:
    judged = verdict(service, seen, now)
    figures = traffic.of(service.id, (one.id for one in seen.replicas))
    version = service.current
    submitted = version.submitted
    return Row(
        service=service,
        name=service.name,
        id=f"eas-m-{service.id[:ID_DIGITS]}",
        status=str(judged.status),
        reason=judged.reason,
        message=judged.message,
        ready=sum(one.state is ReplicaState.READY for one in seen.replicas),
        wanted=service.wanted_replicas,
        spec=str(submitted.get("ServiceSpec") or version.template.name),
        app_type=str(submitted.get("AppType") or ""),
        model=str(version.weights or version.template.family or ""),
        workspace=service.workspace,
        created=service.created,
        updated=service.updated,
        source="zstack" if service.origin == GROUP else "eas",
        labels=service.labels,
        qps=round(figures.requests, 3),
        errors=round(figures.errors, 3),
        p95=_rounded(figures.seconds_at(0.95)),
        ttft=_rounded(figures.ttft_at(0.5)),
        tokens=round(figures.tokens, 3),
        queued=figures.queued,
        held=figures.held,
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)
