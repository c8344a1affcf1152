"""The test cluster itself: its nodes do what a kubelet does, as far as the other tests rely on it."""

import signal
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from hollow_cluster import HollowCluster
from kube_client import KubeRefusedError, is_ready, until

Json = dict[str, Any]
PROGRAM = Path(__file__).parent.parent / "fault" / "replica_program.py"
READY = {"httpGet": {"path": "/", "port": "engine"}, "periodSeconds": 1, "timeoutSeconds": 5}


def container(*command: str, **more: Any) -> Json:
    """The engine's container: replica_program.py, or `command`."""
    fields = {"HOST": "status.podIP", "REPLICA_ID": "metadata.uid"}
    env = [
        {"name": key, "valueFrom": {"fieldRef": {"fieldPath": at}}} for key, at in fields.items()
    ]
    return {
        "name": "engine",
        "image": "engine:1",
        "command": [*(command or (sys.executable, "-I", "-S", str(PROGRAM), "hollow"))],
        "env": [*env, {"name": "PORT", "value": "8000"}],
        "ports": [{"name": "engine", "containerPort": 8000, "protocol": "TCP"}],
        **more,
    }


def deployment(replicas: int, engine: Json, **pod: Any) -> Json:
    """A Deployment `web` with tolerations so short that a lost node is noticed at once."""
    gone = ("node.kubernetes.io/unreachable", "node.kubernetes.io/not-ready")
    spec = {
        "containers": [engine],
        "terminationGracePeriodSeconds": 5,
        "tolerations": [
            {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 2}
            for key in gone
        ],
        **pod,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": spec},
        },
    }


def pod(engine: Json, **spec: Any) -> Json:
    return {"metadata": {"name": "one"}, "spec": {"containers": [engine], **spec}}


class World:
    """One namespace, with the words of the tests."""

    def __init__(self, cluster: HollowCluster, namespace: str) -> None:
        self.cluster, self.api, self.name = cluster, cluster.api, namespace

    def apply(self, manifest: Json) -> Json:
        name = manifest["metadata"]["name"]
        path = f"/apis/apps/v1/namespaces/{self.name}/deployments/{name}"
        return self.api.apply(path, manifest)

    def create(self, manifest: Json) -> None:
        self.api("POST", f"/api/v1/namespaces/{self.name}/pods", manifest)

    def delete(self, name: str, grace: int) -> None:
        path = f"/api/v1/namespaces/{self.name}/pods/{name}?gracePeriodSeconds={grace}"
        self.api("DELETE", path)

    def pods(self) -> list[Json]:
        return self.api.pods(self.name)

    def ready(self, count: int, within: float = 60) -> list[Json]:
        """Wait until so many pods are Ready, and no other is there."""

        def look() -> list[Json]:
            found = self.pods()
            return found if len(found) == count and all(map(is_ready, found)) else []

        return until(look, lambda: [each["status"] for each in self.pods()], within)

    def status(self, name: str = "one", of: str = "containerStatuses") -> Json:
        """Of the first container of a pod; {} while nothing is told."""
        item = self.api("GET", f"/api/v1/namespaces/{self.name}/pods/{name}")
        return (item["status"].get(of) or [{}])[0]

    def waiting(self, reason: str) -> str:
        """Wait until the pod `one` waits for that reason; the message."""

        def look() -> Json:
            state = self.status().get("state", {}).get("waiting", {})
            return state if state.get("reason") == reason else {}

        return str(until(look, self.status).get("message", ""))

    def events(self, reason: str) -> list[str]:
        items = self.api("GET", f"/api/v1/namespaces/{self.name}/events")["items"]
        return [each["message"] for each in items if each["reason"] == reason]

    def log(self, name: str = "one", query: str = "") -> str:
        path = f"/api/v1/namespaces/{self.name}/pods/{name}/log?{query}"
        return self.api.text("GET", path)[1]


@pytest.fixture
def world(cluster: HollowCluster, namespace: str) -> World:
    return World(cluster, namespace)


def process_of(item: Json) -> psutil.Process:
    """The engine of a pod: the process that listens on its address."""
    host = item["status"]["podIP"]
    for connection in psutil.net_connections("tcp4"):
        if connection.laddr[:1] == (host,) and connection.status == psutil.CONN_LISTEN:
            assert connection.pid is not None
            return psutil.Process(connection.pid)
    raise AssertionError(f"nothing listens on {host}")


def test_replicas_run_restart_and_are_replaced_by_a_rolling_update(world: World) -> None:
    manifest = deployment(2, container(readinessProbe=READY))
    applied = world.apply(manifest)
    before = {each["metadata"]["uid"]: each for each in world.ready(2)}
    settled = until(lambda: _observed(world, 2), "its status")
    assert world.apply(manifest)["metadata"]["resourceVersion"] == settled
    assert applied["metadata"]["uid"]

    victim = next(iter(before.values()))
    process_of(victim).kill()
    name = victim["metadata"]["name"]
    until(lambda: world.status(name).get("restartCount") == 1, "it is started again")
    last = world.status(name)["lastState"]["terminated"]
    assert (last["exitCode"], last["signal"], last["reason"]) == (137, 9, "Error")
    assert {each["metadata"]["uid"] for each in world.ready(2)} == set(before)

    changed = deployment(2, container(readinessProbe=READY, workingDir="/"))
    world.apply(changed)
    until(lambda: not set(before) & {each["metadata"]["uid"] for each in world.ready(2)}, "all new")


def _observed(world: World, replicas: int) -> str:
    """The version of `web` once its status is settled; "" before."""
    path = f"/apis/apps/v1/namespaces/{world.name}/deployments/web"
    found = world.api("GET", path)
    good = found["status"].get("availableReplicas") == replicas
    return str(found["metadata"]["resourceVersion"]) if good else ""


