"""Secrets at rest: encrypted with a key that lies in a file beside the database, not in it.

XSalsa20-Poly1305 by libsodium: who has only the database, or a copy of it, has no secret, and a
secret that was changed, or put under another name, does not open.
"""

import json
from base64 import b64decode, b64encode
from hashlib import blake2b

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox as Sealer

from pierhead.core.connections import Keys
from pierhead.core.errors import Unavailable


class SecretBox:
    """Seals secrets under the name of what they belong to, and opens them again.

    A name is `<kind>:<name>`; a storage connection's stands alone, and none of them has a colon.
    """

    def __init__(self, key: bytes) -> None:
        """`key`: 32 secret bytes."""
        self._sealer = Sealer(key)
        self._nonces = blake2b(key, person=b"pierhead nonces").digest()

    def seal(self, name: str, keys: Keys) -> bytes:
        """The secret and the token, encrypted; each time differently."""
        plain = {"name": name, "secret": keys.secret, "token": keys.token}
        return bytes(self._sealer.encrypt(json.dumps(plain).encode()))

    def open(self, name: str, sealed: bytes) -> Keys:
        """What was sealed under `name`.

        Raises:
            Unavailable: it was sealed with another key or name, or was changed since.
        """
        try:
            plain: dict[str, str] = json.loads(self._sealer.decrypt(sealed))
        except (CryptoError, ValueError) as error:
            raise _unreadable(name) from error
        if plain["name"] != name:
            raise _unreadable(name)
        return Keys(plain["secret"], plain["token"])

    def seal_text(self, name: str, text: str) -> str:
        """`text`, encrypted, as text: the same each time, so that what did not change is not rewritten."""
        plain = json.dumps([name, text]).encode()
        # A nonce that follows from what it is used for never comes twice for different texts.
        nonce = blake2b(plain, digest_size=Sealer.NONCE_SIZE, key=self._nonces).digest()
        return b64encode(self._sealer.encrypt(plain, nonce)).decode()

    def open_text(self, name: str, sealed: str) -> str:
        """The text that was sealed under `name`.

        Raises:
            Unavailable: it was sealed with another key or name, or was changed since.
        """
        try:
            found: list[str] = json.loads(self._sealer.decrypt(b64decode(sealed, validate=True)))
        except (CryptoError, ValueError) as error:
            raise _unreadable(name) from error
        if found[0] != name:
            raise _unreadable(name)
        return found[1]


def _unreadable(name: str) -> Unavailable:
    kind, _, plain = name.rpartition(":")
    what = kind or "storage connection"
    return Unavailable(
        f"The secret of the {what} [{plain}]",
        "it was encrypted with another key than that of this data folder (run/storage.key): "
        f"restore that file, or remove the {what} and add it again.",
    )
