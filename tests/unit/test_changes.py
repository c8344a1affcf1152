"""What is written down between two looks at a service: each step once, in words that help."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import T0, a_replica, a_service, a_template, a_version
from pierhead.core.events import PLATFORM, Event
from pierhead.core.replicas import Exit, ReplicaState, ReplicaStatus
from pierhead.core.services import UNSEEN, Change, Hold, Seen, Service, Wanted
from pierhead.reconciler.changes import events
from pierhead.reconciler.service import looked

NOW = T0 + 5


def look(*replicas: ReplicaStatus, **fields: object) -> Seen:
    """Revision 1 as seen, settled unless said otherwise."""
    usual: dict[str, object] = {"revision": 1, "settled": 1, "since": T0}
    return Seen(replicas=replicas, **(usual | fields))  # pyright: ignore[reportArgumentType]


def noted(before: Seen, after: Seen, service: Service | None = None) -> list[tuple[str, str]]:
    """(type, reason) of each event."""
    found = events(service or a_service(), before, after, NOW)
    return [(event.type, event.reason) for event in found]


def only(before: Seen, after: Seen, service: Service | None = None) -> Event:
    (event,) = events(service or a_service(), before, after, NOW)
    return event


STARTING = a_replica(state=ReplicaState.STARTING, started=T0)
READY = a_replica(started=T0, ready_at=T0 + 1.5)


def test_nothing_changed_is_nothing_told() -> None:
    for seen in (UNSEEN, look(READY), look(STARTING, settled=0)):
        assert noted(seen, seen) == []


def test_a_launch_tells_address_process_run_and_limits() -> None:
    event = only(
        look(settled=0), look(replace(STARTING, limits="cgroup: memory 1.0 GiB"), settled=0)
    )
    assert (event.reason, event.type) == ("ReplicaStarting", "Normal")
    assert event.message == (
        "Replica svc-one-aaaaaaaa was launched (run 1) at 127.0.0.1:40001, process 4242."
        " Limits: cgroup: memory 1.0 GiB."
    )
    assert (event.at, event.actor, event.replica) == (NOW, PLATFORM, READY.id)
    assert (event.service, event.name) == (a_service().id, "svc_one")


def test_the_first_ready_replica_makes_the_service_running() -> None:
    found = events(a_service(), look(STARTING, settled=0), look(READY), NOW)
    assert [(event.reason, event.message) for event in found] == [
        ("ReplicaReady", "Replica svc-one-aaaaaaaa is ready after 1.5 s."),
        ("Running", "Service is now running."),
    ]


def test_a_crash_is_a_warning_with_the_diagnosis() -> None:
    crashed = replace(
        READY,
        state=ReplicaState.CRASHED,
        failures=1,
        reason="CommandNotFound",
        message="The command does not exist.",
        last_exit=Exit(at=NOW, code=127),
    )
    event = only(look(READY), look(crashed))
    assert (event.type, event.reason, event.message) == (
        "Warning",
        "CommandNotFound",
        "Replica svc-one-aaaaaaaa: The command does not exist.",
    )


def test_a_crash_without_a_word_still_says_how_it_ended() -> None:
    crashed = replace(READY, state=ReplicaState.CRASHED, last_exit=Exit(at=NOW, code=3))
    found = events(a_service(), look(READY), look(crashed), NOW)
    assert (found[0].reason, found[0].message) == ("Crashed", f"Replica {READY.id}: exit code 3")


def test_a_rerun_that_was_missed_in_between_is_told_by_its_number() -> None:
    """STARTING -> (CRASHED, unseen) -> STARTING looks the same but for the count of runs."""
    event = only(look(STARTING, settled=0), look(replace(STARTING, runs=2), settled=0))
    assert event.reason == "ReplicaStarting"
    assert "(run 2)" in event.message


def test_a_crash_between_two_looks_is_told_although_the_next_run_has_begun() -> None:
    """A hub that was down, or busy, sees only the new run; the end it missed is in the facts."""
    again = replace(STARTING, runs=2, failures=1, last_exit=Exit(at=NOW, signal=9))
    found = events(a_service(), look(READY), look(again), NOW)
    assert [(event.type, event.reason) for event in found] == [
        ("Warning", "Killed"),
        ("Normal", "ReplicaStarting"),
    ]
    known = replace(READY, state=ReplicaState.CRASHED, failures=1, last_exit=Exit(at=NOW, signal=9))
    assert noted(look(known), look(again)) == [("Normal", "ReplicaStarting")]


def test_an_end_with_the_platform_is_no_crash() -> None:
    again = replace(STARTING, runs=2, failures=0, last_exit=Exit(at=NOW, signal=15))
    assert noted(look(READY), look(again)) == [("Normal", "ReplicaStarting")]


@pytest.mark.parametrize(
    ("state", "type_", "reason"),
    [
        (ReplicaState.UNREADY, "Warning", "NotReady"),
        (ReplicaState.DRAINING, "Normal", "ReplicaDraining"),
        (ReplicaState.STOPPING, "Normal", "ReplicaStopping"),
    ],
)
def test_other_steps(state: ReplicaState, type_: str, reason: str) -> None:
    assert (type_, reason) in noted(look(READY), look(replace(READY, state=state)))


@pytest.mark.parametrize("state", [ReplicaState.PENDING, ReplicaState.STOPPED])
def test_steps_that_are_told_by_others(state: ReplicaState) -> None:
    """An intent is told by its launch, an end by the removal."""
    replica = a_replica(state=state, ready_at=None)
    assert noted(look(settled=0), look(replica, settled=0)) == []


def test_a_replica_that_is_gone_is_told() -> None:
    gone = replace(READY, id="svc-one-bbbbbbbb")
    event = only(look(READY, gone), look(READY))
    assert (event.reason, event.replica) == ("ReplicaRemoved", gone.id)


# ---- holds --------------------------------------------------------------------------------

FETCHING = Hold("FetchingWeights", "downloading: 1 of 9 MiB")


def test_a_hold_is_told_once_however_often_its_words_change() -> None:
    event = only(UNSEEN, look(settled=0, hold=FETCHING))
    assert (event.type, event.reason, event.message) == (
        "Normal",
        "FetchingWeights",
        "downloading: 1 of 9 MiB",
    )
    later = replace(FETCHING, message="downloading: 5 of 9 MiB", progressing=True)
    assert noted(look(settled=0, hold=FETCHING), look(settled=0, hold=later)) == []


def test_a_hold_that_comes_to_another_stage_is_told_once_more() -> None:
    sized = replace(FETCHING, message="downloading: 0 of 9 MiB", stage="sized")
    event = only(look(settled=0, hold=FETCHING), look(settled=0, hold=sized))
    assert (event.type, event.reason, event.message) == (
        "Normal",
        "FetchingWeights",
        "downloading: 0 of 9 MiB",
    )
    later = replace(sized, message="downloading: 5 of 9 MiB")
    assert noted(look(settled=0, hold=sized), look(settled=0, hold=later)) == []


def test_a_hold_that_ended_is_told() -> None:
    event = only(look(settled=0, hold=FETCHING), look(settled=0))
    assert (event.reason, event.message) == ("HoldEnded", "No longer held by FetchingWeights.")


def test_a_hold_ends_before_the_launch_that_it_held() -> None:
    assert noted(look(settled=0, hold=FETCHING), look(STARTING, settled=0)) == [
        ("Normal", "HoldEnded"),
        ("Normal", "ReplicaStarting"),
    ]


def test_an_outside_part_that_does_not_answer_is_a_warning() -> None:
    hold = Hold("WeightsUnavailable", "no answer from the index")
    assert noted(look(settled=0, hold=FETCHING), look(settled=0, hold=hold)) == [
        ("Warning", "WeightsUnavailable")
    ]


def test_a_permanent_hold_of_a_new_service_is_told_as_its_failure() -> None:
    hold = Hold("WeightsMissing", "Put a GGUF file there.", permanent=True)
    event = only(UNSEEN, look(settled=0, hold=hold))
    assert (event.type, event.reason, event.message) == (
        "Warning",
        "WeightsMissing",
        "Put a GGUF file there.",
    )


# ---- the service as a whole ---------------------------------------------------------------


def test_a_failed_roll_is_told_once() -> None:
    service = a_service(
        change=Change.UPDATE, revision=2, current=a_version(number=2, template=a_template())
    )
    crash = a_replica(
        id="svc-one-cccccccc",
        rollout="2.0",
        state=ReplicaState.CRASHED,
        failures=2,
        reason="Crashed",
        ready_at=None,
    )
    before = look(READY, crash, revision=2)
    after = look(READY, replace(crash, failures=3), revision=2, failed_roll=True)
    assert noted(before, after, service) == [("Warning", "UpdateFailed")]
    assert noted(after, replace(after, since=T0 + 1), service) == []


def test_a_deadline_that_passed_since_the_last_look_is_told_although_nothing_else_changed() -> None:
    """Law: no state outlives its deadline in silence (F10)."""
    starting, deadline = look(STARTING, settled=0), a_template().start_deadline
    late = T0 + deadline + 1
    found = events(a_service(), starting, starting, late, last=late - 2)
    assert [(event.type, event.reason) for event in found] == [("Warning", "StartDeadlineExceeded")]
    assert events(a_service(), starting, starting, late + 2, last=late) == []


def test_stopped_is_told_when_the_last_replica_is_gone() -> None:
    service = a_service(wanted=Wanted.STOPPED, change=Change.STOP, revision=2)
    stopping = replace(READY, state=ReplicaState.STOPPING)
    before, after = look(stopping, revision=2), look(revision=2, settled=2)
    assert noted(before, after, service) == [("Normal", "ReplicaRemoved"), ("Normal", "Stopped")]


def test_a_service_that_stays_running_is_not_told_anew() -> None:
    second = replace(READY, id="svc-one-bbbbbbbb")
    assert noted(look(READY), look(READY, second), a_service(replicas=2)) == [
        ("Normal", "ReplicaReady")
    ]


_STATES = st.sampled_from(list(ReplicaState))


@given(
    before=st.dictionaries(st.sampled_from("abc"), _STATES),
    after=st.dictionaries(st.sampled_from("abc"), _STATES),
)
def test_each_replica_is_told_at_most_once_and_never_when_it_is_as_it_was(
    before: dict[str, ReplicaState], after: dict[str, ReplicaState]
) -> None:
    def seen(states: dict[str, ReplicaState]) -> Seen:
        return look(*(a_replica(id=name, state=state) for name, state in states.items()))

    told = [event.replica for event in events(a_service(), seen(before), seen(after), NOW)]
    named = [replica for replica in told if replica]
    assert len(named) == len(set(named))
    assert not {name for name in named if before.get(name) == after.get(name)}
    assert {name for name in before if name not in after} <= set(named)


def test_a_hold_that_lasts_too_long_is_told_once() -> None:
    hold = Hold("ReadingHeaders", "They are being read.", progressing=True, since=NOW)
    seen = Seen(revision=a_service().revision, since=NOW, hold=hold)
    soon, late = NOW + 50, NOW + 70
    assert events(a_service(), seen, seen, soon, last=NOW + 40) == []
    (told,) = events(a_service(), seen, seen, late, last=soon)
    assert (told.type, told.reason) == ("Warning", "HeadersOverdue")
    assert events(a_service(), seen, seen, late + 30, last=late) == []


def test_a_hold_keeps_the_time_of_its_beginning_while_its_reason_stays() -> None:
    first = looked(a_service(), Seen(), (), Hold("FetchingWeights", "1 %"), NOW)
    assert first.hold is not None
    assert first.hold.since == NOW
    second = looked(a_service(), first, (), Hold("FetchingWeights", "2 %"), NOW + 9)
    assert second.hold is not None
    assert second.hold.since == NOW
    third = looked(a_service(), second, (), Hold("StorageHangs", "no answer"), NOW + 20)
    assert third.hold is not None
    assert third.hold.since == NOW + 20
    assert looked(a_service(), third, (), None, NOW + 30).hold is None
