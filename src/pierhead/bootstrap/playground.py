"""The playground's line from the hub to the gateway."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from pierhead import tls
from pierhead.core.errors import Unavailable
from pierhead.core.principals import Principal
from pierhead.operations.chatting import Opened, opened
from pierhead.operations.permission import Permission
from pierhead.setting_values import url_of
from pierhead.settings import Settings
from pierhead.web.chat import Gateway, chat
from pierhead.web.console import Route


def gateways(settings: Settings) -> tuple[Gateway, ...]:
    """Where a gateway may be: beside the hub, and where it is said to be reached.

    Raises:
        Unavailable: the certificate cannot be read.
    """
    try:
        pin = tls.pinned(settings.tls_certificate) if settings.tls else None
        beside = Gateway(url_of(settings.gateway_listen, secure=settings.tls), pin)
        if not settings.advertise:
            return (beside,)
        secure = urlsplit(settings.gateway_endpoint).scheme == "https"
        return beside, Gateway(settings.gateway_endpoint, tls.trusting() if secure else None)
    except OSError as error:
        raise Unavailable(f"The certificate {settings.tls_certificate}", str(error)) from error


@asynccontextmanager
async def playground(
    permission: Permission, found: tuple[Gateway, ...]
) -> AsyncGenerator[tuple[Route, ...]]:
    """What the console answers under /console/api/chat; at the end no line is left open."""

    async def open_(who: Principal, service: str, circumstances: Mapping[str, str]) -> Opened:
        return await opened(permission, who, service, circumstances)

    async with chat(open_, found) as relay:
        yield relay.routes()
