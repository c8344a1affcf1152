"""What the use cases of identities share: how they write, and how they find what is named."""

from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from pierhead.core.errors import Invalid, NotFound
from pierhead.core.identities import Group, PolicyKind, PolicyRecord, Role, TargetKind, User
from pierhead.core.principals import USER, Principal
from pierhead.core.system_policies import DOCUMENTS
from pierhead.operations.platform import Platform
from pierhead.store import grants, policies, roles, users

P = ParamSpec("P")
T = TypeVar("T")
Item = TypeVar("Item")
Named = TypeVar("Named", User, Group, Role)

#: Items of a page, at most, and when nothing is said.
MOST_ITEMS, USUAL_ITEMS = 1000, 100


async def write(
    platform: Platform,
    fn: Callable[Concatenate[Connection, P], T],
    *args: P.args,
    **kwargs: P.kwargs,
) -> T:
    """`fn` in a transaction that no other change to identities runs beside, in whatever hub.

    What it found (how many keys, who has a policy) still holds when it is done.

    Raises:
        Unavailable: the database does not answer.
    """

    def alone(tx: Connection) -> T:
        grants.changed(tx)  # first: it waits for others, and counts the change
        return fn(tx, *args, **kwargs)

    return await platform.db.write(alone)


def principal_of(platform: Platform, user: User) -> Principal:
    """A user as who asks."""
    return Principal(platform.account, user.id, USER, user.name)


def user(tx: Connection, name: str) -> User:
    """The user of that name, spelled so: policies speak of a spelling, and there is no way around.

    Raises:
        NotFound: there is none.
    """
    return _found("User", name, users.find(tx, name))


def group(tx: Connection, name: str) -> Group:
    """The group of that name.

    Raises:
        NotFound: there is none.
    """
    return _found("Group", name, users.find_group(tx, name))


def role(tx: Connection, name: str) -> Role:
    """The role of that name.

    Raises:
        NotFound: there is none.
    """
    return _found("Role", name, roles.find(tx, name))


def target(tx: Connection, kind: TargetKind, name: str) -> str:
    """The id of the user, group or role of that name.

    Raises:
        NotFound: there is none.
    """
    by_kind = {"User": user, "Group": group, "Role": role}
    return by_kind[kind](tx, name).id


def policy(tx: Connection, kind: PolicyKind, name: str) -> PolicyRecord:
    """The policy of that kind and name.

    Raises:
        NotFound: there is none.
    """
    if kind == "Custom":
        found = policies.find(tx, name)
        if found is None:
            raise NotFound("Policy", name)
        return found
    if name not in DOCUMENTS:
        raise NotFound("Policy", name)
    description, document = DOCUMENTS[name]
    number = grants.number_of(tx, "System", name)
    return PolicyRecord(name, "System", description, document, attachments=number)


def check_page(max_items: int) -> None:
    """Refuse a page that is empty or too long.

    Raises:
        Invalid: it is.
    """
    if not 1 <= max_items <= MOST_ITEMS:
        raise Invalid("MaxItems", f"[{max_items}]", f"1 to {MOST_ITEMS}")


def cut(
    found: Sequence[Item], max_items: int, name_of: Callable[[Item], str]
) -> tuple[list[Item], str]:
    """A page from one item more than it holds, and the marker of the next; "" = that was all."""
    page = list(found[:max_items])
    return page, name_of(page[-1]) if len(found) > max_items else ""


def _found(kind: str, name: str, thing: Named | None) -> Named:
    if thing is None or thing.name != name:
        raise NotFound(kind, name)
    return thing
