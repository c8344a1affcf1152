"""`GET /console/api/live`: the services that somebody may list, all at once and then whatever changes.

    event: services
    data: {"Revision", "All", "Rows": [...], "Gone": [name]}

    event: ending                      before the hub stops: come again in a moment
    :                                  a comment every 10 s, so that proxies keep the connection

A stream ends when its session does, or when nothing of what it shows may be seen any more; who does not
read is let go.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from pierhead.core.errors import Forbidden, Unavailable
from pierhead.core.permits import Deed
from pierhead.core.principals import Principal
from pierhead.core.services import Service
from pierhead.operations import rights
from pierhead.operations.board import Board, Row, deed
from pierhead.web.console import Asked, Guard, Route, moment

#: Seconds between two questions whether it may still be seen.
RECHECK = 5.0
#: Seconds of silence after which a comment is sent.
HEARTBEAT = 10.0
#: Seconds that a reader may take to make room for what is sent.
PATIENCE = 10.0

#: Says whether a deed is allowed; gives the principal with what it may touch.
Permit = Callable[[Principal, Deed], Awaitable[Principal]]

_ENDING = b"event: ending\ndata: {}\n\n"
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would collect what is to arrive at once
]


@dataclass(frozen=True, slots=True)
class Live:
    """Answers requests for the stream."""

    board: Board
    guard: Guard
    permit: Permit

    def routes(self) -> tuple[Route, ...]:
        """For `Console.add`."""
        return (Route("GET", "/console/api/live", self.open),)

    async def open(self, asked: Asked) -> Response:
        """A stream that begins with all rows.

        Raises:
            Forbidden: no policy lets them see any service.
            Throttled: too many streams are open.
            Unavailable: the database does not answer.
        """
        seen = Seen(await self.permit(asked.principal, deed(asked.circumstances())))
        if asked.request.method == "HEAD":
            return Response(media_type="text/event-stream")
        self.board.enter(asked.principal.id)
        return Stream(self, asked, seen)

    async def again(self, asked: Asked) -> "Seen | None":
        """What they may see now; None when their session ended, or they may see nothing at all.

        Raises:
            Unavailable: the database does not answer.
        """
        if not await self.guard.lasts(asked.visitor):
            return None
        present = {**asked.circumstances(), "acs:CurrentTime": moment(self.board.now)}
        try:
            return Seen(await self.permit(asked.principal, deed(present)))
        except Forbidden:
            return None


@dataclass(slots=True)
class Seen:
    """What one principal may see, as it was decided at one moment; remembered by service."""

    actor: Principal
    _known: dict[str, tuple[Service, bool]] = field(default_factory=dict[str, tuple[Service, bool]])

    def of(self, rows: Mapping[str, Row]) -> dict[str, Row]:
        """Those of `rows` that they may see, by id."""
        if rights.sees_all_services(self.actor):
            return dict(rows)
        known, self._known = self._known, {}
        for id_, row in rows.items():
            before = known.get(id_)
            decided = before is not None and before[0] is row.service
            verdict = before[1] if before and decided else self._sees(row.service)
            self._known[id_] = row.service, verdict
        return {id_: row for id_, row in rows.items() if self._known[id_][1]}

    def _sees(self, service: Service) -> bool:
        return rights.sees_service(self.actor, service)


class Stream(Response):
    """The answer that goes on."""

    def __init__(self, live: Live, asked: Asked, seen: Seen) -> None:
        super().__init__(media_type="text/event-stream")
        self._live, self._board = live, live.board
        self._asked, self._seen = asked, seen
        self._shown: dict[str, Row] | None = None
        self._revision = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until they go, or may not see it any more."""
        telling = asyncio.create_task(self._tell(send))
        leaving = asyncio.create_task(_gone(receive))
        try:
            await asyncio.wait({telling, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if telling.done():
                telling.result()  # raises what it raised
        finally:
            telling.cancel()
            leaving.cancel()
            self._board.leave(self._asked.principal.id)
            await asyncio.gather(telling, leaving, return_exceptions=True)

    async def _tell(self, send: Send) -> None:
        async def put(body: bytes, *, more: bool = True) -> None:
            async with asyncio.timeout(PATIENCE):
                await send({"type": "http.response.body", "body": body, "more_body": more})

        headers = [*_HEADERS, *((k, v) for k, v in self.raw_headers if k.startswith(b"x-acs-"))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        try:
            await put(b":\n\n")  # the page knows that it is connected
            last = await self._go_on(put)
            await put(last, more=False)
        except TimeoutError:
            return  # who does not read is let go

    async def _go_on(self, put: Callable[[bytes], Awaitable[None]]) -> bytes:
        """Send whatever is new until there is a reason to end; what is said at the end."""
        time = asyncio.get_running_loop().time
        checked = told = time()
        while True:
            wait = min(checked + RECHECK, told + HEARTBEAT) - time()
            await self._board.news(self._revision, max(0.0, wait))
            if self._board.ended:
                return _ENDING
            if time() - checked >= RECHECK:
                checked = time()
                if not await self._still():
                    return b""
            news = self._news()
            if news or time() - told >= HEARTBEAT:
                told = time()
                await put(news or b":\n\n")

    async def _still(self) -> bool:
        try:
            found = await self._live.again(self._asked)
        except Unavailable:
            return True  # nothing can have changed that nobody can read
        if found is None:
            return False
        self._seen = found
        return True

    def _news(self) -> bytes:
        """What is not shown yet; b"" when that is nothing."""
        board = self._board
        if not board.revision:
            return b""
        self._revision = board.revision
        before, self._shown = self._shown, self._seen.of(board.rows)
        if before is None:
            return self._event(list(self._shown.values()), [], every=True)
        rows = [row for id_, row in self._shown.items() if before.get(id_) != row]
        names = {row.name for row in self._shown.values()}
        gone = [row.name for id_, row in before.items() if id_ not in self._shown]
        gone = [name for name in gone if name not in names]  # it may have come again meanwhile
        return self._event(rows, gone, every=False) if rows or gone else b""

    def _event(self, rows: list[Row], gone: list[str], *, every: bool) -> bytes:
        shown = [_shown(row, self._board.region) for row in rows]
        body = {"Revision": self._revision, "All": every, "Rows": shown, "Gone": gone}
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
        return f"event: services\ndata: {text}\n\n".encode()


async def _gone(receive: Receive) -> None:
    """Return when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _shown(row: Row, region: str) -> dict[str, Any]:
    return {
        "ServiceName": row.name,
        "ServiceId": row.id,
        "Status": row.status,
        "Reason": row.reason,
        "Message": row.message,
        "Ready": row.ready,
        "Wanted": row.wanted,
        "Spec": row.spec,
        "AppType": row.app_type,
        "Model": row.model,
        "Workspace": row.workspace,
        "Region": region,
        "UpdateTime": moment(row.updated),
        "CreateTime": moment(row.created),
        "Qps": row.qps,
        "ErrorsPerSecond": row.errors,
        "P95": row.p95,
        "Ttft": row.ttft,
        "TokensPerSecond": row.tokens,
        "Queued": row.queued,
        "Held": row.held,
        "Source": row.source,
        "Labels": dict(row.labels),
    }
