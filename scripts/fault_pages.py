"""The page of faults: what happens to a platform, what must hold, which tests play it, how they ended."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from markdown_text import code, table

_TESTS = Path(__file__).parent.parent / "tests"
sys.path.insert(0, str(_TESTS))
import fault_list  # noqa: E402 - the list stands beside the tests
from fault_list import Defence, Fault  # noqa: E402

_RESULTS = _TESTS / "fault" / "results.json"

_HEAD = """# Fault tests

Faults that Pierhead survives, each with what decides it. A test names the faults that it plays in its
docstring; `make test-fault` plays them all and prints a line for each. A kill is always SIGKILL; an
independent process watches every engine and asks every service all the time, and the verdict is its
record's, not the product's.
"""


def page() -> str:
    """Every fault, its tests, and what the last recorded run gave."""
    defences = list(fault_list.defences(_TESTS))
    recorded: dict[str, Any] = json.loads(_RESULTS.read_text("utf-8"))
    results = {node: Counter(_numbers(one)) for node, one in recorded["tests"].items()}
    parts = [
        _HEAD,
        f"Recorded on {recorded['date']} with `make test-fault ARGS=--record-faults`; seconds are of the tests'"
        " own time on two cores, and what is counted is what the tests did in that run.\n",
        table(
            ("id", "fault", "what must hold", "result"),
            [
                (fault.id, fault.fault, fault.criterion, _result(fault, defences, results))
                for fault in fault_list.FAULTS
            ],
        ),
    ]
    return "\n".join([*parts, *_laws(defences, results)])


def _result(fault: Fault, defences: list[Defence], results: dict[str, Counter[str]]) -> str:
    mine = [results.get(one.node, Counter()) for one in defences if fault.id in one.faults]
    if not mine:
        return fault.later
    total = sum(mine, Counter[str]())
    seconds = total.pop("seconds", 0) / 10
    told = [f"{number:,} {what}" for what, number in total.items()]
    return f"{', '.join(told) or 'not recorded yet'}; {seconds:.0f} s"


def _laws(defences: list[Defence], results: dict[str, Counter[str]]) -> Iterator[str]:
    yield "## The laws, test by test\n"
    for fault in fault_list.FAULTS:
        mine = [one for one in defences if fault.id in one.faults]
        if mine:
            yield f"### {fault.id}: {fault.fault}\n"
            rows = [(one.law, code(one.node), _short(results.get(one.node))) for one in mine]
            yield table(("law", "test", "result"), rows)


def _short(result: Counter[str] | None) -> str:
    if result is None:
        return "not recorded yet"
    return ", ".join(f"{n:,} {what}" for what, n in result.items() if what != "seconds")


def _numbers(one: dict[str, Any]) -> dict[str, int]:
    """The counts of a recorded test; its seconds in tenths."""
    outcomes = {word: one[word] for word in ("passed", "failed", "skipped") if word in one}
    return {**outcomes, **one.get("counts", {}), "seconds": round(one["seconds"] * 10)}
