"""A real single-host control plane: etcd, API server, controller manager and scheduler as processes.

For tests and developers only: loopback, one random token, no fsync, a fast look at nodes. Its state lies in
one folder, may be thrown away at any time, and survives `down` and `up`.
"""

import json
import random
import secrets
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daemons import Daemon

HOST = "127.0.0.1"
READY_SECONDS = 180.0
#: Started in this order, ended in the reverse one.
COMPONENTS = ("etcd", "apiserver", "controller-manager", "scheduler")
#: Clients of the API server alone; they serve nothing here, and have no ports that could be taken.
FOLLOWERS = COMPONENTS[2:]
_PORTS = ("etcd", "peer", "apiserver")
#: Below the range from which the kernel takes ports for connections: still free after a kill.
_RANGE = range(20000, 32000)
#: Somebody else may still be faster, between our look and the server's.
_TRIES = 5


class ClusterError(Exception):
    """The cluster could not be started; the text says what to look at."""


class _PortTakenError(ClusterError):
    """Another process has the port."""


@dataclass(frozen=True, slots=True)
class ControlPlane:
    """The servers in `binaries` with their state in `folder`."""

    binaries: Path
    folder: Path
    #: By server, what it is told beside what is said here; of an option that is given twice the last one counts.
    more: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    def daemon(self, name: str) -> Daemon:
        """One of `COMPONENTS`, or a hollow node that belongs to this control plane."""
        return Daemon(self.folder, name)

    def up(self) -> None:
        """Start whatever does not run; returns once the API server is ready.

        Those that follow the API server are started anew with it: one that outlived it waits ever longer
        between its tries (up to a minute). An init system says the same by `PartOf=`.

        Raises:
            ClusterError: a server ended at once or was not ready within 180 s.
        """
        for left in reversed(range(_TRIES)):
            fresh = not (self.folder / "ports.json").exists()
            try:
                self._up()
                return
            except _PortTakenError:
                # Ports that were given out already stand in kubeconfigs: they stay.
                if not (fresh and left):
                    raise
                self.down()
                (self.folder / "ports.json").unlink()

    def _up(self) -> None:
        self._prepare()
        ports: dict[str, int] = json.loads((self.folder / "ports.json").read_text())
        if self.daemon("apiserver").process() is None:
            for name in FOLLOWERS:
                self.daemon(name).end()
        for name in COMPONENTS:
            self.daemon(name).start([*_command(name, self, ports), *self.more.get(name, ())])
            if name == "apiserver":
                self._wait_ready(ports)

    def down(self) -> None:
        """End all servers; nothing of them runs afterwards."""
        for name in FOLLOWERS:
            self.daemon(name).ask()
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
        shutil.rmtree(self.folder / "etcd")  # a first try's: it knows itself by another port
        (self.folder / "etcd").mkdir(mode=0o700)
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
        ready = False
        while not ready:
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"the API server is not ready:\n{self.daemon('apiserver').last_words()}"
                )
            time.sleep(0.1)
            self._demand_running("etcd", "apiserver")
            # Ours, and not somebody else's: an API server would do with any etcd.
            ours = all(self.daemon(name).listens(ports[name]) for name in ("etcd", "apiserver"))
            ready = ours and _answers(request)

    def _demand_running(self, *names: str) -> None:
        for server in map(self.daemon, names):
            if server.process() is None:
                told = f"{server.name} has ended:\n{server.last_words()}"
                taken = "address already in use" in told
                raise _PortTakenError(told) if taken else ClusterError(told)


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
        "--port=0",
        "--secure-port=0",
        # There is one of each: it need not wait until a lease runs out that it held itself before a restart.
        "--leader-elect=false",
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
        "--node-monitor-period=1s",
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
    found: list[int] = []
    for port in random.sample(_RANGE, len(_RANGE)):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            break
    return found


def _answers(request: urllib.request.Request) -> bool:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # its certificate is made by itself at the first start
    try:
        with urllib.request.urlopen(request, timeout=5, context=context) as answer:  # noqa: S310
            return answer.read() == b"ok"
    except (urllib.error.URLError, OSError):
        return False
