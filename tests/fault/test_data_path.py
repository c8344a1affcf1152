"""Replicas that fail beside ones that work, and news of the route table that does not come.

The engines are light ones in processes of their own, the gateway is the real one; where the hub is a
double (contract/gateway_harness.py), so that only what the gateway sees itself can help, it says so.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
from observer import watching
from proxy import Proxy, before
from stage import PATIENCE, PROGRAM, Stage, get, until

from contract.gateway_harness import TOKEN, Bench, Hub, client, gateway
from pierhead.core.routes import Route, RouteToken, Target
from ports import free_port

WORKERS = 8
ALL = {"r0", "r1", "r2", "r3"}
LIMIT = 1.0  #: seconds that a request may take in these tests
#: Seconds for which the hub stands still, but until that is noticed; a nightly run says 40.
STANDSTILL = float(os.environ.get("PIERHEAD_TEST_STANDSTILL", "0"))
#: The gateway's promise: a silent line to the hub is noticed after the wait for news and a grace.
STALE = 6.0
ALL_LINES = 1e6  #: lines in a second: none is left out, and so they can be counted


@dataclass
class Engines:
    """Replicas r0, r1, ... in processes of their own, each behind a proxy of its own."""

    processes: list["subprocess.Popen[bytes]"]
    proxies: list[Proxy]
    broken: list[Path]  #: a file; while it is there, that one answers 500

    def targets(self) -> tuple[Target, ...]:
        return tuple(
            Target(f"r{number}", "127.0.0.1", proxy.port)
            for number, proxy in enumerate(self.proxies)
        )


@contextmanager
def engines(folder: Path, count: int) -> Generator[Engines]:
    with ExitStack() as stack:
        found = Engines([], [], [folder / f"r{number} is broken" for number in range(count)])
        for number in range(count):
            port = free_port()
            env = {"PORT": str(port), "REPLICA_ID": f"r{number}"}
            process = subprocess.Popen(
                [sys.executable, "-I", "-S", str(PROGRAM), str(folder)],
                env={**env, "BROKEN": str(found.broken[number])},
                stdin=subprocess.DEVNULL,
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            until(lambda port=port: get(f"127.0.0.1:{port}", "/state")[0] == 200)
            found.processes.append(process)
            found.proxies.append(stack.enter_context(before("127.0.0.1", port)))
        yield found


@asynccontextmanager
async def plane(folder: Path, replicas: Engines) -> AsyncGenerator[Bench]:
    """A real gateway that serves `foo` by them; its hub is a double and says no more after that."""
    hub = await Hub().open()
    tokens = (RouteToken(TOKEN),)
    hub.publish(Route("id", "foo", tokens=tokens, targets=replicas.targets(), timeout=LIMIT))
    async with gateway(folder, hub, access_log=ALL_LINES) as run, client() as session:
        bench = Bench(hub, [], run, session)
        await bench.served(1)
        await hub.close()
        yield bench


@dataclass
class Load:
    """Clients that ask one request after the other, and what became of them."""

    bench: Bench
    statuses: Counter[int] = field(default_factory=Counter[int])
    seconds: list[float] = field(default_factory=list[float])

    async def run(self, seconds: float, met: Callable[[], bool] = lambda: False) -> None:
        """For so long, or until it is `met`; then every answer stands in the gateway's log."""
        end = time.monotonic() + seconds
        before, answered = count(self.bench), self._answered
        await asyncio.gather(*(self._client(end, met) for _ in range(WORKERS)))
        lines = before + self._answered - answered
        while count(self.bench) < lines:  # a line is written when its answer is out
            assert time.monotonic() < end + 30, f"{count(self.bench)} of {lines} lines"
            await asyncio.sleep(0.01)

    @property
    def _answered(self) -> int:
        return self.statuses.total() - self.statuses[0]

    async def _client(self, end: float, met: Callable[[], bool]) -> None:
        url = f"{self.bench.gateway.url}/api/predict/foo/work"
        while time.monotonic() < end and not met():
            begun = time.monotonic()
            try:
                headers = {"Authorization": TOKEN}
                async with self.bench.client.post(url, data=b"{}", headers=headers) as answer:
                    await answer.read()
                    self.statuses[answer.status] += 1
            except aiohttp.ClientError:
                self.statuses[0] += 1
            self.seconds.append(time.monotonic() - begun)
            await asyncio.sleep(0.005)


