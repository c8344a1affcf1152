"""The console's live list: who sees what of it, what goes out, and when a stream ends."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from permission_world import House, Json, allow, play_house, policy
from starlette.requests import Request

from builders import a_replica
from made_database import made_sqlite
from pierhead.core.errors import LoginExpired
from pierhead.core.principals import Principal
from pierhead.core.replicas import ReplicaState
from pierhead.core.services import Seen, Service, Wanted
from pierhead.core.traffic import ServiceFigures, Traffic, step
from pierhead.operations import board as boards
from pierhead.operations.board import Board
from pierhead.store import grants
from pierhead.store import seen as seen_rows
from pierhead.store import services as rows
from pierhead.web import live as streams
from pierhead.web.console import Console, Visitor
from pierhead.web.live import Live

PATIENCE = 20.0  #: seconds that something may take on a slow machine


@dataclass
class Sessions:
    """Lets everybody in whose cookie is their name, until they are logged out."""

    known: dict[str, Principal]

    async def enter(self, request: Request) -> Visitor:
        name = request.headers.get("cookie", "")
        if name not in self.known:
            raise LoginExpired("There is no session: log in.")
        return Visitor(self.known[name], "", 0.0, name)

    async def lasts(self, visitor: Visitor) -> bool:
        return visitor.session in self.known


@dataclass
class Reader:
    """The client of one stream."""

    events: asyncio.Queue[Json] = field(default_factory=asyncio.Queue[Json])
    left: asyncio.Event = field(default_factory=asyncio.Event)
    reads: asyncio.Event = field(default_factory=asyncio.Event)
    sent: int = 0

    async def receive(self) -> Json:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        await self.reads.wait()
        self.sent += 1
        self.events.put_nowait(message)

    async def next(self) -> Json:
        """The next message that is no comment: of an event its name and data."""
        while True:
            message = await asyncio.wait_for(self.events.get(), PATIENCE)
            body: bytes = message.get("body", b"")
            if message["type"] == "http.response.start" or not message.get("more_body", False):
                return message
            if body.startswith(b"event: "):
                name, data = body.decode().strip().split("\n")
                return {"event": name.removeprefix("event: "), **json.loads(data[6:])}

    async def news(self) -> Json:
        found = await self.next()
        assert found["event"] == "services"
        return found


@dataclass
class Scene:
    """A house with a console."""

    house: House
    traffic: Traffic = field(default_factory=Traffic)

    def __post_init__(self) -> None:
        platform = replace(self.house.platform, traffic=lambda: self.traffic)
        self.board = Board(platform)
        self.sessions = Sessions(dict(self.house.known))
        self.console = Console(self.sessions, lambda: "ID", platform.clock)
        self.console.add(*Live(self.board, self.sessions, self.house.permission.ask).routes())

    @asynccontextmanager
    async def stream(self, who: str, *, reads: bool = True) -> AsyncGenerator[Reader]:
        reader = Reader()
        if reads:
            reader.reads.set()
        task = asyncio.create_task(self.call(who, reader))
        try:
            if reads:
                assert (await reader.next())["status"] == 200
            yield reader
        finally:
            reader.left.set()
            await asyncio.wait_for(task, PATIENCE)

    async def call(self, who: str, reader: Reader, method: str = "GET") -> None:
        path = b"/console/api/live"
        scope = {
            "type": "http", "method": method, "scheme": "http", "client": ("127.0.0.1", 4000),
            "path": path.decode(), "raw_path": path, "query_string": b"",
            "headers": [(b"cookie", who.encode())],
        }  # fmt: skip
        await self.console(scope, reader.receive, reader.send)

    async def refused(self, who: str) -> tuple[int, Json]:
        reader = Reader()
        reader.reads.set()
        await asyncio.wait_for(self.call(who, reader), PATIENCE)
        start, body = await reader.next(), await reader.next()
        return start["status"], json.loads(body["body"])

    async def see(self, service: Service, *states: ReplicaState) -> None:
        replicas = tuple(
            a_replica(id=f"{service.name}-{number}", service=service.id, state=state)
            for number, state in enumerate(states)
        )
        seen = Seen(revision=1, settled=1, replicas=replicas)
        await self.house.world.db.write(seen_rows.save, service.id, seen)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boards, "APART", 0.05)
    monkeypatch.setattr(streams, "RECHECK", 0.2)
    monkeypatch.setattr(streams, "HEARTBEAT", 0.3)


Play = Callable[[Callable[[House], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def play(tmp_path: Path) -> Play:
    url = made_sqlite(tmp_path / "pierhead.db")
    return lambda scene: play_house(url, tmp_path, scene)


def names(event: Json) -> list[str]:
    return sorted(row["ServiceName"] for row in event["Rows"])


def test_all_rows_come_first_and_then_what_changed(play: Play) -> None:
    async def scene(house: House) -> None:
        one = await house.service("svc_one", labels={"team": "a"}, workspace="w")
        two = await house.service("svc_two")
        stage = Scene(house)
        await stage.see(one, ReplicaState.READY)
        figures = ServiceFigures(
            requests=2.0, tokens=7.5, queued=1, ttft={step(0.1): 4}, seconds={step(2.0): 9}
        )
        stage.traffic = Traffic(1, {one.id: figures})
        async with stage.stream("root") as reader:
            first = await reader.news()
            assert (first["All"], first["Gone"], names(first)) == (True, [], ["svc_one", "svc_two"])
            row = next(row for row in first["Rows"] if row["ServiceName"] == "svc_one")
            assert 0.08 < row["Ttft"] <= 0.1 and 1.5 < row["P95"] <= 2.0
            shown = {
                "ServiceId": f"eas-m-{one.id[:18]}", "Status": "Running", "Reason": "Running",
                "Ready": 1, "Wanted": 1, "Workspace": "w", "Region": "local", "Source": "eas",
                "Qps": 2.0, "TokensPerSecond": 7.5, "Queued": 1, "Held": 0, "ErrorsPerSecond": 0.0,
                "Labels": {"team": "a"}, "CreateTime": "2026-09-21T14:13:20Z",
            }  # fmt: skip
            assert {name: row[name] for name in shown} == shown

            stage.traffic = Traffic(1)
            changed = await reader.news()
            assert (changed["All"], names(changed)) == (False, ["svc_one"])
            assert changed["Rows"][0]["Qps"] == 0.0 and changed["Rows"][0]["P95"] is None
            assert changed["Revision"] > first["Revision"]

            gone = replace(two, wanted=Wanted.DELETED, revision=2)
            await house.world.db.write(rows.change, gone)
            assert (await reader.news())["Rows"][0]["Status"] == "Deleting"
            await house.world.db.write(rows.remove, two.id, 2)
            last = await reader.news()
            assert (last["Rows"], last["Gone"]) == ([], ["svc_two"])

    play(scene)


def test_everybody_sees_what_they_may_list(play: Play) -> None:
    """Law: a service shows in nobody's console who could not list or see it (F28)."""

    async def scene(house: House) -> None:
        for name, workspace in (("mine", "team"), ("yours", "other")):
            await house.service(name, workspace=workspace)
        await house.user("lists", policy(allow("eas:ListServices")))
        await house.user("tenant", policy(allow("*"), workspace="team"))
        on = "acs:eas:*:*:service/yours"
        await house.user("looks", policy(allow("eas:DescribeService", on=on)))
        await house.user("nobody", policy(allow("eas:CreateService")))
        stage = Scene(house)
        expected = {"root": ["mine", "yours"], "lists": ["mine", "yours"]}
        for who, seen in (expected | {"tenant": ["mine"], "looks": ["yours"]}).items():
            async with stage.stream(who) as reader:
                assert names(await reader.news()) == seen, who
        status, body = await stage.refused("nobody")
        assert (status, body["Code"]) == (403, "NoPermission")
        assert (await stage.refused("stranger"))[0] == 401

    play(scene)


