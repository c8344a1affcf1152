"""LeaderWorkerSets that the cluster does not show to us: none is taken for one that is not there."""

import asyncio
import copy
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kube_stage import QUICK, on_cluster
from lws_double import SETS, GroupsDouble
from pierhead.core.errors import Unavailable
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import names, strays
from pierhead.runtimes.kubernetes.runtime import KubernetesRuntime
from pierhead.runtimes.kubernetes.strangers import Foreign
from replica_servers import SERVICE, gone, ready, settle, until, workload

Scene = Callable[[GroupsDouble, KubernetesRuntime], Awaitable[None]]
OTHER = "6f" * 16
PLATFORM = "1000000000000001"
UNSEEN = "list of the cluster's leaderworkersets is not available: .*refused as the test wants it"


def play(folder: Path, scene: Scene, before: Workload, *, stopped: bool = False) -> None:
    """Run a scene with a hub that may not see the sets of which an earlier one has made one."""

    async def run() -> None:
        async with GroupsDouble() as server:
            for name in ("n3", "n4"):
                server.add_node(name)
            first = on_cluster(server, folder, lws=True, platform=PLATFORM)
            await first.adopt()
            await settle(first, before, up(before.replicas))
            while stopped and first.observe(SERVICE):
                drained = frozenset(each.id for each in first.observe(SERVICE))
                await first.apply(replace(before, replicas=0, drained=drained))
                await asyncio.sleep(0.02)
            await first.close()
            server.faults.refuse["GET", SETS] = 403
            pace = replace(QUICK, whole_list=0.2)
            second = on_cluster(server, folder / "2", lws=True, platform=PLATFORM, pace=pace)
            await second.adopt()
            try:
                await scene(server, second)
            finally:
                await second.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def spanning(replicas: int) -> Workload:
    """Replicas that are on two nodes each."""
    keyed = {"HF_TOKEN": "hf_of_this_test"}
    return workload(replicas, engine="vllm", nodes=2, env=keyed)


def up(count: int) -> Any:
    return ready(count, pids=False)


def changes(server: GroupsDouble) -> list[tuple[str, str]]:
    return [each for each in server.requests if each[0] in {"PATCH", "DELETE"}]


def uids(server: GroupsDouble) -> set[str]:
    """Of what is there of our services."""
    every = (SETS, "deployments", "services", "secrets", "pods")
    return {each["metadata"]["uid"] for kind in every for each in server.all(kind)}


def of_set(server: GroupsDouble) -> list[int]:
    return [each["spec"]["replicas"] for each in server.all(SETS)]


