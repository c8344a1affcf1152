"""CreateService and UpdateService with a service JSON: a user's own command, probes, rolls, groups."""

import json
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests
from clients import Json, PythonSdk
from documents import ECHO, SCRIPT, app, document
from lifecycle import Service, config, refused
from running_platform import Platform, until


@dataclass
class Load:
    """Two clients that ask one request after the other, and what they were answered."""

    url: str
    headers: dict[str, str]
    statuses: Counter[str] = field(default_factory=Counter)
    versions: set[str] = field(default_factory=set)
    over: threading.Event = field(default_factory=threading.Event)

    def ask(self) -> None:
        with requests.Session() as session:
            while not self.over.wait(0.01):
                try:
                    answer = session.get(self.url, headers=self.headers, timeout=10)
                    self.statuses[str(answer.status_code)] += 1
                    if answer.ok:
                        self.versions.add(answer.json()["env"].get("VERSION", ""))
                except requests.RequestException as error:
                    self.statuses[type(error).__name__] += 1


@contextmanager
def light_load(platform: Platform, service: Service, path: str = "/slow/0.02") -> Iterator[Load]:
    """Requests that never pause; all of them must be answered 200."""
    url = f"{platform.gateway}/api/predict/{service.name}{path}"
    load = Load(url, {"Authorization": service.describe()["AccessToken"]})
    threads = [threading.Thread(target=load.ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        until(lambda: load.statuses["200"] > 10, 10, "requests are answered")
        yield load
        enough = load.statuses["200"] + 10
        until(lambda: load.statuses["200"] > enough, 10, "requests are answered still")
    finally:
        load.over.set()
        for thread in threads:
            thread.join()
    assert set(load.statuses) == {"200"}, load.statuses


def seen(platform: Platform, service: Service, path: str = "", name: str = "") -> Json:
    """What the service says that it was asked."""
    url = f"{platform.gateway}/api/predict/{name or service.name}{path}"
    headers = {"Authorization": service.describe()["AccessToken"]}
    answer = requests.get(url, headers=headers, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()


def created(eas: PythonSdk, submitted: Json, **query: Any) -> Service:
    answer = eas("CreateService", body=submitted, query=query)
    service = Service(eas, answer["ServiceName"])
    assert answer["Status"] == "Creating"
    assert service.describe()["Status"] in {"Creating", "Waiting"}
    return service


def with_env(submitted: Json, **values: str) -> Json:
    (container,) = submitted["containers"]
    env = [{"name": name, "value": value} for name, value in values.items()]
    return {**submitted, "containers": [{**container, "env": env}]}


def test_a_script_runs_with_its_environment_and_nothing_of_the_platforms(
    eas: PythonSdk, platform: Platform
) -> None:
    submitted = with_env(document("doc_script", cpu=1, memory=256), GREETING="héllo 组", EMPTY="")
    service = created(eas, submitted)
    shown = service.until("Running")
    assert (shown["Cpu"], shown["Memory"], shown["Gpu"]) == (1, 256, 0)
    env = seen(platform, service)["env"]
    (instance,) = service.instances()
    assert env["GREETING"] == "héllo 组"
    assert env["EMPTY"] == ""
    assert env["SERVICE_NAME"] == "doc_script"
    assert env["REPLICA_ID"] == instance["InstanceName"]
    assert (env["HOST"], env["PORT"]) == ("127.0.0.1", str(instance["InstancePort"]))
    secrets = (platform.credentials["access_key_secret"], shown["AccessToken"])
    assert not any(secret in value for secret in secrets for value in env.values())
    allowed = {"PATH", "HOME", "LANG", "TMPDIR", "PORT", "HOST", "MODEL_DIR", "SERVICE_NAME"}
    allowed |= {"OMP_NUM_THREADS"}  # from the CPU limit
    allowed |= {"CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"}
    assert env["CUDA_VISIBLE_DEVICES"] == "", "no GPU was asked for, so none is seen"
    assert set(env) - allowed <= {"REPLICA_ID", "GREETING", "EMPTY", "LC_CTYPE", "PWD"}

    def logged() -> list[str]:
        return eas("DescribeServiceLog", service.name, query={"Keyword": "serving"})["Logs"]

    logs = until(logged, 10, "what it said is written down")
    assert logs == [f"[{instance['InstanceName']}] serving héllo 组"]


def test_a_fixed_port_becomes_the_replicas_own(eas: PythonSdk, platform: Platform) -> None:
    submitted = document("doc_port", script=f"{sys.executable} {ECHO} --port 8000", instance=2)
    submitted["containers"][0]["port"] = 8000
    service = created(eas, submitted)
    service.until("Running")
    assert len({item["InstancePort"] for item in service.instances()}) == 2
    assert seen(platform, service)["argv"][-1] != "8000"
    assert config(service.describe()) == submitted
    assert set(service.warnings()) >= {"CommandAdapted", "PortReplaced"}


def test_readiness_waits_for_the_probe_and_liveness_restarts(
    eas: PythonSdk, platform: Platform, tmp_path: Path
) -> None:
    gate = tmp_path / "open"
    submitted = with_env(document("doc_probe"), GATE=str(gate))
    (container,) = submitted["containers"]
    container["readiness_check"] |= {"failure_threshold": 2}
    container["liveness_check"] = {
        "exec": {"command": ["test", "!", "-e", str(tmp_path / "sick")]},
        "period_seconds": 0.5,
        "failure_threshold": 1,
    }
    service = created(eas, submitted)
    until(service.instances, 10, "an instance is there")
    until(lambda: service.describe()["Status"] == "Waiting", 10, "it waits for its probe")
    (instance,) = service.instances()
    assert (instance["Status"], instance["ReadyProcesses"]) == ("Creating", 0)
    gate.touch()
    service.until("Running")
    pid = seen(platform, service)["pid"]
    gate.unlink()
    until(lambda: service.instances()[0]["Status"] == "NotReady", 15, "the probe's failure shows")
    assert service.describe()["Status"] == "Waiting"
    gate.touch()
    service.until("Running")
    assert seen(platform, service)["pid"] == pid, "readiness restarted the process"
    sick = tmp_path / "sick"
    sick.touch()
    until(lambda: service.instances()[0]["RestartCount"] > 0, 15, "it is restarted")
    sick.unlink()
    service.until("Running")
    assert seen(platform, service)["pid"] != pid


def test_the_document_comes_back_as_it_was_submitted(eas: PythonSdk) -> None:
    submitted = with_env(document("doc_same"), A="1")
    submitted |= {
        "metadata": {
            **submitted["metadata"],
            "rolling_strategy": {"max_surge": "50%", "max_unavailable": 0},
            "disk": "30Gi",
            "owner": {"name": "组", "tags": [1, 2.5, None, True]},
        },
        "cloud": {"networking": {"vpc_id": "vpc-1"}},
        "mystery": {"deep": [{"er": 1}]},
    }
    service = created(eas, submitted)
    shown = service.until("Running")
    assert config(shown) == submitted
    messages = service.warnings()["ParameterWithoutEffect"]
    for name in ("metadata.disk", "metadata.owner", "cloud.networking.vpc_id", "mystery"):
        assert any(f"parameter {name} has" in message for message in messages), (name, messages)


def test_an_update_merges_or_replaces(eas: PythonSdk, platform: Platform) -> None:
    first = with_env(document("doc_merge", labels={"a": "b"}), VERSION="one")
    service = created(eas, first)
    token = service.until("Running")["AccessToken"]
    patch = {"metadata": {"labels": {"c": "d"}}, "token": "opensesame"}
    service.change("UpdateService", "Updating", body=patch)
    shown = service.until("Running")
    assert (shown["CurrentVersion"], shown["LatestVersion"]) == (2, 2)
    metadata = {**first["metadata"], "labels": {"a": "b", "c": "d"}}
    assert config(shown) == {**first, "metadata": metadata, "token": "opensesame"}
    assert shown["AccessToken"] == "opensesame" != token
    assert seen(platform, service)["env"]["VERSION"] == "one"
    service.change("UpdateService", "Updating", body={"metadata": {"labels": None}})
    shown = service.until("Running")
    assert config(shown) == {
        **document("doc_merge"),
        **{"containers": first["containers"], "token": "opensesame"},
    }
    second = with_env(document("doc_merge"), VERSION="two")
    query = {"UpdateType": "replace"}
    service.change("UpdateService", "Updating", body=second, query=query)
    shown = service.until("Running")
    assert config(shown) == second
    assert shown["LatestVersion"] == 4
    assert seen(platform, service)["env"]["VERSION"] == "two"
    service.change("UpdateService", "Scaling", body={"metadata": {"instance": 2}})
    shown = service.until("Running")
    assert (shown["RunningInstance"], shown["LatestVersion"]) == (2, 4)
    assert config(shown)["metadata"]["instance"] == 2
    update = {"metadata": {"name": "doc_other"}}
    refused(
        lambda: eas("UpdateService", service.name, body=update), "InvalidParameter", 400, "metadata.name"
    )  # fmt: skip


def test_a_roll_loses_no_request(eas: PythonSdk, platform: Platform) -> None:
    submitted = with_env(
        document("doc_roll", instance=2, rolling_strategy={"max_surge": 1, "max_unavailable": 0}),
        VERSION="one",
    )
    service = created(eas, submitted)
    service.until("Running")
    with light_load(platform, service) as load:
        body = {"containers": with_env(submitted, VERSION="two")["containers"]}
        service.change("UpdateService", "Updating", body=body)
        service.until("Running")
        service.change("RestartService", "Updating")
        service.until("Running")
        service.change("UpdateService", "Scaling", body={"metadata": {"instance": 3}})
        service.until("Running")
        service.change("UpdateService", "Scaling", body={"metadata": {"instance": 1}})
        service.until("Running")
    assert load.versions == {"one", "two"}
    print(f"{load.statuses['200']} requests during update, restart and scaling, none failed")
    assert seen(platform, service)["env"]["VERSION"] == "two"


def test_a_failed_roll_leaves_the_old_version_serving(eas: PythonSdk, platform: Platform) -> None:
    first = with_env(document("doc_fail"), VERSION="one")
    service = created(eas, first)
    service.until("Running")
    (old,) = service.instances()
    with light_load(platform, service) as load:
        bad = {"containers": [{**first["containers"][0], "script": "/no/such/program --serve"}]}
        service.change("UpdateService", "Updating", body=bad)
        shown = service.until("Failed", 60)
        assert shown["Reason"] == "UpdateFailed"
        assert "Version 2" in shown["Message"]
        assert "/no/such/program" in shown["Message"], shown["Message"]
        assert (shown["CurrentVersion"], shown["LatestVersion"]) == (2, 2)
        assert shown["RunningInstance"] == 1
        assert old["InstanceName"] in {item["InstanceName"] for item in service.instances()}
        assert "UpdateFailed" in service.warnings()
        good = {"containers": with_env(first, VERSION="three")["containers"]}
        service.change("UpdateService", "Updating", body=good)
        shown = service.until("Running")
        assert shown["LatestVersion"] == 3
    assert load.versions == {"one", "three"}
    (new,) = service.instances()
    assert new["InstanceName"] != old["InstanceName"]


def test_a_member_of_a_group_answers_to_its_full_name_in_both_planes(
    eas: PythonSdk, platform: Platform
) -> None:
    service = created(eas, document("doc_member", group="doc_group"))
    shown = service.until("Running")
    assert (shown["ServiceGroup"], shown["TrafficState"]) == ("doc_group", "grouping")
    full = "doc_group.doc_member"
    assert shown["InternetEndpoint"] == f"{platform.gateway}/api/predict/{full}"
    assert seen(platform, service, "/x", name=full)["path"] == "/x"
    assert seen(platform, service, "/x", name="doc_member")["path"] == "/x"
    grouped = Service(eas, full)
    assert grouped.describe()["ServiceId"] == shown["ServiceId"]
    assert [item["InstanceName"] for item in grouped.instances()] == [
        item["InstanceName"] for item in service.instances()
    ]
    grouped.change("UpdateService", "Scaling", body={"metadata": {"instance": 2}})
    grouped.until("Running")
    grouped.change("StopService", "Stopping")
    grouped.until("Stopped")
    refused(Service(eas, "other.doc_member").describe, "InvalidService.NotFound", 404)
    grouped.delete()
    refused(service.describe, "InvalidService.NotFound", 404)


def test_labels_owners_and_token_come_from_the_request(eas: PythonSdk) -> None:
    labels = {"team": "组", "tier": "gold"}
    submitted = {**document("doc_labels"), "token": "a-token-of-my-own"}
    service = created(eas, submitted, Labels=labels, WorkspaceId="w99")
    shown = service.until("Running")
    assert {item["LabelKey"]: item["LabelValue"] for item in shown["Labels"]} == labels
    assert (shown["WorkspaceId"], shown["AccessToken"]) == ("w99", "a-token-of-my-own")
    found = eas("ListServices", query={"Label": {"team": "组"}})["Services"]
    assert [item["ServiceName"] for item in found] == ["doc_labels"]


def test_an_app_service_is_the_same_as_the_service_json_that_it_shows(eas: PythonSdk) -> None:
    eas("CreateAppService", body=app("doc_app", "chatglm_6b_fp16", replicas=2))
    derived = config(Service(eas, "doc_app").until("Failed"))
    Service(eas, "doc_app").delete()
    eas("CreateService", body=derived)
    again = Service(eas, "doc_app").until("Failed")
    assert again["Reason"] == "ArchitectureNotSupported"  # whatever is mounted: no engine has it
    assert config(again) == derived
    assert (again["TotalInstance"], again["Image"]) == (2, "pierhead/chatglm_6b_fp16")


def test_crashes_are_counted_and_told(eas: PythonSdk) -> None:
    code = "import sys; print('no such tensor', flush=True); sys.exit(3)"
    service = created(
        eas, document("doc_crash", script=f"{sys.executable} -I -S -c {json.dumps(code)}")
    )
    shown = service.until("Failed", 60)
    assert "exit code 3" in shown["Message"]
    assert "no such tensor" in shown["Message"]
    (instance,) = service.instances()
    assert instance["RestartCount"] >= 2
    assert instance["LastState"][0]["ExitCode"] == 3
    query = {"InstanceName": instance["InstanceName"], "Previous": True}
    assert eas("DescribeServiceLog", service.name, query=query)["Logs"] == ["no such tensor"]
    # Starting a failed service tries again; here a mended command is put in place first.
    service.change(
        "UpdateService", "Updating", "Waiting", body=document("doc_crash", script=SCRIPT)
    )
    assert service.until("Running")["LatestVersion"] == 2


BAD_DOCUMENTS = [
    ({"processor": "pmml"}, "UnsupportedOperation", 400, ("processor",)),
    ({"model_path": "oss://b/m"}, "UnsupportedOperation", 400, ("model_path",)),
    ({"autoscaler": {"min": 1, "max": 2}}, "MissingParameter", 400, ("autoscaler.scaleStrategies",)),
    ({"metadata": {"name": "doc_bad", "type": "Async"}}, "UnsupportedOperation", 400, ("Async",)),
    ({"metadata": {"name": "doc_bad", "resource": "eas-r-x"}}, "InvalidResource.NotFound", 404, ("eas-r-x",)),
    ({"metadata": {"name": "doc-bad"}}, "InvalidParameter", 400, ("metadata.name",)),
    ({"metadata": {}}, "MissingParameter", 400, ("metadata.name",)),
    ({"metadata": {"name": "doc_bad", "instance": 0}}, "InvalidParameter", 400, ("metadata.instance",)),
    ({"metadata": {"name": "doc_bad", "instance": 1001}}, "InvalidParameter", 400, ("1001",)),
    ({"metadata": {"name": "doc_bad", "instance": "two"}}, "InvalidParameter", 400, ("metadata.instance",)),
    ({"metadata": {"name": "doc_bad", "cpu": -1}}, "InvalidParameter", 400, ("metadata.cpu",)),
    ({"metadata": {"name": "doc_bad", "rolling_strategy": {"max_surge": "200%"}}}, "InvalidParameter", 400, ("max_surge",)),
    ({"metadata": {"name": "doc_bad", "rolling_strategy": {"max_surge": 0}}}, "InvalidParameter", 400, ("rolling_strategy",)),
    ({"metadata": "doc_bad"}, "InvalidParameter", 400, ("metadata",)),
    ({"containers": []}, "MissingParameter", 400, ("containers",)),
    ({"containers": [{}]}, "MissingParameter", 400, ("containers[0].script",)),
    ({"containers": [{"image": "nginx:latest"}]}, "InvalidParameter", 400, ("containers[0].image", "nginx")),
    ({"containers": [{"script": "a"}, {"script": "b"}]}, "UnsupportedOperation", 400, ("containers[1]",)),
    ({"containers": [{"script": "a 'b"}]}, "InvalidParameter", 400, ("containers[0].script",)),
    ({"containers": [{"script": "a", "port": 70000}]}, "InvalidParameter", 400, ("containers[0].port",)),
    ({"containers": [{"script": "a", "env": [{"name": "A B"}]}]}, "InvalidParameter", 400, ("env[0].name",)),
    ({"containers": [{"script": "a", "env": {"A": "B"}}]}, "InvalidParameter", 400, ("containers[0].env",)),
    ({"containers": [{"script": "a", "liveness_check": {"http_get": {"path": "/"}, "exec": {"command": ["a"]}}}]}, "InvalidParameter", 400, ("liveness_check",)),
    ({"containers": [{"script": "a", "prepare": {"pythonRequirements": ["x"]}}]}, "UnsupportedOperation", 400, ("prepare",)),
    ({"storage": [{"mount_path": "/m"}]}, "MissingParameter", 400, ("storage[0]",)),
    ({"storage": [{"oss": {"path": "file:///etc"}}]}, "InvalidParameter", 400, ("storage[0].oss.path",)),
    ({"storage": [{"dataset": {"id": "d-1"}}]}, "UnsupportedOperation", 400, ("storage[0].dataset",)),
    ({"token": 7}, "InvalidParameter", 400, ("token",)),
]  # fmt: skip


@pytest.mark.parametrize(("change", "code", "status", "words"), BAD_DOCUMENTS)
def test_a_document_that_cannot_be_served_is_refused_by_name(
    eas: PythonSdk, change: Json, code: str, status: int, words: tuple[str, ...]
) -> None:
    body = {**document("doc_bad"), **change}
    refused(lambda: eas("CreateService", body=body), code, status, *words)
    assert eas("ListServices", query={"Filter": "doc_bad"})["TotalCount"] == 0
