"""Webhooks: told where an operator allows it, nowhere else, and not forgotten."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from identity_stage import Stage, play

from builders import ROOT
from made_database import made_sqlite
from pierhead.core.errors import Invalid
from pierhead.core.jobs import JobState
from pierhead.operations import webhooks
from pierhead.operations.jobs import Jobs
from pierhead.operations.webhooks import DELAYS, Webhooks, is_public
from pierhead.store import jobs as rows

J = "a" * 32
AT_ONCE = (0.0,) * 15
PATIENCE = 20.0


@pytest.fixture
def url(tmp_path: Path) -> str:
    """The address of a database with the schema of this release."""
    return made_sqlite(tmp_path / "pierhead.db")


class Listener:
    """Somebody's server on loopback, which answers one status after another, the last one for ever."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses) or [200]
        self.heard: list[tuple[str, dict[str, str], Any]] = []
        self.base = ""
        self.called = asyncio.Event()

    async def __aenter__(self) -> "Listener":
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.base = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = json.loads(await request.text() or "null")
        self.heard.append((f"{request.method} {request.path}", headers, body))
        self.called.set()
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        place = {"Location": f"{self.base}/elsewhere"} if 300 <= status < 400 else {}
        return web.Response(status=status, headers=place)


async def settled(hooks: Webhooks) -> None:
    """Until everything is told or given up."""
    async with asyncio.timeout(PATIENCE):
        while hooks._tasks:
            await asyncio.gather(*hooks._tasks, return_exceptions=True)


async def end(stage: Stage, hooks: Webhooks, place: str, answer: dict[str, Any]) -> None:
    """A job from its beginning to its told end."""
    jobs = Jobs(stage.platform, ended=hooks.tell)
    await hooks.check(place)
    await jobs.begin(J, "AddModel", ROOT, webhook=place)
    state = JobState.FAILED if "error" in answer else JobState.DONE
    await jobs.finish(J, state, answer)
    await settled(hooks)


def with_listener(
    url: str, listener: Listener, act: Callable[[Stage, Webhooks], Awaitable[None]]
) -> None:
    async def whole(stage: Stage) -> None:
        async with listener:
            hooks = Webhooks(stage.platform, [f"{listener.base}/jobs"], delays=AT_ONCE)
            try:
                await act(stage, hooks)
            finally:
                await hooks.close()

    play(url, whole)


@pytest.mark.parametrize(
    ("answer", "success", "batch"),
    [
        ({"inventory": {"uuid": "u", "name": "对话"}}, "true", None),
        ({"error": {"code": "SYS.1006", "details": "no"}}, "false", None),
        ({"results": [{"uuid": "a", "success": True}]}, "true", "SUCCESS"),
        ({"results": [{"success": True}, {"success": False}]}, "true", "PARTIAL"),
        ({"results": [{"success": False}]}, "true", "FAIL"),
        ({}, "true", None),
    ],
)
def test_the_end_is_told_with_its_headers_and_no_credentials(
    url: str, answer: dict[str, Any], success: str, batch: str | None
) -> None:
    listener = Listener(204)

    async def act(stage: Stage, hooks: Webhooks) -> None:
        await end(stage, hooks, f"{listener.base}/jobs/1?x=y", answer)
        ((line, headers, body),) = listener.heard
        assert (line, body) == ("POST /jobs/1", answer)
        assert headers["x-job-uuid"] == J
        assert headers["x-job-success"] == success
        assert headers.get("x-job-batch") == batch
        assert headers["content-type"] == "application/json;charset=utf-8"
        assert not {"authorization", "cookie"} & set(headers)
        assert await stage.db.read(rows.unheard) == []

    with_listener(url, listener, act)


@pytest.mark.parametrize(("statuses", "calls"), [((500, 404, 200), 3), ((503,), 16), ((302,), 16)])
def test_what_is_not_2xx_is_told_again_fifteen_times_and_then_given_up(
    url: str, statuses: tuple[int, ...], calls: int
) -> None:
    assert DELAYS == (2.0,) * 15
    listener = Listener(*statuses)

    async def act(stage: Stage, hooks: Webhooks) -> None:
        await end(stage, hooks, f"{listener.base}/jobs", {})
        assert [line for line, _, _ in listener.heard] == ["POST /jobs"] * calls, "no redirect"
        assert await stage.db.read(rows.unheard) == []

    with_listener(url, listener, act)


