"""Many requests at once for a service that has no replica: one start, and a word for each of them."""

import asyncio
import sys
import time
from pathlib import Path

import aiohttp
from stage import PATIENCE, PROGRAM, Count, Stage, until

REQUESTS, ROOM = 200, 150
#: Seconds within which all that were held are answered, once the first is.
TOGETHER = 0.5 * PATIENCE


def gate(starts: Path) -> Path:
    """Once this file is there, a replica listens."""
    return starts.with_name("gate")


def sleeps(stage: Stage, name: str, starts: Path) -> None:
    """Makes a service whose starts are counted in a file, and waits until it has no replica."""
    wait = f"until [ -e {gate(starts)} ]; do sleep 0.05; done"
    program = f"echo >> {starts}; {wait}; exec {sys.executable} -I -S {PROGRAM} {stage.folder}"
    gate(starts).touch()
    stage.create(name, command=["sh", "-c", program], grace=1.0)
    stage.running(name)
    gate(starts).unlink()
    body = {
        "min": 0,
        "max": 3,
        "scaleStrategies": [{"metricName": "concurrency", "threshold": 1000}],
        "behavior": {"onZero": {"scaleDownGracePeriodSeconds": 1}},
    }
    client = stage.client
    client.call("CreateServiceAutoScaler", "POST", client.path(name, "/autoscaler"), body=body)
    until(lambda: client.describe(name)["Reason"] == "ScaledToZero", "it does not sleep", 60)
    until(lambda: not stage.replicas(name), "its replica is left")


async def burst(url: str, token: str, starts: Path) -> list[tuple[int, float, bool]]:
    """Of each request its status, when it was answered (monotonic), and whether it may come again.

    The replica may listen once there is no room for more: until then nobody has an answer but a refusal.
    """
    timeout, refused = aiohttp.ClientTimeout(120), 0

    async def ask(session: aiohttp.ClientSession, number: int) -> tuple[int, float, bool]:
        path = "/stream?n=2&gap=0" if number % 2 else "/"
        headers = {"Authorization": token}
        async with session.post(url + path, data=b"{}", headers=headers) as answer:
            at = time.monotonic()
            text = await answer.text()
            nonlocal refused
            refused += answer.status != 200
            if refused == REQUESTS - ROOM:
                gate(starts).touch()
            assert gate(starts).exists() or answer.status != 200
            assert answer.status != 200 or '"replica"' in text
            assert answer.status != 200 or not number % 2 or text.endswith("data: [DONE]\n\n")
            return answer.status, at, int(answer.headers.get("Retry-After", "0")) > 0

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True), timeout=timeout
    ) as session:
        return await asyncio.gather(*(ask(session, number) for number in range(REQUESTS)))


def lines(file: Path) -> int:
    return len(file.read_text().splitlines())


def test_two_hundred_at_once_cost_one_start_and_each_has_its_word(
    stage: Stage, record_property: Count
) -> None:
    """Law: a burst for a service at zero costs one start; those that it has room for are answered as soon
    as it is ready, the others are told when to come again (F13)."""
    stage.up(f"--set=hold.limit={ROOM}", "--set=scaling_seconds=0.5")
    starts = stage.folder.with_name("starts")
    sleeps(stage, "svc", starts)
    token, before = stage.token("svc"), lines(starts)
    url = f"http://{stage.gateway_listen}/api/predict/svc"
    found = asyncio.run(burst(url, token, starts))
    assert lines(starts) == before + 1
    answered = sorted(at for status, at, _ in found if status == 200)
    refused = [(status, again) for status, _, again in found if status != 200]
    assert refused == [(503, True)] * (REQUESTS - ROOM)
    late = answered[round(len(answered) * 0.95)] - answered[0]
    assert late <= TOGETHER, f"95 of 100 had to wait {late:.2f} s for the last"
    record_property("requests held", len(answered))
