"""One HTTP connection and its answers: every wait on the other side has an end, however it drips.

A timeout of a socket is one of each read: a server that sends a byte now and then would never run into
it. Here the head of an answer, each piece of its body and each text as a whole have a moment to be there.
"""

import http.client
import io
import socket
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from typing import Any, cast

from pierhead.sources.remote import Flaky, Rejected

_PIECE = 256 * 1024  #: larger ones are pages that the kernel has to clear anew for each
_LONGEST_TEXT = 8 * 1024 * 1024  #: bytes of an answer that is read at once
_WHOLE_TEXT = 60.0  #: seconds until such an answer must be there
_MOST_TAGS = 300_000  #: of a page of a thousand objects, several times over


class TimedSocket:
    """What `http.client` needs of a socket; reading from it ends at a moment."""

    def __init__(self, made: socket.socket, seconds: float) -> None:
        """`seconds` is what sending takes at most, and how much one `allow` gives."""
        self._made, self._seconds = made, seconds
        self._end = 0.0

    def allow(self, latest: float = float("inf")) -> None:
        """What is read from now on must be there in time; `latest`: a moment that is the end anyhow."""
        self._end = min(time.monotonic() + self._seconds, latest)

    def sendall(self, content: Any) -> None:
        self._made.settimeout(self._seconds)
        self._made.sendall(content)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self))

    def close(self) -> None:
        self._made.close()

    def raw(self) -> io.RawIOBase:
        """What is read of it, without a buffer; it keeps the socket open."""
        return self._made.makefile("rb", buffering=0)

    def hurry(self) -> None:
        """Let the next read end in time.

        Raises:
            TimeoutError: it is too late for one.
        """
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._made.settimeout(left)


class _Incoming(io.RawIOBase):
    """The bytes that come."""

    def __init__(self, made: TimedSocket) -> None:
        super().__init__()
        self._made, self._raw = made, made.raw()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        self._made.hurry()
        return self._raw.readinto(buffer)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType, reportAttributeAccessIssue]

    def close(self) -> None:
        self._raw.close()
        super().close()


class Answer:
    """An HTTP answer whose body is not read yet."""

    def __init__(self, connection: "Conversation", answer: http.client.HTTPResponse) -> None:
        self._connection = connection
        self._answer = answer
        self.status = answer.status
        self.reason = answer.reason
        self.headers: Mapping[str, str] = {
            name.lower(): value for name, value in answer.getheaders()
        }

    def pieces(self, latest: float = float("inf")) -> Generator[bytes, None, None]:
        """The body; it ends early where the connection does. `latest`: when it must be there.

        Raises:
            Flaky: the connection broke, or is too slow.
        """
        try:
            while piece := self._piece(latest):
                yield piece
        except (OSError, http.client.HTTPException) as error:
            self._connection.broken = True
            raise Flaky(self._connection.name, broke(error)) from error
        finally:
            self.close()

    def _piece(self, latest: float) -> bytes:
        self._connection.made.allow(latest)
        return self._answer.read1(_PIECE)

    def text(self) -> bytes:
        """The whole body.

        Raises:
            Flaky: the connection broke, or is too slow.
            Rejected: it is longer, or of more parts, than any answer to a question.
        """
        parts: list[bytes] = []
        length = 0
        with closing(self.pieces(time.monotonic() + _WHOLE_TEXT)) as pieces:
            for piece in pieces:
                parts.append(piece)
                length += len(piece)
                if length > _LONGEST_TEXT:
                    raise Rejected(self._connection.name, "its answer does not end")
        text = b"".join(parts)
        # XML in memory takes fifty times its text.
        if text.count(b"<") > _MOST_TAGS:
            raise Rejected(self._connection.name, "its answer has more parts than any listing")
        return text

    def close(self) -> None:
        """Give the connection back when the body was read to its end, else end it."""
        left = self._answer.length
        done = self._answer.isclosed() if left is None else not left
        self._answer.close()
        self._connection.release(reusable=done and not self._connection.broken)


class Conversation:
    """One connection; at most one answer at a time."""

    def __init__(
        self,
        host: str,
        netloc: str,
        made: TimedSocket,
        give_back: "Callable[[Conversation], None]",
    ) -> None:
        """With `host`, over a connection that is made; `netloc` is what it is called in requests."""
        self.name = f"The endpoint {host}"
        self.made = made
        self.broken = False
        self._give_back = give_back
        self._http = http.client.HTTPConnection(host)
        # So it never connects by itself, to who knows where.
        self._http.sock = cast(socket.socket, made)
        self._http.auto_open = 0
        self._netloc = netloc
        self._answering = False

    def ask(self, method: str, target: str, headers: Mapping[str, str]) -> Answer:
        """The answer, once its head is there.

        Raises:
            Flaky: the connection broke, or its head does not come in time.
        """
        try:
            own = {"host", "accept-encoding"}
            self._http.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            self._http.putheader("Host", self._netloc)
            self._http.putheader("Accept-Encoding", "identity")
            for name, value in headers.items():
                if name.lower() not in own and value:
                    self._http.putheader(name, value)
            self.made.allow()
            self._http.endheaders()
            answer = self._http.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Flaky(self.name, broke(error)) from error
        self._answering = True
        return Answer(self, answer)

    def release(self, *, reusable: bool) -> None:
        """The answer was read, or nobody wants it any more."""
        if not self._answering:
            return
        self._answering = False
        # http.client ends the connection by itself where the server says so.
        if reusable and getattr(self._http, "sock", None) is not None:
            self._give_back(self)
        else:
            self.close()

    def close(self) -> None:
        """End it."""
        self._http.close()


def broke(error: Exception) -> str:
    """One phrase, without what the other side said."""
    if isinstance(error, TimeoutError):
        return "it does not answer any more"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return "the connection broke"
