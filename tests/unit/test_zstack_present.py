"""Inventories: every field of the published ones, with the right type, and never a null primitive."""

import json
import uuid
from dataclasses import replace
from typing import Any

import pytest
import yaml

from builders import ACCOUNT, ROOT, T0, a_replica, a_service, a_template, a_version
from pierhead.core.principals import Principal
from pierhead.core.registry import (
    ArchitectureImage,
    Binding,
    Capacity,
    Dataset,
    Model,
    ModelCenter,
    RegisteredTemplate,
    ResourceType,
    Tag,
    TagPattern,
    Zone,
)
from pierhead.core.replicas import Accelerator, Exit, Node, ReplicaState
from pierhead.core.services import Change, Hold, Registration, Seen, Service, Wanted
from pierhead.dialects.zstack import translate
from pierhead.dialects.zstack.present import groups, infrastructure, registry, tags
from zstack_inventories import ABSENT, WIRE, check, fields_of

U = "0123456789ab4def8123456789abcdef"
OWNER = Principal(account=ACCOUNT, id="role/maker", kind="assumed-role")
STRANGER = Principal(account=ACCOUNT, id="role/other", kind="assumed-role")

IMAGE = ArchitectureImage("b" * 32, "X86_64", "repo/x:1", None, T0, T0)
TEMPLATE = RegisteredTemplate(
    uuid=U,
    name="chat",
    yaml="model service parameters",
    request_cpu=4,
    request_memory=1024,
    center="c" * 32,
    install_path="chat_1.2.3",
    start_command="python3 app.py",
    owner=ACCOUNT,
    created=T0,
    updated=T0 + 60,
    images=(IMAGE, replace(IMAGE, uuid="d" * 32, architecture="AARCH64")),
    vendor_specs={"NVIDIA": ("s1", "s2")},
    version="1.2.3",
)
BINDING = Binding("e" * 32, "f" * 32, U, default=True)
MODEL = Model(
    uuid="f" * 32,
    name="weights",
    install_path="weights",
    center="c" * 32,
    owner=ACCOUNT,
    created=T0,
    updated=T0,
    version="2.0.1",
    size=77,
    classifications=("chat",),
    fine_tuning={"fineTuningSourceFramework": "vLLM"},
)
CENTER = ModelCenter(
    uuid="c" * 32,
    name="default",
    url="file:///m",
    management_ip="127.0.0.1",
    management_port=8080,
    created=T0,
    updated=T0,
    capacity=Capacity(1, 2, 3, 4, 5, 6),
)
DATASET = Dataset("a" * 32, "corpus", "file:///d", "c" * 32, ACCOUNT, T0, T0, size=9)
PATTERN = TagPattern("1" * 32, "team", "team::{token}", T0, T0, type="withToken")
TAG = Tag("2" * 32, U, ResourceType.TEMPLATE, "ai::k::v", system=True, created=T0, updated=T0)
GPU = Accelerator("GPU-1", "5" * 32, "NVIDIA", "NVIDIA H100", 80 * 1024**3, "9.0", "0000:01", "77")
SIDED = a_template(
    ports=(3000,), side_ports={"admin": 3001}, framework="vLLM", start_deadline=600.0
)
YAML = "services:\n- name: chat:1.2.3\n  ports:\n  - 3000\n- name: admin\n  ports:\n  - 3001\n"
SERVICE = a_service(
    name="chat_one",
    caller=OWNER.id,
    replicas=2,
    current=a_version(template=SIDED),
    registration=Registration(
        title="Chat", template=U, model="f" * 32, zone="9" * 32, datasets=("a" * 32,), yaml=YAML
    ),
)
REPLICA = a_replica(
    service=SERVICE.id, command=("python3", "app.py", "--api-key", "***", "two words")
)
SEEN = Seen(revision=1, settled=1, since=T0, replicas=(REPLICA,), served=True)


def view(reader: Principal = ROOT) -> groups.View:
    return groups.View(
        gateway="http://gw:8090",
        hub="http://hub:8080",
        now=T0 + 5,
        zone="0" * 32,
        reader=reader,
        account=lambda account: f"uuid-of-{account}",
    )


