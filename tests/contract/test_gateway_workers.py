"""`pierhead gateway` with several workers: one port, one set of limits, one page of figures."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from contract import gateway_harness
from contract.gateway_harness import (
    TOKEN,
    Engine,
    Hub,
    Reader,
    Request,
    Writer,
    client,
    plain,
    until,
)
from pierhead.bootstrap.secret_files import internal_key, metrics_token
from pierhead.core.endpoint_tokens import Limits
from pierhead.core.routes import Route, RouteToken
from ports import free_port

WORKERS = 4
AUTH = {"Authorization": TOKEN}
UNLIMITED = Limits()


class Stage:
    """A parent with its workers, a hub's double, and an engine."""

    def __init__(self, hub: Hub, engine: Engine, process: asyncio.subprocess.Process) -> None:
        self.hub, self.engine, self.process = hub, engine, process
        self.url = ""

    def publish(self, limits: Limits = UNLIMITED, **rest: Any) -> int:
        token = RouteToken(TOKEN, limits=limits)
        return self.hub.publish(
            Route("id", "foo", tokens=(token,), targets=(self.engine.target(),), **rest)
        )

    def reports(self, moment: float = 0.0) -> dict[str, dict[str, Any]]:
        """The last report from each place that reported after a moment."""
        return {report["place"]: report for at, report in self.hub.reports if at >= moment}

    async def served(self, revision: int) -> None:
        """Until all workers say that they serve by it."""

        def all_do() -> bool:
            told = self.reports()
            return len(told) == WORKERS and all(
                one["revision"] == revision for one in told.values()
            )

        await until(all_do, "all workers have the table", 60)

    def children(self) -> list[int]:
        text = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in text.split()]

    async def statuses(self, requests: int) -> list[int]:
        """What as many requests get, each over a connection of its own."""
        slots = asyncio.Semaphore(50)

        async def ask() -> int:
            url = f"{self.url}/api/predict/foo/x"
            async with slots, client() as session, session.get(url, headers=AUTH) as answer:
                await answer.read()
                return answer.status

        return await asyncio.gather(*(ask() for _ in range(requests)))


@asynccontextmanager
async def stage(folder: Path) -> AsyncGenerator[Stage]:
    key = gateway_harness.INTERNAL_KEY
    gateway_harness.INTERNAL_KEY = internal_key(folder)
    hub, engine = await Hub().open(), await Engine("r0").open()
    address = f"127.0.0.1:{free_port()}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pierhead", "gateway", f"--data-dir={folder}"),
        *(f"--gateway-listen={address}", f"--set=gateway_workers={WORKERS}"),
        f"--set=hub_url=http://127.0.0.1:{hub.port}",
        stdout=asyncio.subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    made = Stage(hub, engine, process)
    made.url = f"http://{address}"
    try:
        yield made
    finally:
        if process.returncode is None:
            process.terminate()
        async with asyncio.timeout(60):
            await process.wait()
        gateway_harness.INTERNAL_KEY = key
        await hub.close()
        await engine.close()


def run(tmp_path: Path, scenario: Callable[[Stage], Any]) -> None:
    async def whole() -> None:
        async with stage(tmp_path) as made:
            await scenario(made)

    asyncio.run(whole())


def test_a_limit_holds_across_workers_over_many_connections(tmp_path: Path) -> None:
    """Law: a limit is exceeded by one request per worker at most."""

    async def scenario(made: Stage) -> None:
        await made.served(made.publish(Limits(rpm=100)))
        found = await made.statuses(400)
        assert set(found) == {200, 429}
        assert 100 <= found.count(200) <= 100 + WORKERS
        headers = {"Authorization": f"Bearer {metrics_token(tmp_path)}"}
        url = f"{made.url}/metrics"
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as answer:
            text = await answer.text()
        told = 'pierhead_gateway_requests_total{service="foo",code="200"} '
        other = 'pierhead_gateway_requests_total{code="200",service="foo"} '
        lines = [line for line in text.splitlines() if line.startswith((told, other))]
        assert [float(line.rpartition(" ")[2]) for line in lines] == [found.count(200)]

    run(tmp_path, scenario)


