"""Use cases of who asks: find keys and tokens, burn nonces, allow or forbid."""

import hashlib

from pierhead.core.errors import Forbidden
from pierhead.core.principals import AccessKey, BearerToken, Principal
from pierhead.operations.platform import Platform
from pierhead.store import keys


async def access_key(platform: Platform, key: str) -> AccessKey | None:
    """An access key by its id, active or not."""
    return await platform.db.read(keys.find, key)


async def bearer(platform: Platform, token: str) -> BearerToken | None:
    """A bearer token by its text."""
    return await platform.db.read(keys.find_bearer, hashlib.sha256(token.encode()).hexdigest())


async def use_nonce(platform: Platform, key: str, nonce: str, expires: float) -> bool:
    """Burn a nonce; False when it was used before."""
    return await platform.db.write(keys.use_nonce, key, nonce, expires)


async def authorize(
    platform: Platform, principal: Principal, action: str, resources: tuple[str, ...]
) -> None:
    """Allow what the account itself asks for; there are no other grants yet, so nothing else is.

    Raises:
        Forbidden: the principal belongs to another account.
    """
    if principal.account != platform.account:
        raise Forbidden(action, resources[0] if resources else "*")
