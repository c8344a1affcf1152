"""Request bodies of an ASGI app: bounded in size and in time."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


@dataclass(frozen=True, slots=True)
class BodyLimits:
    """What an operator may choose about bodies."""

    body: int = 1024 * 1024  #: bytes; a larger body is refused
    seconds: float = 30.0  #: time for the whole body to arrive
    drain: int = 64 * 1024 * 1024  #: bytes of a refused body that are read, so that 413 can be read
    drain_seconds: float = 10.0


class Gone(Exception):
    """The client went away while its body was read."""


class BodyRefused(Exception):
    """A body is not taken; what is said of it."""

    def __init__(self, code: str, message: str, *, ended: bool) -> None:
        """`code`: as signed calls are told; `ended`: all of it was read, the connection may go on."""
        self.code, self.message, self.ended = code, message, ended
        super().__init__(message)


class TooSlow(BodyRefused):
    """The body did not arrive in time; the connection is of no more use."""

    def __init__(self, seconds: float) -> None:
        text = f"The body did not arrive within {seconds:g} s."
        super().__init__("RequestTimeout", text, ended=False)


class TooLarge(BodyRefused):
    """The body is larger than the limit."""

    def __init__(self, limit: int, *, ended: bool) -> None:
        """`limit`: in bytes."""
        text = f"The body is larger than the limit of {limit} bytes."
        super().__init__("RequestEntityTooLarge", text, ended=ended)


async def read_body(
    receive: Receive, limits: BodyLimits, declared: str = "", expect: str = ""
) -> bytes:
    """The whole body. `declared` and `expect` are the headers Content-Length and Expect.

    Raises:
        TooLarge: its rest was read first, within bounds, so that the client comes to read the answer.
        TooSlow: it did not arrive in time.
        Gone: the client went away.
    """
    # A client that waits for `100 Continue` has sent nothing yet: it is answered at once.
    waits = "100-continue" in expect.lower()
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limits.body:
        ended = not waits and await _drained(receive, limits, 0)
        raise TooLarge(limits.body, ended=ended)
    chunks: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(limits.seconds):
            while more and size <= limits.body:
                chunk, more = await _chunk(receive)
                chunks.append(chunk)
                size += len(chunk)
    except TimeoutError as error:
        raise TooSlow(limits.seconds) from error
    if size > limits.body:
        ended = not more or await _drained(receive, limits, size)
        raise TooLarge(limits.body, ended=ended)
    return b"".join(chunks)


async def _chunk(receive: Receive) -> tuple[bytes, bool]:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise Gone
    return message.get("body", b""), bool(message.get("more_body", False))


async def _drained(receive: Receive, limits: BodyLimits, read: int) -> bool:
    """Reads on; False when patience ended before the body did."""
    more = True
    try:
        async with asyncio.timeout(limits.drain_seconds):
            while more and read < limits.drain:
                chunk, more = await _chunk(receive)
                read += len(chunk)
    except TimeoutError:
        return False
    return not more
