"""Every fault of the list has a test that names it, and a result that somebody saw."""

import json
from functools import cache
from pathlib import Path

from fault_list import FAULTS, Defence, defences, told

TESTS = Path(__file__).parent.parent


@cache
def named() -> list[Defence]:
    """All of them; to look through the files takes half a second."""
    return list(defences(TESTS))


def test_every_fault_has_a_test_that_names_its_law() -> None:
    played = {fault for one in named() for fault in one.faults}
    assert [fault.id for fault in FAULTS if fault.later == "" and fault.id not in played] == []
    assert [fault.id for fault in FAULTS if fault.later and fault.id in played] == []
    assert played <= {fault.id for fault in FAULTS}
    assert [one.node for one in named() if len(one.law) < 20] == []


def test_every_fault_was_played_and_survived() -> None:
    """`make test-fault ARGS=--record-faults` writes what this reads."""
    recorded = json.loads((TESTS / "fault" / "results.json").read_text())["tests"]
    assert recorded.keys() <= {one.node for one in named()}, "tests that are gone: record again"
    assert [node for node, result in recorded.items() if "failed" in result] == []
    passed = {one for one in named() if recorded.get(one.node, {}).get("passed")}
    survived = {fault for one in passed for fault in one.faults}
    assert [fault.id for fault in FAULTS if not fault.later and fault.id not in survived] == []


def test_a_law_is_the_docstrings_first_sentence_without_ids() -> None:
    assert told("Law: it is\n    so (design 2, F01). And more.") == (("F01",), "it is so")
    assert told("It is so (F01, F09).") == (("F01", "F09"), "It is so")
    assert told("Law: 1, 2 ... 60 s (F06).") == (("F06",), "1, 2 ... 60 s")
    assert told("It is F01x.") == ((), "It is F01x")
    assert told(None) == ((), "")
