"""The things that the diagnosis corpus breaks: programs, weights, buckets, packages."""

import io
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from silent_mount import silent_mount
from stage import Stage

import wheel_index
from nfs_server import NfsServer, nfs_server
from oss_double import OssDouble
from pierhead.cli import main
from tiny_gguf import write_tiny_chatglm_v1, write_tiny_gguf

Json = dict[str, Any]

KEY, SECRET = "AKTEST", "SKTEST"
NAS = "corpus.nas.example.com"
#: The machine that an ELF file is for: one that this is not, whichever this is.
_IBM_S390 = b"\x7fELF\x02\x02\x01" + bytes(9) + b"\x00\x02\x00\x16" + bytes(44)


def verb(stage: Stage, *words: str) -> str:
    """`pierhead ...` on the stage's folder, run in this process; what it says."""
    said, problem = io.StringIO(), io.StringIO()
    argv = ["pierhead", *words, "--data-dir", str(stage.folder)]
    with patch.object(sys, "argv", argv), redirect_stdout(said), redirect_stderr(problem):
        try:
            main.run()
        except SystemExit as end:
            assert not end.code, f"{words}: {problem.getvalue()}"
    return said.getvalue()


# ---- programs ------------------------------------------------------------------------------------


def programs(folder: Path) -> None:
    """Files that cannot be run, each in its own way."""
    folder.mkdir()
    _file(folder / "plain.txt", b"just words\n", 0o644)
    _file(folder / "other-machine", _IBM_S390, 0o755)
    _file(folder / "no-first-line", b"just words\n", 0o755)
    if shutil.which("cc"):
        _linked(folder)


def _file(path: Path, content: bytes, mode: int) -> None:
    path.write_bytes(content)
    path.chmod(mode)


def _linked(folder: Path) -> None:
    """A program whose library has gone."""
    library, program = folder / "libgone.so", folder / "linked.c"
    (folder / "gone.c").write_text("int gone(void) { return 0; }\n")
    program.write_text("int gone(void);\nint main(void) { return gone(); }\n")
    make = ("cc", "-shared", "-fPIC", "-o", str(library), str(folder / "gone.c"))
    subprocess.run(make, check=True)
    link = ("cc", "-o", str(folder / "linked"), str(program), f"-L{folder}", "-lgone")
    subprocess.run(link, check=True)
    library.unlink()


# ---- weights -------------------------------------------------------------------------------------


def weights(folder: Path) -> None:
    """A folder per case, named like it, that holds no right model for llama_7b_fp16."""
    for name in (
        "none",
        "two",
        "format",
        "pickled",
        "garbage",
        "cut",
        "other",
        "part",
        "first_chatglm",
    ):
        (folder / f"weights_{name}").mkdir(parents=True)
    for name in ("one.gguf", "two.gguf"):
        write_tiny_gguf(folder / "weights_two" / name, "llama_7b_fp16")
    (folder / "weights_format" / "model.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}")
    (folder / "weights_pickled" / "pytorch_model.bin").write_bytes(b"\x80\x04N.")
    (folder / "weights_garbage" / "model.gguf").write_bytes(b"this is no model" * 64)
    whole = folder / "weights_two" / "one.gguf"
    (folder / "weights_cut" / "model.gguf").write_bytes(whole.read_bytes()[:600])
    write_tiny_gguf(folder / "weights_other" / "model.gguf", "baichuan_13b_fp16")
    shutil.copy(whole, folder / "weights_part" / "model-00001-of-00002.gguf")
    write_tiny_chatglm_v1(folder / "weights_first_chatglm")


