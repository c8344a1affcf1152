"""Limits of tokens by themselves, where time can be named: against a model that remembers everything."""

import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.endpoint_tokens import Limits
from pierhead.core.routes import Route, RouteToken
from pierhead.core.usage import Meter, Usage
from pierhead.gateway.allowance import Allowance, Denied, Stay
from pierhead.gateway.answers import OverLimit
from pierhead.gateway.asking import Asked
from pierhead.gateway.ledger import Ledger
from pierhead.gateway.metering import Counted
from pierhead.gateway.windows import Window

TENTH = 0.1  #: by so much a limit may be kept longer than 60 seconds
CREATED = 1_000.0


@dataclass
class Naive:
    """All that ever happened to one token."""

    begun: list[float] = field(default_factory=list[float])
    ended: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])

    def requests(self, now: float, span: float = 60.0) -> int:
        return sum(now - span < at for at in self.begun)

    def tokens(self, now: float, span: float = 60.0) -> int:
        return sum(tokens for at, tokens in self.ended if now - span < at)

    def but_the_newest(self, now: float) -> int:
        recent = [tokens for at, tokens in self.ended if tokens and now - 60.0 < at]
        return sum(recent[:-1])


@dataclass
class Call:
    """One request: when it comes after the one before, how long it takes, what it may and does use."""

    after: float
    lasts: float
    most: int | None
    share: float

    @property
    def tokens(self) -> int:
        return int((30 if self.most is None else self.most) * self.share)


moments = st.sampled_from([0.0, 0.05, 0.1, 0.37, 1.0, 7.3, 59.9, 60.0, 61.0])
calls = st.builds(
    Call,
    after=moments | st.floats(0, 20),
    lasts=moments | st.floats(0, 20),
    most=st.none() | st.integers(0, 40),
    share=st.floats(0, 1),
)
limits = st.builds(
    Limits,
    rpm=st.none() | st.integers(1, 6),
    tpm=st.none() | st.integers(1, 60),
    concurrency=st.none() | st.integers(1, 4),
)


class Story:
    """Calls to an allowance and to the model of it, in the order of time."""

    def __init__(self, limits: Limits) -> None:
        self.limits, self.allowance, self.naive = limits, Allowance(), Naive()
        self.flying: list[tuple[float, Stay, int]] = []
        self.now = CREATED

    def come(self, call: Call) -> None:
        self.now += call.after
        self.end_until(self.now)
        answer = self.allowance.enter(self.limits, call.most, 0, self.now)
        if isinstance(answer, Denied):
            self.refused(call, answer)
        else:
            self.let_in(call, answer)

    def end_until(self, moment: float) -> None:
        for ended in sorted(self.flying, key=lambda each: each[0]):
            end, stay, tokens = ended
            if end <= moment:
                self.flying.remove(ended)
                self.allowance.leave(stay, tokens, end)
                self.naive.ended.append((end, tokens))
                if self.limits.tpm is not None:
                    assert self.naive.but_the_newest(end) <= self.limits.tpm

    def let_in(self, call: Call, stay: Stay) -> None:
        self.naive.begun.append(self.now)
        self.flying.append((self.now + call.lasts, stay, call.tokens))
        if self.limits.rpm is not None:
            assert self.naive.requests(self.now) <= self.limits.rpm
        if self.limits.concurrency is not None:
            assert len(self.flying) <= self.limits.concurrency

    def refused(self, call: Call, denied: Denied) -> None:
        assert denied.wait is not None
        assert denied.wait >= 0
        if denied.limit == "concurrency":
            assert len(self.flying) == self.limits.concurrency
        elif denied.limit == "rpm":
            assert self.naive.requests(self.now, 60 + TENTH + 1e-6) >= denied.value
            self.is_right(call, denied.wait)
        elif not self.flying:
            assert self.naive.tokens(self.now, 60 + TENTH + 1e-6) >= denied.value
            self.is_right(call, denied.wait)
        else:
            most = [call.most, *(stay.most for _, stay, _ in self.flying)]
            known = sum(each for each in most if each is not None)
            used = self.naive.tokens(self.now, 60 + TENTH + 1e-6)
            assert None in most or used + known > denied.value

    def is_right(self, call: Call, wait: float) -> None:
        """After this time it is let in, and not before."""
        if self.flying:
            return
        later, sooner = copy.deepcopy(self.allowance), copy.deepcopy(self.allowance)
        assert isinstance(later.enter(self.limits, call.most, 0, self.now + wait + 1e-6), Stay)
        if wait > 1e-3:
            moment = self.now + wait - 1e-3
            assert isinstance(sooner.enter(self.limits, call.most, 0, moment), Denied)


