"""The planner's promises, over random worlds; and that these tests would notice a broken planner."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core import backoff
from pierhead.core import plan as planner
from pierhead.core.plan import Action, Drain, Forget, Rerun, Seen, Start, Stop, Target, bounds, plan
from pierhead.core.replicas import LEAVING, ReplicaState, step
from pierhead.core.templates import Rolling

S = ReplicaState
Plan = Callable[[Target, Sequence[Seen], float], list[Action]]


def seen(id: str, state: S, rollout: str = "1.0", created: float = 0.0, **more: float) -> Seen:
    return Seen(id, rollout, state, created, **more)


# ---- single decisions ---------------------------------------------------------------------


def test_nothing_there_starts_all() -> None:
    assert plan(Target(3, "1.0"), [], 0.0) == [Start(), Start(), Start()]


def test_settled_means_nothing_to_do() -> None:
    assert plan(Target(2, "1.0"), [seen("a", S.READY), seen("b", S.READY)], 0.0) == []


def test_too_many_lets_the_idle_leave_before_the_young() -> None:
    world = [seen("old", S.READY), seen("young", S.READY, created=9.0), seen("slow", S.STARTING)]
    assert plan(Target(2, "1.0"), world, 0.0) == [Stop("slow")]
    assert plan(Target(1, "1.0"), world, 0.0) == [Stop("slow"), Drain("young")]


def test_crashed_runs_again_only_after_its_back_off() -> None:
    world = [seen("a", S.CRASHED, retry_at=10.0)]
    assert plan(Target(1, "1.0"), world, 9.9) == []
    assert plan(Target(1, "1.0"), world, 10.0) == [Rerun("a")]


def test_a_clock_that_was_set_back_makes_no_replica_wait_longer_than_a_back_off_lasts() -> None:
    crashed = seen("a", S.CRASHED, retry_at=3600.0)
    assert plan(Target(1, "1.0"), [crashed], 3600.0 - backoff.LONGEST) == []
    assert plan(Target(1, "1.0"), [crashed], 3600.0 - planner.TOO_LONG - 0.1) == [Rerun("a")]
    assert plan(Target(1, "1.0"), [crashed], 10.0) == [Rerun("a")]


def test_no_back_off_is_longer_than_the_longest() -> None:
    spread = {backoff.delay(20, f"seed {number}") for number in range(2000)}
    assert 0.99 * backoff.LONGEST < max(spread) < planner.TOO_LONG


def test_draining_stops_when_let_go_or_out_of_patience() -> None:
    world = [seen("a", S.DRAINING, leave_by=30.0)]
    assert plan(Target(0, "1.0"), world, 1.0) == []
    assert plan(Target(0, "1.0", drained=frozenset({"a"})), world, 1.0) == [Stop("a")]
    assert plan(Target(0, "1.0"), world, 30.0) == [Stop("a")]


def test_stopped_is_forgotten() -> None:
    assert plan(Target(0, "1.0"), [seen("a", S.STOPPED)], 0.0) == [Forget("a")]


def test_a_failing_roll_leaves_the_old_version_alone_and_alive() -> None:
    world = [
        seen("a", S.READY),
        seen("b", S.CRASHED, retry_at=0.0),
        seen("new", S.CRASHED, "2.0", retry_at=99.0),
    ]
    actions = plan(Target(2, "2.0", Rolling(1, 0)), world, 1.0)
    assert Drain("a") not in actions
    assert Stop("a") not in actions


@pytest.mark.parametrize(
    ("rolling", "replicas", "wanted"),
    [
        (Rolling("25%", "25%"), 4, (1, 1)),
        (Rolling("25%", "25%"), 3, (1, 0)),  # surge rounds up, unavailable down
        (Rolling(0, 0), 3, (1, 0)),  # would never move
        (Rolling(0, 5), 2, (0, 2)),
        (Rolling("100%", 0), 3, (3, 0)),
    ],
)
def test_bounds(rolling: Rolling, replicas: int, wanted: tuple[int, int]) -> None:
    assert bounds(rolling, replicas) == wanted


@pytest.mark.parametrize("rolling", [Rolling(0, 1), Rolling(1, 0), Rolling(2, 2), Rolling(0, 3)])
def test_a_roll_away_from_a_version_that_never_came_up_gets_through(rolling: Rolling) -> None:
    world = World([seen(f"bad{i}", S.CRASHED, retry_at=1e9) for i in range(3)])
    target = Target(3, "2.0", rolling)
    for _ in range(60):
        world.obey(plan(target, world.replicas, world.now))
        assert len(world.live) <= 3 + max(1, bounds(rolling, 3)[0])
        world.quieten()
    assert world.settled(target)


def test_scale_in_of_a_dead_old_version_keeps_to_the_bound() -> None:
    world = [seen(f"bad{i}", S.CRASHED, retry_at=1e9) for i in range(3)]
    actions = plan(Target(1, "2.0", Rolling(1, 0)), world, 0.0)
    assert sum(isinstance(action, Stop) for action in actions) == 2
    assert actions.count(Start()) == 1


# ---- random worlds ------------------------------------------------------------------------


@dataclass
class World:
    """Replicas that obey the planner, and chance that moves them along the legal edges."""

    replicas: list[Seen]
    now: float = 0.0
    count: int = 0

    @property
    def live(self) -> list[Seen]:
        return [replica for replica in self.replicas if replica.state not in LEAVING]

    @property
    def ready(self) -> list[Seen]:
        return [replica for replica in self.replicas if replica.state is S.READY]

    def obey(self, actions: list[Action], rollout: str = "2.0") -> None:
        for action in actions:
            match action:
                case Start():
                    self.count += 1
                    new = Seen(f"n{self.count}", rollout, S.STARTING, self.now)
                    self.replicas.append(new)
                case Forget(id):
                    self.replicas = [r for r in self.replicas if r.id != id]
                case Rerun(id):
                    self.move(id, S.STARTING)
                case Drain(id):
                    self.move(id, S.DRAINING)
                case Stop(id):
                    self.move(id, S.STOPPING)

    def move(self, id: str, state: S) -> None:
        """One step; the table of replicas.py is the judge."""
        self.replicas = [
            replace(
                r,
                state=step(r.state, state),
                leave_by=self.now + 5 if state is S.DRAINING else None,
                retry_at=self.now + 2 if state is S.CRASHED else None,
            )
            if r.id == id
            else r
            for r in self.replicas
        ]

    def quieten(self) -> None:
        """Time passes and everything goes well."""
        self.now += 3
        onward = {S.STARTING: S.READY, S.UNREADY: S.READY, S.STOPPING: S.STOPPED}
        for replica in list(self.replicas):
            if replica.state in onward and not replica.id.startswith("bad"):
                self.move(replica.id, onward[replica.state])
            elif replica.id.startswith("bad") and replica.state is S.STOPPING:
                self.move(replica.id, S.STOPPED)
            elif replica.id.startswith("bad") and replica.state is S.STARTING:
                self.move(replica.id, S.CRASHED)

    def shake(self, chance: Random) -> None:
        """Time passes and anything may go: progress only, no harm to what is ready."""
        self.now += chance.random() * 3
        for replica in list(self.replicas):
            if replica.state is S.STARTING and chance.random() < 0.6:
                self.move(replica.id, S.READY if chance.random() < 0.8 else S.CRASHED)
            elif replica.state is S.STOPPING and chance.random() < 0.6:
                self.move(replica.id, S.STOPPED)

    def settled(self, target: Target) -> bool:
        fit = [r for r in self.ready if r.rollout == target.rollout]
        return len(fit) == len(self.replicas) == target.replicas


STATES = st.sampled_from(
    [S.PENDING, S.STARTING, S.READY, S.UNREADY, S.CRASHED, S.DRAINING, S.STOPPING, S.STOPPED]
)
REPLICAS = st.lists(
    st.tuples(st.sampled_from(["1.0", "1.1", "2.0"]), STATES, st.integers(0, 5)), max_size=7
).map(
    lambda rows: [
        seen(f"r{i}", state, rollout, float(born), leave_by=3.0)
        for i, (rollout, state, born) in enumerate(rows)
    ]
)
ROLLING = st.builds(
    Rolling,
    st.one_of(st.integers(0, 3), st.sampled_from(["0%", "25%", "50%", "100%"])),
    st.one_of(st.integers(0, 3), st.sampled_from(["0%", "25%", "50%", "100%"])),
)


@given(REPLICAS, st.integers(0, 5), ROLLING)
def test_every_plan_is_legal_and_names_each_replica_once(
    world: list[Seen], wanted: int, rolling: Rolling
) -> None:
    actions = plan(Target(wanted, "2.0", rolling), world, 1.0)
    named = [action.id for action in actions if not isinstance(action, Start)]
    assert len(named) == len(set(named)), "two orders for one replica"
    World(list(world)).obey(actions)  # raises IllegalStep if an order breaks the table


@given(REPLICAS, st.integers(0, 5), ROLLING, st.randoms(use_true_random=False))
def test_any_world_comes_to_what_is_wanted(
    start: list[Seen], wanted: int, rolling: Rolling, chance: Random
) -> None:
    converge(plan, start, Target(wanted, "2.0", rolling), chance)


@given(st.integers(1, 5), ROLLING, st.randoms(use_true_random=False))
def test_a_roll_never_leaves_its_bounds(wanted: int, rolling: Rolling, chance: Random) -> None:
    roll_within_bounds(plan, wanted, rolling, chance)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_scaling_to_and_fro_ends_at_the_last_word(counts: list[int], chance: Random) -> None:
    world = World([])
    for count in counts:
        for _ in range(chance.randint(1, 4)):
            world.obey(plan(Target(count, "2.0"), world.replicas, world.now))
            world.shake(chance)
    finish(plan, world, Target(counts[-1], "2.0"))


def test_one_three_one() -> None:
    world = World([])
    for count, started in ((1, 1), (3, 3), (1, 3)):
        finish(plan, world, Target(count, "2.0"))
        assert world.count == started, "a replica was started for nothing"


def converge(decide: Plan, start: list[Seen], target: Target, chance: Random) -> None:
    world = World(list(start))
    for _ in range(5):
        world.obey(decide(target, world.replicas, world.now))
        world.shake(chance)
    finish(decide, world, target)


def finish(decide: Plan, world: World, target: Target) -> None:
    for _ in range(80):
        actions = decide(target, world.replicas, world.now)
        world.obey(actions)
        if not actions and world.settled(target):
            return
        world.quieten()
    raise AssertionError(f"did not settle: {world.replicas}")


def roll_within_bounds(decide: Plan, wanted: int, rolling: Rolling, chance: Random) -> None:
    """From `wanted` ready old ones; nothing but the planner ever takes a ready one away."""
    target = Target(wanted, "2.0", rolling)
    surge, unavailable = bounds(rolling, wanted)
    world = World([seen(f"o{i}", S.READY, created=float(i)) for i in range(wanted)])
    for _ in range(120):
        world.obey(decide(target, world.replicas, world.now))
        assert len(world.ready) >= wanted - unavailable, "too few are ready"
        assert len(world.live) <= wanted + surge, "too many at once"
        world.shake(chance)
    finish(decide, world, target)


# ---- would these tests notice? ------------------------------------------------------------


def _without_surge_bound(target: Target, world: Sequence[Seen], now: float) -> list[Action]:
    wild = replace(target, rolling=Rolling(99, target.rolling.max_unavailable))
    return plan(wild, world, now)


def _drains_all_old_at_once(target: Target, world: Sequence[Seen], now: float) -> list[Action]:
    old = [r for r in world if r.rollout != target.rollout and r.state is S.READY]
    rest = [a for a in plan(target, world, now) if not (isinstance(a, Drain | Stop))]
    return [Drain(r.id) for r in old] + rest


def _forgets_to_forget(target: Target, world: Sequence[Seen], now: float) -> list[Action]:
    return [action for action in plan(target, world, now) if not isinstance(action, Forget)]


def _never_reruns(target: Target, world: Sequence[Seen], now: float) -> list[Action]:
    return [action for action in plan(target, world, now) if not isinstance(action, Rerun)]


@pytest.mark.parametrize(
    "broken", [_without_surge_bound, _drains_all_old_at_once, _forgets_to_forget, _never_reruns]
)
def test_a_broken_planner_is_noticed(broken: Plan) -> None:
    chance = Random(7)
    with pytest.raises(AssertionError):
        for _ in range(30):
            roll_within_bounds(broken, 3, Rolling(1, 0), chance)
            converge(broken, [seen("a", S.CRASHED, "2.0")], Target(3, "2.0"), chance)


def test_the_planner_has_no_memory() -> None:
    world = [seen("a", S.READY), seen("b", S.STARTING, "2.0")]
    target = Target(2, "2.0")
    assert planner.plan(target, world, 1.0) == planner.plan(target, world, 1.0)


# ---- held: what a start would need is not there ---------------------------------------------------


@given(st.integers(0, 4), st.lists(st.tuples(st.sampled_from(list(S)), st.booleans()), max_size=6))
def test_a_held_target_starts_nothing_and_lets_the_rest_happen(
    replicas: int, states: list[tuple[ReplicaState, bool]]
) -> None:
    world = [
        seen(f"r{number}", state, "2.0" if new else "1.0", created=number)
        for number, (state, new) in enumerate(states)
    ]
    current = {replica.id for replica in world if replica.rollout == "2.0"}
    free = plan(Target(replicas, "2.0"), world, 1.0)
    held = plan(Target(replicas, "2.0", held=True), world, 1.0)
    assert held == [
        action
        for action in free
        if not isinstance(action, Start)
        and not (isinstance(action, Rerun) and action.id in current)
    ]


# ---- devices ------------------------------------------------------------------------------


class Crowd(World):
    """A world with so many devices; each replica holds one until it is wholly gone."""

    devices: int = 3

    def step(self, target: Target) -> None:
        old = [r for r in self.live if r.rollout != target.rollout]
        full = len(self.replicas) >= self.devices
        leaving = len(self.replicas) > len(self.live)
        crowded = int(full and not leaving and bool(old))
        for action in plan(replace(target, crowded=crowded), self.replicas, self.now):
            if not isinstance(action, Start) or len(self.replicas) < self.devices:
                self.obey([action], target.rollout)


@pytest.mark.parametrize(
    "rolling", [Rolling(1, 0), Rolling("100%", 0), Rolling(0, 1), Rolling(2, 2)]
)
@pytest.mark.parametrize("replicas", [1, 2, 3])
def test_an_update_gets_through_where_old_replicas_hold_every_device(
    rolling: Rolling, replicas: int
) -> None:
    crowd = Crowd([seen(f"old{at}", S.READY) for at in range(replicas)])
    crowd.devices = replicas
    least = replicas - max(1, bounds(rolling, replicas)[1])
    target = Target(replicas, "2.0", rolling)
    for _ in range(80):
        names = frozenset(r.id for r in crowd.replicas if r.state is S.DRAINING)
        crowd.step(replace(target, drained=names))
        assert len(crowd.ready) >= least, "no more of them leave than must"
        crowd.quieten()
    assert crowd.settled(target)


def test_old_ones_stay_while_enough_new_ones_are_on_their_way_or_none_may_start() -> None:
    world = [seen("old", S.READY), seen("new", S.STARTING, "2.0")]
    assert plan(Target(1, "2.0", crowded=1), world, 0.0) == []
    assert plan(Target(1, "2.0", crowded=1), world[:1], 0.0) == [Drain("old"), Start()]
    assert plan(Target(1, "2.0", crowded=0), world[:1], 0.0) == [Start()]
