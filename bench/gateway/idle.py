"""Many streams on which next to nothing comes, as of users who wait for a long thought to end."""

import time
from pathlib import Path

from bench.figures import Figure, figure
from bench.gateway.outcome import Outcome
from bench.gateway.programs import drive, driving, ended, faults, stop_at_once
from bench.gateway.stage import Launch, Stage, pss, raise_limit, rss, spent, stage
from bench.processes import until

STREAMS = 10_000
_MEMORY_MIB, _CORE_PERCENT = 600.0, 5.0
_SPARE_FILES = 300  #: of a gateway, for all but the streams
_OPENING = 120.0
_SETTLE = 2.0


def measure(folder: Path, launch: Launch, streams: int, gap: float, seconds: float) -> Outcome:
    """`gap`: seconds between two tokens of a stream; `seconds`: of what is measured."""
    outcome, most = Outcome(), (raise_limit() - _SPARE_FILES) // 2
    held = min(streams, most)
    if held < streams:
        outcome.text = f"{held} streams: this machine lets a process have no more files."
    with stage(folder, launch, gap=gap) as made:
        alone = _others(made, seconds, outcome)
        pid = made.gateway.process.pid
        before = rss(pid)
        # It is told to end; the time is for a measure that was killed.
        options = {"c": held, "n": 1_000_000}
        holding = driving(
            made.programs.driver, "hold", made.gateway.door(), _OPENING + 60, **options
        )
        try:
            opening = until(lambda: _open(made) == held, _OPENING, f"{held} streams", 0.1)
            time.sleep(_SETTLE)
            cpu, began = spent(pid), time.monotonic()
            time.sleep(seconds)
            core = (spent(pid) - cpu) / (time.monotonic() - began)
            memory = {"rss": rss(pid), "pss": pss(pid), "rss_before": before}
            beside = _others(made, seconds, outcome)
            holding.terminate()
            run = ended(holding, _OPENING)
        finally:
            stop_at_once(holding)
    _judge(outcome, run, held)
    each = (memory["rss"] - before) * 1024 / held
    outcome.figures = [
        figure("memory (RSS)", "MiB", [memory["rss"]], _MEMORY_MIB, note=f"{each:.1f} KiB each"),
        figure("memory (PSS)", "MiB", [memory["pss"]]),
        figure("CPU", "% of a core", [core * 100], _CORE_PERCENT, note=f"a token per {gap:g} s"),
        figure("all are open after", "s", [opening]),
        *_latencies(alone, "without them"),
        *_latencies(beside, "beside them"),
    ]
    outcome.numbers = {"streams": held, "memory_mib": memory, "core": core, "held": run}
    outcome.numbers |= {"alone": alone, "beside": beside}
    return outcome


def _open(made: Stage) -> int:
    return sum(each.counted()["busy"] for each in made.replicas)


def _others(made: Stage, seconds: float, outcome: Outcome) -> dict[str, float]:
    run = drive(made.programs.driver, "open", made.gateway.door(), seconds, r=100, c=16)
    if wrong := faults(run):
        outcome.faults.append(f"{wrong} requests of others went wrong")
    return run


def _latencies(run: dict[str, float], when: str) -> list[Figure]:
    return [
        figure(f"other requests {when}, {name}", "ms", [run[f"request_{name}_us"] / 1000])
        for name in ("p50", "p99")
    ]


def _judge(outcome: Outcome, run: dict[str, float], held: int) -> None:
    names = ("failed", "refused", "resets", "broken", "usage_seen", "early")
    if wrong := sum(run[name] for name in names):
        outcome.faults.append(f"{wrong:g} streams broke or could not be opened")
    if run["unfinished"] != held:
        outcome.faults.append(f"{run['unfinished']:g} of {held} streams were open to the end")
