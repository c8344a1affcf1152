"""LeaderWorkerSets of a namespace of the test cluster, and a stand-in for their controller."""

import asyncio
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from hollow_cluster import HollowCluster
from kube_client import MERGE

from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import names
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.lightkube_api import LightkubeApi, configured
from pierhead.runtimes.kubernetes.probe import discover
from pierhead.runtimes.kubernetes.runtime import KubernetesRuntime
from replica_servers import SERVER, launch, workload

Json = dict[str, Any]
MARK = "pierhead.dev/scaled-by"


class Sets:
    """The LeaderWorkerSets of a namespace, and every count that one was seen to have."""

    def __init__(self, cluster: HollowCluster, namespace: str) -> None:
        self.api, self.namespace = cluster.api, namespace
        self.path = f"/apis/leaderworkerset.x-k8s.io/v1/namespaces/{namespace}/leaderworkersets"
        self.counts: set[int] = set()
        self._kubeconfig = str(cluster.kubeconfig)

    def all(self) -> list[Json]:
        return self.api("GET", self.path)["items"]

    def one(self) -> Json:
        (found,) = self.all()
        self.counts.add(found["spec"]["replicas"])
        return found

    def marked(self) -> str:
        return self.one()["metadata"]["annotations"].get(MARK, "")

    def rollout(self) -> str:
        """What its leaders are made for."""
        leader = self.one()["spec"]["leaderWorkerTemplate"]["leaderTemplate"]
        return leader["metadata"]["labels"][names.ROLLOUT]

    def scale(self, replicas: int) -> None:
        """As a scaler does it."""
        path = f"{self.path}/{self.one()['metadata']['name']}/scale"
        self.api("PATCH", path, {"spec": {"replicas": replicas}}, MERGE)

    def touch(self) -> None:
        """As its controller does first of all; no more of it is done here."""
        path = f"{self.path}/{self.one()['metadata']['name']}/status"
        self.api("PATCH", path, {"status": {"observedGeneration": 1}}, MERGE)

    def belonging(self) -> list[str]:
        """uids of the owners of what belongs to a set."""
        paths = ("/api/v1", "services"), ("/apis/policy/v1beta1", "poddisruptionbudgets")
        return [
            owner["uid"]
            for root, plural in paths
            for found in self.api("GET", f"{root}/namespaces/{self.namespace}/{plural}")["items"]
            for owner in found["metadata"]["ownerReferences"]
        ]

    async def adopted(self, folder: Path) -> KubernetesRuntime:
        """A hub's runtime that has seen all that is there."""
        api = LightkubeApi(configured(self._kubeconfig), time.time)
        found = await discover(api)
        here = Cluster(namespace=self.namespace, follows_load=True)
        # What pods use nobody measures here: no scaler acts on it.
        here = replace(here.discovered(found.version, found.kinds), metrics=True)
        made = KubernetesRuntime(api, here, launch, time.time, Random(3), lambda _: "key", folder)
        await made.adopt()
        return made


class StandIn:
    """Does to pods what the controller of LeaderWorkerSets does, in its place, and without its StatefulSets."""

    def __init__(self, sets: Sets) -> None:
        self._sets, self._made = sets, set[str]()
        self._path = f"/api/v1/namespaces/{sets.namespace}/pods"

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.to_thread(self._turn)
            await asyncio.sleep(0.05)

    def _turn(self) -> None:
        for found in self._sets.all():
            pods = {
                each["metadata"]["name"]: each
                for each in self._sets.api("GET", self._path)["items"]
            }
            name, spec = found["metadata"]["name"], found["spec"]
            if not found.get("status"):
                self._sets.touch()
            for at in range(spec["replicas"]):
                leader = pods.get(f"{name}-{at}")
                if leader is None:
                    self._make(found, f"{name}-{at}", (at, 0), found)
                elif "deletionTimestamp" not in leader["metadata"]:
                    self._follow(found, leader, at, pods)
            for at in range(spec["replicas"], 9):
                if f"{name}-{at}" in pods:
                    self._delete(f"{name}-{at}", "Background")

    def _follow(self, found: Json, leader: Json, at: int, pods: dict[str, Json]) -> None:
        """The members of a leader; all of it anew when one of its pods ended or is gone."""
        name, address = leader["metadata"]["name"], leader["status"].get("podIP")
        names_ = [
            f"{name}-{rank}" for rank in range(1, found["spec"]["leaderWorkerTemplate"]["size"])
        ]
        group = [leader, *(pods[each] for each in names_ if each in pods)]
        lost = [e for e in names_ if leader["metadata"]["uid"] + e in self._made and e not in pods]
        if lost or any(map(_fell, group)):
            self._delete(name, "Foreground")
            return
        for rank, each in enumerate(names_, 1):
            if address and each not in pods:
                self._make(found, each, (at, rank), leader, address)
                self._made.add(leader["metadata"]["uid"] + each)

    def _make(
        self,
        found: Json,
        name: str,
        where: tuple[int, int],
        owner: Json,
        address: str = "127.0.0.1",
    ) -> None:
        part = "workerTemplate" if where[1] else "leaderTemplate"
        template = found["spec"]["leaderWorkerTemplate"][part]
        labels = {names.SET: found["metadata"]["name"]}
        labels |= {names.GROUP_INDEX: str(where[0]), names.WORKER_INDEX: str(where[1])}
        meta = {**template["metadata"], "name": name}
        meta["labels"] = {**meta["labels"], **labels}
        kind = {key: owner.get(key, default) for key, default in POD.items()}
        own = {each: owner["metadata"][each] for each in ("name", "uid")}
        meta["ownerReferences"] = [{**kind, **own, "controller": True, "blockOwnerDeletion": True}]
        spec = json.loads(json.dumps(template["spec"]))
        for container in spec["containers"]:
            container["env"].append({"name": "LWS_LEADER_ADDRESS", "value": address})
        self._sets.api("POST", self._path, {**POD, "metadata": meta, "spec": spec})

    def _delete(self, name: str, how: str) -> None:
        self._sets.api("DELETE", f"{self._path}/{name}?propagationPolicy={how}")


POD: Json = {"apiVersion": "v1", "kind": "Pod"}
#: In place of Ray: a head listens, a member stays.
RAY = """#!/bin/sh
[ "$2" = --head ] || exec sleep 600
python3 -c 'import os, socket, time
with socket.create_server((os.environ["POD_IP"], 6379)): time.sleep(600)' >/dev/null 2>&1 &
"""


def _fell(pod: Json) -> bool:
    again = any(each["restartCount"] for each in pod["status"].get("containerStatuses", ()))
    member = pod["metadata"]["labels"][names.WORKER_INDEX] != "0"
    return again or (member and "deletionTimestamp" in pod["metadata"])


def several(folder: Path, nodes: int) -> Workload:
    """A small server that takes itself for an engine on so many nodes."""
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    (programs / "ray").write_text(RAY)
    (programs / "ray").chmod(0o755)
    if not (programs / "python3").exists():
        (programs / "python3").symlink_to(sys.executable)
    code = SERVER.replace('"127.0.0.1"', 'os.environ["POD_IP"]')
    env = {"PATH": f"{programs}:/usr/bin:/bin"}
    return workload(1, code=code, engine="vllm", nodes=nodes, env=env)
