"""What an operator sets for the gateway arrives there."""

import asyncio
import dataclasses
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pierhead.bootstrap import gateway
from pierhead.core.ids import Clock
from pierhead.gateway.settings import GatewaySettings
from pierhead.gateway.workers import Worker
from pierhead.settings import BadSetting, Settings

#: Key -> what is set in other words than the default, the gateway's name for it, what it gets.
KNOBS: dict[str, tuple[str, str, object]] = {
    "gateway.body_limit": ("2MiB", "body_limit", 2 << 20),
    "gateway.body_seconds": ("7", "body_seconds", 7.0),
    "gateway.write_seconds": ("9", "write_seconds", 9.0),
    "gateway.keep_alive_seconds": ("8.5", "keep_alive_seconds", 8.5),
    "gateway.connect_seconds": ("0.7", "connect_seconds", 0.7),
    "gateway.picks": ("4", "picks", 4),
    "gateway.access_log": ("0", "access_log", 0.0),
    "hold.limit": ("5", "hold_limit", 5),
    "hold.bytes": ("1MiB", "hold_bytes", 1 << 20),
    "hold.seconds": ("30", "hold_seconds", 30.0),
    "hold.heartbeat_seconds": ("1.5", "hold_heartbeat_seconds", 1.5),
    "request_timeout": ("12", "head_seconds", 12.0),
    "drain_seconds": ("3", "stop_seconds", 3),
}


def started(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, worker: Worker | None = None
) -> GatewaySettings:
    """What the gateway would be started with."""
    given: list[GatewaySettings] = []

    async def serve(settings: GatewaySettings, clock: Clock, rng: Random) -> None:
        del clock, rng
        given.append(settings)

    monkeypatch.setattr(gateway.main, "serve", serve)
    asyncio.run(gateway.serve(settings, worker))
    return given[0]


def load(folder: Path, **flags: Any) -> Settings:
    return Settings.load({"data_dir": folder, **flags}, {})


def test_each_knob_has_its_effect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = {key: text for key, (text, _, _) in KNOBS.items()}
    found = started(monkeypatch, load(tmp_path, **flags))
    assert {name: getattr(found, name) for _, name, _ in KNOBS.values()} == {
        name: value for _, name, value in KNOBS.values()
    }


def test_the_platform_s_defaults_are_the_gateway_s_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = started(monkeypatch, load(tmp_path))
    own = {each.name: each.default for each in dataclasses.fields(GatewaySettings)}
    names = {name for _, name, _ in KNOBS.values()} - {"stop_seconds"}  # `up` gives it longer
    assert {name: getattr(found, name) for name in names} == {name: own[name] for name in names}


def test_workers_have_their_parts_of_what_a_gateway_may_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = {"hold.limit": "5", "hold.bytes": "3MiB", "http.connections_per_address": "10"}
    settings = load(tmp_path, **flags)
    found = [started(monkeypatch, settings, Worker(n, 3, tmp_path)) for n in range(3)]
    assert [each.hold_limit for each in found] == [2, 2, 1]
    assert {each.hold_bytes for each in found} == {1 << 20}
    assert [each.limits.connections for each in found] == [4, 3, 3]
    unbounded = load(tmp_path, **{"http.connections_per_address": "0"})
    assert started(monkeypatch, unbounded, Worker(0, 3, tmp_path)).limits.connections == 0


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("gateway.body_limit", "10"),
        ("gateway.body_limit", "much"),
        ("gateway.body_seconds", "0"),
        ("gateway.keep_alive_seconds", "0"),
        ("gateway.connect_seconds", "0"),
        ("gateway.picks", "0"),
        ("gateway.picks", "11"),
        ("gateway.access_log", "-1"),
        ("hold.limit", "0"),
        ("hold.bytes", "0"),
        ("hold.seconds", "0.5"),
        ("hold.heartbeat_seconds", "0.1"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(tmp_path: Path, key: str, text: str) -> None:
    with pytest.raises(BadSetting) as caught:
        load(tmp_path, **{key: text})
    assert f"The setting {key} (from flag --set {key})" in caught.value.message


def test_the_file_has_them_in_tables(tmp_path: Path) -> None:
    text = "[gateway]\nbody_limit = '1GiB'\naccess_log = 5\n[hold]\nseconds = 90\n"
    (tmp_path / "settings.toml").write_text(text)
    found = load(tmp_path)
    assert (found.gateway_body_limit, found.gateway_access_log) == (1 << 30, 5.0)
    assert (found.hold_seconds, found.hold_limit) == (90.0, 1000)
