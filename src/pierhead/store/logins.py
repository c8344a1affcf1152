"""Logins: who is logged in, until when. Only the digest of a login's uuid is known here."""

import hashlib

from sqlalchemy import Connection, RowMapping, bindparam, delete, func, insert, select, update

from pierhead.core.principals import LoginSession, Principal
from pierhead.store import tables
from pierhead.store.identity_tables import users as _U

_L, _K = tables.logins, tables.access_keys
# Made once: calls with a login come in bursts.
_BY_DIGEST = (
    select(_L, _U.c.name.label("user_name"))
    .select_from(_L.outerjoin(_U, (_L.c.kind == "user") & (_U.c.id == _L.c.principal)))
    .where(_L.c.digest == bindparam("digest"))
)
_EXPIRY = update(_L).where(_L.c.digest == bindparam("login")).values(expires=bindparam("until"))


#: How the uuid of a console's session begins, and the digest of one.
CONSOLE, _CONSOLE_DIGEST = "console:", "c:"


def digest_of(uuid: str) -> str:
    """What is stored in place of a login's uuid; of a console's session it shows that it is one."""
    digest = hashlib.sha256(uuid.encode(errors="surrogatepass")).hexdigest()
    if not uuid.startswith(CONSOLE):
        return digest
    return f"{_CONSOLE_DIGEST}{digest}"[: len(digest)]  # 248 bits are no less beyond guessing


def is_console(login: LoginSession) -> bool:
    """Is it a session of the console, or made for one?"""
    return (login.parent or login.digest).startswith(_CONSOLE_DIGEST)


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
            parent=login.parent,
            key=login.key,
        )
    )


def find(tx: Connection, digest: str) -> LoginSession | None:
    """A login by the digest of its uuid, expired or not."""
    row = tx.execute(_BY_DIGEST, {"digest": digest}).mappings().first()
    return None if row is None else _login(row)


def count(tx: Connection, principal: Principal, now: float) -> int:
    """How many logins a principal holds that have not expired, without those made for another."""
    own = (_L.c.account == principal.account, _L.c.principal == principal.id, _L.c.parent == "")
    return tx.execute(select(func.count()).where(*own, _L.c.expires > now)).scalar_one()


def move(tx: Connection, digest: str, expires: float) -> bool:
    """Set when a login expires; False when it has ended."""
    return bool(tx.execute(_EXPIRY, {"login": digest, "until": expires}).rowcount)


def remove(tx: Connection, digest: str) -> bool:
    """End a login and all that was made for it; False when there was none."""
    tx.execute(delete(_K).where(_K.c.login == digest))
    tx.execute(delete(_L).where(_L.c.parent == digest))
    return bool(tx.execute(delete(_L).where(_L.c.digest == digest)).rowcount)


def remove_of(tx: Connection, principal: Principal) -> int:
    """End all logins of a principal and all that was made for them; gives how many."""
    own = (_K.c.account == principal.account, _K.c.principal == principal.id)
    tx.execute(delete(_K).where(*own, _K.c.login != ""))
    own = (_L.c.account == principal.account, _L.c.principal == principal.id)
    return tx.execute(delete(_L).where(*own)).rowcount


def remove_consoles(tx: Connection, principal: Principal) -> int:
    """End a principal's sessions of the console and all that was made for them; gives how many."""
    own = (_L.c.account == principal.account, _L.c.principal == principal.id)
    sessions = select(_L.c.digest).where(*own, _L.c.digest.startswith(_CONSOLE_DIGEST))
    tx.execute(delete(_K).where(_K.c.login.in_(sessions)))
    tx.execute(delete(_L).where(_L.c.parent.in_(sessions)))
    return tx.execute(delete(_L).where(_L.c.digest.in_(sessions))).rowcount


def remove_by_key(tx: Connection, key: str) -> int:
    """End all logins that an access key (id) opened, and all that was made for them; gives how many."""
    opened = select(_L.c.digest).where(_L.c.key == key)
    tx.execute(delete(_K).where(_K.c.login.in_(opened)))
    return tx.execute(delete(_L).where(_L.c.key == key)).rowcount


def trim(tx: Connection, digest: str, most: int) -> None:
    """Of the keys and logins that were made for a login only the `most` latest go on."""
    made = select(_K.c.id).where(_K.c.login == digest)
    keys = list(tx.execute(made.order_by(_K.c.created.desc(), _K.c.id)).scalars())[most:]
    tx.execute(delete(_K).where(_K.c.id.in_(keys)))
    opened = select(_L.c.digest).where(_L.c.parent == digest)
    logins = list(tx.execute(opened.order_by(_L.c.created.desc(), _L.c.digest)).scalars())[most:]
    tx.execute(delete(_L).where(_L.c.digest.in_(logins)))


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
        parent=row["parent"],
        key=row["key"],
    )
