"""A replica over several nodes is a LeaderWorkerSet: made, followed, replaced and removed like any other."""

import asyncio
import copy
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kube_double import Behaviour, stamp
from kube_stage import QUICK, on_cluster
from kubernetes_cases import BY_CPU
from lws_double import SETS, GroupsDouble
from pierhead.core.errors import Occupied, Refused, Unsupported
from pierhead.core.replicas import LEAVING, ReplicaState, ReplicaStatus
from pierhead.core.resources import Resources
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import groups, names, pods
from pierhead.runtimes.kubernetes.copies import maker_key
from pierhead.runtimes.kubernetes.runtime import KubernetesRuntime
from replica_servers import SERVICE, ready, removed, settle, until, workload

Scene = Callable[[GroupsDouble, KubernetesRuntime], Awaitable[None]]
PDB = "policy/v1"
#: What of a service's there may be, but for pods and what LWS makes itself.
OURS = (SETS, "deployments", "services", "poddisruptionbudgets", "secrets")


def play(folder: Path, scene: Scene, **cluster: Any) -> None:
    """Run a scene on a fresh server with three nodes, and a runtime that has seen it."""

    async def run() -> None:
        async with GroupsDouble() as server:
            server.add_node("n3")
            made = on_cluster(server, folder, **{"lws": True, "pdb": PDB, **cluster})
            await made.adopt()
            try:
                await scene(server, made)
            finally:
                await made.close()

    asyncio.run(asyncio.wait_for(run(), 90))


def spanning(replicas: int = 1, nodes: int = 2, rollout: str = "1.0", **template: Any) -> Workload:
    """Replicas that are on so many nodes each."""
    keyed = {"HF_TOKEN": "hf_of_this_test"}
    return workload(replicas, rollout=rollout, engine="vllm", nodes=nodes, env=keyed, **template)


def up(count: int, rollout: str = "1.0") -> Any:
    return ready(count, rollout, pids=False)


def ours(server: GroupsDouble) -> dict[str, int]:
    """How many objects of a service there are, by kind."""
    return {
        kind: len(found)
        for kind in OURS
        if (found := [one for one in server.all(kind) if "labels" in one["metadata"]])
    }


def one_set(server: GroupsDouble) -> dict[str, Any]:
    (found,) = server.all(SETS)
    return found


async def drained(
    runtime: KubernetesRuntime, wanted: Workload, done: Any, seconds: float = 20
) -> Any:
    """Settle, while whoever was told to end has no requests."""
    give_up = time.monotonic() + seconds
    while True:
        leaving = {each.id for each in runtime.observe(SERVICE) if each.state in LEAVING}
        await runtime.apply(replace(wanted, drained=frozenset(leaving)))
        found = runtime.observe(SERVICE)
        if done(found):
            return found
        assert time.monotonic() < give_up, f"not settled: {found}"
        await asyncio.sleep(0.01)


# ---- made, scaled, stopped, removed ---------------------------------------------------------------


def test_a_replica_is_its_leader_and_takes_requests_once_its_members_run(tmp_path: Path) -> None:
    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        server.members["1.0"] = Behaviour(never_ready=True)
        wanted = spanning(2, nodes=3)

        def waiting(found: list[ReplicaStatus]) -> bool:
            return {each.state for each in found} == {ReplicaState.STARTING} and len(found) == 2

        await settle(runtime, wanted, waiting)
        server.members.clear()
        found = await settle(runtime, wanted, up(2))
        assert len(server.all("pods")) == 6 and len(found) == 2
        for each in found:
            assert len(set(each.places)) == 3 and "" not in each.places
            assert each.host and each.id in {pod["metadata"]["uid"] for pod in server.leaders()}
        assert ours(server) == dict.fromkeys((SETS, *OURS[2:]), 1)
        # Its name in the cluster leads to nobody who has no engine, and is not the name that LWS takes.
        service, other = sorted(
            server.all("services"), key=lambda one: len(one["metadata"]["name"])
        )
        assert service["spec"]["selector"][names.COMPONENT] == names.REPLICA
        assert other["metadata"]["name"] == one_set(server)["metadata"]["name"]
        components = {pod["metadata"]["labels"][names.COMPONENT] for pod in server.leaders()}
        assert components == {names.REPLICA}
        uid = one_set(server)["metadata"]["uid"]
        (budget,) = server.all("poddisruptionbudgets")
        for each in (service, budget):
            assert [one["uid"] for one in each["metadata"]["ownerReferences"]] == [uid]

    play(tmp_path, scene)


