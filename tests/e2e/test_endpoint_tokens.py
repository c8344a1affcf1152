"""Endpoint tokens through the whole platform: issued, rotated, limited, revoked; sealed on the disk."""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from clients import PythonSdk
from documents import document
from lifecycle import Service
from running_platform import Platform, until
from test_identity_verbs import verb

from pierhead.cli.client import Access, Json
from pierhead.cli.ram_client import RamClient
from pierhead.core.principals import AccessKey, Principal

NAME = "token_echo"
#: A call that begins so many seconds after the hub's answer is let in by no gateway with a token that was
#: revoked, and by every one with a token that was issued. How long a call takes is the machine's affair.
AT_ONCE = 0.25


@pytest.fixture(scope="module")
def echo(eas: PythonSdk) -> Service:
    """A service that answers with what it was asked."""
    eas("CreateService", body=document(NAME))
    service = Service(eas, NAME)
    service.until("Running")
    return service


@pytest.fixture(scope="module")
def root(platform: Platform) -> RamClient:
    """The account, at the hub's own API."""
    return client(platform, platform.credentials)


def client(platform: Platform, key: Json) -> RamClient:
    account = platform.credentials["account_id"]
    known = AccessKey(key["access_key_id"], key["access_key_secret"], Principal(account, account))
    return RamClient(Access(platform.eas, platform.region, known))


def status(platform: Platform, token: str, path: str = "/") -> int:
    """What the gateway answers to a call with this token."""
    url = f"{platform.gateway}/api/predict/{NAME}{path}"
    return requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=10).status_code


def token(answer: Json) -> str:
    return answer["Token"]["AccessToken"]


def replicas(service: Service) -> list[tuple[str, str]]:
    return [(one["InstanceName"], one["StartTime"]) for one in service.instances()]


def refused_at_once(platform: Platform, secret: str) -> float:
    """Seconds until the last call began that a token was let in with; from then on it stays out."""
    answered = time.time()
    let_in = max(answered, last_let_in(platform, secret))
    assert {status(platform, secret) for _ in range(20)} == {401}
    return let_in - answered


def last_let_in(platform: Platform, secret: str) -> float:
    """When the last call began that a token was let in with (0 = none was); waits until one is refused."""
    let_in = 0.0

    def refused() -> bool:
        nonlocal let_in
        began = time.time()
        out = status(platform, secret) == 401
        let_in = let_in if out else began
        return out

    until(refused, 5, "it is refused", pause=0.002)
    return let_in


def opens_at_once(platform: Platform, secret: str) -> None:
    """A call with a token that was issued is let in if it begins within AT_ONCE."""
    answered = time.perf_counter()

    def opens() -> bool:
        began = time.perf_counter() - answered
        found = status(platform, secret)
        assert found == 200 or began < AT_ONCE, f"{found} after {began:.2f} s"
        return found == 200

    until(opens, 5, "it opens", pause=0.002)


def test_a_token_opens_at_once_and_is_refused_at_once(
    platform: Platform, root: RamClient, echo: Service
) -> None:
    ran, took = replicas(echo), list[float]()
    for number in range(10):
        made = token(root.own("AddServiceToken", ServiceName=NAME, TokenName=f"t{number}"))
        opens_at_once(platform, made)
        root.own("RevokeServiceToken", ServiceName=NAME, TokenName=f"t{number}")
        took.append(refused_at_once(platform, made))
    assert max(took) < AT_ONCE, took
    print(f"revoked: refused after {max(took) * 1000:.0f} ms at most")
    shown = echo.describe()
    assert status(platform, shown["AccessToken"]) == 200
    assert replicas(echo) == ran
    assert shown["LatestVersion"] == 1


@contextmanager
def calling(platform: Platform, secret: list[str], seen: Counter[int]) -> Iterator[None]:
    """A client that calls all the time with the secret that it was given last."""
    stop = threading.Event()

    def call() -> None:
        while not stop.is_set():
            seen[status(platform, secret[0])] += 1

    caller = threading.Thread(target=call)
    caller.start()
    try:
        yield
    finally:
        stop.set()
        caller.join()


def test_a_rotation_loses_no_request_and_the_former_secret_ends(
    platform: Platform, root: RamClient, echo: Service
) -> None:
    """A client that changes over within the overlap is never refused."""
    ran, first = replicas(echo), echo.describe()["AccessToken"]
    secret, seen = [first], Counter[int]()
    with calling(platform, secret, seen):
        asked = time.time()
        second = token(root.own("RotateServiceToken", ServiceName=NAME, Overlap="2"))
        answered = time.time()
        opens_at_once(platform, second)
        assert status(platform, first) == 200
        secret[0] = second
        assert last_let_in(platform, first) < answered + 2 + 0.5, "it ends too late"
        assert time.time() > asked + 2 - 0.5, "it ends too soon"
    assert set(seen) == {200}
    assert seen[200] > 20
    assert echo.describe()["AccessToken"] == second != first
    assert replicas(echo) == ran
    third = token(root.own("RotateServiceToken", ServiceName=NAME))
    assert refused_at_once(platform, second) < AT_ONCE
    assert status(platform, third) == 200


