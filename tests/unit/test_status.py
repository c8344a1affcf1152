"""A service's status, row by row: what a client reads right after a change, on the way, and at the end."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import T0, a_replica, a_service, a_template, a_version
from pierhead.core import lifecycle
from pierhead.core.replicas import Exit, ReplicaState, ReplicaStatus
from pierhead.core.services import Change, Hold, Seen, Service, Wanted
from pierhead.core.status import HOPELESS, UNDER_WAY, Status, reached, verdict

NOW = T0 + 10
DEADLINE = a_template().start_deadline

NEW = a_service()
RUNNING = a_service(revision=4, change=Change.SCALE)
STOPPED = a_service(revision=4, change=Change.STOP, wanted=Wanted.STOPPED)
UP = Seen(revision=4, settled=4, since=T0, served=True, replicas=(a_replica(),))
DOWN = Seen(revision=4, settled=4, since=T0)
V2 = a_version(template=a_template(name="other"))


def show(service: Service, seen: Seen, now: float = NOW) -> Status:
    return verdict(service, seen, now).status


def took_up(service: Service, *replicas: ReplicaStatus, **fields: object) -> Seen:
    """Seen right after the reconciler's first look at a change."""
    defaults: dict[str, object] = {"revision": service.revision, "since": T0, "replicas": replicas}
    return Seen(**defaults | fields)  # type: ignore[arg-type]


def starting(**fields: object) -> ReplicaStatus:
    return a_replica(**{"state": ReplicaState.STARTING, "id": "svc-one-new", **fields})


def crashed(failures: int, **fields: object) -> ReplicaStatus:
    defaults: dict[str, object] = {
        "state": ReplicaState.CRASHED,
        "id": "svc-one-bad",
        "failures": failures,
        "reason": "OutOfMemory",
        "message": "Memory ran out.",
        "last_exit": Exit(at=T0 + 5, code=1),
    }
    return a_replica(**defaults | fields)


# --- the very next look after a change -------------------------------------------------------

CHANGES: list[tuple[str, Service, Seen, Callable[[Service], Service | None], Status]] = [
    ("update", RUNNING, UP, lambda s: lifecycle.upgrade(s, V2, NOW), Status.UPDATING),
    ("scale", RUNNING, UP, lambda s: lifecycle.scale(s, 3, NOW), Status.SCALING),
    ("stop", RUNNING, UP, lambda s: lifecycle.stop(s, NOW), Status.STOPPING),
    ("start", STOPPED, DOWN, lambda s: lifecycle.start(s, NOW), Status.STARTING),
    ("restart", RUNNING, UP, lambda s: lifecycle.restart(s, NOW), Status.UPDATING),
    ("delete", RUNNING, UP, lambda s: lifecycle.delete(s, NOW), Status.DELETING),
    ("delete stopped", STOPPED, DOWN, lambda s: lifecycle.delete(s, NOW), Status.DELETING),
    (
        "start while stopping",
        STOPPED,
        replace(DOWN, settled=3, replicas=(a_replica(state=ReplicaState.DRAINING),)),
        lambda s: lifecycle.start(s, NOW),
        Status.STARTING,
    ),
    (
        "start of a failed one",
        RUNNING,
        replace(UP, replicas=(crashed(HOPELESS),)),
        lambda s: lifecycle.start(s, NOW, failed=True),
        Status.STARTING,
    ),
    (
        "update of a failed one",
        RUNNING,
        replace(UP, replicas=(crashed(HOPELESS),)),
        lambda s: lifecycle.upgrade(s, V2, NOW),
        Status.UPDATING,
    ),
    (
        "stop of a failed one",
        RUNNING,
        replace(UP, replicas=(crashed(HOPELESS),)),
        lambda s: lifecycle.stop(s, NOW),
        Status.STOPPING,
    ),
]


def test_right_after_its_creation_a_service_is_creating_a_clone_cloning() -> None:
    assert show(NEW, Seen()) is Status.CREATING
    assert show(a_service(change=Change.CLONE), Seen()) is Status.CLONING


@pytest.mark.parametrize(
    ("before", "seen", "change", "status"),
    [row[1:] for row in CHANGES],
    ids=[row[0] for row in CHANGES],
)
def test_the_look_right_after_a_change_shows_it(
    before: Service, seen: Seen, change: Callable[[Service], Service | None], status: Status
) -> None:
    after = change(before)
    assert after is not None
    found = verdict(after, seen, NOW)
    assert found.status is status
    assert found.reason == status


