"""The route table on disk, by which the gateway serves from its start, and while the hub is down.

A change is on disk a second later at the most; what a kill loses of it, the hub tells again. Of several
gateways that share the folder one writes.
"""

import asyncio
import fcntl
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock

from structlog.typing import FilteringBoundLogger

from pierhead.core.route_news import News, load_news
from pierhead.core.routes import dump_route, dump_table
from pierhead.gateway.sealing import Seal, is_sealed
from pierhead.gateway.served import Served
from pierhead.lasting import sync_folder

_APART = 1.0  #: least seconds between two writings: of thousands of routes each costs some 20 ms
_AGAIN = 5.0  #: seconds after which a writing that failed is tried again, without news


class TableFile:
    """Reads the file once, and then keeps it as new as what is served."""

    def __init__(
        self, path: Path, seal: Seal, log: FilteringBoundLogger, now: Callable[[], float]
    ) -> None:
        self._path, self._seal, self._log, self._now = path, seal, log, now
        self._unsaved: Served | None = None
        self._news = asyncio.Event()
        self._writing = Lock()
        self._held: int | None = None  # the folder, locked; the lock goes with this process

    def load(self) -> tuple[News, bool] | None:
        """The table that was last written, and whether it lay there sealed; a broken file is set aside."""
        try:
            return read_news(self._path, self._seal)
        except (ValueError, OSError) as error:
            self._log.error("route table file is broken", file=str(self._path), error=str(error))
            self._set_aside()
            return None

    def keep(self, served: Served) -> None:
        """Let it be written soon."""
        self._unsaved = served
        self._news.set()

    def keep_now(self, served: Served) -> None:
        """Write it before anything else happens: what lies there must not stay."""
        self._unsaved = served
        self._save()

    async def always(self) -> None:
        """Writes what is to be kept, never in the loop's own time. At its end it writes what is left."""
        try:
            while True:
                await self._news.wait()
                self._news.clear()
                await asyncio.to_thread(self._save)  # its fsync may take long
                await asyncio.sleep(_APART)
                if self._unsaved is not None:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_AGAIN - _APART):
                            await self._news.wait()
                    self._news.set()
        finally:
            self._save()
            self._release()

    def _save(self) -> None:
        with self._writing:
            served = self._unsaved
            if served is None:
                return
            try:
                if self._is_ours():
                    write_served(self._path, served, self._seal)
                    if self._unsaved is served:
                        self._unsaved = None
            except OSError as error:
                # Requests go on; it is tried again.
                self._log.error(
                    "route table cannot be saved", file=str(self._path), error=str(error)
                )

    def _is_ours(self) -> bool:
        """Is it this process that writes? Another one may, as long as it lives."""
        if self._held is not None:
            return True
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(folder)
            return False
        self._held = folder
        return True

    def _release(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            os.close(held)

    def _set_aside(self) -> None:
        try:
            aside = set_aside(self._path)
            self._log.warning("it was set aside", file=str(aside) if aside else "removed")
        except OSError as error:
            self._log.error("it cannot be set aside", error=str(error))


def read_news(path: Path, seal: Seal) -> tuple[News, bool] | None:
    """The table that was last written, and whether it lies there sealed; None if there is none.

    Raises:
        ValueError: the file is not a table.
        OSError: it cannot be read.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return None
    sealed = is_sealed(content)
    news = load_news(seal.open(content) if sealed else content)
    if news.base is not None:
        raise ValueError("it is a change, not a table")
    return news, sealed


def set_aside(path: Path) -> Path | None:
    """Moves a broken file out of the way, to be looked at; its new path.

    One of a release that kept tokens in plain text goes for good: None.
    """
    with path.open("rb") as file:
        sealed = is_sealed(file.read(64))
    if not sealed:
        path.unlink()
        return None
    aside = path.with_name(f"{path.name}.broken")
    path.replace(aside)
    return aside


def write_served(path: Path, served: Served, seal: Seal) -> None:
    """Replaces the file at once or not at all; it holds tokens and keys, so it is sealed.

    Safe in a thread: what is served never changes.

    Raises:
        OSError: it cannot be written; the old file is untouched.
    """
    table, lines = served.table, served.lines
    texts = [lines.get(id_) or dump_route(gate.route) for id_, gate in served.services.items()]
    content = dump_table(table.revision, table.origin, table.draining, texts)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(handle, "wb") as file:  # noqa: PTH123 a path cannot say 0600 from birth
        file.write(seal.close(content))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)
