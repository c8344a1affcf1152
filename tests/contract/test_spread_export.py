"""`pierhead export` of a service whose replicas are on several nodes each."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from ram_world import World, serving
from test_export import Hub, exported

from builders import a_template
from made_database import made_sqlite
from pierhead.cli.client import Json
from pierhead.core.mounts import FolderSource
from pierhead.core.resources import GIB, Resources
from pierhead.core.templates import AUTO, Template

WIDE = a_template(
    engine="vllm",
    command=(),
    images={"": "registry.example/vllm:1"},
    nodes=2,
    resources=Resources(cpu=8, memory=64 * GIB, gpu=4),
    flags=("--max-model-len", "8192"),
)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    found = Hub(World(made_sqlite(tmp_path / "pierhead.db")), tmp_path)
    with serving(found.world):
        yield found


def sets(hub: Hub, template: Template) -> tuple[Json, list[str]]:
    """The LeaderWorkerSet of a service, the only owner of pods, and what its owner has to do."""
    (weights := hub.folder / "weights").mkdir(exist_ok=True)
    (weights / "model.safetensors").write_bytes(b"\0" * 64)
    (weights / "config.json").write_text("{}")
    hub.service("svc_wide", template, source=FolderSource(str(weights)))
    answer = exported(hub.client(), "svc_wide", Namespace="models")
    found = {each["kind"]: each for each in yaml.safe_load_all(answer["Content"])}
    assert "Deployment" not in found
    return found["LeaderWorkerSet"], answer["Warnings"]["Warning"]


@pytest.mark.parametrize("engine", ["vllm", AUTO])
def test_it_is_a_leader_worker_set_with_the_engine_in_its_leaders(hub: Hub, engine: str) -> None:
    made, told = sets(hub, replace(WIDE, engine=engine))
    assert made["spec"]["replicas"] == 1
    group = made["spec"]["leaderWorkerTemplate"]
    assert group["size"] == 2
    leader, member = (
        group[name]["spec"]["containers"][0] for name in ("leaderTemplate", "workerTemplate")
    )
    said = " ".join(leader["command"])
    for words in (
        "vllm serve",
        "--tensor-parallel-size 4",
        "--pipeline-parallel-size 2",
        "--distributed-executor-backend ray",
        "--max-model-len 8192",
    ):
        assert words in said
    assert "vllm" not in " ".join(member["command"])
    for each in (leader, member):
        assert each["image"] == "registry.example/vllm:1"
        assert each["resources"]["limits"]["nvidia.com/gpu"] in {4, "4"}
    assert any("LeaderWorkerSets (leaderworkerset.x-k8s.io)" in line for line in told)
