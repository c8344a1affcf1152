"""The answer to a call, passed on to the client as it comes. Calls only."""

from time import monotonic
from typing import Final

from pierhead.core.routes import Target
from pierhead.gateway.answers import Refusal
from pierhead.gateway.balance import FAULTS, Failure
from pierhead.gateway.headers import Told, for_client, switching
from pierhead.gateway.metering import Events, counting, whole_of
from pierhead.gateway.naming import needs_own_name, restoring
from pierhead.gateway.opened import AsEvent, Passes
from pierhead.gateway.sending import Sending
from pierhead.gateway.steady import Steady
from pierhead.gateway.tunnel import Tunnel

EVENTS: Final = b"text/event-stream"
_BODILESS: Final = frozenset({204, 304})


class Forward(Sending):
    """One call: asks replicas until one answers, then passes that answer on as it comes."""

    def head(self, status: int, told: Told, length: bytes | None) -> None:
        """The head of an answer came: from here on no other replica can be asked."""
        call, exchange, attempt, target = self._call, self._exchange, self._attempt, self._target
        if attempt is None or target is None:
            return
        if status in FAULTS:
            ejected = attempt.answered(status, self._targets())
            self._relay.note(call, attempt, ejected=ejected)
        else:
            attempt.answers()
        if call.route.timeout is None and self._deadlines is not None:
            self._deadlines.drop(self)  # a stream may last
            self._disarm()
        if status == 101:
            self._switch(switching(exchange, told))
        else:
            self._reply(status, told, target, length)

    def _reply(self, status: int, told: Told, target: Target, length: bytes | None) -> None:
        """How the answer is passed on, by its head; that is sent with what comes next, or is out already."""
        call, exchange = self._call, self._exchange
        names: Passes | None = restoring(
            target, call.route, exchange.method, told.kind, coded=told.coded
        )
        if exchange.opened and (status != 200 or told.kind != EVENTS or told.coded):
            names = AsEvent(status, names)
        self._names = names
        count = self._count = counting(
            call.asked, status, told.kind, coded=told.coded, told=call.telling is not None
        )
        call.entry.count = count
        if told.kind == EVENTS:
            self._is_stream = True
            self._relay.streams[self] = None
        if names is not None or count.strips or exchange.opened:
            length = None
        bodiless = exchange.method == "HEAD" or status in _BODILESS
        self._chunked = not (bodiless or exchange.head.http_1_0) and length is None
        if length is None and not self._chunked and not bodiless:
            exchange.ends = True
        exchange.status = status
        well = names is None and status not in FAULTS
        self._plain = self._is_stream and self._chunked and well and call.asked.tells
        if exchange.opened:
            self._chunked = self._sent = True
            return
        self._out.append(for_client(exchange, status, told, length=length, chunked=self._chunked))

    def steady(self) -> Steady | None:
        """See `Answer.steady`. The first piece of a stream is none of its steady flow."""
        count, exchange = self._count, self._exchange
        self._settle()
        if not (self._plain and isinstance(count, Events) and count.is_between):
            return None
        if exchange.first_byte is None or self._relay.balance.has_records:
            return None
        if self._steady is None:
            self._steady = Steady(exchange.line.writing())
        return self._steady

    def takes(self, told: Told) -> bool:
        """May all of an answer with such a head and status 200 come by `whole`?"""
        exchange, target = self._exchange, self._target
        if target is None or told.kind != b"application/json" or told.coded:
            return False
        odd = exchange.opened or exchange.head.http_1_0
        return not odd and not needs_own_name(target, self._call.route)

    def whole(self, told: Told, body: bytes) -> None:
        """All of an answer that goes on as it is: done in one step what the others do in many."""
        call, exchange, attempt = self._call, self._exchange, self._attempt
        self._connection = None
        now, entry = monotonic(), call.entry
        if entry.is_bounded:
            entry.close(whole_of(call.asked, body))
        exchange.status, exchange.first_byte, exchange.last_byte = 200, now, now
        head = for_client(exchange, 200, told, length=b"%d" % len(body), chunked=False)
        exchange.line.write(head + body)
        # It is out. What is done from here on delays nobody, and before the client's next request
        # is read it is done, but for one that another worker reads: hence the exception above.
        if not entry.is_bounded:
            entry.close(whole_of(call.asked, body))
        if attempt is not None:
            attempt.answers_whole(now)
        self._end()
        exchange.finish()

    def body(self, data: bytes) -> None:
        """A piece of the answer."""
        self._settle()
        count = self._count
        if count is not None:
            data = count.passed(data, last=False)
            if count.ended:
                # Before the client can know of it: its next request finds this one counted.
                self._call.entry.end()
        if self._names is not None:
            data = self._names.passed(data, last=False)
        if data:
            self._out.append(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)

    def flush(self) -> None:
        """Sends on what was read at once."""
        out, exchange, attempt = self._out, self._exchange, self._attempt
        if attempt is None or not out:
            return
        now = monotonic()
        if self._sent or len(out) > 1:  # a head alone says nothing of the answer yet
            attempt.flows(now)
            if exchange.first_byte is None:
                exchange.first_byte = now
            exchange.last_byte = now
            exchange.chunks += self._is_stream
        self._sent = True
        exchange.line.write(out[0] if len(out) == 1 else b"".join(out))
        out.clear()

    def complete(self) -> None:
        """The answer is whole."""
        self._settle()
        exchange, attempt, count, out = self._exchange, self._attempt, self._count, self._out
        self._connection = None
        if count is not None:
            tail = count.passed(b"", last=True)
            if self._names is not None:
                tail = self._names.passed(tail, last=True)
            if tail:
                out.append(b"%x\r\n%b\r\n" % (len(tail), tail) if self._chunked else tail)
        if self._chunked:
            out.append(b"0\r\n\r\n")
        # Before the client can know of it: its next request finds this one counted.
        self._call.entry.end()
        self.flush()
        if attempt is not None:
            attempt.whole()
        self._end()
        exchange.finish()

    def _switch(self, head: bytes) -> None:
        exchange, connection, attempt = self._exchange, self._connection, self._attempt
        if not exchange.head.upgrades or connection is None:
            self._failed(Failure.BROKEN)
            self._refuse(Refusal(502, "bad_upstream", "The replica switched the protocol unasked."))
            return
        exchange.status = 101
        exchange.line.write(head)
        self._attempt, self._connection = None, None  # the tunnel's from here on

        def over() -> None:
            if attempt is not None:
                attempt.end()
            self._end()
            exchange.finish()

        Tunnel(connection, exchange.line, over).open()
