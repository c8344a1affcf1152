"""Logins: who is logged in, until when. Only the digest of a login's uuid is known here."""

import hashlib

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, insert, select, update

from pierhead.core.principals import LoginSession, Principal
from pierhead.store import tables
from pierhead.store.identity_tables import users as _U

_L = tables.logins
# Made once: calls with a login come in bursts.
_BY_DIGEST = (
    select(_L, _U.c.name.label("user_name"))
    .select_from(_L.outerjoin(_U, (_L.c.kind == "user") & (_U.c.id == _L.c.principal)))
    .where(_L.c.digest == bindparam("digest"))
)
_EXPIRY = update(_L).where(_L.c.digest == bindparam("login")).values(expires=bindparam("until"))


def digest_of(uuid: str) -> str:
    """What is stored in place of a login's uuid."""
    return hashlib.sha256(uuid.encode(errors="surrogatepass")).hexdigest()


def add(tx: Connection, login: LoginSession) -> None:
    """Store a new login."""
    principal = login.principal
    tx.execute(
        insert(_L).values(
            digest=login.digest,
            account=principal.account,
            user=login.user,
            principal=principal.id,
            kind=principal.kind,
            created=login.created,
            expires=login.expires,
        )
    )


def find(tx: Connection, digest: str) -> LoginSession | None:
    """A login by the digest of its uuid, expired or not."""
    row = tx.execute(_BY_DIGEST, {"digest": digest}).mappings().first()
    return None if row is None else _login(row)


def count(tx: Connection, principal: Principal, now: float) -> int:
    """How many logins a principal holds that have not expired."""
    own = (_L.c.account == principal.account, _L.c.principal == principal.id)
    return tx.execute(select(func.count()).where(*own, _L.c.expires > now)).scalar_one()


def move(tx: Connection, digest: str, expires: float) -> bool:
    """Set when a login expires; False when it has ended."""
    return bool(tx.execute(_EXPIRY, {"login": digest, "until": expires}).rowcount)


def remove(tx: Connection, digest: str) -> bool:
    """End a login; False when there was none."""
    return bool(tx.execute(delete(_L).where(_L.c.digest == digest)).rowcount)


def remove_of(tx: Connection, principal: Principal) -> int:
    """End all logins of a principal; gives how many."""
    own = (_L.c.account == principal.account, _L.c.principal == principal.id)
    return tx.execute(delete(_L).where(*own)).rowcount


def sweep(tx: Connection, before: float) -> int:
    """Forget the logins that expired before that time; gives how many."""
    return tx.execute(delete(_L).where(_L.c.expires < before)).rowcount


def _login(row: RowMapping) -> LoginSession:
    return LoginSession(
        digest=row["digest"],
        principal=Principal(
            account=row["account"],
            id=row["principal"],
            kind=row["kind"],
            name=row["user_name"] or "",
        ),
        user=row["user"],
        created=row["created"],
        expires=row["expires"],
    )
