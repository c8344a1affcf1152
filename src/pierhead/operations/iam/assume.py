"""Becoming a role: temporary keys that may do what the role may, for a while."""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection

from pierhead.core import trust
from pierhead.core.errors import Forbidden, Invalid, NotFound
from pierhead.core.identities import SHORTEST_SESSION, USUAL_SESSION, Role, check_name
from pierhead.core.ids import letters
from pierhead.core.policy import Request, parse
from pierhead.core.principals import ROLE, AccessKey, Principal
from pierhead.operations.authority import Authority
from pierhead.operations.iam import common
from pierhead.operations.platform import Platform
from pierhead.store import keys

ACTION = "sts:AssumeRole"
_ARN = re.compile(r"acs:ram::(\d{16}):role/([A-Za-z0-9.-]{1,64})")
_TOKEN_BYTES = 96


@dataclass(frozen=True, slots=True)
class Wish:
    """Which role, for how long, and with how much less than it may."""

    role_arn: str  #: `acs:ram::<account>:role/<name>`
    session_name: str
    duration: int = USUAL_SESSION  #: seconds, 900 to the role's longest
    policy: str = ""  #: session policy: what may be done is what role and this allow; "" = none
    #: What conditions on the actor's `sts:AssumeRole` are asked about: acs:SourceIp and so on.
    context: Mapping[str, str] = field(default_factory=dict[str, str])


async def assume_role(
    platform: Platform, actor: Principal, authority: Authority, wish: Wish
) -> AccessKey:
    """A temporary key of the role: id, secret, session token and expiry. Nothing else shows them again.

    Both sides must agree: the actor's policies allow `sts:AssumeRole` on the role, which is asked
    here, and the role's trust document names the actor, or its account (`...:root`).

    The account itself may not, as with the vendor: it may do everything anyway, and a session of its
    own would be bounded by the role but not by who opened it. For a temporary key of the account
    there is `pierhead credentials sts`.

    A key that a session opened (a role that becomes another one) lives as long as it asks for; it
    ends neither with the first session nor with a change of the trust document, but with the role.

    Raises:
        Forbidden: no policy allows it, the role does not trust the actor, or the account itself asks.
        NotFound: there is no such role; told only to those who may become it.
        Invalid: ARN, session name, duration or session policy are not legal.
        Unavailable: the database does not answer.
    """
    shape = _ARN.fullmatch(wish.role_arn)
    if shape is None:
        raise Invalid("RoleArn", f"[{wish.role_arn[:120]}]", "acs:ram::<account>:role/<name>")
    check_name("Session", wish.session_name)
    if actor.admin:
        because = "roles may not be assumed by the account itself; use a user or another role"
        raise Forbidden(ACTION, wish.role_arn, because=because)
    await authority.demand(actor, Request((ACTION,), (wish.role_arn,), dict(wish.context)))
    if wish.policy:
        parse("session policy", wish.policy)
    if shape[1] != platform.account:
        raise NotFound("Role", shape[2])
    return await platform.db.write(_open, platform, actor, shape[2], wish)


def _open(tx: Connection, platform: Platform, actor: Principal, name: str, wish: Wish) -> AccessKey:
    role = common.role(tx, name)
    if not trust.trusts(role.trust, actor):
        because = f"the role's trust document does not name {actor.arn}"
        raise Forbidden(ACTION, wish.role_arn, because=because)
    _check_duration(role, wish.duration)
    now = platform.clock()
    principal = Principal(
        platform.account,
        f"{role.id}:{wish.session_name}",
        ROLE,
        f"{role.name}/{wish.session_name}",
        wish.policy,
    )
    key = AccessKey(
        id="STS." + letters(platform.entropy, 24),
        secret=letters(platform.entropy, 44),
        principal=principal,
        session_token=base64.b64encode(platform.entropy(_TOKEN_BYTES)).decode(),
        expires=now + wish.duration,
        created=now,
        updated=now,
    )
    keys.add(tx, platform.box, key)
    return key


def _check_duration(role: Role, seconds: int) -> None:
    if not SHORTEST_SESSION <= seconds <= role.max_session:
        legal = f"{SHORTEST_SESSION} to {role.max_session} seconds, the longest session of the role"
        raise Invalid("DurationSeconds", f"[{seconds}]", legal)
