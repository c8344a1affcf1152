"""The feed keeps the route table current: from the file at the start, from the hub ever after.

News may get lost, come twice, late, in part or not at all. So every answer is a whole table or the word
that it is the same; one that does not come in time is asked for again on another connection; an older
table never replaces a newer one of the same hub; and now and then all is asked for without a reason.
"""

import asyncio
from collections import deque
from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from pierhead.core.errors import Unavailable
from pierhead.core.routes import RouteTable
from pierhead.gateway.hub import Hub
from pierhead.gateway.sealing import Seal
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.table import LiveTable, read_table, set_aside, write_table

_PAUSE_FIRST, _PAUSE_LONGEST = 0.05, 1.0  #: seconds between tries while the hub is away
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
        self._file, self._hub, self._live = settings.table_file, hub, live
        self._every = settings.relist_seconds
        self._seal = Seal(settings.internal_key)
        self._log, self._now = log, now
        self._unsaved: RouteTable | None = None
        self._hub_was_there = True
        #: Revision the hub is known to share; -1 = send all: a hub that came back may count anew.
        self._shared = -1
        self._listed = now()  # when all was asked for
        self._refused: float | None = None  # since when only older tables come
        self._past: deque[int] = deque(maxlen=_REMEMBERED)  # origins of hubs that others followed

    def load(self) -> None:
        """Serves by the last table on disk, if there is one; a broken file is set aside."""
        try:
            found = read_table(self._file, self._seal)
        except (ValueError, OSError) as error:
            self._log.error("route table file is broken", file=str(self._file), error=str(error))
            self._set_aside()
            return
        if found:
            table, sealed = found
            self._live.swap(table)
            if not sealed:  # of a release that kept it in plain text
                self._write(table)

    async def follow(self) -> None:
        """Takes over every new table. Never ends by itself."""
        pause = _PAUSE_FIRST
        while True:
            asked = self._now()
            try:
                news = await self._next()
            except Unavailable as error:
                self._note_hub(str(error))
                await asyncio.sleep(pause)
                pause = min(pause * 2, _PAUSE_LONGEST)
                continue
            pause = _PAUSE_FIRST
            if not news:
                await asyncio.sleep(max(0.0, asked + _SAME_AGAIN - self._now()))

    async def _next(self) -> bool:
        asked, due = self._now(), self._now() - self._listed >= self._every
        table = await self._hub.table_after(-1 if due else self._shared)
        self._note_hub("")
        if table is not None and self._is_older(table):
            return False
        self._refused = None
        if table is not None:
            self._shared, self._listed = table.revision, asked
        news = table is not None and table != self._current()
        if table is not None and news:
            self._take(table)
        if self._unsaved is not None:
            await self._save(self._unsaved)
        return news

    def _take(self, table: RouteTable) -> None:
        current = self._current()
        if current is not None and current.origin not in {0, table.origin}:
            self._past.append(current.origin)
        self._live.swap(table)
        self._unsaved = table

    def _is_older(self, table: RouteTable) -> bool:
        """Was it made before the one in force? If all answers say the same for long, it counts as newer.

        A hub's numbers only grow. Those of its successor may be lower, where the clock was set back,
        so what is told apart is who made it.
        """
        current = self._current()
        if current is None:
            return False
        if table.origin == current.origin:
            anew = not table.origin and self._shared < 0  # of a release that did not tell it
            older = table.revision < current.revision and not anew
        else:
            older = table.origin in self._past
        if not older:
            return False
        if self._refused is None:
            self._refused = self._now()
            revision = table.revision
            self._log.warning("an older route table came; it is not taken", revision=revision)
        return self._now() - self._refused < self._every

    def _current(self) -> RouteTable | None:
        return self._live.served.table if self._live.served else None

    async def _save(self, table: RouteTable) -> None:
        try:
            # Its fsync may take long.
            await asyncio.to_thread(write_table, self._file, table, self._seal)
        except OSError as error:
            # Requests go on; the next answer of the hub tries again.
            self._log.error("route table cannot be saved", file=str(self._file), error=str(error))
        else:
            self._unsaved = None

    def _write(self, table: RouteTable) -> None:
        try:
            write_table(self._file, table, self._seal)
        except OSError as error:
            self._unsaved = table
            self._log.error("route table cannot be saved", file=str(self._file), error=str(error))

    def _set_aside(self) -> None:
        try:
            aside = set_aside(self._file)
            self._log.warning("it was set aside", file=str(aside) if aside else "removed")
        except OSError as error:
            self._log.error("it cannot be set aside", error=str(error))

    def _note_hub(self, trouble: str) -> None:
        if trouble:
            self._shared, self._refused = -1, None
        if trouble and self._hub_was_there:
            self._log.warning("hub is not reachable; serving by the table at hand", error=trouble)
        elif not trouble and not self._hub_was_there:
            self._log.info("hub is reachable again")
        self._hub_was_there = not trouble
