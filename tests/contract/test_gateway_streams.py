"""Streams, failures and time: what happens between a request that was let in and its last byte."""

# ruff: noqa: PLR0915, C901, ASYNC240
# A scenario is one story, told from top to bottom; a short file read holds up nobody.

import asyncio
import json
import socket
import struct
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from contract.gateway_harness import (
    CHUNKED_HEAD,
    TOKEN,
    Bench,
    Engine,
    Request,
    bench,
    echo,
    piece,
    plain,
    raw,
    route,
    until,
)
from pierhead.core.routes import Target
from pierhead.gateway.balance import ERRORS

AUTH = {"Authorization": TOKEN}
REQUEST = (
    f"POST /api/predict/foo/s HTTP/1.1\r\nHost: x\r\nAuthorization: {TOKEN}\r\n"
    "Content-Length: 2\r\n"
)
CLOSING = (REQUEST + "Connection: close\r\n\r\n{}").encode()
PLAIN = (REQUEST + "\r\n{}").encode()


async def get(b: Bench, path: str = "/api/predict/foo") -> tuple[int, bytes]:
    async with b.client.get(b.gateway.url + path, headers=AUTH) as answer:
        return answer.status, await answer.read()


class Feeder:
    """An engine's play whose pieces the test sends by hand."""

    def __init__(self) -> None:
        self.writers: list[Any] = []

    async def __call__(self, request: Request, reader: Any, writer: Any) -> bool:
        del request
        writer.write(CHUNKED_HEAD)
        self.writers.append(writer)
        await reader.read(1)  # until the connection is lost
        return False

    def send(self, data: bytes, index: int = 0) -> None:
        self.writers[index].write(data)


