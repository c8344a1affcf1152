"""Several hubs on one database: one is active, the others stand by, serve the control plane and follow.

Only where replicas run on a cluster and the database is PostgreSQL: a machine's processes have one hub.
"""

import asyncio
import os
import secrets
import signal
import socket
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from math import inf

from sqlalchemy import Connection, inspect

from pierhead import telemetry
from pierhead.bootstrap.supervisor import CannotStart
from pierhead.core.endpoint_tokens import EndpointToken
from pierhead.core.errors import Unavailable
from pierhead.core.ids import short_id
from pierhead.core.lease import LASTS, MARGIN, Role, may_take
from pierhead.core.services import Service
from pierhead.operations.calling import REGISTERED, SERVICE, TOKENS, Calls, Looks
from pierhead.operations.platform import Platform
from pierhead.reconciler.leadership import Leadership
from pierhead.settings import Settings
from pierhead.store import leases, schema
from pierhead.store.db import Database, connect, run

log = telemetry.logger("pierhead.lease")


def shared(settings: Settings) -> bool:
    """May there be other hubs on this database?"""
    return settings.runtime != "process" and settings.database.startswith("postgresql")


def demand_nobody_active(settings: Settings) -> None:
    """See to it that no hub, on whatever machine, works on the database; meant for what replaces all of it.

    Raises:
        CannotStart: one does.
        Unavailable: the database does not answer.
    """
    if not settings.database.startswith("postgresql") or schema.version(settings.database) is None:
        return
    engine = connect(settings.database, writing=False)
    try:
        if not run(engine, _has_leases):
            return
        found, now = run(engine, leases.look)
        if found is not None and found.expires - now > LASTS:  # the database's clock was set back
            time.sleep(LASTS + MARGIN)  # one that lives renews its lease meanwhile
            if run(engine, leases.look)[0] == found:
                return
    finally:
        engine.dispose()
    if found is not None and not may_take(found, now):
        raise CannotStart(
            f"A hub is active on the database ({found.holder}): stop all hubs, wait "
            f"{LASTS:g} seconds, and try again."
        )


def _has_leases(tx: Connection) -> bool:
    return inspect(tx).has_table("leases")


def _end() -> None:
    signal.raise_signal(signal.SIGTERM)  # whoever keeps the hub starts another


