"""Engines that cannot run, and removal from whatever state a service is in."""

import json
import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from observer import watching
from stage import PATIENCE, Stage, document, until

GONE = 5.0 * PATIENCE


def crashing(stage: Stage, name: str) -> None:
    """Ask for a service whose command ends with exit code 3, time and again."""
    body = document(name, mark=stage.folder, command=["sh", "-c", "echo no such tensor; exit 3"])
    stage.client.call("CreateService", "POST", "/api/v2/services", body=body)


def test_a_crash_loop_backs_off_says_why_and_harms_nobody(stage: Stage) -> None:
    """Law: back-off 1, 2, 4 ... s, kept across a hub restart; Failed with a reason; others serve (F06)."""
    stage.up()
    stage.create("well")
    stage.running("well")
    with watching(stage.folder, "well") as finish:
        crashing(stage, "ill")
        failed = stage.failed("ill")
        runs = started(stage)
        stage.one("hub").kill()
        until(lambda: len(started(stage)) > len(runs), "it is not tried again after the hub's end")
        after = stage.failed("ill")
        record = finish()
    for found in (failed, after):
        assert found["Reason"] != "Failed"
        assert "exit code 3" in found["Message"]
        assert "no such tensor" in found["Message"]
    gaps = [later - earlier for earlier, later in pairwise(started(stage))]
    for number, gap in enumerate(gaps):
        assert 0.75 * 2**number <= gap, f"too soon: {gaps}"
        assert gap <= 1.25 * 2**number + 3.0 * PATIENCE, f"too late: {gaps}"
    assert len(gaps) >= 3
    assert record.failed("well") == []
    assert "Failed" in record.statuses("ill")
    assert "Running" not in record.statuses("ill")
    logs = stage.client.of("DescribeServiceLog", "ill", "/logs")
    assert "no such tensor" in "\n".join(logs["Logs"])

    stage.delete("ill")
    assert stage.gone("ill") <= GONE
    assert [p.replica for p in stage.processes("keeper")] == [*stage.replicas("well")]


def started(stage: Stage) -> list[float]:
    """When each run of the only replica of `ill` began, from its folder."""
    runs = (stage.folder / "replicas").glob("*/ill-*/runs/*/run.json")
    return sorted(json.loads(run.read_text())["started"] for run in runs)


Make = Callable[[Stage], object]
ABSENT = "/nowhere/at/all"


def _fetching(stage: Stage) -> None:
    body = {
        "AppType": "LLM",
        "AppVersion": "v1",
        "ServiceName": "svc",
        "ServiceSpec": "llama_7b_int8",
        "Replicas": 2,
    }
    stage.client.call("CreateAppService", "POST", "/api/v2/app_services", body=body)
    until(lambda: stage.client.describe("svc")["Reason"] == "WeightsMissing")


def _crash_looping(stage: Stage) -> None:
    crashing(stage, "svc")
    stage.failed("svc")


def _no_command(stage: Stage) -> None:
    body = document("svc", mark=stage.folder, command=[ABSENT])
    stage.client.call("CreateService", "POST", "/api/v2/services", body=body)
    until(lambda: stage.client.describe("svc")["Reason"] == "CommandNotFound")


def _starting(stage: Stage) -> None:
    stage.create("svc", replicas=2, env={"START_SECONDS": "1000"})
    until(lambda: stage.client.describe("svc")["Status"] == "Waiting")


def _running(stage: Stage) -> None:
    stage.create("svc", replicas=2)
    stage.running("svc", 2)


def _stopped(stage: Stage) -> None:
    _running(stage)
    stage.stop("svc")
    stage.stopped("svc")


def _stopping(stage: Stage) -> None:
    """A TERM that is not heard: the grace is long, and delete does not wait for it."""
    deaf = "trap '' TERM; while :; do sleep 0.1; done"
    body = document("svc", mark=stage.folder, command=["sh", "-c", deaf], grace=3.0)
    del body["containers"][0]["readiness_check"]
    body["containers"][0]["health_check"] = {"exec": {"command": ["true"]}, "period_seconds": 0.5}
    stage.client.call("CreateService", "POST", "/api/v2/services", body=body)
    stage.running("svc")
    stage.stop("svc")
    until(lambda: stage.client.describe("svc")["Status"] == "Stopping")


def _updating(stage: Stage) -> None:
    _running(stage)
    stage.update("svc", document("svc", 2, mark=stage.folder, env={"START_SECONDS": "1000"}))
    until(lambda: stage.client.describe("svc")["Status"] == "Updating")
    until(lambda: len(stage.processes("engine")) == 3)


def _half_created(stage: Stage) -> None:
    stage.create("svc", replicas=2)  # and not a moment is waited for


def test_delete_from_every_state_is_done_within_five_seconds_and_leaves_nothing(
    stage: Stage,
) -> None:
    """Law: "gone" is told only when no process and no folder of it remains, from every state (F11)."""
    states: list[Make] = [
        _fetching,
        _crash_looping,
        _no_command,
        _starting,
        _running,
        _stopped,
        _stopping,
        _updating,
        _half_created,
    ]
    stage.up()
    for make in states:
        make(stage)
        asked = time.monotonic()
        stage.delete("svc")
        assert time.monotonic() - asked <= 1.0 * PATIENCE, make.__name__
        assert stage.gone("svc") <= GONE, make.__name__
        assert stage.processes("keeper", "engine") == [], make.__name__
        assert stage.folders() == [], make.__name__


@pytest.mark.parametrize("kill", ["hub", "engine"])
def test_delete_comes_to_its_end_although_something_is_killed_in_the_middle(
    stage: Stage, kill: str
) -> None:
    """Law: an accepted delete is never lost (F01, F11)."""
    stage.up()
    stage.create("svc", replicas=2)
    stage.running("svc", 2)
    stage.delete("svc")
    for process in stage.processes("hub" if kill == "hub" else "engine"):
        process.kill()
    stage.gone("svc", within=10.0 * PATIENCE)
    until(lambda: stage.processes("keeper", "engine") == [])
    until(lambda: stage.folders() == [])
    stage.create("svc")  # the name is free again
    stage.running("svc")
