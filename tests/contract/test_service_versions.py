"""Versions of services through the real EAS door over a real store: told, kept, brought back."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eas_stage import (
    SCALER,
    create,
    document,
    roll,
    service,
    shown,
    update,
    versions,
)
from permission_world import House, Scene, allow, policy
from reconciler_world import World, fresh_database, tell

import virtual_time
from builders import ROOT, a_replica
from pierhead.core import lifecycle
from pierhead.core.registry import DeleteMode
from pierhead.core.replicas import Exit
from pierhead.core.services import Change, Seen, Service
from pierhead.core.status import Status
from pierhead.operations import services, templates
from pierhead.operations import versions as versions_of
from pierhead.store import events as event_rows
from pierhead.store import history, tables
from pierhead.store import scalers as scaler_rows
from pierhead.store import seen as seen_rows
from pierhead.store import services as service_rows


async def two_versions(house: House) -> Service:
    """Service foo, whose second version is anna's; as it was in the first one."""
    first = await create(house, document("foo", token="s3cret-token-of-foo"))
    await house.user("anna", policy(allow("eas:*")))
    house.world.clock.advance(5)
    second = document("foo", "sleep 2", dockerAuth="hush-hush", autoscaler=SCALER)
    await update(house, "foo", second, "anna")
    return first


def test_each_version_is_told_by_whom_it_was_made_and_without_secrets(
    play_both: Callable[[Scene], None],
) -> None:
    async def scene(house: House) -> None:
        await two_versions(house)

        said = await versions(house, "foo")
        assert (said.body["TotalCount"], said.body["PageNumber"], said.body["PageSize"]) == (
            2,
            1,
            100,
        )
        newest, oldest = said.body["Versions"]
        assert (newest["ImageId"], oldest["ImageId"]) == (2, 1)
        assert (newest["CallerUid"], oldest["CallerUid"]) == (house.known["anna"].id, ROOT.id)
        assert newest["BuildTime"] > oldest["BuildTime"]
        assert {newest["ServiceRunnable"], oldest["ServiceRunnable"]} == {"unknown"}
        assert {newest["ImageAvailable"], oldest["ImageAvailable"]} == {"true"}
        assert "s3cret" not in json.dumps(said.body)
        assert "hush" not in json.dumps(said.body)
        was = json.loads(oldest["ServiceConfig"])
        assert was["containers"][0]["script"] == "sleep 1"
        assert json.loads(newest["ServiceConfig"])["autoscaler"] == SCALER
        paged = await versions(house, "foo", "?PageSize=1&PageNumber=2")
        assert [one["ImageId"] for one in paged.body["Versions"]] == [1]
        assert paged.body["TotalCount"] == 2

    play_both(scene)


def test_the_way_back_and_forward_is_rolling_and_keeps_what_is_no_version(
    play_both: Callable[[Scene], None],
) -> None:
    async def scene(house: House) -> None:
        first = await two_versions(house)
        assert await house.platform.db.read(scaler_rows.load_of, first.id) is not None
        # Scaled since then: a version is not about the number.
        await services.change(
            house.platform, ROOT, "foo", lambda s, _seen, now: services.scaled(s, 3, now)
        )
        before = await service(house, "foo")
        said = await roll(house, "foo", 1, "anna")
        assert said.body["Message"] == ("Service [foo] in region [local] is changing to version 1")
        back = await service(house, "foo")
        assert back.current == first.current
        assert (back.latest, back.replicas, back.change) == (2, 3, Change.UPDATE)
        assert (back.token, back.revision) == (before.token, before.revision + 1)
        told = await shown(house, "foo")
        assert (told["CurrentVersion"], told["LatestVersion"], told["Status"]) == (1, 2, "Updating")
        assert json.loads(told["ServiceConfig"])["containers"][0]["script"] == "sleep 1"
        assert json.loads(told["ServiceConfig"])["metadata"]["instance"] == 3
        # What the document of that version does not name, goes with it.
        assert await house.platform.db.read(scaler_rows.load_of, first.id) is None
        query = event_rows.EventQuery(service=first.id)
        found, _ = await house.platform.db.read(event_rows.page, query)
        (event,) = [one for one in found if one.reason == "ServiceVersionChanged"]
        assert event.message == "Service [foo] is changing from version 2 to version 1."
        assert event.actor == house.known["anna"].id

        assert (await roll(house, "foo", 2)).code == "OK"
        assert await house.platform.db.read(scaler_rows.load_of, first.id) is not None
        await update(house, "foo", document("foo", "sleep 3"))
        assert (await service(house, "foo")).latest == 3

    play_both(scene)


