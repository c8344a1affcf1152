"""The endpoint of a group: who of it may be picked, how often, and what a change of the table does."""

import hashlib
import random
from collections import Counter
from dataclasses import replace

import pytest

from pierhead.core.routes import Route, RouteToken, Target, table
from pierhead.gateway.served import Change, Gate
from pierhead.gateway.table import index
from pierhead.gateway.tokens import Credential, Plain, lock
from pierhead.gateway.traffic import Groups, Opened, pick

NOW = 1000.0
COUNT = 20_000


def gate(
    service: str, weight: int = -1, replicas: int = 1, token: str = "shared", **fields: object
) -> Gate:
    targets = tuple(Target(f"{service}-{at}", "h", at + 1) for at in range(replicas))
    tokens = (RouteToken(token),)
    route = Route(service, service, tokens=tokens, targets=targets, group="team", weight=weight)
    route = replace(route, **fields)  # type: ignore[arg-type]
    return Gate(route, tuple(map(lock, tokens)))


def shown(token: str) -> Credential:
    return Plain((hashlib.sha256(token.encode()).digest(),))


def opened(*gates: Gate, token: str = "shared") -> tuple[Opened, ...]:
    group = Groups(gates).of("team")
    assert group is not None
    return group.opened(shown(token), NOW)


def shares(*gates: Gate, token: str = "shared", count: int = COUNT) -> dict[str, float]:
    """Which part of many requests goes where."""
    rng, among = random.Random(7), opened(*gates, token=token)
    picked = Counter(one.gate.route.service for _ in range(count) if (one := pick(among, rng)))
    return {service: number / count for service, number in picked.items()}


def near(found: dict[str, float], **expected: float) -> bool:
    """Within five standard deviations of a fair draw."""
    if found.keys() != {name for name, share in expected.items() if share}:
        return False
    return all(
        abs(found.get(name, 0.0) - share) <= 5 * (share * (1 - share) / COUNT) ** 0.5
        for name, share in expected.items()
    )


@pytest.mark.parametrize(
    ("blue", "green", "expected"),
    [
        ((-1, 1), (-1, 1), 0.5),
        ((-1, 3), (-1, 1), 0.25),
        ((95, 1), (5, 4), 0.05),
        ((95, 4), (5, 1), 0.05),
        ((1000, 1), (0, 1), 0.0),
        ((0, 1), (1000, 1), 1.0),
        ((1000, 1), (1000, 1), 0.5),
        ((-1, 3), (100, 1), 0.25),  # a replica weighs 100 where no weight was set
        ((900, 0), (5, 1), 1.0),  # no replica, no request
        ((900, 0), (0, 1), 0.0),  # ... but none against a weight of 0 either
    ],
)
def test_requests_are_shared_out_by_weight(
    blue: tuple[int, int], green: tuple[int, int], expected: float
) -> None:
    found = shares(gate("blue", *blue), gate("green", *green))
    assert near(found, blue=1 - expected, green=expected), found


def test_a_group_whose_weights_are_all_0_takes_nothing() -> None:
    assert pick(opened(gate("blue", 0), gate("green", 0)), random.Random(1)) is None


def test_where_nobody_is_ready_one_that_a_request_wakes_goes_first() -> None:
    asleep = gate("green", 1, 0, wakes=True)
    assert shares(gate("blue", 99, 0), asleep) == {"green": 1.0}
    ready = gate("blue", 99, 1)
    assert shares(ready, asleep) == {"blue": 1.0}


def test_only_members_that_the_token_opens_are_picked_and_their_weights_count_among_themselves() -> (
    None
):
    gates = (gate("a", 90, token="one"), gate("b", 9), gate("c", 1))
    assert near(shares(*gates), b=0.9, c=0.1)
    assert shares(*gates, token="one") == {"a": 1.0}
    assert opened(*gates, token="none") == ()


def test_an_ended_token_opens_no_member() -> None:
    ended = (RouteToken("shared", until=NOW),)
    one = gate("a")
    gone = Gate(replace(one.route, tokens=ended), tuple(map(lock, ended)))
    assert [each.gate.route.service for each in opened(gone, gate("b"))] == ["b"]


def test_an_open_member_needs_no_token() -> None:
    group = Groups([gate("a", open=True), gate("b")]).of("team")
    assert group is not None
    assert [(one.gate.route.service, one.token) for one in group.opened(None, NOW)] == [("a", None)]


def test_a_session_stays_and_only_what_must_moves_when_weights_change() -> None:
    sessions = [f"session {number}".encode() for number in range(COUNT)]

    def placed(*gates: Gate) -> list[str]:
        among, rng = opened(*gates), random.Random()
        picks = [pick(among, rng, session) for session in sessions]
        return [one.gate.route.service for one in picks if one]

    before = placed(gate("blue", 95), gate("green", 5))
    assert before == placed(gate("blue", 95), gate("green", 5))
    assert near({k: v / COUNT for k, v in Counter(before).items()}, blue=0.95, green=0.05)
    after = placed(gate("blue", 80), gate("green", 20))
    assert near({k: v / COUNT for k, v in Counter(after).items()}, blue=0.8, green=0.2)
    moved = Counter(pair for pair in zip(before, after, strict=True) if pair[0] != pair[1])
    assert moved.keys() == {("blue", "green")}
    assert set(placed(gate("blue", 0), gate("green", 1000))) == {"green"}


def test_a_service_outside_and_one_that_stands_alone_are_no_members() -> None:
    assert Groups([gate("a", group="")]).of("team") is None
    assert Groups([]).of("team") is None


def test_a_service_of_the_groups_name_is_found_first() -> None:
    routes = [gate("a").route, Route("x", "team", aliases=("other.team",))]
    served = index(table(1, routes))
    assert served.gates["team"].route.service == "x"
    assert Groups(served.services.values()).of("team") is not None


def test_a_change_is_followed_and_leaves_other_groups_alone() -> None:
    a, b, other = gate("a"), gate("b"), gate("c", group="else")
    first = Groups([a, b, other])
    assert first.after(Change({}, {"d": gate("d", group="")})) is first
    left = first.after(Change({"a": a}, {}))
    assert names(left) == {"team": ["b"], "else": ["c"]}
    assert left.of("else") is first.of("else")
    heavy = gate("b", 7)
    moved = left.after(Change({"b": b}, {"b": heavy, "e": gate("e", group="new")}))
    assert names(moved) == {"team": ["b"], "else": ["c"], "new": ["e"]}
    group = moved.of("team")
    assert group is not None
    assert group.members == (heavy,)
    assert names(moved.after(Change({"b": heavy}, {"b": gate("b", group="else")}))) == {
        "else": ["b", "c"],
        "new": ["e"],
    }
    assert names(first) == {"team": ["a", "b"], "else": ["c"]}


def names(groups: Groups) -> dict[str, list[str]]:
    return {
        name: [one.route.service for one in group.members] for name, group in groups.all.items()
    }
