"""The API server is away when a hub starts. Law: the platform is there, says why it acts not, and forgets nothing."""

import json
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_pair import Cluster
from stage import Stage, get, until

SERVICE = {
    "metadata": {"name": "steady", "instance": 2},
    "containers": [
        {"image": "registry.example/engine:1", "command": ["/bin/engine"], "port": 8000}
    ],
}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.close()


class Lone:
    """A hub and a gateway of one folder, over a cluster."""

    def __init__(self, folder: Path, cluster: Cluster) -> None:
        self.stage = Stage(folder / "data")
        self.flags = (
            f"--set=kubernetes.kubeconfig={cluster.kubeconfig}",
            "--set=kubernetes.image=registry.example/pierhead:1",
            "--set=resync_seconds=300",
            "--log-level=info",
        )

    def start(self, runtime: str = "kubernetes") -> Any:
        """Start the hub, and return when it answers."""
        hub = self.stage.start("hub", f"--runtime={runtime}", *self.flags)
        self.stage.answering(self.stage.listen, hub)
        return hub

    def health(self) -> dict[str, Any]:
        """What the hub says of itself."""
        found: dict[str, Any] = json.loads(get(self.stage.listen, "/healthz")[1])
        return found

    def figures(self) -> dict[str, float]:
        """Name and labels -> value, of all that has to do with cluster and turn."""
        text = get(self.stage.listen, "/metrics")[1]
        lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
        mine = ("pierhead_cluster_", "pierhead_hub_role", "pierhead_lease_")
        return {name: float(value) for name, value in lines if name.startswith(mine)}


@pytest.fixture
def lone(tmp_path: Path, cluster: Cluster) -> Iterator[Lone]:
    made = Lone(tmp_path, cluster)
    try:
        yield made
    finally:
        made.stage.end()
        print(made.stage.tail(60))


class Calls(threading.Thread):
    """Calls a service through the gateway until told to end."""

    def __init__(self, address: str, token: str) -> None:
        super().__init__()
        self._address, self._token = address, token
        self._over = threading.Event()
        self.failed: list[str] = []
        self.made = 0

    def run(self) -> None:
        while not self._over.is_set():
            status, answer = get(self._address, "/api/predict/steady/", self._token)
            self.made += 1
            if status != 200:
                self.failed.append(f"{status} {answer[:200]!r}")
            self._over.wait(0.02)

    def end(self) -> None:
        self._over.set()
        self.join(30)


def test_a_hub_that_starts_meanwhile_serves_and_acts_when_it_is_back(
    lone: Lone, cluster: Cluster
) -> None:
    """Reads and writes are answered, gateways go on, and what was asked for is done on its return."""
    hub, client = lone.start(), lone.stage.client
    calls = _served(lone, cluster)
    pods = cluster.names("pods")
    try:
        cluster.run(cluster.double.kill())
        hub.send_signal(signal.SIGKILL)
        hub.wait(10)
        lone.start()
        _says_what_it_waits_for(lone)
        # What is asked for is taken, and what is known is told.
        assert client.describe("steady")["TotalInstance"] == 2
        three = {"metadata": {"instance": 3}}
        client.call("UpdateService", "PUT", client.path("steady"), body=three)
        made = calls.made
        until(lambda: calls.made > made + 20)

        cluster.run(cluster.double.revive())
        began = time.monotonic()
        until(lambda: lone.health()["role"] == "active", "it does not act")
        until(lambda: cluster.engines() == 3, "what was asked for is not done")
        assert time.monotonic() - began < 10
        until(lambda: client.describe("steady")["Status"] == "Running", "it is not Running")
    finally:
        calls.end()
    assert calls.failed == []
    assert set(pods) <= set(cluster.names("pods"))
    figures = lone.figures()
    assert figures["pierhead_cluster_problem"] == 0
    assert figures["pierhead_cluster_facts_age_seconds"] < 60


def _served(lone: Lone, cluster: Cluster) -> Calls:
    """A service with two replicas that is called all the time."""
    client, address = lone.stage.client, lone.stage.gateway_listen
    client.call("CreateService", "POST", "/api/v2/services", body=SERVICE)
    until(lambda: cluster.engines() == 2)
    lone.stage.answering(address, lone.stage.start("gateway"))
    token = str(client.describe("steady")["AccessToken"])
    until(lambda: get(address, "/api/predict/steady/", token)[0] == 200, "it is not served")
    until(lambda: client.describe("steady")["Status"] == "Running", "it is not Running")
    assert lone.figures()['pierhead_hub_role{role="active"}'] == 1
    calls = Calls(address, token)
    calls.start()
    return calls


def _says_what_it_waits_for(lone: Lone) -> None:
    away, figures = lone.health(), lone.figures()
    assert away["role"] == "waiting"
    assert away["cluster"]["facts_age_seconds"] is None
    assert "Kubernetes API" in away["cluster"]["problem"]
    assert figures["pierhead_cluster_problem"] == 1
    assert "pierhead_cluster_facts_age_seconds" not in figures, "nobody knows how old they are"
    assert figures['pierhead_hub_role{role="waiting"}'] == 1
    assert get(lone.stage.listen, "/readyz/active")[0] == 503


def test_auto_stays_with_the_cluster_that_services_are_on(lone: Lone, cluster: Cluster) -> None:
    """A cluster that is away for a moment is no reason to start everything anew on the hub's machine."""
    hub = lone.start("auto")
    client = lone.stage.client
    client.call("CreateService", "POST", "/api/v2/services", body=SERVICE)
    until(lambda: client.describe("steady")["Status"] == "Running", "it is not Running")
    cluster.run(cluster.double.kill())
    hub.terminate()
    assert hub.wait(20) == 0
    hub = lone.start("auto")
    assert lone.health()["role"] == "waiting", "it went to another runtime"
    assert not list((lone.stage.folder / "replicas").glob("*/*/*.sock")), "processes were started"
    cluster.run(cluster.double.revive())
    until(lambda: lone.health()["role"] == "active", "it does not act")
    assert client.describe("steady")["RunningInstance"] == 2
    # Without a service there is nothing that a change of runtime could leave behind.
    client.call("DeleteService", "DELETE", client.path("steady"))
    until(lambda: not cluster.names("deployments") and _services(lone.stage.folder) == 0)
    cluster.run(cluster.double.kill())
    hub.terminate()
    assert hub.wait(20) == 0
    lone.start("auto")
    found = lone.health()
    assert found["role"] == "active"
    assert "cluster" not in found


def _services(folder: Path) -> int:
    (file,) = folder.glob("*.db")
    with sqlite3.connect(file) as tx:
        return int(tx.execute("select count(*) from services").fetchone()[0])
