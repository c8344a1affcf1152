"""The unmodified zstack-mcp-server: its tool `execute_api` through the RPC door, for every kind of call."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from running_platform import Platform, until
from zstack_client import ZStack

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".cache" / "mcp" / "bin" / "python"
SERVER = "import http.server as h,os;h.ThreadingHTTPServer((os.environ['HOST'],int(os.environ['PORT'])),h.SimpleHTTPRequestHandler).serve_forever()"


class Mcp:
    """The server's one tool, called over MCP on standard input and output."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def raw(self, api: str, /, **parameters: Any) -> Json:
        """What the tool says, success or not."""
        assert self._process.stdin and self._process.stdout
        call = {"api_name": api, "parameters": parameters}
        self._process.stdin.write(json.dumps(call) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the MCP server ended during {api}"
        return json.loads(line)

    def __call__(self, api: str, /, **parameters: Any) -> Json:
        """The result of a call that must succeed."""
        said = self.raw(api, **parameters)
        assert said["success"], said
        return said["result"]


@pytest.fixture(scope="module")
def mcp(platform: Platform) -> Iterator[Mcp]:
    """The server, with the platform's own account."""
    assert PYTHON.exists(), "run `make test-deps`: it installs ZStack's MCP server"
    account = platform.credentials["zstack"]
    environment = {
        **os.environ,
        "ZSTACK_API_URL": platform.eas,
        "ZSTACK_ACCOUNT": account["account"],
        "ZSTACK_PASSWORD": account["password"],
        "ZSTACK_ALLOW_ALL_API": "true",
        "PYTHONPATH": "",
    }
    process = subprocess.Popen(
        [str(PYTHON), str(Path(__file__).parent / "mcp" / "drive.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    with process:
        yield Mcp(process)
        assert process.stdin
        process.stdin.close()
        process.wait(20)


def test_the_life_of_a_template(mcp: Mcp) -> None:
    zone = mcp("QueryZone", conditions=[])["inventories"][0]["uuid"]
    center = mcp("QueryModelCenter", conditions=[{"name": "name", "op": "=", "value": "default"}])
    added = mcp(
        "AddModelService",
        name="mcp-template",
        yaml="services: []",
        modelCenterUuid=center["inventories"][0]["uuid"],
        requestCpu=1,
        requestMemory=256,
        installPath="",
        startCommand=f'python3 -c "{SERVER}"',
    )["inventory"]
    by_name = [{"name": "name", "op": "=", "value": "mcp-template"}]
    found = mcp("QueryModelService", conditions=by_name)
    assert [item["uuid"] for item in found["inventories"]] == [added["uuid"]]
    assert found["total"] == 1
    updated = mcp("UpdateModelService", uuid=added["uuid"], description="by MCP")["inventory"]
    assert updated["description"] == "by MCP"

    group = mcp(
        "DeployModelService", uuid=added["uuid"], zoneUuid=zone, name="mcp_group", type="Container"
    )["inventory"]
    assert group["status"] == "Deploying"
    by_uuid = [{"name": "uuid", "op": "=", "value": group["uuid"]}]

    def groups() -> list[Json]:
        return mcp("QueryModelServiceInstanceGroup", conditions=by_uuid)["inventories"]

    until(lambda: groups()[0]["status"] == "Running", 60, "the group runs")
    refused = mcp.raw("DeleteModelService", uuid=added["uuid"], deleteMode="Permissive")
    assert refused["code"] == "SYS.1006" and "mcp_group" in json.dumps(refused["details"])
    mcp("DeleteModelServiceInstanceGroup", uuid=group["uuid"])
    until(lambda: groups() == [], 30, "the group is gone")
    mcp("DeleteModelService", uuid=added["uuid"])
    assert mcp("QueryModelService", conditions=by_name)["inventories"] == []


def test_it_logs_in_again_when_its_login_has_ended(mcp: Mcp, platform: Platform) -> None:
    mcp("QueryZone", conditions=[])
    ended = ZStack(platform).log_in()
    ended.call("DELETE", f"/accounts/sessions/{ended.login}")
    # The server's own login is another one; a refusal of an ended one must carry the code that it knows.
    body: Json = {
        "org.zstack.header.zone.APIQueryZoneMsg": {
            "conditions": [],
            "session": {"uuid": ended.login},
        }
    }
    answer = ended.http.post(f"{ended.base}/api/", json=body, timeout=10).json()
    assert "error" not in answer
    (name, reply), *_rest = json.loads(answer["result"]).items()
    assert name == "org.zstack.header.message.MessageReply"
    assert reply["error"]["code"] == "ID.1001"


@pytest.mark.parametrize(
    ("name", "parameters", "code"),
    [
        ("AddModelService", {"name": "x"}, "SYS.1007"),
        (
            "QueryModelService",
            {"conditions": [{"name": "nothing", "op": "=", "value": "1"}]},
            "SYS.1007",
        ),
        ("UpdateModelService", {"uuid": "0" * 32, "description": "d"}, "SYS.1003"),
        ("SyncAINginxConfiguration", {}, "SYS.1014"),
    ],
)
def test_refusals_have_codes(mcp: Mcp, name: str, parameters: Json, code: str) -> None:
    said = mcp.raw(name, **parameters)
    assert not said["success"]
    assert said["code"] == code, said
