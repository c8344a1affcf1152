"""Labels and safety locks of services through the real EAS door over a real store."""

from collections.abc import Callable
from typing import Any

import pytest
from eas_stage import (
    GROUP,
    LOCAL,
    SCALER,
    SERVICES,
    create,
    document,
    roll,
    service,
    shown,
    update,
)
from permission_world import House, Said, Scene, allow, deny, policy

from builders import ROOT
from pierhead.core.errors import Locked
from pierhead.core.registry import DeleteMode
from pierhead.core.services import Service
from pierhead.operations import deployments, scalers
from pierhead.store import events as event_rows
from pierhead.store import tags as tag_rows


async def label(house: House, name: str, who: str = "root", **labels: Any) -> Said:
    return await house.eas(who, "PUT", f"{LOCAL}/{name}/label", {"Labels": labels})


async def unlabel(house: House, name: str, query: str, who: str = "root") -> Said:
    return await house.eas(who, "DELETE", f"{LOCAL}/{name}/label?{query}")


async def labels_of(house: House, name: str) -> dict[str, str]:
    found = (await shown(house, name))["Labels"]
    return {one["LabelKey"]: one["LabelValue"] for one in found}


async def user_tags(house: House, made: Service) -> list[str]:
    found = await house.platform.db.read(tag_rows.of, made.id)
    return sorted(one.tag for one in found if not one.system)


def test_labels_come_and_go_are_found_and_are_the_other_doors_user_tags(
    play_both: Callable[[Scene], None],
) -> None:
    async def scene(house: House) -> None:
        made = await create(house, document("foo"), "?Labels=%7B%22team%22:%22red%22%7D")
        said = await label(house, "foo", team="blue", tier="gold", bare="")
        assert said.code == "OK", said.body
        assert await labels_of(house, "foo") == {"team": "blue", "tier": "gold", "bare": ""}
        assert await user_tags(house, made) == ["bare", "team=blue", "tier=gold"]
        for query, names in (("blue", ["foo"]), ("red", [])):
            listed = await house.eas(
                "root", "GET", f"{SERVICES}?Label=%7B%22team%22:%22{query}%22%7D"
            )
            assert [one["ServiceName"] for one in listed.body["Services"]] == names

        # The same again: nothing is written, nothing is woken.
        before = await service(house, "foo")
        assert (await label(house, "foo", team="blue")).code == "OK"
        assert await service(house, "foo") == before
        assert before.rollout == made.rollout

        # Through the other door, and back.
        tag = {"resourceType": GROUP, "resourceUuid": made.id, "tag": "team=green"}
        assert (await house.rpc("root", "CreateUserTag", tag)).code == "OK"
        assert (await labels_of(house, "foo"))["team"] == "green"
        assert (await label(house, "foo", team="red")).code == "OK"
        assert await user_tags(house, made) == ["bare", "team=red", "tier=gold"]
        assert (await unlabel(house, "foo", "Keys=team,never")).code == "OK"
        assert (await unlabel(house, "foo", "LabelKeys=%5B%22bare%22%5D")).code == "OK"
        assert await labels_of(house, "foo") == {"tier": "gold"}
        assert await user_tags(house, made) == ["tier=gold"]
        assert (await unlabel(house, "foo", "Keys=team")).code == "OK"  # it is gone already
        query = event_rows.EventQuery(service=made.id)
        found, _ = await house.platform.db.read(event_rows.page, query)
        assert [one.reason for one in found].count("LabelsChanged") == 4

    play_both(scene)


@pytest.mark.parametrize(
    ("labels", "code", "named"),
    [
        ({"": "x"}, "InvalidParameter", "Labels"),
        ({"k" * 256: "x"}, "InvalidParameter", "255"),
        ({"k": "v" * 256}, "InvalidParameter", "255"),
        ({"k": 7}, "InvalidParameter", "Labels.k"),
    ],
)
def test_what_is_no_label_is_refused_by_name(
    play: Callable[[Scene], None], labels: dict[str, Any], code: str, named: str
) -> None:
    async def scene(house: House) -> None:
        made = await create(house, document("foo"))
        said = await label(house, "foo", **labels)
        assert (said.status, said.code) == (400, code)
        assert named in said.body["Message"]
        assert (await unlabel(house, "foo", "")).code == "MissingParameter"
        assert (await label(house, "nobody", a="b")).code == "InvalidService.NotFound"
        assert await service(house, "foo") == made

    play(scene)


