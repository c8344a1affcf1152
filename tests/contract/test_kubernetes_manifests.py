"""What a service is on a cluster, word for word: golden manifests, legal for two API versions.

PIERHEAD_REWRITE_GOLDEN=1 writes the golden files anew; what changed is then to be read in the diff.
"""

import base64
import json
import os
import re
import socket
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kubernetes_cases import (
    BY_CPU,
    BY_LOAD,
    CASES,
    CLUSTER,
    CUSTOM,
    DEMO,
    KEY,
    MEASURED,
    OLD,
    ask,
    fetched,
    workload,
)
from pierhead.core.errors import Unsupported
from pierhead.core.launch import Launch
from pierhead.core.mounts import NasSource, OssSource
from pierhead.core.resources import GIB, Resources
from pierhead.core.templates import Constraints, Link, Probe, Rolling
from pierhead.runtimes.kubernetes import names, places
from pierhead.runtimes.kubernetes.documents import HIDDEN, without_secrets, yaml_text
from pierhead.runtimes.kubernetes.environment import expanded
from pierhead.runtimes.kubernetes.launching import ADDRESS, launched
from pierhead.runtimes.kubernetes.objects import Manifest
from pierhead.runtimes.kubernetes.render import Extras, manifests, notices

GOLDEN = Path(__file__).parent / "kubernetes_golden"
VERSIONS = ("1.29", "1.37")
#: Kinds of others, which no schema of Kubernetes knows, and versions that newer servers do not have.
NO_SCHEMA = ("LeaderWorkerSet", "ScaledObject")
GONE = ("autoscaling/v2beta2", "policy/v1beta1")


@pytest.mark.parametrize("name", CASES)
def test_manifests_are_word_for_word_what_was_read_and_agreed(name: str) -> None:
    made = CASES[name].made()
    file = GOLDEN / f"{name}.yaml"
    if os.environ.get("PIERHEAD_REWRITE_GOLDEN"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(yaml_text(made))
    assert [*yaml.safe_load_all(file.read_text())] == [*made]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", CASES)
def test_every_object_is_legal_where_its_version_is_served(name: str, version: str) -> None:
    for manifest in CASES[name].made():
        if manifest["kind"] not in NO_SCHEMA and manifest["apiVersion"] not in GONE:
            kubernetes_validate.validate(manifest, version, strict=True)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["several-nodes", "several-nodes-in-turn"])
def test_the_pods_of_a_set_are_legal(name: str, version: str) -> None:
    """No schema knows LeaderWorkerSets; what it makes of them is known."""
    case = CASES[name]
    made = owner(case.made())["spec"]["leaderWorkerTemplate"]
    assert made["size"] == case.workload.template.nodes
    for part in ("leaderTemplate", "workerTemplate"):
        head = {"apiVersion": "v1", "kind": "Pod"}
        if case.cluster.version <= tuple(map(int, version.split("."))):
            kubernetes_validate.validate({**head, **made[part]}, version, strict=True)


def test_the_pods_of_one_replica_are_on_different_nodes_and_of_two_where_that_can_be_said() -> None:
    for name, keys in (
        ("several-nodes", None),
        ("several-nodes-in-turn", [names.SET, names.GROUP_INDEX]),
    ):
        made = owner(CASES[name].made())["spec"]["leaderWorkerTemplate"]
        for part in ("leaderTemplate", "workerTemplate"):
            apart = made[part]["spec"]["affinity"]["podAntiAffinity"]
            (term,) = apart["requiredDuringSchedulingIgnoredDuringExecution"]
            assert term["topologyKey"] == "kubernetes.io/hostname"
            assert term.get("matchLabelKeys") == keys
            assert (
                term["labelSelector"]["matchLabels"].items()
                <= made[part]["metadata"]["labels"].items()
            )


