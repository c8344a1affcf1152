"""Use cases of who asks: find keys and tokens. What they may is `permission.py`'s."""

import hashlib

from pierhead.core.principals import AccessKey, BearerToken
from pierhead.operations.platform import Platform
from pierhead.store import keys


async def access_key(platform: Platform, key: str) -> AccessKey | None:
    """An access key by its id with its secret, active or not.

    Raises:
        Unavailable: the database does not answer, or the secret was encrypted with another key.
    """
    return await platform.db.read(keys.find, platform.box, key)


async def bearer(platform: Platform, token: str) -> BearerToken | None:
    """A bearer token by its text."""
    return await platform.db.read(keys.find_bearer, hashlib.sha256(token.encode()).hexdigest())
