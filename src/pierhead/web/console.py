"""The console's few own paths: what the pages need besides the signed API calls they make.

A part of the console is a tuple of `Route`s, which bootstrap hands to `Console.add`. Each handler is
given an `Asked`: who asks is established by then (a cookie, and the CSRF header with every POST), and
whatever error of core/errors.py it raises becomes `{"Code", "Message", "RequestId"}`:

    async def catalog(asked: Asked) -> Response:
        return answer({"Product": asked.parts["product"]}, asked)

    console.add(Route("GET", "/console/api/catalog/{product}/{id}", catalog))

A pattern's `{name}` is one segment of the path, `{name...}`, at its end, all that is left (or nothing).
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import unquote

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from pierhead.core import errors
from pierhead.core.principals import Principal
from pierhead.core.proxies import address_of
from pierhead.web.json_body import read_json

#: All of the console's own paths are below it.
PREFIX = "/console/api"
#: Bytes of a body, where a route does not say otherwise.
BODY = 64 * 1024


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whose session a request brings."""

    principal: Principal  #: with its present name; what it may do, policies say at each call
    csrf: str = field(repr=False)  #: what the header of a write must repeat
    expires: float  #: epoch seconds; slides with every call
    session: str = field(repr=False)  #: what the cookie holds: never to be sent, logged or stored


@dataclass(frozen=True, slots=True)
class Asked:
    """One request to the console."""

    request: Request  #: Starlette's: headers, query, the stream of a body, `is_disconnected`
    parts: Mapping[str, str]  #: what the pattern's names stand for, decoded
    id: str  #: of this request, as answers and the audit trail name it
    now: float  #: when it came, epoch seconds
    known: Visitor | None = None  #: None only where the route is open
    body_limit: int = BODY  #: bytes

    @property
    def visitor(self) -> Visitor:
        """Whose session it is.

        Raises:
            LoginExpired: the route is open, and the request brought none.
        """
        if self.known is None:
            raise errors.LoginExpired("There is no session: log in.")
        return self.known

    @property
    def principal(self) -> Principal:
        """Who asks.

        Raises:
            LoginExpired: the route is open, and the request brought no session.
        """
        return self.visitor.principal

    @property
    def address(self) -> str:
        """The client's address, behind trusted proxies too; "" when it is not known."""
        return self.request.client.host if self.request.client else ""

    @property
    def secure(self) -> bool:
        """Did the browser come by HTTPS, be it to a trusted proxy?"""
        return self.request.scope.get("scheme") == "https"

    def circumstances(self) -> dict[str, str]:
        """What the conditions of policies ask about: from where, how, when."""
        found = {
            "acs:SecureTransport": "true" if self.secure else "false",
            "acs:CurrentTime": moment(self.now),
            "acs:MFAPresent": "false",  # nothing here asks for a second factor
        }
        source = address_of(self.address)
        return found if source is None else {**found, "acs:SourceIp": str(source)}

    async def json(self) -> dict[str, Any]:
        """The body, which has to be one JSON object; an empty one is `{}`.

        Raises:
            Invalid: it is none, is too large, or did not arrive in time.
        """
        return await read_json(self.request, self.body_limit)


