"""Who may call a service: the three forms of `Authorization` that EAS clients send."""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from pierhead.core.routes import RouteToken

DEFAULT_TYPE: Final = b"application/octet-stream"


@dataclass(frozen=True, slots=True)
class Lock:
    """One token, as it is compared: by its digest, so that its length does not show either."""

    secret: bytes
    digest: bytes
    token: RouteToken

    def fits_at(self, now: float) -> bool:
        """Whether it opens anything at this moment, in epoch seconds."""
        return self.token.until is None or now < self.token.until


def lock(token: RouteToken) -> Lock:
    """The lock that `token` opens."""
    secret = token.secret.encode()
    return Lock(secret, hashlib.sha256(secret).digest(), token)


class Credential(Protocol):
    """What the client showed."""

    def opens(self, locks: Sequence[Lock], now: float) -> RouteToken | None:
        """The first token that it belongs to; always compares with each, in constant time.

        `now`: epoch seconds, by which tokens end.
        """
        ...

    def fits(self, body: bytes) -> bool:
        """Whether it was made for this body."""
        ...


@dataclass(frozen=True, slots=True)
class Plain:
    """The token itself, bare or after `Bearer`: SHA-256 of each reading of the header."""

    digests: tuple[bytes, ...]

    def opens(self, locks: Sequence[Lock], now: float) -> RouteToken | None:
        found: RouteToken | None = None
        for one in locks:
            for digest in self.digests:
                if hmac.compare_digest(one.digest, digest) and found is None and one.fits_at(now):
                    found = one.token
        return found

    def fits(self, body: bytes) -> bool:
        del body
        return True


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature of `eas-prediction`. Its Date is local time labelled GMT: no clock is asked."""

    signature: bytes
    signed: bytes
    content_md5: str

    def opens(self, locks: Sequence[Lock], now: float) -> RouteToken | None:
        found: RouteToken | None = None
        for one in locks:
            made = hmac.new(one.secret, self.signed, hashlib.sha1).digest()
            if hmac.compare_digest(made, self.signature) and found is None and one.fits_at(now):
                found = one.token
        return found

    def fits(self, body: bytes) -> bool:
        """The header holds hex here; on the control plane it is base64."""
        made = hashlib.md5(body, usedforsecurity=False).hexdigest()
        return hmac.compare_digest(made.encode(), self.content_md5.lower().encode())


def credential(method: str, path: bytes, headers: Mapping[bytes, bytes]) -> Credential | None:
    """What the request shows; None without a usable `Authorization`.

    `path` is the raw one without the query; `headers` have lower-case names.
    """
    value = headers.get(b"authorization", b"").decode("latin-1").strip()
    scheme, _, rest = value.partition(" ")
    if scheme.lower() == "eas" and rest:
        return _signed(method, path, headers, rest.strip())
    readings = [value, rest.strip()] if scheme.lower() == "bearer" else [value]
    digests = tuple(hashlib.sha256(text.encode()).digest() for text in readings if text)
    return Plain(digests) if digests else None


def bare(token: bytes) -> Plain | None:
    """A token that is all of a header's value; None if that is empty."""
    text = token.strip()
    return Plain((hashlib.sha256(text).digest(),)) if text else None


def _signed(method: str, path: bytes, headers: Mapping[bytes, bytes], text: str) -> Signed | None:
    try:
        signature = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    content_md5 = headers.get(b"content-md5", b"")
    content_type = headers.get(b"content-type", DEFAULT_TYPE)
    parts = (method.encode(), content_md5, content_type, headers.get(b"date", b""), path)
    return Signed(signature, b"\n".join(parts), content_md5.decode("latin-1"))
