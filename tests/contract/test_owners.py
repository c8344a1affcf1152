"""The workspace and the quota that services name: made at first use, told of, or refused; both doors."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from permission_world import House, Json, Said, Scene, allow, play_house, policy
from registry_world import World

from builders import ACCOUNT, ROOT
from pierhead.core.aliases import Realm
from pierhead.core.errors import NotFound
from pierhead.core.identities import Attachment
from pierhead.core.quotas import Quota
from pierhead.core.workspaces import Workspace
from pierhead.operations.iam import grants
from pierhead.store import db, quotas, workspaces
from pierhead.store import events as event_rows
from pierhead.store.events import EventQuery

APP = {"AppType": "LLM", "ServiceSpec": "smollm2_135m_q4", "Replicas": 1, "AppVersion": "v1"}
APPS, SERVICES = "/api/v2/app_services", "/api/v2/services"
WITHOUT = "QuotaWithoutLimit"


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Scene], None]:
    """Runs a scene on a fresh platform."""

    def run(scene: Scene) -> None:
        play_house(db.sqlite_url(tmp_path / "pierhead.db"), tmp_path, scene)

    return run


def strict(house: House) -> House:
    """The same house under `strict_ids`."""
    world: World = house.world
    world.platform = replace(world.platform, strict_ids=True)
    return House(world, known=house.known)


async def app(house: House, name: str, query: str = "", who: str = "root") -> Said:
    return await house.eas(who, "POST", f"{APPS}?{query}", {**APP, "ServiceName": name})


def document(name: str, **metadata: Any) -> Json:
    return {
        "metadata": {"name": name, "instance": 1, **metadata},
        "containers": [{"image": "pierhead/smollm2_135m_q4"}],
    }


async def by_document(house: House, name: str, who: str = "root", **metadata: Any) -> Said:
    return await house.eas(who, "POST", SERVICES, document(name, **metadata))


async def deploy(house: House, name: str, project: str, who: str = "root") -> Said:
    zone = (await house.rpc("root", "QueryZone")).body["inventories"][0]["uuid"]
    template = (await house.rpc("root", "QueryModelService")).body["inventories"][0]["uuid"]
    wish = {"uuid": template, "zoneUuid": zone, "name": name, "type": "Container"}
    return await house.rpc(who, "DeployModelService", {**wish, "projectUuid": project})


async def update(house: House, name: str, query: str, who: str = "root") -> Said:
    return await house.eas(who, "PUT", f"{APPS}/local/{name}?{query}", {})


async def made(house: House) -> set[str]:
    """The ids of all workspaces."""
    return {one.id for one in await house.world.db.read(workspaces.everything)}


async def services(house: House) -> set[str]:
    found = (await house.eas("root", "GET", SERVICES)).body["Services"]
    return {one["ServiceName"] for one in found}


async def told(house: House, name: str) -> list[str]:
    """What was said about a service's quota."""
    page, _ = await house.world.db.read(event_rows.page, EventQuery(limit=100))
    return [one.message for one in page if one.name == name and one.reason == WITHOUT]


async def define(house: House, quota: str, workspace: str = "") -> None:
    """A quota, and a workspace that has it."""
    await house.world.db.write(quotas.add, Quota(quota))
    if workspace:
        await house.world.db.write(workspaces.add, Workspace(workspace, quota=quota))


