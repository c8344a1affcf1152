"""Access keys, bearer tokens and the nonces that were used.

A key's secret and session token are sealed before they are stored and opened when a signature needs
them (`find`); whoever lists or changes keys sees records without secrets. A database of an older
release holds them in plain until the first start seals them, so reading copes with both.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from sqlalchemy import (
    Connection,
    RowMapping,
    Select,
    and_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError

from pierhead.core.connections import Keys
from pierhead.core.errors import Taken, Unavailable
from pierhead.core.ids import fixed_id
from pierhead.core.principals import ROLE, AccessKey, BearerToken, Principal
from pierhead.store import facts, tables
from pierhead.store.identity_tables import users as _U

_K, _B, _N = tables.access_keys, tables.bearer_tokens, tables.nonces


class Box(Protocol):
    """Seals texts under a name and opens them again; what key it takes is not the store's business."""

    def seal(self, name: str, keys: Keys) -> bytes:
        """The texts, encrypted."""
        ...

    def open(self, name: str, sealed: bytes) -> Keys:
        """The texts that were sealed under this name."""
        ...


def _with_names() -> Select[Any]:
    """Keys with the present names of their users."""
    of_user = and_(_K.c.kind == "user", _U.c.id == _K.c.principal)
    return select(_K, _U.c.name.label("user_name")).select_from(_K.outerjoin(_U, of_user))


# Made once: these two run for every request.
_KEY_BY_ID = _with_names().where(_K.c.id == bindparam("id"))
_NEW_NONCE = insert(_N)
#: The fact that names the key pair of the credentials file.
_FILED = "credentials_key"


def put(tx: Connection, box: Box, key: AccessKey) -> None:
    """Store an access key, in place of one with the same id."""
    tx.execute(delete(_K).where(_K.c.id == key.id))
    _insert(tx, box, key)


def put_filed(tx: Connection, box: Box, key: AccessKey, now: float) -> None:
    """Store the credentials file's pair; what is known of it besides the pair itself stays."""
    facts.put(tx, _FILED, key.id)
    known = record(tx, key.id)
    if known is None:
        put(tx, box, replace(key, created=now, updated=now))
        return
    since = known.created or now  # of a pair that an older release put, nobody knows
    put(tx, box, replace(known, secret=key.secret, principal=key.principal, created=since))


def filed(tx: Connection) -> str:
    """Id of the credentials file's pair; "" before the first start."""
    return facts.get(tx, _FILED) or ""


def add(tx: Connection, box: Box, key: AccessKey) -> None:
    """Store a new access key.

    Raises:
        Taken: there is one with its id, or with its uuid.
    """
    if record(tx, key.id) is not None:
        raise Taken("AccessKeyVO", key.id, "exists already: choose another AccessKeyID")
    if load(tx, uuid_of(key)) is not None:
        raise Taken("AccessKeyVO", uuid_of(key), "exists already: its uuid is used")
    try:
        _insert(tx, box, key)
    except IntegrityError as error:  # another hub was first
        raise Taken("AccessKeyVO", key.id, "exists already, or its uuid does") from error


def find(tx: Connection, box: Box, key: str) -> AccessKey | None:
    """An access key by its id, with its secrets, whether or not it is active or expired."""
    row = tx.execute(_KEY_BY_ID, {"id": key}).mappings().first()
    if row is None:
        return None
    if row["sealed"] is None:  # of an older release, and not sealed yet
        secrets = Keys(row["secret"], row["session_token"])
    else:
        secrets = box.open(_sealed_as(key), row["sealed"])
    return replace(_key(row), secret=secrets.secret, session_token=secrets.token)


def record(tx: Connection, key: str) -> AccessKey | None:
    """An access key by its id, without its secrets."""
    row = tx.execute(_KEY_BY_ID, {"id": key}).mappings().first()
    return None if row is None else _key(row)


def load(tx: Connection, uuid: str) -> AccessKey | None:
    """An access key by its uuid, without its secrets."""
    row = tx.execute(_with_names().where(_K.c.uuid == uuid)).mappings().first()
    return None if row is None else _key(row)


def permanent(tx: Connection) -> list[AccessKey]:
    """All keys but the temporary ones, oldest first, without their secrets."""
    return _records(tx, _with_names().where(_K.c.expires.is_(None)))


def of_principal(tx: Connection, principal: Principal) -> list[AccessKey]:
    """The permanent keys of an account or user, oldest first, without their secrets."""
    own = and_(_K.c.account == principal.account, _K.c.principal == principal.id)
    return _records(tx, _with_names().where(own, _K.c.expires.is_(None)))


def switch(tx: Connection, uuid: str, active: bool, now: float) -> bool:
    """Turn a key on or off; False when there is none."""
    changed = update(_K).where(_K.c.uuid == uuid).values(active=active, updated=now)
    return bool(tx.execute(changed).rowcount)


def used(tx: Connection, times: Mapping[str, float]) -> None:
    """Note when keys (by id) were used last; a time that is known to be later stays."""
    wanted = (
        update(_K)
        .where(
            _K.c.id == bindparam("key"),
            or_(_K.c.last_used.is_(None), _K.c.last_used < bindparam("at")),
        )
        .values(last_used=bindparam("at"))
    )
    if times:
        tx.execute(wanted, [{"key": key, "at": at} for key, at in times.items()])


def remove(tx: Connection, uuid: str) -> bool:
    """Forget a key for good; False when there was none."""
    return bool(tx.execute(delete(_K).where(_K.c.uuid == uuid)).rowcount)


