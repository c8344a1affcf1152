"""From a registered template and the wishes of a deployment to what runs: each input has its effect."""

import time
from dataclasses import replace
from typing import Any

import pytest
from registry_world import a_center, a_registered

from pierhead.core.errors import Forbidden, Invalid
from pierhead.core.mounts import FolderSource, NasSource
from pierhead.core.registry import ArchitectureImage, Dataset, Model, ModelCenter
from pierhead.core.resources import GIB, MIB, Resources
from pierhead.core.specs import BUILT_IN
from pierhead.core.templates import Constraints, Environment, Link, Probe, Template
from pierhead.operations.effective import Snapshot, snapshot
from pierhead.operations.service_yaml import parse
from pierhead.operations.wishes import DeployWish, Facts

CENTER: ModelCenter = a_center(uuid="c", url="file:///srv/models")
REMOTE: ModelCenter = a_center(uuid="r", url="nas.example:/export/")
DEMO = BUILT_IN["smollm2_135m_q4"]


def taken(
    wish: DeployWish | None = None, facts: dict[str, Any] | None = None, **fields: Any
) -> Snapshot:
    """The snapshot of a template with these fields."""
    known = {"service": "svc", "center": CENTER, **(facts or {})}
    return snapshot(a_registered(**fields), wish or DeployWish(name="svc"), Facts(**known))


def reasons(found: Snapshot) -> list[str]:
    return [notice.reason for notice in found.notices]


def a_model(**fields: Any) -> Model:
    defaults: dict[str, Any] = {
        "uuid": "m",
        "name": "weights",
        "install_path": "llama",
        "center": "c",
        "owner": "",
        "created": 0.0,
        "updated": 0.0,
    }
    return Model(**defaults | fields)


def a_dataset(name: str, **fields: Any) -> Dataset:
    given: dict[str, Any] = {"url": "file:///data/x", "center": "c", "owner": ""}
    return Dataset(
        **{"uuid": name * 4, "name": name, "created": 0.0, "updated": 0.0, **given, **fields}
    )


def test_a_plain_template_becomes_a_command_in_its_folder() -> None:
    found = taken()
    assert found.template == Template(
        name="chat",
        engine="custom",
        command=("python3", "server.py"),
        workdir="/srv/models/chat_1.2.3",
        framework="Other",
        resources=Resources(cpu=2, memory=1024 * MIB),
        readiness=Probe(kind="auto"),
        start_deadline=600.0,
    )
    assert found.source is None
    assert found.notices == ()
    assert parse(found.yaml).services[0].boot_seconds == 600


def test_a_script_is_kept_word_for_word_with_its_flags_apart() -> None:
    wish = DeployWish(name="svc", startup_parameters={"b": "2; rm x"})
    found = taken(wish, start_command="a | b", startup_parameters={"a": "1", "b": "0"}).template
    assert (found.command, found.script) == ((), "a | b")
    assert found.flags == ("--a", "1", "--b", "2; rm x")


@pytest.mark.parametrize(
    ("given", "memory"),
    [(1024, GIB), (1024 * MIB, GIB), (1048576, MIB), (1048575, 1048575 * MIB)],
)
def test_a_small_memory_figure_means_mib(given: int, memory: int) -> None:
    assert taken(request_memory=given).template.resources.memory == memory
    wish = DeployWish(memory=given)
    assert taken(wish, request_memory=5).template.resources.memory == memory


def test_a_deployments_own_limits_and_requests() -> None:
    wish = DeployWish(cpu=4, memory=8 * GIB, cpu_request=1, memory_request=2048)
    assert taken(wish).template.resources == Resources(
        4, 8 * GIB, 0, cpu_request=1, memory_request=2 * GIB
    )


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        (DeployWish(cpu=1, cpu_request=2), "requestCpuNum"),
        (DeployWish(cpu_request=3), "requestCpuNum"),
        (DeployWish(memory=GIB, memory_request=2 * GIB), "requestMemorySize"),
        (DeployWish(environment={"A B": "x"}), "environmentVariables"),
        (DeployWish(environment={"": "x"}), "environmentVariables"),
        (DeployWish(environment={"A": "x\0y"}), "environmentVariables"),
        (DeployWish(startup_parameters={"": "x"}), "startupParameters"),
        (DeployWish(startup_parameters={"a": "x\0"}), "startupParameters"),
        (DeployWish(livez="a b"), "serviceLivez"),
        (DeployWish(readyz="http://[x/"), "serviceReadyz"),
        (DeployWish(boot_seconds=-1), "serviceBootUptime"),
        (DeployWish(boot_seconds=1e9), "serviceBootUptime"),
    ],
)
def test_an_illegal_wish_is_refused_by_its_field(wish: DeployWish, field: str) -> None:
    with pytest.raises(Invalid) as caught:
        taken(wish)
    assert caught.value.field == field