def test_a_member_waits_for_its_leader_and_in_turn_with_its_files_too() -> None:
    at_once, in_turn = (
        owner(CASES[name].made())["spec"]["leaderWorkerTemplate"]
        for name in ("several-nodes", "several-nodes-in-turn")
    )
    for made in (at_once, in_turn):
        leader, member = (
            made[part]["spec"]["containers"][0] for part in ("leaderTemplate", "workerTemplate")
        )
        assert member["resources"] == leader["resources"] and member["image"] == leader["image"]
        assert not member.keys() & {"readinessProbe", "startupProbe", "livenessProbe", "lifecycle"}
        mounts = {each["mountPath"] for each in member["volumeMounts"]}
        assert {"/dev/shm", "/tmp"} <= mounts
    first = [each["name"] for each in in_turn["workerTemplate"]["spec"]["initContainers"]]
    assert first == ["turn", "fetch"]
    turn = in_turn["workerTemplate"]["spec"]["initContainers"][0]
    assert "nvidia.com/gpu" not in turn["resources"]["limits"]
    assert [each["name"] for each in at_once["workerTemplate"]["spec"]["initContainers"]] == [
        "fetch"
    ]


@pytest.mark.parametrize(
    "flags",
    [("--pipeline-parallel-size", "3"), ("-pp=1",), ("--distributed_executor_backend=mp",)],
)
def test_flags_that_say_something_else_about_nodes_are_refused(flags: tuple[str, ...]) -> None:
    case = CASES["several-nodes"]
    asked = replace(case.workload, template=replace(case.workload.template, flags=flags))
    with pytest.raises(Unsupported, match="2 nodes"):
        launched(ask, asked, case.cluster)
    alike = replace(case.workload.template, flags=("--pipeline-parallel-size=2",))
    launched(ask, replace(case.workload, template=alike), case.cluster)


