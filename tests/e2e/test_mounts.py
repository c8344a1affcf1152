"""Config's model mounting at work: weights from an OSS bucket and from a NAS, through the official SDK."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
import requests
from clients import Json, PythonSdk
from documents import app
from lifecycle import Service
from running_platform import PIERHEAD, Platform, running, until

from demo_weights import demo_model

DOUBLE = Path(__file__).parent.parent / "oss_double.py"
KEY, SECRET = "LTAI5tExampleOfATest", "a-secret-that-nobody-may-see"
REPLICAS = 3


@dataclass(frozen=True, slots=True)
class Oss:
    """An OSS that verifies signatures, with the demo weights in a bucket."""

    url: str
    root: Path

    def log(self) -> list[Json]:
        return requests.get(f"{self.url}/__log", timeout=10).json()

    def forget(self) -> None:
        requests.delete(f"{self.url}/__log", timeout=10)

    def fail(self, *faults: Json) -> None:
        requests.post(f"{self.url}/__faults", json=list(faults), timeout=10)

    def gets(self) -> list[Json]:
        return [each for each in self.log() if each["key"].endswith(".gguf")]


@pytest.fixture(scope="module")
def oss(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oss]:
    root = tmp_path_factory.mktemp("oss")
    folder = root / "examplebucket" / "models" / "llama"
    folder.mkdir(parents=True)
    shutil.copy(demo_model(), folder / "model.gguf")
    with subprocess.Popen(
        (sys.executable, str(DOUBLE), str(root), "--ak", KEY, "--sk", SECRET),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield Oss(process.stdout.readline().split()[1], root)
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with a cache of its own: what is fetched here must not stay on the machine."""
    folder = tmp_path_factory.mktemp("platform")
    with running(folder, PIERHEAD_CACHE_DIR=str(folder / "cache")) as platform:
        yield platform


@pytest.fixture
def bucket(oss: Oss, platform: Platform, tmp_path: Path) -> Iterator[Oss]:
    """The bucket, connected."""
    connect(platform, oss, tmp_path / "secret", SECRET, "--allow-private")
    oss.forget()
    yield oss
    oss.fail()
    storage(platform, "remove", "models")


def connect(platform: Platform, oss: Oss, file: Path, secret: str, *more: str) -> None:
    file.write_text(f"{secret}\n")
    where = ("--bucket", "examplebucket", "--endpoint", oss.url, "--region", "cn-shanghai")
    keys = ("--access-key-id", KEY, "--access-key-secret-file", str(file))
    storage(platform, "add", "oss", "models", *where, *keys, *more)


