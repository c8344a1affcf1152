"""Users and groups as stored; who is in which.

A name that is looked for first and then taken by another hub is told as taken all the same.
"""

from dataclasses import asdict

from sqlalchemy import Connection, RowMapping, Select, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from pierhead.core.errors import Duplicate
from pierhead.core.identities import Group, User
from pierhead.store import grants
from pierhead.store.identity_tables import attachments as _A
from pierhead.store.identity_tables import groups as _G
from pierhead.store.identity_tables import members as _M
from pierhead.store.identity_tables import users as _U


def add(tx: Connection, user: User) -> None:
    """Store a new user.

    Raises:
        Duplicate: there is one of that name, in whatever case.
    """
    if find(tx, user.name) is not None:
        raise _taken_user(user)
    try:
        tx.execute(insert(_U).values(**asdict(user), folded=user.name.lower()))
    except IntegrityError as error:
        raise _taken_user(user) from error
    grants.changed(tx)


def find(tx: Connection, name: str) -> User | None:
    """A user by its name, in whatever case."""
    return _user(tx.execute(select(_U).where(_U.c.folded == name.lower())).mappings().first())


def load(tx: Connection, id_: str) -> User | None:
    """A user by its id."""
    return _user(tx.execute(select(_U).where(_U.c.id == id_)).mappings().first())


def page(tx: Connection, after: str, limit: int) -> list[User]:
    """Users by name, from the one that follows `after` ("" = the first)."""
    wanted = select(_U).where(_U.c.folded > after.lower()).order_by(_U.c.folded).limit(limit)
    return [user for row in tx.execute(wanted).mappings() if (user := _user(row)) is not None]


def names(tx: Connection) -> list[tuple[str, str]]:
    """(id, name) of all users."""
    return [(id_, name) for id_, name in tx.execute(select(_U.c.id, _U.c.name))]


def change(tx: Connection, user: User) -> None:
    """Write a user's row; its id stays.

    Raises:
        Duplicate: another user has its new name.
    """
    other = find(tx, user.name)
    if other is not None and other.id != user.id:
        raise _taken_user(user)
    values = asdict(user) | {"folded": user.name.lower()}
    try:
        tx.execute(update(_U).where(_U.c.id == user.id).values(**values))
    except IntegrityError as error:
        raise _taken_user(user) from error
    grants.changed(tx)


def logged_in(tx: Connection, id_: str, at: float) -> None:
    """Note the last login with a password; it is no change to what anybody may do."""
    tx.execute(update(_U).where(_U.c.id == id_).values(last_login=at))


def remove(tx: Connection, id_: str) -> None:
    """Forget a user, its memberships and what it was given."""
    tx.execute(delete(_A).where(_A.c.target_kind == "User", _A.c.target == id_))
    tx.execute(delete(_M).where(_M.c.user_id == id_))
    tx.execute(delete(_U).where(_U.c.id == id_))
    grants.changed(tx)


# ---- groups ------------------------------------------------------------------------------------


def add_group(tx: Connection, group: Group) -> None:
    """Store a new group.

    Raises:
        Duplicate: there is one of that name, in whatever case.
    """
    if find_group(tx, group.name) is not None:
        raise _taken_group(group)
    try:
        tx.execute(insert(_G).values(**asdict(group), folded=group.name.lower()))
    except IntegrityError as error:
        raise _taken_group(group) from error
    grants.changed(tx)


def find_group(tx: Connection, name: str) -> Group | None:
    """A group by its name, in whatever case."""
    row = tx.execute(select(_G).where(_G.c.folded == name.lower())).mappings().first()
    return None if row is None else _group(row)


def group_page(tx: Connection, after: str, limit: int) -> list[Group]:
    """Groups by name, from the one that follows `after` ("" = the first)."""
    wanted = select(_G).where(_G.c.folded > after.lower()).order_by(_G.c.folded).limit(limit)
    return [_group(row) for row in tx.execute(wanted).mappings()]


def change_group(tx: Connection, group: Group) -> None:
    """Write a group's row; its id stays.

    Raises:
        Duplicate: another group has its new name.
    """
    other = find_group(tx, group.name)
    if other is not None and other.id != group.id:
        raise _taken_group(group)
    values = asdict(group) | {"folded": group.name.lower()}
    try:
        tx.execute(update(_G).where(_G.c.id == group.id).values(**values))
    except IntegrityError as error:
        raise _taken_group(group) from error
    grants.changed(tx)


def remove_group(tx: Connection, id_: str) -> None:
    """Forget a group and what it was given."""
    tx.execute(delete(_A).where(_A.c.target_kind == "Group", _A.c.target == id_))
    tx.execute(delete(_M).where(_M.c.group_id == id_))
    tx.execute(delete(_G).where(_G.c.id == id_))
    grants.changed(tx)


def join(tx: Connection, group: str, user: str, at: float) -> bool:
    """Put a user into a group (ids); False if it is there."""
    if tx.execute(_membership(group, user)).first() is not None:
        return False
    tx.execute(insert(_M).values(group_id=group, user_id=user, created=at))
    grants.changed(tx)
    return True


def leave(tx: Connection, group: str, user: str) -> bool:
    """Take a user out of a group (ids); False if it was not there."""
    wanted = delete(_M).where(_M.c.group_id == group, _M.c.user_id == user)
    gone = bool(tx.execute(wanted).rowcount)
    if gone:
        grants.changed(tx)
    return gone


def groups_of(tx: Connection, user: str) -> list[tuple[Group, float]]:
    """The groups of a user (id), and since when."""
    wanted = (
        select(_G, _M.c.created.label("joined"))
        .join_from(_M, _G, _G.c.id == _M.c.group_id)
        .where(_M.c.user_id == user)
        .order_by(_G.c.folded)
    )
    return [(_group(row), row["joined"]) for row in tx.execute(wanted).mappings()]


def members_of(tx: Connection, group: str) -> list[tuple[User, float]]:
    """The users of a group (id), and since when."""
    wanted = (
        select(_U, _M.c.created.label("joined"))
        .join_from(_M, _U, _U.c.id == _M.c.user_id)
        .where(_M.c.group_id == group)
        .order_by(_U.c.folded)
    )
    rows = tx.execute(wanted).mappings()
    return [(user, row["joined"]) for row in rows if (user := _user(row)) is not None]


def size_of(tx: Connection, group: str) -> int:
    """How many users a group (id) has."""
    wanted = select(func.count()).select_from(_M).where(_M.c.group_id == group)
    return tx.execute(wanted).scalar_one()


def _membership(group: str, user: str) -> Select[tuple[float]]:
    return select(_M.c.created).where(_M.c.group_id == group, _M.c.user_id == user)


def _taken_user(user: User) -> Duplicate:
    return Duplicate("User", user.name, "exists already")


def _taken_group(group: Group) -> Duplicate:
    return Duplicate("Group", group.name, "exists already")


def _user(row: RowMapping | None) -> User | None:
    return None if row is None else User(**{name: row[name] for name in _USER})


def _group(row: RowMapping) -> Group:
    return Group(**{name: row[name] for name in _GROUP})


_USER = tuple(asdict(User("", "")))
_GROUP = tuple(asdict(Group("", "")))