def test_a_set_that_is_as_it_should_be_costs_no_request_and_a_change_few(tmp_path: Path) -> None:
    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        server.requests.clear()
        await settle(runtime, spanning(2), up(2))
        assert len(server.asked) <= 4, server.asked
        server.requests.clear()
        for _ in range(5):
            await runtime.apply(spanning(2))
        assert server.asked == []
        await settle(runtime, spanning(3), up(3))
        assert [method for method, _ in server.asked] == ["PATCH"]
        server.requests.clear()
        await drained(runtime, spanning(2), lambda found: up(2)(found) and len(found) == 2)
        sent = [each for each in server.asked if "/pods/" not in each[1]]
        assert [method for method, _ in sent] == ["PATCH"]
        assert {pod["metadata"]["name"][-2:] for pod in server.leaders()} == {"-0", "-1"}

    play(tmp_path, scene)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_an_update_ends_and_has_one_group_fewer_at_most(tmp_path: Path, count: int) -> None:
    """Law: whatever the number of replicas, an update comes to its end; LWS takes its surge back too early."""

    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, spanning(count), up(count))
        before = {each.id for each in runtime.observe()}
        server.fewest_ready = count
        server.requests.clear()

        def rolled(found: list[ReplicaStatus]) -> bool:
            return up(count, "1.1")(found) and len(found) == count

        found = await drained(runtime, spanning(count, rollout="1.1"), rolled, 40)
        assert server.fewest_ready == count - 1
        assert not before & {each.id for each in found}
        sent = [each for each in server.asked if "/pods/" not in each[1]]
        assert len(sent) <= 4, sent

    play(tmp_path, scene)


def test_it_stops_and_starts(tmp_path: Path) -> None:
    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, spanning(2), up(2))
        await drained(runtime, spanning(0), lambda found: not found)
        await until(lambda: not server.all("pods"))
        assert one_set(server)["spec"]["replicas"] == 0
        await settle(runtime, spanning(2), up(2))

    play(tmp_path, scene)


def test_it_is_removed_when_the_last_of_its_pods_is_gone_and_leaders_end_first(
    tmp_path: Path,
) -> None:
    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, spanning(2), up(2))
        server.requests.clear()
        leaving = replace(spanning(2), replicas=0, leaving=True)
        await runtime.apply(leaving)
        assert not await runtime.remove(SERVICE, 5.0)
        await until(lambda: all("deletionTimestamp" in pod["metadata"] for pod in server.leaders()))
        # Their streams go on for as long as their grace allows, and need what computes for them.
        followers = [each for pod in server.leaders() for each in server.followers(pod)]
        assert followers and not [
            pod for pod in followers if "deletionTimestamp" in pod["metadata"]
        ]
        assert {each.state for each in runtime.observe()} <= {
            ReplicaState.DRAINING,
            ReplicaState.READY,
        }
        await removed(runtime, spanning(2))
        assert not server.all("pods") and not ours(server)
        assert len([each for each in server.asked if "/pods/" not in each[1]]) <= 4, server.asked

    play(tmp_path, scene)


def test_another_hub_finds_it_and_touches_nothing(tmp_path: Path) -> None:
    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        before = await settle(runtime, spanning(2), up(2))
        second = on_cluster(server, tmp_path / "second", lws=True, pdb=PDB)
        await second.adopt()
        server.requests.clear()
        await second.apply(spanning(2))
        assert server.asked == []
        assert {each.id for each in second.observe()} == {each.id for each in before}
        await removed(second, spanning(2))
        assert not server.all("pods") and not ours(server)
        await second.close()

    play(tmp_path, scene)


def test_a_set_that_no_service_wants_is_seen_and_removed(tmp_path: Path) -> None:
    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, spanning(1), up(1))
        await runtime.close()
        second = on_cluster(server, tmp_path / "second", lws=True, pdb=PDB)
        await second.adopt()
        assert {each.service for each in second.observe()} == {SERVICE}
        give_up = time.monotonic() + 20
        while not await second.remove(
            SERVICE, 1.0
        ):  # as a stray is removed: nobody wants anything of it
            assert time.monotonic() < give_up, second.observe()
            await asyncio.sleep(0.02)
        assert not server.all("pods") and not ours(server)
        await second.close()

    play(tmp_path, scene)


