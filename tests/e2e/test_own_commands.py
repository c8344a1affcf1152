"""Templates whose command is a user's own: environment, two replicas, and every way it can go wrong."""

import os
import sys
import time
import uuid
from pathlib import Path

import psutil
import pytest
import requests
from clients import PythonSdk
from lifecycle import Service
from running_platform import Platform, until
from zstack_client import GROUPS, Json, ZStack

import wheel_index
from ports import free_port

PROGRAM = """
import http.server, os, sys
import {package}
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = {package}.WORD + " " + os.environ["REPLICA_ID"] + " " + sys.prefix
        print("asked for", self.path, flush=True)
        self.send_response(200 if self.path != "/nowhere" else 404)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())
http.server.ThreadingHTTPServer((os.environ["HOST"], int(os.environ["PORT"])), Handler).serve_forever()
"""


def events(eas: PythonSdk, group: Json) -> dict[str, list[str]]:
    """Messages of a group's events by reason."""
    found: dict[str, list[str]] = {}
    for event in Service(eas, group["serviceName"]).events():
        found.setdefault(event["Reason"], []).append(event["Message"])
    return found


def family(platform: Platform) -> list[psutil.Process]:
    return psutil.Process(platform.process.pid).children(recursive=True)


def test_a_server_of_ones_own_with_requirements(  # noqa: PLR0915 - one story, told in order
    zstack: ZStack, eas: PythonSdk, tmp_path: Path
) -> None:
    package = f"word_{uuid.uuid4().hex[:8]}"
    (tmp_path / "server.py").write_text(PROGRAM.format(package=package))
    made = wheel_index.wheel(package, "1.0", "WORD = 'hello'\n")
    with wheel_index.serving({package.replace("_", "-"): made}) as index:
        yaml = (
            "services:\n- name: own:1.2.3\n  ports: [3000]\n  readyz: /ready\n  serviceBootupTime: 60\n"
            f"python:\n  requirements_txt: |\n    {package}==1.0\n  index_url: {index.url}\n"
        )
        template = zstack.add_template(
            "own-server", yaml=yaml, installPath=str(tmp_path), startCommand="python server.py"
        )
        assert template["version"] == "1.2.3"
        group = zstack.deploy(template["uuid"], "own_server", systemTags=["ai::replicas::2"])
        seen: set[str] = set()

        def ready() -> bool:
            now = zstack.group(group["uuid"])
            assert now is not None
            seen.add(now["message"])
            return now["readyReplicas"] == 2

        try:
            until(ready, 90, "both replicas run")
        except AssertionError as error:
            raise AssertionError(f"{error}; {seen}") from error
        fetched = len(index.fetched)
        second = zstack.deploy(template["uuid"], "own_server_two")
        zstack.running(second["uuid"])
        assert len(index.fetched) == fetched  # the environment is shared, not built again
    assert any("environment is on its way" in message for message in seen), seen
    running = zstack.running(group["uuid"], 2)
    prefixes: set[str] = set()
    replicas: set[str] = set()
    for _ in range(20):
        answer = requests.get(
            running["businessEndpoint"] + "/hi",
            headers={"Authorization": running["accessToken"]},
            timeout=10,
        )
        word, replica, prefix = answer.text.split(" ", 2)
        assert word == "hello"
        replicas.add(replica)
        prefixes.add(prefix)
    assert replicas == {item["name"] for item in running["instances"]}
    assert len(prefixes) == 1
    assert not prefixes & {sys.prefix, sys.base_prefix}
    logs = Service(eas, "own_server").sdk("DescribeServiceLog", "own_server")["Logs"]
    assert any("asked for /hi" in line for line in logs)

    for item in (group, second):
        zstack.delete_group(item["uuid"])


def test_a_bad_requirement_is_named(zstack: ZStack, eas: PythonSdk, tmp_path: Path) -> None:
    with wheel_index.serving({}) as index:
        yaml = f"python:\n  requirements_txt: no_such_thing_at_all==9.9\n  index_url: {index.url}\n"
        template = zstack.add_template(
            "bad-requirement", yaml=yaml, installPath=str(tmp_path), startCommand="python x.py"
        )
        group = zstack.deploy(template["uuid"], "bad_requirement")
        failed = zstack.group_is(
            group["uuid"], lambda now: now["status"] == "Error", "it fails", 60
        )
    assert "no_such_thing_at_all" in failed["message"].replace("-", "_")
    assert failed["readyReplicas"] == 0
    zstack.delete_group(group["uuid"])


