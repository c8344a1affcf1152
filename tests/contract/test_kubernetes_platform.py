"""A hub on a cluster, put together: which runtime is chosen and why, what it needs, and what `doctor` says."""

import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builders import a_service
from commands import pierhead
from kube_double import KubeDouble, stamp
from lws_double import SETS, GroupsDouble
from pierhead.bootstrap import kubernetes, runtime_memory, runtimes
from pierhead.bootstrap.credentials import load_or_create
from pierhead.bootstrap.database import migrate
from pierhead.bootstrap.runtimes import Ground
from pierhead.bootstrap.storage import box
from pierhead.core.errors import PierheadError, Unavailable
from pierhead.operations import regrouping
from pierhead.setting_fields_kubernetes import RuntimeName
from pierhead.settings import BadSetting, Settings
from pierhead.store import services
from pierhead.store.db import Database

IMAGE = {"kubernetes.image": "registry.example/pierhead:1"}


def settings(folder: Path, **flags: Any) -> Settings:
    return Settings.load({"data_dir": folder, **flags}, {})


async def chosen(given: Settings, before: RuntimeName | None = None) -> Ground:
    given.data_dir.mkdir(exist_ok=True)
    found = await runtimes.ground(given, load_or_create(given), before=before)
    await found.runtime.close()
    return found


def kubeconfig(server: KubeDouble, folder: Path) -> Path:
    cluster = {"server": f"http://127.0.0.1:{server.port}"}
    context = {"cluster": "c", "user": "u", "namespace": server.namespace}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "x", "context": context}],
        "current-context": "x",
    }
    file = folder / "kubeconfig"
    file.write_text(json.dumps(content))
    return file


# ---- the choice --------------------------------------------------------------------------------