def test_every_change_has_a_name_while_it_is_under_way() -> None:
    assert set(UNDER_WAY) == set(Change)


# --- on the way and at the end ---------------------------------------------------------------

#: what happens -> statuses in order, one per look
JOURNEYS: dict[str, list[tuple[Service, Seen, Status]]] = {
    "create": [
        (NEW, Seen(), Status.CREATING),
        (NEW, took_up(NEW, hold=Hold("FetchingWeights", "downloading")), Status.CREATING),
        (NEW, took_up(NEW, starting(state=ReplicaState.PENDING, runs=0)), Status.CREATING),
        (NEW, took_up(NEW, starting()), Status.WAITING),
        (NEW, took_up(NEW, crashed(1)), Status.WAITING),
        (NEW, took_up(NEW, a_replica(), settled=1), Status.RUNNING),
    ],
    "create three": [
        (
            replace(NEW, replicas=3),
            took_up(NEW, starting(), starting(), starting()),
            Status.WAITING,
        ),
        # Never back to Creating: some are ready, all are awaited.
        (
            replace(NEW, replicas=3),
            took_up(NEW, a_replica(), starting(), starting()),
            Status.WAITING,
        ),
        (
            replace(NEW, replicas=3),
            took_up(NEW, a_replica(), a_replica(), starting()),
            Status.WAITING,
        ),
        (replace(NEW, replicas=3), took_up(NEW, *[a_replica()] * 3, settled=1), Status.RUNNING),
    ],
    "scale up": [
        (replace(RUNNING, replicas=2), replace(UP, revision=3, settled=3), Status.SCALING),
        (replace(RUNNING, replicas=2), replace(UP, settled=3), Status.SCALING),
        (
            replace(RUNNING, replicas=2),
            replace(UP, settled=3, replicas=(a_replica(), starting())),
            Status.SCALING,
        ),
        (
            replace(RUNNING, replicas=2),
            replace(UP, replicas=(a_replica(), a_replica())),
            Status.RUNNING,
        ),
    ],
    "scale down": [
        (
            RUNNING,
            replace(UP, revision=3, settled=3, replicas=(a_replica(), a_replica())),
            Status.SCALING,
        ),
        (
            RUNNING,
            replace(UP, settled=3, replicas=(a_replica(), a_replica(state=ReplicaState.DRAINING))),
            Status.SCALING,
        ),
        (RUNNING, UP, Status.RUNNING),
    ],
    "update": [
        (lifecycle.upgrade(RUNNING, V2, NOW), UP, Status.UPDATING),
        (
            lifecycle.upgrade(RUNNING, V2, NOW),
            replace(UP, revision=5, hold=Hold("FetchingWeights", "...")),
            Status.UPDATING,
        ),
        (
            lifecycle.upgrade(RUNNING, V2, NOW),
            replace(UP, revision=5, replicas=(a_replica(), starting(rollout="2.0"))),
            Status.UPDATING,
        ),
        # The old one died on the way: nobody serves.
        (
            lifecycle.upgrade(RUNNING, V2, NOW),
            replace(UP, revision=5, replicas=(crashed(1), starting(rollout="2.0"))),
            Status.WAITING,
        ),
        (
            lifecycle.upgrade(RUNNING, V2, NOW),
            replace(UP, revision=5, settled=5, replicas=(a_replica(rollout="2.0"),)),
            Status.RUNNING,
        ),
    ],
    "restart": [
        (
            lifecycle.restart(RUNNING, NOW),
            replace(UP, revision=5, replicas=(a_replica(), starting(rollout="1.1"))),
            Status.UPDATING,
        ),
        (
            lifecycle.restart(RUNNING, NOW),
            replace(UP, revision=5, settled=5, replicas=(a_replica(rollout="1.1"),)),
            Status.RUNNING,
        ),
    ],
    "stop": [
        (STOPPED, replace(UP, revision=3, settled=3), Status.STOPPING),
        (STOPPED, took_up(STOPPED, a_replica(state=ReplicaState.DRAINING)), Status.STOPPING),
        (STOPPED, took_up(STOPPED, a_replica(state=ReplicaState.STOPPING)), Status.STOPPING),
        (STOPPED, took_up(STOPPED), Status.STOPPED),
        (STOPPED, DOWN, Status.STOPPED),
    ],
    "start": [
        (
            replace(STOPPED, wanted=Wanted.RUNNING, change=Change.START, revision=5),
            DOWN,
            Status.STARTING,
        ),
        (
            replace(STOPPED, wanted=Wanted.RUNNING, change=Change.START, revision=5),
            replace(DOWN, revision=5),
            Status.STARTING,
        ),
        (
            replace(STOPPED, wanted=Wanted.RUNNING, change=Change.START, revision=5),
            replace(DOWN, revision=5, replicas=(starting(),)),
            Status.WAITING,
        ),
        (
            replace(STOPPED, wanted=Wanted.RUNNING, change=Change.START, revision=5),
            replace(UP, revision=5, settled=5),
            Status.RUNNING,
        ),
    ],
    "delete": [
        (
            replace(RUNNING, wanted=Wanted.DELETED, change=Change.DELETE, revision=5),
            UP,
            Status.DELETING,
        ),
        (
            replace(RUNNING, wanted=Wanted.DELETED, change=Change.DELETE, revision=5),
            replace(UP, revision=5, replicas=()),
            Status.DELETING,
        ),
        (
            replace(RUNNING, wanted=Wanted.DELETED, change=Change.DELETE, revision=5),
            replace(UP, revision=5, broken="A process cannot be ended."),
            Status.DELETE_FAILED,
        ),
    ],
}


