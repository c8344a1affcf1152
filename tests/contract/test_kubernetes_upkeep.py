"""What a hub keeps up on a cluster: objects that others took away, what settings left, runs, its own turn."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from math import inf
from pathlib import Path
from random import Random
from typing import Any

import pytest

from kube_double import Behaviour, KubeDouble
from kube_stage import QUICK, config_of, on_cluster
from pierhead.bootstrap.leftovers import forgotten
from pierhead.core.errors import Unavailable
from pierhead.core.replicas import Exit
from pierhead.core.workloads import Workload
from pierhead.runtimes.base import Attempt
from pierhead.runtimes.kubernetes.api import POD, Manifest, Selection
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.fenced import FencedApi
from pierhead.runtimes.kubernetes.lightkube_api import LightkubeApi
from pierhead.runtimes.kubernetes.reflector import Pace
from pierhead.runtimes.kubernetes.runs import LINES, TAIL, RunBook, write
from pierhead.runtimes.kubernetes.runtime import KubernetesRuntime
from pierhead.store import schema
from pierhead.store.db import Database
from replica_servers import SERVICE, launch, ready, settle, until, workload

Scene = Callable[[KubeDouble], Awaitable[None]]
KEYED = {"HF_TOKEN": "hf_of_this_test"}


def play(scene: Scene) -> None:
    """Run a scene on a fresh server."""

    async def run() -> None:
        async with KubeDouble() as server:
            await scene(server)

    asyncio.run(asyncio.wait_for(run(), 90))


def up(count: int, rollout: str = "1.0") -> Any:
    return ready(count, rollout, pids=False)


def paced(server: KubeDouble, folder: Path, pace: Pace) -> KubernetesRuntime:
    """A runtime that looks as often as `pace` says."""
    return KubernetesRuntime(
        LightkubeApi(config_of(server), time.time, timeout=2.0),
        Cluster(namespace=server.namespace),
        launch,
        time.time,
        Random(7),
        lambda _service: "key",
        folder,
        pace=pace,
        patience=5.0,
    )


async def removed(runtime: KubernetesRuntime, wanted: Workload) -> None:
    """As the reconciler does it: told that the service leaves, then asked until nothing is left."""
    drained = frozenset(each.id for each in runtime.observe(SERVICE))
    leaving = replace(wanted, replicas=0, leaving=True, drained=drained)
    give_up = time.monotonic() + 20
    while True:
        await runtime.apply(leaving)
        if await runtime.remove(SERVICE, 1.0):
            return
        assert time.monotonic() < give_up, runtime.observe(SERVICE)
        await asyncio.sleep(0.02)


def names(server: KubeDouble, *kinds: str) -> list[str]:
    return [each["metadata"]["name"] for kind in kinds for each in server.all(kind)]


def drop(server: KubeDouble, *kinds: str) -> None:
    """As `kubectl delete` does."""
    for kind in kinds:
        for name in names(server, kind):
            server.drop((kind, server.namespace, name))


# ---- what is on the server ----------------------------------------------------------------------


def test_a_list_that_is_refused_does_not_count_as_empty(tmp_path: Path) -> None:
    """Law: no service counts as removed while keys of it may be left in the cluster."""

    async def scene(server: KubeDouble) -> None:
        first = on_cluster(server, tmp_path)
        await first.adopt()
        await settle(first, workload(1, env=KEYED), up(1))
        await first.close()
        assert names(server, "secrets")
        second = on_cluster(server, tmp_path / "second")
        server.faults.refuse["GET", "secrets"] = 403
        with pytest.raises(Unavailable, match="secrets"):
            await second.adopt()
        with pytest.raises(Unavailable, match="secrets"):
            await second.remove(SERVICE, 1.0)
        server.faults.refuse = {("DELETE", "secrets"): 403}
        await second.adopt()
        with pytest.raises(Unavailable, match="deletion of the cluster's secrets"):
            await removed(second, workload(1, env=KEYED))
        assert names(server, "secrets")
        server.faults.refuse.clear()
        await removed(second, workload(1, env=KEYED))
        assert not names(server, "secrets", "services", "deployments")
        await second.close()

    play(scene)


def test_what_no_setting_asks_for_need_not_be_permitted(tmp_path: Path) -> None:
    async def scene(server: KubeDouble) -> None:
        for kind in ("networkpolicies", "persistentvolumes", "persistentvolumeclaims"):
            server.faults.refuse["GET", kind] = 403
        runtime = on_cluster(server, tmp_path)
        await runtime.adopt()
        await settle(runtime, workload(1), up(1))
        await removed(runtime, workload(1))
        await runtime.close()

    play(scene)


async def without_policies(server: KubeDouble, folder: Path) -> KubernetesRuntime:
    """A hub that makes no network policies, where one is left of an earlier one that did."""
    first = on_cluster(server, folder, network_policy=True)
    await first.adopt()
    await settle(first, workload(1), up(1))
    await first.close()
    second = paced(server, folder / "second", replace(QUICK, whole_list=0.3))
    await second.adopt()
    return second


def test_what_may_not_be_taken_away_holds_up_no_rollout(tmp_path: Path) -> None:
    async def scene(server: KubeDouble) -> None:
        second = await without_policies(server, tmp_path)
        server.faults.refuse["DELETE", "networkpolicies"] = 403
        newer = workload(1, rollout="2.0")
        await settle(second, newer, up(1, "2.0"))
        await second.apply(newer)
        assert names(server, "networkpolicies")
        server.faults.refuse.clear()
        await settle(second, newer, lambda _: not names(server, "networkpolicies"))
        await second.close()

    play(scene)


@pytest.mark.parametrize("when", ["with a rollout", "at the next look", "with the service"])
def test_what_a_setting_does_not_ask_for_any_more_is_taken_away(tmp_path: Path, when: str) -> None:
    async def scene(server: KubeDouble) -> None:
        first = on_cluster(server, tmp_path, network_policy=True)
        await first.adopt()
        await settle(first, workload(1), up(1))
        await first.close()
        assert names(server, "networkpolicies")
        second = on_cluster(server, tmp_path / "second", network_policy=False)
        await second.adopt()
        server.requests.clear()
        if when == "with a rollout":
            await settle(second, workload(1, rollout="2.0"), up(1, "2.0"))
        elif when == "at the next look":
            await second.apply(replace(workload(1), held=True))
            await second.apply(replace(workload(1), held=True))
            assert [method for method, _ in server.asked] == ["DELETE"]
        else:
            await removed(second, workload(1))
        assert not names(server, "networkpolicies")
        await second.close()

    play(scene)


@pytest.mark.parametrize("held", [True, False])
def test_what_may_not_be_taken_away_is_not_asked_for_with_each_look(
    tmp_path: Path, held: bool
) -> None:
    async def scene(server: KubeDouble) -> None:
        second = await without_policies(server, tmp_path)
        server.faults.refuse["DELETE", "networkpolicies"] = 403
        complete = replace(workload(1), held=held)
        for _ in range(5):
            await second.apply(complete)
        deleted = [path for method, path in server.asked if method == "DELETE"]
        assert len(deleted) == 1, deleted
        server.faults.refuse.clear()
        await settle(second, complete, lambda _: not names(server, "networkpolicies"))
        await second.close()

    play(scene)


def test_what_pods_cannot_be_made_without_is_sent_anew(tmp_path: Path) -> None:
    async def scene(server: KubeDouble) -> None:
        runtime = on_cluster(server, tmp_path)
        await runtime.adopt()
        wanted = workload(1, env=KEYED)
        await settle(runtime, wanted, up(1))
        drop(server, "secrets", "services")
        stuck = {"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}
        server.behaviours["1.0"] = Behaviour(stuck=stuck)
        drop(server, "pods")
        await settle(
            runtime, wanted, lambda found: {e.reason for e in found} == {"ContainerConfigWrong"}
        )
        await runtime.apply(wanted)
        assert names(server, "secrets")
        assert names(server, "services")
        server.requests.clear()
        for _ in range(5):
            await runtime.apply(wanted)
        sent = [request for request in server.requests if request[0] == "PATCH"]
        assert not sent, "a pod that is wrong for another cause costs no request by pass"
        await runtime.close()

    play(scene)


def test_what_somebody_deleted_comes_back_though_all_goes_well(tmp_path: Path) -> None:
    async def scene(server: KubeDouble) -> None:
        runtime = paced(server, tmp_path, replace(QUICK, whole_list=0.2))
        await runtime.adopt()
        wanted = workload(1, env=KEYED)
        await settle(runtime, wanted, up(1))
        drop(server, "secrets", "services")
        server.requests.clear()
        complete = replace(
            wanted, held=True
        )  # as the reconciler says it where nothing is to be done
        await settle(runtime, complete, lambda _: bool(names(server, "secrets")))
        await settle(runtime, complete, lambda _: bool(names(server, "services")))
        (service,) = server.all("services")
        (owner,) = service["metadata"]["ownerReferences"]
        assert owner["uid"] == server.all("deployments")[0]["metadata"]["uid"]
        changed = [path for method, path in server.requests if method != "GET"]
        assert len(changed) == 2, changed
        assert not any("/deployments/" in path for path in changed)
        # What another one made in our name goes with the service.
        alien: Manifest = {"name": "left", "namespace": server.namespace, "annotations": {}}
        alien["labels"] = service["metadata"]["labels"]
        server.put(("secrets", server.namespace, "left"), {"kind": "Secret", "metadata": alien})
        await asyncio.sleep(0.3)
        await runtime.apply(complete)
        await removed(runtime, wanted)
        assert not names(server, "secrets", "services")
        await runtime.close()

    play(scene)


# ---- the fence ----------------------------------------------------------------------------------


def secret(server: KubeDouble) -> Manifest:
    meta = {"name": "late", "namespace": server.namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "data": {}}


def patched(server: KubeDouble) -> list[str]:
    return [path for method, path in server.requests if method == "PATCH"]


def test_what_waits_for_a_connection_past_the_turn_is_never_sent() -> None:
    """Law: nothing leaves a hub for the cluster after its lease."""

    async def scene(server: KubeDouble) -> None:
        api = LightkubeApi(config_of(server), time.time, timeout=20.0)
        await api.version()
        over = asyncio.get_running_loop().time() + 0.5

        def demand() -> float:
            left = over - asyncio.get_running_loop().time()
            if left <= 0:
                raise Unavailable("This hub's turn", "it is over")
            return left

        fenced = FencedApi(api, demand)
        server.faults.hang = True
        pods = Selection(server.namespace)
        looks = [asyncio.create_task(api.list(POD, pods)) for _ in range(40)]
        await until(lambda: len(server.requests) > 32)
        with pytest.raises(Unavailable, match="it is over"):
            await fenced.apply(secret(server))
        server.faults.hang = False
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
        await api.list(POD, pods)
        assert not patched(server)
        await api.close()

    play(scene)


def test_a_slow_answer_is_waited_for_as_long_as_the_turn_is_prolonged() -> None:
    async def scene(server: KubeDouble) -> None:
        asked: list[float] = []

        def demand() -> float:
            asked.append(0.05)
            return 0.05

        class Slow(LightkubeApi):
            async def apply(self, manifest: Manifest, **how: Any) -> Manifest:
                await asyncio.sleep(0.4)
                return await super().apply(manifest, **how)

        fenced = FencedApi(Slow(config_of(server), time.time), demand)
        found = await fenced.apply(secret(server))
        assert found["metadata"]["uid"]
        assert len(patched(server)) == 1
        assert len(asked) > 2
        await fenced.close()
        free = FencedApi(LightkubeApi(config_of(server), time.time), lambda: inf)
        assert await free.delete(POD, "none", server.namespace) is False
        await free.close()

    play(scene)


def test_a_change_that_has_its_connection_is_asked_about_once_more() -> None:
    """A process may be stopped between the question and that moment."""

    async def scene(server: KubeDouble) -> None:
        api = LightkubeApi(config_of(server), time.time, timeout=5.0)

        def over() -> None:
            raise Unavailable("This hub's turn", "it is over")

        api.before_change = over
        await api.list(POD, Selection(server.namespace))
        for change in (
            api.apply(secret(server)),
            api.patch(POD, "any", server.namespace, {}),
            api.delete(POD, "any", server.namespace),
        ):
            with pytest.raises(Unavailable, match="it is over"):
                await change
        assert {method for method, _ in server.requests} == {"GET"}
        await api.close()

    play(scene)


# ---- runs and logs ------------------------------------------------------------------------------


def run(pod: str, number: int, lines: int) -> Attempt:
    end = Exit(at=number * 10.0 + 5, code=1)
    told = tuple(f"run {number} line {each}" for each in range(lines))
    return Attempt(pod, number, number * 10.0, end=end, lines=told)


def noted(book: RunBook, found: Attempt) -> None:
    book.note("svc", found)
    page = book.written(found)
    assert page is not None
    write(page)


def test_memory_has_the_end_of_the_last_run_and_files_have_the_rest(tmp_path: Path) -> None:
    book = RunBook(tmp_path)
    for number in range(1, 9):
        noted(book, run("pod", number, 300))
    again = RunBook(tmp_path)
    again.load()
    for each in (book, again):
        kept = list(each.of("svc"))
        assert [found.number for found in kept] == [1, 4, 5, 6, 7, 8]
        assert [len(found.lines) for found in kept] == [0, 0, 0, 0, 0, TAIL]
        assert kept[-1].lines[-1] == "run 8 line 299"
        lines = each.lines("svc")
        assert {number: len(found) for (_, number), found in lines.items()} == dict.fromkeys(
            (1, 4, 5, 6, 7, 8), LINES
        )
        assert lines["pod", 1][-1] == "run 1 line 299"
    (path,) = tmp_path.glob("svc/*.json")
    path.write_text("broken")
    noted(book, run("pod", 9, 3))
    assert json.loads(path.read_text())["ended"][-1]["lines"] == list(run("pod", 9, 3).lines)


def test_a_hub_that_stands_by_forgets_runs_of_services_that_are_gone(tmp_path: Path) -> None:
    schema.migrate(url := f"sqlite:///{tmp_path / 'db.sqlite'}")

    async def scene(server: KubeDouble) -> None:
        folder = tmp_path / "runs"
        book = RunBook(folder)
        book.note("gone", run("old", 1, 5))
        page = book.written(run("old", 1, 5))
        assert page is not None
        write(page)
        server.behaviours["1.0"] = Behaviour(crash=3, lines=("no such tensor",))
        acting = on_cluster(server, tmp_path / "acting")
        await acting.adopt()
        await acting.apply(workload(1))
        standing = on_cluster(server, folder)
        await standing.adopt()
        db = Database(url)
        async with forgotten(db, standing.forget_others, 0.1):
            await until(lambda: not (folder / "gone").exists())
            assert not await standing.attempts("gone")
            await until((folder / SERVICE).is_dir)
            await asyncio.sleep(0.5)
            assert (folder / SERVICE).is_dir(), "the cluster has it, whatever the database says"
            await removed(acting, workload(1))
            await until(lambda: not (folder / SERVICE).exists())
        db.close()
        await standing.close()
        await acting.close()

    play(scene)


def test_crashes_of_others_hold_up_no_log(tmp_path: Path) -> None:
    async def scene(server: KubeDouble) -> None:
        runtime = on_cluster(server, tmp_path)
        await runtime.adopt()
        await settle(runtime, workload(7), up(7))
        well, *others = [each.id for each in runtime.observe(SERVICE)]
        kept: list[str] = []
        read = LightkubeApi.logs

        async def slow(self: LightkubeApi, pod: str, namespace: str, wish: Any) -> str:
            if wish.lines == LINES:  # to be kept
                kept.append(pod)
                await asyncio.Event().wait()
            return await read(self, pod, namespace, wish)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LightkubeApi, "logs", slow)
            for uid in others:
                server.crash(uid, 3, "no such tensor")
            await until(lambda: bool(kept))
            await asyncio.sleep(0.3)
            assert len(kept) <= 2
            lines = await asyncio.wait_for(runtime.logs(SERVICE, replica=well), 10)
            assert lines[-1].text.startswith("listening")
            await runtime.close()

    play(scene)
