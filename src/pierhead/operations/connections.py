"""Use cases on storage connections; each is one transaction.

They are plain functions, because the command line runs them on the database itself: a secret never
travels through an API.
"""

import re

from sqlalchemy import Connection as Transaction

from pierhead.core.connections import (
    HUBS,
    Account,
    Connection,
    Keys,
    check,
    first,
    kept_from,
    named,
    public,
    serving,
)
from pierhead.core.errors import Invalid, NotFound
from pierhead.core.mounts import HubSource, Source
from pierhead.core.principals import Principal
from pierhead.core.services import Service
from pierhead.operations.secret_box import SecretBox
from pierhead.store import connections as rows
from pierhead.store import services

KIND = "storage connection"
_SECRET = 4096  #: characters
#: A hub's token travels in headers.
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]*")


def add(tx: Transaction, box: SecretBox, account: Account, *, replace: bool = False) -> Connection:
    """Register a connection with its keys; `replace`: in place of one of that name.

    Raises:
        Missing, Invalid, Unsupported: a field is absent or not legal.
        Duplicate: there is one of that name, and it is not to be replaced.
    """
    connection, keys = account.connection, account.keys
    check_account(account)
    if replace:
        rows.remove(tx, connection.name)
    rows.add(tx, connection, box.seal(connection.name, keys))
    return connection


def check_account(account: Account) -> None:
    """Refuse what cannot be kept, or could serve nothing.

    Raises:
        Missing, Invalid, Unsupported: a field is absent or not legal.
    """
    check(account.connection)
    _check(account.connection, account.keys)


def _check(connection: Connection, keys: Keys) -> None:
    for field, value in (("access-key-secret-file", keys.secret), ("token", keys.token)):
        if not value.isprintable() or len(value) > _SECRET:
            raise Invalid(
                field, "it does not hold one line of text", f"at most {_SECRET} characters"
            )
    if connection.kind in HUBS and _TOKEN.fullmatch(keys.token) is None:
        raise Invalid(
            "token", "it has signs that no token of a hub has", "letters, digits, ._~+/=-"
        )
    if bool(connection.access_key_id) != bool(keys.secret):
        raise Invalid("access-key-id", "it is given without its secret, or the other way round")


def instead(tx: Transaction, connection: Connection) -> Connection | None:
    """The older connection that serves the same, and so goes before this one; None when there is none."""
    found = first(connection.serves, rows.everything(tx))
    return None if found is None or found.name == connection.name else found


def everything(tx: Transaction) -> tuple[Connection, ...]:
    """All connections, oldest first, without secrets."""
    return rows.everything(tx)


def existing(tx: Transaction, name: str) -> Connection:
    """The connection of that name, without secrets.

    Raises:
        NotFound: there is none.
    """
    found = rows.load(tx, name)
    if found is None:
        raise NotFound(KIND, name)
    return found


def remove(tx: Transaction, name: str) -> tuple[str, ...]:
    """Forget a connection and its secret; the names of services whose next start will miss it.

    Raises:
        NotFound: there is none.
    """
    users = used_by(tx, existing(tx, name))
    rows.remove(tx, name)
    return users


def used_by(tx: Transaction, connection: Connection) -> tuple[str, ...]:
    """Names of the services whose weights come over it."""
    known = rows.everything(tx)
    return tuple(
        service.name
        for service, _seen in services.everything(tx)
        if (source := service.current.weights) is not None
        and serving(source, known) == connection
        and connection.reaches(service.workspace)
    )


def demand(tx: Transaction, actor: Principal, before: Service | None, after: Service) -> None:
    """Refuse a service that names what a connection keeps for the services of other workspaces.

    `before` = None: the service is new. Who is not the account is told the same of what no connection
    serves: nobody finds out by trying what others have. Where no connection is bound to a workspace
    there is nothing to find out, and a service waits for its connection, as the account's always do.

    Raises:
        Invalid: it may not be served.
    """
    source = after.current.weights
    if source is None or not named(source):
        return
    if before is not None and _stands(before) == _stands(after):
        return
    known = rows.everything(tx)
    hidden = not actor.admin and any(each.workspaces for each in known)
    if kept_from(source, after.workspace, known) is None and not (
        hidden and serving(source, known) is None and not isinstance(source, HubSource)
    ):
        return
    raise Invalid("storage", f"no storage connection serves [{named(source)}] in this workspace")


def _stands(service: Service) -> tuple[Source | None, str]:
    return service.current.weights, service.workspace


def account(
    tx: Transaction, box: SecretBox, source: Source, *, online: bool = False
) -> Account | None:
    """What opens a source; None when no connection serves it.

    `online`: public hubs may be asked without a connection.

    Raises:
        Unavailable: its secret cannot be opened.
    """
    found = serving(source, rows.everything(tx)) if named(source) else None
    if found is None:
        return public(source) if online and isinstance(source, HubSource) else None
    return opener(tx, box, found.name)


def opener(tx: Transaction, box: SecretBox, name: str) -> Account:
    """The connection of that name with its keys.

    Raises:
        NotFound: there is none.
        Unavailable: its secret cannot be opened.
    """
    found, sealed = existing(tx, name), rows.sealed(tx, name)
    if sealed is None:  # removed in between
        raise NotFound(KIND, name)
    return Account(found, box.open(name, sealed))
