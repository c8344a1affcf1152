"""Everything a replica needs before it is started: a command, a machine, its dependencies, its files.

Asked in this order, the cheapest first; the first that is missing is the hold that people see.
"""

import asyncio
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from pierhead.core.events import Notice
from pierhead.core.ids import Clock
from pierhead.core.launch import Capabilities, EnvironmentPath, Files, no_files
from pierhead.core.mounts import Source
from pierhead.core.placement import unplaceable
from pierhead.core.replicas import Node
from pierhead.core.services import Hold, Service, Version
from pierhead.core.status import Status, verdict
from pierhead.core.templates import Environment, Template
from pierhead.runtimes.base import Runtime
from pierhead.store import services as rows
from pierhead.store.db import Database

_LOOK_AGAIN = 15.0  #: seconds between questions to the runtime which machines it has now
_TIDY = 3600.0  #: seconds between two searches for environments that nobody uses


class Weights(Protocol):
    """Where a service's files are."""

    def ensure(self, template: Template, source: Source | None) -> Files | Hold:
        """The files, or what they are waiting for."""
        ...


class Environments(Protocol):
    """Where isolated Python environments are."""

    def ensure(self, environment: Environment) -> EnvironmentPath | Hold:
        """The environment, or what it is waiting for."""
        ...

    def retry(self, environment: Environment) -> None:
        """Forget that it could not be built."""
        ...

    def prune(self, keep: Collection[Environment], before: float) -> list[Path]:
        """Remove those that nobody was started with since `before`; blocks."""
        ...


class Folders(Protocol):
    """Whether folders are there."""

    async def missing(self, paths: Iterable[str]) -> tuple[list[str], list[str]]:
        """(those that are not there, those whose file system does not answer)."""
        ...


class Preflight(Protocol):
    """Whether the model is the right one and can fit."""

    async def check(
        self, version: Version, nodes: Sequence[Node], *, fresh: bool, model: str = ""
    ) -> tuple[Notice, ...] | Hold:
        """What the owner should know, or why it cannot be started; `model`: what will be loaded."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What a preparation works with."""

    db: Database
    runtime: Runtime
    weights: Weights
    environments: Environments
    folders: Folders
    clock: Clock
    nodes: tuple[Node, ...]  #: as the runtime told at start; it is asked again when none will do
    engines: Mapping[str, Capabilities]
    gateway: str = ""  #: base URL of the data plane, without a slash at the end
    environment_days: float = 30.0  #: days that an unused environment is kept; 0 = for ever
    preflight: Preflight | None = None  #: None = whatever is asked for is tried


@dataclass(frozen=True, slots=True)
class Prepared:
    """All is there."""

    files: Files
    notices: tuple[Notice, ...] = ()  #: what the owner should know, told once per rollout


@dataclass(frozen=True, slots=True)
class _Dependency:
    """A service that must run first."""

    name: str
    title: str
    runs: bool