def failed(bench: Bench, since: int = 0) -> Counter[str]:
    """Failed requests by replica, as the gateway's own access log has them."""
    lines = bench.gateway.requests()[since:]
    return Counter(
        str(line["replica"]) for line in lines if line["status"] != 200 or "broken" in line
    )


def served(bench: Bench, since: int = 0) -> Counter[str]:
    lines = bench.gateway.requests()[since:]
    return Counter(str(line["replica"]) for line in lines if line["status"] == 200)


def count(bench: Bench) -> int:
    return len(bench.gateway.requests())


def test_replicas_that_hang_cost_the_requests_they_have_and_no_other(tmp_path: Path) -> None:
    """Law: a replica that accepts and never answers is left out after the first time-out, and is back
    after its pause when it answers again; requests to others never fail."""

    async def scenario(replicas: Engines) -> None:
        async with plane(tmp_path, replicas) as bench:
            await Load(bench).run(0.5)
            assert failed(bench) == {}
            began = count(bench)
            replicas.processes[0].send_signal(signal.SIGSTOP)
            replicas.proxies[1].swallow = True
            await Load(bench).run(LIMIT + 0.5)
            # What they had when their first request timed out; no client had more than one there.
            lost = failed(bench, began)
            assert set(lost) == {"r0", "r1"}
            assert lost.total() <= WORKERS
            out = count(bench)
            hanging = Load(bench)
            await hanging.run(
                3.5
            )  # with a trial of each: it is known to hang before it gets a request
            assert failed(bench, out) == {}
            assert set(served(bench, out)) == {"r2", "r3"}
            assert hanging.statuses[200] > 100
            replicas.processes[0].send_signal(signal.SIGCONT)
            replicas.proxies[1].swallow = False
            back = count(bench)
            await Load(bench).run(
                4.5 * PATIENCE, lambda: set(served(bench, back)) == ALL
            )  # the pause after the second failure is 4 s
            assert failed(bench, back) == {}
            assert set(served(bench, back)) == ALL
            text = await bench.metrics()
            assert 'ejected_total{service="foo",why="silent"} 4.0' in text
            assert "out_of_rotation{" not in text

    with engines(tmp_path, 4) as replicas:
        asyncio.run(scenario(replicas))


def test_replicas_that_reset_or_answer_500_are_left_out_until_they_work(tmp_path: Path) -> None:
    """Law: a replica that breaks off its answers, and one that answers five times in a row with 500,
    get a single request as a trial now and then; requests to others never fail."""

    async def scenario(replicas: Engines) -> None:
        async with plane(tmp_path, replicas) as bench:
            await Load(bench).run(0.5)
            began = count(bench)
            replicas.proxies[0].cut = b"\r\n\r\n"  # a reset after the head
            replicas.broken[1].touch()
            await Load(bench).run(1.5)
            lost = failed(bench, began)
            assert set(lost) == {"r0", "r1"}
            assert lost["r0"] <= WORKERS  # those that it had
            assert lost["r1"] <= 5 + WORKERS
            out = count(bench)
            await Load(bench).run(2.0)  # 2 s after they were put out there is a trial of each
            assert failed(bench, out) == {"r0": 1, "r1": 1}
            replicas.proxies[0].cut = None
            replicas.broken[1].unlink()
            back = count(bench)
            await Load(bench).run(4.5 * PATIENCE, lambda: set(served(bench, back)) == ALL)
            assert failed(bench, back) == {}
            assert set(served(bench, back)) == ALL
            text = await bench.metrics()
            assert 'ejected_total{service="foo",why="broken"} 2.0' in text
            assert 'ejected_total{service="foo",why="errors"} 2.0' in text

    with engines(tmp_path, 4) as replicas:
        asyncio.run(scenario(replicas))


