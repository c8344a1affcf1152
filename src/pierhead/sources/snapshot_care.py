"""What is done to the files of one snapshot: checked, linked into another one, opened up, thrown away."""

import hashlib
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pierhead.core.manifest import Entry, Manifest
from pierhead.lasting import sync_folder
from pierhead.sources import parts
from pierhead.sources.crc64 import crc64
from pierhead.sources.progress import Ended, Phase, Progress, Stopped, Tell
from pierhead.sources.snapshot import Snapshot, below
from pierhead.sources.sums import Crc, Sum

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Damage:
    """A file of a snapshot that is not what it was."""

    key: str
    problem: str


def verify(snapshot: Snapshot, tell: Tell, stopped: Stopped) -> list[Damage]:
    """Read all of it, and say which files are not what was fetched.

    Raises:
        Ended: `stopped()` became true.
    """
    found: list[Damage] = []
    state = Progress(Phase.VERIFYING, total=snapshot.manifest.bytes)
    for entry in snapshot.manifest.entries:
        state = replace(state, file=entry.key)
        tell(state)
        problem = _problem(snapshot, entry, stopped)
        if problem:
            found.append(Damage(entry.key, problem))
        state = replace(state, done=state.done + entry.size, files=state.files + 1)
    return found


def _problem(snapshot: Snapshot, entry: Entry, stopped: Stopped) -> str:
    """What is wrong with a file; "" when nothing is."""
    wanted, found = _sums(snapshot, entry)
    if not wanted:
        return "its checkpoint is gone"
    path = snapshot.files / entry.key
    try:
        size = path.lstat().st_size
        if path.is_symlink() or size != entry.size:
            return f"has {size} bytes instead of {entry.size}"
        with path.open("rb", buffering=0) as file:
            while block := file.read(_BLOCK):
                if stopped():
                    raise Ended
                found.update(block)
    except OSError as error:
        return error.strerror or str(error)
    came = "were made" if snapshot.converted else "were fetched"
    return "" if found.hexdigest() == wanted else f"has other bytes than {came}"


def _sums(snapshot: Snapshot, entry: Entry) -> tuple[str, Sum]:
    """The digest that a file had when it came, and what computes it anew."""
    if snapshot.converted:
        return entry.etag, hashlib.sha256()
    said = parts.read(parts.paths(snapshot.folder / "parts", entry.key)[1], entry)
    return ("" if said is None else f"{said.crc:016x}"), Crc(crc64)


def seed(folder: Path, manifest: Manifest) -> None:
    """Link the files that another whole snapshot of this origin has in the same version."""
    for other in below(folder.parent):
        if not other.ready or other.folder == folder:
            continue
        have = {entry.key: entry for entry in other.manifest.entries}
        for entry in manifest.entries:
            if entry.etag and have.get(entry.key) == entry:
                with suppress(OSError):  # then it is fetched
                    _link(other.folder, folder, entry)


def _link(source: Path, folder: Path, entry: Entry) -> None:
    """Give the snapshot in `folder` a file of the one in `source`, with its checkpoint."""
    target = folder / "files" / entry.key
    if target.exists():
        return
    _, checkpoint = parts.paths(folder / "parts", entry.key)
    for path in (target, checkpoint):
        path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(parts.paths(source / "parts", entry.key)[1], checkpoint)
    target.hardlink_to(source / "files" / entry.key)


def close_up(folder: Path) -> None:
    """Make all in it read-only and lasting."""
    for path, folders, files in os.walk(folder, topdown=False):
        for name in files:
            Path(path, name).chmod(0o444)
        for name in folders:
            Path(path, name).chmod(0o555)
        sync_folder(Path(path))
    folder.chmod(0o555)


def open_up(folder: Path) -> None:
    """Let folders be written to again."""
    for path, _, _ in os.walk(folder):
        Path(path).chmod(0o755)


def discard(folder: Path) -> None:
    """Remove all of it, read-only or not."""
    if folder.exists():
        for path, folders, _ in os.walk(folder):
            for name in folders:
                Path(path, name).chmod(0o755)
        shutil.rmtree(folder)
