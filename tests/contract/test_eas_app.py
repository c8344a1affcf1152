"""The EAS app as clients meet it: order of the checks, envelopes, hostile input, and a real port."""

import asyncio
import hashlib
import http.client
import json
import time
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
import structlog
from on_port import Parser, on_port

from pierhead.core import errors as core
from pierhead.core.permits import Deed, Target
from pierhead.core.principals import AccessKey, BearerToken, Principal
from pierhead.dialects.eas.app import Call, Doors, EasApp, Limits
from pierhead.dialects.eas.catalog import Operation, load
from pierhead.dialects.eas.errors import CODES
from pierhead.dialects.signing import sign

NOW = 1_795_289_242.0
OWNER = Principal("1234567890123456", "1234567890123456")
STRANGER = Principal("9999999999999999", "9999999999999999", kind="user")
KEY = AccessKey("AKTEST", "secret", OWNER)
KEYS = {
    "AKTEST": KEY,
    "AKOTHER": AccessKey("AKOTHER", "secret2", STRANGER),
    "AKOFF": AccessKey("AKOFF", "secret3", OWNER, active=False),
    "AKSTS": AccessKey("AKSTS", "secret4", OWNER, session_token="TOKEN", expires=NOW + 100),
}
TOKENS = {"t0ken": BearerToken("", OWNER), "old": BearerToken("", OWNER, expires=NOW - 1)}
CATALOG = load()
LIMITS = Limits()
SERVICE = "/api/v2/services/local/foo"
APP = {"ServiceName": "foo", "AppType": "LLM", "ServiceSpec": "llama_7b_fp16", "Replicas": 1}


@dataclass
class World:
    """Doors of a small world, and what was seen through them."""

    calls: list[Call] = field(default_factory=list)
    asked: list[Deed] = field(default_factory=list)
    nonces: set[tuple[str, str]] = field(default_factory=set)
    fails: Exception | None = None
    counter: int = 0

    async def find_key(self, key: str) -> AccessKey | None:
        return KEYS.get(key)

    async def find_bearer(self, token: str) -> BearerToken | None:
        return TOKENS.get(token)

    async def record_nonce(self, key: str, nonce: str, expires: float) -> bool:
        assert expires == NOW + 1800
        fresh = (key, nonce) not in self.nonces
        self.nonces.add((key, nonce))
        return fresh

    async def authorize(self, principal: Principal, deed: Deed) -> Principal:
        self.asked.append(deed)
        if principal.account != OWNER.account:
            raise core.Forbidden(deed.actions[0], deed.targets[0].told[1])
        return principal

    def entropy(self, count: int) -> bytes:
        self.counter += 1
        return self.counter.to_bytes(count, "big")

    async def handle(self, call: Call) -> dict[str, Any]:
        self.calls.append(call)
        if self.fails is not None:
            raise self.fails
        return {"Operation": call.operation.id, "Name": "中文"}

    def app(self, limits: Limits = LIMITS, clock: Any = lambda: NOW) -> EasApp:
        doors = Doors(
            find_key=self.find_key,
            find_bearer=self.find_bearer,
            record_nonce=self.record_nonce,
            authorize=self.authorize,
            clock=clock,
            entropy=self.entropy,
            region="local",
        )
        handlers = {one.id: self.handle for one in CATALOG.operations if one.tier == "1"}
        return EasApp(doors, handlers, limits)


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def code(self) -> str:
        return self.body.get("Code", "")


@dataclass
class Request:
    """A request before it is signed; `tamper` edits what is sent after that."""

    method: str = "GET"
    target: str = SERVICE
    body: bytes = b""
    key: AccessKey = KEY
    headers: dict[str, str] = field(default_factory=dict)
    date: float = NOW
    nonce: str = ""
    sent: dict[str, str | None] = field(default_factory=dict)  #: headers changed after signing
    sent_body: bytes | None = None

    def signed(self) -> list[tuple[str, str]]:
        path, _, query = self.target.partition("?")
        pairs = dict(part.partition("=")[::2] for part in query.split("&")) if query else {}
        assert "%" not in query, "the signer encodes; send such targets by bearer token"
        given = {"host": "127.0.0.1:1", **self.headers}
        if self.body:
            given.setdefault("content-type", "application/json")
        nonce = self.nonce or f"n{time.monotonic_ns()}"
        headers = sign.sign_v3(
            self.method, path, pairs, given, self.body, self.key, date=self.date, nonce=nonce
        )
        for name, value in self.sent.items():
            headers.pop(name, None)
            if value is not None:
                headers[name] = value
        return list(headers.items())


