"""Downloads a remote folder: several ranges at once, resumed where they were, and checked before they count.

A file is there under its name only when it is whole and has the sum the store keeps of it. What a run
leaves behind, however it ended, the next one takes over; all of it blocks, for a thread.
"""

import os
import random
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition, Event, Thread

from pierhead.core.errors import Unavailable
from pierhead.core.manifest import Entry, Manifest
from pierhead.core.resources import GIB, MIB, human_bytes
from pierhead.sources import parts
from pierhead.sources.crc64 import wrong_bit
from pierhead.sources.parts import Part, PartFile
from pierhead.sources.patience import Attempts, Patience
from pierhead.sources.progress import Ended, Phase, Progress, Rate, Stopped, Tell
from pierhead.sources.remote import Changed, Damaged, Flaky, Remote

_LOOK = 0.25  #: seconds between two reports
_SLOWEST = 64 * 1024  #: bytes per second


def _free(folder: Path) -> int:
    return shutil.disk_usage(folder).free


@dataclass(frozen=True, slots=True)
class Options:
    """How it is done."""

    connections: int = 6
    part_bytes: int = 8 * MIB  #: up to four times of it for large files
    tries: int = 8  #: of one part, in a row that bring nothing
    pause: float = 0.2  #: seconds before the second try; doubles
    deadline: float = 60.0  #: seconds for a part, and one more for each 64 KiB of it
    headroom: int = GIB  #: bytes that stay free on the disk
    free: Callable[[Path], int] = field(default=_free, compare=False)
    chance: random.Random = field(default_factory=random.Random, compare=False)

    def part_of(self, size: int) -> int:
        """Bytes of a part of a file of `size` bytes; at least a dozen parts."""
        # Each part is a request and a checkpoint: few large ones cost both sides less.
        most = size // (12 * self.part_bytes)
        return self.part_bytes * (4 if most >= 4 else 2 if most >= 2 else 1)


