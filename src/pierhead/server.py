"""The HTTP server of the hub: uvicorn, with limits on what a client may send before it is heard.

uvicorn bounds neither a request's head nor the time for it, so both are bounded here, as is the number
of connections from one address. What is refused here never reaches an app: it gets one line of text.
"""

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from ssl import SSLContext
from typing import Any, cast

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from pierhead.tls import Sniffer

_log = logging.getLogger("pierhead.server")


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What one client may take up. Sizes in bytes, times in seconds."""

    head: int = 64 * 1024  #: of a request: its first line and all headers
    target: int = 16 * 1024  #: path and query
    headers: int = 128  #: how many
    head_seconds: float = 20.0  #: from the connection, or its last request, to the head's end
    rest_seconds: float = (
        30.0  #: for what a client still sends when its request is answered already
    )
    connections: int = 0  #: of one address; 0 = any number. Loopback's are not counted
    trusted: Callable[[str], bool] = field(default=lambda _address: False)  #: not counted either


class Connections:
    """How many connections each address has."""

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._open: Counter[str] = Counter()
        self._told = False

    def enter(self, address: str) -> bool:
        """Count one more; False if it is one too many."""
        if self._open[address] >= self._limits.connections and not self._exempt(address):
            if not self._told:
                _log.warning(
                    "%s has %d connections, which is the most", address, self._open[address]
                )
            self._told = True
            return False
        self._open[address] += 1
        return True

    def leave(self, address: str) -> None:
        """One ended."""
        self._open[address] -= 1
        if self._open[address] <= 0:
            del self._open[address]

    def _exempt(self, address: str) -> bool:
        if self._limits.connections <= 0 or self._limits.trusted(address):
            return True
        try:
            return ip_address(address.partition("%")[0]).is_loopback
        except ValueError:
            return False


_REFUSALS = {
    408: b"408 Request Timeout",
    414: b"414 URI Too Long",
    431: b"431 Request Header Fields Too Large",
}


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with the limits."""

    def __init__(self, *, limits: HttpLimits, connections: Connections, **parts: Any) -> None:
        super().__init__(**parts)
        self._limits, self._connections = limits, connections
        self._address = ""  # "" = not counted
        self._head = 0  # bytes of a head that is not whole yet
        self._begun = False  # there is such a head
        self._ended = False  # the last bytes brought a head's or a body's end
        self._whole = True  # no body is on its way
        self._refusal = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """A client came."""
        super().connection_made(transport)
        address = str(self.client[0]) if self.client else ""
        if not self._connections.enter(address):
            transport.abort()
            return
        self._address = address or "-"
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """It went."""
        self._disarm()
        if self._address:
            self._connections.leave(self._address.removeprefix("-"))
            self._address = ""
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came. What stands in front of a head's end is counted, whole or not."""
        self._ended = False
        super().data_received(data)
        if not self._whole or self.transport.is_closing():
            return
        self._head = 0 if self._ended else self._head + len(data)
        if self._head > self._limits.head:
            self._refuse(431)
        elif self._timer is None and self._is_idle():
            self._await_head()

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._begun = True

    def on_url(self, url: bytes) -> None:
        """A part of its target."""
        super().on_url(url)
        if len(self.url) > self._limits.target:
            self._fail(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        super().on_header(name, value)
        if len(self.headers) > self._limits.headers:
            self._fail(431)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._disarm()
        self._begun, self._whole = False, False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole."""
        self._disarm()
        self._whole = self._ended = True
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """It is answered; whoever goes on sending gets a while, and no more than that."""
        super().on_response_complete()
        if not self._whole and not self.transport.is_closing():
            self._disarm()
            self._timer = self.loop.call_later(self._limits.rest_seconds, self.transport.close)

    def send_400_response(self, msg: str) -> None:
        """What the parser refused, in our words where it was for a limit of ours."""
        if self._refusal:
            self._refuse(self._refusal)
        else:
            super().send_400_response(msg)

    def _fail(self, status: int) -> None:
        """End the parsing: what is raised in the parser's callback comes back as its error."""
        self._refusal = status
        raise httptools.HttpParserError

    def _refuse(self, status: int) -> None:
        text = _REFUSALS[status]
        self.transport.write(
            b"HTTP/1.1 %s\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%s" % (text, len(text), text)
        )
        self.transport.close()

    def _is_idle(self) -> bool:
        cycle = cast("RequestResponseCycle | None", self.cycle)
        return cycle is None or cycle.response_complete

    def _await_head(self) -> None:
        self._timer = self.loop.call_later(self._limits.head_seconds, self._late)

    def _late(self) -> None:
        self._timer = None
        if not self.transport.is_closing() and self._begun:
            self._refuse(408)
        else:
            self.transport.close()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Server(uvicorn.Server):
    """Serves on one listening socket, with TLS when there is a context for it."""

    def __init__(
        self, config: uvicorn.Config, limits: HttpLimits, tls: SSLContext | None = None
    ) -> None:
        super().__init__(config)
        self._limits, self._tls = limits, tls

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leaves signals to us: uvicorn would raise them again at the end, and exit with -15."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept; `sockets` holds one that listens."""
        await self.lifespan.startup()
        loop = asyncio.get_running_loop()
        counts = Connections(self._limits)

        def plain() -> asyncio.Protocol:
            return LimitedProtocol(
                limits=self._limits,
                connections=counts,
                config=self.config,
                server_state=self.server_state,
                app_state=self.lifespan.state,
                _loop=loop,
            )

        tls = self._tls
        make = plain if tls is None else lambda: Sniffer(tls, plain, self._limits.head_seconds)
        self.servers = [
            await loop.create_server(make, sock=sock, backlog=self.config.backlog)
            for sock in sockets or []
        ]
        self.started = True
