"""What is on a cluster besides what we made, and what people do to it: none of it may cost a replica."""

import asyncio
import copy
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_double import Behaviour, KubeDouble
from kube_stage import on_cluster
from pierhead.core.errors import OverQuota, Unsupported
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.runtimes.kubernetes import causes, names, strays
from pierhead.runtimes.kubernetes.documents import without_secrets, yaml_text
from pierhead.runtimes.kubernetes.environment import variables
from pierhead.runtimes.kubernetes.lightkube_api import LightkubeApi
from pierhead.runtimes.kubernetes.logbook import Logbook
from pierhead.runtimes.kubernetes.refusals import refusal
from pierhead.runtimes.kubernetes.runtime import KubernetesRuntime
from replica_servers import SERVICE, gone, ready, settle, until, workload

Scene = Callable[[KubeDouble, KubernetesRuntime], Awaitable[None]]
SERVICE_LABEL = "pierhead.dev/service-id"
OTHER = "f" * 32


def play(folder: Path, scene: Scene, **cluster: Any) -> None:
    """Run a scene on a fresh server and runtime."""

    async def run() -> None:
        async with KubeDouble() as server:
            made = on_cluster(server, folder, **cluster)
            await made.adopt()
            try:
                await scene(server, made)
            finally:
                await made.close()

    asyncio.run(asyncio.wait_for(run(), 60))


def up(count: int, rollout: str = "1.0") -> Callable[[list[ReplicaStatus]], bool]:
    """So many, all ready, no others."""
    return ready(count, rollout, pids=False)


def changed(server: KubeDouble, change: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """The one pod, changed by somebody."""
    (key,) = [key for key in server.objects if key[0] == "pods"]
    pod = copy.deepcopy(server.objects[key])
    change(pod)
    server.put(key, pod)
    return pod


def test_two_platforms_share_a_namespace(tmp_path: Path) -> None:
    """Each sees what is its own: what another platform runs is not taken for left-overs."""

    async def scene(server: KubeDouble, first: KubernetesRuntime) -> None:
        await settle(first, workload(2), up(2))
        second = on_cluster(server, tmp_path / "second", platform="1000000000000002")
        await second.adopt()
        try:
            assert second.observe() == []
            await second.apply(replace(workload(1), service=OTHER))
            await until(lambda: up(1)(second.observe(OTHER)))
            assert {each.service for each in second.observe()} == {OTHER}
            await gone(second, OTHER)
        finally:
            await second.close()
        assert up(2)(first.observe(SERVICE))
        kinds = {
            key[0]
            for key in server.objects
            if server.objects[key].get("metadata", {}).get("labels")
        }
        assert {"pods", "deployments", "services"} <= kinds
        for key, found in server.objects.items():
            labels = found.get("metadata", {}).get("labels", {})
            if (
                labels.get("app.kubernetes.io/managed-by") == "pierhead"
                and labels.get(SERVICE_LABEL) == SERVICE
            ):
                assert labels["pierhead.dev/platform"] == "1000000000000001", key

    play(tmp_path, scene, platform="1000000000000001")


def test_a_pod_that_is_taken_aside_is_no_replica(tmp_path: Path) -> None:
    """Its label is taken off, as people do to look at a pod in peace: nobody is sent there any more."""

    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, workload(1), up(1))
        (before,) = runtime.observe(SERVICE)
        aside = changed(server, lambda pod: pod["metadata"]["labels"].pop(SERVICE_LABEL))
        await until(lambda: before.id not in {each.id for each in runtime.observe(SERVICE)})
        server.drop(("pods", server.namespace, aside["metadata"]["name"]))
        await asyncio.sleep(0.2)
        assert before.id not in {each.id for each in runtime.observe()}

    play(tmp_path, scene)


