"""Copies the files of a cloned template and removes those of a deleted one.

What is to be done stands in the database from the transaction of the clone or the removal on, so
a restart goes on with it; the entry is taken away when it is done, or cannot be done.
"""

import json
from collections.abc import Callable
from pathlib import Path

import structlog
from sqlalchemy import Connection

from pierhead.core.errors import Conflict, Unavailable
from pierhead.core.resources import human_bytes
from pierhead.reconciler import findings
from pierhead.reconciler.aside import Aside, Busy
from pierhead.sources import copying
from pierhead.store import facts, templates
from pierhead.store.db import Database

log: structlog.stdlib.BoundLogger = structlog.get_logger("survey")

#: A thread that is still busy is asked again after so many seconds.
BUSY_SECONDS = 2.0


class FileTasks:
    """The passes over `copy:` and `discard:` keys."""

    def __init__(self, db: Database, aside: Aside, wake: Callable[[str], None]) -> None:
        self._db = db
        self._aside = aside
        self._wake = wake
        self.progress: dict[str, int] = {}  #: template -> bytes copied so far

    async def copy(self, uuid: str) -> float | None:
        """Bring the files of a clone to where they belong; it is measured afterwards."""
        task = await self._task(f"copy:{uuid}")
        if task is None:
            return None
        source, into = Path(task["from"]), Path(task["to"])
        if not await self._db.read(templates.many, [uuid]):
            await self._done(f"copy:{uuid}")  # deleted meanwhile; a copy under way has no row
            return None

        def grown(size: int) -> None:
            self.progress[uuid] = self.progress.get(uuid, 0) + size

        def work() -> None:
            self.progress[uuid] = 0
            copying.copy(source, into, uuid, self._aside.stopped, grown)

        try:
            await self._aside.do(f"copy:{uuid}", work, BUSY_SECONDS)
        except Busy:
            size = human_bytes(self.progress.get(uuid, 0))
            log.info("a clone's files are being copied", template=uuid, to=str(into), copied=size)
            return BUSY_SECONDS
        except copying.Stopped:
            return None  # the hub ends; the next start goes on
        except (Conflict, Unavailable) as error:
            log.warning("a clone's files were not copied", template=uuid, error=str(error))
        self.progress.pop(uuid, None)
        await self._done(f"copy:{uuid}")
        self._wake(f"template:{uuid}")
        return None

    async def discard(self, uuid: str) -> float | None:
        """Remove the files of a deleted template, if they are a copy that was made for it."""
        task = await self._task(f"discard:{uuid}")
        if task is None:
            return None
        path = task["path"]
        if path and not await self._db.read(_needed, path):
            try:
                await self._aside.do(
                    f"discard:{uuid}", lambda: copying.discard(Path(path), uuid), BUSY_SECONDS
                )
            except Busy:
                return BUSY_SECONDS
            except Unavailable as error:
                log.warning("a deleted template's files stay", template=uuid, error=str(error))
        await self._done(f"discard:{uuid}")
        return None

    async def _task(self, key: str) -> dict[str, str] | None:
        text = await self._db.read(facts.get, key)
        return None if text is None else json.loads(text)

    async def _done(self, key: str) -> None:
        await self._db.write(facts.remove, key)


def _needed(tx: Connection, path: str) -> bool:
    """Does another row's path lie at, under or above this one?"""
    return any(
        place.path == path or place.path.startswith(f"{path}/") or path.startswith(f"{place.path}/")
        for center in findings.all_centers(tx)
        for place in findings.in_center(tx, center)
    )
