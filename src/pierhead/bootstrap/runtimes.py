"""Where replicas run: which runtime a hub works with, and how replicas of it find their files."""

import secrets
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field, replace
from functools import partial
from math import inf
from typing import Protocol

from pierhead import telemetry
from pierhead.bootstrap.credentials import Credentials
from pierhead.bootstrap.descriptors import raised_limit
from pierhead.bootstrap.engines import Engines, engines
from pierhead.core.errors import PierheadError
from pierhead.core.events import Notice
from pierhead.core.ids import engine_key
from pierhead.core.launch import Files, Launch, Placement
from pierhead.core.templates import Template
from pierhead.core.workloads import Workload
from pierhead.reconciler import preparation
from pierhead.runtimes.base import Follower, NobodyFollows, Runtime
from pierhead.setting_fields_kubernetes import RuntimeName
from pierhead.settings import BadSetting, Settings
from pierhead.sources.connected import Connected
from pierhead.sources.conversions import Conversions
from pierhead.sources.environments import Environments, Options
from pierhead.sources.folders import Folders
from pierhead.sources.progress import Progress
from pierhead.sources.weights import Places, Weights
from pierhead.store.db import Database

log = telemetry.logger("pierhead.hub")


class WeightsHere(preparation.Weights, Protocol):
    """Where files are, as a hub holds it."""

    def running(self) -> list[Progress]:
        """How far each fetch is."""
        ...

    def close(self) -> None:
        """End what is being done."""
        ...


class EnvironmentsHere(preparation.Environments, Protocol):
    """Where Python environments are, as a hub holds it."""

    def close(self) -> None:
        """End what is being built."""
        ...


@dataclass(frozen=True, slots=True)
class Means:
    """What a runtime's files are made with."""

    db: Database
    settings: Settings
    came: Callable[[], None]  #: called when files are there that were waited for
    make_room: Callable[[int], None]  #: called with the bytes that are about to be written here
    remote: Connected  #: fetches to this machine


@dataclass(frozen=True, slots=True)
class Supplies:
    """What a replica needs besides its engine, where it will be."""

    weights: WeightsHere
    environments: EnvironmentsHere
    folders: preparation.Folders
    conversions: Conversions | None  #: None = weights are served as they lie

    def close(self) -> None:
        """End what is being fetched, built and converted."""
        self.environments.close()
        if self.conversions is not None:
            self.conversions.close()
        self.weights.close()


def _nothing(_template: Template, _files: Files, _engine: str) -> tuple[Notice, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Sight:
    """How well a runtime sees replicas that are not on this machine."""

    age: float | None  #: seconds since all of it was known for sure; None = it never was
    problem: str  #: why it may be old; "" = it is not


def _in_sight() -> Sight | None:
    return None


@dataclass(frozen=True, slots=True)
class Ground:
    """The runtime of a hub, and what goes with it."""

    runtime: Runtime
    engines: Engines
    supplies: Callable[[Means], Supplies]
    #: Ends every replica within so many seconds; None = they are not the hub's to end.
    stop_all: Callable[[float], Awaitable[None]] | None = None
    name: str = "process"  #: as settings and tags call it
    place: str = ""  #: namespace that its replicas are in; "" = they are on this machine
    #: (template, files, name of its engine): what it does not give as it is asked for.
    lacking: Callable[[Template, Files, str], tuple[Notice, ...]] = _nothing
    #: None = it is this machine, which is always seen.
    sight: Callable[[], Sight | None] = _in_sight
    #: Returns when it is known what replicas there are; None = `runtime.adopt` does.
    adopted: Callable[[], Awaitable[None]] | None = None
    #: Seconds that a hub waits for that before it serves without; None = as long as it takes.
    patience: float | None = None
    follower: Follower = field(default_factory=NobodyFollows)
    #: Removes what is kept of services that are none of these; None = what is kept goes with the service.
    forget_others: Callable[[Collection[str]], Awaitable[None]] | None = None


def _freely() -> float:
    """There is nothing to ask, for ever."""
    return inf


async def ground(
    settings: Settings,
    credentials: Credentials,
    demand: Callable[[], float] = _freely,
    before: RuntimeName | None = None,
) -> Ground:
    """The runtime that the settings name.

    `demand` tells for how many seconds a cluster may be changed; it raises Unavailable while it may not be. `before`:
    the runtime that the services there were made for; `auto` leaves them where they are.

    Raises:
        BadSetting: a setting goes with another runtime, or one is missing.
        Unavailable: no cluster is configured, or its credentials cannot be read.
        Refused: the cluster does not let us look at it.
    """
    if settings.runtime == "process":
        return _process(settings, credentials)
    if settings.runtime == "auto" and before == "process":
        log.info("replicas run on this machine", runtime="process", why=_STAY)
        return _process(settings, credentials)
    # Who serves from one machine pays for none of it.
    from pierhead.bootstrap import kubernetes

    if settings.runtime == "kubernetes" or before == "kubernetes":
        if settings.stop_replicas_on_exit and settings.runtime == "kubernetes":
            raise BadSetting(
                "The setting stop_replicas_on_exit does not go with runtime = kubernetes: replicas "
                "belong to the cluster, and serve on without a hub."
            )
        return await kubernetes.ground(settings, credentials, demand, waits=True)
    try:
        found = await kubernetes.ground(settings, credentials, demand)
    except PierheadError as problem:
        log.info("replicas run on this machine", runtime="process", why=str(problem))
        return _process(settings, credentials)
    stays = "they serve on when this hub ends" if settings.stop_replicas_on_exit else ""
    log.info("replicas run on a cluster", runtime="kubernetes", why="it answers", told=stays)
    return found


_STAY = "the services that are there do; runtime = kubernetes moves them to a cluster"


def asks(here: Engines, threads: int) -> Callable[[Workload, Placement], Launch]:
    """Asks the engine that a workload names; `threads`: of one that computes on the CPU, 0 = its share."""

    def launch(workload: Workload, placement: Placement) -> Launch:
        engine = here.adapters[workload.template.engine]
        found = replace(placement, threads=threads or placement.threads)
        return engine.launch(workload.template, workload.files, found)

    return launch


def places(settings: Settings) -> Places:
    """Where the operator's own weights are."""
    return Places(
        cache=settings.cache_dir,
        models=settings.models_dir,
        specs=dict(settings.weights),
        demo=settings.demo_weights,
    )


def _process(settings: Settings, credentials: Credentials) -> Ground:
    from pierhead.runtimes.process.ground import Settings as ProcessSettings
    from pierhead.runtimes.process.runtime import ProcessRuntime

    here = engines(settings)
    runtime = ProcessRuntime(
        settings.data_dir / "replicas",
        asks(here, settings.threads),
        time.time,
        secrets.token_bytes,
        partial(engine_key, credentials.engine_secret),
        ProcessSettings(
            owner=credentials.account,
            ports=settings.ports,
            closed=(str(settings.data_dir.resolve()),),
            open_files=raised_limit(),
        ),
    )
    return Ground(runtime, here, _of_this_machine, runtime.stop_all)


def _of_this_machine(means: Means) -> Supplies:
    settings = means.settings
    options = Options(
        downloads=settings.environments_download, conda_channels=settings.conda_channels
    )
    return Supplies(
        weights=Weights(places(settings), time.time, means.came, means.remote),
        environments=Environments(settings.environments_dir, time.time, means.came, options),
        folders=Folders(),
        conversions=Conversions(settings.cache_dir, time.time, means.came, means.make_room),
    )
