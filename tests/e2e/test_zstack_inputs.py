"""AddModelService, input by input: each has the effect that zstack_inputs.py says, and it is seen here."""

import json
import shlex
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest
import requests
from clients import PythonSdk
from documents import app
from lifecycle import Service
from running_platform import until
from zstack_client import GROUPS, Json, ZRefused, ZStack

TEMPLATES = "/ai/model-services"

#: Serves what it knows about itself as JSON on PORT.
SELF = """
import http.server, json, os, sys
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        b = json.dumps({"argv": sys.argv[1:], "env": dict(os.environ), "cwd": os.getcwd(),
            "version": sys.version.split()[0], "prefix": sys.prefix, "path": self.path}).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(b))); self.end_headers()
        self.wfile.write(b)
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), H).serve_forever()
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A command that serves SELF."""
    path = tmp_path_factory.mktemp("self") / "self.py"
    path.write_text(SELF)
    return f"{sys.executable} {path}"


class Ways:
    """Registers, deploys, asks; everything made goes after the test."""

    def __init__(self, zstack: ZStack, command: str) -> None:
        self.zstack, self.command = zstack, command
        self.templates: list[str] = []
        self.groups: list[str] = []

    def register(self, **fields: Any) -> Json:
        given = {"startCommand": self.command, **fields}
        made = self.zstack.add_template(given.pop("name", f"input-{uuid.uuid4().hex[:8]}"), **given)
        self.templates.append(made["uuid"])
        return made

    def deploy(self, template: Json, **fields: Any) -> Json:
        name = fields.pop("name", f"input_{uuid.uuid4().hex[:8]}")
        group = self.zstack.deploy(template["uuid"], name, **fields)
        self.groups.append(group["uuid"])
        return group

    def running(self, **fields: Any) -> Json:
        """A group of a template with these inputs, once it runs."""
        group = self.deploy(self.register(**fields))
        return self.zstack.running(group["uuid"])

    def held(self, group: Json, *words: str) -> Json:
        """Wait until the group says all these words while it stays Deploying."""

        def says(now: Json) -> bool:
            return all(word in (now["message"] or "") for word in words)

        found = self.zstack.group_is(group["uuid"], says, f"it says {words}", 30)
        assert found["status"] == "Deploying", found
        return found

    def itself(self, **fields: Any) -> Json:
        """What a running replica of such a template says of itself."""
        return ask(self.running(**fields))

    def clear(self) -> None:
        for group in self.groups:
            self.zstack.delete_group(group)
        for template in self.templates:
            self.zstack.call("DELETE", f"{TEMPLATES}/{template}")


