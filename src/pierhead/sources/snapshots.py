"""The cache of fetched weights: one copy per content, shared by all who need it, whole or not in use.

`<cache>/<origin>/<content>/files` is what an engine reads: `origin` names endpoint, bucket and prefix,
`content` the manifest. `READY` beside it was written last. `users` holds a file for each user, which
keeps the snapshot; without users it is removed when the cache is larger than its limit, the one first
that was not used for longest. An flock per snapshot keeps threads and processes apart.
"""

import fcntl
import hashlib
import json
import os
import shutil
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from pierhead.core.errors import InUse, NotFound, Unavailable
from pierhead.core.ids import Clock
from pierhead.core.manifest import Entry, Manifest
from pierhead.sources import cache, parts
from pierhead.sources.crc64 import crc64
from pierhead.sources.download import Download, Options
from pierhead.sources.patience import Patience
from pierhead.sources.progress import Ended, Phase, Progress, Stopped, Tell
from pierhead.sources.remote import Changed, Remote

_LOOK = 0.1  #: seconds between two looks at a lock
_TOLD = 0.3  #: seconds between two notes of the progress for others
_BLOCK = 1 << 20
_GONE = ".gone"


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
    def files(self) -> Path:
        """What an engine reads."""
        return self.folder / "files"

    @property
    def id(self) -> str:
        """`<origin>/<content>`, as people name it."""
        return f"{self.folder.parent.name}/{self.folder.name}"


@dataclass(frozen=True, slots=True)
class Damage:
    """A file of a snapshot that is not what it was."""

    key: str
    problem: str


