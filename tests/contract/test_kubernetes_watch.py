"""Watches: one that tells nothing, and one that tells what answers of the server told before."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import Any, Literal, cast

import pytest

from kube_double import KubeDouble
from kube_stage import config_of
from pierhead.core.errors import Unavailable
from pierhead.runtimes.kubernetes import lightkube_api
from pierhead.runtimes.kubernetes.api import (
    EVENT,
    NODE,
    Change,
    Expired,
    Kind,
    KubeApi,
    Listed,
    Manifest,
    Selection,
)
from pierhead.runtimes.kubernetes.lightkube_api import LightkubeApi
from pierhead.runtimes.kubernetes.reflector import Beat, LoopTime, Pace, Reflector, version_of
from replica_servers import until

SILENCE, LASTS = 0.3, 2


async def watched(kind: Kind) -> list[Change]:
    """What a watch of `LASTS` seconds tells while the server says nothing."""
    async with KubeDouble() as server:
        server.faults.mute_watches = True
        api = LightkubeApi(config_of(server), time.time)
        try:
            return [each async for each in api.watch(kind, Selection(), "1", LASTS)]
        finally:
            await api.close()


@pytest.fixture(autouse=True)
def silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lightkube_api, "_SILENCE", SILENCE)


def test_a_silent_watch_is_taken_for_broken() -> None:
    with pytest.raises(Unavailable):
        asyncio.run(watched(NODE))


def test_events_may_be_silent_as_long_as_nothing_happens() -> None:
    assert asyncio.run(watched(EVENT)) == []


# ---- what answers told before ---------------------------------------------------------------------


class Told:
    """A server that lists and tells what a test puts into it, when it does."""

    def __init__(self) -> None:
        self.lists = asyncio.Queue[Listed]()
        self.changes = asyncio.Queue[Change | Expired]()
        self.asked = 0  #: lists that were begun

    async def list(self, kind: Kind, selection: Selection) -> Listed:
        del kind, selection
        self.asked += 1
        return await self.lists.get()

    async def watch(
        self, kind: Kind, selection: Selection, version: str, seconds: int
    ) -> AsyncIterator[Change]:
        del kind, selection, version, seconds
        while True:
            change = await self.changes.get()
            if isinstance(change, Expired):
                raise change
            yield change


def node(name: str, version: int) -> Manifest:
    return {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version)}}


def reflect(scene: Callable[[Told, Reflector, list[str]], Awaitable[None]]) -> None:
    """Run a scene; the last argument is what was told of, as `<name> <version>`, in its order."""

    async def run() -> None:
        told: list[str] = []

        def changed(old: Manifest | None, new: Manifest | None) -> None:
            name = (new or old or {})["metadata"]["name"]
            told.append(f"{name} {version_of(new) or 'gone'}")

        server = Told()
        beat = Beat(LoopTime(), Random(1), Pace(first_pause=0.0))
        api = cast("KubeApi", cast("Any", server))
        copy = Reflector(api, (NODE, Selection()), changed, beat)
        running = asyncio.create_task(copy.run())
        try:
            await scene(server, copy, told)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    asyncio.run(asyncio.wait_for(run(), 20))


def test_what_an_answer_told_is_not_undone_by_news_that_are_older() -> None:
    """Law: what we did ourselves is known from then on; no pass acts on what was before it."""

    async def scene(server: Told, copy: Reflector, told: list[str]) -> None:
        def say(kind: Literal["ADDED", "MODIFIED", "DELETED"], name: str, version: int) -> None:
            server.changes.put_nowait(Change(kind, node(name, version)))

        server.lists.put_nowait(Listed((node("a", 9), node("b", 10)), "10"))
        await copy.listed.wait()
        told.clear()
        copy.note(node("a", 13))
        say("MODIFIED", "a", 11)
        say("MODIFIED", "a", 13)
        say("MODIFIED", "b", 14)
        await until(lambda: "b 14" in told)
        assert version_of(copy.objects["uid-a"]) == "13"
        copy.note(node("b", 12))  # an answer that comes later than the news of it
        say("MODIFIED", "a", 15)
        say("DELETED", "b", 16)
        await until(lambda: "b gone" in told)
        assert told == ["a 13", "b 14", "a 15", "b gone"]

    reflect(scene)


def test_what_an_answer_told_is_not_undone_by_a_list_that_is_older() -> None:
    async def scene(server: Told, copy: Reflector, told: list[str]) -> None:
        server.lists.put_nowait(Listed((node("a", 9), node("b", 10)), "10"))
        await copy.listed.wait()
        server.changes.put_nowait(Expired("versions", "10"))
        await until(lambda: server.asked == 2)
        # While everything is listed as it was at 20:
        copy.note(node("a", 21))  # a change
        copy.note(node("new", 22))  # one that was made
        copy.note(node("b", 15))  # one that was deleted soon after this answer
        server.lists.put_nowait(Listed((node("a", 18),), "20"))
        await until(lambda: "b gone" in told)
        seen = {name: version_of(each) for name, each in copy.objects.items()}
        assert seen == {"uid-a": "21", "uid-new": "22"}
        assert "a 18" not in told

    reflect(scene)