def test_one_machine_pays_for_nothing_of_it() -> None:
    """What a hub imports, and a client verb: no client of a cluster, nor what speaks to one."""
    code = (
        "import sys, pierhead.bootstrap.hub, pierhead.cli.main;"
        "print([name for name in sys.modules if name.split('.')[0] in {'lightkube', 'httpx2'}"
        " or name.startswith(('pierhead.runtimes.kubernetes', 'pierhead.bootstrap.kubernetes'))])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert said.stdout.strip() == "[]"


def test_a_cluster_that_is_named_is_taken_and_another_one_is_not_made_up(tmp_path: Path) -> None:
    async def go() -> None:
        async with KubeDouble() as server:
            flags = {"kubernetes.kubeconfig": str(kubeconfig(server, tmp_path)), **IMAGE}
            auto = settings(tmp_path / "data", runtime="auto", **flags)
            named = settings(tmp_path / "data", runtime="kubernetes", **flags)
            for given in (named, auto):
                found = await chosen(given)
                assert (found.name, found.stop_all) == ("kubernetes", None)
            assert (await chosen(auto, before="process")).name == "process", "services stay there"
            await server.kill()
            # A hub that is told to be on a cluster, or has services there, waits for it.
            for given, before in ((named, None), (auto, "kubernetes")):
                found = await runtimes.ground(given, load_or_create(given), before=before)
                assert found.name == "kubernetes"
                with pytest.raises(Unavailable, match="is not available"):
                    await found.runtime.adopt()
                seen, info = found.sight(), await found.runtime.probe()
                assert seen is not None and seen.age is None
                assert "is not available" in seen.problem
                assert info.nodes == () and seen.problem in info.warnings[0]
                await found.runtime.close()
            assert (await chosen(auto)).name == "process"
            refused = settings(tmp_path / "data", **{**flags, "kubernetes.kubeconfig": "/nowhere"})
            with pytest.raises(Unavailable, match="A Kubernetes cluster"):
                await chosen(replace(refused, runtime="kubernetes"))

    asyncio.run(asyncio.wait_for(go(), 60))


def test_what_is_missing_for_it_is_said_in_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(**flags: Any) -> str:
        with pytest.raises(BadSetting) as caught:
            asyncio.run(chosen(settings(tmp_path, runtime="kubernetes", **flags)))
        return caught.value.message

    assert "kubernetes.image" in refused()
    assert "stop_replicas_on_exit" in refused(stop_replicas_on_exit=True, **IMAGE)

    def nowhere(_name: str) -> None:
        return None

    monkeypatch.setattr(kubernetes, "find_spec", nowhere)
    assert "pip install 'pierhead[kubernetes]'" in refused(**IMAGE)
    here = asyncio.run(chosen(settings(tmp_path, runtime="auto", **IMAGE)))
    assert here.name == "process"


def test_engines_are_those_of_the_images(tmp_path: Path) -> None:
    given = settings(
        tmp_path,
        **{"kubernetes.engine_images": "vllm=vllm:1", "kubernetes.python": "/opt/python"},
    )
    offers = kubernetes.engines(given).offers
    assert {name: bool(offer.missing) for name, offer in offers.items()} == {
        "llama_cpp": False,
        "vllm": False,
        "transformers": True,
        "custom": False,
    }


def test_an_operators_resources_go_before_the_usual_ones(tmp_path: Path) -> None:
    flags = {"kubernetes.gpu_resources": "NVIDIA=example.com/gpu,Moore=mt.com/gpu"}
    made = kubernetes.cluster(settings(tmp_path, **flags), "theirs")
    assert made.namespace == "theirs"
    assert made.gpu_resources["NVIDIA"].whole == "example.com/gpu"
    assert made.gpu_resources["NVIDIA"].part == "aliyun.com/gpu-mem"
    assert made.gpu_resources["Moore"].whole == "mt.com/gpu"
    assert made.gpu_resources["AMD"].whole == "amd.com/gpu"


@pytest.mark.parametrize(
    ("here", "asked", "served"),
    [
        ("process", "process", True),
        ("process", "kubernetes", False),
        ("kubernetes", "kubernetes", True),
        ("kubernetes", "container", True),
        ("kubernetes", "", True),
        ("kubernetes", "process", False),
    ],
)
def test_a_deployment_may_ask_for_the_runtime_that_there_is(
    here: str, asked: str, served: bool
) -> None:
    if served:
        assert regrouping.runtime(asked, here) == asked
    else:
        with pytest.raises(PierheadError, match=f"ai::runtime::{asked}"):
            regrouping.runtime(asked, here)


# ---- doctor ------------------------------------------------------------------------------------


async def doctor(folder: Path, config: Path, **flags: str) -> dict[str, list[dict[str, str]]]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("PIERHEAD_")}
    given = {"RUNTIME": "kubernetes", "KUBERNETES_KUBECONFIG": str(config), **flags}
    env |= {f"PIERHEAD_{name}": value for name, value in given.items()}
    words = ("doctor", "--data-dir", str(folder), "--json")
    done = await asyncio.to_thread(lambda: pierhead(*words, env=env))
    rows: dict[str, list[dict[str, str]]] = {}
    for row in json.loads(done.stdout):
        rows.setdefault(row["check"], []).append(row)
    return rows


async def _with_a_service(given: Settings, runtime: RuntimeName) -> None:
    """A database as a hub with that runtime leaves it."""
    migrate(given)
    db = Database(given.database, box=box(given))
    try:
        await runtime_memory.remember(db, runtime)
        assert await db.read(runtime_memory.before) is None, "there is nothing that would mind"
        await db.write(services.add, a_service())
        assert await db.read(runtime_memory.before) == runtime
        assert runtime_memory.before_here(given) == runtime
    finally:
        db.close()


