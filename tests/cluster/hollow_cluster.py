"""The test cluster, driven by the developers' own tool, `scripts/cluster`."""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
import pytest
from kube_client import KubeClient, KubeRefusedError, until

TOOL = Path(__file__).parent.parent.parent / "scripts" / "cluster"
NODES = 2
#: What the API server notes down: every request that changes something, but what nodes tell of pods.
AUDITED = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [
        {"level": "None", "resources": [{"group": "", "resources": ["events", "pods/status"]}]},
        {
            "level": "Metadata",
            "verbs": ["create", "update", "patch", "delete", "deletecollection"],
            "resources": [{"group": group} for group in ("", "apps", "policy")],
        },
    ],
}
#: By this the library that hubs ask the API server with calls itself; nodes and tests have others.
HUBS_AGENT = "python-httpx"
Json = dict[str, Any]


@dataclass
class HollowCluster:
    """A control plane with two hollow nodes; `folder` holds its kubeconfig, pids and logs."""

    folder: Path

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @cached_property
    def api(self) -> KubeClient:
        return KubeClient(self.kubeconfig)

    def up(self) -> None:
        """Start what does not run, and wait until both nodes are Ready."""
        (self.folder / "audit-policy.json").write_text(json.dumps(AUDITED))
        _tool(*self._up)
        self.nodes_ready()

    @property
    def _up(self) -> tuple[str, ...]:
        policy, log = self.folder / "audit-policy.json", self.folder / "audit.log"
        options = (f"--audit-policy-file={policy}", f"--audit-log-path={log}")
        # A cluster that was given has no such policy.
        told = (f"--server-option=apiserver={each}" for each in options if policy.exists())
        return ("up", f"--folder={self.folder}", f"--nodes={NODES}", *told)

    def writes(self, namespace: str) -> list[tuple[str, str, str]]:
        """What hubs changed in a namespace so far, as the API server noted it: (verb, kind, name)."""
        log = self.folder / "audit.log"
        if not log.exists():
            pytest.skip(f"{self.kubeconfig} was given, and its API server notes nothing down")
        noted = [json.loads(line) for line in log.read_text().splitlines() if line.endswith("}")]
        return [
            (each["verb"], each["objectRef"]["resource"], each["objectRef"].get("name", ""))
            for each in noted
            if each["objectRef"].get("namespace") == namespace
            and HUBS_AGENT in each.get("userAgent", "")
        ]

    def back(self) -> float:
        """Start what does not run; the moment at which the API server answered (monotonic seconds)."""
        command = [sys.executable, str(TOOL), *self._up]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as tool:
            until(self._answers, "the API server answers", 180)
            moment = time.monotonic()
            assert tool.wait(180) == 0
        return moment

    def _answers(self) -> bool:
        try:
            return self.api.text("GET", "/readyz")[0] == 200
        except OSError:
            return False

    def nodes_ready(self) -> None:
        """Wait until every node is Ready, without a taint that keeps pods away."""

        def good() -> bool:
            nodes = self.api("GET", "/api/v1/nodes")["items"]
            usable = [each for each in nodes if _usable(each)]
            return len(usable) >= NODES

        until(good, "two nodes are Ready", 60)

    def process(self, name: str) -> psutil.Process:
        """A server or a node by its name: `apiserver`, `node-1`."""
        pid_file = self.folder / f"{name}.pid"
        if not pid_file.exists():
            pytest.skip(f"{self.kubeconfig} was given, and no {name} was started beside it")
        text = pid_file.read_text()
        return psutil.Process(int(text.strip("[]").partition(",")[0]))

    def namespace(self, name: str) -> str:
        """A namespace, made unless it is there."""
        try:
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            self.api("POST", "/api/v1/namespaces", body)
        except KubeRefusedError as refused:
            if refused.status != 409:
                raise
        return name

    def forget(self, namespace: str) -> None:
        """Delete a namespace with all that is in it; nobody waits for its pods."""
        for kind in ("apis/apps/v1/{}/deployments", "api/v1/{}/pods"):
            path = "/" + kind.format(f"namespaces/{namespace}")
            self.api("DELETE", f"{path}?gracePeriodSeconds=0&propagationPolicy=Background")
        self.api("DELETE", f"/api/v1/namespaces/{namespace}")


def _usable(node: Json) -> bool:
    conditions = node.get("status", {}).get("conditions", ())
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and not node["spec"].get("taints")


def built() -> bool:
    """Are the servers in this machine's cache? Builds them when that is asked for."""
    done = subprocess.run(
        [sys.executable, TOOL, "status"], capture_output=True, text=True, check=False
    )
    if done.stdout.startswith("servers  built"):
        return True
    if not os.environ.get("PIERHEAD_BUILD_CLUSTER"):
        return False
    _tool("build", timeout=3600)
    return True


def _tool(*arguments: str, timeout: float = 300) -> None:
    began = time.monotonic()
    command = [sys.executable, str(TOOL), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    took = time.monotonic() - began
    assert done.returncode == 0, (
        f"{arguments} failed after {took:.0f} s:\n{done.stdout}{done.stderr}"
    )
