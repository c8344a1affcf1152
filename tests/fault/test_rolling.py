"""Replicas are replaced and taken away under load: a client that counts everything notices nothing."""

import time

from open_loop import Account, Load, calling, percentile, spotless
from stage import LONG, Count, Stage, document, until

#: Seconds: longer than it takes to replace a replica, shorter than the time it gets to drain.
GRACE = 30.0


def test_twenty_four_replicas_are_replaced_under_a_hundred_requests_a_second(
    stage: Stage, record_property: Count
) -> None:
    """Law: a rolling update costs no request and cuts no stream, and is at no time short of replicas (F12)."""
    stage.up()
    stage.create("svc", 24, grace=GRACE, env={"VERSION": "1"})
    stage.running("svc", 24)
    old = stage.replicas("svc").keys()
    load = Load(
        stage.gateway_listen, (("svc", stage.token("svc")),), rate=100, streams=48, gap=0.15
    )
    with calling(stage.folder, load) as finish:
        began = time.monotonic()
        change = document("svc", 24, mark=stage.folder, grace=GRACE, env={"VERSION": "2"})
        stage.update("svc", change)
        least = 24

        def rolled() -> bool:
            nonlocal least
            here = stage.instances("svc")
            least = min(least, sum(each["Status"] == "Running" for each in here))
            return len(here) == 24 and not old & {each["InstanceName"] for each in here}

        until(rolled, "not every replica was replaced", within=2 * LONG)
        took = time.monotonic() - began
        stage.running("svc", 24)
        account = finish()
    told(f"24 replicas in {took:.1f} s", account, since=began, till=began + took)
    record_property("requests", len(account.plain))
    record_property("streams", len(account.streams))
    spotless(account)
    assert least == 24
    assert len(account.plain) >= 90 * took
    assert {one.version for one in account.streams} == {"1", "2"}
    # Streams were open on replicas that had to leave: else nothing was put to the test.
    assert len([one for one in account.crossing(began) if one.replica in old]) >= 40
    assert {one.version for one in account.plain if one.due > began + took} <= {"2"}


def test_a_hundred_streams_survive_a_rolling_update_and_a_scale_in(
    stage: Stage, record_property: Count
) -> None:
    """Law: 0 truncated streams, 0 5xx under 100 streaming clients, long before the drain deadline (F12)."""
    stage.up()
    stage.create("svc", 4, grace=GRACE, env={"VERSION": "1"})
    stage.running("svc", 4)
    load = Load(stage.gateway_listen, (("svc", stage.token("svc")),), streams=100, gap=0.15)
    with calling(stage.folder, load) as finish:
        old = stage.replicas("svc").keys()
        began = time.monotonic()
        change = document("svc", 4, mark=stage.folder, grace=GRACE, env={"VERSION": "2"})
        stage.update("svc", change)
        stage.running("svc", 4)
        until(lambda: not old & stage.replicas("svc").keys(), "old replicas are left")
        middle = time.monotonic()
        stage.scale("svc", 1)
        until(lambda: len(stage.replicas("svc")) == 1, "replicas are left")
        ended = time.monotonic()
        stage.running("svc", 1)
        account = finish()
    told(f"update {middle - began:.1f} s, scale-in {ended - middle:.1f} s", account)
    record_property("streams", len(account.streams))
    spotless(account)
    assert len(account.crossing(began)) >= 90
    assert len(account.crossing(middle)) >= 90
    assert ended - middle < GRACE
    assert not [each for each in stage.events("svc") if each["Reason"] == "DrainOverdue"]


def told(what: str, account: Account, since: float = 0.0, till: float = float("inf")) -> None:
    """Print the figures: shown with -s, or where the test failed."""
    plain = [one for one in account.plain if since <= one.due <= till]
    print(
        f"{what}: {account.sent} sent, {len(account.plain)} plain and {len(account.streams)} streams"
        f" answered, {len(account.failed)} failed, {len(account.truncated)} truncated"
    )
    if plain:
        p50, p99 = (1000 * percentile(plain, share) for share in (0.5, 0.99))
        print(f"plain requests meanwhile: p50 {p50:.0f} ms, p99 {p99:.0f} ms")