def test_a_workspace_is_made_at_its_first_use(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        assert (await app(house, "by_app", "WorkspaceId=w1")).code == "OK"
        assert (await by_document(house, "by_document", workspace_id="w2")).code == "OK"
        assert (await deploy(house, "by_zstack", "w3")).code == "OK"
        assert (await app(house, "alone")).code == "OK"
        assert (await app(house, "again", "WorkspaceId=w1")).code == "OK"
        assert await made(house) == {"w1", "w2", "w3"}
        assert (await update(house, "alone", "WorkspaceId=w4")).code == "OK"
        assert await made(house) == {"w1", "w2", "w3", "w4"}
        refused = await app(house, "by_app", "WorkspaceId=w5")
        assert refused.code == "InvalidService.Conflict"
        assert "w5" not in await made(house), "what is refused leaves nothing"

    play(scene)


def test_only_an_undefined_quota_is_told_of(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        await define(house, "known")
        assert (await app(house, "undefined", "QuotaId=nope")).code == "OK"
        (message,) = await told(house, "undefined")
        assert "[nope]" in message
        assert (await app(house, "defined", "QuotaId=known")).code == "OK"
        assert (await by_document(house, "described", quota_id="known")).code == "OK"
        assert await told(house, "defined") == await told(house, "described") == []
        assert (await update(house, "defined", "QuotaId=gone")).code == "OK"
        (message,) = await told(house, "defined")
        assert "[gone]" in message
        assert (await update(house, "defined", "QuotaId=known")).code == "OK"
        assert len(await told(house, "defined")) == 1

    play(scene)


# ---- strict_ids ------------------------------------------------------------------------------------


def test_strict_ids_refuse_what_nobody_made(play: Callable[[Scene], None]) -> None:
    """Law: under strict_ids an unknown id is refused in the door's own words, and nothing is written."""

    async def scene(loose: House) -> None:
        house = strict(loose)
        await define(house, "quota-a", "team-a")
        for said, code, name in (
            (await app(house, "abc", "WorkspaceId=nope"), "InvalidWorkspace.NotFound", "nope"),
            (await app(house, "abc", "QuotaId=nope"), "InvalidQuota.NotFound", "nope"),
            (
                await by_document(house, "abc", workspace_id="nope"),
                "InvalidWorkspace.NotFound",
                "nope",
            ),
            (await by_document(house, "abc", quota_id="nope"), "InvalidQuota.NotFound", "nope"),
            (await app(house, "abc", "WorkspaceId=TEAM-A"), "InvalidWorkspace.NotFound", "TEAM-A"),
        ):
            assert (said.status, said.code) == (404, code)
            assert f"[{name}]" in said.body["Message"]
            assert "strict_ids" in said.body["Message"]
        refused = await deploy(house, "abc", "nope")
        assert refused.code == "SYS.1003"
        error = refused.body["error"]
        assert "projectUuid" in error["details"]
        assert "nope" in error["details"]
        assert await services(house) == set()
        assert await made(house) == {"team-a"}
        both = "WorkspaceId=team-a&QuotaId=quota-a"
        assert (await app(house, "good_app", both)).code == "OK"
        assert (await by_document(house, "good_document", workspace_id="team-a")).code == "OK"
        assert (await deploy(house, "good_group", "team-a")).code == "OK"
        assert (await app(house, "alone")).code == "OK"

    play(scene)


def test_strict_ids_refuse_a_move_to_nowhere(play: Callable[[Scene], None]) -> None:
    """Law: what is there goes on; only what an update changes must be there."""

    async def scene(house: House) -> None:
        assert (await app(house, "svc_old", "WorkspaceId=w1&QuotaId=q1")).code == "OK"
        await house.world.db.write(workspaces.remove, "w1")
        house = strict(house)
        assert (await update(house, "svc_old", "WorkspaceId=w1&QuotaId=q1")).code == "OK"
        moved = await update(house, "svc_old", "WorkspaceId=w2")
        assert (moved.status, moved.code) == (404, "InvalidWorkspace.NotFound")
        counted = await update(house, "svc_old", "QuotaId=q2")
        assert (counted.status, counted.code) == (404, "InvalidQuota.NotFound")
        body = {"metadata": {"quota_id": "q2"}}
        said = await house.eas("root", "PUT", f"{SERVICES}/local/svc_old", body)
        assert said.code == "InvalidQuota.NotFound"
        shown = (await house.eas("root", "GET", f"{SERVICES}/local/svc_old")).body
        assert (shown["WorkspaceId"], shown["QuotaId"]) == ("w1", "q1")

    play(scene)


def test_strict_ids_bound_no_policy_to_nowhere(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        await house.user("anna")
        there = Attachment("AliyunPAIEASFullAccess", "System", "anna", "User", "nope")
        await grants.attach(house.platform, ROOT, there)
        with pytest.raises(NotFound, match="strict_ids"):
            await grants.attach(strict(house).platform, ROOT, replace(there, workspace="nope2"))

    play(scene)


# ---- whose quota -----------------------------------------------------------------------------------


def test_a_tenant_uses_up_nobody_elses_quota(play: Callable[[Scene], None]) -> None:
    """Law: who may act in one workspace only counts against its quota, and against no other one."""

    async def scene(house: House) -> None:
        await define(house, "quota-a", "team-a")
        await define(house, "quota-b", "team-b")
        await house.user("anna", policy(allow("*"), workspace="team-a"))
        quota = Realm("local", ACCOUNT).arn(("pierhead", "quota/quota-b"))
        lent = policy(allow("pierhead:UseQuota", on=quota))
        await house.user("ben", policy(allow("*"), workspace="team-a"), lent)
        await house.user("everywhere", policy(allow("eas:*")))
        here = "WorkspaceId=team-a&QuotaId="
        for name, who, named, code in (
            ("own_quota", "anna", "quota-a", "OK"),
            ("no_quota", "anna", "", "OK"),
            ("undefined", "anna", "nope", "OK"),
            ("others", "anna", "quota-b", "Forbidden.RAM"),
            ("lent_quota", "ben", "quota-b", "OK"),
            ("free_quota", "everywhere", "quota-b", "OK"),
        ):
            said = await app(house, name, here + named, who)
            assert said.code == code, (name, said.body)
        moved = await update(house, "no_quota", "QuotaId=quota-b", "anna")
        assert moved.code == "Forbidden.RAM"
        assert moved.body["AccessDeniedDetail"]["AuthAction"] == "pierhead:UseQuota"
        assert (await update(house, "no_quota", "QuotaId=quota-a", "anna")).code == "OK"
        assert (await update(house, "no_quota", "QuotaId=quota-b", "ben")).code == "OK"
        # Once there it is changed as before: only another quota is a question.
        body = {"Replicas": 2}
        said = await house.eas("anna", "PUT", f"{APPS}/local/lent_quota", body)
        assert said.code == "OK"

    play(scene)
