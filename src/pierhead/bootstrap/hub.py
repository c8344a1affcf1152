"""The hub process: builds the control plane from its parts and runs it until it is told to end."""

import asyncio
import os
import secrets
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pierhead import __version__, telemetry
from pierhead.bootstrap import serving, tls
from pierhead.bootstrap.credentials import Credentials, load_or_create
from pierhead.bootstrap.database import migrate, tending, told
from pierhead.bootstrap.descriptors import raised_limit
from pierhead.bootstrap.dialects import Told, dialects
from pierhead.bootstrap.engines import Engines, engines
from pierhead.bootstrap.memory import give_back_large_blocks, give_back_what_the_start_took
from pierhead.bootstrap.secret_files import metrics_token
from pierhead.bootstrap.storage import accounts, box, connected, ready_for_oss, snapshots
from pierhead.bootstrap.supervisor import only_one
from pierhead.bootstrap.upkeep import eviction
from pierhead.bootstrap.watching import watching
from pierhead.core.errors import Unavailable
from pierhead.core.ids import engine_key
from pierhead.core.launch import Launch, Placement
from pierhead.core.replicas import RuntimeInfo
from pierhead.core.routes import GatewayReport
from pierhead.core.specs import BUILT_IN
from pierhead.core.status import verdict
from pierhead.core.why import deepest
from pierhead.core.workloads import Workload
from pierhead.dialects.eas import catalog as eas_catalog
from pierhead.dialects.eas import openapi as eas_openapi
from pierhead.dialects.zstack import catalog as zstack_catalog
from pierhead.dialects.zstack import openapi as zstack_openapi
from pierhead.engines.base import Engine
from pierhead.listener import listen
from pierhead.operations.endings import Endings
from pierhead.operations.first_start import Home, ensure
from pierhead.operations.platform import Platform
from pierhead.operations.usage import Ledger
from pierhead.reconciler.loop import Reconciler, Rhythm
from pierhead.reconciler.preflight import Preflight
from pierhead.reconciler.preparation import Parts, Preparation
from pierhead.reconciler.routes import RouteBook
from pierhead.reconciler.service import ServicePass
from pierhead.reconciler.survey import Survey
from pierhead.runtimes.process.ground import Settings as ProcessSettings
from pierhead.runtimes.process.runtime import ProcessRuntime
from pierhead.server import Server
from pierhead.settings import Settings, split_address
from pierhead.sources.conversions import Conversions
from pierhead.sources.environments import Environments, Options
from pierhead.sources.eviction import Eviction
from pierhead.sources.folders import Folders
from pierhead.sources.model_shapes import ModelShapes, Where, connected_place
from pierhead.sources.snapshot import states
from pierhead.sources.weights import Places, Weights
from pierhead.store import endpoint_tokens, keys, usage
from pierhead.store import services as rows
from pierhead.store.db import Database
from pierhead.web.app import FrontDoor, Inside

log = telemetry.logger("pierhead.hub")

_BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Hub:
    """The control plane, put together."""

    settings: Settings
    credentials: Credentials
    db: Database
    runtime: ProcessRuntime
    weights: Weights
    routes: RouteBook
    reconciler: Reconciler
    figures: telemetry.HubFigures
    info: RuntimeInfo
    platform: Platform
    survey: Survey
    environments: Environments
    conversions: Conversions
    ledger: Ledger


async def serve(settings: Settings) -> None:
    """Run the hub until SIGTERM or SIGINT; replicas run on unless `stop_replicas_on_exit` is set.

    Raises:
        PierheadError: the port, the database or the credentials cannot be used.
    """
    give_back_large_blocks()
    raised_limit()
    os.umask(0o077)  # what the hub writes is nobody else's business: it holds keys and tokens
    # Two hubs on one folder would both drive its replicas.
    with only_one(settings.data_dir, "run/hub.lock"), _listener(settings.listen) as listener:
        await asyncio.to_thread(migrate, settings)
        credentials = load_or_create(settings)
        certificate = await asyncio.to_thread(tls.ready, settings)
        async with (
            _hub(settings, credentials) as hub,
            watching(hub.platform, settings) as watch,
            dialects(
                hub.platform, settings, credentials, Told(hub.figures.request, watch)
            ) as doors,
            serving.renewing(certificate),
        ):
            front = FrontDoor(_inside(hub), doors.eas, doors.zstack, doors.ram)
            server = serving.server(settings, front, certificate)
            with _ended_by_signals(server, hub.routes):
                host, port = listener.getsockname()[:2]
                limits = hub.info.limits
                log.info("hub serves", host=host, port=port, version=__version__, limits=limits)
                for warning in hub.info.warnings:
                    log.warning("this host", found=warning)
                give_back_what_the_start_took()
                await server.serve(sockets=[listener])


