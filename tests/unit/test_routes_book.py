"""The route book: what gateways are told, and when a leaving replica counts as idle."""

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

import virtual_time
from builders import T0, FakeClock, a_replica, a_service, a_template, a_version
from pierhead.core import routes
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.core.routes import GatewayReport, Route, RouteTable, RouteToken, Target
from pierhead.core.services import Intake, Registration, Relaying, Service, Wanted
from pierhead.core.shares import Share
from pierhead.core.slots import WAITING_AT_HAND
from pierhead.core.templates import AUTO
from pierhead.engines import registry
from pierhead.reconciler.gateways import ABSENT, SILENCE
from pierhead.reconciler.routes import RouteBook

ONE, TWO = a_replica(), a_replica(id="svc-one-bbbbbbbb", port=40002)
LEAVING = a_replica(state=ReplicaState.DRAINING)
CAPABILITIES = {name: engine.capabilities for name, engine in registry("python").items()}


def book(clock: FakeClock | None = None) -> RouteBook:
    """Its timer goes with its clock, which nobody sets back."""
    clock = clock or FakeClock()
    return RouteBook(clock, lambda replica: f"key of {replica}", CAPABILITIES, timer=clock)


def report(revision: int, gateway: str = "gw-1", **outstanding: int) -> GatewayReport:
    counts = {name.replace("_", "-"): count for name, count in outstanding.items()}
    return GatewayReport(gateway, revision, counts)


def targets(found: RouteTable, name: str = "svc_one") -> list[str]:
    return [target.replica for target in found.routes[name].targets]


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return virtual_time.run(work)


@pytest.mark.parametrize("state", [s for s in ReplicaState if s is not ReplicaState.READY])
def test_only_ready_replicas_are_routed(state: ReplicaState) -> None:
    routed = book()
    routed.update(a_service(), (a_replica(id="other", state=state), ONE))
    assert targets(routed.table) == [ONE.id]


def test_a_service_without_a_ready_replica_has_a_route_without_targets() -> None:
    """Its token must be judged, and its clients told 503, not 404."""
    routed = book()
    routed.update(a_service(), ())
    assert routed.table.routes["svc_one"].targets == ()
    assert routed.table.routes["svc_one"].tokens == (RouteToken(a_service().token),)


def test_an_engine_that_checks_keys_gets_its_own_and_no_other_gets_one() -> None:
    routed = book()
    routed.update(a_service(), (a_replica(keyed=True), TWO))
    assert routed.table.routes["svc_one"].targets == (
        Target(ONE.id, "127.0.0.1", 40001, f"key of {ONE.id}"),
        Target(TWO.id, "127.0.0.1", 40002, ""),
    )


def test_a_grouped_service_answers_to_its_full_name_too() -> None:
    routed = book()
    routed.update(a_service(group="team"), (ONE,))
    assert targets(routed.table, "team.svc_one") == targets(routed.table) == [ONE.id]


def test_models_are_named_only_for_engines_that_do_not_check_them() -> None:
    routed = book()
    llama = a_version(template=a_template(name="spec", engine="llama_cpp"))
    routed.update(a_service(current=llama), (ONE,))
    checked = CAPABILITIES["llama_cpp"].checks_model_name
    assert routed.table.routes["svc_one"].models == (() if checked else ("svc_one", "spec"))


AUTOMATIC = a_version(template=a_template(name="spec", engine=AUTO))


def route_of(service: Service, *replicas: ReplicaStatus) -> Route:
    found = book()
    found.update(service, replicas)
    return found.table.routes["svc_one"]


def test_a_name_that_an_engine_has_of_its_own_is_told_and_names_are_checked_before_it() -> None:
    own = replace(ONE, engine="transformers", model=".@main")
    found = route_of(a_service(current=AUTOMATIC, group="team"), own)
    assert [target.model for target in found.targets] == [".@main"]
    assert (found.api, found.models) == ("openai", ("svc_one", "team.svc_one", "spec", "team"))


def test_an_engine_that_knows_the_services_name_only_is_asked_by_it() -> None:
    """vLLM answers 404 to `<group>.<name>`: the gateway must translate aliases, and refuse the rest."""
    found = route_of(a_service(current=AUTOMATIC), replace(ONE, engine="vllm"))
    assert [target.model for target in found.targets] == ["svc_one"]
    assert found.models == ("svc_one", "spec")


