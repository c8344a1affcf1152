"""`python -m bench [names] [--json FILE] [--page]`: measures, prints a table, exits 1 on a missed goal."""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import (
    affinity,
    commands,
    control,
    data_plane,
    installed,
    kubernetes,
    page,
    policies,
    readiness,
    recovery,
    registry,
    sizing,
    starting,
    weights,
)
from bench.figures import Figure, table
from bench.processes import machine, yardstick

#: In the order of the page.
MEASURES: Mapping[str, Callable[[Path], list[Figure]]] = {
    "start": starting.measure,
    "memory": starting.measure_memory,
    "control": control.measure,
    "registry": registry.measure,
    "policies": policies.measure,
    "readiness": readiness.measure,
    "recovery": recovery.measure,
    "gateway": data_plane.measure,
    "affinity": affinity.measure,
    "sizing": sizing.measure,
    "weights": weights.measure,
    "install": installed.measure,
    "cli": commands.measure,
    "kubernetes": kubernetes.measure,
}
#: Measured only by name: it takes as long as all the others, and servers that must be built before.
ON_DEMAND = frozenset({"kubernetes"})
OUT = Path(__file__).parent / "out" / "latest.json"


def run(arguments: Sequence[str]) -> int:
    """The exit code: 1 when a goal is missed."""
    given = _read(arguments)
    if given.page_only:
        page.write(json.loads(given.json.read_text()))
        return 0
    found = _document(given.names or [name for name in MEASURES if name not in ON_DEMAND])
    figures = [figure for part in found["measures"].values() for figure in part["figures"]]
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    if given.page:
        page.write(found)
    missed = [figure["name"] for figure in figures if figure["verdict"] == "MISSED"]
    print(f"\n{len(figures)} figures in {found['seconds']:.0f} s, written to {given.json}.")
    print(f"Missed: {'; '.join(missed)}" if missed else "No goal was missed.")
    return int(bool(missed))


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    without = f"none = all but {', '.join(ON_DEMAND)}"
    parser.add_argument("names", nargs="*", help=f"of {', '.join(MEASURES)}; {without}")
    parser.add_argument("--json", type=Path, default=OUT, help="file for all that was measured")
    parser.add_argument(
        "--page", action="store_true", help="put the figures of these parts into the docs page"
    )
    parser.add_argument(
        "--page-only", action="store_true", help="measure nothing; take them from --json"
    )
    given = parser.parse_args(arguments)
    unknown = set(given.names) - set(MEASURES)
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
    return given


def _document(names: Sequence[str]) -> dict[str, Any]:
    began = time.monotonic()
    where = machine()
    print(f"{where['cpu']}, {where['cores']} cores, Python {where['python']}, load {where['load']}")
    measures: dict[str, Any] = {}
    with _bytecode():
        for name in names:
            measures[name] = _one(name)
    return {
        "at": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": where,
        "seconds": time.monotonic() - began,
        "measures": measures,
    }


@contextmanager
def _bytecode() -> Generator[None]:
    """Everything that is started finds its bytecode, as an installed program does after its first start.

    Some hosts forbid Python to write it; each start would compile all modules again.
    """
    with tempfile.TemporaryDirectory(prefix="pierhead-bytecode-") as folder:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        os.environ["PYTHONPYCACHEPREFIX"] = folder
        once = (
            "import pierhead.bootstrap.hub, pierhead.bootstrap.gateway, pierhead.cli.main, openai"
        )
        subprocess.run([sys.executable, "-c", once], check=True, timeout=300)
        yield


def _one(name: str) -> dict[str, Any]:
    began, before = time.monotonic(), yardstick()
    with tempfile.TemporaryDirectory(prefix="pierhead-bench-") as folder:
        figures = MEASURES[name](Path(folder))
    seconds, after = time.monotonic() - began, yardstick()
    yard = f"{before:.1f} ms before, {after:.1f} ms after"
    print(f"\n{name} ({seconds:.0f} s; yardstick {yard})\n{table(figures)}", flush=True)
    documents = [figure.document() for figure in figures]
    return {"seconds": seconds, "yardstick": yard, "figures": documents}


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is stopped first
    sys.exit(run(sys.argv[1:]))
