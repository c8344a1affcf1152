"""WebSockets: the handshake passes like any request, and after its 101 the bytes do, either way."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress

import pytest

from contract.gateway_harness import TOKEN, until
from contract.wire import Message, Tape, Writer, ok
from contract.wire_stage import LONG, Client, Performance, performed, request

ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + ACCEPT.encode() + b"\r\nSec-WebSocket-Protocol: chat\r\n\r\n"
)
HANDSHAKE = (
    "Connection: keep-alive, Upgrade",
    "Upgrade: WebSocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: chat, other",
)
OPENING = request("/ws?a=1", *HANDSHAKE)


@pytest.fixture(scope="module")
def perform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Performance]:
    yield from performed(tmp_path_factory.mktemp("gateway"))


class Socket:
    """A play that takes each handshake; what happens to its tunnels is noted."""

    def __init__(
        self, first: bytes = b"", *, last: bytes | None = None, echoes: bool = True
    ) -> None:
        self.first, self.last, self.echoes = first, last, echoes
        self.heard, self.ended, self.open = bytearray(), 0, 0

    async def __call__(self, message: Message, tape: Tape, writer: Writer) -> bool:
        if not message.has("upgrade"):
            return await ok(message, tape, writer)
        writer.write(SWITCHING + self.first)  # one write, so one packet
        self.open += 1
        if self.last is not None:
            writer.write(self.last)
            return False
        with suppress(ConnectionError):
            while data := await tape.reader.read(65536):
                self.heard += data
                if self.echoes:
                    writer.write(data)
                    await writer.drain()
        self.ended += 1
        return False


async def _opened(client: Client, sent: bytes = OPENING) -> None:
    client.send(sent)
    answer = await client.answer()
    assert answer.status == 101, answer
    assert [each.lower() for each in answer.has("upgrade")] == ["websocket"]
    assert "upgrade" in ",".join(answer.has("connection")).lower()
    assert answer.has("sec-websocket-accept") == [ACCEPT]
    assert answer.has("sec-websocket-protocol") == ["chat"]
    assert not answer.has("transfer-encoding") + answer.has("content-length")


async def _gets(client: Client, data: bytes) -> None:
    async with asyncio.timeout(LONG):
        assert await client.tape.exactly(len(data)) == data


def test_bytes_pass_both_ways(perform: Performance) -> None:
    async def scenario() -> None:
        perform.stage.foo.play = Socket()
        async with perform.stage.client() as client:
            await _opened(client)
            for data in (b"a", b"\x00\xff\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"z" * 3_000_000):
                client.send(data)
                await _gets(client, data)
        (message,) = perform.stage.foo.messages
        assert (message.target, message.method) == ("/ws?a=1", "GET")
        assert message.has("sec-websocket-key") == ["dGhlIHNhbXBsZSBub25jZQ=="]
        assert message.has("sec-websocket-protocol") == ["chat, other"]
        assert [each.lower() for each in message.has("upgrade")] == ["websocket"]

    perform(scenario())


def test_law_a_tunnel_is_its_clients_alone(perform: Performance) -> None:
    """Other requests go beside it, and another tunnel begins where it has ended, with none of its bytes."""

    async def scenario() -> None:
        socket = perform.stage.foo.play = Socket()
        async with perform.stage.client() as client, perform.stage.client() as other:
            await _opened(client)
            other.send(request("/beside"))
            async with asyncio.timeout(LONG):
                while len(perform.stage.foo.messages) < 2:
                    assert not socket.heard, "another client's request went into the tunnel"
                    await asyncio.sleep(0.005)
            assert (await other.answer()).body == b"/beside:"
            client.send(b"mine")
            await _gets(client, b"mine")
            other.send(request("/beside", method="POST", body=b"x"))
            assert (await other.answer()).body == b"/beside:x"
        await until(lambda: socket.ended, "the engine is told", LONG)
        assert socket.heard == b"mine"
        assert (await perform.stage.ask(request("/after"))).body == b"/after:"

    perform(scenario())


def test_early_bytes_of_the_client_arrive_after_the_handshake(perform: Performance) -> None:
    async def scenario() -> None:
        socket = perform.stage.foo.play = Socket()
        async with perform.stage.client() as client:
            await _opened(
                client, OPENING + b"early\r\n\r\nGET /api/predict/foo/no HTTP/1.1\r\n\r\n"
            )
            await _gets(client, b"early\r\n\r\nGET /api/predict/foo/no HTTP/1.1\r\n\r\n")
        assert len(perform.stage.foo.messages) == 1, "they are no request"
        assert socket.heard.startswith(b"early")

    perform(scenario())


def test_early_bytes_of_the_engine_arrive_after_the_handshake(perform: Performance) -> None:
    async def scenario() -> None:
        first = b"hello\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"
        perform.stage.foo.play = Socket(first)
        async with perform.stage.client() as client:
            await _opened(client)
            await _gets(client, first)
            client.send(b"x")
            await _gets(client, b"x")

    perform(scenario())


def test_a_handshake_in_single_bytes(perform: Performance) -> None:
    async def scenario() -> None:
        perform.stage.foo.play = Socket()
        async with perform.stage.client() as client:
            for byte in OPENING:
                client.send(bytes([byte]))
                await client.writer.drain()
                await asyncio.sleep(0)
            assert (await client.answer()).status == 101
            client.send(b"abc")
            await _gets(client, b"abc")

    perform(scenario())


@pytest.mark.parametrize("how", ["close", "half", "reset"])
def test_the_engine_is_told_when_the_client_leaves(perform: Performance, how: str) -> None:
    async def scenario() -> None:
        socket = perform.stage.foo.play = Socket()
        async with perform.stage.client() as client:
            await _opened(client)
            client.send(b"last words")
            await _gets(client, b"last words")
            if how == "half":
                client.writer.write_eof()
            elif how == "close":
                client.writer.close()
            else:
                client.writer.transport.abort()
            await until(lambda: socket.ended, "the engine is told", LONG)
            assert socket.heard == b"last words"
            if how == "half":
                await client.ends()

    perform(scenario())


def test_the_client_is_told_when_the_engine_leaves_and_has_all_it_sent(
    perform: Performance,
) -> None:
    async def scenario() -> None:
        last = b"l" * 2_000_000
        perform.stage.foo.play = Socket(last=last)
        async with perform.stage.client() as client:
            await _opened(client)
            await _gets(client, last)
            await client.ends()

    perform(scenario())


def test_what_the_client_sent_before_it_left_arrives(perform: Performance) -> None:
    async def scenario() -> None:
        socket = perform.stage.foo.play = Socket(echoes=False)
        async with perform.stage.client() as client:
            await _opened(client)
            client.send(b"c" * 2_000_000)
            client.writer.close()
            await until(lambda: socket.ended, "the engine is told", LONG)
            assert len(socket.heard) == 2_000_000

    perform(scenario())


@pytest.mark.parametrize("status", [400, 403, 426, 200])
def test_a_refused_handshake_is_an_answer_like_any_other(perform: Performance, status: int) -> None:
    async def refuse(message: Message, tape: Tape, writer: Writer) -> bool:
        if not message.has("upgrade"):
            return await ok(message, tape, writer)
        head = b"HTTP/1.1 %d X\r\nSec-WebSocket-Version: 13\r\nContent-Length: 2\r\n\r\nno" % status
        writer.write(head)
        return True

    async def scenario() -> None:
        perform.stage.foo.play = refuse
        async with perform.stage.client() as client:
            client.send(OPENING)
            answer = await client.answer()
            assert (answer.status, answer.body) == (status, b"no")
            assert answer.has("sec-websocket-version") == ["13"]
            if answer.closes:
                await client.ends()
            else:
                client.send(request("/next"))
                assert (await client.answer()).body == b"/next:"

    perform(scenario())


@pytest.mark.parametrize(
    ("status", "replaced", "by"),
    [(401, TOKEN, "wrong"), (404, "/foo/", "/nobody/"), (503, "/foo/", "/cold/")],
)
def test_law_no_handshake_without_a_token_and_a_service(
    perform: Performance, status: int, replaced: str, by: str
) -> None:
    async def scenario() -> None:
        socket = perform.stage.foo.play = Socket()
        async with perform.stage.client() as client:
            client.send(OPENING.replace(replaced.encode(), by.encode()) + b"early")
            assert (await client.answer()).status == status
        assert not socket.open
        assert not perform.stage.foo.messages

    perform(scenario())


def test_http_1_0_has_no_upgrade(perform: Performance) -> None:
    async def scenario() -> None:
        socket = perform.stage.foo.play = Socket()
        async with perform.stage.client() as client:
            client.send(request("/ws", *HANDSHAKE, version="1.0"))
            assert (await client.answer()).status in {200, 400, 426}
        assert not socket.open

    perform(scenario())


@pytest.mark.parametrize("reset", [False, True])
def test_an_engine_that_hangs_up_on_the_handshake_is_a_bad_upstream(
    perform: Performance, reset: bool
) -> None:
    async def hang_up(message: Message, tape: Tape, writer: Writer) -> bool:
        del message, tape
        if reset:
            writer.transport.abort()
        return False

    async def scenario() -> None:
        perform.stage.foo.play = hang_up
        async with perform.stage.client() as client:
            client.send(OPENING)
            assert (await client.answer()).status == 502

    perform(scenario())


def test_half_a_switch_is_none(perform: Performance) -> None:
    async def half(message: Message, tape: Tape, writer: Writer) -> bool:
        del message, tape
        writer.write(SWITCHING[:-30])
        return False

    async def scenario() -> None:
        perform.stage.foo.play = half
        async with perform.stage.client() as client:
            client.send(OPENING)
            assert (await client.answer()).status == 502

    perform(scenario())


def test_a_tunnel_that_nobody_reads_holds_the_engine_back(perform: Performance) -> None:
    sent = 0

    async def pour(message: Message, tape: Tape, writer: Writer) -> bool:
        nonlocal sent
        if not message.has("upgrade"):
            return await ok(message, tape, writer)
        writer.write(SWITCHING)
        with suppress(ConnectionError):
            for _ in range(1024):
                writer.write(b"p" * 65536)
                await writer.drain()
                sent += 1
        return False

    async def scenario() -> None:
        perform.stage.foo.play = pour
        before, last = perform.stage.resident(), -1
        async with perform.stage.client(limit=1 << 16) as client:
            await _opened(client)
            while last != (last := sent):  # noqa: ASYNC110 - until nothing moves any more
                await asyncio.sleep(0.5)
            assert sent < 512
            assert perform.stage.resident() - before < 20e6
            assert (await perform.stage.ask(request("/y"))).body == b"/y:"

    perform(scenario())


def test_an_engine_that_does_not_read_holds_the_client_back(perform: Performance) -> None:
    async def deaf(message: Message, tape: Tape, writer: Writer) -> bool:
        if not message.has("upgrade"):
            return await ok(message, tape, writer)
        writer.write(SWITCHING)
        await done.wait()
        return False

    async def scenario() -> None:
        perform.stage.foo.play = deaf
        before = perform.stage.resident()
        async with perform.stage.client() as client:
            await _opened(client)
            with pytest.raises(TimeoutError):
                for _ in range(1024):
                    client.send(b"p" * 65536)
                    async with asyncio.timeout(1.0):
                        await client.writer.drain()
            assert perform.stage.resident() - before < 20e6
            done.set()
        assert (await perform.stage.ask(request("/y"))).body == b"/y:"

    done = asyncio.Event()
    perform(scenario())


def test_fifty_tunnels_at_once_are_apart_and_counted(perform: Performance) -> None:
    async def one(number: int) -> None:
        async with perform.stage.client() as client:
            await _opened(client)
            for turn in range(20):
                client.send(b"%d:%d." % (number, turn))
                await _gets(client, b"%d:%d." % (number, turn))

    def outstanding() -> object:
        return perform.stage.hub.last.get("outstanding")

    async def scenario() -> None:
        perform.stage.foo.play = Socket()
        async with perform.stage.client() as client:
            await _opened(client)
            await until(lambda: outstanding() == {"r-foo": 1}, "the tunnel is told of", LONG)
            await asyncio.gather(*(one(number) for number in range(50)))
        await until(lambda: outstanding() == {}, "nothing outstanding", LONG)
        assert (await perform.stage.ask(request("/y"))).body == b"/y:"

    perform(scenario())
