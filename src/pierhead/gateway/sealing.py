"""What a gateway keeps on disk is encrypted: it holds the tokens of all services and their engines' keys.

The key is made of the one that gateway and hub share, so a file opens for the same data folder only.
"""

import hashlib

from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

_MARK = b"pierhead sealed 1\n"
_PURPOSE = b"gateway's files"  # 16 bytes at most


class Seal:
    """Encrypts and decrypts whole files by XSalsa20-Poly1305."""

    def __init__(self, internal_key: str) -> None:
        secret = internal_key.encode()
        key = hashlib.blake2b(b"pierhead", key=secret[:64], digest_size=32, person=_PURPOSE)
        key.update(secret[64:])
        self._box = SecretBox(key.digest())

    def close(self, content: bytes) -> bytes:
        """`content`, encrypted; each time differently."""
        return _MARK + bytes(self._box.encrypt(content))

    def open(self, sealed: bytes) -> bytes:
        """What was closed.

        Raises:
            ValueError: it was closed with another key, or changed since.
        """
        try:
            return self._box.decrypt(sealed[len(_MARK) :])
        except CryptoError as error:
            raise ValueError("it was sealed with another key, or was changed") from error


def is_sealed(content: bytes) -> bool:
    """Did `Seal` make it? What is not sealed is of a release that kept plain text."""
    return content.startswith(_MARK)
