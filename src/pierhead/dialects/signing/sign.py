"""Who signed a request, and is it the one that was signed? Pure: request, key, clock in; verdict out.

Three schemes: V3 (`ACS3-HMAC-SHA256`) covers target, headers and body; ROA (`acs AK:signature`,
HMAC-SHA1) and RPC (HMAC-SHA1 over the parameters) are what older clients know. All are computed from
the raw request-target, header list and body, never from what another reader made of them. Order of
the checks: syntax, method, key, date, security token, body, signature; the nonce is the caller's,
after all of these.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from pierhead.core.principals import AccessKey
from pierhead.dialects.signing.codes import SignError
from pierhead.dialects.signing.signature_roa import ROA, read_roa
from pierhead.dialects.signing.signature_rpc import RPC, parameters, read_rpc, sign_rpc
from pierhead.dialects.signing.signature_v3 import V3, encode, read_v3, sign_v3
from pierhead.dialects.signing.signed_request import (
    Claim,
    Options,
    SignedRequest,
    check_body_hash,
    iso,
    parse_iso,
    same,
)

__all__ = [
    "ROA",
    "RPC",
    "V3",
    "Claim",
    "Options",
    "SignError",
    "SignedRequest",
    "Verified",
    "bearer",
    "check_bearer",
    "encode",
    "judge",
    "parameters",
    "read",
    "read_rpc_style",
    "sign_rpc",
    "sign_v3",
    "verify",
]

_TOKEN_SHAPE = re.compile(r"[A-Za-z0-9+/=_.~-]{1,4096}")
#: Headers that mean one thing each: given twice, they could be read in two ways.
_SINGLE = (
    "authorization",
    "host",
    "date",
    "content-type",
    "content-md5",
    "x-acs-action",
    "x-acs-version",
    "x-acs-date",
    "x-acs-signature-nonce",
    "x-acs-content-sha256",
    "x-acs-security-token",
    "x-acs-accesskey-id",
    "x-acs-signature-method",
    "x-acs-signature-version",
    "x-acs-signature-type",
    "x-acs-bearer-token",
)


@dataclass(frozen=True, slots=True)
class Verified:
    """A request whose signature is right. Its nonce has still to be burnt."""

    key: AccessKey
    nonce: str | None
    scheme: str


def verify(
    request: SignedRequest,
    lookup: Callable[[str], AccessKey | None],
    now: float,
    options: Options,
) -> Verified:
    """Who signed the request.

    Raises:
        SignError: nobody whom we know, or not this request, or not now.
    """
    claim = read(request, options)
    return judge(request, claim, lookup(claim.key_id), now, options)


def read(request: SignedRequest, options: Options) -> Claim:
    """The claim that the headers make: the first half of `verify`, before the key is looked up.

    Raises:
        SignError: header malformed, missing, doubled or unsigned; or a scheme that is not spoken.
    """
    _single(request)
    authorization = request.one("authorization")
    if not request.values("host"):
        raise SignError("IncompleteSignature", "The header Host is missing.")
    scheme = authorization.split(None, 1)[0] if authorization else ""
    reader = _READERS.get(scheme)
    if reader is None:
        raise SignError(
            "InvalidSignatureMethod",
            f"The signature scheme [{scheme[:40]}] is not supported; use {V3} or ROA HMAC-SHA1.",
        )
    return reader(request, authorization, options)


def read_rpc_style(request: SignedRequest, options: Options) -> Claim:
    """As `read`, of a call in RPC style: V3 by its headers, or HMAC-SHA1 over its parameters.

    Raises:
        SignError: header or parameter malformed, missing, doubled or unsigned; or another scheme.
    """
    if request.values("authorization"):
        claim = read(request, options)
        if claim.scheme == ROA:
            raise SignError(
                "InvalidSignatureMethod",
                f"A call in RPC style is signed with {V3}, or with {RPC} over its parameters.",
            )
        return claim
    _single(request)
    return read_rpc(request, options)


def _single(request: SignedRequest) -> None:
    for name in _SINGLE:
        if len(request.values(name)) > 1:
            raise SignError("IncompleteSignature", f"The header {name} is given more than once.")
    if request.values("x-acs-zero-trust-idtoken"):
        raise SignError(
            "InvalidSignatureMethod", "The header x-acs-zero-trust-idtoken is not supported."
        )


def _nothing(_request: SignedRequest) -> Claim:
    raise SignError(
        "IncompleteSignature",
        "The request carries no credentials; sign it, or send x-acs-bearer-token.",
    )


_READERS: dict[str, Callable[[SignedRequest, str, Options], Claim]] = {
    V3: read_v3,
    "acs": read_roa,
    "": lambda request, _authorization, _options: _nothing(request),
}


def judge(
    request: SignedRequest, claim: Claim, key: AccessKey | None, now: float, options: Options
) -> Verified:
    """Is the claim true? The second half of `verify`, with the key in hand (None = unknown).

    Raises:
        SignError: key, date, security token, body or signature is not right.
    """
    if key is None:
        raise SignError("InvalidAccessKeyId.NotFound", "Specified access key is not found.")
    if not key.active or (not key.session_token and _expired(key, now)):
        raise SignError("InvalidAccessKeyId.Inactive", "Specified access key is disabled.")
    _in_time(claim.moment(request), now, options)
    _named_key(request, key)
    _security_token(claim.token(request), key, now)
    told = replace(options, explain=True) if key.login else options
    claim.check(request, key.secret, told)
    return Verified(key, claim.nonce, claim.scheme)


def _expired(key: AccessKey, now: float) -> bool:
    return key.expires is not None and key.expires <= now


def _in_time(moment: float, now: float, options: Options) -> None:
    apart = moment - now
    if abs(apart) > options.window:
        side = "ahead of" if apart > 0 else "behind"
        raise SignError(
            "InvalidTimeStamp.Expired",
            "Specified time stamp or date value is expired. "
            f"It is {abs(apart):.0f} s {side} this server's clock ({iso(now)}); "
            f"{options.window:.0f} s are allowed.",
        )


def _named_key(request: SignedRequest, key: AccessKey) -> None:
    named = request.one("x-acs-accesskey-id")
    if named and not same(named, key.id):
        raise SignError(
            "InvalidSecurityToken.MismatchWithAccessKey",
            "The header x-acs-accesskey-id names another access key than the credential.",
        )


def _security_token(token: str, key: AccessKey, now: float) -> None:
    if not token:
        if key.session_token:
            raise SignError(
                "MissingSecurityToken",
                "This access key is temporary; send its token in x-acs-security-token, or in RPC style as "
                "SecurityToken.",
            )
        return
    if _TOKEN_SHAPE.fullmatch(token) is None:
        raise SignError("InvalidSecurityToken.Malformed", "The security token is malformed.")
    if not key.session_token or not same(token, key.session_token):
        raise SignError(
            "InvalidSecurityToken.MismatchWithAccessKey",
            "The security token does not belong to this access key.",
        )
    if _expired(key, now):
        raise SignError("InvalidSecurityToken.Expired", "The security token has expired.")


def bearer(request: SignedRequest) -> str:
    """The token of a request that brings one instead of a signature.

    Raises:
        SignError: there is none, or a header beside it is missing.
    """
    _single(request)
    token = request.one("x-acs-bearer-token")
    if not token:
        _nothing(request)
    kind = request.one("x-acs-signature-type")
    if kind and kind.upper() != "BEARERTOKEN":
        raise SignError(
            "InvalidSignatureMethod",
            f"The header x-acs-signature-type is [{kind[:40]}]; legal is BEARERTOKEN.",
        )
    for name in ("x-acs-signature-type", "x-acs-date", "x-acs-content-sha256"):
        if not request.one(name):
            raise SignError("IncompleteSignature", f"The header {name} is missing.")
    return token


def check_bearer(request: SignedRequest, now: float, options: Options) -> None:
    """Date and body hash of a request whose bearer token is known.

    Raises:
        SignError: one of them is not right.
    """
    _in_time(parse_iso(request.one("x-acs-date")), now, options)
    check_body_hash(request)