Handler = Callable[[Asked], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers what."""

    method: str  #: `GET` (HEAD comes along) or `POST`
    pattern: str  #: `/console/api/...`
    handler: Handler
    open: bool = False  #: for those without a session too; the handler guards itself
    body: int = BODY  #: bytes that a body may have


class Guard(Protocol):
    """Tells whose session a request brings."""

    async def enter(self, request: Request) -> Visitor:
        """Let it pass: the cookie is a session's and, with a POST, the CSRF header is that session's.

        Raises:
            LoginExpired: there is no session, or it ended.
            Forged: the CSRF header is missing or another session's, or a strange page sent it.
            Throttled: there were too many calls.
            Unavailable: the database does not answer.
        """
        ...

    async def lasts(self, visitor: Visitor) -> bool:
        """Would the session still pass? Does not prolong it; for answers that go on for long.

        Raises:
            Unavailable: the database does not answer.
        """
        ...


class Console:
    """ASGI app of everything under /console/api."""

    def __init__(
        self, guard: Guard, request_id: Callable[[], str], clock: Callable[[], float]
    ) -> None:
        self.guard, self._request_id, self._clock = guard, request_id, clock
        self._routes: list[tuple[tuple[str, ...], Route]] = []

    def add(self, *routes: Route) -> None:
        """Let these answer too; of two that match, the one added first does."""
        self._routes += [(_segments(route.pattern), route) for route in routes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        id_ = self._request_id()
        try:
            response = await self._answer(request, id_)
        except errors.PierheadError as error:
            response = refusal(error, id_)
        except ClientDisconnect:
            return
        response.headers["x-acs-request-id"] = id_
        response.headers.setdefault("cache-control", "no-store")
        await response(scope, receive, send)

    async def _answer(self, request: Request, id_: str) -> Response:
        route, parts = self._find(request)
        known = None if route.open else await self.guard.enter(request)
        asked = Asked(request, parts, id_, self._clock(), known, route.body)
        return await route.handler(asked)

    def _find(self, request: Request) -> tuple[Route, Mapping[str, str]]:
        method = "GET" if request.method == "HEAD" else request.method
        path = _decoded(request.scope)
        allowed: list[str] = []
        for pattern, route in self._routes:
            parts = _match(pattern, path)
            if parts is not None and route.method == method:
                return route, parts
            if parts is not None:
                allowed.append(route.method)
        if allowed:
            raise WrongMethod(method, sorted(set(allowed)))
        raise errors.NotFound("Path", "/".join(("", *path))[:200], "The console has no such path")


class Forged(errors.Refused):
    """It did not come from a page of the console."""


class WrongMethod(errors.Refused):
    """The path is there, for another method."""

    def __init__(self, method: str, allowed: list[str]) -> None:
        self.allowed = allowed
        super().__init__(f"{method[:20]} is not for this path: use {' or '.join(allowed)}.")


class Json(JSONResponse):
    """JSON in UTF-8; half a surrogate pair, which UTF-8 has no form for, as its escape."""

    def render(self, content: Any) -> bytes:
        """The body."""
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode(errors="backslashreplace")


def answer(body: Mapping[str, Any], asked: Asked, status: int = 200) -> Response:
    """A JSON answer, which carries the request's id."""
    return Json({**body, "RequestId": asked.id}, status)


def moment(seconds: float) -> str:
    """Epoch seconds as every answer of the console tells them: `2026-11-02T10:00:00Z`."""
    return f"{datetime.fromtimestamp(seconds, UTC).isoformat()[:19]}Z"


#: In order: the first that fits counts.
_BY_CLASS: tuple[tuple[type[errors.PierheadError], str, int], ...] = (
    (WrongMethod, "UnsupportedHTTPMethod", 405),
    (Forged, "ForgedRequest", 403),
    (errors.Missing, "MissingParameter", 400),
    (errors.Invalid, "InvalidParameter", 400),
    (errors.Unsupported, "NotSupported", 400),
    (errors.WrongLogin, "InvalidLogin", 401),
    (errors.LoginExpired, "InvalidSession", 401),
    (errors.Forbidden, "NoPermission", 403),
    (errors.NotFound, "NotFound", 404),
    (errors.TooManyLogins, "TooManySessions", 409),
    (errors.Conflict, "OperationConflict", 409),
    (errors.Stale, "OperationConflict", 409),
    (errors.OverQuota, "OperationConflict", 409),
    (errors.Throttled, "Throttling", 429),
    (errors.Unavailable, "ServiceUnavailable", 503),
)


def code_of(error: errors.PierheadError) -> tuple[str, int]:
    """The code and the HTTP status of an error raised on purpose."""
    found = ((code, status) for kind, code, status in _BY_CLASS if isinstance(error, kind))
    return next(found, ("InternalError", 500))


def refusal(error: errors.PierheadError, request_id: str) -> Response:
    """What the console answers instead."""
    code, status = code_of(error)
    headers: dict[str, str] = {}
    if isinstance(error, errors.Throttled):
        headers["Retry-After"] = str(error.seconds)
    if isinstance(error, WrongMethod):
        headers["Allow"] = ", ".join(error.allowed)
    body = {"Code": code, "Message": error.message, "RequestId": request_id}
    if isinstance(error, errors.Forbidden):
        body["Action"] = error.action
    return Json(body, status, headers)


def _segments(path: str) -> tuple[str, ...]:
    return tuple(path.strip("/").split("/"))


def _decoded(scope: Scope) -> tuple[str, ...]:
    """The path's segments; a `%2F` in one of them divides nothing."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    # Some servers give the query along with it.
    told = raw.partition(b"?")[0].decode("latin-1")
    return tuple(unquote(segment) for segment in _segments(told))


def _match(pattern: tuple[str, ...], path: tuple[str, ...]) -> Mapping[str, str] | None:
    parts: dict[str, str] = {}
    for at, expected in enumerate(pattern):
        if expected.endswith("...}"):
            parts[expected[1:-4]] = "/".join(path[at:])
            return parts
        if at >= len(path) or not path[at]:
            return None
        if expected.startswith("{"):
            parts[expected[1:-1]] = path[at]
        elif expected != path[at]:
            return None
    return parts if len(path) == len(pattern) else None
