"""A real Kubernetes control plane with hollow nodes on one machine, for tests and developers.

    python scripts/cluster build           build the servers, once per machine (minutes)
    python scripts/cluster up              start them with two nodes; prints where the kubeconfig is
    python scripts/cluster status|down|wipe
    python scripts/cluster node ...        one node, or many in one process, in the foreground
    python scripts/cluster kubelets ...    with two real kubelets instead (root)

Built servers are kept in $PIERHEAD_CLUSTER_CACHE (default ~/.cache/pierhead/kubernetes-DIGEST). Everything
listens on loopback, on free ports. `up` again starts whatever does not run any more.
"""

import argparse
import asyncio
import ipaddress
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
from control_plane import COMPONENTS, ClusterError, ControlPlane
from daemons import Daemon
from places import built, cache, default_run

import kubelets

HERE = Path(__file__).parent


def main() -> int:
    """Run one command; its exit code."""
    options = _parser().parse_args()
    try:
        return int(options.run(options) or 0)
    except ClusterError as error:
        print(f"pierhead: {error}", file=sys.stderr)
        return 1


def _build(_: argparse.Namespace) -> int:
    command = ["sh", str(HERE / "build.sh"), str(cache())]
    return subprocess.run(command, check=False).returncode


def _up(options: argparse.Namespace) -> None:
    if not built(cache()):
        raise ClusterError("no servers are built here; first run: python scripts/cluster build")
    plane = ControlPlane(cache() / "bin", options.folder, _by_server(options.server_option))
    plane.up()
    for number in range(1, options.nodes + 1):
        command = [sys.executable, str(HERE), "node", f"--name=node-{number}"]
        command += [
            f"--kubeconfig={plane.kubeconfig}",
            f"--folder={plane.folder}",
            *options.node_option,
        ]
        plane.daemon(f"node-{number}").start(command)
    print(f"export KUBECONFIG={plane.kubeconfig}")


def _by_server(words: list[str]) -> dict[str, list[str]]:
    """`apiserver=--v=2` -> what that server is told besides."""
    found: dict[str, list[str]] = {}
    for word in words:
        name, _, option = word.partition("=")
        if name not in COMPONENTS:
            raise ClusterError(f"there is no server {name!r}; there are {', '.join(COMPONENTS)}")
        found.setdefault(name, []).append(option)
    return found


def _down(options: argparse.Namespace) -> None:
    nodes = _nodes(options)
    for daemon in nodes:
        daemon.ask()
    for daemon in nodes:
        daemon.end()
    ControlPlane(cache() / "bin", options.folder).down()


def _wipe(options: argparse.Namespace) -> None:
    _down(options)
    shutil.rmtree(options.folder, ignore_errors=True)


def _status(options: argparse.Namespace) -> int:
    plane = ControlPlane(cache() / "bin", options.folder)
    daemons = [*(plane.daemon(name) for name in COMPONENTS), *_nodes(options)]
    print(f"servers  {'built' if built(cache()) else 'not built'}: {cache()}")
    for daemon in daemons:
        process = daemon.process()
        print(f"{daemon.name:<20} {_described(process)}")
    return 0 if all(daemon.process() for daemon in daemons) else 3


def _described(process: psutil.Process | None) -> str:
    if process is None:
        return "down"
    return f"pid {process.pid}, {process.memory_info().rss // 2**20} MiB, {process.status()}"


def _nodes(options: argparse.Namespace) -> list[Daemon]:
    plane = ControlPlane(cache() / "bin", options.folder)
    names = sorted(path.stem for path in plane.folder.glob("node-*.pid"))
    return [plane.daemon(name) for name in names]


def _node(options: argparse.Namespace) -> None:
    from hollow_machine import run  # aiohttp, which no other command needs

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        task = loop.create_task(run(options))
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, task.cancel)
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            return


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python scripts/cluster",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True)
    for name, run in {
        "build": _build,
        "up": _up,
        "down": _down,
        "wipe": _wipe,
        "status": _status,
    }.items():
        command = commands.add_parser(name)
        command.set_defaults(run=run)
        command.add_argument(
            "--folder", type=_absolute, default=default_run(), help="state of the cluster"
        )
        if name == "up":
            command.add_argument("--nodes", type=int, default=2)
            command.add_argument(
                "--node-option", action="append", default=[], help="passed on to each node"
            )
            command.add_argument(
                "--server-option",
                action="append",
                default=[],
                help="SERVER=OPTION, passed on to it",
            )
    kubelets.add_command(commands)
    node = commands.add_parser("node")
    node.set_defaults(run=_node)
    node.add_argument("--kubeconfig", type=_absolute, required=True)
    node.add_argument("--name", required=True, help="with --count the beginning of the names")
    node.add_argument("--folder", type=_absolute, required=True, help="logs of pods go below it")
    node.add_argument("--count", type=int, default=1, help="so many nodes in this process")
    node.add_argument("--paper", action="store_true", help="pods are Ready at once and run nothing")
    node.add_argument("--network", type=ipaddress.IPv4Network, default=_some_network())
    node.add_argument(
        "--capacity", action="append", default=[], help="NAME=QUANTITY, as nvidia.com/gpu=2"
    )
    node.add_argument("--label", action="append", default=[], help="NAME=VALUE")
    node.add_argument(
        "--back-off", type=float, default=1.0, help="seconds before the second restart"
    )
    node.add_argument("--keep-grace", action="store_true", help="a second delete shortens no grace")
    return parser


def _absolute(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _some_network() -> ipaddress.IPv4Network:
    """1,000 addresses of loopback; engines of several clusters listen on the same port."""
    second, third = random.randint(16, 239), random.randrange(0, 256, 4)  # noqa: S311 - no secret
    return ipaddress.IPv4Network(f"127.{second}.{third}.0/22")


if __name__ == "__main__":
    sys.exit(main())
