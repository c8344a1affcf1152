"""Every request in every state: the next wanted state, nothing to do, or a conflict."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import T0, a_service, a_template, a_version
from pierhead.core import lifecycle
from pierhead.core.errors import Conflict, Invalid
from pierhead.core.services import Change, Service, Version, Wanted

NOW = T0 + 100
IN = {
    Wanted.RUNNING: a_service(revision=5, change=Change.UPDATE, epoch=2),
    Wanted.STOPPED: a_service(revision=5, change=Change.STOP, epoch=2, wanted=Wanted.STOPPED),
    Wanted.DELETED: a_service(revision=5, change=Change.DELETE, epoch=2, wanted=Wanted.DELETED),
}
OTHER = a_version(template=a_template(name="other"))
ASK: dict[str, Callable[[Service], Service | None]] = {
    "start": lambda service: lifecycle.start(service, NOW),
    "retry": lambda service: lifecycle.start(service, NOW, failed=True),
    "stop": lambda service: lifecycle.stop(service, NOW),
    "restart": lambda service: lifecycle.restart(service, NOW),
    "scale": lambda service: lifecycle.scale(service, 3, NOW),
    "same": lambda service: lifecycle.scale(service, service.replicas, NOW),
    "upgrade": lambda service: lifecycle.upgrade(service, OTHER, NOW),
    "grow": lambda service: lifecycle.upgrade(service, OTHER, NOW, replicas=3),
    "touch": lambda service: lifecycle.touch(service, NOW),
    "delete": lambda service: lifecycle.delete(service, NOW),
}
NOTHING, CONFLICT = None, Conflict
SECOND: dict[str, object] = {"latest": 2, "current": replace(OTHER, number=2)}
R, S, D = Wanted.RUNNING, Wanted.STOPPED, Wanted.DELETED
#: (request, state) -> (wanted, change, what else is new), nothing, or a conflict
TABLE: dict[
    tuple[str, Wanted], tuple[Wanted, Change, dict[str, object]] | type[Conflict] | None
] = {
    ("start", R): NOTHING,
    ("start", S): (R, Change.START, {}),
    ("start", D): CONFLICT,
    ("retry", R): (R, Change.START, {"epoch": 3}),
    ("retry", S): (R, Change.START, {"epoch": 3}),
    ("retry", D): CONFLICT,
    ("stop", R): (S, Change.STOP, {}),
    ("stop", S): NOTHING,
    ("stop", D): CONFLICT,
    ("restart", R): (R, Change.RESTART, {"epoch": 3}),
    ("restart", S): CONFLICT,
    ("restart", D): CONFLICT,
    ("scale", R): (R, Change.SCALE, {"replicas": 3}),
    ("scale", S): (S, Change.SCALE, {"replicas": 3}),
    ("scale", D): CONFLICT,
    ("same", R): NOTHING,
    ("same", S): NOTHING,
    ("same", D): CONFLICT,
    ("upgrade", R): (R, Change.UPDATE, SECOND),
    ("upgrade", S): (S, Change.UPDATE, SECOND),
    ("upgrade", D): CONFLICT,
    ("grow", R): (R, Change.UPDATE, {**SECOND, "replicas": 3}),
    ("grow", S): (S, Change.UPDATE, {**SECOND, "replicas": 3}),
    ("grow", D): CONFLICT,
    ("touch", R): (R, Change.UPDATE, {}),
    ("touch", S): (S, Change.UPDATE, {}),
    ("touch", D): CONFLICT,
    ("delete", R): (D, Change.DELETE, {}),
    ("delete", S): (D, Change.DELETE, {}),
    ("delete", D): NOTHING,
}


def test_the_table_is_complete() -> None:
    assert set(TABLE) == {(request, state) for request in ASK for state in Wanted}


@pytest.mark.parametrize(("request_name", "state"), TABLE)
def test_request_in_state(request_name: str, state: Wanted) -> None:
    before, expected = IN[state], TABLE[request_name, state]
    if expected is CONFLICT:
        with pytest.raises(Conflict, match=r"service \[svc_one\] is (being deleted|stopped)"):
            ASK[request_name](before)
        return
    after = ASK[request_name](before)
    if expected is None:
        assert after is None
        return
    assert isinstance(expected, tuple)
    wanted, change, new = expected
    # Everything else stays: name, token, configuration, creation time ...
    assert after == replace(before, wanted=wanted, change=change, revision=6, updated=NOW, **new)


@pytest.mark.parametrize("count", [-1, 0, 1001, 10**30])
def test_an_illegal_count_is_refused_by_field(count: int) -> None:
    with pytest.raises(Invalid, match="a whole number from 1 to 1000") as caught:
        lifecycle.replica_count(count, "metadata.instance")
    assert caught.value.field == "metadata.instance"
    with pytest.raises(Invalid):
        lifecycle.scale(IN[R], count, NOW)
    with pytest.raises(Invalid):
        lifecycle.upgrade(IN[R], OTHER, NOW, replicas=count)


@pytest.mark.parametrize("count", [1, 1000])
def test_the_ends_of_the_legal_range_are_legal(count: int) -> None:
    assert lifecycle.replica_count(count) == count


def test_a_restart_and_a_retry_run_new_replicas_but_the_same_version() -> None:
    for after in (lifecycle.restart(IN[R], NOW), lifecycle.start(IN[R], NOW, failed=True)):
        assert after is not None
        assert after.current is IN[R].current
        assert after.rollout != IN[R].rollout


def test_a_rollback_is_a_new_version_with_old_content() -> None:
    updated = lifecycle.upgrade(IN[R], OTHER, NOW)
    back = lifecycle.upgrade(updated, IN[R].current, NOW)
    assert back.current == replace(IN[R].current, number=3)
    assert back.rollout not in {IN[R].rollout, updated.rollout}


@given(st.lists(st.sampled_from(sorted(ASK)), max_size=25))
def test_any_sequence_of_requests_keeps_the_laws(requests: list[str]) -> None:
    service = a_service()
    history: dict[int, Version] = {1: service.current}
    rollouts = {service.rollout}
    for request in requests:
        try:
            after = ASK[request](service)
        except Conflict:
            assert service.wanted is not Wanted.RUNNING
            continue
        if after is None:
            continue
        assert after.revision == service.revision + 1
        assert (after.id, after.name, after.token, after.created) == (
            service.id,
            service.name,
            service.token,
            service.created,
        )
        assert service.wanted is not Wanted.DELETED, "nothing follows a delete"
        if after.latest != service.latest:
            assert after.latest == service.latest + 1
            history[after.latest] = after.current
        assert after.current.number == after.latest
        assert history[after.current.number] == after.current, "a version never changes"
        if after.rollout != service.rollout:
            assert after.rollout not in rollouts, "a rollout's name is never used twice"
            rollouts.add(after.rollout)
        assert after.wanted_replicas == (after.replicas if after.wanted is Wanted.RUNNING else 0)
        service = after
    if "delete" in requests:
        assert service.wanted is Wanted.DELETED


def test_resizing_stops_starts_and_scales_in_one_step() -> None:
    running = a_service(replicas=2)
    assert lifecycle.resize(running, 2, NOW) is None
    more = lifecycle.resize(running, 3, NOW)
    assert more is not None
    assert (more.replicas, more.change, more.revision) == (3, Change.SCALE, 2)
    stopped = lifecycle.resize(running, 0, NOW)
    assert stopped is not None
    assert (stopped.wanted, stopped.replicas) == (Wanted.STOPPED, 2)
    assert lifecycle.resize(stopped, 0, NOW) is None
    again = lifecycle.resize(stopped, 5, NOW)
    assert again is not None
    assert (again.wanted, again.replicas, again.revision) == (Wanted.RUNNING, 5, 3)
    for count in (-1, 1001):
        with pytest.raises(Invalid):
            lifecycle.resize(running, count, NOW)
    with pytest.raises(Conflict):
        lifecycle.resize(a_service(wanted=Wanted.DELETED), 0, NOW)
