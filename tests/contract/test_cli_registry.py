"""`pierhead models` and `templates` against a double of the ZStack API: output, codes, the wire."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cli_stage import Cli, command_line, only_folder
from contract.zstack_double import ZstackDouble, refusal, uuid
from pierhead.cli import watch, zstack_client

MODELS, TEMPLATES = "ai/models", "ai/model-services"
GROUPS = "ai/model-services/instances/groups"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ZstackDouble]:
    only_folder(monkeypatch, tmp_path)
    with ZstackDouble() as double:
        (tmp_path / "credentials.json").write_text(json.dumps(double.credentials()))
        yield double


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    return command_line(monkeypatch, capsys)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting verbs and jobs look again at once."""
    real = watch.Watch
    monkeypatch.setattr(watch, "Watch", lambda timeout: real(timeout, sleep=lambda _: None))
    monkeypatch.setattr(zstack_client, "PERIOD", 0)


def test_the_signature_is_the_one_that_a_real_client_makes():
    """The figures are of a call that a published client made."""
    made = zstack_client.signature(
        "testAccessKeySecret0001",
        "GET",
        "Sat, 21 Nov 2026 19:37:03 Etc/UTC",
        "/v1/ai/model-services",
    )
    assert made == "5G6ViIzbekHHr+SbiSetflrqeeM="


# --- models ----------------------------------------------------------------------------------------


def test_models_list(hub: ZstackDouble, cli: Cli):
    hub.add(MODELS, "qwen", size=4 * 1024**3, installPath="m/qwen", modelServiceRefs=[{}])
    hub.add(MODELS, "other", size=None)
    said = cli("models", "list")
    lines = [line.split() for line in said.out.splitlines()]
    assert said.code == 0
    assert lines[0] == ["NAME", "UUID", "SIZE", "TEMPLATES", "PATH"]
    assert lines[1] == ["qwen", uuid(100), "4.0", "GiB", "1", "m/qwen"]
    assert lines[2] == ["other", uuid(101), "-", "0", "-"]
    only = json.loads(cli("models", "list", "--name", "oth", "--json").out)
    assert (only["total"], [row["name"] for row in only["models"]]) == (1, ["other"])


def test_lists_read_all_pages(hub: ZstackDouble, cli: Cli):
    for number in range(501):
        hub.add(TEMPLATES, f"t{number}")
    found = json.loads(cli("templates", "list", "--json").out)
    assert found["total"] == len({row["name"] for row in found["templates"]}) == 501
    assert [dict(query)["start"] for _, _, query, _ in hub.requests] == ["0", "500"]


def test_a_model_is_added_to_the_hubs_own_center(hub: ZstackDouble, cli: Cli):
    hub.add(TEMPLATES, "my-server")
    said = cli(
        "models", "add", "qwen", "--install-path", "m/qwen", "--template", "my-server",
        "--default-template", uuid(100), "--size", "1.5GiB", "--tag", "team=search", "--public",
    )  # fmt: skip
    assert (said.code, said.out) == (0, f"Model [qwen] is registered: {uuid(100)}\n")
    assert hub.changes == [
        (
            "POST",
            MODELS,
            {
                "param": {
                    "name": "qwen",
                    "installPath": "m/qwen",
                    "modelCenterUuid": uuid(1),
                    "modelServiceUuids": [uuid(100)],
                    "defaultModelServiceUuid": uuid(100),
                    "size": 3 * 1024**3 // 2,
                    "shareMode": "Public",
                    "userTags": ["team=search"],
                }
            },
        )
    ]


def test_show_a_model_names_its_templates(hub: ZstackDouble, cli: Cli):
    hub.add(TEMPLATES, "my-server")
    bound = {"modelUuid": uuid(100), "modelServiceUuid": uuid(100), "isDefault": True}
    hub.add(MODELS, "qwen", modelServiceRefs=[bound])
    said = cli("models", "show", "qwen")
    assert f"\nTemplate  my-server  {uuid(100)}  default\n" in said.out
    assert json.loads(cli("models", "show", uuid(100), "--json").out)["name"] == "qwen"


