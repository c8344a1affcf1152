"""Use cases on what opens a service's endpoint: its own token, and further ones for somebody or something.

Who may change a service may issue, rotate, limit and revoke its tokens; who may read its endpoints may
read them; a user may read the one that was issued to it. Gateways hear of a change at once.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from math import isinf
from typing import TypeVar

from sqlalchemy import Connection

from pierhead.core import lifecycle
from pierhead.core.endpoint_tokens import (
    DEFAULT,
    NO_LIMITS,
    EndpointToken,
    Limits,
    check_limits,
    rotated,
)
from pierhead.core.errors import Conflict, NotFound, TooMany
from pierhead.core.events import Event, Notice
from pierhead.core.identities import check_name
from pierhead.core.ids import access_token
from pierhead.core.names import id_of
from pierhead.core.permits import refusal
from pierhead.core.principals import USER, Principal
from pierhead.core.services import Seen, Service, Wanted
from pierhead.failpoint import passing
from pierhead.operations import joining, rights, services
from pierhead.operations.iam import common
from pierhead.operations.noted import event, warnings
from pierhead.operations.platform import Platform
from pierhead.operations.services import Decision
from pierhead.store import endpoint_tokens as rows
from pierhead.store import events as event_rows
from pierhead.store import services as service_rows
from pierhead.store import users

#: Tokens that one service may have.
MOST = 1000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Issued:
    """A token, and whose it is."""

    token: EndpointToken
    user: str = ""  #: name of the user it was issued to


async def tokens(platform: Platform, actor: Principal, service: str) -> list[Issued]:
    """All tokens of a service, its own first.

    Raises:
        NotFound: there is no such service.
        Forbidden: they are not the actor's to know.
        Unavailable: the database does not answer.
    """

    def read(tx: Connection) -> list[Issued]:
        found = _service(tx, service)
        rights.demand_service(actor, found)
        return [_issued(tx, one) for one in rows.of_service(tx, platform.box, found)]

    return await platform.db.read(read)


async def token(platform: Platform, actor: Principal, service: str, name: str) -> Issued:
    """One token. Who it was issued to may always read it.

    Raises:
        NotFound: there is no such service, or it has no such token.
        Forbidden: it is not the actor's to know.
        Unavailable: the database does not answer.
    """

    def read(tx: Connection) -> Issued:
        found = service_rows.find(tx, service)
        if found is None:
            _demand_unknown(actor, service)
            raise NotFound("service", id_of(service) or service)
        held = rows.of_service(tx, platform.box, found[0])
        own = next((one for one in held if one.name == name), None)
        if own is None or actor.kind != USER or own.user != actor.id:
            rights.demand_service(actor, found[0])
        return _issued(tx, _named(held, name))

    return await platform.db.read(read)


async def add(
    platform: Platform,
    actor: Principal,
    service: str,
    name: str,
    user: str = "",
    limits: Limits = NO_LIMITS,
) -> Issued:
    """Issue a token, to a user (by name) or to nobody in particular.

    Raises:
        NotFound: there is no such service, or no such user.
        Forbidden: the service is not the actor's to change.
        Invalid: the name or a limit is not legal.
        Duplicate: the service has a token of this name.
        TooMany: it has as many as it may.
        Conflict: it is being deleted.
        Unavailable: the database does not answer.
    """
    check_name("ServiceToken", name)
    check_limits(limits)
    if name == DEFAULT:
        raise Conflict("ServiceToken", name, "is the service's own")
    now, secret = platform.clock(), access_token(platform.entropy)

    def write(tx: Connection) -> tuple[Service, EndpointToken, list[EndpointToken]]:
        found = _changing(tx, actor, service)
        whose = common.user(tx, user).id if user else ""
        if len(rows.of_service(tx, platform.box, found)) >= MOST:
            raise TooMany("Service", found.name, "Token", MOST)
        made = EndpointToken(found.id, name, secret, whose, limits, created=now, updated=now)
        rows.add(tx, platform.box, made)
        to = f" for the user [{user}]" if user else ""
        _note(tx, found, actor, now, "TokenAdded", f"The token [{name}] was issued{to}.")
        return found, made, rows.of_service(tx, platform.box, found)

    found, made, present = await _written(platform, write)
    platform.endings.tokens(found, present)
    return Issued(made, user)


async def rotate(
    platform: Platform, actor: Principal, service: str, name: str = DEFAULT, overlap: float = 0.0
) -> Issued:
    """Give a token a new secret; the present one opens for `overlap` seconds more, none before it does.

    Raises:
        NotFound: there is no such service, or it has no such token.
        Forbidden: the service is not the actor's to change.
        Invalid: nobody waits that long.
        Conflict: it is being deleted, or was changed by others at the same time, again and again.
        Unavailable: the database does not answer.
    """
    if name == DEFAULT:
        return await _rotate_own(platform, actor, service, overlap)
    now = platform.clock()

    def renew(one: EndpointToken) -> EndpointToken:
        return rotated(one, platform.entropy, overlap, now)

    return await _change(platform, actor, service, name, renew, ("TokenRotated", "was rotated"))


async def limit(
    platform: Platform,
    actor: Principal,
    service: str,
    name: str,
    bounds: Mapping[str, float | None],
) -> Issued:
    """Set limits of a token, by the names that `Limits` has; infinite = none, what is not named stays.

    Raises:
        NotFound: there is no such service, or it has no such token.
        Forbidden: the service is not the actor's to change.
        Invalid: a limit is not legal.
        Conflict: the service is being deleted.
        Unavailable: the database does not answer.
    """
    now = platform.clock()

    def bound(one: EndpointToken) -> EndpointToken:
        limits = limited(one.limits, bounds)
        check_limits(limits)
        return replace(one, limits=limits, updated=now)

    return await _change(platform, actor, service, name, bound, ("TokenLimited", "has new limits"))


def limited(limits: Limits, bounds: Mapping[str, float | None]) -> Limits:
    """`limits` with some of them set: infinite = none, None = as it is."""
    given = {each.name: bounds.get(each.name) for each in fields(limits)}
    return replace(
        limits,
        **{
            name: None if isinf(value) else int(value)
            for name, value in given.items()
            if value is not None
        },
    )


async def revoke(platform: Platform, actor: Principal, service: str, name: str) -> None:
    """End a token: it opens nothing any more.

    Raises:
        NotFound: there is no such service, or it has no such token.
        Forbidden: the service is not the actor's to change.
        Conflict: it is the service's own, which can only be rotated, or the service is being deleted.
        Unavailable: the database does not answer.
    """
    now = platform.clock()

    def write(tx: Connection) -> tuple[Service, list[EndpointToken]]:
        found = _changing(tx, actor, service)
        if name == DEFAULT:
            raise Conflict("ServiceToken", name, "is the service's own: rotate it instead")
        if not rows.remove(tx, found.id, name):
            raise NotFound("ServiceToken", name)
        _note(tx, found, actor, now, "TokenRevoked", f"The token [{name}] was revoked.")
        return found, rows.of_service(tx, platform.box, found)

    platform.endings.tokens(*await _written(platform, write))


def end_of_user(
    tx: Connection, platform: Platform, user: str
) -> list[tuple[Service, list[EndpointToken]]]:
    """Forget what was issued to a user (id) who is deleted; gives what opens these services then.

    To be told to `platform.endings.tokens` after the transaction.
    """
    found = [service_rows.load(tx, service) for service in rows.remove_of_user(tx, user)]
    return [
        (pair[0], rows.of_service(tx, platform.box, pair[0])) for pair in found if pair is not None
    ]


async def _rotate_own(platform: Platform, actor: Principal, service: str, overlap: float) -> Issued:
    """The service's own token is a part of it: changed like everything of it, under its guard."""
    made: list[EndpointToken] = []
    present: list[EndpointToken] = []
    former = ""

    def decide(found: Service, _seen: Seen, now: float) -> Decision:
        nonlocal former
        former = found.token
        before = EndpointToken(found.id, DEFAULT, found.token, created=found.created)
        made[:] = [rotated(before, platform.entropy, overlap, now)]
        changed = lifecycle.touch(replace(found, token=made[0].secret), now)
        return Decision(changed, "TokenRotated", f"The token [{DEFAULT}] was rotated.")

    def also(tx: Connection, uuid: str) -> None:
        changed = _service(tx, uuid)
        limits = rows.of_service(tx, platform.box, changed)[0].limits
        rows.put(tx, platform.box, replace(made[0], limits=limits))
        present[:] = rows.of_service(tx, platform.box, changed)
        event_rows.append(tx, *_still_open(tx, actor, changed, former))

    changed = await services.change(platform, actor, service, decide, also)
    platform.endings.tokens(changed, present)
    return Issued(present[0])


