"""Who gets what of a quota: random claims against a model that lists every replica one by one."""

import re
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core import quota_holds, quota_steps
from pierhead.core.diagnosis import explained, wording
from pierhead.core.languages import Language
from pierhead.core.quota_holds import Lack
from pierhead.core.quota_sizes import of_replica, unsaid
from pierhead.core.quota_steps import Stand
from pierhead.core.quotas import (
    BOUNDS,
    NOTHING,
    UNSAID,
    Amount,
    Claim,
    Granted,
    Quota,
    Share,
    grants,
    told,
)
from pierhead.core.resources import GIB, Resources
from pierhead.core.specs import BUILT_IN
from pierhead.core.templates import Template

ONE = Amount(1.0, GIB, 0.0, 1)
IDS = ("a", "b")

amounts = st.builds(
    Amount,
    cpu=st.sampled_from([0.0, 0.1, 0.5, 1.0, 2.0]),
    memory=st.sampled_from([0, 1, 3]),
    gpus=st.sampled_from([0.0, 1.0]),
    replicas=st.just(1),
)
quotas = st.fixed_dictionaries(
    {
        id_: st.builds(
            Quota,
            st.just(id_),
            cpu=st.none() | st.sampled_from([0.0, 0.3, 2.0, 5.0]),
            memory=st.none() | st.integers(0, 12),
            gpus=st.none() | st.sampled_from([0.0, 2.0]),
            replicas=st.none() | st.integers(0, 8),
        )
        for id_ in IDS
    }
)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[dict[str, Quota], dict[str, Share], list[Claim]]:
    """Quotas, what services hold of them (sometimes too much: they were lowered), what they want."""
    shares: dict[str, Share] = {}
    claims: list[Claim] = []
    for number in range(draw(st.integers(1, 5))):
        name, one = f"s{number}", draw(amounts)
        ids = draw(st.sampled_from([("a",), ("b",), ("a", "b")]))
        count = draw(st.integers(0, 3))
        shares[name] = Share(ids, one.times(count))
        first = 0.0
        if draw(st.booleans()):
            first = draw(st.sampled_from([1.0, 2.0, 3.0]))
            updated = draw(amounts).times(count)
            claims.append(Claim(name, one, 0, first, updated))
        for _ in range(draw(st.integers(0, 2))):
            since = max(first, draw(st.sampled_from([1.0, 2.0, 3.0])))
            claims.append(Claim(name, one, draw(st.integers(1, 4)), since))
    return draw(quotas), shares, claims


def fits(quota: Quota, items: Sequence[Amount]) -> bool:
    """Does a list of things fit a quota, bound by bound?"""
    for name in BOUNDS:
        bound = getattr(quota, name)
        if bound is not None and sum(getattr(one, name) for one in items) > bound + 1e-6:
            return False
    return True


def takes(quota: Quota, items: Sequence[Amount], more: Amount) -> bool:
    """The same, but what `more` has none of is no matter: that bound may be overdrawn."""
    names = [name for name in BOUNDS if getattr(more, name)]
    narrowed = Quota(quota.id, **{name: getattr(quota, name) for name in names})
    return fits(narrowed, [*items, more])


class Model:
    """Lists what is held, given and kept free, and asks of every single replica whether it fits."""

    def __init__(self, found: tuple[dict[str, Quota], dict[str, Share], list[Claim]]) -> None:
        self.quotas, self.shares, claims = found
        self.real = {
            id_: [share.held for share in self.shares.values() if id_ in share.quotas]
            for id_ in self.quotas
        }
        self.kept = {id_: list(items) for id_, items in self.real.items()}
        self.own = {name: [share.held] for name, share in self.shares.items()}
        self.more: dict[str, int] = {}
        self.update: dict[str, bool] = {}
        self.never: set[str] = set()
        for claim in sorted(claims, key=lambda one: (one.since, one.service)):
            self.more.setdefault(claim.service, 0)
            self.update.setdefault(claim.service, True)
            if claim.updated != NOTHING:
                self._update(claim)
            if claim.service not in self.never:
                for _ in range(claim.missing):
                    self._replica(claim)

    def _update(self, claim: Claim) -> None:
        name, mine = claim.service, self.shares[claim.service].quotas
        held = self.own[name]
        has = sum(held, NOTHING)
        more = has.most(claim.updated) - has
        alone = all(fits(self.quotas[id_], [claim.updated]) for id_ in mine)
        if not alone:
            self.never.add(name)
        self.update[name] = all(
            takes(self.quotas[id_], [*self.real[id_], has.times(-1)], claim.updated)
            and takes(self.quotas[id_], self.kept[id_], more)
            for id_ in mine
        )
        if self.update[name] or alone:
            held.append(more)
            for id_ in mine:
                self.kept[id_].append(more)
                if self.update[name]:
                    self.real[id_].append(more)

    def _replica(self, claim: Claim) -> None:
        name, mine, one = claim.service, self.shares[claim.service].quotas, claim.one
        now = self.update[name] and all(
            takes(self.quotas[id_], self.kept[id_], one) for id_ in mine
        )
        ever = all(takes(self.quotas[id_], self.own[name], one) for id_ in mine)
        self.more[name] += now
        if not now and not ever:
            return
        self.own[name].append(one)
        for id_ in mine:
            self.kept[id_].append(one)
            if now:
                self.real[id_].append(one)


