"""The commands; `bench.gateway` tells what they measure."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import bench.gateway
from bench.gateway import cold, compare, dynamic, idle, profile, scale, slow, whole_platform
from bench.gateway.outcome import Outcome
from bench.gateway.programs import CannotBuild
from bench.gateway.stage import Launch
from bench.processes import machine, yardstick


def run(arguments: Sequence[str]) -> int:
    """The exit code: 0; 1 for a void run or a missed goal; 2 where nothing can be measured."""
    given = _read(arguments)
    signal.signal(signal.SIGTERM, _leave)  # all that was started is to be stopped, then too
    where = machine()
    print(f"{where['cpu']}, {where['cores']} cores, load {where['load']}", flush=True)
    launch = Launch(given.set, given.source.resolve()) if given.source else Launch(given.set)
    with tempfile.TemporaryDirectory(prefix="pierhead-bench-") as folder:
        before = yardstick()
        try:
            outcome = _MEASURES[given.command](Path(folder), launch, given)
        except CannotBuild as error:
            print(error, file=sys.stderr)
            return 2
    print(outcome.show())
    print(f"yardstick {before:.1f} ms before, {yardstick():.1f} ms after")
    if given.out:
        outcome.write(given.out, given.command)
    return outcome.code


def _leave(*_: object) -> None:
    raise SystemExit(128 + signal.SIGTERM)


def _compare(folder: Path, launch: Launch, given: argparse.Namespace) -> Outcome:
    asked = compare.Asked(
        rounds=2 if given.quick else given.rounds,
        seconds=1.0 if given.quick else given.seconds,
        peers=given.peers,
        beside=dict(text.split("=", 1) for text in given.beside),
    )
    if given.platform:
        return whole_platform.measure(folder, asked)
    return compare.measure(folder, launch, asked)


def _scale(folder: Path, launch: Launch, given: argparse.Namespace) -> Outcome:
    return scale.measure(folder, launch, 0.5 if given.quick else 1.5)


def _idle(folder: Path, launch: Launch, given: argparse.Namespace) -> Outcome:
    streams = given.streams // 10 if given.quick else given.streams
    return idle.measure(folder, launch, streams, given.gap, 2.0 if given.quick else 5.0)


def _slow(folder: Path, launch: Launch, given: argparse.Namespace) -> Outcome:
    clients = given.clients // 10 if given.quick else given.clients
    return slow.measure(folder, launch, clients, 2.0 if given.quick else 8.0)


def _profile(folder: Path, launch: Launch, given: argparse.Namespace) -> Outcome:
    return profile.measure(folder, launch, 2.0 if given.quick else given.seconds, given.most)


_MEASURES: Mapping[str, Callable[[Path, Launch, argparse.Namespace], Outcome]] = {
    "compare": _compare,
    "scale": _scale,
    "idle": _idle,
    "slow": _slow,
    "dynamic": lambda folder, launch, _: dynamic.measure(folder, launch),
    "cold": lambda folder, launch, _: cold.measure(folder, launch),
    "profile": _profile,
}


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.gateway",
        description=bench.gateway.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    every = _for_every_verb()
    verb = verbs.add_parser("compare", parents=[every], help="beside Envoy and HAProxy")
    verb.add_argument("--rounds", type=int, default=5)
    verb.add_argument("--seconds", type=float, default=3.0, help="of each part of a round")
    verb.add_argument("--peers", default="", metavar="PYTHON", help="of an environment with both")
    verb.add_argument(
        "--beside",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="one more contender: the `src` of another version of Pierhead; repeatable",
    )
    verb.add_argument(
        "--platform", action="store_true", help="through `pierhead up`, not the gateway alone"
    )
    verbs.add_parser("scale", parents=[every], help="1 to 5,000 services")
    verb = verbs.add_parser("idle", parents=[every], help="10,000 idle streams")
    verb.add_argument("--streams", type=int, default=idle.STREAMS)
    verb.add_argument("--gap", type=float, default=15.0, help="seconds between two tokens")
    verb = verbs.add_parser("slow", parents=[every], help="2,000 clients that dawdle")
    verb.add_argument("--clients", type=int, default=slow.CLIENTS)
    verbs.add_parser("dynamic", parents=[every], help="changes under load")
    verbs.add_parser("cold", parents=[every], help="200 requests for a service at zero")
    verb = verbs.add_parser("profile", parents=[every], help="where the CPU time goes")
    verb.add_argument("--seconds", type=float, default=5.0)
    verb.add_argument("--most", type=int, default=30, help="how many functions are told")
    return parser.parse_args(arguments)


def _for_every_verb() -> argparse.ArgumentParser:
    every = argparse.ArgumentParser(add_help=False)
    every.add_argument("--out", type=Path, help="file for all numbers, as JSON")
    every.add_argument("--quick", action="store_true", help="shorter, and less to be trusted")
    every.add_argument(
        "--source", type=Path, metavar="FOLDER", help="the `src` of another version of Pierhead"
    )
    every.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of the platform, for the gateway that is measured; repeatable",
    )
    return every


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