@given(limits, st.lists(calls, max_size=40))
def test_no_limit_is_exceeded_by_more_than_one_and_nothing_is_refused_for_nothing(
    limits: Limits, asked: list[Call]
) -> None:
    story = Story(limits)
    for call in asked:
        story.come(call)
    story.end_until(float("inf"))


@given(st.lists(st.tuples(moments | st.floats(0, 90), st.integers(0, 9)), max_size=60))
def test_a_window_forgets_nothing_for_60_seconds_and_everything_a_tenth_later(
    steps: list[tuple[float, int]],
) -> None:
    window, came, now = Window(), list[tuple[float, int]](), CREATED
    for after, amount in steps:
        now += after
        window.add(now, amount)
        came.append((now, amount))
        least = sum(each for at, each in came if now - at < 60 - 1e-6)
        most = sum(each for at, each in came if now - at <= 60 + TENTH + 1e-6)
        assert least <= window.used <= most


def test_what_nobody_can_bound_goes_alone() -> None:
    allowance, tpm = Allowance(), Limits(tpm=100)
    first = allowance.enter(tpm, None, 0, 0.0)
    assert isinstance(first, Stay)
    for most in (1, None, 500):
        assert isinstance(allowance.enter(tpm, most, 0, 1.0), Denied)
    assert isinstance(allowance.enter(tpm, 0, 0, 1.0), Stay), "it takes no tokens at all"
    allowance.leave(first, 99, 2.0)
    last = allowance.enter(tpm, 500, 0, 2.0)
    assert isinstance(last, Stay), "one token is left"
    allowance.leave(last, 500, 3.0)
    denied = allowance.enter(tpm, 1, 0, 3.0)
    assert isinstance(denied, Denied)
    assert denied.wait == pytest.approx(60.0, abs=0.11)


# ---- the ledger -----------------------------------------------------------------------------------


class Figures:
    """A double of the metrics."""

    def __init__(self) -> None:
        self.tokens = 0
        self.refusals: list[tuple[str, str]] = []

    def used(self, service: str, counted: Counted) -> None:
        assert service == "foo"
        self.tokens += counted.tokens

    def refused(self, service: str, limit: str) -> None:
        self.refusals.append((service, limit))


class Book:
    """A ledger with clocks of its own."""

    def __init__(self, at: str = "2026-11-30T23:59:00+00:00") -> None:
        self.wall, self.now = datetime.fromisoformat(at).timestamp(), 50.0
        self.figures = Figures()
        self.ledger = Ledger(lambda: self.now, lambda: self.wall, self.figures)

    def ask(self, token: RouteToken | None, tokens: int = 0, body: bytes = b"") -> None:
        """One request that takes so many tokens."""
        asked = Asked("POST", b"/v1/completions", body)
        entry = self.ledger.enter(
            Route("id-foo", "foo", tokens=(token,) if token else ()), token, asked
        )
        entry.count = Answer(Counted(tokens))
        entry.end()
        entry.end()

    def pass_by(self, seconds: float) -> None:
        self.wall += seconds
        self.now += seconds


@dataclass
class Answer:
    """A double of an answer that told its tokens."""

    counted: Counted
    strips: bool = False
    ended: bool = True

    def passed(self, data: bytes, *, last: bool) -> bytes:
        del last
        return data


def test_a_month_ends_with_the_month() -> None:
    book, token = Book(), RouteToken("s", "t", limits=Limits(monthly_tokens=10))
    book.ask(token, 4)
    book.ask(token, 7)
    with pytest.raises(OverLimit) as caught:
        book.ask(token)
    answer = caught.value.answer("r", openai=True)
    assert (answer.status, caught.value.code) == (429, "insufficient_quota")
    assert dict(answer.headers)[b"retry-after"] == b"60"
    book.pass_by(60)
    book.ask(token, 1)
    assert book.ledger.changed() == (
        Meter("id-foo", "t", "2026-11", Usage(2, 11)),
        Meter("id-foo", "t", "2026-12", Usage(1, 1)),
    )