@given(worlds())
def test_grants_are_those_of_the_model_that_counts_every_replica(
    world: tuple[dict[str, Quota], dict[str, Share], list[Claim]],
) -> None:
    found, model = grants(*world), Model(world)
    assert {name: grant.more for name, grant in found.of.items()} == model.more
    assert {name: grant.update for name, grant in found.of.items()} == model.update


@given(worlds())
def test_nothing_that_is_granted_goes_beyond_a_quota(
    world: tuple[dict[str, Quota], dict[str, Share], list[Claim]],
) -> None:
    """Law: held and granted stay within the quota; one that was lowered lets nobody have more."""
    bounds, shares, _ = world
    found = grants(*world)
    for id_, quota in bounds.items():
        held = sum((share.held for share in shares.values() if id_ in share.quotas), NOTHING)
        grown = found.used[id_] - held
        for name in BOUNDS:
            if getattr(grown, name) > 1e-6:
                assert name not in quota.exceeded(found.used[id_])


@given(worlds(), st.data())
def test_who_comes_later_takes_nothing_from_who_waits_already(
    world: tuple[dict[str, Quota], dict[str, Share], list[Claim]], data: st.DataObject
) -> None:
    """Law: first come, first served; nobody overtakes, in whatever order the claims are listed."""
    bounds, shares, claims = world
    late = [replace(Claim("late", ONE, 5), since=99.0)]
    shares = {**shares, "late": Share(IDS, NOTHING)}
    shuffled = data.draw(st.permutations([*claims, *late]))
    shuffled.sort(key=lambda one: one.updated == NOTHING)  # an update before the rest of a service
    with_it, without = grants(bounds, shares, shuffled), grants(bounds, shares, claims)
    assert {name: with_it.of[name] for name in without.of} == without.of


@given(st.integers(1, 6), st.lists(st.integers(1, 4), min_size=1, max_size=6))
def test_nobody_starves_as_long_as_others_let_go(limit: int, wishes: list[int]) -> None:
    """Each gets what it wants of what the quota has, in the order in which they came."""
    quota = {"q": Quota("q", replicas=limit)}
    one = Amount(replicas=1)
    held = {f"s{at}": 0 for at in range(len(wishes))}
    served: list[str] = []
    waiting = {f"s{at}": count for at, count in enumerate(wishes)}
    for _ in range(sum(wishes) + len(wishes)):
        claims = [
            Claim(name, one, count, float(name[1:])) for name, count in waiting.items() if count
        ]
        shares = {name: Share(("q",), one.times(count)) for name, count in held.items()}
        for name, grant in grants(quota, shares, claims).of.items():
            held[name] += grant.more
            waiting[name] -= grant.more
        assert sum(held.values()) <= limit
        for name in list(held):
            if held[name] == min(limit, wishes[int(name[1:])]):  # it has all, and lets go of it
                served.append(name)
                del held[name], waiting[name]
    assert served == [f"s{at}" for at in range(len(wishes))]


# ---- one service --------------------------------------------------------------------------


def granted(quota: Quota, stand: Stand, others: Amount = NOTHING) -> tuple[Stand, Granted]:
    shares = {"me": Share(("q",), stand.held), "other": Share(("q",), others)}
    asked = quota_steps.asked((), stand.right, stand.wanted, 5.0)
    return stand, grants({"q": quota}, shares, quota_steps.claims("me", stand, asked, 5.0))


def stepped(quota: Quota, stand: Stand, others: Amount = NOTHING) -> quota_steps.Step:
    _, found = granted(quota, stand, others)
    return quota_steps.step(stand, Share(("q",), stand.held), {"q": quota}, found, "me")


