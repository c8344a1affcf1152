"""The table of a replica's steps: complete, closed, and with one way out."""

import itertools

import pytest

from pierhead.core.replicas import (
    LEAVING,
    STEPS,
    Exit,
    IllegalStep,
    ReplicaState,
    ReplicaStatus,
    step,
)

S = ReplicaState


def reachable(start: S) -> set[S]:
    found = {start}
    while new := {after for state in found for after in STEPS[state]} - found:
        found |= new
    return found


def test_every_state_has_a_row() -> None:
    assert set(STEPS) == set(S)


@pytest.mark.parametrize("state", [s for s in S if s is not S.STOPPED])
def test_every_state_can_come_to_its_end(state: S) -> None:
    assert S.STOPPED in reachable(state)


def test_every_state_can_be_reached_from_the_first() -> None:
    assert reachable(S.PENDING) == set(S)


@pytest.mark.parametrize("state", sorted(LEAVING))
def test_whoever_leaves_never_comes_back(state: S) -> None:
    assert reachable(state) <= LEAVING


@pytest.mark.parametrize(("old", "new"), list(itertools.product(S, S)))
def test_step_follows_the_table(old: S, new: S) -> None:
    if new is old or new in STEPS[old]:
        assert step(old, new) is new
    else:
        with pytest.raises(IllegalStep, match=f"{old} -> {new}"):
            step(old, new)


def test_only_a_started_replica_becomes_ready() -> None:
    assert {old for old in S if S.READY in STEPS[old]} == {S.STARTING, S.UNREADY}


@pytest.mark.parametrize(
    ("end", "text"),
    [
        (Exit(1.0, code=3), "exit code 3"),
        (Exit(1.0, signal=11), "killed by signal 11"),
        (Exit(1.0, signal=9, oom=True), "killed: out of memory"),
        (Exit(1.0, lost=True), "ended unseen"),
    ],
)
def test_an_end_in_words(end: Exit, text: str) -> None:
    assert str(end) == text


def test_no_address_before_there_is_a_port() -> None:
    status = ReplicaStatus("a", "s", "1.0", S.PENDING, 0.0, host="127.0.0.1")
    assert status.address == ""