def send(world: World, request: Request, limits: Limits = LIMITS) -> Answer:
    return asyncio.run(exchange(world.app(limits), request))


async def exchange(app: EasApp, request: Request) -> Answer:
    body = request.body if request.sent_body is None else request.sent_body
    return await ask(app, request.method, request.target, request.signed(), body)


async def ask(
    app: EasApp, method: str, target: str, headers: list[tuple[str, str]], body: bytes
) -> Answer:
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "scheme": "http",
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers],
    }
    half = len(body) // 2
    chunks = [body[:half], body[half:]]
    messages: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": chunks.pop(0), "more_body": bool(chunks)}

    async def put(message: Any) -> None:
        messages.append(message)

    await app(scope, receive, put)
    start, content = messages
    return Answer(
        start["status"],
        {name.decode(): value.decode() for name, value in start["headers"]},
        json.loads(content["body"]),
    )


def bearer(
    target: str, body: bytes = b"", method: str = "GET", **change: str
) -> list[tuple[str, str]]:
    """Headers of a bearer request: any target and body can be sent without signing them."""
    headers = {
        "host": "127.0.0.1:1",
        "content-type": "application/json",
        "x-acs-bearer-token": "t0ken",
        "x-acs-signature-type": "BEARERTOKEN",
        "x-acs-date": "2026-11-21T19:27:22Z",
        "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
    }
    headers |= {name.replace("_", "-"): value for name, value in change.items()}
    return [(name, value) for name, value in headers.items() if value]


def send_bearer(world: World, method: str, target: str, body: bytes = b"", **change: str) -> Answer:
    return asyncio.run(ask(world.app(), method, target, bearer(target, body, **change), body))


def test_the_clock_of_these_tests() -> None:
    assert time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(NOW)) == "2026-11-21T19:27:22Z"


# --- answers ----------------------------------------------------------------------------------


def test_an_answer() -> None:
    world = World()
    answer = send(world, Request(target=f"{SERVICE}/logs?Keyword=x&Previous=True"))
    assert answer.status == 200
    assert answer.body["Operation"] == "DescribeServiceLog"
    assert answer.body["Name"] == "中文"
    assert answer.headers["content-type"] == "application/json;charset=utf-8"
    assert answer.headers["x-acs-request-id"] == answer.body["RequestId"]
    assert answer.body["RequestId"] == answer.body["RequestId"].upper()
    assert len(answer.body["RequestId"]) == 36
    (call,) = world.calls
    assert call.query == {"Keyword": "x", "Previous": True, "PageNum": 1, "PageSize": 500}
    assert call.path == {"ClusterId": "local", "ServiceName": "foo"}
    assert (call.principal, call.base_url) == (OWNER, "http://127.0.0.1:1")
    assert call.request_id == answer.body["RequestId"]


def concrete(operation: Operation, region: str = "local") -> str:
    path = operation.path.replace("{ClusterId}", region)
    for name in operation.path_params:
        path = path.replace(f"{{{name}}}", "foo")
    return path


@pytest.mark.parametrize("operation", CATALOG.operations, ids=lambda one: one.id)
def test_every_operation_is_authenticated_and_authorized(operation: Operation) -> None:
    world = World()
    target = concrete(operation)
    nobody = asyncio.run(ask(world.app(), operation.method, target, [("host", "h")], b""))
    assert (nobody.status, nobody.code) == (400, "IncompleteSignature")
    denied = send(world, Request(operation.method, target, key=KEYS["AKOTHER"]))
    assert (denied.status, denied.code) == (403, "Forbidden.RAM")
    assert denied.body["AccessDeniedDetail"] == {
        "PolicyType": "AccountLevelIdentityBasedPolicy",
        "AuthAction": operation.ram.action,
        "AuthPrincipalType": "SubUser",
        "AuthPrincipalOwnerId": STRANGER.account,
        "AuthPrincipalDisplayName": STRANGER.id,
        "NoPermissionType": "ImplicitDeny",
    }
    assert world.calls == []