def test_each_replica_is_asked_as_its_own_engine_wants_while_an_update_changes_the_engine() -> None:
    old, new = replace(ONE, engine="llama_cpp"), replace(TWO, engine="transformers", model="x")
    found = route_of(a_service(current=AUTOMATIC), old, new)
    assert [target.model for target in found.targets] == ["", "x"]
    both = route_of(a_service(current=AUTOMATIC), replace(ONE, engine="custom"), new)
    assert (both.api, both.models) == ("any", ("svc_one", "spec"))


@pytest.mark.parametrize("replicas", [(), (ONE,)], ids=["none", "of a release that did not tell"])
def test_the_embedded_engine_is_assumed_until_replicas_tell(
    replicas: tuple[ReplicaStatus, ...],
) -> None:
    found = route_of(a_service(current=AUTOMATIC), *replicas)
    assert (found.api, found.models) == ("openai", ("svc_one", "spec"))
    assert [target.model for target in found.targets] == [""] * len(replicas)


def test_what_a_replica_runs_goes_before_what_the_template_says() -> None:
    template = a_version(template=a_template(name="spec", engine="llama_cpp"))
    found = route_of(a_service(current=template), replace(ONE, engine="custom"))
    assert (found.api, found.models) == ("any", ())


def test_the_revision_moves_with_every_change_and_with_nothing_else() -> None:
    routed = book()
    seen = [routed.revision]
    for replicas in ((ONE,), (ONE,), (ONE, TWO), (TWO, ONE)):
        routed.update(a_service(), replicas)
        seen.append(routed.revision)
    assert [later - earlier for earlier, later in pairwise(seen)] == [1, 0, 1, 0]


def test_a_restarted_hub_never_gives_an_old_number_to_a_new_table() -> None:
    """Law: a gateway takes a table whose revision differs, so none may repeat (design 2)."""
    clock = FakeClock()
    first = book(clock)
    for count in range(100):
        first.update(a_service(), (ONE,) if count % 2 else ())
    clock.advance(0.5)
    assert book(clock).revision > first.revision


def test_a_deleted_service_is_not_routed_from_the_moment_it_is_wanted_gone() -> None:
    routed = book()
    routed.update(a_service(), (ONE,))
    routed.update(a_service(wanted=Wanted.DELETED), (ONE,))
    assert "svc_one" not in routed.table.routes


def test_drop_publishes_once_and_only_if_there_was_something() -> None:
    routed = book()
    routed.update(a_service(), (ONE,))
    before = routed.revision
    routed.drop(a_service().id)
    routed.drop(a_service().id)
    assert routed.revision == before + 1
    assert not routed.table.routes


# ---- draining -----------------------------------------------------------------------------


def draining(clock: FakeClock, *gateways: str) -> tuple[RouteBook, int]:
    """A book of live gateways in which ONE has just begun to leave; gives the revision without it."""
    routed = book(clock)
    routed.update(a_service(), (ONE, TWO))
    clock.advance(SILENCE)
    for gateway in gateways:
        routed.heard(report(routed.revision, gateway))
    routed.update(a_service(), (LEAVING, TWO))
    return routed, routed.revision


def idle(routed: RouteBook) -> bool:
    return routed.drained(frozenset({ONE.id})) == {ONE.id}


def test_a_leaving_replica_is_told_to_gateways_and_is_no_target() -> None:
    routed, _ = draining(FakeClock(), "gw-1")
    assert routed.table.draining == {ONE.id} == routed.leaving
    assert targets(routed.table) == [TWO.id]


def test_a_gateway_that_still_serves_by_an_older_table_keeps_it_alive() -> None:
    """Law: a drained replica has no request and gets none (F12): both must be told by every gateway."""
    routed, without = draining(FakeClock(), "gw-1")
    assert not idle(routed)
    routed.heard(report(without - 1))
    assert not idle(routed)
    routed.heard(report(without))
    assert idle(routed)


def test_a_request_that_runs_keeps_it_alive() -> None:
    routed, without = draining(FakeClock(), "gw-1")
    routed.heard(report(without, svc_one_aaaaaaaa=1))
    assert not idle(routed)
    routed.heard(report(without + 5, svc_one_bbbbbbbb=9))
    assert idle(routed)


def test_every_live_gateway_has_a_say() -> None:
    routed, without = draining(FakeClock(), "gw-1", "gw-2")
    routed.heard(report(without, "gw-1"))
    assert not idle(routed)
    routed.heard(report(without, "gw-2"))
    assert idle(routed)


