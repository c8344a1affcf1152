"""A whole platform on HTTPS: both ports, the hub and its gateway, and our own client verbs."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from running_platform import Platform, running, until

from commands import pierhead
from pierhead.bootstrap.tls import ready
from pierhead.settings import Settings

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the keys")
LIMIT = 30  #: calls a minute of one principal; a burst of ten seconds' worth may come at once


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("tls")
    settings = Settings(data_dir=folder, tls_self_signed=True)
    assert ready(settings) is not None
    before = os.environ.get("REQUESTS_CA_BUNDLE")
    os.environ["REQUESTS_CA_BUNDLE"] = str(settings.tls_certificate)  # of this process's own calls
    try:
        with running(
            folder,
            PIERHEAD_TLS_SELF_SIGNED="true",
            PIERHEAD_HTTP_CALLS_PER_MINUTE=str(LIMIT),
        ) as platform:
            yield platform
    finally:
        os.environ.pop("REQUESTS_CA_BUNDLE")
        if before is not None:
            os.environ["REQUESTS_CA_BUNDLE"] = before


def cli(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return pierhead(*arguments, env={**os.environ, **environment})


def keys(platform: Platform) -> dict[str, str]:
    known = platform.credentials
    return {
        "PIERHEAD_ACCESS_KEY_ID": known["access_key_id"],
        "PIERHEAD_ACCESS_KEY_SECRET": known["access_key_secret"],
    }


def test_both_ports_speak_https_and_the_gateway_knows_its_hub(platform: Platform) -> None:
    assert platform.eas.startswith("https://") and platform.gateway.startswith("https://")
    until(
        lambda: requests.get(f"{platform.gateway}/healthz", timeout=5).json()["hub"] == "connected",
        20,
        "the gateway reaches the hub",
    )
    plain = requests.get(f"{platform.gateway.replace('https', 'http', 1)}/healthz", timeout=5)
    assert plain.status_code == 400 and "HTTPS" in plain.text


def test_verbs_trust_the_hub_by_its_folder_or_by_a_file_and_nobody_else(platform: Platform) -> None:
    folder, endpoint = str(platform.folder), ("--endpoint", platform.eas)
    assert cli("services", "list", "--data-dir", folder).returncode == 0
    file = platform.credentials["certificate"]
    assert Path(file).exists()
    assert cli("--ca-file", file, "services", "list", *endpoint, **keys(platform)).returncode == 0
    named = {**keys(platform), "PIERHEAD_CA_FILE": file}
    assert cli("services", "list", *endpoint, **named).returncode == 0
    stranger = cli("services", "list", *endpoint, **keys(platform))
    assert stranger.returncode == 1 and "--ca-file" in stranger.stderr
    assert cli("doctor", "--data-dir", folder).stdout.count("does not answer") == 0


def test_law_a_principal_has_its_pace(platform: Platform) -> None:
    url = f"{platform.credentials['endpoints']['zstack']}/v1/accounts/login"
    from zstack_client import sha512

    login = {"accountName": "admin", "password": sha512(platform.credentials["zstack"]["password"])}
    answer = requests.put(url, json={"logInByAccount": login}, timeout=20)
    headers = {"Authorization": f"OAuth {answer.json()['inventory']['uuid']}"}
    zones = f"{platform.credentials['endpoints']['zstack']}/v1/zones"
    told = [requests.get(zones, headers=headers, timeout=20).status_code for _ in range(LIMIT)]
    assert set(told) == {200, 429} and told.count(200) < LIMIT
    # A verb takes a moment to begin, in which the principal may call again: so it is kept busy.
    ended = threading.Event()

    def ask() -> None:
        while not ended.is_set():
            requests.get(zones, headers=headers, timeout=20)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        verbs = [cli("services", "list", "--data-dir", str(platform.folder)) for _ in range(3)]
    finally:
        ended.set()
        asking.join()
    refused = [verb for verb in verbs if verb.returncode]
    assert refused and all("Throttling.User" in verb.stderr for verb in refused)