def test_a_script_of_a_member_waits_for_a_real_port_and_goes_on(tmp_path: Path) -> None:
    """The shell's own words: nothing of it is known by any schema."""
    made = owner(CASES["several-nodes"].made())["spec"]["leaderWorkerTemplate"]
    shell, flag, script = made["workerTemplate"]["spec"]["containers"][0]["command"]
    (tmp_path / "ray").write_text('#!/bin/sh\necho "$VLLM_HOST_IP $RAY_USAGE_STATS_ENABLED" "$@"\n')
    (tmp_path / "ray").chmod(0o700)
    with socket.create_server(("127.0.0.1", 0)) as head:
        port = head.getsockname()[1]
        variables = {
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "POD_IP": "10.0.0.7",
            "LWS_LEADER_ADDRESS": "127.0.0.1",
        }
        head.listen()
        said = subprocess.run(
            [shell, flag, script.replace("6379", str(port))],
            env=variables,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
    start = f"start --block --address=127.0.0.1:{port} --node-ip-address=10.0.0.7"
    assert said == f"10.0.0.7 0 {start}\n"


def test_the_older_versions_of_two_kinds_are_what_the_newer_ones_are() -> None:
    """No schema of theirs is at hand; their fields are those of the newer ones, as far as we use them."""
    old = {each["kind"]: each for each in CASES["custom"].made()}
    new = {"HorizontalPodAutoscaler": "autoscaling/v2", "PodDisruptionBudget": "policy/v1"}
    for kind, api in new.items():
        kubernetes_validate.validate({**old[kind], "apiVersion": api}, "1.29", strict=True)


@pytest.mark.parametrize(
    ("replicas", "rolling", "bounds", "told"),
    [
        (1, Rolling(), (0, 1), "ends its one replica before the next one starts"),
        (1, Rolling(3, 0), (0, 1), "ends its one replica before the next one starts"),
        (1, Rolling(1, 1), (1, 1), ""),
        (2, Rolling(), (1, 0), "one replica fewer than wanted at its end"),
        (2, Rolling(0, 1), (0, 1), ""),
        (0, Rolling(), (1, 0), ""),
    ],
)
def test_an_update_of_a_set_comes_to_its_end_and_what_it_cannot_keep_to_is_told(
    replicas: int, rolling: Rolling, bounds: tuple[int, int], told: str
) -> None:
    """A set of one group makes none above it, so with none below it would keep its old one for good."""
    case = CASES["several-nodes"]
    asked = replace(case.workload, replicas=replicas, rolling=rolling)
    case = replace(case, workload=asked)
    sent = owner(case.made())["spec"]["rolloutStrategy"]["rollingUpdateConfiguration"]
    assert (sent["maxSurge"], sent["maxUnavailable"]) == bounds
    found = [
        each.message
        for each in notices(asked, case.launch, case.cluster)
        if each.reason == "UpdateHasFewer"
    ]
    assert len(found) == bool(told) and told in "".join(found)
    alone = replace(asked, template=replace(asked.template, nodes=1))
    reasons = {each.reason for each in notices(alone, case.launch, case.cluster)}
    assert "UpdateHasFewer" not in reasons


def test_what_fetches_for_a_replica_on_several_nodes_tries_again_by_itself() -> None:
    """There the end of any container takes the whole replica along; elsewhere the kubelet starts it anew."""
    made = owner(CASES["several-nodes"].made())["spec"]["leaderWorkerTemplate"]
    for part in ("leaderTemplate", "workerTemplate"):
        (fetcher,) = made[part]["spec"]["initContainers"]
        assert fetcher["command"][-2:] == ["--patience", "600"]
    (fetcher,) = owner(CASES["cached"].made())["spec"]["template"]["spec"]["initContainers"]
    assert "--patience" not in fetcher["command"]


def test_no_secret_is_anywhere_but_in_a_secret() -> None:
    hidden = (KEY, "the-secret", "hf_secretsecret", "an-own-secret")
    for case in CASES.values():
        for manifest in case.made():
            text = json.dumps(manifest)
            if manifest["kind"] != "Secret":
                assert not [secret for secret in hidden if secret in text]
        shown = yaml_text(without_secrets(case.made()))
        assert not [secret for secret in hidden if encoded(secret) in shown]
    secret = CASES["demo"].made()[0]
    assert secret["data"] == {"engine-key": encoded(KEY)}
    assert without_secrets([secret])[0]["data"] == {"engine-key": HIDDEN}


def encoded(text: str) -> str:
    """As a Secret has it."""
    return base64.b64encode(text.encode()).decode()


def kubelet(text: str, known: Mapping[str, str]) -> str:
    """What the kubelet makes of a text, written after Kubernetes' own expansion."""
    made, at = "", 0
    while at < len(text):
        rest = text[at:]
        end = rest.find(")")
        if rest.startswith("$$"):
            made, at = made + "$", at + 2
        elif rest.startswith("$(") and end > 0:
            made, at = made + known.get(rest[2:end], rest[: end + 1]), at + end + 1
        else:
            made, at = made + rest[0], at + 1
    return made


@given(st.lists(st.sampled_from(["$", "(", ")", "POD_IP", "a", ADDRESS]), max_size=9))
def test_a_text_comes_out_of_the_kubelet_as_it_was_written(parts: list[str]) -> None:
    text = "".join(parts)
    known = {"POD_IP": "10.0.0.7"}
    assert kubelet(expanded(text), known) == text.replace(ADDRESS, "10.0.0.7")


@given(st.text(max_size=80), st.text(alphabet="0123456789abcdef", min_size=32, max_size=32))
def test_whatever_a_service_is_called_its_objects_have_legal_names(name: str, id: str) -> None:
    made = manifests(
        replace(CASES["demo"].workload, service=id, name=name),
        Launch(("true",), {}, Probe()),
        CLUSTER,
    )
    for manifest in made:
        meta = manifest["metadata"]
        assert names.bounded(meta["name"]) == meta["name"]
        assert all(legal_value(value) for value in meta["labels"].values())
        assert meta["annotations"][names.SERVICE_NAME] == name


def legal_value(text: str) -> bool:
    """As an API server judges a label's value."""
    ends = text[:1] + text[-1:]
    inner = text.replace("-", "").replace("_", "").replace(".", "")
    return (
        len(text) <= 63
        and (not text or (ends.isalnum() and (not inner or inner.isalnum())))
        and text.isascii()
    )


@given(st.text(max_size=100))
def test_any_text_is_bounded_to_a_dns_label_and_two_texts_to_two(text: str) -> None:
    label = names.bounded(text)
    assert 0 < len(label) <= 63
    assert label[0].isalnum() and label[-1].isalnum()
    assert names.bounded(label) == label
    assert names.bounded(text + "x") != label


def test_the_same_is_made_of_the_same_and_the_digest_tells_when_it_is_not() -> None:
    case = CASES["cached"]
    first, again = case.made(), case.made()
    assert first == again
    more = replace(case, workload=replace(case.workload, replicas=4)).made()
    changed = [
        one["kind"]
        for one, other in zip(first, more, strict=True)
        if names.applied(one) != names.applied(other)
    ]
    assert changed == ["Deployment"]
    assert owner(first)["spec"]["template"] == owner(more)["spec"]["template"]


def owner(made: Iterable[Manifest]) -> Manifest:
    """What keeps the pods."""
    return [*made][-1]


def test_a_scaler_of_the_cluster_owns_the_count() -> None:
    case = CASES["cached"]
    case = replace(case, workload=replace(case.workload, template=MEASURED))
    scaled = replace(case, extras=Extras(KEY, BY_CPU)).made()
    assert "replicas" not in owner(scaled)["spec"]
    assert [each["kind"] for each in scaled][-2:] == ["HorizontalPodAutoscaler", "Deployment"]
    # What the cluster cannot follow stays ours, and is told.
    blind = replace(case, extras=Extras(KEY, BY_LOAD))
    assert owner(blind.made())["spec"]["replicas"] == 3
    told = notices(blind.workload, blind.launch, blind.cluster, blind.extras)
    assert [notice.reason for notice in told] == ["ScalerStaysHere"]
    # A share of what nobody asked for cannot be measured: such a scaler would never move.
    bare = replace(CASES["cached"], extras=Extras(KEY, BY_CPU))
    assert owner(bare.made())["spec"]["replicas"] == 3
    told = notices(bare.workload, bare.launch, bare.cluster, bare.extras)
    assert [notice.reason for notice in told] == ["ScalerStaysHere"]
    assert "asks for none" in told[0].message


def test_what_a_cluster_does_not_give_is_told_by_name() -> None:
    case = CASES["custom"]
    wanted = replace(case.workload.template, links=(Link("far", "/home/x"),))
    wanted = replace(wanted, readiness=Probe(kind="http-any", path="/up"))
    asked = replace(case.workload, template=wanted)
    told = {n.reason: n.message for n in notices(asked, launched(ask, asked, OLD), OLD)}
    assert told.keys() == {
        "OneImage",
        "ProbeByConnection",
        "WorkingFolder",
        "LowPort",
        "DatasetUnreachable",
    }
    assert "own/arm:1" in told["OneImage"] and "/home/x" in told["DatasetUnreachable"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"env": {"A B": "x"}}, "A B"),
        (
            {
                "command": ("x",),
                "constraints": Constraints(gpu_specs={"Acme": ()}),
                "resources": Resources(gpu=1),
            },
            "Acme",
        ),
        (
            {
                "resources": Resources(gpu_memory=GIB),
                "constraints": Constraints(gpu_specs={"amd": ()}),
            },
            "amd.com/gpu",
        ),
    ],
)
def test_what_no_cluster_can_give_is_refused_by_name(changes: dict[str, Any], says: str) -> None:
    asked = workload(replace(CUSTOM, **changes))
    with pytest.raises(Unsupported, match=says):
        manifests(asked, launched(ask, asked, CLUSTER), CLUSTER)


