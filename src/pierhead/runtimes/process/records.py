"""What the runtime keeps on disk, so that a killed hub loses nothing.

    <folder>/<service id>/<replica id>/
        replica.json          the intent, written before anything starts (0600: holds the template)
        datasets/             links to what its template shows it
    drain.json stop.json  marks: what was begun is gone on with
        lock                  held by the keeper for as long as it lives
        work/                 the engine's folder when its launch names none
        runs/<n>/run.json     one launch, written before the keeper is started
                 keeper.json  who runs (by the keeper)
                 ready.json   it has been ready
                 killed.json  the runtime ended it, and why
                 pause.json   it was ended with the platform, by no fault of its own
                 exit.json    how it ended (by the keeper)
                 log, log.1, keeper.err
A removed replica is first renamed to `.gone-<id>`, so that a half-removed one is never taken up.
No fsync: what these files speak of does not survive a power cut either.
"""

import errno
import fcntl
import json
import os
import re
import shutil
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any, Literal, cast

from pierhead.core.errors import Invalid
from pierhead.core.launch import DATASETS, Files
from pierhead.core.replicas import Exit
from pierhead.core.resources import Resources
from pierhead.core.templates import Constraints, Environment, Link, Probe, Rolling, Template
from pierhead.core.workloads import Workload

INTENT = "replica.json"  #: of a replica's folder: without it, it is none
KEPT_RUNS = 5  #: the last ones; the first is kept besides, it often holds the real cause
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_GONE = ".gone-"


def path_part(text: str, field: str) -> str:
    """`text`, if it is safe as one part of a path.

    Raises:
        Invalid: it could leave the folder.
    """
    if _PART.fullmatch(text) is None:
        raise Invalid(field, f"[{text[:80]}]", "letters, digits, dot, dash and underscore")
    return text


@dataclass(frozen=True, slots=True)
class Intent:
    """That a replica shall be: written once, before anything else."""

    id: str
    created: float
    workload: Workload  #: as it was then; an older rollout is run again from it


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One launch, without its secrets."""

    number: int
    started: float
    host: str
    port: int
    readiness: Probe
    liveness: Probe | None
    api: str
    keyed: bool
    cwd: str
    grace: float  #: seconds between TERM and KILL when nobody says otherwise
    limits: str
    cgroups: tuple[str, ...]
    failures: int  #: crashes in a row before this run
    ports: tuple[int, ...] = ()  #: declared: where to look when nothing listens on `port`
    deadline: float | None = None  #: seconds from launch to ready
    watched: int = 0  #: bytes its processes may hold in all, where no cgroup limits them; 0 = any
    command: tuple[str, ...] = ()  #: what is executed, secrets masked
    devices: tuple[
        str, ...
    ] = ()  #: ids of GPUs that are its own for as long as something of it lives
    device_memory: int = 0  #: bytes of the one device that are its own; 0 = all of each
    engine: str = ""  #: "" = a run of a release that did not tell
    model: str = ""  #: the name its engine knows the model by; "" = the service's
    shown: bool = False  #: it sees its files through mounts of its own


@dataclass(frozen=True, slots=True)
class KeeperFacts:
    """Who runs: (pid, start ticks) of keeper and engine, and the boot they belong to."""

    keeper: tuple[int, int]
    engine: tuple[int, int]
    boot: str


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run on disk."""

    path: Path

    @property
    def number(self) -> int:
        """Counts from 1."""
        return int(self.path.name)

    def facts(self) -> RunFacts | None:
        """The launch; None if it was never wholly written."""
        found = read(self.path / "run.json")
        return _run_facts(found) if found else None

    def correct(self, facts: RunFacts) -> None:
        """Write the launch anew: more is known of it now."""
        write(self.path / "run.json", asdict(facts))

    def keeper(self) -> KeeperFacts | None:
        """Who runs, as the keeper told."""
        found = read(self.path / "keeper.json")
        if not found:
            return None
        keeper, engine = found["keeper"], found["engine"]
        return KeeperFacts(
            (int(keeper[0]), int(keeper[1])), (int(engine[0]), int(engine[1])), str(found["boot"])
        )

    def exit(self) -> Exit | None:
        """How it ended, if it did."""
        found = read(self.path / "exit.json")
        return _exit(found) if found else None

    def write_exit(self, end: Exit) -> None:
        """Record an end that the keeper could not."""
        write(self.path / "exit.json", asdict(end))

    def mark(self, name: str, **facts: Any) -> None:
        """Write a mark of this run."""
        write(self.path / f"{name}.json", facts)

    def marked(self, name: str) -> dict[str, Any] | None:
        """The mark's facts, or None."""
        return read(self.path / f"{name}.json")


