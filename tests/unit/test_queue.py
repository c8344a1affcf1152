"""The keyed queue: nothing woken is forgotten, no key is worked on twice at once, faults back off."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import virtual_time
from pierhead.core.backoff import delay
from pierhead.reconciler.queue import KeyedQueue

Faults = list[tuple[str, Exception]]


def drive(
    work: Callable[[str], Awaitable[float | None]],
    act: Callable[[KeyedQueue], Awaitable[None]],
    workers: int = 8,
) -> Faults:
    """Run `act` on a queue of `work`, in virtual time; gives the faults that were reported."""
    faults: Faults = []

    async def whole() -> None:
        queue = KeyedQueue(work, lambda key, error: faults.append((key, error)), workers)
        queue.start()
        await act(queue)
        await queue.close()

    virtual_time.run(whole())
    return faults


def now() -> float:
    return asyncio.get_running_loop().time()


class Passes:
    """Work that takes a second and remembers when it began with which key."""

    def __init__(self, again_in: float | None = None) -> None:
        self.began: list[tuple[str, float]] = []
        self.busy: Counter[str] = Counter()
        self.most_at_once = 0
        self._again_in = again_in

    async def __call__(self, key: str) -> float | None:
        self.began.append((key, now()))
        self.busy[key] += 1
        self.most_at_once = max(self.most_at_once, self.busy.total())
        assert self.busy[key] == 1, "two workers on one key"
        await asyncio.sleep(1)
        self.busy[key] -= 1
        return self._again_in


def test_many_wakes_before_a_pass_are_one_and_one_during_a_pass_is_one_more() -> None:
    passes = Passes()

    async def act(queue: KeyedQueue) -> None:
        for _ in range(5):
            queue.wake("a")
        await asyncio.sleep(0.5)
        for _ in range(5):
            queue.wake("a")
        await asyncio.sleep(10)

    drive(passes, act)

    assert passes.began == [("a", 0.0), ("a", 1.0)]


def test_at_most_so_many_keys_at_once_and_one_slow_key_holds_up_no_other() -> None:
    passes = Passes()

    async def act(queue: KeyedQueue) -> None:
        for key in "abcde":
            queue.wake(key)
        await asyncio.sleep(10)

    drive(passes, act, workers=2)

    assert passes.most_at_once == 2
    assert [at for _key, at in passes.began] == [0.0, 0.0, 1.0, 1.0, 2.0]


def test_a_pass_says_when_to_look_again() -> None:
    passes = Passes(again_in=4.0)

    async def act(queue: KeyedQueue) -> None:
        queue.wake("a")
        await asyncio.sleep(12)

    drive(passes, act)

    assert passes.began == [("a", 0.0), ("a", 5.0), ("a", 10.0)]


@pytest.mark.parametrize(
    ("waits", "looked_at"),
    [([5.0, 2.0], [2.0]), ([2.0, 5.0], [2.0]), ([3.0, 3.0], [3.0])],
    ids=["sooner-wins", "later-loses", "same"],
)
def test_of_several_times_the_soonest_counts_and_once(
    waits: list[float], looked_at: list[float]
) -> None:
    passes = Passes()

    async def act(queue: KeyedQueue) -> None:
        for seconds in waits:
            queue.wake_in("a", seconds)
        await asyncio.sleep(20)

    drive(passes, act)

    assert [at for _key, at in passes.began] == looked_at


def test_hasten_looks_now_at_what_waits_and_at_nothing_else() -> None:
    passes = Passes()

    async def act(queue: KeyedQueue) -> None:
        queue.wake_in("held", 30)
        queue.wake("settled")
        await asyncio.sleep(5)
        queue.hasten()
        await asyncio.sleep(60)

    drive(passes, act)

    assert passes.began == [("settled", 0.0), ("held", 5.0)]


def test_a_key_that_fails_backs_off_is_reported_each_time_and_holds_up_no_other() -> None:
    """Law: errors raise and the queue retries with back-off, per key (design 3)."""
    tries: list[float] = []
    well = Passes()

    async def work(key: str) -> float | None:
        if key == "well":
            return await well(key)
        tries.append(now())
        raise ValueError("broken")

    async def act(queue: KeyedQueue) -> None:
        queue.wake("ill")
        await asyncio.sleep(5)
        queue.wake("well")
        await asyncio.sleep(20)

    faults = drive(work, act, workers=1)

    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert gaps == pytest.approx([delay(n, "ill") for n in range(1, len(tries))])
    assert len(tries) >= 4
    assert gaps == sorted(gaps)
    assert [key for key, _error in faults] == ["ill"] * len(tries)
    assert well.began == [("well", 5.0)]


def test_a_good_pass_wipes_the_slate() -> None:
    tries: list[float] = []

    async def work(_key: str) -> float | None:
        tries.append(now())
        if len(tries) == 4:
            return 0.0
        raise ValueError("broken")

    async def act(queue: KeyedQueue) -> None:
        queue.wake("a")
        await asyncio.sleep(30)

    drive(work, act)

    assert tries[5] - tries[4] == pytest.approx(delay(1, "a"))


def test_closing_ends_timers_and_running_passes() -> None:
    ended: list[str] = []

    async def work(_key: str) -> float | None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return None

    async def act(queue: KeyedQueue) -> None:
        queue.wake("a")
        queue.wake_in("b", 5)
        await asyncio.sleep(1)

    drive(work, act)

    assert ended == ["cancelled"]


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_after_the_last_wake_of_a_key_a_pass_begins_whatever_the_order(seed: int) -> None:
    """Law: a wake-up is never lost (design 3: reconcile a key, not an event)."""
    rng = random.Random(seed)
    last_wake: dict[str, float] = {}
    last_begin: dict[str, float] = {}
    busy: set[str] = set()

    async def work(key: str) -> float | None:
        assert key not in busy
        busy.add(key)
        last_begin[key] = now()
        try:
            await asyncio.sleep(rng.choice([0, 0.1, 1]))
            if rng.random() < 0.2:
                raise ValueError
        finally:
            busy.discard(key)
        return rng.choice([None, None, 0.0, 3.0]) if now() < 10 else None

    async def act(queue: KeyedQueue) -> None:
        for _ in range(40):
            key = rng.choice("abcd")
            if rng.random() < 0.3:
                queue.wake_in(key, rng.choice([0.0, 0.5, 2.0]))
            else:
                queue.wake(key)
                last_wake[key] = now()
            await asyncio.sleep(rng.choice([0, 0, 0.05, 0.6]))
        await asyncio.sleep(300)

    drive(work, act, workers=rng.choice([1, 2, 8]))

    assert all(last_begin[key] >= at for key, at in last_wake.items())