@pytest.mark.parametrize("odd", [*";$`'\"\n \t&|<>()*?![]{}#\\^"], ids=ascii)
@pytest.mark.parametrize("kind", ["bucket", "nas"])
def test_no_driver_is_given_a_path_that_a_shell_reads_otherwise(kind: str, odd: str) -> None:
    case = CASES[kind]
    sources = {"bucket": OssSource("weights", f"q/a{odd}b/"), "nas": NasSource("t", f"/q/a{odd}b")}
    fetch = case.workload.files.fetch
    assert fetch is not None
    files = replace(case.workload.files, fetch=replace(fetch, source=sources[kind]))
    named = replace(case, workload=replace(case.workload, files=files))
    with pytest.raises(Unsupported, match=re.escape(f"[{odd!a}]")):
        named.made()
    assert replace(named, cluster=replace(case.cluster, weights="fetch")).made(), "it is no shell"


def test_paths_of_all_languages_are_mounted() -> None:
    case = CASES["bucket"]
    fetch = case.workload.files.fetch
    assert fetch is not None
    source = OssSource("weights", "模型/Qwen2.5-0.5B_v1=a+b,c:d@e~f%20g/model.gguf")
    files = replace(case.workload.files, fetch=replace(fetch, source=source))
    made = replace(case, workload=replace(case.workload, files=files)).made()
    (volume,) = [each for each in made if each["kind"] == "PersistentVolume"]
    attributes = volume["spec"]["csi"]["volumeAttributes"]
    assert attributes["path"] == "/模型/Qwen2.5-0.5B_v1=a+b,c:d@e~f%20g"