def test_what_may_no_longer_be_seen_goes_and_who_may_see_nothing_is_let_go(play: Play) -> None:
    async def scene(house: House) -> None:
        for name in ("svc_a", "svc_b"):
            await house.service(name)
        user = await house.user("user", policy(allow("eas:ListServices")))
        await house.give(
            "user", "User", user.id, policy(allow("eas:*", on="acs:eas:*:*:service/svc_a"))
        )
        stage = Scene(house)
        async with stage.stream("user") as reader:
            assert names(await reader.news()) == ["svc_a", "svc_b"]
            held = await house.world.db.read(grants.of_target, "User", user.id)
            wide, narrow = sorted(held, key=lambda one: one.policy)
            assert await house.world.db.write(grants.detach, user.id, wide)
            assert (await reader.news())["Gone"] == ["svc_b"]
            assert await house.world.db.write(grants.detach, user.id, narrow)
            assert (await reader.next())["more_body"] is False

    play(scene)


def test_a_stream_ends_with_its_session_and_with_the_hub(play: Play) -> None:
    async def scene(house: House) -> None:
        await house.service("svc")
        stage = Scene(house)
        async with stage.stream("root") as one, stage.stream("root") as other:
            await one.news()
            await other.news()
            stage.board.end()
            for reader in (one, other):
                last = await reader.next()
                assert last == {
                    "type": "http.response.body", "body": b"event: ending\ndata: {}\n\n",
                    "more_body": False,
                }  # fmt: skip
        stage = Scene(house)
        async with stage.stream("root") as reader:
            await reader.news()
            del stage.sessions.known["root"]
            last = await reader.next()
            assert (last["body"], last["more_body"]) == (b"", False)

    play(scene)