def shown(
    service: Service = SERVICE, seen: Seen = SEEN, reader: Principal = ROOT
) -> dict[str, Any]:
    return dict(groups.Group(view(reader), service, seen))


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("ModelServiceInventory", registry.template(TEMPLATE, [BINDING])),
        ("ModelServiceInventory", registry.template(replace(TEMPLATE, images=(), vendor_specs={}))),
        ("ModelServiceRefInventory", registry.binding(BINDING)),
        ("ModelServiceTemplateInventory", registry.image(IMAGE, U)),
        ("ModelInventory", registry.model(MODEL, [BINDING])),
        ("ModelInventory", registry.model(replace(MODEL, size=None, version=None))),
        ("ModelCenterInventory", registry.center(CENTER)),
        ("DatasetInventory", registry.dataset(DATASET)),
        ("SystemTagInventory", tags.system_tag(TAG)),
        ("UserTagInventory", tags.user_tag(replace(TAG, system=False, tag="t"))),
        ("UserTagInventory", tags.user_tag(replace(TAG, pattern=PATTERN.uuid), PATTERN)),
        ("TagPatternInventory", tags.pattern(PATTERN)),
        ("ZoneInventory", infrastructure.zone(Zone("z" * 32, "local", T0, T0, default=True))),
        ("PciDeviceSpecInventory", infrastructure.gpu_spec(GPU)),
        ("GpuDeviceInventory", infrastructure.gpu_device(GPU, Node("n", 1, 1, 1))),
        ("GpuDeviceInventory", infrastructure.gpu_device(GPU, Node("n", 1, 1, 1), taken=True)),
        ("ResourceInventory", infrastructure.resource(U, "chat", "ModelServiceVO")),
        ("MaaSUsage", infrastructure.usage("models", 3)),
        ("ModelServiceInstanceGroupInventory", shown()),
        ("ModelServiceInstanceGroupInventory", shown(a_service(), Seen())),
    ],
)
def test_every_field_is_there_and_of_its_type(name: str, row: dict[str, Any]) -> None:
    check(name, row)
    json.dumps(row)


def test_the_29_fields_of_a_model_service_are_always_there() -> None:
    bare = replace(TEMPLATE, images=(), vendor_specs={}, version=None)
    row = registry.template(bare)
    published = set(fields_of("ModelServiceInventory")) - ABSENT["ModelServiceInventory"]
    assert set(row) == published
    assert len(published - {"zoneUuid"}) == 29
    assert row["cpuArchitectures"] == row["modelServiceRefs"] == row["modelServiceImages"] == []
    assert row["vendorToSpecUuidsMap"] == {}
    assert (row["supportDistributed"], row["hasNewVersion"], row["system"]) == (False,) * 3
    assert row["size"] == 0


def test_a_template_shows_what_it_was_given() -> None:
    row = registry.template(TEMPLATE, [BINDING])
    assert row["requestMemory"] == 1024  # as given, though it means MiB at deploy
    assert row["cpuArchitectures"] == ["X86_64", "AARCH64"]
    assert row["vendorToSpecUuidsMap"] == {"NVIDIA": ["s1", "s2"]}
    assert row["modelServiceRefs"] == [
        {"uuid": "e" * 32, "modelUuid": "f" * 32, "modelServiceUuid": U, "isDefault": True}
    ]
    assert row["modelServiceImages"][0]["dockerImage"] == "repo/x:1"
    assert row["modelServiceImages"][0]["modelServiceUuid"] == U
    assert row["version"] == "1.2.3"


@pytest.mark.parametrize(
    ("system", "shipped", "newer"),
    [
        (True, {"chat": "1.10.0"}, True),
        (True, {"chat": "1.2.3"}, False),
        (True, {"other": "9.0.0"}, False),
        (False, {"chat": "9.0.0"}, False),
    ],
)
def test_only_a_system_template_behind_the_shipped_one_has_a_new_version(
    system: bool, shipped: dict[str, str], newer: bool
) -> None:
    row = registry.template(replace(TEMPLATE, system=system), (), shipped)
    assert row["hasNewVersion"] is newer