class Download:
    """One run over one folder."""

    def __init__(
        self, remote: Remote, manifest: Manifest, folder: Path, options: Options | None = None
    ) -> None:
        """Into `folder/files`; `folder/parts` holds what is not whole yet, and the checkpoints."""
        self._remote = remote
        self._manifest = manifest
        self._files, self._parts = folder / "files", folder / "parts"
        self._options = options or Options()
        self._halt = Event()
        self._patience = Patience(
            self._options.tries,
            self._options.pause,
            chance=self._options.chance,
            halt=self._halt,
            trouble=self._stumbled,
        )
        self._trouble = ""
        self._turn = Condition()
        self._jobs: deque[_Job] = deque()
        self._working = 0
        self._failure: BaseException | None = None
        self._done = self._whole = 0
        self._current = ""
        self._phase = Phase.DOWNLOADING
        self._rate = Rate()
        self._fetched = 0
        self._stale: PartFile | None = None

    def run(self, tell: Tell, stopped: Stopped) -> None:
        """Make all files of the manifest whole.

        Raises:
            RemoteError: an object cannot be had; `Changed`: it is another one now, and its parts are gone.
            Unavailable: the disk has too little room or cannot be written.
            Ended: `stopped()` became true.
        """
        open_files: list[PartFile] = []
        try:
            self._files.mkdir(parents=True, exist_ok=True)
            self._need_room()
            self._sweep()
            self._jobs.extend(self._planned(open_files))
            self._work(tell, stopped)
        except OSError as error:
            raise _disk(error, self._files.parent) from error
        finally:
            for file in open_files:
                with suppress(OSError):
                    (file.discard if file is self._stale else file.leave)()

    # ---- what there is to do ------------------------------------------------------------------

    def _need_room(self) -> None:
        total = self._manifest.bytes
        needed = int((total - self._held()) * 1.05) + self._options.headroom
        free = self._options.free(self._files)
        if free < needed:
            raise Unavailable(
                "The disk",
                f"{self._files.parent} has {human_bytes(free)} free, {human_bytes(needed)} are needed "
                f"to fetch {self._remote.name} ({human_bytes(total)})",
            )

    def _held(self) -> int:
        """Bytes that are on the disk already; a part file has holes."""
        found = 0
        for folder in (self._files, self._parts):
            for file in folder.rglob("*"):
                if file.is_file():
                    found += file.stat().st_blocks * 512
        return min(found, self._manifest.bytes)

    def _sweep(self) -> None:
        """Remove what belongs to no object of the manifest: of an earlier version."""
        wanted = {self._files / entry.key for entry in self._manifest.entries}
        names = {name for each in self._manifest.entries for name in self._names(each)}
        for file in self._files.rglob("*"):
            if not file.is_dir() and file not in wanted:
                file.unlink()
        for file in self._parts.glob("*"):
            if file.name not in names:
                file.unlink()

    def _names(self, entry: Entry) -> list[str]:
        return [path.name for path in parts.paths(self._parts, entry.key)]

    def _planned(self, open_files: list[PartFile]) -> "Iterator[_Job]":
        """A job for each part that is missing, file by file."""
        for entry in self._manifest.entries:
            said = parts.read(parts.paths(self._parts, entry.key)[1], entry)
            target = self._files / entry.key
            if said is not None and said.whole and _is_file(target, entry.size):
                self._done += entry.size
                self._whole += 1
                continue
            file = _Pending(entry, self._parts, self._options.part_of(entry.size), open_files)
            count = len(parts.plan(entry.size, file.part_bytes)) or 1
            yield from (_Job(file, number) for number in range(count))

    # ---- threads ------------------------------------------------------------------------------

    def _work(self, tell: Tell, stopped: Stopped) -> None:
        count = max(1, min(self._options.connections, len(self._jobs)))
        threads = [
            Thread(target=self._worker, name=f"download {number}", daemon=True)
            for number in range(count)
        ]
        self._working = count
        for thread in threads:
            thread.start()
        try:
            while self._wait():
                tell(self._progress())
                if stopped():
                    raise Ended
        finally:
            self._halt.set()
            for thread in threads:
                thread.join()
        if self._failure is not None:
            raise self._failure
        tell(self._progress())

    def _wait(self) -> bool:
        """A moment; False once all have ended, or one failed."""
        with self._turn:
            self._turn.wait_for(lambda: not self._working or self._failure is not None, _LOOK)
            return bool(self._working) and self._failure is None

    def _worker(self) -> None:
        failure: BaseException | None = None
        try:
            while (job := self._next()) is not None:
                self._do(job)
        except Ended:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits
            failure = error
            self._halt.set()
        with self._turn:
            self._working -= 1
            self._failure = self._failure or failure
            self._turn.notify_all()

    def _next(self) -> "_Job | None":
        with self._turn:
            return self._jobs.popleft() if self._jobs and not self._halt.is_set() else None

    def _do(self, job: "_Job") -> None:
        with self._turn:
            file = job.file.opened()
            self._current = file.entry.key
        if job.number == 0:
            file.follow(self._wanted(file.entry))
        if file.parts:
            self._complete(file, file.parts[job.number])
        with self._turn:
            job.file.left -= 1
            last = not job.file.left
        if last:
            self._finish(file)

    # ---- one file -----------------------------------------------------------------------------

    def _complete(self, file: PartFile, part: Part) -> None:
        """Bring one part to its end, from the byte it has reached."""
        if not part.checked:
            file.check(part, self._halt.is_set)
            if self._halt.is_set():
                raise Ended
            self._count(part.done, fetched=False)
        seconds = self._options.deadline + part.length / _SLOWEST
        attempts = Attempts(self._patience, seconds)
        while not part.whole:
            before = part.done
            try:
                self._read(file, part, attempts)
                if not part.whole:
                    raise Flaky(self._remote.name, "its answers end early")
            except Changed:
                self._stale = file  # thrown away once nobody writes to it any more
                raise
            except Flaky as error:
                attempts.failed(error, moved=part.done > before)
        file.settle(part)
        file.sum_up(self._halt.is_set)

    def _wanted(self, entry: Entry) -> str:
        """The sum of a whole object, by its listing or else by the store; "" where neither tells it."""
        return entry.check or self._patience.insist(lambda: self._remote.check(entry))

    def _read(self, file: PartFile, part: Part, attempts: Attempts) -> None:
        pieces = self._remote.read(file.entry, part.start + part.done, part.length - part.done)
        try:
            for piece in pieces:
                if self._halt.is_set():
                    raise Ended
                kept = piece[: part.length - part.done]
                file.write(part, kept)
                self._count(len(kept))
                file.sum_up(self._halt.is_set)
                if part.whole or attempts.late():
                    return
        finally:
            close = getattr(pieces, "close", None)
            if close is not None:
                close()

    def _finish(self, file: PartFile) -> None:
        """Give the file its name, if it is what the store has."""
        entry = file.entry
        wanted = entry.crc64
        if wanted is None:
            wanted = self._patience.insist(lambda: self._remote.crc64(entry))
        if wanted is not None and file.crc != wanted:
            self._phase = Phase.VERIFYING
            self._mend(file, wanted)
            self._phase = Phase.DOWNLOADING
        self._prove(file)
        file.publish(self._files / entry.key)
        with self._turn:
            self._whole += 1

    def _prove(self, file: PartFile) -> None:
        """Compare the whole with its sum; what is wrong cannot be told apart, so all is fetched once more.

        Raises:
            Damaged: it does not fit afterwards either. What was fetched is thrown away.
        """
        stopped = self._halt.is_set
        fits = file.fits(stopped)
        if not fits:
            for part in file.parts:
                self._count(-part.done, fetched=False)
                file.again(part)
                self._complete(file, part)
            fits = file.fits(stopped)
        if stopped():
            raise Ended
        if not fits:
            file.discard()
            raise Damaged(
                self._remote.name,
                f"{file.entry.key} arrives with another {file.sum_kind} sum than the store tells, also when "
                "it is fetched again",
            )

    def _mend(self, file: PartFile, wanted: int) -> None:
        """Fetch once more what is wrong: the part with the one wrong bit, or else each until it fits.

        Raises:
            Damaged: it does not fit afterwards either. What was fetched is thrown away.
        """
        size = file.entry.size
        at = wrong_bit(file.crc, wanted, size)
        suspects = sorted(file.parts, key=lambda part: not _holds(part, at))
        for part in suspects:
            self._count(-part.done, fetched=False)
            file.again(part)
            self._complete(file, part)
            if file.crc == wanted:
                return
        file.discard()
        raise Damaged(
            self._remote.name,
            f"{file.entry.key} arrives with another CRC-64 than the store keeps of it, also when it "
            "is fetched again",
        )

    # ---- figures ------------------------------------------------------------------------------

    def _stumbled(self, why: str) -> None:
        with self._turn:
            self._trouble = why

    def _count(self, more: int, *, fetched: bool = True) -> None:
        with self._turn:
            self._trouble = "" if fetched else self._trouble
            self._done += more
            self._fetched += more if fetched else 0

    def _progress(self) -> Progress:
        with self._turn:
            done, fetched = self._done, self._fetched
            phase, current, whole = self._phase, self._current, self._whole
            trouble = self._trouble
        total = self._manifest.bytes
        rate = self._rate(time.monotonic(), fetched)
        eta = (total - done) / rate if rate else None
        return Progress(phase, done, total, rate, eta, current, whole, fetched, trouble)


class _Pending:
    """A file that is opened when its first part is begun."""

    def __init__(
        self, entry: Entry, folder: Path, part_bytes: int, open_files: list[PartFile]
    ) -> None:
        self._entry, self._folder, self._open_files = entry, folder, open_files
        said = parts.read(parts.paths(folder, entry.key)[1], entry)
        self.part_bytes = said.part_bytes if said is not None else part_bytes
        self.left = len(parts.plan(entry.size, self.part_bytes)) or 1
        self._file: PartFile | None = None

    def opened(self) -> PartFile:
        if self._file is None:
            self._file = PartFile(self._folder, self._entry, self.part_bytes)
            self._open_files.append(self._file)
        return self._file


@dataclass(frozen=True, slots=True)
class _Job:
    """One part of one file; an empty file has one, too."""

    file: _Pending
    number: int


def _holds(part: Part, at: int | None) -> bool:
    return at is not None and part.start <= at < part.start + part.length


def _is_file(path: Path, size: int) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return path.is_file() and not path.is_symlink() and found.st_size == size


def _disk(error: OSError, folder: Path) -> Unavailable:
    return Unavailable("The disk", f"{error.filename or folder}: {error.strerror or error}")