class Snapshots:
    """All snapshots below one folder; everything blocks."""

    def __init__(self, folder: Path, clock: Clock, options: Options | None = None) -> None:
        self._folder = folder
        self._clock = clock
        self._options = options or Options()

    # ---- fetching -----------------------------------------------------------------------------

    def fetch(self, remote: Remote, tell: Tell, stopped: Stopped) -> Snapshot:
        """The snapshot of what `remote` holds now; fetched unless it is here, or somebody fetches it.

        Raises:
            RemoteError: it cannot be had. Invalid: it cannot be stored here.
            Unavailable: the disk is too small or broken.
            Ended: `stopped()` became true.
        """
        with _disk(self._folder):
            return self._fetched(remote, tell, stopped)

    def _fetched(self, remote: Remote, tell: Tell, stopped: Stopped) -> Snapshot:
        manifest = self._listed(remote, tell, stopped)
        try:
            return self._ensured(remote, manifest, tell, stopped)
        except Changed:
            newer = self._listed(remote, tell, stopped)
        self._adopt(self._place(remote.identity, manifest), self._place(remote.identity, newer))
        try:
            return self._ensured(remote, newer, tell, stopped)
        except Changed as error:
            raise Changed(remote.name, "an object changes while it is read") from error

    def newest(self, identity: str) -> Snapshot | None:
        """The whole snapshot of this origin that was fetched last: for when the store does not answer."""
        folder = self._folder / _origin(identity)
        whole = [found for found in self._below(folder) if found.ready]
        return max(whole, key=lambda found: _modified(found.folder / "began"), default=None)

    def _listed(self, remote: Remote, tell: Tell, stopped: Stopped) -> Manifest:
        tell(Progress(Phase.LISTING))
        if stopped():
            raise Ended
        patience = Patience(
            self._options.tries, self._options.pause, chance=self._options.chance, stopped=stopped
        )
        return patience.insist(remote.listing)

    def _place(self, identity: str, manifest: Manifest) -> Path:
        return self._folder / _origin(identity) / manifest.digest[:16]

    def _ensured(
        self, remote: Remote, manifest: Manifest, tell: Tell, stopped: Stopped
    ) -> Snapshot:
        folder = self._place(remote.identity, manifest)
        if not cache.is_ready(folder):
            with _locked(folder, tell, stopped):
                if not cache.is_ready(folder):
                    self._make(folder, remote, manifest, (tell, stopped))
        return self._touched(folder)

    def _make(
        self, folder: Path, remote: Remote, manifest: Manifest, ears: tuple[Tell, Stopped]
    ) -> None:
        (folder / "users").mkdir(parents=True, exist_ok=True)
        about = {"name": remote.name, "identity": remote.identity, "manifest": manifest.rows()}
        cache.write_whole(folder / "about.json", json.dumps(about).encode())
        self._begun(folder)
        self._seed(folder, manifest)
        tell, stopped = ears
        Download(remote, manifest, folder, self._options).run(_Noted(folder, tell), stopped)
        self._seal(folder, manifest)

    def _begun(self, folder: Path) -> None:
        now = self._clock()
        (folder / "began").touch()
        os.utime(folder / "began", (now, now))

    def _seed(self, folder: Path, manifest: Manifest) -> None:
        """Link the files that another whole snapshot of this origin has in the same version."""
        for other in self._below(folder.parent):
            if not other.ready or other.folder == folder:
                continue
            have = {entry.key: entry for entry in other.manifest.entries}
            for entry in manifest.entries:
                if entry.etag and have.get(entry.key) == entry:
                    with suppress(OSError):  # then it is fetched
                        _link(other.folder, folder, entry)

    def _seal(self, folder: Path, manifest: Manifest) -> None:
        """Make all read-only and lasting, and then say that it is whole."""
        for path, folders, files in os.walk(folder / "files", topdown=False):
            for name in files:
                Path(path, name).chmod(0o444)
            for name in folders:
                Path(path, name).chmod(0o555)
            cache.sync_folder(Path(path))
        (folder / "files").chmod(0o555)
        (folder / "progress.json").unlink(missing_ok=True)
        whole = {"manifest": manifest.rows(), "ended": self._clock()}
        cache.mark_ready(folder, json.dumps(whole))

    def _adopt(self, old: Path, new: Path) -> None:
        """Let the fetch of a newer listing begin with what the older one has; it is left alone if in use."""
        with suppress(_Busy), _at_once(old), _at_once(new):
            if not cache.is_ready(old) and old.is_dir() and not new.is_dir():
                old.rename(new)

    # ---- use ----------------------------------------------------------------------------------

    def use(self, snapshot: Snapshot, user: str) -> Snapshot:
        """Keep it for `user`, such as a service's id, until `release`.

        Raises:
            NotFound: it was removed meanwhile.
        """
        with _locked(snapshot.folder, lambda _: None, lambda: False, make=False):
            if not cache.is_ready(snapshot.folder):
                raise NotFound("snapshot", snapshot.id)
            (snapshot.folder / "users" / quote(user, safe="")).touch()
            return self._touched(snapshot.folder)

    def release(self, snapshot: Snapshot, user: str) -> None:
        """`user` needs it no more; harmless when that was known."""
        (snapshot.folder / "users" / quote(user, safe="")).unlink(missing_ok=True)

    def release_others(self, users: Sequence[str]) -> None:
        """Forget users that do not exist any more: after an end in mid-work, say."""
        for found in self.all():
            for user in set(found.users) - set(users):
                self.release(found, user)

    def all(self) -> list[Snapshot]:
        """Every snapshot, also those that are not whole."""
        return [found for origin in _folders(self._folder) for found in self._below(origin)]

    def find(self, id_: str) -> Snapshot:
        """The one that people name so.

        Raises:
            NotFound: there is none.
        """
        found = next((each for each in self.all() if each.id == id_), None)
        if found is None:
            raise NotFound("snapshot", id_)
        return found

    def _touched(self, folder: Path) -> Snapshot:
        now = self._clock()
        with suppress(FileNotFoundError):
            os.utime(folder / cache.READY, (now, now))
        found = _read(folder)
        if found is None:
            raise NotFound("snapshot", f"{folder.parent.name}/{folder.name}")
        return found

    def _below(self, origin: Path) -> Iterator[Snapshot]:
        for folder in _folders(origin):
            found = _read(folder)
            if found is not None:
                yield found

    # ---- care ---------------------------------------------------------------------------------

    def verify(self, snapshot: Snapshot, tell: Tell, stopped: Stopped) -> list[Damage]:
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

    def repair(
        self, snapshot: Snapshot, remote: Remote, tell: Tell, stopped: Stopped
    ) -> list[Damage]:
        """Verify, and fetch the bad parts of bad files again; what was wrong.

        Raises:
            Changed: the store has another version now; the snapshot is no longer whole then.
            RemoteError, Unavailable, Ended: as `fetch`; the next fetch goes on.
        """
        folder = snapshot.folder
        with _disk(folder), _locked(folder, tell, stopped):
            bad = self.verify(snapshot, tell, stopped)
            if bad or not cache.is_ready(folder):
                (folder / cache.READY).unlink(missing_ok=True)
                _open_up(folder / "files")
                for damage in bad:
                    entry = next(e for e in snapshot.manifest.entries if e.key == damage.key)
                    parts.unpublish(snapshot.files / entry.key, folder / "parts", entry)
                self._make(folder, remote, snapshot.manifest, (tell, stopped))
        return bad

    def prune(self, limit: int, *, unfinished_before: float = 0.0) -> list[Snapshot]:
        """Remove unused snapshots, longest unused first, until all take `limit` bytes at most.

        Fetches that did not end are removed, too, where nothing was written since `unfinished_before`.
        """
        found = sorted(self.all(), key=lambda each: each.used)
        total = sum(each.bytes for each in found)
        removed: list[Snapshot] = []
        for each in found:
            stale = not each.ready and each.used < unfinished_before
            if not stale and (total <= limit or not each.ready):
                continue
            with suppress(InUse):
                self.remove(each)
                total -= each.bytes
                removed.append(each)
        return removed

    def remove(self, snapshot: Snapshot) -> None:
        """Remove it.

        Raises:
            InUse: somebody uses or fetches it.
            Unavailable: it cannot be removed.
        """
        folder = snapshot.folder
        gone = folder.with_name(f"{folder.name}{_GONE}")
        try:
            with _disk(folder), _at_once(folder):
                users = _users(folder)
                if users:
                    raise InUse("snapshot", snapshot.id, f"is used by {', '.join(users[:5])}")
                if folder.is_dir():
                    _discard(gone)
                    folder.rename(gone)  # at once: nobody shall see half of it
                    _discard(gone)
        except _Busy:
            raise InUse("snapshot", snapshot.id, "is being fetched, verified or repaired") from None


