"""The gateway dies by SIGKILL: it is back in a moment, with or without a hub, and no replica notices."""

import json
import time

from observer import watching
from stage import RECOVERY, Stage, get, healthy, until

GRACE = 30.0  #: seconds


def test_a_killed_gateway_is_back_within_three_seconds_and_replicas_stay(stage: Stage) -> None:
    """Law: any process may be killed with -9; only requests in that moment may fail (design 2)."""
    stage.up()
    stage.create("svc", replicas=2, grace=GRACE)
    stage.running("svc", 2)
    before = stage.processes("keeper", "engine")
    with watching(stage.folder, "svc") as finish:
        gateway, hub = stage.one("gateway"), stage.one("hub")
        killed = time.monotonic()
        gateway.kill()
        until(lambda: not healthy(stage.gateway_listen))
        until(lambda: healthy(stage.gateway_listen), "the gateway is not back")
        stage.running("svc", 2)
        again = time.monotonic()
        until(lambda: stage.call("svc", stage.token("svc"))[0] == 200)
        record = finish()
    assert record.served_again("svc", since=killed - 0.1) <= RECOVERY
    assert record.failed("svc", since=again) == []
    assert all(r.status == 0 for r in record.failed("svc"))  # refused or cut, never a wrong answer
    assert set(record.statuses("svc")) == {"Running"}
    assert stage.processes("keeper", "engine") == before
    assert stage.one("hub") == hub
    # Who took the dead one's place ends its say: nothing drains to its deadline on its account.
    stage.stop("svc")
    stage.stopped("svc", within=GRACE / 2)


def test_a_gateway_serves_by_its_table_while_there_is_no_hub_at_all(stage: Stage) -> None:
    """Law: the gateway keeps its last table on disk and serves on while the hub is down (design 2)."""
    hub, gateway = stage.start("hub"), stage.start("gateway")
    stage.ready()
    stage.create("svc", replicas=2)
    stage.running("svc", 2)
    token = stage.token("svc")
    kept = stage.folder / "gateway" / "routes.json"
    # It is written once a second at most: what was written earlier than that is the newest table.
    until(lambda: kept.exists() and time.time() - kept.stat().st_mtime > 1.5, "it is kept")
    before = stage.processes("keeper", "engine")

    hub.kill()
    hub.wait()
    gateway.kill()
    gateway.wait()
    began = time.monotonic()
    gateway = stage.start("gateway")
    until(lambda: stage.call("svc", token)[0] == 200, "it does not serve without a hub")
    took = time.monotonic() - began

    assert took <= RECOVERY
    assert {stage.call("svc", token)[0] for _ in range(50)} == {200}
    assert stage.call("svc", "wrong token")[0] == 401
    health = json.loads(get(stage.gateway_listen, "/healthz")[1])
    assert health["hub"].startswith("unreachable since")
    assert stage.processes("keeper", "engine") == before

    stage.start("hub")  # and what changed meanwhile is learnt
    stage.answering(stage.listen)
    stage.delete("svc")
    stage.gone("svc")
    until(lambda: stage.call("svc", token)[0] == 404, "the gateway did not learn of the removal")


def test_with_hub_and_gateway_killed_at_once_both_come_back(stage: Stage) -> None:
    """Law: any of them, at any time, together too (design 2)."""
    stage.up()
    stage.create("svc")
    stage.running("svc")
    token, before = stage.token("svc"), stage.processes("keeper", "engine")
    began = time.monotonic()
    for process in stage.processes("hub", "gateway"):
        process.kill()
    until(lambda: stage.call("svc", token)[0] == 200)
    until(lambda: healthy(stage.listen))
    assert time.monotonic() - began <= RECOVERY
    stage.running("svc")
    assert stage.processes("keeper", "engine") == before