def remove_sessions(tx: Connection, role: str) -> list[str]:
    """Forget all temporary keys of a role (id); gives their ids."""
    own = and_(_K.c.kind == ROLE, _K.c.principal.startswith(f"{role}:", autoescape=True))
    ids = list(tx.execute(select(_K.c.id).where(own)).scalars())
    tx.execute(delete(_K).where(own))
    return ids


def plain(tx: Connection) -> int:
    """How many keys of an older release are not sealed."""
    wanted = select(func.count()).select_from(_K).where(_K.c.sealed.is_(None))
    return tx.execute(wanted).scalar_one()


def seal_plain(tx: Connection, box: Box) -> int:
    """Seal what an older release stored in plain; gives how many keys."""
    wanted = select(_K.c.id, _K.c.secret, _K.c.session_token).where(_K.c.sealed.is_(None))
    rows = tx.execute(wanted).all()
    for id_, secret, token in rows:
        sealed = box.seal(_sealed_as(id_), Keys(secret, token))
        values = {"sealed": sealed, "secret": "", "session_token": ""}
        tx.execute(update(_K).where(_K.c.id == id_).values(**values))
    return len(rows)


def forget_unreadable(tx: Connection, box: Box) -> int:
    """Remove the keys whose secret is missing or cannot be opened; gives how many."""
    gone = [
        id_
        for id_, sealed in tx.execute(select(_K.c.id, _K.c.sealed))
        if not _opens(box, id_, sealed)
    ]
    for id_ in gone:
        tx.execute(delete(_K).where(_K.c.id == id_))
    return len(gone)


def _opens(box: Box, id_: str, sealed: bytes | None) -> bool:
    try:
        return sealed is not None and bool(box.open(_sealed_as(id_), sealed).secret)
    except Unavailable:
        return False


def uuid_of(key: AccessKey) -> str:
    """The key's uuid; one that came without has one that follows from its id."""
    return key.uuid or fixed_id("access-key", key.id)


def _insert(tx: Connection, box: Box, key: AccessKey) -> None:
    role = key.principal.kind == ROLE
    tx.execute(
        insert(_K).values(
            id=key.id,
            secret="",  # where older releases had them
            session_token="",
            sealed=box.seal(_sealed_as(key.id), Keys(key.secret, key.session_token)),
            account=key.principal.account,
            principal=key.principal.id,
            kind=key.principal.kind,
            # A user is named by its present name, a role's session by what it was opened as.
            session=key.principal.name if role else "",
            session_policy=key.principal.session_policy,
            active=key.active,
            expires=key.expires,
            created=key.created,
            uuid=uuid_of(key),
            description=key.description,
            updated=key.updated or key.created,
            last_used=key.last_used,
            login=key.login,
        )
    )


def _sealed_as(key: str) -> str:
    return f"access key:{key}"


def put_bearer(tx: Connection, token: BearerToken) -> None:
    """Store a bearer token's digest."""
    principal = token.principal
    tx.execute(delete(_B).where(_B.c.digest == token.digest))
    tx.execute(
        insert(_B).values(
            digest=token.digest,
            account=principal.account,
            principal=principal.id,
            kind=principal.kind,
            expires=token.expires,
        )
    )


def find_bearer(tx: Connection, digest: str) -> BearerToken | None:
    """A bearer token by the SHA-256 of its text."""
    of_user = and_(_B.c.kind == "user", _U.c.id == _B.c.principal)
    wanted = select(_B, _U.c.name.label("user_name")).select_from(_B.outerjoin(_U, of_user))
    row = tx.execute(wanted.where(_B.c.digest == digest)).mappings().first()
    return (
        None
        if row is None
        else BearerToken(digest=row["digest"], principal=_principal(row), expires=row["expires"])
    )


def use_nonce(tx: Connection, key: str, nonce: str, expires: float) -> bool:
    """Mark a nonce as used; False if it was used already."""
    try:
        tx.execute(_NEW_NONCE, {"key": key, "nonce": _digest(nonce), "expires": expires})
    except IntegrityError:
        return False
    return True


def nonce_used(tx: Connection, key: str, nonce: str) -> bool:
    """Was it used already?"""
    wanted = select(_N.c.key).where(_N.c.key == key, _N.c.nonce == _digest(nonce))
    return tx.execute(wanted).first() is not None


def _digest(nonce: str) -> str:
    """A digest, because clients choose a nonce's length and the column has one."""
    return hashlib.sha256(nonce.encode(errors="surrogateescape")).hexdigest()


def prune(tx: Connection, now: float) -> None:
    """Forget nonces and temporary credentials whose time is over."""
    tx.execute(delete(_N).where(_N.c.expires < now))
    tx.execute(delete(_K).where(_K.c.expires < now - 86400))
    tx.execute(delete(_B).where(_B.c.expires < now - 86400))


def _records(tx: Connection, wanted: Select[Any]) -> list[AccessKey]:
    rows = tx.execute(wanted.order_by(_K.c.created, _K.c.uuid)).mappings()
    return [_key(row) for row in rows]


def _key(row: RowMapping) -> AccessKey:
    principal = _principal(row)
    if principal.kind == ROLE:
        principal = replace(principal, name=row["session"], session_policy=row["session_policy"])
    return AccessKey(
        id=row["id"],
        secret="",
        principal=principal,
        active=row["active"],
        expires=row["expires"],
        created=row["created"],
        uuid=row["uuid"],
        description=row["description"],
        updated=row["updated"],
        last_used=row["last_used"],
        login=row["login"],
    )


def _principal(row: RowMapping) -> Principal:
    return Principal(
        account=row["account"],
        id=row["principal"],
        kind=row["kind"],
        name=row["user_name"] or "",
    )
