"""Every recorded request of the real clients, over a real port, in each of the three modes."""

import time

import pytest
from zstack_world import CENTER, KEY, PASSWORD, ZONE, World, serving

import zstack_replay
from pierhead.core.principals import AccessKey
from pierhead.dialects.zstack import signature
from pierhead.dialects.zstack.calls import AsyncMode, Options, Signed
from zstack_replay import CAPTURES, Replay

ALL = CAPTURES["captures"]


@pytest.mark.parametrize("mode", ["always", "never", "auto"])
def test_clients_get_what_they_accepted(mode: AsyncMode) -> None:
    world = World(Options(async_mode=mode), clock=time.time)
    with serving(world.app()) as port:
        replay = Replay(port, mode, PASSWORD, KEY.id, KEY.secret, CENTER, ZONE)
        replay.run(ALL)
    wanted = [item["id"] for item in ALL if mode == "auto" or item["serverMode"] in ("any", mode)]
    assert replay.played == wanted
    assert len(replay.played) >= 14
    if mode == "auto":
        assert replay.played == [item["id"] for item in ALL]


def test_tags_of_the_wrapper_and_the_wanted_uuid_arrive() -> None:
    world = World(Options(async_mode="never"), clock=time.time)
    with serving(world.app()) as port:
        replay = Replay(port, "never", PASSWORD, KEY.id, KEY.secret, CENTER, ZONE)
        replay.run([item for item in ALL if item["id"] == "java-never-add"])
    (call,) = [call for call in world.calls if call.api.name == "AddModelService"]
    assert (call.extras.system_tags, call.extras.user_tags) == (("ai::k::v",), ("t1",))
    assert call.extras.uuid == replay.template
    assert call.params["architectureImages"] == [
        {"dockerImage": "r/x:1", "cpuArchitecture": "X86_64"}
    ]


@pytest.mark.parametrize(
    "capture", [item for item in ALL if "stringToSign" in item], ids=lambda item: item["id"]
)
def test_recorded_signatures_are_good(capture: zstack_replay.Json) -> None:
    fixtures, request = CAPTURES["fixtures"], capture["request"]
    recorded = request["headers"]["Authorization"]
    key_id, secret = fixtures["accessKeyId"], fixtures["accessKeySecret"]
    assert zstack_replay.signature(key_id, secret, capture["stringToSign"]) == recorded
    path = request["target"].removeprefix("/zstack")
    headers = {name.lower(): value for name, value in request["headers"].items()}
    signed = Signed(request["method"], path, path, headers)
    key = AccessKey(key_id, secret, KEY.principal)
    assert signature.verify(signed, signature.read(recorded), key, 0.0) == KEY.principal