def test_chunks_arrive_as_they_are_sent(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            feeder = Feeder()
            b.engines[0].play = feeder
            reader, writer = await b.open()
            writer.write(CLOSING)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            assert b"text/event-stream" in head, "the head does not wait for the first token"
            delays: list[float] = []
            for number in range(50):
                data = b"data: \xe4\xbd %d\n\n" % number
                sent = time.perf_counter()
                feeder.send(piece(data))
                got = await asyncio.wait_for(reader.readexactly(len(piece(data))), 5)
                delays.append(time.perf_counter() - sent)
                assert got == piece(data), "one chunk in, the same chunk out"
            assert sorted(delays)[25] < 0.02
            feeder.send(b"0\r\n\r\n")
            assert await asyncio.wait_for(reader.read(), 5) == b"0\r\n\r\n"
            writer.close()
            line = await until(b.gateway.requests, "an access line")
            metrics = await b.metrics()
            assert 'pierhead_gateway_ttft_seconds_count{service="foo"} 1.0' in metrics
            assert "pierhead_gateway_inflight{" not in metrics
            assert line[-1]["status"] == 200
            assert line[-1]["replica"] == "r0"
            assert line[-1]["ttft_ms"] >= 0
            assert "broken" not in line[-1]

    asyncio.run(scenario())


def test_a_large_answer_to_a_slow_client(tmp_path: Path) -> None:
    """The gateway holds a slow client's answer back at the engine, not in its memory."""
    size, block = 48 * 1024 * 1024, b"x" * 65536
    sent = 0

    async def pour(request: Request, reader: Any, writer: Any) -> bool:
        nonlocal sent
        del request, reader
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        while sent < size:
            writer.write(block)
            await writer.drain()
            sent += len(block)
        return True

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            b.engines[0].play = pour
            reader, writer = await b.open()
            writer.write(CLOSING)
            await reader.readuntil(b"\r\n\r\n")
            before = -1
            while before != sent:  # until the engine is held up
                before = sent
                await asyncio.sleep(0.2)
            assert sent < size // 2
            status = Path(f"/proc/{b.gateway.process.pid}/status").read_text()
            resident = int(status.split("VmRSS:")[1].split()[0])
            assert resident < 120_000, f"{resident} kB"
            got = 0
            while data := await reader.read(1 << 20):
                got += len(data)
            assert got == size
            writer.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("body", [b"{}", b"{" + b" " * 300_000 + b"}"])
def test_engine_is_told_when_the_client_leaves_before_the_first_token(
    tmp_path: Path, body: bytes
) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            engine = b.engines[0]
            engine.play = engine.silence
            head = PLAIN.replace(b"Length: 2", b"Length: %d" % len(body)).removesuffix(b"{}")
            for round_ in range(1, 6):
                _, writer = await b.open()
                writer.write(head + body)
                await until(lambda: len(engine.requests) == round_, "the engine is asked")  # noqa: B023
                gone = time.monotonic()
                writer.close()
                await until(lambda: len(engine.left) == round_, "the engine is told")  # noqa: B023
                assert engine.left[-1] - gone < 0.2
            await until(lambda: len(b.gateway.requests()) == 5, "access lines")
            assert {line["status"] for line in b.gateway.requests()} == {499}
            assert 'code="499",service="foo"} 5.0' in await b.metrics()
            assert not (await b.health()).get("ejected")
            await until(lambda: b.hub.last.get("outstanding") == {}, "nothing outstanding")
            assert b.hub.last.get("ejected") == []

    asyncio.run(scenario())


def test_engine_is_told_when_the_client_leaves_a_stream(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            feeder = Feeder()
            b.engines[0].play = feeder
            reader, writer = await b.open()
            writer.write(PLAIN)
            await reader.readuntil(b"\r\n\r\n")
            feeder.send(piece(b"data: 1\n\n"))
            await reader.readuntil(b"1\n\n")
            gone = time.monotonic()
            writer.close()
            await until(lambda: not b.engines[0].connections, "the engine is told")
            assert time.monotonic() - gone < 0.2
            await until(b.gateway.requests, "an access line")
            assert b.gateway.requests()[-1]["status"] == 499

    asyncio.run(scenario())


@pytest.mark.parametrize("how", ["abort", "close", "garbage"])
def test_a_stream_that_breaks_is_cut_and_the_replica_put_out(tmp_path: Path, how: str) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, 2) as b:
            feeder = Feeder()
            for engine in b.engines:
                engine.play = feeder
            reader, writer = await b.open()
            writer.write(PLAIN)
            await reader.readuntil(b"\r\n\r\n")
            feeder.send(piece(b"data: 1\n\n"))
            await reader.readuntil(b"1\n\n\r\n")
            if how == "garbage":
                feeder.send(b"no chunk size\r\n")
            elif how == "abort":
                feeder.writers[0].transport.abort()
            else:
                feeder.writers[0].close()
            rest = await asyncio.wait_for(reader.read(), 5)
            assert rest == b"", "no last chunk: the client sees that it is not whole"
            writer.close()
            line = await until(b.gateway.requests, "an access line")
            metrics = await b.metrics()
            assert 'pierhead_gateway_broken_streams_total{service="foo"} 1.0' in metrics
            assert 'pierhead_gateway_ejected_total{service="foo",why="broken"} 1.0' in metrics
            assert line[-1]["broken"] is True
            out = line[-1]["replica"]
            await until(lambda: b.hub.last.get("ejected") == [out], "a report of it")

    asyncio.run(scenario())


def test_dead_replica_costs_no_request_and_comes_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, 2) as b:
            one, two = b.engines
            await one.close()
            for _ in range(20):
                status, _ = await get(b)
                assert status == 200
            assert len(two.requests) == 20
            metrics = await b.metrics()
            assert 'pierhead_gateway_ejected_total{service="foo",why="refused"} 1.0' in metrics
            await one.open()
            begun = time.monotonic()
            while not one.requests:
                assert (await get(b))[0] == 200
                assert time.monotonic() - begun < 6
            assert time.monotonic() - begun < 3.5, "out for 2 s"
            await until(lambda: b.hub.last.get("ejected") == [], "a report of it")

    asyncio.run(scenario())


def test_all_replicas_dead_is_502_and_the_last_is_never_put_out(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, 4) as b:
            for engine in b.engines:
                await engine.close()
            status, body = await get(b)
            error = json.loads(body)
            assert (status, error["error"]["code"]) == (502, "bad_upstream")
            assert "4 replicas" in error["error"]["message"]
            assert error["request_id"]
            for _ in range(3):
                assert (await get(b))[0] == 502
            await b.engines[2].open()
            for _ in range(10):
                status, _ = await get(b)
                if status == 200:
                    break
            assert (await get(b))[0] == 200, "an answer puts a replica back at once"

    asyncio.run(scenario())


