"""Our gateway beside Envoy and HAProxy: in the same rounds, on the same replicas, one thread each."""

import statistics
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from bench.figures import Figure, figure
from bench.gateway.cost import Contender, Counts, one_round
from bench.gateway.hub import hub_double
from bench.gateway.outcome import Outcome, columns
from bench.gateway.peers import binaries, peer, python_with_peers
from bench.gateway.programs import Door, Programs, Stub
from bench.gateway.stage import SERVICE, Launch, Stage, route, stage, started
from bench.processes import until

OURS, DIRECT = "pierhead", "direct"
#: What may be cost, as a share of what the peer costs in the same round: per request, and per token.
_SHARES = {"envoy": (0.7, 0.85), "haproxy": (2.0, 1.3)}
#: Milliseconds that may be added on a quiet machine.
_ADDED: Mapping[str, float | None] = {
    "p50_us": 0.3,
    "p99_us": 0.7,
    "token_p50_us": None,
    "token_p99_us": 0.15,
}
_SHOWN = ("request_cpu_us", "token_cpu_us", "per_second", "pss_mib")
_TIMES = tuple(_ADDED)

Rounds = dict[str, list[dict[str, float]]]


@dataclass(frozen=True, slots=True)
class Asked:
    """How it is to be compared."""

    rounds: int = 5
    seconds: float = 3.0  #: of each part of a round
    peers: str = ""  #: Python of a virtual environment that has them; "" = one is made
    #: Other versions of Pierhead, by name: the folders that `pierhead` is in.
    beside: Mapping[str, str] = field(default_factory=dict[str, str])


def measure(folder: Path, launch: Launch, asked: Asked) -> Outcome:
    """The gateway alone, with a double for its hub."""
    with stage(folder, launch) as made:
        ours = Contender(OURS, made.gateway.door(), made.gateway.process.pid)
        counts = Counts()
        rounds = _all_rounds(folder, asked, made.programs, list(made.replicas), ours, counts)
        outcome = judged(rounds)
        outcome.numbers["counted"] = {"replicas": counts.figures}
        _check_metering(made, counts, outcome)
        return outcome


def compared(
    folder: Path, asked: Asked, programs: Programs, replicas: list[Stub], ours: Contender
) -> Outcome:
    """A gateway that runs already."""
    return judged(_all_rounds(folder, asked, programs, replicas, ours, Counts()))


def _all_rounds(
    folder: Path,
    asked: Asked,
    programs: Programs,
    replicas: list[Stub],
    ours: Contender,
    counts: Counts,
) -> Rounds:
    with _peers(folder, asked, replicas, ours.door) as others:
        everyone = [Contender(DIRECT, Door(replicas[0].port)), ours, *others]
        rounds: Rounds = {who.name: [] for who in everyone}
        for turn in range(asked.rounds):
            first = turn % len(everyone)
            for who in everyone[first:] + everyone[:first]:
                with (counts if who is ours else Counts()).of(replicas):
                    rounds[who.name].append(one_round(programs.driver, who, asked.seconds))
        return rounds


@contextmanager
def _peers(
    folder: Path, asked: Asked, replicas: Sequence[Stub], door: Door
) -> Generator[list[Contender]]:
    """Those that can be had."""
    python = asked.peers or python_with_peers(folder / "peers-venv")
    # The path of ours is theirs too, and so are the token and the model's name.
    with ExitStack() as stack:
        found: list[Contender] = []
        for name, binary in binaries(python).items():
            running = peer(name, binary, folder / name, replicas, replace(door, port=0))
            made = stack.enter_context(running)
            found.append(Contender(name, made.door, made.pid))
        for name, source in asked.beside.items():
            hub = stack.enter_context(hub_double())
            hub.publish([route(SERVICE, replicas)])
            launch = Launch(source=Path(source).resolve())
            gateway = stack.enter_context(started(folder / name, hub, launch))
            found.append(Contender(name, gateway.door(), gateway.process.pid))
        yield found


def judged(rounds: Rounds) -> Outcome:
    """The table of all, the shares, and what is added."""
    outcome = Outcome(numbers={"rounds": rounds})
    for name, each in rounds.items():
        if faults := int(sum(one["faults"] for one in each)):
            outcome.faults.append(f"{name}: {faults} requests or streams went wrong")
    outcome.text = _table(rounds)
    outcome.figures = [*_shares(rounds), *_added(rounds)]
    return outcome


def _shares(rounds: Rounds) -> list[Figure]:
    figures: list[Figure] = []
    for name in (name for name in _SHARES if name in rounds):
        for what, goal in zip(("request", "token"), _SHARES[name], strict=True):
            key = f"{what}_cpu_us"
            ours, theirs = _median(rounds[OURS], key), _median(rounds[name], key)
            note = f"{ours:.1f} of {theirs:.1f} µs"
            what_is_it = f"CPU per {what} over {name}'s"
            figures.append(figure(what_is_it, "x", [ours / theirs], goal, note=note))
    return figures


def _added(rounds: Rounds) -> list[Figure]:
    """Round by round; and between the least of all rounds, which a busy machine distorts least."""
    ours, direct = rounds[OURS], rounds[DIRECT]
    figures: list[Figure] = []
    for key, goal in _ADDED.items():
        each = [(one[key] - base[key]) / 1000 for one, base in zip(ours, direct, strict=True)]
        least = (min(one[key] for one in ours) - min(one[key] for one in direct)) / 1000
        name = f"added {key.removesuffix('_us').replace('_', ' ')}"
        note = f"wall; {least:.2f} between the least of all rounds; the goal is a quiet machine's"
        figures.append(figure(name, "ms", each, goal, note=note))
    return figures


def _table(rounds: Rounds) -> str:
    heading = ["", "CPU/request µs", "CPU/token µs", "requests/s", "PSS MiB"]
    heading += [f"added {key.removesuffix('_us').replace('_', ' ')} µs" for key in _TIMES]
    lines: list[list[str]] = []
    for name, each in rounds.items():
        cost = [f"{_median(each, key):.1f}" if key in each[0] else "-" for key in _SHOWN]
        base = rounds[DIRECT] if name != DIRECT else None
        added = [_median(each, key) - (_median(base, key) if base else 0.0) for key in _TIMES]
        lines.append([name, *cost, *(f"{value:.0f}" for value in added)])
    return columns(heading, lines) + "\n(direct: its times themselves)"


def _median(each: list[dict[str, float]], key: str) -> float:
    return statistics.median(one[key] for one in each)


def _check_metering(made: Stage, counts: Counts, outcome: Outcome) -> None:
    """What was metered is what the replicas counted, and every stream was asked for its usage."""
    done = counts.figures
    expected = done["prompt"] + done["completion"]

    def metered() -> int:
        used = made.hub.used()
        return used.get("prompt", 0) + used.get("completion", 0)

    try:
        until(lambda: metered() == expected, 5, "the last report")
    except TimeoutError:
        outcome.faults.append(f"{metered()} tokens metered, {expected} counted by the replicas")
    if done["usage_asked"] != done["streams"]:
        outcome.faults.append(f"{done['usage_asked']} of {done['streams']} streams asked for usage")
    outcome.numbers["counted"] |= {"metered": made.hub.used()}
