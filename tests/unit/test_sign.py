"""Signatures: every vector, every way to tamper, and the round trip for any text."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pierhead.core.principals import AccessKey, Principal
from pierhead.dialects.signing import sign
from pierhead.dialects.signing.sign import Options, SignedRequest, SignError
from pierhead.dialects.signing.signature_roa import _roa_signature, _roa_strings

FILE = json.loads((Path(__file__).parent.parent / "contract/vectors/signatures.json").read_text())
VECTORS: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in FILE["vectors"]}
OWNER = Principal("1234567890123456", "1234567890123456")
KEY = AccessKey(FILE["access_key_id"], FILE["access_key_secret"], OWNER)
STS_KEY = replace(KEY, session_token=FILE["sts_token"], expires=4e9)
OPTIONS = Options()


def clock(vector: dict[str, Any]) -> float:
    text = vector["server_clock"]
    if text.endswith("Z"):
        return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    return parsedate_to_datetime(text).timestamp()


def request_of(vector: dict[str, Any]) -> SignedRequest:
    headers = tuple((name, value) for name, value in vector["headers"])
    return SignedRequest(vector["method"], vector["raw_target"], headers, vector["body"].encode())


def key_of(vector: dict[str, Any]) -> AccessKey:
    names = {name.lower() for name, _ in vector["headers"]}
    return STS_KEY if "x-acs-security-token" in names else KEY


def check(
    vector: dict[str, Any], request: SignedRequest, options: Options = OPTIONS
) -> sign.Verified:
    key = key_of(vector)
    return sign.verify(request, {key.id: key}.get, clock(vector), options)


def refused(vector: dict[str, Any], request: SignedRequest, options: Options = OPTIONS) -> str:
    with pytest.raises(SignError) as caught:
        check(vector, request, options)
    return caught.value.code


def with_header(request: SignedRequest, name: str, value: str | None) -> SignedRequest:
    kept = tuple(pair for pair in request.headers if pair[0].lower() != name.lower())
    return replace(request, headers=kept if value is None else (*kept, (name, value)))


def signed(scheme: str) -> list[Any]:
    return [
        pytest.param(vector, id=name)
        for name, vector in VECTORS.items()
        if vector["expect_valid"] and vector["scheme"].startswith(scheme)
    ]


def test_there_are_all_vectors() -> None:
    assert len(VECTORS) == FILE["count"] == 26
    assert len(signed("")) == 22


@pytest.mark.parametrize("vector", signed(""))
def test_vectors_are_accepted(vector: dict[str, Any]) -> None:
    verified = check(vector, request_of(vector))
    assert verified.key.id == FILE["access_key_id"]
    assert (verified.nonce is None) == ("oldpy" in vector["id"])


@pytest.mark.parametrize("name", ["v3-sm3-py", "neg-v3-body-tampered", "neg-roa-query-tampered"])
def test_negative_vectors_are_refused(name: str) -> None:
    vector = VECTORS[name]
    assert refused(vector, request_of(vector)) == vector["expect_code"]


def test_the_bearer_vector_gives_its_token() -> None:
    vector = VECTORS["bearer-py-describe_service"]
    request = request_of(vector)
    token = dict((n.lower(), v) for n, v in vector["headers"])["x-acs-bearer-token"]
    assert sign.bearer(request) == token
    sign.check_bearer(request, clock(vector), OPTIONS)
    with pytest.raises(SignError) as late:
        sign.check_bearer(request, clock(vector) + 901, OPTIONS)
    assert late.value.code == "InvalidTimeStamp.Expired"
    with pytest.raises(SignError) as other:
        sign.check_bearer(replace(request, body=b"x"), clock(vector), OPTIONS)
    assert other.value.code == "SignatureDoesNotMatch"


def test_a_bare_key_is_signed_by_one_client() -> None:
    """The Python SDK signs `Filter`, not `Filter=`, for an empty value."""
    headers = (
        ("date", "Sat, 21 Nov 2026 20:18:21 GMT"),
        ("accept", "application/json"),
        ("host", "127.0.0.1:21000"),
        ("x-acs-action", "ListServices"),
        ("x-acs-credentials-provider", "static_ak"),
        ("x-acs-signature-method", "HMAC-SHA1"),
        ("x-acs-signature-nonce", "0bb4382c94b7a590249d62a2b22f2dc0"),
        ("x-acs-signature-version", "1.0"),
        ("x-acs-version", "2021-07-01"),
        ("authorization", f"acs {KEY.id}:tUJjJia6t6UKObcFIM3p/EWTwfQ="),
    )
    request = SignedRequest("GET", "/api/v2/services?Filter=", headers, b"")
    now = datetime(2026, 11, 21, 20, 18, 21, tzinfo=UTC).timestamp()
    assert sign.verify(request, {KEY.id: KEY}.get, now, OPTIONS).scheme == sign.ROA


def test_the_old_client_signs_the_decoded_path() -> None:
    vector = VECTORS["roa-py-describe_service"]
    request = replace(request_of(vector), raw_target="/api/v2/services/cn-shanghai/%E7%BB%84")
    string = _roa_strings(request)[-1]
    assert string.decode().endswith("/api/v2/services/cn-shanghai/组")
    text = f"acs {KEY.id}:{_roa_signature(KEY.secret, string)}"
    assert check(vector, with_header(request, "authorization", text)).key == KEY


# --- tampering -------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", signed(""))
def test_method_and_path_are_signed(vector: dict[str, Any]) -> None:
    request = request_of(vector)
    assert refused(vector, replace(request, method="PATCH")) == "SignatureDoesNotMatch"
    path, mark, query = request.raw_target.partition("?")
    moved = replace(request, raw_target=f"{path}x{mark}{query}")
    assert refused(vector, moved) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("vector", [v for v in signed("") if "?" in v.values[0]["raw_target"]])
def test_each_query_pair_is_signed(vector: dict[str, Any]) -> None:
    request = request_of(vector)
    path, _, query = request.raw_target.partition("?")
    pairs = query.split("&")
    for at, pair in enumerate(pairs):
        for other in (pair + "x", "x" + pair):
            changed = "&".join([*pairs[:at], other, *pairs[at + 1 :]])
            target = replace(request, raw_target=f"{path}?{changed}")
            assert refused(vector, target) == "SignatureDoesNotMatch", changed
        fewer = "&".join([*pairs[:at], *pairs[at + 1 :]])
        target = replace(request, raw_target=f"{path}?{fewer}" if fewer else path)
        assert refused(vector, target) == "SignatureDoesNotMatch", fewer
    added = replace(request, raw_target=f"{path}?{query}&Extra=1")
    assert refused(vector, added) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("vector", signed("ACS3"))
def test_each_signed_header_is_signed(vector: dict[str, Any]) -> None:
    request = request_of(vector)
    listed = request.one("authorization").split("SignedHeaders=")[1].split(",")[0].split(";")
    for name in listed:
        other = "2026-11-21T19:31:00Z" if name == "x-acs-date" else request.one(name) + "x"
        codes = {"x-acs-accesskey-id", "x-acs-security-token"}
        expected = (
            "InvalidSecurityToken.MismatchWithAccessKey"
            if name in codes
            else "SignatureDoesNotMatch"
        )
        assert refused(vector, with_header(request, name, other)) == expected, name
        missing = refused(vector, with_header(request, name, None))
        allowed = {"SignatureDoesNotMatch", "IncompleteSignature", "MissingSecurityToken"}
        assert missing in allowed, name


@pytest.mark.parametrize("vector", signed("ROA"))
def test_each_covered_header_is_signed_in_roa(vector: dict[str, Any]) -> None:
    request = request_of(vector)
    covered = [
        n for n in request.names if n.startswith("x-acs-") or n in {"accept", "content-type"}
    ]
    assert len(covered) >= 3
    special = {
        "x-acs-accesskey-id": "InvalidSecurityToken.MismatchWithAccessKey",
        "x-acs-security-token": "InvalidSecurityToken.MismatchWithAccessKey",
        "x-acs-signature-method": "InvalidSignatureMethod",
        "x-acs-signature-version": "InvalidSignatureMethod",
    }
    for name in covered:
        changed = with_header(request, name, request.one(name) + "x")
        assert refused(vector, changed) == special.get(name, "SignatureDoesNotMatch"), name
    later = with_header(request, "date", "Sat, 21 Nov 2026 19:31:00 GMT")
    assert refused(vector, later) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("vector", [v for v in signed("") if v.values[0]["body"]])
def test_the_body_is_signed_where_the_scheme_can(vector: dict[str, Any]) -> None:
    request = request_of(vector)
    tampered = replace(request, body=request.body[:-1] + b" }")
    if vector["scheme"].startswith("ACS3"):
        assert refused(vector, tampered) == "SignatureDoesNotMatch"
    elif request.one("content-md5"):
        assert refused(vector, tampered) == "ContentMD5NotMatched"
    else:
        assert refused(vector, tampered, Options(roa_require_md5=True)) == "IncompleteSignature"


@pytest.mark.parametrize("vector", signed(""))
def test_the_signature_itself_counts(vector: dict[str, Any]) -> None:
    request = request_of(vector)
    text = request.one("authorization")
    at = text.rindex("=", 0, -2) + 3 if text.startswith("ACS3") else text.index(":") + 3
    flipped = "a" if text[at] != "a" else "b"
    changed = with_header(request, "authorization", text[:at] + flipped + text[at + 1 :])
    assert refused(vector, changed) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("seconds", [-901, 901, 86400])
@pytest.mark.parametrize("name", ["v3-py-describe_service", "roa-py-describe_service"])
def test_the_clock_window(name: str, seconds: int) -> None:
    vector = VECTORS[name]
    request, now = request_of(vector), clock(vector)
    with pytest.raises(SignError) as caught:
        sign.verify(request, {KEY.id: KEY}.get, now + seconds, OPTIONS)
    assert caught.value.code == "InvalidTimeStamp.Expired"
    assert f"{abs(seconds)} s" in caught.value.message
    edge = 900 if seconds > 0 else -900
    assert sign.verify(request, {KEY.id: KEY}.get, now + edge, OPTIONS).key == KEY


@pytest.mark.parametrize("name", ["v3-py-describe_service", "roa-py-describe_service"])
@pytest.mark.parametrize(
    "date", ["yesterday", "2026-13-21T19:27:22Z", "Sat, 32 Nov 2026 19:27:22 GMT", "1763753242"]
)
def test_a_date_that_is_none(name: str, date: str) -> None:
    vector = VECTORS[name]
    header = "x-acs-date" if name.startswith("v3") else "date"
    changed = with_header(request_of(vector), header, date)
    assert refused(vector, changed) == "InvalidTimeStamp.Format"


@pytest.mark.parametrize("name", ["x-acs-extra", "x-acs-security-token", "content-type"])
def test_an_unsigned_header_could_be_forged(name: str) -> None:
    vector = VECTORS["v3-py-describe_service"]
    changed = with_header(request_of(vector), name, "anything")
    assert refused(vector, changed) == "IncompleteSignature"


def test_an_added_custom_header_changes_a_roa_signature() -> None:
    vector = VECTORS["roa-py-describe_service"]
    changed = with_header(request_of(vector), "x-acs-extra", "1")
    assert refused(vector, changed) == "SignatureDoesNotMatch"


@pytest.mark.parametrize("vector", signed(""))
def test_doubled_headers_could_be_read_in_two_ways(vector: dict[str, Any]) -> None:
    request = request_of(vector)
    for name in (
        "authorization",
        "host",
        "x-acs-signature-nonce",
        "x-acs-action",
        "date",
        "x-acs-date",
    ):
        value = request.one(name)
        if value:
            doubled = replace(request, headers=(*request.headers, (name, value)))
            assert refused(vector, doubled) == "IncompleteSignature", name


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace("accept;host", "host;accept"),
        lambda text: text.replace("accept;host", "accept;accept;host"),
        lambda text: text.replace(";host", ""),
        lambda text: text.replace("x-acs-action;", ""),
        lambda text: text.replace("Signature=", "Signature=F"),
        lambda text: text.replace("Credential=", "Cred="),
        lambda text: text + ",More=1",
        lambda text: text.split(",")[0],
        lambda _text: "acs",
        lambda text: "acs " + text,
        lambda _text: "",
    ],
)
def test_a_malformed_authorization(edit: Any) -> None:
    vector = VECTORS["v3-py-describe_service"]
    request = request_of(vector)
    changed = with_header(request, "authorization", edit(request.one("authorization")))
    assert refused(vector, changed) == "IncompleteSignature"


@pytest.mark.parametrize("scheme", ["ACS3-HMAC-SM3", "ACS3-RSA-SHA256", "Basic", "Bearer", "EAS"])
def test_other_schemes(scheme: str) -> None:
    vector = VECTORS["v3-py-describe_service"]
    request = request_of(vector)
    text = request.one("authorization").replace(sign.V3, scheme)
    assert refused(vector, with_header(request, "authorization", text)) == "InvalidSignatureMethod"
    token = with_header(request, "x-acs-zero-trust-idtoken", "t")
    assert refused(vector, token) == "InvalidSignatureMethod"


# --- keys and tokens -------------------------------------------------------------------------

STS_VECTORS = ["v3-py-describe_service_sts", "roa-popcore-describe_service_sts"]


def code_with(name: str, key: AccessKey | None) -> str:
    vector = VECTORS[name]
    with pytest.raises(SignError) as caught:
        sign.verify(request_of(vector), lambda _id: key, clock(vector), OPTIONS)
    return caught.value.code


@pytest.mark.parametrize("name", STS_VECTORS)
def test_security_tokens(name: str) -> None:
    now = clock(VECTORS[name])
    assert code_with(name, None) == "InvalidAccessKeyId.NotFound"
    assert code_with(name, replace(STS_KEY, active=False)) == "InvalidAccessKeyId.Inactive"
    assert code_with(name, replace(STS_KEY, expires=now)) == "InvalidSecurityToken.Expired"
    mismatch = "InvalidSecurityToken.MismatchWithAccessKey"
    assert code_with(name, replace(STS_KEY, session_token="other")) == mismatch
    assert code_with(name, KEY) == mismatch
    assert code_with(name, replace(STS_KEY, id="other")) == mismatch
    assert code_with(name, replace(STS_KEY, secret="wrong")) == "SignatureDoesNotMatch"


def test_a_temporary_key_without_its_token() -> None:
    assert code_with("v3-py-describe_service", STS_KEY) == "MissingSecurityToken"
    vector = VECTORS["v3-py-describe_service_sts"]
    broken = with_header(request_of(vector), "x-acs-security-token", "a b")
    assert refused(vector, broken) == "InvalidSecurityToken.Malformed"


def test_roa_can_be_restricted() -> None:
    vector = VECTORS["roa-oldpy-create_app_service_json"]
    request = request_of(vector)
    assert refused(vector, request, Options(roa_enabled=False)) == "InvalidSignatureMethod"
    assert refused(vector, request, Options(roa_require_nonce=True)) == "IncompleteSignature"
    assert check(vector, request, Options(roa_require_md5=True)).nonce is None


# --- what a mismatch says ---------------------------------------------------------------------


def message_of(vector: dict[str, Any], request: SignedRequest, options: Options = OPTIONS) -> str:
    with pytest.raises(SignError) as caught:
        check(vector, request, options)
    return caught.value.message


@pytest.mark.parametrize("name", ["v3-py-describe_service", "roa-py-describe_service"])
def test_a_mismatch_tells_the_canonical_request_only_when_debugging(name: str) -> None:
    vector = VECTORS[name]
    changed = replace(request_of(vector), method="PUT")
    quiet = message_of(vector, changed)
    assert quiet.split(":")[1] == "", "the old SDK splits at the colon"
    assert "/api/v2" not in quiet and KEY.secret not in quiet
    told = message_of(vector, changed, Options(debug=True))
    assert "server string to sign is:PUT\n" in told and KEY.secret not in told


def test_a_mismatch_hints_at_its_cause() -> None:
    vector = VECTORS["v3-py-create_app_service"]
    request = request_of(vector)
    assert "x-acs-content-sha256 is not the hash" in message_of(
        vector, replace(request, body=b"{}")
    )
    assert "covers method, path, query and accept" in message_of(
        vector, replace(request, method="PUT")
    )
    behind = with_header(request, "host", "inner:8080")
    assert "another Host" not in message_of(vector, behind)
    behind = with_header(behind, "x-forwarded-host", request.one("host"))
    assert "another Host" in message_of(vector, behind)


# --- our own signer ---------------------------------------------------------------------------

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
LATIN = st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20
)


@settings(max_examples=150, deadline=None)
@given(
    query=st.dictionaries(TEXT, TEXT, max_size=5),
    value=LATIN,
    body=st.binary(max_size=50),
    token=st.booleans(),
)
def test_what_we_sign_we_verify(
    query: dict[str, str], value: str, body: bytes, token: bool
) -> None:
    key = STS_KEY if token else KEY
    given_headers = {"Host": "h:1", "x-acs-Note": value, "content-type": "application/json"}
    path = "/api/v2/services/local/%E7%BB%84%2Ffoo"
    headers = sign.sign_v3("PUT", path, query, given_headers, body, key, date=1.8e9, nonce="n1")
    encoded = sign.encode(query)
    target = f"{path}?{encoded}" if encoded else path
    request = SignedRequest("PUT", target, tuple(headers.items()), body)
    assert sign.verify(request, {key.id: key}.get, 1.8e9 + 60, OPTIONS) == sign.Verified(
        key, "n1", sign.V3
    )
    assert headers["x-acs-content-sha256"] == hashlib.sha256(body).hexdigest()
    other = replace(request, raw_target=target + ("&" if encoded else "?") + "x=1")
    with pytest.raises(SignError, match="not matched"):
        sign.verify(other, {key.id: key}.get, 1.8e9, OPTIONS)


def test_equal_queries_in_other_spellings_verify() -> None:
    """Clients sign one spelling and send another: `+` for a space, bare `!'()*`."""
    query = {"q": "a b!'()*~", "z": ""}
    headers = sign.sign_v3("GET", "/p", query, {"host": "h"}, b"", KEY, date=1.8e9, nonce="n")
    for spelling in ("q=a+b!'()*~&z=", "z&q=a%20b%21%27%28%29%2a%7E", "q=a%20b!'()*~&z"):
        request = SignedRequest("GET", f"/p?{spelling}", tuple(headers.items()), b"")
        assert sign.verify(request, {KEY.id: KEY}.get, 1.8e9, OPTIONS).key == KEY
