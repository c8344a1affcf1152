"""Fuzzes a gateway process from both sides: requests that are nearly right, and answers that are.

    .venv/bin/python tests/fuzz_gateway.py --seconds 600 --seed 1
    .venv/bin/python tests/fuzz_gateway.py --seed 1 --only 4711      (one case again, its bytes shown)

Each case is made from the seed and its number alone. After each batch the gateway has to answer a sound
request of another client, to have told of no fault, and to have kept its memory; nothing that reached an
engine may be in any but the plain form of a request, and nothing that reached a client in any but the
form of an answer.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from contract.wire import Closed, CutOff, Message, Tape, WireFault, Writer, ok
from contract.wire_stage import LONG, Client, Stage, opened, request

BATCH = 40
PATIENCE = 0.05  #: seconds that a client waits for what may never come
GROWTH = 64_000_000  #: bytes that the gateway's memory may grow by, after the first batches

OK = b"HTTP/1.1 200 OK\r\n"
CHAT = b'{"model":"foo","stream":true,"messages":[{"role":"user","content":"\xe4\xbd\xa0"}]}'
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==")
CHUNKS = b"5;a=b\r\nhello\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n"
REQUESTS = [
    request("/x?q=1", "Accept: */*"),
    request("/x", method="POST", body=b"hello"),
    request("/x", "Transfer-Encoding: chunked", "Trailer: X-T", method="POST") + CHUNKS,
    request("/x", method="HEAD"),
    request("/x", "Expect: 100-continue", method="POST", body=b"hello"),
    request("/x", version="1.0"),
    request("/x", *UPGRADE) + b"early",
    request("/v1/chat/completions", "Content-Type: application/json", method="POST", body=CHAT),
    request("/v1/chat/completions", method="POST", body=CHAT).replace(b"/api/predict/foo", b""),
    request("/v1/models").replace(b"/api/predict/foo", b""),
    request("/a")
    + request("/b", method="POST", body=b"hello")
    + request("/c", "Connection: close"),
    request(
        "/x", "X-Forwarded-For: 1.2.3.4", "Cookie: a=b; c=d", "X-Request-Id: abc", "TE: trailers"
    ),
]
USAGE = (
    b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}\n\ndata: [DONE]\n\n'
)
ANSWERS = [
    OK + b"Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
    OK + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKS,
    OK + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"8\r\ndata: 1\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(USAGE), USAGE),
    OK + b"Connection: close\r\n\r\nuntil the end",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + b"Content-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nETag: a\r\nContent-Length: 5\r\n\r\n",
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhello",
    b"HTTP/1.1 500 X\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\n{}",
    OK + b"Content-Type: application/json\r\nContent-Length: 46\r\n\r\n"
    b'{"usage":{"prompt_tokens":1,"total_tokens":3}}',
]
#: What parsers trip over, a word each; `~` stands for a space. Longer ones follow.
_WORDS = r"""
\r\n \n \r \r\n\r\n \r\n~ \r\n\t \x00 ~ \t \x0b : , ; \xff \x80 %00 %2e%2e /../ // ? # 0 -1 +5 0x5 5,~5
0\r\n\r\n 5\r\nhello\r\n chunked identity gzip HTTP/1.1 HTTP/1.0 RTSP/1.0 CONNECT HEAD~ data:~ \n\n
~000~ ~099~ ~101~ ~204~ ~304~ ~999~ ~1000~ Transfer-Encoding:~chunked\r\n Content-Length:~5\r\n
Content-Length:~0\r\n Host:~b\r\n Connection:~close\r\n Connection:~upgrade\r\n Upgrade:~websocket\r\n
Upgrade:~h2c\r\n Expect:~100-continue\r\n Authorization:~x\r\n Trailer:~a\r\n GET~/~HTTP/1.1\r\n\r\n
HTTP/1.1~100~Continue\r\n\r\n PRI~*~HTTP/2.0\r\n\r\nSM\r\n\r\n
"""
TOKENS = [
    *(
        word.replace("~", " ").encode().decode("unicode_escape").encode("latin-1")
        for word in _WORDS.split()
    ),
    *(b"f" * 16, b"f" * 17, b"9" * 30, b"A" * 70_000, b"a: b\r\n" * 500),
    OK + b"Content-Length: 4\r\n\r\nevil",
]


def mutated(data: bytes, others: list[bytes], rng: Random) -> bytes:
    """Nearly `data`: up to six changes of bytes, tokens, pieces, lines."""
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 6))):
        at = rng.randrange(len(data) + 1)
        end = min(len(data), at + rng.choice((1, 1, 2, 5, 20, 200)))
        change = rng.randrange(9)
        if change == 0:
            data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        elif change == 1:
            data = data[:at] + data[end:]
        elif change == 2:
            data = data[:at] + data[at:end] * rng.choice((2, 3, 50)) + data[end:]
        elif change <= 5:
            data = data[:at] + rng.choice(TOKENS) + data[at if change == 3 else end :]
        elif change == 6:
            data = data[:at]
        elif change == 7:
            data = data[:at] + rng.choice(others)[rng.randrange(30) :]
        else:
            lines = data.split(b"\r\n")
            line = rng.choice(TOKENS).strip() if rng.random() < 0.5 else rng.choice(lines)
            lines.insert(rng.randrange(len(lines)), line)
            data = b"\r\n".join(lines)
    return data


def pieces(data: bytes, rng: Random) -> list[bytes]:
    """The data, cut at random: in one, in few, or in very many pieces."""
    many = rng.choice((0, 0, 1, 3, 10, 200))
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(many))
    return [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True) if a < b]


@dataclass(frozen=True, slots=True)
class Case:
    """What one client sends, what the engine answers to it, and how both leave."""

    sent: list[bytes]
    answer: list[bytes] | None  #: None = a sound one
    leaves: str  #: `waits`, `aborts` or `half`: the client when it has sent all
    engine: str  #: `stays`, `closes` or `resets` when it has sent all


def case(seed: int, number: int) -> Case:
    """The case of this number."""
    rng = Random(f"{seed}:{number}")
    if rng.random() < 0.5:
        sent = pieces(mutated(rng.choice(REQUESTS), REQUESTS, rng), rng)
        return Case(sent, None, rng.choice(("waits",) * 6 + ("aborts", "half")), "stays")
    lines = UPGRADE if rng.random() < 0.15 else ()
    path = rng.choice(("/v1/chat/completions", ""))
    method = rng.choice(("GET", "POST", "POST", "HEAD"))
    body = CHAT if method == "POST" else None
    asked = request(f"/answer/{number}{path}", *lines, method=method, body=body)
    answer = pieces(mutated(rng.choice(ANSWERS), ANSWERS, rng), rng)
    leaves = rng.choice(("waits",) * 8 + ("aborts",))
    return Case([asked], answer, leaves, rng.choice(("stays", "closes", "closes", "resets")))


async def _spell(writer: Writer, said: list[bytes]) -> None:
    for piece in said:
        if writer.is_closing():
            return
        writer.write(piece)
        await asyncio.sleep(0)


class Found(AssertionError):
    """What should not be, with the numbers of the cases that may have done it."""


@dataclass
class Fuzz:
    """A run against one gateway."""

    stage: Stage
    seed: int
    number: int = 0  #: of the next case
    statuses: Counter[int | str] = field(default_factory=Counter[int | str])
    base: int = 0  #: bytes of memory after the first batches

    async def for_seconds(self, seconds: float) -> None:
        """Batch after batch. Raises Found."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await self.batch(range(self.number, self.number + BATCH))
            self.number += BATCH
            if self.number == 10 * BATCH:
                self.base = self.stage.resident()

    async def batch(self, numbers: range) -> None:
        """Cases side by side, then a look at all that must hold. Raises Found."""
        self.stage.foo.play = self._play
        try:
            async with asyncio.timeout(60):
                await asyncio.gather(*(self._client(number) for number in numbers))
            await self._look()
        except (AssertionError, TimeoutError, WireFault, Closed, CutOff, OSError) as error:
            again = f"--seed {self.seed}, cases {numbers.start} to {numbers.stop - 1}"
            raise Found(f"{again}: {type(error).__name__}: {error}") from error

    async def _client(self, number: int) -> None:
        made = case(self.seed, number)
        try:
            async with self.stage.client() as client:
                await _spell(client.writer, made.sent)
                if made.leaves == "half":
                    client.writer.write_eof()
                if made.leaves != "aborts":
                    await self._answers(client, number, made)
        except (OSError, CutOff, Closed, TimeoutError) as error:
            self.statuses[type(error).__name__] += 1

    async def _answers(self, client: Client, number: int, made: Case) -> None:
        # What a mutated request asks for is not known; that it is no HEAD can be told by its bytes.
        sent = b"".join(made.sent)
        method = "HEAD" if b"HEAD" in sent else "GET"
        try:
            while (answer := await client.answer(method, PATIENCE)).status != 101:
                self.statuses[answer.status] += 1
        except WireFault as fault:
            if method == "HEAD" and made.answer is None:
                return  # some of its requests were, some were not
            shown = bytes(client.tape.raw[:2000])
            raise AssertionError(f"case {number}: the client got {fault}: {shown!r}") from fault

    async def _play(self, message: Message, tape: Tape, writer: Writer) -> bool:
        number = message.target.removeprefix("/answer/").partition("/")[0]
        made = case(self.seed, int(number)) if number.isascii() and number.isdigit() else None
        if made is None or made.answer is None:
            return await ok(message, tape, writer)
        await _spell(writer, made.answer)
        if made.engine == "resets":
            writer.transport.abort()
        return made.engine == "stays"

    async def _look(self) -> None:
        stage = self.stage
        assert stage.gateway.process.returncode is None, "the gateway ended"
        canary = request("/canary", method="POST", body=b"1").replace(b"/foo/", b"/bar/")
        canary = canary.replace(b"svc-token-1", b"token-of-bar")
        assert (await stage.ask(canary)).body == b"/canary:1"
        assert [message.target for message in stage.bar.messages] == ["/canary"]
        # Connections that a mutated answer left in disorder may cost some requests, never all.
        asked = [await self._served() for _ in range(5)]
        assert True in asked, "the engine of the mutated answers is not reached any more"
        stage.clean()
        stage.bar.messages.clear()
        stage.foo.messages.clear()
        told = [x for x in stage.gateway.text if not x.startswith("{") or "unforeseen" in x]
        assert not told, "".join(told)[:5000]
        stage.gateway.text.clear()
        stage.gateway.lines.clear()
        grown = stage.resident() - self.base
        assert not self.base or grown < GROWTH, f"memory grew by {grown} bytes"

    async def _served(self) -> bool:
        try:
            return (await self.stage.ask(request("/canary"))).body == b"/canary:"
        except (Closed, CutOff):
            return False


async def fuzzed(data_dir: Path, seed: int, seconds: float, only: int | None = None) -> Fuzz:
    """A run against a gateway of its own. Raises Found."""
    async with opened(data_dir, head_seconds=LONG) as stage:
        fuzz = Fuzz(stage, seed)
        if only is None:
            await fuzz.for_seconds(seconds)
        else:
            await fuzz.batch(range(only, only + 1))
        return fuzz


def main() -> int:
    """Exit code: 0 when nothing was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="run this case alone, and show it")
    given = parser.parse_args()
    if given.only is not None:
        print(case(given.seed, given.only))
    try:
        with tempfile.TemporaryDirectory() as folder:
            fuzz = asyncio.run(fuzzed(Path(folder), given.seed, given.seconds, given.only))
    except AssertionError as found:
        print(f"found: {found}", file=sys.stderr)
        return 1
    print(f"{fuzz.number} cases, nothing found; answers: {dict(fuzz.statuses.most_common())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
