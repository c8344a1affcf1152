"""Asks whether folders are there, without ever waiting for a file system that hangs."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from threading import Thread

_HANGS = 5.0  #: seconds after which a file system that does not answer counts as hanging


class Folders:
    """One question per path at a time: a dead network mount costs one thread, however often it is asked."""

    def __init__(self, patience: float = _HANGS) -> None:
        self._patience = patience
        self._asked: dict[str, asyncio.Future[bool]] = {}

    async def there(self, path: str) -> bool | None:
        """Is there such a folder or file? None when its file system does not answer."""
        asked = self._asked.get(path)
        if asked is None:
            asked = self._asked[path] = asyncio.get_running_loop().create_future()
            asked.add_done_callback(lambda _: self._asked.pop(path, None))
            Thread(target=_look, args=(path, asked), name="folder", daemon=True).start()
        done, _ = await asyncio.wait({asked}, timeout=self._patience)
        return asked.result() if done else None

    async def missing(self, paths: Iterable[str]) -> tuple[list[str], list[str]]:
        """(those that are not there, those whose file system does not answer)."""
        answers = {path: await self.there(path) for path in paths}
        missing = [path for path, there in answers.items() if there is False]
        return missing, [path for path, there in answers.items() if there is None]


def _look(path: str, asked: "asyncio.Future[bool]") -> None:
    try:
        found = Path(path).exists()
    except (OSError, ValueError):  # not ours to look at, or no path at all
        found = False
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        asked.get_loop().call_soon_threadsafe(_answer, asked, found)


def _answer(asked: "asyncio.Future[bool]", found: bool) -> None:
    if not asked.done():
        asked.set_result(found)
