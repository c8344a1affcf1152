"""Balance and credentials by themselves, where time and chance can be named."""

import base64
import hashlib
import hmac
from contextlib import ExitStack
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.routes import Route, RouteToken, Target, table
from pierhead.gateway.balance import Balance
from pierhead.gateway.table import index
from pierhead.gateway.tokens import credential, lock

A, B, C = (Target(name, "127.0.0.1", port) for port, name in enumerate("abc", 1))


class Time:
    def __init__(self) -> None:
        self.now = 100.0
        self.idle: list[str] = []
        self.balance = Balance(lambda: self.now, Random(1), self.idle.append)


def test_pauses_double_up_to_30_seconds_and_an_answer_resets_them() -> None:
    time = Time()
    for pause in (2, 4, 8, 16, 30, 30, 30):
        assert time.balance.failed("a", [A, B])
        assert not time.balance.failed("a", [A, B]), "failures while out do not count"
        assert time.balance.ejected == ("a",)
        time.now += pause - 0.01
        assert time.balance.pick([A, B]) == B
        time.now += 0.02
        assert time.balance.ejected == ()
    time.balance.answered("a")
    assert time.balance.failed("a", [A, B])
    time.now += 2.01
    assert time.balance.ejected == ()


def test_the_last_one_stays_in() -> None:
    time = Time()
    assert time.balance.failed("a", [A, B])
    assert not time.balance.failed("b", [A, B])
    assert not time.balance.failed("c", [C])
    assert time.balance.pick([A, B]) == B
    assert time.balance.pick([A, B], tried=["b"]) == A, "an ejected one before none"
    assert time.balance.pick([A, B], tried=["a", "b"]) is None
    time.balance.retain(["b"])
    assert time.balance.ejected == ()


def test_idle_is_told_at_the_last_end_only() -> None:
    time = Time()
    with time.balance.busy("a"):
        with time.balance.busy("a"):
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
            stack.enter_context(time.balance.busy(name))
        chosen = time.balance.pick([A, B, C])
    assert chosen is not None
    assert counts[chosen.replica] == min(counts.values())
    assert time.balance.outstanding == {}


@given(st.text(max_size=60))
def test_no_header_but_the_token_opens(value: str) -> None:
    shown = credential("GET", "/api/predict/x", {"authorization": value})
    locks = (lock(RouteToken("the-token")), lock(RouteToken("another")))
    readings = {value.strip(), value.strip()[7:].strip()}
    expected = bool(readings & {"the-token", "another"})
    assert (shown is not None and shown.opens(locks, 0.0) is not None) == expected


def test_a_token_opens_until_its_time_is_over() -> None:
    old = RouteToken("before", "mine", until=100.0)
    locks = tuple(map(lock, (RouteToken("now", "mine"), old)))
    signed = {"authorization": f"EAS {base64.b64encode(_hmac(b'before')).decode()}"}
    for headers in ({"authorization": "before"}, signed):
        shown = credential("GET", "/x", headers)
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
        shown = credential("GET", "/v1/models", {"authorization": f"Bearer {token}"})
        opened = served.opened(shown, 0.0)
        assert [served.services[service].route.name for service in opened] == names
    assert served.gates["g.one"] is served.gates["one"]
    assert served.targets("3") == ()
