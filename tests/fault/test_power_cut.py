"""The database is older than what runs here: after a power cut, or by a restored backup.

The hub starts, converges to what the database says, tells what it did, and leaves nothing behind.
"""

import subprocess
from pathlib import Path

import psutil
from stage import Stage, document, until

SOURCE = str(Path(__file__).parent.parent.parent / "src")


def hub(stage: Stage) -> "subprocess.Popen[bytes]":
    process = stage.start("hub", PYTHONPATH=SOURCE)
    stage.answering(stage.listen, process)
    return process


def killed(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


def versions(stage: Stage, name: str) -> set[str]:
    """VERSION in the environment of a service's engines."""
    found: set[str] = set()
    for process in stage.replicas(name).values():
        try:
            found.add(psutil.Process(process.pid).environ().get("VERSION", ""))
        except psutil.Error:
            return set()  # it ended while we looked
    return found


def update(stage: Stage, name: str, version: str) -> None:
    stage.update(name, document(name, mark=stage.folder, env={"VERSION": version}))


def is_at(stage: Stage, name: str, version: str) -> bool:
    return bool(stage.is_running(name)) and versions(stage, name) == {version}


def test_a_restored_older_state_is_what_runs_and_is_told(stage: Stage) -> None:
    """Law: replicas that the database does not know are stopped, never orphaned; the rest keep their pids."""
    process = hub(stage)
    stage.create("steady")
    stage.create("moved", env={"VERSION": "first"})
    stage.running("steady")
    stage.running("moved")
    file = stage.folder.parent / "a.backup"
    made = stage.run("backup", str(file))
    assert made.returncode == 0, made.stderr
    stage.create("later")
    stage.running("later")
    update(stage, "moved", "lost")
    until(lambda: is_at(stage, "moved", "lost"))
    steady = stage.replicas("steady")

    _put_back(stage, process, file)
    assert stage.replicas("later") != {}  # nobody has looked yet

    hub(stage)
    until(lambda: is_at(stage, "moved", "first"), "the older version does not run")
    until(lambda: stage.replicas("later") == {} and not _folder(stage, "later"), "it runs on")
    assert stage.is_gone("later")
    stage.running("steady")
    assert stage.replicas("steady") == steady
    log = stage.tail(200)
    assert "The database knows no service of these replicas" in log
    assert "Replicas run version 2, and the database knows 1 only" in log
    assert "UnknownVersion" in {event["Reason"] for event in stage.events("moved")}
    # The lost version's number goes to no other.
    update(stage, "moved", "next")
    until(lambda: is_at(stage, "moved", "next"))
    assert int(stage.client.describe("moved")["LatestVersion"]) == 3


def _put_back(stage: Stage, process: "subprocess.Popen[bytes]", file: Path) -> None:
    """Restore over the platform, which is refused while it runs, and without being told to."""
    for flags, why in ((["--force"], "already runs"), ([], "--force")):
        refused = stage.run("restore", str(file), *flags)
        assert refused.returncode == 1
        assert why in refused.stderr
        killed(process)
    done = stage.run("restore", str(file), "--force")
    assert done.returncode == 0, done.stderr


def _folder(stage: Stage, service: str) -> list[str]:
    return [name for name in stage.folders() if service in name]