def test_broken_yaml_is_refused_and_mended_yaml_told() -> None:
    with pytest.raises(Invalid) as caught:
        taken(yaml="services: [")
    assert caught.value.field == "yaml"
    mended = taken(yaml="services:\n - ports:\n - 3000\n name: x")
    assert reasons(mended) == ["YamlRepaired"]
    assert mended.template.ports == (3000,)
    assert reasons(taken(yaml="colour: red")) == ["YamlKeyUnknown"]
    assert reasons(taken(yaml="model service parameters")) == []


def test_yaml_gives_ports_probes_and_the_time_to_start() -> None:
    yaml = (
        "services: [{name: 'chat:1.0.0', ports: [3000, 3001], livez: /l, readyz: 'http://x:1/r?a=b', "
        "serviceBootupTime: 90}, {name: metrics, ports: [9000, 9001]}, {ports: [7]}]"
    )
    found = taken(yaml=yaml)
    template = found.template
    assert template.ports == (3000, 3001)
    assert template.side_ports == {
        "chat:1.0.0-3001": 3001,
        "metrics": 9000,
        "metrics-9001": 9001,
        "service2": 7,
    }
    assert template.liveness == Probe(kind="http", path="/l")
    assert template.liveness.failures == 3
    assert template.readiness == Probe(kind="http", path="/r?a=b")
    assert template.start_deadline == 90


def test_a_deployment_overrides_probes_and_time_and_the_yaml_shows_it() -> None:
    yaml = "services: [{name: x, livez: /l, readyz: /r, serviceBootupTime: 90}]"
    found = taken(DeployWish(livez="tcp", readyz="health", boot_seconds=5), yaml=yaml)
    assert found.template.liveness == Probe(kind="tcp")
    assert found.template.readiness == Probe(kind="http", path="/health")
    assert found.template.start_deadline == 5
    shown = parse(found.yaml).services[0]
    assert (shown.name, shown.livez, shown.readyz, shown.boot_seconds) == ("x", "tcp", "health", 5)


def test_the_environment_in_its_order() -> None:
    found = taken(
        DeployWish(environment={"A": "deploy", "PORT": "1"}),
        yaml="env: ['A:yaml', 'B:yaml', 'C:yaml', 'INFERENCE_PARAMS:x']",
        environment={"A": "template", "B": "template"},
        inference_params={"top_p": "0.9"},
    )
    assert found.template.env == {
        "A": "deploy",
        "B": "template",
        "C": "yaml",
        "INFERENCE_PARAMS": '{"top_p": "0.9"}',
        "PORT": "1",
    }
    assert reasons(found) == ["EnvironmentReplaced"]
    assert found.layers.env() == found.template.env
    assert replace(found.layers, variables={}).env()["A"] == "template"


def test_versions_requirements_and_packages_ask_for_an_environment() -> None:
    yaml = "python: {requirements_txt: 'six==1.16.0', index_url: 'https://i/', trusted_host: i}\ndistro: {packages: curl}"
    found = taken(yaml=yaml, python_version="3.11", conda_version="24.1").template.environment
    assert found == Environment("3.11", "24.1", ("six==1.16.0",), "https://i/", "i", ("curl",))
    assert taken().template.environment is None
    assert taken(python_version="3.12").template.environment == Environment("3.12")
    assert taken(yaml="python: {index_url: 'http://x'}").template.environment is None


