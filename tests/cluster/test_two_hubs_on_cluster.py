"""Two hubs on one database and a real control plane: one acts, the other takes over. Law: nothing is done twice."""

import json
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from cluster_stage import MARK
from hollow_cluster import HollowCluster
from hub_pair import Pair
from kube_client import is_ready, until
from open_loop import Load, calling, spotless
from proxy import Proxy, before
from stage import document, get

from pierhead.cli.client import EasClient
from pierhead.runtimes.kubernetes import names

Json = dict[str, Any]
TAKEOVER = 5.0  #: seconds
NAME = "steady"


@dataclass(frozen=True, slots=True)
class Reached:
    """The cluster by another way."""

    kubeconfig: Path


class World:
    """Two hubs, of which the first reaches the API server through a proxy."""

    def __init__(self, cluster: HollowCluster, namespace: str, folder: Path, database: str) -> None:
        self.cluster, self.namespace = cluster, namespace
        self._stack = ExitStack()
        self.proxy, first = self._proxied(folder / "kubeconfig-of-one")
        flags = (
            f"--set=kubernetes.namespace={namespace}",
            f"--set=kubernetes.python={sys.executable}",
        )
        try:
            self.pair = Pair(folder, database, cluster, flags, first=first)
        except BaseException:
            self._stack.close()
            raise

    def _proxied(self, into: Path) -> tuple[Proxy, Reached]:
        config = yaml.safe_load(self.cluster.kubeconfig.read_text())
        server = config["clusters"][0]["cluster"]
        url = urlsplit(server["server"])
        proxy = self._stack.enter_context(before(str(url.hostname), int(url.port or 443)))
        server["server"] = f"https://127.0.0.1:{proxy.port}"
        into.write_text(json.dumps(config))
        return proxy, Reached(into)

    def close(self) -> None:
        """End all of it."""
        self.pair.end()
        self._stack.close()
        for stage in (*self.pair.stages, self.pair.gateway):
            print(stage.folder.name, stage.tail(60), sep="\n")

    def create(self, hub: int, replicas: int) -> str:
        """Make the service by a hub, and wait until it runs; its token."""
        client = self.pair.client(hub)
        body = document(NAME, replicas, mark=MARK, env={"VERSION": "1"})
        client.call("CreateService", "POST", "/api/v2/services", body=body)
        self.running(client, replicas)
        return str(client.describe(NAME)["AccessToken"])

    def scale(self, hub: int, replicas: int) -> None:
        """Ask a hub for so many replicas."""
        client, body = self.pair.client(hub), {"metadata": {"instance": replicas}}
        client.call("UpdateService", "PUT", client.path(NAME), body=body)

    def running(self, client: EasClient, replicas: int) -> None:
        """Wait until a hub says that it runs with so many replicas."""

        def said() -> bool:
            found = client.describe(NAME)
            return (found["Status"], found["RunningInstance"]) == ("Running", replicas)

        until(said, lambda: client.describe(NAME))

    def deployment(self) -> Json:
        """The one Deployment of the namespace."""
        path = f"/apis/apps/v1/namespaces/{self.namespace}/deployments"
        (found,) = self.cluster.api("GET", path)["items"]
        return found

    def pods(self) -> dict[str, Json]:
        """Those that serve, by uid."""
        found = self.cluster.api.pods(self.namespace)
        return {each["metadata"]["uid"]: each for each in found if is_ready(each)}

    def versions(self) -> dict[str, str]:
        """uid -> version of what the service has beside its Deployment and pods."""
        paths = (
            "api/v1/{}/services",
            "api/v1/{}/secrets",
            "apis/policy/v1beta1/{}/poddisruptionbudgets",
        )
        found = [
            each["metadata"]
            for path in paths
            for each in self.cluster.api("GET", "/" + path.format(f"namespaces/{self.namespace}"))[
                "items"
            ]
            if names.SERVICE_ID in each["metadata"].get("labels", {})
        ]
        assert found
        # A budget's status is told anew with each pod that comes: its generation is what was asked.
        return {each["uid"]: str(each.get("generation", each["resourceVersion"])) for each in found}

    def writes(self) -> list[tuple[str, str, str]]:
        """What hubs changed so far."""
        return self.cluster.writes(self.namespace)


