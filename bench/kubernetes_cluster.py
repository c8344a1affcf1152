"""A real control plane with nodes of paper, and an account of its own for the hub, whose requests it writes down."""

import base64
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.processes import until

Json = dict[str, Any]
NAMESPACE = "bench"
ACCOUNT = "pierhead-hub"
_TOOL = Path(__file__).parent.parent / "scripts" / "cluster"
_START_SECONDS, _STOP_SECONDS = 300.0, 30.0
_PODS_PER_NODE = 110
_USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
#: Each request of the hub once, with the time of its answer; a watch when it ends.
_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata", "users": [_USER]}, {"level": "None"}],
}
#: On two cores that are busy, nodes beat late and controllers would hold back more than the hub does.
_PATIENT = ("--node-monitor-grace-period=120s", "--kube-api-qps=1000", "--kube-api-burst=2000")


@dataclass(frozen=True, slots=True)
class Cluster:
    """One that runs, in a folder of its own."""

    folder: Path

    @property
    def audit(self) -> Path:
        """Where the API server writes what the hub asks of it."""
        return self.folder / "audit.log"

    def settings(self) -> dict[str, str]:
        """What a hub is told of it, as its environment."""
        return {
            "PIERHEAD_RUNTIME": "kubernetes",
            "PIERHEAD_KUBERNETES_KUBECONFIG": str(self.folder / "hub-kubeconfig"),
            "PIERHEAD_KUBERNETES_NAMESPACE": NAMESPACE,
            "PIERHEAD_KUBERNETES_IMAGE": "pierhead:bench",
        }

    def call(self, method: str, path: str, body: Json | None = None) -> Json:
        """One request as the cluster's administrator.

        Raises:
            RuntimeError: it was answered with an error.
        """
        given = json.loads((self.folder / "kubeconfig").read_text())
        url = urlsplit(str(given["clusters"][0]["cluster"]["server"]))
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # its certificate is made by itself at its first start
        connection = http.client.HTTPSConnection(
            str(url.hostname), url.port, timeout=60, context=context
        )
        head = {"Authorization": f"Bearer {given['users'][0]['user']['token']}"}
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, head | {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    def deployments(self) -> dict[str, str]:
        """Service name -> id, of all services that have a Deployment."""
        path = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments?limit=5000"
        return {
            each["metadata"]["annotations"]["pierhead.dev/service-name"]: each["metadata"][
                "labels"
            ]["pierhead.dev/service-id"]
            for each in self.call("GET", path)["items"]
        }

    def pid(self, server: str) -> int:
        """Of one of its servers."""
        return json.loads((self.folder / f"{server}.pid").read_text())[0]

    def restart_api(self) -> None:
        """Kill the API server and start it again: everybody lists everything anew."""
        pid = self.pid("apiserver")
        os.kill(pid, signal.SIGKILL)  # one that is asked to end waits a minute for its watches
        until(lambda: not _lives(pid), _STOP_SECONDS, "the API server's end", 0.05)
        _up(self.folder)


@contextmanager
def cluster(folder: Path, pods: int) -> Generator[Cluster]:
    """A control plane with as many nodes of paper as it takes for so many pods.

    Raises:
        RuntimeError: its servers are not built on this machine, or one did not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "audit.json").write_text(json.dumps(_POLICY))
    made = Cluster(folder)
    nodes: subprocess.Popen[bytes] | None = None
    try:
        _up(folder)
        nodes = _nodes(made, 1 + (pods - 1) // _PODS_PER_NODE)
        _account(made)
        yield made
    finally:
        if nodes is not None:
            nodes.terminate()
            nodes.wait(_STOP_SECONDS)
        _tool("down", f"--folder={folder}")


def _up(folder: Path) -> None:
    options: Mapping[str, tuple[str, ...]] = {
        "apiserver": (
            f"--audit-policy-file={folder / 'audit.json'}",
            f"--audit-log-path={folder / 'audit.log'}",
        ),
        "controller-manager": _PATIENT,
        "scheduler": _PATIENT[1:],
    }
    words = [f"--server-option={name}={one}" for name, each in options.items() for one in each]
    _tool("up", f"--folder={folder}", "--nodes=0", *words)


def _tool(*arguments: str) -> None:
    command = [sys.executable, str(_TOOL), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_START_SECONDS, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{arguments[0]}: {done.stdout}{done.stderr}")


def _nodes(made: Cluster, count: int) -> subprocess.Popen[bytes]:
    """Paper nodes, in one process of their own, all Ready."""
    command = [
        *(sys.executable, str(_TOOL), "node", "--paper", "--name=paper", f"--count={count}"),
        *(f"--kubeconfig={made.folder / 'kubeconfig'}", f"--folder={made.folder / 'nodes'}"),
        *("--network=127.192.0.0/14", "--capacity=cpu=1000", "--capacity=memory=4Ti"),
    ]
    with (made.folder / "nodes.log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def ready() -> bool:
        if process.poll() is not None:
            raise RuntimeError((made.folder / "nodes.log").read_text()[-1000:])
        found = made.call("GET", "/api/v1/nodes")["items"]
        return sum(not each["spec"].get("taints") for each in found) == count

    try:
        until(ready, 60, f"{count} nodes", 0.2)
    except BaseException:
        process.terminate()
        process.wait(_STOP_SECONDS)
        raise
    return process


def _account(made: Cluster) -> None:
    """The hub's own, so that its requests can be told from those of everybody else."""
    made.call("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    accounts = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
    made.call("POST", accounts, {"metadata": {"name": ACCOUNT}})
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    made.call(
        "POST",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        {"metadata": {"name": ACCOUNT}, "roleRef": role, "subjects": [subject]},
    )

    def secrets() -> list[Json]:
        return made.call("GET", f"{accounts}/{ACCOUNT}").get("secrets", [])

    until(lambda: bool(secrets()), 60, "the hub's account", 0.1)
    secret = made.call("GET", f"/api/v1/namespaces/{NAMESPACE}/secrets/{secrets()[0]['name']}")
    given = json.loads((made.folder / "kubeconfig").read_text())
    given["users"][0]["user"]["token"] = base64.b64decode(secret["data"]["token"]).decode()
    file = made.folder / "hub-kubeconfig"
    file.touch(mode=0o600)
    file.write_text(json.dumps(given))


def _lives(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] != "Z"


def wall() -> float:
    """The clock that the API server's book tells times by, too."""
    return time.time()
