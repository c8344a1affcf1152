"""Access keys, bearer tokens and the nonces that were used."""

import hashlib

from sqlalchemy import Connection, RowMapping, bindparam, delete, insert, select
from sqlalchemy.exc import IntegrityError

from pierhead.core.principals import AccessKey, BearerToken, Principal
from pierhead.store import tables

_K, _B, _N = tables.access_keys, tables.bearer_tokens, tables.nonces
# Made once: these two run for every request.
_KEY_BY_ID = select(_K).where(_K.c.id == bindparam("id"))
_NEW_NONCE = insert(_N)


def put(tx: Connection, key: AccessKey) -> None:
    """Store an access key, in place of one with the same id."""
    tx.execute(delete(_K).where(_K.c.id == key.id))
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
        )
    )


def find(tx: Connection, key: str) -> AccessKey | None:
    """An access key by its id, whether or not it is active or expired."""
    row = tx.execute(_KEY_BY_ID, {"id": key}).mappings().first()
    if row is None:
        return None
    return AccessKey(
        id=row["id"],
        secret=row["secret"],
        principal=_principal(row),
        active=row["active"],
        session_token=row["session_token"],
        expires=row["expires"],
        created=row["created"],
    )


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


def _principal(row: RowMapping) -> Principal:
    return Principal(account=row["account"], id=row["principal"], kind=row["kind"])