def test_a_listener_that_is_not_there_is_given_up(url: str) -> None:
    async def act(stage: Stage) -> None:
        hooks = Webhooks(stage.platform, ["http://127.0.0.1:9/"], delays=(0.0,))
        try:
            await end(stage, hooks, "http://127.0.0.1:9/", {})
            assert await stage.db.read(rows.unheard) == []
        finally:
            await hooks.close()

    play(url, act)


def test_the_next_hub_tells_what_a_killed_one_did_not(url: str) -> None:
    listener = Listener()

    async def act(stage: Stage, hooks: Webhooks) -> None:
        place = f"{listener.base}/jobs"
        dead = Jobs(stage.platform)  # it tells nobody
        await dead.begin(J, "AddModel", ROOT, webhook=place)
        await dead.finish(J, JobState.DONE, {"inventory": {}})
        await dead.begin("b" * 32, "AddModel", ROOT, webhook=place)  # still running
        await hooks.start()
        await settled(hooks)
        assert [headers["x-job-uuid"] for _, headers, _ in listener.heard] == [J]
        await hooks.start()
        await settled(hooks)
        assert len(listener.heard) == 1

    with_listener(url, listener, act)


def test_a_hub_that_ends_while_it_repeats_leaves_the_rest_to_the_next(url: str) -> None:
    listener = Listener(500)

    async def act(stage: Stage, _hooks: Webhooks) -> None:
        hooks = Webhooks(stage.platform, [listener.base], delays=(3600.0,))
        jobs = Jobs(stage.platform, ended=hooks.tell)
        await jobs.begin(J, "AddModel", ROOT, webhook=f"{listener.base}/jobs")
        await jobs.finish(J, JobState.DONE, {})
        async with asyncio.timeout(PATIENCE):
            await listener.called.wait()
        await hooks.close()
        assert not hooks._tasks
        assert await stage.db.read(rows.unheard) == [J]

    with_listener(url, listener, act)


def test_a_place_that_is_allowed_no_more_is_not_called(url: str) -> None:
    listener = Listener()

    async def act(stage: Stage, hooks: Webhooks) -> None:
        jobs = Jobs(stage.platform, ended=hooks.tell)
        await jobs.begin(J, "AddModel", ROOT, webhook=f"{listener.base}/other")
        await jobs.finish(J, JobState.DONE, {})
        await settled(hooks)
        assert listener.heard == []
        assert await stage.db.read(rows.unheard) == []

    with_listener(url, listener, act)


# --- what may be called at all ---------------------------------------------------------------------

ALLOWED = ("https://hooks.example:8443/a/b", "http://10.1.2.3/", "http://[fd00::1]:81/x/")
OUTSIDE = [
    "https://hooks.example/a/b",
    "http://hooks.example:8443/a/b",
    "https://hooks.example:8443/a/bc",
    "https://hooks.example:8443/a",
    "https://hooks.example:8443/a/b/../c",
    "https://hooks.example:8443/a/b/%2e%2e/c",
    "https://hooks.example:8443/a/b%2f..%2fc",
    "https://hooks.example:8443/a/b\\c",
    "https://hooks.example.evil.example:8443/a/b",
    "https://user@hooks.example:8443/a/b",
    "https://user:pass@hooks.example:8443/a/b",
    "https://hooks.example:8443@evil.example/a/b",
    "https://evil.example/?https://hooks.example:8443/a/b",
    "https://hooks.example:8443/a/b\r\nX: y",
    "https://hooks.example:8443/a/b c",
    "http://10.1.2.30/",
    "http://10.1.2.3:8080/",
    "http://167838211/",
    "http://127.0.0.1/",
    "http://[fd00::1]:81/",
    "http://[::1]:81/x/",
    "ftp://10.1.2.3/",
    "file:///etc/passwd",
    "//10.1.2.3/",
    "http://",
    "http://[",
    "http://10.1.2.3:99999999/",
    "nonsense",
    "",
    "\ud800",
]


def checking(url: str, places: Sequence[str], found: Sequence[str]) -> dict[str, str]:
    """Place -> why it is refused, for those that are."""
    refused: dict[str, str] = {}

    async def lookup(host: str) -> Sequence[str]:
        if not found:
            raise OSError(f"{host} is unknown")
        return found

    async def act(stage: Stage) -> None:
        hooks = Webhooks(stage.platform, ALLOWED, lookup=lookup)
        for place in places:
            try:
                await hooks.check(place)
            except Invalid as error:
                assert error.field == "X-Web-Hook"
                refused[place] = error.message
        await hooks.close()

    play(url, act)
    return refused


