"""Access keys, bearer tokens and the nonces that were used."""

import hashlib
from dataclasses import replace

from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from pierhead.core.errors import Taken
from pierhead.core.ids import fixed_id
from pierhead.core.principals import AccessKey, BearerToken, Principal
from pierhead.store import facts, tables

_K, _B, _N = tables.access_keys, tables.bearer_tokens, tables.nonces
# Made once: these two run for every request.
_KEY_BY_ID = select(_K).where(_K.c.id == bindparam("id"))
_NEW_NONCE = insert(_N)
#: The fact that names the key pair of the credentials file.
_FILED = "credentials_key"


def put(tx: Connection, key: AccessKey) -> None:
    """Store an access key, in place of one with the same id."""
    tx.execute(delete(_K).where(_K.c.id == key.id))
    _insert(tx, key)


def put_filed(tx: Connection, key: AccessKey, now: float) -> None:
    """Store the credentials file's pair; what is known of it besides the pair itself stays."""
    facts.put(tx, _FILED, key.id)
    known = find(tx, key.id)
    if known is None:
        put(tx, replace(key, created=now, updated=now))
        return
    since = known.created or now  # of a pair that an older release put, nobody knows
    put(tx, replace(known, secret=key.secret, principal=key.principal, created=since))


def filed(tx: Connection) -> str:
    """Id of the credentials file's pair; "" before the first start."""
    return facts.get(tx, _FILED) or ""


def add(tx: Connection, key: AccessKey) -> None:
    """Store a new access key.

    Raises:
        Taken: there is one with its id, or with its uuid.
    """
    if find(tx, key.id) is not None:
        raise Taken("AccessKeyVO", key.id, "exists already: choose another AccessKeyID")
    if load(tx, uuid_of(key)) is not None:
        raise Taken("AccessKeyVO", uuid_of(key), "exists already: its uuid is used")
    _insert(tx, key)


def load(tx: Connection, uuid: str) -> AccessKey | None:
    """An access key by its uuid."""
    row = tx.execute(select(_K).where(_K.c.uuid == uuid)).mappings().first()
    return None if row is None else _key(row)


def permanent(tx: Connection) -> list[AccessKey]:
    """All keys but the temporary ones, oldest first."""
    wanted = select(_K).where(_K.c.expires.is_(None), _K.c.session_token == "")
    rows = tx.execute(wanted.order_by(_K.c.created, _K.c.uuid)).mappings()
    return [_key(row) for row in rows]


def switch(tx: Connection, uuid: str, active: bool, now: float) -> bool:
    """Turn a key on or off; False when there is none."""
    changed = update(_K).where(_K.c.uuid == uuid).values(active=active, updated=now)
    return bool(tx.execute(changed).rowcount)


def remove(tx: Connection, uuid: str) -> bool:
    """Forget a key for good; False when there was none."""
    return bool(tx.execute(delete(_K).where(_K.c.uuid == uuid)).rowcount)


def uuid_of(key: AccessKey) -> str:
    """The key's uuid; one that came without has one that follows from its id."""
    return key.uuid or fixed_id("access-key", key.id)


def _insert(tx: Connection, key: AccessKey) -> None:
    tx.execute(
        insert(_K).values(
            id=key.id,
            secret=key.secret,
            account=key.principal.account,
            principal=key.principal.id,
            kind=key.principal.kind,
            active=key.active,
            session_token=key.session_token,
            expires=key.expires,
            created=key.created,
            uuid=uuid_of(key),
            description=key.description,
            updated=key.updated or key.created,
        )
    )


def find(tx: Connection, key: str) -> AccessKey | None:
    """An access key by its id, whether or not it is active or expired."""
    row = tx.execute(_KEY_BY_ID, {"id": key}).mappings().first()
    return None if row is None else _key(row)


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
    row = tx.execute(select(_B).where(_B.c.digest == digest)).mappings().first()
    return (
        None
        if row is None
        else BearerToken(digest=row["digest"], principal=_principal(row), expires=row["expires"])
    )


def use_nonce(tx: Connection, key: str, nonce: str, expires: float) -> bool:
    """Mark a nonce as used; False if it was used already."""
    # A digest, because clients choose the length and the column has one.
    digest = hashlib.sha256(nonce.encode(errors="surrogateescape")).hexdigest()
    try:
        tx.execute(_NEW_NONCE, {"key": key, "nonce": digest, "expires": expires})
    except IntegrityError:
        return False
    return True


def prune(tx: Connection, now: float) -> None:
    """Forget nonces and temporary credentials whose time is over."""
    tx.execute(delete(_N).where(_N.c.expires < now))
    tx.execute(delete(_K).where(_K.c.expires < now - 86400))
    tx.execute(delete(_B).where(_B.c.expires < now - 86400))


def _key(row: RowMapping) -> AccessKey:
    return AccessKey(
        id=row["id"],
        secret=row["secret"],
        principal=_principal(row),
        active=row["active"],
        session_token=row["session_token"],
        expires=row["expires"],
        created=row["created"],
        uuid=row["uuid"],
        description=row["description"],
        updated=row["updated"],
    )


def _principal(row: RowMapping) -> Principal:
    return Principal(account=row["account"], id=row["principal"], kind=row["kind"])
