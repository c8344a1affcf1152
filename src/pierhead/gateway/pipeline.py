"""The requests of one connection: each is replied to in its turn, however they come."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final, cast

from pierhead.gateway.answers import Refusal
from pierhead.gateway.commons import Commons, Connection
from pierhead.gateway.exchange import CONTINUE, Exchange
from pierhead.gateway.head import Head
from pierhead.gateway.request_parser import RequestParser
from pierhead.gateway.sockets import reset, untaken
from pierhead.gateway.tunnel import Far

_AHEAD: Final = 8  #: requests that a client may send before it has the reply to the one in work
#: Bytes that their bodies may have together: until a request is begun, nobody looked at its token.
_AHEAD_BYTES: Final = 256 * 1024
_NONSENSE: Final = b"400 Bad Request"
_LAST_WORDS: Final = {
    408: b"408 Request Timeout",
    414: b"414 URI Too Long",
    431: b"431 Request Header Fields Too Large",
}


class Pipeline(Connection):
    """What is in work on a connection, and what comes after it."""

    def __init__(self, front: Commons) -> None:
        self._front = front
        self._transport = cast(asyncio.Transport, None)
        self._requests = RequestParser(self, front.limits, front.body_limit)
        self.scheme = front.scheme
        self.idle_since = 0.0  #: of the loop's clock; 0 = it is not
        self._counted = ""  # the address as it is counted; "" = not at all
        self._head_timed = False
        # The request in work, and those after it. There is more to do after it if there are any, or
        # bytes that are not read yet, or no request can be read any more: that is told last.
        self._current: Exchange | None = None
        self._waiting: deque[Exchange] = deque()
        self._last_words = 0
        self._more = False
        self._busy = False  # bytes are read, or requests begun: no place to do so again
        self._blocked = False  # it reads slower than we send
        self._untaken = 0  # bytes, when it was last looked how it gets on
        self._stalled = False  # it sends faster than we reply
        self._deaf = False  # nothing that comes is looked at any more
        self._early: list[bytes] | None = None  # bytes after an upgrade that is not agreed to yet
        self._far: Far | None = None

    # ---- the requests, as they are read ----------------------------------------------------------

    @property
    def takes_more(self) -> bool:
        """Is there room for another request?"""
        if not self._waiting:
            return not self._deaf
        if len(self._waiting) > _AHEAD or self._deaf:
            return False
        held = self._requests.size + sum(len(each.body) for each in self._waiting)
        return held < _AHEAD_BYTES

    def began(self, head: Head) -> Exchange:
        """The head of a request came."""
        self.idle_since = 0.0
        if self._head_timed:
            self._head_timed = False
            self._front.heads.drop(self)
        exchange = Exchange(self, head, head.own_id or self._front.fresh_id())
        if self._front.stopping:
            exchange.ends = True
        if self._current is not None or self._waiting or self._blocked:
            self._waiting.append(exchange)
            self._more = True
        return exchange

    def grew_too_large(self, exchange: Exchange) -> None:
        """Its body is longer than any may be."""
        exchange.fault = self._front.too_large()
        if exchange is self._current:
            exchange.refuse(exchange.fault)

    def ended(self, exchange: Exchange) -> None:
        """The request is whole."""
        if exchange is self._current:
            self._front.bodies.drop(self)
            self._front.gateway.whole(exchange)
        elif exchange.finished:
            self._front.rests.drop(self)
        elif not self._waiting:
            self._begin(exchange)

    def switches(self, rest: bytes) -> None:
        """What follows the last request is another protocol's, if that is agreed to."""
        self._early = [rest] if rest else []

    def unreadable(self, exchange: Exchange | None, status: int) -> None:
        """No request can be read any more, in the midst of this one's body, or of no request at all."""
        if self._head_timed:
            self._head_timed = False
            self._front.heads.drop(self)
        if exchange is None:
            self._last_words, self._more = status, True
        elif exchange.finished:
            self._last_reply()  # its reply is out
        else:
            self._front.bodies.drop(self)
            message = "The request's body is not framed well."
            exchange.fault = Refusal(400, "bad_request", message, close=True)
            if exchange is self._current:
                exchange.refuse(exchange.fault)
            elif not self._waiting:
                self._begin(exchange)

    # ---- for the reply -------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Sends some bytes."""
        self._transport.write(data)

    def writing(self) -> Callable[[bytes], None]:
        """What `write` comes down to, for whoever writes often."""
        return self._transport.write

    def replied(self, exchange: Exchange) -> None:
        """The reply's last byte was written."""
        self._front.note(exchange)
        if exchange is not self._current:
            return  # the connection is gone already
        self._current = None
        if exchange.broken:
            self._deafen()
        elif exchange.ends:
            self._last_reply()
        elif exchange is self._requests.receiving:
            self._front.bodies.drop(self)
            self._front.rests.add(self)
        elif self._more:
            if not self._busy:
                self._go_on()
        elif not self._requests.begun:
            self.idle_since = self._front.now()

    def hang_up(self, *, hard: bool = False) -> None:
        """Ends the connection."""
        self._deafen()
        if hard:
            reset(self._transport)
        else:
            self._close()

    def tunnel(self, far: Far) -> None:
        """From here on bytes go to and fro as they are."""
        self._far, early = far, self._early
        self._early, self._current = None, None
        if self._blocked:
            far.pause()
        for data in early or ():
            far.write(data)
        self._unstall()

    def pause(self) -> None:
        """Take nothing in for now."""
        self._transport.pause_reading()

    def resume(self) -> None:
        """Go on."""
        self._transport.resume_reading()

    # ---- inside ------------------------------------------------------------------------------------

    def _take(self, head: Head, body: bytes) -> None:
        """A request whose head is known, all of it at once."""
        front = self._front
        self.idle_since = 0.0
        exchange = self._current = Exchange(self, head, head.own_id or front.fresh_id())
        exchange.body, exchange.whole = body, True
        if len(body) > front.body_limit:
            exchange.fault = front.too_large()
        front.gateway.request(exchange)

    def _begin(self, exchange: Exchange) -> None:
        self._current = exchange
        gateway = self._front.gateway
        if exchange.whole:
            gateway.request(exchange)
            return
        gateway.head(exchange)
        if exchange.finished:
            return
        self._front.bodies.add(self)
        expects = b"expect" in exchange.head.headers and not exchange.head.http_1_0
        if expects and not self._requests.has_body:
            self._transport.write(CONTINUE)

    def _go_on(self) -> None:
        """Begins what waits, one after the other, and reads what is unread, as far as there is room."""
        requests = self._requests
        self._busy = True
        while not self._deaf:
            receiving, current = requests.receiving, self._current
            if current is not None and current is receiving and requests.unread:
                requests.read_on()  # of its body
            elif current is not None or self._blocked:
                break
            elif self._waiting:
                self._begin(self._waiting.popleft())
            elif requests.unread:
                requests.read_on()
            elif receiving is not None and not receiving.finished:
                self._begin(receiving)
            else:
                break
        self._busy = False
        if not self._deaf:
            self._settle()

    def _settle(self) -> None:
        """All that could be done now is done."""
        requests = self._requests
        behind = bool(self._waiting or requests.unread)
        self._more = behind or self._last_words != 0
        if requests.unread or not self.takes_more:
            self._stall()
        elif self._early is None:
            self._unstall()
        if requests.begun:
            self.idle_since = 0.0
            if not self._head_timed and not self._stalled:
                self._time_head()
        elif self._current is None and not behind and requests.receiving is None:
            if self._last_words:
                self._speak_last()
            elif not self.idle_since and not self._head_timed:
                self.idle_since = self._front.now()

    def _time_head(self) -> None:
        self._head_timed = True
        self._front.heads.add(self)

    def _speak_last(self) -> None:
        """Tells why nothing more is read."""
        text = _LAST_WORDS.get(self._last_words, _NONSENSE)
        self._transport.write(
            b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%b" % (text, len(text), text)
        )
        self._last_reply()

    def _last_reply(self) -> None:
        """The connection ends with this reply, but not before the client could read it."""
        requests = self._requests
        sends = requests.receiving is not None or bool(self._waiting) or self._stalled
        sends = sends or requests.surplus or bool(self._early)
        self._deafen()
        if self._transport.is_closing():
            return
        if sends and self._transport.can_write_eof():
            self._transport.write_eof()
            self._unstall()
            self._front.rests.add(self)
        else:
            self._close()

    def _close(self) -> None:
        """Ends the connection once all was sent; a client that does not take it is not waited for."""
        self._transport.close()
        if self._transport.get_write_buffer_size():
            self._time_writing()

    def _time_writing(self) -> None:
        """Until it has taken something more."""
        self._untaken = untaken(self._transport)
        self._front.writes.add(self)

    def _deafen(self) -> None:
        """Whatever comes, or waits, is not looked at any more."""
        self._deaf, self._more = True, False
        self.idle_since = 0.0
        self._waiting.clear()
        self._requests.stop()

    def _stall(self) -> None:
        if not self._stalled and not self._transport.is_closing():
            self._stalled = True
            self._transport.pause_reading()
            if self._head_timed:  # it cannot send the rest of it
                self._head_timed = False
                self._front.heads.drop(self)

    def _unstall(self) -> None:
        if self._stalled:
            self._stalled = False
            if not self._transport.is_closing():
                self._transport.resume_reading()
