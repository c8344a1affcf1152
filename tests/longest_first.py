"""Side by side, the files of tests that take longest begin first, so that none of them is alone at the end.

How long each takes stands in `file_seconds.json`. `PIERHEAD_RECORD_SECONDS=1 make test` measures anew: the
files that were played get their new figures, files that are gone leave the list.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

SECONDS = Path(__file__).with_name("file_seconds.json")
ROOT = Path(__file__).parent.parent
#: Seconds that a file is taken to need until it was measured: more than most, so that it begins early.
UNKNOWN = 20.0
T = TypeVar("T")


def known() -> dict[str, float]:
    """Seconds by file, as a path from the project's folder."""
    return json.loads(SECONDS.read_text()) if SECONDS.exists() else {}


def ordered(found: Iterable[tuple[str, T]], seconds: Mapping[str, float]) -> list[T]:
    """What belongs to files, given with its file: the longest file first, within a file as it was."""
    order = sorted(found, key=lambda pair: (-seconds.get(pair[0], UNKNOWN), pair[0]))
    return [each for _, each in order]


def written(played: Mapping[str, float]) -> None:
    """Keep what was measured, beside what is known of other files."""
    rest = {file: value for file, value in known().items() if (ROOT / file).exists()}
    now = {file: round(value, 1) for file, value in played.items()}
    SECONDS.write_text(json.dumps(dict(sorted((rest | now).items())), indent=0) + "\n")


class Recorder:
    """A plugin of pytest that adds up what the tests of each file take, with set-up and end."""

    def __init__(self) -> None:
        self._taken = defaultdict[str, float](float)

    def pytest_runtest_logreport(self, report: "object") -> None:
        """Called for each part of a test, in the process that reports."""
        file = str(getattr(report, "nodeid", "")).partition("::")[0]
        self._taken[file] += float(getattr(report, "duration", 0.0))

    def pytest_sessionfinish(self) -> None:
        """Called at the end."""
        written(self._taken)
