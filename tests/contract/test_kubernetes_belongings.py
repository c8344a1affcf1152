"""What a service has on a cluster besides its pods goes with it, for few requests and without asking around."""

import asyncio
import copy
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from kube_double import KubeDouble
from kube_stage import on_cluster
from pierhead.core.errors import Unavailable
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes.runtime import KubernetesRuntime
from replica_servers import SERVICE, ready, settle, until, workload

Scene = Callable[[KubeDouble, KubernetesRuntime], Awaitable[None]]
PDB = "policy/v1"
KINDS = ("deployments", "services", "poddisruptionbudgets", "secrets")
DEPLOYMENT, SERVICES, BUDGETS, _SECRETS = KINDS


def play(folder: Path, scene: Scene) -> None:
    """Run a scene on a fresh server and runtime."""

    async def run() -> None:
        async with KubeDouble() as server:
            made = on_cluster(server, folder, pdb=PDB)
            await made.adopt()
            try:
                await scene(server, made)
            finally:
                await made.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def up(count: int, rollout: str = "1.0") -> Any:
    return ready(count, rollout, pids=False)


def there(server: KubeDouble) -> dict[str, int]:
    """How many objects of each kind the server has."""
    return {kind: len(server.all(kind)) for kind in (*KINDS, "pods") if server.all(kind)}


async def removed(runtime: KubernetesRuntime, wanted: Workload) -> None:
    """As the reconciler does it: told that the service leaves, then asked until nothing is left."""
    drained = frozenset(each.id for each in runtime.observe(SERVICE))
    leaving = replace(wanted, replicas=0, leaving=True, drained=drained)
    give_up = time.monotonic() + 15
    while True:
        await runtime.apply(leaving)
        if await runtime.remove(SERVICE, 5.0):
            return
        assert time.monotonic() < give_up, runtime.observe(SERVICE)
        await asyncio.sleep(0.02)


def test_a_deletion_of_two_replicas_takes_four_requests_at_most(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        keyed = workload(2, env={"HF_TOKEN": "hf_of_this_test"})
        await settle(runtime, keyed, up(2))
        assert there(server) == dict.fromkeys(KINDS, 1) | {"pods": 2}
        server.requests.clear()
        await removed(runtime, keyed)
        asked = server.asked
        assert all(method == "DELETE" for method, _ in asked), asked
        assert len(asked) <= 4, asked
        await until(lambda: not there(server))

    play(tmp_path, scene)


def test_a_stop_and_a_start_take_one_request_each_besides_pods(tmp_path: Path) -> None:
    """The number is set as the rest is: no server takes us for two who want different ones."""

    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, workload(2), up(2))
        for _ in range(2):
            server.requests.clear()
            await stopped(runtime)
            assert changes(server) == ["PATCH"], "a stop"
            server.requests.clear()
            await settle(runtime, workload(2), up(2))
            assert changes(server) == ["PATCH"], "a start"
        await stopped(runtime)
        await settle(runtime, workload(3, rollout="2.0"), up(3, "2.0"))
        (deployment,) = server.all(DEPLOYMENT)
        owners = server._owners[deployment["metadata"]["uid"]]
        told = {who for who, paths in owners.items() if ("spec", "replicas") in paths}
        assert told == {("pierhead", "Apply")}

    play(tmp_path, scene)


def test_a_stop_is_heard_whoever_set_the_number_and_by_a_hub_that_did_not(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, workload(2), up(2))
        (deployment,) = server.all(DEPLOYMENT)
        name = deployment["metadata"]["name"]
        path = f"/apis/apps/v1/namespaces/{server.namespace}/deployments/{name}"
        async with ClientSession(f"http://127.0.0.1:{server.port}") as http:
            await http.patch(
                f"{path}?fieldManager=kubectl-scale",
                data='{"spec":{"replicas":1}}',
                headers={"Content-Type": "application/merge-patch+json"},
            )
        await until(lambda: runtime._copies.owners(SERVICE)[0]["spec"]["replicas"] == 1)
        await stopped(runtime)
        await settle(runtime, workload(2), up(2))
        second = on_cluster(server, tmp_path / "second", pdb=PDB)
        await second.adopt()
        await stopped(second)
        await settle(second, workload(2), up(2))
        await second.close()

    play(tmp_path, scene)