def test_a_gateway_that_fell_silent_may_serve_on_by_the_table_it_has() -> None:
    """Law: 0 truncated streams within the grace (F12), also when a gateway has no way to the hub."""
    clock = FakeClock()
    routed, without = draining(clock, "gw-1", "gw-2")
    clock.advance(SILENCE + 0.1)
    routed.heard(report(without, "gw-1"))
    assert routed.gateways == 1
    assert not idle(routed)
    clock.advance(ABSENT - SILENCE)
    routed.heard(report(without, "gw-1"))
    assert idle(routed)


def test_a_clock_that_is_set_back_lets_no_dead_gateway_vote_on() -> None:
    """Law: a drained replica is let go when every gateway that is there is done with it (F12)."""
    clock, timer = FakeClock(), FakeClock()
    routed = RouteBook(clock, str, CAPABILITIES, timer=timer)
    routed.update(a_service(), (ONE, TWO))
    timer.advance(SILENCE)
    for gateway in ("gw-1", "dead"):
        routed.heard(report(routed.revision, gateway))
    routed.update(a_service(), (LEAVING, TWO))
    clock.advance(-3600.0)
    timer.advance(ABSENT)
    routed.heard(report(routed.revision, "gw-1"))
    assert routed.gateways == 1
    assert idle(routed)


def test_gateways_tell_of_ejections_while_they_live_and_had_time_to_report() -> None:
    clock = FakeClock()
    routed = book(clock)
    routed.begin()
    routed.heard(replace(report(routed.revision), ejected=(ONE.id,), why={ONE.id: "silent"}))
    assert not routed.told  # another one may report in a moment
    clock.advance(SILENCE - 0.1)
    routed.heard(report(routed.revision))
    clock.advance(0.1)
    assert routed.told
    clock.advance(SILENCE)
    assert not routed.told


def test_what_one_that_fell_silent_told_last_still_counts() -> None:
    clock = FakeClock()
    routed, without = draining(clock, "gw-1", "gw-2")
    routed.heard(report(without, "gw-2"))
    clock.advance(SILENCE + 0.1)
    routed.heard(report(without, "gw-1"))
    assert idle(routed)


def test_who_says_farewell_has_no_say_any_more() -> None:
    routed, without = draining(FakeClock(), "gw-1", "gw-2")
    routed.heard(report(without, "gw-1"))
    routed.heard(replace(report(without - 1, "gw-2"), leaves=True))
    assert idle(routed)
    assert routed.gateways == 1


def test_whoever_follows_at_its_place_ends_the_say_of_one_that_fell_silent() -> None:
    """A killed gateway costs no drain its whole deadline: its successor knows that it is gone."""
    clock = FakeClock()
    routed, without = draining(clock)
    routed.heard(replace(report(without - 1, "killed"), place="here"))
    routed.heard(replace(report(without, "next"), place="here"))
    assert not idle(routed)  # it spoke just now: two may have the same place, seen from here
    clock.advance(SILENCE)
    routed.heard(replace(report(without, "next"), place="elsewhere"))
    assert not idle(routed)
    routed.heard(replace(report(without, "next"), place="here"))
    assert idle(routed)


def test_a_hub_that_just_started_waits_until_gateways_had_time_to_report() -> None:
    """Law: a killed hub costs no request (design 2), those on draining replicas included."""
    clock = FakeClock()
    routed = book(clock)
    routed.update(a_service(), (ONE, TWO))
    clock.advance(SILENCE)
    routed.begin()  # it counts from when they can report: adopting replicas may take a while
    routed.update(a_service(), (LEAVING, TWO))
    assert not idle(routed)
    clock.advance(SILENCE)
    assert idle(routed)


def test_what_an_earlier_hub_let_drain_needs_a_gateways_word() -> None:
    """Law: 0 truncated streams within the grace, also when the hub is killed in mid-drain (F12)."""
    clock = FakeClock()
    routed = book(clock)
    routed.update(a_service(), (LEAVING, TWO))
    routed.begin()
    clock.advance(10 * SILENCE)
    assert not idle(routed)
    routed.heard(report(routed.revision, svc_one_aaaaaaaa=1))
    assert not idle(routed)
    routed.heard(report(routed.revision))
    assert idle(routed)


def test_only_replicas_that_are_asked_for_and_leaving_are_told() -> None:
    routed, without = draining(FakeClock(), "gw-1")
    routed.heard(report(without))
    assert routed.drained(frozenset()) == frozenset()
    assert routed.drained(frozenset({TWO.id, "unheard-of"})) == frozenset()


