"""One HTTP request of this dialect, and how an answer to it is sent."""

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from pierhead.core.audit import Source
from pierhead.core.conditions import Context
from pierhead.core.errors import Invalid, PierheadError, Throttled
from pierhead.core.languages import negotiated
from pierhead.core.principals import LoginSession, Principal
from pierhead.dialects import mock
from pierhead.dialects.bodies import BodyLimits, Receive, TooLarge, TooSlow, read_body
from pierhead.dialects.zstack.answers import JSON, TEXT, encoded, failure
from pierhead.dialects.zstack.calls import NOBODY
from pierhead.dialects.zstack.catalog import Api
from pierhead.dialects.zstack.errors import Asked, TextRefusal, body_of, code_of, wrong_method

#: Milliseconds that a 202 says its job may take, unless the client says it.
API_TIMEOUT = 1_800_000
_RETRY_AFTER = b"5"  #: seconds

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class Reply:
    """What is sent back."""

    status: int
    content: bytes = b""
    kind: str = JSON
    headers: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])


@dataclass(slots=True)
class Exchange:
    """One request and what is known of it so far; refusals name as much as there is."""

    method: str
    path: str  #: raw, without the query
    query: bytes
    scheme: str
    receive: Receive
    headers: Mapping[str, str]  #: lower-case names; of several the first
    began: float  #: epoch seconds
    principal: Principal = NOBODY
    login: LoginSession | None = None
    asked: Asked = field(default_factory=Asked)
    api: Api | None = None
    close: bool = False  #: the body was not read to its end
    source: Source = field(default_factory=Source)
    known: Context = field(default_factory=dict[str, str])  #: what policies may ask about it
    told: bool = False  #: the audit trail knows of it, or will
    mock: bool = False  #: it is only tried out: nothing is written

    def header(self, name: str) -> str:
        """A header's value without white space around it; "" when absent."""
        return self.headers.get(name, "").strip()

    @property
    def language(self) -> str:
        """`zh-CN` or `zh-TW` for those who prefer Chinese, else `en`."""
        return negotiated(self.header("accept-language"))

    @property
    def base_url(self) -> str:
        """How the client reached us, without a trailing slash."""
        return f"{self.scheme}://{self.header('host')}"

    @property
    def wants_schema(self) -> bool:
        """The client builds typed objects."""
        return self.header("x-json-schema").lower() not in ("", "false")

    @property
    def api_timeout(self) -> int:
        """Milliseconds; the header gives seconds, and is ignored when it is no such thing."""
        given = self.header("x-api-timeout")
        usable = given.isascii() and given.isdigit() and len(given) < 9 and int(given) > 0
        return int(given) * 1000 if usable else API_TIMEOUT

    def notice_mock(self) -> None:
        """Find out whether the call is only tried out.

        Raises:
            TextRefusal: the header says neither yes nor nothing.
        """
        try:
            self.mock = mock.is_asked(self.headers.items())
        except Invalid as error:
            raise TextRefusal(400, error.message) from error

    def job(self) -> str:
        """The client's own job id; "" when it has none.

        Raises:
            TextRefusal: it has another shape.
        """
        given = self.headers.get("x-job-uuid")
        if given is None:
            return ""
        if len(given) != 32 or not (given.isascii() and given.isalnum()):
            raise TextRefusal(400, "invalid header X-Job-UUID: 32 letters and digits are needed")
        return given

    def demand_method(self, *allowed: str) -> None:
        """Refuse other methods.

        Raises:
            TextRefusal: 405.
        """
        if self.method not in allowed:
            raise wrong_method(self.method, allowed)

    async def body(self, limits: BodyLimits) -> bytes:
        """The whole body.

        Raises:
            TextRefusal: 413 it is too large; 408 it is too slow.
            Gone: the client went away.
        """
        length, expect = self.header("content-length"), self.header("expect")
        try:
            return await read_body(self.receive, limits, length, expect)
        except TooLarge as error:
            self.close = not error.ended
            text = f"the body is larger than the limit of {limits.body} bytes"
            raise TextRefusal(413, text) from error
        except TooSlow as error:
            self.close = True
            text = f"the body did not arrive within {limits.seconds:g} s"
            raise TextRefusal(408, text) from error


def exchange_of(scope: Scope, receive: Receive, began: float) -> Exchange:
    """What an ASGI scope says."""
    raw = cast(Sequence[tuple[bytes, bytes]], scope["headers"])
    headers = {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reversed(raw)
    }
    path = cast(bytes, scope["raw_path"]).partition(b"?")[0].decode("latin-1")
    scheme, query = scope.get("scheme", "http"), scope["query_string"]
    return Exchange(scope["method"], path, query, scheme, receive, headers, began)


def text(error: TextRefusal) -> Reply:
    """A refusal below the dialect's envelope."""
    reply = Reply(error.status, error.text.encode("utf-8", "replace"), TEXT)
    if error.allowed:
        reply.headers.append((b"allow", ", ".join(error.allowed).encode()))
    return reply


def refusal(error: PierheadError, exchange: Exchange) -> Reply:
    """Every failure that has a code is a 503 on this wire; a limit of tries or calls has none."""
    if isinstance(error, Throttled):
        wait = (b"retry-after", str(error.seconds).encode())
        return Reply(429, error.message.encode(), TEXT, [wait])
    body = body_of(error, exchange.asked, exchange.language)
    reply = Reply(503, encoded(failure(body)))
    if code_of(error) == "SYS.1010":
        reply.headers.append((b"retry-after", _RETRY_AFTER))
    return reply


def allowed_origin(exchange: Exchange, origins: Sequence[str]) -> str:
    """The request's origin when scripts from there may read answers, else ""."""
    origin = exchange.header("origin")
    return origin if origin and ("*" in origins or origin in origins) else ""


def preflight(exchange: Exchange) -> Reply:
    """What a browser asks before it lets a script call."""
    wanted = exchange.header("access-control-request-headers")
    headers = [
        (b"access-control-allow-methods", b"GET, POST, PUT, DELETE"),
        (b"access-control-max-age", b"600"),
    ]
    if wanted:
        headers.append((b"access-control-allow-headers", wanted.encode("latin-1")))
    return Reply(204, headers=headers)


async def send_reply(send: Send, reply: Reply, exchange: Exchange, origins: Sequence[str]) -> None:
    """Send it; with CORS headers only where an operator wants them."""
    headers = [(b"content-length", str(len(reply.content)).encode()), *reply.headers]
    if reply.content:
        headers.append((b"content-type", reply.kind.encode()))
    origin = allowed_origin(exchange, origins)
    if origin:
        headers.append((b"access-control-allow-origin", origin.encode("latin-1")))
        headers.append((b"vary", b"Origin"))
    if exchange.mock:
        headers.append(mock.TOLD)
    if exchange.close:
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.content})
