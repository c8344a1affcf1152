"""Looks at the files behind what is registered, in the background, and copies those of clones.

Disks are touched in threads of their own: one that hangs delays what lies on it, and nothing else.
What is read is written into the row as it is by then; a row that has gone, or points elsewhere by
then, is left alone.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import structlog

from pierhead.core.errors import Unavailable
from pierhead.operations import paths
from pierhead.reconciler import findings
from pierhead.reconciler.aside import Aside, Busy
from pierhead.reconciler.file_tasks import BUSY_SECONDS, FileTasks
from pierhead.reconciler.findings import Finding, Place, Probe
from pierhead.reconciler.queue import KeyedQueue
from pierhead.sources.measure import Room, measure, room
from pierhead.store import centers, facts
from pierhead.store.db import Database

log: structlog.stdlib.BoundLogger = structlog.get_logger("survey")

#: Seconds a root may take to answer before it counts as not connected.
PROBE_SECONDS = 5.0
#: Of the time so much is spent, at most, on measuring what was measured before.
SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Pace:
    """How often it looks without being asked, in seconds."""

    centers: float = 60.0


@dataclass(slots=True)
class _Round:
    """What is to be measured next in one center, and when all of it is due again."""

    waiting: dict[str, Place] = field(default_factory=dict[str, Place])
    due: float = 0.0


class Survey:
    """Keeps sizes, READMEs, capacities and connections of what is registered up to date."""

    def __init__(
        self, db: Database, *, cache: Path | None = None, pace: Pace | None = None
    ) -> None:
        self._db = db
        self._cache = cache  #: fetched weights: what the default center's cache capacity counts
        self._pace = pace or Pace()
        self._aside = Aside()
        self._files = FileTasks(db, self._aside, self.wake)
        self._named: set[str] = set()  # to be measured; in which center is not known yet
        self._rounds: dict[str, _Round] = {}
        self._queue = KeyedQueue(self._look, _failed)

    def wake(self, key: str) -> None:
        """Look soon at `center:U`, `model:U`, `template:U`, `dataset:U`; do `copy:U`, `discard:U`.

        Rows that are named in quick succession are read together.
        """
        kind, _, uuid = key.partition(":")
        if kind in findings.KINDS:
            self._named.add(uuid)
            self._queue.wake("named:")
        else:
            self._queue.wake(key)

    async def start(self) -> None:
        """Look at every center, and go on with what a restart cut short.

        Raises:
            Unavailable: the database does not answer.
        """
        self._queue.start()
        for center in await self._db.read(findings.all_centers):
            self._queue.wake(f"center:{center}")
        for prefix in ("copy:", "discard:"):
            for key in await self._db.read(facts.under, prefix):
                self._queue.wake(key)

    async def close(self) -> None:
        """End all work; a thread ends by itself at its next step."""
        self._aside.stop()
        await self._queue.close()

    def progress(self, template: str) -> int | None:
        """Bytes copied so far for a clone; None when nothing is being copied."""
        return self._files.progress.get(template)

    async def _look(self, key: str) -> float | None:
        kind, _, uuid = key.partition(":")
        looks = {
            "center": self._probe,
            "named": self._sort,
            "files": self._measure,
            "copy": self._files.copy,
            "discard": self._files.discard,
        }
        return await looks[kind](uuid)

    async def _probe(self, uuid: str) -> float | None:
        """Is a center's root there, and how much room does it have?"""
        center = await self._db.read(centers.load, uuid)
        if center is None:
            self._rounds.pop(uuid, None)
            return None
        root = paths.root(center)
        if root is None:  # another machine's: nothing here can tell
            probe = Probe(center.url, connected=True)
        else:
            probe = await self._look_at(uuid, center.url, root, default=center.default)
        await self._db.write(findings.save_probe, uuid, probe)
        await self._all_again(uuid)
        return self._pace.centers

    async def _look_at(self, uuid: str, url: str, root: str, *, default: bool) -> Probe:
        cache = self._cache if default else None

        def work() -> tuple[str, Room | None, int]:
            found = room(Path(root))
            held = measure(cache, self._aside.stopped).size if cache is not None else 0
            return url, found, held

        try:
            # An older look that hung may answer only now: then it tells of the root it looked at.
            looked, found, held = await self._aside.do(f"center:{uuid}", work, PROBE_SECONDS)
        except Busy:
            log.warning("a model center does not answer", center=uuid, root=root)
            return Probe(url, connected=False)
        return Probe(looked, connected=found is not None, room=found, cache=held)

    async def _all_again(self, center: str) -> None:
        """Measure everything in a center again, when that is due."""
        turn = self._rounds.setdefault(center, _Round())
        now = asyncio.get_running_loop().time()
        if now < turn.due:
            return
        began = perf_counter()
        places = await self._db.read(findings.in_center, center)
        turn.due = now + max(self._pace.centers, (perf_counter() - began) / SHARE)
        self._add(places)

    async def _sort(self, _nothing: str) -> float | None:
        """Give those who were named to their centers."""
        wanted, self._named = self._named, set()
        try:
            self._add(await self._db.read(findings.named, wanted))
        except Unavailable:
            self._named |= wanted
            raise
        return None

    def _add(self, places: Sequence[Place]) -> None:
        for place in places:
            self._rounds.setdefault(place.center, _Round()).waiting[place.uuid] = place
        for center in {place.center for place in places}:
            self._queue.wake(f"files:{center}")

    async def _measure(self, center: str) -> float | None:
        """Measure what waits in one center, and write down what is new."""
        turn = self._rounds.setdefault(center, _Round())
        places: list[Place] = []
        if not self._aside.busy(f"files:{center}"):
            places, turn.waiting = list(turn.waiting.values()), {}
        try:
            found, took = await self._aside.do(
                f"files:{center}", lambda: self._measured(places), BUSY_SECONDS
            )
        except Busy:
            return BUSY_SECONDS
        turn.due = max(turn.due, asyncio.get_running_loop().time() + took / SHARE)
        if found:
            await self._db.write(findings.save, found)
        return 0.0 if turn.waiting else None

    def _measured(self, places: Sequence[Place]) -> tuple[list[Finding], float]:
        """In a thread: what is new, and the seconds that it took to find out."""
        began = perf_counter()
        found: list[Finding] = []
        for place in places:
            if self._aside.stopped():
                break
            finding = Finding(place, measure(Path(place.path), self._aside.stopped))
            if finding.new and finding.measured.whole:
                found.append(finding)
        return found, perf_counter() - began


def _failed(key: str, error: Exception) -> None:
    """Tell of a look that failed; the queue tries it again."""
    if isinstance(error, Unavailable):
        log.warning("a look at files has to wait", key=key, error=str(error))
    else:
        log.error("a look at files failed; it is tried again", key=key, exc_info=error)
