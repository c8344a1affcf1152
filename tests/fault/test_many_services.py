"""Fifty services on one machine: their hub dies, or all of it, and everything is back in seconds."""

import json
import time

from open_loop import Load, calling, spotless
from stage import LONG, PATIENCE, RECOVERY, Json, Stage, until

from pierhead.cli.client import NoAnswer

SERVICES = 50
NAMES = [f"svc_{number:02d}" for number in range(SERVICES)]
#: Seconds from the start of a platform on a machine where nothing runs any more: fifty engines, two cores.
FRESH = 10.0 * PATIENCE


def test_fifty_services_are_back_when_their_hub_died_and_when_everything_did(stage: Stage) -> None:
    """Law: whoever comes after a killed hub adopts every replica at once, and no request is lost; after a
    power cut every service comes back unattended, and the log tells how far it is (F01, F03)."""
    stage.up("--log-level=info")
    for name in NAMES:
        stage.create(name)
    all_running(stage, 2 * LONG)
    the_hub_dies(stage)
    everything_dies(stage)


def the_hub_dies(stage: Stage) -> None:
    """Every replica goes on as it is, with its pid."""
    before = stage.processes("keeper", "engine")
    assert len(before) == 2 * SERVICES
    targets = tuple((name, stage.token(name)) for name in NAMES)
    with calling(stage.folder, Load(stage.gateway_listen, targets, rate=50)) as finish:
        old = stage.one("hub")
        killed = time.monotonic()
        old.kill()
        until(lambda: not old.alive)
        all_running(stage, 3 * RECOVERY)
        took = time.monotonic() - killed
        account = finish()
    print(f"the hub is back with {SERVICES} services after {took:.2f} s")
    assert stage.processes("keeper", "engine") == before
    spotless(account)
    until(lambda: told(stage, "services of before"), "the log does not tell")
    assert told(stage, "services of before")[-1]["to_come"] == 0
    assert {runs(stage, name) for name in NAMES} == {("Running", 0)}
    assert took <= RECOVERY


def everything_dies(stage: Stage) -> None:
    """Every service gets a new engine, in the folder that its replica had."""
    stage.end()
    began = time.monotonic()
    stage.ready(stage.start("up", "--log-level=info"))
    all_running(stage, 3 * FRESH)
    took = time.monotonic() - began
    print(f"the platform is back with {SERVICES} services after {took:.2f} s")
    until(lambda: told(stage, "all services are back"), "the log does not tell")
    assert told(stage, "all services are back")[-1]["services"] == SERVICES
    assert len(stage.processes("engine")) == SERVICES
    assert {runs(stage, name) for name in NAMES} == {("Running", 1)}
    assert took <= FRESH


def all_running(stage: Stage, within: float) -> None:
    """Wait until each of them is Running with its replica."""
    until(lambda: _running(stage) == SERVICES, f"{_running(stage)} run", within)


def _running(stage: Stage) -> int:
    query = {"PageSize": str(2 * SERVICES)}
    try:
        found = stage.client.call("ListServices", "GET", "/api/v2/services", query=query)
    except NoAnswer:
        return 0
    services: list[Json] = found["Services"]
    return sum(one["Status"] == "Running" and one["RunningInstance"] == 1 for one in services)


def runs(stage: Stage, name: str) -> tuple[str, int]:
    """How its one replica is, and how often it was started again."""
    (replica,) = stage.instances(name)
    return replica["Status"], replica["RestartCount"]


def told(stage: Stage, event: str) -> list[Json]:
    """Lines of the hub's log that say so."""
    lines = [line for line in stage.log.read_text().splitlines() if line.startswith("{")]
    return [found for line in lines if (found := json.loads(line)).get("event") == event]
