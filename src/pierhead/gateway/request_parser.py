"""A client's bytes become requests. What two servers could understand in two ways is refused, never passed on.

Everything that a client can make us hold is bounded: a head, a body, what stands between the pieces of a
body, and how many requests are read before the first of them has its reply.
"""

from typing import Final, Protocol, cast

import httptools

from pierhead.gateway.exchange import Exchange
from pierhead.gateway.head import Head, Header, Remembered, is_memorable, remembered
from pierhead.server import HttpLimits

_SLICE: Final = 16 * 1024  #: bytes looked at in one go: nobody can make us read many requests ahead
_PER_PIECE: Final = 64  #: bytes that a piece of a body may have around it


class Taker(Protocol):
    """Whoever takes the requests of one connection."""

    @property
    def takes_more(self) -> bool:
        """Is there room for another request?"""
        ...

    def began(self, head: Head) -> Exchange:
        """The head of a request came."""
        ...

    def grew_too_large(self, exchange: Exchange) -> None:
        """Its body is longer than any may be: the rest of it is thrown away."""
        ...

    def ended(self, exchange: Exchange) -> None:
        """The request is whole."""
        ...

    def switches(self, rest: bytes) -> None:
        """What follows the last request is another protocol's, if that is agreed to."""
        ...

    def unreadable(self, exchange: Exchange | None, status: int) -> None:
        """No request can be read any more, in the midst of this one's body, or of no request at all."""
        ...


