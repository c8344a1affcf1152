"""CreateAppService field by field: each has an effect that is seen here, or is refused or reported by name."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import pytest
from clients import Json, PythonSdk, Refused
from documents import app
from lifecycle import Service, config, refused
from running_platform import Platform, until
from signed_http import Request, send, signed

from tiny_gguf import SHAPES, write_tiny_gguf

VENDOR_SPECS = (
    "llama_7b_fp16",
    "llama_7b_int8",
    "llama_13b_fp16",
    "chatglm_6b_fp16",
    "chatglm_6b_int8",
    "chatglm2_6b_fp16",
    "baichuan_7b_int8",
    "baichuan_13b_fp16",
    "baichuan_7b_fp16",
)
#: llama.cpp has no first-generation ChatGLM.
LOADABLE = tuple(spec for spec in VENDOR_SPECS if spec.rpartition("_")[0] in SHAPES)
DEMO_SPECS = ("smollm2_135m_q4", "smollm2_135m_int8", "smollm2_135m_fp16")
NAS = {
    "ModelStorage": "nas",
    "NasMountTarget": "317d14abcd.cn-shanghai.nas.example.com",
    "NasPath": "/models/llama",
}
NETWORK = {
    "SecurityGroupID": "sg-uf6e50fazt4u7smt",
    "VpcID": "vpc-uf66zxxrlv0l4nj49",
    "VswitchID": "vsw-uf6fg76uu2bx84tci",
}


@pytest.fixture
def create(eas: PythonSdk) -> Iterator[Any]:
    """Makes an app service that is deleted after the test."""
    made: list[Service] = []

    def make(
        name: str, spec: str = "llama_7b_fp16", query: Json | None = None, **more: Any
    ) -> Service:
        eas("CreateAppService", query=query or {}, body=app(name, spec, **more))
        made.append(Service(eas, name))
        return made[-1]

    yield make
    for service in made:
        eas("DeleteService", service.name)
    for service in made:
        service.gone()


def reported(service: Service, *names: str) -> None:
    """Each name stands in a warning that a parameter has no effect."""
    messages = service.warnings().get("ParameterWithoutEffect", [])
    for name in names:
        assert any(f"parameter {name} has" in message for message in messages), (name, messages)


def test_the_answer_has_its_seven_fields(eas: PythonSdk, platform: Platform) -> None:
    answer = eas("CreateAppService", body=app("seed_answer", "llama_7b_fp16"))
    assert set(answer) == {
        "RequestId",
        "ServiceId",
        "ServiceName",
        "Status",
        "Region",
        "InternetEndpoint",
        "IntranetEndpoint",
    }
    uuid = r"[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}"
    assert re.fullmatch(uuid, answer["RequestId"])
    assert re.fullmatch(r"eas-m-[a-z0-9]+", answer["ServiceId"])
    assert (answer["ServiceName"], answer["Status"]) == ("seed_answer", "Creating")
    assert answer["Region"] == platform.region
    url = f"{platform.gateway}/api/predict/seed_answer"
    assert answer["InternetEndpoint"] == answer["IntranetEndpoint"] == url
    by_id = eas("DescribeService", answer["ServiceId"])
    assert (by_id["ServiceName"], by_id["ServiceUid"]) == ("seed_answer", answer["ServiceId"])
    Service(eas, "seed_answer").delete()


def test_fields_that_no_operation_has_are_reported(
    create: Any, eas: PythonSdk, platform: Platform
) -> None:
    """No SDK can send them at the top; Config holds whatever it is given."""
    body = json.dumps(app("seed_odd") | {"Flavour": "sweet", "Config": {"a" * 5000: 1}}).encode()
    reply = send(platform, signed(platform, Request("POST", "/api/v2/app_services", body)))
    assert reply.status == 200
    service = Service(eas, "seed_odd")
    reported(service, "Flavour")
    assert all(len(event["Message"]) <= 1000 for event in service.events())
    service.delete()
    many = create("seed_many", Config={f"key{number}": 1 for number in range(30_000)})
    events = many.events()
    assert 50 < len(events) < 60
    (more,) = many.warnings()["FurtherRemarks"]
    assert "29950" in more


@pytest.mark.parametrize("spec", DEMO_SPECS)
def test_a_demo_spec_really_serves_at_its_precision(create: Any, eas: PythonSdk, spec: str) -> None:
    service = create(f"seed_{spec}", spec)
    shown = service.until("Running", 180)
    assert shown["AppSpecName"] == spec
    assert shown["Image"] == f"pierhead/{spec}"
    service.answers_paris()
    with service.openai() as client:
        (model,) = client.models.list().model_dump()["data"]
    bits = model["meta"]["size"] * 8 / model["meta"]["n_params"]
    low, high = {"q4": (4, 6), "int8": (8, 9), "fp16": (15, 17)}[spec.rpartition("_")[2]]
    assert low < bits < high, f"{bits:.1f} bits per weight"


@dataclass(frozen=True, slots=True)
class Awaited:
    """A service of a spec whose weights came after it had failed without them."""

    service: Service
    failed: Json
    warnings: dict[str, list[str]]
    instances: list[Json]


@pytest.fixture(scope="module")
def awaited(eas: PythonSdk, platform: Platform) -> dict[str, Awaited]:
    """One service of each of the vendor's specs; the weights that llama.cpp can load come later."""
    services = {spec: Service(eas, f"seed_{spec}") for spec in VENDOR_SPECS}
    for spec, service in services.items():
        answer = eas("CreateAppService", body=app(service.name, spec))
        assert answer["Status"] == "Creating"
    found = {
        spec: Awaited(service, service.until("Failed", 5), service.warnings(), service.instances())
        for spec, service in services.items()
    }
    for spec in LOADABLE:
        _put(platform, spec)
    return found