# ---- what goes wrong ------------------------------------------------------------------------------


def test_a_member_that_crashes_takes_its_replica_along_and_is_counted(tmp_path: Path) -> None:
    """Law: an engine that lost a part of itself takes no requests, and nobody forgets what it was."""

    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        (before,) = await settle(runtime, spanning(1), up(1))
        (leader,) = server.leaders()
        (member,) = server.followers(leader)
        server.crash(member["metadata"]["uid"], 137, "CUDA out of memory", oom=True)

        def fallen(found: list[ReplicaStatus]) -> bool:
            return [each.state for each in found] == [ReplicaState.CRASHED]

        (found,) = await settle(runtime, spanning(1), fallen)
        assert found.id == before.id and not found.address
        assert found.message.startswith("A member (node 2 of 2): ") and found.last_exit
        assert found.last_exit.oom
        seen: list[str] = []

        def whole(found: list[ReplicaStatus]) -> bool:
            seen.extend(each.id for each in found if each.state is ReplicaState.READY)
            return up(1)(found)

        (after,) = await drained(runtime, spanning(1), whole)
        assert before.id not in seen and after.failures == 1
        assert "A member (node 2 of 2) ended: killed: out of memory" in after.last_lines

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("behaviour", "reason", "says"),
    [
        (
            Behaviour(stuck={"reason": "ErrImagePull", "message": "no such host"}),
            "ImagePullFailed",
            "no such host",
        ),
        (
            Behaviour(crash=1, lines=("no route to the leader",)),
            "",
            "no route to the leader",
        ),
    ],
    ids=["no image", "crashes"],
)
def test_what_a_member_lacks_is_what_its_replica_lacks(
    tmp_path: Path, behaviour: Behaviour, reason: str, says: str
) -> None:
    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        server.members["1.0"] = behaviour

        def told(found: list[ReplicaStatus]) -> bool:
            return any(says in text for each in found for text in (each.message, *each.last_lines))

        found = await drained(runtime, spanning(1, nodes=3), told)
        assert all(each.state is not ReplicaState.READY for each in found)
        if reason:
            assert [each.reason for each in found] == [reason]
            assert found[0].message.startswith("A member (node 2 of 3): ")

    play(tmp_path, scene)


def test_a_member_that_waits_for_its_leader_hides_nothing_that_is_wrong() -> None:
    def one(state: ReplicaState, reason: str = "") -> ReplicaStatus:
        return ReplicaStatus(
            "u", SERVICE, "1.0", state, 0.0, node="n", reason=reason, message=f"{reason}."
        )

    waits = one(ReplicaState.PENDING, pods.IN_TURN)
    stuck = one(ReplicaState.PENDING, "ImagePullFailed")
    up_, begins = one(ReplicaState.STARTING), one(ReplicaState.PENDING)
    told = groups.whole(up_, 3, {1: waits, 2: stuck})
    assert (told.reason, told.message[:23]) == ("ImagePullFailed", "A member (node 3 of 3):")
    assert groups.whole(begins, 3, {1: waits, 2: stuck}).reason == "ImagePullFailed"
    assert groups.whole(begins, 3, {1: waits, 2: waits}).reason == ""
    # A leader that runs and is not reached: its network is to be looked at.
    assert groups.whole(up_, 3, {1: waits, 2: waits}).reason == pods.IN_TURN


def test_more_nodes_than_there_are_is_told(tmp_path: Path) -> None:
    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        def told(found: list[ReplicaStatus]) -> bool:
            return any("must not have it beside others" in each.message for each in found)

        (found,) = await settle(runtime, spanning(1, nodes=4), told)
        assert found.reason == "PodUnschedulable"
        assert found.message.startswith("A member (node 4 of 4): 0 of 3 nodes fit")
        assert len(found.places) == 4 and found.places[-1] == ""
        assert found.state in {ReplicaState.STARTING, ReplicaState.PENDING}

    play(tmp_path, scene)


