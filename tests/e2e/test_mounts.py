"""Config's model mounting at work: weights from an OSS bucket and from a NAS, through the official SDK."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from clients import PythonSdk
from documents import app
from lifecycle import Service
from running_platform import Platform, running, until
from storage_stage import BUCKET, KEY, SECRET, remote_files, storage, users_of

from demo_weights import demo_model
from oss_double import OssDouble

REPLICAS = 3


@pytest.fixture(scope="module")
def oss(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OssDouble]:
    root = tmp_path_factory.mktemp("oss")
    folder = root / BUCKET / "models" / "llama"
    folder.mkdir(parents=True)
    shutil.copy(demo_model(), folder / "model.gguf")
    with OssDouble(root, "--ak", KEY, "--sk", SECRET) as double:
        yield double


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with a cache of its own: what is fetched here must not stay on the machine."""
    folder = tmp_path_factory.mktemp("platform")
    with running(folder, PIERHEAD_CACHE_DIR=str(folder / "cache")) as platform:
        yield platform


@pytest.fixture
def bucket(oss: OssDouble, platform: Platform, tmp_path: Path) -> Iterator[OssDouble]:
    """The bucket, connected."""
    connect(platform, oss, tmp_path / "secret", SECRET, "--allow-private")
    oss.forget()
    yield oss
    oss.faults()
    storage(platform, "remove", "models")


def connect(platform: Platform, oss: OssDouble, file: Path, secret: str, *more: str) -> None:
    file.write_text(f"{secret}\n")
    where = ("--bucket", BUCKET, "--endpoint", oss.url, "--region", "cn-shanghai")
    keys = ("--access-key-id", KEY, "--access-key-secret-file", str(file))
    storage(platform, "add", "oss", "models", *where, *keys, *more)


OSS_CONFIG = {"ModelStorage": "oss", "OssPath": "oss://examplebucket/models/llama/"}


def test_three_replicas_answer_from_one_copy_of_the_bucket(
    bucket: OssDouble, eas: PythonSdk, platform: Platform
) -> None:
    service = Service(eas, "mount_oss")
    eas("CreateAppService", body=app(service.name, replicas=REPLICAS, Config=OSS_CONFIG))
    shown = service.until("Running", 180)
    assert shown["RunningInstance"] == REPLICAS
    service.answers_paris()
    (copy,) = remote_files(platform)
    assert copy.read_bytes() == demo_model().read_bytes()
    assert users_of(platform, copy) == REPLICAS, "every replica serves this very file"
    gets = [each for each in bucket.log() if each["key"].endswith(".gguf")]
    assert all(each["status"] == 206 for each in gets)
    ranges = [each["range"] for each in gets]
    assert len(ranges) == len(set(ranges)), "every byte was fetched once"
    assert all(each["auth"] == "OSS4" for each in bucket.log()), bucket.log()[:3]
    assert SECRET not in platform.log
    service.delete()


def test_a_service_waits_for_a_connection_and_goes_on_by_itself(
    oss: OssDouble, eas: PythonSdk, platform: Platform, tmp_path: Path
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
    oss: OssDouble,
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
    bucket: OssDouble, eas: PythonSdk, tmp_path: Path
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
        assert users_of(platform, model) == 2, "nothing is copied"
    finally:
        service.delete()
        storage(platform, "remove", "team")
