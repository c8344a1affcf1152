"""Fifty callers are there before the platform is: none of them becomes anybody."""

import hashlib
import http.client
import json
import os
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import cycle
from pathlib import Path

from stage import Stage

from pierhead.cli.client import find_access
from pierhead.cli.ram_client import RamClient

CALLERS = 50
FORM = {"content-type": "application/x-www-form-urlencoded"}
NATIVE = "Version=2026-11-01"
RAM = "Version=2015-05-01&Format=JSON"


def _login(password: str) -> bytes:
    hashed = hashlib.sha512(password.encode()).hexdigest()
    return json.dumps({"logInByAccount": {"accountName": "admin", "password": hashed}}).encode()


#: What somebody might try who hopes that nobody is there yet: method, path, headers, body.
ATTEMPTS: tuple[tuple[str, str, dict[str, str], bytes], ...] = (
    ("POST", f"/?Action=CreateUser&UserName=mallory&{RAM}", FORM, b""),
    ("POST", f"/?Action=CreateAccessKey&{RAM}", FORM, b""),
    ("POST", f"/?Action=CreateAccessKey&{RAM}&AccessKeyId=&Signature=&SignatureNonce=1", FORM, b""),
    ("POST", f"/?Action=CreateWorkspace&WorkspaceId=w&{NATIVE}", FORM, b""),
    ("POST", "/api/v2/services", {"content-type": "application/json"}, b'{"metadata":{"name":"m"}}'),
    ("GET", "/api/v2/services", {"authorization": "Bearer "}, b""),
    ("PUT", "/zstack/v1/accounts/login", {}, _login("password")),
    ("PUT", "/zstack/v1/accounts/login", {}, _login("")),
    ("POST", "/zstack/v1/accounts", {"authorization": "OAuth "}, b'{"params":{"name":"m","password":"m"}}'),
)  # fmt: skip


def call(address: str, method: str, path: str, headers: dict[str, str], body: bytes) -> int | None:
    """The status; None while nobody listens."""
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request(method, path, body, headers)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def granted(status: int, path: str) -> bool:
    """Is it no refusal? ZStack's are 503 on its wire."""
    return not 400 <= status < 500 and not (status == 503 and path.startswith("/zstack/"))


@contextmanager
def besieged(address: str) -> Iterator[Counter[str]]:
    """Callers try all the time; how they were answered: "refused", or what else it was."""
    told: Counter[str] = Counter()
    over = threading.Event()

    def caller(first: int) -> None:
        for method, path, headers, body in cycle(ATTEMPTS[first:] + ATTEMPTS[:first]):
            if over.is_set():
                return
            status = call(address, method, path, headers, body)
            if status is None:
                time.sleep(0.01)
            else:
                told[f"{status} {path}" if granted(status, path) else "refused"] += 1

    threads = [
        threading.Thread(target=caller, args=(n % len(ATTEMPTS),), daemon=True)
        for n in range(CALLERS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        over.set()
        for thread in threads:
            thread.join()


@contextmanager
def looking_at(folder: Path) -> Iterator[set[int]]:
    """The modes in which files of the folder whose names tell of credentials were ever seen."""
    modes: set[int] = set()
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            with suppress(OSError), os.scandir(folder) as entries:
                for entry in entries:
                    if "credentials" in entry.name:
                        modes.add(stat.S_IMODE(entry.stat().st_mode))
            time.sleep(0)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield modes
    finally:
        over.set()
        thread.join()


def test_nobody_becomes_an_administrator_by_being_first(
    stage: Stage, record_property: Callable[[str, object], None]
) -> None:
    """Law: who has no secret of the credentials file creates nothing, however early the call (F27)."""
    with besieged(stage.listen) as told, looking_at(stage.folder) as modes:
        stage.up()
        own = RamClient(find_access(stage.folder, None, {}))
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline and sum(told.values()) < 500:
            time.sleep(0.05)
    assert set(told) == {"refused"}, told
    assert told["refused"] >= 100
    assert modes == {0o600}
    assert own.act("ListUsers")["Users"]["User"] == []
    assert own.own("ListWorkspaces")["Workspaces"]["Workspace"] == []
    assert stage.client.call("ListServices", "GET", "/api/v2/services")["Services"] == []
    record_property("calls", sum(told.values()))


def test_a_secret_is_printed_at_the_first_start_at_most(stage: Stage) -> None:
    """Law: the account's secrets are told once, by the first start, and lie in a file of its own (F27)."""
    first = stage.up()
    document = json.loads((stage.folder / "credentials.json").read_text())
    secrets = [str(document["access_key_secret"]), str(document["zstack"]["password"])]
    assert all(len(secret) > 8 for secret in secrets)
    assert all(stage.log.read_text().count(secret) <= 1 for secret in secrets)
    stage.log.write_text("")
    first.terminate()
    first.wait()
    stage.up()
    assert not any(secret in stage.log.read_text() for secret in secrets)