def test_a_node_that_is_lost_under_a_member_ends_its_replica_and_another_comes(
    tmp_path: Path,
) -> None:
    """Law: a pod whose end nobody tells does not keep its group from being made anew."""

    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        (before,) = await settle(runtime, spanning(1), up(1))
        assert before.places == ("n1", "n2")
        server.node_answers("n2", well=False)

        def cut(found: list[ReplicaStatus]) -> bool:
            return [each.state for each in found] == [ReplicaState.UNREADY]

        (found,) = await settle(runtime, spanning(1), cut)
        assert found.reason == "NodeNotReady"
        assert found.message.startswith("A member (node 2 of 2): the node [n2]")
        server.evict_all("n2")  # by now its replica takes no requests, until it is another one
        (after,) = await drained(runtime, spanning(1), up(1))
        assert after.id != before.id and after.places == ("n1", "n3")

    play(tmp_path, scene, not_ready_seconds=1)


def test_a_replica_that_lost_a_member_waits_for_no_request_to_end(tmp_path: Path) -> None:
    """Law: nothing that such an engine was asked can end well, so its grace serves nobody."""

    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        (before,) = await settle(runtime, spanning(1, stop_grace=60.0), up(1))
        server.node_answers("n2", well=False)
        server.evict_all("n2")
        (leader,) = server.leaders()
        assert leader["spec"]["terminationGracePeriodSeconds"] >= 60

        def another(found: list[ReplicaStatus]) -> bool:
            return up(1)(found) and found[0].id != before.id

        # Nobody says that its requests have ended.
        (after,) = await settle(runtime, spanning(1, stop_grace=60.0), another)
        assert after.places == ("n1", "n3")

    play(tmp_path, scene, not_ready_seconds=1)


def test_a_leader_that_is_told_to_end_keeps_its_grace_while_its_members_compute(
    tmp_path: Path,
) -> None:
    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        wanted = spanning(1, stop_grace=60.0)
        (before,) = await settle(runtime, wanted, up(1))
        server.idle = True
        (leader,) = server.leaders()
        server.end(leader["metadata"]["uid"])

        def drains(found: list[ReplicaStatus]) -> bool:
            return [(each.id, each.state) for each in found] == [(before.id, ReplicaState.DRAINING)]

        await settle(runtime, wanted, drains)
        # That its member's node says nothing does not tell that the member is gone.
        server.node_answers("n2", well=False)
        await until(lambda: runtime._copies.node("n2") == server.objects["nodes", "", "n2"])
        for _ in range(20):
            await runtime.apply(wanted)
            await asyncio.sleep(0.01)
        assert drains(runtime.observe())
        assert server.leaders()[0]["metadata"]["deletionGracePeriodSeconds"] >= 60

    play(tmp_path, scene)


@pytest.mark.parametrize("rank", [0, 1], ids=["leader", "member"])
def test_a_group_whose_files_were_fetched_twice_is_made_anew_and_counted(
    tmp_path: Path, rank: int
) -> None:
    """Law: what ends before the engine takes all of the group along as well, and nobody forgets that."""

    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        server.members["1.0"] = Behaviour(never_ready=True)
        (before,) = await settle(
            runtime, spanning(1), lambda found: bool(found) and len(server.all("pods")) == 2
        )
        (leader,) = server.leaders()
        chosen = (leader, *server.followers(leader))[rank]
        server.fetches_again(chosen["metadata"]["uid"], "NoSuchBucket: weights")
        server.members.clear()

        def another(found: list[ReplicaStatus]) -> bool:
            return up(1)(found) and found[0].id != before.id

        (after,) = await drained(runtime, spanning(1), another)
        assert after.failures == 1 and after.last_exit and after.last_exit.code == 4
        assert "NoSuchBucket: weights" in after.last_lines

    play(tmp_path, scene)


def test_a_node_that_is_lost_under_a_leader_ends_its_replica_and_another_comes(
    tmp_path: Path,
) -> None:
    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        (before,) = await settle(runtime, spanning(1), up(1))
        server.node_answers("n1", well=False)
        server.evict_all("n1")

        def another(found: list[ReplicaStatus]) -> bool:
            return up(1)(found) and found[0].id != before.id

        (after,) = await drained(runtime, spanning(1), another)
        assert after.places == ("n2", "n3")

    play(tmp_path, scene, not_ready_seconds=1)


