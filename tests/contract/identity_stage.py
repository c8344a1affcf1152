"""A platform on a fresh database, for the tests of logins, keys, jobs and webhooks."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any, Concatenate, ParamSpec, TypeVar

from admin_hash import put_known_admin
from sqlalchemy import Connection

from builders import ACCOUNT, BOX, FakeClock, FakeEntropy
from pierhead.core.specs import BUILT_IN
from pierhead.operations.accounts import Hashing
from pierhead.operations.platform import Platform
from pierhead.runtimes.fake import FakeRuntime
from pierhead.store.db import Database

T = TypeVar("T")
P = ParamSpec("P")
PASSWORD = "correct horse"


class Stage:
    """The platform's parts; `again` is what a hub finds that starts on the same database."""

    def __init__(self, url: str, clock: FakeClock, entropy: FakeEntropy) -> None:
        self.url, self.clock, self.entropy = url, clock, entropy
        self.writes = 0
        self.db = Database(url, timed=self._count, box=BOX)
        self.hashing = Hashing()
        self.platform = Platform(
            db=self.db,
            runtime=FakeRuntime(clock),
            templates=BUILT_IN,
            wake=lambda _service: None,
            clock=clock,
            entropy=entropy,
            account=ACCOUNT,
            region="local",
            gateway="http://127.0.0.1:8090",
            box=BOX,
        )

    def _count(self, kind: str, _seconds: float) -> None:
        self.writes += kind == "write"

    async def with_admin(self) -> "Stage":
        """The same, once the credentials' password was taken over."""
        await put_known_admin(self.platform, PASSWORD)
        return self

    def again(self) -> "Stage":
        """Another hub's view of the same database, at the same time."""
        return Stage(self.url, self.clock, self.entropy)

    def close(self) -> None:
        self.hashing.close()
        self.db.close()


class SlowReads:
    """A database whose first read is done at once, and answered only when `answer` is set."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.done, self.answer = asyncio.Event(), asyncio.Event()

    async def read(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        found = await self._db.read(fn, *args, **kwargs)
        self.done.set()
        await self.answer.wait()
        return found

    async def write(
        self, fn: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        return await self._db.write(fn, *args, **kwargs)


def with_slow_reads(platform: Platform) -> tuple[Platform, SlowReads]:
    """The platform over slow reads."""
    slow = SlowReads(platform.db)
    return replace(platform, db=slow), slow  # pyright: ignore[reportArgumentType]


def play(url: str, act: Callable[[Stage], Coroutine[Any, Any, T]]) -> T:
    """`act` on a new stage."""
    stage = Stage(url, FakeClock(), FakeEntropy())
    try:
        return asyncio.run(act(stage))
    finally:
        stage.close()
