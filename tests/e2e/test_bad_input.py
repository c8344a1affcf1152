"""Bad input: the documented status and Code within a second, never a 5xx, and nothing half done."""

import hashlib
import inspect
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from alibabacloud_eas20210701 import models
from alibabacloud_tea_openapi.exceptions import ClientException
from clients import Json, PythonSdk, sdk, snake
from documents import app, document
from lifecycle import Service, refused
from running_platform import Platform
from signed_http import Request, send, signed, signed_roa

from own_time import OwnTime
from pierhead.dialects.eas.catalog import Field, Operation, load

CANARY = "bad_canary"


@pytest.fixture(scope="module")
def canary(eas: PythonSdk) -> Service:
    """A stopped service, on which nothing goes on by itself."""
    eas("CreateService", body=document(CANARY))
    service = Service(eas, CANARY)
    service.until("Running")
    service.change("StopService", "Stopping")
    service.until("Stopped")
    return service


@pytest.fixture(autouse=True)
def nothing_half_done(eas: PythonSdk, canary: Service) -> Iterator[None]:
    """No test of this module may leave a trace: not in a service, not in the list, not in the events."""
    before = _state(eas, canary)
    yield
    assert _state(eas, canary) == before


def _state(eas: PythonSdk, canary: Service) -> Any:
    shown = canary.describe()
    shown.pop("RequestId")
    events = canary.events()
    return shown, eas("ListServices")["Services"], events


# --- through the SDK -------------------------------------------------------------------------------

