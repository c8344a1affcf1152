"""Mistakes of ours, and what is left of what is gone: no client waits for ever, and nothing grows."""

import asyncio
import gc
import random
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pierhead.core.routes import Route, RouteToken, Target, table
from pierhead.gateway.app import Gateway, Ways
from pierhead.gateway.balance import Balance, Failure
from pierhead.gateway.door import Door
from pierhead.gateway.exchange import Exchange
from pierhead.gateway.head import Head
from pierhead.gateway.replica_connection import ReplicaConnection
from pierhead.gateway.replicas import Pool
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.table import LiveTable, Served

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"
HERE = Target("r0", "127.0.0.1", 1)


class Wire:
    """A double of a transport."""

    aborted = False

    def write(self, data: bytes) -> None: ...

    def get_extra_info(self, name: str) -> None: ...

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True

    close = abort


class Mistaken:
    """A double of whoever waits for an answer: one of its steps fails."""

    def __init__(self, step: str) -> None:
        self._step, self.faults = step, 0

    def fault(self) -> None:
        self.faults += 1

    def steady(self) -> Any:
        return self._event if self._step == "_event" else None

    def takes(self, told: object) -> bool:
        del told
        return True

    def __getattr__(self, name: str) -> Any:
        def step(*given: object, **more: object) -> bool:
            del given, more
            if name == self._step:
                raise ZeroDivisionError
            return True

        return step


@pytest.mark.parametrize("step", ["head", "body", "flush", "complete", "whole", "_event", "lost"])
def test_a_mistake_in_any_step_of_an_answer_is_told(step: str) -> None:
    async def scenario() -> None:
        pool = Pool(asyncio.get_running_loop(), 1.0)
        connection, wire = ReplicaConnection(pool, HERE), Wire()
        connection.connection_made(cast(Any, wire))
        for kind in (ANSWER, ANSWER, CHUNKS):
            answer = Mistaken(step)
            connection.ask(cast(Any, answer), [b"x"], headless=False)
            connection.data_received(kind)
            if kind is CHUNKS and not answer.faults:
                connection.data_received(b"2\r\n{}\r\n")
                connection.connection_lost(None)
            if answer.faults:
                break
        assert answer.faults == 1  # pyright: ignore[reportPossiblyUnboundVariable]
        pool.close()

    asyncio.run(scenario())


def test_a_mistake_once_a_connection_is_there_is_told() -> None:
    async def scenario() -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        target = Target("r0", "127.0.0.1", server.sockets[0].getsockname()[1])
        pool, told = Pool(asyncio.get_running_loop(), 5.0), asyncio.Event()

        def made(connection: ReplicaConnection) -> None:
            connection.drop()
            raise ZeroDivisionError

        def failed(why: Failure) -> None:
            raise AssertionError(why)

        pool.connect(target, made, failed, told.set)
        async with asyncio.timeout(10):
            await told.wait()
        pool.close()
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())


def test_what_a_replica_sends_after_it_is_gone_leaves_nothing() -> None:
    balance = Balance(time.monotonic, random.Random(1), lambda _: None)
    attempt, other = balance.attempt(HERE), balance.attempt(HERE)
    balance.forget(["r0"])
    attempt.flows(5.0)
    other.failed(Failure.BROKEN, [HERE, Target("r1", "127.0.0.1", 2)])
    assert balance.seen("r0") == 5.0
    assert balance.has_records
    attempt.end()
    assert balance.has_records  # one is still in work
    other.end()
    assert balance.seen("r0") == float("-inf")
    assert not balance.has_records


class Line:
    """A double of a client's connection."""

    address, server, scheme = b"127.0.0.1", ("", 0), b"http"

    def __init__(self) -> None:
        self.judged: Any = None


def _head(path: bytes) -> Head:
    raw = [(b"host", b"a"), (b"authorization", b"secret"), (b"content-length", b"1")]
    return Head(b"POST", path, raw, "1.1")


def _judged(gateway: Gateway, path: bytes, before: list[Line]) -> Line:
    """A connection whose last request was let in, which those before it remember nothing of."""
    line = Line()
    exchange = Exchange(cast(Any, line), _head(path), lambda: b"id")
    gateway.head(exchange)
    assert not exchange.finished
    assert line.judged.fits(exchange)
    assert not any(old.judged.fits(exchange) for old in before)
    return line


@pytest.mark.parametrize("path", [b"/api/predict/svc0/x", b"/v1/chat/completions"])
def test_idle_connections_hold_no_old_table(tmp_path: Path, path: bytes) -> None:
    """And the next request on each is judged by the newest one."""

    async def scenario() -> None:
        live = LiveTable()
        door = Door(live, cast(Any, None), time.time, random.Random(1))
        settings = GatewaySettings(tmp_path, "127.0.0.1", 0, "http://127.0.0.1:1", "k")
        ways = cast(Ways, SimpleNamespace(relay=None, turns=None, holding=None))
        gateway = Gateway(settings, door, ways, cast(Any, None), lambda _: None)
        lines: list[Line] = []
        for revision in range(1, 8):
            token, target = RouteToken("secret"), (HERE,)
            routes = [
                Route(f"id{n}", f"svc{n}", tokens=(token,), targets=target, created=float(revision))
                for n in range(3)
            ]
            live.swap(table(revision, routes))
            lines.append(_judged(gateway, path, lines))
        gc.collect()
        mine = [one for one in gc.get_objects() if isinstance(one, Served)]
        assert sum(one.table.routes.keys() == {"svc0", "svc1", "svc2"} for one in mine) == 1

    asyncio.run(scenario())
