"""How much lies under a path, and what its README says. Bounded, and it changes nothing.

It blocks, for as long as a slow disk likes: run it in a thread of its own.
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

README = "README.md"
#: Of a longer README only the beginning is kept.
README_BYTES = 256 * 1024
#: So many entries are counted; what lies beyond is left out of the size.
ENTRIES = 1_000_000


@dataclass(frozen=True, slots=True)
class Measured:
    """What was found under a path."""

    size: int = 0  #: bytes of all files
    readme: str | None = None
    there: bool = False  #: the path exists
    whole: bool = True  #: every entry was counted and could be read


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes of the file system on which a folder lies."""

    available: int
    total: int


def measure(path: Path, stopped: Callable[[], bool] = lambda: False) -> Measured:
    """Count the bytes of a file, or of all files under a folder; a file that has two names once.

    A link to a file counts as what it points to, since model hubs store files so; a link to a
    folder is not followed. What cannot be read is left out.
    """
    try:
        facts = path.stat()
    except (OSError, ValueError):  # ValueError: a NUL in the path
        return Measured()
    if not stat.S_ISDIR(facts.st_mode):
        return Measured(size=facts.st_size if stat.S_ISREG(facts.st_mode) else 0, there=True)
    count = _Count()
    for number, entry in enumerate(_entries(path, count)):
        if number >= ENTRIES or (number % 1000 == 0 and stopped()):
            count.whole = False
            break
        count.add(entry)
    return Measured(count.size, readme(path), there=True, whole=count.whole)


def readme(folder: Path) -> str | None:
    """The beginning of the folder's README.md, None when it has none that can be read.

    A link is not followed: it could show what is not the folder's, such as a file of the platform.
    """
    try:
        descriptor = os.open(
            folder / README, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        )
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        try:
            # A NUL is text to no database.
            return file.read(README_BYTES).decode("utf-8", "replace").replace("\0", "")
        except OSError:
            return None


def room(folder: Path) -> Room | None:
    """Free and total bytes where `folder` lies; None when it is no folder that can be reached."""
    try:
        if not folder.is_dir():
            return None
        facts = os.statvfs(folder)
    except (OSError, ValueError):
        return None
    return Room(facts.f_bavail * facts.f_frsize, facts.f_blocks * facts.f_frsize)


class _Count:
    """The sum so far, and which files with several names are in it."""

    def __init__(self) -> None:
        self.size = 0
        self.whole = True
        self._known: set[tuple[int, int]] = set()

    def add(self, entry: os.DirEntry[str]) -> None:
        try:
            facts = entry.stat()
        except OSError:
            self.whole = False
            return
        if not stat.S_ISREG(facts.st_mode):
            return
        if facts.st_nlink > 1 or entry.is_symlink():
            if (facts.st_dev, facts.st_ino) in self._known:
                return
            self._known.add((facts.st_dev, facts.st_ino))
        self.size += facts.st_size


def _entries(folder: Path, count: _Count) -> Iterator[os.DirEntry[str]]:
    """Everything under `folder` that is no folder itself."""
    waiting = [os.fspath(folder)]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                    else:
                        yield entry
        except OSError:
            count.whole = False
