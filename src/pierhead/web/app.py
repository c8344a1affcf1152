"""The hub's front door, as one ASGI app: its own few paths, everything else goes to the dialects.

/healthz /readyz[/active]                      for probes; of several hubs one is the active one
/metrics /openapi/{eas,zstack}.json            for everybody; names in /metrics for who has its token
/internal/{routes,report,wake}                 for gateways, with the internal key
/zstack/...                                    the ZStack dialect
/console/api/...                               the console's own paths (console.py)
/api/product/makeCode                          samples of code (make_code.py)
/ with an Action, or by POST                   RAM and STS, in RPC style
/ and what browsers ask for as a page          the console's pages (static_files.py); the rest is EAS
"""

import hmac
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pierhead.core.errors import Conflict, NotFound, PierheadError, Unavailable
from pierhead.core.routes import GatewayReport
from pierhead.core.waking import Waking
from pierhead.web.console import PREFIX

_REPORT: TypeAdapter[GatewayReport] = TypeAdapter(GatewayReport)
_REPORT_LIMIT = 4 * 1024 * 1024
#: Longest wait of a long poll, in seconds.
_LONGEST_WAIT = 30.0

#: Words of /healthz that are no reason to restart it: while it only reads, everything that runs runs on.
_ALIVE = frozenset({"ok", "read-only"})

Answer = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class _Wake:
    service: str  #: service id


_WAKE: TypeAdapter[_Wake] = TypeAdapter(_Wake)


class Routes(Protocol):
    """The route table as gateways fetch it."""

    async def newer(self, revision: int, wait: float, since: int | None = None) -> bytes | None:
        """The table as JSON once it is not `revision` any more; None after `wait` seconds.

        `since`: the origin of that revision, of one that can do with what changed since it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Inside:
    """What the front door needs of the hub."""

    routes: Routes
    #: Takes a gateway's report; gives `<service>/<token>` -> tokens that all others used this month.
    heard: Callable[[GatewayReport], Awaitable[Mapping[str, int]]]
    #: Wakes a service, by its id, and tells how far it is. Raises NotFound, Conflict, Unavailable.
    wake: Callable[[str], Awaitable[Waking]]
    health: Callable[[], dict[str, Any]]
    #: (body, content type); with the names of services and tokens if it is told so.
    metrics: Callable[[bool], Awaitable[tuple[bytes, str]]]
    #: Document by file name under /openapi.
    openapi: Mapping[str, Callable[[], dict[str, Any]]]
    internal_key: str
    metrics_token: str = ""  #: shows the figures with names; "" = nobody sees them
    #: Is this hub the active one? Gateways follow that one alone.
    active: Callable[[], bool] = lambda: True
    #: Of paths besides: (method, path) -> who answers.
    besides: Mapping[tuple[str, str], Answer] = field(default_factory=dict[tuple[str, str], Answer])


class Taker(Protocol):
    """An ASGI app that tells which requests are its own."""

    def takes(self, scope: Scope) -> bool:
        """Is this request for it?"""
        ...

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one."""
        ...


