"""The reconciler over the fake runtime and a real database: what is wanted comes true, and it says why not."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
import structlog.testing
from reconciler_world import RHYTHM, World, fresh_database, tell

import virtual_time
from pierhead.core.ejections import EJECTED
from pierhead.core.errors import Invalid, Occupied, Unavailable
from pierhead.core.launch import no_files
from pierhead.core.replicas import Exit, ReplicaState
from pierhead.core.resources import GIB, Resources
from pierhead.core.services import Hold
from pierhead.core.status import Status
from pierhead.core.templates import Rolling
from pierhead.core.workloads import Workload
from pierhead.reconciler.loop import Reconciler
from pierhead.runtimes.fake import FakeRuntime
from pierhead.store.db import Database


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    yield from fresh_database(tmp_path_factory.mktemp("reconciler"))


def now() -> float:
    return asyncio.get_running_loop().time()


# ---- the ordinary life --------------------------------------------------------------------


def test_a_created_service_comes_up_is_routed_and_tells_its_story(db: Database) -> None:
    async def story(its: World) -> None:
        service = await its.create("svc", replicas=2)
        assert (await its.verdict("svc")).status is Status.CREATING
        await its.settled("svc", within=2)
        assert (await its.verdict("svc")).status is Status.RUNNING
        assert its.routed("svc") == sorted(replica.id for replica in its.ready(service))
        assert await its.reasons(service.id) == [
            "ServiceCreated",
            "ReplicaReady",
            "ReplicaReady",
            "Running",
        ]

    tell(db, story)


def test_a_slow_engine_is_waiting_until_it_is_ready(db: Database) -> None:
    async def story(its: World) -> None:
        its.runtime.faults.ready_after = 20.0
        service = await its.create("svc")
        await asyncio.sleep(5)
        assert (await its.verdict("svc")).status is Status.WAITING
        assert its.routed("svc") == []
        await its.settled("svc", within=17)
        assert 20 <= now() <= 22
        assert await its.reasons(service.id) == [
            "ServiceCreated",
            "ReplicaStarting",
            "ReplicaReady",
            "Running",
        ]

    tell(db, story)


def test_one_that_never_gets_ready_fails_at_its_deadline_and_says_so(db: Database) -> None:
    """Law: no non-terminal state beyond its deadline (F09, F10)."""

    async def story(its: World) -> None:
        its.runtime.faults.never_ready.add("1.0")
        service = await its.create("svc", start_deadline=40.0)
        await asyncio.sleep(39)
        assert (await its.verdict("svc")).status is Status.WAITING
        await asyncio.sleep(3)
        found = await its.verdict("svc")
        assert (found.status, found.reason) == (Status.FAILED, "StartDeadlineExceeded")
        assert (await its.reasons(service.id))[-1] == "StartDeadlineExceeded"

    tell(db, story)


def test_scaling_keeps_the_replicas_that_are_there(db: Database) -> None:
    async def story(its: World) -> None:
        service = await its.create("svc")
        await its.settled("svc")
        (first,) = its.ready(service)
        await its.scale("svc", 3)
        assert (await its.verdict("svc")).status is Status.SCALING
        await its.settled("svc")
        assert first.id in {replica.id for replica in its.ready(service)}
        assert len(its.routed("svc") or []) == 3
        await its.scale("svc", 1)
        await its.settled("svc")
        assert [replica.id for replica in its.ready(service)] == [first.id] == its.routed("svc")

    tell(db, story)


def test_scale_in_waits_for_the_last_request_and_then_not_a_moment_longer(db: Database) -> None:
    """Law: 0 truncated streams, bounded by the drain deadline (F12)."""

    async def story(its: World) -> None:
        service = await its.create("svc", replicas=2, stop_grace=100.0)
        await its.settled("svc")
        await asyncio.sleep(1)
        (gateway,) = its.gateways
        youngest = max(its.ready(service), key=lambda replica: (replica.created, replica.id)).id
        for replica in gateway.targets["svc"]:
            gateway.begin(replica)
        await its.scale("svc", 1)
        await asyncio.sleep(60)
        (leaving,) = [
            r for r in its.runtime.observe(service.id) if r.state is ReplicaState.DRAINING
        ]
        assert leaving.id == youngest or len(its.ready(service)) == 1
        assert gateway.targets["svc"] == [replica.id for replica in its.ready(service)]
        gateway.end(leaving.id)
        await its.settled("svc", within=1.5)

    tell(db, story)


def test_a_request_that_never_ends_is_cut_at_the_drain_deadline(db: Database) -> None:
    async def story(its: World) -> None:
        service = await its.create("svc", stop_grace=7.0)
        await its.settled("svc")
        (replica,) = its.ready(service)
        await asyncio.sleep(1)
        its.gateways[0].begin(replica.id)
        await its.stop("svc")
        began = now()
        await asyncio.sleep(6.5)
        assert (await its.verdict("svc")).status is Status.STOPPING
        await its.settled("svc", within=3)
        assert now() - began >= 7.0
        assert (await its.verdict("svc")).status is Status.STOPPED

    tell(db, story)


def test_an_update_never_has_fewer_ready_replicas_than_wanted(db: Database) -> None:
    """Law: a rolling update costs no capacity with max_unavailable 0 (F12)."""

    async def story(its: World) -> None:
        its.runtime.faults.ready_after = 3.0
        service = await its.create("svc", replicas=3)
        await its.settled("svc")
        await its.update("svc", context=999)
        fewest, most = 3, 3
        while (await its.verdict("svc")).status is not Status.RUNNING:
            fewest = min(fewest, len(its.ready(service)), len(its.routed("svc") or []))
            most = max(most, len([r for r in its.runtime.observe(service.id) if r.port]))
            await asyncio.sleep(0.05)
        assert fewest == 3
        assert most <= 5  # one surge, and one that drains
        await its.settled("svc")
        assert {replica.rollout for replica in its.ready(service)} == {"2.0"}

    tell(db, story)


def test_an_update_that_cannot_come_up_fails_and_the_old_version_serves_on(db: Database) -> None:
    """Law: a failed roll harms nobody, and says why (design 3)."""

    async def story(its: World) -> None:
        service = await its.create("svc", replicas=2)
        await its.settled("svc")
        before = its.routed("svc")
        its.runtime.faults.crash_at_start["2.0"] = Exit(at=virtual_time.wall(), code=3)
        await its.update("svc", context=999)
        await asyncio.sleep(30)
        found = await its.verdict("svc")
        assert (found.status, found.reason) == (Status.FAILED, "UpdateFailed")
        assert "exit code 3" in found.message
        assert its.routed("svc") == before
        assert "UpdateFailed" in await its.reasons(service.id)
        await its.update("svc", context=1000)
        await its.settled("svc")
        assert (await its.verdict("svc")).status is Status.RUNNING
        assert {replica.rollout for replica in its.ready(service)} == {"3.0"}

    tell(db, story)


def test_stop_and_start_keep_name_token_and_version(db: Database) -> None:
    async def story(its: World) -> None:
        service = await its.create("svc", replicas=2)
        await its.settled("svc")
        await its.stop("svc")
        assert (await its.verdict("svc")).status is Status.STOPPING
        stopped = await its.settled("svc")
        assert (await its.verdict("svc")).status is Status.STOPPED
        assert its.runtime.observe(service.id) == []
        assert its.routed("svc") == []
        await its.start("svc")
        running = await its.settled("svc")
        assert len(its.ready(service)) == 2
        assert (running.id, running.token, running.current) == (
            stopped.id,
            stopped.token,
            stopped.current,
        )

    tell(db, story)


def test_restart_replaces_every_replica_without_a_gap(db: Database) -> None:
    async def story(its: World) -> None:
        its.runtime.faults.ready_after = 2.0
        service = await its.create("svc", replicas=2)
        await its.settled("svc")
        old = set(its.routed("svc") or [])
        await its.restart("svc")
        while (await its.verdict("svc")).status is not Status.RUNNING:
            assert len(its.routed("svc") or []) >= 2
            await asyncio.sleep(0.05)
        await its.settled("svc")
        assert not old & {replica.id for replica in its.ready(service)}

    tell(db, story)


def test_a_crashed_replica_comes_back_by_itself(db: Database) -> None:
    async def story(its: World) -> None:
        service = await its.create("svc", replicas=2)
        await its.settled("svc")
        one, two = its.ready(service)
        its.runtime.crash(one.id, Exit(at=virtual_time.wall(), signal=9), "boom")
        await asyncio.sleep(0.01)
        assert its.routed("svc") == [two.id]
        found = await its.verdict("svc")
        assert (found.status, found.reason) == (Status.RUNNING, "PartlyReady")
        await its.settled("svc", within=2)
        assert {replica.id for replica in its.ready(service)} == {one.id, two.id}
        assert "Killed" in await its.reasons(service.id)

    tell(db, story)


def test_a_crash_loop_fails_with_its_reason_and_is_tried_ever_later(db: Database) -> None:
    """Law: back-off 1, 2, 4 ... 60 s; after some tries Failed with a reason (F06)."""

    async def story(its: World) -> None:
        its.runtime.faults.crash_at_start["1.0"] = Exit(at=virtual_time.wall(), code=3)
        launches: list[float] = []
        service = await its.create("svc")
        for _ in range(1000):
            (runs,) = [r.runs for r in its.runtime.observe(service.id)] or [0]
            launches += [now()] * (runs - len(launches))
            its.runtime.faults.crash_at_start["1.0"] = Exit(at=virtual_time.wall(), code=3)
            await asyncio.sleep(0.1)
        gaps = [later - earlier for earlier, later in pairwise(launches)]
        for number, gap in enumerate(gaps):
            assert 0.75 * 2**number <= gap <= 1.25 * 2**number + 0.3
        assert len(gaps) == 6
        found = await its.verdict("svc")
        assert found.status is Status.FAILED
        assert "exit code 3" in found.message
        del its.runtime.faults.crash_at_start["1.0"]
        await its.start("svc")  # by hand: at once, not after the back-off
        await its.settled("svc", within=3)

    tell(db, story)


def test_a_probe_that_fails_takes_a_replica_out_of_traffic_and_back(db: Database) -> None:
    async def story(its: World) -> None:
        service = await its.create("svc", replicas=2)
        await its.settled("svc")
        one, two = its.ready(service)
        its.runtime.probe_fails(one.id, "no answer")
        await asyncio.sleep(0.01)
        assert its.routed("svc") == [two.id]
        its.runtime.probe_succeeds(one.id)
        await asyncio.sleep(0.01)
        assert its.routed("svc") == sorted([one.id, two.id])

    tell(db, story)


# ---- holds --------------------------------------------------------------------------------

FETCHING = Hold("FetchingWeights", "downloading: 1 of 9 MiB")


def test_a_service_waits_for_its_weights_and_goes_on_the_moment_they_are_there(
    db: Database,
) -> None:
    async def story(its: World) -> None:
        its.weights.holds["weighty"] = FETCHING
        service = await its.create("svc", name="weighty")
        await asyncio.sleep(10)
        found = await its.verdict("svc")
        assert (found.status, found.reason) == (Status.CREATING, "FetchingWeights")
        assert its.runtime.observe(service.id) == []
        del its.weights.holds["weighty"]
        its.reconciler.hasten()
        await asyncio.sleep(0.2)
        assert (await its.verdict("svc")).status is Status.RUNNING
        reasons = await its.reasons(service.id)
        assert reasons[:3] == ["ServiceCreated", "FetchingWeights", "HoldEnded"]

    tell(db, story)


def test_missing_weights_are_a_failure_that_says_what_to_do_and_heals_by_itself(
    db: Database,
) -> None:
    async def story(its: World) -> None:
        its.weights.holds["weighty"] = Hold("WeightsMissing", "Put a file there.", permanent=True)
        await its.create("svc", name="weighty")
        await asyncio.sleep(1)
        found = await its.verdict("svc")
        assert (found.status, found.reason) == (Status.FAILED, "WeightsMissing")
        assert "Put a file there." in found.message
        del its.weights.holds["weighty"]
        await its.settled("svc", within=35)

    tell(db, story)


def test_an_update_whose_weights_are_on_their_way_leaves_the_old_version_at_full_strength(
    db: Database,
) -> None:
    async def story(its: World) -> None:
        service = await its.create("svc", replicas=2)
        await its.settled("svc")
        its.weights.holds["weighty"] = FETCHING
        await its.update("svc", name="weighty")
        await asyncio.sleep(5)
        one, _two = its.ready(service)
        its.runtime.crash(one.id, Exit(at=virtual_time.wall(), code=1))
        await asyncio.sleep(5)  # the old version is kept alive too while the new one is held
        assert [replica.rollout for replica in its.ready(service)] == ["1.0", "1.0"]
        assert (await its.verdict("svc")).status is Status.UPDATING
        del its.weights.holds["weighty"]
        its.reconciler.hasten()
        await its.settled("svc")
        assert {replica.rollout for replica in its.ready(service)} == {"2.0"}

    tell(db, story)


def test_what_fits_on_no_machine_is_pending_with_the_numbers(db: Database) -> None:
    async def story(its: World) -> None:
        await its.create("svc", resources=Resources(memory=2048 * GIB))
        await asyncio.sleep(1)
        found = await its.verdict("svc")
        assert (found.status, found.reason) == (Status.PENDING, "InsufficientResources")
        assert "2048.0 GiB" in found.message
        await its.update("svc", resources=Resources())
        await its.settled("svc")

    tell(db, story)


def test_a_runtime_that_cannot_start_anything_now_is_told_and_tried_again(db: Database) -> None:
    async def story(its: World) -> None:
        its.runtime.faults.refuse_start["1.0"] = Unavailable("The ports", "none is free")
        service = await its.create("svc")
        await asyncio.sleep(10)
        found = await its.verdict("svc")
        assert (found.status, found.reason) == (Status.CREATING, "StartHeld")
        assert "none is free" in found.message
        assert "StartHeld" in await its.reasons(service.id)
        its.runtime.faults.refuse_start.clear()
        await its.settled("svc", within=3)

    tell(db, story)


def test_a_replica_that_finds_no_device_waits_without_a_deadline(db: Database) -> None:
    async def story(its: World) -> None:
        busy = Occupied("WaitingForGpu", "1 GPU wanted, 0 of 1 is free.", placement=True)
        its.runtime.faults.refuse_start["1.0"] = busy
        service = await its.create("svc", start_deadline=60.0)
        await asyncio.sleep(600)
        found = await its.verdict("svc")
        assert (found.status, found.reason) == (Status.PENDING, "WaitingForGpu")
        assert found.message == "1 GPU wanted, 0 of 1 is free."
        assert (await its.reasons(service.id)).count("WaitingForGpu") == 1
        its.runtime.faults.refuse_start.clear()
        await its.settled("svc", within=32)

    tell(db, story)


def test_an_engine_that_will_not_run_it_is_a_failure_with_its_words(db: Database) -> None:
    """Law: every state that is not Running says why (design 1)."""

    async def story(its: World) -> None:
        its.runtime.faults.refuse_start["1.0"] = Invalid("command", "no such thing")
        await its.create("svc")
        await asyncio.sleep(5)
        found = await its.verdict("svc")
        assert found.status is Status.FAILED
        assert "no such thing" in found.message
        await its.delete("svc")
        await its.gone("svc", within=3)

    tell(db, story)


# ---- removal ------------------------------------------------------------------------------


def kept_back(runtime: FakeRuntime, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Nothing is removed before it is set: else a service is gone before anybody saw that it goes."""
    looked, remove = asyncio.Event(), runtime.remove

    async def after_the_look(service: str, grace: float) -> bool:
        await looked.wait()
        return await remove(service, grace)

    monkeypatch.setattr(runtime, "remove", after_the_look)
    return looked


