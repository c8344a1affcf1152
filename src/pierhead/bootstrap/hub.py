"""The hub process: builds the control plane from its parts and runs it until it is told to end."""

import asyncio
import os
import secrets
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass
from functools import partial
from typing import Any

from pierhead import __version__, telemetry
from pierhead.bootstrap import runtime_memory, serving, tls
from pierhead.bootstrap.credentials import Credentials, load_or_create
from pierhead.bootstrap.database import migrate, tending, told
from pierhead.bootstrap.descriptors import raised_limit
from pierhead.bootstrap.dialects import Told, dialects
from pierhead.bootstrap.engines import Engines
from pierhead.bootstrap.explorer import documents
from pierhead.bootstrap.leftovers import forgotten
from pierhead.bootstrap.looking import looking, showing
from pierhead.bootstrap.memory import give_back_large_blocks, give_back_what_the_start_took
from pierhead.bootstrap.nodes_seen import NodesSeen
from pierhead.bootstrap.playground import gateways, playground
from pierhead.bootstrap.runtimes import Ground, Means, Sight, Supplies, ground, places
from pierhead.bootstrap.samples import find
from pierhead.bootstrap.scaling import Scaled, with_scaling
from pierhead.bootstrap.secret_files import SHARED, mark, metrics_token, take_over
from pierhead.bootstrap.storage import accounts, box, connected, ready_for_oss, snapshots
from pierhead.bootstrap.supervisor import only_one
from pierhead.bootstrap.turns import Turn, Turns, shared, turns
from pierhead.bootstrap.upkeep import eviction
from pierhead.bootstrap.watching import watching
from pierhead.core.errors import Unavailable
from pierhead.core.ids import engine_key
from pierhead.core.lease import Role
from pierhead.core.replicas import RuntimeInfo
from pierhead.core.routes import GatewayReport
from pierhead.core.specs import BUILT_IN
from pierhead.core.status import verdict
from pierhead.core.why import deepest
from pierhead.listener import listen
from pierhead.operations.board import Board
from pierhead.operations.calling import REGISTERED, SERVICE, TOKENS
from pierhead.operations.endings import Endings
from pierhead.operations.first_start import Home, ensure
from pierhead.operations.platform import Platform
from pierhead.operations.usage import Ledger
from pierhead.operations.waking import awaken
from pierhead.reconciler.loop import Reconciler, Rhythm
from pierhead.reconciler.preflight import Preflight
from pierhead.reconciler.preparation import Parts, Preparation
from pierhead.reconciler.routes import RouteBook
from pierhead.reconciler.service import ServicePass
from pierhead.reconciler.survey import Survey
from pierhead.server import Server
from pierhead.settings import Settings, split_address
from pierhead.sources.eviction import Eviction
from pierhead.sources.model_shapes import ModelShapes, Where, connected_place
from pierhead.sources.snapshot import states
from pierhead.store import endpoint_tokens, keys, usage
from pierhead.store import services as rows
from pierhead.store.db import Database
from pierhead.web import make_code
from pierhead.web.app import FrontDoor, Inside
from pierhead.web.static_files import Pages

log = telemetry.logger("pierhead.hub")

_BACKLOG = 1024