@pytest.mark.parametrize(
    ("name", "command", "words"),
    [
        ("exits", "sh -c 'echo the cause is here; exit 3'", ("3", "the cause is here")),
        ("is_missing", "no-such-program --flag", ("no-such-program",)),
        ("is_killed", "sh -c 'kill -9 $$'", ("9",)),
    ],
)
def test_a_command_that_ends(
    zstack: ZStack, platform: Platform, name: str, command: str, words: tuple[str, ...]
) -> None:
    template = zstack.add_template(f"ends-{name}", startCommand=command)
    group = zstack.deploy(template["uuid"], f"ends_{name}")
    failed = zstack.group_is(group["uuid"], lambda now: now["status"] == "Error", "it fails", 90)
    for word in words:
        assert word in failed["message"], failed["message"]
    assert zstack.delete_group(group["uuid"]) < 15
    assert not [process for process in family(platform) if name in " ".join(process.cmdline())]


def test_one_that_never_listens(zstack: ZStack) -> None:
    yaml = "services:\n- ports: [3000]\n  serviceBootupTime: 2\n"
    template = zstack.add_template("deaf", yaml=yaml, startCommand="sleep 600")
    group = zstack.deploy(template["uuid"], "deaf")
    failed = zstack.group_is(group["uuid"], lambda now: now["status"] == "Error", "it fails", 90)
    assert "PORT" in failed["message"] or "listen" in failed["message"], failed["message"]
    assert zstack.delete_group(group["uuid"]) < 15


def test_one_that_ignores_term_and_forks(
    zstack: ZStack, platform: Platform, tmp_path: Path
) -> None:
    mark = f"stubborn-{uuid.uuid4().hex}"
    (tmp_path / "server.py").write_text(
        "import http.server, os, signal, subprocess, sys\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "code = 'import signal,time,os;os.setsid();signal.signal(15,signal.SIG_IGN);time.sleep(600)'\n"
        f"subprocess.Popen([sys.executable, '-c', code, '{mark}'])\n"
        "http.server.ThreadingHTTPServer((os.environ['HOST'], int(os.environ['PORT'])),"
        " http.server.SimpleHTTPRequestHandler).serve_forever()\n"
    )
    command = f"{sys.executable} {tmp_path}/server.py {mark}"
    template = zstack.add_template("stubborn", startCommand=command)
    group = zstack.deploy(template["uuid"], "stubborn")
    zstack.running(group["uuid"])
    assert len(marked(mark)) == 2
    took = zstack_delete(zstack, group["uuid"])
    assert took < 40  # its grace of 30 s passes, then it is killed
    assert marked(mark) == []


def zstack_delete(zstack: ZStack, group: str) -> float:
    began = time.monotonic()
    zstack.call("DELETE", f"{GROUPS}/{group}")
    until(lambda: zstack.group(group) is None, 45, "the group is gone")
    return time.monotonic() - began


def marked(mark: str) -> list[int]:
    """Processes with that word in their command line, keepers (which hold no command) not."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                line = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in line:
                found.append(int(entry.name))
    return found


def test_a_command_that_only_knows_its_own_port(zstack: ZStack, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "server.py").write_text(
        "import http.server\n"
        f"http.server.ThreadingHTTPServer(('127.0.0.1', {port}), http.server.SimpleHTTPRequestHandler).serve_forever()\n"
    )
    yaml = f"services:\n- ports: [{port}]\n  readyz: /\n"
    command = f"{sys.executable} {tmp_path}/server.py"
    template = zstack.add_template("own-port", yaml=yaml, startCommand=command)
    group = zstack.deploy(template["uuid"], "own_port")
    running = zstack.running(group["uuid"])
    (instance,) = running["instances"]
    assert instance["internalUrl"].rstrip("/").endswith(f":{port}")
    answer = requests.get(
        running["businessEndpoint"] + "/",
        headers={"Authorization": running["accessToken"]},
        timeout=10,
    )
    assert answer.status_code == 200
    zstack.delete_group(group["uuid"])