@pytest.mark.parametrize(
    "change",
    [{}, {"room": 1}, {"replicas": 0}, {"rollout": "2.0"}, {"nodes": 1}, {"leaving": True}],
    ids=str,
)
def test_law_nothing_is_sent_of_a_service_whose_set_is_not_seen(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    """Also where it is to be on one node by now: its set is to go, once its Deployment has replicas."""
    before = spanning(2)
    nodes = change.get("nodes", 2)
    wanted = replace(before, template=replace(before.template, nodes=nodes))
    wanted = replace(wanted, **{key: each for key, each in change.items() if key != "nodes"})

    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        there = uids(server)
        server.requests.clear()
        for _ in range(3):
            with pytest.raises(Unavailable, match=UNSEEN):
                await runtime.apply(wanted)
        assert changes(server) == []
        assert up(2)(runtime.observe(SERVICE)), "what runs goes on"
        server.faults.refuse.clear()
        await until(lambda: not runtime._copies.groups_unseen)
        await runtime.apply(before)
        assert changes(server) == [] and uids(server) == there and of_set(server) == [2]

    play(tmp_path, scene, before)


@pytest.mark.parametrize("stopped", [True, False])
@pytest.mark.parametrize("recorded", [True, False])
def test_a_removal_waits_for_the_sight_of_sets_and_says_so(
    tmp_path: Path, stopped: bool, recorded: bool
) -> None:
    """`recorded`: the platform still knows the service; of others `remove` alone is asked for."""
    leaving = replace(spanning(1), replicas=0, leaving=True)

    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        there = uids(server)
        server.requests.clear()
        for _ in range(3):
            if recorded:
                with pytest.raises(Unavailable, match=UNSEEN):
                    await runtime.apply(leaving)
            with pytest.raises(Unavailable, match=UNSEEN):
                await runtime.remove(SERVICE, 1.0)
        assert changes(server) == []
        assert uids(server) == there and of_set(server) == [int(not stopped)]
        server.faults.refuse.clear()
        await until(lambda: not runtime._copies.groups_unseen)
        await gone(runtime)
        assert of_set(server) == [] and server.all("pods") == []

    play(tmp_path, scene, spanning(1), stopped=stopped)


def test_services_without_sets_are_run_and_removed_as_ever(tmp_path: Path) -> None:
    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        other = replace(workload(1), service=OTHER)
        await settle(runtime, other, up(1))
        assert runtime.facts_problem() == ""
        await gone(runtime, OTHER)
        assert of_set(server) == [1]

    play(tmp_path, scene, spanning(1))


def test_its_pods_tell_of_a_set_as_well(tmp_path: Path) -> None:
    """Where somebody deleted the Service that goes with it."""

    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        for found in server.all("services"):
            server.drop(("services", server.namespace, found["metadata"]["name"]))
        await asyncio.sleep(0.25)
        assert not await runtime._delivery.in_set(SERVICE)
        with pytest.raises(Unavailable, match=UNSEEN):
            await runtime.remove(SERVICE, 1.0)
        assert of_set(server) == [1]

    play(tmp_path, scene, spanning(1))


def test_a_service_that_never_had_a_set_is_removed(tmp_path: Path) -> None:
    """Its first set waited for the sight of sets."""
    other = replace(spanning(1), service=OTHER)

    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        with pytest.raises(Unavailable, match=UNSEEN):
            await runtime.apply(other)
        await runtime.apply(replace(other, replicas=0, leaving=True))
        assert await runtime.remove(OTHER, 1.0)
        assert of_set(server) == [1]

    play(tmp_path, scene, spanning(1))


def test_a_set_that_is_gone_by_now_holds_up_no_removal(tmp_path: Path) -> None:
    """Somebody deleted it, and its Service with it: the next whole list tells."""

    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        with pytest.raises(Unavailable, match=UNSEEN):
            await runtime.remove(SERVICE, 1.0)
        for kind in (SETS, "services"):
            for found in server.all(kind):
                server.drop((kind, server.namespace, found["metadata"]["name"]))
        await asyncio.sleep(0.25)
        await gone(runtime)
        assert server.all("secrets") == []

    play(tmp_path, scene, spanning(1), stopped=True)


@pytest.mark.parametrize("label", [None, "1000000000000002"])
def test_a_set_that_lost_our_label_goes_with_its_pods(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, label: str | None
) -> None:
    """Its StatefulSets would be made anew for ever; one that is another platform's by now stays."""
    monkeypatch.setattr(strays, "PATIENCE", 0.1)

    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        server.faults.refuse.clear()
        await until(lambda: not runtime._copies.groups_unseen)
        (found,) = copy.deepcopy(server.all(SETS))
        found["metadata"]["labels"].pop(names.PLATFORM)
        if label is not None:
            found["metadata"]["labels"][names.PLATFORM] = label
        server.put((SETS, server.namespace, found["metadata"]["name"]), found)
        server.drop((SETS, server.namespace, found["metadata"]["name"]))
        server.put((SETS, server.namespace, found["metadata"]["name"]), found)
        await until(lambda: runtime._copies.owner(SERVICE) is None)
        if label is None:
            await gone(runtime)
            assert of_set(server) == [] and server.all("pods") == []
            return
        with pytest.raises(Foreign, match=label):
            await gone(runtime)
        assert of_set(server) == [1] and len(server.all("pods")) == 2

    play(tmp_path, scene, spanning(1))
