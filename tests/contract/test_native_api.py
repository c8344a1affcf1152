"""Our own operations about quotas and workspaces: over the wire, with the command line's client."""

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from ram_world import KEY, World, as_key, serving

from builders import ACCOUNT, T0, a_replica, a_service, a_template, a_version
from pierhead.cli.client import Access, HubRefused, Json
from pierhead.cli.ram_client import NATIVE, RamClient
from pierhead.core import audit
from pierhead.core.principals import AccessKey
from pierhead.core.quotas import CHANGED
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.core.resources import GIB, Resources
from pierhead.core.services import Service, Wanted
from pierhead.dialects.ram.catalog import load
from pierhead.runtimes.fake import FakeRuntime
from pierhead.store import db, schema
from pierhead.store import services as rows

HERE, THERE = "team-a", "team-b"


class Given(FakeRuntime):
    """A double whose replicas are those that a test gives it."""

    replicas: list[ReplicaStatus]

    def observe(self, service: str | None = None) -> list[ReplicaStatus]:
        return [one for one in self.replicas if service in {None, one.service}]


@dataclass
class Hub:
    """The platform behind a port."""

    world: World
    runtime: Given
    woken: list[str] = field(default_factory=list[str])

    def looked_at(self) -> list[str]:
        """The services that are to be looked at since the last time; the quotas were, before them."""
        first, *services = self.woken
        assert (first, services.count(CHANGED)) == (CHANGED, 0)
        self.woken.clear()
        return services

    def client(self, key: AccessKey = KEY) -> RamClient:
        return RamClient(Access(f"http://{self.world.address}", "local", key))

    def service(self, name: str, **fields: Any) -> Service:
        made = a_service(name=name, **fields)
        asyncio.run(self.world.db.write(rows.add, made))
        return made

    def run(self, service: Service, *states: ReplicaState, rollout: str = "1.0") -> None:
        """Replicas of a service."""
        for state in states:
            name = f"{service.name}-{len(self.runtime.replicas)}"
            self.runtime.replicas.append(
                a_replica(id=name, service=service.id, state=state, rollout=rollout)
            )

    def user(self, name: str, *grants: tuple[list[Json], str]) -> RamClient:
        """The client of a new user with these statements, each in a workspace ("" = everywhere)."""
        key = as_key(self.world.user(name))
        root = self.client()
        for number, (statements, workspace) in enumerate(grants):
            document = json.dumps({"Version": "1", "Statement": statements})
            policy = f"{name.replace('_', '-').replace('.', '-')}-{number}"
            root.act("CreatePolicy", PolicyName=policy, PolicyDocument=document)
            root.act(
                "AttachPolicyToUser",
                UserName=name,
                PolicyName=policy,
                PolicyType="Custom",
                Workspace=workspace,
            )
        return self.client(key)


def allow(*actions: str, on: str | list[str] = "*") -> Json:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on}


def deny(*actions: str, on: str | list[str] = "*") -> Json:
    return {"Effect": "Deny", "Action": list(actions), "Resource": on}