def test_a_slow_replica_gets_what_it_can_do_and_the_others_the_rest(tmp_path: Path) -> None:
    """Law: the least busy replica is chosen, so a slow one slows down its own requests only."""

    async def scenario(replicas: Engines) -> None:
        async with plane(tmp_path, replicas) as bench:
            replicas.proxies[0].delay = 0.2  # each way
            load = Load(bench)
            await load.run(1.5)
            assert load.statuses.keys() == {200}
            shares = served(bench)
            assert shares["r0"] < 0.2 * shares.total(), shares
            assert sorted(load.seconds)[len(load.seconds) // 2] < 0.2
            assert "ejected_total{" not in await bench.metrics()

    with engines(tmp_path, 2) as replicas:
        asyncio.run(scenario(replicas))


def test_people_are_told_of_a_replica_that_gets_no_requests(stage: Stage) -> None:
    """Law: what is not as wanted has a reason: events, instances and `why` name it, until it works."""
    stage.up()
    folder = stage.folder.parent
    stage.create("svc", replicas=2, env={"BROKEN": str(folder / "broken REPLICA")})
    stage.running("svc", 2)
    token = stage.token("svc")
    broken, well = sorted(stage.replicas("svc"))
    (folder / f"broken {broken}").touch()

    def reasons() -> dict[str, str]:
        return {each["InstanceName"]: each["Reason"] for each in stage.instances("svc")}

    def is_told() -> bool:
        stage.call("svc", token, "/work")
        return "500" in reasons()[broken]

    until(is_told, "the instance does not say why")
    assert reasons()[well] == ""
    assert stage.is_running("svc", 2)
    found = stage.client.of("DescribeServiceDiagnosis", "svc", "/diagnosis")["DiagnosisList"]
    assert "fails at requests" in found[0]["Error"]
    path = f"/instances/{broken}/diagnosis"
    one = stage.client.of("DescribeServiceInstanceDiagnosis", "svc", path)["Diagnosis"]
    assert "in a row with 500" in one["Causes"][0]
    told = [each for each in stage.events("svc") if each["Reason"] == "ReplicaEjected"]
    assert broken in told[0]["Message"]

    (folder / f"broken {broken}").unlink()

    def is_back() -> bool:
        assert stage.call("svc", token, "/work")[0] == 200
        return reasons()[broken] == ""

    until(is_back, "it is not back", within=10 * PATIENCE)
    assert "ReplicaReturned" in {each["Reason"] for each in stage.events("svc")}
    assert stage.client.of("DescribeServiceDiagnosis", "svc", "/diagnosis")["DiagnosisList"] == []


def test_a_table_gets_old_no_longer_than_a_silent_line_goes_unnoticed(stage: Stage) -> None:
    """Law: nothing trusts events alone: what a hung hub or a half-open connection swallows is asked
    for anew, and meanwhile the gateway serves on (F05)."""
    hub = stage.start("hub")
    stage.answering(stage.listen, hub)
    host, _, port = stage.listen.rpartition(":")
    with before(host, int(port)) as line:
        stage.start("gateway", "--set", f"hub_url=http://127.0.0.1:{line.port}")
        stage.answering(stage.gateway_listen)
        for name in ("svc", "lost"):
            stage.create(name)
            stage.running(name)
        other = stage.token("lost")
        until(lambda: stage.call("lost", other)[0] == 200)
        with watching(stage.folder, "svc") as finish:
            at = _revision(stage.gateway_listen, "revision")
            line.swallow = True
            stage.delete("lost")
            until(lambda: _revision(stage.listen, "route_revision") > at)
            line.swallow = False  # what was sent is lost; its connections stay open and dead
            longest = STALE + 2.0 * PATIENCE
            until(lambda: stage.call("lost", other)[0] == 404, "the table stays old", longest)

            hub.send_signal(signal.SIGSTOP)
            _stands_still(stage, STANDSTILL)
            hub.send_signal(signal.SIGCONT)
            stage.create("new")
            stage.running("new")
            until(lambda: stage.call("new", stage.token("new"))[0] == 200, within=1.0 * PATIENCE)
            record = finish()
        assert record.failed("svc") == []
        assert len(record.of("svc")) > 100
        until(lambda: _hub_state(stage) == "connected")


def _stands_still(stage: Stage, seconds: float) -> None:
    """Wait for so long; the gateway has to notice."""
    end = time.monotonic() + seconds
    until(lambda: _hub_state(stage).startswith("unreachable"), within=STALE + 2.0 * PATIENCE)
    while time.monotonic() < end:
        time.sleep(0.1)  # the fault is that this time passes


def _revision(address: str, name: str) -> int:
    """Of the table: the hub's newest, or the one that the gateway serves by."""
    return int(json.loads(get(address, "/healthz")[1])[name])


def _hub_state(stage: Stage) -> str:
    with contextlib.suppress(ValueError):
        return str(json.loads(get(stage.gateway_listen, "/healthz")[1])["hub"])
    return ""
