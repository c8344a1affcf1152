"""Tokens of services; their secrets are sealed, the present one and the one before together.

A service's own token has a row here only once it was rotated or limited, and its secret is the
service's. Where the two differ, the service got another token since: what was before it is void.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from pierhead.core.connections import Keys
from pierhead.core.endpoint_tokens import DEFAULT, EndpointToken, Limits
from pierhead.core.errors import Duplicate, Unavailable
from pierhead.core.services import Service
from pierhead.store.token_tables import endpoint_tokens as _T

_OF_SERVICE = select(_T).where(_T.c.service == bindparam("id")).order_by(_T.c.created, _T.c.name)
_ONE = (_T.c.service == bindparam("id")) & (_T.c.name == bindparam("token"))
_LIMITS = tuple(Limits.__dataclass_fields__)


class Box(Protocol):
    """Seals two texts under a name and opens them again."""

    def seal(self, name: str, keys: Keys) -> bytes:
        """The texts, encrypted."""
        ...

    def open(self, name: str, sealed: bytes) -> Keys:
        """The texts that were sealed under this name."""
        ...


def of_service(tx: Connection, box: Box, service: Service) -> list[EndpointToken]:
    """All tokens of a service, its own first, then the oldest."""
    rows = tx.execute(_OF_SERVICE, {"id": service.id}).mappings().all()
    return whole(service, [_token(row, box) for row in rows])


def whole(service: Service, held: Iterable[EndpointToken]) -> list[EndpointToken]:
    """The tokens of a service, from its rows and its own secret."""
    others = {token.name: token for token in held}
    own = others.pop(DEFAULT, None)
    if own is None:
        own = EndpointToken(service.id, DEFAULT, "", created=service.created)
    if own.secret != service.token:
        own = replace(own, secret=service.token, previous="", previous_until=0.0)
    return [own, *others.values()]


def everything(tx: Connection, box: Box) -> Mapping[str, list[EndpointToken]]:
    """Service id -> its rows, the oldest first. What cannot be opened has no secret."""
    found: dict[str, list[EndpointToken]] = {}
    for row in tx.execute(select(_T).order_by(_T.c.created, _T.c.name)).mappings():
        found.setdefault(row["service"], []).append(_token(row, box))
    return found


def add(tx: Connection, box: Box, token: EndpointToken) -> None:
    """Store a new token.

    Raises:
        Duplicate: the service has one of that name.
    """
    known = select(_T.c.name).where(_T.c.service == token.service, _T.c.name == token.name)
    taken = Duplicate("ServiceToken", token.name, "exists already")
    if tx.execute(known).first() is not None:
        raise taken
    try:
        tx.execute(insert(_T).values(_row(token, box)))
    except IntegrityError as error:  # another hub was first, or the service or user is gone
        raise taken from error


def put(tx: Connection, box: Box, token: EndpointToken) -> None:
    """Store a changed token, or the row of a service's own."""
    values = _row(token, box)
    one = (_T.c.service == token.service) & (_T.c.name == token.name)
    if not tx.execute(update(_T).where(one).values(values)).rowcount:
        tx.execute(insert(_T).values(values))


def remove(tx: Connection, service: str, name: str) -> bool:
    """Forget a token; False when there was none."""
    return bool(tx.execute(delete(_T).where(_ONE), {"id": service, "token": name}).rowcount)


def remove_of_user(tx: Connection, user: str) -> list[str]:
    """Forget all tokens that were issued to a user (id); gives the services that they opened."""
    own = _T.c.user_id == user
    services = list(tx.execute(select(_T.c.service).where(own).distinct()).scalars())
    tx.execute(delete(_T).where(own))
    return services


def renew(tx: Connection, box: Box, fresh: Callable[[], str]) -> int:
    """Give every token a new secret that cannot be opened, but services' own; gives how many.

    `fresh` makes a secret; each call another one.
    """
    lost = [
        token
        for held in everything(tx, box).values()
        for token in held
        if not token.secret and token.name != DEFAULT
    ]
    for token in lost:
        put(tx, box, replace(token, secret=fresh(), previous="", previous_until=0.0))
    return len(lost)


def _row(token: EndpointToken, box: Box) -> dict[str, Any]:
    limits = {name: getattr(token.limits, name) for name in _LIMITS}
    return limits | {
        "service": token.service,
        "name": token.name,
        "user_id": token.user or None,
        "sealed": box.seal(_sealed_as(token), Keys(token.secret, token.previous)),
        "previous_until": token.previous_until,
        "created": token.created,
        "updated": token.updated,
    }


def _token(row: RowMapping, box: Box) -> EndpointToken:
    token = EndpointToken(
        service=row["service"],
        name=row["name"],
        secret="",
        user=row["user_id"] or "",
        limits=Limits(**{name: row[name] for name in _LIMITS}),
        created=row["created"],
        updated=row["updated"],
    )
    try:
        keys = box.open(_sealed_as(token), row["sealed"])
    except Unavailable:  # it opens nothing, and can be rotated or revoked
        return token
    until = row["previous_until"]
    return replace(token, secret=keys.secret, previous=keys.token, previous_until=until)


def _sealed_as(token: EndpointToken) -> str:
    return f"endpoint token:{token.service}/{token.name}"