@pytest.mark.parametrize("looks", JOURNEYS.values(), ids=JOURNEYS)
def test_journey(looks: list[tuple[Service, Seen, Status]]) -> None:
    assert [show(service, seen) for service, seen, _ in looks] == [status for *_, status in looks]


# --- running, and what may happen to it --------------------------------------------------------


def test_running_says_so_in_the_vendors_words() -> None:
    found = verdict(RUNNING, UP, NOW)
    assert (found.reason, found.message) == ("Running", "Service is now running.")


@pytest.mark.parametrize("age", [1, 10_000_000])
def test_once_running_one_ready_replica_keeps_it_running(age: float) -> None:
    three = replace(RUNNING, replicas=3)
    seen = replace(UP, replicas=(a_replica(), crashed(7), a_replica(state=ReplicaState.UNREADY)))
    found = verdict(three, seen, T0 + age)
    assert (found.status, found.reason) == (Status.RUNNING, "PartlyReady")
    assert "1 of 3" in found.message
    assert "Memory ran out." in found.message


@pytest.mark.parametrize(
    "replica",
    [
        a_replica(state=ReplicaState.UNREADY, ready_at=T0 + 1),
        crashed(1, last_exit=Exit(at=T0 + 86_400 - 1, signal=9)),
        starting(last_exit=Exit(at=T0 + 86_400 - 1, signal=9), runs=2, failures=1),
    ],
    ids=["unready", "crashed", "runs again"],
)
def test_once_running_it_waits_when_none_is_ready_however_old_it_is(replica: ReplicaStatus) -> None:
    """A day after its start the start deadline is long over, but it counts anew from the crash."""
    assert show(RUNNING, replace(UP, replicas=(replica,)), T0 + 86_400) is Status.WAITING


def test_a_replica_that_does_not_come_back_fails_at_its_deadline_counted_from_the_crash() -> None:
    end = T0 + 86_400
    seen = replace(UP, replicas=(starting(runs=2, failures=1, last_exit=Exit(at=end, signal=9)),))
    assert show(RUNNING, seen, end + DEADLINE - 1) is Status.WAITING
    assert show(RUNNING, seen, end + DEADLINE + 1) is Status.FAILED


def test_without_a_single_replica_in_sight_a_settled_service_waits() -> None:
    assert show(RUNNING, replace(UP, replicas=()), T0 + 1) is Status.WAITING


# --- failing -----------------------------------------------------------------------------------


@pytest.mark.parametrize("service", [NEW, replace(RUNNING, replicas=2)])
def test_a_permanent_hold_fails_a_service_that_serves_nobody(service: Service) -> None:
    hold = Hold("WeightsMissing", "Put a GGUF file into /models.", permanent=True)
    found = verdict(service, took_up(service, hold=hold), NOW)
    assert (found.status, found.reason, found.message) == (Status.FAILED, hold.reason, hold.message)