def test_one_odd_object_costs_itself_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug at one change does not end the watch: what comes after it is seen."""

    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, workload(1), up(1))
        seen = Logbook.seen
        monkeypatch.setattr(Logbook, "seen", _stumbles)
        changed(server, lambda pod: pod["metadata"]["annotations"].update(odd="1"))
        await asyncio.sleep(0.1)
        monkeypatch.setattr(Logbook, "seen", seen)
        (old,) = runtime.observe(SERVICE)
        server.drop(next(key for key in server.objects if key[0] == "pods"))
        await until(
            lambda: up(1)(runtime.observe(SERVICE)) and runtime.observe(SERVICE)[0].id != old.id
        )
        assert runtime.facts_problem() == ""

    play(tmp_path, scene)


def _left(_pod: object) -> None:
    """Nothing collects it."""


def _stumbles(*_: object) -> None:
    raise RuntimeError("dictionary changed size during iteration")


def test_a_watch_that_stumbles_begins_anew_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What no error of ours foresees is told in /healthz meanwhile, and listed anew."""

    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, workload(1), up(1))
        listed = LightkubeApi.list
        monkeypatch.setattr(LightkubeApi, "list", _cannot)
        await server.kill()
        await server.revive()
        await until(lambda: "no such thing" in runtime.facts_problem(), 10)
        monkeypatch.setattr(LightkubeApi, "list", listed)
        await until(lambda: runtime.facts_problem() == "", 10)
        (old,) = runtime.observe(SERVICE)
        assert old.state is ReplicaState.READY

    play(tmp_path, scene)


async def _cannot(*_: object) -> None:
    raise LookupError("no such thing")


def test_annotations_that_people_wrote(tmp_path: Path) -> None:
    """A figure that is none, on one pod, does not keep the others from being seen."""

    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, workload(1), up(1))

        def odd(pod: dict[str, Any]) -> None:
            pod["metadata"]["annotations"] |= {
                "pierhead.dev/start-deadline": "²",
                "pierhead.dev/port": "²",
            }

        changed(server, odd)
        await until(lambda: runtime.observe(SERVICE)[0].deadline is None)
        assert len(runtime.observe()) == 1

    play(tmp_path, scene)


def test_a_hub_whose_clock_is_ahead_cuts_no_stream_off(tmp_path: Path) -> None:
    """A grace is counted from when its begin was seen, not by two clocks that may be minutes apart."""

    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        wanted = workload(2, stop_grace=30.0)
        await settle(runtime, wanted, up(2))
        ahead = on_cluster(server, tmp_path / "ahead", clock=lambda: time.time() + 40)
        await ahead.adopt()
        try:
            for _ in range(25):
                await ahead.apply(replace(wanted, replicas=1))
                await asyncio.sleep(0.02)
            states = sorted(str(each.state) for each in ahead.observe(SERVICE))
            assert states == ["draining", "ready"]
            assert len(server.all("pods")) == 2
        finally:
            await ahead.close()

    play(tmp_path, scene)


def test_secrets_are_masked_in_logs_also_after_a_restart(tmp_path: Path) -> None:
    """They are in the Secret, not in the pod: both logs and kept runs hide them."""

    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        server.behaviours["1.0"] = Behaviour(lines=("using token hush-hush-1",))
        await settle(runtime, workload(1, env={"MY_TOKEN": "hush-hush-1"}), up(1))
        assert "hush-hush-1" not in str(server.all("pods"))
        again = on_cluster(server, tmp_path / "again")
        await again.adopt()
        try:
            for hub in (runtime, again):
                lines = [line.text for line in await hub.logs(SERVICE)]
                assert "using token ******" in lines, lines
        finally:
            await again.close()

    play(tmp_path, scene)


def test_pods_that_a_node_puts_out_do_not_pile_up(tmp_path: Path) -> None:
    """The last ones stay to be looked at; the others are cleared away."""

    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, workload(1), up(1))
        server.behaviours["1.0"] = Behaviour(never_ready=True)
        for _ in range(12):
            for pod in server.all("pods"):
                if pod["status"].get("phase") != "Failed":
                    server.evict(pod["metadata"]["uid"], "low on resource: ephemeral-storage")
            await asyncio.sleep(0.03)
            await runtime.apply(workload(1))
        await until(lambda: len(server.all("pods")) <= 4)
        assert any(each.reason == "Evicted" for each in runtime.observe(SERVICE))

    play(tmp_path, scene)


