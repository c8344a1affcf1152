"""How replicas are shown their files on this machine: what is possible, and what each one sees.

Decided here by names alone, on the event loop: a path may lie on a file system that hangs. Looked at
and mounted in the engine's own process (namespace.py, which the keeper loads).
"""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Literal

from pierhead.core.errors import Unsupported
from pierhead.core.launch import Bind, Files, Launch, Placement
from pierhead.core.mount_paths import moved, seen_at, within
from pierhead.core.workloads import Workload
from pierhead.runtimes.process import namespace
from pierhead.runtimes.process.identity import Identity
from pierhead.runtimes.process.spawn import engine_environment

_SCRIPT = namespace.__file__
_PATIENCE = 5.0  #: seconds until a machine that does not answer counts as one that cannot

Ask = Callable[[Workload, Placement], Launch]


@dataclass(frozen=True, slots=True)
class Mounts:
    """What this machine can do; `none` = files are found where they lie and are as safe as their modes."""

    means: Literal["root", "user", "none"]
    why: str = ""  #: why it is none
    closed: tuple[str, ...] = ()  #: the platform's own folders, in which no files are shown

    @property
    def binds(self) -> bool:
        """Can files be shown elsewhere than where they lie?"""
        return self.means != "none"

    @property
    def sentence(self) -> str:
        """For `RuntimeInfo.mounts`."""
        how = "Replicas see their files read-only, at the path that their document names"
        match self.means:
            case "root":
                return f"{how}: each has a mount namespace of its own."
            case "user":
                return f"{how}: each has a user and a mount namespace of its own."
            case "none":
                return (
                    "Replicas find their files where they lie (MODEL_DIR), guarded by nothing but "
                    f"their modes: no mount namespace may be made here ({self.why}). Run the "
                    "platform as root, or allow unprivileged user namespaces."
                )

    def launched(self, ask: Ask, workload: Workload, placement: Placement) -> Launch:
        """The engine's answer for files where the replica sees them; `binds` is all it is shown.

        Raises:
            PierheadError: the engine refuses, or its files cannot be shown where they shall be.
        """
        files, path = workload.files, workload.template.mount_path
        placement = replace(placement, binds=self.binds)
        if not self.binds:
            return replace(ask(workload, placement), binds=())
        if path and files.folder:
            workload = replace(workload, files=seen_at(files, path))
        launch = ask(workload, placement)
        wanted = [*launch.binds]
        if path and files.folder:
            wanted.append(Bind(files.folder, path))
        needed = _needed(files, placement)
        for bind in wanted:
            self._check(bind, needed)
        writable = _writable(launch, placement)
        # Of a folder that holds more than weights, the file that is loaded.
        weights = files.model if _holds(files.folder, writable) else files.folder
        guarded = [weights, *(link.path for link in workload.template.links)]
        own = [Bind(each, each) for each in guarded if each and not _holds(each, writable)]
        return replace(launch, binds=tuple(dict.fromkeys([*own, *wanted])))

    def _check(self, bind: Bind, needed: Iterable[str]) -> None:
        shown = f"The mount path [{bind.target}]"
        for folder in self.closed:
            if within(bind.target, folder) or within(folder, bind.target):
                raise Unsupported(shown, f"the platform keeps its own data in [{folder}]")
        for place in needed:
            if within(place, bind.target) and place != bind.source:
                raise Unsupported(shown, f"it would hide [{place}], which the replica needs")


def _needed(files: Files, placement: Placement) -> list[str]:
    """What no mount may cover: without it nothing runs."""
    found = [placement.folder, files.environment, sys.prefix, sys.base_prefix]
    return [*filter(None, found), str(Path(__file__).parents[2])]


def _writable(launch: Launch, placement: Placement) -> list[str]:
    env = engine_environment(launch.env)
    return [placement.folder, env["HOME"], env["TMPDIR"], tempfile.gettempdir()]


def _holds(folder: str, places: Iterable[str]) -> bool:
    """A folder that holds what the replica must write cannot be closed as a whole."""
    return any(within(place, folder) for place in places if place)


def on_host(path: str, binds: Iterable[Bind]) -> str:
    """Where on this machine lies what a replica sees at `path`?"""
    for bind in binds:
        if within(path, bind.target):
            return moved(path, bind.target, bind.source)
    return path


def beside(process: Identity, cwd: str, command: Iterable[str]) -> tuple[str, ...]:
    """`command` as it must be called to see what that process sees."""
    who = f"{process.pid}:{process.ticks}"
    return (sys.executable, "-I", "-S", _SCRIPT, "run", who, cwd, *command)


@cache
def possible() -> Mounts:
    """What works here, found out once, in a process of its own that takes every trace with it."""
    try:
        done = subprocess.run(
            (sys.executable, "-I", "-S", _SCRIPT, "probe"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={"LANG": "C.UTF-8"},
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Mounts("none", str(error))
    word, _, why = done.stdout.decode(errors="replace").strip().partition(" ")
    match word:
        case "root" | "user":
            return Mounts(word)
        case _:
            return Mounts("none", why or f"the trial ended with {done.returncode}")