@dataclass(frozen=True, slots=True)
class ReplicaFolder:
    """One replica on disk."""

    path: Path

    @property
    def id(self) -> str:
        """The replica's id."""
        return self.path.name

    def create(self, intent: Intent) -> None:
        """Write the intent, or leave nothing behind."""
        try:
            (self.path / "runs").mkdir(parents=True, mode=0o700)
            (self.path / "work").mkdir(mode=0o700)
            write(self.path / INTENT, _plain(intent))
        except OSError:
            shutil.rmtree(self.path, ignore_errors=True)
            raise

    def intent(self) -> Intent | None:
        """The intent; None when it was never wholly written, or is going."""
        found = read(self.path / INTENT)
        return (
            Intent(found["id"], found["created"], _workload(found["workload"])) if found else None
        )

    def mark(self, name: Literal["drain", "stop"], **facts: float) -> None:
        """Write a mark of this replica."""
        write(self.path / f"{name}.json", facts)

    def marked(self, name: Literal["drain", "stop"]) -> dict[str, Any] | None:
        """The mark's facts, or None."""
        return read(self.path / f"{name}.json")

    def runs(self) -> list[RunFolder]:
        """Runs that are kept, first to last; one that was never wholly written is none."""
        try:
            names = [run.name for run in (self.path / "runs").iterdir() if run.name.isdecimal()]
        except FileNotFoundError:
            return []
        found = [RunFolder(self.path / "runs" / name) for name in sorted(names, key=int)]
        return [run for run in found if (run.path / "run.json").exists()]

    def last_run(self, *, previous: bool = False) -> RunFolder | None:
        """The last run's folder, or that of the run before it."""
        runs = self.runs()
        return next(iter(runs[-2:-1] if previous else runs[-1:]), None)

    def new_run(self, facts: RunFacts) -> RunFolder:
        """Write down that a run begins; runs that are neither first nor among the last go."""
        for old in self.runs()[1 : 1 - KEPT_RUNS]:
            shutil.rmtree(old.path)
        run = RunFolder(self.path / "runs" / str(facts.number))
        run.path.mkdir(mode=0o700, exist_ok=True)
        write(run.path / "run.json", asdict(facts))
        return run

    def show(self, links: Iterable[Link]) -> None:
        """Make the folder of links to what the replica may read beside its weights.

        Raises:
            Invalid: a link's name would leave that folder.
        """
        folder = self.path / DATASETS
        shutil.rmtree(folder, ignore_errors=True)
        for link in links:
            if link.name in {"", ".", ".."} or "/" in link.name or "\0" in link.name:
                raise Invalid("datasets", f"[{link.name[:80]}] cannot be a folder's name")
            folder.mkdir(mode=0o700, exist_ok=True)
            (folder / link.name).symlink_to(link.path)

    def kept(self) -> bool:
        """Does a keeper hold this replica now, seen or not?"""
        try:
            fd = os.open(self.path / "lock", os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def discard(self) -> None:
        """Remove a folder that is no replica: its creation or removal was cut off."""
        erase(self.path)

    def set_aside(self) -> Path:
        """From here on it is no replica any more, only a rest to be removed; one that is gone stays so."""
        rest = self.path.with_name(_GONE + self.path.name)
        with suppress(FileNotFoundError):
            self.path.rename(rest)
        return rest


def replica_folders(root: Path) -> Iterator[ReplicaFolder]:
    """Every replica's folder; half-removed ones are removed on the way."""
    for service in sorted(root.iterdir()) if root.exists() else ():
        if service.name.startswith(".") or not service.is_dir() or service.is_symlink():
            continue
        _open_up(service)
        for entry in sorted(service.iterdir()):
            if entry.name.startswith(_GONE):
                with suppress(OSError):  # somebody else's, or a bad disk: it is a rest all the same
                    erase(entry)
            elif entry.is_dir():
                _open_up(entry)
                yield ReplicaFolder(entry)
        remove_if_empty(service)


def remove_if_empty(service: Path) -> bool:
    """True when a service's folder is gone."""
    try:
        service.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def erase(folder: Path) -> None:
    """Remove a folder with all in it; one that is gone is no error.

    Raises:
        OSError: something in it belongs to somebody else, or the disk refuses.
    """
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except PermissionError:
        _open_up(folder)
        for path, names, _files in os.walk(folder):
            for name in names:
                _open_up(Path(path, name))
        shutil.rmtree(folder)


def _open_up(folder: Path) -> None:
    """Somebody may have taken from us the right to look into our own folder: take it back."""
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK) and not folder.is_symlink():
        with suppress(OSError):  # not ours, or gone: what follows says so
            folder.chmod(0o700)