def test_a_users_token_is_the_users_and_ends_with_it(platform: Platform, root: RamClient) -> None:
    root.act("CreateUser", UserName="tok.alice")
    key = root.act("CreateAccessKey", UserName="tok.alice")["AccessKey"]
    alice = client(
        platform,
        {"access_key_id": key["AccessKeyId"], "access_key_secret": key["AccessKeySecret"]},
    )
    made = token(
        root.own("AddServiceToken", ServiceName=NAME, TokenName="laptop", UserName="tok.alice")
    )
    own = token(alice.own("GetServiceToken", ServiceName=NAME, TokenName="laptop"))
    assert own == made
    opens_at_once(platform, made)
    root.act("DeleteAccessKey", UserName="tok.alice", UserAccessKeyId=key["AccessKeyId"])
    root.act("DeleteUser", UserName="tok.alice")
    assert refused_at_once(platform, made) < AT_ONCE


def test_tokens_from_the_command_line(platform: Platform, echo: Service) -> None:
    added = json.loads(
        verb(
            platform, "services", "token", NAME, "--add", "ci", "--limit", "rpm=1000", "--json"
        ).stdout
    )
    assert added["Limits"] == {"RequestsPerMinute": 1000}
    assert status(platform, added["AccessToken"]) == 200
    said = verb(platform, "services", "token", NAME)
    assert echo.describe()["AccessToken"] in said.stdout
    assert "rpm=1000" in said.stdout
    assert added["AccessToken"] not in said.stdout
    shown = verb(platform, "services", "token", NAME, "--name", "ci").stdout
    assert added["AccessToken"] in shown
    verb(platform, "services", "token", NAME, "--name", "ci", "--limit", "rpm=none,tpm=5000")
    rotated = verb(platform, "services", "token", NAME, "--rotate", "--name", "ci", "--json").stdout
    assert json.loads(rotated)["Limits"] == {"TokensPerMinute": 5000}
    assert refused_at_once(platform, added["AccessToken"]) < AT_ONCE
    verb(platform, "services", "token", NAME, "--revoke", "ci")
    assert refused_at_once(platform, json.loads(rotated)["AccessToken"]) < AT_ONCE
    gone = verb(platform, "services", "token", NAME, "--revoke", "ci", code=1)
    assert "EntityNotExist.ServiceToken" in gone.stderr


def test_no_file_of_the_platform_holds_a_token(
    platform: Platform, root: RamClient, eas: PythonSdk
) -> None:
    """Law: who has the data folder without its keys, or its logs, can call no service."""
    chosen = "a-token-that-the-client-chose"
    eas("CreateService", body={**document("token_sealed"), "token": chosen, "dockerAuth": "RG9j01"})
    sealed = Service(eas, "token_sealed")
    shown = sealed.until("Running")
    assert shown["AccessToken"] == chosen
    words = [chosen, "RG9j01", token(root.own("RotateServiceToken", ServiceName="token_sealed"))]
    words.append(token(root.own("AddServiceToken", ServiceName="token_sealed", TokenName="ci")))
    url = f"{platform.gateway}/api/predict/token_sealed/"

    def opens(word: str) -> bool:
        return requests.get(url, headers={"Authorization": word}, timeout=10).ok

    for word in words[2:]:
        until(lambda word=word: opens(word), 5, "it opens")
    assert json.loads(sealed.describe()["ServiceConfig"])["token"] == words[2]
    eas("UpdateService", "token_sealed", body={"metadata": {"instance": 1}, "x": 1})
    assert sealed.describe()["AccessToken"] == words[2], "an update brought the former token back"
    found = [
        (str(file), word)
        for file in platform.folder.rglob("*")
        if file.is_file()
        for word in words
        if word.encode() in file.read_bytes()
    ]
    assert not found
    listed = json.dumps(eas("ListServices"))
    events = json.dumps(sealed.events())
    audit = verb(platform, "audit", "export", "-").stdout
    assert "pierhead:RotateServiceToken" in audit
    assert not [word for word in words for text in (listed, events, audit) if word in text]
    sealed.delete()
    sealed.gone()


def tokens_left(root: RamClient) -> Iterator[str]:
    for one in root.own("ListServiceTokens", ServiceName=NAME)["Tokens"]["Token"]:
        yield one["TokenName"]


def test_tokens_end_with_their_service(platform: Platform, root: RamClient, echo: Service) -> None:
    made = token(root.own("AddServiceToken", ServiceName=NAME, TokenName="last"))
    opens_at_once(platform, made)
    assert set(tokens_left(root)) == {"default", "last"}
    echo.delete()
    until(lambda: status(platform, made) != 200, 5, "it opens nothing", pause=0.005)
    echo.gone()