def test_a_model_and_a_center_in_full() -> None:
    row = registry.model(MODEL, [BINDING])
    assert (row["size"], row["versionSemver"], row["modelId"]) == (77, "2.0.1", MODEL.uuid)
    assert row["fineTuningSourceFramework"] == "vLLM"
    shown_center = registry.center(CENTER)
    assert shown_center["status"] == "Connected"
    assert shown_center["capacity"]["totalCapacity"] == 6
    assert shown_center["capacity"]["cacheUsedCapacity"] == 4
    assert registry.center(replace(CENTER, connected=False))["status"] == "Disconnected"


def test_a_group_in_full() -> None:
    row = shown()
    endpoint = "http://gw:8090/api/predict/chat_one"
    assert row["uuid"] == SERVICE.id
    assert (row["name"], row["serviceName"]) == ("Chat", "chat_one")
    assert (row["modelServiceUuid"], row["modelUuid"]) == (U, "f" * 32)
    assert (row["status"], row["replicas"], row["readyReplicas"]) == ("Running", 2, 1)
    assert row["message"].startswith("1 of 2 replicas are ready.")
    assert (row["businessEndpoint"], row["businessEndpointStatus"]) == (endpoint, "Active")
    assert row["managementEndpoint"] == "http://hub:8080"
    assert row["zoneUuid"] == "9" * 32
    assert "vllm:num_requests_running" in row["supportMetrics"]
    assert row["datasetRefInventories"][0]["datasetUuid"] == "a" * 32
    [instance] = row["instances"]
    assert instance["uuid"] == uuid.uuid5(uuid.NAMESPACE_URL, f"pierhead:replica:{REPLICA.id}").hex
    assert (instance["name"], instance["status"]) == (REPLICA.id, "Running")
    assert instance["url"] == endpoint
    assert instance["internalUrl"] == "http://127.0.0.1:40001"
    assert instance["urlMaps"] == {"chat:1.2.3": endpoint, "admin": "http://127.0.0.1:3001"}
    assert instance["launchCommand"] == "python3 app.py --api-key '***' 'two words'"
    assert instance["accountUuid"] == f"uuid-of-{ACCOUNT}"


@pytest.mark.parametrize(("reader", "knows"), [(ROOT, True), (OWNER, True), (STRANGER, False)])
def test_only_account_and_owner_see_token_and_inner_addresses(
    reader: Principal, knows: bool
) -> None:
    row = shown(reader=reader)
    [instance] = row["instances"]
    assert (row["accessToken"] == SERVICE.token) is knows
    assert (row["accessToken"] is None) is not knows
    assert (instance["internalUrl"] is not None) is knows
    assert ("admin" in instance["urlMaps"]) is knows


STARTING = replace(REPLICA, state=ReplicaState.STARTING, ready_at=None)
HOPELESS = replace(
    STARTING, state=ReplicaState.CRASHED, failures=3, last_exit=Exit(T0, code=1), reason="Crashed"
)


@pytest.mark.parametrize(
    ("change", "seen", "status"),
    [
        ({}, Seen(), "Deploying"),
        ({}, Seen(1, 0, T0, replicas=(STARTING,)), "Deploying"),
        ({}, Seen(1, 0, T0, hold=Hold("Weights", "45 %", progressing=True)), "Deploying"),
        ({}, Seen(1, 0, T0, hold=Hold("NoRoom", "too big", permanent=True)), "Error"),
        ({}, Seen(1, 0, T0, replicas=(HOPELESS,)), "Error"),
        ({}, SEEN, "Running"),
        ({"change": Change.UPDATE, "revision": 2}, SEEN, "Running"),
        ({"change": Change.UPDATE, "revision": 2}, Seen(1, 1, T0), "Deploying"),
        ({"change": Change.SCALE, "revision": 2}, SEEN, "Running"),
        ({"change": Change.STOP, "wanted": Wanted.STOPPED, "revision": 2}, SEEN, "Stopping"),
        ({"change": Change.STOP, "wanted": Wanted.STOPPED, "revision": 2}, Seen(2, 2), "Stopped"),
        ({"change": Change.DELETE, "wanted": Wanted.DELETED, "revision": 2}, SEEN, "Deleting"),
        (
            {"change": Change.DELETE, "wanted": Wanted.DELETED, "revision": 2},
            Seen(2, 2, broken="disk"),
            "Error",
        ),
    ],
)
def test_the_status_follows_the_engines(change: dict[str, Any], seen: Seen, status: str) -> None:
    row = shown(replace(SERVICE, **change), seen)
    assert row["status"] == status
    assert row["message"]
    assert status in WIRE["enums"]["Group.status"]["values"]


