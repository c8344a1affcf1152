"""Two hubs on one database: one acts, the other serves and takes over. Law: nothing is done twice."""

import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_pair import Cluster, Pair
from stage import PATIENCE, get, until

from pierhead.cli.client import HubRefused, NoAnswer

SERVICE = {
    "metadata": {"name": "steady", "instance": 2},
    "containers": [
        {"image": "registry.example/engine:1", "command": ["/bin/engine"], "port": 8000}
    ],
}
TAKEOVER = 5.0 * PATIENCE  #: seconds


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.close()


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str, cluster: Cluster) -> Iterator[Pair]:
    made = Pair(tmp_path, postgres_url, cluster)
    try:
        yield made
    finally:
        made.end()
        for stage in (*made.stages, made.gateway):
            print(stage.folder.name, stage.tail(60), sep="\n")


class Load(threading.Thread):
    """Reads and writes through the hub that stands by, and calls through the gateway, until told to end."""

    def __init__(self, pair: Pair, token: str) -> None:
        super().__init__()
        self._pair, self._token = pair, token
        self._over = threading.Event()
        self.failed: list[str] = []
        self.written = self.called = 0

    def run(self) -> None:
        client = self._pair.client(1)
        while not self._over.is_set():
            try:
                client.describe("steady")
                body = {"Labels": {"turn": str(self.written)}}
                client.call("UpdateServiceLabel", "PUT", client.path("steady", "/label"), body=body)
                self.written += 1
            except (HubRefused, NoAnswer) as error:
                self.failed.append(str(error))
            address = self._pair.gateway.gateway_listen
            status, answer = get(address, "/api/predict/steady/", self._token)
            self.called += 1
            if status != 200:
                self.failed.append(f"{status} {answer[:200]}")
            self._over.wait(0.02)

    def end(self) -> None:
        self._over.set()
        self.join(30)


def test_the_active_one_is_killed_under_load(pair: Pair, cluster: Cluster) -> None:
    """Takeover within 5 s; no call fails, no replica is touched, nothing is applied twice."""
    standby = pair.client(1)
    standby.call("CreateService", "POST", "/api/v2/services", body=SERVICE)
    until(lambda: cluster.engines() == 2, "the one that stands by does not call the active one")
    pair.start_gateway()
    token = str(standby.describe("steady")["AccessToken"])
    address = pair.gateway.gateway_listen
    until(lambda: get(address, "/api/predict/steady/", token)[0] == 200, "it is not served")
    until(lambda: standby.describe("steady")["Status"] == "Running", "it is not Running")
    pods, before = cluster.names("pods"), len(cluster.changes())

    load = Load(pair, token)
    load.start()
    try:
        until(lambda: load.called > 5)
        pair.signal(0, signal.SIGKILL)
        began = time.monotonic()
        pair.becomes(1, "active")
        # What is wanted from now on is done by the other one.
        standby.call(
            "UpdateService",
            "PUT",
            standby.path("steady"),
            body={"metadata": {"instance": 3}},
        )
        until(lambda: cluster.engines() == 3, "the other one does not act")
        took = time.monotonic() - began
    finally:
        load.end()
    assert took < TAKEOVER, f"{took:.1f} s"
    assert load.failed == []
    assert load.written > 5
    assert set(pods) <= set(cluster.names("pods"))
    applied = [path for _method, path in cluster.changes()[before:] if "/deployments/" in path]
    assert len(applied) == 1, applied
    _gateways_follow(pair, cluster)


def _gateways_follow(pair: Pair, cluster: Cluster) -> None:
    """The second hub sees the cluster, and what is new there is served."""
    seen = pair.health(1)["cluster"]
    assert seen["problem"] == "" and seen["facts_age_seconds"] < 60
    client, there = pair.client(1), cluster.engines()
    later = SERVICE | {"metadata": {"name": "later", "instance": 1}}
    client.call("CreateService", "POST", "/api/v2/services", body=later)
    until(lambda: cluster.engines() == there + 1)
    token = str(client.describe("later")["AccessToken"])
    address = pair.gateway.gateway_listen
    until(lambda: get(address, "/api/predict/later/", token)[0] == 200, "it follows nobody")


def test_one_that_was_stopped_past_its_lease_does_nothing_any_more(
    pair: Pair, cluster: Cluster
) -> None:
    """Fencing: it wakes up amid its work, and neither the cluster nor the database hears of it."""
    active, other = pair.client(0), pair.client(1)
    active.call("CreateService", "POST", "/api/v2/services", body=SERVICE)
    until(lambda: other.describe("steady")["Status"] == "Running", "it is not Running")
    # Work for the active one, which it is in the middle of when it is stopped.
    cluster.double.faults.hang = True
    sent = len(cluster.changes())
    active.call("UpdateService", "PUT", active.path("steady"), body={"metadata": {"instance": 3}})
    until(lambda: len(cluster.changes()) > sent, "it does not act")
    pair.signal(0, signal.SIGSTOP)
    cluster.double.faults.hang = False
    pair.becomes(1, "active", TAKEOVER)
    until(lambda: len(cluster.names("pods")) == 3, "the other one does not go on")
    until(lambda: other.describe("steady")["Status"] == "Running", "it is not Running")
    other.call("UpdateService", "PUT", other.path("steady"), body={"metadata": {"instance": 1}})
    until(lambda: len(cluster.names("pods")) == 1, "the other one does not act")
    until(lambda: other.describe("steady")["Status"] == "Running", "it is not Running")
    before, pods = cluster.changes(), cluster.names("pods")

    pair.signal(0, signal.SIGCONT)
    assert pair.hubs[0].wait(30) == 1, "it goes on, although another one has taken over"
    assert cluster.changes() == before
    assert cluster.names("pods") == pods
    assert "another hub has taken over" in pair.stages[0].tail()
    assert pair.role(1) == "active"
    # Who keeps it starts it again, and it stands by.
    pair.hubs[0] = pair.start(0)
    pair.becomes(0, "standby")
    assert other.describe("steady")["RunningInstance"] == 1
