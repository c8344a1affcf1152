"""A short run of the fuzzer with a fixed seed; `tests/fuzz_gateway.py` runs it for as long as one likes."""

import asyncio
from pathlib import Path
from random import Random

from fuzz_gateway import ANSWERS, REQUESTS, case, fuzzed, mutated, pieces

SECONDS = 12


def test_law_no_bytes_from_either_side_upset_the_gateway(tmp_path: Path) -> None:
    fuzz = asyncio.run(fuzzed(tmp_path, seed=7, seconds=SECONDS))
    assert fuzz.number >= 200
    assert fuzz.statuses[200] and fuzz.statuses[400], "some were sound, and some were not"
    assert fuzz.statuses[502], "and so were the answers"


def test_a_case_can_be_had_again() -> None:
    assert case(7, 11) == case(7, 11)
    assert case(7, 11) != case(8, 11)
    rng = Random(1)
    for whole in (*REQUESTS, *ANSWERS):
        assert b"".join(pieces(whole, rng)) == whole
    changed = [mutated(REQUESTS[0], REQUESTS, rng) for _ in range(200)]
    assert len(set(changed)) > 100 and REQUESTS[0] in changed
