"""Keeps the cache of weights within bounds: who uses what of it, and what goes when the disk is needed."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence

from pierhead import telemetry
from pierhead.bootstrap.storage import REMOTE, snapshots
from pierhead.core.errors import Unavailable
from pierhead.core.services import Version
from pierhead.settings import Settings
from pierhead.sources.eviction import Evicted, Eviction, Room
from pierhead.sources.kept import users_of
from pierhead.sources.model_shapes import local_place
from pierhead.sources.snapshots import Snapshots
from pierhead.sources.weights import Places, named
from pierhead.store import services as rows
from pierhead.store.db import Database

log = telemetry.logger("pierhead.weights")

_PATIENCE = 30.0  #: seconds that the database gets


def users(settings: Settings, cache: Snapshots, wanted: Iterable[Version]) -> list[str]:
    """Those that snapshots are kept for, while these versions are wanted; blocks."""
    served = [(each.template, each.source) for each in wanted]
    places = Places(settings.cache_dir, settings.models_dir, dict(settings.weights))
    configured = [str(named(places, spec)) for spec in places.specs]
    return [*users_of(cache.all(), served, local_place(places)), *configured]


def eviction(
    db: Database,
    settings: Settings,
    asked: Callable[[], Sequence[str]],
    evicted: Callable[[int], None],
) -> Eviction:
    """What makes room in this hub's cache.

    `asked` are sources that somebody waits for, `evicted` hears of the bytes that are gone.
    """
    cache, loop = snapshots(settings), asyncio.get_running_loop()

    def now() -> Sequence[str]:
        reading = asyncio.run_coroutine_threadsafe(db.read(rows.versions), loop)
        try:
            wanted = reading.result(_PATIENCE)
        except TimeoutError as error:
            reading.cancel()
            raise Unavailable("The database", "it does not answer") from error
        return [*users(settings, cache, wanted), *asked()]

    def told(gone: Evicted) -> None:
        evicted(gone.snapshot.bytes)
        log.info(
            "weights removed from the cache",
            snapshot=gone.snapshot.id,
            of=gone.snapshot.name,
            bytes=gone.snapshot.bytes,
            why=gone.why,
        )

    room = Room(settings.cache_limit, settings.cache_keep_free)
    return Eviction(cache, settings.cache_dir / REMOTE, room, now, time.time, told)
