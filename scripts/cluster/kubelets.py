"""The control plane and two real kubelets, 1.20.2, with containerd: each in network namespaces of this machine.

    python scripts/cluster kubelets up       start what does not run; prints how to reach it
    python scripts/cluster kubelets cut N    pull node N's cable; `mend N` plugs it in again
    python scripts/cluster kubelets down     end all of it: containers, mounts, control groups, namespaces

Needs root, Linux with control groups of version 1, and Debian 12's packages (unpacked, not installed). Images
are made here: `localhost/pierhead:test` is on both nodes, no registry is asked. One such cluster per machine.
"""

import argparse
import json
import os
import shutil
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import kubelets_cgroups as cgroups
import kubelets_images as images
import kubelets_network as network
from control_plane import ClusterError, ControlPlane
from kubelets_nodes import Node
from places import built, cache

_TOOLS = ("ip", "nsenter", "unshare", "apt-get", "perl")
_HERE = Path(__file__).parent
_READY_SECONDS = 120.0


def lacking() -> str:
    """Why this machine cannot run it, as a sentence; "" = it can."""
    if os.geteuid() != 0:
        return "real kubelets need root"
    missing = cgroups.missing()
    if missing:
        return f"real kubelets need control groups of version 1; not mounted: {', '.join(missing)}"
    tools = [each for each in _TOOLS if shutil.which(each) is None]
    if tools:
        return f"real kubelets need these programs: {', '.join(tools)}"
    if not built(cache()):
        return "no servers are built here; first run: python scripts/cluster build"
    return ""


@dataclass(frozen=True, slots=True)
class Kubelets:
    """The cluster whose state is in `folder`."""

    folder: Path

    @property
    def plane(self) -> ControlPlane:
        # All addresses are those of a namespace that has no way out.
        more = {
            "apiserver": ["--bind-address=0.0.0.0", f"--advertise-address={network.HEAD_ADDRESS}"]
        }
        return ControlPlane(cache() / "bin", self.folder / "head", more)

    @property
    def nodes(self) -> tuple[Node, ...]:
        made = (self.folder / network.name_of(each) for each in network.NODES)
        return tuple(Node(n, cache(), at) for n, at in zip(network.NODES, made, strict=True))

    def up(self, files: Mapping[Path, str]) -> None:
        """Start what does not run; `files`: file here -> its path in the image.

        Raises:
            ClusterError: the machine does not permit it, or something of it does not start.
        """
        why = lacking()
        if why:
            raise ClusterError(why)
        fetch = ["sh", str(_HERE / "kubelets_fetch.sh"), str(cache())]
        if subprocess.run(fetch, check=False).returncode:
            raise ClusterError("the packages of a node cannot be had")
        if not network.there():
            network.down()  # what a start that broke off left
            network.up()
        with network.inside(network.HEAD):
            self.plane.up()
        cold = [each for each in self.nodes if each.daemon("containerd").process() is None]
        made = images.make(cache(), self.folder / "images", files) if cold else []
        with ThreadPoolExecutor() as threads:
            list(threads.map(lambda node: node.start_containers(made), cold))
        shutil.rmtree(self.folder / "images", ignore_errors=True)
        kubeconfig = _as_seen_by_nodes(self.plane.kubeconfig)
        for node in self.nodes:
            node.start_kubelet(kubeconfig)
        with network.inside(network.HEAD):
            self._wait_for_nodes()
            if cold:
                # It saw nodes that were not ready, and no other ones: it takes that for a fault of its own
                # network, and some of them never put a node's pods elsewhere afterwards.
                self.plane.daemon("controller-manager").end()
                self.plane.up()

    def _wait_for_nodes(self) -> None:
        give_up = time.monotonic() + _READY_SECONDS
        while _ready_nodes(self.plane.kubeconfig) < len(self.nodes):
            if time.monotonic() > give_up:
                said = self.nodes[0].daemon("kubelet").last_words()
                raise ClusterError(f"the nodes are not ready:\n{said}")
            time.sleep(0.2)

    def down(self) -> None:
        """End all of it, also what a start that broke off left.

        Raises:
            TimeoutError: something withstands.
        """
        for node in self.nodes:
            node.down()
        self.plane.down()
        network.down()
        shutil.rmtree(self.folder, ignore_errors=True)


def _as_seen_by_nodes(kubeconfig: Path) -> Path:
    """The same with the address that the nodes reach it by."""
    seen = kubeconfig.with_name("kubeconfig-nodes")
    seen.touch(mode=0o600)
    seen.write_text(kubeconfig.read_text().replace("127.0.0.1", network.HEAD_ADDRESS))
    return seen


def _ready_nodes(kubeconfig: Path) -> int:
    """How many nodes the API server calls ready; 0 while it does not answer."""
    document = json.loads(kubeconfig.read_text())
    request = urllib.request.Request(  # noqa: S310 - the address stands in our own file
        f"{document['clusters'][0]['cluster']['server']}/api/v1/nodes",
        headers={"Authorization": f"Bearer {document['users'][0]['user']['token']}"},
    )
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # its certificate is made by itself at the first start
    try:
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:  # noqa: S310
            nodes = json.load(answer)["items"]
    except OSError:
        return 0
    conditions = (each["status"].get("conditions", ()) for each in nodes)
    return sum(
        any(c["type"] == "Ready" and c["status"] == "True" for c in each) for each in conditions
    )


def run(options: argparse.Namespace) -> None:
    """One command of `scripts/cluster kubelets`."""
    cluster = Kubelets(options.folder)
    match options.what:
        case "up":
            cluster.up(dict(_file(each) for each in options.file))
            print(f"export KUBECONFIG={cluster.plane.kubeconfig}")
            print(f"nsenter --net=/run/netns/{network.HEAD} kubectl get nodes")
        case "down":
            cluster.down()
        case "cut":
            network.cut(options.node)
        case _:
            network.mend(options.node)


def _file(text: str) -> tuple[Path, str]:
    source, _, target = text.partition("=")
    return Path(source).absolute(), target


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`kubelets` beside the other commands."""
    parser = commands.add_parser(
        "kubelets", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(run=run)
    what = parser.add_subparsers(required=True, dest="what")
    for name in ("up", "down", "cut", "mend"):
        command = what.add_parser(name)
        command.add_argument("--folder", type=Path, default=cache() / "kubelets")
        if name in {"cut", "mend"}:
            command.add_argument("node", type=int, choices=network.NODES)
        if name == "up":
            command.add_argument(
                "--file", action="append", default=[], help="SOURCE=PATH, laid into the image"
            )
