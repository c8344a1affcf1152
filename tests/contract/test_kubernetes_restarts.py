"""A hub that starts anew over a cluster: with other settings, and with what the one before left behind."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from builders import a_service
from kube_double import KubeDouble
from kube_stage import on_cluster
from pierhead.bootstrap import runtime_memory
from pierhead.bootstrap.database import migrate
from pierhead.bootstrap.storage import box
from pierhead.core.errors import Unavailable
from pierhead.core.launch import Launch
from pierhead.core.replicas import LEAVING, ReplicaState, ReplicaStatus
from pierhead.core.templates import Template
from pierhead.core.workloads import Workload
from pierhead.engines.custom import Custom
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.launching import placement
from pierhead.runtimes.kubernetes.pod import pod
from pierhead.runtimes.kubernetes.runtime import KubernetesRuntime
from pierhead.settings import BadSetting, Settings
from pierhead.store import services
from pierhead.store.db import Database
from replica_servers import no_files, ready, settle, until, workload


def images(server: KubeDouble) -> set[str]:
    """What the engines of all pods run in."""
    return {each["spec"]["containers"][0]["image"] for each in server.all("pods")}


async def adopted(server: KubeDouble, folder: Path, **cluster: Any) -> KubernetesRuntime:
    made = on_cluster(server, folder, **cluster)
    await made.adopt()
    return made


def test_another_image_in_the_settings_counts_from_the_next_rollout_on(tmp_path: Path) -> None:
    """A hub that starts with other settings touches no pod; a restart of the service rolls it, without a gap."""

    async def go() -> None:
        async with KubeDouble() as server:
            first = await adopted(server, tmp_path, image="registry.example/pierhead:1")
            await settle(first, workload(2), ready(2, pids=False))
            assert images(server) == {"registry.example/pierhead:1"}
            before = {each.id for each in first.observe()}
            await first.close()
            second = await adopted(server, tmp_path, image="registry.example/pierhead:2")
            for _ in range(5):
                await second.apply(workload(2))
                await asyncio.sleep(0.05)
            assert {each.id for each in second.observe()} == before
            # One more of the same rollout is like the others.
            await settle(second, workload(3), ready(3, pids=False))
            assert images(server) == {"registry.example/pierhead:1"}
            fewest = 3

            def rolled(found: list[ReplicaStatus]) -> bool:
                nonlocal fewest
                serving = [each for each in found if each.state is ReplicaState.READY]
                fewest = min(fewest, len(serving))
                live = [each for each in found if each.state not in LEAVING]
                return len(live) == len(serving) == 3 and images(server) == {
                    "registry.example/pierhead:2"
                }

            await settle(second, workload(3, rollout="1.1"), rolled)
            assert fewest == 3
            await second.close()

    asyncio.run(asyncio.wait_for(go(), 60))


def test_a_budget_goes_with_the_second_replica_also_after_a_restart(tmp_path: Path) -> None:
    """One that stays keeps the node of a lone replica from being drained."""

    async def go() -> None:
        async with KubeDouble() as server:
            first = await adopted(server, tmp_path)
            await settle(first, workload(2), ready(2, pids=False))
            assert len(server.all("poddisruptionbudgets")) == 1
            await first.close()
            second = await adopted(server, tmp_path)
            await settle(second, workload(1), lambda found: len(found) == 1)
            await until(lambda: not server.all("poddisruptionbudgets"))
            await second.close()

    asyncio.run(asyncio.wait_for(go(), 60))


def test_a_hub_that_takes_over_knows_what_was_made_while_it_stood_by(tmp_path: Path) -> None:
    async def go() -> None:
        async with KubeDouble() as server:
            other = await adopted(server, tmp_path / "other")
            active = await adopted(server, tmp_path / "active")
            await settle(active, workload(2), ready(2, pids=False))
            await active.close()
            await other.adopt()  # as a hub does when its turn begins
            await settle(other, workload(1), lambda found: len(found) == 1)
            await until(lambda: not server.all("poddisruptionbudgets"))
            await other.close()

    asyncio.run(asyncio.wait_for(go(), 60))


def test_a_cluster_that_was_not_seen_at_the_start_is_learned_when_it_answers(
    tmp_path: Path,
) -> None:
    """What it is, is asked before anything is made of it: until then it has no nodes and no replicas."""

    async def go() -> None:
        async with KubeDouble() as server:
            before = await adopted(server, tmp_path)
            await settle(before, workload(2), ready(2, pids=False))
            await before.close()
            away = [Unavailable("The Kubernetes API", "it is away")]

            async def ask() -> Cluster:
                if away:
                    raise away.pop()
                return Cluster(namespace=server.namespace, pdb="")

            late = on_cluster(server, tmp_path, ask=ask)
            sent = len(server.requests)
            assert (await late.probe()).nodes == ()
            try:
                await late.adopt()
            except Unavailable:
                pass
            else:
                raise AssertionError("it went on without knowing what the cluster is")
            assert len(server.requests) == sent
            assert "it is away" in late.facts_problem()
            assert "it is away" in (await late.probe()).warnings[0]
            assert late.facts_age() is None
            await late.adopt()
            assert (late.facts_problem(), late.facts_age()) == ("", 0.0)
            assert len((await late.probe()).nodes) == len(server.all("nodes"))
            await settle(late, workload(2), ready(2, pids=False))
            await late.close()

    asyncio.run(asyncio.wait_for(go(), 60))


# ---- an image that says itself what is to be run ------------------------------------------------


def container(**template: Any) -> dict[str, Any]:
    """The engine's container of a template."""
    asked = Template(name="own", engine="custom", images={"": "registry.example/own:1"}, **template)
    work = Workload("5e", "own", "1.0", 1, asked, no_files())
    launch: Launch = Custom().launch(asked, work.files, placement(work, Cluster()))
    found: dict[str, Any] = pod(work, launch, Cluster(), "").template["spec"]["containers"][0]
    return found


