"""HTTP/1.1 as its bytes, read strictly on both sides of a gateway: what the conformance tests judge by.

The engine here is a double that keeps what arrived. It takes nothing but the one plain form of a
request that a gateway may send (RFC 9112): whatever else comes is written down as a fault.
"""

import asyncio
import re
from asyncio import StreamReader as Reader
from asyncio import StreamWriter as Writer
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from contract.gateway_harness import TOKEN, Server
from pierhead.core.routes import Target

ENGINE_KEY = "engine-key-1"
AUTH = b"Authorization: " + TOKEN.encode() + b"\r\n"
HOST = b"Host: gw.example\r\n"

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21-\x7e]+) HTTP/1\.1")
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_SIZE = re.compile(rb"[0-9A-Fa-f]{1,16}")
#: They speak of one connection: none of them passes a gateway.
_HOP = (b"keep-alive", b"te", b"trailer", b"proxy-authorization", b"proxy-connection", b"expect")

Fields = list[tuple[bytes, bytes]]


class WireFault(Exception):
    """What came is not the one form of a message that is safe to send."""


class Closed(Exception):
    """The connection ended where no message had begun."""


class CutOff(Exception):
    """The connection ended within a message."""


def fields(lines: list[bytes]) -> Fields:
    """Header lines, names in lower case.

    Raises:
        WireFault: a line that is not `name: value`.
    """
    found: Fields = []
    for line in lines:
        match = _FIELD.fullmatch(line)
        if match is None:
            raise WireFault(f"a header line: {line!r}")
        found.append((match[1].lower(), match[2]))
    return found


def values(headers: Fields, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]


def framing(headers: Fields) -> int | None:
    """The length of a body in bytes; -1 = chunked, None = not told.

    Raises:
        WireFault: it is told twice, or by what is not a length.
    """
    coded, sized = values(headers, b"transfer-encoding"), values(headers, b"content-length")
    if len(coded) + len(sized) > 1:
        raise WireFault(f"framed more than once: {coded} {sized}")
    if coded:
        if coded[0].lower() != b"chunked":
            raise WireFault(f"a transfer coding: {coded[0]!r}")
        return -1
    if not sized:
        return None
    if not re.fullmatch(rb"[0-9]{1,15}", sized[0]):
        raise WireFault(f"a length: {sized[0]!r}")
    return int(sized[0])


class Tape:
    """A reader that keeps what it read."""

    def __init__(self, reader: Reader) -> None:
        self.reader, self.raw = reader, bytearray()

    async def until(self, end: bytes) -> bytes:
        try:
            data = await self.reader.readuntil(end)
        except asyncio.IncompleteReadError as error:
            self.raw += error.partial
            raise (CutOff(repr(error.partial[:200])) if error.partial else Closed()) from None
        except ConnectionError as error:
            raise CutOff(str(error)) from None
        self.raw += data
        return data.removesuffix(end)

    async def exactly(self, size: int) -> bytes:
        try:
            data = await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise CutOff(f"{size} bytes were to come: {error}") from None
        self.raw += data
        return data

    async def rest(self) -> bytes:
        try:
            data = await self.reader.read()
        except ConnectionError as error:
            raise CutOff(str(error)) from None
        self.raw += data
        return data

    async def chunked(self) -> tuple[bytes, Fields]:
        """A chunked body and its trailers.

        Raises:
            WireFault: the chunking is not plain.
            CutOff: its end did not come.
        """
        parts: list[bytes] = []
        while True:
            try:
                line = await self.until(b"\r\n")
            except Closed:
                raise CutOff("before a chunk") from None
            if not _SIZE.fullmatch(line):
                raise WireFault(f"a chunk's size: {line[:100]!r}")
            if (size := int(line, 16)) == 0:
                return b"".join(parts), await self._trailers()
            data = await self.exactly(size + 2)
            if not data.endswith(b"\r\n"):
                raise WireFault(f"a chunk's end: {data[-10:]!r}")
            parts.append(data[:-2])

    async def _trailers(self) -> Fields:
        lines: list[bytes] = []
        try:
            while line := await self.until(b"\r\n"):
                lines.append(line)
        except Closed:
            raise CutOff("within the trailers") from None
        return fields(lines)


@dataclass
class Message:
    """A request as it reached the engine."""

    head: bytes
    method: str
    target: str
    headers: Fields
    length: int | None  #: -1 = chunked, None = not told
    body: bytes = b""

    def has(self, name: str) -> list[str]:
        return [value.decode("latin-1") for value in values(self.headers, name.encode())]


def request_head(head: bytes) -> Message:
    """The head of a request as a gateway may send it.

    Raises:
        WireFault: it is in any other form.
    """
    first, *lines = head.split(b"\r\n")
    match = _LINE.fullmatch(first)
    if match is None:
        raise WireFault(f"a request line: {first!r}")
    headers = fields(lines)
    for name in (b"host", b"authorization"):
        if len(values(headers, name)) != 1:
            raise WireFault(f"not one {name.decode()}: {values(headers, name)}")
    if values(headers, b"authorization") != [b"Bearer " + ENGINE_KEY.encode()]:
        raise WireFault(f"a client's credential: {head!r}")
    if passed := [name for name in _HOP if values(headers, name)]:
        raise WireFault(f"not for the engine: {passed} in {head!r}")
    _check_options(headers)
    return Message(head, match[1].decode(), match[2].decode(), headers, framing(headers))


