"""The use cases on a real database: what each writes down, by whose doing, and who gets woken."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection

from builders import (
    ACCOUNT,
    BOX,
    ROOT,
    T0,
    FakeClock,
    FakeEntropy,
    a_replica,
    a_template,
    a_version,
)
from made_database import made_sqlite
from pierhead.core.errors import Conflict, Forbidden, Invalid, NotFound
from pierhead.core.events import Event, Notice
from pierhead.core.permits import Deed, Target
from pierhead.core.principals import AccessKey, BearerToken, Principal
from pierhead.core.replicas import ReplicaStatus, RuntimeInfo
from pierhead.core.services import Change, Hold, Intake, Seen, Service, Wanted
from pierhead.core.specs import BUILT_IN
from pierhead.core.status import Status, verdict
from pierhead.core.workloads import Workload
from pierhead.operations import identity, reports, services
from pierhead.operations.authority import Authority
from pierhead.operations.nonces import Nonces
from pierhead.operations.permission import Permission
from pierhead.operations.platform import Platform
from pierhead.operations.services import Decision, Draft
from pierhead.runtimes.base import LogLine, LogQuery
from pierhead.store import db, keys
from pierhead.store import events as event_rows
from pierhead.store import seen as seen_rows
from pierhead.store import services as rows
from pierhead.store.db import Database
from pierhead.store.events import EventQuery
from pierhead.store.services import ServiceQuery

T = TypeVar("T")
HELPER = Principal(account=ACCOUNT, id="role/deployer", kind="assumed-role")
NOTICES = (
    Notice("ParameterWithoutEffect", "[metadata.rdma] has no effect here."),
    Notice("Deprecated", "..."),
)


@dataclass
class LogsOnly:
    """A runtime of which only the logs are asked; the use cases need no more of it."""

    asked: list[tuple[str, str, bool]] = field(default_factory=list)

    async def logs(
        self, service: str, *, replica: str = "", previous: bool = False, limit: int = 100_000
    ) -> list[LogLine]:
        self.asked.append((service, replica, previous))
        return [LogLine(at=T0, replica=replica or "r-1", text="hello")]

    async def log_page(self, service: str, query: LogQuery) -> tuple[list[LogLine], int]:
        raise AssertionError("not asked for")

    async def probe(self) -> RuntimeInfo:
        raise AssertionError("not asked for")

    async def adopt(self) -> None:
        raise AssertionError("not asked for")

    async def apply(self, workload: Workload) -> None:
        raise AssertionError("a use case starts nothing itself")

    async def remove(self, service: str, grace: float) -> bool:
        raise AssertionError("a use case ends nothing itself")

    def observe(self, service: str | None = None) -> list[ReplicaStatus]:
        raise AssertionError("not asked for")

    def changes(self) -> AsyncIterator[str]:
        raise AssertionError("not asked for")

    async def close(self) -> None:
        raise AssertionError("not asked for")


class Stage:
    """A platform on a fresh SQLite file, with its clock, its runtime and who was woken."""

    def __init__(self, tmp_path: Path) -> None:
        url = made_sqlite(tmp_path / "pierhead.db")
        self.clock = FakeClock()
        self.runtime = LogsOnly()
        self.woken: list[str] = []
        self.db = Database(url, box=BOX)
        self.platform = Platform(
            db=self.db,
            runtime=self.runtime,
            templates=BUILT_IN,
            wake=self.woken.append,
            clock=self.clock,
            entropy=FakeEntropy(),
            account=ACCOUNT,
            region="local",
            gateway="http://127.0.0.1:8090",
            box=BOX,
        )

    async def create(self, name: str = "svc_one", **fields: Any) -> Service:
        return await services.create(self.platform, ROOT, a_draft(name=name, **fields))

    async def show(self, service: Service, seen: Seen) -> None:
        """Let the reconciler have seen this."""
        await self.db.write(seen_rows.save, service.id, seen)

    async def events(self, **query: Any) -> list[Event]:
        """Oldest first."""
        found, _total = await self.db.read(event_rows.page, EventQuery(**query))
        return found[::-1]


def a_draft(**fields: Any) -> Draft:
    defaults: dict[str, Any] = {
        "name": "svc_one",
        "origin": "eas.app",
        "template": a_template(),
        "replicas": 1,
        "submitted": {},
    }
    return Draft(**defaults | fields)


Play = Callable[[Stage], Coroutine[Any, Any, None]]


@pytest.fixture
def play(tmp_path: Path) -> Callable[[Play], None]:
    """Runs a scene on a stage of its own."""

    def run(scene: Play) -> None:
        stage = Stage(tmp_path)
        try:
            asyncio.run(scene(stage))
        finally:
            stage.db.close()

    return run


def test_a_created_service_is_whole_and_the_reconciler_is_woken(
    play: Callable[[Play], None],
) -> None:
    async def scene(stage: Stage) -> None:
        draft = a_draft(
            replicas=3,
            submitted={"ServiceName": "svc_one"},
            request_timeout=7.5,
            intake=Intake(queue=3, rate=9),
            workspace="w1",
            quota="q1",
            group="team",
            labels={"env": "prod"},
        )
        made = await services.create(stage.platform, HELPER, draft)
        assert made == Service(
            id=FakeEntropy()(16).hex(),
            name="svc_one",
            account=ACCOUNT,
            caller="role/deployer",
            origin="eas.app",
            wanted=Wanted.RUNNING,
            change=Change.CREATE,
            replicas=3,
            current=a_version(
                submitted={"ServiceName": "svc_one"},
                request_timeout=7.5,
                intake=Intake(queue=3, rate=9),
            ),
            latest=1,
            epoch=0,
            revision=1,
            token=made.token,
            created=T0,
            updated=T0,
            workspace="w1",
            quota="q1",
            group="team",
            labels={"env": "prod"},
        )
        assert len(made.token) == 56
        for name in ("svc_one", "team.svc_one", made.id):
            assert await services.find(stage.platform, name) == (made, Seen())
        assert stage.woken == [made.id]
        told = await stage.events()
        (event,) = (one for one in told if one.type == "Normal")
        assert {one.reason for one in told} == {"ServiceCreated", "QuotaWithoutLimit"}
        assert (event.type, event.reason, event.actor, event.at) == (
            "Normal",
            "ServiceCreated",
            HELPER.id,
            T0,
        )
        assert event.message == "Service [svc_one] was created: 3 x echo."
        assert (event.service, event.name) == (made.id, "svc_one")

    play(scene)


def test_tokens_and_ids_are_never_the_same_twice_and_a_given_token_is_kept(
    play: Callable[[Play], None],
) -> None:
    async def scene(stage: Stage) -> None:
        made = [await stage.create(f"svc_{number}") for number in range(3)]
        assert len({service.id for service in made} | {service.token for service in made}) == 6
        assert (await stage.create("own", token="mine")).token == "mine"

    play(scene)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"name": "No Such Name"}, "ServiceName"),
        ({"replicas": 0}, "Replicas"),
        ({"replicas": 1001}, "Replicas"),
        ({"group": "A"}, "metadata.group"),
        ({"workspace": "w" * 256}, "WorkspaceId"),
        ({"quota": "q" * 256}, "QuotaId"),
        ({"token": "t" * 256}, "token"),
        ({"labels": {"k" * 256: "v"}}, "Labels"),
        ({"labels": {"k": "v" * 256}}, "Labels"),
    ],
)
def test_an_illegal_draft_is_refused_by_field_and_leaves_no_trace(
    play: Callable[[Play], None], fields: dict[str, Any], named: str
) -> None:
    async def scene(stage: Stage) -> None:
        with pytest.raises(Invalid) as caught:
            await services.create(stage.platform, ROOT, a_draft(**fields))
        assert caught.value.field == named
        assert len(caught.value.message) < 400
        assert stage.woken == []
        assert await stage.events() == []
        assert await services.page(stage.platform, ServiceQuery()) == ([], 0)

    play(scene)


def test_a_name_that_is_taken_is_a_conflict_and_the_first_service_stays(
    play: Callable[[Play], None],
) -> None:
    async def scene(stage: Stage) -> None:
        first = await stage.create(replicas=2)
        with pytest.raises(Conflict, match=r"service \[svc_one\] already exists"):
            await stage.create(replicas=5)
        assert (await services.find(stage.platform, "svc_one"))[0] == first
        assert stage.woken == [first.id]
        assert len(await stage.events()) == 1

    play(scene)


def test_of_many_who_create_one_name_at_once_exactly_one_does(play: Callable[[Play], None]) -> None:
    async def scene(stage: Stage) -> None:
        outcomes = await asyncio.gather(
            *(stage.create() for _ in range(10)), return_exceptions=True
        )
        assert sum(isinstance(outcome, Service) for outcome in outcomes) == 1
        assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 9

    play(scene)


@pytest.mark.parametrize("name", ["nobody", "team.svc_one", "", "SVC_ONE"])
def test_who_is_not_there_is_not_found(play: Callable[[Play], None], name: str) -> None:
    async def scene(stage: Stage) -> None:
        await stage.create()
        attempts: list[Coroutine[Any, Any, object]] = [
            services.find(stage.platform, name),
            services.start(stage.platform, ROOT, name),
            services.stop(stage.platform, ROOT, name),
            services.restart(stage.platform, ROOT, name),
            services.delete(stage.platform, ROOT, name),
            reports.events(stage.platform, name, EventQuery()),
            reports.logs(stage.platform, name),
        ]
        for attempt in attempts:
            with pytest.raises(NotFound) as caught:
                await attempt
            assert (caught.value.kind, caught.value.name) == ("service", name)

    play(scene)


Ask = Callable[[Platform], Coroutine[Any, Any, Service]]


def scale_to(replicas: int) -> Ask:
    return lambda platform: services.change(
        platform,
        HELPER,
        "svc_one",
        lambda service, _seen, now: services.scaled(service, replicas, now),
    )


def update(platform: Platform) -> Coroutine[Any, Any, Service]:
    version = a_version(template=a_template(name="other"))
    return services.change(
        platform,
        HELPER,
        "svc_one",
        lambda service, _seen, now: services.upgraded(service, version, now, None, ()),
    )


LIFE: list[tuple[Ask, Wanted, Change, str, str]] = [
    (
        scale_to(3),
        Wanted.RUNNING,
        Change.SCALE,
        "ServiceScaled",
        "Service [svc_one] is scaling from 1 to 3 replicas.",
    ),
    (
        update,
        Wanted.RUNNING,
        Change.UPDATE,
        "ServiceUpdated",
        "Service [svc_one] is updating to version 2.",
    ),
    (
        lambda p: services.restart(p, HELPER, "svc_one"),
        Wanted.RUNNING,
        Change.RESTART,
        "ServiceRestarted",
        "Service [svc_one] is restarting.",
    ),
    (
        lambda p: services.stop(p, HELPER, "svc_one"),
        Wanted.STOPPED,
        Change.STOP,
        "ServiceStopped",
        "Service [svc_one] is stopping.",
    ),
    (
        lambda p: services.start(p, HELPER, "svc_one"),
        Wanted.RUNNING,
        Change.START,
        "ServiceStarted",
        "Service [svc_one] is starting.",
    ),
    (
        lambda p: services.delete(p, HELPER, "svc_one"),
        Wanted.DELETED,
        Change.DELETE,
        "ServiceDeleted",
        "Service [svc_one] is being deleted.",
    ),
]


def test_a_whole_life_each_change_written_down_with_its_actor_and_woken(
    play: Callable[[Play], None],
) -> None:
    async def scene(stage: Stage) -> None:
        first = await stage.create()
        for number, (ask, wanted, change, reason, message) in enumerate(LIFE, 2):
            now = stage.clock.advance(1)
            after = await ask(stage.platform)
            assert (after.wanted, after.change, after.revision, after.updated) == (
                wanted,
                change,
                number,
                now,
            )
            assert (await services.find(stage.platform, "svc_one"))[0] == after
            last = (await stage.events())[-1]
            assert (last.type, last.reason, last.message) == ("Normal", reason, message)
            assert (last.actor, last.at, last.service) == (HELPER.id, now, first.id)
            assert stage.woken == [first.id] * number
        assert await stage.db.read(rows.version, first.id, 1) == first.current
        second = await stage.db.read(rows.version, first.id, 2)
        assert second is not None
        assert second.template.name == "other"

    play(scene)


def test_what_is_so_already_changes_nothing_wakes_nobody_and_is_no_event(
    play: Callable[[Play], None],
) -> None:
    async def scene(stage: Stage) -> None:
        made = await stage.create()
        assert await services.start(stage.platform, ROOT, "svc_one") == made
        assert await scale_to(1)(stage.platform) == made
        stopped = await services.stop(stage.platform, ROOT, "svc_one")
        assert await services.stop(stage.platform, ROOT, "svc_one") == stopped
        gone = await services.delete(stage.platform, ROOT, "svc_one")
        assert await services.delete(stage.platform, ROOT, "svc_one") == gone
        assert [event.reason for event in await stage.events()] == [
            "ServiceCreated",
            "ServiceStopped",
            "ServiceDeleted",
        ]
        assert len(stage.woken) == 3

    play(scene)


def test_nothing_but_delete_is_legal_while_it_is_deleted(play: Callable[[Play], None]) -> None:
    async def scene(stage: Stage) -> None:
        await stage.create()
        gone = await services.delete(stage.platform, ROOT, "svc_one")
        for ask in (
            scale_to(2),
            update,
            *(
                lambda p, use=use: use(p, ROOT, "svc_one")
                for use in (services.start, services.stop, services.restart)
            ),
        ):
            with pytest.raises(Conflict, match="is being deleted"):
                await ask(stage.platform)
        assert (await services.find(stage.platform, "svc_one"))[0] == gone

    play(scene)


def test_start_of_a_failed_service_tries_again_with_new_replicas(
    play: Callable[[Play], None],
) -> None:
    async def scene(stage: Stage) -> None:
        made = await stage.create()
        failed = Seen(
            revision=1, since=T0, hold=Hold("WeightsMissing", "Put them there.", permanent=True)
        )
        await stage.show(made, failed)
        again = await services.start(stage.platform, ROOT, "svc_one")
        assert (again.change, again.revision) == (Change.START, 2)
        assert again.rollout != made.rollout
        assert (
            verdict(*await services.find(stage.platform, "svc_one"), stage.clock()).status
            is Status.STARTING
        )

    play(scene)


def test_an_update_may_bring_another_number_of_replicas(play: Callable[[Play], None]) -> None:
    async def scene(stage: Stage) -> None:
        await stage.create()
        after = await services.change(
            stage.platform,
            ROOT,
            "svc_one",
            lambda service, _seen, now: services.upgraded(
                service, a_version(), now, 4, NOTICES[:1]
            ),
        )
        assert (after.replicas, after.latest, after.change) == (4, 2, Change.UPDATE)
        assert [event.type for event in await stage.events()] == ["Normal", "Normal", "Warning"]

    play(scene)


def test_what_no_replica_knows_is_changed_without_touching_one(
    play: Callable[[Play], None],
) -> None:
    async def scene(stage: Stage) -> None:
        made = await stage.create()

        def label(service: Service, _seen: Seen, now: float) -> Decision:
            return services.touched(service, replace(service, labels={"env": "test"}), now, ())

        after = await services.change(stage.platform, ROOT, "svc_one", label)
        assert (after.revision, after.rollout, after.labels) == (2, made.rollout, {"env": "test"})
        found, _total = await services.page(stage.platform, ServiceQuery(labels={"env": "test"}))
        assert [service.name for service, _seen in found] == ["svc_one"]
        assert await services.change(stage.platform, ROOT, "svc_one", label) == after
        assert [event.reason for event in await stage.events()] == [
            "ServiceCreated",
            "ServiceUpdated",
        ]

    play(scene)


# --- races --------------------------------------------------------------------------------------------------


def test_a_change_that_lost_a_race_is_decided_anew_on_the_newest_state(
    play: Callable[[Play], None],
) -> None:
    async def scene(stage: Stage) -> None:
        made = await stage.create()
        decided: list[int] = []
        rival = replace(made, revision=2, replicas=7, change=Change.SCALE)

        def decide(service: Service, _seen: Seen, now: float) -> Decision:
            decided.append(service.replicas)
            if len(decided) == 1:  # somebody else writes between our look and our write
                db.run(stage.db._writer, rows.change, rival)
            return services.scaled(service, service.replicas + 1, now)

        after = await services.change(stage.platform, ROOT, "svc_one", decide)
        assert decided == [1, 7]
        assert (after.replicas, after.revision) == (8, 3)
        messages = [event.message for event in await stage.events(type="Normal")]
        assert messages[1:] == ["Service [svc_one] is scaling from 7 to 8 replicas."]

    play(scene)


def test_who_loses_time_and_again_is_told_so_and_nothing_is_half_done(
    play: Callable[[Play], None],
) -> None:
    async def scene(stage: Stage) -> None:
        await stage.create()
        asked: list[int] = []

        def decide(service: Service, _seen: Seen, now: float) -> Decision:
            asked.append(service.revision)
            db.run(stage.db._writer, rows.change, replace(service, revision=service.revision + 1))
            return services.scaled(service, 9, now)

        with pytest.raises(
            Conflict, match="was changed by others at the same time, again and again"
        ):
            await services.change(stage.platform, ROOT, "svc_one", decide)
        assert asked == list(range(1, services.ATTEMPTS + 1))
        assert (await services.find(stage.platform, "svc_one"))[0].replicas == 1
        assert len(await stage.events()) == 1
        assert len(stage.woken) == 1

    play(scene)


def test_a_service_that_is_removed_between_look_and_write_is_not_found(
    play: Callable[[Play], None],
) -> None:
    async def scene(stage: Stage) -> None:
        made = await stage.create()

        def decide(service: Service, _seen: Seen, now: float) -> Decision:
            db.run(stage.db._writer, rows.remove, made.id, made.revision)
            return services.scaled(service, 9, now)

        with pytest.raises(NotFound):
            await services.change(stage.platform, ROOT, "svc_one", decide)

    play(scene)


def test_many_changes_at_once_all_happen_one_after_the_other(play: Callable[[Play], None]) -> None:
    async def scene(stage: Stage) -> None:
        await stage.create()

        def one_more(service: Service, _seen: Seen, now: float) -> Decision:
            return services.scaled(service, service.replicas + 1, now)

        async def insist() -> None:
            while True:
                try:
                    await services.change(stage.platform, ROOT, "svc_one", one_more)
                except Conflict:
                    continue
                return

        await asyncio.wait_for(asyncio.gather(*(insist() for _ in range(12))), 60)
        service, _seen = await services.find(stage.platform, "svc_one")
        assert (service.replicas, service.revision) == (13, 13)
        assert len(await stage.events()) == 13

    play(scene)


# --- events, notices, logs -------------------------------------------------------------------------------------


def test_notices_become_warnings_with_the_requests_actor(play: Callable[[Play], None]) -> None:
    async def scene(stage: Stage) -> None:
        made = await services.create(stage.platform, HELPER, a_draft(notices=NOTICES))
        await services.change(
            stage.platform,
            ROOT,
            "svc_one",
            lambda service, _seen, now: services.scaled(service, 2, now, NOTICES[:1]),
        )
        found = [
            (event.type, event.reason, event.message, event.actor) for event in await stage.events()
        ]
        assert found[1:3] == [
            ("Warning", notice.reason, notice.message, HELPER.id) for notice in NOTICES
        ]
        assert found[4:] == [("Warning", NOTICES[0].reason, NOTICES[0].message, ROOT.id)]
        warnings, total = await reports.events(
            stage.platform, "svc_one", EventQuery(type="Warning", limit=2)
        )
        assert total == 3
        assert [event.reason for event in warnings] == ["ParameterWithoutEffect", "Deprecated"]
        assert {event.service for event in warnings} == {made.id}

    play(scene)


def test_a_services_events_are_its_own_also_when_another_had_its_name(
    play: Callable[[Play], None],
) -> None:
    async def scene(stage: Stage) -> None:
        first = await stage.create()
        await stage.create("svc_two")
        await stage.db.write(lambda tx: rows.remove(tx, first.id, 1))
        again = await stage.create()
        found, total = await reports.events(
            stage.platform, "svc_one", EventQuery(service="ignored")
        )
        assert total == 1
        assert found[0].service == again.id != first.id

    play(scene)


def test_logs_are_asked_of_the_runtime_by_id(play: Callable[[Play], None]) -> None:
    async def scene(stage: Stage) -> None:
        made = await stage.create()
        lines = await reports.logs(stage.platform, "svc_one", replica="r-9", previous=True)
        assert [line.text for line in lines] == ["hello"]
        assert stage.runtime.asked == [(made.id, "r-9", True)]

    play(scene)


# --- pages ----------------------------------------------------------------------------------------------------


def test_a_page_is_filtered_by_the_status_that_a_reader_would_see(
    play: Callable[[Play], None],
) -> None:
    async def scene(stage: Stage) -> None:
        running = []
        for number in range(7):
            stage.clock.advance(1)
            made = await stage.create(f"svc_{number}")
            if number % 2:
                await stage.show(
                    made, Seen(revision=1, settled=1, since=T0, replicas=(a_replica(),))
                )
                running.append(made.name)

        async def page(status: str, **query: Any) -> tuple[list[str], int]:
            found, total = await services.page(stage.platform, ServiceQuery(**query), status)
            assert all(verdict(*pair, stage.clock()).status == status for pair in found if status)
            return [service.name for service, _seen in found], total

        assert await page("Running", sort="name", descending=False) == (running, 3)
        assert await page("Running", sort="name", descending=False, offset=1, limit=1) == (
            running[1:2],
            3,
        )
        assert await page("Running", offset=3, limit=5) == ([], 3)
        assert await page("Creating", limit=10) == (["svc_6", "svc_4", "svc_2", "svc_0"], 4)
        assert await page("Creating", contains="4") == (["svc_4"], 1)
        assert await page("NoSuchStatus") == ([], 0)
        assert await page("", limit=2) == (["svc_6", "svc_5"], 7)

    play(scene)


# --- who asks ---------------------------------------------------------------------------------------------------


def test_keys_tokens_and_nonces_are_looked_up(play: Callable[[Play], None]) -> None:
    async def scene(stage: Stage) -> None:
        key = AccessKey("AK1", "secret", ROOT, created=T0)
        digest = hashlib.sha256(b"open sesame").hexdigest()

        def write(tx: Connection) -> None:
            keys.put(tx, BOX, key)
            keys.put_bearer(tx, BearerToken(digest, HELPER))

        await stage.db.write(write)
        assert await identity.access_key(stage.platform, "AK1") == key
        assert await identity.access_key(stage.platform, "AK2") is None
        found = await identity.bearer(stage.platform, "open sesame")
        assert found is not None
        assert found.principal == HELPER
        assert await identity.bearer(stage.platform, digest) is None
        nonces = Nonces(stage.platform.db, stage.platform.clock)
        used = [await nonces.use("AK1", "n", T0) for _ in range(2)]
        assert used == [True, False]

    play(scene)


def test_another_account_may_do_nothing(play: Callable[[Play], None]) -> None:
    async def scene(stage: Stage) -> None:
        permission = Permission(stage.platform, Authority(stage.platform))
        deed = Deed(("eas:CreateService",), (Target(("eas", "*")),))
        assert await permission.ask(ROOT, deed) is ROOT
        stranger = Principal(account="9999999999999999", id="9999999999999999")
        shown = rf"not authorized to do eas:CreateService on acs:eas:local:{ACCOUNT}:\*"
        with pytest.raises(Forbidden, match=shown):
            await permission.ask(stranger, deed)

    play(scene)


def test_a_template_is_found_by_its_name(play: Callable[[Play], None]) -> None:
    async def scene(stage: Stage) -> None:
        assert stage.platform.template("llama_7b_fp16") is BUILT_IN["llama_7b_fp16"]
        assert stage.platform.template("nope") is None

    play(scene)
