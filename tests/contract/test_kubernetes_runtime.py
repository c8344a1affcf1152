"""The Kubernetes runtime against a server that breaks in the ways real ones do, and what it costs."""
# ruff: noqa: ASYNC110 - one scene at a time: a short wait harms nobody

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from random import Random

import pytest

from kube_double import Behaviour, Faults, KubeDouble
from kube_stage import QUICK, config_of, on_cluster
from pierhead.core.errors import Conflict, Invalid, Occupied, Refused, Unavailable
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.core.workloads import Workload
from pierhead.runtimes.base import LogQuery
from pierhead.runtimes.kubernetes.api import (
    DEPLOYMENT,
    NODE,
    POD,
    Access,
    Denied,
    KubeApi,
    Selection,
)
from pierhead.runtimes.kubernetes.lightkube_api import LightkubeApi, configured
from pierhead.runtimes.kubernetes.probe import discover, lacking
from pierhead.runtimes.kubernetes.reflector import Beat, LoopTime, Reflector, version_of
from pierhead.runtimes.kubernetes.runtime import KubernetesRuntime
from replica_servers import SERVICE, gone, ready, settle, until, workload

S = ReplicaState
Scene = Callable[[KubeDouble, KubernetesRuntime], Awaitable[None]]


def play(folder: Path, scene: Scene) -> None:
    """Run a scene on a fresh server and runtime."""

    async def run() -> None:
        async with KubeDouble() as server:
            made = on_cluster(server, folder)
            await made.adopt()
            try:
                await scene(server, made)
            finally:
                await made.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def up(count: int, rollout: str = "1.0") -> Callable[[list[ReplicaStatus]], bool]:
    """So many, all ready, no others."""
    return ready(count, rollout, pids=False)


def ids(found: list[ReplicaStatus]) -> set[str]:
    return {each.id for each in found}


# ---- what is seen is what is --------------------------------------------------------------------


async def _break(server: KubeDouble, chance: Random) -> None:
    """One fault, for a moment, while objects come, change and go."""
    for _ in range(chance.randint(1, 4)):
        name = f"m{chance.randint(1, 6)}"
        if chance.random() < 0.3:
            server.drop(("nodes", "", name))
        else:
            server.add_node(name, cpu=str(chance.randint(1, 99)))
    faults = server.faults
    faulty: list[Callable[[], Awaitable[None]]] = [
        partial(_restarted, server),
        partial(_set, faults, "status", chance.choice([500, 503, 429, 401, 403])),
        partial(_set, faults, "expire_watches", 1),
        *(partial(_set, faults, name, 1) for name in ("mute_watches", "double_events", "hang")),
        partial(_forgotten, server),
    ]
    await chance.choice(faulty)()
    await asyncio.sleep(chance.uniform(0.0, 0.1))
    faults.status, faults.hang, faults.mute_watches, faults.double_events = 0, False, False, False


async def _restarted(server: KubeDouble) -> None:
    await server.kill()
    await asyncio.sleep(0.05)
    await server.revive()


async def _set(faults: Faults, name: str, value: object) -> None:
    setattr(faults, name, value)


async def _forgotten(server: KubeDouble) -> None:
    server.forget_history()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_after_any_faults_the_copy_is_what_the_server_has(seed: int) -> None:
    async def run() -> None:
        chance = Random(seed)
        told: dict[str, str] = {}

        def changed(old: object, new: dict[str, object] | None) -> None:
            uid = str((new or old)["metadata"]["uid"])  # pyright: ignore
            told[uid] = version_of(new)

        async with KubeDouble() as server:
            api = LightkubeApi(config_of(server), time.time, timeout=0.3)
            beat = Beat(LoopTime(), chance, QUICK)
            copy = Reflector(api, (NODE, Selection()), changed, beat)
            running = asyncio.create_task(copy.run())

            def same() -> bool:
                has = {each["metadata"]["uid"]: version_of(each) for each in server.all("nodes")}
                seen = {uid: version_of(each) for uid, each in copy.objects.items()}
                last = {uid: version for uid, version in told.items() if version}
                return has == seen == last

            for _ in range(12):
                await _break(server, chance)
            await until(same, 15.0)
            assert copy.age() is not None
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await api.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def test_a_server_that_is_away_changes_nothing_and_its_return_is_soon_noticed(
    tmp_path: Path,
) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        before = await settle(runtime, workload(2), up(2))
        assert runtime.facts_age() == 0.0
        await server.kill()
        began = time.monotonic()
        with pytest.raises(Unavailable):
            await runtime.apply(workload(3))
        await until(lambda: (runtime.facts_age() or 0.0) > 0.2)
        assert runtime.facts_problem()
        assert {(r.id, r.state, r.address) for r in runtime.observe()} == {
            (r.id, r.state, r.address) for r in before
        }
        assert time.monotonic() - began < 5
        heard = runtime.changes()
        server.add_node("n3")
        server.crash(before[0].id, 137)  # it happens while nobody can see it
        await until(lambda: server._lives[before[0].id].ended > 0)
        await server.revive()
        async with asyncio.timeout(5):
            assert await anext(heard) == SERVICE, "what changed meanwhile is hinted"
        await settle(runtime, workload(2), lambda found: len(found) == 2)
        await until(lambda: runtime.facts_age() == 0.0)

    play(tmp_path, scene)