def test_bind_and_unbind(hub: ZstackDouble, cli: Cli):
    hub.add(MODELS, "qwen")
    hub.add(TEMPLATES, "my-server")
    path = f"{MODELS}/{uuid(100)}/model-services/{uuid(100)}"
    assert cli("models", "bind", "qwen", "my-server", "--default").code == 0
    assert cli("models", "unbind", "qwen", "my-server").code == 0
    assert hub.changes == [
        ("POST", path, {"param": {}}),
        (
            "PUT",
            f"{MODELS}/{uuid(100)}",
            {"updateModel": {"defaultModelServiceUuid": uuid(100)}},
        ),
        ("DELETE", path, None),
    ]


def test_delete(hub: ZstackDouble, cli: Cli):
    hub.add(MODELS, "qwen")
    assert cli("models", "delete", "qwen", "--yes").out == "Model [qwen] is deleted.\n"
    assert hub.rows[MODELS] == []
    gone = cli("models", "delete", "qwen", "--yes")
    assert (gone.code, gone.err) == (1, "pierhead: Model [qwen] does not exist.\n")
    assert cli("models", "delete", "qwen", "--yes", "--if-exists").code == 0
    hub.add(TEMPLATES, "t")
    cli("templates", "delete", "t", "--yes", "--enforce")
    assert hub.requests[-1][:3] == (
        "DELETE",
        f"{TEMPLATES}/{uuid(100)}",
        [("deleteMode", "Enforcing")],
    )


def test_an_ambiguous_name_lists_what_it_fits(hub: ZstackDouble, cli: Cli):
    hub.add(TEMPLATES, "twin")
    hub.add(TEMPLATES, "twin")
    said = cli("templates", "delete", "twin", "--yes")
    assert said.code == 1
    assert "2 objects have the name [twin]" in said.err
    assert uuid(100) in said.err
    assert uuid(101) in said.err
    assert hub.changes == []
    assert cli("templates", "delete", uuid(101), "--yes").code == 0
    assert [row["uuid"] for row in hub.rows[TEMPLATES]] == [uuid(100)]


# --- templates -------------------------------------------------------------------------------------


def test_a_template_from_flags(hub: ZstackDouble, cli: Cli, tmp_path: Path):
    (tmp_path / "requirements.txt").write_text("six==1.16.0\n")
    (tmp_path / "service.yaml").write_text("services: [{ports: [3000], name: 'a:1'}]\n")
    hub.add(MODELS, "qwen")
    said = cli(
        "templates", "add", "--name", "my-server", "--start-command", "python3 app.py",
        "--cpu", "2", "--memory", "2g", "--install-path", "apps/x", "--python", "3.11",
        "--yaml", str(tmp_path / "service.yaml"),
        "--requirements", str(tmp_path / "requirements.txt"), "--model", "qwen",
        "--image", "X86_64=r/x:1", "--gpu", "NVIDIA=a,b", "--gpu", "Huawei", "--distributed",
        "--tag", "team=search", "--system-tag", "ai::k::v",
    )  # fmt: skip
    assert (said.code, said.out) == (0, f"Template [my-server] is registered: {uuid(100)}\n")
    ((_, path, body),) = hub.changes
    sent = body["param"]
    assert path == TEMPLATES
    assert yaml.safe_load(sent.pop("yaml")) == {
        "services": [{"ports": [3000], "name": "a:1"}],
        "python": {"requirements_txt": "six==1.16.0\n"},
    }
    assert sent == {
        "name": "my-server",
        "startCommand": "python3 app.py",
        "requestCpu": 2,
        "requestMemory": 2 * 1024**3,
        "installPath": "apps/x",
        "pythonVersion": "3.11",
        "modelCenterUuid": uuid(1),
        "modelUuids": [uuid(100)],
        "architectureImages": [{"cpuArchitecture": "X86_64", "dockerImage": "r/x:1"}],
        "vendorToSpecUuidsMap": {"NVIDIA": ["a", "b"], "Huawei": []},
        "supportDistributed": True,
        "userTags": ["team=search"],
        "systemTags": ["ai::k::v"],
    }


def test_a_template_needs_a_name_only(hub: ZstackDouble, cli: Cli):
    assert cli("templates", "add", "--name", "bare").code == 0
    assert hub.changes[0][2]["param"] == {
        "name": "bare",
        "yaml": "",
        "requestCpu": 1,
        "requestMemory": 1024**3,
        "installPath": "",
        "startCommand": "",
        "modelCenterUuid": uuid(1),
    }


