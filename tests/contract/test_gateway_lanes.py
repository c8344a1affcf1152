"""The fair queue by itself, where time can be named: its laws under any order of events, and its choices."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from contract.gateway_harness import route
from pierhead.core.endpoint_tokens import Limits
from pierhead.core.routes import RouteToken, Target
from pierhead.gateway.bounds import Bounds, Rejection, Way, Why
from pierhead.gateway.fair_queue import FREE, Place
from pierhead.gateway.lanes import Lanes, bounds_of
from pierhead.gateway.rates import Rates

SECONDS = 60.0


@dataclass
class Timers:
    """A loop's clock and timers, by hand."""

    now: float = 1000.0
    set: list[tuple[float, Callable[[], None]]] = field(default_factory=list[Any])

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> "Handle":
        entry = when, callback
        self.set.append(entry)
        return Handle(self, entry)

    def advance(self, seconds: float) -> None:
        """Every timer comes at its moment."""
        end = self.now + seconds
        while due := [entry for entry in self.set if entry[0] <= end]:
            first = min(due, key=lambda entry: entry[0])
            self.set.remove(first)
            self.now = max(self.now, first[0])
            first[1]()
        self.now = end


@dataclass
class Handle:
    timers: Timers
    entry: tuple[float, Callable[[], None]]

    def cancel(self) -> None:
        if self.entry in self.timers.set:
            self.timers.set.remove(self.entry)


@dataclass(eq=False)
class Request:
    """What a request saw: `went`, `refused`, or `left` when it was given up by itself."""

    token: str
    entered: float
    ends: list[str] = field(default_factory=list[str])
    place: Place | None = None
    rejection: Rejection | None = None
    after: int = 0  #: goes of others since it entered
    ahead: int = 0  #: of its own token when it entered
    is_entering: bool = True

    @property
    def state(self) -> str:
        return self.ends[-1] if self.ends else "waits"


class Stage:
    """Requests at one service or several."""

    def __init__(self) -> None:
        self.timers = Timers()
        self.lanes = Lanes(self.timers.time, self.timers.call_at)
        self.requests: list[Request] = []
        self.order: list[Request] = []  #: as they went

    def ask(self, token: str, bounds: Bounds, service: str = "s", way: Way = Way.USUAL) -> Request:
        """One request enters; whatever becomes of it is noted in it."""
        one = Request(token, self.timers.now)
        one.ahead = sum(x.token == token for x in self.waiting)
        self.requests.append(one)

        def go() -> None:
            assert not one.is_entering, "told before `enter` returned"
            self._went(one)

        def refused(rejection: Rejection) -> None:
            assert not one.is_entering, "told before `enter` returned"
            one.ends.append("refused")
            one.rejection = rejection

        entered = self.lanes.enter(service, token, bounds, go, refused, way)
        one.is_entering = False
        if isinstance(entered, Rejection):
            refused(entered)
            return one
        one.place = entered
        if not entered.waits:
            self._went(one)
        return one

    def end(self, one: Request) -> None:
        """It ends, or its client leaves."""
        assert one.place is not None
        if one.state == "waits":
            one.ends.append("left")
        else:
            one.ends.append("over")
        one.place.leave()

    def _went(self, one: Request) -> None:
        one.ends.append("went")
        self.order.append(one)
        for other in self.waiting:
            other.after += other.token != one.token

    @property
    def waiting(self) -> list[Request]:
        return [one for one in self.requests if one.state == "waits" and not one.is_entering]

    @property
    def working(self) -> list[Request]:
        return [one for one in self.requests if one.state == "went"]


# ---- its laws, whatever happens -----------------------------------------------------------------

TOKENS = ["a", "b", "c", "d"]