@dataclass(frozen=True, slots=True)
class Hub:
    """The control plane, put together."""

    settings: Settings
    credentials: Credentials
    db: Database
    ground: Ground
    supplies: Supplies
    routes: RouteBook
    reconciler: Reconciler
    figures: telemetry.HubFigures
    info: RuntimeInfo
    nodes: NodesSeen
    platform: Platform
    survey: Survey
    ledger: Ledger
    scaled: Scaled
    turns: Turns


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
        take_over(settings.secrets_dir, settings.data_dir, SHARED)
        await asyncio.to_thread(migrate, settings)
        credentials = load_or_create(settings)
        certificate = await asyncio.to_thread(tls.ready, settings)
        beside = gateways(settings)
        async with (
            _hub(settings, credentials) as hub,
            watching(hub.platform, settings) as watch,
            dialects(
                hub.platform, settings, credentials, Told(hub.figures.request, watch)
            ) as doors,
            playground(doors.permission, beside) as chat,
            looking(hub.platform, settings, doors.permission, doors.console) as board,
            serving.renewing(certificate, beside[0].trust),
        ):
            doors.console.add(*chat)
            front = FrontDoor(
                _inside(hub), doors.eas, doors.zstack, doors.ram, doors.console, pages=Pages()
            )
            server = serving.server(settings, front, certificate)
            with _ended_by_signals(server, hub.routes, board):
                host, port = listener.getsockname()[:2]
                limits = hub.info.limits
                log.info("hub serves", host=host, port=port, version=__version__, limits=limits)
                for warning in hub.info.warnings:
                    log.warning("this host", found=warning)
                give_back_what_the_start_took()
                await server.serve(sockets=[listener])
        hub.turns.demand_kept()


@asynccontextmanager
async def _hub(settings: Settings, credentials: Credentials) -> AsyncGenerator[Hub]:
    """The parts, started in order and ended in the reverse order."""
    figures = telemetry.HubFigures()
    several = shared(settings)
    db = Database(settings.database, timed=figures.transaction, box=box(settings), shared=several)
    key = credentials.key
    same = mark(settings.data_dir, f"{credentials.account} {key.id} {key.secret}")
    try:
        with turns(settings, db, same) as whose:
            await whose.fits()
            async with _working(await _assemble(settings, credentials, db, figures, whose)) as hub:
                yield hub
            await whose.release()
    finally:
        db.close()


@asynccontextmanager
async def _working(hub: Hub) -> AsyncGenerator[Hub]:
    """The hub at work, as far as it is its turn."""
    settings, db = hub.settings, hub.db
    warming = asyncio.create_task(ready_for_oss(db, settings.resync_seconds))
    try:
        async with (
            tending(db, lambda: _first_start(hub)),
            _looked_at(hub),
            forgotten(db, hub.ground.forget_others, settings.resync_seconds),
            hub.turns.taking(_turn(hub)),
        ):
            yield hub
    finally:
        warming.cancel()
        await hub.scaled.loop.close()
        await hub.survey.close()
        hub.supplies.environments.close()
        await hub.reconciler.close()
        hub.supplies.close()
        if settings.stop_replicas_on_exit and hub.ground.stop_all is not None:
            await hub.ground.stop_all(settings.stop_seconds)
        await hub.ground.runtime.close()


def _looked_at(hub: Hub) -> AbstractAsyncContextManager[None]:
    """Nodes of a cluster come and go; of a machine there is one, and asking it costs processes."""
    here = hub.ground.sight() is None
    return nullcontext() if here else hub.nodes.kept(hub.ground.runtime)


def _turn(hub: Hub) -> Turn:
    """What the active hub does, and no other."""

    async def begin() -> None:
        await hub.nodes.look(hub.ground.runtime)
        await hub.ledger.start()
        hub.routes.know(await hub.db.read(endpoint_tokens.everything, box(hub.settings)))
        await hub.reconciler.start()
        await hub.survey.start()
        hub.scaled.loop.start()

    async def service(key: str) -> None:
        hub.reconciler.wake(key)

    async def registered(key: str) -> None:
        hub.survey.wake(key)

    async def tokens(key: str) -> None:
        await _relisting(hub.db, hub.settings, hub.routes)()
        hub.reconciler.wake(key)

    looks = {SERVICE: service, REGISTERED: registered, TOKENS: tokens}
    adopted = hub.ground.adopted or hub.ground.runtime.adopt
    return Turn(adopted, begin, looks, hub.ground.patience)


async def _first_start(hub: Hub) -> None:
    """The account's key, zone, model center and shipped templates: a newcomer's first call finds them."""
    key = hub.credentials.key
    await hub.db.write(keys.put_filed, hub.platform.box, key, time.time())
    host, port = split_address(hub.settings.listen)
    home = Home(models=str(hub.settings.models_dir.absolute()), port=port, host=host)
    await ensure(hub.platform, home)