def test_the_next_month_after_december_is_january() -> None:
    book = Book("2026-12-30T00:00:00+00:00")
    token = RouteToken("s", "t", limits=Limits(monthly_tokens=1))
    book.ask(token, 1)
    with pytest.raises(OverLimit, match=f"{2 * 86400} s"):
        book.ask(token)


def test_what_others_used_counts_and_the_hubs_word_goes_before_the_tables() -> None:
    book, limits = Book(), Limits(monthly_tokens=10)
    old = RouteToken("s", "t", limits=limits, spent=10, spent_in="2026-10")
    book.ask(old, 1)
    full = RouteToken("s", "t", limits=limits, spent=9, spent_in="2026-11")
    with pytest.raises(OverLimit):
        book.ask(full)
    book.ledger.elsewhere({"id-foo/t": 3})
    book.ask(full, 6)
    with pytest.raises(OverLimit):
        book.ask(full)
    assert book.figures.refusals == [("foo", "monthly_tokens")] * 2
    book.pass_by(60)
    book.ask(full, 1)


def test_meters_are_totals_told_until_they_were_heard() -> None:
    book, token = Book(), RouteToken("s", "t")
    book.ask(token, 2)
    first = book.ledger.changed()
    assert book.ledger.changed() == ()
    book.ask(token, 3)
    book.ledger.again(first)
    assert book.ledger.changed() == (Meter("id-foo", "t", "2026-11", Usage(2, 5)),)
    book.ask(None, 4)
    assert book.ledger.changed() == (Meter("id-foo", "", "2026-11", Usage(1, 4)),)
    assert book.figures.tokens == 9


def test_two_secrets_of_one_token_share_its_limits() -> None:
    book, limits = Book(), Limits(rpm=2)
    new, old = RouteToken("new", "t", limits=limits), RouteToken("old", "t", 9e9, limits)
    book.ask(new)
    book.ask(old)
    for token in (new, old):
        with pytest.raises(OverLimit):
            book.ask(token)
    book.ask(RouteToken("x", "other", limits=limits))
    book.ledger.forget([("id-foo", "t")])
    with pytest.raises(OverLimit):
        book.ask(new)
    book.pass_by(60.2)
    book.ledger.forget([])
    book.ask(new)


def test_an_engine_that_adds_much_to_prompts_is_learned() -> None:
    """Otherwise each request at once could exceed the limit, and not one alone."""
    body = b'{"max_tokens":1}'
    few = Book()
    few.ask(RouteToken("other", "o", limits=Limits(tpm=1000)), 3, body)
    route, asked = Route("id-foo", "foo"), Asked("POST", b"/v1/completions", body)
    for _ in range(5):
        few.ledger.enter(route, RouteToken("s", "t", limits=Limits(tpm=5 * 17)), asked)
    book, token = Book(), RouteToken("s", "t", limits=Limits(tpm=10_000))
    book.ask(token, 3000, body)
    for _ in range(2):
        book.ledger.enter(route, token, asked)
    with pytest.raises(OverLimit):
        book.ledger.enter(route, token, asked)


def test_a_wait_is_told_in_whole_seconds() -> None:
    book, token = Book(), RouteToken("s", "t", limits=Limits(rpm=1))
    book.ask(token)
    book.pass_by(10.5)
    with pytest.raises(OverLimit) as caught:
        book.ask(token)
    told = int(dict(caught.value.answer("r", openai=False).headers)[b"retry-after"])
    assert told == ceil(60.1 - 10.5)
    book.pass_by(told)
    book.ask(token)
    assert datetime.fromtimestamp(book.wall, UTC).month == 12


def test_what_a_request_did_not_take_is_free_when_it_ends() -> None:
    allowance, tpm = Allowance(), Limits(tpm=20)
    first, second = (allowance.enter(tpm, 10, 0, 0.0) for _ in range(2))
    assert isinstance(first, Stay)
    assert isinstance(second, Stay)
    assert isinstance(allowance.enter(tpm, 1, 0, 0.0), Denied)
    allowance.leave(first, 1, 1.0)
    assert isinstance(allowance.enter(tpm, 10, 0, 1.0), Denied)
    assert isinstance(allowance.enter(tpm, 9, 0, 1.0), Stay)
