"""A whole platform whose gateway has several workers on one port, over HTTPS: one of them dies, all of them end."""

import asyncio
import json
import os
import re
import shutil
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AsyncExitStack

import aiohttp
import psutil
import pytest
from console_browser import browser
from documents import document
from running_platform import Platform, running, until

from commands import pierhead
from pierhead.bootstrap.secret_files import metrics_token
from pierhead.bootstrap.tls import ready
from pierhead.cli.client import EasClient, find_access
from pierhead.settings import Settings

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the keys")
WORKERS = 3
NAME = "parted"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """At its end nothing of it may run: see `running`."""
    folder = tmp_path_factory.mktemp("workers")
    settings = Settings(data_dir=folder, tls_self_signed=True)
    assert ready(settings) is not None
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("REQUESTS_CA_BUNDLE", str(settings.tls_certificate))  # of our own calls
        flags = {"PIERHEAD_TLS_SELF_SIGNED": "true", "PIERHEAD_GATEWAY_WORKERS": str(WORKERS)}
        with running(folder, **flags) as platform:
            yield platform


@pytest.fixture(scope="module")
def headers(platform: Platform) -> dict[str, str]:
    """What opens a service that answers with what it was asked."""
    client = EasClient(find_access(platform.folder, None, {}))
    client.call("CreateService", "POST", "/api/v2/services", body=document(NAME))
    until(lambda: client.describe(NAME)["Status"] == "Running", 60, "the service is Running")
    return {"Authorization": client.describe(NAME)["AccessToken"]}


def workers(platform: Platform) -> dict[int, psutil.Process]:
    """By number."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.Process(platform.process.pid).children(recursive=True):
        try:
            told = [one for one in process.cmdline() if one.startswith("--worker=")]
        except psutil.NoSuchProcess:
            continue
        if told:
            found[int(told[0].partition("=")[2])] = process
    return found


def client(platform: Platform, *, lasting: bool = False) -> aiohttp.ClientSession:
    """By the platform's own certificate; a connection for each request, or one that is `lasting`."""
    trust = ssl.create_default_context(cafile=os.environ["REQUESTS_CA_BUNDLE"])
    connector = (
        aiohttp.TCPConnector(ssl=trust, limit=1)
        if lasting
        else aiohttp.TCPConnector(ssl=trust, force_close=True)
    )
    return aiohttp.ClientSession(platform.gateway, connector=connector)


def played(platform: Platform, scenario: Callable[[], Coroutine[None, None, None]]) -> None:
    """Runs it, until all of its connections are closed: TLS takes a moment for that."""
    port = int(platform.gateway.rpartition(":")[2])

    def closed() -> bool:
        mine = psutil.Process().net_connections("tcp")
        return not any(each.raddr and each.raddr.port == port for each in mine)

    async def whole() -> None:
        await scenario()
        await asyncio.to_thread(until, closed, 30, "its connections are closed")

    asyncio.run(whole())


async def number(session: aiohttp.ClientSession) -> int:
    """Of the worker at the other end."""
    async with session.get("/healthz") as answer:
        told = await answer.json()
        assert told["workers"] == WORKERS
        return told["worker"]


async def ask(session: aiohttp.ClientSession, headers: dict[str, str]) -> int:
    """A request that no client repeats by itself; its status."""
    url = f"/api/predict/{NAME}/x"
    async with session.post(url, headers=headers, data=b"{}") as answer:
        await answer.read()
        return answer.status


def verb(platform: Platform, *arguments: str) -> str:
    """What `pierhead ...` says on this platform's folder."""
    done = pierhead(*arguments, "--data-dir", str(platform.folder))
    return done.stdout + done.stderr


async def counted(platform: Platform) -> float:
    """Requests to the service that were answered, as one page tells them for all workers."""
    headers = {"Authorization": f"Bearer {metrics_token(platform.folder)}"}
    async with client(platform) as session, session.get("/metrics", headers=headers) as answer:
        text = await answer.text()
    found = re.findall(
        rf'^pierhead_gateway_requests_total{{[^}}]*"{NAME}"[^}}]*}} (\S+)$', text, re.M
    )
    return sum(map(float, found))


def test_the_console_reaches_its_gateway(platform: Platform, headers: dict[str, str]) -> None:
    assert headers
    with browser(platform) as page:
        seen = page.post(f"/console/api/chat/{NAME}/said", data="over HTTPS").json()
    assert (seen["path"], seen["body"], seen["authorization"]) == ("/said", "over HTTPS", None)


def test_connections_go_to_all_workers_and_one_page_tells_of_all(
    platform: Platform, headers: dict[str, str]
) -> None:
    async def scenario() -> None:
        before = await counted(platform)
        async with client(platform) as session:
            assert Counter([await ask(session, headers) for _ in range(60)]) == {200: 60}
            assert {await number(session) for _ in range(60)} == set(range(WORKERS))
        assert await counted(platform) == before + 60

    played(platform, scenario)


def test_people_are_told_of_one_gateway_and_its_workers(
    platform: Platform, headers: dict[str, str]
) -> None:
    del headers
    doctor = verb(platform, "doctor", "--json")
    rows = {row["check"]: row for row in json.loads(doctor)}
    assert rows["gateway workers"]["found"] == f"{WORKERS} of {WORKERS} answer"
    assert json.loads(verb(platform, "top", "--json"))["Gateways"] == 1


class Asking:
    """Clients with a connection each, that ask one request after the other until it is over."""

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers
        self.statuses, self.over = Counter[int](), asyncio.Event()

    async def ask(self, session: aiohttp.ClientSession, *, may_fail: bool) -> None:
        while not self.over.is_set():
            try:
                self.statuses[await ask(session, self._headers)] += 1
            except aiohttp.ClientError:
                if not may_fail:
                    raise
            await asyncio.sleep(0.01)


async def killed_and_back(platform: Platform, which: int) -> None:
    """Kills a worker, and waits until there is another in its stead."""
    before = workers(platform)
    assert set(before) == set(range(WORKERS))

    def is_back() -> bool:
        return workers(platform).get(which, before[which]) != before[which]

    before[which].kill()
    await asyncio.to_thread(until, is_back, 30, "it is started again")
    async with asyncio.timeout(60), client(platform) as fresh:
        while await number(fresh) != which:
            pass
    after = workers(platform)
    assert {n for n in after if after[n] == before[n]} == set(range(WORKERS)) - {which}


def test_a_worker_that_is_killed_comes_again_and_the_others_notice_nothing(
    platform: Platform, headers: dict[str, str]
) -> None:
    """Law: a worker's death costs what it had in work, and no request of another worker."""

    async def scenario(sessions: list[aiohttp.ClientSession]) -> None:
        places, asking = [await number(session) for session in sessions], Asking(headers)
        killed = places[0]
        assert set(places) > {killed}
        async with asyncio.TaskGroup() as group:
            for place, session in zip(places, sessions, strict=True):
                group.create_task(asking.ask(session, may_fail=place == killed))
            await asyncio.to_thread(until, lambda: asking.statuses[200] >= 50, 30, "answers")
            await killed_and_back(platform, killed)
            asking.over.set()
        assert set(asking.statuses) == {200}
        async with client(platform) as fresh:
            assert {await ask(fresh, headers) for _ in range(30)} == {200}

    async def whole() -> None:
        async with AsyncExitStack() as stack:
            lasting = [client(platform, lasting=True) for _ in range(12)]
            await scenario([await stack.enter_async_context(one) for one in lasting])

    played(platform, whole)
