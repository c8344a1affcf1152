"""What a gateway serves after changes of the route table is what it would serve after the whole table."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import T0
from pierhead.core.endpoint_tokens import Limits
from pierhead.core.route_news import News, load_news
from pierhead.core.routes import Route, RouteToken, Target
from pierhead.gateway.draft import drafting
from pierhead.gateway.slices import at_once
from pierhead.gateway.table import Change, LiveTable, Served, index
from pierhead.reconciler import published
from pierhead.reconciler.published import Published

IDS = [f"id-{number}" for number in range(5)]
#: Few, so that services often answer to the same one.
NAMES = ["alpha", "beta", "gamma", "delta"]
SECRETS = ["t1", "t2", "t3"]

tokens = st.builds(
    RouteToken,
    st.sampled_from(SECRETS),
    st.sampled_from(["default", "ci"]),
    limits=st.sampled_from([Limits(), Limits(monthly_tokens=9)]),
)
routes = st.builds(
    Route,
    service=st.sampled_from(IDS),
    name=st.sampled_from(NAMES),
    aliases=st.lists(st.sampled_from(NAMES), max_size=2).map(tuple),
    tokens=st.lists(tokens, max_size=2).map(tuple),
    targets=st.lists(st.sampled_from(["r1", "r2", "r3"]), max_size=2, unique=True).map(
        lambda names: tuple(Target(name, "127.0.0.1", 1) for name in names)
    ),
    created=st.sampled_from([1.0, 2.0]),
    open=st.booleans(),
)
#: A route that comes or changes, a service that goes, or a replica that drains.
steps = st.one_of(routes, st.sampled_from(IDS), st.sampled_from([("r1",), ("r1", "r2"), ()]))


def at_last(work: Coroutine[Any, Any, bytes]) -> bytes:
    """What a coroutine returns that has nothing to wait for."""
    try:
        work.send(None)
    except StopIteration as end:
        found: bytes = end.value
        return found
    raise AssertionError("it waits")


class Hub:
    """The hub's part, driven step by step."""

    def __init__(self) -> None:
        self.now = T0
        self.told = Published(lambda: self.now, lambda _service, _token: 3)

    def step(self, step: Route | str | tuple[str, ...]) -> None:
        if isinstance(step, Route):
            self.told.put(step)
        elif isinstance(step, str):
            self.told.drop(step)
        else:
            self.told.left = dict.fromkeys(step, self.told.revision + 1)
        self.told.revision += 1

    def news(self, served: Served | None) -> News:
        known = {line: id_ for id_, line in served.lines.items()} if served else {}
        revision, origin = (served.table.revision, served.table.origin) if served else (-1, 0)
        return load_news(at_last(self.told.told(revision, origin)), lambda: known)


def seen(served: Served) -> dict[str, Any]:
    """All that requests are judged by, whatever order it came in."""
    return {
        "table": served.table,
        "gates": served.gates,
        "services": served.services,
        "keys": {
            key: {gate.route.service: gate for gate in gates} for key, gates in served.keys.items()
        },
        "unlocked": sorted(gate.route.service for gate in served.unlocked),
        "contested": served.contested,
    }


def check(before: Served | None, after: Served, change: Change) -> None:
    """The change tells what differs, no less."""
    old = before.services if before else {}
    new = after.services
    differing = {id_ for id_ in old.keys() | new.keys() if old.get(id_) != new.get(id_)}
    assert differing <= change.services
    assert all(change.before.get(id_) == old.get(id_) for id_ in change.services)
    assert all(change.after.get(id_) == new.get(id_) for id_ in change.services)
    gone = set(before.tokens() if before else ()) - set(after.tokens())
    assert change.tokens_gone == gone
    gone_replicas = set(before.replicas() if before else ()) - set(after.replicas())
    assert gone_replicas <= change.replicas_gone
    names = {gate.route.name for gate in old.values()}, {gate.route.name for gate in new.values()}
    assert names[0] - names[1] <= change.names_gone
    assert names[1] - names[0] <= change.names_come


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(steps, st.booleans()), max_size=25), st.sampled_from([2, 5000]))
def test_any_sequence_of_changes_gives_the_index_of_the_whole_table(
    story: list[tuple[Route | str | tuple[str, ...], bool]], remembered: int
) -> None:
    hub, served = Hub(), None
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(published, "REMEMBERED", remembered)
        for step, asks in story:
            hub.step(step)
            if not asks:
                continue
            news = hub.news(served)
            before, (served, change) = served, at_once(drafting(served, news))
            whole, _ = at_once(drafting(None, load_news(at_last(hub.told.whole()))))
            assert seen(served) == seen(whole)
            check(before, served, change)


@settings(deadline=None, max_examples=100)
@given(st.lists(routes, max_size=8), st.lists(routes, max_size=8))
def test_swapping_whole_tables_gives_the_same_index(
    first: list[Route], second: list[Route]
) -> None:
    live = LiveTable()
    changes: list[Change] = []
    live.watchers.append(lambda _served, change: changes.append(change))
    for entries in (first, second):
        hub = Hub()
        for route in entries:
            hub.step(route)
        before = live.served
        live.swap(hub.told.table)
        assert live.served is not None
        assert seen(live.served) == seen(index(hub.told.table))
        check(before, live.served, changes[-1])


def test_a_change_tells_only_what_changed_and_a_forgotten_revision_gets_the_whole_table() -> None:
    hub = Hub()
    for number in range(5):
        hub.step(Route(f"id-{number}", f"svc-{number}"))
    served, _ = at_once(drafting(None, hub.news(None)))
    hub.step(Route("id-1", "another"))
    hub.step("id-2")
    news = hub.news(served)
    assert news.base == served.table.revision
    assert [route.name for route, _line in news.changed] == ["another"]
    assert news.removed == {"id-2"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(published, "REMEMBERED", 2)
        for number in range(4):
            hub.step(Route(f"id-{number}", f"later-{number}"))
    assert hub.news(served).base is None


def test_a_whole_table_that_is_known_costs_no_reading() -> None:
    hub = Hub()
    for number in range(5):
        hub.step(Route(f"id-{number}", f"svc-{number}"))
    served, _ = at_once(drafting(None, hub.news(None)))
    known = {line: id_ for id_, line in served.lines.items()}
    news = load_news(at_last(hub.told.whole()), lambda: known)
    assert not news.changed
    assert len(news.kept) == 5
    again, change = at_once(drafting(served, news))
    assert not change.services
    assert seen(again) == seen(served)


def test_changes_that_come_while_texts_are_made_are_in_what_is_told() -> None:
    """Law: what is told at a revision is the table at that revision, not half of it."""

    async def whole() -> None:
        rng = random.Random(1)
        hub = Hub()
        for number in range(400):
            hub.step(Route(f"id-{number}", f"svc-{number}"))
        base = hub.told.revision - 300

        async def change() -> None:
            for number in range(20):
                hub.step(Route(f"id-{rng.randrange(400)}", f"new-{number}"))
                hub.step(f"id-{rng.randrange(400)}")
                await asyncio.sleep(0)

        changing = asyncio.create_task(change())
        for asked in (hub.told.whole(), hub.told.told(base, hub.told.origin)):
            news = load_news(await asked)
            assert news.revision == hub.told.revision
            told = {route.service: route for route, _line in news.changed}
            assert all(hub.told.routes[id_] == route for id_, route in told.items())
            if news.base is None:
                assert told == hub.told.routes
        await changing

    asyncio.run(whole())