def test_a_template_from_a_file(hub: ZstackDouble, cli: Cli, tmp_path: Path):
    file = tmp_path / "template.yaml"
    file.write_text(
        "name: from-file\nstartCommand: python3 a.py\nrequestMemory: 512MiB\n"
        "modelCenterUuid: " + uuid(9) + "\nyaml:\n  env: ['A:b']\n"
    )
    assert cli("templates", "add", str(file), "--cpu", "3", "--start-command", "x").code == 0
    sent = hub.changes[0][2]["param"]
    assert (sent["name"], sent["startCommand"]) == ("from-file", "x")
    assert (sent["requestCpu"], sent["requestMemory"]) == (3, 512 * 1024**2)
    assert sent["yaml"] == "env:\n- A:b\n"
    assert sent["modelCenterUuid"] == uuid(9)
    assert [request[0] for request in hub.requests] == ["POST"]  # nothing had to be found out


def test_a_file_with_an_unknown_field_is_refused(hub: ZstackDouble, cli: Cli, tmp_path: Path):
    (tmp_path / "t.yaml").write_text("name: x\nstart_command: y\n")
    said = cli("templates", "add", str(tmp_path / "t.yaml"))
    assert said.code == 2
    assert "no field [start_command]" in said.err
    assert "startCommand" in said.err
    assert hub.requests == []


def test_update_and_clone(hub: ZstackDouble, cli: Cli):
    hub.add(TEMPLATES, "t")
    updated = cli(
        "templates", "update", "t", "--memory", "4GiB", "--env", "A=b=c", "--flag", "port=1",
        "--install-path", "other", "--no-distributed",
    )  # fmt: skip
    assert (updated.code, updated.out) == (0, "Template [t] is changed.\n")
    assert cli("templates", "clone", "t", "t2", "--cpu", "4").code == 0
    path = f"{TEMPLATES}/{uuid(100)}"
    assert hub.changes == [
        (
            "PUT",
            path,
            {
                "updateModelService": {
                    "requestMemory": 4 * 1024**3,
                    "environmentParameters": {"A": "b=c"},
                    "startupParameters": {"port": "1"},
                    "serviceInstallPath": "other",
                    "supportDistributed": False,
                }
            },
        ),
        ("POST", path, {"params": {"name": "t2", "requestCpu": 4}}),
    ]


def test_list_and_show_templates(hub: ZstackDouble, cli: Cli):
    hub.add(
        TEMPLATES,
        "t",
        type="Endpoint",
        framework="vLLM",
        requestCpu=2,
        requestMemory=1024,
        system=False,
        startCommand="run me",
        yaml="env: []",
        modelServiceImages=[{"cpuArchitecture": "X86_64", "dockerImage": "r/x:1"}],
        modelServiceRefs=[{"modelUuid": uuid(100)}],
    )
    hub.add(MODELS, "qwen")
    row = cli("templates", "list", "--framework", "vLLM", "--type", "Endpoint").out.splitlines()[1]
    assert row.split() == ["t", uuid(100), "Endpoint", "vLLM", "2", "1.0", "GiB"]
    shown = cli("templates", "show", "t").out
    for text in ("run me", "1.0 GiB", "X86_64  r/x:1", f"qwen  {uuid(100)}", "\nenv: []\n"):
        assert text in shown


def test_instances_of_a_template(hub: ZstackDouble, cli: Cli):
    hub.add(TEMPLATES, "t")
    replica = {"uuid": uuid(5), "name": "chat-1", "status": "Running"}
    hub.add(
        GROUPS, "Chat", modelServiceUuid=uuid(100), serviceName="chat", status="Running",
        replicas=2, readyReplicas=1, instances=[replica],
    )  # fmt: skip
    hub.add(
        GROUPS, "Idle", modelServiceUuid=uuid(100), serviceName="idle", status="Stopped",
        replicas=1, readyReplicas=0, instances=[],
    )  # fmt: skip
    hub.add(GROUPS, "foreign", modelServiceUuid=None, status="Running")
    lines = [line.split() for line in cli("templates", "instances", "t").out.splitlines()]
    assert lines[1:] == [
        ["chat", "Chat", "Running", "1/2", "chat-1", "Running"],
        ["idle", "Idle", "Stopped", "0/1", "-", "-"],
    ]
    assert json.loads(cli("templates", "instances", "t", "--json").out)["total"] == 2