@pytest.fixture
def world(
    cluster: HollowCluster, namespace: str, tmp_path: Path, postgres_url: str
) -> Iterator[World]:
    made = World(cluster, namespace, tmp_path, postgres_url)
    try:
        yield made
    finally:
        made.close()


def test_the_active_one_is_killed_under_load(world: World) -> None:
    """Takeover within 5 s; no request fails, no pod is touched, one change is sent once."""
    pair = world.pair
    token = world.create(1, 2)  # by the one that stands by
    pair.start_gateway()
    address = pair.gateway.gateway_listen
    until(lambda: get(address, f"/api/predict/{NAME}/", token)[0] == 200, pair.gateway.tail)
    pods, written, there = world.pods(), world.writes(), world.deployment()
    beside = world.versions()
    load = Load(address, ((NAME, token),), rate=20, streams=6, gap=0.1)
    with calling(pair.gateway.folder, load) as finish:
        pair.signal(0, signal.SIGKILL)
        began = time.monotonic()
        world.scale(1, 3)  # while nobody is active
        pair.becomes(1, "active", TAKEOVER)
        active = time.monotonic() - began
        until(lambda: world.deployment()["spec"]["replicas"] == 3, world.deployment)
        acted = time.monotonic() - began
        world.running(pair.client(1), 3)
        account = finish()
    print(f"active after {active:.1f} s, applied after {acted:.1f} s: {account.sent} sent")
    spotless(account)
    assert acted < TAKEOVER
    assert pods.keys() <= world.pods().keys()
    assert not [each for each in world.pods().values() if restarts(each)]
    sent = world.writes()[len(written) :]
    name = there["metadata"]["name"]
    assert [each for each in sent if each[1] == "deployments"] == [("patch", "deployments", name)]
    assert world.deployment()["metadata"]["generation"] == there["metadata"]["generation"] + 1
    # The one that took over may send again what it did not send itself; nothing comes of it.
    assert {each[0] for each in sent} == {"patch"}
    assert world.versions() == beside


def test_one_that_was_stopped_past_its_lease_writes_nothing_any_more(world: World) -> None:
    """Fencing: it is stopped amid a request, and goes on when another one has acted: nobody hears of it."""
    pair = world.pair
    world.create(0, 2)
    world.proxy.swallow = True  # its next request never arrives
    world.scale(0, 3)
    until(lambda: world.proxy.swallowed, "it does not act")
    assert world.deployment()["spec"]["replicas"] == 2
    pair.signal(0, signal.SIGSTOP)
    began = time.monotonic()
    pair.becomes(1, "active", TAKEOVER)
    print(f"active after {time.monotonic() - began:.1f} s")
    until(lambda: world.deployment()["spec"]["replicas"] == 3, "the other one does not go on")
    world.running(pair.client(1), 3)
    world.scale(1, 1)
    world.running(pair.client(1), 1)
    until(lambda: len(world.cluster.api.pods(world.namespace)) == 1, "two pods go")
    until(lambda: world.deployment()["status"].get("replicas") == 1, "its status is told")
    written, there, pods = world.writes(), world.deployment(), world.pods()
    assert len([each for each in written if each[1] == "deployments"]) == 3  # made, 3, 1

    world.proxy.swallow = False  # what it sends from now on would arrive
    pair.signal(0, signal.SIGCONT)
    assert pair.hubs[0].wait(30) == 1, "it goes on, although another one has taken over"
    assert "another hub has taken over" in pair.stages[0].tail()
    assert world.writes() == written
    assert world.deployment()["metadata"] == there["metadata"]  # its version and managers, too
    assert world.pods().keys() == pods.keys()
    assert pair.role(1) == "active"
    # Who keeps it starts it again, and it stands by.
    pair.hubs[0] = pair.start(0)
    pair.becomes(0, "standby")
    assert pair.client(0).describe(NAME)["RunningInstance"] == 1


def restarts(pod: Json) -> int:
    """How often its container was started again."""
    return sum(each["restartCount"] for each in pod["status"]["containerStatuses"])
