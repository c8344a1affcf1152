"""A pytest plugin: plays the tests that defend against faults, and tells the results fault by fault.

    pytest -p fault_record tests                     a line for each fault at the end
    pytest -p fault_record --record-faults tests     and written to tests/fault/results.json
    pytest -p fault_record --deep tests              every kill and cut, hundreds of schedules

What stands behind a line (kills, schedules, cuts) is what a test gave to `record_property`.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fault_list import FAULTS, defences

HERE = Path(__file__).parent
RESULTS = HERE / "fault" / "results.json"
#: What `--deep` plays, by the variable that a file of tests reads; one that is set already stays.
DEEP = {
    "PIERHEAD_KILLS_DEEP": "1",
    "PIERHEAD_DEEP_FAULTS": "1",
    "PIERHEAD_EVERY_CUT": "1",
    "PIERHEAD_INTERLEAVINGS": "200",
    "PIERHEAD_DOWNLOAD_SCHEDULES": "500",
    "PIERHEAD_TEST_SCHEDULES": "1000",
}


@dataclass
class Outcome:
    """What came of one test, all its parameters together."""

    outcomes: Counter[str] = field(default_factory=Counter[str])
    seconds: float = 0.0
    counts: Counter[str] = field(default_factory=Counter[str])
    skipped: str = ""  #: why


class Recorder:
    """Collects outcomes; with xdist only in the process that reports."""

    def __init__(self) -> None:
        self.known = {defence.node: defence for defence in defences(HERE)}
        self.seen: dict[str, Outcome] = {}

    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        kept = [
            item
            for item in items
            if _node(item.nodeid) in self.known or item.nodeid.startswith("tests/fault/")
        ]
        config.hook.pytest_deselected(items=[item for item in items if item not in set(kept)])
        items[:] = kept

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        node = _node(report.nodeid)
        if node not in self.known:
            return
        outcome = self.seen.setdefault(node, Outcome())
        outcome.seconds += report.duration
        if report.when == "call" or report.outcome != "passed":
            outcome.outcomes[report.outcome] += 1
        if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
            outcome.skipped = str(report.longrepr[2])
        if report.when == "teardown":  # what fixtures counted is known by then
            outcome.counts.update({name: int(str(n)) for name, n in report.user_properties})

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        terminalreporter.section("faults")
        for line in self.lines():
            terminalreporter.write_line(line)
        if config.getoption("--record-faults"):
            RESULTS.write_text(json.dumps(self.document(), indent=1) + "\n")
            terminalreporter.write_line(f"written: {RESULTS}")

    def lines(self) -> Iterator[str]:
        """One for each fault."""
        for fault in FAULTS:
            mine = [o for node, o in self.seen.items() if fault.id in self.known[node].faults]
            outcomes = sum((o.outcomes for o in mine), Counter[str]())
            counts = sum((o.counts for o in mine), Counter[str]())
            word = next((w for w in ("failed", "passed", "skipped") if outcomes[w]), "not played")
            figures = [f"{n} {what}" for what, n in [*outcomes.items(), *counts.items()]]
            why = fault.later if word == "not played" else "".join({o.skipped for o in mine})
            seconds = sum(o.seconds for o in mine)
            yield f"{fault.id}  {word:<10} {seconds:6.1f} s  {', '.join([*figures, *filter(None, [why])])}"

    def document(self) -> dict[str, object]:
        """What is written down, by test: what was played now, and of the rest what was known before."""
        before = json.loads(RESULTS.read_text())["tests"] if RESULTS.exists() else {}
        now = {
            node: {
                **dict(sorted(outcome.outcomes.items())),
                "seconds": round(outcome.seconds, 1),
                **({"counts": dict(outcome.counts)} if outcome.counts else {}),
                **({"why": outcome.skipped} if outcome.skipped else {}),
            }
            for node, outcome in self.seen.items()
        }
        known = {node: one for node, one in before.items() if node in self.known}
        return {
            "date": datetime.now(UTC).date().isoformat(),
            "tests": dict(sorted((known | now).items())),
        }


def _node(nodeid: str) -> str:
    return nodeid.partition("[")[0]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The flags that play more, and that write results down."""
    parser.addoption("--record-faults", action="store_true", help="write tests/fault/results.json")
    parser.addoption("--deep", action="store_true", help="every kill and cut; takes long")


def pytest_configure(config: pytest.Config) -> None:
    """Nothing is recorded where this plugin was not asked for."""
    if config.getoption("--deep"):
        for name, value in DEEP.items():
            os.environ.setdefault(name, value)
    config.pluginmanager.register(Recorder(), "fault-recorder")