@pytest.mark.parametrize(
    "state", ["fetching", "starting", "crash-looping", "running", "stopping", "stopped", "refused"]
)
def test_delete_from_every_state_leaves_nothing(
    db: Database, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: "gone" is told only when nothing of it remains, from every state (F11)."""

    async def story(its: World) -> None:
        faults = its.runtime.faults
        if state == "fetching":
            its.weights.holds["weighty"] = FETCHING
        elif state == "crash-looping":
            faults.crash_at_start["1.0"] = Exit(at=virtual_time.wall(), code=3)
        elif state == "starting":
            faults.ready_after = 1000.0
        elif state == "refused":
            faults.refuse_start["1.0"] = Unavailable("The ports", "none is free")
        service = await its.create("svc", replicas=2, name="weighty")
        await asyncio.sleep(5)
        if state in {"stopping", "stopped"}:
            faults.stuck_stopping = state == "stopping"
            await its.stop("svc")
            await asyncio.sleep(5)
            faults.stuck_stopping = False
        looked = kept_back(its.runtime, monkeypatch)
        await its.delete("svc")
        assert (await its.verdict("svc")).status is Status.DELETING
        looked.set()
        while await its.exists("svc"):
            assert now() < 15
            await asyncio.sleep(0.01)
        assert its.runtime.observe(service.id) == []
        assert its.routed("svc") is None
        assert (await its.reasons(service.id))[-1] == "ServiceRemoved"

    tell(db, story)


def test_the_record_stays_until_the_last_process_is_gone(db: Database) -> None:
    """Law: a record is deleted last (design 3)."""

    async def story(its: World) -> None:
        service = await its.create("svc")
        await its.settled("svc")
        its.runtime.faults.stuck_stopping = True
        await its.delete("svc")
        assert its.routed("svc") is not None  # not looked at yet
        await asyncio.sleep(20)
        assert its.routed("svc") is None
        found = await its.verdict("svc")
        assert (found.status, found.message) == (Status.DELETING, "1 replica(s) are still to go.")
        its.runtime.faults.stuck_stopping = False
        await its.gone("svc", within=2)
        assert its.runtime.observe(service.id) == []

    tell(db, story)


def test_a_name_is_free_again_and_the_new_one_shares_nothing_with_the_old(db: Database) -> None:
    async def story(its: World) -> None:
        old = await its.create("svc")
        await its.settled("svc")
        await its.delete("svc")
        await its.gone("svc")
        new = await its.create("svc")
        await its.settled("svc")
        assert (new.id, new.token) != (old.id, old.token)
        assert len(its.routed("svc") or []) == 1

    tell(db, story)


def test_replicas_of_a_service_without_a_record_are_swept(db: Database) -> None:
    """Law: no orphan, whatever was lost (F01)."""

    async def story(its: World) -> None:
        service = await its.create("svc")
        await its.settled("svc")
        await its.db.write(_lose, service.id)
        await asyncio.sleep(60)
        assert its.runtime.observe() == []
        assert its.routed("svc") is None

    tell(db, story)


def _lose(tx: object, service: str) -> None:
    from sqlalchemy import Connection, delete

    from pierhead.store import tables

    assert isinstance(tx, Connection)
    tx.execute(delete(tables.services).where(tables.services.c.id == service))


# ---- a new hub over the same database -----------------------------------------------------


def test_a_new_reconciler_goes_on_where_the_last_one_was(db: Database) -> None:
    """Law: intent is persisted before acting: what was accepted comes true after a restart (F01)."""

    async def story(its: World) -> None:
        service = await its.create("svc", replicas=2)
        await its.settled("svc")
        before = its.routed("svc")
        await its.reconciler.close()
        await its.scale("svc", 3)
        second = World(its.db, runtime=its.runtime)
        await second.reconciler.start()
        assert set(before or []) <= set(second.routed("svc") or [])
        await second.settled("svc", within=5)
        assert len(second.routed("svc") or []) == 3
        await second.reconciler.close()
        assert service.id in {replica.service for replica in its.runtime.observe()}

    tell(db, story)


def test_nobody_is_told_that_a_replica_is_back_because_gateways_are_silent(db: Database) -> None:
    """Law: events tell what happened: a mark goes when a gateway takes it back (F05)."""

    async def story(its: World) -> None:
        service = await its.create("svc", replicas=2)
        await its.settled("svc")
        (gateway,) = its.gateways
        out = its.ready(service)[0].id
        gateway.ejected = {out: "silent"}
        await asyncio.sleep(5)
        assert (await its.reasons(service.id))[-1] == EJECTED
        gateway.mute = True
        await asyncio.sleep(2 * RHYTHM.resync)
        await its.reconciler.close()
        second = World(its.db, runtime=its.runtime)
        await second.reconciler.start()
        await asyncio.sleep(2 * RHYTHM.resync)
        assert (await its.reasons(service.id))[-1] == EJECTED
        for _ in range(int(RHYTHM.resync) + 1):
            second.gateways[0].report()
            await asyncio.sleep(1.0)
        assert (await its.reasons(service.id))[-1] == "ReplicaReturned"
        await second.reconciler.close()

    tell(db, story)


def test_a_periodic_task_that_fails_is_told_and_goes_on(db: Database) -> None:
    """Law: whatever is not as wanted is looked at again and again (F01)."""
    tried: list[float] = []

    async def fails() -> None:
        tried.append(now())
        raise OSError("Stale file handle")

    async def story(its: World) -> None:
        await its.reconciler.close()
        again = Reconciler(its.one_pass, RHYTHM, tidy=fails, relist=None)
        await again.start()
        with structlog.testing.capture_logs() as lines:
            await asyncio.sleep(3.5 * RHYTHM.housekeeping)
        await again.close()
        assert len(tried) == 3
        assert [line["log_level"] for line in lines].count("error") == 3

    tell(db, story)


def test_numbers_of_lost_versions_are_kept_out_of_use_as_soon_as_the_database_takes_it(
    tmp_path: Path,
) -> None:
    """Law: replicas of a version that was lost never pass for those of a new one (F08)."""

    async def story(its: World) -> None:
        service = await its.create("svc")
        await its.settled("svc")
        await its.reconciler.close()
        template = service.current.template
        newer = Workload(service.id, "svc", "7.0", 1, template, no_files(), Rolling(1, 0))
        await its.runtime.apply(newer)
        its.db.writes.timer = asyncio.get_running_loop().time
        second = World(its.db, runtime=its.runtime)
        with closing(sqlite3.connect(tmp_path / "pierhead.db", isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            await second.reconciler.start()
            assert (await second.look("svc"))[0].latest == 1
        await asyncio.sleep(2.0)
        assert (await second.look("svc"))[0].latest == 7
        assert "UnknownVersion" in await second.reasons(service.id)
        await second.reconciler.close()

    for db in fresh_database(tmp_path):
        tell(db, story)
