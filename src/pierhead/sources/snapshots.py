"""The cache of fetched weights: one copy per content, shared by all who need it, whole or not in use.

`<cache>/<origin>/<content>/files` is what an engine reads: `origin` names endpoint, bucket and prefix,
`content` the manifest; a conversion, `converted/<key>`, is its own folder of files. `READY` beside them
was written last. `users` holds a file for each user, which keeps the snapshot; which of those without
users are removed, and when, is `eviction`'s business.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pierhead.core.errors import InUse, NotFound
from pierhead.core.ids import Clock
from pierhead.core.manifest import Manifest
from pierhead.failpoint import failpoint
from pierhead.sources import cache, parts, snapshot_care
from pierhead.sources.download import Download, Options
from pierhead.sources.patience import Patience
from pierhead.sources.progress import Ended, Phase, Progress, Stopped, Tell
from pierhead.sources.remote import Changed, Damaged, Remote
from pierhead.sources.snapshot import CONVERTED as CONVERTED
from pierhead.sources.snapshot import GONE, below, folders_in, held, modified, read, users_of
from pierhead.sources.snapshot import Snapshot as Snapshot
from pierhead.sources.snapshot_care import Damage
from pierhead.sources.snapshot_locks import Busy, Noted, at_once, disk, locked


class Snapshots:
    """All snapshots below one folder; everything blocks."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        options: Options | None = None,
        converted: Path | None = None,
        make_room: Callable[[int], None] = lambda _bytes: None,
    ) -> None:
        """`converted`: the folder of conversions, which are cared for in the same way.

        `make_room` is called with the bytes that are about to be written, before they are.
        """
        self._folder, self._converted = folder, converted
        self.make_room = make_room
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
        with disk(self._folder):
            return self._fetched(remote, tell, stopped)

    def _fetched(self, remote: Remote, tell: Tell, stopped: Stopped) -> Snapshot:
        manifest = self._listed(remote, tell, stopped)
        try:
            return self._ensured(remote, manifest, tell, stopped)
        except (Changed, Damaged) as error:
            newer = self._listed(remote, tell, stopped)
            # A store that names no version tells a newer file of the same size by its sum alone.
            if isinstance(error, Damaged) and newer.digest == manifest.digest:
                raise
        self._adopt(self._place(remote.identity, manifest), self._place(remote.identity, newer))
        try:
            return self._ensured(remote, newer, tell, stopped)
        except Changed as error:
            raise Changed(remote.name, "an object changes while it is read") from error

    def newest(self, identity: str) -> Snapshot | None:
        """The whole snapshot of this origin that was fetched last: for when the store does not answer."""
        folder = self._folder / _origin(identity)
        whole = [found for found in below(folder) if found.ready]
        return max(whole, key=lambda found: modified(found.folder / "began"), default=None)

    def _listed(self, remote: Remote, tell: Tell, stopped: Stopped) -> Manifest:
        tell(Progress(Phase.LISTING))
        if stopped():
            raise Ended
        patience = Patience(
            self._options.tries,
            self._options.pause,
            chance=self._options.chance,
            stopped=stopped,
            trouble=lambda why: tell(Progress(Phase.LISTING, trouble=why)),
        )
        return patience.insist(remote.listing)

    def _place(self, identity: str, manifest: Manifest) -> Path:
        return self._folder / _origin(identity) / manifest.digest[:16]

    def _ensured(
        self, remote: Remote, manifest: Manifest, tell: Tell, stopped: Stopped
    ) -> Snapshot:
        folder = self._place(remote.identity, manifest)
        ears = (tell, stopped)
        return self.made(folder, lambda: self._make(folder, remote, manifest, ears), ears)

    def made(self, folder: Path, make: Callable[[], None], ears: tuple[Tell, Stopped]) -> Snapshot:
        """The snapshot in `folder`: `make` makes it unless it is here, or somebody else does.

        Raises:
            Ended: it was to end while it waited for somebody else. And what `make` raises.
        """
        if not cache.is_ready(folder):
            with locked(folder, *ears):
                if not cache.is_ready(folder):
                    make()
        return self._touched(folder)

    def begin(self, folder: Path, about: dict[str, Any], tell: Tell) -> Tell:
        """Note what is being made in `folder`; gives what tells how far it is, to those that wait, too."""
        (folder / "users").mkdir(parents=True, exist_ok=True)
        cache.write_whole(folder / "about.json", json.dumps(about).encode())
        self._stamp(folder / "began")
        return Noted(folder, tell)

    def _make(
        self, folder: Path, remote: Remote, manifest: Manifest, ears: tuple[Tell, Stopped]
    ) -> None:
        tell, stopped = ears
        about = {"name": remote.name, "identity": remote.identity, "manifest": manifest.rows()}
        noted = self.begin(folder, about, tell)
        failpoint("snapshot.after_begin")
        snapshot_care.seed(folder, manifest)
        self.make_room(max(0, manifest.bytes - held(folder)))
        Download(remote, manifest, folder, self._options).run(noted, stopped)
        self._seal(folder, manifest)

    def _stamp(self, file: Path) -> None:
        now = self._clock()
        file.touch()
        os.utime(file, (now, now))

    def _seal(self, folder: Path, manifest: Manifest) -> None:
        """Make all read-only and lasting, and then say that it is whole."""
        snapshot_care.close_up(folder / "files")
        (folder / "progress.json").unlink(missing_ok=True)
        whole = {"manifest": manifest.rows(), "ended": self._clock()}
        failpoint("snapshot.before_ready")
        cache.mark_ready(folder, json.dumps(whole))
        failpoint("snapshot.after_ready")

    def _adopt(self, old: Path, new: Path) -> None:
        """Let the fetch of a newer listing begin with what the older one has; it is left alone if in use."""
        with suppress(Busy), at_once(old), at_once(new):
            if not cache.is_ready(old) and old.is_dir() and not new.is_dir():
                old.rename(new)

    # ---- use ----------------------------------------------------------------------------------

    def use(self, snapshot: Snapshot, user: str) -> Snapshot:
        """Keep it for `user`, such as the source that services name, until `release`.

        Raises:
            NotFound: it was removed meanwhile.
        """
        with locked(snapshot.folder, lambda _: None, lambda: False, make=False):
            if not cache.is_ready(snapshot.folder):
                raise NotFound("snapshot", snapshot.id)
            self._stamp(snapshot.folder / "users" / quote(user, safe=""))
            return self._touched(snapshot.folder)

    def release(self, snapshot: Snapshot, user: str) -> None:
        """`user` needs it no more; harmless when that was known."""
        with suppress(FileNotFoundError):
            (snapshot.folder / "users" / quote(user, safe="")).unlink()
            # Until now it was in use, however long ago that began.
            self._touch(snapshot.folder)

    def release_others(self, users: Sequence[str], *, before: float = math.inf) -> None:
        """Forget users that do not exist any more, and were last seen to `use` it `before` a moment.

        Who reads which users there are takes that moment first: one that comes meanwhile stays.
        """
        for found in self.all():
            for user in set(found.users) - set(users):
                # With the lock: whoever uses it at this very moment does so before or after.
                with suppress(Busy), at_once(found.folder):
                    if modified(found.folder / "users" / quote(user, safe="")) < before:
                        self.release(found, user)

    def all(self) -> list[Snapshot]:
        """Every snapshot, also those that are not whole."""
        return [found for origin in self._origins() for found in below(origin)]

    def _origins(self) -> list[Path]:
        origins = folders_in(self._folder)
        return origins if self._converted is None else [*origins, self._converted]

    def at(self, folder: Path) -> Snapshot | None:
        """The one in this folder; None when there is none."""
        return read(folder)

    def find(self, id_: str) -> Snapshot:
        """The one that people name so.

        Raises:
            NotFound: there is none.
        """
        found = next((each for each in self.all() if each.id == id_), None)
        if found is None:
            raise NotFound("snapshot", id_)
        return found

    def _touch(self, folder: Path) -> None:
        now = self._clock()
        with suppress(FileNotFoundError):
            os.utime(folder / cache.READY, (now, now))

    def _touched(self, folder: Path) -> Snapshot:
        self._touch(folder)
        found = read(folder)
        if found is None:
            raise NotFound("snapshot", f"{folder.parent.name}/{folder.name}")
        return found

    # ---- care ---------------------------------------------------------------------------------

    def verify(self, snapshot: Snapshot, tell: Tell, stopped: Stopped) -> list[Damage]:
        """Read all of it, and say which files are not what was fetched.

        Raises:
            Ended: `stopped()` became true.
        """
        return snapshot_care.verify(snapshot, tell, stopped)

    def repair(
        self, snapshot: Snapshot, remote: Remote, tell: Tell, stopped: Stopped
    ) -> list[Damage]:
        """Verify, and fetch the bad parts of bad files again; what was wrong.

        Raises:
            Changed: the store has another version now; the snapshot is no longer whole then.
            RemoteError, Unavailable, Ended: as `fetch`; the next fetch goes on.
        """
        folder = snapshot.folder
        with disk(folder), locked(folder, tell, stopped):
            bad = self.verify(snapshot, tell, stopped)
            if bad or not cache.is_ready(folder):
                (folder / cache.READY).unlink(missing_ok=True)
                snapshot_care.open_up(folder / "files")
                for damage in bad:
                    entry = next(e for e in snapshot.manifest.entries if e.key == damage.key)
                    parts.unpublish(snapshot.files / entry.key, folder / "parts", entry)
                self._make(folder, remote, snapshot.manifest, (tell, stopped))
        return bad

    def clear(self) -> None:
        """End removals that were cut off: what they left takes room and is nobody's."""
        for gone in (each for origin in self._origins() for each in origin.glob(f"*{GONE}")):
            with suppress(Busy), at_once(gone.with_suffix("")):
                snapshot_care.discard(gone)

    def prune(
        self, limit: int, *, unfinished_before: float = 0.0, dry_run: bool = False
    ) -> list[Snapshot]:
        """Remove unused snapshots, longest unused first, until all take `limit` bytes at most.

        Fetches that did not end are removed, too, where nothing was written since `unfinished_before`.
        With `dry_run`, nothing is: what would be is given.
        """
        if not dry_run:
            self.clear()
        found = sorted(self.all(), key=lambda each: each.used)
        total = sum(each.bytes for each in found)
        removed: list[Snapshot] = []
        for each in found:
            stale = not each.ready and each.used < unfinished_before
            if not stale and (total <= limit or not each.ready):
                continue
            if dry_run and each.users:
                continue
            with suppress(InUse):
                if not dry_run:
                    self.remove(each)
                total -= each.bytes
                removed.append(each)
        return removed

    def remove(self, snapshot: Snapshot, *, even_used: bool = False) -> None:
        """Remove it; those that have its files open go on with them.

        Raises:
            InUse: somebody uses or fetches it.
            Unavailable: it cannot be removed.
        """
        folder = snapshot.folder
        gone = folder.with_name(f"{folder.name}{GONE}")
        try:
            with disk(folder), at_once(folder):
                users = users_of(folder)
                if users and not even_used:
                    raise InUse("snapshot", snapshot.id, f"is used by {', '.join(users[:5])}")
                if folder.is_dir():
                    snapshot_care.discard(gone)
                    folder.rename(gone)  # at once: nobody shall see half of it
                    failpoint("snapshot.after_set_aside")
                    snapshot_care.discard(gone)
        except Busy:
            raise InUse("snapshot", snapshot.id, "is being fetched, verified or repaired") from None


def _origin(identity: str) -> str:
    return hashlib.sha256(identity.encode()).hexdigest()[:16]
