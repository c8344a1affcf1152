"""The examples of CreateAppService's page as they are printed there, against stores that check what they get.

The weights are true architectures in miniature, so the spec is the page's own; what they write is noise.
"""

import json
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests
from clients import Json, PythonSdk
from documents import app
from lifecycle import Service, capital
from running_platform import Platform, running, until
from storage_stage import (
    BUCKET,
    KEY,
    SECRET,
    bucket_words,
    connected,
    remote_files,
    users_of,
)

from demo_weights import demo_model
from nfs_server import NfsServer, nfs_server
from oss_double import OssDouble
from tiny_gguf import write_tiny_gguf

SPEC, REPLICAS = "llama_7b_fp16", 3
PARIS = "The capital of France is Paris."
#: As the page prints them, stars included.
NETWORK = {
    "SecurityGroupID": "sg-uf6e50fazt4u7smt",
    "VpcID": "vpc-uf66zxxrlv0l4nj49****",
    "VswitchID": "vsw-uf6fg76uu2bx84tci****",
}
OSS = {"ModelStorage": "oss", "OssPath": f"oss://{BUCKET}/xxxx/"}
#: The page's own has stars in its mount target, which no host name can have.
TARGET = "317d14abcd.cn-shanghai.nas.aliyuncs.com"
NAS = {"ModelStorage": "nas", "NasMountTarget": TARGET, "NasPath": "/"}
ANSWERS = 1.0  #: seconds in which the control plane answers, whatever a store does


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with a cache of its own: what is fetched here must not stay on the machine."""
    folder = tmp_path_factory.mktemp("platform")
    with running(folder, PIERHEAD_CACHE_DIR=str(folder / "cache")) as platform:
        yield platform


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("tiny") / "model.gguf"
    write_tiny_gguf(file, SPEC)
    return file


@pytest.fixture
def double(tmp_path: Path, tiny: Path) -> Iterator[OssDouble]:
    root = tmp_path / "oss"
    for name, model in (("xxxx", tiny), ("smollm2", demo_model())):
        (root / BUCKET / name).mkdir(parents=True)
        shutil.copy(model, root / BUCKET / name / "model.gguf")
    with OssDouble(root, "--ak", KEY, "--sk", SECRET) as double:
        yield double


@pytest.fixture
def bucket(double: OssDouble, platform: Platform, tmp_path: Path) -> Iterator[OssDouble]:
    """The page's bucket, connected."""
    with connected(platform, "oss", "models", *bucket_words(double, tmp_path)):
        yield double


@contextmanager
def serving(
    eas: PythonSdk, name: str, spec: str = SPEC, replicas: int = REPLICAS, **more: object
) -> Generator[Service]:
    service = Service(eas, name)
    eas("CreateAppService", body=app(name, spec, replicas, **more))
    try:
        yield service
    finally:
        service.delete()


def completed(service: Service) -> None:
    """The gateway gives a completion to OpenAI's client, and to whoever sends the token as it is."""
    with service.openai() as client:
        answer = client.completions.create(model=service.name, prompt="a", max_tokens=4)
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0
    shown = service.sdk("DescribeServiceEndpoints", service.name)
    url = shown["Endpoints"][0]["InternetEndpoints"][0]
    plain = requests.post(
        f"{url}/v1/completions",
        json={"model": service.name, "prompt": "a", "max_tokens": 4},
        headers={"Authorization": shown["AccessToken"]},
        timeout=30,
    )
    assert plain.status_code == 200, plain.text


def without_effect(service: Service, *names: str) -> None:
    """Each of them stands in an event of its own."""
    said = service.warnings().get("ParameterWithoutEffect", [])
    for name in names:
        (one,) = [each for each in said if f"The parameter Config.{name} " in each]
        assert one.endswith("there are no cloud networks here; replicas use this host's network.")


# ---- OSS -------------------------------------------------------------------------------------------


def test_the_pages_request_runs_answers_and_is_echoed(
    bucket: OssDouble, eas: PythonSdk, platform: Platform, tiny: Path
) -> None:
    """Law: nothing of the page's request is dropped in silence, and one fetch serves all replicas."""
    asked = {**OSS, **NETWORK}
    service = Service(eas, "foo")
    answer = eas(
        "CreateAppService",
        query={"WorkspaceId": "123456", "QuotaId": "abcdef"},
        body={
            "ServiceName": "foo",
            "AppType": "LLM",
            "AppVersion": "v1",
            "ServiceSpec": SPEC,
            "Replicas": REPLICAS,
            "Config": asked,
        },
    )
    try:
        assert (answer["ServiceName"], answer["Status"]) == ("foo", "Creating")
        shown = service.until("Running", 180)
        completed(service)
        assert (shown["TotalInstance"], shown["RunningInstance"]) == (REPLICAS, REPLICAS)
        assert (shown["AppType"], shown["AppVersion"], shown["AppSpecName"]) == ("LLM", "v1", SPEC)
        assert json.loads(shown["AppConfig"]) == asked
        (mount,) = json.loads(shown["ServiceConfig"])["storage"]
        assert mount["oss"]["path"] == OSS["OssPath"]
        without_effect(service, *NETWORK)
        (copy,) = remote_files(platform)
        assert copy.read_bytes() == tiny.read_bytes()
        assert users_of(platform, copy) == REPLICAS
        fetched_once(bucket, copy.stat().st_size)
    finally:
        service.delete()


