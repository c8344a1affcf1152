"""The hub process: builds the control plane from its parts and runs it until it is told to end."""

import asyncio
import os
import secrets
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import uvicorn

from pierhead import __version__, telemetry
from pierhead.bootstrap.credentials import Credentials, load_or_create
from pierhead.bootstrap.database import migrate
from pierhead.bootstrap.supervisor import only_one
from pierhead.core.errors import Unavailable
from pierhead.core.ids import engine_key
from pierhead.core.launch import Launch, Placement
from pierhead.core.replicas import RuntimeInfo
from pierhead.core.specs import BUILT_IN
from pierhead.core.status import verdict
from pierhead.core.workloads import Workload
from pierhead.dialects.eas import catalog, openapi, sign
from pierhead.dialects.eas.app import Doors, EasApp, Limits
from pierhead.dialects.eas.handlers import Handlers
from pierhead.engines import registry
from pierhead.listener import listen
from pierhead.operations import identity
from pierhead.operations.key_ring import KeyRing
from pierhead.operations.platform import Platform
from pierhead.reconciler.loop import Reconciler, Rhythm
from pierhead.reconciler.routes import RouteBook
from pierhead.reconciler.service import ServicePass
from pierhead.runtimes.process.ground import Settings as ProcessSettings
from pierhead.runtimes.process.runtime import ProcessRuntime
from pierhead.settings import Settings, split_address
from pierhead.sources.weights import Places, Weights
from pierhead.store import keys
from pierhead.store import services as rows
from pierhead.store.db import Database
from pierhead.web.app import FrontDoor, Inside

log = telemetry.logger("pierhead.hub")

#: Seconds that requests which are being answered get when the hub is told to end.
_LAST_ANSWERS = 5
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


async def serve(settings: Settings) -> None:
    """Run the hub until SIGTERM or SIGINT; replicas run on unless `stop_replicas_on_exit` is set.

    Raises:
        PierheadError: the port, the database or the credentials cannot be used.
    """
    os.umask(0o077)  # what the hub writes is nobody else's business: it holds keys and tokens
    # Two hubs on one folder would both drive its replicas.
    with only_one(settings.data_dir, "run/hub.lock"), _listener(settings.listen) as listener:
        await asyncio.to_thread(migrate, settings)
        credentials = load_or_create(settings)
        async with _hub(settings, credentials) as hub:
            server = _Server(_config(FrontDoor(_inside(hub), _dialect(hub))))
            with _ended_by_signals(server, hub.routes):
                host, port = listener.getsockname()[:2]
                log.info(
                    "hub serves", host=host, port=port, version=__version__, limits=hub.info.limits
                )
                await server.serve(sockets=[listener])


@asynccontextmanager
async def _hub(settings: Settings, credentials: Credentials) -> AsyncGenerator[Hub]:
    """The parts, started in order and ended in the reverse order."""
    figures = telemetry.HubFigures()
    db = Database(settings.database, timed=figures.transaction)
    try:
        await db.write(keys.put, credentials.key)
        hub = await _assemble(settings, credentials, db, figures)
        try:
            await hub.reconciler.start()
            yield hub
        finally:
            await hub.reconciler.close()
            hub.weights.close()
            if settings.stop_replicas_on_exit:
                await hub.runtime.stop_all(settings.stop_seconds)
            await hub.runtime.close()
    finally:
        db.close()


async def _assemble(
    settings: Settings, credentials: Credentials, db: Database, figures: telemetry.HubFigures
) -> Hub:
    engines = registry(sys.executable)

    def key_of(replica: str) -> str:
        return engine_key(credentials.engine_secret, replica)

    def launch(workload: Workload, placement: Placement) -> Launch:
        engine = engines[workload.template.engine]
        threads = settings.threads or placement.threads
        return engine.launch(workload.template, workload.files, replace(placement, threads=threads))

    def weights_came() -> None:
        reconciler.hasten()

    runtime = ProcessRuntime(
        settings.data_dir / "replicas",
        launch,
        time.time,
        secrets.token_bytes,
        key_of,
        ProcessSettings(owner=credentials.account, ports=settings.ports),
    )
    info = await runtime.probe()
    capabilities = {name: engine.capabilities for name, engine in engines.items()}
    routes = RouteBook(time.time, key_of, capabilities)
    places = Places(
        cache=settings.cache_dir,
        models=settings.models_dir,
        specs=dict(settings.weights),
        demo=settings.demo_weights,
    )
    weights = Weights(places, time.time, weights_came)
    one_pass = ServicePass(
        db=db,
        runtime=runtime,
        weights=weights,
        routes=routes,
        clock=time.time,
        nodes=info.nodes,
        needs_weights=lambda template: capabilities[template.engine].needs_weights,
    )
    rhythm = Rhythm(resync=settings.resync_seconds, event_days=settings.event_days)
    reconciler = Reconciler(one_pass, rhythm, timed=figures.reconciled)
    return Hub(settings, credentials, db, runtime, weights, routes, reconciler, figures, info)


def _dialect(hub: Hub) -> EasApp:
    settings = hub.settings
    platform = Platform(
        db=hub.db,
        runtime=hub.runtime,
        templates=BUILT_IN,
        wake=hub.reconciler.wake,
        clock=time.time,
        entropy=secrets.token_bytes,
        account=hub.credentials.account,
        region=settings.region,
        gateway=settings.gateway_endpoint,
    )
    doors = Doors(
        find_key=KeyRing(platform).find,
        find_bearer=lambda token: identity.bearer(platform, token),
        record_nonce=lambda key, nonce, expires: identity.use_nonce(platform, key, nonce, expires),
        authorize=lambda principal, action, resources: identity.authorize(
            platform, principal, action, resources
        ),
        clock=time.time,
        entropy=secrets.token_bytes,
        region=settings.region,
        answered=hub.figures.request,
    )
    signatures = sign.Options(
        roa_enabled=settings.roa_enabled,
        roa_require_nonce=settings.roa_require_nonce,
        roa_require_md5=settings.roa_require_md5,
        debug=settings.debug_signatures,
    )
    return EasApp(
        doors,
        Handlers(platform).table(),
        Limits(
            body=settings.body_limit,
            signatures=signatures,
            nonce_seconds=settings.nonce_minutes * 60,
        ),
    )


def _inside(hub: Hub) -> Inside:
    began = time.monotonic()

    def health() -> dict[str, Any]:
        return {
            "status": "ok",
            "version": __version__,
            "region": hub.settings.region,
            "uptime_seconds": round(time.monotonic() - began, 1),
            "route_revision": hub.routes.revision,
            "gateways": hub.routes.gateways,
            "limits": hub.info.limits,
        }

    async def metrics() -> tuple[bytes, str]:
        now = time.time()
        found = await hub.db.read(rows.everything)
        hub.figures.show(
            services=Counter(verdict(service, seen, now).status for service, seen in found),
            replicas=Counter(replica.state for replica in hub.runtime.observe()),
        )
        return hub.figures.exposition()

    return Inside(
        routes=hub.routes,
        heard=hub.reconciler.heard,
        health=health,
        metrics=metrics,
        openapi=lambda: openapi.document(catalog.load(), hub.settings.hub_endpoint),
        internal_key=hub.credentials.internal_key,
    )


def _config(app: FrontDoor) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=_LAST_ANSWERS,
    )


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leaves signals to us: uvicorn would raise them again at the end, and exit with -15."""
        yield


@contextmanager
def _ended_by_signals(server: uvicorn.Server, routes: RouteBook) -> Generator[None]:
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