def test_a_service_s_rate_holds_for_all_workers_together(tmp_path: Path) -> None:
    async def scenario(made: Stage) -> None:
        await made.served(made.publish(rate=30))
        begun = time.monotonic()
        found = await made.statuses(200)
        lasted = time.monotonic() - begun
        assert set(found) == {200, 429}
        # Two halves of a second that follow each other have the rate; beyond it one for each other worker.
        assert 30 <= found.count(200) <= 30 * (lasted + 1.0) + (WORKERS - 1) * (lasted + 1.0)
        # One connection, so one worker: it has all of it, too.
        await asyncio.sleep(1.0)  # the second over which it counts
        async with client() as session:
            begun, statuses = time.monotonic(), list[int]()
            for _ in range(40):
                async with session.get(f"{made.url}/api/predict/foo/x", headers=AUTH) as answer:
                    statuses.append(answer.status)
        assert statuses[:30] == [200] * 30
        assert 429 in statuses or time.monotonic() - begun > 0.5

    run(tmp_path, scenario)


class Slow:
    """An engine that answers once its gate is open, and how many it worked on at most."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.working = self.most = 0

    async def play(self, request: Request, reader: Reader, writer: Writer) -> bool:
        del request, reader
        self.working += 1
        self.most = max(self.most, self.working)
        await self.gate.wait()
        writer.write(plain(200, b"{}"))
        self.working -= 1
        return True

    async def asked(self, made: Stage, requests: int, at_once: int) -> set[int]:
        """What so many requests get, once `at_once` of them are at work."""
        async with client() as session:

            async def ask() -> int:
                headers = {**AUTH, "Connection": "close"}
                url = f"{made.url}/api/predict/foo/slow"
                async with session.get(url, headers=headers) as answer:
                    return answer.status

            asked = [asyncio.create_task(ask()) for _ in range(requests)]
            await until(lambda: self.working >= at_once, "all that may be are at work", 60)
            self.gate.set()
            return set(await asyncio.gather(*asked))


def test_slots_are_parted_so_that_all_workers_together_have_them(tmp_path: Path) -> None:
    """No more than the slots are at work, or than a token may have; all that wait have their turn."""

    async def scenario(made: Stage) -> None:
        slow = Slow()
        made.engine.play = slow.play
        await made.served(made.publish(slots=6, queue=400))
        assert await slow.asked(made, 80, 6) == {200}
        assert slow.most == 6
        # A token's own limit is not parted: one worker may have all of it, and none refuses.
        slow = Slow()
        made.engine.play = slow.play
        await made.served(made.publish(Limits(concurrency=5), queue=400))
        assert await slow.asked(made, 40, 5) == {200}
        assert slow.most <= 5 + WORKERS - 1

    run(tmp_path, scenario)


def test_one_that_dies_comes_again_and_all_end_in_good_order(tmp_path: Path) -> None:
    async def scenario(made: Stage) -> None:
        await made.served(made.publish(Limits(rpm=1000)))
        places = set(made.reports())
        assert len({place.partition("#")[2] for place in places}) == WORKERS
        before = made.children()
        assert len(before) == WORKERS
        os.kill(before[1], signal.SIGKILL)
        killed = time.monotonic()
        await until(lambda: set(made.reports(killed + 0.5)) == places, "it reports again", 60)
        assert len(set(made.children()) & set(before)) == WORKERS - 1
        assert set(await made.statuses(40)) == {200}
        made.process.terminate()
        assert await asyncio.wait_for(made.process.wait(), 60) == 0
        left = [report for _, report in made.hub.reports if report["leaves"]]
        assert {report["place"] for report in left} == places
        assert not list((tmp_path / "run").glob("gateway-*"))

    run(tmp_path, scenario)


def test_workers_end_with_their_parent(tmp_path: Path) -> None:
    async def scenario(made: Stage) -> None:
        await made.served(made.publish(Limits(rpm=1000)))
        workers = made.children()
        made.process.kill()
        await made.process.wait()
        await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers), "gone", 30)

    run(tmp_path, scenario)