FOUR = Quota("q", cpu=4.0)
C1, C2, C3 = (Amount(cpu=float(number), replicas=1) for number in (1, 2, 3))


def test_an_update_in_a_full_quota_lets_as_few_old_ones_go_as_must() -> None:
    full = Stand(C2, 2, 2, C2, older=(C2, C2))
    found = stepped(FOUR, full)
    assert (found.frozen, found.room, found.crowded, found.missing) == (False, 0, 1, 0)
    leaving = replace(full, older=(C2,), leaving=C2)
    assert (stepped(FOUR, leaving).room, stepped(FOUR, leaving).crowded) == (0, 0)
    gone = replace(full, older=(C2,))
    assert (stepped(FOUR, gone).room, stepped(FOUR, gone).crowded) == (1, 0)


def test_an_update_uses_what_is_free_beside_the_old_ones_unless_somebody_waits_for_it() -> None:
    beside = Stand(C1, 2, 2, C1, older=(C1, C1))
    assert stepped(FOUR, beside).room == 2
    assert stepped(FOUR, beside, C1).room == 1
    shares = {"me": Share(("q",), beside.held), "other": Share(("q",), C1)}
    waits = [Claim("other", C2, 1, 1.0), *quota_steps.claims("me", beside, (), 5.0)]
    found = grants({"q": FOUR}, shares, waits)
    step = quota_steps.step(beside, shares["me"], {"q": FOUR}, found, "me")
    assert (step.room, step.crowded) == (0, 1)


def test_an_update_that_would_cost_a_replica_does_not_begin() -> None:
    larger = Stand(C3, 2, 2, C1, older=(C1, C1))
    assert stepped(FOUR, larger).frozen
    assert stepped(FOUR, replace(larger, one=C2)).frozen is False
    assert stepped(FOUR, replace(larger, one=C2), C1).frozen
    lowered = Quota("q", replicas=1)
    assert stepped(lowered, Stand(C1, 2, 2, C1, older=(C1, C1))).frozen


def test_a_right_without_a_replica_is_worth_what_the_replica_was() -> None:
    stand = Stand(C2, 2, 2, C1, current=0)
    found = quota_steps.entitled(stand, [FOUR], {"q": NOTHING})
    assert (found.right, found.size) == (1, C2)
    assert quota_steps.entitled(replace(stand, one=C1), [FOUR], {"q": C2}).right == 2
    assert quota_steps.entitled(replace(stand, one=C1), [FOUR], {"q": C3}).right == 1


def test_what_is_asked_for_later_waits_from_then_on() -> None:
    first = quota_steps.asked((), 1, 3, 10.0)
    assert first == ((10.0, 3),)
    assert quota_steps.asked(first, 1, 5, 20.0) == ((10.0, 3), (20.0, 5))
    assert quota_steps.asked(((10.0, 3), (20.0, 5)), 4, 5, 30.0) == ((20.0, 5),)
    assert quota_steps.asked(((10.0, 3), (20.0, 5)), 1, 2, 30.0) == ((10.0, 2),)
    assert quota_steps.asked(((10.0, 3),), 3, 3, 30.0) == ()


# ---- words --------------------------------------------------------------------------------


COMMAND = Template("a_command", "custom", command=("serve",))


def test_a_replica_counts_for_its_limits_and_a_part_of_a_gpu_for_one() -> None:
    def of(resources: Resources) -> Amount:
        return of_replica(replace(COMMAND, resources=resources))

    assert of(Resources()) == Amount(replicas=1)
    assert of(Resources(2.0, GIB, 3)) == Amount(2.0, GIB, 3.0, 1)
    assert of(Resources(gpu_memory=GIB)).gpus == 1.0


def test_a_model_without_limits_counts_with_what_its_family_needs_and_one_core() -> None:
    counted = of_replica(BUILT_IN["llama_7b_fp16"])
    assert counted.cpu == 1.0
    assert 14 * GIB < counted.memory < 24 * GIB
    small = of_replica(BUILT_IN["llama_7b_int8"]).memory
    assert 7 * GIB < small < counted.memory
    assert of_replica(BUILT_IN["smollm2_135m_q4"]) == Amount(1.0, GIB, 0.0, 1)


@pytest.mark.parametrize("template", BUILT_IN.values(), ids=lambda one: one.name)
def test_law_no_built_in_spec_escapes_a_quota(template: Template) -> None:
    assert unsaid(template, [Quota("q", 8.0, GIB, 1.0, 1)]) == ()