@pytest.mark.parametrize("spec", LOADABLE)
def test_a_spec_without_weights_says_what_is_missing(
    awaited: dict[str, Awaited], platform: Platform, spec: str
) -> None:
    shown = awaited[spec].failed
    assert (shown["Reason"], shown["AppSpecName"]) == ("WeightsMissing", spec)
    folder = f"{platform.folder}/models/{spec}/"
    for part in (f"[{spec}]", folder, "GGUF", f"weights.{spec}", "settings.toml"):
        assert part in shown["Message"], (part, shown["Message"])
    assert awaited[spec].warnings["WeightsMissing"] == [shown["Message"]]
    assert awaited[spec].instances == []
    assert (shown["TotalInstance"], shown["RunningInstance"], shown["PendingInstance"]) == (1, 0, 1)


@pytest.mark.parametrize("spec", sorted(set(VENDOR_SPECS) - set(LOADABLE)))
def test_nobody_is_sent_for_weights_that_no_engine_serves(
    awaited: dict[str, Awaited], spec: str
) -> None:
    shown = awaited[spec].failed
    assert (shown["Reason"], shown["AppSpecName"]) == ("ArchitectureNotSupported", spec)
    assert "use the spec chatglm2_6b_fp16" in shown["Message"]
    assert awaited[spec].warnings["ArchitectureNotSupported"] == [shown["Message"]]
    assert awaited[spec].instances == []


def _put(platform: Platform, spec: str) -> None:
    """Copy a model the way people do: under another name until it is whole."""
    folder = platform.folder / "models" / spec
    folder.mkdir(parents=True)
    part = folder / "model.gguf.part"
    write_tiny_gguf(part, spec)
    part.rename(folder / "model.gguf")


def test_a_spec_is_one_of_the_known_ones(eas: PythonSdk) -> None:
    def call() -> Any:
        return eas("CreateAppService", body=app("seed_unknown", "llama_70b_fp16"))

    refused(
        call, "InvalidParameter", 400, "ServiceSpec", "llama_70b_fp16", *VENDOR_SPECS, *DEMO_SPECS
    )