def test_a_member_that_is_missing_is_told_while_its_leader_still_says_that_it_is_ready(
    tmp_path: Path,
) -> None:
    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, spanning(1), up(1))
        server.idle = True
        (leader,) = server.leaders()
        (member,) = server.followers(leader)
        server.drop(("pods", server.namespace, member["metadata"]["name"]))
        await until(lambda: runtime.observe()[0].state is ReplicaState.UNREADY)
        (found,) = runtime.observe()
        assert (found.reason, found.message) == (
            "MemberMissing",
            "A member (node 2 of 2) is not there",
        )

    play(tmp_path, scene)


def test_a_cluster_without_the_kind_refuses_by_name(tmp_path: Path) -> None:
    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        info = await runtime.probe()
        assert info.one_node == "the cluster has no LeaderWorkerSets (leaderworkerset.x-k8s.io)"
        with pytest.raises(Unsupported, match=r"leaderworkerset\.x-k8s\.io"):
            await runtime.apply(spanning(1))
        assert not ours(server)
        assert not [each for each in server.requests if SETS in each[1]]

    play(tmp_path, scene, lws=False)


def test_a_kind_that_is_installed_later_is_found(tmp_path: Path) -> None:
    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        kinds = {version: each for version, each in server.kinds.items() if "leader" not in version}
        server.kinds, every = kinds, server.kinds
        pace = replace(QUICK, whole_list=0.1)
        second = on_cluster(server, tmp_path / "second", pace=pace)
        await second.adopt()
        assert (await second.probe()).one_node
        server.kinds = every
        await asyncio.sleep(0.15)
        await second.probe()
        await until(lambda: not second._copies.groups_unseen)
        assert (await second.probe()).one_node == ""
        await settle(second, spanning(1), up(1))
        await second.close()

    play(tmp_path, scene)


def test_a_hub_that_may_not_see_sets_says_so_and_runs_all_else(tmp_path: Path) -> None:
    async def run() -> None:
        async with GroupsDouble() as server:
            server.faults.refuse["GET", SETS] = 403
            runtime = on_cluster(server, tmp_path, lws=True)
            await runtime.adopt()
            info = await runtime.probe()
            assert info.one_node.startswith("the cluster's LeaderWorkerSets are not seen: ")
            await settle(runtime, workload(1), up(1))
            assert runtime.facts_problem() == ""
            await runtime.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_kind_on_which_nobody_acts_is_told(tmp_path: Path) -> None:
    async def run() -> None:
        async with GroupsDouble() as server:
            server.idle = True
            ahead = 0.0
            runtime = on_cluster(server, tmp_path, lws=True, clock=lambda: time.time() + ahead)
            await runtime.adopt()
            assert (await runtime.probe()).one_node == ""
            await runtime.apply(spanning(1))
            ahead = 40.0
            with pytest.raises(Refused, match="their controller does not run"):
                await runtime.apply(spanning(1))
            await runtime.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_quota_of_the_cluster_that_has_no_room_for_members_is_told(tmp_path: Path) -> None:
    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, spanning(1), up(1))
        server.faults.no_controllers = True  # nobody else makes or ends any pod from now on
        (leader,) = server.leaders()
        (member,) = server.followers(leader)
        server.drop(("pods", server.namespace, member["metadata"]["name"]))
        maker = leader["metadata"]["name"]
        said = f"create Pod {maker}-1 in StatefulSet {maker} failed: exceeded quota: small"
        about = {"kind": "StatefulSet", "name": maker, "uid": "of-the-statefulset"}
        event = {
            "kind": "Event",
            "metadata": {"name": "refused", "namespace": server.namespace},
            "involvedObject": about,
            "type": "Warning",
            "reason": "FailedCreate",
            "message": said,
            "lastTimestamp": stamp(),
        }
        hints = runtime.changes()
        server.put(("events", server.namespace, "refused"), event)
        async with asyncio.timeout(10):
            async for service in hints:
                assert service == SERVICE
                if runtime._copies.told(maker_key(maker)):
                    break
        with pytest.raises(Occupied, match="exceeded quota: small"):
            await runtime.apply(spanning(1))
        server.faults.no_controllers = False
        await settle(runtime, spanning(1), up(1))

    play(tmp_path, scene)


# ---- from one kind to the other -------------------------------------------------------------------


