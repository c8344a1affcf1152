"""A replica dies by SIGKILL, engine or keeper: clients of the others notice nothing, and it comes back."""

import time

import pytest
from observer import watching
from processes import Process, Role
from stage import RECOVERY, Stage, until


def victim(stage: Stage, role: Role) -> Process:
    """The engine or the keeper of the first replica."""
    return min((p for p in stage.processes(role)), key=lambda process: process.replica)


@pytest.mark.parametrize("role", ["engine", "keeper"])
def test_one_of_two_dies_no_request_fails_and_the_other_keeps_its_process(
    stage: Stage, role: Role
) -> None:
    """Law: a dead replica is retried on another before the first byte, and replaced (design 2)."""
    stage.up()
    stage.create("svc", replicas=2)
    stage.running("svc", 2)
    engines = stage.replicas("svc")
    with watching(stage.folder, "svc") as finish:
        killed = time.monotonic()
        dead = victim(stage, role)
        dead.kill()
        until(lambda: not dead.alive)
        until(lambda: dead.replica in stage.replicas("svc"), "its replica is not back")
        stage.running("svc", 2)
        back = time.monotonic() - killed
        record = finish()
    assert back <= RECOVERY
    assert record.failed("svc") == []
    (other,) = engines.keys() - {dead.replica}
    assert record.runs(other) == {(engines[other].pid, engines[other].born)}
    assert len(record.runs(dead.replica)) == 2
    assert record.most("svc-") == record.most("svc-", "engine") == 2
    reasons = [event["Reason"] for event in stage.events("svc")]
    assert ("Killed" if role == "engine" else "Lost") in reasons


@pytest.mark.parametrize("role", ["engine", "keeper"])
def test_the_only_one_dies_and_is_back_with_nothing_but_clear_answers_between(
    stage: Stage, role: Role
) -> None:
    """Law: until it is back clients are told 503, or 502 for what it broke off (gateway's codes)."""
    stage.up()
    stage.create("svc")
    stage.running("svc")
    with watching(stage.folder, "svc") as finish:
        killed = time.monotonic()
        dead = victim(stage, role)
        dead.kill()
        until(lambda: not dead.alive)
        stage.running("svc")
        until(lambda: stage.call("svc", stage.token("svc"))[0] == 200)
        record = finish()
    assert record.served_again("svc", since=killed - 0.1) <= RECOVERY
    assert {r.status for r in record.failed("svc")} <= {502, 503}
    assert len(record.runs(dead.replica)) == 2
    assert record.most("svc-", "engine") == 1


def test_a_replica_that_dies_while_there_is_no_hub_is_known_and_back_with_the_next(
    stage: Stage,
) -> None:
    """Law: a replica's signal is known even if it died while the hub was down (design 2)."""
    hub = stage.start("hub")
    stage.answering(stage.listen)
    stage.create("svc")
    stage.running("svc")
    hub.kill()
    hub.wait()
    dead = victim(stage, "engine")
    dead.kill()
    until(lambda: not stage.processes("keeper"), "the keeper outlives its engine")
    stage.start("hub")
    stage.answering(stage.listen)
    stage.running("svc")
    assert "Killed" in [event["Reason"] for event in stage.events("svc")]
    (engine,) = stage.replicas("svc").values()
    assert engine.pid != dead.pid