@pytest.mark.parametrize(
    "operation", [one for one in CATALOG.operations if one.unsupported], ids=lambda one: one.id
)
def test_what_is_not_there_says_why(operation: Operation) -> None:
    answer = send_bearer(
        World(),
        operation.method,
        concrete(operation) + needed_query(operation),
        needed_body(operation),
    )
    assert (answer.status, answer.code) == (400, "UnsupportedOperation")
    assert operation.unsupported in answer.body["Message"]
    assert answer.body["Message"].startswith(f"{operation.id} is not supported: ")


def needed_query(operation: Operation) -> str:
    parts = [
        f"{item.name}={'[]' if item.type == 'array' else 'x'}"
        for item in operation.query
        if item.required
    ]
    return "?" + "&".join(parts) if parts and operation.tier != "3" else ""


def needed_body(operation: Operation) -> bytes:
    return (
        b""
        if operation.body is None or operation.tier == "3"
        else json.dumps(example(operation.body.fields)).encode()
    )


def example(fields: Any) -> dict[str, Any]:
    def value(item: Any) -> Any:
        if item.values:
            return item.values[0]
        if item.type in {"object", "map"}:
            return example(item.fields)
        plain = {"integer": int(item.minimum or 1), "number": 1.5, "boolean": True, "array": []}
        return plain.get(item.type, "x")

    return {item.name: value(item) for item in fields if item.required}


def test_values_are_checked_before_a_later_release_is_named() -> None:
    answer = send_bearer(World(), "PUT", f"{SERVICE}/lock", b'{"Lock":"maybe"}')
    assert answer.code == "InvalidParameter"
    assert "all, dangerous, none" in answer.body["Message"]


def test_a_policy_is_asked_for_the_action_and_the_object() -> None:
    world = World()
    send(world, Request())
    send(world, Request(target=f"{SERVICE}/endpoints"))
    send(world, Request(target="/api/v2/services"))
    send(world, Request("POST", "/api/v2/app_services?WorkspaceId=w1", json.dumps(APP).encode()))
    send(world, Request(target="/api/v2/services/local/%E7%BB%84%2Ffoo"))
    whole, groups = ("eas", "*"), ("zstack", "ModelServiceInstanceGroupVO/*")
    lists = ("eas:ListServices", "eas:DescribeService", "zstack:QueryModelServiceInstanceGroup")
    assert [(deed.actions, deed.targets) for deed in world.asked] == [
        (("eas:DescribeService",), (Target(("eas", "service/foo"), service="foo"),)),
        (
            ("eas:DescribeServiceEndpoints",),
            (Target(("eas", "service/foo"), (whole,), service="foo"),),
        ),
        (
            ("eas:ListServices",),
            (Target(("eas", "service/*"), (groups,), lists=("eas:ListServices", *lists)),),
        ),
        (("eas:CreateAppService",), (Target(whole, workspace="w1", makes=True),)),
        (("eas:DescribeService",), (Target(("eas", "service/组/foo"), service="组/foo"),)),
    ]
    assert {key for deed in world.asked for key in deed.circumstances} >= {
        "acs:CurrentTime",
        "acs:SecureTransport",
    }


def test_where_a_creation_goes_is_asked_before_its_values_are_told() -> None:
    """The workspace is the one that is created into, whichever way it is named; bad values wait."""
    world = World()
    document = {"metadata": {"name": "foo", "workspace_id": "inner"}, "containers": [{}]}
    for target in ("/api/v2/services", "/api/v2/services?WorkspaceId=outer"):
        send(world, Request("POST", target, json.dumps(document).encode()))
    send(world, Request("POST", "/api/v2/services", b"{no json", key=KEYS["AKOTHER"]))
    assert [deed.targets[0].workspace for deed in world.asked] == ["inner", "outer", ""]
    refused = send(world, Request("POST", "/api/v2/services", b"{no json", key=KEYS["AKOTHER"]))
    assert refused.code == "Forbidden.RAM"


# --- refusals, one table ----------------------------------------------------------------------

