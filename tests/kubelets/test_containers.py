"""What the template of a pod says is what a real container is, and how one ends is told as it was."""

import json
from typing import Any

from kube_client import until
from kubelet_cluster import PROGRAM, SYSTEM_PYTHON, KubeletStage

#: Tells what it is and may, then serves.
_LOOK = f"""
import json, os, pathlib, runpy
def writes(path):
    try:
        pathlib.Path(path, "probe").write_text("x")
    except OSError as error:
        return os.strerror(error.errno)
    return "written"
lines = open("/proc/self/status").read().splitlines()
status = dict(line.split(":\\t", 1) for line in lines if ":\\t" in line)
print("LOOK " + json.dumps({{
    "user": os.getuid(), "group": os.getgid(), "pid": os.getpid(),
    "root": writes("/"), "opt": writes("/opt"), "tmp": writes("/tmp"),
    "capabilities": int(status["CapBnd"], 16), "gains": status["NoNewPrivs"], "seccomp": status["Seccomp"],
    "memory": int(open("/sys/fs/cgroup/memory/memory.limit_in_bytes").read()),
    "quota": int(open("/sys/fs/cgroup/cpu/cpu.cfs_quota_us").read()),
    "token": os.path.exists("/var/run/secrets/kubernetes.io"),
}}), flush=True)
runpy.run_path({PROGRAM!r}, run_name="__main__")
"""
_TORN = "print('the model file is torn', flush=True); raise SystemExit(3)"
_GREEDY = """
import time
print('taking memory', flush=True)
time.sleep(1)
taken = []
while True:
    taken.append(b'x' * 2**20)
"""
#: A name that no resolver knows, by RFC 2606.
_NOWHERE = "registry.invalid/nobody/has:1"


def test_a_container_is_what_its_template_says(stage: KubeletStage) -> None:
    """Law: replicas are not root, may write to /tmp alone, get no token, and are bounded."""
    stage.create("svc", command=[SYSTEM_PYTHON, "-c", _LOOK], memory=256, cpu=1)
    stage.running("svc", within=60)
    (line,) = [each for each in stage.run("logs", "svc").stdout.splitlines() if "LOOK " in each]
    assert json.loads(line.partition("LOOK ")[2]) == {
        "user": 10001,
        "group": 10001,
        "pid": 1,
        "root": "Read-only file system",
        "opt": "Read-only file system",
        "tmp": "written",
        "capabilities": 0,
        "gains": "1",
        "seccomp": "2",
        "memory": 256 * 2**20,
        "quota": 100_000,
        "token": False,
    }


def test_a_crash_is_told_with_its_last_words(stage: KubeletStage) -> None:
    """Law: how a run ended is told, with what it wrote; so is that the kubelet waits before the next one."""
    stage.create("svc", command=[SYSTEM_PYTHON, "-c", _TORN])
    told = until(lambda: _warnings(stage, "Crashed"), "a crash is told", 60)
    assert "exit code 3; last line: the model file is torn" in told[0]["Message"]
    until(lambda: _restarts(stage) >= 2, "it is run again", 60)
    previous = stage.run("logs", "svc", "--previous")
    assert "the model file is torn" in previous.stdout, previous
    first = stage.run("logs", "svc", "--attempt", "first")
    assert "the model file is torn" in first.stdout, first
    assert "exit code 3" in stage.run("why", "svc").stdout


def test_a_kill_for_memory_is_told_with_the_limit(stage: KubeletStage) -> None:
    """Law: what the kernel killed for memory is told as that, with the limit that it met."""
    stage.create("svc", command=[SYSTEM_PYTHON, "-c", _GREEDY], memory=64)
    told = until(lambda: _warnings(stage, "OutOfMemory"), "the kill is told", 60)
    assert "Memory ran out at the limit: 64Mi" in told[0]["Message"]
    assert "Memory ran out at the limit: 64Mi" in stage.run("why", "svc").stdout


def test_an_image_that_cannot_be_had_is_named(stage: KubeletStage) -> None:
    """Law: a replica whose image does not come is told with the image's name and the registry's answer."""
    stage.create("svc", image=_NOWHERE)
    why = until(
        lambda: _said(stage, "The image of the replica cannot be pulled"),
        lambda: stage.run("why", "svc").stdout,
        60,
    )
    assert _NOWHERE in why, why


def _warnings(stage: KubeletStage, reason: str) -> list[dict[str, Any]]:
    return [
        each
        for each in stage.events("svc")
        if each["Type"] == "Warning" and each["Reason"] == reason
    ]


def _restarts(stage: KubeletStage) -> int:
    found = [each["status"].get("containerStatuses", ()) for each in stage.pods().values()]
    return sum(each["restartCount"] for containers in found for each in containers)


def _said(stage: KubeletStage, words: str) -> str:
    text = stage.run("why", "svc").stdout
    return text if words in text else ""
