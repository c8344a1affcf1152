"""The hub's server: limits, TLS and the edge, around its front door."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from ssl import SSLContext

import uvicorn
from starlette.types import ASGIApp

from pierhead import telemetry, tls
from pierhead.bootstrap.tls import Tls, names
from pierhead.core.proxies import Proxies
from pierhead.server import HttpLimits, Server
from pierhead.settings import Settings
from pierhead.web.edge import Edge, Rules

log = telemetry.logger("pierhead.hub")

#: Seconds that requests which are being answered get when the hub is told to end.
_LAST_ANSWERS = 5


def limits(settings: Settings) -> HttpLimits:
    """What one client may take up on either port."""
    return HttpLimits(
        head=settings.head_limit,
        head_seconds=settings.head_seconds,
        connections=settings.connections_per_address,
        trusted=Proxies(settings.trusted_proxies).believes,
    )


def server(settings: Settings, app: ASGIApp, certificate: Tls | None) -> Server:
    """The hub's server."""
    rules = Rules(
        hosts=frozenset(name.lower() for name in (*names(settings), *settings.allowed_hosts)),
        proxies=Proxies(settings.trusted_proxies),
        hsts=not settings.tls_self_signed,
    )
    config = uvicorn.Config(
        Edge(app, rules),
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
    return Server(config, limits(settings), certificate.context if certificate else None)


@asynccontextmanager
async def renewing(certificate: Tls | None, pin: SSLContext | None = None) -> AsyncGenerator[None]:
    """A certificate that is replaced on disk is taken over meanwhile, and by the client with `pin`."""
    if certificate is None:
        yield
        return
    following = asyncio.create_task(
        tls.follow(
            certificate.context,
            certificate.certificate,
            certificate.key,
            lambda said: log.warning("certificate", said=said),
            pin,
        )
    )
    try:
        yield
    finally:
        following.cancel()


@asynccontextmanager
async def trusting(context: SSLContext | None, file: Path) -> AsyncGenerator[None]:
    """Authorities that are put into a client's `file` are trusted meanwhile; no file, nothing to follow."""
    if context is None or file == Path():
        yield
        return
    following = asyncio.create_task(
        tls.follow_authorities(context, file, lambda said: log.warning("authorities", said=said))
    )
    try:
        yield
    finally:
        following.cancel()
