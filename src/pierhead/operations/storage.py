"""Storage connections for those who come through an API: as `connections`, and who may do what.

A connection's secret goes in and never comes out again.
"""

from dataclasses import dataclass

from sqlalchemy import Connection as Transaction

from pierhead.core.connections import Account, Connection
from pierhead.core.errors import InUse, NotFound
from pierhead.core.principals import Principal
from pierhead.operations import connections, rights
from pierhead.operations.platform import Platform
from pierhead.store import connections as rows
from pierhead.store import services

#: As the API calls it.
KIND = "StorageConnection"


@dataclass(frozen=True, slots=True)
class Kept:
    """A connection, without its secret, and the services whose weights come over it."""

    connection: Connection
    services: tuple[str, ...] = ()  #: names; those that may not be seen are left out
    used: int = 0  #: how many there are in all


async def listed(platform: Platform, actor: Principal) -> list[Kept]:
    """All of them, oldest first.

    Raises:
        Unavailable: the database does not answer.
    """

    def read(tx: Transaction) -> list[Kept]:
        return [_kept(tx, actor, one) for one in rows.everything(tx)]

    return await platform.db.read(read)


async def one(platform: Platform, actor: Principal, name: str) -> Kept:
    """The one of that name.

    Raises:
        NotFound: there is none.
        Unavailable: the database does not answer.
    """
    return await platform.db.read(lambda tx: _kept(tx, actor, _existing(tx, name)))


async def create(platform: Platform, actor: Principal, account: Account) -> Kept:
    """Keep a connection with what opens it.

    Raises:
        Missing, Invalid, Unsupported: a field is absent or not legal.
        Duplicate: there is one of that name.
        Forbidden: it leads into this machine or its network, and `actor` is not the account itself.
        Unavailable: the database does not answer.
    """
    demand_public(actor, account.connection)

    def write(tx: Transaction) -> Kept:
        return _kept(tx, actor, connections.add(tx, platform.box, account))

    return await platform.db.write(write)


def demand_public(actor: Principal, asked: Connection) -> None:
    """Refuse who is not the account itself and leads a connection into this machine or its network.

    Raises:
        Forbidden: it leads there, or may.
    """
    if asked.local_path:
        rights.demand_admin(actor, "use a folder of this machine as storage (LocalPath)")
    if asked.nfs:  # mostly in a private network, and no guard stands between it and its tools
        rights.demand_admin(actor, "reach an NFS server (Nfs)")
    if asked.allow_private:
        rights.demand_admin(actor, "reach storage in a private network (AllowPrivate)")


async def delete(platform: Platform, actor: Principal, name: str, *, force: bool = False) -> None:
    """Forget a connection and its secret. Services that need it miss it at their next start.

    Raises:
        NotFound: there is none.
        InUse: services need it, and it is not forced; the message names some.
        Unavailable: the database does not answer.
    """

    def write(tx: Transaction) -> None:
        found = _kept(tx, actor, _existing(tx, name))
        if found.used and not force:
            shown = ", ".join(found.services[:5]) or "that you do not see"
            raise InUse(KIND, name, f"serves {found.used} service(s): {shown}", by="Service")
        rows.remove(tx, name)

    await platform.db.write(write)


def _existing(tx: Transaction, name: str) -> Connection:
    found = rows.load(tx, name)
    if found is None:
        raise NotFound(KIND, name)
    return found


def _kept(tx: Transaction, actor: Principal, connection: Connection) -> Kept:
    users = connections.used_by(tx, connection)
    seen = {
        service.name
        for service, _seen in services.everything(tx)
        if rights.sees_service(actor, service)
    }
    return Kept(connection, tuple(name for name in users if name in seen), len(users))
