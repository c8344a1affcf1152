"""Who guesses is slowed down, whoever owns the secret is not locked out, and memory stays bounded."""

import asyncio
from dataclasses import dataclass, field

import pytest

from pierhead.core.errors import Throttled
from pierhead.operations import lockout
from pierhead.operations.lockout import Lockout, Pace, Rules

ATTACKER, OWNER, OFFICE = "192.0.2.1", "198.51.100.7", "203.0.113.5"


@dataclass
class World:
    now: float = 1000.0
    guard: Lockout = field(init=False)

    def __post_init__(self) -> None:
        self.guard = Lockout(Rules(failures=5, window=300, first=10, longest=100), lambda: self.now)

    def fail(self, address: str, name: str = "victim", times: int = 1) -> int:
        """How many of so many wrong tries were looked at."""
        looked = 0
        for _ in range(times):
            try:
                self.guard.check(address, name)
            except Throttled:
                continue
            looked += 1
            self.guard.failed(address, name)
        return looked

    def waits(self, address: str, name: str = "victim") -> int:
        """Seconds for which it is refused; 0 = it is let through."""
        try:
            self.guard.check(address, name)
        except Throttled as error:
            return error.seconds
        return 0


def test_law_brute_force_gets_a_handful_of_tries_and_ever_longer_waits() -> None:
    world = World()
    assert world.fail(ATTACKER, times=100) == 5
    waits = []
    for _ in range(6):
        waits.append(world.waits(ATTACKER))
        world.now += waits[-1]
        assert world.fail(ATTACKER, times=100) == 1
    assert waits == [10, 20, 40, 80, 100, 100]


def test_law_an_hour_of_guessing_is_a_few_dozen_tries() -> None:
    world, looked = World(), 0
    for _ in range(3600):
        looked += world.fail(ATTACKER, times=3)
        world.now += 1
    assert looked < 60


def test_law_nobody_locks_out_the_owner_elsewhere() -> None:
    world = World()
    for number in range(50):
        world.fail(f"192.0.2.{number}", times=50)
    assert world.waits(OWNER) == 0


def test_law_while_it_is_locked_the_right_secret_is_refused_alike() -> None:
    """`check` comes before anything is compared and knows no secret: there is nothing to tell."""
    world = World()
    world.fail(ATTACKER, times=9)
    with pytest.raises(Throttled) as refused:
        world.guard.check(ATTACKER, "victim")
    assert str(refused.value) == "Too many attempts failed. Try again in 10 s."


def test_law_many_names_from_one_address_are_too_many_too() -> None:
    world = World()
    looked = sum(world.fail(ATTACKER, f"user{number}") for number in range(1000))
    assert looked == 25
    assert world.waits(ATTACKER, "anybody") > 0


def test_law_an_own_account_does_not_clear_the_others_failures() -> None:
    world, looked = World(), 0
    for number in range(200):
        looked += world.fail(ATTACKER, f"user{number}")
        world.guard.passed(ATTACKER, "own")
    assert looked == 25


def test_who_came_in_before_is_not_liable_for_a_neighbour() -> None:
    world = World()
    world.guard.passed(OFFICE, "alice")
    for number in range(100):
        world.fail(OFFICE, f"user{number}")
    assert world.waits(OFFICE, "bob") > 0
    assert world.waits(OFFICE, "alice") == 0
    assert world.fail(OFFICE, "alice", times=50) == 5, "but guessing on that name is"


def test_success_forgives_and_so_does_time() -> None:
    world = World()
    world.fail(OWNER, times=4)
    world.guard.passed(OWNER, "victim")
    assert world.fail(OWNER, times=4) == 4
    world.now += 301
    assert world.fail(OWNER, times=10) == 5
    world.now += 1000
    assert world.waits(OWNER) == 0 and world.fail(OWNER, times=10) == 5


def test_law_an_ipv6_customer_is_one_address() -> None:
    world = World()
    looked = sum(world.fail(f"2001:db8:1:2::{number:x}") for number in range(100))
    assert looked == 5
    assert world.waits("2001:db8:1:3::1") == 0
    assert world.waits("::ffff:192.0.2.9") == 0


def test_law_memory_is_bounded_and_a_flood_does_not_free_the_flooder() -> None:
    world = World()
    world.fail(ATTACKER, times=5)
    for number in range(2 * lockout.MOST):
        world.guard.failed(ATTACKER, f"flood{number}")
        world.guard.passed(f"10.0.{number >> 8}.{number & 255}", "x" * 10_000)
    assert len(world.guard._counts) <= lockout.MOST
    assert len(world.guard._familiar) <= lockout.MOST
    assert max(len(name) for _, name in world.guard._familiar) <= 128
    assert world.waits(ATTACKER) > 0


def test_law_tries_at_the_same_time_are_counted_one_after_the_other() -> None:
    """Else a thousand at once would all be under way before the first has failed."""

    async def main() -> int:
        world, looked = World(), 0

        async def guess() -> None:
            nonlocal looked
            async with world.guard.turn(ATTACKER, "victim"):
                looked += 1
                await asyncio.sleep(0)
                world.guard.failed(ATTACKER, "victim")

        await asyncio.gather(*(guess() for _ in range(1000)), return_exceptions=True)
        assert world.guard._turns == {}
        return looked

    assert asyncio.run(main()) == 5


def test_other_addresses_do_not_wait_for_a_turn() -> None:
    async def main() -> None:
        world = World()
        async with (
            asyncio.timeout(5),
            world.guard.turn(ATTACKER, "a"),
            world.guard.turn(OWNER, "a"),
        ):
            pass

    asyncio.run(main())


def test_it_can_be_switched_off() -> None:
    world = World()
    world.guard = Lockout(Rules(failures=0))
    assert world.fail(ATTACKER, times=1000) == 1000


def test_a_pace_lets_a_burst_pass_and_then_so_many_a_minute() -> None:
    now = 0.0
    pace = Pace(60, lambda: now)
    passed = 0
    for _ in range(600):
        try:
            pace.take("p")
        except Throttled as error:
            assert error.seconds == 1
        else:
            passed += 1
        now += 0.1
    assert 60 <= passed <= 71
    pace.take("q")
    unbound = Pace(0)
    for _ in range(10_000):
        unbound.take("p")


def test_a_slow_pace_lets_one_through() -> None:
    pace = Pace(1, lambda: 0.0)
    pace.take("p")
    with pytest.raises(Throttled):
        pace.take("p")
