"""What a service takes over from the group that it joins: its share of the traffic, and the token."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from pierhead.core.principals import Principal
from pierhead.core.services import Service, Wanted
from pierhead.core.shares import newcomer
from pierhead.operations import rights
from pierhead.store import services as rows


def joined(tx: Connection, actor: Principal, service: Service, *, own_token: bool) -> Service:
    """The service as it is in its group, which it has just joined; as it is without one.

    Where members have weights it gets no traffic until it has one, too. Unless it came with a token
    (`own_token`) it takes over its group's, so that the group's endpoint opens all of its members;
    but not from a service whose token the actor may not know.
    """
    others = members(tx, service.group, but=service.id) if service.group else ()
    share = newcomer(one.registration.share for one in others)
    registration = replace(service.registration, share=share)
    readable = [one for one in others if one.token and rights.reads_service(actor, one)]
    token = service.token if own_token or not readable else readable[0].token
    return replace(service, registration=registration, token=token)


def members(tx: Connection, group: str, but: str = "") -> Sequence[Service]:
    """The services of a group, oldest first, without those that go and the one with the id `but`."""
    query = rows.ServiceQuery(group=group, sort="created", descending=False)
    found, _total = rows.page(tx, query)
    return [one for one, _ in found if one.wanted is not Wanted.DELETED and one.id != but]
