"""Whoever may read a service's token may speak to the service through the hub, without ever seeing it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pierhead.core.endpoint_tokens import DEFAULT
from pierhead.core.errors import NotFound
from pierhead.core.names import id_of
from pierhead.core.permits import Deed
from pierhead.core.principals import Principal
from pierhead.operations import endpoint_tokens
from pierhead.operations.permission import Permission
from pierhead.store import services

#: To speak to it is to have its token, whatever the call is called at either door.
_ACTIONS = ("pierhead:GetServiceToken", "eas:DescribeServiceEndpoints")


@dataclass(frozen=True, slots=True)
class Opened:
    """How the gateway is asked for a service."""

    service: str  #: its name
    token: str = field(repr=False)


async def opened(
    permission: Permission, actor: Principal, service: str, circumstances: Mapping[str, str]
) -> Opened:
    """What opens a service, for an actor who may know it.

    Raises:
        NotFound: there is no such service.
        Forbidden: its token is not the actor's to know.
        Unavailable: the database does not answer.
    """
    platform = permission.platform
    # What the deed is done to is found, and judged, by the read itself: under all of its names.
    permitted = await permission.ask(actor, Deed(_ACTIONS, (), circumstances))
    issued = await endpoint_tokens.token(platform, permitted, service, DEFAULT)
    found = await platform.db.read(services.load, issued.token.service)
    if found is None:  # it went between the two reads
        raise NotFound("service", id_of(service) or service)
    return Opened(found[0].name, issued.token.secret)