def models(folder: Path) -> None:
    """GGUF files, of which the embedded engine loads one."""
    folder.mkdir()
    write_tiny_gguf(folder / "whole.gguf", "llama_7b_fp16")
    whole = (folder / "whole.gguf").read_bytes()
    (folder / "architecture.gguf").write_bytes(whole.replace(b"llama", b"lxama"))
    (folder / "cut.gguf").write_bytes(whole[: len(whole) // 2])
    (folder / "garbage.gguf").write_bytes(b"this is no model" * 64)


def mounted(name: str) -> Json:
    """A service with the weights in one of these folders."""
    spec = "chatglm_6b_fp16" if name == "weights_first_chatglm" else "llama_7b_fp16"
    nfs = {"server": NAS, "path": f"/{name}"}
    return _of_spec(name, spec, {"nfs": nfs, "mount_path": "/model"})


def _of_spec(name: str, spec: str, entry: Json | None) -> Json:
    found: Json = {
        "metadata": {"name": name, "instance": 1},
        "containers": [{"image": f"pierhead/{spec}"}],
    }
    return found | ({"storage": [entry]} if entry else {})


# ---- stores --------------------------------------------------------------------------------------


_BUCKETS = (
    *("empty", "key", "secret", "forbidden", "private", "busy", "no-config", "two"),
    *("tls", "clock", "damaged", "changed"),
)


@contextmanager
def buckets(stage: Stage, folder: Path) -> Generator[None]:
    """A bucket per case, named like it, and the connections to them, which are wrong in one thing each."""
    root = folder / "oss"
    for name in _BUCKETS:
        bucket = root / f"store-{name}"
        (bucket / "other").mkdir(parents=True)
        write_tiny_gguf(bucket / "other" / "model.gguf", "llama_7b_fp16")
        if name != "empty":
            (bucket / "model").mkdir()
            shutil.copy(bucket / "other" / "model.gguf", bucket / "model" / f"{name}.gguf")
    (root / "store-expired").mkdir()
    shutil.copy(
        root / "store-two" / "model" / "two.gguf", root / "store-two" / "model" / "one.gguf"
    )
    (root / "store-no-config" / "model" / "no-config.gguf").rename(
        root / "store-no-config" / "model" / "model.safetensors"
    )
    with ExitStack() as stack:
        flags = ((), ("--sts", "of today"), ("--ahead", "3600"))
        double, temporary, ahead = (stack.enter_context(OssDouble(root, *each)) for each in flags)
        double.faults(
            {"kind": "status", "value": 403, "times": 10**9, "match": "model/forbidden"},
            {"kind": "status", "value": 503, "times": 10**9, "match": "model/busy"},
            {"kind": "flip", "value": 500, "times": 10**9, "match": "model/damaged"},
            {"kind": "status", "value": 412, "times": 10**9, "match": "model/changed"},
        )
        secret, wrong, token = (folder / part for part in ("secret", "wrong", "token"))
        for file, text in ((secret, SECRET), (wrong, "SKWRONG"), (token, "of yesterday")):
            file.write_text(text)
        if shutil.which("openssl"):
            secure = stack.enter_context(OssDouble(root, "--tls", str(_self_signed(folder))))
            _connect(stage, "tls", secure.url, KEY, secret, "--allow-private")
        _connect(stage, "clock", ahead.url, KEY, secret, "--allow-private")
        fine = ("no-bucket", "empty", "forbidden", "busy", "no-config", "two", "damaged", "changed")
        for name in fine:
            _connect(stage, name, double.url, KEY, secret, "--allow-private")
        _connect(stage, "private", double.url, KEY, secret)
        _connect(stage, "key", double.url, "AKNOBODY", secret, "--allow-private")
        _connect(stage, "secret", double.url, KEY, wrong, "--allow-private")
        sts = ("--security-token-file", str(token), "--allow-private")
        _connect(stage, "expired", temporary.url, KEY, secret, *sts)
        _connect(stage, "closed", "http://127.0.0.1:1", KEY, secret, "--allow-private")
        yield


def weights_for_disk(root: Path) -> None:
    """The bucket of weights that find no room; small as they are, a GiB of the disk stays free."""
    (root / "corpus-disk" / "model").mkdir(parents=True)
    write_tiny_gguf(root / "corpus-disk" / "model" / "model.gguf", "llama_7b_fp16")


def connect_disk(stage: Stage, folder: Path, url: str) -> None:
    """The bucket whose objects find no room."""
    secret = folder / "secret"
    secret.write_text(SECRET)
    where = ("--bucket", "corpus-disk", "--endpoint", url, "--region", "cn-shanghai")
    keys = ("--access-key-id", KEY, "--access-key-secret-file", str(secret), "--allow-private")
    verb(stage, "storage", "add", "oss", "disk", *where, *keys)


def fetched_to_disk(name: str) -> Json:
    """A service with the weights of that bucket."""
    oss = {"path": "oss://corpus-disk/model/"}
    return _of_spec(name, "llama_7b_fp16", {"oss": oss, "mount_path": "/model"})


def _self_signed(folder: Path) -> Path:
    """A certificate of nobody's, with its key."""
    file, words = folder / "own.pem", ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    names = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    make = ("openssl", "req", *words, *names, "-keyout", str(file), "-out", str(folder / "own.crt"))
    subprocess.run(make, check=True, capture_output=True)
    file.write_text(file.read_text() + (folder / "own.crt").read_text())
    return file


def _connect(stage: Stage, name: str, url: str, key: str, secret: Path, *more: str) -> None:
    where = ("--bucket", f"store-{name}", "--endpoint", url, "--region", "cn-shanghai")
    keys = ("--access-key-id", key, "--access-key-secret-file", str(secret))
    verb(stage, "storage", "add", "oss", name, *where, *keys, *more)


def fetched(name: str) -> Json:
    """A service with the weights of one of these buckets."""
    if name == "store_hub":
        return _of_spec(name, "baichuan_7b_fp16", None)
    bucket = name.replace("_", "-")
    oss = {"path": f"oss://{bucket}/model/"}
    return _of_spec(name, "llama_7b_fp16", {"oss": oss, "mount_path": "/model"})


# ---- network file systems -------------------------------------------------------------------------


@contextmanager
def file_systems(stage: Stage, folder: Path) -> Generator[NfsServer]:
    """A connection per case, named like it; the one server that is there is told to hang by whoever calls."""
    with nfs_server(folder / "nfs") as server, silent_mount(folder / "silent") as silent:
        (server.export / "model").mkdir()
        write_tiny_gguf(server.export / "model" / "model.gguf", "llama_7b_fp16")
        for name, where in (
            ("nas_refuses", ("--nfs", "127.0.0.1:/export,port=1")),
            ("nas_no_export", ("--nfs", server.address)),
            ("nas_hangs", ("--nfs", server.address)),
            ("mount_hangs", ("--local-path", str(silent))),
        ):
            target = ("--mount-target", _target(name))
            verb(stage, "storage", "add", "nas", name.replace("_", "-"), *target, *where)
        yield server


def _target(name: str) -> str:
    return f"{name.replace('_', '-')}.nas.example.com"


def shared(name: str) -> Json:
    """A service with the weights of one of these file systems."""
    path = "/nowhere" if name == "nas_no_export" else "/model"
    nfs = {"server": _target(name), "path": path}
    return _of_spec(name, "llama_7b_fp16", {"nfs": nfs, "mount_path": "/model"})


# ---- templates -----------------------------------------------------------------------------------

RUN = "python3 -m http.server {port}"


@contextmanager
def templates(stage: Stage, folder: Path) -> Generator[None]:
    """A template per case, named like it, that cannot be deployed; and each of them deployed."""
    made = wheel_index.wheel("corpus_one", "1.0", "WORD = 1\n")
    with wheel_index.serving({"corpus-one": made}) as index:
        environments = {
            "no_package": f"requirements_txt: no_such_thing_at_all==9.9\n  index_url: {index.url}",
            "conflict": f"requirements_txt: |\n    corpus_one==1.0\n    corpus_one==2.0\n  index_url: {index.url}",
            "no_python": f"requirements_txt: corpus_one\n  index_url: {index.url}",
            "no_index": "requirements_txt: corpus_one\n  index_url: http://127.0.0.1:1/simple",
        }
        for name, python in environments.items():
            more = ("--python", "3.4") if name == "no_python" else ()
            template(stage, folder, name, f"python:\n  {python}\n", "--start-command", RUN, *more)
            verb(stage, "templates", "deploy", name, "--name", name)
        template(stage, folder, "nothing_to_run", "")
        verb(stage, "templates", "deploy", "nothing_to_run", "--name", "nothing_to_run")
        template(stage, folder, "ill", "", "--start-command", "sh -c 'exit 3'")
        verb(stage, "templates", "deploy", "ill", "--name", "ill")
        verb(stage, "templates", "deploy", "ill", "--name", "dependency", "--needs", "ill")
        yield


def template(stage: Stage, folder: Path, name: str, yaml: str, *words: str) -> None:
    """Register a template."""
    file = folder / f"{name}.yaml"
    file.write_text(yaml)
    more = ("--yaml", str(file)) if yaml else ()
    verb(stage, "templates", "add", "--name", name, *more, *words)
