"""One model over two nodes: deployed by the ZStack API, run by a hub's own process on a cluster's double."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_pair import Cluster
from stage import Json, Stage, until

from lws_double import SETS, GroupsDouble
from pierhead.cli.client import find_access
from pierhead.cli.zstack_client import ZstackClient, ZstackRefused, item

TEMPLATES, GROUPS = "ai/model-services", "ai/model-services/instances/groups"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """Two nodes with two GPUs each."""
    double = GroupsDouble()
    for name in ("n1", "n2"):
        double.add_node(name, **{"nvidia.com/gpu": "2"})
    made = Cluster(tmp_path, double)
    yield made
    made.close()


def model(folder: Path) -> None:
    """A folder of weights as far as a header tells them."""
    folder.mkdir(parents=True)
    header = json.dumps({"w": {"dtype": "F16", "shape": [8, 8], "data_offsets": [0, 128]}}).encode()
    (folder / "model.safetensors").write_bytes(
        struct.pack("<Q", len(header)) + header + b"\0" * 128
    )
    shape = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": 8,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "vocab_size": 32,
    }
    (folder / "config.json").write_text(json.dumps(shape))


class Hub:
    """A hub on the cluster, and a client of its ZStack door."""

    def __init__(self, stage: Stage, cluster: Cluster) -> None:
        self.stage, self.cluster = stage, cluster
        weights = stage.folder.with_name("weights")
        model(weights / "large")
        flags = (
            f"--set=kubernetes.kubeconfig={cluster.kubeconfig}",
            "--set=kubernetes.image=registry.example/pierhead:1",
            f"--set=kubernetes.host_folders={weights}",
            "--set=resync_seconds=5",
            "--log-level=info",
        )
        stage.answering(stage.listen, stage.start("hub", "--runtime=kubernetes", *flags))
        self.client = ZstackClient(find_access(stage.folder, None, {}))
        self.zone = self.client.page("zones")[0]["uuid"]
        center = {
            "name": "shelf",
            "url": f"file://{weights}",
            "managementIp": "127.0.0.1",
            "managementPort": 80,
        }
        self.center = self.client.post("ai/model-centers", "param", center)["inventory"]["uuid"]

    def template(self) -> str:
        """One that vLLM serves, by an image of its own, over several nodes."""
        made: Json = {
            "name": "large",
            "yaml": "services: []",
            "modelCenterUuid": self.center,
            "requestCpu": 1,
            "requestMemory": 1024,
            "installPath": "large",
            "startCommand": "",
            "framework": "vLLM",
            "supportDistributed": True,
            "architectureImages": [
                {"cpuArchitecture": "x86_64", "dockerImage": "registry.example/vllm:1"}
            ],
        }
        template = self.client.post(TEMPLATES, "param", made)["inventory"]["uuid"]
        weights = {
            "name": "large",
            "installPath": "large",
            "modelCenterUuid": self.center,
            "modelServiceUuids": [template],
        }
        self.client.post("ai/models", "param", weights)
        return str(template)

    def deploy(self, template: str, **fields: Any) -> Json:
        """Two nodes of two GPUs for each replica."""
        node = {"uuid": template, "zoneUuid": self.zone, "name": "node", "type": "Container"}
        parts = [{**node, "nodeRank": rank, "tensorParallelSize": 2} for rank in range(2)]
        whole: Json = {"name": "large", "serviceCreationStrategy": "parallel", **fields}
        body = {**whole, "modelServices": parts}
        found: Json = self.client.put(TEMPLATES, "deployDistributedModelService", body)["inventory"]
        return found

    def group(self, uuid: str) -> Json:
        found = self.client.page(GROUPS, [f"uuid={uuid}"])
        return found[0] if found else {}

    def becomes(self, uuid: str, status: str) -> Json:
        """Wait until the group is that."""

        def look() -> Json | None:
            found = self.group(uuid)
            return found if found.get("status") == status else None

        def told() -> str:
            return f"{self.group(uuid)}\n{self.stage.tail()}"

        found = until(look, told)
        assert found is not None
        return found

    def sets(self) -> list[Json]:
        """LeaderWorkerSets that there are."""
        return self.cluster.ask(lambda: [dict(one) for one in self.cluster.double.all(SETS)])


@pytest.fixture
def hub(stage: Stage, cluster: Cluster) -> Hub:
    return Hub(stage, cluster)


def test_a_group_over_two_nodes_lives_and_goes(hub: Hub) -> None:
    made = hub.deploy(hub.template())
    group = hub.becomes(made["uuid"], "Running")
    ranks = [(one["nodeRank"], one["status"]) for one in group["instances"]]
    assert ranks == [(0, "Running"), (1, "Running")]
    assert (group["readyReplicas"], group["replicas"]) == (1, 1)
    (found,) = hub.sets()
    spec = found["spec"]["leaderWorkerTemplate"]
    assert spec["size"] == 2
    (leader,) = spec["leaderTemplate"]["spec"]["containers"]
    said = " ".join(leader["command"])
    for words in ("vllm serve", "--tensor-parallel-size 2", "--pipeline-parallel-size 2"):
        assert words in said
    assert leader["image"] == "registry.example/vllm:1"
    assert leader["resources"]["limits"]["nvidia.com/gpu"] in {2, "2"}
    assert hub.cluster.names("deployments") == []

    longer = {"startupParameters": {"max-model-len": "4096"}}
    path = item("model-service-instance-groups", made["uuid"])
    hub.client.put(path, "updateModelServiceInstanceGroup", longer)

    def rolled() -> bool:
        (now,) = hub.sets()
        command = now["spec"]["leaderWorkerTemplate"]["leaderTemplate"]["spec"]["containers"][0]
        return "--max-model-len 4096" in " ".join(command["command"])

    until(rolled, hub.stage.tail)
    # A set of one replica has none while it is made anew.
    until(
        lambda: hub.stage.client.describe(made["serviceName"])["RunningInstance"] == 1,
        hub.stage.tail,
    )
    hub.becomes(made["uuid"], "Running")
    hub.client.delete(item(GROUPS, made["uuid"]))
    until(lambda: not hub.group(made["uuid"]), hub.stage.tail)
    until(lambda: hub.sets() == [], hub.stage.tail)
    until(lambda: hub.cluster.names("pods") == [], hub.stage.tail)


def test_a_cluster_without_such_sets_refuses_and_nothing_is_begun(
    tmp_path: Path, stage: Stage
) -> None:
    cluster = Cluster(tmp_path)
    try:
        hub = Hub(stage, cluster)
        template = hub.template()
        before = cluster.changes()
        with pytest.raises(ZstackRefused) as caught:
            hub.deploy(template)
        assert caught.value.code == "SYS.1014"
        assert "leaderworkerset.x-k8s.io" in str(caught.value)
        assert hub.client.page(GROUPS) == []
        assert cluster.changes() == before
    finally:
        cluster.close()


def test_too_few_nodes_are_told_and_the_group_begins_once_there_are_enough(
    stage: Stage, cluster: Cluster
) -> None:
    cluster.ask(lambda: cluster.double.node_answers("n2", well=False))
    hub = Hub(stage, cluster)
    made = hub.deploy(hub.template())

    def told() -> bool:
        return "2 nodes with 2 GPU" in str(hub.group(made["uuid"]).get("message"))

    until(told, lambda: f"{hub.group(made['uuid'])}\n{hub.stage.tail()}")
    assert "1 fits" in hub.group(made["uuid"])["message"]
    assert hub.sets() == []
    cluster.ask(lambda: cluster.double.node_answers("n2", well=True))
    hub.becomes(made["uuid"], "Running")