@pytest.mark.parametrize("nodes", [(1, 2), (2, 1), (2, 3)], ids=str)
def test_a_service_goes_from_one_number_of_nodes_to_another_without_a_gap(
    tmp_path: Path, nodes: tuple[int, int]
) -> None:
    """Law: the older owner goes when the new one has its replicas, and no sooner."""

    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        before, after = (spanning(2, each, f"{at}.0") for at, each in enumerate(nodes, 1))
        await settle(runtime, before, up(2))
        fewest = 2

        def gone_over(found: list[ReplicaStatus]) -> bool:
            nonlocal fewest
            fewest = min(fewest, sum(each.state is ReplicaState.READY for each in found))
            return up(2, "2.0")(found) and len(found) == 2

        await drained(runtime, after, gone_over)
        assert fewest == 2
        kind = SETS if nodes[1] > 1 else "deployments"
        await until(lambda: ours(server) == dict.fromkeys((kind, *OURS[2:]), 1))
        (owner,) = server.all(kind)
        for each in (*server.all("poddisruptionbudgets"), *server.all("services")):
            if "labels" in each["metadata"]:
                assert [one["uid"] for one in each["metadata"]["ownerReferences"]] == [
                    owner["metadata"]["uid"]
                ]
        server.requests.clear()
        await runtime.apply(after)
        assert server.asked == []
        await removed(runtime, after)
        assert not server.all("pods") and not ours(server)

    play(tmp_path, scene)


def test_where_a_quota_has_no_room_the_older_owner_makes_it(tmp_path: Path) -> None:
    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, spanning(2, 1), up(2))
        after = spanning(2, 2, "2.0")
        # Nothing may go, and there is no room: both wait.
        await runtime.apply(replace(after, room=0))
        assert ours(server)["deployments"] == 1 and SETS not in ours(server)
        assert server.all("deployments")[0]["spec"]["replicas"] == 2
        # One of the old ones is in the way.
        await runtime.apply(replace(after, room=0, crowded=1))
        assert server.all("deployments")[0]["spec"]["replicas"] == 1

        def first(found: list[ReplicaStatus]) -> bool:
            fresh = [each for each in found if each.rollout == "2.0"]
            return bool(fresh) and fresh[0].state is ReplicaState.READY

        await drained(runtime, replace(after, room=1), first)
        await drained(runtime, after, lambda found: up(2, "2.0")(found) and len(found) == 2)

    play(tmp_path, scene)


# ---- its count, by the cluster's own scaler -------------------------------------------------------


def test_its_count_is_given_to_the_clusters_scaler_and_taken_back(tmp_path: Path) -> None:
    """Law: a count falls at no time to what it is when nobody owns it."""

    async def scene(server: GroupsDouble, runtime: KubernetesRuntime) -> None:
        asks = Resources(cpu=0.5)
        scaled = replace(spanning(2, resources=asks), scaler=BY_CPU)
        await settle(runtime, scaled, up(2))
        await runtime.apply(scaled)
        (scaler,) = server.all("horizontalpodautoscalers")
        head = one_set(server)["metadata"]
        assert scaler["spec"]["scaleTargetRef"] == {
            "apiVersion": "leaderworkerset.x-k8s.io/v1",
            "kind": "LeaderWorkerSet",
            "name": head["name"],
        }
        await until(lambda: runtime.followed(SERVICE, 2) == 2)
        key = (SETS, server.namespace, head["name"])
        changed = copy.deepcopy(server.objects[key])
        changed["spec"]["replicas"] = 3
        server.put(key, changed)  # as the scaler does it, by the set's scale
        await until(lambda: runtime.followed(SERVICE, 2) == 3)
        await settle(runtime, replace(scaled, replicas=3), up(3))
        rolled = replace(scaled, replicas=3, rollout="1.1")
        await drained(runtime, rolled, lambda found: up(3, "1.1")(found) and len(found) == 3, 40)
        await settle(runtime, replace(rolled, scaler=None), up(3, "1.1"))
        assert not server.all("horizontalpodautoscalers")
        assert runtime.followed(SERVICE, 3) is None
        counts = {each["spec"]["replicas"] for _, _, key, each in server._events if key[0] == SETS}
        assert counts == {2, 3}

    play(tmp_path, scene, follows_load=True)


@pytest.mark.parametrize(("told", "nodes"), [("3", 3), ("9" * 5000, 256), ("²", 1), ("-2", 1)])
def test_a_number_of_nodes_that_a_person_wrote_costs_no_look(told: str, nodes: int) -> None:
    """Law: whatever stands in an annotation, the service's pods are looked at."""
    assert groups.size({"metadata": {"annotations": {names.NODES: told}}}) == nodes
