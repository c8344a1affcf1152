"""List and watch: a copy, in memory, of the objects of one kind that are ours.

What is heard is a hint only. Every watch ends by itself after a while and everything is listed anew,
so whatever a watch lost, doubled or reordered is mended then at the latest.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol, cast

import structlog

from pierhead.core.errors import PierheadError, Refused, Stale, Unavailable
from pierhead.runtimes.kubernetes.api import Kind, KubeApi, Manifest, Selection

log: structlog.stdlib.BoundLogger = structlog.get_logger("pierhead.kubernetes")

#: Called with what an object was and what it is (None = it was not there, or is gone).
Changed = Callable[[Manifest | None, Manifest | None], None]
_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Pace:
    """How long things take; all in seconds."""

    shortest_watch: int = 240
    longest_watch: int = 300
    first_pause: float = 0.2  #: before it tries again; twice as long with each further time
    #: The longest pause while the server is away: it is short, so that its return is soon noticed.
    away_pause: float = 4.0
    refused_pause: float = 30.0  #: the longest pause while it refuses: that takes a person to mend
    #: A watch that ends by itself sooner than this is no good one.
    good_watch: float = 1.0
    whole_list: float = 300.0  #: between two lists of what services have besides their pods
    doubt: float = 30.0  #: at least, until what seems to be gone is sent once more


class Time(Protocol):
    """Monotonic time, and waiting for it to pass."""

    def now(self) -> float:
        """Seconds since some moment."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class LoopTime:
    """The event loop's own time."""

    def now(self) -> float:
        """Seconds, as the loop counts them."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Beat:
    """When things are done: by which time, how regularly, how often."""

    time: Time
    chance: Random
    pace: Pace = Pace()


class Reflector:
    """Keeps `objects` (uid -> object) as the server has them, as long as `run` runs."""

    def __init__(
        self, api: KubeApi, what: tuple[Kind, Selection], changed: Changed, beat: Beat
    ) -> None:
        self.kind, self.selection = what
        self.objects: Mapping[str, Manifest] = {}
        self.listed = asyncio.Event()  #: set once everything was listed for the first time
        #: Set once it was listed, or the server said that it will not let us.
        self.answered = asyncio.Event()
        self.problem: PierheadError | None = (
            None  #: why it does not know what is now; None = it does
        )
        self._sure_at: float | None = None
        self._api, self._changed, self._time = api, changed, beat.time
        self._chance, self._pace = beat.chance, beat.pace
        self._failures = 0
        self._watching = False
        #: Those that were last told to be gone: an answer about one may come later than that.
        self._gone = deque[str](maxlen=_REMEMBERED)
        #: What was taken up while everything is being listed: the list may be older than that.
        self._noted: dict[str, Manifest] | None = None

    def age(self) -> float | None:
        """Seconds since it last knew for sure what is; None = it never did.

        0 while a watch is open: what changes is told by it.
        """
        if self._sure_at is None:
            return None
        return 0.0 if self._watching else max(0.0, self._time.now() - self._sure_at)

    def note(self, found: Manifest) -> None:
        """Take up what we were told of an object in another way, unless something newer is known."""
        if uid_of(found) not in self._gone and self.listed.is_set():
            self._take(found, gone=False)
            if self._noted is not None:
                self._noted[uid_of(found)] = self.objects[uid_of(found)]

    async def run(self) -> None:
        """List, watch, and start over, until cancelled."""
        while True:
            began = self._time.now()
            try:
                version = await self._list()
                await self._watch(version)
            except Stale:
                pass  # the server forgot what came since: everything is listed anew
            except PierheadError as error:
                await self._wait(error)
                continue
            except Exception as error:  # a bug, ours or a library's: a hub must not go blind by it
                log.exception("the cluster is seen anew", kind=self.kind.plural)
                await self._wait(Unavailable("The Kubernetes cluster", repr(error)))
                continue
            finally:
                self._watching = False
            if self._time.now() - began < self._pace.good_watch:
                await self._wait(None)
            else:
                self._failures = 0

    async def _list(self) -> str:
        noted: dict[str, Manifest] = {}
        self._noted = noted
        try:
            listed = await self._api.list(self.kind, self.selection)
        finally:
            self._noted = None
        fresh = {uid_of(each): without_managers(each) for each in listed.items}
        # What became of these since is told by the watch that follows.
        fresh |= {uid: each for uid, each in noted.items() if _newer(each, listed.version)}
        before, self.objects = self.objects, fresh
        self._sure_at, self.problem = self._time.now(), None
        self.listed.set()
        self.answered.set()
        for uid in before.keys() | fresh.keys():
            old, new = before.get(uid), fresh.get(uid)
            if version_of(old) != version_of(new):
                self._tell(old, new)
        return listed.version

    async def _watch(self, version: str) -> None:
        pace = self._pace
        seconds = self._chance.randint(pace.shortest_watch, pace.longest_watch)
        self._watching = True
        stream = self._api.watch(self.kind, self.selection, version, seconds)
        # An async generator, whatever its type says: it is closed here, not when somebody collects it.
        async with aclosing(cast(Any, stream)):
            async for change in stream:
                self._sure_at = self._time.now()
                self._failures = 0
                if change.type != "BOOKMARK":
                    self._take(change.object, gone=change.type == "DELETED")
        self._sure_at = self._time.now()

    def _take(self, found: Manifest, *, gone: bool) -> None:
        objects = cast("dict[str, Manifest]", self.objects)
        uid = uid_of(found)
        old, new = objects.get(uid), None if gone else without_managers(found)
        if new is not None and old is not None and not _newer(new, version_of(old)):
            return  # an answer told us of it, or of what came after it, before the watch did
        if new is None:
            objects.pop(uid, None)
            self._gone.append(uid)
        else:
            objects[uid] = new
        if old is not None or new is not None:
            self._tell(old, new)

    def _tell(self, old: Manifest | None, new: Manifest | None) -> None:
        try:
            self._changed(old, new)
        except Exception:  # whatever is odd about one object may not cost the sight of the others
            log.exception(
                "a change was not taken up", kind=self.kind.plural, uid=uid_of(new or old or {})
            )

    async def _wait(self, error: PierheadError | None) -> None:
        """A longer pause with each time; never two at the same beat."""
        pace = self._pace
        away = error is None or isinstance(error, Unavailable)
        longest = pace.away_pause if away else pace.refused_pause
        pause = min(pace.first_pause * 2.0 ** min(self._failures, 16), longest)
        self._failures += 1
        if error is not None:
            if self.problem is None:
                log.warning("the cluster is not seen", kind=self.kind.plural, problem=str(error))
            self.problem = error
            if isinstance(error, Refused):
                self.answered.set()
        await self._time.sleep(pause * self._chance.uniform(0.75, 1.25))


def uid_of(found: Mapping[str, Any]) -> str:
    """The uid of an object."""
    return str(found["metadata"]["uid"])


def version_of(found: Mapping[str, Any] | None) -> str:
    """The version of an object; "" of none."""
    return "" if found is None else str(found["metadata"].get("resourceVersion", ""))


def _newer(found: Manifest, version: str) -> bool:
    """Is it newer than a version? Of what cannot be compared, what comes last is the newest."""
    own = version_of(found)
    return not (own.isdigit() and version.isdigit()) or int(own) > int(version)


def without_managers(found: Manifest) -> Manifest:
    """Without the book of who set which field, which is most of an object and nobody reads."""
    meta = {key: each for key, each in found["metadata"].items() if key != "managedFields"}
    return {**found, "metadata": meta}
