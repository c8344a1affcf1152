"""Groups through the real EAS door over a real store: shares, modes, who sees and who may change them."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from permission_world import House, Said, Scene, allow, policy

from builders import ROOT
from pierhead.core.services import Service, Wanted
from pierhead.core.shares import Share
from pierhead.operations import endpoint_tokens, services
from pierhead.store import events as event_rows
from pierhead.store import services as service_rows

SERVICES = "/api/v2/services"
LOCAL = f"{SERVICES}/local"
GROUPS = "/api/v2/groups"


def document(name: str, token: str = "", **metadata: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "containers": [{"script": "sleep 1", "port": 8000}],
        "metadata": {"name": name, "instance": 1, "group": "team", **metadata},
    }
    return made | ({"token": token} if token else {})


async def create(
    house: House, name: str, who: str = "root", token: str = "", **meta: Any
) -> Service:
    said = await house.eas(who, "POST", SERVICES, document(name, token, **meta))
    assert said.code == "OK", said.body
    return (await services.find(house.platform, name))[0]


async def release(house: House, name: str, who: str = "root", **body: Any) -> Said:
    return await house.eas(who, "PUT", f"{LOCAL}/{name}/release", body)


async def share(house: House, name: str) -> Share:
    return (await services.find(house.platform, name))[0].registration.share


async def group(house: House, who: str = "root", name: str = "team") -> dict[str, Any]:
    said = await house.eas(who, "GET", f"{GROUPS}/local/{name}")
    assert said.code == "OK", said.body
    return said.body


async def set_mode(house: House, mode: str, who: str = "root") -> Said:
    return await house.eas(who, "PUT", f"{GROUPS}/local/team", {"TrafficMode": mode})


# ---- ReleaseService


def test_a_release_is_kept_shown_and_told(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        made = await create(house, "blue")
        shown = (await house.eas("root", "GET", f"{LOCAL}/blue")).body
        assert (shown["Weight"], shown["TrafficState"]) == (-1, "grouping")
        said = await release(house, "blue", Weight=50)
        assert said.code == "OK", said.body
        assert said.body["Message"] == "Service [blue] in region [local] is released"
        await release(house, "team.blue", TrafficState="standalone")
        shown = (await house.eas("root", "GET", f"{LOCAL}/blue")).body
        assert (shown["Weight"], shown["TrafficState"]) == (50, "standalone")
        assert await share(house, "blue") == Share(50, standalone=True)
        for state, names in (("standalone", ["blue"]), ("grouping", [])):
            listed = await house.eas("root", "GET", f"{SERVICES}?TrafficState={state}")
            assert [one["ServiceName"] for one in listed.body["Services"]] == names
        await release(house, "blue", TrafficState="grouping", Weight=0)
        assert await share(house, "blue") == Share(0)
        query = event_rows.EventQuery(service=made.id)
        found, _ = await house.platform.db.read(event_rows.page, query)
        told = [one.message for one in found if one.reason == "ServiceReleased"]
        traffic = "in the traffic of group [team]."
        assert sorted(told) == [
            f"Service [blue] takes no part {traffic}",
            f"Service [blue] takes part with weight 0 {traffic}",
            f"Service [blue] takes part with weight 50 {traffic}",
        ]
        after = (await services.find(house.platform, "blue"))[0]
        assert after.rollout == made.rollout  # no replica is touched

    play(scene)


def test_a_release_that_changes_nothing_writes_nothing(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        made = await create(house, "blue")
        assert (await release(house, "blue", Weight=-1, TrafficState="grouping")).code == "OK"
        assert (await services.find(house.platform, "blue"))[0].revision == made.revision

    play(scene)


@pytest.mark.parametrize(
    ("body", "code", "named"),
    [
        ({}, "MissingParameter", "Weight"),
        ({"Weight": -2}, "InvalidParameter", "Weight"),
        ({"Weight": 1001}, "InvalidParameter", "Weight"),
        ({"Weight": 1.5}, "InvalidParameter", "Weight"),
        ({"TrafficState": "Grouping"}, "InvalidParameter", "TrafficState"),
    ],
)
def test_what_is_no_release_is_refused_by_name(
    play: Callable[[Scene], None], body: dict[str, Any], code: str, named: str
) -> None:
    async def scene(house: House) -> None:
        await create(house, "blue")
        said = await release(house, "blue", **body)
        assert (said.status, said.code) == (400, code)
        assert named in said.body["Message"]
        assert await share(house, "blue") == Share()

    play(scene)


def test_a_service_in_no_group_has_no_share(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        await create(house, "alone", group="")
        said = await release(house, "alone", Weight=5)
        assert (said.status, said.code) == (409, "InvalidService.Conflict")
        assert "metadata.group" in said.body["Message"]
        assert (await release(house, "nobody", Weight=5)).code == "InvalidService.NotFound"

    play(scene)


def test_who_may_release_is_a_policy_on_the_service(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        await create(house, "blue")
        await create(house, "green")
        arn = "acs:eas:*:*:service/green"
        await house.user("anna", policy(allow("eas:ReleaseService", on=arn)))
        assert (await release(house, "green", "anna", Weight=5)).code == "OK"
        assert not (await release(house, "blue", "anna", Weight=5)).allowed
        assert (await share(house, "blue"), await share(house, "green")) == (Share(), Share(5))

    play(scene)


# ---- joining


def test_a_service_that_joins_takes_over_the_groups_token(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        blue = await create(house, "blue")
        assert (await create(house, "green")).token == blue.token
        assert (await create(house, "red", token="mine")).token == "mine"
        assert (await create(house, "else", group="other")).token != blue.token

    play(scene)


def test_a_rotated_token_that_others_still_accept_is_warned_of(
    play: Callable[[Scene], None],
) -> None:
    async def scene(house: House) -> None:
        blue = await create(house, "blue")
        await create(house, "green")
        await create(house, "red", token="mine")
        for name in ("blue", "green"):
            await endpoint_tokens.rotate(house.platform, ROOT, name)
        query = event_rows.EventQuery(type="Warning")
        found, _ = await house.platform.db.read(event_rows.page, query)
        told = [(one.name, one.message) for one in found if one.reason == "TokenShared"]
        text = "The former token still opens [green] of the group [team]: rotate theirs, too."
        assert told == [("blue", text)]
        assert blue.token not in text

    play(scene)


def test_a_token_that_the_actor_may_not_read_is_not_handed_over(
    play: Callable[[Scene], None],
) -> None:
    async def scene(house: House) -> None:
        blue = await create(house, "blue")
        await house.user("anna", policy(allow("eas:CreateService", "eas:UpdateService")))
        assert (await create(house, "green", "anna")).token != blue.token

    play(scene)


def test_who_joins_weighted_services_gets_nothing_until_it_is_released(
    play: Callable[[Scene], None],
) -> None:
    async def scene(house: House) -> None:
        await create(house, "blue")
        await create(house, "green")
        assert await share(house, "green") == Share()
        await release(house, "blue", Weight=1000)
        await create(house, "canary")
        assert await share(house, "canary") == Share(0)
        await create(house, "late", group="")
        moved = await house.eas("root", "PUT", f"{LOCAL}/late", {"metadata": {"group": "team"}})
        assert moved.code == "OK", moved.body
        assert await share(house, "late") == Share(0)
        await release(house, "late", Weight=7)
        scaled = await house.eas("root", "PUT", f"{LOCAL}/late", {"metadata": {"instance": 2}})
        assert scaled.code == "OK", scaled.body
        assert await share(house, "late") == Share(7)

    play(scene)


# ---- groups


def test_a_group_is_its_members(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        blue = await create(house, "blue")
        await create(house, "green", group="other")
        await create(house, "alone", group="")
        shown = await group(house)
        gateway = house.platform.gateway
        assert shown["InternetEndpoint"] == f"{gateway}/api/predict/team"
        assert (shown["Name"], shown["TrafficMode"], shown["ClusterId"]) == (
            "team",
            "auto",
            "local",
        )
        assert shown["AccessToken"] == blue.token
        listed = (await house.eas("root", "GET", f"{GROUPS}?Sort=Name&Order=asc")).body
        assert [one["Name"] for one in listed["Groups"]] == ["other", "team"]
        assert (listed["TotalCount"], listed["PageNumber"], listed["PageSize"]) == (2, 1, 100)
        assert {one["AccessToken"] for one in listed["Groups"]} == {""}
        for query, names in (
            ("Filter=tea", ["team"]),
            ("TrafficMode=customized", []),
            ("WorkspaceId=w9", []),
            ("PageSize=1&PageNumber=2&Sort=Name&Order=asc", ["team"]),
        ):
            found = (await house.eas("root", "GET", f"{GROUPS}?{query}")).body["Groups"]
            assert [one["Name"] for one in found] == names, query
        gone = replace(blue, wanted=Wanted.DELETED, revision=blue.revision + 1)
        await house.platform.db.write(service_rows.change, gone)
        missing = await house.eas("root", "GET", f"{GROUPS}/local/team")
        assert (missing.status, missing.code) == (404, "InvalidGroup.NotFound")

    play(scene)


def test_the_groups_endpoint_and_whom_its_token_does_not_open(
    play: Callable[[Scene], None],
) -> None:
    async def scene(house: House) -> None:
        blue = await create(house, "blue")
        await create(house, "green")
        await create(house, "red", token="mine")
        said = (await house.eas("root", "GET", f"{GROUPS}/local/team/endpoints")).body
        assert said["AccessToken"] == blue.token
        (endpoint,) = said["Endpoints"]
        assert endpoint["PathType"] == "Group"
        assert endpoint["InternetEndpoints"] == [f"{house.platform.gateway}/api/predict/team"]
        assert "[red]" in said["Message"]
        await release(house, "red", TrafficState="standalone")
        again = (await house.eas("root", "GET", f"{GROUPS}/local/team/endpoints")).body
        assert again["Message"] == ""

    play(scene)


def test_modes_change_all_members_at_once(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        await create(house, "blue", instance=3)
        await create(house, "green")
        assert (await set_mode(house, "customized")).code == "OK"
        assert (await share(house, "blue"), await share(house, "green")) == (Share(300), Share(100))
        assert (await group(house))["TrafficMode"] == "customized"
        await release(house, "green", Weight=5)
        assert (await set_mode(house, "customized")).code == "OK"
        assert await share(house, "green") == Share(5)
        assert (await set_mode(house, "auto")).code == "OK"
        assert (await share(house, "blue"), await share(house, "green")) == (Share(), Share())
        assert (await set_mode(house, "weighted")).code == "InvalidParameter"
        empty = await house.eas("root", "PUT", f"{GROUPS}/local/team", {})
        assert empty.code == "MissingParameter"

    play(scene)


def test_strangers_see_no_group_and_change_none(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        await create(house, "blue", workspace_id="wa")
        await create(house, "green", workspace_id="wb")
        every = ("eas:ListGroups", "eas:DescribeGroup", "eas:DescribeGroupEndpoints")
        await house.user("anna", policy(allow("*"), workspace="wa"), policy(allow(*every)))
        await house.user("bert", policy(allow(*every, "eas:UpdateGroup")))
        await house.user("carl")
        assert [one["Name"] for one in (await house.eas("anna", "GET", GROUPS)).body["Groups"]] == [
            "team"
        ]
        assert (await house.eas("bert", "GET", GROUPS)).body["Groups"] == []
        assert (
            await house.eas("bert", "GET", f"{GROUPS}/local/team")
        ).code == "InvalidGroup.NotFound"
        assert (await set_mode(house, "customized", "bert")).code == "InvalidGroup.NotFound"
        assert not (await house.eas("carl", "GET", GROUPS)).allowed
        await house.give("anna", "User", house.known["anna"].id, policy(allow("eas:UpdateGroup")))
        refused = await set_mode(house, "customized", "anna")
        assert not refused.allowed, refused.body
        assert await share(house, "blue") == Share()

    play(scene)


# ---- the service JSON's own part


def test_the_own_part_is_taken_kept_and_refused_by_name(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        own = document("blue") | {"pierhead": {"affinity": "none", "repeats": False, "other": 1}}
        said = await house.eas("root", "POST", SERVICES, own)
        assert said.code == "OK", said.body
        held = (await services.find(house.platform, "blue"))[0].current.relaying
        assert (held.affinity, held.repeats) == ("", False)
        shown = json.loads((await house.eas("root", "GET", f"{LOCAL}/blue")).body["ServiceConfig"])
        assert shown["pierhead"] == own["pierhead"]
        patch = {"pierhead": {"affinity": "prefix", "repeats": None}}
        assert (await house.eas("root", "PUT", f"{LOCAL}/blue", patch)).code == "OK"
        held = (await services.find(house.platform, "blue"))[0].current.relaying
        assert (held.affinity, held.repeats) == ("prefix", True)
        for part, named in (
            ({"affinity": "session"}, "pierhead.affinity"),
            ({"affinity": 1}, "pierhead.affinity"),
            ({"repeats": "no"}, "pierhead.repeats"),
        ):
            refused = await house.eas("root", "PUT", f"{LOCAL}/blue", {"pierhead": part})
            assert refused.code == "InvalidParameter"
            assert named in refused.body["Message"]

    play(scene)


def test_shares_outlive_every_other_change(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        await create(house, "blue")
        await release(house, "blue", Weight=7, TrafficState="standalone")
        for change in (services.stop, services.start, services.restart):
            await change(house.platform, ROOT, "blue")
        updated = await house.eas("root", "PUT", f"{LOCAL}/blue", {"metadata": {"cpu": 1}})
        assert updated.code == "OK", updated.body
        assert await share(house, "blue") == Share(7, standalone=True)

    play(scene)
