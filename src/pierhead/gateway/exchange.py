"""One request and its reply: what came in, how far the reply is, and what is to be noted about it."""

from collections.abc import Callable
from http import HTTPStatus
from time import monotonic
from typing import Final, Protocol

from pierhead.gateway.answers import Answer, Refusal
from pierhead.gateway.figures import Ended
from pierhead.gateway.head import Head
from pierhead.gateway.tunnel import Far

LEFT: Final = 499  #: nginx's number for a client that went away; in logs and metrics only
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_PHRASES: Final = frozenset(each.value for each in HTTPStatus)
#: First line of a reply, by its status.
STATUS_LINES: Final = {
    status: b"HTTP/1.1 %d %s\r\n"
    % (status, HTTPStatus(status).phrase.encode() if status in _PHRASES else b"")
    for status in range(100, 1000)
}


class Judged:
    """How a request was judged; the next one on its connection is often its like."""

    go: "Callable[[Exchange], None]"  #: what is done next

    def fits(self, exchange: "Exchange") -> bool:
        """Would this one be judged the same?"""
        raise NotImplementedError


class Line:
    """The connection to a client, as far as a reply needs it."""

    address: bytes = b""  #: the client's
    server: tuple[str, int] = ("", 0)  #: where it reached us
    scheme: bytes = b"http"
    judged: "Judged | None" = None  #: how the last request on it was judged

    def write(self, data: bytes) -> None:
        """Sends some bytes."""
        raise NotImplementedError

    def writing(self) -> Callable[[bytes], None]:
        """What `write` comes down to, for whoever writes often."""
        return self.write

    def pause(self) -> None:
        """Take nothing in for now."""
        raise NotImplementedError

    def resume(self) -> None:
        """Go on."""
        raise NotImplementedError

    def tunnel(self, far: Far) -> None:
        """From here on bytes go to and fro as they are."""
        raise NotImplementedError

    def replied(self, exchange: "Exchange") -> None:
        """The reply's last byte was written."""
        raise NotImplementedError

    def hang_up(self, *, hard: bool = False) -> None:
        """Ends the connection; `hard`: by a reset, as nothing else tells that the reply is not whole."""
        raise NotImplementedError


class Passing(Protocol):
    """Whoever replies to an exchange by what a replica sends."""

    def left(self) -> None:
        """The client is gone."""
        ...

    def pause(self) -> None:
        """The client takes no more for now."""
        ...

    def resume(self) -> None:
        """It does again."""
        ...


class Exchange(Ended):
    """Belongs to one connection; `relay` to the replica, if any, while its answer is passed on."""

    # What most requests never need has its place in the class: an object with few of its own is cheap.
    body = b""  #: once it is whole
    whole = False  #: the request came to its end
    openai = False  #: errors are told in OpenAI's shape
    noted = True  #: counted and logged
    replica = ""
    opened = False  #: its head went out before there was a replica to answer
    finished = False

    def __init__(self, line: Line, head: Head, request_id: bytes) -> None:
        self.line, self.head = line, head
        self.go: Callable[[Exchange], None] | None = None  #: what is done once it is whole
        self.passing: Passing | None = None
        self.method = head.method
        self.request_id = request_id
        self.begun = monotonic()  #: all times are seconds of this clock
        self.ends = head.ends  #: the connection ends with the reply
        self.fault = head.fault  #: why it cannot be taken, whatever it asks for

    def answer(self, answer: Answer) -> None:
        """Sends a reply of the gateway's own."""
        self.status = answer.status
        body = b"" if self.method == "HEAD" else answer.body
        head = b"%bcontent-type: %b\r\ncontent-length: %d\r\nx-request-id: %b\r\n" % (
            STATUS_LINES[answer.status],
            answer.content_type,
            len(answer.body),
            self.request_id,
        )
        extra = b"".join(b"%b: %b\r\n" % header for header in answer.headers)
        if b"connection: close" in extra:
            self.ends = True
        elif not self.whole and b"expect" in self.head.headers:
            self.ends = True  # nobody knows whether the body that was announced still comes
        if self.ends and b"connection: close" not in extra:
            extra += b"connection: close\r\n"
        self.line.write(b"%b%b\r\n%b" % (head, extra, body))
        self.finish()

    def comment(self, words: str) -> None:
        """Tells a client that waits for a stream of events something that it passes over."""
        if not self.opened:
            self.opened = True
            self.line.write(
                b"%bcontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
                b"x-request-id: %b\r\ntransfer-encoding: chunked\r\n%b\r\n"
                % (
                    STATUS_LINES[200],
                    self.request_id,
                    b"connection: close\r\n" if self.ends else b"",
                )
            )
        self.line.write(_piece(b": %b\n\n" % words.encode()))

    def refuse(self, refusal: Refusal) -> None:
        """Tells why it is not passed on; once a reply has begun, only by the connection's end."""
        if self.finished:
            return
        if self.opened and not self.status:
            self.status = refusal.status
            told = refusal.answer(self.request_id.decode("latin-1"), openai=True)
            self.line.write(_piece(b"data: %b\n\n" % told.event) + b"0\r\n\r\n")
            self.finish()
        elif self.status:
            self.cut()
        else:
            self.answer(refusal.answer(self.request_id.decode("latin-1"), openai=self.openai))

    def finish(self) -> None:
        """The reply is whole; nothing happens if it ended before."""
        if self.finished:
            return
        self.finished, self.passing = True, None
        self.line.replied(self)

    def cut(self, *, hard: bool = False) -> None:
        """The reply broke off; nothing happens if it ended before."""
        if self.finished:
            return
        self.broken, self.finished, self.passing = True, True, None
        self.line.hang_up(hard=hard)
        self.line.replied(self)


def _piece(data: bytes) -> bytes:
    """One chunk of a body."""
    return b"%x\r\n%b\r\n" % (len(data), data)
