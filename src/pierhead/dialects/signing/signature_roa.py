"""ROA HMAC-SHA1, `acs AK:signature`: what older clients know; it covers no Host, and no body by itself."""

import base64
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from pierhead.dialects.signing.signed_request import (
    ISO,
    Claim,
    Options,
    SignedRequest,
    SignError,
    check_body_md5,
    covered,
    header_token,
    mismatch,
    nonce_of,
    parse_iso,
    parse_rfc1123,
    same,
)

ROA = "HMAC-SHA1"
_ROA_SHAPE = re.compile(r"acs\s+([^:\s]+):([A-Za-z0-9+/=]+)")
_ROA_LINES = ("accept", "content-md5", "content-type", "date")


def read_roa(request: SignedRequest, authorization: str, options: Options) -> Claim:
    shape = _ROA_SHAPE.fullmatch(authorization)
    if shape is None:
        raise SignError(
            "IncompleteSignature", "The header Authorization is not `acs AK:signature`."
        )
    for name in request.names:
        if name.startswith("x-acs-") and len(request.values(name)) > 1:
            raise SignError("IncompleteSignature", f"The header {name} is given more than once.")
    if not (request.one("date") or request.one("x-acs-date")):
        raise SignError("IncompleteSignature", "The header Date is missing.")
    nonce = nonce_of(request)
    _roa_rules(request, nonce, options)
    return _RoaClaim(shape[1], shape[2], nonce or None)


def _roa_rules(request: SignedRequest, nonce: str, options: Options) -> None:
    if not options.roa_enabled:
        raise SignError(
            "InvalidSignatureMethod", "HMAC-SHA1 is switched off here; use ACS3-HMAC-SHA256."
        )
    for name, legal in (("method", ROA), ("version", "1.0")):
        given = request.one(f"x-acs-signature-{name}")
        if given and given.upper() != legal:
            raise SignError(
                "InvalidSignatureMethod",
                f"The header x-acs-signature-{name} is [{given[:40]}]; legal is {legal}.",
            )
    if options.roa_require_nonce and not nonce:
        raise SignError("IncompleteSignature", "The header x-acs-signature-nonce is missing.")
    if options.roa_require_md5 and request.body and not request.one("content-md5"):
        raise SignError("IncompleteSignature", "The header Content-MD5 is missing.")


@dataclass(frozen=True, slots=True)
class _RoaClaim:
    key_id: str
    signature: str
    nonce: str | None
    scheme: str = ROA

    def moment(self, request: SignedRequest) -> float:
        date = request.one("date")
        if date:
            return parse_rfc1123(date)
        date = request.one("x-acs-date")
        return parse_iso(date) if ISO.fullmatch(date) else parse_rfc1123(date)

    def token(self, request: SignedRequest) -> str:
        return header_token(request)

    def check(self, request: SignedRequest, secret: str, options: Options) -> None:
        check_body_md5(request)
        strings = _roa_strings(request)
        if not any(same(self.signature, _roa_signature(secret, text)) for text in strings):
            told = strings[0].decode("utf-8", "replace") if options.debug else ""
            signed = [name for name in _ROA_LINES if request.one(name)]
            signed += [name for name in request.names if name.startswith("x-acs-")]
            raise mismatch(covered(signed), told)


def _roa_strings(request: SignedRequest) -> list[bytes]:
    """The strings a client may have signed: {raw, decoded path} x {`k`, `k=` for an empty value}."""
    lines = [request.method, *(request.one(name) for name in _ROA_LINES)]
    custom = sorted(name for name in request.names if name.startswith("x-acs-"))
    lines += [f"{name}:{request.one(name)}" for name in custom]
    head = "".join(f"{line}\n" for line in lines).encode()
    raw = request.raw_path.encode("latin-1")
    pairs = sorted(request.pairs, key=lambda pair: pair[0])
    queries = [_roa_query(pairs, b"="), _roa_query(pairs, b"")]
    strings = [head + path + query for path in (raw, unquote_to_bytes(raw)) for query in queries]
    return list(dict.fromkeys(strings))


def _roa_query(pairs: Sequence[tuple[bytes, bytes]], empty: bytes) -> bytes:
    if not pairs:
        return b""
    return b"?" + b"&".join(name + (b"=" + value if value else empty) for name, value in pairs)


def _roa_signature(secret: str, string: bytes) -> str:
    return base64.b64encode(hmac.digest(secret.encode(), string, "sha1")).decode()
