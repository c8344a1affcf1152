"""The gateway process, put together from the platform's settings."""

import asyncio
import random
import time
from urllib.parse import urlsplit

from pierhead.bootstrap import serving, tls
from pierhead.bootstrap.descriptors import raised_limit
from pierhead.bootstrap.secret_files import internal_key, metrics_token
from pierhead.core.errors import Unavailable
from pierhead.gateway import main
from pierhead.gateway.settings import GatewaySettings
from pierhead.settings import Settings, split_address


async def serve(settings: Settings) -> None:
    """Run the gateway until SIGTERM or SIGINT.

    Raises:
        Unavailable: its port or its certificate cannot be had.
    """
    raised_limit()
    host, port = split_address(settings.gateway_listen)
    certificate = await asyncio.to_thread(tls.ready, settings)
    trust = tls.trust(settings)
    gateway = GatewaySettings(
        data_dir=settings.data_dir,
        host=host,
        port=port,
        hub_url=settings.hub_endpoint,
        internal_key=internal_key(settings.data_dir),
        metrics_token=metrics_token(settings.data_dir),
        advertise=urlsplit(settings.gateway_endpoint).netloc if settings.advertise else "",
        head_seconds=settings.request_timeout,
        stop_seconds=int(settings.drain_seconds),
        limits=serving.limits(settings),
        tls=certificate.context if certificate else None,
        trust=trust,
    )
    pin = None if settings.hub_url else trust
    try:
        async with serving.renewing(certificate, pin):
            await main.serve(gateway, time.time, random.SystemRandom())
    except OSError as error:
        raise Unavailable(
            f"The address {settings.gateway_listen}",
            f"{error.strerror}; set gateway_listen to another one",
        ) from error
