"""RPC signatures: every captured request, every way to tamper with one, and the round trip for any text."""

import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pierhead.core.principals import AccessKey, Principal
from pierhead.dialects.signing import sign
from pierhead.dialects.signing.codes import SignError
from pierhead.dialects.signing.signature_rpc import FORM
from pierhead.dialects.signing.signed_request import Options, SignedRequest

FILE = json.loads((Path(__file__).parent.parent / "contract/vectors/ram.json").read_text())
VECTORS: dict[str, dict[str, Any]] = {vector["id"]: vector for vector in FILE["vectors"]}
OWNER = Principal("1234567890123456", "1234567890123456")
KEY = AccessKey(FILE["access_key_id"], FILE["access_key_secret"], OWNER)
STS_KEY = replace(KEY, session_token=FILE["sts_token"], expires=4e9)
OPTIONS = Options()
NOW = 1_795_289_242.0


def clock(vector: dict[str, Any]) -> float:
    return datetime.fromisoformat(vector["server_clock"]).timestamp()


def request_of(vector: dict[str, Any]) -> SignedRequest:
    headers = tuple((name, value) for name, value in vector["headers"])
    return SignedRequest(vector["method"], vector["raw_target"], headers, vector["body"].encode())


def key_of(vector: dict[str, Any]) -> AccessKey:
    return STS_KEY if "-sts-" in vector["id"] else KEY


def check(
    request: SignedRequest, key: AccessKey, now: float, options: Options = OPTIONS
) -> sign.Verified:
    claim = sign.read_rpc_style(request, options)
    return sign.judge(request, claim, {key.id: key}.get(claim.key_id), now, options)


def refused(
    request: SignedRequest, key: AccessKey = KEY, now: float = NOW, options: Options = OPTIONS
) -> str:
    with pytest.raises(SignError) as caught:
        check(request, key, now, options)
    return caught.value.code


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)
def test_captured_requests_are_accepted(vector: dict[str, Any]) -> None:
    verified = check(request_of(vector), key_of(vector), clock(vector))
    assert verified.key.id == FILE["access_key_id"]
    assert verified.nonce
    assert verified.scheme == ("ACS3-HMAC-SHA256" if "v3" in vector["id"] else "HMAC-SHA1 (RPC)")


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)
def test_captured_requests_with_one_bit_changed_are_refused(vector: dict[str, Any]) -> None:
    """Law: a captured request of a real client with one bit changed is refused (F26)."""
    request, key, now = request_of(vector), key_of(vector), clock(vector)
    other = "PUT" if request.method == "POST" else "POST"
    assert refused(replace(request, method=other), key, now) == "SignatureDoesNotMatch"
    more = f"{request.raw_target}{'&' if '?' in request.raw_target else '?'}Extra=1"
    assert refused(replace(request, raw_target=more), key, now) == "SignatureDoesNotMatch"
    assert refused(request, replace(key, secret="other"), now) == "SignatureDoesNotMatch"
    if "UserName=al" in request.raw_target:
        target = request.raw_target.replace("UserName=al", "UserName=bl")
        assert refused(replace(request, raw_target=target), key, now) == "SignatureDoesNotMatch"


def test_a_form_is_covered_even_without_its_md5() -> None:
    vector = VECTORS["old-form"]
    request, now = request_of(vector), clock(vector)
    changed = replace(request, body=request.body.replace(b"al", b"bl"))
    assert refused(changed, KEY, now) == "ContentMD5NotMatched"
    bare = tuple(pair for pair in request.headers if pair[0].lower() != "content-md5")
    assert refused(replace(changed, headers=bare), KEY, now) == "SignatureDoesNotMatch"
    assert check(replace(request, headers=bare), KEY, now).key is KEY


