"""HTTP/1.1 towards clients (RFC 9110, RFC 9112): connections, pipelining, expectations, bodies."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace

import pytest

from contract.gateway_harness import TOKEN, route, until
from contract.wire import AUTH, Answer, Closed, CutOff, Message, Tape, Writer, ok
from contract.wire_stage import LONG, Client, Performance, Stage, performed, request
from pierhead.core.routes import Route

WRONG = request("/wrong").replace(TOKEN.encode(), b"wrong")
NOBODY = request("/x").replace(b"/foo/", b"/nobody/")


@pytest.fixture(scope="module")
def perform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Performance]:
    yield from performed(tmp_path_factory.mktemp("gateway"))


class Gate:
    """A play that holds requests of one target back until it is opened."""

    def __init__(self, target: str) -> None:
        self.target, self.opened = target, asyncio.Event()

    async def __call__(self, message: Message, tape: Tape, writer: Writer) -> bool:
        if message.target == self.target:
            await self.opened.wait()
        return await ok(message, tape, writer)


async def stream(message: Message, tape: Tape, writer: Writer) -> bool:
    """Three events, chunked, each in a write of its own; other targets are answered plainly."""
    if message.target != "/stream":
        return await ok(message, tape, writer)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
    writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
    for number in range(3):
        event = b"data: %d\n\n" % number
        writer.write(b"%x\r\n%s\r\n" % (len(event), event))
        await writer.drain()
        await asyncio.sleep(0.01)
    writer.write(b"0\r\n\r\n")
    return True


EVENTS = b"".join(b"data: %d\n\n" % number for number in range(3))


def test_a_connection_is_kept(perform: Performance) -> None:
    async def scenario() -> None:
        async with perform.stage.client() as client:
            for number in range(20):
                client.send(request(f"/{number}", method="POST", body=b"x" * number))
                answer = await client.answer()
                assert (answer.status, answer.closes) == (200, False)
                assert answer.body == b"/%d:%s" % (number, b"x" * number)

    perform(scenario())


def test_a_client_that_asks_for_it_is_hung_up_on(perform: Performance) -> None:
    async def scenario() -> None:
        for option in ("close", "Close", "keep-alive, close", "x-a,close"):
            async with perform.stage.client() as client:
                client.send(request("/x", f"Connection: {option}"))
                answer = await client.answer()
                assert (answer.status, answer.closes) == (200, True)
                await client.ends()

    perform(scenario())


def test_an_engine_that_hangs_up_does_not_end_the_clients_connection(perform: Performance) -> None:
    async def closing(message: Message, tape: Tape, writer: Writer) -> bool:
        del message, tape
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        return False

    async def scenario() -> None:
        perform.stage.foo.play = closing
        async with perform.stage.client() as client:
            for _ in range(5):
                client.send(request("/x"))
                answer = await client.answer()
                assert (answer.status, answer.body, answer.closes) == (200, b"ok", False)

    perform(scenario())


@pytest.mark.parametrize("option", ["", "Connection: keep-alive", "Connection: close"])
def test_http_1_0_gets_no_chunks_and_its_end(perform: Performance, option: str) -> None:
    async def scenario() -> None:
        perform.stage.foo.play = stream
        lines = [option] if option else []
        async with perform.stage.client() as client:
            client.send(request("/stream", *lines, version="1.0"))
            answer = await client.answer()
            assert (answer.status, answer.has("transfer-encoding")) == (200, [])
            assert answer.body == EVENTS
            if answer.length is None or "keep-alive" not in answer.has("connection"):
                await client.ends()
        async with perform.stage.client() as client:
            client.send(request("/x", *lines, version="1.0"))
            answer = await client.answer()
            assert (answer.body, answer.length) == (b"/x:", 3)
            kept = [each.lower() for each in answer.has("connection")] == ["keep-alive"]
            if option == "Connection: keep-alive" and kept:
                client.send(request("/y", version="1.0"))
                assert (await client.answer()).body == b"/y:"
            await client.ends()

    perform(scenario())


def test_http_1_0_gets_no_interim_answers(perform: Performance) -> None:
    async def hinting(message: Message, tape: Tape, writer: Writer) -> bool:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        return await ok(message, tape, writer)

    async def scenario() -> None:
        perform.stage.foo.play = hinting
        async with perform.stage.client() as client:
            expecting = request(
                "/x", "Expect: 100-continue", method="POST", body=b"ab", version="1.0"
            )
            client.send(expecting)
            answer = await client.answer()
            assert (answer.status, answer.interim, answer.body) == (200, [], b"/x:ab")

    perform(scenario())


def test_pipelined_requests_are_answered_in_order_although_the_first_is_slow(
    perform: Performance,
) -> None:
    async def scenario() -> None:
        gate = perform.stage.foo.play = Gate("/0")
        async with perform.stage.client() as client:
            client.send(
                b"".join(request(f"/{n}", method="POST", body=b"%d" % n) for n in range(30))
            )
            await client.silent(0.1)
            gate.opened.set()
            for number in range(30):
                assert (await client.answer()).body == b"/%d:%d" % (number, number)

    perform(scenario())


def test_pipelined_requests_of_every_kind_are_answered_in_order(perform: Performance) -> None:
    async def scenario() -> None:
        perform.stage.foo.play = stream
        chunked = (
            request("/c", "Transfer-Encoding: chunked", method="POST") + b"2\r\nab\r\n0\r\n\r\n"
        )
        sent = [request("/a"), WRONG, request("/stream"), request("/h", method="HEAD"), NOBODY]
        sent += [chunked, request("/stream"), request("/b", method="PUT", body=b"xy" * 5000)]
        sent += [
            request("/o", method="OPTIONS"),
            request("/z", "Connection: close"),
            request("/no"),
        ]
        async with perform.stage.client() as client:
            client.send(b"".join(sent))
            methods = ["GET", "GET", "GET", "HEAD", *["GET"] * 6]
            answers = [await client.answer(method) for method in methods]
            await client.ends()
        statuses = [answer.status for answer in answers]
        assert statuses == [200, 401, 200, 200, 404, 200, 200, 200, 200, 200]
        assert [answers[0].body, answers[2].body, answers[3].body] == [b"/a:", EVENTS, b""]
        assert [answers[5].body, answers[6].body] == [b"/c:ab", EVENTS]
        assert answers[7].body == b"/b:" + b"xy" * 5000
        assert [message.target for message in perform.stage.foo.messages][-1] == "/z"

    perform(scenario())


@pytest.mark.parametrize("bad", [b"\x00\x01\x02\r\n\r\n", b"GET / HTTP/1.1\r\nX : y\r\n\r\n"])
def test_what_cannot_be_read_does_not_take_the_place_of_an_earlier_answer(
    perform: Performance, bad: bytes
) -> None:
    async def scenario() -> None:
        gate = perform.stage.foo.play = Gate("/0")
        async with perform.stage.client() as client:
            client.send(request("/0") + request("/1") + bad + request("/2"))
            await until(lambda: perform.stage.foo.messages, "the first arrives")
            gate.opened.set()
            assert (await client.answer()).body == b"/0:"
            assert (await client.answer()).body == b"/1:"
            assert (await client.answer()).status == 400
            await client.ends()
        assert [message.target for message in perform.stage.foo.messages] == ["/0", "/1"]

    perform(scenario())


def test_a_thousand_pipelined_requests_lose_no_answer(perform: Performance) -> None:
    async def scenario() -> None:
        before = perform.stage.resident()
        async with perform.stage.client() as client:
            client.send(b"".join(request(f"/{n}") for n in range(1000)))
            for number in range(1000):
                assert (await client.answer()).body == b"/%d:" % number
        assert perform.stage.resident() - before < 20e6

    perform(scenario())


def test_a_flood_of_pipelined_requests_is_held_back(perform: Performance) -> None:
    """While the first has no answer the gateway does not take in what follows without end."""

    async def scenario() -> None:
        gate = perform.stage.foo.play = Gate("/0")
        many, before = request("/n") * 1000, perform.stage.resident()
        async with perform.stage.client() as client:
            client.send(request("/0"))
            taken = 0
            with pytest.raises(TimeoutError):
                while taken < 64_000_000:
                    client.send(many)
                    async with asyncio.timeout(1.0):
                        await client.writer.drain()
                    taken += len(many)
            assert perform.stage.resident() - before < 20e6
            gate.opened.set()
            for _ in range(500):
                assert (await client.answer()).status == 200

    perform(scenario())


def test_a_body_that_is_expected_is_asked_for(perform: Performance) -> None:
    async def scenario() -> None:
        for word in ("100-continue", "100-Continue"):
            async with perform.stage.client() as client:
                whole = request("/x", f"Expect: {word}", method="POST", body=b"ab")
                client.send(whole.removesuffix(b"ab"))
                async with asyncio.timeout(LONG):
                    asked = await client.tape.until(b"\r\n\r\n")
                assert asked.startswith(b"HTTP/1.1 100 ")
                client.send(b"ab")
                answer = await client.answer()
                assert (answer.status, answer.interim, answer.body) == (200, [], b"/x:ab")
                client.send(request("/y"))
                assert (await client.answer()).body == b"/y:", "the connection goes on"

    perform(scenario())


def test_a_body_that_comes_unasked_is_taken(perform: Performance) -> None:
    async def scenario() -> None:
        async with perform.stage.client() as client:
            client.send(request("/x", "Expect: 100-continue", method="POST", body=b"ab"))
            answer = await client.answer()
            assert (answer.status, answer.body) == (200, b"/x:ab")
            assert [each.status for each in answer.interim] in ([], [100])

    perform(scenario())


@pytest.mark.parametrize(
    ("status", "replaced", "by"),
    [
        (401, TOKEN, "wrong"),
        (404, "/foo/", "/nobody/"),
        (503, "/foo/", "/cold/"),
        (413, "Content-Length: 2", "Content-Length: 99999999"),
        (417, "100-continue", "200-maybe"),
        (417, "100-continue", "100-continue, x"),
    ],
)
def test_a_body_that_is_not_wanted_is_not_asked_for(
    perform: Performance, status: int, replaced: str, by: str
) -> None:
    async def scenario() -> None:
        whole = request("/x", "Expect: 100-continue", method="POST", body=b"ab")
        refused = whole.removesuffix(b"ab").replace(replaced.encode(), by.encode())
        async with perform.stage.client() as client:
            client.send(refused)
            answer = await client.answer()
            assert (answer.status, answer.interim) == (status, [])
            assert answer.closes, "nobody knows whether the body still comes"
            await client.ends()
        assert not perform.stage.foo.messages

    perform(scenario())


def test_a_refusal_reaches_a_client_that_still_sends(perform: Performance) -> None:
    """A reset would take the answer with it (RFC 9112 §9.6)."""

    async def scenario() -> None:
        large = request("/x", method="POST", body=b"x" * 8_000_000)
        for bad, status in ((TOKEN, 401), ("/foo/", 404)):
            sent = large.replace(bad.encode(), b"/no/" if status == 404 else b"wrong", 1)
            async with perform.stage.client() as client:
                client.send(sent)
                async with asyncio.timeout(LONG):
                    await client.writer.drain()
                answer = await client.answer()
                assert (answer.status, answer.interim) == (status, [])
        assert not perform.stage.foo.messages

    perform(scenario())


async def _bytewise(client: Client, data: bytes) -> None:
    for byte in data:
        client.send(bytes([byte]))
        await client.writer.drain()
        await asyncio.sleep(0)


def test_requests_in_single_bytes(perform: Performance) -> None:
    async def scenario() -> None:
        chunked = request("/c", "Transfer-Encoding: chunked", "Trailer: X-T", method="POST")
        chunked += b'3;a=b\r\n\x00\r\n\r\n1;c="d e"\r\n\xff\r\n0;z\r\nX-T: 1\r\nX-U: 2\r\n\r\n'
        async with perform.stage.client() as client:
            await _bytewise(client, request("/l", method="POST", body=b"a\r\nb\x00") + chunked)
            assert (await client.answer()).body == b"/l:a\r\nb\x00"
            assert (await client.answer()).body == b"/c:\x00\r\n\xff"
        for message in perform.stage.foo.messages:
            assert not message.has("x-t") + message.has("x-u") + message.has("trailer")

    perform(scenario())


def test_chunks_extensions_and_trailers_stay_behind(perform: Performance) -> None:
    async def scenario() -> None:
        body = b"".join(b"%X;n=%d\r\n%s\r\n" % (n, n, b"y" * n) for n in range(1, 200))
        trailers = b"0;last\r\nX-T: 1\r\nAuthorization: evil\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n"
        sent = request("/c", "Transfer-Encoding: chunked", "X-Own: 1", method="POST")
        async with perform.stage.client() as client:
            for _ in range(3):
                client.send(sent + body + trailers)
                assert (await client.answer()).body == b"/c:" + b"y" * (199 * 100)
        for message in perform.stage.foo.messages:
            assert message.has("x-own") == ["1"]
            assert message.has("x-forwarded-for") == ["127.0.0.1"]
            assert not message.has("x-t")

    perform(scenario())


@pytest.mark.parametrize("path", ["/x", "/stream"])
def test_a_client_that_has_no_more_to_say_is_answered_or_cut(
    perform: Performance, path: str
) -> None:
    """To close one direction may mean leaving, or not: proxies differ. It may not hang, nor go half."""

    async def scenario() -> None:
        perform.stage.foo.play = stream
        async with perform.stage.client() as client:
            client.send(request(path))
            client.writer.write_eof()
            try:
                answer = await client.answer()
                assert answer.body == (EVENTS if path == "/stream" else b"/x:")
                await client.ends()
            except (Closed, CutOff):
                pass
        assert (await perform.stage.ask(request("/y"))).body == b"/y:"

    perform(scenario())


def test_half_a_request_and_no_more_reaches_no_engine(perform: Performance) -> None:
    async def scenario() -> None:
        whole = request("/x", method="POST", body=b"hello")
        for cut in range(1, len(whole), 7):
            async with perform.stage.client() as client:
                client.send(whole[:cut])
                client.writer.write_eof()
                with suppress(Closed, CutOff):
                    assert (await client.answer()).status in {400, 408}
        assert not perform.stage.foo.messages

    perform(scenario())


def test_each_method_passes_with_and_without_a_body(perform: Performance) -> None:
    async def scenario() -> None:
        async with perform.stage.client() as client:
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
                for body in (None, b"", b"hello"):
                    client.send(request("/m", method=method, body=body))
                    assert (await client.answer()).body == b"/m:" + (body or b"")
                    assert perform.stage.foo.messages[-1].method == method

    perform(scenario())


def test_a_token_in_the_wrong_place_is_none(perform: Performance) -> None:
    async def scenario() -> None:
        trailer = request("/t", "Transfer-Encoding: chunked", method="POST").replace(AUTH, b"")
        async with perform.stage.client() as client:
            client.send(trailer + b"0\r\n" + AUTH + b"\r\n")
            assert (await client.answer()).status == 401
        assert not perform.stage.foo.messages

    perform(scenario())


def test_law_like_requests_in_a_row_are_each_read_for_themselves(perform: Performance) -> None:
    """Whatever is remembered of the last request: the next begins by the same bytes and goes on otherwise."""
    like = request("/x", method="POST", body=b"hello").removesuffix(b"hello")
    bare = like.removesuffix(b"Content-Length: 5\r\n\r\n")
    parts = [
        ([like + b"hello"], [b"hello"]),
        ([like + b"world"], [b"world"]),
        ([like, b"hello"], [b"hello"]),
        ([like[:-1], like[-1:] + b"wor", b"ld"], [b"world"]),
        ([like + b"hello" + like + b"world"], [b"hello", b"world"]),
        ([like + b"hel", b"lo" + like, b"world"], [b"hello", b"world"]),
        ([bare + b"Content-Length: 6\r\n\r\nhello!"], [b"hello!"]),
        ([bare + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"], [b"hi"]),
        ([like + b"GET /"], [b"GET /"]),
        ([bare + b"\r\n"], [b""]),
    ]

    async def scenario() -> None:
        async with perform.stage.client() as client:
            for sent, bodies in parts * 3:
                for part in sent:
                    client.send(part)
                    await asyncio.sleep(0.002)
                for body in bodies:
                    assert (await client.answer()).body == b"/x:" + body, (sent, body)
            for last in (like + b"hello" + like.replace(TOKEN.encode(), b"wrong") + b"hello",):
                client.send(last)
                assert [(await client.answer()).status for _ in range(2)] == [200, 401]

    perform(scenario())


def _routes(stage: Stage) -> list[Route]:
    assert stage.hub.table
    return list(stage.hub.table.routes.values())


def test_law_a_connection_that_was_let_in_is_judged_by_the_newest_table(
    perform: Performance,
) -> None:
    stage, asked = perform.stage, request("/x")

    async def until_answered(client: Client, status: int) -> None:
        async with asyncio.timeout(LONG):
            while (answer := await _again(client)).status != status:
                assert answer.status in {200, 401}

    async def _again(client: Client) -> Answer:
        client.send(asked)
        return await client.answer()

    async def scenario() -> None:
        foo = replace(route("foo"), targets=(stage.foo.target("r-foo"),))
        others = [each for each in _routes(stage) if each.name != "foo"]
        async with stage.client() as client:
            await until_answered(client, 200)
            stage.hub.publish(replace(foo, tokens=()), *others)
            await until_answered(client, 401)
            seen = len(stage.foo.messages)
            assert (await _again(client)).status == 401
            assert len(stage.foo.messages) == seen
            stage.hub.publish(foo, *others)
            await until_answered(client, 200)

    perform(scenario())
