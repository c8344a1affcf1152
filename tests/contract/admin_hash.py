"""The account's password on a stage, as after a hub's first start."""

from pierhead.operations.accounts import Hashing, put_admin
from pierhead.operations.platform import Platform

_MADE: dict[str, str] = {}


class _Remembering(Hashing):
    """Makes the hash of a text once: it takes 40 ms of a core, and a thousand stages have the same."""

    async def make(self, text: str) -> str:
        if text not in _MADE:
            _MADE[text] = await super().make(text)
        return _MADE[text]


async def put_known_admin(platform: Platform, password: str) -> None:
    """`admin` has this password; what it is checked with later is the real thing."""
    hashing = _Remembering()
    try:
        await put_admin(platform, hashing, "admin", password)
    finally:
        hashing.close()
