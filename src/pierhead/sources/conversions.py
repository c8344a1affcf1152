"""GGUF models in another precision than they lie there: converted once, kept, shared by all.

`ensure` never blocks: a conversion runs in a child process that a thread listens to, and `wake` is
called when it ends. The result is a snapshot of the cache, evicted and verified as all others are.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event, Thread
from typing import Literal

from pierhead.core.errors import NotFound, PierheadError, Unavailable
from pierhead.core.ids import Clock
from pierhead.core.launch import Files
from pierhead.core.mounts import FolderSource
from pierhead.core.resources import human_bytes
from pierhead.core.services import Hold
from pierhead.sources import conversion
from pierhead.sources.conversion import MODEL, NoConverter, Unconvertible, Wanted
from pierhead.sources.conversion_plan import Kind, parts_of
from pierhead.sources.glances import Glances
from pierhead.sources.header_window import BadHeader
from pierhead.sources.programs import Programs
from pierhead.sources.progress import Ended, Progress
from pierhead.sources.snapshots import CONVERTED, Snapshot, Snapshots

RETRY_AFTER = 15.0
"""Seconds after which a failed conversion is tried again by itself."""
#: Seconds after which one that nobody asks for ends: its service was stopped or deleted. More than the
#: reconciler lets pass between two questions.
FORSAKEN = 60.0

#: Raised when results differ from before: what was made by an older release is made again.
_VERSION = 1
_REMOTE = "remote"
#: Folders of the cache in which a path tells the content: of digests, whole or not there.
_NAMED_BY_CONTENT = frozenset({_REMOTE, "package"})


@dataclass(slots=True)
class _Work:
    """A conversion that runs, or failed."""

    wanted: Wanted
    asked: float  #: when somebody last asked for it
    programs: Programs = field(default_factory=Programs)
    stop: Event = field(default_factory=Event)
    progress: Progress | None = None
    hold: Hold | None = None  #: why it failed
    failed_at: float = 0.0
    final: bool = False  #: it fails in the same way each time


class Conversions:
    """Answers where a model's converted form is, and sees to it that it is made."""

    def __init__(
        self,
        cache: Path,
        clock: Clock,
        wake: Callable[[], None],
        make_room: Callable[[int], None] = lambda _bytes: None,
    ) -> None:
        """`cache`: the folder of fetched weights; `wake` is called in the loop's thread.

        `make_room` is called with the bytes that are about to be written, in the work's thread.
        """
        self._cache = cache
        self._clock = clock
        self._wake = wake
        self._make_room = make_room
        self._snapshots = Snapshots(cache / _REMOTE, clock, converted=cache / CONVERTED)
        self._glances: Glances[Files | Wanted] = Glances()
        self._works: dict[Path, _Work] = {}

    def ensure(self, files: Files, convert: Literal["f16", "q8_0"]) -> Files | Hold:
        """The GGUF model of `files` as `convert`, or why it is not there yet."""
        try:
            found = self._glances.at(f"{convert} {files.model}", lambda: self._look(files, convert))
        except OSError as error:
            return _unreadable(error, files.model)
        if found is None:
            text = f"No answer yet from {files.model[:255]}: is its file system mounted and well?"
            return Hold("StorageHangs", text, facts={"place": files.model[:255]})
        return found if isinstance(found, Files) else self._waiting(found)

    def retry(self) -> None:
        """Forget what failed, so that the next question tries it again at once."""
        self._works = {folder: work for folder, work in self._works.items() if not work.hold}

    def close(self) -> None:
        """End what is being converted; nothing of it is kept."""
        for work in self._works.values():
            work.stop.set()
            work.programs.end()

    # ---- looking, in a thread of its own ----------------------------------------------------

    def _look(self, files: Files, kind: Kind) -> Files | Wanted:
        wanted = self._wanted(Path(files.model), kind)
        found = self._snapshots.at(wanted.folder)
        if found is None or not _whole(found):
            return wanted
        try:
            for user in wanted.users:
                self._snapshots.use(found, user)
        except NotFound:  # evicted in this very moment
            return wanted
        folder, model = str(wanted.folder), str(wanted.folder / MODEL)
        return replace(files, folder=folder, model=model, bytes=found.bytes, format="gguf")

    def _wanted(self, model: Path, kind: Kind) -> Wanted:
        parts = parts_of(model)
        identity = self._identity(parts)
        text = json.dumps([_VERSION, kind, identity])
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        origin, users = self._origin(model)
        return Wanted(
            kind=kind,
            parts=parts,
            origin=origin,
            folder=self._cache / CONVERTED / key,
            users=users,
            same=lambda: self._identity(parts) == identity,
        )

    def _identity(self, parts: tuple[Path, ...]) -> list[list[str | int]]:
        """What changes when the content does; not the content, which takes minutes to read."""
        found: list[list[str | int]] = []
        for part in parts:
            seen = part.stat()
            inside = self._inside(part)
            if inside is not None:
                found.append([inside.as_posix(), seen.st_size])
            else:
                path = str(part.absolute())
                found.append([path, seen.st_size, seen.st_mtime_ns, seen.st_ino])
        return found

    def _inside(self, path: Path) -> Path | None:
        """The path below the cache, for a file whose folder is named by its content."""
        if not path.is_relative_to(self._cache):
            return None
        inside = path.relative_to(self._cache)
        return inside if inside.parts[0] in _NAMED_BY_CONTENT else None

    def _origin(self, model: Path) -> tuple[str, tuple[str, ...]]:
        """Where a model comes from; and who keeps it, who keeps its conversion, too."""
        inside = self._inside(model)
        if inside is not None and inside.parts[0] == _REMOTE and len(inside.parts) > 3:
            fetched = self._snapshots.at(self._cache.joinpath(*inside.parts[:3]))
            if fetched is not None and fetched.users:
                return fetched.name + "/".join(inside.parts[4:]), fetched.users
        return str(model), (str(FolderSource(str(model))),)

    # ---- in the loop's thread ---------------------------------------------------------------

    def _waiting(self, wanted: Wanted) -> Hold:
        work = self._works.get(wanted.folder)
        if work is not None and work.hold is not None:
            if work.final or self._clock() - work.failed_at < RETRY_AFTER:
                return work.hold
            work = None
        now = self._clock()
        if work is not None:
            work.asked = now
        else:
            work = self._works[wanted.folder] = _Work(wanted, now)
            # A daemon: a conversion must not keep the hub from ending.
            thread = Thread(
                target=self._run,
                args=(work, asyncio.get_running_loop()),
                name=f"convert {wanted.folder.name}",
                daemon=True,
            )
            thread.start()
        seen = work.progress
        size, done = (seen.total, seen.done) if seen is not None else (0, 0)
        facts = {"kind": wanted.kind.upper()}
        facts |= {"share": f"{100 * seen.done // size} %"} if seen is not None and size else {}
        text = _doing(work)
        return Hold("ConvertingWeights", text, progressing=True, facts=facts, bytes=size, done=done)

    def _ended(self, work: _Work, problem: Exception | None) -> None:
        """Back in the loop's thread: only it touches the list of works."""
        if problem is not None:
            work.hold, work.failed_at = _failed(work.wanted, problem), self._clock()
            work.final = isinstance(problem, (Unconvertible, BadHeader))
        elif self._works.get(work.wanted.folder) is work:
            del self._works[work.wanted.folder]
        self._wake()

    def _forsaken(self, work: _Work) -> None:
        """Nobody waited for it any more. Nothing of it is kept."""
        if self._works.get(work.wanted.folder) is work:
            del self._works[work.wanted.folder]
        self._wake()  # somebody may have asked for it at its very end

    # ---- in the work's thread ---------------------------------------------------------------

    def _run(self, work: _Work, loop: asyncio.AbstractEventLoop) -> None:
        # What stays when it ends in a way that nobody foresaw, which the log then tells.
        problem: Exception | None = Unavailable("The conversion", "see the hub's log")
        try:
            self._make(work)
            problem = None
        except Ended as error:
            problem = error
        except (PierheadError, BadHeader, OSError) as error:
            problem = error
        finally:
            with suppress(RuntimeError):  # the loop is closed: the hub has ended
                if isinstance(problem, Ended):
                    loop.call_soon_threadsafe(self._forsaken, work)
                else:
                    loop.call_soon_threadsafe(self._ended, work, problem)

    def _make(self, work: _Work) -> None:
        wanted = work.wanted

        def stopped() -> bool:
            # The processor is for those who wait for something.
            return work.stop.is_set() or self._clock() - work.asked > FORSAKEN

        def tell(progress: Progress) -> None:
            if stopped():
                raise Ended
            work.progress = progress

        old = self._snapshots.at(wanted.folder)
        if old is not None and old.ready and not _whole(old):
            self._snapshots.remove(old, even_used=True)

        maker = conversion.Maker(self._snapshots, self._make_room, tell, work.programs)
        made = self._snapshots.made(wanted.folder, lambda: maker.make(wanted), (tell, stopped))
        for user in wanted.users:
            self._snapshots.use(made, user)
        self._let_go(wanted)

    def _let_go(self, wanted: Wanted) -> None:
        """What was made of an older content of the same files is used no more."""
        for other in self._snapshots.all():
            if other.name == wanted.name and other.converted and other.folder != wanted.folder:
                for user in wanted.users:
                    self._snapshots.release(other, user)