def test_an_image_without_a_command_runs_what_it_says_where_it_says() -> None:
    bare = container()
    assert bare["image"] == "registry.example/own:1"
    assert not bare.keys() & {"command", "args", "workingDir"}
    flagged = container(flags=("--port", "{port}"))
    assert flagged["args"] == ["--port", "8000"]
    assert not flagged.keys() & {"command", "workingDir"}
    told = container(command=("serve",))
    assert (told["command"], told["workingDir"]) == (["serve"], "/tmp")
    assert "args" not in told


def test_a_crash_after_an_upgrade_replaces_one_pod(tmp_path: Path) -> None:
    """What is missing comes back as the others are: the new image waits for the next rollout."""

    async def go() -> None:
        async with KubeDouble() as server:
            older = await adopted(server, tmp_path / "older")
            await settle(older, workload(3), ready(3, pids=False))
            before = {each.id for each in older.observe()}
            await older.close()
            newer = await adopted(server, tmp_path / "newer", image="registry.example/pierhead:2")
            try:
                server.drop(next(key for key in server.objects if key[0] == "pods"))
                await until(lambda: len(before & {each.id for each in newer.observe()}) == 2)
                await settle(newer, workload(3), ready(3, pids=False))
                assert len(before & {each.id for each in newer.observe()}) == 2
                await settle(newer, workload(4), ready(4, pids=False))  # numbers are sent as ever
                assert images(server) == {"pierhead:latest"}
            finally:
                await newer.close()

    asyncio.run(asyncio.wait_for(go(), 60))


def test_replicas_are_not_made_a_second_time_in_another_namespace(tmp_path: Path) -> None:
    """A hub that is led elsewhere says so, as long as anything runs where its services were made."""

    async def go() -> None:
        given = Settings(data_dir=tmp_path)
        migrate(given)
        db = Database(given.database, box=box(given))
        try:
            await runtime_memory.remember(db, "kubernetes", "here")
            await runtime_memory.stay(db, "there")  # nothing runs
            await db.write(services.add, a_service())
            await runtime_memory.stay(db, "here")
            with pytest.raises(BadSetting, match=r"\[here\].*\[there\]"):
                await runtime_memory.stay(db, "there")
        finally:
            db.close()

    asyncio.run(go())
