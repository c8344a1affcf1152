"""HTTP/1.1 towards engines (RFC 9110, RFC 9112): what becomes of their answers, sound or not."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from contract.gateway_harness import until
from contract.wire import Closed, CutOff, Message, Play, Tape, Writer, ok, read_answer
from contract.wire_stage import LONG, Client, Performance, performed, request

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def perform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Performance]:
    yield from performed(tmp_path_factory.mktemp("gateway"))


def says(*parts: bytes, stays: bool = True, said: asyncio.Event | None = None) -> Play:
    """A play that answers `/x` by these bytes, and all else plainly; after the first of them it waits for `said`, and clears it in the end."""

    async def play(message: Message, tape: Tape, writer: Writer) -> bool:
        if not message.target.startswith("/x"):
            return await ok(message, tape, writer)
        try:
            for part in parts:
                writer.write(part)
                await writer.drain()
                if said and part == parts[0]:
                    await said.wait()
        finally:
            if said:
                said.clear()
        return stays

    return play


async def goes_on(client: Client) -> None:
    """The connection still serves, if it was not said to end."""
    client.send(request("/next"))
    assert (await client.answer()).body == b"/next:"


@dataclass(frozen=True, slots=True)
class Form:
    """A sound answer, and what has to reach the client of it."""

    name: str
    sent: bytes
    status: int = 200
    body: bytes = b"hello"
    method: str = "GET"
    stays: bool = True
    lengths: tuple[int | None, ...] = (5,)


FORMS = [
    Form("length", OK + b"Content-Length: 5\r\n\r\nhello"),
    Form("length of nothing", OK + b"Content-Length: 0\r\n\r\n", body=b"", lengths=(0,)),
    Form("length with fifty zeros", OK + b"Content-Length: %b5\r\n\r\nhello" % (b"0" * 50)),
    Form("length between spaces", OK + b"Content-Length:  05 \r\n\r\nhello"),
    Form(
        "length of nothing, between spaces",
        b"HTTP/1.1 404 No\r\nContent-Length:  000 \r\n\r\n",
        404,
        b"",
        lengths=(0,),
    ),
    Form("chunks", CHUNKED + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", lengths=(-1,)),
    Form("no chunks", CHUNKED + b"0\r\n\r\n", body=b"", lengths=(-1, 0)),
    Form("chunks with extensions", CHUNKED + b"5;a=b\r\nhello\r\n0;c\r\n\r\n", lengths=(-1,)),
    Form(
        "chunks, coding in capitals",
        CHUNKED.replace(b"chunked", b"Chunked") + b"5\r\nhello\r\n0\r\n\r\n",
        lengths=(-1,),
    ),
    Form("until the end", OK + b"\r\nhello", stays=False, lengths=(-1, None)),
    Form("until the end, of nothing", OK + b"\r\n", body=b"", stays=False, lengths=(-1, None, 0)),
    Form(
        "until the end, said so",
        OK + b"Connection: close\r\n\r\nhello",
        stays=False,
        lengths=(-1, None),
    ),
    Form("HTTP/1.0", b"HTTP/1.0 200 OK\r\n\r\nhello", stays=False, lengths=(-1, None)),
    Form(
        "HTTP/1.0 with a length", b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", stays=False
    ),
    Form("no reason", b"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello"),
    Form("a status of its own", b"HTTP/1.1 299 Fine\r\nContent-Length: 5\r\n\r\nhello", status=299),
    Form("an error", b"HTTP/1.1 404 No\r\nContent-Length: 5\r\n\r\nhello", status=404),
    Form("204", b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", lengths=(None, 0)),
    Form("304", b"HTTP/1.1 304 Not Modified\r\nETag: a\r\n\r\n", 304, b"", lengths=(None, 0)),
    Form(
        "304 with a length",
        b"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n",
        304,
        b"",
        lengths=(5, None),
    ),
    Form("HEAD", OK + b"Content-Length: 5\r\n\r\n", 200, b"", "HEAD"),
    Form("HEAD of chunks", CHUNKED, 200, b"", "HEAD", lengths=(-1, None)),
    Form("HEAD without a length", OK + b"\r\n", 200, b"", "HEAD", lengths=(None, -1)),
    Form(
        "OPTIONS",
        OK + b"Allow: GET\r\nContent-Length: 0\r\n\r\n",
        200,
        b"",
        "OPTIONS",
        lengths=(0,),
    ),
    Form("a trailer", CHUNKED + b"5\r\nhello\r\n0\r\nX-T: 1\r\n\r\n", lengths=(-1,)),
    Form("100 before", b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello"),
    Form(
        "103 before",
        b"HTTP/1.1 103 Hints\r\nLink: </a>\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello",
    ),
    Form(
        "102 and 103 before 204",
        b"HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 H\r\n\r\nHTTP/1.1 204 N\r\n\r\n",
        204,
        b"",
        lengths=(None, 0),
    ),
    Form(
        "a hundred before", b"HTTP/1.1 103 H\r\n\r\n" * 100 + OK + b"Content-Length: 5\r\n\r\nhello"
    ),
]


@pytest.mark.parametrize("form", FORMS, ids=[form.name for form in FORMS])
@pytest.mark.parametrize("size", [100_000, 1])
def test_a_sound_answer_arrives(perform: Performance, form: Form, size: int) -> None:
    """At once, and in single bytes."""

    async def scenario() -> None:
        parts = [form.sent[at : at + size] for at in range(0, len(form.sent), size)]
        perform.stage.foo.play = says(*parts, stays=form.stays)
        async with perform.stage.client() as client:
            for _ in range(2):
                client.send(request("/x", method=form.method))
                answer = await client.answer(form.method)
                assert (answer.status, answer.body) == (form.status, form.body)
                assert answer.length in form.lengths
                assert all(len(told) < 20 for told in answer.has("content-length"))
                assert not answer.has("x-t"), "a trailer is no header"
                if answer.closes or (
                    answer.length is None and answer.status == 200 and form.method != "HEAD"
                ):
                    await client.ends()
                    return
            await goes_on(client)

    perform(scenario())


CUTS = {
    "within a length": (OK + b"Content-Length: 9\r\n\r\nhello",),
    "before a length's first byte": (OK + b"Content-Length: 9\r\n\r\n",),
    "within a chunk": (CHUNKED + b"9\r\nhello",),
    "within a chunk's size": (CHUNKED + b"5\r\nhello\r\n1",),
    "after a chunk": (CHUNKED + b"5\r\nhello\r\n",),
    "before the first chunk": (CHUNKED,),
    "within the last chunk": (CHUNKED + b"5\r\nhello\r\n0\r\n",),
    "within the trailers": (CHUNKED + b"5\r\nhello\r\n0\r\nX-T: 1\r\n",),
    "by a chunk's size that is none": (CHUNKED + b"5\r\nhello\r\n", b"zz\r\nhello\r\n0\r\n\r\n"),
    "by a chunk that is too long": (CHUNKED + b"5\r\nhello\r\n", b"4\r\nhello\r\n0\r\n\r\n"),
    "by a chunk's size that is too large": (CHUNKED + b"5\r\nhello\r\n", b"f" * 17 + b"\r\nhello"),
}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("reset", [False, True])
def test_law_an_answer_that_breaks_off_is_never_taken_for_a_whole_one(
    perform: Performance, cut: str, reset: bool
) -> None:
    async def play(message: Message, tape: Tape, writer: Writer) -> bool:
        if message.target != "/x":
            return await ok(message, tape, writer)
        for part in CUTS[cut]:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)  # so that it is two reads
        if reset:
            writer.transport.abort()
        return False

    async def scenario() -> None:
        perform.stage.foo.play = play
        async with perform.stage.client() as client:
            client.send(request("/x") + request("/after"))
            try:
                answer = await client.answer()
            except CutOff:
                return
            assert answer.status == 502, "nothing of it had been passed on"
            assert (await client.answer()).body == b"/after:"

    perform(scenario())
    # That it was cut concerns that one connection alone.
    perform(_asks_plainly(perform))


async def _asks_plainly(perform: Performance) -> None:
    assert (await perform.stage.ask(request("/y"))).body == b"/y:"


EVIL = OK + b"Content-Length: 4\r\n\r\nevil"
SURPLUS = {
    "a whole answer": OK + b"Content-Length: 5\r\n\r\nhello" + EVIL,
    "a whole answer after chunks": CHUNKED + b"5\r\nhello\r\n0\r\n\r\n" + EVIL,
    "a whole answer after 204": b"HTTP/1.1 204 N\r\n\r\n" + EVIL,
    "a whole answer after 304": b"HTTP/1.1 304 N\r\nContent-Length: 5\r\n\r\n" + EVIL,
    "half an answer": OK + b"Content-Length: 5\r\n\r\nhello" + EVIL[:30],
    "bytes": OK + b"Content-Length: 5\r\n\r\nhelloevil",
    "one byte": OK + b"Content-Length: 5\r\n\r\nhello!",
    "an interim answer": OK + b"Content-Length: 5\r\n\r\nhelloHTTP/1.1 100 Continue\r\n\r\n",
    "a body to HEAD": OK + b"Content-Length: 4\r\n\r\nevil",
}


@pytest.mark.parametrize("surplus", SURPLUS)
@pytest.mark.parametrize("late", [False, True])
def test_law_what_an_engine_sends_beyond_its_answer_is_nobodys_answer(
    perform: Performance, surplus: str, late: bool
) -> None:
    """In the same write as the answer, and a moment after it when the connection is idle again."""
    method = "HEAD" if "HEAD" in surplus else "GET"
    sent = SURPLUS[surplus]
    at = sent.rfind(EVIL[:12]) if EVIL[:12] in sent[12:] else len(sent) - 1

    async def scenario() -> None:
        go = asyncio.Event() if late else None
        parts = (sent[:at], sent[at:]) if late else (sent,)
        perform.stage.foo.play = says(*parts, said=go)
        async with perform.stage.client() as client:
            for _ in range(3):
                try:
                    client.send(request("/x", method=method))
                    answer = await client.answer(method)
                    assert answer.status == 502 or answer.body in {b"", b"hello"}
                    if go:
                        go.set()
                        await until(lambda: not go.is_set(), "all of it was said")
                        # Whatever stood in the gateway's socket before this is read by now.
                        await perform.stage.ask(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                    await goes_on(client)
                except (CutOff, Closed):
                    return  # to distrust all of it is right, too
                client.send(request("/yours", method="POST", body=b"1"))
                assert (await client.answer()).body == b"/yours:1"

    perform(scenario())


CHAT = b'{"model":"foo","stream":true,"messages":[{"role":"user","content":"hi"}]}'
UNSOUND = {
    "length and chunks": OK
    + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 4\r\n\r\nhello",
    "a list of lengths": OK + b"Content-Length: 5, 4\r\n\r\nhello",
    "a negative length": OK + b"Content-Length: -5\r\n\r\nhello",
    "no length": OK + b"Content-Length: x\r\n\r\nhello",
    "a length beyond 2^64": OK + b"Content-Length: 18446744073709551621\r\n\r\nhello",
    "an unknown coding": OK + b"Transfer-Encoding: xchunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "chunks not last": OK + b"Transfer-Encoding: chunked, gzip\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "no status": b"HTTP/1.1 OK\r\nContent-Length: 5\r\n\r\nhello",
    "a short status": b"HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello",
    "a long status": b"HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello",
    "status 000": b"HTTP/1.1 000 OK\r\nContent-Length: 5\r\n\r\nhello",
    "status 099": b"HTTP/1.1 099 OK\r\nContent-Length: 5\r\n\r\nhello",
    "no HTTP": b"220 mail.example ESMTP\r\n",
    "HTTP/2": b"HTTP/2 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "TLS": b"\x15\x03\x01\x00\x02\x02\x28",
    "NULs": b"\x00" * 100,
    "HTML alone": b"<html>hello</html>",
    "an upgrade that nobody asked for": b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello",
    "a NUL in a value": OK + b"X-A: a\x00b\r\nContent-Length: 5\r\n\r\nhello",
    "a bare CR in a value": OK + b"X-A: a\rSet-Cookie: b\r\nContent-Length: 5\r\n\r\nhello",
    "a bare LF in a value": OK + b"X-A: a\nSet-Cookie: b\r\nContent-Length: 5\r\n\r\nhello",
    "a folded line": OK + b"X-A: a\r\n b\r\nContent-Length: 5\r\n\r\nhello",
    "a folded coding": OK + b"Transfer-Encoding:\r\n chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "a space before the colon": OK + b"Content-Length : 5\r\n\r\nhello",
    "a space in a name": OK + b"X A: a\r\nContent-Length: 5\r\n\r\nhello",
    "no name": OK + b": a\r\nContent-Length: 5\r\n\r\nhello",
    "no colon": OK + b"X-A\r\nContent-Length: 5\r\n\r\nhello",
    "a bare CR in the reason": b"HTTP/1.1 200 O\rK\r\nContent-Length: 5\r\n\r\nhello",
    "lines that end by LF": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "a head of 4 MB": OK + b"X-A: a\r\n" * 500_000 + b"Content-Length: 5\r\n\r\nhello",
    "a line of 4 MB": OK + b"X-A: " + b"a" * 4_000_000 + b"\r\nContent-Length: 5\r\n\r\nhello",
    "half a head": OK + b"Content-Length: 5\r\n",
    "half an interim answer": b"HTTP/1.1 100 Continue\r\n",
    "an interim answer alone": b"HTTP/1.1 100 Continue\r\n\r\n",
    "an interim answer with a body": b"HTTP/1.1 104 Hints\r\nContent-Length: 5\r\n\r\n\r\n",
    "an answer in an interim one": b"HTTP/1.1 104 Hints\r\nContent-Length: 43\r\n\r\n"
    + OK
    + b"Content-Length: 5\r\n\r\nhello",
    "chunks in an interim answer": b"HTTP/1.1 104 Hints\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"5\r\nhello\r\n0\r\n\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("form", UNSOUND)
def test_law_an_unsound_answer_is_refused_or_made_sound(perform: Performance, form: str) -> None:
    """502, or an answer that a strict client can read in one way only; never what it was."""

    async def scenario() -> None:
        perform.stage.foo.play = says(UNSOUND[form], stays=False)
        async with perform.stage.client() as client:
            client.send(request("/x", method="POST", body=CHAT))
            try:
                answer = await client.answer()
            except CutOff:
                return
            assert answer.status in {200, 502}, answer
            if answer.status == 200:
                assert answer.body in {b"hello", b"5\r\nhello\r\n0\r\n\r\n"[: len(answer.body)]}
                assert not answer.has("set-cookie") or "LF" in form
            if not answer.closes and answer.length is not None:
                await goes_on(client)

    perform(scenario())
    perform(_asks_plainly(perform))


@pytest.mark.parametrize("size", [10, 4_000_000])
@pytest.mark.parametrize("reads", [True, False])
def test_an_answer_that_comes_before_the_body_was_read(
    perform: Performance, size: int, reads: bool
) -> None:
    async def early(message: Message, tape: Tape, writer: Writer) -> bool:
        writer.write(
            b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 5\r\n\r\nlarge"
        )
        await writer.drain()
        if reads and message.length and message.length > 0:
            await tape.exactly(message.length)
        return False

    async def scenario() -> None:
        perform.stage.foo.play, perform.stage.foo.early = early, True
        async with perform.stage.client() as client:
            client.send(request("/x", method="POST", body=b"b" * size))
            async with asyncio.timeout(LONG):
                await client.writer.drain()
            answer = await client.answer()
            # An engine that hangs up with bytes unread resets its connection: its answer may be lost.
            assert (answer.status, answer.body) == (413, b"large") or (
                not reads and answer.status == 502
            )
        perform.stage.fresh()
        assert (await perform.stage.ask(request("/y"))).body == b"/y:"

    perform(scenario())


_TEXT = "".join(f'data: {{"n":{n},"text":"你好 {n}"}}\n\n' for n in range(40)).encode()
EVENTS = (
    _TEXT + b": a comment\r\n\r\nevent: x\r\ndata: \xf0\x9f\x98\x80\r\n\r\ndata: [DONE]\n\n\x00\xff"
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1000, 100_000])
@pytest.mark.parametrize("path", ["/x", "/x/v1/chat/completions"])
def test_a_stream_arrives_byte_for_byte_however_it_was_cut(
    perform: Performance, size: int, path: str
) -> None:
    async def scenario() -> None:
        parts = [EVENTS[at : at + size] for at in range(0, len(EVENTS), size)]
        whole = CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Type: text/event-stream\r\n\r\n")
        whole += b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
        step = size * 3 + 1  # cut within sizes, chunks and their ends alike
        cuts = [whole[at : at + step] for at in range(0, len(whole), step)]
        perform.stage.foo.play = says(*cuts)
        async with perform.stage.client() as client:
            client.send(request(path, method="POST", body=b'{"stream":true}'))
            answer = await client.answer()
            assert answer.has("content-type") == ["text/event-stream"]
            assert answer.body == EVENTS
            await goes_on(client)

    perform(scenario())


def test_law_like_answers_in_a_row_are_each_read_for_themselves(perform: Performance) -> None:
    """Whatever is remembered of the last answer: the next begins by the same bytes and goes on otherwise."""
    like = OK + b"Content-Length: 5\r\n\r\n"
    turns: list[tuple[list[bytes], bytes | None]] = [
        ([like + b"hello"], b"hello"),
        ([like + b"world"], b"world"),
        ([like, b"hello"], b"hello"),
        ([like[:-1], like[-1:] + b"wor", b"ld"], b"world"),
        ([OK + b"Content-Length: 6\r\n\r\nhello!"], b"hello!"),
        ([like + b"hello"], b"hello"),
        ([like + b"hel"], None),
        ([like + b"hello"], b"hello"),
        ([like + b"helloX"], b"hello"),
        ([like + b"hello"], b"hello"),
        ([CHUNKED + b"2\r\nhi\r\n0\r\n\r\n"], b"hi"),
    ]

    async def one(sent: list[bytes], body: bytes | None) -> None:
        async def play(message: Message, tape: Tape, writer: Writer) -> bool:
            del message, tape
            for part in sent:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.005)
            return body is not None

        perform.stage.foo.play = play
        async with perform.stage.client() as client:
            client.send(request("/x"))
            try:
                answer = await client.answer()
                assert answer.body == body or (answer.status, len(sent[0])) == (502, len(like) + 6)
            except (CutOff, Closed) as error:
                assert body is None or sent[0].endswith(b"X"), (sent, error)

    async def scenario() -> None:
        for sent, body in turns * 3:
            await one(sent, body)

    perform(scenario())


def test_the_reader_can_tell_a_cut_answer_from_a_whole_one() -> None:
    """What these tests judge by is itself able to say no."""

    async def scenario() -> None:
        for parts in (*CUTS.values(), (OK + b"Content-Length: 5\r\n",)):
            reader = asyncio.StreamReader()
            reader.feed_data(b"".join(parts))
            reader.feed_eof()
            with pytest.raises(Exception, match=r".") as caught:
                await read_answer(Tape(reader))
            assert type(caught.value).__name__ in {"CutOff", "WireFault"}

    asyncio.run(scenario())
