"""Who sees and who may change what is registered, and what is deployed.

Registered objects have owners. The account sees and changes everything; others see what they own,
what is `system` and what is shared, and change what they own. Policies come on top: they allow a call
in the first place, and may hide an object from lists.

Deployments are policies' alone, whoever made them, so that both doors show the same ones. Where no
door has asked for a call (work of the platform's own), others than the account have what they made.

What somebody may not see does not exist for them.
"""

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy import Connection

from pierhead.core.errors import Forbidden, NotFound
from pierhead.core.principals import Principal
from pierhead.core.registry import Dataset, Model, RegisteredTemplate, ResourceType
from pierhead.core.services import Seen, Service
from pierhead.store import services as service_rows
from pierhead.store.asking import EVERYTHING, Scope
from pierhead.store.services import ServiceQuery

Owned = Model | RegisteredTemplate | Dataset

#: `shareMode` of a model that every principal may use.
PUBLIC = "Public"

_KINDS: dict[type[Owned], ResourceType] = {
    Model: ResourceType.MODEL,
    RegisteredTemplate: ResourceType.TEMPLATE,
    Dataset: ResourceType.DATASET,
}


def scope(actor: Principal, kind: ResourceType | None = None) -> Scope:
    """What `actor` sees, for the store's lists of a kind."""
    if actor.admin:
        return EVERYTHING
    permit = actor.permit
    if permit is None:
        return Scope(actor.id)
    admits = None
    if kind is not None and not permit.admits_all(kind):
        admits = _admits(actor, kind)
    return Scope(actor.id, admits, permit.sees)


def sees(actor: Principal, thing: Owned) -> bool:
    """May `actor` see and use it?"""
    if actor.admin:
        return True
    if thing.owner != actor.id and not _shared(thing):
        return False
    return actor.permit is None or not actor.permit.hides(kind_of(thing), thing.uuid, thing.name)


def owns(actor: Principal, thing: Owned) -> bool:
    """May `actor` change it?"""
    return actor.admin or thing.owner == actor.id


def sees_service(actor: Principal, service: Service) -> bool:
    """May `actor` see this deployment?"""
    if actor.admin or actor.permit is None:
        return actor.admin or service.caller == actor.id
    return actor.permit.sees(service)


def sees_all_services(actor: Principal) -> bool:
    """Does `actor` see every deployment there is and may come?"""
    return actor.admin or (actor.permit is not None and actor.permit.sees_all)


def seen_services(
    tx: Connection, actor: Principal, query: ServiceQuery
) -> list[tuple[Service, Seen]]:
    """All deployments that `actor` sees of those that a query asks for, whatever its page."""
    everything = replace(query, offset=0, limit=None)
    if actor.permit is not None and not actor.admin:
        # Of who is bounded to workspaces no other one needs a look.
        everything = replace(everything, within=actor.permit.reach)
    found, _total = service_rows.page(tx, everything)
    return [pair for pair in found if sees_service(actor, pair[0])]


def touches_service(actor: Principal, service: Service) -> bool:
    """May `actor` do to this deployment what the present call does?"""
    if actor.admin or actor.permit is None:
        return sees_service(actor, service)
    return actor.permit.touches(service)


def reads_service(actor: Principal, service: Service) -> bool:
    """May `actor` know its token and its inner addresses?"""
    if actor.admin or actor.permit is None:
        return sees_service(actor, service)
    return actor.permit.reads(service)


def demand_service(actor: Principal, service: Service) -> None:
    """Refuse what the present call does, if it may not be done to this deployment as it is now.

    Raises:
        Forbidden: no policy allows it, or one denies it.
    """
    if actor.permit is not None and not actor.admin:
        actor.permit.demand(service)


def demand_made(actor: Principal, service: Service) -> None:
    """Refuse to make this deployment, if it may not be made so.

    Raises:
        Forbidden: no policy allows it in its workspace, or one denies it.
    """
    if actor.permit is not None and not actor.admin:
        actor.permit.demand_made(service)


def kind_of(thing: Owned) -> ResourceType:
    """What a tag calls it."""
    return _KINDS[type(thing)]


def demand_change(actor: Principal, thing: Owned) -> None:
    """Refuse a change of what is not the actor's.

    Raises:
        NotFound: `actor` does not even see it.
        Forbidden: `actor` only sees it.
    """
    kind = kind_of(thing)
    if not sees(actor, thing):
        raise NotFound(kind, thing.uuid)
    if not owns(actor, thing):
        raise Forbidden("a change", f"{kind} [{thing.uuid}]: it belongs to somebody else")


def demand_admin(actor: Principal, what: str) -> None:
    """Refuse what only the account itself may ask for.

    Raises:
        Forbidden: somebody else asks.
    """
    if not actor.admin:
        raise Forbidden(what, "this account: only the account itself may")


def _admits(actor: Principal, kind: ResourceType) -> Callable[[str, str], bool]:
    permit = actor.permit

    def admits(uuid: str, name: str) -> bool:
        return permit is None or permit.admits(kind, uuid, name)

    return admits


def _shared(thing: Owned) -> bool:
    if isinstance(thing, Model):
        return thing.share_mode == PUBLIC or thing.kind == "System"
    return thing.system