CREATE = [
    ("no name", {"ServiceName": None}, "MissingParameter", "ServiceName"),
    ("empty name", {"ServiceName": ""}, "MissingParameter", "ServiceName"),
    ("no type", {"AppType": None}, "MissingParameter", "AppType"),
    ("no spec", {"ServiceSpec": None}, "MissingParameter", "ServiceSpec"),
    ("no replicas", {"Replicas": None}, "MissingParameter", "Replicas"),
    ("name too short", {"ServiceName": "ab"}, "InvalidParameter", "ServiceName"),
    ("name too long", {"ServiceName": "a" * 64}, "InvalidParameter", "ServiceName"),
    ("name of a megabyte", {"ServiceName": "a" * 900_000}, "InvalidParameter", "ServiceName"),
    ("hyphen", {"ServiceName": "a-b-c"}, "InvalidParameter", "ServiceName"),
    ("upper case", {"ServiceName": "Abc"}, "InvalidParameter", "ServiceName"),
    ("Chinese", {"ServiceName": "服务服务"}, "InvalidParameter", "ServiceName"),
    ("a path", {"ServiceName": "../../etc"}, "InvalidParameter", "ServiceName"),
    ("a line end", {"ServiceName": "abcd\n"}, "InvalidParameter", "ServiceName"),
    ("SQL", {"ServiceName": "a'; drop table services"}, "InvalidParameter", "ServiceName"),
    ("NUL", {"ServiceName": "abc\0"}, "InvalidParameter", ""),
    ("name is a number", {"ServiceName": 1234}, "InvalidParameter", "ServiceName"),
    ("name is a list", {"ServiceName": ["abc"]}, "InvalidParameter", "ServiceName"),
    ("replicas 0", {"Replicas": 0}, "InvalidParameter", "Replicas"),
    ("replicas -1", {"Replicas": -1}, "InvalidParameter", "Replicas"),
    ("replicas 1001", {"Replicas": 1001}, "InvalidParameter", "Replicas"),
    ("replicas 1e30", {"Replicas": 10**30}, "InvalidParameter", "Replicas"),
    ("replicas text", {"Replicas": "x"}, "InvalidParameter", "Replicas"),
    ("replicas half", {"Replicas": 1.5}, "InvalidParameter", "Replicas"),
    ("replicas true", {"Replicas": True}, "InvalidParameter", "Replicas"),
    ("replicas list", {"Replicas": [1]}, "InvalidParameter", "Replicas"),
    ("unknown type", {"AppType": "SD"}, "InvalidParameter", "AppType"),
    ("unknown spec", {"ServiceSpec": "gpt_5"}, "InvalidParameter", "ServiceSpec"),
    ("spec is an object", {"ServiceSpec": {}}, "InvalidParameter", "ServiceSpec"),
    ("version is a number", {"AppVersion": 1}, "InvalidParameter", "AppVersion"),
    ("config is a text", {"Config": "oss"}, "InvalidParameter", "Config"),
    ("config is a list", {"Config": []}, "InvalidParameter", "Config"),
    ("unknown storage", {"Config": {"ModelStorage": "ftp"}}, "InvalidParameter", "Config.ModelStorage"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code", "word"), [case[1:] for case in CREATE], ids=[case[0] for case in CREATE])  # fmt: skip
def test_create_app_service_refuses(eas: PythonSdk, change: Json, code: str, word: str) -> None:
    body = {key: value for key, value in {**app("bad_app"), **change}.items() if value is not None}
    refused(lambda: eas("CreateAppService", body=body), code, 400, word)


OWNERS = [("WorkspaceId", "w" * 256), ("QuotaId", "q" * 256), ("QuotaId", "q\0")]


@pytest.mark.parametrize(("field", "value"), OWNERS)
def test_an_owner_is_refused(eas: PythonSdk, field: str, value: str) -> None:
    query = {field: value}
    call = lambda: eas("CreateAppService", query=query, body=app("bad_app"))  # noqa: E731
    refused(call, "InvalidParameter", 400, field)


CALLS: list[tuple[str, str, Json, str, int, str]] = [
    ("DescribeService", "nobody", {}, "InvalidService.NotFound", 404, "nobody"),
    ("DescribeService", "a" * 5000, {}, "InvalidService.NotFound", 404, ""),
    ("DescribeService", "eas-m-nobody", {}, "InvalidService.NotFound", 404, ""),
    ("StartService", "nobody", {}, "InvalidService.NotFound", 404, "nobody"),
    ("StopService", "nobody", {}, "InvalidService.NotFound", 404, "nobody"),
    ("RestartService", "nobody", {}, "InvalidService.NotFound", 404, "nobody"),
    ("DeleteService", "nobody", {}, "InvalidService.NotFound", 404, "nobody"),
    ("UpdateAppService", "nobody", {"body": {"Replicas": 1}}, "InvalidService.NotFound", 404, "nobody"),
    ("UpdateService", "nobody", {"body": {"token": "t"}}, "InvalidService.NotFound", 404, "nobody"),
    ("ListServiceInstances", "nobody", {}, "InvalidService.NotFound", 404, "nobody"),
    ("DescribeServiceLog", "nobody", {}, "InvalidService.NotFound", 404, "nobody"),
    ("DescribeServiceEvent", "nobody", {}, "InvalidService.NotFound", 404, "nobody"),
    ("DescribeServiceEndpoints", "nobody", {}, "InvalidService.NotFound", 404, "nobody"),
    ("CreateAppService", "", {"body": app(CANARY)}, "InvalidService.Conflict", 409, CANARY),
    ("CreateService", "", {"body": document(CANARY)}, "InvalidService.Conflict", 409, CANARY),
    ("CreateService", "", {"body": document("bad_dev"), "query": {"Develop": "true"}}, "UnsupportedOperation", 400, "Develop"),
    ("RestartService", CANARY, {}, "InvalidService.Conflict", 409, "stopped"),
    ("UpdateAppService", CANARY, {"body": {"Replicas": 2}}, "InvalidParameter", 400, "UpdateService"),
    ("UpdateAppService", CANARY, {"body": {"Replicas": 0}}, "InvalidParameter", 400, "Replicas"),
    ("UpdateAppService", CANARY, {"body": {"Replicas": "x"}}, "InvalidParameter", 400, "Replicas"),
    ("UpdateAppService", CANARY, {"body": {"ServiceSpec": "gpt_5"}}, "InvalidParameter", 400, "ServiceSpec"),
    ("UpdateService", CANARY, {"body": {"metadata": {"instance": 0}}}, "InvalidParameter", 400, "metadata.instance"),
    ("UpdateService", CANARY, {"body": {"metadata": {"name": "bad_other"}}}, "InvalidParameter", 400, "metadata.name"),
    ("UpdateService", CANARY, {"body": {"containers": None}}, "MissingParameter", 400, "containers"),
    ("UpdateService", CANARY, {"body": {"token": "x"}, "query": {"UpdateType": "upsert"}}, "InvalidParameter", 400, "UpdateType"),
    ("UpdateService", CANARY, {"body": {}, "query": {"UpdateType": "replace"}}, "MissingParameter", 400, "containers"),
    ("ListServices", "", {"query": {"PageSize": 0}}, "InvalidParameter", 400, "PageSize"),
    ("ListServices", "", {"query": {"PageNumber": -5}}, "InvalidParameter", 400, "PageNumber"),
    ("ListServices", "", {"query": {"PageNumber": 10**20}}, "InvalidParameter", 400, "PageNumber"),
    ("ListServices", "", {"query": {"ServiceStatus": "Asleep"}}, "InvalidParameter", 400, "ServiceStatus"),
    ("ListServices", "", {"query": {"Order": "sideways"}}, "InvalidParameter", 400, "Order"),
    ("DescribeServiceLog", CANARY, {"query": {"PageSize": 0}}, "InvalidParameter", 400, "PageSize"),
    ("DescribeServiceLog", CANARY, {"query": {"StartTime": "yesterday"}}, "InvalidParameter", 400, "StartTime"),
    ("DescribeServiceLog", CANARY, {"query": {"InstanceName": "nobody"}}, "InvalidInstance.NotFound", 404, "nobody"),
    ("DescribeServiceEvent", CANARY, {"query": {"PageNum": "first"}}, "InvalidParameter", 400, "PageNum"),
    ("DescribeServiceEvent", CANARY, {"query": {"EventType": "Odd"}}, "InvalidParameter", 400, "EventType"),
    ("DescribeServiceEvent", CANARY, {"query": {"EndTime": "2026-13-40T00:00:00Z"}}, "InvalidParameter", 400, "EndTime"),
]  # fmt: skip


@pytest.mark.parametrize("case", CALLS, ids=lambda case: f"{case[0]}-{case[3]}-{case[5]}")
def test_the_sdk_is_refused(eas: PythonSdk, case: Any) -> None:
    operation, service, parts, code, status, word = case
    refused(lambda: eas(operation, service, **parts), code, status, word)


@pytest.mark.parametrize("kind", ["v2", "old", "node"])
def test_every_client_raises_its_own_exception(platform: Platform, kind: str) -> None:
    with sdk(kind, platform) as call:
        for change, code, word in (
            case[1:] for case in CREATE if case[0] in {"no name", "replicas 0", "unknown spec"}
        ):
            body = {key: value for key, value in {**app("bad_app"), **change}.items() if value is not None}  # fmt: skip
            refused(lambda body=body: call("CreateAppService", body=body), code, 400, word)
        huge = app("bad_app", Config={"a": "a" * 2_000_000})
        refused(lambda: call("CreateAppService", body=huge), "RequestEntityTooLarge", 413)
        taken = app(CANARY)
        refused(
            lambda: call("CreateAppService", body=taken), "InvalidService.Conflict", 409, CANARY
        )


KEYS = [
    ("wrong secret", {"access_key_secret": "wrong"}, "SignatureDoesNotMatch", 400),
    ("unknown key", {"access_key_id": "LTAIunknown"}, "InvalidAccessKeyId.NotFound", 404),
    ("wrong secret, ROA", {"access_key_secret": "wrong", "signature_algorithm": "v2"}, "SignatureDoesNotMatch", 400),
    ("unknown key, ROA", {"access_key_id": "LTAIunknown", "signature_algorithm": "v2"}, "InvalidAccessKeyId.NotFound", 404),
]  # fmt: skip


@pytest.mark.parametrize(("config", "code", "status"), [case[1:] for case in KEYS], ids=[case[0] for case in KEYS])  # fmt: skip
def test_wrong_credentials_are_refused(
    platform: Platform, config: Json, code: str, status: int
) -> None:
    call = PythonSdk(platform, **config)
    refused(lambda: call("CreateAppService", body=app("bad_app")), code, status)


def test_another_region_is_not_here(eas: PythonSdk, platform: Platform) -> None:
    with pytest.raises(ClientException) as caught:
        eas.client.describe_service("cn-shanghai", CANARY)
    error = caught.value
    assert (error.code, error.status_code) == ("InvalidService.NotFound", 404)
    assert f"[{platform.region}]" in error.message


# --- operations that are not here --------------------------------------------------------------------

OTHERS = [operation for operation in load().by_id.values() if operation.unsupported]


def test_the_catalog_is_whole() -> None:
    assert (len(load().by_id), len(OTHERS)) == (108, 67)


@pytest.mark.parametrize("operation", OTHERS, ids=lambda operation: operation.id)
def test_an_operation_that_is_not_here_says_why(
    eas: PythonSdk, platform: Platform, operation: Operation
) -> None:
    """Through the SDK's own method where it has one, by name and path else."""
    method = getattr(eas.client, snake(operation.id).replace("_d_link", "_dlink"), None)
    reason = operation.unsupported
    assert len(reason) > 20
    if method is None:
        query = "&".join(
            f"{item.name}={_sample(item)}" for item in operation.query if item.required
        )
        target = _path(operation, platform.region) + (f"?{query}" if query else "")
        body = json.dumps(_samples(operation.body.fields)).encode() if operation.body else b""
        reply = send(platform, signed(platform, Request(operation.method, target, body)))
        assert (reply.status, reply.document["Code"]) == (400, "UnsupportedOperation")
        assert reason in reply.document["Message"]
        return
    own = OwnTime()
    with pytest.raises(ClientException) as caught:
        method(*_arguments(method, operation, platform.region))
    assert own.seconds() < 1.0
    error = caught.value
    assert (error.code, error.status_code) == ("UnsupportedOperation", 400), error
    assert operation.id in error.message
    assert reason in error.message


def _arguments(method: Callable[..., Any], operation: Operation, region: str) -> list[Any]:
    arguments: list[Any] = []
    for name in inspect.signature(method).parameters:
        if name == "request":
            fields = _samples(operation.query) | _samples(
                operation.body.fields if operation.body else ()
            )
            if operation.body and operation.body.kind == "json_document":
                fields["body"] = json.dumps(_samples(operation.body.fields))
            arguments.append(getattr(models, f"{operation.id}Request")().from_map(fields))
        else:
            arguments.append(region if name == "cluster_id" else CANARY)
    return arguments


def _path(operation: Operation, region: str) -> str:
    return re.sub(
        r"\{(\w+)\}", lambda at: region if at[1] == "ClusterId" else CANARY, operation.path
    )


def _samples(fields: tuple[Field, ...]) -> Json:
    return {item.name: _sample(item) for item in fields if item.required}


def _sample(item: Field) -> Any:
    """A legal value."""
    if item.values:
        return item.values[0]
    if item.default is not None:
        return item.default
    if item.serialization == "comma":
        return "x,y"
    if item.type == "array":
        return [_sample(item.items or Field(name="", type="string"))]
    if item.type == "object":
        return _samples(item.fields)
    low = int(item.minimum) if item.minimum is not None else 1
    plain: Json = {"string": "x", "integer": low, "number": low, "boolean": True}
    return plain.get(item.type, {})


# --- what no SDK would send ----------------------------------------------------------------------------

APPS = "/api/v2/app_services"
GOOD = json.dumps(app("bad_app")).encode()


def rejected(platform: Platform, request: Request, code: str, status: int, word: str = "") -> Json:
    """The refusal, in the vendor's envelope, within a second."""
    own = OwnTime()
    reply = send(platform, request)
    took = own.seconds()
    assert (reply.document["Code"], reply.status) == (code, status), reply
    assert took < 1.0, f"{took:.2f} s"
    assert word in reply.document["Message"]
    assert {"RequestId", "HostId", "Code", "Message", "Recommend"} <= set(reply.document)
    assert reply.document["RequestId"] == reply.headers["x-acs-request-id"]
    assert "Traceback" not in json.dumps(reply.document)
    return reply.document


DEEP = b'{"Config":' * 20_000 + b"1" + b"}" * 20_000
BODIES = [
    ("not JSON", b"{", "InvalidParameter"),
    ("two documents", GOOD + GOOD, "InvalidParameter"),
    ("a list", b"[]", "InvalidParameter"),
    ("a number", b"1", "InvalidParameter"),
    ("null", b"null", "InvalidParameter"),
    ("no body", b"", "MissingParameter"),
    ("blank", b"   ", "MissingParameter"),
    ("empty object", b"{}", "MissingParameter"),
    ("invalid UTF-8", GOOD.replace(b"bad_app", b"bad_\xff\xfe"), "InvalidParameter"),
    ("NUL byte", GOOD.replace(b"bad_app", b"bad_\x00app"), "InvalidParameter"),
    ("escaped NUL", GOOD.replace(b"bad_app", b"bad_\\u0000app"), "InvalidParameter"),
    ("lone surrogate", GOOD.replace(b"bad_app", b"bad_\\ud800"), "InvalidParameter"),
    ("lone surrogate in a key", GOOD[:-1] + b',"\\udfff":1}', "InvalidParameter"),
    ("deep objects", DEEP, "InvalidParameter"),
    ("deep lists", b'{"Config":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "InvalidParameter"),
    ("NaN", GOOD.replace(b'"Replicas": 1', b'"Replicas": NaN'), "InvalidParameter"),
    ("infinity", GOOD.replace(b'"Replicas": 1', b'"Replicas": 1e999'), "InvalidParameter"),
    ("many digits", GOOD.replace(b'"Replicas": 1', b'"Replicas": ' + b"9" * 50_000), "InvalidParameter"),
    ("a key twice", GOOD[:-1] + b',"Replicas":2}', "InvalidParameter"),
    ("UTF-16", GOOD.decode().encode("utf-16"), "InvalidParameter"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "code"), [case[1:] for case in BODIES], ids=[case[0] for case in BODIES])  # fmt: skip
@pytest.mark.parametrize("target", [APPS, "/api/v2/services"])
def test_a_broken_body_is_refused(platform: Platform, target: str, body: bytes, code: str) -> None:
    if target != APPS and body.startswith(GOOD[:-1]) and body != GOOD + GOOD:
        body = body.replace(b"Replicas", b"metadata")
    rejected(platform, signed(platform, Request("POST", target, body)), code, 400)


def test_ten_megabytes_are_refused(platform: Platform, eas: PythonSdk) -> None:
    body = GOOD[:-1] + b',"Config":{"a":"' + b"a" * 10_000_000 + b'"}}'
    request = signed(platform, Request("POST", APPS, body))
    rejected(platform, request, "RequestEntityTooLarge", 413)
    config = {"a": "a" * 10_000_000}
    refused(
        lambda: eas("CreateAppService", body=app("bad_app", Config=config)),
        "RequestEntityTooLarge",
        413,
    )


ROUTES = [
    ("unknown path", "GET", "/api/v2/nothing", "InvalidAction.NotFound", 404),
    ("no path", "GET", "/api/v2", "InvalidAction.NotFound", 404),
    ("path too deep", "GET", f"/api/v2/services/local/{CANARY}/start/now", "InvalidAction.NotFound", 404),
    ("wrong method", "PATCH", APPS, "UnsupportedHTTPMethod", 405),
    ("wrong method of a service", "POST", f"/api/v2/services/local/{CANARY}", "UnsupportedHTTPMethod", 405),
    ("broken escape", "GET", "/api/v2/services/local/%FF%FE", "InvalidParameter", 400),
    ("a key twice", "GET", "/api/v2/services?Filter=a&Filter=b", "InvalidParameter", 400),
    ("broken map", "GET", "/api/v2/services?Label=%7Bx", "InvalidParameter", 400),
    ("mistyped map", "GET", "/api/v2/services?Label=%5B1%5D", "InvalidParameter", 400),
    ("broken number", "GET", "/api/v2/services?PageSize=ten", "InvalidParameter", 400),
    ("broken boolean", "GET", f"/api/v2/services/local/{CANARY}/logs?Previous=maybe", "InvalidParameter", 400),
    ("NUL in the query", "GET", "/api/v2/services?Filter=a%00b", "InvalidParameter", 400),
    ("invalid UTF-8 in the query", "GET", "/api/v2/services?Filter=%FF", "InvalidParameter", 400),
]  # fmt: skip


@pytest.mark.parametrize(("method", "target", "code", "status"), [case[1:] for case in ROUTES], ids=[case[0] for case in ROUTES])  # fmt: skip
def test_a_broken_target_is_refused(
    platform: Platform, method: str, target: str, code: str, status: int
) -> None:
    rejected(platform, signed(platform, Request(method, target)), code, status)


NAMED = [
    ({"x-acs-action": "DeleteService"}, "InvalidAction.Mismatch"),
    ({"x-acs-version": "2019-01-01"}, "InvalidVersion"),
    ({"x-acs-date": "yesterday"}, "InvalidTimeStamp.Format"),
    ({"x-acs-content-sha256": hashlib.sha256(b"another").hexdigest()}, "SignatureDoesNotMatch"),
    ({"x-acs-security-token": "token", "x-acs-accesskey-id": "x"}, "InvalidSecurityToken.MismatchWithAccessKey"),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "code"), NAMED, ids=[case[1] for case in NAMED])
def test_a_wrong_header_is_refused(platform: Platform, headers: dict[str, str], code: str) -> None:
    rejected(platform, signed(platform, Request("POST", APPS, GOOD, headers)), code, 400)


def _header(request: Request, name: str, value: str | None) -> Request:
    kept = {key: text for key, text in request.headers.items() if key != name}
    return replace(request, headers=kept if value is None else {**kept, name: value})


def _authorization(request: Request, old: str, new: str) -> Request:
    return _header(request, "authorization", request.headers["authorization"].replace(old, new))


#: What may happen to a request on its way, after it was signed.
TAMPER: dict[str, Callable[[Request], Request]] = {
    "body": lambda it: replace(it, body=it.body.replace(b"bad_app", b"bad_ape")),
    "target": lambda it: replace(it, target=f"{it.target}?WorkspaceId=1"),
    "method": lambda it: replace(it, method="PUT", target=f"{APPS}/local/{CANARY}"),
    "signature": lambda it: _header(it, "authorization", it.headers["authorization"][:-4] + "0000"),
    "date": lambda it: _header(it, "x-acs-date", "2026-01-01T00:00:00Z"),
    "header": lambda it: _header(it, "x-acs-extra", "1"),
    "host": lambda it: _header(it, "host", "evil.example"),
    "authorization": lambda it: _header(it, "authorization", "ACS3-HMAC-SHA256 nonsense"),
    "scheme": lambda it: _authorization(it, "HMAC-SHA256", "HMAC-SM3"),
    "none": lambda it: _header(it, "authorization", None),
}
TAMPERED = [
    ("body", "SignatureDoesNotMatch"),
    ("target", "SignatureDoesNotMatch"),
    ("method", "SignatureDoesNotMatch"),
    ("signature", "SignatureDoesNotMatch"),
    ("host", "SignatureDoesNotMatch"),
    ("date", "InvalidTimeStamp.Expired"),
    ("header", "IncompleteSignature"),
    ("authorization", "IncompleteSignature"),
    ("scheme", "InvalidSignatureMethod"),
    ("none", "IncompleteSignature"),
]


@pytest.mark.parametrize(("change", "code"), TAMPERED)
def test_a_tampered_request_is_refused(platform: Platform, change: str, code: str) -> None:
    """Law: whatever is changed in a signed request, it is refused with the vendor's code (F26)."""
    request = signed(platform, Request("POST", APPS, GOOD))
    rejected(platform, TAMPER[change](request), code, 400)


@pytest.mark.parametrize("header", ["host", "content-type", "x-acs-date", "x-acs-signature-nonce"])
def test_an_unsigned_header_is_refused(platform: Platform, header: str) -> None:
    """Law: headers that must be signed are (F26)."""
    request = signed(platform, Request("POST", APPS, GOOD), leave_unsigned=header)
    rejected(platform, request, "IncompleteSignature", 400, header)


@pytest.mark.parametrize("age", [16 * 60, -16 * 60])
def test_a_request_of_another_time_is_refused(platform: Platform, age: float) -> None:
    """Law: a request of another time is refused, however well signed (F26)."""
    request = Request("POST", APPS, GOOD)
    rejected(platform, signed(platform, request, age=age), "InvalidTimeStamp.Expired", 400)
    rejected(platform, signed_roa(platform, request, age=age), "InvalidTimeStamp.Expired", 400)


def test_a_replayed_request_is_refused(platform: Platform) -> None:
    """Law: a request is good for once (F26)."""
    request = signed(platform, Request("GET", "/api/v2/services"))
    assert send(platform, request).status == 200
    rejected(platform, request, "SignatureNonceUsed", 400)
    old = signed_roa(platform, Request("GET", "/api/v2/services"))
    assert send(platform, old).status == 200
    rejected(platform, old, "SignatureNonceUsed", 400)


def test_a_forged_request_does_not_burn_the_nonce(platform: Platform) -> None:
    """Law: who cannot sign takes nobody's nonce (F26)."""
    request = signed(platform, Request("GET", "/api/v2/services"))
    forged = TAMPER["signature"](request)
    rejected(platform, forged, "SignatureDoesNotMatch", 400)
    assert send(platform, request).status == 200


def test_a_tampered_body_of_the_older_signature_is_refused(platform: Platform) -> None:
    """Law: a body that does not fit its digest is refused (F26)."""
    request = signed_roa(platform, Request("POST", APPS, GOOD))
    rejected(platform, TAMPER["body"](request), "ContentMD5NotMatched", 400)


def test_a_request_without_credentials_learns_nothing(platform: Platform) -> None:
    for target in (f"/api/v2/services/local/{CANARY}", "/api/v2/services/local/nobody"):
        bare = Request("GET", target, headers={"host": platform.address})
        rejected(platform, bare, "IncompleteSignature", 400)


def test_no_refusal_of_this_module_was_a_fault(platform: Platform) -> None:
    """The platform's own log holds no stack trace."""
    assert "Traceback" not in platform.log
    assert '"level": "error"' not in platform.log