def test_a_stopped_group_wants_no_replica_and_says_how_to_get_some() -> None:
    stopped = replace(SERVICE, change=Change.STOP, wanted=Wanted.STOPPED, revision=2)
    assert shown(SERVICE, SEEN)["replicas"] == SERVICE.replicas
    assert shown(stopped, SEEN)["replicas"] == 0
    assert "ai::replicas::" in shown(stopped, Seen(2, 2))["message"]
    assert "ai::replicas::" not in shown(stopped, SEEN)["message"]


@pytest.mark.parametrize(
    ("state", "failures", "status"),
    [
        (ReplicaState.PENDING, 0, "Deploying"),
        (ReplicaState.STARTING, 1, "Deploying"),
        (ReplicaState.STARTING, 3, "Error"),
        (ReplicaState.READY, 0, "Running"),
        (ReplicaState.UNREADY, 0, "Deploying"),
        (ReplicaState.CRASHED, 1, "Error"),
        (ReplicaState.DRAINING, 0, "Deleting"),
        (ReplicaState.STOPPING, 5, "Deleting"),
        (ReplicaState.STOPPED, 0, "Deleting"),
    ],
)
def test_the_status_of_an_instance(state: ReplicaState, failures: int, status: str) -> None:
    assert groups.instance_status(replace(REPLICA, state=state, failures=failures)) == status


def test_a_service_of_the_other_door_is_a_container_group_with_a_yaml() -> None:
    service = a_service(current=a_version(template=SIDED))
    row = shown(service, Seen())
    assert (row["name"], row["type"]) == (service.name, "Container")
    assert (row["modelServiceUuid"], row["zoneUuid"]) == (None, "0" * 32)
    assert (row["businessEndpointStatus"], row["instances"]) == ("Inactive", [])
    assert yaml.safe_load(row["yaml"]) == {
        "services": [{"name": service.name, "ports": [3000], "serviceBootupTime": 600}]
    }


def test_a_field_is_computed_only_when_it_is_asked_for() -> None:
    group = groups.Group(view(), SERVICE, SEEN)
    assert group["name"] == "Chat"
    assert "verdict" not in vars(group)
    assert group["status"] == "Running"
    assert "verdict" in vars(group)
    with pytest.raises(KeyError):
        group["zdfs"]


# ---- parameters ---------------------------------------------------------------------------

ADD = {
    "name": "svc",
    "yaml": "services:\n - ports:\n - 3000\n name: x",
    "requestCpu": 1,
    "requestMemory": 1024,
    "modelCenterUuid": "c" * 32,
    "installPath": "/m/x",
    "startCommand": "python3 app.py",
}


def test_all_inputs_of_a_template_reach_it() -> None:
    made = translate.template(
        {
            **ADD,
            "description": "d",
            "zoneUuid": "9" * 32,
            "gpuComputeCapability": "7.5",
            "system": True,
            "pythonVersion": "3.11",
            "condaVersion": "24.1",
            "type": "Endpoint",
            "framework": "vLLM",
            "source": "Bentoml",
            "architectureImages": [{"cpuArchitecture": "X86_64", "dockerImage": "r/x:1"}],
            "supportDistributed": True,
            "containerCommand": "serve",
            "containerArgs": "--a",
            "vendorToSpecUuidsMap": {"NVIDIA": ["s1", "s2"], "Acme": []},
        },
        "X86_64",
    )
    expected = RegisteredTemplate(
        uuid="",
        name="svc",
        yaml=ADD["yaml"],
        request_cpu=1,
        request_memory=1024,
        center="c" * 32,
        install_path="/m/x",
        start_command="python3 app.py",
        owner="",
        created=0.0,
        updated=0.0,
        description="d",
        zone="9" * 32,
        gpu_capability="7.5",
        system=True,
        python_version="3.11",
        conda_version="24.1",
        type="Endpoint",
        framework="vLLM",
        source="Bentoml",
        images=(ArchitectureImage("", "X86_64", "r/x:1"),),
        support_distributed=True,
        container_command="serve",
        container_args="--a",
        vendor_specs={"NVIDIA": ("s1", "s2"), "Acme": ()},
    )
    assert made == expected