def _whole(found: Snapshot) -> bool:
    """Is it there, and has nobody cut it since?"""
    try:
        return found.ready and (found.folder / MODEL).stat().st_size == found.manifest.bytes
    except FileNotFoundError:
        return False


def _doing(work: _Work) -> str:
    """`Converting to Q8_0 (llama-7b.gguf, F16 -> Q8_0): 42 %, 1.2 GiB of 6.7 GiB, 35 s left.`"""
    wanted, seen = work.wanted, work.progress
    if seen is None or not seen.total:
        return f"Converting to {wanted.kind.upper()} ({wanted.parts[0].name}): it begins."
    share = f"{100 * seen.done // seen.total} %"
    text = f"{share}, {human_bytes(seen.done)} of {human_bytes(seen.total)}"
    left = f", {seen.eta:.0f} s left" if seen.eta is not None else ""
    return f"Converting to {wanted.kind.upper()} ({seen.file}): {text}{left}."


def _failed(wanted: Wanted, problem: Exception) -> Hold:
    what = f"{wanted.parts[0].name} cannot be converted to {wanted.kind.upper()}"
    match problem:
        case OSError():
            text = f"{problem.filename or wanted.folder}: {problem.strerror or problem}"
        case _:
            text = str(problem).rstrip(".")
    facts = {"file": wanted.parts[0].name, "kind": wanted.kind.upper(), "problem": text}
    if isinstance(problem, (Unconvertible, BadHeader, NoConverter)):
        return Hold("ConversionFailed", f"{what}: {text}.", permanent=True, facts=facts)
    again = f"It is tried again every {RETRY_AFTER:g} seconds."
    return Hold("ConversionFailed", f"{what}: {text}. {again}", facts=facts)


def _unreadable(error: OSError, model: str) -> Hold:
    text = f"{error.filename or model}: {error.strerror or error}. It goes on by itself once it can be read."
    facts = {"problem": f"{error.filename or model}: {error.strerror or error}"}
    return Hold("ConversionFailed", text, facts=facts)