@asynccontextmanager
async def _hub(settings: Settings, credentials: Credentials) -> AsyncGenerator[Hub]:
    """The parts, started in order and ended in the reverse order."""
    figures = telemetry.HubFigures()
    db = Database(settings.database, timed=figures.transaction, box=box(settings))
    try:
        hub = await _assemble(settings, credentials, db, figures)
        warming = asyncio.create_task(ready_for_oss(db, settings.resync_seconds))
        try:
            async with tending(db, lambda: _first_start(hub)):
                await hub.reconciler.start()
                await hub.survey.start()
                yield hub
        finally:
            warming.cancel()
            await hub.survey.close()
            hub.environments.close()
            await hub.reconciler.close()
            hub.conversions.close()
            hub.weights.close()
            if settings.stop_replicas_on_exit:
                await hub.runtime.stop_all(settings.stop_seconds)
            await hub.runtime.close()
    finally:
        db.close()


async def _first_start(hub: Hub) -> None:
    """The account's key, zone, model center and shipped templates: a newcomer's first call finds them."""
    key = hub.credentials.key
    await hub.db.write(keys.put_filed, hub.platform.box, key, time.time())
    host, port = split_address(hub.settings.listen)
    home = Home(models=str(hub.settings.models_dir.absolute()), port=port, host=host)
    await ensure(hub.platform, home)


async def _assemble(
    settings: Settings, credentials: Credentials, db: Database, figures: telemetry.HubFigures
) -> Hub:
    here = engines(settings)
    key_of = partial(engine_key, credentials.engine_secret)

    def files_came() -> None:
        reconciler.hasten()

    def asked_lately() -> list[str]:
        return remote.asked_lately()

    runtime = _runtime(settings, credentials, here.adapters, key_of)
    info = await runtime.probe()
    ledger, routes = await _book(db, settings, here, key_of)
    evicting = eviction(db, settings, asked_lately, figures.weights.evicted)
    remote = connected(db, settings, files_came, evicting.make_room, figures.weights)
    weights = Weights(_places(settings), time.time, files_came, remote)
    environments = _environments(settings, files_came)
    conversions = Conversions(settings.cache_dir, time.time, files_came, evicting.make_room)
    parts = Parts(
        db=db,
        runtime=runtime,
        weights=weights,
        environments=environments,
        folders=Folders(),
        clock=time.time,
        nodes=info.nodes,
        binds=info.binds,
        offers=here.offers,
        wishes=here.wishes,
        conversions=conversions,
        gateway=settings.gateway_endpoint,
        environment_days=settings.environments_days,
        preflight=Preflight(ModelShapes(_where(db, settings)), time.time),
    )
    one_pass = ServicePass(
        db=db, runtime=runtime, preparation=Preparation(parts), routes=routes, clock=time.time
    )
    rhythm = Rhythm(resync=settings.resync_seconds, event_days=settings.event_days)
    tidying, relisting = _tidying(ledger, evicting), _relisting(db, settings, routes)
    reconciler = Reconciler(one_pass, rhythm, figures.reconciled, tidying, relisting)
    survey = Survey(db, cache=settings.cache_dir)
    return Hub(
        settings=settings,
        credentials=credentials,
        db=db,
        runtime=runtime,
        weights=weights,
        routes=routes,
        reconciler=reconciler,
        figures=figures,
        info=info,
        platform=_platform(settings, credentials, db, runtime, info, (reconciler, survey, routes)),
        survey=survey,
        environments=environments,
        conversions=conversions,
        ledger=ledger,
    )


async def _book(
    db: Database, settings: Settings, here: Engines, key_of: Callable[[str], str]
) -> tuple[Ledger, RouteBook]:
    """What gateways are told, and what they tell; both know what the database knows."""
    capabilities = {name: offer.capabilities for name, offer in here.offers.items()}
    ledger = Ledger(db, time.time)
    await ledger.start()
    routes = RouteBook(time.time, key_of, capabilities, ledger.spent)
    routes.know(await db.read(endpoint_tokens.everything, box(settings)))
    return ledger, routes


def _relisting(
    db: Database, settings: Settings, routes: RouteBook
) -> Callable[[], Awaitable[None]]:
    """What opens services, from the database: whoever changed it may have failed before it told."""

    async def run() -> None:
        since = routes.news
        routes.know_again(await db.read(endpoint_tokens.everything, box(settings)), since)

    return run


def _tidying(ledger: Ledger, evicting: Eviction) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        await ledger.tidy()
        await asyncio.to_thread(evicting.tidy)

    return run


