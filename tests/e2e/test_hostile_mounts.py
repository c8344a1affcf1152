"""Mounts that mean ill, as a user of the control plane meets them: one sentence each, and nothing left behind."""

import json
import os
import shutil
import socket
import stat
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from clients import PythonSdk
from documents import app
from lifecycle import Service, refused
from running_platform import Platform, running, until
from signed_http import Request, send, signed
from storage_stage import BUCKET, KEY, SECRET, bucket_words, connected, remote_files, storage

from oss_double import OssDouble
from own_time import OwnTime
from tiny_gguf import write_tiny_gguf

SPEC = "llama_7b_fp16"
TARGET = "317d14abcd.cn-shanghai.nas.aliyuncs.com"
CANARY = "canary-of-another-users-file"
TOLD = 40.0  #: seconds in which a service says what is wrong


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """A platform with a cache of its own."""
    folder = tmp_path_factory.mktemp("platform")
    with running(folder, PIERHEAD_CACHE_DIR=str(folder / "cache")) as platform:
        yield platform
        assert "Traceback" not in platform.log
        assert SECRET not in platform.log
        assert CANARY not in platform.log


@pytest.fixture(scope="module")
def double(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OssDouble]:
    root = tmp_path_factory.mktemp("oss")
    (root / BUCKET).mkdir()
    with OssDouble(root, "--ak", KEY, "--sk", SECRET) as double:
        yield double