def call(
    parameters: dict[str, str], key: AccessKey = KEY, *, form: bool = False, **changed: str | None
) -> SignedRequest:
    signed = sign.sign_rpc("POST", parameters, key, date=NOW, nonce="n1")
    sent = {name: value for name, value in {**signed, **changed}.items() if value is not None}
    text = sign.encode(sent)
    headers = (("host", "h"), ("content-type", FORM))
    if form:
        return SignedRequest("POST", "/", headers, text.encode())
    return SignedRequest("POST", f"/?{text}", headers[:1], b"")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"AccessKeyId": None}, "IncompleteSignature"),
        ({"AccessKeyId": ""}, "IncompleteSignature"),
        ({"AccessKeyId": "other"}, "InvalidAccessKeyId.NotFound"),
        ({"Signature": None}, "IncompleteSignature"),
        ({"Signature": "AAAA"}, "SignatureDoesNotMatch"),
        ({"SignatureNonce": None}, "IncompleteSignature"),
        ({"SignatureNonce": "x" * 300}, "IncompleteSignature"),
        ({"SignatureNonce": "n2"}, "SignatureDoesNotMatch"),
        ({"SignatureMethod": "HMAC-SHA256"}, "InvalidSignatureMethod"),
        ({"SignatureVersion": "2.0"}, "InvalidSignatureMethod"),
        ({"SignatureType": "BEARERTOKEN"}, "InvalidSignatureMethod"),
        ({"Timestamp": None}, "IncompleteSignature"),
        ({"Timestamp": "yesterday"}, "InvalidTimeStamp.Format"),
        ({"Timestamp": "2026-13-41T00:00:00Z"}, "InvalidTimeStamp.Format"),
        ({"Timestamp": "2020-01-01T00:00:00Z"}, "InvalidTimeStamp.Expired"),
        ({"SecurityToken": "CAIS"}, "InvalidSecurityToken.MismatchWithAccessKey"),
        ({"SecurityToken": "a b"}, "InvalidSecurityToken.Malformed"),
    ],
)
def test_credentials_that_are_not_right(changed: dict[str, str | None], code: str) -> None:
    assert refused(call({"Action": "X"}, **changed)) == code


def test_temporary_keys() -> None:
    assert check(call({"Action": "X"}, STS_KEY), STS_KEY, NOW).key is STS_KEY
    assert refused(call({"Action": "X"}, STS_KEY, SecurityToken=None), STS_KEY) == (
        "MissingSecurityToken"
    )
    late = replace(STS_KEY, expires=NOW)
    assert refused(call({"Action": "X"}, late), late) == "InvalidSecurityToken.Expired"
    off = replace(KEY, active=False)
    assert refused(call({"Action": "X"}), off) == "InvalidAccessKeyId.Inactive"


def test_the_window_is_fifteen_minutes_either_way() -> None:
    request = call({"Action": "X"})
    for apart in (-900.0, 900.0):
        assert check(request, KEY, NOW + apart).key is KEY
    for apart in (-901.0, 901.0):
        assert refused(request, KEY, NOW + apart) == "InvalidTimeStamp.Expired"


def test_a_name_given_twice_is_refused_wherever_it_stands() -> None:
    request = call({"Action": "X"})
    twice = replace(request, raw_target=f"{request.raw_target}&Action=Y")
    assert refused(twice) == "IncompleteSignature"
    beside = replace(request, headers=(("content-type", FORM),), body=b"Action=Y")
    assert refused(beside) == "IncompleteSignature"
    encoded = replace(request, raw_target=f"{request.raw_target}&%41ction=Y")
    assert refused(encoded) == "IncompleteSignature"


def test_a_body_that_no_signature_over_parameters_covers_is_refused() -> None:
    request = call({"Action": "X"})
    json_body = replace(request, headers=(("content-type", "application/json"),), body=b"{}")
    assert refused(json_body) == "IncompleteSignature"
    assert refused(replace(request, headers=(), body=b"UserName=x")) == "IncompleteSignature"


def test_switched_off() -> None:
    options = Options(rpc_enabled=False)
    assert refused(call({"Action": "X"}), options=options) == "InvalidSignatureMethod"
    vector = VECTORS["v3-CreateUser"]
    assert check(request_of(vector), KEY, clock(vector), options).key is KEY


def test_roa_is_no_scheme_of_rpc_style() -> None:
    headers = (("host", "h"), ("authorization", "acs AK:c2ln"), ("date", "x"))
    assert refused(SignedRequest("GET", "/?Action=X", headers, b"")) == "InvalidSignatureMethod"


def test_what_was_signed_is_told_only_on_demand() -> None:
    request = call({"Action": "X"}, Signature="AAAA")
    for debug in (False, True):
        with pytest.raises(SignError) as caught:
            check(request, KEY, NOW, Options(debug=debug))
        assert ("POST&%2F&AccessKeyId" in str(caught.value)) is debug
        assert KEY.secret not in str(caught.value)
        assert ":" in str(caught.value)  # the old SDK splits there


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)


@settings(max_examples=300)
@given(st.dictionaries(TEXTS.map(lambda text: f"p{text}"), TEXTS, max_size=6), st.booleans())
def test_any_parameters_survive_the_round_trip(parameters: dict[str, str], form: bool) -> None:
    request = call({"Action": "X", **parameters}, form=form)
    assert check(request, KEY, NOW).key is KEY
    text = request.body.decode() if form else request.raw_target.partition("?")[2]
    found = dict(parse_qsl(text, keep_blank_values=True))
    assert {name: found[name] for name in parameters} == parameters