async def stopped(runtime: KubernetesRuntime) -> None:
    drained = frozenset(each.id for each in runtime.observe(SERVICE))
    await settle(runtime, replace(workload(0), drained=drained), lambda found: not found)


def changes(server: KubeDouble) -> list[str]:
    """What was asked of all but pods."""
    return [method for method, path in server.asked if "/pods/" not in path]


def test_another_hub_deletes_for_as_few(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, workload(2), up(2))
        second = on_cluster(server, tmp_path / "second", pdb=PDB)
        await second.adopt()
        server.requests.clear()
        await removed(second, workload(2))
        assert len(server.asked) <= 4, server.asked
        await until(lambda: not there(server))
        await second.close()

    play(tmp_path, scene)


def test_what_an_earlier_hub_left_behind_is_deleted(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, workload(2), up(2))
        (budget,) = server.all(BUDGETS)
        await settle(runtime, workload(1), up(1))
        assert not server.all(BUDGETS)
        # It ended before it deleted the budget.
        server.put((BUDGETS, server.namespace, budget["metadata"]["name"]), budget)
        second = on_cluster(server, tmp_path / "second", pdb=PDB)
        await second.adopt()
        await second.apply(workload(1))
        assert not server.all(BUDGETS)
        await second.close()

    play(tmp_path, scene)


def test_objects_that_belong_to_nobody_are_deleted_by_name(tmp_path: Path) -> None:
    """An earlier version did not say whom they belong to."""

    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, workload(2), up(2))
        for kind in (SERVICES, BUDGETS):
            (found,) = server.all(kind)
            plain = copy.deepcopy(found)
            assert plain["metadata"].pop("ownerReferences")
            server.put((kind, server.namespace, plain["metadata"]["name"]), plain)
        second = on_cluster(server, tmp_path / "second", pdb=PDB)
        await second.adopt()
        await removed(second, workload(2))
        await until(lambda: not there(server))
        await second.close()

    play(tmp_path, scene)


def test_a_deployment_that_somebody_deletes_comes_back_with_all_that_went_with_it(
    tmp_path: Path,
) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, workload(2), up(2))
        (old,) = server.all(DEPLOYMENT)
        server.drop((DEPLOYMENT, server.namespace, old["metadata"]["name"]))
        await until(lambda: not server.all(SERVICES))
        drained = frozenset(each.id for each in runtime.observe(SERVICE))

        def whole(found: Any) -> bool:
            return up(2)(found) and all(server.all(kind) for kind in KINDS[:3])

        # Until it has heard of that, all is as it should be.
        await settle(runtime, replace(workload(2), drained=drained), whole)
        (fresh,) = server.all(DEPLOYMENT)
        uid = fresh["metadata"]["uid"]
        assert uid != old["metadata"]["uid"]
        assert owned(server) == {SERVICES: [uid], BUDGETS: [uid]}

    play(tmp_path, scene)


def test_an_object_is_deleted_also_if_we_never_heard_that_it_was_taken(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, workload(2), up(2))
        (name,) = (each["metadata"]["name"] for each in server.all(BUDGETS))
        await settle(runtime, workload(1), up(1))
        server.faults.refuse[("PATCH", BUDGETS)] = 500
        with pytest.raises(Unavailable):
            await runtime.apply(workload(2))
        meta = {"name": name, "namespace": server.namespace, "labels": {}, "annotations": {}}
        server.put((BUDGETS, server.namespace, name), {"kind": "x", "metadata": meta})
        server.faults.refuse.clear()
        await removed(runtime, workload(2))
        await until(lambda: not there(server))

    play(tmp_path, scene)


