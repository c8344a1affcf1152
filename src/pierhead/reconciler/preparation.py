"""Everything a replica needs before it is started: a command, a machine, an engine, dependencies, files.

Asked in this order, the cheapest first; the first that is missing is the hold that people see.
"""

import asyncio
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, cast

from sqlalchemy import Connection

from pierhead.core.choice import Offer
from pierhead.core.connections import kept_from, named
from pierhead.core.events import Notice
from pierhead.core.ids import Clock
from pierhead.core.launch import EnvironmentPath, Files, no_files
from pierhead.core.mount_paths import not_shown
from pierhead.core.mounts import Remote, Source
from pierhead.core.placement import TO_COME, unplaceable
from pierhead.core.replicas import Node
from pierhead.core.services import Hold, Service, Version
from pierhead.core.status import Status, verdict
from pierhead.core.tags import Kind, runtime_refused
from pierhead.core.templates import Environment, Template
from pierhead.reconciler.selection import (
    Asked,
    Conversions,
    Preflight,
    Selected,
    Selection,
    engine_chosen,
)
from pierhead.runtimes.base import Runtime
from pierhead.sources.connected import unconnected
from pierhead.store import connections
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


def _gives_all(_template: Template, _files: Files, _engine: str) -> tuple[Notice, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Parts:
    """What a preparation works with."""

    db: Database
    runtime: Runtime
    weights: Weights
    environments: Environments
    folders: Folders
    clock: Clock
    nodes: Sequence[Node]  #: as the runtime told at start; it is asked again when none will do
    offers: Mapping[str, Offer]  #: every engine there is, by name
    binds: bool = False  #: can the runtime show files at a template's mount path?
    runtime_name: str = (
        "process"  #: what starts replicas: `process`, or `kubernetes` with its images
    )
    gateway: str = ""  #: base URL of the data plane, without a slash at the end
    environment_days: float = 30.0  #: days that an unused environment is kept; 0 = for ever
    preflight: Preflight | None = None  #: None = whatever is asked for is tried
    #: Name of a spec or template -> engine that its operator wants.
    wishes: Mapping[str, str] = field(default_factory=dict[str, str])
    conversions: Conversions | None = None  #: None = weights are served as they lie
    #: (template, files, name of its engine): what the runtime does not give as it is asked for.
    lacking: Callable[[Template, Files, str], tuple[Notice, ...]] = _gives_all
    nodes_come: bool = False  #: does a machine join for what fits on none that is there?


@dataclass(frozen=True, slots=True)
class Prepared:
    """All is there."""

    files: Files
    engine: str
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
        self._selection = Selection(parts.offers, parts.wishes, parts.preflight, parts.conversions)
        self._nodes, self._nodes_told = parts.nodes, parts.clock()
        self._tidied = parts.clock()

    async def prepare(
        self, service: Service, version: Version, *, fresh: bool, running: str = ""
    ) -> Prepared | Hold:
        """What `version` needs, or the hold that says what is missing.

        `fresh` = somebody just asked for it: what failed before is tried at once. `running` = the
        engine of replicas that run this very version already.
        """
        template = version.template
        hold = self._elsewhere(service) or self._too_wide(template) or self._no_command(template)
        hold = hold or await self._no_machine(template)
        hold = hold or await self._kept_from(service, version)
        if hold is not None:
            return hold
        nodes = self._nodes
        if self._parts.nodes_come:
            nodes = (*nodes, *(TO_COME,) * template.nodes)
        asked = Asked(version, nodes, fresh, running)
        first = None if self._is_own(template) else await self._selection.before(asked)
        if isinstance(first, Hold):
            return first
        needed = await self._dependencies(service)
        if not all(other.runs for other in needed):
            return _not_running(needed)
        prepared = await self._with_files(asked, first)
        if isinstance(prepared, Hold):
            return prepared
        missing = await self._missing_folders(template)
        if isinstance(missing, Hold):
            return missing
        files = replace(prepared.files, env=self._urls(needed))
        elsewhere = () if self._parts.binds else not_shown(template)
        elsewhere += self._parts.lacking(template, files, prepared.engine)
        return replace(prepared, files=files, notices=prepared.notices + missing + elsewhere)

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

    def _is_own(self, template: Template) -> bool:
        """Is it a user's own command? What that makes of its files is not known."""
        offer = self._parts.offers.get(template.engine)
        return offer is not None and offer.capabilities.needs_command

    def _elsewhere(self, service: Service) -> Hold | None:
        """Does it ask for another runtime than there is? One that was made before this one was chosen."""
        asked = service.registration.runtime
        refused = runtime_refused(asked, self._parts.runtime_name)
        if not refused:
            return None
        problem = f"It asks for the runtime [{asked}], and {refused}"
        text = f"{problem}: remove its tag {Kind.RUNTIME}::{asked}."
        return Hold("CannotStart", text, permanent=True, facts={"problem": problem})

    def _too_wide(self, template: Template) -> Hold | None:
        """Is it for several nodes, from when replicas were on a cluster? Here there is one for good."""
        if template.nodes == 1 or self._images:
            return None
        problem = f"Each replica is on {template.nodes} nodes, and replicas here are processes of one host"
        text = f"{problem}: deploy it on one node."
        return Hold("CannotStart", text, permanent=True, facts={"problem": problem})

    @property
    def _images(self) -> bool:
        return self._parts.runtime_name != "process"

    def _no_command(self, template: Template) -> Hold | None:
        if not self._is_own(template) or template.command or template.script:
            return None
        if self._images and template.images:
            return None  # an image says itself what is to be run
        return Hold(
            "NoCommand",
            f"The template [{template.name}] does not say what is to be run: give it a start command "
            "(or a container command), or a framework that brings its own.",
            permanent=True,
            facts={"template": template.name},
        )

    async def _no_machine(self, template: Template) -> Hold | None:
        if self._parts.nodes_come:
            return None  # it is asked for: that is what brings a machine
        resources, constraints = template.resources, template.constraints
        hold = unplaceable(resources, self._nodes, constraints, template.nodes)
        now = self._parts.clock()
        if hold is None or now - self._nodes_told < _LOOK_AGAIN:
            return hold
        self._nodes, self._nodes_told = (await self._parts.runtime.probe()).nodes, now
        return unplaceable(resources, self._nodes, constraints, template.nodes)

    async def _kept_from(self, service: Service, version: Version) -> Hold | None:
        """Is what it names kept for other workspaces? Its wish was looked at; bindings change."""
        source = version.weights
        if source is None or not named(source):
            return None
        known = await self._parts.db.read(connections.everything)
        kept = kept_from(source, service.workspace, known)
        return None if kept is None else unconnected(cast("Remote", source))

    async def _dependencies(self, service: Service) -> list[_Dependency]:
        if not service.registration.needs:
            return []
        return await self._parts.db.read(_dependencies, service, self._parts.clock())

    async def _with_files(self, asked: Asked, first: Selected | None) -> Prepared | Hold:
        """The environment, the files, and the engine that is chosen for them; None = a user's command."""
        template = asked.version.template
        # An image is taken to have what its command needs.
        needed = None if self._images and template.images else template.environment
        built = self._built(needed, fresh=asked.fresh)
        if isinstance(built, Hold):
            return built
        engine = template.engine if first is None else first.choice.engine
        files = self._files(asked.version, engine)
        if isinstance(files, Hold):
            return files
        told: tuple[Notice, ...] = ()
        if first is not None:
            found = await self._selection.after(asked, first, files)
            if isinstance(found, Hold):
                return found
            selected, files = found
            engine = selected.choice.engine
            told = (engine_chosen(selected), *selected.notices)
        files = replace(files, environment=built.folder)
        return Prepared(files, engine, files.notices + told + built.notices)

    def _files(self, version: Version, engine: str) -> Files | Hold:
        needed = self._parts.offers[engine].capabilities.needs_weights
        if needed or version.weights is not None:
            return self._parts.weights.ensure(version.template, version.source)
        return no_files()

    def _built(self, environment: Environment | None, *, fresh: bool) -> EnvironmentPath | Hold:
        if environment is None:
            return EnvironmentPath("")
        if fresh:
            self._parts.environments.retry(environment)
        return self._parts.environments.ensure(environment)

    async def _missing_folders(self, template: Template) -> tuple[Notice, ...] | Hold:
        """A notice when the working directory is not there; a hold when a dataset is not, or one hangs."""
        # Nobody can look into an image.
        workdir = "" if self._images else template.workdir
        paths = [workdir] * bool(workdir) + [link.path for link in template.links]
        if not paths:
            return ()
        missing, hanging = await self._parts.folders.missing(paths)
        if hanging:
            text = f"No answer from {', '.join(hanging)}: is its file system mounted and well?"
            return Hold("StorageHangs", text, facts={"place": ", ".join(hanging)})
        gone = [f"{link.name} ({link.path})" for link in template.links if link.path in missing]
        if gone:
            return Hold(
                "DatasetMissing",
                f"Not there: dataset {', '.join(gone)}. Put it there, or deploy without it; "
                "the service goes on by itself then.",
                permanent=True,
                facts={"datasets": ", ".join(gone)},
            )
        if workdir not in missing:
            return ()
        text = (
            f"The folder [{workdir}] does not exist: the command runs in an empty one of its own."
        )
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
        facts={"names": names},
    )


def _variable(name: str) -> str:
    """`Chat-Model` -> `CHAT_MODEL`; "" when nothing of the name can stand in a variable's."""
    return re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_")


def _environments_in_use(tx: Connection) -> frozenset[Environment]:
    found = (version.template.environment for version in rows.versions(tx))
    return frozenset(environment for environment in found if environment is not None)
