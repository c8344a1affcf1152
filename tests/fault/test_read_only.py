"""The database takes no writes: what runs goes on, what only looks is answered, the rest is told when to come back.

A full disk is a real one, a tmpfs, which only root can mount; without it the test says so.
"""

import hashlib
import json
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from processes import Process
from stage import PATIENCE, Stage, document, get, until

from pierhead.cli.client import HubRefused

SOURCE = str(Path(__file__).parent.parent.parent / "src")
#: Seconds in which a call is answered, whatever the database does.
SOON = 2.0 * PATIENCE


class Platform:
    """A hub on a stage, and what the tests ask of it."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.process = self.start()

    def start(self) -> "subprocess.Popen[bytes]":
        process = self.stage.start("hub", PYTHONPATH=SOURCE)
        self.stage.answering(self.stage.listen, process)
        return process

    def health(self) -> dict[str, Any]:
        status, body = get(self.stage.listen, "/healthz")
        assert status == 200
        return json.loads(body)

    def reads_only(self) -> bool:
        return self.health()["status"] == "read-only"

    def writes(self) -> bool:
        return self.health()["status"] == "ok"

    def refused(self, name: str) -> HubRefused:
        """The answer to a write, which comes soon."""
        began = time.monotonic()
        with pytest.raises(HubRefused) as caught:
            self.stage.create(name)
        assert time.monotonic() - began < SOON
        return caught.value

    def looks(self) -> None:
        """Signed reads are answered, soon."""
        for _ in range(5):
            began = time.monotonic()
            assert self.stage.client.describe("one")["Status"] == "Running"
            assert time.monotonic() - began < SOON

    def metric(self, name: str) -> float:
        _status, body = get(self.stage.listen, "/metrics")
        (line,) = [one for one in body.splitlines() if one.startswith(f"{name} ")]
        return float(line.split()[1])

    def doctor(self) -> dict[str, dict[str, str]]:
        done = self.stage.run("doctor", "--json")
        return {one["check"]: one for one in json.loads(done.stdout)}


@pytest.fixture
def platform(stage: Stage) -> Platform:
    """One that serves."""
    made = Platform(stage)
    stage.create("one")
    stage.running("one")
    return made


def zstack(address: str, path: str, method: str, body: object = None, login: str = "") -> Any:
    """A call at the ZStack door: status, headers, body."""
    request = urllib.request.Request(
        f"http://{address}/zstack/v1{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "Authorization": f"OAuth {login}"},
    )
    return answer_to(request)


def answer_to(request: urllib.request.Request) -> Any:
    """Status, headers, body."""
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, json.loads(error.read())


# ---- a full disk ------------------------------------------------------------------------------


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Stage]:
    """A stage whose data folder is a disk of 12 MiB."""
    folder = tmp_path / "data"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m,mode=0700", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode != 0:
        pytest.skip(f"NOT TESTED: a full disk needs a tmpfs, and so root: {mounted.stderr.strip()}")
    stage = Stage(folder)
    try:
        yield stage
    finally:
        stage.end()
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all of the disk."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as out:
        for size in (65536, 4096):
            while True:
                try:
                    out.write(b"\0" * size)
                except OSError:
                    break
    return ballast


def test_a_full_disk_stops_nothing_that_runs_and_is_over_when_there_is_room(small: Stage) -> None:
    """Law: typed error with path and room; running services serve on; recovers by itself (F14)."""
    platform = Platform(small)
    small.create("one")
    small.running("one")
    engines = small.replicas("one")
    login = _login(small)
    ballast = fill(small.folder)

    assert platform.refused("two").code == "ServiceUnavailable"
    until(platform.reads_only, "it does not say that it only reads")
    why = platform.health()["database"]["why"]
    for told in (str(small.folder / "pierhead.db"), "free", "needed"):
        assert told in why
    platform.looks()
    assert platform.refused("two").code == "ServiceUnavailable"
    _not_deleted(small)
    status, headers, answer = zstack(small.listen, CENTERS, "POST", CENTER, login)
    assert (status, answer["error"]["code"]) == (503, "SYS.1010"), answer
    assert int(headers["Retry-After"]) > 0
    assert platform.metric("pierhead_database_read_only") == 1
    assert platform.metric("pierhead_database_refused_writes_total") >= 2
    assert platform.doctor()["database writes"]["level"] == "fail"
    assert small.replicas("one") == engines

    _killed_and_back(platform, engines)
    ballast.unlink()
    until(platform.writes, "it does not write again", within=10 * PATIENCE)
    small.create("two")
    small.running("two")
    assert small.replicas("one") == engines
    assert platform.metric("pierhead_database_read_only") == 0
    assert "database writes" not in platform.doctor()
    _deleted_and_whole(small)


def _not_deleted(stage: Stage) -> None:
    """It is said, and nothing is half done."""
    with pytest.raises(HubRefused) as caught:
        stage.delete("one")
    assert caught.value.code == "ServiceUnavailable"


def _deleted_and_whole(stage: Stage) -> None:
    stage.delete("one")
    stage.gone("one")
    _whole(stage.folder)


def _killed_and_back(platform: Platform, engines: Mapping[str, Process]) -> None:
    """A hub that is killed on a full disk comes back, adopts and answers."""
    stage = platform.stage
    platform.process.kill()
    platform.process.wait()
    platform.process = platform.start()
    stage.running("one")
    platform.looks()
    assert stage.replicas("one") == engines


def _login(stage: Stage) -> str:
    credentials = json.loads((stage.folder / "credentials.json").read_text())["zstack"]
    password = hashlib.sha512(credentials["password"].encode()).hexdigest()
    body = {"logInByAccount": {"accountName": credentials["account"], "password": password}}
    status, _headers, answer = zstack(stage.listen, "/accounts/login", "PUT", body)
    assert status == 200, answer
    return str(answer["inventory"]["uuid"])


def _whole(folder: Path) -> None:
    with closing(sqlite3.connect(folder / "pierhead.db")) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert raw.execute("PRAGMA foreign_key_check").fetchall() == []


# ---- a locked database ------------------------------------------------------------------------------

LOCKER = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another process holds the database."""
    holder = subprocess.Popen(
        [sys.executable, "-c", LOCKER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == b"locked\n"
        yield
    finally:
        holder.kill()
        holder.communicate()


def test_while_another_process_holds_the_database_reads_go_on(platform: Platform) -> None:
    """Law: writes answer 503 and Retry-After, in each door's envelope; nothing acknowledged is lost (F15)."""
    stage = platform.stage
    login = _login(stage)
    groups = "/ai/model-services/instances/groups"
    with locked(stage.folder / "pierhead.db"):
        with pytest.raises(HubRefused) as first:  # this one waits as long as SQLite does
            stage.create("two")
        assert first.value.code == "ServiceUnavailable"
        until(platform.reads_only)
        began = time.monotonic()
        while time.monotonic() - began < 8:
            platform.looks()
            platform.refused("two")
            began_read = time.monotonic()
            assert zstack(stage.listen, groups, "GET", login=login)[0] == 200
            assert time.monotonic() - began_read < SOON
        status, headers, answer = zstack(stage.listen, CENTERS, "POST", CENTER, login)
        assert (status, answer["error"]["code"]) == (503, "SYS.1010"), answer
        assert int(headers["Retry-After"]) > 0
        user = {"UserName": "somebody"}
        for status, headers, answer in (
            signed(stage, ("CreateUser", "2015-05-01"), "POST", "/", user, None),
            signed(
                stage, CREATE, "POST", "/api/v2/services", {}, document("other", mark=stage.folder)
            ),
        ):
            assert (status, answer["Code"]) == (503, "ServiceUnavailable"), answer
            assert int(headers["Retry-After"]) > 0
    until(platform.writes, "it does not write again")
    stage.create("two")
    stage.running("two")
    assert stage.is_running("one")


CREATE = ("CreateService", "2021-07-01")
CENTERS = "/ai/model-centers"
CENTER = {
    "params": {
        "name": "c",
        "url": "file:///tmp",
        "parameters": "",
        "managementIp": "127.0.0.1",
        "managementPort": 1,
        "containerRegistry": "r",
        "containerStorageNetwork": "n",
        "serviceNetwork": "n",
    }
}


def signed(
    stage: Stage, what: tuple[str, str], method: str, path: str, query: dict[str, str], body: object
) -> Any:
    """A signed call with its headers: status, headers, body."""
    content = b"" if body is None else json.dumps(body).encode()
    headers = stage.client._signed(what, method, path, query, content)
    target = f"http://{stage.listen}{path}" + (f"?{urlencode(query)}" if query else "")
    return answer_to(
        urllib.request.Request(target, method=method, data=content or None, headers=dict(headers))
    )


# ---- a log that somebody removes --------------------------------------------------------------------


@pytest.mark.parametrize("also", [(), ("-shm",)])
def test_a_removed_log_costs_nothing_that_was_acknowledged(
    platform: Platform, also: tuple[str, ...]
) -> None:
    """Law: what was answered is in the database, also when its log was deleted under it (F15)."""
    stage = platform.stage
    file = stage.folder / "pierhead.db"
    made = []
    for number in range(6):
        for end in ("-wal", *also):
            # A hub that noticed the last time may be making new ones at this moment.
            file.with_name(file.name + end).unlink(missing_ok=True)
        name = f"made_{number}"
        stage.create(name)
        made.append(name)
    platform.process.send_signal(signal.SIGKILL)
    platform.process.wait()
    platform.process = platform.start()
    for name in ("one", *made):
        assert stage.client.describe(name)["ServiceName"] == name
    _whole(stage.folder)


def test_a_log_removed_while_nothing_happens_is_mended_within_seconds(platform: Platform) -> None:
    """Law: the same, when no call comes that would notice."""
    stage = platform.stage
    log = stage.folder / "pierhead.db-wal"
    stage.create("two")
    log.unlink()
    until(log.exists, "no new log was begun", within=10 * PATIENCE)
    platform.process.kill()
    platform.process.wait()
    platform.process = platform.start()
    assert stage.client.describe("two")["ServiceName"] == "two"
    _whole(stage.folder)
