"""One copy of a bucket's weights for everybody: replicas, services, both doors; and what becomes of it."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from clients import Json, PythonSdk
from documents import app
from lifecycle import Service
from running_platform import Platform, running
from zstack_client import ZStack

from commands import pierhead
from tiny_gguf import write_tiny_gguf

DOUBLE = Path(__file__).parent.parent / "oss_double.py"
KEY, SECRET = "LTAI5tExampleOfATest", "a-secret-that-nobody-may-see"
SPEC = "llama_7b_fp16"
URI = "oss://examplebucket/models/llama/"
CONFIG = {"ModelStorage": "oss", "OssPath": URI}


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with a cache of its own."""
    folder = tmp_path_factory.mktemp("platform")
    with running(folder, PIERHEAD_CACHE_DIR=str(folder / "cache")) as platform:
        yield platform


@pytest.fixture
def oss(tmp_path: Path, platform: Platform) -> Iterator[str]:
    """An OSS double with a tiny model in its bucket, connected; its URL."""
    folder = tmp_path / "oss" / "examplebucket" / "models" / "llama"
    folder.mkdir(parents=True)
    write_tiny_gguf(folder / "model.gguf", SPEC)
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    with subprocess.Popen(
        (sys.executable, str(DOUBLE), str(tmp_path / "oss"), "--ak", KEY, "--sk", SECRET),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[1]
        where = ("--bucket", "examplebucket", "--endpoint", url, "--region", "cn-shanghai")
        keys = ("--access-key-id", KEY, "--access-key-secret-file", str(secret))
        cli(platform, "storage", "add", "oss", "models", *where, *keys, "--allow-private")
        try:
            yield url
        finally:
            cli(platform, "storage", "remove", "models")
            process.terminate()


def cli(platform: Platform, *words: str) -> str:
    env = {**os.environ, "PIERHEAD_CACHE_DIR": str(platform.folder / "cache")}
    done = pierhead(*words, "--data-dir", str(platform.folder), env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def gets(url: str) -> list[Json]:
    """Requests for the model's bytes."""
    found: list[Json] = requests.get(f"{url}/__log", timeout=10).json()
    return [each for each in found if each["key"].endswith(".gguf")]


def copies(platform: Platform) -> list[Path]:
    return list((platform.folder / "cache").rglob("*.gguf"))


def figure(platform: Platform, name: str) -> float:
    """The sum of a figure over its labels."""
    lines = requests.get(f"{platform.eas}/metrics", timeout=10).text.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(name))


def test_one_fetch_and_one_copy_for_two_services_and_both_doors(
    oss: str, eas: PythonSdk, zstack: ZStack, platform: Platform
) -> None:
    """Law: a byte of a bucket is fetched once, and lies here once, whoever serves it."""
    services = Service(eas, "one_copy"), Service(eas, "one_copy_more")
    for service, replicas in zip(services, (2, 1), strict=True):
        eas("CreateAppService", body=app(service.name, SPEC, replicas, Config=CONFIG))
    model = zstack.call(
        "POST",
        "/ai/models",
        {"param": {"name": "llama", "modelCenterUuid": zstack.center, "installPath": URI}},
    )["inventory"]["uuid"]
    (template,) = zstack.query("/ai/model-services", f"name={SPEC}")
    group = zstack.deploy(template["uuid"], "one_copy_third", modelUuid=model)["uuid"]
    for service in services:
        service.until("Running", 120)
    zstack.running(group, 1, 120)
    (copy,) = copies(platform)
    fetched_once(oss, platform, copy.stat().st_size)
    told = [each for service in services for each in service.events()]
    came = [each["Message"] for each in told if each["Reason"] == "WeightsFetched"]
    assert came, "the end of the fetch is told with its size, time and rate"
    assert all(re.fullmatch(rf"{URI}: .* came in [0-9.]+ s, .*/s\.", each) for each in came), came
    zstack.delete_group(group)
    zstack.call("DELETE", f"/ai/models/{model}")
    services[1].delete()
    released(services[0], platform)


def fetched_once(url: str, platform: Platform, size: int) -> None:
    reads = [each["range"] for each in gets(url) if each["method"] == "GET" and each["range"]]
    weights = [each for each in reads if each not in HEADER]
    assert sum(map(_length, weights)) == size, f"every byte was fetched once: {reads}"
    assert figure(platform, "pierhead_weights_fetch_bytes_total") == size
    assert figure(platform, 'pierhead_weights_cache_bytes{state="used"}') == size
    assert figure(platform, "pierhead_weights_fetches") == 0


def released(service: Service, platform: Platform) -> None:
    """The last service that names the copy keeps it also while it is stopped, and no longer."""
    assert "0 snapshots" in cli(platform, "cache", "prune"), "it names it"
    service.change("StopService", "Stopping", "Stopped")
    service.until("Stopped")
    assert "0 snapshots" in cli(platform, "cache", "prune"), "a stopped service keeps its weights"
    (row,) = json.loads(cli(platform, "cache", "ls", "--json"))
    assert row["kept_for"] == [URI]
    service.delete()
    assert "1 snapshots were removed" in cli(platform, "cache", "prune")
    assert copies(platform) == []


def _length(text: str) -> int:
    """Of `bytes=0-99`."""
    start, _, end = text.removeprefix("bytes=").partition("-")
    return int(end) - int(start) + 1


#: What is read of a file to see whether it fits, before it is fetched.
HEADER = frozenset({"bytes=0-16383"})
