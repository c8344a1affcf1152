"""What the gateway tells of use equals what the engine counted itself: whoever leaves, and whoever is killed."""

import asyncio
import os
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from time import monotonic

import pytest

from contract.gateway_harness import (
    Bench,
    Hub,
    Reader,
    Request,
    Writer,
    bench,
    gateway,
    plain,
    route,
    until,
)
from contract.metered_engine import LAST, Manner, MeteredEngine, Record, Wish, wishes
from pierhead.core.routes import RouteToken
from pierhead.core.usage import NONE, Usage

#: Requests of the mixed run; the nightly run asks for 10,000.
COUNT = int(os.environ.get("PIERHEAD_METERED_REQUESTS", "800"))
AT_ONCE = 40
TOKENS = tuple(RouteToken(f"secret-{manner.name}", manner.name) for manner in Manner)


async def serve(b: Bench, engine: MeteredEngine) -> None:
    b.engines[0].play = engine.play
    await b.publish(route("foo", b.engines[0], tokens=TOKENS, api="openai"))


async def ask(port: int, wish: Wish, record: Record) -> bytes:
    """One request over a connection of its own, left as wished; what came of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        head = (
            f"POST /api/predict/foo{wish.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Authorization: secret-{wish.manner.name}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(wish.body)}\r\n\r\n"
        )
        writer.write(head.encode() + wish.body)
        async with asyncio.timeout(60):
            if wish.manner is Manner.EARLY:
                await record.asked.wait()
                return b""
            if wish.manner is Manner.STAYS:
                return await reader.read()
            mark, times = (LAST, 1) if wish.manner is Manner.LATE else (b"\n\n", wish.stop_at)
            return await _read_until(reader, mark, times)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _read_until(reader: Reader, mark: bytes, times: int) -> bytes:
    seen = b""
    while seen.count(mark) < times:
        data = await reader.read(65536)
        assert data, (seen, "the answer ended before")
        seen += data
    return seen


async def ask_all(port: int, engine: MeteredEngine) -> list[bytes]:
    """All wishes, some at a time, in their order."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(wish: Wish) -> bytes:
        async with turn:
            return await ask(port, wish, engine.records[wish.number])

    return await asyncio.gather(*map(one, engine.wishes))


def expected(engine: MeteredEngine) -> dict[str, Usage]:
    """What is to be told, by the name of the token."""
    sums = {manner.name: NONE for manner in Manner}
    for wish, record in zip(engine.wishes, engine.records, strict=True):
        sums[wish.manner.name] += record.counted(wish)
    return sums


def told(hub: Hub) -> dict[str, Usage]:
    metered = hub.metered()
    return {manner.name: metered.get(("id-foo", manner.name), NONE) for manner in Manner}


async def all_told(hub: Hub, wanted: dict[str, Usage]) -> None:
    """Waits until the hub was told of so many requests; then all has to be as wanted."""
    requests = {name: usage.requests for name, usage in wanted.items()}
    with suppress(AssertionError):  # the comparison below says more
        await until(
            lambda: {name: usage.requests for name, usage in told(hub).items()} == requests,
            "all requests are told",
            20,
        )
    assert told(hub) == wanted