def test_a_pod_without_its_deployment_goes_with_its_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--cascade=orphan`, or a copy made to debug: removing the service ends it all the same."""
    monkeypatch.setattr(strays, "PATIENCE", 0.1)

    async def scene(server: KubeDouble, runtime: KubernetesRuntime) -> None:
        await settle(runtime, workload(1), up(1))
        monkeypatch.setattr(server, "_collect", _left)
        (key,) = [key for key in server.objects if key[0] == "deployments"]
        server.drop(key)
        await gone(runtime)
        assert server.all("pods") == []

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("given", "word"),
    [
        ({"POD_IP": "10.0.0.1"}, "POD_IP"),
        ({f"A{at}": "x" * 1000 for at in range(600)}, "512 KiB"),
        ({"a b": "1"}, "a b"),
    ],
)
def test_what_a_cluster_cannot_take_as_an_environment_is_refused_by_name(
    given: dict[str, str], word: str
) -> None:
    with pytest.raises(Unsupported, match=word):
        variables(given, "keys")


@pytest.mark.parametrize(
    ("said", "quota"),
    [
        (
            'pods "x" is forbidden: exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2',
            True,
        ),
        (
            'pods "x" is forbidden: maximum memory usage per Container is 1Gi, but limit is 2Gi',
            False,
        ),
        ('pods "x" is forbidden: [maximum cpu usage per Pod is 2, but limit is 4]', False),
    ],
)
def test_a_limit_for_each_pod_is_no_quota_that_may_get_room(said: str, quota: bool) -> None:
    """Waiting helps with one of them alone."""
    condition = {"type": "ReplicaFailure", "status": "True", "message": said}
    found = causes.refused({"status": {"conditions": [condition]}})
    assert found is not None
    assert found.reason == ("PodQuotaExceeded" if quota else "PodRefused")
    assert isinstance(refusal(403, {"message": said}, "it"), OverQuota) == quota


def test_exported_texts_are_texts_to_every_parser() -> None:
    """YAML 1.1 and 1.2 read numbers, times and truths in different words: these go in quotes."""
    odd = [
        "1e-5",
        "6e5",
        "0o17",
        "0888",
        "-.5",
        ".5",
        "y",
        "N",
        "on",
        "null",
        "~",
        "1_000",
        "12:30",
        "+1",
    ]
    text = yaml_text([{"kind": "Pod", "args": odd, "name": "llama:latest", "many": "a\nb"}])
    assert yaml.safe_load(text)["args"] == odd
    assert all(f'- "{each}"\n' in text for each in odd), text
    assert "name: llama:latest\n" in text
    assert yaml.safe_load(text)["many"] == "a\nb"


@pytest.mark.parametrize("odd", ["\x85", "\u2028", "\u2029", "\ufeff"])
def test_exported_texts_keep_what_some_readers_take_for_the_end_of_a_line(odd: str) -> None:
    texts = [odd, f"a{odd}b", f"{odd}a", f"a {odd}", f"a\n{odd}b", f"long {odd} " * 30]
    text = yaml_text([{"kind": "Pod", "args": texts, "labels": {f"a{odd}": "b"}}])
    assert yaml.safe_load(text) == {"kind": "Pod", "args": texts, "labels": {f"a{odd}": "b"}}
    assert odd not in text


def test_exported_commands_and_variables_show_no_secret() -> None:
    proxies = "http://ann:pass-1@proxy:3128,socks5://:pass-2@10.0.0.7:1080"
    plain = [
        "http://proxy:3128/a@b",
        "ssh://ann@hub.example/x?to=a:b@c",
        "registry:5000/a@sha256:1",
    ]
    env = [{"name": "ALL_PROXY", "value": proxies}, *({"name": "A", "value": x} for x in plain)]
    engine = {
        "command": ["vllm", "--api-key", "sk-1", "--hf-token=hf-1"],
        "args": [
            "--secret",
            "sk-2",
            "--index=https://ann:p@ss-3@pypi.example/simple",
            "https://sk-4@x/",
        ],
        "env": env,
    }
    made: dict[str, Any] = {"spec": {"containers": [engine], "initContainers": [{"env": env}]}}
    found: dict[str, Any] = {
        "kind": "Deployment",
        "metadata": {"name": "x", "annotations": {}},
        **made,
    }
    (shown,) = without_secrets([found])
    hidden = ("sk-1", "hf-1", "sk-2", "pass-1", "pass-2", "ss-3", "sk-4")
    assert not [each for each in hidden if each in str(shown)]
    for part in ("containers", "initContainers"):
        first, *rest = [each["value"] for each in shown["spec"][part][0]["env"]]
        assert first == "http://ann:******@proxy:3128,socks5://:******@10.0.0.7:1080"
        assert rest == plain
    assert names.applied(shown) != names.applied(names.stamped(found))
