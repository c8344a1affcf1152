"""Writes the audit trail: doors note what was done, one task writes it down in batches.

A change and its entry are not one transaction: an entry is in a file before the call is answered, and
in the database within a second. Refusals that repeat are counted, so that nobody can fill the disk:
of the same refusal ten a minute are told one by one, the rest as a number.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from pierhead import telemetry
from pierhead.core.audit import PLATFORM, Act, Entry, Mark, Source, detail_text, entry
from pierhead.core.errors import Invalid, Unavailable
from pierhead.core.ids import Clock
from pierhead.core.principals import Principal
from pierhead.operations.audit_spool import Spool
from pierhead.operations.platform import Platform
from pierhead.store import audit as rows
from pierhead.store.db import Database

log = telemetry.logger("pierhead.audit")

DAY = 86400.0
_BATCH = 500  #: entries of one transaction
_AFTER_FAILURE = 1.0  #: seconds
_WINDOW, _TOLD = 60.0, 10  #: seconds, and how many equal refusals are told in them
_KINDS = 1024  #: of refusals that are counted apart
_PRUNE = 3600.0  #: seconds between two looks for old entries
_LAST_WORDS = 5.0  #: seconds that the last entries get when the hub ends


@dataclass(frozen=True, slots=True)
class Options:
    """What an operator may choose."""

    spool: Path  #: file of entries on their way
    reads: bool = False  #: write down what only looked, too
    days: float = 365.0  #: that entries are kept; 0 = for ever
    most: int = 10_000  #: entries in memory while the database is away; more are counted as lost
    linger: float = 1.0  #: seconds to wait for more: a transaction costs as much as forty entries


@dataclass(slots=True)
class _Repeated:
    """The same refusal, again and again."""

    since: float  #: on the monotonic clock
    told: int = 1
    held: int = 0  #: not told
    last: Entry | None = None


@dataclass(slots=True)
class Audit:
    """One hub's. `note` is for the loop's thread."""

    db: Database
    key: bytes
    clock: Clock
    options: Options
    #: Is called with the chain's end after each batch.
    written: Callable[[Mark], None] = lambda _mark: None
    timer: Callable[[], float] = time.monotonic
    lost: int = 0  #: entries that nobody could keep, since the last one that says so
    _waiting: deque[Entry] = field(default_factory=deque[Entry])
    _repeated: dict[tuple[str, ...], _Repeated] = field(
        default_factory=dict[tuple[str, ...], _Repeated]
    )
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _spool: Spool = field(init=False)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])
    _flushing: asyncio.Lock = field(default_factory=asyncio.Lock)
    _end: asyncio.Event = field(default_factory=asyncio.Event)  #: the hub ends

    def __post_init__(self) -> None:
        self._spool = Spool(self.options.spool)

    # ---- noting

    def act(self, act: Act, who: Principal | None, source: Source) -> None:
        """Something was done, or tried, through a door."""
        self.note(entry(act, who, source, self.clock()))

    def note(self, one: Entry) -> None:
        """Write an entry down soon. Costs microseconds, and never fails."""
        if one.outcome != "Success" and self._is_repeated(one):
            return
        self._keep(one)

    def _keep(self, one: Entry) -> None:
        if len(self._waiting) >= self.options.most:
            self.lost += 1
            return
        self._waiting.append(one)
        self._spool.add(one)
        self._wake.set()

    def _is_repeated(self, one: Entry) -> bool:
        """True if enough of its kind were told in this minute; then it is counted."""
        kind = (one.actor, one.source_ip, one.door, one.action, one.code)
        known = self._repeated.get(kind)
        if known is None and len(self._repeated) >= _KINDS:
            kind = ("", "", one.door, "", one.code)
            known = self._repeated.get(kind)
        now = self.timer()
        if known is None or now - known.since >= _WINDOW:
            self._tell_repeated(known)
            self._repeated[kind] = _Repeated(now)
            return False
        if known.told < _TOLD:
            known.told += 1
            return False
        known.held += 1
        known.last = one
        self._wake.set()
        return True

    def _tell_repeated(self, known: _Repeated | None) -> None:
        if known is None or known.last is None:
            return
        detail = detail_text({"repeated": known.held, "like": known.last.request_id})
        self._keep(replace(known.last, detail=detail))

    def _sweep(self, *, all_of_them: bool = False) -> None:
        now = self.timer()
        for kind, known in list(self._repeated.items()):
            if all_of_them or now - known.since >= _WINDOW:
                self._tell_repeated(self._repeated.pop(kind))

    # ---- writing

    async def start(self) -> None:
        """Take up what a former hub left, and begin to write.

        Raises:
            Unavailable: the database does not answer.
        """
        left = self._spool.open()
        if left:
            known = {_same(one) for one in await self.db.read(rows.recent, len(left) + _BATCH)}
            self._waiting.extendleft(reversed([one for one in left if _same(one) not in known]))
            log.info("audit entries of a former hub", entries=len(self._waiting))
            self._wake.set()
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._prune())]

    async def close(self) -> None:
        """Write what is left; what the database does not take now, the next hub's start brings."""
        if self._tasks:
            writing, pruning = self._tasks
            pruning.cancel()
            self._sweep(all_of_them=True)
            self._end.set()
            self._wake.set()
            done, _ = await asyncio.wait({writing}, timeout=_LAST_WORDS)
            if not done:
                writing.cancel()
            await asyncio.gather(writing, pruning, return_exceptions=True)
        self._spool.close(self._waiting)

    async def flush(self) -> None:
        """Write what waits.

        Raises:
            Unavailable: the database does not answer; nothing is lost by that.
        """
        async with self._flushing:
            await self._flush()

    async def _flush(self) -> None:
        while self._waiting or self.lost:
            batch = list(islice(self._waiting, _BATCH))
            lost = self.lost
            try:
                end = await self.db.write(rows.append, self.key, [*batch, *self._loss(lost)])
            except Invalid:  # can be no more than our own mistake; the trail has to go on
                log.exception("audit entries cannot be stored", entries=len(batch))
                self.lost += len(batch)
            else:
                self.lost -= lost
                self.written(end)
            for _ in batch:
                self._waiting.popleft()
            self._spool.keep(self._waiting)

    def _loss(self, count: int) -> list[Entry]:
        """The entry that says how many are missing."""
        if not count:
            return []
        act = Act(PLATFORM, "pierhead:LoseAuditEntries", (), "OK", detail={"lost": count})
        return [replace(entry(act, None, Source(), self.clock()), actor=PLATFORM)]

    async def _write(self) -> None:
        failing = False
        while not (self._end.is_set() and not self._waiting and not self.lost):
            with suppress(TimeoutError):
                async with asyncio.timeout(_WINDOW if self._repeated else None):
                    await self._wake.wait()
            await self._pause(_AFTER_FAILURE if failing else self.options.linger)
            self._wake.clear()
            self._sweep()
            try:
                await self.flush()
            except Exception as error:  # whatever it is, the trail goes on when it is over
                if not isinstance(error, Unavailable):
                    log.exception("audit entries cannot be written", entries=len(self._waiting))
                elif not failing:
                    log.warning("audit entries wait", entries=len(self._waiting), error=str(error))
                failing = True
                if self._end.is_set():
                    return
                self._wake.set()
            else:
                failing = False

    async def _pause(self, seconds: float) -> None:
        """Wait, but not longer than the hub lives."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._end.wait()

    async def _prune(self) -> None:
        while True:
            if self.options.days > 0:
                try:
                    await self.prune(self.clock() - self.options.days * DAY)
                except Exception as error:  # the next round removes what this one left
                    if not isinstance(error, Unavailable):
                        log.exception("old audit entries cannot be removed")
            await asyncio.sleep(_PRUNE)

    async def prune(self, before: float) -> int:
        """Forget entries older than `before`; how many. That is an entry of its own.

        Raises:
            Unavailable: the database does not answer.
        """
        gone = 0
        while found := await self.db.write(rows.forget, self.key, before):
            gone += found
        if gone:
            act = Act(PLATFORM, "pierhead:PruneAuditEntries", (), "OK", detail={"entries": gone})
            self._keep(replace(entry(act, None, Source(), self.clock()), actor=PLATFORM))
        return gone


def _same(one: Entry) -> tuple[object, ...]:
    """What tells whether an entry of the file is in the database already."""
    return one.at, one.action, one.resource, one.actor, one.request_id, one.outcome, one.detail


async def page(platform: Platform, query: rows.AuditQuery) -> list[Entry]:
    """Entries that meet a query.

    Raises:
        Unavailable: the database does not answer.
    """
    return await platform.db.read(rows.page, query)
