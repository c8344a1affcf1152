"""What workers of one gateway have together of a service's limits: its rate exactly, of slots and queue their parts."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.gateway import shared
from pierhead.gateway.shared import SharedUse
from pierhead.gateway.shared_rates import SharedRates
from pierhead.gateway.workers import Worker

WORKERS = 3
BEGIN = 1000.0


@contextmanager
def rates(folder: Path) -> Generator[list[SharedRates]]:
    """Of each worker, in one process."""
    file = folder / "limits"
    SharedUse.make(file, WORKERS)
    uses = [SharedUse(file, WORKERS, worker) for worker in range(WORKERS)]
    yield [SharedRates(use) for use in uses]
    for use in uses:
        use.close()


@pytest.mark.parametrize("rate", [1, 2, 7, 20])
def test_a_rate_is_kept_by_all_together_and_used_up_by_any(tmp_path: Path, rate: int) -> None:
    chance, begun = Random(rate), list[float]()
    with rates(tmp_path) as made:
        for step in range(4000):
            now = BEGIN + step / 200
            worker = made[0] if step < 2000 else chance.choice(made)
            if not worker.admit("foo", rate, now):
                begun.append(now)
        assert made[2].admit("bar", rate, BEGIN + 20) == 0.0  # each service has its own
    for moment in begun:
        half = int(moment * 2) / 2
        assert sum(half <= other < half + 1.0 for other in begun) <= rate
    assert len(begun) >= 20 * rate - rate


def test_the_wait_that_is_told_is_enough_and_not_too_long(tmp_path: Path) -> None:
    with rates(tmp_path) as (one, other, _):
        for moment in (0.1, 0.2, 0.6):
            assert one.admit("foo", 3, BEGIN + moment) == 0.0
        wait = other.admit("foo", 3, BEGIN + 0.7)
        assert wait == pytest.approx(0.3)
        assert other.admit("foo", 3, BEGIN + 0.99) > 0.0
        assert [other.admit("foo", 3, BEGIN + 1.0) for _ in range(2)] == [0.0, 0.0]
        assert other.admit("foo", 3, BEGIN + 1.1) == pytest.approx(0.4)
    with rates(tmp_path) as (one, other, _):
        assert not any(one.admit("foo", 3, BEGIN) for _ in range(3))
        assert other.admit("foo", 3, BEGIN) == pytest.approx(1.0)


def test_services_that_are_gone_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "RECORDS", 2)
    with rates(tmp_path) as (one, *_):
        for service in ("a", "b"):
            assert [bool(one.admit(service, 3, BEGIN)) for _ in range(4)] == [False] * 3 + [True]
        # No room: a worker keeps to its part.
        assert [bool(one.admit("c", 3, BEGIN)) for _ in range(2)] == [False, True]
        assert set(one.services) == {"a", "b", "c"}
        one.retain({"a"})
        assert one.services == ("a",)
        assert [bool(one.admit("c", 3, BEGIN)) for _ in range(4)] == [False] * 3 + [True]
        assert one.admit("a", 3, BEGIN) > 0.0
        assert one.admit("a", 0, BEGIN) == 0.0


@given(total=st.integers(0, 500), count=st.integers(1, 64))
def test_parts_are_even_and_make_the_whole(total: int, count: int) -> None:
    parts = [Worker(number, count, Path()).part(total) for number in range(count)]
    assert max(parts) - min(parts) <= 1
    assert sum(parts) == total or (0 < total < count and set(parts) == {1})
