"""Access keys as the ZStack dialect manages them; the same pairs as RAM's (`operations/iam/keys.py`).

A key that is switched off or deleted is refused from the next call on, in both.
"""

import re
from dataclasses import dataclass

from sqlalchemy import Connection

from pierhead.core.errors import Forbidden, Invalid, NotFound, Unsupported
from pierhead.core.ids import registry_id, short_id
from pierhead.core.principals import AccessKey, Principal
from pierhead.core.registry import Extras
from pierhead.operations.accounts import user_of
from pierhead.operations.iam import common
from pierhead.operations.iam import keys as shared
from pierhead.operations.platform import Also, Platform, nothing
from pierhead.store import keys

KIND = "AccessKeyVO"
_ID = re.compile(r"[A-Za-z0-9._-]{10,20}")
_SECRET = re.compile(r"[!-~]{10,40}")


@dataclass(frozen=True, slots=True)
class KeyWish:
    """A key pair to be made; empty texts are made up."""

    account: str  #: uuid
    user: str  #: uuid
    id: str = ""
    secret: str = ""
    description: str | None = None


async def create(
    platform: Platform,
    actor: Principal,
    wish: KeyWish,
    extras: Extras,
    also: Also = nothing,
) -> AccessKey:
    """Make a key pair; nothing else ever shows its secret.

    Raises:
        NotFound: there is no such account or user.
        Forbidden: the key would be another's, and the actor is not the account itself.
        Invalid: id or secret is not legal.
        Taken: the id or the uuid is in use.
        TooMany: the user has two.
        Unsupported: it is to have tags.
        Unavailable: the database does not answer.
    """
    _check(wish, extras)
    principal = await user_of(platform, wish.account, wish.user)
    if principal is None:
        raise NotFound("UserVO", wish.user, f"It is no user of the account [{wish.account}]")
    _own("CreateAccessKey", actor, principal, wish.user)
    now = platform.clock()
    key = AccessKey(
        id=wish.id or short_id(platform.entropy, 20).upper(),
        secret=wish.secret or short_id(platform.entropy, 40),
        principal=principal,
        created=now,
        updated=now,
        uuid=extras.uuid or registry_id(platform.entropy),
        description=wish.description,
    )
    await common.write(platform, shared.add, platform, key, also)
    return key


async def seen(platform: Platform, actor: Principal) -> list[AccessKey]:
    """The keys that `actor` may see, oldest first, without their secrets.

    The account itself sees all of them, others their own.

    Raises:
        Unavailable: the database does not answer.
    """
    found = await platform.db.read(keys.permanent)
    return [key for key in found if actor.admin or key.principal == actor]


@dataclass(frozen=True, slots=True)
class KeyChange:
    """Which key is turned on or off."""

    uuid: str
    active: bool


async def switch(
    platform: Platform, actor: Principal, change: KeyChange, also: Also = nothing
) -> AccessKey:
    """Turn a key on or off; gives it as it is then.

    Raises:
        NotFound: there is no such key.
        Forbidden: it is another's, and the actor is not the account itself.
        Unavailable: the database does not answer.
    """
    key = await common.write(platform, _switch, actor, change, platform.clock(), also)
    platform.endings.key(key.id)
    return key


async def remove(platform: Platform, actor: Principal, uuid: str, also: Also = nothing) -> None:
    """Delete a key; of a missing one there is nothing to delete.

    Raises:
        Conflict: it is the pair of the credentials file.
        Forbidden: it is another's, and the actor is not the account itself.
        Unavailable: the database does not answer.
    """
    gone = await common.write(platform, _remove, actor, uuid, also)
    if gone is not None:
        platform.endings.key(gone.id)


def _check(wish: KeyWish, extras: Extras) -> None:
    if wish.id and not _ID.fullmatch(wish.id):
        raise Invalid("AccessKeyID", f"[{wish.id[:80]}]", "10 to 20 letters, digits, `.`, `_`, `-`")
    if wish.secret and not _SECRET.fullmatch(wish.secret):
        raise Invalid("AccessKeySecret", "its form", "10 to 40 printable ASCII characters")
    if extras.tag_patterns or extras.system_tags or extras.user_tags:
        raise Unsupported(
            "A tag on an access key",
            "tags hang on models, model services, centers, groups and datasets; leave it out",
        )


def _own(action: str, actor: Principal, principal: Principal, name: str) -> None:
    if not actor.admin and actor != principal:
        raise Forbidden(f"zstack:{action}", f"{KIND} [{name}]: it belongs to somebody else")


def _remove(tx: Connection, actor: Principal, uuid: str, also: Also) -> AccessKey | None:
    key = keys.load(tx, uuid)
    if key is None:
        return None
    _own("DeleteAccessKey", actor, key.principal, uuid)
    shared.remove(tx, actor, key)
    also(tx, uuid)
    return key


def _switch(
    tx: Connection, actor: Principal, change: KeyChange, now: float, also: Also
) -> AccessKey:
    key = keys.load(tx, change.uuid)
    if key is None:
        raise NotFound(KIND, change.uuid)
    _own("ChangeAccessKeyState", actor, key.principal, change.uuid)
    changed = shared.switch(tx, actor, key, change.active, now)
    also(tx, change.uuid)
    return changed