def _runtime(
    settings: Settings,
    credentials: Credentials,
    adapters: Mapping[str, Engine],
    key_of: Callable[[str], str],
) -> ProcessRuntime:
    def launch(workload: Workload, placement: Placement) -> Launch:
        engine = adapters[workload.template.engine]
        threads = settings.threads or placement.threads
        return engine.launch(workload.template, workload.files, replace(placement, threads=threads))

    return ProcessRuntime(
        settings.data_dir / "replicas",
        launch,
        time.time,
        secrets.token_bytes,
        key_of,
        ProcessSettings(
            owner=credentials.account,
            ports=settings.ports,
            closed=(str(settings.data_dir.resolve()),),
            open_files=raised_limit(),
        ),
    )


def _where(db: Database, settings: Settings) -> Where:
    return connected_place(_places(settings), accounts(db, settings), time.time)


def _places(settings: Settings) -> Places:
    return Places(
        cache=settings.cache_dir,
        models=settings.models_dir,
        specs=dict(settings.weights),
        demo=settings.demo_weights,
    )


def _environments(settings: Settings, came: Callable[[], None]) -> Environments:
    options = Options(
        downloads=settings.environments_download, conda_channels=settings.conda_channels
    )
    return Environments(settings.environments_dir, time.time, came, options)


def _platform(
    settings: Settings,
    credentials: Credentials,
    db: Database,
    runtime: ProcessRuntime,
    info: RuntimeInfo,
    woken: tuple[Reconciler, Survey, RouteBook],
) -> Platform:
    reconciler, survey, routes = woken
    endings = Endings()
    endings.hear_of_tokens(routes.keyed)
    return Platform(
        db=db,
        runtime=runtime,
        templates=BUILT_IN,
        wake=reconciler.wake,
        clock=time.time,
        entropy=secrets.token_bytes,
        account=credentials.account,
        region=settings.region,
        gateway=settings.gateway_endpoint,
        box=box(settings),
        hub=settings.hub_endpoint,
        nodes=info.nodes,
        survey=survey.wake,
        allowed_roots=settings.allowed_roots,
        strict_ids=settings.strict_ids,
        endings=endings,
    )


def _inside(hub: Hub) -> Inside:
    began = time.monotonic()

    def health() -> dict[str, Any]:
        return {
            **told(hub.db),
            "version": __version__,
            "region": hub.settings.region,
            "uptime_seconds": round(time.monotonic() - began, 1),
            "route_revision": hub.routes.revision,
            "gateways": hub.routes.gateways,
            "limits": hub.info.limits,
        }

    async def heard(report: GatewayReport) -> Mapping[str, int]:
        hub.reconciler.heard(report)
        return await hub.ledger.take(report, hub.routes.limited)

    async def metrics(names: bool) -> tuple[bytes, str]:
        now, writes = time.time(), hub.db.writes
        hub.figures.writes(refusing=writes.refusal is not None, refused=writes.refused)
        with suppress(Unavailable):  # what the database knows is told when it answers again
            found = await hub.db.read(rows.everything)
            hub.figures.tokens.show(
                await hub.db.read(usage.totals),
                {service.id: service.name for service, _seen in found} if names else None,
            )
            held = states(await asyncio.to_thread(snapshots(hub.settings).all))
            hub.figures.weights.show(hub.weights.running(), held)
            hub.figures.show(
                services=Counter(verdict(service, seen, now).status for service, seen in found),
                replicas=Counter(replica.state for replica in hub.runtime.observe()),
                holds=Counter(filter(None, (deepest(*pair, now) for pair in found))),
            )
        return hub.figures.exposition()

    return Inside(
        routes=hub.routes,
        heard=heard,
        health=health,
        metrics=metrics,
        openapi={
            "eas.json": lambda: eas_openapi.document(eas_catalog.load(), hub.settings.hub_endpoint),
            "zstack.json": lambda: zstack_openapi.document(
                zstack_catalog.load(), hub.settings.hub_endpoint
            ),
        },
        internal_key=hub.credentials.internal_key,
        metrics_token=metrics_token(hub.settings.data_dir),
    )


@contextmanager
def _ended_by_signals(server: Server, routes: RouteBook) -> Generator[None]:
    def end() -> None:
        server.force_exit = server.should_exit  # the second signal does not wait
        server.should_exit = True
        routes.end()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


@contextmanager
def _listener(address: str) -> Generator[socket.socket]:
    """The port, taken before anything is touched: a second hub on it ends here.

    Raises:
        Unavailable: it cannot be had.
    """
    host, port = split_address(address)
    try:
        listener = listen(host, port, _BACKLOG)
    except OSError as error:
        why = f"{error.strerror}; set listen to another one"
        raise Unavailable(f"The address {address}", why) from error
    with listener:
        yield listener