@pytest.fixture
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of its own: SQLite, where a test says nothing else."""
    if getattr(request, "param", "") == "postgresql":
        return request.getfixturevalue("postgres_made_url")
    return db.sqlite_url(tmp_path / "pierhead.db")


both_databases = pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def hub(url: str) -> Iterator[Hub]:
    schema.migrate(url)
    world = World(url)
    runtime = Given(world.clock)
    runtime.replicas = []
    found = Hub(world, runtime)
    world.platform = replace(world.platform, runtime=runtime, wake=found.woken.append)
    with serving(world):
        yield found


def refused(client: RamClient, action: str, **parameters: str) -> str:
    with pytest.raises(HubRefused) as caught:
        client.own(action, **parameters)
    return caught.value.code


def amount(cpu: float = 0, memory: int = 0, gpus: float = 0, replicas: int = 0) -> Json:
    return {"Cpu": cpu, "Memory": memory, "Gpus": gpus, "Replicas": replicas}


# ---- quotas --------------------------------------------------------------------------------------


@both_databases
def test_a_quota_from_its_beginning_to_its_end(hub: Hub) -> None:
    root = hub.client()
    made = root.own("CreateQuota", QuotaId="team-a", Cpu="1.5", Memory=str(8 * GIB), Replicas="2")
    shown = made["Quota"]
    assert shown["QuotaId"] == "team-a"
    assert shown["Limit"] == {"Cpu": 1.5, "Memory": 8 * GIB, "Replicas": 2}
    assert shown["Used"] == shown["Wanted"] == amount()
    assert (shown["Services"], shown["Workspaces"]) == (0, [])
    assert refused(root, "CreateQuota", QuotaId="team-a") == "EntityAlreadyExists.Quota"
    changed = root.own("UpdateQuota", QuotaId="team-a", Cpu="none", Gpus="0.5", Replicas="0")
    assert changed["Quota"]["Limit"] == {"Memory": 8 * GIB, "Gpus": 0.5, "Replicas": 0}
    assert root.own("GetQuota", QuotaId="team-a")["Quota"] == changed["Quota"]
    assert root.own("DeleteQuota", QuotaId="team-a").keys() == {"RequestId"}
    for action in ("GetQuota", "UpdateQuota", "DeleteQuota"):
        assert refused(root, action, QuotaId="team-a") == "EntityNotExist.Quota"


@pytest.mark.parametrize(
    ("bound", "text"),
    [
        ("Cpu", "-1"),
        ("Cpu", "1e3"),
        ("Cpu", "nan"),
        ("Cpu", "inf"),
        ("Memory", "1.5"),
        ("Memory", "8Gi"),
        ("Gpus", "1000001"),
        ("Replicas", "0.5"),
        ("Replicas", "None"),
        ("Replicas", "\u0663"),
    ],
)
def test_bounds_that_are_none(hub: Hub, bound: str, text: str) -> None:
    code = refused(hub.client(), "CreateQuota", QuotaId="q", **{bound: text})
    assert code == f"InvalidParameter.{bound}"


@both_databases
def test_quotas_are_listed_page_by_page(hub: Hub) -> None:
    root = hub.client()
    for name in ("b", "a", "c"):
        root.own("CreateQuota", QuotaId=name)
    first = root.own("ListQuotas", MaxItems="2")
    assert [one["QuotaId"] for one in first["Quotas"]["Quota"]] == ["a", "b"]
    rest = root.own("ListQuotas", MaxItems="2", Marker=first["Marker"])
    assert [one["QuotaId"] for one in rest["Quotas"]["Quota"]] == ["c"]
    assert rest["IsTruncated"] is False


@both_databases
def test_what_counts_against_a_quota(hub: Hub) -> None:
    """Law: what exists counts, in whatever state and of whatever version, once, by its own size."""
    root = hub.client()
    root.own("CreateQuota", QuotaId="q", Replicas="9")
    root.own("CreateWorkspace", WorkspaceId=HERE, QuotaId="q")

    def sized(cpu: float) -> Any:
        size = Resources(cpu=cpu, memory=GIB, gpu=1)
        return a_version(template=a_template(resources=size))

    both = hub.service("svc_both", workspace=HERE, quota="q", current=sized(2), replicas=3)
    named = hub.service("svc_named", quota="q", current=sized(0.1), replicas=2)
    stopped = hub.service("svc_stopped", workspace=HERE, wanted=Wanted.STOPPED)
    hub.service("svc_other", quota="p")
    newer = replace(
        named, current=replace(sized(0.5), number=2), latest=2, revision=named.revision + 1
    )
    asyncio.run(hub.world.db.write(rows.change, newer))
    hub.run(both, ReplicaState.READY, ReplicaState.CRASHED)
    hub.run(named, ReplicaState.DRAINING)
    hub.run(named, ReplicaState.STARTING, rollout="2.0")
    hub.run(stopped, ReplicaState.STOPPING)

    shown = root.own("GetQuota", QuotaId="q")["Quota"]
    assert shown["Used"] == amount(cpu=4.6, memory=4 * GIB, gpus=4, replicas=5)
    assert shown["Wanted"] == amount(cpu=7, memory=5 * GIB, gpus=5, replicas=5)
    assert (shown["Services"], shown["Workspaces"]) == (3, [HERE])
    (listed,) = root.own("ListQuotas")["Quotas"]["Quota"]
    assert listed == shown


@both_databases
def test_a_quota_in_use_is_kept_unless_forced(hub: Hub) -> None:
    root = hub.client()
    root.own("CreateQuota", QuotaId="q")
    named = hub.service("svc_named", quota="q")
    with pytest.raises(HubRefused, match="svc_named"):
        root.own("DeleteQuota", QuotaId="q")
    root.own("CreateWorkspace", WorkspaceId=HERE, QuotaId="q")
    inside = hub.service("svc_inside", workspace=HERE)
    assert refused(root, "DeleteQuota", QuotaId="q") == "DeleteConflict.Quota.Workspace"
    hub.woken.clear()
    root.own("DeleteQuota", QuotaId="q", Force="true")
    assert sorted(hub.looked_at()) == sorted([named.id, inside.id])
    assert root.own("GetWorkspace", WorkspaceId=HERE)["Workspace"]["QuotaId"] == ""


def test_a_service_that_goes_keeps_no_quota(hub: Hub) -> None:
    root = hub.client()
    root.own("CreateQuota", QuotaId="q")
    hub.service("svc_going", quota="q", wanted=Wanted.DELETED)
    root.own("DeleteQuota", QuotaId="q")


def test_a_changed_quota_is_looked_at_at_once(hub: Hub) -> None:
    root = hub.client()
    mine = hub.service("svc_mine", quota="q")
    hub.service("svc_other", quota="p")
    root.own("CreateQuota", QuotaId="q", Replicas="1")
    assert hub.looked_at() == [mine.id]
    root.own("UpdateQuota", QuotaId="q", Replicas="2")
    assert hub.looked_at() == [mine.id]


# ---- workspaces ----------------------------------------------------------------------------------


@both_databases
def test_a_workspace_from_its_beginning_to_its_end(hub: Hub) -> None:
    root = hub.client()
    root.own("CreateQuota", QuotaId="q")
    made = root.own("CreateWorkspace", WorkspaceId=HERE, Name="\u641c\u7d22")["Workspace"]
    assert (made["WorkspaceId"], made["Name"], made["QuotaId"]) == (HERE, "\u641c\u7d22", "")
    assert made["Services"] == 0
    assert refused(root, "CreateWorkspace", WorkspaceId=HERE) == "EntityAlreadyExists.Workspace"
    changed = root.own("UpdateWorkspace", WorkspaceId=HERE, QuotaId="q")["Workspace"]
    assert (changed["Name"], changed["QuotaId"]) == ("\u641c\u7d22", "q")
    changed = root.own("UpdateWorkspace", WorkspaceId=HERE, NoQuota="true")["Workspace"]
    assert changed["QuotaId"] == ""
    root.own("DeleteWorkspace", WorkspaceId=HERE)
    for action in ("GetWorkspace", "UpdateWorkspace", "DeleteWorkspace"):
        assert refused(root, action, WorkspaceId=HERE) == "EntityNotExist.Workspace"


def test_a_workspace_has_only_a_quota_that_there_is(hub: Hub) -> None:
    root = hub.client()
    wish = {"WorkspaceId": HERE, "QuotaId": "nope"}
    assert refused(root, "CreateWorkspace", **wish) == "EntityNotExist.Quota"
    root.own("CreateWorkspace", WorkspaceId=HERE)
    assert refused(root, "UpdateWorkspace", **wish) == "EntityNotExist.Quota"
    both = refused(root, "UpdateWorkspace", **wish, NoQuota="true")
    assert both == "InvalidParameter.NoQuota"


@both_databases
def test_a_workspace_in_use_is_kept(hub: Hub) -> None:
    root = hub.client()
    root.own("CreateWorkspace", WorkspaceId=HERE)
    hub.service("svc_inside", workspace=HERE)
    with pytest.raises(HubRefused, match="svc_inside"):
        root.own("DeleteWorkspace", WorkspaceId=HERE)
    root.own("CreateWorkspace", WorkspaceId=THERE)
    hub.user("bob", ([allow("eas:*")], THERE))
    with pytest.raises(HubRefused, match="bob-0"):
        root.own("DeleteWorkspace", WorkspaceId=THERE)


def test_a_workspace_that_changes_its_quota_has_all_concerned_looked_at(hub: Hub) -> None:
    root = hub.client()
    for quota in ("old", "new"):
        root.own("CreateQuota", QuotaId=quota)
    root.own("CreateWorkspace", WorkspaceId=HERE, QuotaId="old")
    inside = hub.service("svc_inside", workspace=HERE)
    neighbours = [hub.service(f"svc_{quota}", quota=quota) for quota in ("old", "new")]
    hub.service("svc_stranger", quota="third")
    hub.woken.clear()
    root.own("UpdateWorkspace", WorkspaceId=HERE, QuotaId="new")
    assert sorted(hub.looked_at()) == sorted(one.id for one in (inside, *neighbours))
    root.own("UpdateWorkspace", WorkspaceId=HERE, Name="x")
    assert hub.looked_at() == []
    root.own("CreateWorkspace", WorkspaceId=THERE, QuotaId="new")
    assert set(hub.looked_at()) == {inside.id, neighbours[1].id}
    root.own("DeleteWorkspace", WorkspaceId=THERE)
    assert hub.looked_at() == []


# ---- who may ---------------------------------------------------------------------------------------

#: Operation -> what it is asked with. Each is about this quota and this workspace.
CALLS: Mapping[str, Mapping[str, str]] = {
    "CreateQuota": {"QuotaId": "new"},
    "GetQuota": {"QuotaId": "q"},
    "UpdateQuota": {"QuotaId": "q", "Replicas": "3"},
    "DeleteQuota": {"QuotaId": "q", "Force": "true"},
    "ListQuotas": {},
    "CreateWorkspace": {"WorkspaceId": "new"},
    "GetWorkspace": {"WorkspaceId": HERE},
    "UpdateWorkspace": {"WorkspaceId": HERE, "Name": "x"},
    "DeleteWorkspace": {"WorkspaceId": HERE},
    "ListWorkspaces": {},
}
READ = {"GetQuota", "ListQuotas", "GetWorkspace", "ListWorkspaces"}
#: Who -> the operations that they may, of those above.
MAY: Mapping[str, set[str]] = {
    "root": set(CALLS),
    "nobody": set(),
    "read_only": READ,
    "full": set(CALLS),
    # A policy that is bounded to a workspace is about this workspace, and lets one look at its quota.
    "bounded_here": READ | {"UpdateWorkspace", "DeleteWorkspace"},
    "bounded_there": {"ListQuotas", "ListWorkspaces"},
    "eas_only": set(),
    # There may be something in a list for who may do anything to something: here nothing is.
    "by_name": {"GetQuota", "UpdateQuota", "DeleteQuota", "ListQuotas", "ListWorkspaces"},
}


def _principals(hub: Hub) -> dict[str, RamClient]:
    region = f"acs:pierhead:*:{ACCOUNT}"
    return {
        "root": hub.client(),
        "nobody": hub.user("nobody"),
        "read_only": hub.user("read_only", ([allow("pierhead:Get*", "pierhead:List*")], "")),
        "full": hub.user("full", ([allow("*")], "")),
        "bounded_here": hub.user("bounded_here", ([allow("*")], HERE)),
        "bounded_there": hub.user("bounded_there", ([allow("*")], THERE)),
        "eas_only": hub.user("eas_only", ([allow("eas:*", "ram:*", "zstack:*")], "")),
        "by_name": hub.user("by_name", ([allow("*", on=[f"{region}:quota/q"])], "")),
    }


def _prepare(root: RamClient) -> None:
    """Whatever the call before left: the quota and the workspace are as at the beginning."""
    for action, parameters in (
        ("DeleteQuota", {"QuotaId": "new"}),
        ("DeleteWorkspace", {"WorkspaceId": "new"}),
        ("CreateQuota", {"QuotaId": "q"}),
        ("CreateWorkspace", {"WorkspaceId": HERE}),
        ("UpdateWorkspace", {"WorkspaceId": HERE, "QuotaId": "q"}),
    ):
        try:
            root.own(action, **parameters)
        except HubRefused as refusal:
            assert refusal.status in {404, 409}


def test_the_matrix(hub: Hub) -> None:
    """Law: what is let through is what policies say, for every operation and every principal (F28)."""
    wrong: list[str] = []
    root = hub.client()
    people = _principals(hub)
    assert people.keys() == MAY.keys()
    for name, parameters in CALLS.items():
        denied = hub.user(
            f"denied.{name}", ([allow("*"), deny(f"pierhead:{name}")], ""), ([allow("*")], HERE)
        )
        for who, client in {**people, "denied": denied}.items():
            _prepare(root)
            try:
                client.own(name, **parameters)
                code = "OK"
            except HubRefused as refusal:
                code = refusal.code
            good = name in MAY.get(who, set())
            # What is about to be deleted is in use by the policies of these tests.
            kept = "DeleteConflict.Workspace.Policy" if name == "DeleteWorkspace" else "OK"
            if code not in ({"OK", kept} if good else {"NoPermission"}):
                wrong.append(f"{name} as {who}: {code}")
    assert wrong == []


def test_the_matrix_is_complete() -> None:
    """Law: an operation of our own without an entry in the matrix fails (F28)."""
    own = {
        name
        for (version, name), one in load().operations.items()
        if version == NATIVE and re.match("quota/|workspace/", "".join(one.resources))
    }
    assert own == set(CALLS)


def test_a_tenant_sees_its_own_workspaces_and_their_quotas_only(hub: Hub) -> None:
    root = hub.client()
    for team, quota in ((HERE, "qa"), (THERE, "qb"), ("team-c", "qa")):
        if team != "team-c":
            root.own("CreateQuota", QuotaId=quota, Replicas="2")
        root.own("CreateWorkspace", WorkspaceId=team, QuotaId=quota)
    tenant = hub.user("tenant", ([allow("*")], HERE))
    listed = tenant.own("ListWorkspaces")["Workspaces"]["Workspace"]
    assert [one["WorkspaceId"] for one in listed] == [HERE]
    (quota,) = tenant.own("ListQuotas")["Quotas"]["Quota"]
    assert (quota["QuotaId"], quota["Workspaces"]) == ("qa", [HERE])
    assert tenant.own("GetQuota", QuotaId="qa")["Quota"] == quota
    for there in ("qb", "nowhere"):  # what is not theirs and what is not there look the same
        assert refused(tenant, "GetQuota", QuotaId=there) == "NoPermission"
    for there in (THERE, "nowhere"):
        assert refused(tenant, "GetWorkspace", WorkspaceId=there) == "NoPermission"


def test_a_tenant_cannot_get_rid_of_its_quota(hub: Hub) -> None:
    """Law: who is bounded by something cannot move the bound."""
    root = hub.client()
    for quota in ("small", "large"):
        root.own("CreateQuota", QuotaId=quota)
    root.own("CreateWorkspace", WorkspaceId=HERE, QuotaId="small")
    tenant = hub.user("tenant", ([allow("*")], HERE))
    for wish in ({"NoQuota": "true"}, {"QuotaId": "large"}, {"QuotaId": "nope"}):
        assert refused(tenant, "UpdateWorkspace", WorkspaceId=HERE, **wish) == "NoPermission"
    assert refused(tenant, "UpdateQuota", QuotaId="small", Replicas="9") == "NoPermission"
    assert refused(tenant, "DeleteQuota", QuotaId="small", Force="true") == "NoPermission"
    code = refused(tenant, "DeleteWorkspace", WorkspaceId=HERE)
    assert code == "DeleteConflict.Workspace.Policy"
    tenant.own("UpdateWorkspace", WorkspaceId=HERE, Name="ours", QuotaId="small")


def test_shipped_policies_are_about_quotas_and_nothing_else(hub: Hub) -> None:
    names = {"full": "PierheadQuotaFullAccess", "reader": "PierheadQuotaReadOnlyAccess"}
    clients: dict[str, RamClient] = {}
    for who, policy in names.items():
        clients[who] = hub.user(who)
        system = {"PolicyName": policy, "PolicyType": "System"}
        hub.client().act("AttachPolicyToUser", UserName=who, **system)
    clients["full"].own("CreateQuota", QuotaId="q")
    clients["full"].own("CreateWorkspace", WorkspaceId=HERE, QuotaId="q")
    for client in clients.values():
        assert client.own("GetQuota", QuotaId="q")["Quota"]["Workspaces"] == [HERE]
        assert client.own("ListWorkspaces")["Workspaces"]["Workspace"]
    assert refused(clients["reader"], "UpdateQuota", QuotaId="q", Cpu="1") == "NoPermission"
    with pytest.raises(HubRefused, match="ListUsers"):
        clients["full"].act("ListUsers")


# ---- what is written down --------------------------------------------------------------------------


def test_the_audit_trail(hub: Hub) -> None:
    root, nobody = hub.client(), hub.user("nobody")
    hub.world.acts.clear()
    root.own("CreateQuota", QuotaId="q", Replicas="2")
    root.own("CreateWorkspace", WorkspaceId=HERE, QuotaId="q")
    root.own("GetQuota", QuotaId="q")
    root.own("UpdateQuota", QuotaId="q", Replicas="3")
    assert refused(nobody, "DeleteQuota", QuotaId="q") == "NoPermission"
    assert refused(nobody, "ListWorkspaces") == "NoPermission"
    root.own("DeleteWorkspace", WorkspaceId=HERE)
    found = [audit.entry(act, who, source, T0) for act, who, source in hub.world.acts]
    lead = f"acs:pierhead:*:{ACCOUNT}"
    assert [(one.door, one.action, one.resource, one.outcome) for one in found] == [
        ("pierhead", "pierhead:CreateQuota", f"{lead}:quota/q", "Success"),
        ("pierhead", "pierhead:CreateWorkspace", f"{lead}:workspace/{HERE}", "Success"),
        ("pierhead", "pierhead:UpdateQuota", f"{lead}:quota/q", "Success"),
        ("pierhead", "pierhead:DeleteQuota", f"{lead}:quota/q", "Denied"),
        ("pierhead", "pierhead:ListWorkspaces", f"{lead}:workspace/*", "Denied"),
        ("pierhead", "pierhead:DeleteWorkspace", f"{lead}:workspace/{HERE}", "Success"),
    ]
    assert json.loads(found[0].detail)["Replicas"] == "2"
    assert found[3].actor_arn == f"acs:ram::{ACCOUNT}:user/nobody"


def test_a_version_has_its_own_actions(hub: Hub) -> None:
    root = hub.client()
    for action, version in (("ListQuotas", "2015-05-01"), ("ListUsers", NATIVE)):
        with pytest.raises(HubRefused) as caught:
            root.act(action, version)
        assert caught.value.code == "InvalidAction.NotFound"
