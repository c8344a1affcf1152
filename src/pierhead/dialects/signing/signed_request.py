"""A request as it stood on the wire, and what all signature schemes read from it."""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import unquote_to_bytes

from pierhead.dialects.signing.codes import SignError

ISO = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)Z", re.ASCII)
_RFC1123 = re.compile(
    r"[A-Z][a-z]{2}, (\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
NONCE_LIMIT = 256


@dataclass(frozen=True, slots=True)
class Options:
    """What an operator may choose about signatures."""

    window: float = 900.0  #: seconds that a request's date may be from ours, either way
    roa_enabled: bool = True
    roa_require_nonce: bool = False
    roa_require_md5: bool = False
    rpc_enabled: bool = True  #: HMAC-SHA1 over the parameters of a call in RPC style
    debug: bool = False  #: tell the string that we signed when a signature does not match
    #: Tell it in fields of its own: to the console's pages, which show where the two differ.
    explain: bool = False


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it stood on the wire; texts are its bytes read as Latin-1."""

    method: str
    raw_target: str  #: path and query, undecoded
    headers: tuple[tuple[str, str], ...]
    body: bytes
    _by_name: dict[str, list[str]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        by_name: dict[str, list[str]] = {}
        for name, value in self.headers:
            by_name.setdefault(name.lower(), []).append(value.strip())
        object.__setattr__(self, "_by_name", by_name)

    @property
    def names(self) -> Iterable[str]:
        """Names of all headers, lower-case, each once."""
        return self._by_name.keys()

    def values(self, name: str) -> list[str]:
        """All values of a header, trimmed."""
        return self._by_name.get(name, [])

    def one(self, name: str) -> str:
        """The value of a header that stands there at most once; "" when it is absent."""
        values = self._by_name.get(name)
        return values[0] if values else ""

    @property
    def raw_path(self) -> str:
        """The path, undecoded."""
        return self.raw_target.partition("?")[0]

    @property
    def pairs(self) -> list[tuple[bytes, bytes]]:
        """The query's pairs, decoded to bytes; nothing is dropped."""
        query = self.raw_target.partition("?")[2]
        return split_pairs(query)


def split_pairs(text: str) -> list[tuple[bytes, bytes]]:
    """The pairs of a query string or a form (its bytes read as Latin-1), decoded."""
    return [_pair(part) for part in text.split("&")] if text else []


def _pair(part: str) -> tuple[bytes, bytes]:
    name, _, value = part.replace("+", " ").partition("=")
    return unquote_to_bytes(name.encode("latin-1")), unquote_to_bytes(value.encode("latin-1"))


class Claim(Protocol):
    """A well-formed request that says which key signed it."""

    @property
    def key_id(self) -> str:
        """The access key's id."""
        ...

    @property
    def nonce(self) -> str | None:
        """What makes the request single-use; None when the client sends none."""
        ...

    @property
    def scheme(self) -> str:
        """V3, ROA or RPC."""
        ...

    def moment(self, request: SignedRequest) -> float:
        """When it was signed, epoch seconds."""
        ...

    def token(self, request: SignedRequest) -> str:
        """The security token of a temporary key; "" when there is none."""
        ...

    def check(self, request: SignedRequest, secret: str, options: Options) -> None:
        """Raise SignError unless body and signature are right."""
        ...


def nonce_of(request: SignedRequest) -> str:
    """The nonce; "" when there is none.

    Raises:
        SignError: it is longer than a nonce can be.
    """
    nonce = request.one("x-acs-signature-nonce")
    if len(nonce) > NONCE_LIMIT:
        raise SignError("IncompleteSignature", "The header x-acs-signature-nonce is too long.")
    return nonce


def check_body_md5(request: SignedRequest) -> None:
    """Raise unless Content-MD5, if there is one, is the MD5 of the body."""
    digest = request.one("content-md5")
    actual = hashlib.md5(request.body, usedforsecurity=False).digest()
    if digest and not same(digest, base64.b64encode(actual).decode()):
        raise SignError(
            "ContentMD5NotMatched",
            f"The header Content-MD5 is not the MD5 of the body that arrived "
            f"({len(request.body)} bytes).",
        )


def header_token(request: SignedRequest) -> str:
    """The security token, where the headers bring it."""
    return request.one("x-acs-security-token")


def check_body_hash(request: SignedRequest) -> None:
    """Raise unless x-acs-content-sha256 is the hash of the body."""
    if not same(request.one("x-acs-content-sha256"), hashlib.sha256(request.body).hexdigest()):
        raise mismatch(
            f"The header x-acs-content-sha256 is not the hash of the body that arrived "
            f"({len(request.body)} bytes)."
        )


def same(given: str, right: str) -> bool:
    """Equal, compared in constant time."""
    return hmac.compare_digest(given.encode(), right.encode())


def mismatch(hint: str, string: str = "") -> SignError:
    """The old SDK splits this message at its colon: the hint must hold none."""
    return SignError(
        "SignatureDoesNotMatch",
        "Specified signature is not matched with our calculation. "
        f"{hint.replace(':', ' ')} server string to sign is:{string}",
    )


def covered(signed: Iterable[str]) -> str:
    """What to look at when a signature does not match."""
    return (
        "Either the access key's secret is wrong, or something was changed after signing; the "
        f"signature covers method, path, query and {', '.join(sorted(signed))}."
    )


def iso(moment: float) -> str:
    """Epoch seconds as `2026-11-21T19:27:22Z`."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_iso(text: str) -> float:
    """Epoch seconds of `2026-11-21T19:27:22Z`; raises SignError for any other text."""
    shape = ISO.fullmatch(text)
    if shape is None:
        raise _bad_date(text, "2026-11-21T19:27:22Z")
    year, month, day, hour, minute, second = map(int, shape.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError as error:
        raise _bad_date(text, "2026-11-21T19:27:22Z") from error


def parse_rfc1123(text: str) -> float:
    """Epoch seconds of `Sat, 21 Nov 2026 19:27:22 GMT`; raises SignError for any other text."""
    shape = _RFC1123.fullmatch(text)
    if shape is None or shape[2] not in _MONTHS:
        raise _bad_date(text, "Sat, 21 Nov 2026 19:27:22 GMT")
    day, year, hour, minute, second = (int(shape[at]) for at in (1, 3, 4, 5, 6))
    month = _MONTHS.index(shape[2]) + 1
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()
    except ValueError as error:
        raise _bad_date(text, "Sat, 21 Nov 2026 19:27:22 GMT") from error


def _bad_date(text: str, example: str) -> SignError:
    return SignError(
        "InvalidTimeStamp.Format",
        f"The date [{text[:60]}] is not one; it should look like {example}.",
    )
