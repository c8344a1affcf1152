"""Identifiers. Chance comes in as bytes, so that tests can name what they get."""

import base64
import hashlib
import uuid
from collections.abc import Callable

#: `Entropy(n)` gives n random bytes; bootstrap passes `secrets.token_bytes`.
Entropy = Callable[[int], bytes]
#: Epoch seconds, UTC; bootstrap passes the wall clock.
Clock = Callable[[], float]

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_LETTERS = ALPHABET + ALPHABET[:26].upper()


def object_id(entropy: Entropy) -> str:
    """32 lower-case hex digits: the id of a service, template, model."""
    return entropy(16).hex()


def registry_id(entropy: Entropy) -> str:
    """32 lower-case hex digits of a random UUID, version 4: what a registered object is called."""
    raw = bytearray(entropy(16))
    raw[6] = raw[6] & 0x0F | 0x40
    raw[8] = raw[8] & 0x3F | 0x80
    return raw.hex()


def fixed_id(kind: str, name: str) -> str:
    """The id of something that every installation has, the same wherever it has this name."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"pierhead:{kind}:{name}").hex


def short_id(entropy: Entropy, length: int = 8) -> str:
    """Lower-case letters and digits: the tail of a replica's name."""
    return "".join(ALPHABET[byte % len(ALPHABET)] for byte in entropy(length))


def digits_id(entropy: Entropy, first: int) -> str:
    """18 digits, of which the first is given (1 to 9): the id of a user, group or role."""
    return f"{first}{int.from_bytes(entropy(16)) % 10**17:017}"


def letters(entropy: Entropy, length: int) -> str:
    """Letters of both cases and digits: what access keys are made of."""
    return "".join(_LETTERS[byte % len(_LETTERS)] for byte in entropy(length))


def access_token(entropy: Entropy) -> str:
    """A service's token: base64 of 40 hex characters, 56 characters (the vendor's documented shape)."""
    return base64.b64encode(entropy(20).hex().encode()).decode()


def engine_key(secret: bytes, replica: str) -> str:
    """The key between gateway and one replica's engine: derived, so it is stored nowhere."""
    return hashlib.blake2b(replica.encode(), key=secret[:64], digest_size=24).hexdigest()