BIG = Request("POST", "/api/v2/services", b"x" * 2_000_000)
#: (request, status, code, a word of the message)
BAD: dict[str, tuple[Request, int, str, str]] = {
    "unknown path": (
        Request(target="/api/v2/nothing"),
        404,
        "InvalidAction.NotFound",
        "url and method",
    ),
    "root": (Request(target="/"), 404, "InvalidAction.NotFound", "not found"),
    "other version": (Request(target="/api/v1/services"), 404, "InvalidAction.NotFound", ""),
    "empty name": (
        Request(target="/api/v2/services/local//stop"),
        404,
        "InvalidAction.NotFound",
        "",
    ),
    "other method": (Request("PATCH"), 405, "UnsupportedHTTPMethod", "DELETE, GET, PUT"),
    "head": (Request("HEAD"), 405, "UnsupportedHTTPMethod", ""),
    "options": (Request("OPTIONS"), 405, "UnsupportedHTTPMethod", ""),
    "NUL in a name": (
        Request(target="/api/v2/services/local/a%00b"),
        400,
        "InvalidParameter",
        "ServiceName",
    ),
    "name not UTF-8": (
        Request(target="/api/v2/services/local/%FF"),
        400,
        "InvalidParameter",
        "ServiceName",
    ),
    "other action": (
        Request(headers={"x-acs-action": "DeleteService"}),
        400,
        "InvalidAction.Mismatch",
        "DescribeService",
    ),
    "other api version": (
        Request(headers={"x-acs-version": "2020-01-01"}),
        400,
        "InvalidVersion",
        "2021-07-01",
    ),
    "too large": (BIG, 413, "RequestEntityTooLarge", "1048576"),
    "unknown key": (
        Request(key=replace(KEY, id="nobody")),
        404,
        "InvalidAccessKeyId.NotFound",
        "not found",
    ),
    "key switched off": (Request(key=KEYS["AKOFF"]), 404, "InvalidAccessKeyId.Inactive", ""),
    "wrong secret": (Request(key=replace(KEY, secret="no")), 400, "SignatureDoesNotMatch", "is:"),
    "no token": (
        Request(key=replace(KEYS["AKSTS"], session_token="")),
        400,
        "MissingSecurityToken",
        "",
    ),
    "other token": (
        Request(key=replace(KEYS["AKSTS"], session_token="X")),
        400,
        "InvalidSecurityToken.MismatchWithAccessKey",
        "",
    ),
    "token for a permanent key": (
        Request(key=replace(KEY, session_token="X")),
        400,
        "InvalidSecurityToken.MismatchWithAccessKey",
        "",
    ),
    "too old": (Request(date=NOW - 901), 400, "InvalidTimeStamp.Expired", "901 s behind"),
    "too new": (Request(date=NOW + 901), 400, "InvalidTimeStamp.Expired", "901 s ahead of"),
    "no date": (Request(sent={"x-acs-date": "soon"}), 400, "InvalidTimeStamp.Format", "soon"),
    "no nonce": (
        Request(sent={"x-acs-signature-nonce": None}),
        400,
        "IncompleteSignature",
        "nonce",
    ),
    "long nonce": (Request(nonce="n" * 300), 400, "IncompleteSignature", "nonce"),
    "other host": (Request(sent={"host": "evil"}), 400, "SignatureDoesNotMatch", "host"),
    "no host": (Request(sent={"host": None}), 400, "IncompleteSignature", "Host"),
    "unsigned header": (
        Request(sent={"x-acs-extra": "1"}),
        400,
        "IncompleteSignature",
        "x-acs-extra",
    ),
    "unsigned type": (
        Request(sent={"content-type": "a/b"}),
        400,
        "IncompleteSignature",
        "content-type",
    ),
    "no credentials": (
        Request(sent={"authorization": None}),
        400,
        "IncompleteSignature",
        "credentials",
    ),
    "basic": (
        Request(sent={"authorization": "Basic eDp5"}),
        400,
        "InvalidSignatureMethod",
        "Basic",
    ),
    "half a signature": (
        Request(sent={"authorization": "ACS3-HMAC-SHA256 Credential=x"}),
        400,
        "IncompleteSignature",
        "Signature",
    ),
    "id token": (
        Request(headers={"x-acs-zero-trust-idtoken": "x"}),
        400,
        "InvalidSignatureMethod",
        "idtoken",
    ),
    "other body": (
        Request("POST", "/api/v2/services", b"{}", sent_body=b'{"a":1}'),
        400,
        "SignatureDoesNotMatch",
        "x-acs-content-sha256",
    ),
    "body where none was": (
        Request(sent_body=b"x"),
        400,
        "SignatureDoesNotMatch",
        "x-acs-content-sha256",
    ),
    "page size": (
        Request(target="/api/v2/services?PageSize=x"),
        400,
        "InvalidParameter",
        "PageSize",
    ),
    "page number": (
        Request(target="/api/v2/services?PageNumber=0"),
        400,
        "InvalidParameter",
        "PageNumber",
    ),
    "order": (Request(target="/api/v2/services?Order=up"), 400, "InvalidParameter", "asc, desc"),
    "boolean": (
        Request(target=f"{SERVICE}/logs?Previous=maybe"),
        400,
        "InvalidParameter",
        "Previous",
    ),
    "other region": (
        Request(target="/api/v2/services/cn-shanghai/foo"),
        404,
        "InvalidService.NotFound",
        "this platform is the region [local]",
    ),
}
for _name, _content, _word in (
    ("empty body", b"", "AppType"),
    ("no name", json.dumps({**APP, "ServiceName": None}).encode(), "ServiceName"),
):
    BAD[_name] = (Request("POST", "/api/v2/app_services", _content), 400, "MissingParameter", _word)