@pytest.fixture(scope="module")
def bucket(
    double: OssDouble, platform: Platform, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[OssDouble]:
    folder = tmp_path_factory.mktemp("words")
    with connected(platform, "oss", "models", *bucket_words(double, folder)):
        yield double


# ---- what is refused at once -------------------------------------------------------------------------

ILL: dict[str, Any] = {
    "a parent": "../x/", "a parent inside": "a/../b", "a dot": "a/./b", "a backslash": "a\\..\\b",
    "a NUL": "a\0b", "a line": "a\nb", "an escape": "a\x1b[31m", "half a character": "a\ud800b",
    "5,000 characters": "x" * 5000, "a number": 7, "a list": ["a"], "an object": {"a": 1},
}  # fmt: skip


@pytest.mark.parametrize("name", ILL)
@pytest.mark.parametrize("kind", ["oss", "nas", "target", "bucket", "storage"])
def test_a_config_that_means_ill_is_refused_in_the_dialects_words(
    platform: Platform, eas: PythonSdk, kind: str, name: str
) -> None:
    value = ILL[name]
    plain = isinstance(value, str)
    config = {
        "oss": {"ModelStorage": "oss", "OssPath": f"oss://{BUCKET}/{value}" if plain else value},
        "nas": {"ModelStorage": "nas", "NasMountTarget": TARGET, "NasPath": f"/{value}" if plain else value},
        "target": {"ModelStorage": "nas", "NasMountTarget": value, "NasPath": "/"},
        "bucket": {"ModelStorage": "oss", "OssPath": f"oss://{value}/x/" if plain else value},
        "storage": {"ModelStorage": value},
    }[kind]  # fmt: skip
    body = json.dumps(app("ill", SPEC, Config=config)).encode()
    own = OwnTime()
    reply = send(platform, signed(platform, Request("POST", "/api/v2/app_services", body)))
    assert own.seconds() < 1.0
    assert reply.status == 400, reply
    said = reply.document
    assert said["Code"] == "InvalidParameter", said
    # Half a character and a NUL are no text anywhere in a body.
    assert any(name in said["Message"] for name in ("Config.", "The parameter body")), said
    assert len(said["Message"]) < 600
    assert eas("ListServices", query={"ServiceName": "ill"})["TotalCount"] == 0


@pytest.mark.parametrize(
    "where",
    [
        "http://127.0.0.1@evil.example", "ftp://store", "file:///etc/passwd", "http://store/path",
        "http://store?x", "gopher://127.0.0.1:25", "http://ho st", "http://[::1",
    ],
)  # fmt: skip
def test_an_endpoint_that_is_none_is_refused_where_it_is_named(
    platform: Platform, tmp_path: Path, where: str
) -> None:
    with pytest.raises(AssertionError) as caught:
        storage(
            platform, "add", "oss", "ill", "--bucket", "b-1", "--endpoint", where, "--region", "r-1"
        )
    assert "endpoint" in str(caught.value)
    assert "Traceback" not in str(caught.value)


# ---- what a service says -------------------------------------------------------------------------------


@contextmanager
def asked(eas: PythonSdk, name: str = "ill", **config: object) -> Generator[Service]:
    service = Service(eas, name)
    eas("CreateAppService", body=app(name, SPEC, Config=config))
    try:
        yield service
    finally:
        service.delete()


def told(service: Service, *words: str, seconds: float = TOLD) -> str:
    """The one sentence of its message, which has all these words; every look is answered at once."""
    slowest = 0.0

    def look() -> str:
        nonlocal slowest
        own = OwnTime()
        shown = service.describe()
        slowest = max(slowest, own.seconds())
        assert shown["Status"] != "Running"
        message = str(shown["Message"])
        return message if all(word in message for word in words) else ""

    message = until(look, seconds, f"it says {words}: {service.describe()['Message']}", 0.1)
    assert slowest < 1.0, f"{slowest:.2f} s"
    assert message.isprintable(), ascii(message)
    assert len(message) < 800
    for leaked in (SECRET, CANARY, "Traceback", "Signature="):
        assert leaked not in message
    return message


@pytest.mark.parametrize(
    ("objects", "words"),
    [
        ({"a\nb.gguf": b"x"}, "has control characters"),
        ({"a\\..\\b.gguf": b"x"}, "has a backslash"),
        ({"a\x7f.gguf": b"x"}, "has control characters"),
        ({"readme.txt": b"no model"}, "no GGUF model"),
        ({"one.gguf": b"GGUF", "two.gguf": b"GGUF"}, "exactly one is needed"),
        ({"model.gguf": b"FUGG" + b"\0" * 99}, "is no GGUF file"),
        ({"model.gguf": b"GGUF\3\0\0\0" + b"\xff" * 99}, "cannot be true"),
        ({"config.json": b'{"num_hidden_layers":[1]}', "m.safetensors": b"x" * 99}, "cannot be true"),
    ],
)  # fmt: skip
def test_a_bucket_that_cannot_be_served_says_why(
    bucket: OssDouble,
    eas: PythonSdk,
    platform: Platform,
    objects: dict[str, bytes],
    words: str,
) -> None:
    folder = f"ill{abs(hash(words + str(len(objects))))}"  # what was said of another is remembered
    for name, content in objects.items():
        bucket.put(f"{BUCKET}/{folder}/{name}", content)
    before = remote_files(platform, "*")
    try:
        with asked(eas, ModelStorage="oss", OssPath=f"oss://{BUCKET}/{folder}/") as service:
            message = told(service, words)
            assert service.instances() == []
            assert "/etc" not in message
        if words.startswith("has"):
            assert remote_files(platform, "*") == before
    finally:
        shutil.rmtree(bucket.root / BUCKET / folder)


@contextmanager
def talking(talk: Callable[[socket.socket], None]) -> Generator[int]:
    """The port of a server that says this to everybody."""
    over = threading.Event()

    def serve(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            talk(connection)

    def accept(server: socket.socket) -> None:
        with suppress(OSError):
            while not over.is_set():
                connection, _ = server.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept, args=(server,), daemon=True)
        thread.start()
        yield server.getsockname()[1]
        over.set()
        with suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def silent(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.recv(65536)


def headers(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X: y\r\n")
        time.sleep(0.2)


def page(connection: socket.socket) -> None:
    connection.recv(65536)
    body = f"<html>{CANARY}</html>".encode()
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def away(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(
        b"HTTP/1.1 302 Go\r\nLocation: http://169.254.169.254/%b\r\nContent-Length: 0\r\n\r\n"
        % CANARY.encode()
    )


STORES: dict[str, tuple[Callable[[socket.socket], None], str]] = {
    "silent": (silent, "nothing has come for"),
    "headers": (headers, "nothing has come for"),
    "page": (page, "it answers with no listing"),
    "away": (away, "redirects, which is not followed"),
}


def test_a_store_that_is_none_is_told(
    platform: Platform, eas: PythonSdk, double: OssDouble, tmp_path: Path
) -> None:
    """All at once, as two of them are waited for."""
    with ExitStack() as stack:
        services: dict[str, Service] = {}
        for name, (talk, _words) in STORES.items():
            port = stack.enter_context(talking(talk))
            given = list(bucket_words(double, tmp_path, f"{name}-bucket"))
            given[given.index(double.url)] = f"http://127.0.0.1:{port}"
            stack.enter_context(connected(platform, "oss", name, *given))
            where = {"ModelStorage": "oss", "OssPath": f"oss://{name}-bucket/{port}/"}
            services[name] = stack.enter_context(asked(eas, f"ill_{name}", **where))
        for name, service in services.items():
            told(service, STORES[name][1])


INSIDE = {
    "127.0.0.1": "a loopback address",
    "0x7f000001": "a loopback address",
    "localhost": "a loopback address",
    "[::ffff:127.0.0.1]": "a loopback address",
    "10.0.0.1": "a private address",
    "169.254.169.254": "an address of metadata services",
    "[::ffff:169.254.169.254]": "an address of metadata services",
    "100.100.100.200": "an address of metadata services",
}


def test_an_endpoint_that_leads_inside_is_told(
    platform: Platform, eas: PythonSdk, double: OssDouble, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        services: dict[str, Service] = {}
        for number, host in enumerate(INSIDE):
            bucket = f"inside-{number}-bucket"
            given = list(bucket_words(double, tmp_path, bucket))
            given[given.index(double.url)] = f"http://{host}"
            given.remove("--allow-private")
            stack.enter_context(connected(platform, "oss", f"inside-{number}", *given))
            where = {"ModelStorage": "oss", "OssPath": f"oss://{bucket}/{tmp_path.name}/"}
            services[host] = stack.enter_context(asked(eas, f"ill_{number}", **where))
        for host, service in services.items():
            never = "metadata" in INSIDE[host]
            allowance = "where no connection may lead" if never else "--allow-private"
            told(service, INSIDE[host], allowance)


# ---- NAS -----------------------------------------------------------------------------------------------


@pytest.fixture
def mounted(tmp_path: Path, platform: Platform) -> Iterator[Path]:
    """A mounted file system, and next to it what nobody may see through it."""
    root = tmp_path / "mnt"
    (root / tmp_path.name).mkdir(parents=True)  # what was said of another is remembered
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.gguf").write_text(CANARY)
    (tmp_path / "other" / "config.json").write_text(json.dumps({"num_hidden_layers": CANARY}))
    words = ("--mount-target", TARGET, "--local-path", str(root))
    with connected(platform, "nas", "team", *words):
        yield root


def folder_of(mounted: Path) -> Path:
    return mounted / mounted.parent.name


def on_nas(eas: PythonSdk, path: str) -> Any:
    return asked(eas, ModelStorage="nas", NasMountTarget=TARGET, NasPath=path)


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_listener(path: Path) -> None:
    os.mknod(path, 0o600 | stat.S_IFSOCK)


def a_device(path: Path) -> None:
    os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 5))  # zeros without end


def absolute(path: Path) -> None:
    path.symlink_to(path.parent.parent.parent / "other" / "model.gguf")


def relative(path: Path) -> None:
    path.symlink_to("../../other/model.gguf")


def a_folder(path: Path) -> None:
    path.symlink_to("../../other")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (a_pipe, "holds no GGUF model"),
        (a_listener, "holds no GGUF model"),
        (a_device, "holds no GGUF model"),
        (absolute, "leads out of"),
        (relative, "leads out of"),
        (a_folder, "leads out of"),
    ],
)
def test_what_is_no_model_on_a_nas_is_told(
    mounted: Path, eas: PythonSdk, make: Callable[[Path], None], words: str
) -> None:
    make(folder_of(mounted) / "model.gguf")
    with on_nas(eas, f"/{folder_of(mounted).name}") as service:
        message = told(service, words)
        assert "other" not in message
        assert service.instances() == []


def test_a_link_that_is_turned_outwards_while_it_serves_stops_the_next_start(
    mounted: Path, eas: PythonSdk
) -> None:
    """What runs keeps the file it opened; whoever starts later is told."""
    model = folder_of(mounted) / "model.gguf"
    write_tiny_gguf(folder_of(mounted) / "real", SPEC)
    model.symlink_to("real")
    service = Service(eas, "turned")
    where = {"NasMountTarget": TARGET, "NasPath": f"/{folder_of(mounted).name}"}
    eas("CreateAppService", body=app("turned", SPEC, Config={"ModelStorage": "nas", **where}))
    try:
        service.until("Running", 90)
        model.unlink()
        model.symlink_to("../../other/model.gguf")
        eas("StopService", "turned")
        service.until("Stopped", 30)
        eas("StartService", "turned")
        until(lambda: "leads out of" in service.describe()["Message"], TOLD, "it is told", 0.2)
        shown = service.describe()
        assert CANARY not in json.dumps(shown)
        assert service.instances() == []
    finally:
        service.delete()


def test_the_same_name_is_refused_while_it_is_told(mounted: Path, eas: PythonSdk) -> None:
    with on_nas(eas, "/nothing") as service:
        told(service, "there is no /nothing")
        refused(
            lambda: eas("CreateAppService", body=app("ill", SPEC)), "InvalidService.Conflict", 409
        )
