"""Back-off: bounded, growing, the same after a restart of the hub, different between replicas."""

from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.backoff import CAP, GOOD_SPELL, delay, failures_after


def test_the_documented_row() -> None:
    bases = [1, 2, 4, 8, 16, 32, 60, 60]
    for failures, base in enumerate(bases, start=1):
        assert 0.8 * base <= delay(failures, "replica/1") <= 1.2 * base


@given(st.integers(-3, 10_000), st.text(max_size=40))
def test_always_within_bounds_and_the_same_for_the_same(failures: int, seed: str) -> None:
    first = delay(failures, seed)
    assert 0.8 <= first <= 1.2 * CAP + 1e-9
    assert delay(failures, seed) == first


def test_replicas_that_crash_together_do_not_return_together() -> None:
    assert len({delay(5, f"replica-{n}/1") for n in range(50)}) > 30


@given(st.integers(0, 1000), st.floats(0, 1e6))
def test_a_good_spell_wipes_the_slate(previous: int, ready_for: float) -> None:
    after = failures_after(previous, ready_for)
    assert after == (1 if ready_for >= GOOD_SPELL else previous + 1)