def test_a_replica_that_closes_without_a_byte_is_replaced(tmp_path: Path) -> None:
    async def hang_up(request: Request, reader: Any, writer: Any) -> bool:
        del request, reader
        writer.transport.abort()
        return False

    async def half_a_head(request: Request, reader: Any, writer: Any) -> bool:
        del request, reader
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
        await writer.drain()
        return False

    async def half_a_head_and_a_reset(request: Request, reader: Any, writer: Any) -> bool:
        await half_a_head(request, reader, writer)
        await asyncio.sleep(0.05)  # else the reset overtakes it
        writer.transport.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        writer.transport.abort()
        return False

    async def scenario() -> None:
        async with bench(tmp_path, 2) as b:
            b.engines[0].play = hang_up
            for _ in range(10):
                async with b.client.post(
                    b.gateway.url + "/api/predict/foo", data=b"once", headers=AUTH
                ) as answer:
                    assert answer.status == 200
                    assert bytes.fromhex(json.loads(await answer.read())["body"]) == b"once"
            assert len(b.engines[0].requests) == 1
            assert len(b.engines[1].requests) == 10
            # A replica that had begun to answer may have acted: a POST is not repeated, a GET is.
            for asked, play in ((12, half_a_head), (13, half_a_head_and_a_reset)):
                b.engines[0].play = b.engines[1].play = play
                async with b.client.post(
                    b.gateway.url + "/api/predict/foo", data=b"x", headers=AUTH
                ) as answer:
                    assert answer.status == 502
                assert len(b.engines[0].requests) + len(b.engines[1].requests) == asked
            assert (await get(b))[0] == 502
            assert len(b.engines[0].requests) + len(b.engines[1].requests) == 15

    asyncio.run(scenario())


def test_pooled_connection_closed_under_us_is_no_failure(tmp_path: Path) -> None:
    async def stale(request: Request, reader: Any, writer: Any) -> bool:
        """Answers once per connection, then hangs up only when the next request has come."""
        if getattr(writer, "used", False):
            writer.transport.abort()
            return False
        writer.used = True
        return await echo(request, reader, writer)

    async def scenario() -> None:
        async with bench(tmp_path, 2) as b:
            for engine in b.engines:
                engine.play = stale
            for method in ("POST", "GET"):
                for _ in range(10):
                    async with b.client.request(
                        method, b.gateway.url + "/api/predict/foo", data=b"x", headers=AUTH
                    ) as answer:
                        assert answer.status == 200
            assert "ejected_total{" not in await b.metrics()

    asyncio.run(scenario())


def test_the_least_busy_replica_is_chosen(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, 3) as b:
            for engine in b.engines:
                engine.play = engine.silence
            writers = []
            for count in range(1, 10):
                _, writer = await b.open()
                writer.write(PLAIN)
                writers.append(writer)
                await until(
                    lambda: sum(len(e.requests) for e in b.engines) == count,  # noqa: B023
                    "the request arrives",
                )
                loads = sorted(len(e.requests) for e in b.engines)
                assert loads[-1] - loads[0] <= 1
            assert 'pierhead_gateway_inflight{replica="r0"} 3.0' in await b.metrics()
            await until(
                lambda: b.hub.last.get("outstanding") == {"r0": 3, "r1": 3, "r2": 3},
                "a report of the load",
            )
            for writer in writers:
                writer.close()
            for engine in b.engines:
                engine.requests.clear()
                engine.play = echo
            await until(lambda: b.hub.last.get("outstanding") == {}, "all is idle")
            for _ in range(60):
                assert (await get(b))[0] == 200
            assert all(len(e.requests) > 5 for e in b.engines), "ties are broken by chance"

    asyncio.run(scenario())