def ask(group: Json, path: str = "/") -> Json:
    """The answer of a group's endpoint."""
    answer = requests.get(
        group["businessEndpoint"] + path,
        headers={"Authorization": group["accessToken"]},
        timeout=10,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
def ways(zstack: ZStack, command: str) -> Any:
    made = Ways(zstack, command)
    yield made
    made.clear()


def warnings(eas: PythonSdk, group: Json) -> str:
    """Everything that the warnings of a group say."""
    return json.dumps(Service(eas, group["serviceName"]).warnings())


def test_the_seeds_request_with_real_uuids(zstack: ZStack, ways: Ways, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Read me\n")
    model = zstack.call(
        "POST",
        "/ai/models",
        {"param": {"name": "m", "installPath": "m", "modelCenterUuid": zstack.center}},
    )["inventory"]
    pattern = zstack.call("POST", "/tags", {"params": {"name": "p", "value": "pattern"}})
    wanted = {
        "name": "text to text model service",
        "description": "This is text to text model service you can chose model",
        "yaml": "model service parameters",
        "requestCpu": 4,
        "requestMemory": 1024,
        "zoneUuid": zstack.zone,
        "modelCenterUuid": zstack.center,
        "gpuComputeCapability": "7.5",
        "installPath": str(tmp_path),
        "system": True,
        "startCommand": "python3 app.py",
        "pythonVersion": "3.11",
        "condaVersion": "24.1",
        "type": "Endpoint",
        "framework": "vLLM",
        "resourceUuid": uuid.uuid4().hex,
        "tagUuids": [pattern["inventory"]["uuid"]],
        "source": "HuggingFace",
        "modelUuids": [model["uuid"]],
        "architectureImages": [{"cpuArchitecture": "X86_64", "dockerImage": "r/x:1"}],
        "supportDistributed": True,
        "containerCommand": "serve",
        "containerArgs": '["--a"]',
        "vendorToSpecUuidsMap": {"NVIDIA": ["aaaa"]},
    }
    made = zstack.call(
        "POST",
        TEMPLATES,
        {"param": wanted, "systemTags": ["ai::note::seed"], "userTags": ["seed"]},
    )
    assert made["success"] is True
    assert made["error"] is None
    inventory = made["inventory"]
    ways.templates.append(inventory["uuid"])
    kinds: dict[str, type | tuple[type, ...]] = {
        **dict.fromkeys(
            (
                *("uuid", "name", "description", "yaml", "modelCenterUuid", "type", "framework"),
                *("source", "gpuComputeCapability", "installPath", "pythonVersion", "condaVersion"),
                *("startCommand", "containerCommand", "containerArgs", "createDate", "lastOpDate"),
            ),
            str,
        ),
        **dict.fromkeys(("readme", "version"), (str, type(None))),
        **dict.fromkeys(("requestCpu", "requestMemory", "size"), int),
        **dict.fromkeys(("system", "hasNewVersion", "supportDistributed"), bool),
        **dict.fromkeys(("cpuArchitectures", "modelServiceRefs", "modelServiceImages"), list),
        "vendorToSpecUuidsMap": dict,
    }
    assert len(kinds) == 29
    for name, kind in kinds.items():
        assert isinstance(inventory[name], kind), (name, inventory[name])
        assert not (kind is int and isinstance(inventory[name], bool)), name
    echoed = set(wanted) & set(kinds)
    assert {name: inventory[name] for name in echoed} == {name: wanted[name] for name in echoed}
    assert inventory["uuid"] == wanted["resourceUuid"]
    assert [ref["modelUuid"] for ref in inventory["modelServiceRefs"]] == [model["uuid"]]
    assert inventory["cpuArchitectures"] == ["X86_64"]


def test_input_name(zstack: ZStack, ways: Ways, eas: PythonSdk) -> None:
    name = f"named-{uuid.uuid4().hex[:8]}"
    ways.register(name=name)
    found = zstack.query(TEMPLATES, f"name={name}")
    assert [item["name"] for item in found] == [name]
    eas("CreateAppService", body=app("by_name", name))  # the ServiceSpec finds it by its name
    (group,) = zstack.query(GROUPS, "name=by_name")
    ways.groups.append(group["uuid"])
    zstack.running(group["uuid"])


def test_input_description(zstack: ZStack, ways: Ways) -> None:
    made = ways.register(description="what it is for")
    assert zstack.query(TEMPLATES, "description~=%is for", f"uuid={made['uuid']}")


def test_input_yaml(ways: Ways) -> None:
    yaml = (
        "services:\n- name: one:2.3.4\n  ports: [3000]\n  readyz: /ready\n  serviceBootupTime: 50\n"
        'env: ["COLOUR:green", "SHADE=dark"]\n'
    )
    seen = ways.itself(yaml=yaml)
    assert seen["env"]["COLOUR"] == "green"
    assert seen["env"]["SHADE"] == "dark"


def test_input_request_cpu(ways: Ways, eas: PythonSdk) -> None:
    group = ways.running(requestCpu=1)
    assert Service(eas, group["serviceName"]).describe()["Cpu"] == 1
    assert ask(group)["env"]["OMP_NUM_THREADS"] == "1"
    with pytest.raises(ZRefused) as refused:
        ways.deploy(ways.register(requestCpu=4096))
    assert refused.value.code == "SYS.1006"


def test_input_request_memory(ways: Ways, eas: PythonSdk) -> None:
    # Below 1,048,576 it is meant in MiB; and it is a limit: what takes more is ended for that.
    hungry = f"{sys.executable} -c 'x = bytearray(400 << 20); import time; time.sleep(600)'"
    group = ways.deploy(ways.register(requestMemory=128, startCommand=hungry))
    assert Service(eas, group["serviceName"]).describe()["Memory"] == 128
    failed = ways.zstack.group_is(group["uuid"], lambda now: now["status"] == "Error", "OOM", 90)
    assert "memory" in failed["message"].lower()
    with pytest.raises(ZRefused) as refused:
        ways.deploy(ways.register(requestMemory=2**50))
    assert refused.value.code == "SYS.1006"


def test_input_zone_uuid(zstack: ZStack, ways: Ways) -> None:
    zone = zstack.call("POST", "/zones", {"params": {"name": "second"}})["inventory"]["uuid"]
    made = ways.register(zoneUuid=zone)
    assert made["zoneUuid"] == zone
    assert ways.register()["zoneUuid"] == zstack.zone
    group = ways.deploy(made, zoneUuid=zone)
    assert group["zoneUuid"] == zone


def test_input_model_center_uuid(zstack: ZStack, ways: Ways, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    center = zstack.call(
        "POST",
        "/ai/model-centers",
        {
            "param": {
                "name": "own",
                "url": f"file://{tmp_path}",
                "managementIp": "127.0.0.1",
                "managementPort": 1,
            }
        },
    )["inventory"]["uuid"]
    seen = ways.itself(modelCenterUuid=center, installPath="inside")
    assert Path(seen["cwd"]) == (tmp_path / "inside").resolve()
    with pytest.raises(ZRefused) as refused:
        zstack.call("DELETE", f"/ai/model-centers/{center}")
    assert refused.value.code == "SYS.1006"


def test_input_gpu_compute_capability(ways: Ways) -> None:
    group = ways.deploy(ways.register(gpuComputeCapability="sm_75"))
    ways.held(group, "GPU")


def test_input_install_path(ways: Ways, eas: PythonSdk, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# About\n")
    made = ways.register(installPath=str(tmp_path))
    assert Path(ask(ways.zstack.running(ways.deploy(made)["uuid"]))["cwd"]) == tmp_path.resolve()

    def measured() -> Json | None:
        now = ways.zstack.one(TEMPLATES, made["uuid"])
        return now if now and now["size"] > 0 else None

    shown = until(measured, 20, "the files are measured")
    assert shown["readme"] == "# About\n"
    missing = ways.running(installPath=str(tmp_path / "missing"))
    assert "InstallPathMissing" in warnings(eas, missing)


def test_input_system(zstack: ZStack, ways: Ways) -> None:
    made = ways.register(system=True)
    assert zstack.query(TEMPLATES, "system=true", f"uuid={made['uuid']}")


def test_input_start_command(ways: Ways) -> None:
    # Shell signs: it goes through /bin/sh, and flags still come as they are.
    script = f"MARK=set && export MARK && {ways.command} {{port}} {{host}} {{model_dir}}"
    group = ways.deploy(
        ways.register(startCommand=script), startupParameters={"flag": "a b; $(c)", "-x": ""}
    )
    seen = ask(ways.zstack.running(group["uuid"]))
    assert seen["env"]["MARK"] == "set"
    assert seen["argv"][:2] == [seen["env"]["PORT"], seen["env"]["HOST"]]
    assert set(shlex.split(shlex.join(seen["argv"][3:]))) == {"--flag", "a b; $(c)", "-x"}
    for name in ("MODEL_DIR", "SERVICE_NAME", "REPLICA_ID"):
        assert name in seen["env"]
    assert not [name for name in seen["env"] if name.startswith("PIERHEAD")]


def test_input_python_version(ways: Ways) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    program = ways.command.split(" ", 1)[1]
    seen = ways.itself(pythonVersion=version, startCommand=f"python {program}")
    assert seen["version"].startswith(version)
    assert seen["env"]["VIRTUAL_ENV"] == seen["prefix"]
    assert seen["prefix"] not in {sys.prefix, sys.base_prefix}
    group = ways.deploy(ways.register(pythonVersion="2.99"))
    said = ways.zstack.group_is(
        group["uuid"], lambda now: "2.99" in (now["message"] or ""), "it names the version", 60
    )
    assert said["readyReplicas"] == 0


def test_input_conda_version(ways: Ways) -> None:
    # No channel is configured here: the environment cannot be had, and that is what is said.
    group = ways.deploy(ways.register(condaVersion="24.1"))
    said = ways.zstack.group_is(
        group["uuid"], lambda now: "conda" in (now["message"] or "").lower(), "it says conda", 90
    )
    assert said["readyReplicas"] == 0


def test_input_type(zstack: ZStack, ways: Ways) -> None:
    with pytest.raises(ZRefused) as refused:
        ways.deploy(ways.register(type="FineTune"))
    assert refused.value.code == "SYS.1014"
    group = ways.running(type="App")
    models = requests.get(
        f"{zstack.platform.gateway}/v1/models",
        headers={"Authorization": f"Bearer {group['accessToken']}"},
        timeout=10,
    )
    assert group["serviceName"] not in models.text
    assert ask(group)["env"]["SERVICE_NAME"] == group["serviceName"]


def test_input_framework(ways: Ways) -> None:
    # No command: the framework's own launcher. llama.cpp is there, and wants weights.
    group = ways.deploy(ways.register(framework="LLAMA.CPP", startCommand=""))
    said = ways.zstack.group_is(
        group["uuid"], lambda now: "eights" in (now["message"] or ""), "it wants weights", 30
    )
    assert said["readyReplicas"] == 0
    nothing = ways.deploy(ways.register(framework="Other", startCommand=""))
    ways.zstack.group_is(
        nothing["uuid"], lambda now: "command" in (now["message"] or ""), "it wants a command", 30
    )


def test_input_resource_uuid(zstack: ZStack, ways: Ways) -> None:
    wanted = uuid.uuid4().hex
    assert ways.register(resourceUuid=wanted)["uuid"] == wanted
    with pytest.raises(ZRefused) as refused:
        zstack.add_template("again", startCommand="x", resourceUuid=wanted)
    assert refused.value.code == "SYS.1002"
    assert wanted in refused.value.details


def test_input_tag_uuids(zstack: ZStack, ways: Ways) -> None:
    pattern = zstack.call("POST", "/tags", {"params": {"name": "gold", "value": "gold"}})
    number = pattern["inventory"]["uuid"]
    made = ways.register(tagUuids=[number])
    found = zstack.query(TEMPLATES, f"__tagUuid__={number}")
    assert [item["uuid"] for item in found] == [made["uuid"]]
    (tag,) = zstack.query("/user-tags", f"resourceUuid={made['uuid']}")
    assert tag["tagPatternUuid"] == number


def test_input_source(ways: Ways) -> None:
    group = ways.deploy(ways.register(source="Bentoml", startCommand="", framework="BentoML"))
    said = ways.zstack.group_is(
        group["uuid"], lambda now: "bentoml" in (now["message"] or ""), "it runs bentoml", 90
    )
    assert said["readyReplicas"] == 0


def test_input_model_uuids(zstack: ZStack, ways: Ways, tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"w" * 1000)
    param = {"name": "w", "installPath": str(tmp_path), "modelCenterUuid": zstack.center}
    model = zstack.call("POST", "/ai/models", {"param": param})["inventory"]["uuid"]
    made = ways.register(modelUuids=[model])
    assert [ref["modelUuid"] for ref in made["modelServiceRefs"]] == [model]
    group = zstack.running(ways.deploy(made)["uuid"])
    assert group["modelUuid"] == model
    assert Path(ask(group)["env"]["MODEL_DIR"]) == tmp_path
    with pytest.raises(ZRefused) as refused:
        zstack.call("DELETE", f"/ai/models/{model}")
    assert refused.value.code == "SYS.1006"


def test_input_architecture_images(ways: Ways) -> None:
    made = ways.register(
        architectureImages=[json.dumps({"cpuArchitecture": "arm64", "dockerImage": "r/a:1"})]
    )
    assert made["cpuArchitectures"] == ["AARCH64"]
    (image,) = made["modelServiceImages"]
    assert image["dockerImage"] == "r/a:1"
    ways.held(ways.deploy(made), "AARCH64")  # this machine is another one


def test_input_support_distributed(zstack: ZStack, ways: Ways) -> None:
    def distributed(template: Json) -> str:
        part = {"uuid": template["uuid"], "name": "d", "type": "Container", "zoneUuid": zstack.zone}
        body = {"modelServices": [part, part], "serviceCreationStrategy": "parallel", "name": "d"}
        with pytest.raises(ZRefused) as refused:
            zstack.call("PUT", TEMPLATES, {"deployDistributedModelService": body})
        return refused.value.code

    assert distributed(ways.register(supportDistributed=False)) == "SYS.1007"
    assert distributed(ways.register(supportDistributed=True)) == "SYS.1014"  # one node only


def test_input_container_command(ways: Ways) -> None:
    # Processes take it when there is no startCommand.
    seen = ways.itself(startCommand="", containerCommand=ways.command)
    assert seen["argv"] == []


def test_input_container_args(ways: Ways) -> None:
    seen = ways.itself(
        startCommand="", containerCommand=ways.command, containerArgs='["--a", "b c"]'
    )
    assert seen["argv"] == ["--a", "b c"]
    seen = ways.itself(startCommand="", containerCommand=ways.command, containerArgs="--d 'e f'")
    assert seen["argv"] == ["--d", "e f"]


def test_input_vendor_to_spec_uuids_map(ways: Ways) -> None:
    made = ways.register(vendorToSpecUuidsMap={"nvidia": []})
    assert made["vendorToSpecUuidsMap"] == {"NVIDIA": []}
    ways.held(ways.deploy(made), "NVIDIA")
    # With no GPU wanted the constraint is off.
    group = ways.deploy(made, systemTags=["ai::gpus::0"])
    ways.zstack.running(group["uuid"])


def test_input_system_tags(zstack: ZStack, ways: Ways) -> None:
    made = ways.register(systemTags=["ai::mark::one"])
    found = zstack.query(TEMPLATES, "__systemTag__=ai::mark::one")
    assert [item["uuid"] for item in found] == [made["uuid"]]
    group = zstack.running(ways.deploy(made, systemTags=["ai::auth::none"])["uuid"])
    assert requests.get(group["businessEndpoint"] + "/", timeout=10).status_code == 200


def test_input_user_tags(zstack: ZStack, ways: Ways, eas: PythonSdk) -> None:
    made = ways.register(userTags=["free text"])
    assert zstack.query(TEMPLATES, "__userTag__=free text", f"uuid={made['uuid']}")
    group = ways.deploy(made, userTags=["team=red"])
    labels = Service(eas, group["serviceName"]).describe()["Labels"]
    assert labels == [{"LabelKey": "team", "LabelValue": "red"}]