@pytest.mark.parametrize(
    ("params", "images"),
    [
        ({}, ()),
        (
            {"architectureImages": [{"cpuArchitecture": "AARCH64", "vmImageUuid": "v1"}]},
            (ArchitectureImage("", "AARCH64", None, "v1"),),
        ),
        ({"dockerImage": "r/x:1"}, (ArchitectureImage("", "X86_64", "r/x:1"),)),
        ({"vmImageUuid": "v"}, (ArchitectureImage("", "X86_64", None, "v"),)),
        (
            {"dockerImage": "old", "architectureImages": [{"cpuArchitecture": "riscv64"}]},
            (ArchitectureImage("", "riscv64"),),
        ),
        (
            {"architectureImages": [{"dockerImage": "any:1"}]},
            (ArchitectureImage("", None, "any:1"),),
        ),
    ],
)
def test_images_in_every_form(params: dict[str, Any], images: tuple[Any, ...]) -> None:
    assert translate.template({**ADD, **params}, "X86_64").images == images


def test_an_update_changes_what_it_names_only() -> None:
    assert translate.template_changes({"uuid": U}, "X86_64") == {}
    assert translate.template_changes(
        {
            "uuid": U,
            "name": "n",
            "serviceInstallPath": "/p",
            "serviceStartCommand": "run",
            "environmentParameters": {"A": "1"},
            "startupParameters": {"b": "2"},
            "inferenceParams": {"c": "3"},
            "framework": "Transformers",
            "vendorToSpecUuidsMap": {},
            "serviceName": "x:1.0.0",
            "servicePorts": [3000],
            "serviceBootupTime": 60,
        },
        "X86_64",
    ) == {
        "name": "n",
        "install_path": "/p",
        "start_command": "run",
        "environment": {"A": "1"},
        "startup_parameters": {"b": "2"},
        "inference_params": {"c": "3"},
        "framework": "Transformers",
        "vendor_specs": {},
        "service_name": "x:1.0.0",
        "service_ports": (3000,),
        "service_boot_time": 60,
    }


def test_new_images_reset_the_architectures() -> None:
    changes = translate.template_changes({"dockerImage": "r/x:2"}, "AARCH64")
    assert changes == {
        "images": (ArchitectureImage("", "AARCH64", "r/x:2"),),
        "cpu_architectures": (),
    }


def test_a_copy_may_name_architectures_without_images() -> None:
    changes = translate.clone_changes({"cpuArchitectures": ["X86_64", "X86_64"], "size": 5}, "")
    assert changes == {"size": 5, "cpu_architectures": ("X86_64",)}


def test_a_model_keeps_what_it_is_given() -> None:
    made = translate.model(
        {
            "name": "m",
            "installPath": "m",
            "modelCenterUuid": "c" * 32,
            "size": 5,
            "shareMode": "Public",
            "fineTuningGroupUuid": "g",
        }
    )
    assert (made.size, made.share_mode) == (5, "Public")
    assert made.fine_tuning == {"fineTuningGroupUuid": "g"}
    assert translate.model_changes({"uuid": U, "modelClassifications": ["a"]}) == {
        "classifications": ("a",)
    }


def test_centers_and_datasets() -> None:
    made = translate.center(
        {"name": "n", "url": "host:/x", "managementIp": "10.0.0.1", "managementPort": 80}
    )
    assert (made.name, made.management_port, made.zone) == ("n", 80, None)
    assert translate.center_changes({"uuid": U, "containerRegistry": "r"}) == {
        "container_registry": "r"
    }
    data = translate.dataset({"name": "d", "url": "file:///d", "modelCenterUuid": "c" * 32})
    assert (data.name, data.center, data.system) == ("d", "c" * 32, False)
    assert translate.dataset_changes({"usageScenarios": ["FineTune"], "dataType": "Text"}) == {
        "usage_scenarios": ("FineTune",),
        "data_type": "Text",
    }