@pytest.mark.parametrize(
    "line",
    [
        "-r other.txt",
        "--index-url=http://x/",
        "-e .",
        "./local",
        "/srv/wheel",
        "git+https://x/y",
        "six @ https://x/six.whl",
        "https://x/six.whl",
        "six.whl",
        "six-1.0.tar.gz",
        "file:///x",
        "six --hash=sha256:00",
        "six -r evil.txt",
        "six --config-settings a=b",
        "six==1.0 --global-option=x",
        "~/x",
        "a/b",
    ],
)
def test_requirements_beyond_names_are_for_the_account_itself(line: str) -> None:
    yaml = f"python: {{requirements_txt: ['{line}']}}"
    with pytest.raises(Forbidden):
        taken(yaml=yaml)
    found = taken(facts={"trusted": True}, yaml=yaml).template.environment
    assert found is not None
    assert found.requirements == (line,)


@pytest.mark.parametrize("url", ["file:///srv/wheels", "/srv/wheels", "ssh://x/y"])
def test_an_index_that_is_no_web_address_is_for_the_account_itself(url: str) -> None:
    yaml = f"python: {{requirements_txt: six, index_url: '{url}'}}"
    with pytest.raises(Forbidden):
        taken(yaml=yaml)
    assert taken(facts={"trusted": True}, yaml=yaml).template.environment


@pytest.mark.parametrize(
    "line",
    [
        "six",
        "six==1.16.0",
        "Flask[async,dotenv]>=3,<4",
        "numpy ~= 2.0 ; python_version >= '3.11'",
        "a.b-c_d!=1.*",
        "x===1.0+local",
        "zipp (>=3.1)",
    ],
)
def test_ordinary_requirements_are_for_everybody(line: str) -> None:
    assert taken(yaml=f'python: {{requirements_txt: ["{line}"]}}').template.environment


@pytest.mark.parametrize(
    ("fields", "gpus", "need", "told"),
    [
        ({}, None, 0, []),
        ({"gpu_capability": "7.5"}, None, 1, []),
        ({"gpu_capability": "sm_90"}, None, 1, []),
        ({"gpu_capability": "fast"}, None, 1, ["ConstraintNotUnderstood"]),
        ({"gpu_capability": ""}, None, 0, []),
        ({"vendor_specs": {"NVIDIA": ()}}, None, 1, []),
        ({"gpu_capability": "7.5"}, 0, 0, []),
        ({"gpu_capability": "7.5"}, 4, 4, []),
        ({}, 2, 2, []),
    ],
)
def test_how_many_gpus(
    fields: dict[str, Any], gpus: int | None, need: int, told: list[str]
) -> None:
    found = taken(facts={"gpus": gpus}, **fields)
    assert found.template.resources.gpu == need
    assert reasons(found) == told


def test_constraints_come_from_images_capability_and_vendors() -> None:
    images = (
        ArchitectureImage("i", "AARCH64", "vllm:1"),
        ArchitectureImage("j", "X86_64", None, "vm"),
    )
    specs = {"NVIDIA": ("a", "b"), "Huawei": ()}
    found = taken(images=images, gpu_capability="8.0", vendor_specs=specs)
    assert found.template.constraints == Constraints(("AARCH64", "X86_64"), "8.0", specs)
    assert found.template.images == {"AARCH64": "vllm:1"}
    assert reasons(found) == ["ImageNotUsed"]
    assert reasons(taken(images=images, facts={"images": True})) == [], "it runs in it"
    own = taken(DeployWish(image="mine:2"), images=images).template
    assert (own.images, own.constraints.architectures) == ({"": "mine:2"}, ())


@pytest.mark.parametrize(
    ("image", "shown"),
    [
        ("vllm:1", "hub.example/ai/vllm:1"),
        ("team/vllm:1", "hub.example/ai/team/vllm:1"),
        ("quay.io/vllm:1", "quay.io/vllm:1"),
        ("localhost/vllm", "localhost/vllm"),
        ("box:5000/vllm", "box:5000/vllm"),
    ],
)
def test_an_image_without_a_registry_lies_in_the_centers(image: str, shown: str) -> None:
    center = replace(CENTER, container_registry="hub.example/ai/")
    found = taken(DeployWish(image=image), {"center": center})
    assert found.template.images == {"": shown}