@dataclass(slots=True)
class Turns:
    """Whose turn it is; of a hub that is alone it always is."""

    leadership: Leadership | None = None
    calls: Calls | None = None
    problem: str = ""  #: why this hub could not go on; "" = it could
    begun: bool = False  #: of a hub that is alone: does it act?
    _tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])

    @property
    def role(self) -> Role:
        """What this hub is now."""
        if self.leadership is None:
            return Role.ACTIVE if self.begun else Role.WAITING
        return self.leadership.role

    def demand_kept(self) -> None:
        """Meant for the end: did this hub end because it was told to?

        Raises:
            Unavailable: no: another one has taken over, or it could not take its turn.
        """
        if self.leadership is not None and self.leadership.lost:
            raise Unavailable("This hub's turn", "another hub has taken over")
        if self.problem:
            raise Unavailable("This hub's turn", self.problem)

    def alone(self) -> None:
        """There can be no other hub after all: replicas run on this machine."""
        self.leadership = self.calls = None

    def demand(self) -> float:
        """For how many seconds something outside the database may be changed, unless it is asked again.

        Raises:
            Unavailable: this hub is not the active one, or may soon be no more.
        """
        return inf if self.leadership is None else self.leadership.demand()

    def own(self, db: Database) -> Database:
        """The database for what the active hub alone may write."""
        return db if self.leadership is None else db.guarded(self.leadership.guard)

    def telling(self, platform: Platform) -> Platform:
        """The platform whose changes the active hub hears of, whichever it is."""
        if self.calls is None:
            return platform
        calls, here = self.calls, platform

        def wake(service: str) -> None:
            if self.role is Role.ACTIVE:
                here.wake(service)
            else:
                calls.call(SERVICE, service)

        def survey(key: str) -> None:
            if self.role is Role.ACTIVE:
                here.survey(key)
            else:
                calls.call(REGISTERED, key)

        def keyed(service: Service, _tokens: Sequence[EndpointToken]) -> None:
            if self.role is not Role.ACTIVE:
                calls.call(TOKENS, service.id)

        platform.endings.hear_of_tokens(keyed)
        return replace(platform, wake=wake, survey=survey, shared=True)

    async def fits(self) -> None:
        """See to it that the active hub, if there is one, has the same secrets.

        Raises:
            Refused: it has others.
            Unavailable: the database does not answer.
        """
        if self.leadership is not None:
            await self.leadership.fits()

    @asynccontextmanager
    async def taking(self, turn: "Turn") -> AsyncGenerator[None]:
        """Begins when it is this hub's turn: at once where it is alone, else in the background.

        One that is alone waits for what it acts on for `turn.patience` seconds, and then in the background.
        A hub that cannot begin ends.

        Raises:
            PierheadError: of a hub that is alone: it cannot begin.
        """
        if self.leadership is None or self.calls is None:
            async with self._alone(turn):
                yield
            return
        leading = self._lead(self.leadership, self.calls, turn)
        self._tasks = [
            asyncio.create_task(leading, name="lead"),
            asyncio.create_task(self.calls.always(), name="calls"),
        ]
        for task in self._tasks:
            task.add_done_callback(self._over)
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    @asynccontextmanager
    async def _alone(self, turn: "Turn") -> AsyncGenerator[None]:
        beginning = asyncio.create_task(self._begin(turn), name="begin")
        try:
            await asyncio.wait({beginning}, timeout=turn.patience)
            if beginning.done():
                beginning.result()
            else:
                log.warning("this hub serves, and changes nothing until it sees its cluster")
                beginning.add_done_callback(self._over)
            yield
        finally:
            beginning.cancel()
            await asyncio.gather(beginning, return_exceptions=True)

    async def _begin(self, turn: "Turn") -> None:
        await turn.prepare()
        await turn.begin()
        self.begun = True

    async def _lead(self, leadership: Leadership, calls: Calls, turn: "Turn") -> None:
        await turn.prepare()
        await leadership.win()
        keeping = asyncio.create_task(leadership.keep(), name="lease")
        try:
            await turn.begin()
            answer = calls.answer(self.own(calls.db), turn.looks)
            answering = asyncio.create_task(answer, name="answers")
            answering.add_done_callback(self._over)
            try:
                await keeping
            finally:
                answering.cancel()
                await asyncio.gather(answering, return_exceptions=True)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

    def _over(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.problem = str(error) or type(error).__name__
            log.error("this hub cannot take its turn: it ends", exc_info=error)
            _end()

    async def release(self) -> None:
        """Let another hub take over at once; when nothing works here any more."""
        if self.leadership is not None:
            await self.leadership.release()


@dataclass(frozen=True, slots=True)
class Turn:
    """What a hub does when it is its turn."""

    prepare: Callable[[], Awaitable[None]]  #: what may be done before it is
    begin: Callable[[], Awaitable[None]]
    #: What it does when another hub tells of a change, by the call's kind.
    looks: Looks
    #: Seconds until a hub that is alone serves without having begun; None = as long as it takes.
    patience: float | None = None


@contextmanager
def turns(settings: Settings, platform_db: Database, secrets_mark: str) -> Generator[Turns]:
    """Whose turn it is among the hubs of these settings; needs a running loop.

    `secrets_mark` is the same for all hubs that have the same secrets. The lease has connections of its
    own: a renewal must not wait, nor be refused, because of other writes.
    """
    if not shared(settings):
        yield Turns()
        return
    db = Database(settings.database, shared=True)
    holder = f"{socket.gethostname()} {os.getpid()} {short_id(secrets.token_bytes)}"
    try:
        leadership = Leadership(db, f"{holder} {secrets_mark}", _end)
        yield Turns(leadership, Calls(platform_db, time.time, secrets.token_bytes))
    finally:
        db.close()