class FrontDoor:
    """Sends each request where it belongs."""

    def __init__(
        self,
        inside: Inside,
        eas: ASGIApp,
        zstack: ASGIApp,
        ram: ASGIApp,
        console: ASGIApp | None = None,
        pages: Taker | None = None,
    ) -> None:
        """`console`: takes what is below /console/api; without one the EAS dialect refuses it.

        `pages`: what people see in a browser; without, the EAS dialect says that there is no such path.
        """
        self._inside = inside
        self._eas, self._zstack, self._ram = eas, zstack, ram
        self._console, self._pages = console or eas, pages
        self._own: dict[tuple[str, str], Answer] = {
            ("GET", "/healthz"): self._healthz,
            ("GET", "/readyz"): self._healthz,
            ("GET", "/readyz/active"): self._ready_active,
            ("GET", "/metrics"): self._metrics,
            **{
                ("GET", f"/openapi/{name}"): self._document(make)
                for name, make in inside.openapi.items()
            },
            ("GET", "/internal/routes"): self._internal(self._routes),
            ("POST", "/internal/report"): self._internal(self._report),
            ("POST", "/internal/wake"): self._internal(self._wake),
            **inside.besides,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        method = "GET" if scope.get("method") == "HEAD" else scope.get("method", "")
        path: str = scope.get("path", "")
        answer = self._own.get((method, path))
        if scope["type"] != "http" or answer is None:
            await self._dialect(scope)(scope, receive, send)
            return
        response = await answer(Request(scope, receive))
        await response(scope, receive, send)

    def _dialect(self, scope: Scope) -> ASGIApp:
        if _is_under(scope.get("path", ""), "/zstack"):
            return self._zstack
        if _is_under(scope.get("path", ""), PREFIX):
            return self._console
        if self._pages is not None and self._pages.takes(scope):
            return self._pages
        return self._ram if scope["type"] == "http" and _is_rpc(scope) else self._eas

    async def _healthz(self, _request: Request) -> Response:
        health = self._inside.health()
        return JSONResponse(health, status_code=200 if health["status"] in _ALIVE else 503)

    async def _ready_active(self, request: Request) -> Response:
        return await self._healthz(request) if self._inside.active() else _standby()

    async def _metrics(self, request: Request) -> Response:
        shown, token = _bearer(request), self._inside.metrics_token
        names = bool(token) and hmac.compare_digest(shown.encode(), token.encode())
        body, content_type = await self._inside.metrics(names)
        return Response(body, headers={"content-type": content_type})

    def _document(self, make: Callable[[], dict[str, Any]]) -> Answer:
        async def answer(_request: Request) -> Response:
            return JSONResponse(make())

        return answer

    async def _routes(self, request: Request) -> Response:
        try:
            revision = int(request.query_params.get("revision", "0"))
            wait = min(float(request.query_params.get("wait", "0")), _LONGEST_WAIT)
            origin = int(request.query_params.get("origin", "0"))
        except ValueError:
            return PlainTextResponse("revision, wait and origin are numbers", 400)
        since = origin if request.query_params.get("delta") == "1" else None
        table = await self._inside.routes.newer(revision, wait, since)
        return (
            Response(status_code=304)
            if table is None
            else Response(table, media_type="application/json")
        )

    async def _report(self, request: Request) -> Response:
        try:
            report = _REPORT.validate_json(await request.body())
        except ValidationError as error:
            return PlainTextResponse(f"not a gateway's report: {error.errors()[0]['msg']}", 400)
        try:
            spent = await self._inside.heard(report)
        except Unavailable as error:
            # Its figures are totals: the next report tells them all again.
            return PlainTextResponse(error.message, 503)
        return JSONResponse({"spent": dict(spent)})

    async def _wake(self, request: Request) -> Response:
        """Asked as often as one likes: one call wakes, and all of them tell how far it is."""
        try:
            asked = _WAKE.validate_json(await request.body())
        except ValidationError as error:
            return JSONResponse({"error": f"service: {error.errors()[0]['msg']}"}, 400)
        try:
            found = await self._inside.wake(asked.service)
        except NotFound as error:
            return _refusal(error, 404)
        except Conflict as error:
            return _refusal(error, 409)
        except Unavailable as error:
            return _refusal(error, 503)
        return JSONResponse(asdict(found))

    def _internal(self, answer: Answer) -> Answer:
        """`answer`, for those who know the internal key and send no more than a report."""

        async def guarded(request: Request) -> Response:
            if not hmac.compare_digest(
                _bearer(request).encode(), self._inside.internal_key.encode()
            ):
                return PlainTextResponse("the internal key is needed here", 403)
            if int(request.headers.get("content-length") or 0) > _REPORT_LIMIT:
                return PlainTextResponse("too large", 413)
            if not self._inside.active():
                return _standby()
            response = await answer(request)
            # A long poll may have outlasted this hub's turn: then its table is nobody's any more.
            return response if self._inside.active() else _standby()

        return guarded


def _standby() -> Response:
    return PlainTextResponse("standby", 503)


def _refusal(error: PierheadError, status: int) -> Response:
    return JSONResponse({"error": error.message}, status)


def _bearer(request: Request) -> str:
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def _is_under(path: str, folder: str) -> bool:
    """Is it the folder, or in it? Slashes in front are as one: some clients double them."""
    path = "/" + path.lstrip("/")
    return path == folder or path.startswith(f"{folder}/")


def _is_rpc(scope: Scope) -> bool:
    """Is it a call in RPC style? It has no path; what it calls, headers or parameters name."""
    if scope["path"] != "/":
        return False
    named = b"x-acs-action" in (name for name, _ in scope["headers"])
    return named or scope["method"] == "POST" or b"Action" in _names(scope["query_string"])


def _names(query: bytes) -> Iterator[bytes]:
    return (part.partition(b"=")[0] for part in query.split(b"&"))