def test_only_what_lies_within_the_list_is_accepted(url: str) -> None:
    inside = ["https://hooks.example:8443/a/b", "https://HOOKS.example:8443/a/b/c?d=e"]
    inside += ["http://10.1.2.3", "http://10.1.2.3:80/x", "http://[fd00::1]:81/x/y"]
    assert checking(url, inside, ["8.8.8.8"]) == {}
    refused = checking(url, OUTSIDE, ["8.8.8.8"])
    assert [place for place in OUTSIDE if place not in refused] == []


def test_an_empty_list_accepts_nothing(url: str) -> None:
    async def act(stage: Stage) -> None:
        hooks = Webhooks(stage.platform, ())
        with pytest.raises(Invalid, match=r"zstack\.webhooks"):
            await hooks.check("http://127.0.0.1/")
        await hooks.close()

    play(url, act)


PRIVATE = [
    "127.0.0.1",
    "10.0.0.1",
    "192.168.1.1",
    "172.16.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fd00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_a_name_never_leads_to_a_private_address(url: str, address: str) -> None:
    assert not is_public(address)
    place = "https://hooks.example:8443/a/b"
    assert "no public address" in checking(url, [place], [address])[place]


def test_a_name_that_leads_nowhere_is_refused(url: str) -> None:
    place = "https://hooks.example:8443/a/b"
    assert "unknown" in checking(url, [place], [])[place]


def test_public_addresses_are_public() -> None:
    assert all(map(is_public, ["8.8.8.8", "2001:4860:4860::8888", "::ffff:8.8.8.8"]))


def test_a_name_that_moved_to_a_private_address_is_not_called(url: str) -> None:
    """The addresses are looked up once more for the call, and what was checked is what is called."""
    listener = Listener()
    answers = [["8.8.8.8"]]

    async def lookup(_host: str) -> Sequence[str]:
        return answers.pop() if answers else ["127.0.0.1"]

    async def act(stage: Stage, _hooks: Webhooks) -> None:
        place = f"http://hooks.example:{listener.base.rpartition(':')[2]}/"
        hooks = Webhooks(stage.platform, [place], delays=(0.0,), lookup=lookup)
        try:
            await end(stage, hooks, place, {})
        finally:
            await hooks.close()
        assert listener.heard == []

    with_listener(url, listener, act)


def test_the_addresses_that_were_looked_at_are_the_ones_called(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other part looks the name up again: there is no such name anywhere else."""
    listener = Listener()
    monkeypatch.setattr(webhooks, "is_public", lambda address: address == "127.0.0.1")

    async def lookup(_host: str) -> Sequence[str]:
        return ["127.0.0.9", "127.0.0.1"]

    async def act(stage: Stage, _hooks: Webhooks) -> None:
        place = f"http://hooks.example:{listener.base.rpartition(':')[2]}/"
        hooks = Webhooks(stage.platform, [place], delays=(), lookup=lookup)
        try:
            await end(stage, hooks, place, {})
        finally:
            await hooks.close()
        ((_, headers, _),) = listener.heard
        assert headers["host"].startswith("hooks.example:")

    with_listener(url, listener, act)


def test_localhost_by_name_is_itself_a_private_address(url: str) -> None:
    listener = Listener()

    async def lookup(host: str) -> Sequence[str]:
        assert host == "localhost"
        return ["127.0.0.1"]

    async def act(stage: Stage, _hooks: Webhooks) -> None:
        place = f"http://localhost:{listener.base.rpartition(':')[2]}/"
        hooks = Webhooks(stage.platform, [place], delays=(), lookup=lookup)
        try:
            await end(stage, hooks, place, {})
        finally:
            await hooks.close()
        assert [line for line, _, _ in listener.heard] == ["POST /"]

    with_listener(url, listener, act)


def test_no_proxy_of_the_environment_sees_a_webhook(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("NETRC", "/dev/null")
    listener = Listener()

    async def act(stage: Stage, hooks: Webhooks) -> None:
        await end(stage, hooks, f"{listener.base}/jobs", {})
        assert len(listener.heard) == 1

    with_listener(url, listener, act)


def test_the_systems_own_lookup_finds_this_machine() -> None:
    assert "127.0.0.1" in asyncio.run(webhooks.addresses("localhost"))