def _still_open(tx: Connection, actor: Principal, service: Service, former: str) -> list[Event]:
    """A warning if others of its group accept the secret that it had: they took it over from each other."""
    others = joining.members(tx, service.group, but=service.id) if service.group else ()
    names = ", ".join(one.name for one in others if former and one.token == former)
    if not names:
        return []
    text = f"The former token still opens [{names}] of the group [{service.group}]: rotate theirs, too."
    return warnings(service, actor, service.updated, (Notice("TokenShared", text),))


async def _change(
    platform: Platform,
    actor: Principal,
    service: str,
    name: str,
    new: Callable[[EndpointToken], EndpointToken],
    told: tuple[str, str],
) -> Issued:
    """Change one token in place; `told`: the event's reason, and what became of the token."""

    def write(tx: Connection) -> tuple[Service, Issued, list[EndpointToken]]:
        found = _changing(tx, actor, service)
        changed = new(_named(rows.of_service(tx, platform.box, found), name))
        rows.put(tx, platform.box, changed)
        _note(tx, found, actor, platform.clock(), told[0], f"The token [{name}] {told[1]}.")
        return found, _issued(tx, changed), rows.of_service(tx, platform.box, found)

    found, changed, present = await _written(platform, write)
    platform.endings.tokens(found, present)
    return changed


