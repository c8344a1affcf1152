"""What stands between the database's storage connections and those who need one."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from pierhead.bootstrap.secret_files import storage_key
from pierhead.core.connections import Account, public
from pierhead.core.errors import Unavailable
from pierhead.core.mounts import HubSource, Source
from pierhead.operations import connections
from pierhead.operations.secret_box import SecretBox
from pierhead.settings import Settings
from pierhead.sources.connected import Connected, Heard, Look, Ways
from pierhead.sources.download import Options
from pierhead.sources.nfs import WHOLE_FILES
from pierhead.sources.oss import sdk
from pierhead.sources.snapshots import CONVERTED, Snapshots
from pierhead.store import connections as rows
from pierhead.store.db import Database

_PATIENCE = 30.0  #: seconds that the database gets

#: Below the cache's folder: snapshots of remote folders.
REMOTE = "remote"


def box(settings: Settings) -> SecretBox:
    """What seals and opens the secrets of this data folder; its key is made at the first use."""
    return SecretBox(storage_key(settings.data_dir))


def accounts(db: Database, settings: Settings) -> Callable[[Source], Account | None]:
    """Finds what opens a source. It blocks: for threads, not for the loop that runs now."""
    loop = asyncio.get_running_loop()
    opener = box(settings)

    def find(source: Source) -> Account | None:
        read = db.read(connections.account, opener, source, online=settings.hubs_online)
        asked = asyncio.run_coroutine_threadsafe(read, loop)
        try:
            return asked.result(_PATIENCE)
        except TimeoutError as error:
            asked.cancel()
            raise Unavailable("The database", "it does not answer") from error

    return find


def unconnected(settings: Settings) -> Callable[[Source], Account | None]:
    """Finds what opens a source where no connections are kept yet: public hubs, if they may be asked."""
    online = settings.hubs_online
    return lambda source: public(source) if online and isinstance(source, HubSource) else None


def connected(
    db: Database,
    settings: Settings,
    came: Callable[[], None],
    make_room: Callable[[int], None],
    heard: Heard,
) -> Connected:
    """What fetches, or finds, the files behind storage connections; `came` is called when they are there.

    `make_room` is called with the bytes that are about to be written to the cache.
    """
    ways = replace(_ways(db, settings, make_room), heard=heard)
    return Connected(ways, time.time, came)


def looking_only(
    db: Database, settings: Settings, came: Callable[[], None], look: Look
) -> Connected:
    """What only looks at files behind storage connections, for replicas that run elsewhere."""
    return Connected(_ways(db, settings, lambda _bytes: None), time.time, came, look)


def _ways(db: Database, settings: Settings, make_room: Callable[[int], None]) -> Ways:
    folder = settings.cache_dir / REMOTE
    return Ways(
        find=accounts(db, settings),
        snapshots=Snapshots(folder, time.time, make_room=make_room),
        whole_files=Snapshots(
            folder, time.time, Options(part_bytes=WHOLE_FILES), make_room=make_room
        ),
        mounts=settings.data_dir / "mounts",
        mount=settings.storage_mount,
    )


async def ready_for_oss(db: Database, pause: float) -> None:
    """Load the vendor's SDK (a second) as soon as a connection to OSS is kept, while nobody waits for it.

    `pause`: seconds between two looks for such a connection.
    """
    while True:
        with suppress(Unavailable):  # the next look finds it
            kept = await db.read(rows.everything)
            if any(connection.kind == "oss" for connection in kept):
                break
        await asyncio.sleep(pause)
    with suppress(Unavailable):  # it is not installed: whoever needs it is told so
        await asyncio.to_thread(sdk)


def snapshots(settings: Settings) -> Snapshots:
    """The cache of what was fetched over storage connections, and of what was converted."""
    converted = settings.cache_dir / CONVERTED
    return Snapshots(settings.cache_dir / REMOTE, time.time, converted=converted)