def test_a_replica_that_fits_nowhere_is_pending_with_what_is_missing() -> None:
    hold = Hold("InsufficientResources", "1 GPU wanted, n1 has 0", permanent=True, placement=True)
    found = verdict(NEW, took_up(NEW, hold=hold), NOW)
    assert (found.status, found.reason) == (Status.PENDING, "InsufficientResources")
    assert "1 GPU wanted" in found.message


def test_a_passing_hold_does_not_fail_a_service_however_long_it_lasts() -> None:
    hold = Hold("FetchingWeights", "downloading 26 GiB", progressing=True)
    found = verdict(NEW, took_up(NEW, hold=hold), T0 + 100 * DEADLINE)
    assert (found.status, found.reason, found.message) == (
        Status.CREATING,
        hold.reason,
        hold.message,
    )


def test_a_hold_that_does_not_progress_fails_the_service_at_its_deadline() -> None:
    hold = Hold("WeightsUnavailable", "no route to the index")
    assert show(NEW, took_up(NEW, hold=hold), T0 + DEADLINE - 1) is Status.CREATING
    found = verdict(NEW, took_up(NEW, hold=hold), T0 + DEADLINE + 1)
    assert (found.status, found.reason, found.message) == (
        Status.FAILED,
        hold.reason,
        hold.message,
    )


@pytest.mark.parametrize("change", [Change.SCALE, Change.UPDATE])
def test_a_stopped_service_that_is_changed_stays_stopped(change: Change) -> None:
    changed = replace(STOPPED, change=change, revision=STOPPED.revision + 1)
    assert show(changed, DOWN) is Status.STOPPED
    assert show(changed, took_up(STOPPED, a_replica())) is Status.STOPPING


def test_the_start_deadline_counts_from_the_launch_not_from_the_download() -> None:
    late = T0 + 10_000
    seen = took_up(NEW, starting(created=late))
    assert show(NEW, seen, late + DEADLINE - 1) is Status.WAITING
    found = verdict(NEW, seen, late + DEADLINE + 1)
    assert (found.status, found.reason) == (Status.FAILED, "StartDeadlineExceeded")
    assert "within 1 minutes" in found.message


def test_a_failed_service_turns_running_when_a_replica_comes_up_after_all() -> None:
    late = T0 + 2 * DEADLINE
    assert show(NEW, took_up(NEW, starting()), late) is Status.FAILED
    assert show(NEW, took_up(NEW, a_replica(), settled=1), late) is Status.RUNNING


def test_a_crash_loop_fails_with_the_crashs_cause_and_advice() -> None:
    assert show(NEW, took_up(NEW, crashed(HOPELESS - 1))) is Status.WAITING
    found = verdict(NEW, took_up(NEW, crashed(HOPELESS)), NOW)
    assert (found.status, found.reason) == (Status.FAILED, "OutOfMemory")
    assert "Memory ran out." in found.message


@pytest.mark.parametrize(
    ("seen", "now"),
    [
        (
            Seen(
                revision=5,
                settled=4,
                since=T0,
                failed_roll=True,
                replicas=(a_replica(), crashed(HOPELESS, rollout="2.0")),
            ),
            NOW,
        ),
        # It hangs instead of crashing: over its deadline the roll has failed just the same.
        (
            Seen(
                revision=5,
                settled=4,
                since=T0,
                replicas=(a_replica(), starting(rollout="2.0", message="Loading.")),
            ),
            T0 + DEADLINE + 1,
        ),
    ],
    ids=["crashes", "hangs"],
)
def test_a_failed_roll_is_failed_while_the_old_version_serves_on(seen: Seen, now: float) -> None:
    found = verdict(lifecycle.upgrade(RUNNING, V2, T0), seen, now)
    assert (found.status, found.reason) == (Status.FAILED, "UpdateFailed")
    assert "Version 2 did not come up" in found.message


def test_a_roll_that_waits_for_its_weights_is_updating_not_failed_and_not_running() -> None:
    seen = Seen(
        revision=5,
        settled=4,
        since=T0,
        replicas=(a_replica(),),
        hold=Hold("FetchingWeights", "...", progressing=True),
    )
    assert show(lifecycle.upgrade(RUNNING, V2, T0), seen, T0 + 10 * DEADLINE) is Status.UPDATING


def test_a_scale_up_that_comes_only_half_way_is_running_after_its_deadline() -> None:
    three = replace(RUNNING, replicas=3)
    seen = replace(UP, settled=3, replicas=(a_replica(), crashed(9)))
    assert show(three, seen) is Status.SCALING
    found = verdict(three, seen, T0 + DEADLINE + 2)
    assert (found.status, found.reason) == (Status.RUNNING, "PartlyReady")


