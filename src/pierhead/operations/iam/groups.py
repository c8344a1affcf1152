"""Groups: users that share policies."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from pierhead.core.errors import Duplicate, NotFound
from pierhead.core.identities import Group, User, check_name
from pierhead.core.ids import digits_id
from pierhead.core.principals import Principal
from pierhead.operations.iam import common
from pierhead.operations.iam.users import check_text, refuse_in_use
from pierhead.operations.platform import Platform
from pierhead.store import grants
from pierhead.store import users as rows

_COMMENTS = 128  #: characters


@dataclass(frozen=True, slots=True)
class GroupChange:
    """What is to be different; None = it stays."""

    name: str | None = None
    comments: str | None = None


async def create_group(platform: Platform, actor: Principal, group: Group) -> Group:
    """Make a group; its id and dates are given here.

    Raises:
        Invalid: name or comments are not legal.
        Duplicate: there is one of that name, in whatever case.
        Unavailable: the database does not answer.
    """
    now = platform.clock()
    made = replace(group, id=digits_id(platform.entropy, 4), created=now, updated=now)
    _check(made)
    await common.write(platform, rows.add_group, made)
    return made


async def get_group(platform: Platform, actor: Principal, name: str) -> Group:
    """A group by its name.

    Raises:
        NotFound: there is none.
        Unavailable: the database does not answer.
    """
    return await platform.db.read(common.group, name)


async def list_groups(
    platform: Platform, actor: Principal, marker: str = "", max_items: int = common.USUAL_ITEMS
) -> tuple[list[Group], str]:
    """Groups by name, and the marker of the next page; "" = that was all.

    Raises:
        Invalid: `max_items` is not 1 to 1000.
        Unavailable: the database does not answer.
    """
    common.check_page(max_items)
    found = await platform.db.read(rows.group_page, marker, max_items + 1)
    return common.cut(found, max_items, lambda group: group.name)


async def update_group(
    platform: Platform, actor: Principal, name: str, change: GroupChange
) -> Group:
    """Change a group; its members and policies stay.

    Raises:
        NotFound: there is none.
        Invalid: the new name or the comments are not legal.
        Duplicate: another group has the new name.
        Unavailable: the database does not answer.
    """
    return await common.write(platform, _update, name, change, platform.clock())


async def delete_group(platform: Platform, actor: Principal, name: str) -> None:
    """Delete a group.

    Raises:
        NotFound: there is none.
        InUse: it has members or policies; the message names them.
        Unavailable: the database does not answer.
    """
    await common.write(platform, _delete, name)


async def add_user_to_group(
    platform: Platform, actor: Principal, user_name: str, group_name: str
) -> None:
    """Put a user into a group.

    Raises:
        NotFound: there is no such user or group.
        Duplicate: it is in it already.
        Unavailable: the database does not answer.
    """
    await common.write(platform, _join, user_name, group_name, platform.clock())


async def remove_user_from_group(
    platform: Platform, actor: Principal, user_name: str, group_name: str
) -> None:
    """Take a user out of a group.

    Raises:
        NotFound: there is no such user or group, or it is not in it.
        Unavailable: the database does not answer.
    """
    await common.write(platform, _leave, user_name, group_name)


async def list_groups_for_user(
    platform: Platform, actor: Principal, user_name: str
) -> list[tuple[Group, float]]:
    """The groups of a user, and since when it is in each.

    Raises:
        NotFound: there is no such user.
        Unavailable: the database does not answer.
    """
    return await platform.db.read(lambda tx: rows.groups_of(tx, common.user(tx, user_name).id))


async def list_users_for_group(
    platform: Platform, actor: Principal, group_name: str
) -> list[tuple[User, float]]:
    """The users of a group, and since when each is in it.

    Raises:
        NotFound: there is no such group.
        Unavailable: the database does not answer.
    """
    return await platform.db.read(lambda tx: rows.members_of(tx, common.group(tx, group_name).id))


def _update(tx: Connection, name: str, change: GroupChange, now: float) -> Group:
    known = common.group(tx, name)
    changed = replace(
        known,
        name=known.name if change.name is None else change.name,
        comments=known.comments if change.comments is None else change.comments,
        updated=now,
    )
    _check(changed)
    rows.change_group(tx, changed)
    return changed


def _delete(tx: Connection, name: str) -> None:
    known = common.group(tx, name)
    having = {
        "User": [user.name for user, _ in rows.members_of(tx, known.id)],
        "Policy": [one.policy for one in grants.of_target(tx, "Group", known.id)],
    }
    refuse_in_use("Group", known.name, having)
    rows.remove_group(tx, known.id)


def _join(tx: Connection, user_name: str, group_name: str, now: float) -> None:
    user, group = common.user(tx, user_name), common.group(tx, group_name)
    if not rows.join(tx, group.id, user.id, now):
        raise Duplicate("User.Group", user.name, f"is in the group {group.name} already")


def _leave(tx: Connection, user_name: str, group_name: str) -> None:
    user, group = common.user(tx, user_name), common.group(tx, group_name)
    if not rows.leave(tx, group.id, user.id):
        raise NotFound("User.Group", group.name, f"The user {user.name} is not in it")


def _check(group: Group) -> None:
    check_name("Group", group.name)
    check_text("comments", group.comments, _COMMENTS)
