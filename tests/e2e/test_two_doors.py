"""One engine under two doors: what one makes, the other shows, changes and removes, at once."""

import sys
from pathlib import Path

import pytest
import requests
from clients import PythonSdk, Refused
from documents import app
from lifecycle import Service
from running_platform import until
from zstack_client import GROUPS, ZRefused, ZStack

#: A model server of a user's own: says which replica it is.
PROGRAM = """
import http.server, json, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"replica": os.environ["REPLICA_ID"], "mark": os.environ.get("MARK", "")}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def program(tmp_path: Path) -> str:
    """A command line that serves PROGRAM."""
    path = tmp_path / "server.py"
    path.write_text(PROGRAM)
    return f"{sys.executable} {path}"


def ask(shown: dict[str, str]) -> dict[str, str]:
    """The answer of a service's endpoint, opened with its own token."""
    answer = requests.get(
        shown["InternetEndpoint"] + "/",
        headers={"Authorization": shown["AccessToken"]},
        timeout=10,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_registered_here_deployed_and_changed_there(  # noqa: PLR0915 - one story, told in order
    zstack: ZStack, eas: PythonSdk, program: str
) -> None:
    template = zstack.add_template("Chat-Model", startCommand=program, description="two doors")

    # The EAS door deploys it by its name, under its own rules for service names.
    eas("CreateAppService", body=app("from_eas", "Chat-Model", replicas=2))
    service = Service(eas, "from_eas")
    shown = service.until("Running")
    (group,) = zstack.query(GROUPS, "name=from_eas")
    assert shown["ServiceId"] == f"eas-m-{group['uuid'][:18]}"
    assert group["modelServiceUuid"] == template["uuid"]
    assert group["type"] == "Container"
    assert group["status"] == "Running"
    assert group["businessEndpoint"] == shown["InternetEndpoint"]
    assert group["accessToken"] == shown["AccessToken"]
    assert sorted(item["name"] for item in group["instances"]) == sorted(
        item["InstanceName"] for item in service.instances()
    )
    assert ask(shown)["replica"] in {item["name"] for item in group["instances"]}

    # Scaled here, seen there; scaled there, seen here.
    (tag,) = zstack.query(
        "/system-tags", f"resourceUuid={group['uuid']}", "tag~=ai::replicas::%"
    ) or [None]
    if tag is None:
        body = {
            "resourceType": "ModelServiceInstanceGroupVO",
            "resourceUuid": group["uuid"],
            "tag": "ai::replicas::3",
        }
        tag = zstack.call("POST", "/system-tags", {"params": body})["inventory"]
    else:
        path = f"/system-tags/{tag['uuid']}/actions"
        zstack.call("PUT", path, {"updateSystemTag": {"tag": "ai::replicas::3"}})
    assert service.describe()["TotalInstance"] == 3
    zstack.running(group["uuid"], 3)
    eas("UpdateAppService", "from_eas", body={"Replicas": 1})
    assert zstack.one("/system-tags", tag["uuid"])["tag"] == "ai::replicas::1"  # type: ignore[index]
    zstack.running(group["uuid"], 1)

    # Stopped and started through EAS.
    eas("StopService", "from_eas")
    assert zstack.group(group["uuid"])["status"] in {"Stopping", "Stopped"}  # type: ignore[index]
    stopped = zstack.group_is(group["uuid"], lambda g: g["status"] == "Stopped", "it is stopped")
    assert stopped["instances"] == []
    eas("StartService", "from_eas")
    zstack.running(group["uuid"], 1)

    # A new version through ZStack is one through EAS, too.
    version = service.describe()["LatestVersion"]
    change = {"environmentVariables": {"MARK": "second"}}
    path = f"/model-service-instance-groups/{group['uuid']}"
    zstack.call("PUT", path, {"updateModelServiceInstanceGroup": change})
    assert service.describe()["LatestVersion"] == version + 1
    until(lambda: ask(service.until("Running"))["mark"] == "second", 30, "the new version answers")

    with pytest.raises(ZRefused) as refused:
        zstack.call("DELETE", f"/ai/model-services/{template['uuid']}")
    assert refused.value.code == "SYS.1006"
    assert "from_eas" in refused.value.details

    zstack.delete_group(group["uuid"])
    with pytest.raises(Refused) as missing:
        service.describe()
    assert missing.value.code == "InvalidService.NotFound"
    zstack.call("DELETE", f"/ai/model-services/{template['uuid']}")
    assert zstack.one("/ai/model-services", template["uuid"]) is None


def test_deployed_there_seen_changed_and_deleted_here(
    zstack: ZStack, eas: PythonSdk, program: str
) -> None:
    template = zstack.add_template("plain", startCommand=program)
    group = zstack.deploy(
        template["uuid"], "Chat Two", systemTags=["ai::replicas::2"], userTags=["team=blue"]
    )
    assert group["status"] == "Deploying"
    name = group["serviceName"]
    assert name == f"chat_two_{group['uuid'][:8]}"
    service = Service(eas, name)
    service.until("Running")
    shown = service.describe()
    assert shown["TotalInstance"] == 2
    assert shown["Labels"] == [{"LabelKey": "team", "LabelValue": "blue"}]
    assert shown["AccessToken"] == zstack.group(group["uuid"])["accessToken"]  # type: ignore[index]
    assert ask(shown)["replica"]
    assert name in {item["ServiceName"] for item in eas("ListServices")["Services"]}
    by_id = Service(eas, shown["ServiceId"]).describe()
    assert by_id["ServiceName"] == name

    # Enforcing detaches: the group lives on from its snapshot.
    path = f"/ai/model-services/{template['uuid']}"
    zstack.call("DELETE", path, deleteMode="Enforcing")
    detached = zstack.group(group["uuid"])
    assert detached is not None
    assert detached["modelServiceUuid"] is None
    assert detached["status"] == "Running"
    assert ask(service.describe())["replica"]

    eas("DeleteService", name)
    leaving = zstack.group(group["uuid"])  # or it is gone already
    assert leaving is None or leaving["status"] == "Deleting"
    service.gone()
    assert zstack.group(group["uuid"]) is None


def test_a_built_in_spec_is_a_template_too(zstack: ZStack, eas: PythonSdk) -> None:
    (spec,) = zstack.query("/ai/model-services", "name=smollm2_135m_q4")
    assert spec["system"] is True
    group = zstack.deploy(spec["uuid"], "paris_by_zstack")
    zstack.running(group["uuid"])
    Service(eas, "paris_by_zstack").answers_paris()
    zstack.delete_group(group["uuid"])