def test_a_replica_that_is_gone_is_watched_no_more() -> None:
    routed, _ = draining(FakeClock(), "gw-1")
    routed.forget(frozenset({ONE.id, "unheard-of"}))
    assert routed.leaving == frozenset()


def test_looking_again_at_a_leaving_replica_publishes_nothing() -> None:
    routed, without = draining(FakeClock(), "gw-1")
    routed.update(a_service(), (LEAVING, TWO))
    assert routed.revision == without


# ---- what is called Running can be called -------------------------------------------------


def test_an_update_tells_when_a_service_gets_its_first_target() -> None:
    routed = book()
    steps = [((), False), ((ONE,), True), ((ONE, TWO), False), ((LEAVING,), False), ((TWO,), True)]
    assert [routed.update(a_service(), replicas) for replicas, _ in steps] == [
        told for _, told in steps
    ]


async def waited(routed: RouteBook) -> float:
    """Seconds until the present table is taken up."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await routed.taken_up(1.0)
    return loop.time() - began


def settled_book() -> RouteBook:
    """A book that was opened long ago and routes a service, in virtual time."""
    routed = RouteBook(virtual_time.wall, str, CAPABILITIES, timer=virtual_time.wall)
    routed.begin()
    routed.update(a_service(), (ONE,))
    return routed


def test_without_a_gateway_nobody_is_waited_for_except_just_after_the_start() -> None:
    async def whole() -> None:
        routed = settled_book()
        assert await waited(routed) == 1.0
        await asyncio.sleep(SILENCE)
        assert await waited(routed) == 0.0

    run(whole())


def test_each_live_gateway_is_waited_for_until_it_reports_the_table() -> None:
    """Law: what is called Running can be called (interface: create, wait, ask)."""

    async def whole() -> None:
        routed, loop = settled_book(), asyncio.get_running_loop()
        await asyncio.sleep(SILENCE)
        for gateway in ("gw-1", "gw-2"):
            routed.heard(report(routed.revision - 1, gateway))
        loop.call_later(0.1, routed.heard, report(routed.revision, "gw-1"))
        loop.call_later(0.3, routed.heard, report(routed.revision + 1, "gw-2"))
        assert await waited(routed) == pytest.approx(0.3)
        routed.update(a_service(), (ONE, TWO))
        assert await waited(routed) == 1.0  # a gateway that hangs holds up nobody for longer

    run(whole())


def test_the_only_gateway_says_so_by_asking_for_what_comes_next() -> None:
    async def whole() -> None:
        routed, loop = settled_book(), asyncio.get_running_loop()
        routed.heard(report(routed.revision - 1))
        asking = loop.create_task(routed.newer(routed.revision - 1, 5.0))
        assert await asking is not None
        loop.call_later(0.02, lambda: loop.create_task(routed.newer(routed.revision, 5.0)))
        assert await waited(routed) == pytest.approx(0.02)

    run(whole())


def test_numbers_of_another_hub_say_nothing() -> None:
    async def whole() -> None:
        routed = settled_book()
        await routed.newer(routed.revision + 1000, 0.1)
        assert await waited(routed) == 1.0

    run(whole())


def test_the_end_of_the_hub_is_waited_for_by_nobody() -> None:
    async def whole() -> None:
        routed = settled_book()
        asyncio.get_running_loop().call_later(0.2, routed.end)
        assert await waited(routed) == pytest.approx(0.2)

    run(whole())


# ---- news for gateways --------------------------------------------------------------------


async def _table(routed: RouteBook, revision: int, wait: float) -> RouteTable | None:
    found = await routed.newer(revision, wait)
    return None if found is None else routes.load(found)


def test_nothing_is_told_before_every_service_was_looked_at_once() -> None:
    """Law: no half table goes out after a start: a gateway would refuse what runs (design 2)."""

    async def whole() -> None:
        routed = book()
        routed.update(a_service(), (ONE,))
        assert await _table(routed, 0, 5.0) is None
        assert asyncio.get_running_loop().time() == 5.0
        routed.begin()
        found = await _table(routed, 0, 5.0)
        assert found is not None
        assert targets(found) == [ONE.id]

    run(whole())


def test_news_come_at_once_when_they_come_and_none_after_the_wait() -> None:
    async def whole() -> None:
        routed, loop = book(), asyncio.get_running_loop()
        routed.begin()
        known = routed.revision
        loop.call_later(2.0, routed.update, a_service(), (ONE,))
        found = await _table(routed, known, 5.0)
        assert loop.time() == 2.0
        assert found is not None
        assert found.revision == routed.revision
        assert await _table(routed, found.revision, 5.0) is None
        assert loop.time() == 7.0

    run(whole())


def test_a_gateway_with_a_higher_number_than_ours_is_told_too() -> None:
    """A clock that was set back must not leave gateways with the last hub's table for ever."""

    async def whole() -> None:
        routed = book()
        routed.begin()
        found = await _table(routed, routed.revision + 1000, 5.0)
        assert found is not None
        assert found.revision == routed.revision

    run(whole())