# --- deploy ----------------------------------------------------------------------------------------


def test_deploy(hub: ZstackDouble, cli: Cli):
    hub.add(TEMPLATES, "my-server")
    said = cli(
        "templates", "deploy", "my-server", "--name", "chat", "--replicas", "2", "--cpu", "2",
        "--memory", "1GiB", "--env", "LOG=debug", "--flag", "max-len=512", "--gpus", "0",
    )  # fmt: skip
    assert said.code == 0
    assert "pierhead services token chat" in said.out
    assert hub.changes == [
        (
            "PUT",
            f"{TEMPLATES}/{uuid(100)}",
            {
                "deployModelService": {
                    "name": "chat",
                    "type": "VirtualMachine",
                    "zoneUuid": uuid(2),
                    "cpuNum": 2,
                    "memorySize": 1024**3,
                    "environmentVariables": {"LOG": "debug"},
                    "startupParameters": {"max-len": "512"},
                    "systemTags": ["ai::replicas::2", "ai::gpus::0"],
                }
            },
        )
    ]


def test_deploy_over_several_nodes(hub: ZstackDouble, cli: Cli):
    hub.add(TEMPLATES, "large")
    said = cli(
        "templates", "deploy", "large", "--runtime", "kubernetes", "--nodes", "2", "--gpus", "8",
        "--in-turn", "--cpu", "4", "--description", "both", "--tag", "team=blue",
    )  # fmt: skip
    assert said.code == 0, said.err
    node = {
        "uuid": uuid(100),
        "name": "large",
        "type": "Container",
        "zoneUuid": uuid(2),
        "cpuNum": 4,
    }
    assert hub.changes == [
        (
            "PUT",
            TEMPLATES,
            {
                "deployDistributedModelService": {
                    "name": "large",
                    "description": "both",
                    "serviceCreationStrategy": "sequential",
                    "systemTags": ["ai::gpus::8", "ai::runtime::kubernetes"],
                    "userTags": ["team=blue"],
                    "modelServices": [{**node, "nodeRank": 0}, {**node, "nodeRank": 1}],
                }
            },
        )
    ]


def test_deploy_takes_the_templates_own_zone_and_name(hub: ZstackDouble, cli: Cli):
    hub.add(TEMPLATES, "my-server", zoneUuid=uuid(3))
    cli("templates", "deploy", "my-server", "--runtime", "container")
    assert hub.changes[0][2]["deployModelService"] == {
        "name": "my-server",
        "type": "Container",
        "zoneUuid": uuid(3),
        "systemTags": ["ai::runtime::container"],
    }


@pytest.mark.usefixtures("quick")
def test_deploy_waits_and_shows_progress(hub: ZstackDouble, cli: Cli):
    hub.add(TEMPLATES, "chat")
    hub.coming = [("Deploying", "Environment: six is installed."), ("Deploying", None)]
    hub.coming += [("Deploying", None), ("Running", None)]
    said = cli("templates", "deploy", "chat", "--wait", "--json")
    assert said.code == 0
    assert json.loads(said.out)["status"] == "Running"
    told = [line.split("s  ", 1)[1] for line in said.err.splitlines() if " s  " in line]
    assert told == [
        "Deploying: Environment: six is installed.",
        "Deploying: 0 of 1 replicas are ready.",
        "Running: 0 of 1 replicas are ready.",
    ]


@pytest.mark.usefixtures("quick")
def test_deploy_fails_when_the_service_does(hub: ZstackDouble, cli: Cli):
    hub.add(TEMPLATES, "chat")
    hub.coming = [("Error", "The command ended with code 3.")]
    said = cli("templates", "deploy", "chat", "--wait")
    assert (said.code, said.out) == (1, "")
    assert "pierhead: chat is Error: The command ended with code 3. See " in said.err


