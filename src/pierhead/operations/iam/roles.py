"""Roles: what users and other roles may become for a while."""

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from pierhead.core import trust
from pierhead.core.errors import Invalid
from pierhead.core.identities import LONGEST_SESSION, USUAL_SESSION, Role, check_name
from pierhead.core.ids import digits_id
from pierhead.core.principals import Principal
from pierhead.operations.iam import common
from pierhead.operations.iam.users import check_text, refuse_in_use
from pierhead.operations.platform import Platform
from pierhead.store import grants, keys
from pierhead.store import roles as rows

_DESCRIPTION = 1024  #: characters


@dataclass(frozen=True, slots=True)
class RoleChange:
    """What is to be different; None = it stays."""

    trust: str | None = None
    description: str | None = None
    max_session: int | None = None  #: seconds


async def create_role(platform: Platform, actor: Principal, role: Role) -> Role:
    """Make a role; its id and dates are given here.

    Raises:
        Invalid: name, trust document, description or longest session are not legal.
        Duplicate: there is one of that name, in whatever case.
        Unavailable: the database does not answer.
    """
    now = platform.clock()
    made = replace(role, id=digits_id(platform.entropy, 3), created=now, updated=now)
    _check(made)
    await common.write(platform, rows.add, made)
    return made


async def get_role(platform: Platform, actor: Principal, name: str) -> Role:
    """A role by its name.

    Raises:
        NotFound: there is none.
        Unavailable: the database does not answer.
    """
    return await platform.db.read(common.role, name)


async def list_roles(
    platform: Platform, actor: Principal, marker: str = "", max_items: int = common.USUAL_ITEMS
) -> tuple[list[Role], str]:
    """Roles by name, and the marker of the next page; "" = that was all.

    Raises:
        Invalid: `max_items` is not 1 to 1000.
        Unavailable: the database does not answer.
    """
    common.check_page(max_items)
    found = await platform.db.read(rows.page, marker, max_items + 1)
    return common.cut(found, max_items, lambda role: role.name)


async def update_role(platform: Platform, actor: Principal, name: str, change: RoleChange) -> Role:
    """Change a role. Who has become it stays so until its credentials expire.

    Raises:
        NotFound: there is none.
        Invalid: trust document, description or longest session are not legal.
        Unavailable: the database does not answer.
    """
    return await common.write(platform, _update, name, change, platform.clock())


async def delete_role(platform: Platform, actor: Principal, name: str) -> None:
    """Delete a role; the credentials of who has become it end at once.

    Raises:
        NotFound: there is none.
        InUse: it has policies; the message names them.
        Unavailable: the database does not answer.
    """
    platform.endings.key(*await common.write(platform, _delete, name))


def _update(tx: Connection, name: str, change: RoleChange, now: float) -> Role:
    known = common.role(tx, name)
    changed = replace(
        known,
        trust=known.trust if change.trust is None else change.trust,
        description=known.description if change.description is None else change.description,
        max_session=known.max_session if change.max_session is None else change.max_session,
        updated=now,
    )
    _check(changed)
    rows.change(tx, changed)
    return changed


def _delete(tx: Connection, name: str) -> list[str]:
    known = common.role(tx, name)
    having = {"Policy": [one.policy for one in grants.of_target(tx, "Role", known.id)]}
    refuse_in_use("Role", known.name, having)
    rows.remove(tx, known.id)
    return keys.remove_sessions(tx, known.id)


def _check(role: Role) -> None:
    check_name("Role", role.name)
    trust.check(role.trust)
    check_text("description", role.description, _DESCRIPTION)
    if not USUAL_SESSION <= role.max_session <= LONGEST_SESSION:
        legal = f"{USUAL_SESSION} to {LONGEST_SESSION} seconds"
        raise Invalid("MaxSessionDuration", f"[{role.max_session}]", legal)
