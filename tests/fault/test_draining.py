"""Replicas that leave end what they have, also when hub or gateway have other troubles meanwhile."""

import time

from link import linked
from open_loop import Asked, Load, calling, spotless
from stage import Stage, document, healthy, until

GRACE = 30.0
#: Seconds after which a hub takes a gateway that says nothing for one that is not there.
SILENCE = 3.0


def test_a_hub_killed_in_mid_drain_cuts_no_stream(stage: Stage) -> None:
    """Law: what drains goes on draining under the next hub: update, scale-in, stop and delete (F01, F12)."""
    stage.up()
    names = ("updated", "scaled", "stopped", "deleted")
    for name in names:
        stage.create(name, 2, grace=GRACE, env={"VERSION": "1"})
    for name in names:
        stage.running(name, 2)
    # Streams of six seconds, all begun together: longer than a hub takes to be back and to hear of gateways.
    targets = tuple((name, stage.token(name)) for name in names)
    load = Load(stage.gateway_listen, targets, streams=8 * len(names), gap=0.3, once=True)
    with calling(stage.folder, load) as finish:
        began = time.monotonic()
        version = document("updated", 2, mark=stage.folder, grace=GRACE, env={"VERSION": "2"})
        stage.update("updated", version)
        stage.scale("scaled", 1)
        stage.stop("stopped")
        stage.delete("deleted")
        until(lambda: all(drains(stage, name) for name in names), "not all of them drain")
        killed = time.monotonic()
        stage.one("hub").kill()
        until(lambda: not healthy(stage.listen))
        until(lambda: healthy(stage.listen), "the hub is not back")
        account = finish()
    spotless(account)
    for name in names:
        assert sum(is_of(one, name) for one in account.streams) == 8, name
        assert any(is_of(one, name) for one in account.crossing(killed)), name
    stage.running("updated", 2)
    stage.running("scaled", 1)
    stage.stopped("stopped")
    stage.gone("deleted")
    until(lambda: len(stage.processes("engine")) == 3, "engines are left")
    assert time.monotonic() - began < GRACE
    assert not [each for each in stage.events("updated") if each["Reason"] == "DrainOverdue"]


def test_a_gateway_without_a_way_to_the_hub_loses_no_stream_while_replicas_are_replaced(
    stage: Stage,
) -> None:
    """Law: a gateway that fell silent may serve on, so what it was busy with is not let go (F12)."""
    stage.start("hub")
    stage.answering(stage.listen)
    with linked(stage.listen) as link:
        stage.start("gateway", f"--set=hub_url=http://{link.address}")
        stage.answering(stage.gateway_listen)
        stage.create("svc", 2, grace=GRACE, env={"VERSION": "1"})
        stage.running("svc", 2)
        old = set(stage.processes("engine"))
        load = Load(
            stage.gateway_listen, (("svc", stage.token("svc")),), rate=20, streams=10, gap=0.1
        )
        with calling(stage.folder, load) as finish:
            link.cut()
            began = time.monotonic()
            change = document("svc", 2, mark=stage.folder, grace=GRACE, env={"VERSION": "2"})
            stage.update("svc", change)
            until(lambda: drains(stage, "svc") == 2, "the old replicas do not drain")
            until(lambda: time.monotonic() - began > SILENCE + 1.5)
            assert old <= set(stage.processes("engine"))
            link.mend()
            until(lambda: not old & set(stage.processes("engine")), "old replicas are left")
            took = time.monotonic() - began
            account = finish()
    spotless(account)
    assert took < GRACE
    assert {one.version for one in account.streams} == {"1", "2"}


def is_of(one: Asked, service: str) -> bool:
    """Was it answered by a replica of that service?"""
    return one.replica.rpartition("-")[0] == service


def drains(stage: Stage, name: str) -> int:
    """How many replicas of a service were told to end what they have, and have not ended it."""
    root = stage.folder / "replicas"
    marks = {mark.parent.name for mark in root.glob(f"*/{name}-*/drain.json")}
    return len(marks & stage.replicas(name).keys())
