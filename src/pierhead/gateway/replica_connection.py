"""A connection to a replica: one request at a time, and what is answered to it."""

import asyncio
from typing import Final, cast

import httptools

from pierhead.core.routes import Target
from pierhead.gateway.awaiting import Answer, Keeper
from pierhead.gateway.head import Header, Remembered, remembered
from pierhead.gateway.headers import Told, told_by
from pierhead.gateway.sockets import bound
from pierhead.gateway.steady import Steady
from pierhead.gateway.tunnel import Far

#: Bytes of an answer's head; replicas are ours to trust, so generous.
_HEAD_LIMIT: Final = 256 * 1024
_OK: Final = 200
_SWITCHING: Final = 101
_EMPTY: Final = frozenset({204, 304})  #: they have no body
_LAST_SECONDS: Final = 10.0  #: for a replica to take the end of a tunnel's bytes

Address = tuple[str, int]


class _UnsoundError(Exception):
    """The parser took it, but it is no answer."""


class ReplicaConnection:
    """One connection to a replica: an `asyncio.Protocol` by its methods, as a compiled class has no such base."""

    def __init__(self, pool: "Keeper[ReplicaConnection]", target: Target) -> None:
        self._pool, self.target = pool, target
        self.at: Address = (target.host, target.port)
        self._transport = cast(asyncio.Transport, None)
        self._parser = httptools.HttpResponseParser(self)
        self._answer: Answer | None = None
        self._raw: list[Header] = []
        self._headless = False  # the request was HEAD: its answer has no body, whatever it says
        self._came = self._headed = self._interim = self._complete = self._surplus = False
        self._chunked = self._in_chunk = False
        #: What passes on a whole chunk, as long as the last bytes ended with one.
        self._steady: Steady | None = None
        self._until_close = False  # the answer lasts as long as the connection
        self._keeps = False  # it may be used again after the answer
        self._head = 0
        self._told: Told | None = None
        self._remembered: Remembered[tuple[int, Told]] | None = None
        self._far: Far | None = None
        self.idle_since = 0.0  #: of the loop's clock
        self.used = False  #: it answered a request before the one in work

    # ---- for requests --------------------------------------------------------------------------

    def ask(self, answer: Answer, data: list[bytes], *, headless: bool) -> None:
        """Sends a request; `answer` is told what comes."""
        self._answer, self._headless = answer, headless
        self._came = self._headed = self._interim = self._complete = self._surplus = False
        self._head = 0
        self._chunked = self._in_chunk = False
        self._steady = None
        self._raw = []
        if len(data) == 1:
            self._transport.write(data[0])
        else:
            self._transport.writelines(data)

    def drop(self) -> None:
        """Nobody waits for its answer any more: the replica sees it, and may stop."""
        self._answer = self._steady = None
        self._transport.abort()

    def tunnel(self, far: Far) -> None:
        """From here on bytes go to and fro as they are."""
        self._far = far

    # ---- as the far end of a tunnel, and for a client that reads slower than we send -------------

    def write(self, data: bytes) -> None:
        """Sends some bytes."""
        self._transport.write(data)

    def hang_up(self) -> None:
        """Nothing more will come; what was sent is taken in time, or lost."""
        transport = self._transport
        transport.close()
        if transport.get_write_buffer_size():
            asyncio.get_running_loop().call_later(_LAST_SECONDS, transport.abort)

    def pause(self) -> None:
        """Read nothing for now."""
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if not self._transport.is_closing():
            self._transport.resume_reading()

    # ---- the transport -----------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is connected."""
        self._transport = cast(asyncio.Transport, transport)
        bound(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """It ended."""
        self._pool.gone(self)
        answer, self._answer = self._answer, None
        far, self._far = self._far, None
        # It and its parser hold each other: they would stay until the next look for garbage.
        self._parser = cast(httptools.HttpResponseParser, None)
        if far is not None:
            far.hang_up()
        if answer is None:
            return
        try:
            if self._until_close and exc is None:
                answer.complete()
            else:
                answer.lost(came=self._came)
        except Exception:  # noqa: BLE001 the process edge: else its client would wait for ever
            answer.fault()

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        answer = self._answer
        try:
            steady = self._steady
            if steady is not None and steady.passes(data):
                return
            if answer is not None:
                self._understand(answer, data)
            elif self._far is not None:
                self._far.write(data)
            else:
                # Not asked for: the next request would take it for its answer.
                self._transport.abort()
        except httptools.HttpParserError as error:
            self._failed(answer, error)
        except Exception:  # noqa: BLE001 the process edge: else its client would wait for ever
            self._give_up(answer)

    def eof_received(self) -> bool:
        """It sends nothing more; False = the transport is to be closed."""
        return False

    def pause_writing(self) -> None:
        """It reads slower than we send."""
        if self._far is not None:
            self._far.pause()

    def resume_writing(self) -> None:
        """It has caught up."""
        if self._far is not None:
            self._far.resume()

    # ---- what the parser finds -----------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """An answer begins, or a second one that nobody asked for."""
        self._surplus = self._complete

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; trailers are for nobody."""
        if not self._headed:
            self._raw.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self._complete:
            return
        status = self._parser.get_status_code()
        raw, self._raw = self._raw, []
        if status < 100:
            raise _UnsoundError
        if status < 200 and status != _SWITCHING:
            self._interim = True  # what it announces does not matter to us
            return
        self._headed = True
        self._keeps = self._parser.should_keep_alive()
        told = self._told = told_by(raw)
        bodiless = self._headless or status in _EMPTY
        self._until_close = not (bodiless or told.length is not None or told.chunked)
        self._chunked = told.chunked and not bodiless
        if self._answer is not None:
            self._answer.head(status, told, told.length)
        if status == _SWITCHING and self._far is None:
            self._answer = None  # nobody had asked for it: it was refused
        if self._headless:
            self._complete = True

    def on_chunk_header(self) -> None:
        """A chunk begins."""
        self._in_chunk = True

    def on_chunk_complete(self) -> None:
        """It is over, with its frame."""
        self._in_chunk = False

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        if self._interim:
            raise _UnsoundError  # it has none: what is taken for one may be the answer
        if self._answer is not None and not self._complete:
            self._answer.body(data)

    def on_message_complete(self) -> None:
        """The answer is whole."""
        if self._interim:
            self._interim = False
        else:
            self._complete = True

    # ---- inside ------------------------------------------------------------------------------------------

    def _understand(self, answer: Answer, data: bytes) -> None:
        """Engines begin their answers alike: the same bytes need not be parsed again."""
        known = self._remembered
        body = known.body_of(data) if known and not (self._came or self._headless) else None
        self._came = True
        if known is None or body is None:
            self._feed(data)
        else:
            status, told = known.found
            self._keeps = self._complete = True
            if status == _OK and answer.takes(told):
                self._let_go()
                answer.whole(told, body)
                return
            answer.head(status, told, b"%d" % len(body))
            answer.body(body)
        if self._answer is not answer:
            return  # left, or a tunnel from here on
        if self._complete:
            self._let_go()
            answer.complete()
        else:
            answer.flush()

    def _remember(self, data: bytes) -> None:
        """What this answer's head may be known by; such as it was, it came in one piece."""
        told = self._told
        if self._keeps and not self._surplus and told is not None and told.length is not None:
            known = remembered(data, (self._parser.get_status_code(), told))
            self._remembered = known or self._remembered

    def _feed(self, data: bytes) -> None:
        fresh, self._told = not self._head and not self._headed, None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._far is None:
                raise httptools.HttpParserError("an upgrade that nobody asked for") from upgrade
            rest = data[upgrade.args[0] :]
            answer, self._answer = self._answer, None
            if answer is not None:
                answer.flush()
            if rest:
                self._far.write(rest)
        # Between two chunks the next one need not be parsed to be passed on.
        aligned = self._chunked and not self._in_chunk and data[-2:] == b"\r\n"
        self._steady = self._answer.steady() if aligned and self._answer is not None else None
        if fresh and self._complete and not self._headless:
            self._remember(data)
        if not self._headed:
            self._head += len(data)
            if self._head > _HEAD_LIMIT:
                raise httptools.HttpParserError("the head is too long")

    def _failed(self, answer: Answer | None, error: httptools.HttpParserError) -> None:
        """What came is no answer, or a mistake of ours came out."""
        left, ours = self._answer is None, isinstance(error, httptools.HttpParserCallbackError)
        self.drop()
        if answer is None:
            return
        if ours and not isinstance(error.__context__, _UnsoundError):
            answer.fault()
        elif not left:
            answer.lost(came=True)

    def _give_up(self, answer: Answer | None) -> None:
        """A mistake of ours came out, and is being handled."""
        if self._answer is not None or answer is None:  # else it was let go of already
            self.drop()
        if answer is not None:
            answer.fault()

    def _let_go(self) -> None:
        # Nothing of the answer that is over may pass on what comes late.
        self._answer = self._steady = None
        transport = self._transport
        if self._headless:
            self._parser = httptools.HttpResponseParser(self)  # the old one waits for a body
        if transport.get_write_buffer_size():
            # It answered without the rest of the request: the next one would come behind that.
            transport.abort()
        elif self._keeps and not self._surplus and not transport.is_closing():
            self.used = True
            self._pool.keep(self)
        else:
            transport.close()
