"""Balance and credentials by themselves, where time and chance can be named."""

import base64
import hashlib
import hmac
from contextlib import ExitStack
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.routes import Route, RouteToken, Target, table
from pierhead.gateway.balance import ERRORS, Balance, Failure
from pierhead.gateway.table import index
from pierhead.gateway.tokens import credential, lock

A, B, C, D, E = (Target(name, "127.0.0.1", port) for port, name in enumerate("abcde", 1))


class Time:
    def __init__(self) -> None:
        self.now = 100.0
        self.idle: list[str] = []
        self.balance = Balance(lambda: self.now, Random(1), self.idle.append)

    def fail(self, target: Target, *targets: Target, why: Failure = Failure.REFUSED) -> bool:
        """One attempt that fails; whether it put the replica out."""
        with self.balance.attempt(target) as attempt:
            return attempt.failed(why, targets)

    def answer(self, target: Target, *targets: Target, status: int = 200) -> bool:
        """One whole answer; whether it put the replica out."""
        with self.balance.attempt(target) as attempt:
            out = attempt.answered(status, targets)
            attempt.flows(self.now)
            attempt.whole()
            return out

    @property
    def out(self) -> set[str]:
        return set(self.balance.ejected)


def test_pauses_double_up_to_30_seconds_and_a_whole_answer_resets_them() -> None:
    time = Time()
    for pause in (2, 4, 8, 16, 30, 30, 30):
        assert time.fail(A, A, B)
        assert not time.fail(A, A, B), "failures during the pause do not prolong it"
        assert time.out == {"a"}
        time.now += pause - 0.01
        assert time.balance.pick([A, B]) == B
        time.now += 0.02
        assert time.balance.pick([A, B]) == A, "its pause is over: it needs a trial"
    assert not time.answer(A, A, B)
    assert time.out == set()
    assert time.fail(A, A, B)
    time.now += 2.01
    assert time.balance.pick([A, B]) == A


def test_one_trial_at_a_time_and_its_answer_brings_the_replica_back() -> None:
    time = Time()
    time.fail(A, A, B)
    time.now += 2.01
    with time.balance.attempt(A) as trial:
        assert {time.balance.pick([A, B]) for _ in range(20)} == {B}
        trial.answered(200, [A, B])
        assert {time.balance.pick([A, B]) for _ in range(20)} == {B}, "a head alone is no answer"
        trial.flows(time.now)
        assert time.out == set()
        with time.balance.attempt(B):
            assert {time.balance.pick([A, B]) for _ in range(20)} == {A, B}
    time.fail(A, A, B)  # in the middle of an answer: its failures were not forgotten
    time.now += 2.01
    assert time.balance.pick([A, B]) == B
    time.now += 2.0
    assert time.balance.pick([A, B]) == A


def test_a_trial_that_says_nothing_makes_room_for_the_next() -> None:
    time = Time()
    time.fail(A, A, B)
    time.now += 2.01
    with time.balance.attempt(A):
        pass  # its client left
    assert time.out == {"a"}
    assert time.balance.pick([A, B]) == A


def test_a_request_makes_one_trial_at_most() -> None:
    targets = [A, B, C, D]
    time = Time()
    time.fail(A, *targets)
    time.fail(B, *targets)
    time.now += 2.01
    assert time.balance.pick(targets) in {A, B}
    assert time.balance.pick(targets, tried=["a"]) in {C, D}
    assert time.balance.pick(targets, tried=["a", "c", "d"]) == B


def test_never_more_than_half_are_out_and_one_stays() -> None:
    time = Time()
    targets = [A, B, C, D, E]
    assert [time.fail(target, *targets) for target in targets] == [True, True, False, False, False]
    assert time.balance.pick(targets, tried=["c", "d", "e"]) in {A, B}, (
        "one that is out before none"
    )
    alone = Time()
    assert not alone.fail(A, A)
    assert alone.fail(A, A, B)
    assert not alone.fail(B, A, B)
    assert not alone.fail(C, A, B), "it is none of them any more"
    alone.balance.forget(["a", "c"])
    assert alone.out == set()


def test_what_began_before_the_ejection_tells_nothing() -> None:
    time = Time()
    with time.balance.attempt(A) as old, time.balance.attempt(A) as late:
        old.answered(200, [A, B])
        time.now += 1
        time.fail(A, A, B)
        old.flows(time.now)
        old.whole()
        assert time.out == {"a"}
        time.now += 2.01
        assert not late.failed(Failure.SILENT, [A, B])
    assert time.balance.pick([A, B]) == A, "its trial is not put off"


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_five_faults_in_a_row_are_one_too_many(status: int) -> None:
    time = Time()
    for good in (200, 404, 429, 501):
        assert not any(time.answer(A, A, B, status=status) for _ in range(4))
        assert not time.answer(A, A, B, status=good)
    assert [time.answer(A, A, B, status=status) for _ in range(5)] == [False] * 4 + [True]
    assert time.balance.ejected == {"a": Failure.ERRORS}
    time.now += 2.01
    assert time.answer(A, A, B, status=status), "the trial"
    time.now += 2.01
    assert time.balance.pick([A, B]) == B
    time.now += 2.0
    assert not time.answer(A, A, B)
    assert time.out == set()