def test_a_pod_is_prepared_probed_and_read(world: World, tmp_path: Path) -> None:
    """Init containers in order, volumes, variables, startup and liveness probes, logs."""
    secret = {"metadata": {"name": "keys"}, "stringData": {"key": "sesame"}}
    volume = {"name": "cache", "hostPath": {"path": str(tmp_path), "type": "DirectoryOrCreate"}}
    mounts = [{"name": "cache", "mountPath": str(tmp_path)}]
    first, second = (
        container("sh", "-c", f"echo {step} >> {tmp_path}/steps", volumeMounts=mounts)
        | {"name": step}
        for step in ("fetch", "unpack")
    )
    reference = {"secretKeyRef": {"name": "keys", "key": "key"}}
    # Alive for as long as the file is there.
    engine = container(
        *("sh", "-c", "echo $KEY $(NAME) '$$(NAME)'; tail -f /dev/null"),
        env=[{"name": "KEY", "valueFrom": reference}, {"name": "NAME", "value": "n"}],
        volumeMounts=mounts,
        startupProbe={"exec": {"command": ["test", "-e", str(tmp_path / "steps")]}},
        livenessProbe={
            "exec": {"command": ["test", "-e", str(tmp_path / "steps")]},
            "periodSeconds": 1,
            "failureThreshold": 1,
        },
    )
    world.create(
        pod(
            engine,
            initContainers=[first, second],
            volumes=[volume],
            terminationGracePeriodSeconds=1,
        )
    )
    message = world.waiting("CreateContainerConfigError")
    assert message == 'secret "keys" not found'
    world.api("POST", f"/api/v1/namespaces/{world.name}/secrets", secret)
    world.ready(1)
    assert (tmp_path / "steps").read_text() == "fetch\nunpack\n"
    until(lambda: world.log() == "sesame n $(NAME)\n", world.log)
    (tmp_path / "steps").unlink()
    until(lambda: world.status().get("restartCount"), "the liveness probe ends it")
    assert world.log(query="previous=true") == "sesame n $(NAME)\n"
    (tmp_path / "steps").touch()
    stamped = until(lambda: world.log(query="timestamps=true&tailLines=1"), "the new log")
    assert stamped.endswith("Z sesame n $(NAME)\n")


def test_what_goes_wrong_is_told_as_a_kubelet_tells_it(world: World) -> None:
    engine = container("sh", "-c", "echo no model >&2; exit 3")
    world.create(pod(engine))
    assert "back-off" in world.waiting("CrashLoopBackOff")
    assert world.status()["lastState"]["terminated"]["exitCode"] == 3
    world.delete("one", 0)
    _pod_again(world, container("/nowhere/engine"))
    until(lambda: world.status().get("lastState"), world.status)
    assert world.status()["lastState"]["terminated"]["exitCode"] == 127
    world.delete("one", 0)
    hog = "import time; held = bytearray(200 << 20); time.sleep(99)"
    limits = {"limits": {"memory": "100Mi"}}
    _pod_again(world, container(sys.executable, "-c", hog, resources=limits))
    until(lambda: world.status().get("lastState"), world.status)
    assert world.status()["lastState"]["terminated"]["reason"] == "OOMKilled"
    world.delete("one", 0)
    _pod_again(world, container() | {"image": "registry.invalid/engine:1"})
    assert "registry.invalid/engine:1" in world.waiting("ImagePullBackOff")
    world.delete("one", 0)
    volume = {"name": "weights", "hostPath": {"path": "/elsewhere", "type": "Directory"}}
    mounted = container(volumeMounts=[{"name": "weights", "mountPath": "/weights"}])
    _pod_again(world, mounted, volumes=[volume])
    (failed,) = until(lambda: world.events("FailedMount"), "the mount fails")
    assert "/weights" in failed


def _pod_again(world: World, engine: Json, **spec: Any) -> None:
    """The pod `one` once more, once the name is free."""

    def created() -> bool:
        try:
            world.create(pod(engine, **spec))
        except KubeRefusedError as refused:
            assert refused.status == 409
            return False
        return True

    until(created, "the name is free")


def test_a_second_shorter_delete_ends_the_wait_before_the_stop(world: World) -> None:
    waits = {"preStop": {"exec": {"command": ["sleep", "58"]}}}
    engine = container(readinessProbe=READY, lifecycle=waits)
    world.create(pod(engine, terminationGracePeriodSeconds=60))
    (item,) = world.ready(1)
    process = process_of(item)
    world.delete("one", 60)
    until(lambda: world.events("Killing"), "its end has begun")
    assert process.is_running()
    assert "running" in world.status()["state"]
    began = time.monotonic()
    world.delete("one", 1)
    until(lambda: not world.pods(), "it is gone")
    assert time.monotonic() - began < 30
    assert not process.is_running()


def test_pods_of_a_node_that_is_cut_off_are_replaced_on_the_other(world: World) -> None:
    world.apply(deployment(2, container(readinessProbe=READY)))
    before = world.ready(2)
    name = before[0]["spec"]["nodeName"]
    node = world.cluster.process(name)
    lost = {each["metadata"]["uid"] for each in before if each["spec"]["nodeName"] == name}
    node.send_signal(signal.SIGSTOP)
    try:
        until(lambda: len(world.api.ready(world.name)) < 2, "it is noticed")
        until(lambda: len(world.api.ready(world.name)) == 2, "it is replaced")
        left = {each["metadata"]["uid"] for each in world.pods() if not is_ready(each)}
        assert left == lost  # they stay, on their way out, until the node is back
    finally:
        node.send_signal(signal.SIGCONT)
    world.ready(2)
    world.cluster.nodes_ready()