def test_nobody_labels_a_service_out_of_their_own_reach(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        await create(house, document("foo"), "?Labels=%7B%22team%22:%22red%22%7D")
        red = {"StringEquals": {"acs:ResourceTag/team": "red"}}
        mine = allow("eas:UpdateServiceLabel", "eas:DeleteServiceLabel", Condition=red)
        await house.user("anna", policy(mine))
        assert (await label(house, "foo", "anna", tier="gold")).code == "OK"
        assert not (await label(house, "foo", "anna", team="blue")).allowed
        assert not (await unlabel(house, "foo", "Keys=team", "anna")).allowed
        assert await labels_of(house, "foo") == {"team": "red", "tier": "gold"}
        # Whom a policy keeps from tagging at one door is not let in by the other.
        await house.user("ben", policy(allow("eas:*"), deny("zstack:CreateUserTag")))
        assert not (await label(house, "foo", "ben", a="b")).allowed

    play(scene)


# --- safety lock


async def lock(house: House, name: str, kind: Any) -> Said:
    return await house.eas("root", "PUT", f"{LOCAL}/{name}/lock", {"Lock": kind})


def test_a_dangerous_lock_keeps_it_running_through_both_doors(
    play: Callable[[Scene], None],
) -> None:
    async def scene(house: House) -> None:
        made = await create(house, document("foo"))
        assert (await lock(house, "foo", "dangerous")).code == "OK"
        assert (await shown(house, "foo"))["SafetyLock"] == "dangerous"
        held = await service(house, "foo")
        for method, path in (("DELETE", ""), ("PUT", "/stop")):
            said = await house.eas("root", method, f"{LOCAL}/foo{path}")
            assert (said.status, said.code) == (409, "InvalidService.Locked")
            assert "UpdateServiceSafetyLock" in said.body["Message"]
        with pytest.raises(Locked):
            await deployments.delete(house.platform, ROOT, made.id, DeleteMode.PERMISSIVE)
        tag = {"resourceType": GROUP, "resourceUuid": made.id, "tag": "ai::replicas::0"}
        assert (await house.rpc("root", "CreateSystemTag", tag)).code == "SYS.1006"
        assert (
            await house.rpc("root", "DeleteModelServiceInstanceGroup", {"uuid": made.id})
        ).code == ("SYS.1006")
        assert await service(house, "foo") == held
        assert not [
            one for one in await house.platform.db.read(tag_rows.of, made.id) if "0" in one.tag
        ]
        # All else goes on, the way back too.
        assert (await label(house, "foo", a="b")).code == "OK"
        await update(house, "foo", document("foo", "sleep 2"))
        assert (await roll(house, "foo", 1)).code == "OK"
        assert (await shown(house, "foo"))["SafetyLock"] == "dangerous"
        assert (await lock(house, "foo", "none")).code == "OK"
        assert (await house.eas("root", "PUT", f"{LOCAL}/foo/stop")).code == "OK"

    play(scene)


def test_a_full_lock_keeps_it_from_every_change_but_of_the_lock(
    play: Callable[[Scene], None],
) -> None:
    async def scene(house: House) -> None:
        made = await create(house, document("foo", metadata={"group": "team"}))
        await update(house, "foo", document("foo", "sleep 2", metadata={"group": "team"}))
        assert (await lock(house, "foo", "everything")).code == "InvalidParameter"
        assert (await lock(house, "foo", None)).code == "MissingParameter"
        assert (await lock(house, "foo", "all")).code == "OK"
        held = await service(house, "foo")
        changes: list[tuple[str, str, Any]] = [
            ("PUT", "", document("foo", "sleep 3")),
            ("PUT", "/stop", None),
            ("PUT", "/restart", None),
            ("PUT", "/version", {"Version": 1}),
            ("PUT", "/label", {"Labels": {"a": "b"}}),
            ("PUT", "/release", {"Weight": 5}),
            (
                "POST",
                "/autoscaler",
                {"min": 1, "max": 2, "scaleStrategies": SCALER["scaleStrategies"]},
            ),
            ("DELETE", "", None),
        ]
        for method, path, body in changes:
            said = await house.eas("root", method, f"{LOCAL}/foo{path}", body)
            assert (said.status, said.code) == (409, "InvalidService.Locked"), (path, said.body)
        said = await house.eas(
            "root", "PUT", "/api/v2/groups/local/team", {"TrafficMode": "customized"}
        )
        assert said.code == "InvalidService.Locked"
        tag = {"resourceType": GROUP, "resourceUuid": made.id, "tag": "a=b"}
        assert (await house.rpc("root", "CreateUserTag", tag)).code == "SYS.1006"
        assert await service(house, "foo") == held
        # What the platform decides by itself is no change of the owner's.
        await scalers.adjust(house.platform, held, 5, ("ServiceScaled", "It is busy."))
        assert (await service(house, "foo")).replicas == 5
        assert (await lock(house, "foo", "none")).code == "OK"
        assert (await house.eas("root", "DELETE", f"{LOCAL}/foo")).code == "OK"
        assert (await lock(house, "foo", "all")).code == "InvalidService.Conflict"

    play(scene)