def test_a_part_of_a_gpu_is_asked_for_in_whole_units() -> None:
    asked = workload(replace(CUSTOM, resources=Resources(gpu_memory=GIB * 5 // 2, shm=4 * GIB)))
    made = owner(manifests(asked, launched(ask, asked, CLUSTER), CLUSTER))
    engine = made["spec"]["template"]["spec"]["containers"][0]
    assert engine["resources"]["limits"] == {"aliyun.com/gpu-mem": "3"}
    shared = [each for each in made["spec"]["template"]["spec"]["volumes"] if each["name"] == "shm"]
    assert [each["emptyDir"]["sizeLimit"] for each in shared] == ["4Gi"]


@pytest.mark.parametrize(
    ("told", "seconds"), [("Unknown", 3.0), ("False", 30.0), (None, 3.0)], ids=str
)
def test_a_silent_node_is_given_up_sooner_than_one_that_says_it_is_not_ready(
    told: str | None, seconds: float
) -> None:
    """What is told of a replacement is what the pod tolerates."""
    made = owner(manifests(workload(CUSTOM), launched(ask, workload(CUSTOM), CLUSTER), CLUSTER))
    found = {
        each["key"]: each["tolerationSeconds"]
        for each in made["spec"]["template"]["spec"]["tolerations"]
    }
    taint = "not-ready" if told == "False" else "unreachable"
    assert found[f"node.kubernetes.io/{taint}"] == seconds
    node = {"status": {"conditions": [{"type": "Ready", "status": told}]}} if told else None
    assert places.tolerated(node, CLUSTER) == seconds


def test_discovery_says_which_versions_are_used() -> None:
    found = CLUSTER.discovered(
        (1, 20),
        {
            "autoscaling/v2beta2": frozenset({"HorizontalPodAutoscaler"}),
            "policy/v1beta1": frozenset({"PodDisruptionBudget"}),
            "keda.sh/v1alpha1": frozenset({"ScaledObject"}),
        },
    )
    assert (found.hpa, found.pdb, found.lws, found.keda) == (
        "autoscaling/v2beta2",
        "policy/v1beta1",
        False,
        True,
    )
    assert CLUSTER.discovered((1, 37), {}).pdb == ""


@pytest.mark.parametrize("cache", ["", "/var/cache/pierhead"])
@pytest.mark.parametrize("path", ["", "/mnt/model"])
def test_an_engine_sees_its_own_files_alone_and_only_reads_them(cache: str, path: str) -> None:
    cluster = replace(CLUSTER, cache_path=cache, host_folders=("/wheels",))
    template = replace(DEMO, mount_path=path)
    assert template.source is not None
    files = fetched(template.source, cluster.weights_root, file="model.gguf")
    fetch = files.fetch
    assert fetch is not None
    files = replace(files, fetch=replace(fetch, local="/wheels/demo.whl"))
    asked = workload(template, files)
    spec = owner(manifests(asked, launched(ask, asked, cluster), cluster))["spec"]["template"][
        "spec"
    ]
    volumes = {each["name"]: each for each in spec["volumes"]}
    engine, fetcher = spec["containers"][0], spec["initContainers"][0]
    (mount,) = (each for each in engine["volumeMounts"] if each["name"] == "weights")
    assert mount["readOnly"]
    model = engine["command"][engine["command"].index("--model") + 1]
    assert model == f"{path or files.folder}/model.gguf"
    assert model.startswith(mount["mountPath"])
    if cache:  # other services have theirs beside it
        assert volumes["weights"]["hostPath"]["path"].startswith(fetch.folder)
    elif path:
        assert mount["subPath"] == "0123abcd/files"
    shown = {each["mountPath"]: each for each in fetcher["volumeMounts"]}
    assert shown["/wheels/demo.whl"]["readOnly"]
    assert "readOnly" not in shown[cluster.weights_root]
