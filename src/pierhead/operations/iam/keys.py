"""Access keys of users and of the account itself, the same for both dialects."""

from dataclasses import replace

from sqlalchemy import Connection

from pierhead.core.errors import Conflict, Forbidden, Missing, NotFound, TooMany
from pierhead.core.ids import letters, registry_id
from pierhead.core.principals import ROLE, AccessKey, Principal
from pierhead.operations.iam import common
from pierhead.operations.platform import Also, Platform, nothing
from pierhead.store import keys as rows
from pierhead.store import logins

KIND = "User.AccessKey"
#: Keys of a user: the one in use, and the one that is to follow it. The account itself may have more.
MOST = 2


async def create_access_key(platform: Platform, actor: Principal, user_name: str = "") -> AccessKey:
    """Make a key pair for a user, or for who asks; nothing else ever shows its secret.

    Raises:
        NotFound: there is no such user.
        Missing: an assumed role asks for itself; it has no keys of its own.
        TooMany: the user has two.
        Unavailable: the database does not answer.
    """
    now = platform.clock()
    wanted = AccessKey(
        id="LTAI" + letters(platform.entropy, 20),
        secret=letters(platform.entropy, 30),
        principal=actor,  # or whom it names
        created=now,
        updated=now,
        uuid=registry_id(platform.entropy),
    )
    return await common.write(platform, _create, platform, actor, user_name, wanted)


async def list_access_keys(
    platform: Platform, actor: Principal, user_name: str = ""
) -> list[AccessKey]:
    """The keys of a user, or of who asks, oldest first, without their secrets.

    Raises:
        NotFound: there is no such user.
        Missing: an assumed role asks for itself.
        Unavailable: the database does not answer.
    """
    return await platform.db.read(
        lambda tx: rows.of_principal(tx, owner(tx, platform, actor, user_name))
    )


async def update_access_key(
    platform: Platform, actor: Principal, key_id: str, user_name: str = "", *, active: bool
) -> AccessKey:
    """Turn a key on or off; one that is off is refused from the next call on.

    Raises:
        NotFound: there is no such user, or it has no such key.
        Forbidden: it is the account's own, and somebody else asks.
        Missing: an assumed role asks for itself.
        Unavailable: the database does not answer.
    """

    def change(tx: Connection) -> AccessKey:
        known = _known(tx, platform, actor, key_id, user_name)
        return switch(tx, actor, known, active, platform.clock())

    changed = await common.write(platform, change)
    platform.endings.key(changed.id)
    return changed


async def delete_access_key(
    platform: Platform, actor: Principal, key_id: str, user_name: str = ""
) -> None:
    """Delete a key; it is refused from the next call on.

    Raises:
        NotFound: there is no such user, or it has no such key.
        Forbidden: it is the account's own, and somebody else asks.
        Conflict: it is the pair of the credentials file.
        Missing: an assumed role asks for itself.
        Unavailable: the database does not answer.
    """

    def delete(tx: Connection) -> None:
        remove(tx, actor, _known(tx, platform, actor, key_id, user_name))

    await common.write(platform, delete)
    platform.endings.key(key_id)


async def last_used(
    platform: Platform, actor: Principal, key_id: str, user_name: str = ""
) -> float | None:
    """When a key signed something last, a minute late at most; None = never.

    Raises:
        NotFound: there is no such user, or it has no such key.
        Missing: an assumed role asks for itself.
        Unavailable: the database does not answer.
    """
    found = await platform.db.read(_known, platform, actor, key_id, user_name)
    return found.last_used


# ---- what both dialects do in their transactions -----------------------------------------------


def add(tx: Connection, platform: Platform, key: AccessKey, also: Also = nothing) -> None:
    """Store a new key of the account or of a user.

    Raises:
        TooMany: the user has two.
        Taken: the id or the uuid is in use.
    """
    if not key.principal.admin and len(rows.of_principal(tx, key.principal)) >= MOST:
        name = key.principal.name or key.principal.id
        raise TooMany("User", name, "AccessKey", MOST)
    rows.add(tx, platform.box, key)
    also(tx, rows.uuid_of(key))


def switch(tx: Connection, actor: Principal, key: AccessKey, active: bool, now: float) -> AccessKey:
    """Turn a key on or off; gives it as it is then. With a key that goes off the logins end that it opened.

    Raises:
        Forbidden: it is the account's own, and somebody else asks.
    """
    _own("UpdateAccessKey", actor, key)
    if not active:
        logins.remove_by_key(tx, key.id)
    rows.switch(tx, rows.uuid_of(key), active, now)
    return replace(key, active=active, updated=now)


def remove(tx: Connection, actor: Principal, key: AccessKey) -> None:
    """Delete a key, and end the logins that it opened.

    Raises:
        Forbidden: it is the account's own, and somebody else asks.
        Conflict: it is the pair of the credentials file.
    """
    _own("DeleteAccessKey", actor, key)
    if key.id == rows.filed(tx):
        problem = (
            "is the pair of credentials.json, which every start puts back: change it in that file, "
            "or disable it"
        )
        raise Conflict("AccessKeyVO", rows.uuid_of(key), problem)
    logins.remove_by_key(tx, key.id)
    rows.remove(tx, rows.uuid_of(key))


def owner(tx: Connection, platform: Platform, actor: Principal, user_name: str) -> Principal:
    """Whose keys are meant: the user's of that name, or the actor's own.

    Raises:
        NotFound: there is no such user.
        Missing: an assumed role means itself.
    """
    if user_name:
        return common.principal_of(platform, common.user(tx, user_name))
    if actor.kind == ROLE:
        raise Missing("UserName", "a role has no access keys of its own")
    return actor


def _create(
    tx: Connection, platform: Platform, actor: Principal, user_name: str, wanted: AccessKey
) -> AccessKey:
    key = replace(wanted, principal=owner(tx, platform, actor, user_name))
    add(tx, platform, key)
    return key


def _known(
    tx: Connection, platform: Platform, actor: Principal, key_id: str, user_name: str
) -> AccessKey:
    whose = owner(tx, platform, actor, user_name)
    found = rows.record(tx, key_id)
    if found is None or found.principal != whose or found.expires is not None:
        raise NotFound(KIND, key_id)
    return found


def _own(action: str, actor: Principal, key: AccessKey) -> None:
    if key.principal.admin and not actor.admin:
        resource = f"acs:ram:*:{key.principal.account}:accesskey/{key.id}"
        raise Forbidden(f"ram:{action}", resource, because="only the account changes its own keys")