class AnyOrder(RuleBasedStateMachine):
    """Requests of four tokens enter, end, leave and wait too long; bounds change under them."""

    def __init__(self) -> None:
        super().__init__()
        self.stage = Stage()
        self.slots: int | None = 1
        self.queue = 1
        self.limits: dict[str, int | None] = dict.fromkeys(TOKENS)
        self.most = 0  #: slots since the last time that all of them were free
        self.stage_bounds: dict[str, Bounds] = {}

    @initialize(
        slots=st.none() | st.integers(1, 4),
        queue=st.integers(0, 6),
        limits=st.lists(st.none() | st.integers(1, 3), min_size=4, max_size=4),
    )
    def begin(self, slots: int | None, queue: int, limits: list[int | None]) -> None:
        self.slots, self.queue = slots, queue
        self.limits = dict(zip(TOKENS, limits, strict=True))
        self._bind()

    def _bind(self) -> None:
        self.stage_bounds = {
            token: Bounds(self.slots, self.queue, SECONDS, self.limits[token]) for token in TOKENS
        }

    @rule(token=st.sampled_from(TOKENS))
    def enter(self, token: str) -> None:
        waiting, working = self.stage.waiting, self.stage.working
        one = self.stage.ask(token, self.stage_bounds[token])
        own = sum(x.token == token and x.place is not FREE for x in working)
        limit = self.limits[token]
        room = self.slots is None or self._counted(working) < self.slots
        if room and (limit is None or own < limit):
            assert one.state == "went", "a slot lay idle"
        elif len(waiting) < self.queue:
            assert one.state == "waits"
        else:
            assert len(self.stage.waiting) <= len(waiting), "more wait than there are places"
        if one.state == "refused" and self.queue:
            mine = sum(x.token == token for x in waiting)
            others = [sum(x.token == t for x in waiting) for t in TOKENS]
            assert max(others) <= mine + 1, "one with more than its share kept its places"

    @precondition(lambda self: self.stage.working)
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        self.stage.end(data.draw(st.sampled_from(self.stage.working)))

    @precondition(lambda self: self.stage.waiting)
    @rule(data=st.data())
    def give_up(self, data: st.DataObject) -> None:
        self.stage.end(data.draw(st.sampled_from(self.stage.waiting)))

    @precondition(lambda self: self.stage.requests)
    @rule(data=st.data())
    def leave_again(self, data: st.DataObject) -> None:
        """Of one that is over it does nothing."""
        over = [one for one in self.stage.requests if one.state in {"over", "left", "refused"}]
        if over and (one := data.draw(st.sampled_from(over))).place is not None:
            one.place.leave()

    @rule(seconds=st.sampled_from([0.5, 10.0, 59.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.stage.timers.advance(seconds)

    @rule(
        slots=st.none() | st.integers(0, 4),
        queue=st.integers(0, 6),
        limits=st.lists(st.none() | st.integers(1, 3), min_size=4, max_size=4),
    )
    def change(self, slots: int | None, queue: int, limits: list[int | None]) -> None:
        """A table comes."""
        before = self._counted(self.stage.working)
        self.slots, self.queue = slots, queue
        self.limits = dict(zip(TOKENS, limits, strict=True))
        self._bind()
        self.most = max(before, slots or 0)
        self.stage.lanes.changed("s", self.stage_bounds, frozenset())

    def _counted(self, working: list[Request]) -> int:
        return sum(one.place is not FREE for one in working)

    @invariant()
    def never_more_at_work_than_slots(self) -> None:
        counted = self._counted(self.stage.working)
        assert self.stage.lanes.working.get("s", 0) == counted
        if self.slots is not None:
            self.most = max(self.slots, min(self.most, counted))
            assert counted <= self.most

    @invariant()
    def no_slot_is_idle_while_one_waits_that_may_go(self) -> None:
        working = self.stage.working
        if self.slots is None or self._counted(working) < self.slots:
            for token in {one.token for one in self.stage.waiting}:
                limit = self.limits[token]
                own = sum(x.token == token and x.place is not FREE for x in working)
                assert limit is not None and own >= limit

    @invariant()
    def first_come_first_served_within_a_token(self) -> None:
        waiting = self.stage.waiting
        for token in TOKENS:
            mine = [self.stage.requests.index(x) for x in waiting if x.token == token]
            gone = [self.stage.requests.index(x) for x in self.stage.order if x.token == token]
            assert gone == sorted(gone)
            assert not mine or not gone or gone[-1] < mine[0]

    @invariant()
    def nobody_waits_longer_than_one_may(self) -> None:
        assert self.stage.lanes.waiting.get("s", 0) == len(self.stage.waiting)
        for one in self.stage.waiting:
            assert self.stage.timers.now - one.entered <= SECONDS

    @invariant()
    def each_ends_once(self) -> None:
        for one in self.stage.requests:
            assert one.ends in ([], ["refused"], ["left"], ["went"], ["went", "over"])

    def teardown(self) -> None:
        """Nothing is left when all have ended."""
        for one in [*self.stage.waiting, *self.stage.working]:
            if one.state in {"waits", "went"}:
                self.stage.end(one)
        while self.stage.working:
            self.stage.end(self.stage.working[0])
        assert (self.stage.lanes.waiting, self.stage.lanes.working) == ({}, {})
        self.stage.timers.advance(2 * SECONDS)
        assert self.stage.timers.set == [], "no timer is left behind"


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)


@settings(max_examples=60, deadline=None)
@given(
    flood=st.integers(1, 40),
    slots=st.integers(1, 4),
    asked=st.lists(st.sampled_from(TOKENS), min_size=1, max_size=25),
)
def test_no_token_starves(flood: int, slots: int, asked: list[str]) -> None:
    """Before a request's own turn each other token goes at most once for each place ahead of it."""
    stage, bounds = Stage(), Bounds(slots, 1000, SECONDS)
    for _ in range(slots + flood):
        stage.ask("flood", bounds)
    for token in asked:
        stage.ask(token, bounds)
        stage.ask("flood", bounds)
    while stage.working:
        stage.end(stage.working[0])
    others = len(set(asked))  # of 'flood' and these, all but its own
    for one in stage.requests:
        assert one.state == "over"
        assert one.after <= (one.ahead + 1) * others


# ---- its choices --------------------------------------------------------------------------------


def names(requests: list[Request]) -> str:
    return " ".join(one.token for one in requests)


def test_lanes_take_turns() -> None:
    stage, bounds = Stage(), Bounds(1, 64, SECONDS)
    for token in "aaaaabbc":
        stage.ask(token, bounds)
    while stage.working:
        stage.end(stage.working[0])
    assert names(stage.order) == "a a b c a b a a"


def test_a_token_at_its_own_limit_is_passed_over() -> None:
    stage = Stage()
    one, free = Bounds(2, 64, SECONDS, 1), Bounds(2, 64, SECONDS)
    first, waits, other = stage.ask("a", one), stage.ask("a", one), stage.ask("b", free)
    assert (first.state, waits.state, other.state) == ("went", "waits", "went")
    late = stage.ask("b", free)
    stage.end(other)
    assert (waits.state, late.state) == ("waits", "went"), "its own limit keeps it, no other's"
    stage.end(first)
    assert waits.state == "went"


def test_a_tokens_limit_holds_where_the_service_has_none() -> None:
    stage, one = Stage(), Bounds(None, 64, SECONDS, 1)
    first, second = stage.ask("a", one), stage.ask("a", one)
    assert stage.ask("b", Bounds()).place is FREE
    assert second.state == "waits"
    stage.end(first)
    assert second.state == "went"


def test_a_full_queue_gives_each_token_its_share() -> None:
    """The longest lane's newest makes way for a token that has fewer, until they have as many."""
    stage, bounds = Stage(), Bounds(1, 4, SECONDS)
    stage.ask("a", bounds)
    flood = [stage.ask("a", bounds) for _ in range(4)]
    assert stage.ask("a", bounds).state == "refused", (
        "its own newest is the one that comes too late"
    )
    others = [stage.ask("b", bounds) for _ in range(3)]
    assert [one.state for one in others] == ["waits", "waits", "refused"]
    assert [one.state for one in flood] == ["waits", "waits", "refused", "refused"]
    rejection = flood[3].rejection
    assert rejection is not None
    assert (rejection.why, rejection.value) == (Why.FULL, 4)


def test_nobody_gives_way_to_one_that_would_have_as_much() -> None:
    stage, bounds = Stage(), Bounds(1, 1, SECONDS)
    stage.ask("a", bounds)
    waits = stage.ask("a", bounds)
    assert stage.ask("b", bounds).state == "refused"
    assert waits.state == "waits"


def test_without_waiting_places_it_is_refused_at_once() -> None:
    stage = Stage()
    stage.ask("a", Bounds(1, 0, SECONDS))
    full = stage.ask("b", Bounds(1, 0, SECONDS)).rejection
    own = stage.ask("a", Bounds(9, 0, SECONDS, 1)).rejection
    assert full is not None and own is not None
    assert (full.why, own.why) == (Why.FULL, Why.CONCURRENCY)


def test_whose_time_is_over_is_refused_and_told_why() -> None:
    stage = Stage()
    stage.ask("a", Bounds(1, 64, 5.0, 1))
    mine = stage.ask("a", Bounds(1, 64, 5.0, 1))
    stage.timers.advance(2.0)
    later = stage.ask("b", Bounds(1, 64, 5.0))
    stage.timers.advance(2.99)
    assert (mine.state, later.state) == ("waits", "waits")
    stage.timers.advance(0.02)
    assert (mine.state, later.state) == ("refused", "waits")
    stage.timers.advance(2.0)
    assert mine.rejection is not None and later.rejection is not None
    assert (mine.rejection.why, mine.rejection.value) == (Why.CONCURRENCY, 1)
    assert (later.rejection.why, later.rejection.value) == (Why.LATE, 5.0)
    assert stage.timers.set == []


def test_the_wait_that_is_told_follows_from_how_long_requests_take() -> None:
    stage, bounds = Stage(), Bounds(2, 3, SECONDS)
    stage.end(stage.ask("a", bounds))
    long, _ = stage.ask("a", bounds), stage.ask("a", bounds)
    stage.timers.advance(10.0)
    stage.end(long)
    for _ in range(4):
        stage.ask("a", bounds)
    refused = stage.ask("a", bounds)
    assert refused.rejection is not None
    # 10 s each, two at a time, three before it.
    assert refused.rejection.wait == pytest.approx(20.0)


def test_one_timer_for_all_services_at_the_earliest_moment() -> None:
    stage = Stage()
    for service, seconds in (("slow", 50.0), ("fast", 5.0), ("middle", 20.0)):
        stage.ask("a", Bounds(1, 9, seconds), service)
        stage.ask("a", Bounds(1, 9, seconds), service)
        assert len(stage.timers.set) == 1
    assert stage.timers.set[0][0] == stage.timers.now + 5.0
    assert stage.lanes.waiting == {"slow": 1, "fast": 1, "middle": 1}
    stage.timers.advance(20.0)
    assert stage.lanes.waiting == {"slow": 1}
    assert len(stage.timers.set) == 1


def test_another_waiting_time_holds_for_those_that_wait_already() -> None:
    stage = Stage()
    stage.ask("a", Bounds(1, 9, 50.0))
    waits = stage.ask("a", Bounds(1, 9, 50.0))
    stage.lanes.changed("s", {"a": Bounds(1, 9, 5.0)}, frozenset())
    stage.timers.advance(5.0)
    assert waits.state == "refused"


def test_targets_that_appear_let_them_go() -> None:
    stage, none = Stage(), Bounds(0, 9, SECONDS)
    waits = [stage.ask("a", none) for _ in range(3)]
    assert stage.waiting == waits
    stage.lanes.changed("s", {"a": Bounds(2, 9, SECONDS)}, frozenset({"r0"}))
    assert [one.state for one in waits] == ["went", "went", "waits"]
    # A request that knows the newer table first does the same.
    newer = stage.ask("b", Bounds(4, 9, SECONDS))
    assert (waits[2].state, newer.state) == ("went", "went")


def test_a_service_that_is_gone_lets_all_go() -> None:
    """They find out what became of it; those at work end as they would have."""
    stage, one = Stage(), Bounds(1, 9, SECONDS, 1)
    requests = [stage.ask("a", one) for _ in range(3)]
    stage.lanes.gone("s")
    assert [x.state for x in requests] == ["went"] * 3
    for x in requests:
        stage.end(x)
    assert stage.lanes.services == ()
    stage.timers.advance(2 * SECONDS)
    assert stage.timers.set == []


def test_what_a_replica_that_leaves_still_works_on_takes_no_slot_of_the_others() -> None:
    """Law: a rolling update makes nobody wait for a stream that is being drained."""
    stage, bounds = Stage(), Bounds(2, 9, SECONDS, 3)
    old = [stage.ask("a", bounds) for _ in range(2)]
    for one in old:
        assert one.place is not None
        one.place.at("r0")
    waits = [stage.ask("a", bounds) for _ in range(2)]
    stage.lanes.changed("s", {"a": Bounds(2, 9, SECONDS, 3)}, frozenset({"r1"}))
    assert [one.state for one in waits] == ["went", "waits"], (
        "its token's own limit still counts them"
    )
    stage.end(old[0])
    assert waits[1].state == "went"
    assert stage.lanes.working == {"s": 2}
    stage.end(old[1])
    assert stage.lanes.working == {"s": 2}


def test_a_request_that_goes_on_to_another_replica_takes_a_slot_again() -> None:
    stage, bounds = Stage(), Bounds(1, 9, SECONDS)
    one = stage.ask("a", bounds)
    assert one.place is not None
    one.place.at("r0")
    stage.lanes.changed("s", {"a": bounds}, frozenset({"r1"}))
    assert stage.lanes.working == {}
    one.place.at("r1")
    assert stage.lanes.working == {"s": 1}
    stage.end(one)
    assert stage.lanes.working == {}
    one.place.at("r1")
    assert stage.lanes.working == {}, "it is over"


def test_a_row_of_requests_that_end_at_once_needs_no_stack() -> None:
    """Each that goes fails in that moment and lets the next go: deep recursion would end the process."""
    timers, bounds = Timers(), Bounds(1, 100_000, SECONDS)
    lanes = Lanes(timers.time, timers.call_at)
    places: deque[Place] = deque()
    went: list[int] = []

    def refused(_rejection: Rejection) -> None:
        raise AssertionError("there is room")

    def enter(number: int) -> None:
        def go() -> None:
            went.append(number)
            places.popleft().leave()

        place = lanes.enter("s", "a", bounds, go, refused)
        assert isinstance(place, Place)
        places.append(place)

    for number in range(5000):
        enter(number)
    places.popleft().leave()
    assert went == list(range(1, 5000))
    assert lanes.working == {}


def test_one_that_enters_while_others_are_let_go_does_not_pass_them() -> None:
    stage, bounds = Stage(), Bounds(1, 9, SECONDS)
    first = stage.ask("a", bounds)
    places: list[Place] = []
    new: list[Request] = []

    def go() -> None:
        places[0].leave()
        new.append(stage.ask("c", bounds))

    def refused(_rejection: Rejection) -> None:
        raise AssertionError("there is room")

    place = stage.lanes.enter("s", "b", bounds, go, refused)
    assert isinstance(place, Place)
    places.append(place)
    waits = stage.ask("d", bounds)
    stage.end(first)
    assert (waits.state, new[0].state) == ("went", "waits")


def test_what_takes_no_slot_waits_for_its_token_alone() -> None:
    """And nobody waits for it but its token's own."""
    stage, bounds = Stage(), {"a": Bounds(1, 9, SECONDS, 2), "b": Bounds(1, 9, SECONDS)}
    works = stage.ask("b", bounds["b"])
    waits = [stage.ask(token, bounds[token]) for token in "ab"]
    beside = [stage.ask("a", bounds["a"], way=Way.BESIDE) for _ in range(4)]
    assert [one.state for one in beside] == ["went", "went", "waits", "waits"]
    assert stage.lanes.working == {"s": 1}
    for ended, next_ in zip(beside, beside[2:], strict=False):
        stage.end(ended)
        assert next_.state == "went"
    assert [one.state for one in waits] == ["waits", "waits"]
    stage.end(works)
    assert [one.state for one in waits] == ["waits", "went"], "its token has two at work"
    stage.end(beside[2])
    assert waits[0].state == "waits", "no slot is free"
    stage.end(waits[1])
    assert waits[0].state == "went"
    for one in (waits[0], beside[3]):
        stage.end(one)
    assert (stage.lanes.working, stage.lanes.waiting) == ({}, {})


def test_who_was_held_waits_beyond_the_places_and_nobody_else_does() -> None:
    stage, bounds = Stage(), Bounds(1, 2, SECONDS)
    released = [stage.ask("a", bounds, way=Way.RELEASED) for _ in range(9)]
    assert [one.state for one in released] == ["went", *["waits"] * 8]
    assert stage.ask("a", bounds).state == "refused"
    for one in released:
        assert one.state == "went"
        stage.end(one)
    assert stage.ask("a", bounds).state == "went"


def test_requests_that_nothing_bounds_leave_no_trace() -> None:
    stage = Stage()
    one = stage.ask("a", Bounds())
    assert one.place is FREE
    assert (stage.lanes.services, stage.timers.set) == ((), [])
    stage.end(one)


def test_tokens_that_are_gone_are_forgotten_once_they_are_idle() -> None:
    stage = Stage()
    bounds = {token: Bounds(2, 9, SECONDS, 1) for token in "ab"}
    stage.end(stage.ask("a", bounds["a"]))
    busy = stage.ask("b", bounds["b"])
    queue = stage.lanes._services["s"].queue
    assert set(queue._lanes) == {"a", "b"}
    stage.lanes.changed("s", {"": Bounds(2, 9, SECONDS)}, frozenset())
    assert set(queue._lanes) == {"b"}
    stage.end(busy)
    stage.lanes.changed("s", {"": Bounds(2, 9, SECONDS)}, frozenset())
    assert set(queue._lanes) == set()


def test_what_a_route_bounds() -> None:
    tokens = (RouteToken("s1", "a", limits=Limits(concurrency=3)), RouteToken("s2", "b"))
    plain = route("foo", tokens=tokens)
    assert bounds_of(plain) == {"": Bounds(), "a": Bounds(concurrency=3), "b": Bounds()}
    targets = tuple(Target(f"r{i}", "127.0.0.1", 1) for i in range(2))
    bound = type(plain)("id", "n", (), tokens, targets, slots=5, queue=7, queue_seconds=9.0)
    assert bounds_of(bound)["a"] == Bounds(10, 7, 9.0, 3)
    assert bounds_of(bound)[""] == Bounds(10, 7, 9.0)


# ---- the rate -----------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(
    rate=st.integers(1, 50),
    gaps=st.lists(st.sampled_from([0.0, 0.001, 0.02, 0.1, 0.5, 1.0, 3.0]), max_size=120),
)
def test_a_rate_is_never_exceeded_and_no_more_is_refused_than_must_be(
    rate: int, gaps: list[float]
) -> None:
    """Of a bucket with one second's worth: in `t` seconds at most `rate * (1 + t)` begin."""
    rates, now, begun = Rates(), 50.0, list[float]()
    for gap in gaps:
        now += gap
        wait = rates.admit("s", rate, now)
        if not wait:
            begun.append(now)
            continue
        assert 0 < wait <= 1.0 / rate + 1e-6
        probe = Rates()
        probe._full = dict(rates._full)
        assert probe.admit("s", rate, now + wait) == 0.0, "it can come again when it was told to"
    for first in range(len(begun)):
        for last in range(first, len(begun)):
            most = rate * (1 + begun[last] - begun[first])
            assert last - first + 1 <= most + 0.01
    burst = Rates()
    assert [burst.admit("s", rate, 1.0) == 0.0 for _ in range(rate + 1)] == [True] * rate + [False]


def test_services_have_rates_of_their_own_and_none_means_any() -> None:
    rates = Rates()
    assert rates.admit("a", 1, 5.0) == 0.0
    assert rates.admit("a", 1, 5.0) == pytest.approx(1.0)
    assert rates.admit("b", 1, 5.0) == 0.0
    assert all(rates.admit("c", 0, 5.0) == 0.0 for _ in range(1000))
    rates.retain(["b"])
    assert rates.admit("a", 1, 5.0) == 0.0
    assert rates.admit("b", 1, 5.0) > 0.0
