"""The feed keeps the route table current: from the file at the start, from the hub ever after.

News may get lost, come twice, late, in part or not at all. So an answer is a whole table, what changed
since the one that is served and no other, or the word that it is the same; one that does not come in
time is asked for again on another connection; an older table never replaces a newer one of the same hub;
and now and then all is asked for without a reason.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from structlog.typing import FilteringBoundLogger

from pierhead.core.errors import Unavailable
from pierhead.core.route_news import News
from pierhead.core.routes import RouteTable
from pierhead.gateway.draft import drafting
from pierhead.gateway.hub import Absent, Hub
from pierhead.gateway.sealing import Seal
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.slices import at_once, in_slices
from pierhead.gateway.table import LiveTable
from pierhead.gateway.table_file import TableFile

_PAUSE_FIRST, _PAUSE_LONGEST = 0.05, 1.0  #: seconds between tries while the hub is away
_BOTH_START = 5.0  #: seconds in which a hub that was never seen may still be starting
_REMEMBERED = 100  #: earlier hubs whose tables are known to be old
_SAME_AGAIN = 0.2  #: least seconds between two answers without news: a hub that does not wait


class Feed:
    """Follows the hub; whatever happens there, the gateway serves on by the table it has."""

    def __init__(
        self,
        settings: GatewaySettings,
        hub: Hub,
        live: LiveTable,
        log: FilteringBoundLogger,
        now: Callable[[], float],
    ) -> None:
        self._file = TableFile(settings.table_file, Seal(settings.internal_key), log, now)
        self._hub, self._live = hub, live
        self._every = settings.relist_seconds
        self._log, self._now = log, now
        self._hub_was_there = True
        #: Until then nobody is told that there is no hub; 0 = it was there.
        self._patient_until = now() + _BOTH_START
        #: Revision the hub is known to share; -1 = send all: a hub that came back may count anew.
        self._shared = -1
        self._listed = now()  # when all was asked for
        self._refused: float | None = None  # since when only older tables come
        self._past: deque[int] = deque(maxlen=_REMEMBERED)  # origins of hubs that others followed

    def load(self) -> None:
        """Serves by the last table on disk, if there is one; a broken file is set aside."""
        found = self._file.load()
        if found is None:
            return
        news, sealed = found
        self._live.take(*at_once(drafting(None, news)))
        if not sealed and self._live.served:  # of a release that kept it in plain text
            self._file.keep_now(self._live.served)

    async def catch_up(self, seconds: float) -> None:
        """Asks the hub once: what is on disk may be a moment old. Not there in time, the file must do."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                try:
                    await self._next()
                except Unavailable as error:
                    self._note_trouble(error)

    async def follow(self) -> None:
        """Takes over every new table, and keeps it on disk. Never ends by itself."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._file.always())
            await self._follow()

    async def _follow(self) -> None:
        pause = _PAUSE_FIRST
        while True:
            asked = self._now()
            try:
                news = await self._next()
            except Unavailable as error:
                self._note_trouble(error)
                await asyncio.sleep(pause)
                pause = min(pause * 2, _PAUSE_LONGEST)
                continue
            pause = _PAUSE_FIRST
            if not news:
                await asyncio.sleep(max(0.0, asked + _SAME_AGAIN - self._now()))

    async def _next(self) -> bool:
        """Asks once; False if there was nothing new in the answer."""
        asked, due = self._now(), self._now() - self._listed >= self._every
        current = self._current()
        after = -1 if due or current is None else self._shared
        origin = current.origin if current else 0
        news = await self._hub.news_after(after, origin, self._known)
        self._note_answer()
        if news is None:
            return False
        if news.base is not None:
            return await self._take_change(news, after)
        if self._is_older(news):
            return False
        self._refused = None
        self._shared, self._listed = news.revision, asked
        # Where all was asked for, an answer that tells nothing new is none that came too soon.
        return await self._take(news) or after < 0

    async def _take_change(self, news: News, after: int) -> bool:
        current = self._current()
        if current is None or after < 0:
            raise Unavailable("the hub", "it told a change where all was asked for")
        if (news.base, news.origin) != (current.revision, current.origin) or after != news.base:
            self._shared = -1  # of another table than ours: all is asked for
            return True
        if news.revision <= current.revision:
            self._shared = -1
            return False
        await self._take(news)
        self._shared, self._refused = news.revision, None
        return True

    async def _take(self, news: News) -> bool:
        """Serves by it; False if it is what is served already. Nobody else changes what is served."""
        current = self._current()
        served, change = await in_slices(drafting(self._live.served, news))
        table = served.table
        if current is not None and not change.services and _same(current, table):
            return False
        if current is not None and current.origin not in {0, table.origin}:
            self._past.append(current.origin)
        self._live.take(served, change)
        self._file.keep(served)
        return True

    def _known(self) -> dict[bytes, str]:
        served = self._live.served
        return {line: service for service, line in served.lines.items()} if served else {}

    def _is_older(self, news: News) -> bool:
        """Was it made before the one in force? If all answers say the same for long, it counts as newer.

        A hub's numbers only grow. Those of its successor may be lower, where the clock was set back,
        so what is told apart is who made it.
        """
        current = self._current()
        if current is None:
            return False
        if news.origin == current.origin:
            anew = not news.origin and self._shared < 0  # of a release that did not tell it
            older = news.revision < current.revision and not anew
        else:
            older = news.origin in self._past
        if not older:
            return False
        if self._refused is None:
            self._refused = self._now()
            self._log.warning("an older route table came; it is not taken", revision=news.revision)
        return self._now() - self._refused < self._every

    def _current(self) -> RouteTable | None:
        return self._live.served.table if self._live.served else None

    def _note_trouble(self, error: Unavailable) -> None:
        self._shared, self._refused = -1, None
        if isinstance(error, Absent) and self._now() < self._patient_until:
            return
        if self._hub_was_there:
            self._log.warning(
                "hub is not reachable; serving by the table at hand", error=str(error)
            )
        self._hub_was_there = False

    def _note_answer(self) -> None:
        self._patient_until = 0.0
        if not self._hub_was_there:
            self._log.info("hub is reachable again")
        self._hub_was_there = True


def _same(one: RouteTable, other: RouteTable) -> bool:
    """Do two tables with the same routes differ in nothing else?"""
    return (one.revision, one.origin, one.draining) == (
        other.revision,
        other.origin,
        other.draining,
    )
