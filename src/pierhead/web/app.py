"""The hub's front door, as one ASGI app: its own few paths, everything else goes to the dialects.

/healthz /metrics /openapi/{eas,zstack}.json   for everybody; names in /metrics for who has its token
/internal/routes /internal/report              for gateways, with the internal key
/zstack/...                                    the ZStack dialect
/ with an Action, or by POST                   RAM and STS, in RPC style; the rest is EAS
"""

import hmac
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pierhead.core.errors import Unavailable
from pierhead.core.routes import GatewayReport

_REPORT: TypeAdapter[GatewayReport] = TypeAdapter(GatewayReport)
_REPORT_LIMIT = 4 * 1024 * 1024
#: Longest wait of a long poll, in seconds.
_LONGEST_WAIT = 30.0

#: Words of /healthz that are no reason to restart it: while it only reads, everything that runs runs on.
_ALIVE = frozenset({"ok", "read-only"})

Answer = Callable[[Request], Awaitable[Response]]


class Routes(Protocol):
    """The route table as gateways fetch it."""

    async def newer(self, revision: int, wait: float) -> bytes | None:
        """The table as JSON once it is not `revision` any more; None after `wait` seconds."""
        ...


@dataclass(frozen=True, slots=True)
class Inside:
    """What the front door needs of the hub."""

    routes: Routes
    #: Takes a gateway's report; gives `<service>/<token>` -> tokens that all others used this month.
    heard: Callable[[GatewayReport], Awaitable[Mapping[str, int]]]
    health: Callable[[], dict[str, Any]]
    #: (body, content type); with the names of services and tokens if it is told so.
    metrics: Callable[[bool], Awaitable[tuple[bytes, str]]]
    #: Document by file name under /openapi.
    openapi: Mapping[str, Callable[[], dict[str, Any]]]
    internal_key: str
    metrics_token: str = ""  #: shows the figures with names; "" = nobody sees them


class FrontDoor:
    """Sends each request where it belongs."""

    def __init__(self, inside: Inside, eas: ASGIApp, zstack: ASGIApp, ram: ASGIApp) -> None:
        self._inside = inside
        self._eas, self._zstack, self._ram = eas, zstack, ram
        self._own: dict[tuple[str, str], Answer] = {
            ("GET", "/healthz"): self._healthz,
            ("GET", "/metrics"): self._metrics,
            **{
                ("GET", f"/openapi/{name}"): self._document(make)
                for name, make in inside.openapi.items()
            },
            ("GET", "/internal/routes"): self._internal(self._routes),
            ("POST", "/internal/report"): self._internal(self._report),
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
        return self._ram if scope["type"] == "http" and _is_rpc(scope) else self._eas

    async def _healthz(self, _request: Request) -> Response:
        health = self._inside.health()
        return JSONResponse(health, status_code=200 if health["status"] in _ALIVE else 503)

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
        except ValueError:
            return PlainTextResponse("revision and wait are numbers", 400)
        table = await self._inside.routes.newer(revision, wait)
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

    def _internal(self, answer: Answer) -> Answer:
        """`answer`, for those who know the internal key and send no more than a report."""

        async def guarded(request: Request) -> Response:
            if not hmac.compare_digest(
                _bearer(request).encode(), self._inside.internal_key.encode()
            ):
                return PlainTextResponse("the internal key is needed here", 403)
            if int(request.headers.get("content-length") or 0) > _REPORT_LIMIT:
                return PlainTextResponse("too large", 413)
            return await answer(request)

        return guarded


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
