"""What stands between the database's storage connections and those who need one."""

import asyncio
import time
from collections.abc import Callable

from pierhead.bootstrap.secret_files import storage_key
from pierhead.core.connections import Account
from pierhead.core.errors import Unavailable
from pierhead.core.mounts import Source
from pierhead.operations import connections
from pierhead.operations.secret_box import SecretBox
from pierhead.settings import Settings
from pierhead.sources.connected import Connected, Ways
from pierhead.sources.download import Options
from pierhead.sources.nfs import WHOLE_FILES
from pierhead.sources.snapshots import Snapshots
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
        asked = asyncio.run_coroutine_threadsafe(db.read(connections.account, opener, source), loop)
        try:
            return asked.result(_PATIENCE)
        except TimeoutError as error:
            asked.cancel()
            raise Unavailable("The database", "it does not answer") from error

    return find


def connected(db: Database, settings: Settings, came: Callable[[], None]) -> Connected:
    """What fetches, or finds, the files behind storage connections; `came` is called when they are there."""
    ways = Ways(
        find=accounts(db, settings),
        snapshots=snapshots(settings),
        whole_files=Snapshots(
            settings.cache_dir / REMOTE, time.time, Options(part_bytes=WHOLE_FILES)
        ),
        mounts=settings.data_dir / "mounts",
        mount=settings.storage_mount,
    )
    return Connected(ways, time.time, came)


def snapshots(settings: Settings) -> Snapshots:
    """The cache of what was fetched over storage connections."""
    return Snapshots(settings.cache_dir / REMOTE, time.time)