@pytest.mark.parametrize(
    ("number", "code", "named"),
    [
        (2, "InvalidParameter", "is the current one"),
        (3, "InvalidParameter", "1 to 2"),
        (0, "InvalidParameter", "Version"),
        (-1, "InvalidParameter", "Version"),
        ("one", "InvalidParameter", "Version"),
        (2**40, "InvalidParameter", "1 to 2"),
        (2**70, "InvalidParameter", "Version"),
        (None, "MissingParameter", "Version"),
    ],
)
def test_what_is_no_version_to_go_to_is_refused_by_name(
    play: Callable[[Scene], None], number: Any, code: str, named: str
) -> None:
    async def scene(house: House) -> None:
        await create(house, document("foo"))
        await update(house, "foo", document("foo", "sleep 2"))
        before = await service(house, "foo")
        said = await roll(house, "foo", number)
        assert (said.status, said.code) == (400, code), said.body
        assert named in said.body["Message"]
        assert await service(house, "foo") == before

    play(scene)


def test_the_newest_fifty_are_kept_and_what_still_runs(play_both: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        made = await create(house, document("foo"))
        seen = Seen(revision=1, replicas=(a_replica(service=made.id, rollout=made.rollout),))
        await house.platform.db.write(seen_rows.save, made.id, seen)
        held = made

        for number in range(2, history.KEPT + 4):
            held = lifecycle.upgrade(held, replace(held.current, request_timeout=number), number)
            await house.platform.db.write(service_rows.change, held, "somebody")
        kept = await house.platform.db.read(history.numbers, made.id)
        assert kept == [1, *range(4, history.KEPT + 4)]
        refused = await roll(house, "foo", 2)
        assert refused.code == "InvalidParameter"
        assert f"1, 4 to {history.KEPT + 3}" in refused.body["Message"]
        assert (await roll(house, "foo", 1)).code == "OK"
        (oldest,) = (await versions(house, "foo", "?PageSize=1&PageNumber=51")).body["Versions"]
        assert (oldest["ImageId"], oldest["ServiceRunnable"]) == (1, "true")

    play_both(scene)


def test_a_version_brings_back_its_form_and_what_it_was_made_from(
    play: Callable[[Scene], None],
) -> None:
    """An app service that became a service JSON, and one whose template was removed since."""

    async def scene(house: House) -> None:
        template = await house.world.template(name="mine", start_command="sleep 9")
        body = {"ServiceName": "foo", "AppType": "LLM", "ServiceSpec": "mine", "Replicas": 1}
        said = await house.eas("root", "POST", "/api/v2/app_services", body)
        assert said.code == "OK", said.body
        first = await service(house, "foo")
        assert first.registration.template == template.uuid
        await update(house, "foo", document("foo", metadata={"group": "team"}))
        assert (await shown(house, "foo"))["AppSpecName"] == ""
        assert (await roll(house, "foo", 1)).code == "OK"
        back = await shown(house, "foo")
        assert (back["AppType"], back["AppSpecName"]) == ("LLM", "mine")
        assert (await service(house, "foo")).registration == first.registration
        assert back["ServiceGroup"] == "team"  # of which that version says nothing

        assert (await roll(house, "foo", 2)).code == "OK"
        await templates.delete(house.platform, ROOT, template.uuid, DeleteMode.PERMISSIVE)
        told = (await versions(house, "foo")).body["Versions"][1]
        assert told["ImageAvailable"] == "false"
        assert template.uuid in told["Message"]
        assert (await roll(house, "foo", 1)).code == "OK"
        again = await service(house, "foo")
        assert (again.registration.template, again.current) == ("", first.current)

    play(scene)


def test_going_back_to_another_owner_needs_the_right_to_that(play: Callable[[Scene], None]) -> None:
    async def scene(house: House) -> None:
        await create(house, document("foo", metadata={"workspace_id": "w1", "group": "one"}))
        await update(house, "foo", document("foo", metadata={"workspace_id": "w2", "group": "two"}))
        mine = policy(allow("eas:UpdateServiceVersion", "eas:ListServiceVersions"), workspace="w2")
        await house.user("ben", mine)
        await house.user("eve", policy(allow("eas:UpdateServiceVersion", on="*:service/bar")))
        assert (await versions(house, "foo", who="ben")).code == "OK"
        assert not (await versions(house, "foo", who="eve")).allowed
        for who in ("ben", "eve"):
            assert not (await roll(house, "foo", 1, who)).allowed
        assert (await roll(house, "foo", 1)).code == "OK"
        moved = await service(house, "foo")
        assert (moved.workspace, moved.group) == ("w1", "one")
        assert (await roll(house, "nobody", 1)).code == "InvalidService.NotFound"

    play(scene)


def test_versions_of_an_older_release_are_told_and_brought_back(
    play: Callable[[Scene], None],
) -> None:
    """Of these the database knows the content only."""

    async def scene(house: House) -> None:
        body = {
            "ServiceName": "foo",
            "AppType": "LLM",
            "ServiceSpec": "smollm2_135m_q4",
            "Replicas": 1,
        }
        assert (await house.eas("root", "POST", "/api/v2/app_services", body)).code == "OK"
        await update(house, "foo", document("foo"))
        unknown = {"actor": "", "origin": "", "registration": ""}
        await house.platform.db.write(
            lambda tx: tx.execute(tables.versions.update().values(unknown))
        )
        newest, oldest = (await versions(house, "foo")).body["Versions"]
        assert "smollm2_135m_q4" in oldest["ServiceConfig"]
        assert (newest["CallerUid"], newest["ImageAvailable"]) == ("", "true")
        assert (await roll(house, "foo", 1)).code == "OK"
        assert (await shown(house, "foo"))["AppSpecName"] == "smollm2_135m_q4"
        assert (await roll(house, "foo", 2)).code == "OK"
        assert (await shown(house, "foo"))["AppSpecName"] == ""

    play(scene)


def test_the_way_back_from_a_failed_roll_restarts_nothing(tmp_path: Path) -> None:
    async def story(its: World) -> None:
        made = await its.create("svc", replicas=2)
        await its.settled("svc")
        before = sorted(replica.id for replica in its.ready(made))
        its.runtime.faults.crash_at_start["2.0"] = Exit(at=virtual_time.wall(), code=3)
        await its.update("svc", context=999)
        await asyncio.sleep(30)
        assert (await its.verdict("svc")).reason == "UpdateFailed"
        kept = await versions_of.find(its.platform, made, 1)

        def decide(service: Service, _seen: Seen, now: float) -> services.Decision:
            return services.Decision(lifecycle.bring_back(service, kept.version, now))

        await services.change(its.platform, ROOT, "svc", decide)
        await its.settled("svc")
        assert (await its.verdict("svc")).status is Status.RUNNING
        assert (
            sorted(replica.id for replica in its.ready(made))
            == before
            == sorted(its.routed("svc") or [])
        )

    for database in fresh_database(tmp_path):
        tell(database, story)