def storage(platform: Platform, *words: str) -> str:
    """`pierhead storage ...` as its users call it."""
    done = subprocess.run(
        (*PIERHEAD, "storage", *words, "--data-dir", str(platform.folder)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def copies(platform: Platform) -> list[Path]:
    """Model files that were fetched over connections, on the disk."""
    return list((platform.folder / "cache" / "remote").rglob("*.gguf"))


OSS_CONFIG = {"ModelStorage": "oss", "OssPath": "oss://examplebucket/models/llama/"}


def test_three_replicas_answer_from_one_copy_of_the_bucket(
    bucket: Oss, eas: PythonSdk, platform: Platform
) -> None:
    service = Service(eas, "mount_oss")
    eas("CreateAppService", body=app(service.name, replicas=REPLICAS, Config=OSS_CONFIG))
    shown = service.until("Running", 180)
    assert shown["RunningInstance"] == REPLICAS
    service.answers_paris()
    (copy,) = copies(platform)
    assert copy.read_bytes() == demo_model().read_bytes()
    assert opened(platform, copy) == REPLICAS, "every replica serves this very file"
    gets = bucket.gets()
    assert all(each["status"] == 206 for each in gets)
    ranges = [each["range"] for each in gets]
    assert len(ranges) == len(set(ranges)), "every byte was fetched once"
    assert all(each["auth"] == "OSS4" for each in bucket.log()), bucket.log()[:3]
    assert SECRET not in platform.log
    service.delete()


def opened(platform: Platform, file: Path) -> int:
    """How many engines of the platform have the file in use."""
    family = psutil.Process(platform.process.pid).children(recursive=True)
    maps = [Path(f"/proc/{each.pid}/maps") for each in family]
    return sum(str(file) in path.read_text() for path in maps if path.exists())


def test_a_service_waits_for_a_connection_and_goes_on_by_itself(
    oss: Oss, eas: PythonSdk, platform: Platform, tmp_path: Path
) -> None:
    service = Service(eas, "mount_later")
    config = {"ModelStorage": "oss", "OssPath": "oss://examplebucket/models/llama"}
    eas("CreateAppService", body=app(service.name, Config=config))
    shown = service.until("Failed", 20)
    assert shown["Reason"] == "StorageNotConnected"
    assert "pierhead storage add oss NAME --bucket examplebucket" in shown["Message"]
    connect(platform, oss, tmp_path / "secret", SECRET, "--allow-private")
    try:
        until(lambda: service.describe()["Status"] == "Running", 120, "it runs", pause=0.5)
        service.answers_paris()
    finally:
        service.delete()
        storage(platform, "remove", "models")


@pytest.mark.parametrize(
    "wrong",
    [("wrong", ("--allow-private",), "access key"), (SECRET, (), "loopback")],
    ids=["wrong secret", "private endpoint"],
)
def test_a_refused_connection_is_one_clear_sentence(
    oss: Oss,
    eas: PythonSdk,
    platform: Platform,
    tmp_path: Path,
    wrong: tuple[str, tuple[str, ...], str],
) -> None:
    secret, more, words = wrong
    connect(platform, oss, tmp_path / "secret", secret, *more)
    service = Service(eas, "mount_refused")
    config = {"ModelStorage": "oss", "OssPath": f"oss://examplebucket/{'x' if more else 'y'}/"}
    eas("CreateAppService", body=app(service.name, Config=config))
    try:
        shown = service.until("Failed", 40)
        assert shown["Reason"] == "StorageDenied"
        assert words in shown["Message"]
        assert SECRET not in json.dumps(shown)
        assert "Traceback" not in platform.log
    finally:
        service.delete()
        storage(platform, "remove", "models")


def test_a_vanished_bucket_and_a_later_one_that_comes_back(
    bucket: Oss, eas: PythonSdk, tmp_path: Path
) -> None:
    hidden = tmp_path / "hidden"
    (bucket.root / "examplebucket").rename(hidden)
    service = Service(eas, "mount_gone")
    try:
        config = {"ModelStorage": "oss", "OssPath": "oss://examplebucket/models/"}
        eas("CreateAppService", body=app(service.name, Config=config))
        shown = service.until("Failed", 40)
        assert shown["Reason"] == "WeightsMissing"
        assert "bucket" in shown["Message"]
    finally:
        hidden.rename(bucket.root / "examplebucket")
        service.delete()


def test_nas_weights_serve_from_where_they_are_mounted(
    eas: PythonSdk, platform: Platform, tmp_path: Path
) -> None:
    mounted = tmp_path / "mnt"
    (mounted / "models" / "llama").mkdir(parents=True)
    model = Path(shutil.copy(demo_model(), mounted / "models" / "llama" / "model.gguf"))
    target = "317d14abcd.cn-shanghai.nas.example.com"
    storage(platform, "add", "nas", "team", "--mount-target", target, "--local-path", str(mounted))
    config = {"ModelStorage": "nas", "NasMountTarget": target, "NasPath": "/models/llama"}
    service = Service(eas, "mount_nas")
    eas("CreateAppService", body=app(service.name, replicas=2, Config=config))
    try:
        service.until("Running", 120)
        service.answers_paris()
        assert opened(platform, model) == 2, "nothing is copied"
    finally:
        service.delete()
        storage(platform, "remove", "team")
