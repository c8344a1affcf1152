"""A real single-host control plane: etcd, API server, controller manager and scheduler as processes.

For tests and developers only: loopback, one random token, no fsync, a fast look at nodes. Its state lies in
one folder, may be thrown away at any time, and survives `down` and `up`.
"""

import json
import secrets
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from daemons import Daemon

HOST = "127.0.0.1"
READY_SECONDS = 180.0
#: Started in this order, ended in the reverse one.
COMPONENTS = ("etcd", "apiserver", "controller-manager", "scheduler")
_PORTS = ("etcd", "peer", "apiserver", "controller-manager", "scheduler")


class ClusterError(Exception):
    """The cluster could not be started; the text says what to look at."""


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The servers in `binaries` with their state in `folder`."""

    binaries: Path
    folder: Path

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def daemon(self, name: str) -> Daemon:
        """One of `COMPONENTS`, or a hollow node that belongs to this control plane."""
        return Daemon(self.folder, name)

    def up(self) -> None:
        """Start whatever does not run; returns once the API server is ready.

        Raises:
            ClusterError: a server ended at once or was not ready within 180 s.
        """
        self._prepare()
        ports: dict[str, int] = json.loads((self.folder / "ports.json").read_text())
        for name in COMPONENTS:
            self.daemon(name).start(_command(name, self, ports))
            if name == "apiserver":
                self._wait_ready(ports)

    def down(self) -> None:
        """End all servers; nothing of them runs afterwards."""
        for name in reversed(COMPONENTS):
            self.daemon(name).end()

    def _prepare(self) -> None:
        pki = self.folder / "pki"
        pki.mkdir(parents=True, exist_ok=True)
        (self.folder / "etcd").mkdir(mode=0o700, exist_ok=True)
        if (self.folder / "ports.json").exists():
            return
        token = secrets.token_hex(16)
        ports = dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        subprocess.run(
            ["openssl", "genrsa", "-out", str(pki / "sa.key"), "2048"],
            check=True,
            capture_output=True,
        )
        _private(pki / "tokens.csv", f"{token},admin,admin,system:masters\n")
        _private(self.kubeconfig, _kubeconfig(ports["apiserver"], token))
        (self.folder / "ports.json").write_text(json.dumps(ports))  # last: the mark of all this

    def _wait_ready(self, ports: dict[str, int]) -> None:
        token = (self.folder / "pki" / "tokens.csv").read_text().partition(",")[0]
        request = urllib.request.Request(
            f"https://{HOST}:{ports['apiserver']}/readyz",
            headers={"Authorization": f"Bearer {token}"},
        )
        deadline = time.monotonic() + READY_SECONDS
        server = self.daemon("apiserver")
        while not _answers(request):
            if server.process() is None or time.monotonic() > deadline:
                raise ClusterError(f"the API server is not ready:\n{server.last_words()}")
            time.sleep(0.1)


def _command(name: str, plane: ControlPlane, ports: dict[str, int]) -> list[str]:
    pki, folder = plane.folder / "pki", plane.folder
    etcd, peer = (f"http://{HOST}:{ports[port]}" for port in ("etcd", "peer"))
    if name == "etcd":
        return [
            str(plane.binaries / "etcd"),
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls={etcd}",
            f"--advertise-client-urls={etcd}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        ]
    if name == "apiserver":
        return [
            str(plane.binaries / "kube-apiserver"),
            f"--etcd-servers={etcd}",
            f"--bind-address={HOST}",
            f"--secure-port={ports['apiserver']}",
            f"--cert-dir={pki}",
            "--service-cluster-ip-range=10.96.0.0/16",
            # Names of hollow nodes do not resolve; without this no log can be read.
            "--kubelet-preferred-address-types=InternalIP",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={pki / 'sa.key'}",
            f"--service-account-key-file={pki / 'sa.key'}",
            "--authorization-mode=RBAC",
            f"--token-auth-file={pki / 'tokens.csv'}",
            "--allow-privileged",
            "--enable-admission-plugins=NodeRestriction",
        ]
    return [
        str(plane.binaries / f"kube-{name}"),
        f"--kubeconfig={plane.kubeconfig}",
        f"--authentication-kubeconfig={plane.kubeconfig}",
        f"--authorization-kubeconfig={plane.kubeconfig}",
        f"--bind-address={HOST}",
        "--port=0",
        f"--secure-port={ports[name]}",
        # One that cannot reach the API server gives up within 10 s, as everywhere: `up` starts it again,
        # while one that stays waits ever longer between its tries.
        "--leader-elect=true",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        *(_controllers(pki) if name == "controller-manager" else ()),
    ]


def _controllers(pki: Path) -> tuple[str, ...]:
    return (
        f"--service-account-private-key-file={pki / 'sa.key'}",
        f"--root-ca-file={pki / 'apiserver.crt'}",
        "--use-service-account-credentials=false",
        # Pods of hollow nodes have loopback addresses, which Endpoints refuse: those two would retry for ever.
        "--controllers=*,-endpoint,-endpointslice",
        "--node-monitor-grace-period=12s",
        "--node-monitor-period=2s",
        "--pod-eviction-timeout=5s",
    )


def _kubeconfig(port: int, token: str) -> str:
    cluster = {"server": f"https://{HOST}:{port}", "insecure-skip-tls-verify": True}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
        "current-context": "test",
    }
    return json.dumps(document, indent=1)  # JSON is YAML


def _private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, each another one."""
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    try:
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def _answers(request: urllib.request.Request) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # its certificate is made by itself at the first start
    try:
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:  # noqa: S310
            return answer.read() == b"ok"
    except (urllib.error.URLError, OSError):
        return False