def test_faults_that_all_have_are_not_one_replicas() -> None:
    """A model that cannot do it, a request that breaks it, too much load: it moves nothing."""
    time = Time()
    for _ in range(50):
        assert not time.answer(A, A, B, status=500)
        assert not time.answer(B, A, B, status=500)
    assert not time.answer(B, A, B)
    assert time.answer(A, A, B, status=500), "now one is better"


def test_a_time_out_beside_other_answers_is_a_long_request() -> None:
    time = Time()
    with time.balance.attempt(A) as long:
        time.now += 5
        time.answer(A, A, B)
        time.now += 5
        assert not long.timed_out([A, B])
    with time.balance.attempt(A) as mute:
        time.now += 5
        assert mute.timed_out([A, B])
    assert time.balance.ejected == {"a": Failure.SILENT}
    time.now += 2.01
    with time.balance.attempt(A) as trial:
        assert trial.wakes


def test_time_outs_of_one_that_answers_a_knock_put_it_out_when_they_are_many() -> None:
    time = Time()

    def late(target: Target) -> bool:
        with time.balance.attempt(target) as attempt:
            time.now += 5
            attempt.awake = True
            return attempt.timed_out([A, B])

    assert not any(late(A) for _ in range(ERRORS - 1))
    time.answer(A, A, B)
    assert not any(late(each) for _ in range(2 * ERRORS) for each in (A, B)), "the load"
    time.answer(B, A, B)
    assert late(A)
    assert time.balance.ejected == {"a": Failure.LATE}


def test_idle_is_told_at_the_last_end_only() -> None:
    time = Time()
    with time.balance.attempt(A):
        with time.balance.attempt(A):
            assert time.balance.outstanding == {"a": 2}
        assert time.idle == []
    assert time.idle == ["a"]
    assert time.balance.outstanding == {}


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_the_pick_is_always_among_the_least_busy(busy: list[str]) -> None:
    time = Time()
    counts = {name: busy.count(name) for name in "abc"}
    with ExitStack() as stack:
        for name in busy:
            stack.enter_context(time.balance.attempt({"a": A, "b": B, "c": C}[name]))
        chosen = time.balance.pick([A, B, C])
    assert chosen is not None
    assert counts[chosen.replica] == min(counts.values())
    assert time.balance.outstanding == {}


@given(st.text(st.characters(max_codepoint=255), max_size=60))
def test_no_header_but_the_token_opens(value: str) -> None:
    shown = credential("GET", b"/api/predict/x", {b"authorization": value.encode("latin-1")})
    locks = (lock(RouteToken("the-token")), lock(RouteToken("another")))
    readings = {value.strip(), value.strip()[7:].strip()}
    expected = bool(readings & {"the-token", "another"})
    assert (shown is not None and shown.opens(locks, 0.0) is not None) == expected


def test_a_token_opens_until_its_time_is_over() -> None:
    old = RouteToken("before", "mine", until=100.0)
    locks = tuple(map(lock, (RouteToken("now", "mine"), old)))
    signed = {b"authorization": b"EAS " + base64.b64encode(_hmac(b"before"))}
    for headers in ({b"authorization": b"before"}, signed):
        shown = credential("GET", b"/x", headers)
        assert shown is not None
        assert shown.opens(locks, 99.999) is old
        assert shown.opens(locks, 100.0) is None


def _hmac(key: bytes) -> bytes:
    return hmac.new(key, b"GET\n\napplication/octet-stream\n\n/x", hashlib.sha1).digest()


def test_an_index_finds_what_a_token_opens() -> None:
    routes = [
        Route("1", "one", aliases=("g.one",), tokens=(RouteToken("t1"), RouteToken("both"))),
        Route("2", "two", tokens=(RouteToken("t2"), RouteToken("both"), RouteToken(""))),
    ]
    served = index(table(1, routes))
    for token, names in (("t1", ["one"]), ("both", ["one", "two"]), ("", []), ("x", [])):
        shown = credential("GET", b"/v1/models", {b"authorization": f"Bearer {token}".encode()})
        opened = served.opened(shown, 0.0)
        assert [served.services[service].route.name for service in opened] == names
    assert served.gates["g.one"] is served.gates["one"]
    assert served.targets("3") == ()
