"""One real node: containerd and the kubelet, on a network and with a view of the disk of their own.

Both see /run, /var/lib and /var/log of the node's folder: pods' logs and volumes of two nodes never meet, and
every mount is gone with the last process. What may remain is then files of that folder, and control groups.
"""

import json
import os
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

import kubelets_cgroups as cgroups
import kubelets_network as network
from control_plane import ClusterError
from daemons import Daemon
from kubelets_images import PAUSE

_SOCKET = "/run/containerd/containerd.sock"
_OWN = ("run", "var/lib", "var/log")
_READY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Node:
    """A node of the cluster; `cache` holds the programs, `folder` all of its state."""

    number: int
    cache: Path
    folder: Path

    @property
    def name(self) -> str:
        return network.name_of(self.number)

    def daemon(self, name: str) -> Daemon:
        return Daemon(self.folder, name)

    def start_containers(self, images: Sequence[Path]) -> None:
        """Start containerd, with these images.

        Raises:
            ClusterError: it does not come up, or takes no image.
        """
        for each in (*_OWN, "etc/cni"):
            (self.folder / each).mkdir(parents=True, exist_ok=True)
        cgroups.make(self.name)
        (self.folder / "etc/containerd.toml").write_text(_containerd(self))
        (self.folder / "etc/cni/10.conflist").write_text(json.dumps(_pods_network(self)))
        daemon = self.daemon("containerd")
        with network.inside(self.name):
            daemon.start(_with_own_folders(self))
        process = daemon.process()
        if process is not None:
            cgroups.track(self.name, process.pid)
        self._wait(daemon)
        for image in images:
            done = self.run("ctr", "-n", "k8s.io", "images", "import", str(image))
            if done.returncode:
                raise ClusterError(f"{self.name} takes no image: {done.stdout}{done.stderr}")

    def start_kubelet(self, kubeconfig: Path) -> None:
        (self.folder / "etc/kubelet.json").write_text(json.dumps(_kubelet(self)))
        process = self.daemon("containerd").process()
        assert process is not None, "containerd runs"  # noqa: S101 - started just before
        with network.inside(self.name):
            self.daemon("kubelet").start(
                [
                    *("nsenter", f"--mount=/proc/{process.pid}/ns/mnt", "env", self.path()),
                    *(str(self.cache / "bin" / "kubelet"), f"--kubeconfig={kubeconfig}"),
                    f"--config={self.folder / 'etc/kubelet.json'}",
                    f"--hostname-override={self.name}",
                    f"--node-ip={network.address_of(self.number)}",
                    "--container-runtime=remote",
                    f"--container-runtime-endpoint=unix://{_SOCKET}",
                    "--volume-plugin-dir=/var/lib/kubelet/plug-ins",
                ]
            )
        kubelet = self.daemon("kubelet").process()
        if kubelet is not None:
            cgroups.track(self.name, kubelet.pid)

    def run(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run one of the node's programs where containerd runs."""
        process = self.daemon("containerd").process()
        if process is None:
            raise ClusterError(f"containerd of {self.name} does not run: {self.folder}")
        inside = ("nsenter", f"--mount=/proc/{process.pid}/ns/mnt", "env", self.path())
        return subprocess.run([*inside, *command], capture_output=True, text=True, check=False)

    def down(self) -> None:
        """End all that runs on it, and remove its folder; nothing to do for one that never was.

        Raises:
            TimeoutError: something withstands.
        """
        self.daemon("kubelet").end()  # first: it would start again what ends
        cgroups.end(self.name)
        self.daemon("containerd").end()
        rmtree(self.folder, ignore_errors=True)

    def path(self) -> str:
        """`PATH` with the node's programs first, as a word for `env`."""
        return f"PATH={self.cache / 'node' / 'bin'}:{os.environ['PATH']}"

    def _wait(self, daemon: Daemon) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while daemon.process() is not None and time.monotonic() < deadline:
            if self.run("ctr", "version").returncode == 0:
                return
            time.sleep(0.1)
        raise ClusterError(f"containerd of {self.name} does not run:\n{daemon.last_words()}")


def _with_own_folders(node: Node) -> list[str]:
    """containerd in a mount namespace in which the node's folders lie over the machine's."""
    script = 'for each in run var/lib var/log; do mount --bind "$0/$each" "/$each"; done; exec "$@"'
    daemon = (
        str(node.cache / "node/bin/containerd"),
        f"--config={node.folder}/etc/containerd.toml",
    )
    return [
        *("unshare", "--mount", "--propagation=private", "env", node.path()),
        *("sh", "-ec", script, str(node.folder), *daemon),
    ]


def _containerd(node: Node) -> str:
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""version = 2
[{cri}]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [{cri}.cni]
    bin_dir = "{node.cache}/node/cni"
    conf_dir = "{node.folder}/etc/cni"
"""


def _pods_network(node: Node) -> dict[str, object]:
    ranges = [[{"subnet": network.pods_of(node.number)}]]
    ipam = {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "ipMasq": False, "ipam": ipam}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}


def _kubelet(node: Node) -> dict[str, object]:
    """Its configuration; anybody on that network may ask it, as nobody but the tests is there."""
    address = network.address_of(node.number)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": True,
        "cgroupRoot": f"/{node.name}",
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        "address": address,
        "healthzBindAddress": "127.0.0.1",
        "nodeStatusUpdateFrequency": "3s",
        # The machine's disk is not the test's: a node must not put pods out because it is full.
        "evictionHard": {"memory.available": "1Mi", "nodefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "resolvConf": "",
    }