# --- laws ----------------------------------------------------------------------------------------

words = st.text("abcXYZ ", min_size=1, max_size=8).filter(str.strip)
moments = st.floats(0, 4e9)
exits = st.builds(Exit, at=moments, code=st.none() | st.integers(0, 255), lost=st.booleans())
replicas = st.builds(
    ReplicaStatus,
    id=words,
    service=st.just(NEW.id),
    rollout=st.sampled_from(["1.0", "2.0", "2.1"]),
    state=st.sampled_from(ReplicaState),
    created=moments,
    ready_at=st.none() | moments,
    runs=st.integers(0, 3),
    failures=st.integers(0, 5),
    reason=st.just("") | words,
    message=st.just("") | words,
    last_exit=st.none() | exits,
)
#: A wanted state and the changes that lead to it.
LEGAL = [
    *((Wanted.RUNNING, change) for change in set(Change) - {Change.STOP, Change.DELETE}),
    (Wanted.STOPPED, Change.STOP),
    (Wanted.DELETED, Change.DELETE),
]
services = st.builds(
    lambda pair, **fields: a_service(wanted=pair[0], change=pair[1], **fields),
    pair=st.sampled_from(sorted(LEGAL)),
    replicas=st.integers(1, 4),
    epoch=st.integers(0, 1),
    current=st.builds(a_version, number=st.integers(1, 2)),
    revision=st.integers(1, 4),
)
sights = st.builds(
    Seen,
    revision=st.integers(0, 4),
    settled=st.integers(0, 4),
    since=moments,
    hold=st.none() | st.builds(Hold, words, words, st.booleans(), placement=st.booleans()),
    replicas=st.lists(replicas, max_size=4).map(tuple),
    failed_roll=st.booleans(),
    served=st.booleans(),
    broken=st.just("") | words,
)


@given(services, sights, moments)
def test_there_is_always_a_status_with_a_reason_and_a_message(
    service: Service, seen: Seen, now: float
) -> None:
    found = verdict(service, seen, now)
    assert found.status in Status
    assert found.reason.strip()
    assert found.message.strip()


@given(services, sights, moments)
def test_laws_that_no_look_breaks(service: Service, seen: Seen, now: float) -> None:
    status = show(service, seen, now)
    ready = any(replica.state is ReplicaState.READY for replica in seen.replicas)
    if status is Status.RUNNING:
        assert ready
        assert service.wanted is Wanted.RUNNING
        assert seen.revision >= service.revision
    if status is Status.STOPPED:
        assert service.wanted is Wanted.STOPPED
        assert not seen.replicas
    assert (status in {Status.DELETING, Status.DELETE_FAILED}) == (service.wanted is Wanted.DELETED)
    if service.wanted is Wanted.RUNNING and seen.revision < service.revision:
        assert status is UNDER_WAY[service.change]


def test_reached_wants_the_right_number_of_the_right_rollout_and_nothing_else() -> None:
    two = replace(RUNNING, replicas=2)
    pair = (a_replica(), a_replica(id="b"))
    assert reached(two, replace(UP, replicas=pair))
    assert not reached(two, replace(UP, replicas=pair[:1]))
    assert not reached(two, replace(UP, replicas=(*pair, a_replica(id="c"))))
    assert not reached(
        two, replace(UP, replicas=(*pair, a_replica(id="c", state=ReplicaState.DRAINING)))
    )
    assert not reached(two, replace(UP, replicas=(pair[0], a_replica(rollout="0.9"))))
    assert not reached(two, replace(UP, replicas=(pair[0], starting())))
    assert reached(STOPPED, DOWN)
    assert not reached(STOPPED, UP)


def test_what_a_scaler_put_to_sleep_is_running() -> None:
    asleep = lifecycle.adjust(RUNNING, 0, NOW)
    assert asleep is not None
    assert show(asleep, UP) is Status.SCALING
    leaving = took_up(asleep, a_replica(state=ReplicaState.DRAINING))
    for seen in (leaving, took_up(asleep)):
        late = verdict(asleep, seen, NOW + 10 * DEADLINE)
        assert (late.status, late.reason) == (Status.RUNNING, "ScaledToZero")
        assert "next request wakes it" in late.message
