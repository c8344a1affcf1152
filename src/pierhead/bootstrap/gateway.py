"""The gateway process, put together from the platform's settings."""

import asyncio
import random
import time
from dataclasses import replace
from urllib.parse import urlsplit

from pierhead.bootstrap import serving, tls
from pierhead.bootstrap.descriptors import raised_limit
from pierhead.bootstrap.secret_files import GATEWAYS, internal_key, metrics_token, take_over
from pierhead.core.errors import Unavailable
from pierhead.gateway import main
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.workers import Worker
from pierhead.settings import Settings, split_address


async def serve(settings: Settings, worker: Worker | None = None, compiled: str = "no") -> None:
    """Run the gateway until SIGTERM or SIGINT; `worker`: which of several on one port.

    `compiled`: whether its modules are, which was settled before they were imported.

    Raises:
        Unavailable: its port or its certificate cannot be had.
    """
    raised_limit()
    host, port = split_address(settings.gateway_listen)
    take_over(settings.secrets_dir, settings.data_dir, GATEWAYS)
    certificate = await asyncio.to_thread(tls.ready, settings)
    trust, limits = tls.trust(settings), serving.limits(settings)
    # What one process may hold, several have together.
    part = worker.part if worker is not None else int
    gateway = GatewaySettings(
        data_dir=settings.data_dir,
        host=host,
        port=port,
        hub_url=",".join(settings.hub_endpoints),
        internal_key=internal_key(settings.data_dir),
        metrics_token=metrics_token(settings.data_dir),
        advertise=urlsplit(settings.gateway_endpoint).netloc if settings.advertise else "",
        head_seconds=settings.request_timeout,
        connect_seconds=settings.gateway_connect_seconds,
        picks=settings.gateway_picks,
        body_limit=settings.gateway_body_limit,
        body_seconds=settings.gateway_body_seconds,
        write_seconds=settings.gateway_write_seconds,
        keep_alive_seconds=settings.gateway_keep_alive_seconds,
        hold_limit=part(settings.hold_limit),
        hold_bytes=part(settings.hold_bytes),
        hold_seconds=settings.hold_seconds,
        hold_heartbeat_seconds=settings.hold_heartbeat_seconds,
        access_log=settings.gateway_access_log,
        stop_seconds=int(settings.drain_seconds),
        limits=replace(limits, connections=part(limits.connections)),
        tls=certificate.context if certificate else None,
        trust=trust,
        worker=worker,
        compiled=compiled,
    )
    pin = None if settings.hub_url else trust
    try:
        async with serving.renewing(certificate, pin), serving.trusting(trust, settings.tls_hub_ca):
            await main.serve(gateway, time.time, random.SystemRandom())
    except OSError as error:
        raise Unavailable(
            f"The address {settings.gateway_listen}",
            f"{error.strerror}; set gateway_listen to another one",
        ) from error