async def _assemble(
    settings: Settings,
    credentials: Credentials,
    db: Database,
    figures: telemetry.HubFigures,
    whose: Turns,
) -> Hub:
    key_of = partial(engine_key, credentials.engine_secret)

    def files_came() -> None:
        reconciler.hasten()

    def asked_lately() -> list[str]:
        return remote.asked_lately()

    found = await ground(settings, credentials, whose.demand, await db.read(runtime_memory.before))
    if found.place:
        await runtime_memory.stay(db, found.place)
    await runtime_memory.remember(db, found.name, found.place)
    if found.name == "process":
        whose.alone()
    own = whose.own(db)  # what only the active hub may write
    runtime, here = found.runtime, found.engines
    info = await runtime.probe()
    nodes = NodesSeen(info.nodes)
    ledger, routes = _book(own, settings, here, key_of)
    evicting = eviction(db, settings, asked_lately, figures.weights.evicted)
    remote = connected(db, settings, files_came, evicting.make_room, figures.weights)
    supplies = found.supplies(Means(db, settings, files_came, evicting.make_room, remote))
    preparing = Preparation(_parts(own, settings, found, supplies, (info, nodes)))
    one_pass = ServicePass(own, runtime, preparing, routes, time.time, follower=found.follower)
    rhythm = Rhythm(resync=settings.resync_seconds, event_days=settings.event_days)
    tidying, relisting = _tidying(ledger, evicting), _relisting(db, settings, routes)
    reconciler = Reconciler(one_pass, rhythm, figures.reconciled, tidying, relisting)
    survey = Survey(own, cache=settings.cache_dir)
    woken = reconciler, survey, routes
    platform = whose.telling(_platform(settings, credentials, db, found, nodes, woken))
    scaled = with_scaling(platform, settings, own, one_pass)
    return Hub(
        settings=settings,
        credentials=credentials,
        db=db,
        ground=found,
        supplies=supplies,
        routes=routes,
        reconciler=reconciler,
        figures=figures,
        info=info,
        nodes=nodes,
        platform=scaled.platform,
        survey=survey,
        ledger=ledger,
        scaled=scaled,
        turns=whose,
    )


def _parts(
    db: Database,
    settings: Settings,
    found: Ground,
    supplies: Supplies,
    machines: tuple[RuntimeInfo, NodesSeen],
) -> Parts:
    info, nodes = machines
    return Parts(
        db=db,
        runtime=found.runtime,
        weights=supplies.weights,
        environments=supplies.environments,
        folders=supplies.folders,
        clock=time.time,
        nodes=nodes,
        binds=info.binds,
        runtime_name=found.name,
        lacking=found.lacking,
        nodes_come=_nodes_come(settings, found),
        offers=found.engines.offers,
        wishes=found.engines.wishes,
        conversions=supplies.conversions,
        gateway=settings.gateway_endpoint,
        environment_days=settings.environments_days,
        preflight=Preflight(ModelShapes(_where(db, settings)), time.time),
    )


def _book(
    db: Database, settings: Settings, here: Engines, key_of: Callable[[str], str]
) -> tuple[Ledger, RouteBook]:
    """What gateways are told, and what they tell; neither knows yet what the database knows."""
    capabilities = {name: offer.capabilities for name, offer in here.offers.items()}
    ledger = Ledger(db, time.time)
    affinity = "" if settings.affinity == "none" else settings.affinity
    routes = RouteBook(time.time, key_of, capabilities, ledger.spent, affinity=affinity)
    routes.queue_seconds = settings.queue_seconds
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


def _where(db: Database, settings: Settings) -> Where:
    return connected_place(places(settings), accounts(db, settings), time.time)


def _nodes_come(settings: Settings, found: Ground) -> bool:
    return settings.kubernetes_nodes_come and found.name == "kubernetes"


