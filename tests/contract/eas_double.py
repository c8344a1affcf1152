"""A double of a hub's EAS API for CLI tests: the wire's shapes, real signature checks, no engine."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from pierhead.core.principals import AccessKey, Principal
from pierhead.dialects.signing.sign import verify
from pierhead.dialects.signing.signed_request import Options, SignedRequest

KEY = AccessKey(id="LTAI5tDouble", secret="DoubleSecret", principal=Principal("1" * 16, "1" * 16))
CREATED = "2026-11-21T12:00:00Z"

Json = dict[str, Any]


@dataclass
class EasDouble:
    """Services by name, and every request that came."""

    services: dict[str, Json] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    #: (method, path without region and name) -> answer; goes before everything else.
    answers: dict[str, Callable[[dict[str, str]], Json]] = field(default_factory=dict)
    #: Statuses that a service shows at the next looks, oldest first.
    coming: dict[str, list[tuple[str, str, str]]] = field(default_factory=dict)
    port: int = 0

    def __enter__(self) -> "EasDouble":
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, answer = double.answer(self.command, self.path, self.headers.items(), body)
                content = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json;charset=utf-8")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_DELETE = _serve

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def credentials(self) -> Json:
        base = f"http://127.0.0.1:{self.port}"
        return {
            "region": "local",
            "account_id": KEY.principal.account,
            "access_key_id": KEY.id,
            "access_key_secret": KEY.secret,
            "zstack": {"account": "admin", "password": "zstack-password"},
            "endpoints": {"eas": base, "zstack": f"{base}/zstack", "gateway": f"{base}/gw"},
        }

    def add(self, name: str, **fields: Any) -> None:
        self.services[name] = {
            "ServiceName": name,
            "ServiceId": f"eas-m-{name}",
            "Status": "Running",
            "Reason": "Running",
            "Message": "Service is now running.",
            "RunningInstance": 1,
            "TotalInstance": 1,
            "AppType": "LLM",
            "AppSpecName": "smollm2_135m_q4",
            "CreateTime": CREATED,
            "CurrentVersion": 1,
            "LatestVersion": 1,
            "InternetEndpoint": f"http://127.0.0.1:{self.port}/api/predict/{name}",
            "Labels": [],
            **fields,
        }

    def answer(self, method: str, target: str, headers: Any, body: bytes) -> tuple[int, Json]:
        request = SignedRequest(method, target, tuple(headers), body)
        key = verify(request, {KEY.id: KEY}.get, time.time(), Options()).key
        assert key is KEY
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        path = [unquote(part) for part in parts.path.split("/")[3:]]
        document = json.loads(body) if body else None
        self.requests.append((method, parts.path, query, document))
        if parts.path == "/":
            rule = self.answers.get(dict(headers).get("x-acs-action", ""))
            if rule is None:
                return refusal(404, "InvalidAction.NotFound", "Specified api is not found.")
            return 200, {"RequestId": "R", **rule(query)}
        rule = self.answers.get(f"{method} {'/'.join([path[0], *path[3:]])}")
        if rule is not None:
            return 200, {"RequestId": "R", **rule(query)}
        if len(path) == 1:
            return self._all(method, query, document)
        return self._one(method, path[2], path[3:])

    def _all(self, method: str, query: dict[str, str], document: Any) -> tuple[int, Json]:
        if method == "POST":
            name = document.get("ServiceName") or document["metadata"]["name"]
            if name in self.services:
                return refusal(409, "InvalidService.Conflict", f"Service [{name}] exists.")
            self.add(name, Status="Creating", Reason="Creating", Message="It is being taken up.")
            return 200, {"RequestId": "R", "ServiceName": name, "Status": "Creating"}
        found = [item for name, item in self.services.items() if query.get("Filter", "") in name]
        size, page = int(query["PageSize"]), int(query["PageNumber"])
        shown = found[(page - 1) * size : page * size]
        return 200, {"RequestId": "R", "Services": shown, "TotalCount": len(found)}

    def _one(self, method: str, name: str, tail: list[str]) -> tuple[int, Json]:
        found = self.services.get(name)
        if found is None:
            return refusal(404, "InvalidService.NotFound", f"Service [{name}] does not exist.")
        if method == "GET":
            if self.coming.get(name):
                status, reason, message = self.coming[name].pop(0)
                if status == "gone":
                    del self.services[name]
                    return refusal(404, "InvalidService.NotFound", "gone")
                found |= {"Status": status, "Reason": reason, "Message": message}
            return 200, {"RequestId": "R", **found}
        if method == "DELETE":
            found["Status"] = "Deleting"
        verb = tail[0] if tail else method.lower()
        return 200, {"RequestId": "R", "Message": f"Service [{name}]: {verb}."}


def refusal(status: int, code: str, message: str) -> tuple[int, Json]:
    return status, {"RequestId": "R-1", "HostId": "h", "Code": code, "Message": message}
