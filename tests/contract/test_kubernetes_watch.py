"""A watch that tells nothing: taken for broken where a server would say that it lives, else waited out."""

import asyncio
import time

import pytest

from kube_double import KubeDouble
from kube_stage import config_of
from pierhead.core.errors import Unavailable
from pierhead.runtimes.kubernetes import lightkube_api
from pierhead.runtimes.kubernetes.api import EVENT, NODE, Change, Kind, Selection
from pierhead.runtimes.kubernetes.lightkube_api import LightkubeApi

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