def test_streams_are_few_and_cost_nothing_when_nobody_looks(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(boards, "EACH", 2)

    async def scene(house: House) -> None:
        await house.service("svc")
        stage = Scene(house)
        async with stage.stream("root") as one, stage.stream("root"):
            status, body = await stage.refused("root")
            assert (status, body["Code"]) == (429, "Throttling")
            await one.news()
            assert stage.board.watchers == 2
        assert (stage.board.watchers, stage.board.rows, stage.board.revision) == (0, {}, 0)
        async with stage.stream("root") as again:  # nothing old is shown, not even for a moment
            assert names(await again.news()) == ["svc"]
        probe = Reader()
        probe.reads.set()
        await asyncio.wait_for(stage.call("root", probe, "HEAD"), PATIENCE)
        assert stage.board.watchers == 0

    play(scene)


def test_who_does_not_read_is_let_go(play: Play, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PATIENCE", 0.2)

    async def scene(house: House) -> None:
        await house.service("svc")
        stage = Scene(house)
        reader = Reader()
        reader.reads.set()
        task = asyncio.create_task(stage.call("root", reader))
        assert (await reader.next())["status"] == 200
        await reader.news()
        reader.reads.clear()
        stage.traffic = Traffic(1, {"x": ServiceFigures(requests=1.0)})
        await asyncio.wait_for(task, PATIENCE)  # by itself: the heartbeat finds no room
        assert stage.board.watchers == 0

    play(scene)


def test_the_board_goes_on_after_a_look_that_failed(play: Play) -> None:
    async def scene(house: House) -> None:
        await house.service("svc")
        stage = Scene(house)
        failing = {"now": True}

        def traffic() -> Traffic:
            if failing["now"]:
                failing["now"] = False
                raise ValueError("a fault of one look")
            return Traffic()

        stage.board = Board(replace(house.platform, traffic=traffic))
        stage.board.enter("x")
        await asyncio.wait_for(stage.board.news(0, PATIENCE), PATIENCE)
        assert stage.board.revision and not failing["now"]
        stage.board.leave("x")

    play(scene)