def fetched_once(double: OssDouble, size: int) -> None:
    """One header, then each byte once, all signed with the version that the vendor signs with today."""
    log = double.log()
    assert {each["auth"] for each in log} == {"OSS4"}, log[:3]
    gets = [each for each in log if each["key"].endswith(".gguf")]
    assert {(each["method"], each["status"]) for each in gets} == {("GET", 206)}
    assert len({each["range"] for each in gets}) == len(gets), "no range twice"
    header = 16 * 1024
    assert double.sent() in {size, size + header}, "three replicas, one set of requests"


def test_the_demo_model_from_the_bucket_answers_the_question(
    bucket: OssDouble, eas: PythonSdk
) -> None:
    config = {"ModelStorage": "oss", "OssPath": f"oss://{BUCKET}/smollm2/"}
    with serving(eas, "seed_paris", "smollm2_135m_q4", 1, Config=config) as service:
        service.until("Running", 180)
        with service.openai() as client:
            assert capital(client, service.name) == PARIS
    assert {each["auth"] for each in bucket.log()} == {"OSS4"}


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def a_giant() -> bytes:
    """The header of a llama whose cache alone takes petabytes; its file is a few hundred bytes."""
    numbers = {
        "block_count": 64, "embedding_length": 4096, "attention.head_count": 32,
        "attention.head_count_kv": 65536, "attention.key_length": 65536,
        "attention.value_length": 65536, "context_length": 2048, "feed_forward_length": 11008,
    }  # fmt: skip
    facts = [text("general.architecture") + struct.pack("<I", 8) + text("llama")]
    facts += [
        text(f"llama.{name}") + struct.pack("<IQ", 10, value) for name, value in numbers.items()
    ]
    return b"GGUF" + struct.pack("<IQQ", 3, 0, len(facts)) + b"".join(facts) + b"\0" * 4_000_000


def test_what_cannot_fit_is_refused_with_both_numbers_before_it_is_fetched(
    bucket: OssDouble, eas: PythonSdk, platform: Platform
) -> None:
    """Law: a model that cannot fit is refused within a second, of a few KB of it."""
    bucket.put(f"{BUCKET}/giant/model.gguf", a_giant())
    before = remote_files(platform)
    nothing = {"ModelStorage": "oss", "OssPath": f"oss://{BUCKET}/nothing/"}
    with serving(eas, "seed_nothing", replicas=1, Config=nothing) as service:
        service.until("Failed", 20)  # the vendor's SDK is loaded once, which takes a second
    bucket.forget()
    config = {"ModelStorage": "oss", "OssPath": f"oss://{BUCKET}/giant/"}
    began = time.monotonic()
    with serving(eas, "seed_giant", replicas=1, Config=config) as service:
        shown = service.until("Pending", 5)
        took = time.monotonic() - began
        assert shown["Reason"] == "ModelDoesNotFit"
        assert "One replica needs about" in shown["Message"]
        assert "the largest node" in shown["Message"]
        assert service.instances() == []
    log = bucket.log()
    gets = [each for each in log if each["key"].endswith(".gguf")]
    assert gets
    assert all(each["sent"] <= 16 * 1024 for each in gets), gets
    assert bucket.sent() <= 64 * 1024
    assert remote_files(platform) == before
    assert took < 1.5, f"{took:.2f} s"


# ---- NAS -------------------------------------------------------------------------------------------


@pytest.fixture
def bound(tmp_path: Path, tiny: Path) -> Iterator[Path]:
    """A folder that is a mount of its own, as an operator's NAS is."""
    if os.geteuid() != 0:
        pytest.fail("a bind mount needs root: run these tests as root, or in a container")
    export, point = tmp_path / "export", tmp_path / "mnt"
    for folder in (export, point):
        folder.mkdir()
    shutil.copy(tiny, export / "model.gguf")
    subprocess.run(("mount", "--bind", str(export), str(point)), check=True, timeout=30)
    try:
        yield point
    finally:
        subprocess.run(("umount", "--lazy", str(point)), check=True, timeout=30)


def test_the_pages_nas_request_serves_from_the_mount(
    bound: Path, eas: PythonSdk, platform: Platform
) -> None:
    assert f" {bound} " in Path("/proc/self/mountinfo").read_text()
    before = remote_files(platform)
    words = ("--mount-target", TARGET, "--local-path", str(bound))
    asked = {**NAS, **NETWORK}
    with connected(platform, "nas", "team", *words), serving(eas, "nas_bound", Config=asked) as foo:
        shown = foo.until("Running", 180)
        completed(foo)
        assert shown["RunningInstance"] == REPLICAS
        assert json.loads(shown["AppConfig"]) == asked
        without_effect(foo, *NETWORK)
        assert users_of(platform, bound / "model.gguf") == REPLICAS, "used where it lies"
        assert remote_files(platform) == before, "nothing is copied"


