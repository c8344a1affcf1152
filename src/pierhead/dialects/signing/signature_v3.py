"""ACS3-HMAC-SHA256: covers method, path, query, headers and body; the default of current SDKs."""

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote_from_bytes

from pierhead.core.principals import AccessKey
from pierhead.dialects.signing.signed_request import (
    Claim,
    Options,
    SignedRequest,
    SignError,
    check_body_hash,
    covered,
    header_token,
    iso,
    mismatch,
    nonce_of,
    parse_iso,
    same,
)

V3 = "ACS3-HMAC-SHA256"
_V3_SHAPE = re.compile(
    rf"{V3}\s+Credential=([^,\s]+)\s*,\s*SignedHeaders=([^,\s]+)\s*,\s*Signature=([0-9a-f]{{64}})"
)


def read_v3(request: SignedRequest, authorization: str, _options: Options) -> Claim:
    shape = _V3_SHAPE.fullmatch(authorization)
    if shape is None:
        raise SignError(
            "IncompleteSignature",
            f"The header Authorization is not `{V3} Credential=..,SignedHeaders=..,Signature=..`.",
        )
    signed = tuple(shape[2].split(";"))
    _covers(request, signed)
    return _V3Claim(shape[1], signed, shape[3], nonce_of(request))


def _covers(request: SignedRequest, signed: tuple[str, ...]) -> None:
    """Every header that carries meaning must be signed, else it could be forged on the way."""
    if list(signed) != sorted(set(signed)):
        raise SignError(
            "IncompleteSignature", "SignedHeaders is not sorted, or names a header twice."
        )
    for name in ("x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"):
        if not request.one(name):
            raise SignError("IncompleteSignature", f"The header {name} is missing.")
    for name in request.names:
        if name not in signed and (name.startswith("x-acs-") or name in {"host", "content-type"}):
            raise SignError("IncompleteSignature", f"The header {name} is not signed.")


@dataclass(frozen=True, slots=True)
class _V3Claim:
    key_id: str
    signed: tuple[str, ...]
    signature: str
    nonce: str | None
    scheme: str = V3

    def moment(self, request: SignedRequest) -> float:
        return parse_iso(request.one("x-acs-date"))

    def token(self, request: SignedRequest) -> str:
        return header_token(request)

    def check(self, request: SignedRequest, secret: str, options: Options) -> None:
        try:
            self._check(request, secret, options)
        except SignError as error:
            if options.explain:
                error.shown = self._shown(request)
            raise

    def _shown(self, request: SignedRequest) -> Mapping[str, str]:
        """What the server made of the request, with the hash of the body that arrived."""
        canonical = self._canonical(request, {}, hashlib.sha256(request.body).hexdigest())
        return {"CanonicalRequest": canonical, "StringToSign": _string_to_sign(canonical)}

    def _check(self, request: SignedRequest, secret: str, options: Options) -> None:
        check_body_hash(request)
        body_hash = request.one("x-acs-content-sha256")
        canonical = self._canonical(request, {}, body_hash)
        if same(self.signature, _v3_signature(secret, canonical)):
            return
        hint = _host_hint(request, lambda host: self._signed_with(request, secret, host, body_hash))
        raise mismatch(hint or covered(self.signed), canonical if options.debug else "")

    def _signed_with(self, request: SignedRequest, secret: str, host: str, body_hash: str) -> bool:
        canonical = self._canonical(request, {"host": [host]}, body_hash)
        return same(self.signature, _v3_signature(secret, canonical))

    def _canonical(
        self, request: SignedRequest, other: Mapping[str, list[str]], body_hash: str
    ) -> str:
        headers = [
            (name, ",".join(sorted(other.get(name) or request.values(name))))
            for name in self.signed
        ]
        return _canonical(request.method, request.raw_path, request.pairs, headers, body_hash)


def _host_hint(request: SignedRequest, fits: Callable[[str], bool]) -> str:
    """Did a proxy change `Host`? Then the signature fits one of the names it had before."""
    host = request.one("host")
    bare, _, port = host.rpartition(":")
    guesses = [*request.values("x-forwarded-host"), *request.values("x-original-host")]
    guesses += [bare] if bare and port.isdigit() else [f"{host}:80", f"{host}:443"]
    if any(guess != host and fits(guess) for guess in guesses):
        return (
            "The request was signed with another Host header than the one that arrived; a proxy "
            "in between must keep Host with its port."
        )
    return ""


def sign_v3(  # noqa: PLR0913 - the parts of a request, as HTTP names them
    method: str,
    path: str,
    query: Mapping[str, str],
    headers: Mapping[str, str],
    body: bytes,
    key: AccessKey,
    *,
    date: float,
    nonce: str,
) -> dict[str, str]:
    """All headers of a V3 request: those given (`host` is needed among them) and those added.

    `path` is percent-encoded already; `query` is not, and goes on the wire as `encode` gives it.
    """
    result = {name.lower(): value.strip() for name, value in headers.items()}
    result |= {
        "x-acs-date": iso(date),
        "x-acs-signature-nonce": nonce,
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
    }
    if key.session_token:
        result |= {"x-acs-accesskey-id": key.id, "x-acs-security-token": key.session_token}
    names = sorted(
        name for name in result if name.startswith("x-acs-") or name in {"host", "content-type"}
    )
    pairs = [(name.encode(), value.encode()) for name, value in query.items()]
    signed = [(name, result[name]) for name in names]
    canonical = _canonical(method, path, pairs, signed, result["x-acs-content-sha256"])
    result["authorization"] = (
        f"{V3} Credential={key.id},SignedHeaders={';'.join(names)},"
        f"Signature={_v3_signature(key.secret, canonical)}"
    )
    return result


def encode(query: Mapping[str, str]) -> str:
    """A query string, RFC 3986: space is `%20`, `A-Za-z0-9-_.~` stay as they are."""
    return "&".join(
        f"{quote_from_bytes(name.encode(), '')}={quote_from_bytes(value.encode(), '')}"
        for name, value in query.items()
    )


def _canonical(
    method: str,
    raw_path: str,
    pairs: list[tuple[bytes, bytes]],
    headers: list[tuple[str, str]],
    body_hash: str,
) -> str:
    query = "&".join(
        f"{quote_from_bytes(name, '')}={quote_from_bytes(value, '')}"
        for name, value in sorted(pairs)
    )
    lines = "".join(f"{name}:{value}\n" for name, value in headers)
    names = ";".join(name for name, _ in headers)
    return f"{method}\n{raw_path}\n{query}\n{lines}\n{names}\n{body_hash}"


def _string_to_sign(canonical: str) -> str:
    return f"{V3}\n{hashlib.sha256(canonical.encode()).hexdigest()}"


def _v3_signature(secret: str, canonical: str) -> str:
    string = _string_to_sign(canonical)
    return hmac.digest(secret.encode(), string.encode(), "sha256").hex()
