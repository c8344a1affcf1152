"""What happens to a service that runs or waits: each scene makes it happen and says when it did."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from broken_things import KEY, SECRET, template, verb
from stage import Stage, until
from stage import document as program

Json = dict[str, Any]
Scene = Callable[[Stage, Path], float]
_NAS = "later.nas.example.com"


def hangs(stage: Stage, _folder: Path) -> float:
    """An engine is stopped by SIGSTOP."""
    stage.create("later_hangs", grace=1)
    stage.running("later_hangs")
    (engine,) = stage.replicas("later_hangs").values()
    return _signalled(engine.pid, signal.SIGSTOP)


def keeper(stage: Stage, _folder: Path) -> float:
    """A keeper is killed, and its engine with it."""
    stage.create("later_keeper")
    stage.running("later_keeper")
    (found,) = [p for p in stage.processes("keeper") if p.replica.startswith("later_keeper")]
    return _signalled(found.pid, signal.SIGKILL)


def engine(stage: Stage, _folder: Path) -> float:
    """An engine is killed."""
    stage.create("later_engine")
    stage.running("later_engine")
    (found,) = stage.replicas("later_engine").values()
    return _signalled(found.pid, signal.SIGKILL)


def weights(stage: Stage, folder: Path) -> float:
    """The folder of its weights is removed, then its engine ends and cannot come back."""
    nas = folder / "later"
    (nas / "model").mkdir(parents=True)
    (nas / "model" / "model.gguf").write_text("weights")
    where = ("--mount-target", _NAS, "--local-path", str(nas))
    verb(stage, "storage", "add", "nas", "later", *where)
    body = program("later_weights", mark=stage.folder)
    mount = {"nfs": {"server": _NAS, "path": "/model"}, "mount_path": "/mnt/later"}
    stage.client.call(
        "CreateService", "POST", "/api/v2/services", body={**body, "storage": [mount]}
    )
    stage.running("later_weights")
    (found,) = stage.replicas("later_weights").values()
    shutil.rmtree(nas / "model")
    return _signalled(found.pid, signal.SIGKILL)


def workspace(stage: Stage, folder: Path) -> float:
    """The connection that it waits for is given to others."""
    secret = folder / "later-secret"
    secret.write_text(SECRET)
    where = ("--bucket", "later", "--endpoint", "http://127.0.0.1:1", "--region", "cn-shanghai")
    keys = ("--access-key-id", KEY, "--access-key-secret-file", str(secret), "--allow-private")
    verb(stage, "storage", "add", "oss", "later-bucket", *where, *keys)
    storage = {"oss": {"path": "oss://later/model/"}, "mount_path": "/model"}
    body: Json = {
        "metadata": {"name": "later_workspace", "instance": 1},
        "containers": [{"image": "pierhead/llama_7b_fp16"}],
        "storage": [storage],
    }
    stage.client.call("CreateService", "POST", "/api/v2/services", body=body)
    until(lambda: stage.client.describe("later_workspace")["Reason"] != "FetchingWeights")
    verb(stage, "workspace", "create", "others")
    others = ("--workspace", "others", "--replace")
    verb(stage, "storage", "add", "oss", "later-bucket", *where, *keys, *others)
    return time.monotonic()


def dependency(stage: Stage, folder: Path) -> float:
    """What it needs is stopped; then it shall start again."""
    template(stage, folder, "later_needed", "", "--start-command", "python3 -m http.server {port}")
    verb(stage, "templates", "deploy", "later_needed", "--name", "later_needed")
    stage.running("later_needed")
    needs = ("--name", "later_dependency", "--needs", "later_needed")
    verb(stage, "templates", "deploy", "later_needed", *needs)
    stage.running("later_dependency")
    stage.stop("later_needed")
    stage.stopped("later_needed")
    stage.client.change("RestartService", "later_dependency", "/restart")
    return time.monotonic()


SCENES: dict[str, Scene] = {
    "later_hangs": hangs,
    "later_keeper": keeper,
    "later_engine": engine,
    "later_weights": weights,
    "later_workspace": workspace,
    "later_dependency": dependency,
}


def _signalled(pid: int, number: signal.Signals) -> float:
    os.kill(pid, number)
    return time.monotonic()