@pytest.fixture
def ganesha(tmp_path: Path, tiny: Path) -> Iterator[NfsServer]:
    folder = tmp_path / "nfs"
    for name, model in (("tiny", tiny), ("smollm2", demo_model())):
        (folder / "export" / name).mkdir(parents=True)
        shutil.copy(model, folder / "export" / name / "model.gguf")
    with nfs_server(folder) as server:
        yield server


@pytest.fixture
def nas(ganesha: NfsServer, platform: Platform) -> Iterator[NfsServer]:
    """The server, connected."""
    words = ("--mount-target", TARGET, "--nfs", ganesha.address)
    with connected(platform, "nas", "team", *words):
        yield ganesha


def on_nas(path: str) -> Json:
    return NAS | {"NasPath": path}


def test_a_real_nfs_server_is_copied_once_and_the_answer_is_right(
    nas: NfsServer, eas: PythonSdk, platform: Platform
) -> None:
    before = {path.stat().st_ino for path in remote_files(platform)}
    config = on_nas("/smollm2")
    with serving(eas, "nas_paris", "smollm2_135m_q4", Config=config) as service:
        shown = service.until("Running", 180)
        assert shown["RunningInstance"] == REPLICAS
        with service.openai() as client:
            assert capital(client, service.name) == PARIS
        new = [path for path in remote_files(platform) if path.stat().st_ino not in before]
        (copy,) = new
        assert copy.read_bytes() == demo_model().read_bytes()
        assert users_of(platform, copy) == REPLICAS
        nas.vanish()  # what was copied does not need it any more
        with service.openai() as client:
            assert capital(client, service.name) == PARIS


class Watch:
    """Looks at a service, and sees that each look is answered at once."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.slowest = 0.0
        self.messages: list[str] = []

    def look(self) -> Json:
        began = time.monotonic()
        shown = self._service.describe()
        self.slowest = max(self.slowest, time.monotonic() - began)
        if [shown["Message"]] != self.messages[-1:]:
            self.messages.append(shown["Message"])
        return shown

    def until(self, right: Callable[[Json], object], seconds: float, what: str) -> Json:
        return until(lambda: found if right(found := self.look()) else None, seconds, what, 0.2)

    def says(self, words: str, seconds: float) -> Json:
        return self.until(lambda shown: words in shown["Message"], seconds, f"it says [{words}]")


def test_a_nas_that_hangs_is_told_and_waited_for(
    nas: NfsServer, eas: PythonSdk, platform: Platform
) -> None:
    """Law: a NAS that does not answer stops nothing but what waits for it (F20)."""
    nas.hang()
    with serving(eas, "nas_hangs", Config=on_nas("/tiny")) as service:
        watch = Watch(service)
        shown = watch.says("nothing has come for", 30)
        assert shown["Status"] in {"Creating", "Waiting"}
        assert f"nas://{TARGET}/tiny" in shown["Message"]
        with serving(eas, "nas_beside", "smollm2_135m_q4", 1) as other:
            Watch(other).until(lambda it: it["Status"] == "Running", 90, "another one runs")
        nas.go_on()
        watch.until(lambda it: it["Status"] == "Running", 120, "it goes on by itself")
        completed(service)
        assert watch.slowest < ANSWERS, f"{watch.slowest:.2f} s"
        assert all("\n" not in message for message in watch.messages)
        nas.hang()  # during: the engines have all they need
        completed(service)
        assert watch.look()["Status"] == "Running"
        assert watch.slowest < ANSWERS, f"{watch.slowest:.2f} s"
        nas.go_on()


def test_a_nas_that_vanished_is_told_and_found_again(
    ganesha: NfsServer, eas: PythonSdk, platform: Platform, tiny: Path
) -> None:
    words = ("--mount-target", TARGET, "--nfs", ganesha.address)
    shutil.copytree(ganesha.export / "tiny", ganesha.export / "other")
    ganesha.vanish()
    with (
        connected(platform, "nas", "team", *words),
        serving(eas, "nas_gone", replicas=1, Config=on_nas("/other")) as service,
    ):
        watch = Watch(service)
        watch.until(lambda it: it["Reason"] == "WeightsUnavailable", 60, "it is told")
        (message,) = watch.messages[-1:]
        assert str(ganesha.port) in message
        assert message.endswith("It is tried again every 15 seconds.")
        with nfs_server(ganesha.folder, ganesha.port):
            watch.until(lambda it: it["Status"] == "Running", 90, "it is found again")
        assert watch.slowest < ANSWERS, f"{watch.slowest:.2f} s"
