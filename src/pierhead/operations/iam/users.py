"""Users: made, changed, listed, deleted; and the passwords they log in with."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from pierhead.core.endpoint_tokens import EndpointToken
from pierhead.core.errors import Duplicate, InUse, Invalid, NotFound
from pierhead.core.identities import LoginProfile, User, check_name
from pierhead.core.ids import digits_id
from pierhead.core.principals import Password, Principal
from pierhead.core.services import Service
from pierhead.operations import endpoint_tokens
from pierhead.operations.accounts import Hashing, user_uuid, wire_password
from pierhead.operations.iam import common
from pierhead.operations.platform import Platform
from pierhead.store import grants, keys, logins, passwords
from pierhead.store import users as rows

#: Characters of a password.
SHORTEST_PASSWORD, LONGEST_PASSWORD = 8, 128
_TEXTS = {"display_name": 128, "comments": 128, "email": 128, "mobile": 64}


@dataclass(frozen=True, slots=True)
class UserChange:
    """What is to be different; None = it stays."""

    name: str | None = None
    display_name: str | None = None
    comments: str | None = None
    email: str | None = None
    mobile: str | None = None


async def create_user(platform: Platform, actor: Principal, user: User) -> User:
    """Make a user; its id and dates are given here. It may do nothing until it gets a policy.

    Raises:
        Invalid: name or texts are not legal.
        Duplicate: there is one of that name, in whatever case.
        Unavailable: the database does not answer.
    """
    now = platform.clock()
    made = replace(
        user, id=digits_id(platform.entropy, 2), created=now, updated=now, last_login=None
    )
    _check(made)
    await common.write(platform, rows.add, made)
    return made


async def get_user(platform: Platform, actor: Principal, name: str) -> User:
    """A user by its name.

    Raises:
        NotFound: there is none.
        Unavailable: the database does not answer.
    """
    return await platform.db.read(common.user, name)


async def list_users(
    platform: Platform, actor: Principal, marker: str = "", max_items: int = common.USUAL_ITEMS
) -> tuple[list[User], str]:
    """Users by name, and the marker of the next page; "" = that was all.

    Raises:
        Invalid: `max_items` is not 1 to 1000.
        Unavailable: the database does not answer.
    """
    common.check_page(max_items)
    found = await platform.db.read(rows.page, marker, max_items + 1)
    return common.cut(found, max_items, lambda user: user.name)


async def update_user(platform: Platform, actor: Principal, name: str, change: UserChange) -> User:
    """Change a user. A new name ends its logins; keys and policies stay its own.

    Raises:
        NotFound: there is none.
        Invalid: the new name or a text is not legal.
        Duplicate: another user has the new name.
        Unavailable: the database does not answer.
    """
    changed, renamed, of = await common.write(platform, _update, platform, name, change)
    if renamed:
        _tell(platform, changed, of)
    return changed


async def delete_user(platform: Platform, actor: Principal, name: str) -> None:
    """Delete a user, its password and the endpoint tokens that were issued to it; all end at once.

    Raises:
        NotFound: there is none.
        InUse: it has keys, is in groups or has policies; the message names them.
        Unavailable: the database does not answer.
    """
    gone, shut = await common.write(platform, _delete, platform, name)
    _tell(platform, gone, ())
    for service, present in shut:
        platform.endings.tokens(service, present)


# ---- passwords ---------------------------------------------------------------------------------


async def create_login_profile(
    platform: Platform, actor: Principal, hashing: Hashing, user_name: str, password: str
) -> LoginProfile:
    """Let a user log in with a password (plain text here; what is kept is argon2id of its SHA-512).

    Raises:
        NotFound: there is no such user.
        Duplicate: it has a password already.
        Invalid: the password is too short, too long or not printable.
        Unavailable: the database does not answer.
    """
    hash_ = await _hash(hashing, password)
    return await common.write(platform, _add_password, platform, user_name, hash_)


async def update_login_profile(
    platform: Platform, actor: Principal, hashing: Hashing, user_name: str, password: str
) -> LoginProfile:
    """Give a user another password, which ends the logins that the former one opened.

    Raises:
        NotFound: there is no such user, or it has no password.
        Invalid: the password is too short, too long or not printable.
        Unavailable: the database does not answer.
    """
    hash_ = await _hash(hashing, password)
    profile, user = await common.write(platform, _change_password, platform, user_name, hash_)
    platform.endings.logins(common.principal_of(platform, user))
    return profile


async def get_login_profile(platform: Platform, actor: Principal, user_name: str) -> LoginProfile:
    """Since when a user has a password.

    Raises:
        NotFound: there is no such user, or it has none.
        Unavailable: the database does not answer.
    """
    _, known = await platform.db.read(_known, platform, user_name)
    return LoginProfile(known.user_name, known.created)


async def has_login_profile(platform: Platform, actor: Principal, user_name: str) -> bool:
    """Has a user a password to log in with?

    Raises:
        NotFound: there is no such user.
        Unavailable: the database does not answer.
    """
    return await platform.db.read(_has_password, platform, user_name)


async def delete_login_profile(platform: Platform, actor: Principal, user_name: str) -> None:
    """Take a user's password; its logins end at once, its keys work on.

    Raises:
        NotFound: there is no such user, or it has none.
        Unavailable: the database does not answer.
    """
    user = await common.write(platform, _remove_password, platform, user_name)
    platform.endings.logins(common.principal_of(platform, user))


# ---- transactions ------------------------------------------------------------------------------


def _update(
    tx: Connection, platform: Platform, name: str, change: UserChange
) -> tuple[User, bool, tuple[str, ...]]:
    """(the user, whether its name is new, ids of its keys)."""
    known = common.user(tx, name)
    given = {
        field: value for field in ("name", *_TEXTS) if (value := getattr(change, field)) is not None
    }
    changed = replace(known, **given, updated=platform.clock())
    _check(changed)
    rows.change(tx, changed)
    renamed = changed.name != known.name
    principal = common.principal_of(platform, changed)
    if renamed:
        passwords.rename(tx, principal, changed.name)
        logins.remove_of(tx, principal)
    return changed, renamed, tuple(key.id for key in keys.of_principal(tx, principal))


def _delete(
    tx: Connection, platform: Platform, name: str
) -> tuple[User, list[tuple[Service, list[EndpointToken]]]]:
    """(the user, what opens each service that it had a token of)."""
    known = common.user(tx, name)
    principal = common.principal_of(platform, known)
    having = {
        "AccessKey": [key.id for key in keys.of_principal(tx, principal)],
        "Group": [group.name for group, _ in rows.groups_of(tx, known.id)],
        "Policy": [one.policy for one in grants.of_target(tx, "User", known.id)],
    }
    refuse_in_use("User", known.name, having)
    passwords.remove_of(tx, principal)
    logins.remove_of(tx, principal)
    shut = endpoint_tokens.end_of_user(tx, platform, known.id)
    rows.remove(tx, known.id)
    return known, shut


def _add_password(tx: Connection, platform: Platform, user_name: str, hash_: str) -> LoginProfile:
    user = common.user(tx, user_name)
    principal = common.principal_of(platform, user)
    if passwords.of_principal(tx, principal) is not None:
        raise Duplicate("User.LoginProfile", user.name, "exists already")
    made = Password(
        account_name=passwords.account_name(tx, platform.account),
        user_name=user.name,
        principal=principal,
        user=user_uuid(platform, principal),
        hash=hash_,
        created=platform.clock(),
    )
    passwords.add(tx, made)
    return LoginProfile(user.name, made.created)


def _change_password(
    tx: Connection, platform: Platform, user_name: str, hash_: str
) -> tuple[LoginProfile, User]:
    user, known = _known(tx, platform, user_name)
    passwords.change(tx, replace(known, hash=hash_))
    logins.remove_of(tx, known.principal)
    return LoginProfile(user.name, known.created), user


def _remove_password(tx: Connection, platform: Platform, user_name: str) -> User:
    user, known = _known(tx, platform, user_name)
    passwords.remove_of(tx, known.principal)
    logins.remove_of(tx, known.principal)
    return user


def _has_password(tx: Connection, platform: Platform, user_name: str) -> bool:
    principal = common.principal_of(platform, common.user(tx, user_name))
    return passwords.of_principal(tx, principal) is not None


def _known(tx: Connection, platform: Platform, user_name: str) -> tuple[User, Password]:
    user = common.user(tx, user_name)
    known = passwords.of_principal(tx, common.principal_of(platform, user))
    if known is None:
        raise NotFound("User.LoginProfile", user.name)
    return user, known


def refuse_in_use(kind: str, name: str, having: dict[str, list[str]]) -> None:
    """Refuse to delete what still has something; `having`: kind -> names.

    Raises:
        InUse: it has; `by` is the first kind of which there is one.
    """
    for by, names in having.items():
        if names:
            shown = ", ".join(dict.fromkeys(names[:5])) + (" ..." if len(names) > 5 else "")
            raise InUse(kind, name, f"still has {by} {shown}", by)


def check_password(password: str) -> None:
    """Refuse a password that no user may have.

    Raises:
        Invalid: it is too short, too long or not printable.
    """
    legal = f"{SHORTEST_PASSWORD} to {LONGEST_PASSWORD} printable characters"
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD or not password.isprintable():
        raise Invalid("Password", "its form", legal)


async def _hash(hashing: Hashing, password: str) -> str:
    check_password(password)
    return await hashing.make(wire_password(password))


def _check(user: User) -> None:
    check_name("User", user.name)
    for field, most in _TEXTS.items():
        check_text(field, getattr(user, field), most)


def check_text(field: str, text: str, most: int) -> None:
    """Refuse a text that is too long or not printable.

    Raises:
        Invalid: it is.
    """
    if len(text) > most or not text.replace("\n", "").isprintable():
        name = "".join(part.title() for part in field.split("_"))
        raise Invalid(name, f"[{text[:40]}]", f"at most {most} printable characters")


def _tell(platform: Platform, user: User, of: tuple[str, ...]) -> None:
    platform.endings.logins(common.principal_of(platform, user))
    platform.endings.key(*of)