def test_deadlines(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, 2, head_seconds=0.3) as b:
            feeder = Feeder()
            silent, streaming = b.engines
            silent.play = silent.silence
            streaming.play = feeder
            await b.publish(
                route("foo", silent, timeout=0.2),
                route("limitless", silent),
                route("stream", streaming),
                route("shortstream", streaming, timeout=0.3),
            )
            answer = await raw(b.gateway.port, PLAIN)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert b"connection: close" in answer
            assert (
                json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "request_timeout"
            )
            answer = await raw(b.gateway.port, CLOSING.replace(b"/foo/", b"/limitless/"))
            assert answer.startswith(b"HTTP/1.1 504 ")
            assert (
                json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"] == "upstream_timeout"
            )
            await until(lambda: len(silent.left) == 2, "the engine is told")
            assert len(silent.requests) == 2, "asked once each"
            # A stream outlives the deadline of the head, but not the time its service allows.
            stream = asyncio.create_task(
                raw(b.gateway.port, CLOSING.replace(b"/foo/", b"/stream/"))
            )
            await until(lambda: feeder.writers, "it begins")
            cut = await raw(b.gateway.port, CLOSING.replace(b"/foo/", b"/shortstream/"))
            assert cut.startswith(b"HTTP/1.1 200 ")
            assert not cut.endswith(b"0\r\n\r\n")
            assert not stream.done()
            feeder.send(piece(b"late") + b"0\r\n\r\n")
            assert (await stream).endswith(b"late\r\n0\r\n\r\n")

    asyncio.run(scenario())


def test_the_last_of_several_is_not_put_out_for_the_time_that_others_took(tmp_path: Path) -> None:
    """Law: requests to replicas that work never fail: none is taken for dead by a moment's silence."""
    asked = 0

    async def play(request: Request, reader: Any, writer: Any) -> bool:
        nonlocal asked
        del request
        asked += 1
        if asked > 1:
            return not await reader.read(1)  # has work, until the connection is lost
        await asyncio.sleep(0.7)
        writer.transport.abort()
        return False

    async def scenario() -> None:
        async with bench(tmp_path, 4) as b:
            for engine in b.engines:
                engine.play = play
            await b.publish(route("foo", *b.engines, timeout=1.0))
            answer = await raw(b.gateway.port, CLOSING)
            assert answer.startswith(b"HTTP/1.1 408 ")
            assert sum(bool(engine.requests) for engine in b.engines) == 2
            metrics = await b.metrics()
            assert 'ejected_total{service="foo",why="closed"} 1.0' in metrics
            assert 'why="silent"' not in metrics

    asyncio.run(scenario())


def test_a_replica_that_is_busy_is_told_apart_from_one_that_hangs(tmp_path: Path) -> None:
    """Law: one long request puts nobody out; a replica that ends none in time is left out all the same."""

    async def busy(request: Request, reader: Any, writer: Any) -> bool:
        if request.line.startswith("OPTIONS "):
            writer.write(plain(405, b"{}"))
            return True
        return not await reader.read(1)

    async def scenario() -> None:
        async with bench(tmp_path, 2) as b:
            b.engines[0].play = busy
            await b.publish(route("foo", *b.engines, timeout=0.6))
            late = 0
            for _ in range(100):
                late += (await get(b))[0] == 408
                metrics = await b.metrics()
                assert 'why="silent"' not in metrics
                if 'why="late"' in metrics:
                    break
            assert late == ERRORS
            await until(lambda: b.hub.last.get("why") == {"r0": "late"}, "a report of it")

    asyncio.run(scenario())


def test_what_takes_no_connections_costs_a_request_no_more_than_its_picks(tmp_path: Path) -> None:
    """Law: a connection that is not refused and does not come costs its whole time: 3 of them at most."""

    async def scenario() -> None:
        with ExitStack() as stack:
            full = [stack.enter_context(_full(stack)) for _ in range(5)]
            targets = tuple(
                Target(f"full-{number}", *one.getsockname()) for number, one in enumerate(full)
            )
            async with bench(tmp_path, connect_seconds=0.2) as b:
                await b.publish(replace(route("foo"), targets=targets))
                status, body = await get(b)
                assert status == 502
                assert "3 replicas" in json.loads(body)["error"]["message"]
                assert 'ejected_total{service="foo",why="silent"} 2.0' in await b.metrics()

    asyncio.run(scenario())