def _platform(
    settings: Settings,
    credentials: Credentials,
    db: Database,
    here: Ground,
    nodes: NodesSeen,
    woken: tuple[Reconciler, Survey, RouteBook],
) -> Platform:
    reconciler, survey, routes = woken
    endings = Endings()
    endings.hear_of_tokens(routes.keyed)
    made = Platform(
        db=db,
        runtime=here.runtime,
        runtime_name=here.name,
        templates=BUILT_IN,
        wake=reconciler.wake,
        clock=time.time,
        entropy=secrets.token_bytes,
        account=credentials.account,
        region=settings.region,
        gateway=settings.gateway_endpoint,
        box=box(settings),
        hub=settings.hub_endpoint,
        nodes=nodes,
        nodes_come=_nodes_come(settings, here),
        survey=survey.wake,
        allowed_roots=settings.allowed_roots,
        strict_ids=settings.strict_ids,
        endings=endings,
        traffic=lambda: routes.traffic,
    )
    return showing(made, settings)


def _inside(hub: Hub) -> Inside:
    began = time.monotonic()

    def health() -> dict[str, Any]:
        return {
            **told(hub.db),
            **_seen(hub.ground.sight()),
            "role": hub.turns.role,
            "version": __version__,
            "region": hub.settings.region,
            "uptime_seconds": round(time.monotonic() - began, 1),
            "route_revision": hub.routes.revision,
            "gateways": hub.routes.gateways,
            "limits": hub.info.limits,
        }

    async def heard(report: GatewayReport) -> Mapping[str, int]:
        hub.scaled.live.heard(report)
        hub.reconciler.heard(report)
        return await hub.ledger.take(report, hub.routes.limited)

    async def metrics(names: bool) -> tuple[bytes, str]:
        now, writes = time.time(), hub.db.writes
        _show_turn(hub)
        hub.figures.writes(refusing=writes.refusal is not None, refused=writes.refused)
        with suppress(Unavailable):  # what the database knows is told when it answers again
            found = await hub.db.read(rows.everything)
            hub.figures.tokens.show(
                await hub.db.read(usage.totals),
                {service.id: service.name for service, _seen in found} if names else None,
            )
            held = states(await asyncio.to_thread(snapshots(hub.settings).all))
            hub.figures.weights.show(hub.supplies.weights.running(), held)
            hub.figures.show(
                services=Counter(verdict(service, seen, now).status for service, seen in found),
                replicas=Counter(replica.state for replica in hub.ground.runtime.observe()),
                holds=Counter(filter(None, (deepest(*pair, now) for pair in found))),
            )
        return hub.figures.exposition()

    settings = hub.settings
    place = make_code.Place(settings.hub_endpoint, settings.gateway_endpoint, settings.region)
    return Inside(
        routes=hub.routes,
        heard=heard,
        wake=partial(awaken, hub.platform),
        health=health,
        metrics=metrics,
        openapi=documents(hub.settings.hub_endpoint, hub.settings.gateway_endpoint),
        internal_key=hub.credentials.internal_key,
        metrics_token=metrics_token(hub.settings.data_dir),
        active=lambda: hub.turns.role is Role.ACTIVE,
        besides={("POST", make_code.PATH): make_code.making(find, place)},
    )


def _seen(sight: Sight | None) -> dict[str, Any]:
    """What /healthz tells of a cluster; nothing where there is none."""
    if sight is None:
        return {}
    age = None if sight.age is None else round(sight.age, 1)
    return {"cluster": {"facts_age_seconds": age, "problem": sight.problem}}


def _show_turn(hub: Hub) -> None:
    hub.figures.turn.has_role(hub.turns.role, Role)
    if hub.turns.leadership is not None:
        hub.figures.turn.has_lease(hub.turns.leadership.token)
    sight = hub.ground.sight()
    if sight is not None:
        hub.figures.turn.sees(sight.age, sight.problem)


@contextmanager
def _ended_by_signals(server: Server, routes: RouteBook, board: Board) -> Generator[None]:
    def end() -> None:
        server.force_exit = server.should_exit  # the second signal does not wait
        server.should_exit = True
        routes.end()
        board.end()

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