def test_every_waiting_gateway_is_told_and_all_are_let_go_at_the_end() -> None:
    async def whole() -> None:
        routed, loop = book(), asyncio.get_running_loop()
        routed.begin()
        known = routed.revision
        waiting = [asyncio.create_task(_table(routed, known, 60.0)) for _ in range(3)]
        loop.call_later(1.0, routed.update, a_service(), (ONE,))
        told = await asyncio.gather(*waiting)
        assert [found is not None for found in told] == [True] * 3
        waiting = [asyncio.create_task(_table(routed, routed.revision, 60.0)) for _ in range(3)]
        loop.call_later(1.0, routed.end)
        assert await asyncio.gather(*waiting) == [None] * 3
        assert loop.time() == 2.0

    run(whole())


def test_what_is_told_is_the_newest_table_also_after_several_changes() -> None:
    async def whole() -> None:
        routed = book()
        routed.begin()
        await routed.newer(0, 1.0)
        steps: list[tuple[ReplicaStatus, ...]] = [(ONE,), (ONE, TWO), (TWO,)]
        for replicas in steps:
            routed.update(a_service(created=T0), replicas)
        found = await _table(routed, 0, 1.0)
        assert found is not None
        assert targets(found) == [TWO.id]

    run(whole())


def test_a_route_tells_its_share_of_the_groups_traffic() -> None:
    shared = Registration(share=Share(weight=50))
    found = route_of(a_service(group="team", registration=shared), ONE)
    assert (found.group, found.weight) == ("team", 50)
    alone = Registration(share=Share(weight=50, standalone=True))
    found = route_of(a_service(group="team", registration=alone), ONE)
    assert (found.group, found.aliases) == ("", ("team.svc_one",))
    assert "team" not in found.models
    assert route_of(a_service(), ONE).weight == -1


@pytest.mark.parametrize(
    ("engine", "platform", "own", "expected"),
    [
        ("llama_cpp", "prefix", None, "prefix"),
        ("llama_cpp", "", None, ""),
        ("llama_cpp", "prefix", "", ""),
        ("llama_cpp", "", "prefix", "prefix"),
        ("custom", "prefix", None, ""),
        ("custom", "prefix", "prefix", "prefix"),
    ],
)
def test_affinity_is_the_platforms_choice_for_openai_until_the_service_says(
    engine: str, platform: str, own: str | None, expected: str
) -> None:
    version = a_version(template=a_template(engine=engine), relaying=Relaying(affinity=own))
    routed = RouteBook(FakeClock(), str, CAPABILITIES, affinity=platform)
    routed.update(a_service(current=version), (ONE,))
    assert routed.table.routes["svc_one"].affinity == expected


def test_repeats_are_the_services_choice() -> None:
    version = a_version(relaying=Relaying(repeats=False))
    assert not route_of(a_service(current=version), ONE).repeats
    assert route_of(a_service(), ONE).repeats


@pytest.mark.parametrize(
    ("replicas", "queue"), [((), 7), ((ONE,), 7), ((ONE, TWO), 14)], ids=["none", "one", "two"]
)
def test_what_a_service_takes_in_is_routed(replicas: tuple[ReplicaStatus, ...], queue: int) -> None:
    """Each ready replica brings waiting places of its own; the rate is of the whole service."""
    template = a_template(name="spec", engine="llama_cpp", slots=3)
    routed = book()
    routed.queue_seconds = 12.5
    routed.update(
        a_service(current=a_version(template=template, intake=Intake(queue=7, rate=5))), replicas
    )
    found = routed.table.routes["svc_one"]
    assert (found.rate, found.slots, found.queue) == (5, 3 + WAITING_AT_HAND, queue)
    assert found.queue_seconds == 12.5


def test_an_update_to_an_engine_that_does_not_tell_bounds_nobody_meanwhile() -> None:
    old, new = replace(ONE, engine="llama_cpp"), replace(TWO, engine="transformers")
    assert route_of(a_service(current=AUTOMATIC), old).slots > 0
    assert route_of(a_service(current=AUTOMATIC), old, new).slots == 0
