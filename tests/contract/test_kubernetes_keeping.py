"""What pods of a rollout are made with and mount stays while the rollout does, whatever the settings say by now."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from kube_double import KubeDouble
from kube_stage import on_cluster
from kubernetes_cases import CASES, ask
from pierhead.runtimes.kubernetes.runtime import KubernetesRuntime
from replica_servers import ready, settle

PARTS = {
    "csi": {"persistentvolumes", "persistentvolumeclaims", "akId"},
    "fetch": {"fetch-account"},
}


def needed(server: KubeDouble) -> set[str]:
    """What there is for pods: keys of Secrets, and kinds of volumes."""
    secrets = {key for each in server.all("secrets") for key in each["data"]}
    kinds = ("persistentvolumes", "persistentvolumeclaims")
    return secrets | {kind for kind in kinds if server.all(kind)}


def changed_weights(
    server: KubeDouble, folder: Path, before: str, after: str
) -> tuple[KubernetesRuntime, KubernetesRuntime]:
    """Two hubs, one after the other, with another setting."""
    pair = on_cluster(server, folder, weights=before), on_cluster(server, folder, weights=after)
    for runtime in pair:
        runtime._launch = ask
    return pair


@pytest.mark.parametrize(("before", "after"), [("csi", "fetch"), ("fetch", "csi")])
def test_what_pods_of_a_rollout_need_stays_until_the_next_one(
    tmp_path: Path, before: str, after: str
) -> None:
    """Their template stays when the settings change, so a pod that is replaced still needs it."""
    bucket = CASES["bucket"].workload
    wanted = replace(bucket, replicas=1, template=replace(bucket.template, stop_grace=1.0))

    async def scene(server: KubeDouble) -> None:
        first, second = changed_weights(server, tmp_path, before, after)
        await first.adopt()
        await settle(first, wanted, ready(1, wanted.rollout, pids=False))
        assert PARTS[before] <= needed(server)
        await first.close()
        await second.adopt()
        for each in (wanted, replace(wanted, held=True), wanted):
            await second.apply(each)
            assert PARTS[before] <= needed(server)
        for pod in server.all("pods"):
            server.drop(("pods", server.namespace, pod["metadata"]["name"]))
        await settle(second, wanted, ready(1, wanted.rollout, pids=False))
        server.requests.clear()
        await second.apply(wanted)
        assert server.asked == [], "nothing is tried with each look"
        rolled = replace(wanted, rollout="9.0")
        await settle(second, rolled, ready(1, "9.0", pids=False))
        await second.apply(rolled)
        assert PARTS[after] <= needed(server)
        assert not PARTS[before] & needed(server)
        await second.close()

    async def run() -> None:
        async with KubeDouble() as server:
            await scene(server)

    asyncio.run(asyncio.wait_for(run(), 60))