def _full(stack: ExitStack) -> socket.socket:
    """Listens, and drops whoever comes next: nobody takes those that wait already."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=0)
    while True:
        waiting = stack.enter_context(socket.socket())
        waiting.settimeout(0.2)
        try:
            waiting.connect(listener.getsockname())
        except TimeoutError:
            return listener


def test_a_new_table_does_not_touch_running_streams(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path, 2) as b:
            feeder = Feeder()
            old, new = b.engines
            old.play = feeder
            await b.publish(route("foo", old))
            reader, writer = await b.open()
            writer.write(CLOSING)
            await reader.readuntil(b"\r\n\r\n")
            for number in range(20):
                if number == 5:
                    await b.publish(
                        route("foo", new, tokens=("fresh",)), draining=frozenset({"r0"})
                    )
                    async with b.client.get(
                        b.gateway.url + "/api/predict/foo", headers={"Authorization": "fresh"}
                    ) as answer:
                        assert answer.status == 200
                    assert (await get(b))[0] == 401, "a revoked token is refused at once"
                    assert len(new.requests) == 1
                if number == 10:
                    await b.publish()
                    assert (await get(b))[0] == 404
                feeder.send(piece(b"%d" % number))
                await reader.readuntil(b"%d\r\n" % number)
            feeder.send(b"0\r\n\r\n")
            assert await reader.read() == b"0\r\n\r\n"
            writer.close()
            assert 'inflight{replica="r0"}' not in await b.metrics()
            assert 'service="foo"' not in await b.metrics(), "its series went with the service"

    asyncio.run(scenario())


def test_a_thousand_requests_while_a_replica_is_killed(tmp_path: Path) -> None:
    async def tokens(request: Request, reader: Any, writer: Any) -> bool:
        if "stream" not in request.target:
            return await echo(request, reader, writer)
        writer.write(CHUNKED_HEAD)
        for number in range(3):
            writer.write(piece(b"data: %d\n\n" % number))
            await asyncio.sleep(0.001)
        writer.write(b"0\r\n\r\n")
        return True

    async def scenario() -> None:
        async with bench(tmp_path, 2) as b:
            victim, survivor = b.engines
            victim.play = survivor.play = tokens
            broken: list[str] = []
            statuses: dict[int, int] = {}
            done = 0

            async def one(number: int) -> None:
                nonlocal done
                # Streams in work on the killed replica break by necessity: they stop before the kill.
                stream = number % 3 == 0 and not 300 <= number < 700
                path = "/api/predict/foo/" + ("stream" if stream else "plain")
                method = "GET" if number % 2 else "POST"
                data = None if number % 2 else b"x" * (number * 7 % 5000)
                try:
                    async with b.client.request(
                        method, b.gateway.url + path, data=data, headers=AUTH
                    ) as answer:
                        statuses[answer.status] = statuses.get(answer.status, 0) + 1
                        assert await answer.read()
                except aiohttp.ClientError as error:
                    broken.append(f"{number}: {error!r}")
                done += 1

            async def worker(numbers: Any) -> None:
                for number in numbers:
                    await one(number)

            async def killer() -> None:
                await until(lambda: done >= 450, "half of them", 30)
                await victim.close()

            numbers = iter(range(1000))
            await asyncio.gather(killer(), *(worker(numbers) for _ in range(16)))
            assert (statuses, broken) == ({200: 1000}, [])
            assert len(survivor.requests) > 500
            assert len(victim.requests) > 100

    asyncio.run(scenario())


def test_engine_double_is_not_asked_twice(tmp_path: Path) -> None:
    """A client that repeats itself on one connection gets each answer once, in order."""

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            engine: Engine = b.engines[0]

            async def number(request: Request, reader: Any, writer: Any) -> bool:
                del request, reader
                writer.write(plain(200, b"%d" % len(engine.requests)))
                return True

            engine.play = number
            answer = await raw(b.gateway.port, PLAIN + PLAIN + CLOSING)
            assert [part.rpartition(b"\r\n\r\n")[2] for part in answer.split(b"HTTP/1.1 ")][1:] == [
                b"1",
                b"2",
                b"3",
            ]

    asyncio.run(scenario())