class _Noted:
    """Tells, and notes it now and then for those that wait."""

    def __init__(self, folder: Path, tell: Tell) -> None:
        self._path, self._tell = folder / "progress.json", tell
        self._noted = 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._noted >= _TOLD:
            self._noted = now
            cache.write_whole(self._path, json.dumps(progress.row()).encode(), lasting=False)
        self._tell(progress)


def _noted(folder: Path) -> Progress:
    """What the one that fetches told last."""
    try:
        row: dict[str, Any] = json.loads((folder / "progress.json").read_bytes())
        row["phase"] = Phase.WAITING
        return Progress(**row)
    except (OSError, ValueError, TypeError):
        return Progress(Phase.WAITING)


@contextmanager
def _disk(folder: Path) -> Generator[None, None, None]:
    """Says of a disk that fails which file it was."""
    try:
        yield
    except OSError as error:
        raise Unavailable(
            "The cache", f"{error.filename or folder}: {error.strerror or error}"
        ) from error


class _Busy(Exception):
    """Somebody else has the lock."""


@contextmanager
def _locked(
    folder: Path, tell: Tell, stopped: Stopped, *, make: bool = True
) -> Generator[None, None, None]:
    """Hold a snapshot's lock; while another has it, its progress is told."""
    while True:
        with _lock_file(folder, make=make) as descriptor:
            if _taken(descriptor):
                yield
                return
        tell(_noted(folder))
        if stopped():
            raise Ended
        time.sleep(_LOOK)


@contextmanager
def _at_once(folder: Path) -> Generator[None, None, None]:
    """Hold a snapshot's lock, or raise `_Busy`."""
    with _lock_file(folder, make=True) as descriptor:
        if not _taken(descriptor):
            raise _Busy
        yield


@contextmanager
def _lock_file(folder: Path, *, make: bool) -> Generator[int, None, None]:
    if make:
        folder.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        descriptor = os.open(folder.parent / f"{folder.name}.lock", flags, 0o600)
    except FileNotFoundError:
        raise NotFound("snapshot", f"{folder.parent.name}/{folder.name}") from None
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _origin(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()[:16]


def _read(folder: Path) -> Snapshot | None:
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
        used=_modified(folder / (cache.READY if ready else "began")),
        users=_users(folder),
        bytes=manifest.bytes if ready else _held(folder),
    )


def _users(folder: Path) -> tuple[str, ...]:
    with suppress(OSError):
        return tuple(sorted(unquote(file.name) for file in (folder / "users").iterdir()))
    return ()


def _held(folder: Path) -> int:
    """Bytes on the disk; files with holes are smaller than they look."""
    found = 0
    for file in folder.rglob("*"):
        with suppress(FileNotFoundError):  # renamed meanwhile
            found += file.lstat().st_blocks * 512
    return found


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _folders(folder: Path) -> list[Path]:
    try:
        found = sorted(each for each in folder.iterdir() if each.is_dir())
    except OSError:
        return []
    return [each for each in found if not each.name.endswith(_GONE)]


def _link(source: Path, folder: Path, entry: Entry) -> None:
    target = folder / "files" / entry.key
    if target.exists():
        return
    _, checkpoint = parts.paths(folder / "parts", entry.key)
    for path in (target, checkpoint):
        path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(parts.paths(source / "parts", entry.key)[1], checkpoint)
    target.hardlink_to(source / "files" / entry.key)


def _problem(snapshot: Snapshot, entry: Entry, stopped: Stopped) -> str:
    """What is wrong with a file; "" when nothing is."""
    said = parts.read(parts.paths(snapshot.folder / "parts", entry.key)[1], entry)
    if said is None:
        return "its checkpoint is gone"
    path = snapshot.files / entry.key
    try:
        size = path.lstat().st_size
        if path.is_symlink() or size != entry.size:
            return f"has {size} bytes instead of {entry.size}"
        found = 0
        with path.open("rb", buffering=0) as file:
            while block := file.read(_BLOCK):
                if stopped():
                    raise Ended
                found = crc64(block, found)
    except OSError as error:
        return error.strerror or str(error)
    return "" if found == said.crc else "has other bytes than were fetched"


def _open_up(folder: Path) -> None:
    """Let folders be written to again."""
    for path, _, _ in os.walk(folder):
        Path(path).chmod(0o755)


def _discard(folder: Path) -> None:
    if folder.exists():
        for path, folders, _ in os.walk(folder):
            for name in folders:
                Path(path, name).chmod(0o755)
        shutil.rmtree(folder)
