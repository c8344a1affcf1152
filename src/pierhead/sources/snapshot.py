"""One snapshot of the cache as it lies on the disk: what it is of, whether it is whole, who keeps it."""

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from pierhead.core.manifest import Manifest
from pierhead.sources import cache

#: At the end of a folder's name: it is being removed.
GONE = ".gone"
#: The name of an origin's folder, for what was not fetched but made here of other files.
CONVERTED = "converted"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One content of one remote folder, on disk."""

    folder: Path
    name: str  #: as a person knows its origin
    manifest: Manifest
    ready: bool
    used: float = 0.0  #: epoch seconds of the last use
    users: tuple[str, ...] = ()
    bytes: int = 0  #: on the disk

    @property
    def converted(self) -> bool:
        """Was it made of other files, so that it can be made again?"""
        return self.folder.parent.name == CONVERTED

    @property
    def files(self) -> Path:
        """What an engine reads."""
        return self.folder if self.converted else self.folder / "files"

    @property
    def id(self) -> str:
        """`<origin>/<content>`, as people name it."""
        return f"{self.folder.parent.name}/{self.folder.name}"


def read(folder: Path) -> Snapshot | None:
    """What lies there; None when it is no snapshot, or is being removed."""
    try:
        about: dict[str, Any] = json.loads((folder / "about.json").read_bytes())
        manifest = Manifest.of(about["manifest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    ready = cache.is_ready(folder)
    return Snapshot(
        folder=folder,
        name=str(about.get("name", "")),
        manifest=manifest,
        ready=ready,
        used=modified(folder / (cache.READY if ready else "began")),
        users=users_of(folder),
        bytes=manifest.bytes if ready else held(folder),
    )


def users_of(folder: Path) -> tuple[str, ...]:
    with suppress(OSError):
        return tuple(sorted(unquote(file.name) for file in (folder / "users").iterdir()))
    return ()


def held(folder: Path) -> int:
    """Bytes on the disk; files with holes are smaller than they look."""
    found = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):  # renamed meanwhile
            found += file.lstat().st_blocks * 512
    return found


def modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def folders_in(folder: Path) -> list[Path]:
    try:
        found = sorted(each for each in folder.iterdir() if each.is_dir())
    except OSError:
        return []
    return [each for each in found if not each.name.endswith(GONE)]


def below(origin: Path) -> Iterator[Snapshot]:
    """All snapshots of one origin."""
    for folder in folders_in(origin):
        found = read(folder)
        if found is not None:
            yield found


def states(found: Iterable[Snapshot]) -> dict[str, int]:
    """Bytes of those that are `used`, `unused` and `unfinished`."""
    total = {"used": 0, "unused": 0, "unfinished": 0}
    for each in found:
        state = "unfinished" if not each.ready else "used" if each.users else "unused"
        total[state] += each.bytes
    return total
