"""The way to the replicas: pooled connections, one request at a time on each, bytes left as they are."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from io import BytesIO
from types import SimpleNamespace, TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from pierhead.core.errors import Unavailable
from pierhead.core.routes import Route, Target
from pierhead.gateway.asking import Asked
from pierhead.gateway.balance import Failure
from pierhead.gateway.exchange import Exchange
from pierhead.gateway.headers import for_replica
from pierhead.gateway.ledger import Entry
from pierhead.gateway.naming import known_names, needs_own_name, renamed
from pierhead.gateway.settings import GatewaySettings

#: What aiohttp would add although the client did not send it.
_NOT_ADDED = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")
_HEAD_LIMIT = 256 * 1024  #: bytes of one header line of a replica; ours to trust, so generous
_READ_SIZE = 64 * 1024
KNOCK = 1.0  #: seconds in which a replica that may hang has to give a sign of life
_LARGE = 512 * 1024  #: a larger body is sent in pieces, so that others get their turn


@dataclass(frozen=True)
class Call:
    """A request that has been let in."""

    exchange: Exchange
    route: Route
    asked: Asked  #: its path is what the replica gets, without the query
    entry: Entry  #: ended by whoever let it in, if not before
    legible: bool = False  #: the answer has to be read, so it may not be compressed

    @cached_property
    def telling(self) -> bytes | None:
        """The body that makes a stream tell its usage; None if it tells it anyway, or cannot."""
        return self.asked.telling() if self.route.api == "openai" else None


class NoAnswer(Unavailable):
    """A replica gave no answer; `touched`: some bytes of one had come, so that it may have acted."""

    def __init__(
        self, replica: str, why: str, *, kind: Failure = Failure.CLOSED, touched: bool = False
    ) -> None:
        super().__init__(f"replica {replica}", why)
        self.kind, self.touched = Failure.BROKEN if touched else kind, touched


class _BrokenOff(aiohttp.ClientConnectionError):
    """The connection was reset when a part of the answer's head had come."""


