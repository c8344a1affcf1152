"""RPC HMAC-SHA1: covers method and all parameters, of the query and of a form; no Host, no headers.

    METHOD&%2F&percent(name=value&... sorted, each percent-encoded)     key: secret + "&"

Credentials are parameters, too: AccessKeyId, Signature, SignatureMethod, SignatureVersion,
SignatureNonce, Timestamp, SecurityToken.
"""

import base64
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote_from_bytes

from pierhead.core.principals import AccessKey
from pierhead.dialects.signing.codes import SignError
from pierhead.dialects.signing.signed_request import (
    NONCE_LIMIT,
    Claim,
    Options,
    SignedRequest,
    check_body_md5,
    iso,
    mismatch,
    parse_iso,
    same,
    split_pairs,
)

RPC = "HMAC-SHA1"
FORM = "application/x-www-form-urlencoded"
_LEGAL = {"SignatureMethod": RPC, "SignatureVersion": "1.0", "SignatureType": ""}
_NEEDED = ("Timestamp", "SignatureNonce", "Signature")

Pair = tuple[bytes, bytes]


def parameters(request: SignedRequest) -> list[Pair]:
    """All parameters of a call in RPC style, those of the query first, decoded to bytes.

    Raises:
        SignError: the body is no form, so no signature over parameters could cover it.
    """
    if not request.body:
        return request.pairs
    kind = request.one("content-type").partition(";")[0].strip().lower()
    if kind != FORM:
        raise SignError(
            "IncompleteSignature", f"The body is [{kind[:60]}]; a call in RPC style brings {FORM}."
        )
    return request.pairs + split_pairs(request.body.decode("latin-1"))


def read_rpc(request: SignedRequest, options: Options) -> Claim:
    """The claim that the parameters make.

    Raises:
        SignError: a parameter is malformed, missing or doubled; or the scheme is not spoken here.
    """
    pairs = parameters(request)
    given = _once(pairs)
    if not given.get("AccessKeyId"):
        raise SignError(
            "IncompleteSignature", "The request carries no credentials; sign it, with AccessKeyId."
        )
    if not options.rpc_enabled:
        raise SignError(
            "InvalidSignatureMethod", "HMAC-SHA1 is switched off here; use ACS3-HMAC-SHA256."
        )
    for name, legal in _LEGAL.items():
        if given.get(name, legal).upper() != legal:
            raise SignError(
                "InvalidSignatureMethod",
                f"The parameter {name} is [{given[name][:40]}]; legal is [{legal}].",
            )
    for name in _NEEDED:
        if not given.get(name):
            raise SignError("IncompleteSignature", f"The parameter {name} is missing.")
    if len(given["SignatureNonce"]) > NONCE_LIMIT:
        raise SignError("IncompleteSignature", "The parameter SignatureNonce is too long.")
    return _RpcClaim(given["AccessKeyId"], given["SignatureNonce"], tuple(pairs), given)


def _once(pairs: list[Pair]) -> dict[str, str]:
    """Values by name; a name that stands there twice could be read in two ways."""
    given: dict[str, str] = {}
    for raw, value in pairs:
        name = raw.decode("utf-8", "replace")
        if name in given:
            raise SignError(
                "IncompleteSignature", f"The parameter {name[:80]} is given more than once."
            )
        given[name] = value.decode("utf-8", "replace")
    return given


@dataclass(frozen=True, slots=True)
class _RpcClaim:
    key_id: str
    nonce: str | None
    pairs: tuple[Pair, ...]
    given: Mapping[str, str]
    scheme: str = f"{RPC} (RPC)"

    def moment(self, request: SignedRequest) -> float:
        return parse_iso(self.given["Timestamp"])

    def token(self, request: SignedRequest) -> str:
        return self.given.get("SecurityToken", "")

    def check(self, request: SignedRequest, secret: str, options: Options) -> None:
        check_body_md5(request)
        string = _string(request.method, self.pairs)
        if not same(self.given["Signature"], _signature(secret, string)):
            hint = (
                "Either the access key's secret is wrong, or something was changed after signing; "
                "the signature covers method, query and form."
            )
            raise mismatch(hint, string if options.debug else "")


def sign_rpc(
    method: str, given: Mapping[str, str], key: AccessKey, *, date: float, nonce: str
) -> dict[str, str]:
    """All parameters of a call: those given, and those that say who signed it."""
    result = {
        **given,
        "AccessKeyId": key.id,
        "SignatureMethod": RPC,
        "SignatureVersion": "1.0",
        "SignatureNonce": nonce,
        "Timestamp": iso(date),
    }
    if key.session_token:
        result["SecurityToken"] = key.session_token
    pairs = [(name.encode(), value.encode()) for name, value in result.items()]
    result["Signature"] = _signature(key.secret, _string(method, pairs))
    return result


def _string(method: str, pairs: Iterable[Pair]) -> str:
    query = "&".join(
        f"{quote_from_bytes(name, '')}={quote_from_bytes(value, '')}"
        for name, value in sorted(pairs)
        if name != b"Signature"
    )
    return f"{method}&%2F&{quote_from_bytes(query.encode(), '')}"


def _signature(secret: str, string: str) -> str:
    return base64.b64encode(hmac.digest(f"{secret}&".encode(), string.encode(), "sha1")).decode()
