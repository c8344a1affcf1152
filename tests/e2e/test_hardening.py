"""Attacks on a platform of their own, through its real ports; each test names the law that it defends."""

import hashlib
import json
import re
import secrets
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from clients import PythonSdk
from documents import SCRIPT, document
from lifecycle import Service
from running_platform import Platform, running, until
from signed_http import Request, send, signed, signed_roa
from zstack_client import ZStack, sha512

from commands import pierhead

LIST = "/api/v2/services"
NASTY = "evil\r\nX-Injected: 1\r\n\r\n<b>"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Not the one of the other tests: here addresses are locked out."""
    folder = tmp_path_factory.mktemp("hardening")
    # All requests come from loopback: proxies are what gives them addresses of their own.
    settings = {
        "PIERHEAD_HTTP_TRUSTED_PROXIES": "127.0.0.1",
        "PIERHEAD_LOCKOUT_SIGNATURES": "20",
        "PIERHEAD_LOG_LEVEL": "debug",
        "PIERHEAD_LOG_FORMAT": "json",
    }
    with running(folder, **settings) as platform:
        yield platform


def entries(platform: Platform, **query: str) -> list[dict[str, Any]]:
    """The audit trail, oldest first."""
    asked = "&".join(f"{name}={value}" for name, value in {**query, "Limit": "1000"}.items())
    answer = send(platform, signed(platform, Request("GET", f"/audit?{asked}")))
    assert answer.status == 200, answer.document
    return answer.document["Entries"][::-1]


def log_in(
    platform: Platform, password: str, address: str, name: str = "admin"
) -> requests.Response:
    body = {"logInByAccount": {"accountName": name, "password": sha512(password)}}
    url = f"{platform.credentials['endpoints']['zstack']}/v1/accounts/login"
    return requests.put(url, json=body, headers={"X-Forwarded-For": address}, timeout=60)


def raw(platform: Platform, content: bytes) -> bytes:
    """Bytes in, bytes out, until the server hangs up."""
    host, _, port = platform.address.partition(":")
    with socket.create_connection((host, int(port)), timeout=20) as connection:
        connection.sendall(content)
        found = b""
        while chunk := connection.recv(65536):
            found += chunk
    return found


# ---- brute force ---------------------------------------------------------------------------


def test_law_passwords_cannot_be_guessed_and_the_owner_elsewhere_is_served(
    platform: Platform,
) -> None:
    right = platform.credentials["zstack"]["password"]
    statuses = [log_in(platform, f"guess {n}", "192.0.2.1").status_code for n in range(12)]
    assert statuses == [503] * 10 + [429] * 2
    locked = log_in(platform, right, "192.0.2.1")
    assert locked.status_code == 429 and 1 <= int(locked.headers["retry-after"]) <= 15
    wrong = log_in(platform, "wrong", "192.0.2.1")
    assert re.sub(r"\d+", "", wrong.text) == re.sub(r"\d+", "", locked.text), (
        "it tells the right one"
    )
    assert log_in(platform, right, "198.51.100.7").status_code == 200


def test_law_guesses_at_the_same_time_are_no_more_guesses(platform: Platform) -> None:
    looked: list[int] = []

    def guess() -> None:
        looked.extend(log_in(platform, f"{n}", "192.0.2.2").status_code for n in range(5))

    threads = [threading.Thread(target=guess) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert looked.count(503) == 10 and looked.count(429) == 40


def test_law_the_rpc_door_is_no_way_around(platform: Platform) -> None:
    message = "org.zstack.header.identity.APILogInByAccountMsg"
    base = platform.credentials["endpoints"]["zstack"]
    told = []
    for number in range(12):
        body = {message: {"accountName": "admin", "password": sha512(f"guess {number}")}}
        headers = {"X-Forwarded-For": "192.0.2.3"}
        answer = requests.post(f"{base}/api/", json=body, headers=headers, timeout=30)
        assert answer.status_code == 200
        (reply,) = json.loads(answer.json()["result"]).values()
        told.append(reply["error"]["code"])
    assert told == ["ID.1000"] * 10 + ["SYS.1006"] * 2


@pytest.mark.parametrize("sign", [signed, signed_roa], ids=["V3", "ROA"])
def test_law_signatures_cannot_be_guessed(platform: Platform, sign: Any) -> None:
    address = f"192.0.2.{10 if sign is signed else 11}"

    def ask(right: bool) -> Any:
        request = sign(platform, Request("GET", LIST))
        if not right:
            value = request.headers["authorization"]
            request.headers["authorization"] = value[:-5] + (
                "aaaa=" if value[-1] == "=" else "00000"
            )
        request.headers["x-forwarded-for"] = address
        return send(platform, request)

    codes = [ask(right=False).document["Code"] for _ in range(22)]
    assert codes == ["SignatureDoesNotMatch"] * 20 + ["Throttling.User"] * 2
    locked = ask(right=True)
    assert (locked.status, locked.document["Code"]) == (429, "Throttling.User")
    assert int(locked.headers["x-acs-retry-after"]) >= 1000
    address = "198.51.100.8"
    assert ask(right=True).status == 200


def test_law_keys_cannot_be_guessed_at_the_other_door_either(platform: Platform) -> None:
    url = f"{platform.credentials['endpoints']['zstack']}/v1/zones"
    from email.utils import formatdate

    statuses = []
    for _ in range(22):
        headers = {
            "Authorization": f"ZStack {platform.credentials['access_key_id']}:{'A' * 27}=",
            "Date": formatdate(usegmt=True),
            "X-Forwarded-For": "192.0.2.20",
        }
        statuses.append(requests.get(url, headers=headers, timeout=30).status_code)
    assert statuses == [503] * 20 + [429] * 2


# ---- replay, skew, forged credentials ------------------------------------------------------


def test_law_a_request_is_good_for_once(platform: Platform) -> None:
    request = signed(platform, Request("GET", LIST))
    assert send(platform, request).status == 200
    again = send(platform, request)
    assert (again.status, again.document["Code"]) == (400, "SignatureNonceUsed")


# One from the future comes nearer while it is on its way; the second itself is tested with a clock that stands.
@pytest.mark.parametrize("age", [901, -960, 86400 * 365])
def test_law_a_request_is_good_for_now(platform: Platform, age: float) -> None:
    for sign in (signed, signed_roa):
        answer = send(platform, sign(platform, Request("GET", LIST), age=age))
        assert answer.document["Code"] == "InvalidTimeStamp.Expired"


def test_law_a_login_cannot_be_forged(platform: Platform) -> None:
    client = ZStack(platform).log_in()
    digest = hashlib.sha256(client.login.encode()).hexdigest()
    forged = [
        "",
        "0" * 32,
        secrets.token_hex(16),
        client.login[:-1],
        client.login + "0",
        client.login.upper() if client.login != client.login.upper() else "x",
        digest,
        digest[:32],
        "' OR 1=1 --",
        "%",
        "null",
        "x" * 5000,
    ]
    base = f"{client.base}/v1/zones"
    for uuid in forged:
        answer = requests.get(base, headers={"Authorization": f"OAuth {uuid}"}, timeout=30)
        assert answer.status_code == 503, uuid
        assert answer.json()["error"]["code"] == "ID.1001"
    assert client.raw("GET", "/zones").status_code == 200
    client.call("DELETE", f"/accounts/sessions/{client.login}")
    assert client.raw("GET", "/zones").status_code == 503


# ---- injection -----------------------------------------------------------------------------

ENCODED = "%0d%0aX-Injected:%201%0d%0a%0d%0a"
INJECTIONS = [
    f"GET /api/v2/services/local/{ENCODED} HTTP/1.1\r\nHost: HOST\r\n",
    f"GET /zstack/v1/{ENCODED} HTTP/1.1\r\nHost: HOST\r\n",
    f"GET /zstack/v1/zones/{ENCODED} HTTP/1.1\r\nHost: HOST\r\nX-Job-UUID: {'a' * 32}\r\n",
    f"OPTIONS /zstack/v1/zones HTTP/1.1\r\nHost: HOST\r\nOrigin: http://x{ENCODED}\r\n",
    f"GET /zstack/v1/zones?q=name={ENCODED} HTTP/1.1\r\nHost: HOST\r\n",
    f"GET /api/v2/services HTTP/1.1\r\nHost: HOST\r\nx-acs-action: {ENCODED}\r\n",
    f"GET /?Action={ENCODED}&Version=2015-05-01 HTTP/1.1\r\nHost: HOST\r\n",
    f"GET /healthz HTTP/1.1\r\nHost: evil{ENCODED}\r\n",
    f"GET /{ENCODED} HTTP/1.1\r\nHost: HOST\r\n",
    "GET /api/v2/services HTTP/1.1\r\nHost: HOST\r\nx-acs-version: a\rX-Injected: 1\r\n",
    "GET /healthz HTTP/1.1\r\nHost: HOST\r\nX-A: b\n X-Injected: 1\r\n",
]


@pytest.mark.parametrize("head", INJECTIONS)
def test_law_nothing_that_is_echoed_makes_a_header(platform: Platform, head: str) -> None:
    content = head.replace("HOST", platform.address) + "Connection: close\r\n\r\n"
    answer = raw(platform, content.encode("latin-1"))
    assert answer.startswith(b"HTTP/1.1 "), answer
    assert answer.count(b"HTTP/1.1 ") == 1
    names = [
        line.partition(b":")[0].lower() for line in answer.partition(b"\r\n\r\n")[0].split(b"\r\n")
    ]
    assert b"x-injected" not in names and not answer.startswith(b"HTTP/1.1 5")


def test_law_one_event_is_one_line_of_the_log_and_of_the_trail(platform: Platform) -> None:
    client = ZStack(platform).log_in()
    agent = "agent\x9b2J\x85"  # of control characters the parser lets only these through
    name = "evil\x1b[2J\u2028\x85{"
    params = {"param": {"name": name, "url": "file:///nowhere", "managementIp": "x"}}
    client.raw("POST", "/ai/model-centers", params, headers={"User-Agent": agent})
    client.raw("POST", "/ai/models", {"param": {"name": name}}, headers={"User-Agent": agent})
    log_in(platform, "x", "192.0.2.30", name=name)
    log_in(platform, "x", "192.0.2.30", name=NASTY)
    found = entries(platform, Action="zstack:*")
    told = json.dumps(found[-4:])
    assert "agent\\\\x9b2J" in told and "evil\\\\x1b[2J" in told
    assert not any(
        character in json.dumps(found, ensure_ascii=False) for character in "\x1b\x9b\u2028\r"
    )
    for line in platform.log.split("\n"):
        assert not line.startswith("X-Injected") and "\x1b" not in line and "\x9b" not in line
        if line.startswith("{"):
            json.loads(line)
    shown = cli(platform, "audit", "--action", "zstack:*")
    assert len(shown.splitlines()) == len(found) + 1


# ---- limits --------------------------------------------------------------------------------


@pytest.mark.parametrize("port", ["eas", "gateway"])
def test_law_heads_are_bounded_on_both_ports(platform: Platform, port: str) -> None:
    address = platform.credentials["endpoints"][port].removeprefix("http://")
    host, _, number = address.partition(":")
    for head, status in (
        (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 300 + b"\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nX: " + b"y" * 100_000, b"431"),
    ):
        with socket.create_connection((host, int(number)), timeout=20) as connection:
            connection.sendall(head)
            assert connection.recv(65536).startswith(b"HTTP/1.1 " + status)


def test_law_an_unknown_name_is_refused_where_no_signature_covers_it(platform: Platform) -> None:
    for path, status in (("/healthz", 421), ("/zstack/v1/accounts/login", 421), (LIST, 400)):
        answer = requests.get(f"{platform.eas}{path}", headers={"Host": "evil.example"}, timeout=10)
        assert answer.status_code == status, path
    assert requests.get(f"{platform.eas}/healthz", headers={"Host": "localhost:1"}, timeout=10).ok


def test_law_no_banner_and_security_headers_everywhere(platform: Platform) -> None:
    for path in ("/healthz", "/metrics", "/openapi/eas.json", "/nothing", "/zstack/v1/none", LIST):
        headers = requests.get(f"{platform.eas}{path}", timeout=10).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers and "access-control-allow-origin" not in headers


# ---- secrets -------------------------------------------------------------------------------


def test_law_a_secret_is_in_no_argument_log_or_audit_entry(  # noqa: PLR0915 - each place in turn
    platform: Platform,
) -> None:
    """Law: a secret is in no argument, log or audit entry (F34)."""
    canary = f"canary-{secrets.token_hex(12)}"
    script = document("hardened")
    script["containers"][0]["env"] = [{"name": "HF_TOKEN", "value": canary}]
    script["dockerAuth"] = canary
    sdk = PythonSdk(platform)
    sdk("CreateService", body=script)
    service = Service(sdk, "hardened")
    try:
        service.until("Running")
        token = service.describe()["AccessToken"]
        url = f"{platform.gateway}/api/predict/hardened/x"
        assert requests.get(url, headers={"Authorization": token}, timeout=10).ok
        assert (
            requests.get(url, headers={"Authorization": f"{token}x"}, timeout=10).status_code == 401
        )
        client = ZStack(platform).log_in()
        client.raw("GET", "/zones", headers={"Authorization": f"OAuth {canary}"})
        client.raw(
            "PUT", "/accounts/login", {"logInByAccount": {"accountName": "a", "password": canary}}
        )
        client.raw(
            "POST",
            "/accesskeys",
            {"params": {"accountUuid": "x", "userUuid": "y", "AccessKeySecret": canary}},
        )
        until(lambda: entries(platform, Resource="*hardened"), 10, "the entry is there")
        hidden = {
            "canary": canary,
            "access key": platform.credentials["access_key_secret"],
            "password": platform.credentials["zstack"]["password"],
            "hashed password": sha512(platform.credentials["zstack"]["password"]),
            "token": token,
            "login": client.login,
        }
        trail = json.dumps(entries(platform))
        arguments = "\n".join(_arguments(platform))
        # What the replica itself wrote (its environment, were it to print it) is masked where it is shown.
        logs = {path: path.read_text(errors="replace") for path in _logs(platform.folder)}
        for name, secret in hidden.items():
            assert secret not in trail, name
            assert secret not in arguments, name
            assert [path for path, text in logs.items() if secret in text] == [], name
        assert "hardened" in trail and len(arguments) > 100 and len(logs) >= 1
    finally:
        sdk("DeleteService", "hardened")
        service.gone()


def _arguments(platform: Platform) -> list[str]:
    family = psutil.Process(platform.process.pid).children(recursive=True)
    return [
        " ".join(process.cmdline())
        for process in [psutil.Process(platform.process.pid), *family]
        if process.is_running()
    ]


def _logs(folder: Path) -> list[Path]:
    return [
        path for path in folder.rglob("*") if path.is_file() and path.suffix in (".log", ".spool")
    ]


def test_law_nobody_else_reads_the_folder(platform: Platform) -> None:
    secret = {"credentials.json", "pierhead.db", "storage.key", "internal.key", "audit.spool"}
    found = {path.name: path for path in platform.folder.rglob("*") if path.name in secret}
    assert set(found) >= secret - {"pierhead.db"}
    for path in found.values():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


# ---- audit ---------------------------------------------------------------------------------


def cli(platform: Platform, *arguments: str) -> str:
    done = pierhead(*arguments, "--data-dir", str(platform.folder))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_law_every_change_and_every_refusal_is_in_the_trail(
    platform: Platform, tmp_path: Path
) -> None:
    sdk, client = PythonSdk(platform), ZStack(platform).log_in()
    sdk("CreateService", body=document("audited", script=SCRIPT))
    sdk("StopService", "audited")
    sdk("DeleteService", "audited")
    center = client.call(
        "POST",
        "/ai/model-centers",
        {
            "param": {
                "name": "c",
                "url": f"file://{tmp_path}",
                "managementIp": "1.1.1.1",
                "managementPort": 1,
            }
        },
    )["inventory"]["uuid"]
    client.call("DELETE", f"/ai/model-centers/{center}")
    client.raw("POST", "/ai/datasets", {"param": {}})
    client.call("DELETE", f"/accounts/sessions/{client.login}")
    requests.post(f"{platform.eas}{LIST}", data=b"{}", timeout=10)
    found = [
        (one["Action"], one["Outcome"], one["Resource"].rpartition(":")[2])
        for one in entries(platform)
        if one["Action"] != "zstack:LogInByAccount" or one["Outcome"] == "Success"
    ]
    expected = [
        ("eas:CreateService", "Success", "service/audited"),
        ("eas:StopService", "Success", "service/audited"),
        ("eas:DeleteService", "Success", "service/audited"),
        ("zstack:AddModelCenter", "Success", f"ModelCenterVO/{center}"),
        ("zstack:DeleteModelCenter", "Success", f"ModelCenterVO/{center}"),
        ("zstack:CreateDataset", "Failed", "DatasetVO/*"),
        ("zstack:LogOut", "Success", "SessionVO/***"),
    ]
    assert [one for one in expected if one not in found] == []
    assert any(one[:2] == ("eas:CreateService", "Denied") for one in found)
    assert "the last is" in cli(platform, "audit", "verify")
    exported = tmp_path / "audit.jsonl"
    cli(platform, "audit", "export", str(exported))
    lines = exported.read_text().splitlines()
    assert [json.loads(line)["Number"] for line in lines] == list(range(1, len(lines) + 1))
    assert stat.S_IMODE(exported.stat().st_mode) == 0o600


def test_law_reads_leave_no_entry(platform: Platform) -> None:
    before = len(entries(platform))
    ZStack(platform).log_in().query("/zones")
    PythonSdk(platform)("ListServices")
    assert len(entries(platform)) == before + 1  # the login


def test_law_a_killed_hub_loses_no_entry(tmp_path: Path) -> None:
    with running(tmp_path / "killed") as platform:
        client = ZStack(platform).log_in()
        names = [f"center{number}" for number in range(20)]
        for name in names:
            param = {
                "name": name,
                "url": f"file://{tmp_path}/{name}",
                "managementIp": "1.1.1.1",
                "managementPort": 1,
            }
            client.call("POST", "/ai/model-centers", {"param": param})
        hub = next(
            process
            for process in psutil.Process(platform.process.pid).children()
            if "hub" in process.cmdline()
        )
        hub.kill()
        hub.wait()
        until(lambda: _answers(platform), 30, "the hub is back")
        trail = json.dumps(entries(platform, Action="zstack:AddModelCenter"))
        assert [name for name in names if trail.count(f'"{name}"') != 1] == []
        assert "hold together" in cli(platform, "audit", "verify")


def _answers(platform: Platform) -> bool:
    try:
        return requests.get(f"{platform.eas}/healthz", timeout=5).ok
    except (requests.ConnectionError, requests.Timeout):
        return False
