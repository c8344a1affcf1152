"""Who sees and who may change what is registered.

The account itself everything; others see what they own, what is `system` and what is shared, and
change what they own. What somebody may not see does not exist for them.
"""

from pierhead.core.errors import Forbidden, NotFound
from pierhead.core.principals import Principal
from pierhead.core.registry import Dataset, Model, RegisteredTemplate, ResourceType
from pierhead.core.services import Service
from pierhead.store.asking import EVERYTHING, Scope

Owned = Model | RegisteredTemplate | Dataset

#: `shareMode` of a model that every principal may use.
PUBLIC = "Public"

_KINDS: dict[type[Owned], ResourceType] = {
    Model: ResourceType.MODEL,
    RegisteredTemplate: ResourceType.TEMPLATE,
    Dataset: ResourceType.DATASET,
}


def scope(actor: Principal) -> Scope:
    """What `actor` sees, for the store's lists."""
    return EVERYTHING if actor.admin else Scope(actor.id)


def sees(actor: Principal, thing: Owned) -> bool:
    """May `actor` see and use it?"""
    return actor.admin or thing.owner == actor.id or _shared(thing)


def owns(actor: Principal, thing: Owned) -> bool:
    """May `actor` change it?"""
    return actor.admin or thing.owner == actor.id


def sees_service(actor: Principal, service: Service) -> bool:
    """May `actor` see and change this deployment?"""
    return actor.admin or service.caller == actor.id


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


def _shared(thing: Owned) -> bool:
    if isinstance(thing, Model):
        return thing.share_mode == PUBLIC or thing.kind == "System"
    return thing.system