def owned(server: KubeDouble) -> dict[str, list[str]]:
    """Kind -> uids of the Deployments that objects of that kind belong to."""
    return {
        kind: [
            owner["uid"] for one in server.all(kind) for owner in one["metadata"]["ownerReferences"]
        ]
        for kind in (SERVICES, BUDGETS)
    }


async def made_whole(server: KubeDouble, runtime: KubernetesRuntime) -> None:
    """Both replicas run, so nothing is started any more; what is missing beside them comes all the same."""
    await settle(runtime, replace(workload(2), held=True), up(2))
    (deployment,) = server.all(DEPLOYMENT)
    uid = deployment["metadata"]["uid"]
    assert owned(server) == {SERVICES: [uid], BUDGETS: [uid]}
    server.requests.clear()
    await runtime.apply(replace(workload(2), held=True))
    assert server.asked == []


def test_what_belongs_to_a_deployment_comes_also_if_its_answer_was_lost(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        api = runtime._delivery._api  # pyright: ignore[reportPrivateUsage]
        apply = api.apply

        async def lost(manifest: Any, **options: Any) -> Any:
            found = await apply(manifest, **options)
            if manifest["kind"] == "Deployment":
                raise Unavailable("The Kubernetes API", "no answer within 10 s")
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(api, "apply", lost)
            with pytest.raises(Unavailable):
                await runtime.apply(workload(2))
        assert not server.all(SERVICES)
        await until(lambda: up(2)(runtime.observe(SERVICE)))
        await made_whole(server, runtime)

    play(tmp_path, scene)


def test_what_belongs_to_a_deployment_comes_also_from_the_next_hub(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        server.faults.refuse[("PATCH", SERVICES)] = server.faults.refuse[("PATCH", BUDGETS)] = 503
        with pytest.raises(Unavailable):
            await runtime.apply(workload(2))
        server.faults.refuse.clear()
        await until(lambda: up(2)(runtime.observe(SERVICE)))
        second = on_cluster(server, tmp_path / "second", pdb=PDB)
        await second.adopt()
        await made_whole(server, second)
        await second.close()

    play(tmp_path, scene)


# ---- what wakes the reconciler ------------------------------------------------------------------


def test_how_many_pods_a_deployment_counts_wakes_nobody(tmp_path: Path) -> None:
    """The pods tell that themselves; what only the Deployment knows is told of."""

    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, workload(2), up(2))
        server.faults.no_controllers = True  # nobody else changes anything from now on
        hints: list[str] = []
        following = asyncio.create_task(_follow(runtime, hints))
        await asyncio.sleep(0.2)
        hints.clear()
        await _changed(
            server, runtime, status={"replicas": 2, "readyReplicas": 1, "observedGeneration": 7}
        )
        assert not hints
        failure = {"type": "ReplicaFailure", "status": "True", "message": "exceeded quota: small"}
        await _changed(server, runtime, status={"conditions": [failure]})
        assert hints == [SERVICE]
        (found,) = server.all(DEPLOYMENT)
        await _changed(
            server, runtime, metadata={"generation": found["metadata"].get("generation", 0) + 1}
        )
        assert hints == [SERVICE, SERVICE]
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)

    play(tmp_path, scene)


async def _follow(runtime: KubernetesRuntime, hints: list[str]) -> None:
    async for each in runtime.changes():
        hints += [each]


async def _changed(server: KubeDouble, runtime: KubernetesRuntime, **changes: Any) -> None:
    """Change a part of the one Deployment, and wait until the runtime has heard of it."""
    (found,) = server.all(DEPLOYMENT)
    after = copy.deepcopy(found)
    for part, values in changes.items():
        after.setdefault(part, {}).update(values)
    key = DEPLOYMENT, server.namespace, found["metadata"]["name"]
    version = server.put(key, after)["metadata"]["resourceVersion"]
    seen = runtime._copies.deployments  # pyright: ignore[reportPrivateUsage]

    def heard() -> bool:
        versions = [each["metadata"]["resourceVersion"] for each in seen.objects.values()]
        return version in versions

    await until(heard)
    await asyncio.sleep(0.05)