class _Unreadable(Exception):
    """Raised in the parser's callbacks, to end the parsing."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class RequestParser:
    """Reads the requests of one connection."""

    def __init__(self, taker: Taker, limits: HttpLimits, body_limit: int) -> None:
        self._taker, self._limits, self._body_limit = taker, limits, body_limit
        self._parser = httptools.HttpRequestParser(self)
        self.begun = False  #: a head comes in
        self.receiving: Exchange | None = None  #: its body comes in
        self.over = False  #: no more requests are read
        self.surplus = False  #: something came after that
        self.unread: memoryview[int] = memoryview(b"")  #: what waits until the taker has room
        self.remembered: Remembered[Head] | None = (
            None  #: the last head that may be known by its bytes
        )
        # The head that comes in now.
        self._url = b""
        self._raw: list[Header] = []
        self._head = 0  # bytes of it, before those that are looked at now
        self._start = b""  # the same bytes, until the first line is among them
        self._data = b""  # what is looked at now
        self._ended = False  # it brought a head's or a body's end
        self._last: Head | None = None
        self._alone = False  # that one stood at the beginning of what is looked at
        # The body that comes in now.
        # Its first piece, and from the second on all of them as one: many small ones would leave holes
        # in the memory that the system does not get back.
        self._body: bytes | bytearray = b""
        self.size = 0  #: bytes of it that came so far
        self._pieces = self._within = 0

    def feed(self, data: bytes) -> None:
        """Bytes came. As many of them are read as the taker has room for."""
        if not self.unread and (len(data) <= _SLICE or len(data) <= self._due()):
            self._read(data)
        else:
            self.unread = memoryview(bytes(self.unread) + data if self.unread else data)
            self.read_on()

    def read_on(self) -> None:
        """Reads what is unread, as far as there is room."""
        while self.unread and self._taker.takes_more:
            size = max(_SLICE, self._due())
            piece, self.unread = bytes(self.unread[:size]), self.unread[size:]
            self._read(piece)

    def stop(self) -> None:
        """Reads nothing more."""
        self.surplus = self.surplus or bool(self.unread)
        self.over, self.begun, self.unread = True, False, memoryview(b"")
        self._body, self.size = b"", 0

    def drop(self) -> None:
        """Its connection is gone. What holds each other would stay until the next look for garbage.

        A connection that lasted is looked at once in millions of requests: thousands would pile up.
        """
        self.stop()
        self._parser = cast(httptools.HttpRequestParser, None)
        self._taker = cast(Taker, None)
        self._last = self.receiving = self.remembered = None

    @property
    def has_body(self) -> bool:
        """Did something of the body come already?"""
        return self.size > 0

    # ---- what the parser finds ---------------------------------------------------------------

    def on_message_begin(self) -> None:
        """A request begins."""
        if self.over:
            raise _Unreadable(0)
        self.begun = True
        self._url, self._raw = b"", []

    def on_url(self, url: bytes) -> None:
        """A part of its target."""
        self._url += url
        if len(self._url) > self._limits.target:
            raise _Unreadable(414)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer: that is nobody's business behind us."""
        if self.begun:
            self._raw.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._alone, self.begun, self._ended = not self._ended, False, True
        parser, raw, limits = self._parser, self._raw, self._limits
        if len(raw) > limits.headers or (
            self._head + len(self._data) > limits.head and self._is_long()
        ):
            raise _Unreadable(431)
        head = Head(parser.get_method(), self._url, raw, parser.get_http_version())
        if not self._is_http(self._data):
            raise _Unreadable(400)
        if head.http_1_0 or not parser.should_keep_alive():
            head.ends = True
        if parser.should_upgrade():
            head.may_upgrade()
        self._last = head
        self._start = self._body = b""
        self.size = self._pieces = self._within = 0
        self.receiving = self._taker.began(head)

    def on_body(self, data: bytes) -> None:
        """A part of its body."""
        exchange = self.receiving
        self.size += len(data)
        self._pieces += 1
        if exchange is None or exchange.finished or exchange.fault is not None:
            return
        if self.size > self._body_limit:
            self._body = b""
            self._taker.grew_too_large(exchange)
        elif not self._body:
            self._body = data
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += data

    def on_message_complete(self) -> None:
        """The request is whole."""
        exchange, self.receiving = self.receiving, None
        self._ended = True
        if exchange is None:
            return
        exchange.body, self._body, self.size = bytes(self._body), b"", 0
        fault = exchange.head.fault
        if exchange.head.ends or (fault is not None and fault.close):
            self.stop()
        exchange.whole = True
        self._taker.ended(exchange)

    # ---- inside ------------------------------------------------------------------------------------

    def _due(self) -> int:
        """Bytes that still belong to the body that comes in, as far as its head tells."""
        if self.receiving is None:
            return 0
        length = self.receiving.head.headers.get(b"content-length")
        return int(length) - self.size if length else 0

    def _read(self, data: bytes) -> None:
        while data:
            fresh, receiving = not self.begun, self.receiving
            self._ended, self._alone, self._data = False, False, data
            rest = b""
            try:
                self._parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                rest = self._upgraded(data[upgrade.args[0] :])
            except httptools.HttpParserError as error:
                self._failed(error)
                return
            self._bound(data, fresh=fresh and receiving is None, within=receiving)
            data = rest

    def _bound(self, data: bytes, *, fresh: bool, within: Exchange | None) -> None:
        """Looks at how much came of what is not whole yet; `fresh`: nothing had begun before."""
        if self.begun:
            self._head = 0 if self._ended else self._head + len(data)
            self._keep_start(data, fresh=fresh or self._ended)
            if self._head > self._limits.head:
                self._fail(431)
            return
        self._head = 0
        if within is not None and within is self.receiving:
            self._within += len(data)
            around = self._within - self.size
            if around > self._limits.head + _PER_PIECE * self._pieces:
                self._fail(431)
        elif fresh and self._alone and not self.over:
            self._remember(data)

    def _remember(self, data: bytes) -> None:
        if self.receiving is None and self._last is not None and is_memorable(self._last):
            self.remembered = remembered(data, self._last) or self.remembered

    def _keep_start(self, data: bytes, *, fresh: bool) -> None:
        """The first line may come in pieces, and is looked at once the head is whole."""
        if fresh:
            self._start = data
        elif len(self._start) <= self._limits.target + _SLICE and not self._is_http(b""):
            self._start += data

    def _upgraded(self, rest: bytes) -> bytes:
        """The parser stopped after a head that asks for another protocol; what is to be parsed next."""
        if self._last is not None and self._last.upgrades:
            more, self.unread = bytes(self.unread), memoryview(b"")
            self._taker.switches(rest + more)
            return b""
        return rest  # what was asked for is not had here: HTTP goes on

    def _failed(self, error: httptools.HttpParserError) -> None:
        """The parser gave up, or was stopped in a callback."""
        cause = error.__context__
        if isinstance(error, httptools.HttpParserCallbackError) and type(cause) is not _Unreadable:
            raise error  # a mistake of ours
        if self.over:
            self.surplus = True  # behind the last request
        else:
            self._fail(cause.status if isinstance(cause, _Unreadable) else 400)

    def _fail(self, status: int) -> None:
        exchange, self.receiving = self.receiving, None
        self.stop()
        self.surplus = True
        self._taker.unreadable(exchange, status)

    def _is_long(self) -> bool:
        size = len(self._url) + sum(len(name) + len(value) + 4 for name, value in self._raw)
        return size > self._limits.head

    def _is_http(self, data: bytes) -> bool:
        """The parser takes RTSP's and ICE's first lines, too, and does not tell."""
        return self._url + b" HTTP/" in (self._start + data if self._start else data)
