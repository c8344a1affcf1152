"""The runtimes' contract, played on real servers with pods that are processes (see contract/test_runtime)."""

import asyncio
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hollow_cluster import HollowCluster

sys.path.append(str(Path(__file__).parent.parent / "contract"))

import test_runtime as contract

from pierhead.core.ids import engine_key
from pierhead.core.templates import Rolling
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.lightkube_api import LightkubeApi, configured
from pierhead.runtimes.kubernetes.probe import discover
from pierhead.runtimes.kubernetes.runtime import KubernetesRuntime
from replica_servers import (
    CRASHES,
    NEVER_READY,
    SERVER,
    SERVICE,
    gone,
    launch,
    ready,
    settle,
    until,
    workload,
)

#: Each pod has an address of its own.
_SERVER = SERVER.replace('"127.0.0.1"', 'os.environ["POD_IP"]')

#: All but what is about our own back-off (a kubelet has its own), about the platform's processes, and
#: about which pods leave first (servers before 1.22 cannot be told: those that share a node do).
SCENES: list[Callable[..., None]] = [
    partial(contract.test_rolling_update_serves_all_the_time, rolling=Rolling(1, 0)),
    partial(contract.test_rolling_update_serves_all_the_time, rolling=Rolling(0, 1)),
    contract.test_a_failed_roll_leaves_the_old_version_serving,
    contract.test_restart_replaces_every_replica,
    contract.test_stop_and_start_again,
    contract.test_a_draining_replica_lives_until_it_is_let_go,
    partial(contract.test_remove_from_any_state, version="mute"),
    partial(contract.test_remove_from_any_state, version="crashing"),
    contract.test_never_ready_is_never_called_ready,
    contract.test_every_change_is_hinted_and_close_ends_the_listening,
    contract.test_an_unknown_replica_has_no_log,
    contract.test_probe_names_a_node_and_how_limits_hold,
]


@dataclass(slots=True)
class _Stage(contract.Stage):
    """A runtime on a real server."""

    def version(self, kind: str, replicas: int, rollout: str = "1.0") -> Workload:
        code = {"good": _SERVER, "crashing": CRASHES, "mute": NEVER_READY}[kind]
        return workload(replicas, code=code, rollout=rollout)

    def nothing_left(self) -> bool:
        return self.runtime.observe() == [] and not list(self.folder.iterdir())

    def nothing_runs(self) -> bool:
        return self.runtime.observe() == []


async def _adopted(cluster: HollowCluster, folder: Path, **settings: Any) -> KubernetesRuntime:
    api = LightkubeApi(configured(str(cluster.kubeconfig)), time.time)
    found = await discover(api)
    whole = Cluster(**settings).discovered(found.version, found.kinds)
    key_of = partial(engine_key, b"of this test")
    made = KubernetesRuntime(api, whole, launch, time.time, Random(3), key_of, folder)
    await made.adopt()
    return made


def _play(
    cluster: HollowCluster,
    namespace: str,
    _kind: str,
    folder: Path,
    scene: contract.Scene,
    *,
    closes: bool = False,
) -> None:
    async def run() -> None:
        made = await _adopted(cluster, folder, namespace=namespace)
        server: Any = cluster  # as little as a double's: only that there is one is asked for
        try:
            await scene(_Stage(made, folder, server))
            if not closes:
                await gone(made)
                assert _Stage(made, folder, server).nothing_left()
        finally:
            await made.close()

    asyncio.run(asyncio.wait_for(run(), 120))


@pytest.mark.parametrize(
    "scene", SCENES, ids=lambda each: str(getattr(each, "func", each).__name__)
)
def test_on_real_servers(
    scene: Callable[..., None],
    cluster: HollowCluster,
    namespace: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(contract, "play", partial(_play, cluster, namespace))
    scene(kind="kubernetes", tmp_path=tmp_path)


def test_hubs_of_two_platforms_and_of_two_releases(
    cluster: HollowCluster, namespace: str, tmp_path: Path
) -> None:
    """One sees nothing of the other; and what another image would change waits for the next rollout."""

    async def run() -> None:
        older = await _adopted(cluster, tmp_path / "a", namespace=namespace, platform="one")
        newer = await _adopted(
            cluster, tmp_path / "b", namespace=namespace, platform="one", image="pierhead:2"
        )
        other = await _adopted(cluster, tmp_path / "c", namespace=namespace, platform="two")
        try:
            wanted = workload(2, code=_SERVER)
            first = {each.id for each in await settle(older, wanted, ready(2, pids=False))}
            assert other.observe() == []
            assert await other.remove(SERVICE, 0.0)  # of what is not its own nothing is removed
            await until(lambda: ready(2, pids=False)(newer.observe()))
            pod, _ = cluster.api.pods(namespace)
            path = f"/api/v1/namespaces/{namespace}/pods/{pod['metadata']['name']}"
            cluster.api("DELETE", path, {"gracePeriodSeconds": 1})
            await until(lambda: len(first & {each.id for each in newer.observe()}) == 1, 60)
            after = await settle(newer, wanted, ready(2, pids=False), 60)
            assert len(first & {each.id for each in after}) == 1
            after = await settle(newer, replace(wanted, replicas=3), ready(3, pids=False), 60)
            assert len(first & {each.id for each in after}) == 1
            assert _images(cluster, namespace) == {"pierhead:latest"}
            fresh = replace(wanted, rollout="1.1")
            await settle(newer, fresh, ready(2, "1.1", pids=False), 60)
            assert _images(cluster, namespace) == {"pierhead:2"}
            await gone(newer)
        finally:
            for each in (older, newer, other):
                await each.close()

    asyncio.run(asyncio.wait_for(run(), 240))


def _images(cluster: HollowCluster, namespace: str) -> set[str]:
    living = [
        each for each in cluster.api.pods(namespace) if "deletionTimestamp" not in each["metadata"]
    ]
    return {each["spec"]["containers"][0]["image"] for each in living}