def test_doctor_says_what_a_cluster_lacks_that_is_to_follow_loads(tmp_path: Path) -> None:
    async def go() -> None:
        async with KubeDouble() as server:
            config = kubeconfig(server, tmp_path)
            flags = {"KUBERNETES_IMAGE": "pierhead:1", "KUBERNETES_AUTOSCALER": "cluster"}
            server.denied = {("create", "horizontalpodautoscalers")}
            server.kinds["keda.sh/v1alpha1"] = ("ScaledObject",)
            ill = await doctor(tmp_path, config, **flags)
            (right,) = ill["cluster rights"]
            assert right["level"] == "warn"
            assert "may not create horizontalpodautoscalers" in right["found"]
            assert "the hub goes on to scale services itself" in right["found"]
            (metrics,) = ill["cluster metrics"]
            assert metrics["level"] == "warn" and "metrics-server" in metrics["advice"]
            server.denied, server.kinds["metrics.k8s.io/v1beta1"] = set(), ("PodMetrics",)
            well = await doctor(tmp_path, config, **flags)
            levels = [row["level"] for row in well["cluster rights"] + well["cluster metrics"]]
            assert levels == ["ok", "ok"]

    asyncio.run(asyncio.wait_for(go(), 120))


def test_doctor_says_whether_replicas_can_be_on_several_nodes(tmp_path: Path) -> None:
    async def go() -> None:
        async with GroupsDouble() as server:
            config = kubeconfig(server, tmp_path)
            server.idle = True
            well = await doctor(tmp_path, config, KUBERNETES_IMAGE="pierhead:1")
            (row,) = well["cluster groups"]
            assert (row["level"], row["found"]) == ("ok", "LeaderWorkerSet")
            labels = {"app.kubernetes.io/managed-by": "pierhead"}
            head = {"name": "ph-1-nodes-2", "namespace": server.namespace, "labels": labels}
            head |= {"creationTimestamp": stamp(time.time() - 60)}
            key = (SETS, server.namespace, "ph-1-nodes-2")
            server.put(key, {"kind": "LeaderWorkerSet", "metadata": head, "spec": {"replicas": 1}})
            server.denied = {("create", SETS)}
            ill = await doctor(tmp_path, config, KUBERNETES_IMAGE="pierhead:1")
            (row,) = ill["cluster groups"]
            assert row["level"] == "warn" and "nobody acts on ph-1-nodes-2" in row["found"]
            (right,) = ill["cluster rights"]
            assert right["level"] == "warn"
            assert "no replica can span several nodes" in right["found"]

    asyncio.run(asyncio.wait_for(go(), 120))


def test_doctor_names_what_is_missing_and_what_that_disables(tmp_path: Path) -> None:
    async def go() -> None:
        async with KubeDouble(version=("1", "29")) as server:
            config = kubeconfig(server, tmp_path)
            well = await doctor(tmp_path, config, KUBERNETES_IMAGE="pierhead:1")
            assert [row["level"] for row in well["cluster"]] == ["ok"]
            assert "v1.29.2" in well["cluster"][0]["found"]
            assert well["cluster rights"][0]["found"] == "all that are needed"
            assert "2 ready" in well["cluster nodes"][0]["found"]
            server.denied = {("delete", "pods"), ("list", "csidrivers")}
            server.node_answers("n2", well=False)
            server.version = ("1", "20")
            ill = await doctor(tmp_path, config, KUBERNETES_WEIGHTS="csi")
            assert ill["cluster"][0]["level"] == "warn"
            assert ill["cluster image"][0]["level"] == "fail"
            rights = {row["level"]: row["found"] for row in ill["cluster rights"]}
            assert rights["fail"].startswith("may not delete pods: ")
            assert rights["warn"].startswith("may not list csidrivers")
            assert {row["level"] for row in ill["cluster storage"]} == {"fail"}
            assert "n2" in ill["cluster nodes"][1]["found"]
            await server.kill()
            gone = await doctor(tmp_path, config)
            assert gone["cluster"][0]["level"] == "fail"
            auto = {"RUNTIME": "auto", "KUBERNETES_IMAGE": "p:1"}
            alone = await doctor(tmp_path, config, **auto)
            assert alone["cluster"][0]["level"] == "warn"
            await _with_a_service(settings(tmp_path), "kubernetes")
            awaited = await doctor(tmp_path, config, **auto)
            assert awaited["cluster"][0]["level"] == "fail", "services are there: it is waited for"

    asyncio.run(asyncio.wait_for(go(), 120))
