"""One-time tickets into the console: who has an access key makes one, without asking the hub.

A ticket names the key, when it ends and a nonce, and is signed with the key's secret, which it does
not hold: `<key id>.<epoch seconds>.<nonce>.<HMAC-SHA256>`, the last two in hex. The hub burns the
nonce, so whoever finds a ticket afterwards, in a browser's history for instance, has nothing.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field

from pierhead.core.ids import Entropy

#: Seconds from the making of a ticket to its end.
LIFE = 300.0
#: Longest text of one.
LONGEST = 512
_SHAPE = re.compile(r"([A-Za-z0-9._-]{1,128})\.([0-9]{1,12})\.([0-9a-f]{32})\.([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a ticket says; `proves` tells whether it is true."""

    key: str  #: id of the access key
    expires: float  #: epoch seconds
    nonce: str
    signature: str = field(repr=False)

    def proves(self, secret: str) -> bool:
        """Was it made with this secret?"""
        right = _signature(self.key, int(self.expires), self.nonce, secret)
        return hmac.compare_digest(self.signature, right)


def make(key: str, secret: str, now: float, entropy: Entropy) -> str:
    """A ticket of an access key that lasts for `LIFE` seconds from now (epoch seconds)."""
    expires, nonce = int(now + LIFE), entropy(16).hex()
    return f"{key}.{expires}.{nonce}.{_signature(key, expires, nonce, secret)}"


def read(text: str) -> Ticket | None:
    """What a text says, if it is a ticket at all."""
    shape = _SHAPE.fullmatch(text) if len(text) <= LONGEST else None
    return Ticket(shape[1], float(shape[2]), shape[3], shape[4]) if shape else None


def _signature(key: str, expires: int, nonce: str, secret: str) -> str:
    said = f"pierhead console ticket\n{key}\n{expires}\n{nonce}"
    return hmac.new(secret.encode(), said.encode(), hashlib.sha256).hexdigest()