def _check_options(headers: Fields) -> None:
    options = b",".join(values(headers, b"connection")).lower().replace(b" ", b"").split(b",")
    if not set(options) <= {b"", b"close", b"keep-alive", b"upgrade"}:
        raise WireFault(f"connection options: {options}")
    if bool(values(headers, b"upgrade")) != (b"upgrade" in options):
        raise WireFault(f"half an upgrade: {headers!r}")


Play = Callable[[Message, Tape, Writer], Awaitable[bool]]  # false: hang up


async def ok(message: Message, tape: Tape, writer: Writer) -> bool:
    """200 with the target, then a colon, then the body."""
    del tape
    body = message.target.encode() + b":" + message.body
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body)
    writer.write(head if message.method == "HEAD" else head + body)
    return True


class WireEngine(Server):
    """A double of a replica that keeps each request in its bytes, and what was wrong with it."""

    connections: set[Writer]

    def __init__(self) -> None:
        super().__init__()
        self.messages: list[Message] = []
        self.faults: list[str] = []
        self.play: Play = ok
        self.early = False  #: it plays as soon as a head is there, and reads the body itself
        self._tasks: set[asyncio.Task[None]] = set()

    def target(self, name: str) -> Target:
        return Target(name, "127.0.0.1", self.port, ENGINE_KEY)

    def forget(self) -> None:
        self.messages.clear()
        self.faults.clear()
        self.play, self.early = ok, False

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()  # a play may wait for what its test did not live to do
        await super().close()

    async def _connection(self, reader: Reader, writer: Writer) -> None:
        self.accepted += 1
        self.connections.add(writer)
        tape, task = Tape(reader), asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            while await self._one(tape, writer):
                await writer.drain()
        except WireFault as fault:
            self.faults.append(f"{fault}; all of it: {bytes(tape.raw[-2000:])!r}")
        except (Closed, CutOff, OSError, asyncio.LimitOverrunError):
            pass  # the gateway went away
        except asyncio.CancelledError:
            pass  # by `close`, and asyncio would complain of a task that ends so
        finally:
            self._tasks.discard(task)
            self.connections.discard(writer)
            writer.close()

    async def _one(self, tape: Tape, writer: Writer) -> bool:
        message = request_head(await tape.until(b"\r\n\r\n"))
        if not self.early:
            await take_body(message, tape)
        self.messages.append(message)
        return await self.play(message, tape, writer)


async def take_body(message: Message, tape: Tape) -> None:
    """Reads a request's body into the message.

    Raises:
        WireFault: trailers, which have no business behind a gateway; or the chunking is not plain.
        CutOff: its end did not come.
    """
    if message.length == -1:
        message.body, trailers = await tape.chunked()
        if trailers:
            raise WireFault(f"trailers: {trailers}")
    elif message.length:
        message.body = await tape.exactly(message.length)


@dataclass
class Answer:
    """An answer as the client got it."""

    status: int
    headers: Fields
    length: int | None  #: -1 = chunked, None = until the connection's end
    body: bytes = b""
    trailers: Fields = field(default_factory=Fields)
    interim: list["Answer"] = field(default_factory=list["Answer"])

    def has(self, name: str) -> list[str]:
        return [value.decode("latin-1") for value in values(self.headers, name.encode())]

    @property
    def closes(self) -> bool:
        return "close" in ",".join(self.has("connection")).lower()


async def read_head(tape: Tape) -> Answer:
    """The next head, interim or not.

    Raises:
        WireFault, Closed, CutOff: as they say.
    """
    first, *lines = (await tape.until(b"\r\n\r\n")).split(b"\r\n")
    match = _STATUS.fullmatch(first)
    if match is None:
        raise WireFault(f"a status line: {first!r}")
    headers = fields(lines)
    return Answer(int(match[1]), headers, framing(headers))


async def read_answer(tape: Tape, method: str = "GET") -> Answer:
    """The next answer to its last byte.

    Raises:
        WireFault, Closed, CutOff: as they say.
    """
    interim: list[Answer] = []
    answer = await read_head(tape)
    try:
        while answer.status < 200 and answer.status != 101:
            interim.append(answer)
            answer = await read_head(tape)
    except Closed:
        raise CutOff("after an interim answer") from None
    answer.interim = interim
    if method == "HEAD" or answer.status in {101, 204, 304}:
        return answer
    if answer.length == -1:
        answer.body, answer.trailers = await tape.chunked()
    elif answer.length is not None:
        answer.body = await tape.exactly(answer.length)
    else:
        answer.body = await tape.rest()
    return answer