for _name, _content, _word in (
    ("replicas as text", json.dumps({**APP, "Replicas": "1"}).encode(), "Replicas"),
    ("replicas not whole", json.dumps({**APP, "Replicas": 1.5}).encode(), "Replicas"),
    ("no replicas", json.dumps({**APP, "Replicas": 0}).encode(), "Replicas"),
    ("replicas boolean", json.dumps({**APP, "Replicas": True}).encode(), "Replicas"),
    ("app type", json.dumps({**APP, "AppType": "CV"}).encode(), "LLM"),
    ("config as list", json.dumps({**APP, "Config": []}).encode(), "Config"),
    ("not JSON", b"{", "body"),
    ("not an object", b"[]", "body"),
    ("not UTF-8", b'{"a":"\xff"}', "UTF-8"),
    ("deep", b'{"a":' * 100 + b"1" + b"}" * 100, "64"),
    ("very deep", b"[" * 100_000, "64"),
    ("NaN", b'{"Replicas":NaN}', "NaN"),
    ("huge number", b'{"Replicas":' + b"9" * 10_000 + b"}", "too large"),
    ("key twice", b'{"a":1,"a":2}', "more than once"),
    ("half a pair", b'{"a":"\\ud800"}', "body"),
    ("NUL", b'{"a":"\\u0000"}', "NUL"),
):
    BAD[_name] = (Request("POST", "/api/v2/app_services", _content), 400, "InvalidParameter", _word)


@pytest.mark.parametrize("name", BAD)
def test_bad_requests(name: str) -> None:
    request, status, code, word = BAD[name]
    world = World()
    began = time.process_time()
    answer = send(world, request)
    assert (answer.status, answer.code) == (status, code), answer.body
    assert word in answer.body["Message"]
    assert time.process_time() - began < 1.0
    assert world.calls == []
    assert set(answer.body) == {"RequestId", "HostId", "Code", "Message", "Recommend"}
    assert answer.body["HostId"] == (request.sent.get("host", "127.0.0.1:1") or "")
    assert (
        answer.body["Recommend"] == f"docs/reference/eas-errors.md#{code.lower().replace('.', '')}"
    )
    assert answer.headers["x-acs-request-id"] == answer.body["RequestId"]
    assert CODES[code][0] == status
    assert ("allow" in answer.headers) == (status == 405)


def test_there_are_enough_of_them() -> None:
    assert len(BAD) >= 40


@pytest.mark.parametrize(
    ("target", "field"),
    [
        ("/api/v2/services?Filter=a&Filter=b", "Filter"),
        ("/api/v2/services?Filter=%FF", "Filter"),
        ("/api/v2/services?Filter=a%00", "Filter"),
        ("/api/v2/services?Label=%7B", "Label"),
        ("/api/v2/services?Label=%7B%22a%22%3A1%7D", "Label"),
        ("/api/v2/services?ServiceStatus=Dancing", "ServiceStatus"),
    ],
)
def test_bad_queries(target: str, field: str) -> None:
    answer = send_bearer(World(), "GET", target)
    assert (answer.status, answer.code) == (400, "InvalidParameter")
    assert field in answer.body["Message"]


