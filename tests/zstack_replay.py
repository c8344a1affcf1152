"""Requests that real ZStack clients sent, sent again; the answers must be such as they accepted.

Used against the app over in-memory handlers, and against a whole platform. The rules are those of
`howToReplay` in zstack_captures.json.
"""

import base64
import hmac
import http.client
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

CAPTURES: dict[str, Any] = json.loads(
    Path(__file__).with_name("zstack_captures.json").read_text(encoding="utf-8")
)
Json = dict[str, Any]
_UUID = re.compile(r"[0-9a-f]{32}")
_HEX = re.compile(r"/(?:[0-9a-f]{32})(?=[/?]|$)")
_NAME = re.compile(r"name%3D([a-z-]+)")
_CENTER_FIELDS = ("modelCenterUuid", "zoneUuid")


@dataclass
class Replay:
    """One client after the other against one server."""

    port: int
    mode: str  #: the server's `zstack.async`
    password: str  #: hex SHA-512
    key_id: str
    key_secret: str
    center: str
    zone: str
    host: str = "127.0.0.1"
    now: Callable[[], float] = time.time
    #: Capture id -> what is to be done before it.
    before: Mapping[str, Callable[["Replay"], None]] = field(
        default_factory=dict[str, Callable[["Replay"], None]]
    )
    deadline: float = 20.0  #: seconds for a job
    played: list[str] = field(default_factory=list[str])
    login: str = ""  #: of the last login
    template: str = ""  #: made last
    group: str = ""  #: made last
    _jobs: dict[str, str] = field(default_factory=dict[str, str])  #: by flow
    _named: dict[str, str] = field(default_factory=dict[str, str])  #: templates by name

    def fits(self, capture: Json) -> bool:
        """Is there something to be learned from this capture in this mode?"""
        return capture["serverMode"] in ("any", self.mode) or self.mode == "auto"

    def run(self, captures: list[Json]) -> None:
        """Play those that fit, in their order."""
        for capture in captures:
            if self.fits(capture):
                self.before.get(capture["id"], lambda _replay: None)(self)
                self.play(capture)
                self.played.append(capture["id"])

    def play(self, capture: Json) -> None:
        """One request, judged; a poll of a job that there is not is left out."""
        polls = "poll" in capture["situation"] or capture["situation"] == "rpc-result"
        if polls and capture["flow"] not in self._jobs:
            assert self.mode == "auto", capture["id"]
            return
        if "schema" in (capture["answer"]["body"] or {}):  # of a row, so there has to be one
            asked = _NAME.search(capture["request"]["target"])
            self.template_named(asked[1] if asked else "svc")
        request = self._prepared(capture)
        status, body = self.send(request)
        if polls and capture["answer"]["status"] == 200:
            status, body = self._ended(request, status, body)
        try:
            self._judge(capture, status, body, polls=polls)
        except AssertionError as error:
            raise AssertionError(f"{capture['id']}: {error}\n{status} {body}") from error
        self._remember(capture, request, body)

    # ---- sending

    def _prepared(self, capture: Json) -> Json:
        request: Json = json.loads(json.dumps(capture["request"]))
        headers: dict[str, str] = request["headers"]
        for name in list(headers):
            if name.lower() == "x-job-uuid":
                headers[name] = uuid4().hex
        for place in capture.get("substitute", ()):
            self._substitute(capture, request, place.split("."))
        if capture["situation"] in ("add-model-service", "rpc-async", "access-key-async"):
            self._new_uuid(request)
        if "stringToSign" in capture:
            self._sign(request)
        return request

    def _substitute(self, capture: Json, request: Json, place: list[str]) -> None:
        if place[1] == "target":
            flow = capture.get("flow", "")
            request["target"] = _HEX.sub(
                f"/{self._in_target(request['target'], flow)}", request["target"], count=1
            )
            return
        at: Any = request
        for step in place[1:-1]:
            at = at[next(iter(at)) if step == "*" else step]
        name = place[-1]
        if name == "Authorization":
            at[name] = f"OAuth {self.any_login()}"
        elif name == "password":
            at[name] = self.password
        elif name in _CENTER_FIELDS:
            at[name] = self.center if name == "modelCenterUuid" else self.zone
        else:
            assert name in ("uuid", "sessionUuid"), place
            at[name] = self.any_login()

    def _in_target(self, target: str, flow: str) -> str:
        if "/api-jobs/" in target or "/api/result/" in target:
            return self._jobs[flow]
        if "/accounts/sessions/" in target:
            return self.any_login()
        return self.any_template()

    def _new_uuid(self, request: Json) -> None:
        """The recorded one would be taken by the second client that sends it."""
        (inside,) = request["body"].values()
        if "resourceUuid" in inside:
            inside["resourceUuid"] = uuid4().hex

    def _sign(self, request: Json) -> None:
        date = time.strftime("%a, %d %b %Y %H:%M:%S Etc/UTC", time.gmtime(self.now()))
        path = request["target"].removeprefix("/zstack").partition("?")[0]
        text = f"{request['method']}\n{date}\n{path}"
        request["headers"]["date"] = date
        request["headers"]["Authorization"] = signature(self.key_id, self.key_secret, text)

    def send(self, request: Json) -> tuple[int, Any]:
        """The status and the body, as JSON where it is that."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=30)
        try:
            body = request.get("body")
            content = None if body is None else json.dumps(body)
            connection.request(request["method"], request["target"], content, request["headers"])
            answer = connection.getresponse()
            text = answer.read().decode()
            kind = answer.headers.get("content-type", "")
            return answer.status, json.loads(text) if kind.startswith("application/json") else text
        finally:
            connection.close()

    def _ended(self, request: Json, status: int, body: Any) -> tuple[int, Any]:
        """Polls on until the job has its answer."""
        end = time.monotonic() + self.deadline
        while status == 202 or (status == 200 and body.get("state") == "Processing"):
            assert time.monotonic() < end, f"the job did not end: {request['target']}"
            time.sleep(0.05)
            status, body = self.send(request)
        return status, body

    # ---- state

    def any_login(self) -> str:
        """A login that works: the last one, or a new one."""
        if not self.login:
            body = {"logInByAccount": {"accountName": "admin", "password": self.password}}
            request = {"method": "PUT", "target": "/zstack/v1/accounts/login", "body": body}
            status, answer = self.send({**request, "headers": {}})
            assert status == 200, answer
            self.login = answer["inventory"]["uuid"]
        return self.login

    def any_template(self) -> str:
        """A template that is there: the last one, or a new one."""
        return self.template or self.template_named("svc-replay")

    def template_named(self, name: str) -> str:
        """A template of this name; made unless there is one."""
        if name not in self._named:
            made = {
                **{"name": name, "yaml": "services: []", "requestCpu": 1},
                **{"requestMemory": 1024, "modelCenterUuid": self.center},
                **{"installPath": "/m", "startCommand": "sleep 600"},
            }
            headers = {"Authorization": f"OAuth {self.any_login()}"}
            request = {"method": "POST", "target": "/zstack/v1/ai/model-services"}
            status, answer = self.send({**request, "body": {"param": made}, "headers": headers})
            if status == 202:
                target = "/zstack" + answer["location"].partition("/zstack")[2]
                poll: Json = {"method": "GET", "target": target, "headers": {}}
                status, answer = self._ended(poll, *self.send(poll))
            assert status == 200, answer
            self._made(answer["inventory"])
        return self._named[name]

    def _made(self, template: Json) -> None:
        self.template = self._named[template["name"]] = template["uuid"]

    def _remember(self, capture: Json, request: Json, body: Any) -> None:
        self._remember_job(capture, request, body)
        situation = capture["situation"]
        result = json.loads(body["result"]) if "result" in body else {"": body}
        inventory = next(iter(result.values())).get("inventory") or {}
        if situation in ("login", "rpc-login"):
            self.login = inventory["uuid"]
        elif situation in ("logout", "rpc-logout"):
            self.login = ""
        elif situation == "delete-model-service":
            self._named = {
                name: uuid for name, uuid in self._named.items() if uuid != self.template
            }
            self.template = ""
        elif "startCommand" in inventory:
            self._made(inventory)
        elif "modelServiceType" in inventory:
            self.group = inventory["uuid"]

    def _remember_job(self, capture: Json, request: Json, body: Any) -> None:
        if "location" in body:
            self._jobs[capture["flow"]] = body["location"].rpartition("/")[2]
        elif body.get("state") == "Processing" and "flow" in capture:
            self._jobs[capture["flow"]] = body["uuid"]
        elif capture["situation"] == "add-model-service" and "flow" in capture:
            headers = {name.lower(): value for name, value in request["headers"].items()}
            self._jobs[capture["flow"]] = headers["x-job-uuid"]

    # ---- judging

    def _judge(self, capture: Json, status: int, body: Any, *, polls: bool) -> None:
        expected = capture["answer"]
        exact = capture["serverMode"] in ("any", self.mode)
        if polls and expected["status"] == 202:
            assert status in (200, 202), "a poll answers 202, or 200 at once"
            return
        legal = [expected["status"]] if exact or polls else capture["autoStatus"]
        assert status in legal, f"status {status} is not in {legal}"
        if status == expected["status"] and (exact or polls):
            _covers(body, expected["body"])
        if status == 202:
            assert set(body) == {"location", "apiTimeout"}
            assert "/zstack/v1/api-jobs/" in body["location"]


def _covers(body: Json, expected: Json) -> None:
    """Every key of the recorded answer is there, errors have their code, results their one key."""
    missing = set(expected) - set(body)
    assert not missing, f"missing: {missing}"
    assert ("error" in expected) or not body.get("error")
    if expected.get("error"):
        assert body["error"]["code"] == expected["error"]["code"]
    if "schema" in expected:
        assert expected["schema"].items() <= body["schema"].items()
    if "result" in expected:
        assert "error" not in body, "a published client raises on a top-level error"
        assert body["state"] == "Done"
        _covers_result(json.loads(body["result"]), json.loads(expected["result"]))
    for name in ("inventory", "inventories"):
        if name in expected:
            _shaped(body[name], expected[name])


def _covers_result(result: Json, expected: Json) -> None:
    assert list(result) == list(expected)
    ((inside,), (wanted,)) = (result.values(), expected.values())
    assert set(wanted) <= set(inside), f"missing: {set(wanted) - set(inside)}"
    assert inside["success"] is wanted.get("success", True)
    if not inside["success"]:
        assert inside["error"]["code"] == wanted["error"]["code"]


def _shaped(given: Any, recorded: Any) -> None:
    """Same kind; an inventory has a uuid of the right shape."""
    assert isinstance(given, type(recorded))
    for item in given if isinstance(given, list) else [given]:
        assert _UUID.fullmatch(item["uuid"])


def signature(key_id: str, secret: str, text: str) -> str:
    """The Authorization header of an access key."""
    digest = hmac.digest(secret.encode(), text.encode(), "sha1")
    return f"ZStack {key_id}:{base64.b64encode(digest).decode()}"