def write(path: Path, facts: Mapping[str, Any]) -> None:
    """Replace a JSON file in one step, readable by this user only."""
    part = path.with_name(f"{path.name}.new")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump(facts, file)
    part.replace(path)


def read(path: Path) -> dict[str, Any] | None:
    """A JSON object; None when it is not there or was torn by a power cut.

    Raises:
        OSError: it is there and cannot be read.
    """
    try:
        found: Any = json.loads(_text(path))
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    return cast("dict[str, Any]", found) if isinstance(found, dict) else None


def _text(path: Path) -> str:
    # Whoever puts a pipe in its place must not have us wait for what is written into it.
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        with os.fdopen(fd, closefd=False) as file:
            return file.read()
    finally:
        os.close(fd)


def _plain(intent: Intent) -> dict[str, Any]:
    template = replace(intent.workload.template, env=dict(intent.workload.template.env))
    facts = asdict(replace(intent, workload=replace(intent.workload, template=template)))
    for of_one_moment in ("drained", "held", "room", "crowded", "frozen"):
        del facts["workload"][of_one_moment]
    return facts


def _workload(facts: dict[str, Any]) -> Workload:
    known = _known(Workload, facts)
    known["template"] = _template(facts["template"])
    known["files"] = Files(**_known(Files, facts["files"]))
    known["rolling"] = Rolling(**_known(Rolling, facts["rolling"]))
    return Workload(**known)


def _template(facts: dict[str, Any]) -> Template:
    known = _known(Template, facts)
    known["source"] = None  # already fetched: `files` says where it lies
    for name in ("command", "flags", "ports"):
        known[name] = tuple(facts.get(name, ()))
    known["environment"] = _environment(facts.get("environment"))
    known["constraints"] = _constraints(facts.get("constraints") or {})
    known["links"] = tuple(Link(**_known(Link, link)) for link in facts.get("links", ()))
    known["resources"] = Resources(**_known(Resources, facts["resources"]))
    known["readiness"] = _probe(facts["readiness"])
    known["liveness"] = _probe(facts["liveness"]) if facts["liveness"] else None
    return Template(**known)


def _constraints(facts: dict[str, Any]) -> Constraints:
    specs: dict[str, list[str]] = facts.get("gpu_specs") or {}
    return Constraints(
        architectures=tuple(facts.get("architectures", ())),
        gpu_capability=facts.get("gpu_capability", ""),
        gpu_specs={vendor: tuple(ids) for vendor, ids in specs.items()},
    )


def _environment(facts: dict[str, Any] | None) -> Environment | None:
    if facts is None:
        return None
    known = _known(Environment, facts)
    for name in ("requirements", "packages"):
        known[name] = tuple(facts.get(name, ()))
    return Environment(**known)


def _exit(facts: dict[str, Any]) -> Exit:
    known = _known(Exit, facts)
    _numbers(known, "at", *(name for name in ("code", "signal") if known.get(name) is not None))
    words: dict[str, Any] = known.get("facts", {})
    known["facts"] = {str(name): str(word) for name, word in words.items()}
    return Exit(**known)


def _numbers(facts: dict[str, Any], *names: str) -> None:
    for name in names:
        if not isinstance(facts[name], int | float) or not isfinite(facts[name]):
            raise TypeError(f"{name} is no number")


def _run_facts(facts: dict[str, Any]) -> RunFacts:
    known = _known(RunFacts, facts)
    _numbers(known, "number", "started", "port", "grace", "failures")
    known["readiness"] = _probe(facts["readiness"])
    known["liveness"] = _probe(facts["liveness"]) if facts["liveness"] else None
    for name in ("cgroups", "ports", "command", "devices"):
        known[name] = tuple(facts.get(name, ()))
    return RunFacts(**known)


def _probe(facts: dict[str, Any]) -> Probe:
    known = _known(Probe, facts)
    known["command"] = tuple(facts.get("command", ()))
    return Probe(**known)


def _known(cls: type[Any], facts: dict[str, Any]) -> dict[str, Any]:
    """Fields that this version knows: a file may come from an older or a newer one."""
    return {name: facts[name] for name in cls.__dataclass_fields__ if name in facts}