def test_a_replay() -> None:
    world = World()
    request = Request(nonce="once")
    assert send(world, request).status == 200
    answer = send(world, request)
    assert (answer.status, answer.code) == (400, "SignatureNonceUsed")


def test_a_nonce_is_burnt_only_by_who_signed_it() -> None:
    world = World()
    for broken in (
        Request(nonce="mine", key=replace(KEY, secret="no")),
        Request(nonce="mine", date=NOW - 1000),
        Request("POST", "/api/v2/services", b"{}", nonce="mine", sent_body=b"{} "),
    ):
        assert send(world, broken).status == 400
    assert world.nonces == set()
    assert send(world, Request(nonce="mine")).status == 200


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({}, 200, ""),
        ({"x_acs_signature_nonce": "n"}, 200, ""),
        ({"x_acs_bearer_token": "unknown"}, 401, "InvalidBearerToken"),
        ({"x_acs_bearer_token": "old"}, 401, "InvalidBearerToken"),
        ({"x_acs_signature_type": "OTHER"}, 400, "InvalidSignatureMethod"),
        ({"x_acs_signature_type": ""}, 400, "IncompleteSignature"),
        ({"x_acs_date": ""}, 400, "IncompleteSignature"),
        ({"x_acs_date": "2026-11-21T19:11:22Z"}, 400, "InvalidTimeStamp.Expired"),
        ({"x_acs_content_sha256": "0" * 64}, 400, "SignatureDoesNotMatch"),
        ({"x_acs_content_sha256": ""}, 400, "IncompleteSignature"),
    ],
)
def test_bearer_tokens(change: dict[str, str], status: int, code: str) -> None:
    world = World()
    for _ in range(2):  # no nonce is asked for, so the same request may come again
        answer = send_bearer(world, "GET", SERVICE, **change)
        assert (answer.status, answer.code) == (status, code)
    assert world.nonces == set()


# --- what handlers raise ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (core.NotFound("service", "foo"), 404, "InvalidService.NotFound"),
        (core.NotFound("benchmark task", "b"), 404, "InvalidBenchmarkTask.NotFound"),
        (core.NotFound("replica", "r"), 404, "InvalidInstance.NotFound"),
        (core.NotFound("template", "t"), 400, "InvalidParameter"),
        (core.Conflict("service", "foo", "already exists"), 409, "InvalidService.Conflict"),
        (core.Stale("raced"), 409, "InvalidService.Conflict"),
        (core.Unsupported("autoscaler", "why"), 400, "UnsupportedOperation"),
        (core.Missing("X"), 400, "MissingParameter"),
        (core.Invalid("X", "bad"), 400, "InvalidParameter"),
        (core.OverQuota("no more"), 400, "QuotaExceeded"),
        (core.Forbidden("eas:X", "*", explicit=True), 403, "Forbidden.RAM"),
        (core.Unavailable("The database", "is away"), 503, "ServiceUnavailable"),
    ],
)
def test_core_errors_have_their_code(error: Exception, status: int, code: str) -> None:
    answer = send(World(fails=error), Request())
    assert (answer.status, answer.code) == (status, code)
    assert answer.body["Message"] == str(error)
    assert ("retry-after" in answer.headers) == (status == 503)
    assert "x-acs-retry-after" not in answer.headers
    if status == 403:
        assert answer.body["AccessDeniedDetail"]["NoPermissionType"] == "ExplicitDeny"


@pytest.mark.parametrize(
    "error", [RuntimeError("s3cret detail"), KeyError("s3cret"), core.PierheadError("s3cret")]
)
def test_a_fault_tells_no_details(error: Exception) -> None:
    with structlog.testing.capture_logs() as logs:
        answer = send(World(fails=error), Request())
    assert (answer.status, answer.code) == (500, "InternalError")
    assert "s3cret" not in json.dumps(answer.body)
    if not isinstance(error, core.PierheadError):
        entry, line = logs
        assert (line["event"], line["code"]) == ("call", "InternalError")
        assert line["request_id"] == entry["request_id"]
        assert entry["request_id"] == answer.body["RequestId"]
        assert (entry["operation"], entry["log_level"], entry["exc_info"]) == (
            "DescribeService",
            "error",
            True,
        )