@pytest.mark.usefixtures("quick")
def test_a_call_that_is_taken_up_as_a_job_is_followed_to_its_end(hub: ZstackDouble, cli: Cli):
    hub.jobs = True
    said = cli("templates", "add", "--name", "bare", "--json")
    assert (said.code, json.loads(said.out)["name"]) == (0, "bare")
    hub.refusals[f"{TEMPLATES}/{uuid(100)}"] = refusal("SYS.1006", "in use", "[chat] runs from it.")
    refused = cli("templates", "delete", "bare", "--yes")
    assert (refused.code, "SYS.1006" in refused.err) == (1, True)
    assert "[chat] runs from it." in refused.err


# --- refusals and bad usage ------------------------------------------------------------------------


def test_a_refusal_is_one_sentence_and_exit_code_1(hub: ZstackDouble, cli: Cli):
    hub.refusals[TEMPLATES] = refusal("SYS.1007", "invalid argument", "field[name] is too long.")
    said = cli("templates", "add", "--name", "x", "--json")
    assert (said.code, said.out) == (1, "")
    assert said.err == "pierhead: field[name] is too long. (SYS.1007)\n"
    hub.refusals[TEMPLATES] = (400, "the field [requestCpu] is no integer")
    assert cli("templates", "add", "--name", "x").err == (
        "pierhead: the field [requestCpu] is no integer (400)\n"
    )
    hub.refusals[TEMPLATES] = (200, "<html>")
    assert "no Pierhead hub" in cli("templates", "list").err


def test_no_hub(hub: ZstackDouble, cli: Cli, tmp_path: Path):
    document = hub.credentials()
    document["endpoints"]["eas"] = "http://127.0.0.1:9"
    (tmp_path / "credentials.json").write_text(json.dumps(document))
    said = cli("models", "list")
    assert (said.code, "No hub answers at http://127.0.0.1:9" in said.err) == (1, True)


def test_endpoint_and_key_from_the_environment(
    hub: ZstackDouble, cli: Cli, monkeypatch: pytest.MonkeyPatch
):
    found = hub.credentials()
    monkeypatch.delenv("PIERHEAD_DATA_DIR")
    monkeypatch.setenv("PIERHEAD_ACCESS_KEY_ID", found["access_key_id"])
    monkeypatch.setenv("PIERHEAD_ACCESS_KEY_SECRET", found["access_key_secret"])
    for endpoint in (found["endpoints"]["eas"], found["endpoints"]["zstack"] + "/"):
        assert cli("models", "list", "--endpoint", endpoint).code == 0
    assert len(hub.requests) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("templates", "add"),
        ("templates", "add", "/nowhere.yaml"),
        ("templates", "add", "/dev/null"),
        ("templates", "add", "--name", "x", "--memory", "much"),
        ("templates", "add", "--name", "x", "--memory", "0"),
        ("templates", "add", "--name", "x", "--cpu", "0"),
        ("templates", "add", "--name", "x", "--yaml", "/nowhere.yaml"),
        ("templates", "update", "t"),
        ("templates", "update", "t", "--env", "=x"),
        ("templates", "deploy", "t", "--env", "x"),
        ("templates", "deploy", "t", "--replicas", "-1"),
        ("templates", "deploy", "t", "--runtime", "vm"),
        ("templates", "deploy", "t", "--in-turn"),
        ("templates", "deploy", "t", "--nodes", "0"),
        ("templates", "deploy", "t", "--nodes", "65"),
        ("models", "add", "x"),
        ("models", "bind", "x"),
        ("models", "delete"),
        ("models", "lsit"),
    ],
)
def test_bad_usage_is_exit_code_2_and_nothing_is_sent(
    hub: ZstackDouble, cli: Cli, arguments: tuple[str, ...]
):
    said = cli(*arguments)
    assert (said.code, said.out) == (2, "")
    assert "Error: " in said.err
    assert hub.requests == []


@pytest.mark.parametrize(
    ("group", "verbs"),
    [
        ("models", ("list", "show", "add", "delete", "bind", "unbind")),
        (
            "templates",
            ("list", "show", "add", "update", "delete", "deploy", "clone", "instances"),
        ),
    ],
)
def test_every_verb_has_help_with_examples(cli: Cli, group: str, verbs: tuple[str, ...]):
    listed = cli(group, "--help").out
    for verb in verbs:
        assert f"\n  {verb} " in listed
        assert "Examples:" in cli(group, verb, "--help").out, verb
