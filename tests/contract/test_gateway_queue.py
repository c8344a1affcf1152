"""What is beyond a service's slots waits in the gateway: bounded, in order, fair between tokens, over real sockets."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contract.gateway_harness import (
    CHUNKED_HEAD,
    TOKEN,
    Bench,
    Engine,
    Reader,
    Request,
    Writer,
    bench,
    piece,
    plain,
    route,
    until,
)
from pierhead.core.endpoint_tokens import Limits
from pierhead.core.routes import RouteToken

NATIVE = "/api/predict/foo/native"
COMPLETIONS = "/api/predict/foo/v1/completions"
OTHER = "svc-token-2"
TWO = (RouteToken(TOKEN, "a"), RouteToken(OTHER, "b"))


@dataclass
class Slow:
    """A double of an engine that answers a request only when the test lets it."""

    begun: list[str] = field(default_factory=list[str])  #: bodies, as they came
    gates: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    open: bool = False  #: it answers everything at once

    async def play(self, request: Request, reader: Reader, writer: Writer) -> bool:
        del reader
        name = request.body.decode()
        self.begun.append(name)
        if not self.open:
            await self.gates[name].wait()
        writer.write(plain(200, json.dumps({"name": name}).encode()))
        return True

    async def stream(self, request: Request, reader: Reader, writer: Writer) -> bool:
        """Begins its answer at once, and ends it when the test lets it."""
        del reader
        name = request.body.decode()
        self.begun.append(name)
        writer.write(CHUNKED_HEAD + piece(b"data: x\n\n"))
        await self.gates[name].wait()
        writer.write(b"0\r\n\r\n")
        return True

    def let(self, name: str) -> None:
        self.gates[name].set()

    def let_all(self) -> None:
        self.open = True
        for gate in self.gates.values():
            gate.set()


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, Any]:
        return json.loads(self.body)["error"]


@dataclass
class Asking:
    """One request on a connection of its own, whose reply is read when the test wants it."""

    reader: Reader
    writer: Writer

    async def reply(self) -> Reply:
        async with asyncio.timeout(10):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            pairs = (line.partition(":") for line in head[1:] if line)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Reply(int(head[0].split()[1]), headers, body)

    async def first(self) -> bytes:
        """The beginning of a stream."""
        async with asyncio.timeout(10):
            return await self.reader.readuntil(b"data: x\n\n")

    def leave(self) -> None:
        self.writer.transport.abort()


async def settled(b: Bench) -> None:
    """Whatever was sent to the gateway before this has been read by it: it has one thread.

    A new connection is accepted in one turn of its loop and read in a later one, hence several.
    """
    for _ in range(4):
        await b.health()


async def ask(
    b: Bench, name: str, token: str = TOKEN, path: str = NATIVE, method: str = "POST"
) -> Asking:
    """Sends a request; when it returns, it is at work, waits, or was refused."""
    reader, writer = await b.open()
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n"
    writer.write(f"{head}Content-Length: {len(name)}\r\n\r\n{name}".encode())
    await writer.drain()
    await settled(b)
    return Asking(reader, writer)


@asynccontextmanager
async def slow(data_dir: Path, engines: int = 1, **more: Any) -> AsyncIterator[tuple[Bench, Slow]]:
    """A gateway that serves `foo` from one slow engine, by a route of these fields."""
    async with bench(data_dir, engines) as b:
        engine = Slow()
        for each in b.engines:
            each.play = engine.play
        await b.publish(route("foo", b.engines[0], **more))
        try:
            yield b, engine
        finally:
            engine.let_all()


async def begun(engine: Slow, *names: str) -> None:
    await until(lambda: engine.begun == list(names), f"{names} are begun, not {engine.begun}")


def test_who_finds_no_waiting_place_is_told_450_and_the_others_go_in_order(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with slow(tmp_path, slots=1, queue=2) as (b, engine):
            kept = [await ask(b, name) for name in ("r0", "r1", "r2")]
            for path in (NATIVE, COMPLETIONS):
                refused = await (await ask(b, "late", path=path)).reply()
                assert refused.status == 450
                error = refused.error
                assert error["code"] == "queue_full"
                assert (error["limit"], error["value"]) == ("max_queue_size", 2)
                assert "`foo`" in error["message"]
                assert ("param" in error) == ("/v1/" in path), "OpenAI's shape, or the gateway's"
                assert json.loads(refused.body)["request_id"] == refused.headers["x-request-id"]
            await begun(engine, "r0")
            for number, asking in enumerate(kept):
                engine.let(f"r{number}")
                assert (await asking.reply()).status == 200
            assert engine.begun == ["r0", "r1", "r2"]

    asyncio.run(scenario())


def test_who_waited_as_long_as_one_may_is_told_429_and_when_to_come_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with slow(tmp_path, slots=1, queue=9, queue_seconds=0.4) as (b, engine):
            works = await ask(b, "works")
            sent = time.monotonic()
            reply = await (await ask(b, "waits")).reply()
            assert time.monotonic() - sent >= 0.39
            assert reply.status == 429
            assert int(reply.headers["retry-after"]) >= 1
            assert reply.error["code"] == "queue_timeout"
            engine.let_all()
            assert (await works.reply()).status == 200
            assert (await (await ask(b, "again")).reply()).status == 200
            assert engine.begun == ["works", "again"], "what was refused reached no engine"

    asyncio.run(scenario())


def test_a_flood_of_one_token_delays_another_by_one_request_at_a_time(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with slow(tmp_path, slots=1, tokens=TWO) as (b, engine):
            flood = [await ask(b, f"a{i}") for i in range(12)]
            few = [await ask(b, f"b{i}", OTHER) for i in range(3)]
            engine.let_all()
            assert [(await each.reply()).status for each in (*flood, *few)] == [200] * 15
            turns = ["a0", "a1", "b0", "a2", "b1", "a3", "b2", *(f"a{i}" for i in range(4, 12))]
            assert engine.begun == turns

    asyncio.run(scenario())


def test_a_flood_gives_up_waiting_places_for_another_token(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with slow(tmp_path, slots=1, queue=3, tokens=TWO) as (b, engine):
            flood = [await ask(b, f"a{i}") for i in range(4)]
            other = await ask(b, "b0", OTHER)
            assert (await flood[3].reply()).status == 450, "the newest of the flood"
            engine.let_all()
            assert (await other.reply()).status == 200
            assert [(await each.reply()).status for each in flood[:3]] == [200] * 3
            assert "a3" not in engine.begun

    asyncio.run(scenario())


def test_a_client_that_leaves_while_it_waits_leaves_its_place_to_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with slow(tmp_path, slots=1, queue=1) as (b, engine):
            works, waits = await ask(b, "r0"), await ask(b, "r1")
            assert (await (await ask(b, "full")).reply()).status == 450
            waits.leave()
            await settled(b)
            after = await ask(b, "r2")
            engine.let_all()
            assert ((await works.reply()).status, (await after.reply()).status) == (200, 200)
            assert engine.begun == ["r0", "r2"], "nobody works for one that is gone"

    asyncio.run(scenario())


def test_a_client_that_leaves_its_stream_lets_the_next_one_go(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with slow(tmp_path, slots=1) as (b, engine):
            b.engines[0].play = engine.stream
            streams = await ask(b, "r0")
            await streams.first()
            waits = await ask(b, "r1")
            assert engine.begun == ["r0"], "a stream takes its slot to its last byte"
            streams.leave()
            await begun(engine, "r0", "r1")
            await waits.first()

    asyncio.run(scenario())


def test_what_needs_no_slot_of_a_model_server_does_not_wait_for_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with slow(tmp_path, slots=1, queue=0, api="openai") as (b, engine):
            await ask(b, "text")
            beside = await ask(b, "", method="GET")
            await begun(engine, "text", "")
            engine.let_all()
            assert (await beside.reply()).status == 200

    asyncio.run(scenario())


def test_what_needs_no_slot_takes_none_of_a_token_with_a_limit_of_its_own(tmp_path: Path) -> None:
    async def scenario() -> None:
        two = (RouteToken(TOKEN, "a", limits=Limits(concurrency=2)),)
        async with slow(tmp_path, slots=1, queue=1, api="openai", tokens=two) as (b, engine):
            text = await ask(b, "text")
            beside = await ask(b, "", method="GET")
            await begun(engine, "text", "")
            over = await ask(b, "over", method="GET")
            await settled(b)
            assert engine.begun == ["text", ""], "more than its token may have waits"
            engine.let("")
            assert (await beside.reply()).status == 200
            await begun(engine, "text", "", "over")
            engine.let_all()
            assert ((await text.reply()).status, (await over.reply()).status) == (200, 200)

    asyncio.run(scenario())


def test_what_is_refused_is_counted_by_its_limit(tmp_path: Path) -> None:
    async def scenario() -> None:
        one = RouteToken(OTHER, "b", limits=Limits(concurrency=1))
        fields: dict[str, Any] = {"slots": 1, "queue": 1}
        fields["tokens"] = (RouteToken(TOKEN, "a"), one)
        async with slow(tmp_path, **fields) as (b, engine):
            works, waits = await ask(b, "r0"), await ask(b, "r1")
            assert (await (await ask(b, "full")).reply()).status == 450
            await b.publish(route("foo", b.engines[0], **fields, queue_seconds=0.3))
            assert (await waits.reply()).status == 429
            engine.let("r0")
            assert (await works.reply()).status == 200
            await ask(b, "r2", OTHER)
            assert (await (await ask(b, "own", OTHER)).reply()).status == 429
            engine.let("r2")
            await b.publish(route("foo", b.engines[0], rate=1))
            engine.open = True
            statuses = [200]
            while 429 not in statuses:
                statuses = [(await (await ask(b, "x")).reply()).status for _ in range(9)]
            told = await b.metrics()
        limits = {"queue_full": 1, "queue_timeout": 1, "concurrency": 1}
        for limit, count in limits.items():
            assert f'refused_total{{limit="{limit}",service="foo"}} {count:.1f}\n' in told, limit
        assert (
            f'refused_total{{limit="rate_limit",service="foo"}} {statuses.count(429):.1f}' in told
        )

    asyncio.run(scenario())


def test_who_waits_by_a_token_that_is_revoked_is_let_in_no_more(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with slow(tmp_path, slots=1, tokens=TWO) as (b, engine):
            works, waits = await ask(b, "a0"), await ask(b, "a1")
            other = await ask(b, "b0", OTHER)
            await b.publish(route("foo", b.engines[0], slots=1, tokens=TWO[1:]))
            engine.let_all()
            assert (await works.reply()).status == 200, "what is under way is served to its end"
            assert (await waits.reply()).status == 401
            assert (await other.reply()).status == 200
            assert engine.begun == ["a0", "b0"]

    asyncio.run(scenario())


def test_answers_that_fail_give_their_slots_back(tmp_path: Path) -> None:
    async def hang_up(request: Request, reader: Reader, writer: Writer) -> bool:
        del request, reader, writer
        return False

    async def scenario() -> None:
        async with slow(tmp_path, slots=1, queue=0) as (b, engine):
            b.engines[0].play = hang_up
            for number in range(5):
                assert (await (await ask(b, f"r{number}")).reply()).status == 502
            b.engines[0].play, engine.open = engine.play, True
            await until_answered(b)

    asyncio.run(scenario())


async def until_answered(b: Bench) -> None:
    """Its only replica may be out of rotation for a moment: that is no matter of slots."""
    statuses: list[int] = []
    while not statuses or statuses[-1] != 200:
        statuses.append((await (await ask(b, "again")).reply()).status)
        assert 450 not in statuses and len(statuses) < 200


def test_targets_that_appear_let_those_that_wait_go(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with slow(tmp_path, engines=2, slots=1) as (b, engine):
            askings = [await ask(b, f"r{i}") for i in range(3)]
            await begun(engine, "r0")
            await b.publish(route("foo", *b.engines, slots=1))
            await begun(engine, "r0", "r1")
            engine.let_all()
            assert [(await each.reply()).status for each in askings] == [200] * 3

    asyncio.run(scenario())


def test_a_replica_that_is_being_drained_takes_no_slot_of_the_new_one(tmp_path: Path) -> None:
    """Law: a rolling update makes nobody wait for the streams that are still on the old replica."""

    async def scenario() -> None:
        async with slow(tmp_path, engines=2, slots=1) as (b, engine):
            old = await ask(b, "old")
            await begun(engine, "old")
            await b.publish(route("foo", b.engines[1], slots=1), draining=frozenset({"r0"}))
            new = await ask(b, "new")
            await begun(engine, "old", "new")
            engine.let_all()
            assert ((await old.reply()).status, (await new.reply()).status) == (200, 200)
            assert served(b.engines[1]) == ["new"]

    asyncio.run(scenario())


def served(engine: Engine) -> list[str]:
    return [request.body.decode() for request in engine.requests]


def test_a_token_waits_for_its_own_requests_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        one = RouteToken(TOKEN, "a", limits=Limits(concurrency=1))
        async with slow(tmp_path, tokens=(one, RouteToken(OTHER, "b"))) as (b, engine):
            first, second = await ask(b, "a0"), await ask(b, "a1")
            others = [await ask(b, f"b{i}", OTHER) for i in range(3)]
            await begun(engine, "a0", "b0", "b1", "b2")
            engine.let("a0")
            assert (await first.reply()).status == 200
            await begun(engine, "a0", "b0", "b1", "b2", "a1")
            engine.let_all()
            assert [(await each.reply()).status for each in (second, *others)] == [200] * 4

    asyncio.run(scenario())


def test_a_tokens_own_limit_is_named_when_it_waited_for_itself_too_long(tmp_path: Path) -> None:
    async def scenario() -> None:
        one = RouteToken(TOKEN, "a", limits=Limits(concurrency=1))
        async with slow(tmp_path, tokens=(one,), queue_seconds=0.3) as (b, _engine):
            await ask(b, "a0")
            reply = await (await ask(b, "a1")).reply()
            assert reply.status == 429
            assert int(reply.headers["retry-after"]) >= 1
            assert (reply.error["limit"], reply.error["value"]) == ("concurrency", 1)

    asyncio.run(scenario())


def test_more_requests_than_a_service_takes_in_a_second_are_told_429(tmp_path: Path) -> None:
    """Of all tokens together; what was refused is not counted."""

    async def scenario() -> None:
        async with slow(tmp_path, rate=1, tokens=TWO) as (b, engine):
            engine.open = True
            # Whenever two come within a second of each other, the second one is refused.
            refused: Reply | None = None
            while refused is None:
                begins = time.monotonic()
                replies = [await (await ask(b, token, token)).reply() for token in (TOKEN, OTHER)]
                if time.monotonic() - begins < 1:
                    assert replies[1].status == 429
                    refused = replies[1]
            assert refused.headers["retry-after"] == "1"
            assert (refused.error["code"], refused.error["limit"]) == (
                "rate_limit_exceeded",
                "rate_limit",
            )
            assert "The limit of the service `foo`" in refused.error["message"]
            ended = time.monotonic()
            while (await (await ask(b, "again")).reply()).status != 200:
                assert time.monotonic() - ended < 5, "it never takes one again"

    asyncio.run(scenario())
