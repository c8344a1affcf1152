"""How far a service is that somebody waits for: a word, what is measured of it, and what can be expected."""

from dataclasses import replace
from typing import Any

import pytest

from builders import T0, a_replica, a_service
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.core.services import Hold, Seen
from pierhead.core.waking import Phase, Waking, rise, waking

FOO = a_service(revision=7, replicas=2)
NOW = T0 + 10
USUAL = 30.0


def held(reason: str, **fields: Any) -> Hold:
    return Hold(reason, "Why it is so, with a path: /srv/models/secret.", **fields)


def seen(*replicas: ReplicaStatus, hold: Hold | None = None) -> Seen:
    return Seen(revision=7, since=T0, replicas=replicas, hold=hold)


def one(state: ReplicaState, **fields: Any) -> ReplicaStatus:
    return a_replica(state=state, **fields)


GOES_ON = held("FetchingWeights", progressing=True, since=T0)


@pytest.mark.parametrize(
    ("look", "phase"),
    [
        (seen(), Phase.STARTING),
        (seen(one(ReplicaState.PENDING)), Phase.STARTING),
        (seen(one(ReplicaState.STARTING)), Phase.LOADING),
        (seen(one(ReplicaState.READY)), Phase.READY),
        (seen(one(ReplicaState.CRASHED)), Phase.FAILING),
        (seen(one(ReplicaState.UNREADY)), Phase.FAILING),
        (seen(one(ReplicaState.DRAINING)), Phase.STARTING),
        (seen(hold=GOES_ON), Phase.FETCHING),
        (seen(hold=held("ReadingHeaders", progressing=True)), Phase.FETCHING),
        (seen(hold=held("ConvertingWeights", progressing=True)), Phase.CONVERTING),
        (seen(hold=held("InstallingEnvironment", progressing=True)), Phase.INSTALLING),
        (seen(hold=held("InsufficientResources", placement=True)), Phase.WAITING),
        (seen(hold=held("QuotaExceeded", progressing=True)), Phase.WAITING),
        (seen(hold=held("WeightsUnavailable")), Phase.FAILING),
        (seen(hold=held("WeightsMissing", permanent=True)), Phase.FAILING),
    ],
)
def test_what_goes_on_is_one_word(look: Seen, phase: Phase) -> None:
    found = waking(FOO, look, USUAL, NOW)
    assert (found.phase, found.replicas) == (phase, 2)


def test_a_replica_that_loads_counts_before_what_holds_the_others() -> None:
    busy = held("QuotaExceeded", progressing=True)
    assert waking(FOO, seen(one(ReplicaState.STARTING), hold=busy), 0.0, NOW).phase is Phase.LOADING


def test_one_of_an_older_rollout_that_is_ready_serves() -> None:
    older = one(ReplicaState.READY, rollout="0.9")
    assert waking(FOO, seen(older), USUAL, NOW) == Waking(Phase.READY, None, 0.0, 2)


def test_one_of_an_older_rollout_that_starts_is_not_waited_for() -> None:
    assert waking(FOO, seen(one(ReplicaState.STARTING, rollout="0.9")), USUAL, NOW).phase is (
        Phase.STARTING
    )


def test_what_is_expected_is_what_the_former_start_took() -> None:
    loading = one(ReplicaState.STARTING, started=T0)
    assert waking(FOO, seen(), USUAL, NOW).seconds == 30.0
    assert waking(FOO, seen(loading), USUAL, NOW).seconds == 20.0
    late = one(ReplicaState.STARTING, started=T0 - 1000, id="svc-one-late")
    assert waking(FOO, seen(loading, late), USUAL, NOW).seconds is None
    assert waking(FOO, seen(loading), 0.0, NOW).seconds is None


def test_bytes_are_counted_and_the_rest_is_expected_at_their_pace() -> None:
    half = replace(GOES_ON, bytes=1000, done=500)
    assert waking(FOO, seen(hold=half), USUAL, NOW) == Waking(Phase.FETCHING, 50, 40.0, 2)
    assert waking(FOO, seen(hold=half), 0.0, NOW).seconds is None
    none = replace(GOES_ON, bytes=1000)
    assert waking(FOO, seen(hold=none), USUAL, NOW) == Waking(Phase.FETCHING, 0, None, 2)
    assert waking(FOO, seen(hold=GOES_ON), USUAL, NOW).percent is None


def test_of_bytes_more_than_there_are_no_more_than_all_are_told() -> None:
    assert waking(FOO, seen(hold=replace(GOES_ON, bytes=10, done=12)), 0.0, NOW).percent == 100


def test_what_a_start_took_is_measured_at_those_that_are_ready() -> None:
    up = one(ReplicaState.READY, started=T0, ready_at=T0 + 12)
    slow = one(ReplicaState.READY, started=T0, ready_at=T0 + 14, id="svc-one-slow")
    gone = one(ReplicaState.DRAINING, started=T0, ready_at=T0 + 99, id="svc-one-gone")
    assert rise(seen(up, slow, gone)) == 14.0
    assert rise(seen(gone, one(ReplicaState.STARTING))) == 0.0