class Preparation:
    """Answers whether a version of a service can be started, and with what files."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._nodes, self._nodes_told = parts.nodes, parts.clock()
        self._tidied = parts.clock()

    async def prepare(self, service: Service, version: Version, *, fresh: bool) -> Prepared | Hold:
        """What `version` needs, or the hold that says what is missing.

        `fresh` = somebody just asked for it: what failed before is tried at once.
        """
        template = version.template
        hold = self._no_command(template) or await self._no_machine(template)
        if hold is not None:
            return hold
        told = await self._preflight(version, fresh=fresh)
        if isinstance(told, Hold):
            return told
        needed = await self._dependencies(service)
        if not all(other.runs for other in needed):
            return _not_running(needed)
        prepared = await self._judged_files(version, told, fresh=fresh)
        if isinstance(prepared, Hold):
            return prepared
        missing = await self._missing_folders(template)
        if isinstance(missing, Hold):
            return missing
        files = replace(prepared.files, env=self._urls(needed))
        return Prepared(files, prepared.notices + missing)

    async def tidy(self) -> None:
        """Let go of environments that no service has used for long; does something once an hour."""
        now = self._parts.clock()
        if self._parts.environment_days <= 0 or now - self._tidied < _TIDY:
            return
        self._tidied = now
        keep = await self._parts.db.read(_environments_in_use)
        before = now - self._parts.environment_days * 86400
        await asyncio.to_thread(self._parts.environments.prune, keep, before)

    # ---- one need after the other -----------------------------------------------------------

    def _no_command(self, template: Template) -> Hold | None:
        needs = self._parts.engines[template.engine].needs_command
        if not needs or template.command or template.script:
            return None
        return Hold(
            "NoCommand",
            f"The template [{template.name}] does not say what is to be run: give it a start command "
            "(or a container command), or a framework that brings its own.",
            permanent=True,
        )

    async def _no_machine(self, template: Template) -> Hold | None:
        resources, constraints = template.resources, template.constraints
        hold = unplaceable(resources, self._nodes, constraints)
        now = self._parts.clock()
        if hold is None or now - self._nodes_told < _LOOK_AGAIN:
            return hold
        self._nodes, self._nodes_told = (await self._parts.runtime.probe()).nodes, now
        return unplaceable(resources, self._nodes, constraints)

    async def _preflight(
        self, version: Version, *, fresh: bool, model: str = ""
    ) -> tuple[Notice, ...] | Hold:
        preflight = self._parts.preflight
        if preflight is None:
            return ()
        return await preflight.check(version, self._nodes, fresh=fresh, model=model)

    async def _dependencies(self, service: Service) -> list[_Dependency]:
        if not service.registration.needs:
            return []
        return await self._parts.db.read(_dependencies, service, self._parts.clock())

    async def _judged_files(
        self, version: Version, told: tuple[Notice, ...], *, fresh: bool
    ) -> Prepared | Hold:
        """The files; once they are there, all of the model's header can be seen."""
        prepared = self._files(version, fresh=fresh)
        if isinstance(prepared, Hold):
            return prepared
        if prepared.files.model:
            seen = await self._preflight(version, fresh=fresh, model=prepared.files.model)
            if isinstance(seen, Hold):
                return seen
            told = seen
        return replace(prepared, notices=told + prepared.notices)

    def _files(self, version: Version, *, fresh: bool) -> Prepared | Hold:
        environment = version.template.environment
        built = (
            EnvironmentPath("") if environment is None else self._built(environment, fresh=fresh)
        )
        if isinstance(built, Hold):
            return built
        needed = self._parts.engines[version.template.engine].needs_weights
        files = no_files()
        if needed or version.weights is not None:
            files = self._parts.weights.ensure(version.template, version.source)
        if isinstance(files, Hold):
            return files
        return Prepared(replace(files, environment=built.folder), built.notices)

    def _built(self, environment: Environment, *, fresh: bool) -> EnvironmentPath | Hold:
        if fresh:
            self._parts.environments.retry(environment)
        return self._parts.environments.ensure(environment)

    async def _missing_folders(self, template: Template) -> tuple[Notice, ...] | Hold:
        """A notice when the working directory is not there; a hold when a dataset is not, or one hangs."""
        paths = [template.workdir] * bool(template.workdir) + [link.path for link in template.links]
        if not paths:
            return ()
        missing, hanging = await self._parts.folders.missing(paths)
        if hanging:
            text = f"No answer from {', '.join(hanging)}: is its file system mounted and well?"
            return Hold("StorageHangs", text)
        gone = [f"{link.name} ({link.path})" for link in template.links if link.path in missing]
        if gone:
            return Hold(
                "DatasetMissing",
                f"Not there: dataset {', '.join(gone)}. Put it there, or deploy without it; "
                "the service goes on by itself then.",
                permanent=True,
            )
        if template.workdir not in missing:
            return ()
        text = f"The folder [{template.workdir}] does not exist: the command runs in an empty one of its own."
        return (Notice("InstallPathMissing", text),)

    def _urls(self, needed: list[_Dependency]) -> dict[str, str]:
        """Each dependency's address, by the name it is shown by and by its service name."""
        return {
            f"DEP_{name}_URL": f"{self._parts.gateway}/api/predict/{other.name}"
            for other in needed
            for name in map(_variable, (other.title, other.name))
            if name
        }


def _dependencies(tx: Connection, service: Service, now: float) -> list[_Dependency]:
    """Those that still exist: one that was removed by force is no dependency any more."""
    pairs = (rows.load(tx, id_) for id_ in service.registration.needs)
    return [
        _Dependency(
            name=other.name,
            title=other.registration.title or other.name,
            runs=verdict(other, seen, now).status is Status.RUNNING,
        )
        for other, seen in filter(None, pairs)
    ]


def _not_running(needed: list[_Dependency]) -> Hold:
    names = ", ".join(f"[{other.title}]" for other in needed if not other.runs)
    return Hold(
        "DependencyNotRunning",
        f"It starts as soon as what it depends on is running; not running yet: {names}.",
    )


def _variable(name: str) -> str:
    """`Chat-Model` -> `CHAT_MODEL`; "" when nothing of the name can stand in a variable's."""
    return re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")


def _environments_in_use(tx: Connection) -> frozenset[Environment]:
    """Of every service's current version, and of older ones that still run."""
    found: set[Environment | None] = set()
    for service, seen in rows.everything(tx):
        found.add(service.current.template.environment)
        for rollout in {replica.rollout for replica in seen.replicas} - {service.rollout}:
            older = rows.version(tx, service.id, int(rollout.partition(".")[0]))
            found.add(older.template.environment if older is not None else None)
    return frozenset(environment for environment in found if environment is not None)
