"""Two tenants of one real platform: RAM users, each with everything allowed in a workspace of its own."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import requests
from clients import Json, PythonSdk, Refused
from documents import document
from lifecycle import Service
from running_platform import Platform, until
from signed_http import Reply, Request, send, signed
from zstack_client import GROUPS, ZStack

from commands import pierhead
from ram_clients import Keys, NewSdk

FULL = {"PolicyName": "AdministratorAccess", "PolicyType": "System"}
PASSWORD = "Correct-Horse-9-%s"
#: What a tenant looks at besides that lies in no workspace: zones, templates, tags, its own keys.
SHARED = "tenants-share"
_KINDS = ("Zone", "ModelCenter", "ModelService", "Model", "Dataset", "AccessKey", "Account")
_TAGS = ("UserTag", "SystemTag", "TagPattern")


@dataclass(frozen=True, slots=True)
class Tenant:
    """One of them, and what it has: a service through either door, each of whose words has its mark."""

    platform: Platform
    name: str
    mark: str
    workspace: str
    keys: Keys
    eas: PythonSdk
    zstack: ZStack

    @property
    def services(self) -> tuple[str, str]:
        """Names of its services at the EAS door: made there, made at the other."""
        return f"{self.mark}_eas", self.group["serviceName"]

    @property
    def group(self) -> Json:
        """What it deployed through the ZStack door."""
        (found,) = self.zstack.query(GROUPS, f"name={self.mark} group")
        return found

    @property
    def shown(self) -> tuple[Json, Json]:
        """Both services in full, as the EAS door tells their owner."""
        first, second = (self.eas("DescribeService", name) for name in self.services)
        return first, second

    def words(self) -> list[str]:
        """All that only this tenant may read: names, ids, tokens, labels."""
        first, second = self.shown
        group = self.group
        found = [self.mark, first["AccessToken"], second["AccessToken"], group["uuid"]]
        return [*found, first["ServiceId"], second["ServiceId"]]

    def ask(self, method: str, target: str, body: Any = None) -> Reply:
        """A request of its own to the EAS door, signed with its key."""
        content = b"" if body is None else json.dumps(body).encode()
        request = Request(method, target, content)
        return send(
            self.platform,
            signed(self.platform, request, key=self.keys.id, secret=self.keys.secret),
        )

    def predict(self, service: str, token: str = "", **more: Any) -> requests.Response:
        """A call of a service's endpoint; without a token of its own, the EAS service's."""
        shown = token or self.shown[0]["AccessToken"]
        url = f"{self.platform.gateway}/api/predict/{service}/x"
        return requests.get(url, headers={"Authorization": shown}, timeout=20, **more)

    def state(self) -> str:
        """Everything of it that a stranger might have changed."""
        services = [dict(one) for one in self.shown]
        for one in services:
            one.pop("RequestId")
        tags = self.zstack.query("/user-tags", f"resourceUuid={self.group['uuid']}")
        events = [Service(self.eas, name).events() for name in self.services]
        return json.dumps([services, self.group, tags, events], sort_keys=True)


def account_ram(platform: Platform) -> NewSdk:
    """The account's own RAM client."""
    given = platform.credentials
    return NewSdk(platform.address, Keys(given["access_key_id"], given["access_key_secret"]))


def a_user(platform: Platform, name: str, workspace: str = "", **policy: str) -> Keys:
    """A RAM user with a key and a password, and a policy (all is allowed, if none is named)."""
    ram = account_ram(platform)
    ram("CreateUser", UserName=name)
    ram("CreateLoginProfile", UserName=name, Password=PASSWORD % name)
    made = ram("CreateAccessKey", UserName=name)["AccessKey"]
    bound = {"Workspace": workspace} if workspace else {}
    ram.extended("AttachPolicyToUser", bound, UserName=name, **{**FULL, **policy})
    return Keys(made["AccessKeyId"], made["AccessKeySecret"])


def share(platform: Platform) -> None:
    """Make the policy of what lies in no workspace."""
    statement = {
        "Effect": "Allow",
        "Action": ["zstack:Query*", "zstack:Get*"],
        "Resource": [f"acs:zstack:*:*:{kind}VO/*" for kind in _KINDS + _TAGS],
    }
    text = json.dumps({"Version": "1", "Statement": [statement]})
    account_ram(platform)("CreatePolicy", PolicyName=SHARED, PolicyDocument=text)


def connect_bucket(platform: Platform, bucket: str, workspace: str) -> None:
    """Connect a bucket (that nobody answers for) for the services of one workspace."""
    where = ("--bucket", bucket, "--endpoint", "http://127.0.0.1:9", "--allow-private")
    words = ("storage", "add", "oss", f"for-{workspace}", *where, "--region", "r")
    words += ("--workspace", workspace, "--data-dir", str(platform.folder))
    done = pierhead(*words)
    assert done.returncode == 0, done.stderr


def eas_of(platform: Platform, keys: Keys) -> PythonSdk:
    """The EAS client of a user."""
    given = {"access_key_id": keys.id, "access_key_secret": keys.secret}
    return PythonSdk(platform, **given, security_token=keys.token or None)


def a_tenant(platform: Platform, name: str, mark: str, template: str) -> Tenant:
    """A user in the workspace `ws-<name>` who deployed through both doors; both services run."""
    workspace = f"ws-{name}"
    keys = a_user(platform, name, workspace)
    shared = {"PolicyName": SHARED, "PolicyType": "Custom"}
    account_ram(platform)("AttachPolicyToUser", UserName=name, **shared)
    zstack = ZStack(platform).log_in_as(name, PASSWORD % name)
    made = Tenant(platform, name, mark, workspace, keys, eas_of(platform, keys), zstack)
    labels = {f"{mark}-key": f"{mark}-value"}
    made.eas(
        "CreateService",
        query={"WorkspaceId": workspace, "Labels": labels},
        body=document(f"{mark}_eas", group=f"{mark}_family"),
    )
    tags = {"userTags": [f"{mark}=tag"], "systemTags": [f"{mark}::tag"]}
    zstack.deploy(template, f"{mark} group", projectUuid=workspace, **tags)
    for service in made.services:
        Service(made.eas, service).until("Running")
    return made


def blind(text: str, words: list[str], *sent: str) -> None:
    """None of the words is in a text, but for what was sent in the request itself."""
    for each in sorted(sent, key=len, reverse=True):
        text = text.replace(each, "")
    assert [word for word in words if word in text] == [], text


def code_of(call: Callable[[], Any]) -> tuple[int, str, str]:
    """Status, code and message of a refusal; of a success (200, "", what came)."""
    try:
        return 200, "", json.dumps(call())
    except Refused as error:
        text = re.sub(r"(?i)request id: [0-9a-f-]+", "", error.message)
        return error.status, error.code, text


def gone(tenant: Tenant) -> None:
    """Take away what a tenant made."""
    names = tenant.services
    for name in names:
        tenant.eas("DeleteService", name)
    until(lambda: tenant.eas("ListServices")["TotalCount"] == 0, 30, "its services are gone")