def test_of_many_at_once_one_gets_the_name(eas: PythonSdk, platform: Platform) -> None:
    body = app("seed_race", "llama_7b_fp16")

    def attempt(_turn: int) -> str:
        try:
            return str(PythonSdk(platform)("CreateAppService", body=body)["Status"])
        except Refused as error:
            return f"{error.status} {error.code}"

    with ThreadPoolExecutor(8) as pool:
        outcomes = Counter(pool.map(attempt, range(16)))
    assert outcomes == {"Creating": 1, "409 InvalidService.Conflict": 15}
    service = Service(eas, "seed_race")
    assert [event["Reason"] for event in service.events()].count("ServiceCreated") == 1
    service.delete()


def test_replicas_is_the_number_of_instances(create: Any) -> None:
    service = create("seed_replicas", "smollm2_135m_q4", Replicas=2)
    shown = service.until("Running")
    assert (shown["TotalInstance"], shown["RunningInstance"]) == (2, 2)
    assert len(service.instances()) == 2
    assert config(shown)["metadata"]["instance"] == 2


def test_workspace_and_quota_are_kept_shown_and_searched(create: Any, eas: PythonSdk) -> None:
    service = create("seed_owner", query={"WorkspaceId": "w123456", "QuotaId": "qabcdef"})
    shown = service.describe()
    assert (shown["WorkspaceId"], shown["QuotaId"]) == ("w123456", "qabcdef")
    metadata = config(shown)["metadata"]
    assert (metadata["workspace_id"], metadata["quota_id"]) == ("w123456", "qabcdef")
    for query in ({"WorkspaceId": "w123456"}, {"QuotaId": "qabcdef"}):
        found = eas("ListServices", query=query)["Services"]
        assert [item["ServiceName"] for item in found] == ["seed_owner"]
    (message,) = service.warnings()["QuotaWithoutLimit"]
    assert "qabcdef" in message


def test_app_type_and_version_are_checked_shown_and_reported(create: Any, eas: PythonSdk) -> None:
    service = create("seed_version", AppVersion="v7")
    shown = service.describe()
    assert (shown["AppType"], shown["AppVersion"]) == ("LLM", "v7")
    reported(service, "AppVersion")
    plain = create("seed_plain")
    assert plain.describe()["AppVersion"] == "v1"
    assert "ParameterWithoutEffect" not in plain.warnings()
    body = app("seed_type") | {"AppType": "SD"}
    refused(
        lambda: eas("CreateAppService", body=body), "InvalidParameter", 400, "AppType", "SD", "LLM"
    )


def test_oss_weights_name_the_bucket_that_is_not_connected(create: Any) -> None:
    storage = {"ModelStorage": "oss", "OssPath": "oss://examplebucket/models/llama/"}
    service = create("seed_oss", "smollm2_135m_q4", Config=storage)
    shown = service.until("Failed", 5)
    assert shown["Reason"] == "StorageNotConnected"
    assert "[examplebucket]" in shown["Message"]
    assert "oss://examplebucket/models/llama/" in shown["Message"]
    assert json.loads(shown["AppConfig"]) == storage
    assert service.warnings()["StorageNotConnected"] == [shown["Message"]]
    (mount,) = config(shown)["storage"]
    assert mount["oss"]["path"] == storage["OssPath"]
    # Without the mount the spec's own weights serve again.
    service.change("UpdateAppService", "Updating", "Waiting", body={"Config": {}})
    assert service.until("Running")["LatestVersion"] == 2