def test_what_a_command_does_not_say_is_told_where_a_quota_bounds_it() -> None:
    assert unsaid(COMMAND, []) == ()
    assert unsaid(COMMAND, [Quota("q", replicas=1, gpus=1.0)]) == ()
    both = [Quota("q", cpu=1.0), Quota("p", memory=GIB)]
    assert unsaid(COMMAND, both) == ("cpu", "memory")
    told_ = quota_holds.unsaid("a_command", ("cpu", "memory"), both)
    assert told_.reason == UNSAID
    assert told_.permanent
    assert told_.message == (
        "Quotas [q], [p] bound CPU and memory, but the template [a_command] has no limit for it: "
        "give it one, so that it can be counted."
    )
    said = replace(COMMAND, resources=Resources(cpu=1.0, memory=GIB))
    assert unsaid(said, both) == ()


def test_amounts_are_told_with_their_units() -> None:
    assert told("memory", 2**30) == "1.0 GiB memory"


def test_a_hold_names_the_quota_what_is_used_the_limit_and_what_is_wanted() -> None:
    quota = Quota("team-a", replicas=2)
    lack = Lack(quota, Amount(replicas=2), Amount(replicas=1), Amount(replicas=2), ("chat",))
    found = quota_holds.hold([lack], ((7.0, 2),), 7.0, stuck=True)
    assert found.message == (
        "Quota [team-a] allows 2 replica(s): 2 replica(s) are used, 1 more is wanted. Held by [chat]. "
        "It starts when others of the quota let go; raise the quota, or scale something down."
    )
    assert (found.reason, found.placement, found.permanent) == ("QuotaExceeded", True, False)
    assert (found.since, found.asked) == (7.0, ((7.0, 2),))


@pytest.mark.parametrize("stuck", [True, False])
def test_a_service_that_alone_is_beyond_the_quota_is_told_so(stuck: bool) -> None:
    quota = Quota("team-a", memory=2 * GIB)
    lack = Lack(quota, NOTHING, ONE, ONE.times(3))
    found = quota_holds.hold([lack], stuck=stuck)
    assert found.permanent is stuck
    assert found.message.startswith(
        "Quota [team-a] allows 2.0 GiB memory, and this service alone wants 3.0 GiB. "
        "Waiting does not help"
    )


def test_law_the_facts_of_a_hold_are_what_its_words_need_in_each_language() -> None:
    two = Quota("team-a", memory=2 * GIB, replicas=2)
    short = Lack(two, Amount(replicas=2), Amount(replicas=1), Amount(replicas=2), ("chat",), 1)
    full = Lack(two, Amount(replicas=3), NOTHING, Amount(replicas=2))
    holds = {
        "waits": quota_holds.hold([short], stuck=True),
        "replaced": quota_holds.hold([full], stuck=True),
        "queued": quota_holds.hold([Lack(two, NOTHING, NOTHING, NOTHING)], stuck=True),
        "alone": quota_holds.hold([Lack(two, NOTHING, ONE, ONE.times(3))], stuck=True),
        "unsaid": quota_holds.unsaid("a_command", ("cpu", "memory"), [Quota("q", 1.0, GIB)]),
    }
    told_ = {name: explained(hold.cause).error for name, hold in holds.items()}
    assert told_ == {
        "waits": "Quota [team-a] allows 2 replica(s): in use 2 replica(s), wanted besides 1 replica(s).",
        "replaced": "Quota [team-a] allows 2 replica(s): in use 3 replica(s), and all of what is to be"
        " replaced must fit.",
        "queued": "What is free of quota [team-a] is kept for services that have waited longer.",
        "alone": "Quota [team-a] allows 2.0 GiB memory, 2 replica(s), and this service alone wants"
        " 3.0 GiB memory, 3 replica(s).",
        "unsaid": "The template [a_command] does not say how much CPU and memory a replica takes,"
        " which quota [q] bounds.",
    }
    for name, hold in holds.items():
        for language in (Language.ZH_CN, Language.ZH_TW):
            found = explained(hold.cause, language)
            assert wording.amounts(hold.facts, language).get("limit", "") in found.error, name
            assert not re.search(r"memory|replica|GPUs| and ", found.error), found.error
            assert "{" not in f"{found.error}{found.causes}{found.advices}"
    assert "[chat], 1 other service(s)" in explained(holds["waits"].cause).causes[0]
    assert explained(holds["alone"].cause).advices[0].startswith("Waiting does not help")