def test_the_model_is_mounted_from_its_center() -> None:
    found = taken(facts={"model": a_model(), "model_center": CENTER})
    assert found.source == found.template.source == FolderSource("/srv/models/llama")
    far = taken(facts={"model": a_model(), "model_center": REMOTE})
    assert far.source == NasSource("nas.example", "/export/llama")


def test_datasets_are_links_under_safe_names() -> None:
    sets = (
        (a_dataset("a/../b"), CENTER),
        (a_dataset("x", install_path="sets/x"), CENTER),
        (a_dataset("x", uuid="9" * 32, install_path="/abs"), CENTER),
        (a_dataset("far", url="https://x/y"), CENTER),
    )
    found = taken(facts={"datasets": sets})
    assert found.template.links == (
        Link("a_.._b", "/data/x"),
        Link("x", "/srv/models/sets/x"),
        Link("x-99999999", "/abs"),
    )
    assert reasons(found) == ["DatasetUnreachable"]


def test_parameters_of_virtual_machines_are_told_by_name() -> None:
    found = taken(DeployWish(without_effect=("vmImageUuid", "rootDiskSize")))
    assert reasons(found) == ["ParameterHasNoEffect"] * 2
    assert "vmImageUuid" in found.notices[0].message


def test_an_app_is_not_listed_among_the_models() -> None:
    assert taken(type="App").template.routed == "private"
    assert taken().template.routed == "openai"


@pytest.mark.parametrize("name", ["../../etc", "..", "a/b", "对话", "-rf", "x" * 300])
def test_a_templates_name_cannot_lead_anywhere(name: str) -> None:
    made = taken(name=name, uuid="1" * 32).template.name
    assert made
    assert not set(made) & set("/\\ ")
    assert made.strip(".")
    assert not made.startswith(("-", "."))
    assert len(made) <= 64


def test_an_install_path_on_a_machine_elsewhere_is_told() -> None:
    found = taken(facts={"center": REMOTE})
    assert found.template.workdir == ""
    assert reasons(found) == ["InstallPathMissing"]
    assert taken(facts={"center": REMOTE}, install_path="/here").template.workdir == "/here"
    assert taken(install_path="").template.workdir == ""


def test_llama_cpp_serves_the_models_folder() -> None:
    facts = {"model": a_model(), "model_center": CENTER}
    wish = DeployWish(startup_parameters={"ctx": "1"})
    found = taken(wish, facts, start_command="", framework="llama.cpp")
    assert found.template.engine == "llama_cpp"
    assert found.template.readiness.kind == "completion"
    assert found.template.flags == ()
    assert reasons(found) == ["ParameterHasNoEffect"]


def test_a_shipped_template_is_the_built_in_one_with_what_the_deployment_says() -> None:
    shipped = {"shipped": DEMO}
    fields: dict[str, Any] = {
        "name": DEMO.name,
        "framework": "llama.cpp",
        "start_command": "",
        "install_path": DEMO.name,
    }
    plain = taken(facts=shipped, **fields).template
    assert plain == replace(DEMO, framework="llama.cpp", resources=replace(DEMO.resources, gpu=0))
    wish = DeployWish(cpu=2, memory=3 * GIB, environment={"A": "b"}, boot_seconds=30)
    own = taken(wish, {**shipped, "model": a_model(), "model_center": CENTER}, **fields).template
    assert own.resources == Resources(2, 3 * GIB)
    assert (own.env, own.start_deadline) == ({"A": "b"}, 30)
    assert own.source == FolderSource("/srv/models/llama")
    assert own.readiness == DEMO.readiness


def test_a_long_line_that_is_no_requirement_costs_no_more_than_its_length() -> None:
    began = time.process_time()
    with pytest.raises(Forbidden) as caught:
        taken(yaml="python: {requirements_txt: '" + "a " * 250_000 + "@'}")
    assert time.process_time() - began < 0.5
    assert len(str(caught.value)) < 500


def test_no_line_hides_in_another() -> None:
    with pytest.raises(Forbidden):
        taken(yaml='python: {requirements_txt: ["six\\n-r evil.txt"]}')
    found = taken(facts={"trusted": True}, yaml='python: {requirements_txt: ["a\\rb\\u2028c"]}')
    assert found.template.environment == Environment(requirements=("a", "b", "c"))