def test_a_text_that_utf8_cannot_hold_still_gets_an_answer() -> None:
    answer = send(World(fails=core.Invalid("X", "\ud800")), Request())
    assert answer.code == "InvalidParameter"


def test_handlers_must_be_of_known_operations() -> None:
    world = World()
    doors = cast(Any, world.app())._doors
    with pytest.raises(ValueError, match="MakeCoffee"):
        EasApp(doors, {"MakeCoffee": world.handle})


# --- bodies -----------------------------------------------------------------------------------


def test_a_client_that_leaves_gets_nothing() -> None:
    world = World()
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def put(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "raw_path": SERVICE.encode(),
        "query_string": b"",
        "headers": [],
    }
    asyncio.run(world.app()(scope, receive, put))
    assert sent == []
    assert world.asked == []


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_never_ends_is_read_for_a_bounded_time(declared: bool) -> None:
    world = World()
    limits = Limits(body=10, drain=1000, drain_seconds=5.0)
    sent: list[Any] = []
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 100
        return {"type": "http.request", "body": b"x" * 100, "more_body": True}

    async def put(message: Any) -> None:
        sent.append(message)

    headers = [(b"host", b"h"), *([(b"content-length", b"99999999")] if declared else [])]
    scope = {
        "type": "http",
        "method": "GET",
        "raw_path": SERVICE.encode(),
        "query_string": b"",
        "headers": headers,
    }
    asyncio.run(world.app(limits)(scope, receive, put))
    assert sent[0]["status"] == 413
    assert (b"connection", b"close") in sent[0]["headers"]
    assert 900 <= read <= 1300


def test_a_client_that_waits_for_100_is_refused_at_once() -> None:
    world = World()
    headers = [("host", "h"), ("expect", "100-continue"), ("content-length", "9999999999")]
    answer = asyncio.run(asyncio.wait_for(ask(world.app(), "GET", SERVICE, headers, b""), 5))
    assert answer.code == "RequestEntityTooLarge"
    assert answer.headers["connection"] == "close"


def test_a_body_that_does_not_come() -> None:
    world = World()
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def put(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "raw_path": SERVICE.encode(),
        "query_string": b"",
        "headers": [],
    }
    asyncio.run(asyncio.wait_for(world.app(Limits(body_seconds=0.05))(scope, receive, put), 5))
    assert sent[0]["status"] == 408


# --- on a real port, under both HTTP parsers --------------------------------------------------


@pytest.mark.parametrize("parser", ["httptools", "h11"])
def test_on_a_real_port(parser: Parser) -> None:
    world = World()
    with on_port(world.app(clock=lambda: NOW), parser) as port:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        host = f"127.0.0.1:{port}"

        def call(
            request: Request, content: Any = None, *, chunked: bool = False
        ) -> tuple[int, Any]:
            request.headers["host"] = host
            headers = dict(request.signed())
            connection.request(
                request.method,
                request.target,
                body=content if content is not None else request.body or None,
                headers=headers,
                encode_chunked=chunked,
            )
            answer = connection.getresponse()
            assert answer.getheader("content-type") == "application/json;charset=utf-8"
            return answer.status, json.loads(answer.read())

        path = "/api/v2/services/local/%E7%BB%84%2Ffoo%20bar~%2A/stop"
        assert call(Request("PUT", path))[0] == 200
        assert world.calls[-1].path["ServiceName"] == "组/foo bar~*"
        body = json.dumps({"metadata": {"name": "foo"}}).encode()
        chunked = Request(
            "POST", "/api/v2/services", body, headers={"transfer-encoding": "chunked"}
        )
        assert call(chunked, iter([body[:5], body[5:]]), chunked=True)[0] == 200
        assert world.calls[-1].body == {"metadata": {"name": "foo"}}
        assert call(Request(target="/nothing"))[1]["Code"] == "InvalidAction.NotFound"
        large = Request("POST", "/api/v2/services", b"x" * 10_000_000)
        status, refused = call(large)
        assert (status, refused["Code"]) == (413, "RequestEntityTooLarge")
        assert call(Request())[0] == 200, "the connection lives on after a refused body"
        connection.close()
