"""Predicted memory against real llama.cpp replicas: models, precisions, contexts and slots.

`python -m bench sizing` measures; `python -m bench.sizing` also writes the table of docs/explanation/sizing.md.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import psutil

from bench.figures import Figure, figure
from pierhead.core.resources import MIB
from pierhead.core.sizing import Estimate, Load, estimate
from pierhead.sources.shapes import shape_at

_TESTS = Path(__file__).parent.parent / "tests"
PAGE = Path(__file__).parent.parent / "docs" / "explanation" / "sizing.md"
BEGIN, END = "<!-- table: python -m bench.sizing -->", "<!-- end of table -->"
GOAL = 10.0  #: per cent that a prediction may be off
_START = 60.0  #: seconds a replica may take to answer
_ANSWER = 180.0  #: seconds a full prompt may take

DEMO = (("", 1024, 1), ("", 4096, 2), ("", 2048, 4), ("", 1024, 8), ("q8_0", 2048, 4),
        ("q8_0", 4096, 1), ("f16", 2048, 4), ("f16", 1024, 2))  # fmt: skip
TINY = (("llama_7b_fp16", 2048, 4), ("llama_13b_int8", 2048, 2), ("chatglm2_6b_fp16", 2048, 4),
        ("baichuan_7b_int8", 2048, 4), ("baichuan_13b_fp16", 1024, 8))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One combination."""

    model: str
    load: Load
    predicted: Estimate
    measured: int  #: bytes resident after every slot was full

    @property
    def off(self) -> float:
        """Per cent; more than measured is positive."""
        return 100 * (self.predicted.resident / self.measured - 1)


def measure(folder: Path) -> list[Figure]:
    """The largest deviation is the figure."""
    found = rows(folder)
    worst = max(found, key=lambda row: abs(row.off))
    note = f"worst: {worst.model}, {worst.load.slots} x {worst.load.context}, {worst.off:+.1f} %"
    off = [abs(row.off) for row in found]
    return [figure("memory predicted against measured", "% off", off, GOAL, "p95", note)]


def rows(folder: Path) -> list[Row]:
    """Every combination, one engine at a time."""
    found: list[Row] = []
    for name, file, context, slots in _models(folder):
        load = Load("llama_cpp", context, slots)
        shape = shape_at(file)
        predicted = estimate(shape, load) if shape is not None else None
        if predicted is None:
            raise SystemExit(f"{file} tells too little")
        found.append(Row(name, load, predicted, resident(file, load)))
        print(_line(found[-1]), flush=True)
    return found


def _models(folder: Path) -> Iterator[tuple[str, Path, int, int]]:
    sys.path.insert(0, str(_TESTS))
    # Loaded by name: tests are no package.
    demo_model: Any = import_module("demo_weights").demo_model
    write_tiny_gguf: Any = import_module("tiny_gguf").write_tiny_gguf
    names = {"": "q4", "q8_0": "int8", "f16": "fp16"}
    for form, context, slots in DEMO:
        yield f"smollm2_135m {names[form]}", demo_model(form), context, slots
    for spec, context, slots in TINY:
        file = folder / f"{spec}.gguf"
        write_tiny_gguf(file, spec)
        yield f"tiny {spec}", file, context, slots


def resident(file: Path, load: Load) -> int:
    """Bytes that a replica has resident once all its slots were full."""
    with _served(file, load) as (port, process):
        # Almost full: the answer needs room too.
        prompt = [5 + 7 * number % 200 for number in range(load.context - 16)]

        def fill(slot: int) -> None:
            body = {"prompt": [slot + 5, *prompt], "n_predict": 4, "id_slot": slot}
            _post(port, body)

        with ThreadPoolExecutor(load.slots) as callers:
            list(callers.map(fill, range(load.slots)))
        return psutil.Process(process.pid).memory_info().rss


@contextmanager
def _served(file: Path, load: Load) -> Generator[tuple[int, "subprocess.Popen[bytes]"]]:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    command = [
        sys.executable, "-m", "pierhead.engines.llama_cpp_server", "--model", str(file),
        "--alias", "m", "--port", str(port), "--context", str(load.context),
        "--slots", str(load.slots), "--threads", "1",
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _wait(port, process)
            yield port, process
        finally:
            process.send_signal(signal.SIGKILL)


def _wait(port: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _START
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"the engine did not start: {process.poll()}")


def _post(port: int, body: dict[str, Any]) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/completion",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=_ANSWER) as answer:
        answer.read()


def _line(row: Row) -> str:
    parts = row.predicted
    amounts = (
        parts.weights, parts.kv_cache, parts.compute, parts.overhead, parts.resident, row.measured,
    )  # fmt: skip
    shown = " | ".join(f"{amount / MIB:.1f}" for amount in amounts)
    return f"| {row.model} | {row.load.slots} x {row.load.context} | {shown} | {row.off:+.1f} % |"


def write(found: list[Row]) -> None:
    """Put the table between the page's marks."""
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{PAGE} has lost its marks {BEGIN} and {END}")
    head = (
        "| model | slots x tokens | weights | KV cache | compute | overhead | predicted | measured | off |\n"
        "|---|---|---:|---:|---:|---:|---:|---:|---:|\n"
    )
    table = head + "\n".join(_line(row) for row in found)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}")


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    with tempfile.TemporaryDirectory(prefix="pierhead-sizing-") as place:
        found_rows = rows(Path(place))
    write(found_rows)
    sys.exit(int(any(abs(row.off) > GOAL for row in found_rows)))