def test_mixed_requests_are_counted_as_the_engine_counted_them(tmp_path: Path) -> None:
    """Law: exact where the engine told its usage; else the events that were written, marked as a guess."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            engine = MeteredEngine(wishes(COUNT, Random(11)))
            await serve(b, engine)
            answers = await ask_all(b.gateway.port, engine)
            for wish, record, answer in zip(engine.wishes, engine.records, answers, strict=True):
                asked = wish.included or wish.path.endswith(("responses", "messages"))
                if wish.stream and record.told and not asked:
                    assert b'"usage"' not in answer, "nobody asked for it"
                if wish.manner is Manner.STAYS:
                    status = b"HTTP/1.1 %d " % wish.status
                    assert answer.startswith(status), (wish, answer[:200])
            gone = [
                record
                for wish, record in zip(engine.wishes, engine.records, strict=True)
                if wish.manner is not Manner.STAYS
            ]
            await until(lambda: all(record.left for record in gone), "the engine sees who left", 20)
            wanted = expected(engine)
            assert wanted["STAYS"].estimated == wanted["LATE"].estimated == 0
            assert wanted["MIDST"].estimated == wanted["MIDST"].requests > 0
            await all_told(b.hub, wanted)
            assert b.engines[0].requests and all(record.asked.is_set() for record in engine.records)

    asyncio.run(scenario())


def test_a_client_that_leaves_at_any_moment_is_counted_within_what_was_written(
    tmp_path: Path,
) -> None:
    """Where nobody waits for anybody, a gateway counts no less than a client had and no more than was sent."""

    async def scenario() -> None:
        rng = Random(5)
        async with bench(tmp_path) as b:
            engine = staying(300, 5)
            await serve(b, engine)

            async def one(wish: Wish) -> int:
                """Leaves after some bytes, or a moment; how many events it had."""
                reader, writer = await asyncio.open_connection("127.0.0.1", b.gateway.port)
                head = (
                    f"POST /api/predict/foo{wish.path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                    f"Authorization: secret-STAYS\r\nContent-Length: {len(wish.body)}\r\n\r\n"
                )
                writer.write(head.encode() + wish.body)
                most, seen = rng.choice((0, 1, 200, 700, 1500, 10**6)), b""
                while len(seen) < most and (data := await reader.read(min(300, most))):
                    seen += data
                writer.transport.abort()
                return seen.count(b"\n\n") if wish.stream else 0

            turn = asyncio.Semaphore(AT_ONCE)

            async def in_turn(wish: Wish) -> int:
                async with turn:
                    return await one(wish)

            had = await asyncio.gather(*map(in_turn, engine.wishes))
            settled = await _settled(b)
            reached = [record for record in engine.records if record.asked.is_set()]
            # One that was on its way to the engine counts, too, whether or not it got there.
            assert settled.requests <= len(engine.wishes)
            assert settled.requests - settled.estimated <= len(reached)
            assert settled.requests >= sum(events > 0 for events in had)
            ends = 2  # the usage's event and [DONE] are no tokens
            assert settled.completion >= sum(max(0, events - ends) for events in had)
            written = sum(max(record.events, record.tokens) for record in reached)
            assert settled.completion <= written + ends * settled.estimated

    asyncio.run(scenario())


async def _settled(b: Bench) -> Usage:
    """What was told, once no replica is busy and later reports changed nothing."""

    def is_over() -> bool:
        last = [report for _, report in b.hub.reports[-3:]]
        return len(last) == 3 and not any(one["outstanding"] or one["meters"] for one in last)

    await until(is_over, "nothing more is told", 30)
    return told(b.hub)["STAYS"]


def test_a_report_whose_answer_is_lost_counts_once(tmp_path: Path) -> None:
    """The hub took it, and the gateway cannot know: it tells it again."""

    async def scenario() -> None:
        async with bench(tmp_path, report_seconds=0.1) as b:
            engine, kept = MeteredEngine(wishes(300, Random(2))), b.hub.handle
            lost: Counter[str] = Counter()

            async def losing(request: Request, reader: Reader, writer: Writer) -> bool:
                if request.target != "/internal/report":
                    return await kept(request, reader, writer)
                lost["reports"] += 1
                how = lost["reports"] % 3
                if how == 0:
                    return await kept(request, reader, writer)
                if how == 1:
                    writer.write(plain(503, b"{}"))
                    return True
                await kept(request, reader, _Nowhere())  # type: ignore[arg-type]
                return False

            b.hub.handle = losing  # type: ignore[method-assign]
            await serve(b, engine)
            await ask_all(b.gateway.port, engine)
            await until(lambda: lost["reports"] > 6, "each of them twice", 20)
            await all_told(b.hub, expected(engine))

    asyncio.run(scenario())


class _Nowhere:
    """A double of a connection whose other end is gone."""

    def write(self, data: bytes) -> None:
        del data


@dataclass
class Load:
    """Clients that ask one after the other, and when each had its answer."""

    engine: MeteredEngine
    port: int
    ended: dict[int, float] = field(default_factory=dict[int, float])
    tasks: list["asyncio.Task[None]"] = field(default_factory=list["asyncio.Task[None]"])

    def begin(self, clients: int) -> None:
        for first in range(clients):
            numbers = range(first, len(self.engine.wishes), clients)
            self.tasks.append(asyncio.create_task(self._client(numbers)))

    async def end(self) -> None:
        for task in self.tasks:
            assert not task.done(), "it was still under load"
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _client(self, numbers: range) -> None:
        for number in numbers:
            with suppress(OSError):
                answer = await ask(
                    self.port, self.engine.wishes[number], self.engine.records[number]
                )
                if answer.startswith(b"HTTP/1.1 200"):
                    self.ended[number] = monotonic()

    def used(self, before: float) -> Usage:
        """By requests whose answer was there before a moment."""
        records, asked = self.engine.records, self.engine.wishes
        return sum(
            (records[n].counted(asked[n]) for n, at in self.ended.items() if at < before), NONE
        )

    @property
    def most(self) -> Usage:
        """By all requests that the engine answered to the end."""
        both = zip(self.engine.wishes, self.engine.records, strict=True)
        return sum((record.counted(wish) for wish, record in both if record.told), NONE)


def staying(count: int, seed: int) -> MeteredEngine:
    """Of clients that stay, and answers that are none of errors."""
    asked = wishes(count, Random(seed))
    for wish in asked:
        wish.manner, wish.status, wish.stop_at = Manner.STAYS, 200, 0
    return MeteredEngine(asked)


@pytest.mark.parametrize("seed", [1, 2])
def test_a_killed_gateway_loses_one_interval_at_most_and_nothing_counts_twice(
    tmp_path: Path, seed: int
) -> None:
    """Law: all that ended before the last report was composed is told; what is told was used."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            load = Load(staying(60_000, seed), b.gateway.port)
            await serve(b, load.engine)
            load.begin(20)
            await until(lambda: told(b.hub)["STAYS"].requests > 100, "it is told under load", 30)
            reports = len(b.hub.reports)
            await until(lambda: len(b.hub.reports) > reports + 1, "and told more", 20)
            b.gateway.process.kill()
            killed = monotonic()
            await b.gateway.process.wait()
            await load.end()

            # The last report was composed after the one before it had come.
            (before, _), (last, _) = b.hub.reports[-2:]
            assert killed - last < 3.0, "it reports every second"
            known, least, most = told(b.hub)["STAYS"], load.used(before), load.most
            assert least.requests > 100 and known.estimated == 0
            for name in ("requests", "prompt", "completion"):
                assert getattr(least, name) <= getattr(known, name) <= getattr(most, name), name

            # Its successor counts from nothing; what the first one told stays.
            after = staying(200, seed + 10)
            b.engines[0].play = after.play
            async with gateway(tmp_path, b.hub, seed=seed + 20) as second:
                await ask_all(second.port, after)
                wanted = expected(after)
                wanted["STAYS"] += known
                await all_told(b.hub, wanted)

    asyncio.run(scenario())
