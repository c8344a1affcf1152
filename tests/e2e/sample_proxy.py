"""A proxy on loopback between samples and a platform: it makes their calls mock, and remembers them.

The samples say nothing of mock mode: they run as they are shown. Logins are made once for all, since
each costs the hub a slow hash; what goes to the data plane is answered here, with documented answers.
"""

import hashlib
import http.client
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from running_platform import Platform

TOKEN = "token-of-a-service"
_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive"}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call that a sample made, besides logging in and out."""

    method: str
    target: str
    headers: Mapping[str, str]  #: names lower-case
    body: bytes
    status: int
    answer: bytes
    mocked: bool

    @property
    def code(self) -> str:
        try:
            return str(json.loads(self.answer).get("Code", ""))
        except ValueError:
            return ""


@dataclass
class Proxy:
    """Where samples find the platform."""

    platform: Platform
    answers: Mapping[str, Any]  #: path of the data plane -> what it answers
    port: int = 0
    exchanges: list[Exchange] = field(default_factory=list[Exchange])
    login: bytes = b""  #: the first one's answer

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def last(self) -> Exchange:
        return self.exchanges[-1]

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        """What a sample gets."""
        if self._is_login(target, body):
            if not self.login:
                self.login = self._forwarded(method, target, headers, body)[2]
            return 200, {}, self.login
        if self.login and method == "DELETE" and target.endswith(self._session()):
            return 200, {}, b"{}"
        if target.startswith("/api/predict/"):
            right = headers.get("authorization") == f"Bearer {TOKEN}"
            said = self.answers.get(target) if right else None
            found = (404 if said is None else 200, {"x-pierhead-mock": "true"}, json.dumps(said))
            result = (found[0], found[1], found[2].encode())
        else:
            mock = {**headers, "x-pierhead-mock": "true"}
            result = self._forwarded(method, target, mock, body)
        mocked = result[1].get("x-pierhead-mock") == "true"
        self.exchanges.append(Exchange(method, target, headers, body, result[0], result[2], mocked))
        return result

    def _is_login(self, target: str, body: bytes) -> bool:
        password = self.platform.credentials["zstack"]["password"].encode()
        real = hashlib.sha512(password).hexdigest().encode()
        return target == "/zstack/v1/accounts/login" and real in body

    def _session(self) -> str:
        return f"/v1/accounts/sessions/{json.loads(self.login)['inventory']['uuid']}"

    def _forwarded(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        host, _, port = self.platform.address.partition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=60)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                if name not in _HOP:
                    connection.putheader(name, value)
            connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            told = {name.lower(): value for name, value in response.getheaders()}
            return response.status, told, response.read()
        finally:
            connection.close()


@contextmanager
def proxied(platform: Platform, answers: Mapping[str, Any]) -> Iterator[Proxy]:
    """A proxy to a platform, while it is needed."""
    proxy = Proxy(platform, answers)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy))
    server.daemon_threads = True
    proxy.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _pass(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, told, content = proxy.answer(self.command, self.path, headers, _body(self))
            self.send_response_only(status)
            for name, value in told.items():
                if name not in _HOP:
                    self.send_header(name, value)
            if "content-type" not in told:
                self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _pass

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: the exchanges are remembered."""

    return Handler


def _body(handler: BaseHTTPRequestHandler) -> bytes:
    """What came, in chunks (the TypeScript client) or with its length."""
    if handler.headers.get("transfer-encoding", "").lower() != "chunked":
        return handler.rfile.read(int(handler.headers.get("content-length") or 0))
    chunks: list[bytes] = []
    while size := int(handler.rfile.readline().split(b";")[0], 16):
        chunks.append(handler.rfile.read(size))
        handler.rfile.readline()
    handler.rfile.readline()
    return b"".join(chunks)