class _Response(aiohttp.ClientResponse):
    """Knows whether anything came before a reset: aiohttp itself tells it of an orderly end only."""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Read the head.

        Raises:
            _BrokenOff: a part of it came, then a reset. And what aiohttp raises.
        """
        protocol, came = connection.protocol, False
        if protocol is None:
            return await super().start(connection)

        def first(data: bytes) -> None:
            nonlocal came
            if data:  # aiohttp calls with nothing, too, when it goes on reading
                came = True
                vars(protocol).pop("data_received", None)  # from here on it is aiohttp's own again
            type(protocol).data_received(protocol, data)

        vars(protocol)["data_received"] = first
        try:
            return await super().start(connection)
        except aiohttp.ClientOSError as error:
            if came:
                raise _BrokenOff(str(error)) from error
            raise


class Upstream:
    """The client side of the gateway. No redirects, cookies, proxies or decompression."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._pooled = self._session(fresh=False)
        self._fresh = self._session(fresh=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._pooled.close()
        await self._fresh.close()

    async def ask(self, target: Target, call: Call) -> aiohttp.ClientResponse:
        """The head of the replica's answer; the caller closes it.

        Raises:
            NoAnswer: it cannot be reached, or closed the connection before its head was complete.
        """
        connection = SimpleNamespace(reused=False)
        try:
            return await self._send(self._pooled, target, call, connection)
        except NoAnswer as failure:
            if failure.touched or not connection.reused:
                raise
        # It closed an idle connection just as we used it: no fault, and nothing was done yet.
        return await self._send(self._fresh, target, call, connection)

    async def knock(self, target: Target, patience: float = KNOCK) -> None:
        """Returns when a replica answers anything at all to a request that asks for nothing.

        Raises:
            NoAnswer: it does not, or not within so many seconds.
        """
        url = URL(f"http://{_address(target)}/")
        limit = aiohttp.ClientTimeout(total=patience)
        try:
            async with self._fresh.options(url, timeout=limit, allow_redirects=False):
                return
        except aiohttp.ClientResponseError:
            return  # of one that does not speak HTTP well the request will tell
        except (aiohttp.ClientError, OSError) as error:
            hangs = isinstance(error, TimeoutError)
            kind = Failure.SILENT if hangs else Failure.CLOSED
            raise NoAnswer(target.replica, "it does not answer", kind=kind) from error

    async def _send(
        self,
        session: aiohttp.ClientSession,
        target: Target,
        call: Call,
        connection: SimpleNamespace,
    ) -> aiohttp.ClientResponse:
        address = _address(target)
        # Both are ASCII: the server's parser takes nothing else.
        query = f"?{call.exchange.query.decode()}" if call.exchange.query else ""
        named = bool(target.model)
        body = call.telling or call.asked.body
        body = renamed(body, known_names(call.route), target.model) if named else body
        legible = call.legible or needs_own_name(target, call.route)
        try:
            return await session.request(
                call.exchange.method,
                URL(f"http://{address}{call.asked.path.decode()}{query}", encoded=True),
                headers=for_replica(call.exchange, address, target.key, legible=legible),
                data=BytesIO(body) if len(body) > _LARGE else body or None,
                allow_redirects=False,
                trace_request_ctx=connection,
            )
        except aiohttp.ServerDisconnectedError as error:
            touched = not isinstance(error.message, str)
            raise NoAnswer(target.replica, "it closed the connection", touched=touched) from error
        except aiohttp.ClientResponseError as error:
            raise NoAnswer(target.replica, "it does not speak HTTP", touched=True) from error
        except _BrokenOff as error:
            raise NoAnswer(target.replica, str(error), touched=True) from error
        except (aiohttp.ClientError, OSError) as error:
            why = str(error) or type(error).__name__
            raise NoAnswer(target.replica, why, kind=_kind(error)) from error

    def _session(self, *, fresh: bool) -> aiohttp.ClientSession:
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_reuseconn.append(_note_reuse)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, force_close=fresh),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._settings.connect_seconds),
            skip_auto_headers=_NOT_ADDED,
            auto_decompress=False,
            trust_env=False,
            read_bufsize=_READ_SIZE,
            max_line_size=_HEAD_LIMIT,
            max_field_size=_HEAD_LIMIT,
            trace_configs=[tracing],
            response_class=_Response,
        )


def _kind(error: Exception) -> Failure:
    """What a replica did of which nothing came. A refusal costs nothing, waiting for a connection does."""
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return Failure.SILENT
    refused = isinstance(error, aiohttp.ClientConnectorError)
    return Failure.REFUSED if refused else Failure.CLOSED


def _address(target: Target) -> str:
    host = f"[{target.host}]" if ":" in target.host else target.host
    return f"{host}:{target.port}"


@contextmanager
def noticing_the_end(response: aiohttp.ClientResponse) -> Generator[None]:
    """Breaks off the body when its connection is lost.

    aiohttp itself lets the reader of a body wait for ever when the chunking turns into nonsense.
    """
    content, connection = response.content, response.connection
    # An empty protocol is falsy: it counts as an empty queue.
    protocol = None if connection is None else connection.protocol
    closed = None if protocol is None else protocol.closed

    def end(done: asyncio.Future[None]) -> None:
        del done
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the connection was lost"))

    if closed is None:
        yield
        return
    # The future is the connection's, which may serve on: nothing of ours may pile up there, and
    # its error is to be taken note of even if it comes when no request is in work.
    closed.remove_done_callback(_seen)
    closed.add_done_callback(_seen)
    closed.add_done_callback(end)
    try:
        yield
    finally:
        closed.remove_done_callback(end)


def _seen(done: asyncio.Future[None]) -> None:
    if not done.cancelled():
        done.exception()


async def _note_reuse(
    session: aiohttp.ClientSession, context: SimpleNamespace, params: Any
) -> None:
    del session, params
    context.trace_request_ctx.reused = True