def test_a_hung_server_costs_its_timeout_and_no_more(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        server.faults.hang = True
        began = time.monotonic()
        with pytest.raises(Unavailable, match="Kubernetes API"):
            await runtime.apply(workload(1))
        assert time.monotonic() - began < 8
        server.faults.hang = False
        await settle(runtime, workload(1), up(1))

    play(tmp_path, scene)


def test_without_its_facts_nothing_is_adopted(tmp_path: Path) -> None:
    async def run() -> None:
        async with KubeDouble() as server:
            runtime = on_cluster(server, tmp_path)
            runtime._patience = 0.3
            server.faults.status = 503
            with pytest.raises(Unavailable, match="cluster"):
                await runtime.adopt()
            await runtime.close()

    asyncio.run(asyncio.wait_for(run(), 20))


# ---- what it costs, and what it leaves alone ------------------------------------------------------


def test_a_change_takes_few_requests_and_no_change_takes_none(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        costs: list[int] = []

        async def cost(wanted: Workload, done: Callable[[list[ReplicaStatus]], bool]) -> None:
            server.requests.clear()
            await settle(runtime, wanted, done)
            costs.append(sum(method != "GET" for method, _ in server.requests))

        await cost(workload(2), up(2))
        versions = {key: version_of(found) for key, found in server.objects.items()}
        await cost(workload(2), up(2))
        assert {key: version_of(found) for key, found in server.objects.items()} == versions
        await cost(workload(3), up(3))
        drained = frozenset(ids(runtime.observe()))
        await cost(replace(workload(3, rollout="2.0"), drained=drained), up(3, "2.0"))
        created, again, scaled, rolled = costs
        assert created <= 4
        assert again == 0
        assert scaled <= 2
        assert rolled <= 4 + 3  # each pod that leaves is let go of once
        server.requests.clear()
        second = on_cluster(server, tmp_path / "second")
        await second.adopt()
        assert ids(second.observe()) == ids(runtime.observe())
        server.requests.clear()
        await second.apply(workload(3, rollout="2.0"))
        assert server.asked == [], "what runs is found again, and left as it is"
        await second.close()

    play(tmp_path, scene)


def test_a_held_rollout_leaves_what_the_pods_run(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        old = await settle(runtime, workload(3), up(3))
        for hold in ({"held": True}, {"frozen": True}):
            await runtime.apply(replace(workload(3, rollout="2.0"), **hold))
            (deployment,) = server.all("deployments")
            labels = deployment["spec"]["template"]["metadata"]["labels"]
            assert labels["pierhead.dev/rollout"] == "1.0"
        fewer = replace(workload(2, rollout="2.0"), held=True, drained=frozenset(ids(old)))
        left = await settle(runtime, fewer, up(2))
        assert ids(left) < ids(old)
        back = await settle(runtime, workload(3), up(3))
        assert ids(left) < ids(back), "a number that was set alone is ours to set again"

    play(tmp_path, scene)


def test_what_others_own_is_not_taken_from_them(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, workload(1), up(1))
        (deployment,) = server.all("deployments")
        other = server._owners[deployment["metadata"]["uid"]]
        other["kubectl", "Update"] = {("spec", "replicas")}
        with pytest.raises(Conflict, match=r"kubectl: \.spec\.replicas"):
            await runtime.apply(workload(2))

    play(tmp_path, scene)


def test_what_the_server_will_not_have_is_told_with_its_field(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        with pytest.raises(Invalid, match=r"containerPort.*between 1 and 65535"):
            await runtime.apply(workload(1, ports=(99999,)))
        server.faults.refuse["PATCH", "deployments"] = 403
        with pytest.raises(Denied, match="refused as the test wants it"):
            await runtime.apply(workload(1))
        server.faults.refuse.clear()
        await settle(runtime, workload(1), up(1))
        (deployment,) = server.all("deployments")
        name = deployment["metadata"]["name"]
        server.refuse_pods(name, 'pods "x" is forbidden: exceeded quota: team')
        await until(lambda: "quota" in str(runtime._copies.owner(SERVICE)))
        with pytest.raises(Occupied, match="exceeded quota: team"):
            await runtime.apply(workload(2))
        server.refuse_pods(name, "admission webhook denied the request")
        await until(lambda: "webhook" in str(runtime._copies.owner(SERVICE)))
        with pytest.raises(Refused, match="does not admit its pods: admission webhook"):
            await runtime.apply(workload(2))

    play(tmp_path, scene)


def test_the_youngest_leave_first_where_the_server_can_be_told(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        first = await settle(runtime, workload(2), up(2))
        await asyncio.sleep(1.1)  # a server tells ages in whole seconds
        await settle(runtime, workload(4), up(4))
        fewer = replace(workload(2), drained=frozenset(ids(runtime.observe())))
        assert ids(await settle(runtime, fewer, up(2))) == ids(first)

    play(tmp_path, scene)


# ---- ends ---------------------------------------------------------------------------------------


def test_runs_that_ended_can_be_read_also_after_a_restart_of_ours(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        server.behaviours["1.0"] = Behaviour(crash=3, lines=("no such tensor", "giving up"))
        (status,) = await settle(runtime, workload(1), lambda f: bool(f) and f[0].failures == 2)
        await until(lambda: runtime.observe()[0].last_lines == ("no such tensor", "giving up"))
        assert status.state is S.CRASHED
        async with asyncio.timeout(10):
            while len(await runtime.attempts(SERVICE)) < 2:
                await asyncio.sleep(0.02)
        (one, two) = await runtime.attempts(SERVICE, lines=1)
        assert (one.number, two.number, two.lines) == (1, 2, ("giving up",))
        assert one.end is not None
        assert one.end.code == 3
        assert [line.text for line in await runtime.logs(SERVICE)][-1] == "giving up"
        assert (await runtime.logs(SERVICE, previous=True))[0].text == "no such tensor"
        page, number = await runtime.log_page(SERVICE, _query(skip=1, limit=1))
        assert ([line.text for line in page], number) == (["no such tensor"], 2)
        again = on_cluster(server, tmp_path)
        await again.adopt()
        assert len(await again.attempts(SERVICE)) >= 2
        await gone(again)
        assert await again.attempts(SERVICE) == []
        await again.close()

    play(tmp_path, scene)


def _query(skip: int, limit: int) -> LogQuery:
    return LogQuery(skip=skip, limit=limit)


def test_a_lost_node_and_an_evicted_pod_are_replaced(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        brief = workload(1, stop_grace=1.0)
        (one,) = await settle(runtime, brief, up(1))
        server.evict(one.id, "low on memory")
        (two,) = await settle(runtime, brief, lambda f: up(1)(f) and f[0].id != one.id)
        await until(lambda: one.id not in str(server.all("pods")))
        server.node_answers("n1", well=False, since=time.time() - 100)
        await settle(runtime, brief, lambda f: f[0].reason == "NodeNotReady")
        pod = server._pod(two.id)
        server._end_pod(("pods", server.namespace, pod["metadata"]["name"]), pod, None)
        await settle(runtime, brief, lambda found: two.id not in ids(found))

    play(tmp_path, scene)


# ---- what a cluster is ----------------------------------------------------------------------------


def test_what_a_server_has_and_permits(tmp_path: Path) -> None:
    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        api: KubeApi = runtime._api
        found = await discover(api)
        assert found.version == (1, 29)
        assert found.serves("policy/v1", "PodDisruptionBudget")
        assert not found.metrics
        server.denied.add(("watch", "pods"))
        (right,) = await lacking(api, runtime._cluster)
        assert right.access == Access("watch", "", "pods")
        assert any("watch pods" in text for text in (await runtime.probe()).warnings)
        many = [("nodes", "", f"x{number}") for number in range(510)]
        for key in many:
            server.put(key, {"kind": "Node", "metadata": {"name": key[2]}})
        assert len((await api.list(NODE, Selection())).items) == 512
        assert not await api.delete(POD, "nobody", server.namespace)
        server.faults.refuse["GET", "deployments"] = 410
        with pytest.raises(Exception, match="refused as the test wants it"):
            await api.list(DEPLOYMENT, Selection(server.namespace))

    play(tmp_path, scene)


def test_a_configuration_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    bad = tmp_path / "kubeconfig"
    for text in ("", "{", "clusters: 3", "clusters: []\ncontexts: []\ncurrent-context: x"):
        bad.write_text(text)
        with pytest.raises(Unavailable, match="A Kubernetes cluster"):
            configured(str(bad))
    with pytest.raises(Unavailable, match="not found"):
        configured(str(tmp_path / "missing"))