def test_nas_weights_name_the_mount_target_and_the_network_is_reported(create: Any) -> None:
    service = create("seed_nas", "smollm2_135m_q4", Config={**NAS, **NETWORK, "Colour": "red"})
    shown = service.until("Failed", 5)
    assert shown["Reason"] == "StorageNotConnected"
    assert f"[{NAS['NasMountTarget']}]" in shown["Message"]
    assert NAS["NasPath"] in shown["Message"]
    assert json.loads(shown["AppConfig"]) == {**NAS, **NETWORK, "Colour": "red"}
    assert service.warnings()["StorageNotConnected"] == [shown["Message"]]
    reported(service, *(f"Config.{name}" for name in NETWORK), "Config.Colour")
    (mount,) = config(shown)["storage"]
    assert mount["nfs"] == {
        "server": NAS["NasMountTarget"],
        "path": NAS["NasPath"],
        "readOnly": True,
    }


@pytest.mark.parametrize(
    ("storage", "code", "words"),
    [
        ({"ModelStorage": "s3"}, "InvalidParameter", ("Config.ModelStorage", "s3", "oss, nas")),
        ({"ModelStorage": 7}, "InvalidParameter", ("Config.ModelStorage",)),
        ({"ModelStorage": "oss"}, "MissingParameter", ("Config.OssPath",)),
        ({"ModelStorage": "oss", "OssPath": "/models"}, "InvalidParameter", ("Config.OssPath", "oss://bucket")),
        ({"ModelStorage": "oss", "OssPath": "oss://b/../x"}, "InvalidParameter", ("Config.OssPath",)),
        ({"OssPath": "oss://bucket/x/"}, "MissingParameter", ("Config.ModelStorage", "OssPath")),
        ({"ModelStorage": "nas", "NasPath": "/x"}, "MissingParameter", ("Config.NasMountTarget",)),
        ({"ModelStorage": "nas", "NasMountTarget": "host"}, "MissingParameter", ("Config.NasPath",)),
        ({**NAS, "NasMountTarget": "a host"}, "InvalidParameter", ("Config.NasMountTarget",)),
        ({**NAS, "NasPath": "/x/../../etc"}, "InvalidParameter", ("Config.NasPath",)),
    ],
)  # fmt: skip
def test_a_config_that_says_not_where_is_refused_by_name(
    eas: PythonSdk, storage: Json, code: str, words: tuple[str, ...]
) -> None:
    body = app("seed_config", Config=storage)
    refused(lambda: eas("CreateAppService", body=body), code, 400, *words)
    assert eas("ListServices", query={"ServiceName": "seed_config"})["TotalCount"] == 0


def test_an_update_changes_what_it_names_and_nothing_else(create: Any) -> None:
    service = create("seed_update", "smollm2_135m_q4", query={"WorkspaceId": "w1", "QuotaId": "q1"})
    before = service.until("Running")
    service.change("UpdateAppService", "Updating", body={"ServiceSpec": "smollm2_135m_int8"})
    after = service.until("Running", 180)
    assert (after["CurrentVersion"], after["LatestVersion"]) == (2, 2)
    assert after["AppSpecName"] == "smollm2_135m_int8"
    for kept in ("ServiceId", "AccessToken", "WorkspaceId", "QuotaId", "AppVersion", "CreateTime"):
        assert after[kept] == before[kept], kept
    service.answers_paris()
    assert service.sdk("UpdateAppService", service.name, body={})["RequestId"]
    same = service.describe()
    assert (same["Status"], same["LatestVersion"]) == ("Running", 2)


@pytest.mark.parametrize("spec", LOADABLE)
def test_a_service_runs_by_itself_once_its_weights_are_there(
    awaited: dict[str, Awaited], spec: str
) -> None:
    """Last in this module: meanwhile the platform had time to look."""
    service = awaited[spec].service

    def running() -> bool:
        return service.describe()["Status"] == "Running"

    until(running, 45, f"{spec} is Running")  # it looks every 30 s; nobody calls StartService
    with service.openai() as client:
        answer = client.completions.create(model=service.name, prompt="a", max_tokens=4)
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0
    reasons = {event["Reason"] for event in service.events()}
    assert {"HoldEnded", "ReplicaReady", "Running"} <= reasons
    assert "ServiceStarted" not in reasons