async def _written(platform: Platform, write: Callable[[Connection], T]) -> T:
    await passing("token.before_write")
    done = await platform.db.write(write)
    await passing("token.after_write")
    return done


def _service(tx: Connection, name: str) -> Service:
    found = service_rows.find(tx, name)
    if found is None:
        raise NotFound("service", id_of(name) or name)
    return found[0]


def _changing(tx: Connection, actor: Principal, name: str) -> Service:
    found = _service(tx, name)
    rights.demand_service(actor, found)
    if found.wanted is Wanted.DELETED:
        raise Conflict("service", found.name, "is being deleted")
    return found


def _named(held: list[EndpointToken], name: str) -> EndpointToken:
    found = next((one for one in held if one.name == name), None)
    if found is None:
        raise NotFound("ServiceToken", name)
    return found


def _issued(tx: Connection, one: EndpointToken) -> Issued:
    user = users.load(tx, one.user) if one.user else None
    return Issued(one, user.name if user else "")


def _demand_unknown(actor: Principal, service: str) -> None:
    """Who may not know of a service is not told that there is none.

    Raises:
        Forbidden: no policy allows it for a service of that name, or one denies it.
    """
    permit = actor.permit
    if actor.admin or permit is None:
        return
    noun = ("eas", f"service/{service}")
    decision = permit.asked(permit.on_service, noun)
    if not decision.allowed:
        raise refusal(permit.on_service[0], permit.realm.arn(noun), decision)


def _note(
    tx: Connection, service: Service, actor: Principal, now: float, reason: str, message: str
) -> None:
    event_rows.append(tx, event(service, actor, now, reason, message))
