"""Conversions: right to the bit, made once, whole or not there whoever is killed, and told meanwhile."""

import asyncio
import ctypes
import hashlib
import importlib.util
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import gguf
import numpy as np
import psutil
import pytest
from gguf import GGMLQuantizationType as Type
from test_llama_cpp import QUESTION, serving
from typer.testing import CliRunner

from builders import BOX, FakeClock, a_service, a_template, a_version
from demo_weights import demo_model
from pierhead.cli.cache import CacheDamaged
from pierhead.cli.main import app
from pierhead.core.errors import InUse
from pierhead.core.launch import Files
from pierhead.core.mounts import FolderSource, NasSource, PackageSource
from pierhead.core.services import Hold, Version
from pierhead.core.specs import BUILT_IN
from pierhead.settings import Settings
from pierhead.sources import conversion, requantize
from pierhead.sources.conversion import MODEL
from pierhead.sources.conversion_plan import Kind, plan
from pierhead.sources.conversions import FORSAKEN, RETRY_AFTER, Conversions
from pierhead.sources.gguf_header import gguf_header
from pierhead.sources.header_window import BadHeader
from pierhead.sources.programs import Programs
from pierhead.sources.snapshots import CONVERTED, Snapshots
from pierhead.store import db, schema, services
from store_world import Memory, never, nobody, options
from tiny_gguf import SHAPES, write_tiny_gguf

TESTS = Path(__file__).parent.parent
PATIENCE = 180.0
ANSWER = "The capital of France is Paris."
SEED = 20260727
KILLS = 40 if os.environ.get("PIERHEAD_KILLS_DEEP") else 20


# ---- what is used by several tests ---------------------------------------------------------------


class Stage:
    """Conversions with a clock of their own, and a count of how often they woke the reconciler."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        self.clock = FakeClock()
        self.woken = asyncio.Event()
        self.room: list[int] = []  # bytes that others were asked to make room for
        self.conversions = Conversions(cache, self.clock, self.woken.set, self.room.append)
        self.snapshots = Snapshots(
            cache / "remote", self.clock, options(), converted=cache / CONVERTED
        )

    def hold(self, model: Path, kind: Literal["f16", "q8_0"] = "q8_0") -> Hold:
        found = self.conversions.ensure(files(model), kind)
        assert isinstance(found, Hold), found
        return found

    async def wake(self) -> None:
        await asyncio.wait_for(self.woken.wait(), PATIENCE)
        self.woken.clear()

    async def made(self, model: Path, kind: Kind = "q8_0") -> Path:
        """The converted model's file."""
        while isinstance(found := self.conversions.ensure(files(model), kind), Hold):
            assert found.reason == "ConvertingWeights", found
            await self.wake()
        assert found.format == "gguf"
        assert Path(found.folder).parent == self.cache / CONVERTED
        return Path(found.model)


def files(model: Path) -> Files:
    return Files(str(model.parent), str(model), model.stat().st_size, "gguf", env={"A": "1"})


def converted(model: Path, kind: Kind, cache: Path) -> Path:
    async def go() -> Path:
        return await Stage(cache).made(model, kind)

    made = asyncio.run(go())
    assert made.stat().st_mode & 0o777 == 0o444
    return made


def sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def left_behind(cache: Path) -> set[str]:
    return {
        file.relative_to(cache / CONVERTED).as_posix().partition("/")[2] or file.suffix
        for file in (cache / CONVERTED).rglob("*")
        if file.is_file()
    }


def write_gguf(
    path: Path, tensors: dict[str, tuple[Any, Type]], facts: dict[str, int] | None = None
) -> Path:
    """A GGUF file that no engine would load: these tensors, as numpy arrays that are packed already."""
    writer = gguf.GGUFWriter(path, "llama")
    for key, value in (facts or {}).items():
        writer.add_uint32(key, value)
    for name, (values, type_) in tensors.items():
        writer.add_tensor(name, values, raw_dtype=type_)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def noise(*sizes: int, seed: int = 0) -> Any:
    return (np.random.default_rng(seed).standard_normal(sizes) * 0.05).astype(np.float32)


def read_tensors(path: Path) -> dict[str, tuple[str, bytes]]:
    reader = gguf.GGUFReader(path)
    return {each.name: (each.tensor_type.name, each.data.tobytes()) for each in reader.tensors}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 MiB of F16, which take long enough to be killed amid them."""
    values = {
        f"blk.{number}.ffn_up.weight": (noise(2048, 2048, seed=number).astype(np.float16), Type.F16)
        for number in range(8)
    }
    return write_gguf(tmp_path_factory.mktemp("large") / "large.gguf", values)


@pytest.fixture(scope="module")
def expected(large: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The sha256 of `large` as Q8_0."""
    out = tmp_path_factory.mktemp("expected") / "out.gguf"
    said = requantize.requantize("q8_0", [large], out)
    assert sha256(out) == said
    return said


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for the demo model's conversions, of which each takes seconds."""
    return tmp_path_factory.mktemp("shared")


# ---- real engines load it -------------------------------------------------------------------------


@pytest.mark.parametrize("way", [("f16",), ("q8_0",), ("f16", "q8_0")], ids="-".join)
def test_the_demo_model_answers_as_before(
    tmp_path: Path, shared: Path, way: tuple[Kind, ...]
) -> None:
    model = demo_model()
    for kind in way:
        model = converted(model, kind, shared)
    with serving(model, tmp_path / "log") as replica:
        assert replica.chat() == ANSWER, QUESTION
    assert gguf_header(model)["general.file_type"] == {"f16": 1, "q8_0": 7}[way[-1]]


@pytest.mark.parametrize("form", ["f16", "q8_0"])
def test_it_makes_what_the_demo_specs_have_always_had(
    shared: Path, form: Literal["f16", "q8_0"]
) -> None:
    """Their files in existing data folders are still those that a conversion gives today."""
    assert sha256(converted(demo_model(), form, shared)) == sha256(demo_model(form))


@pytest.mark.parametrize("family", sorted(SHAPES))
def test_every_family_is_loaded_after_its_conversion(tmp_path: Path, family: str) -> None:
    model = tmp_path / "m.gguf"
    write_tiny_gguf(model, f"{family}_fp16")
    made = converted(model, "q8_0", tmp_path / "cache")
    assert {kind for kind, _ in read_tensors(made).values()} == {"Q8_0", "F32"}
    with serving(made, tmp_path / "log") as replica:
        assert isinstance(replica.chat(max_tokens=4), str)


# ---- right to the bit -----------------------------------------------------------------------------


def ggml() -> ctypes.CDLL:
    """llama.cpp's own arithmetic, out of the embedded engine."""
    spec = importlib.util.find_spec("xllamacpp.xllamacpp")
    assert spec is not None
    assert spec.origin is not None
    return ctypes.CDLL(spec.origin)


def by_ggml(function: str, values: bytes, count: int, size: int) -> bytes:
    out = ctypes.create_string_buffer(size)
    call = getattr(ggml(), function)
    call.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int64]
    call(values, out, count)
    return out.raw


ROW, ROWS = 2048, 700  # more than is in memory at a time


@pytest.mark.parametrize("original", ["F32", "F16", "BF16"])
def test_q8_0_is_what_llama_cpp_makes_of_it(tmp_path: Path, original: str) -> None:
    values = noise(ROWS, ROW)
    packed = gguf.quants.quantize(values, Type[original])
    model = write_gguf(tmp_path / "m.gguf", {"output.weight": (packed, Type[original])})
    out = tmp_path / "out.gguf"
    requantize.requantize("q8_0", [model], out)
    numbers = gguf.quants.dequantize(packed, Type[original]).astype(np.float32)
    count = ROWS * ROW
    wanted = by_ggml("quantize_row_q8_0_ref", numbers.tobytes(), count, count // 32 * 34)
    assert read_tensors(out)["output.weight"] == ("Q8_0", wanted)


@pytest.mark.parametrize("original", ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q6_K"])
def test_f16_is_what_llama_cpp_reads_in_it(tmp_path: Path, original: str) -> None:
    _block, size = gguf.GGML_QUANT_SIZES[Type[original]]
    count = 256 * 600
    raw = np.random.default_rng(SEED).integers(0, 60, (600, 256 // _block * size), np.uint8)
    model = write_gguf(tmp_path / "m.gguf", {"output.weight": (raw, Type[original])})
    out = tmp_path / "out.gguf"
    requantize.requantize("f16", [model], out)
    single = by_ggml(f"dequantize_row_{original.lower().replace('_k', '_K')}", raw.tobytes(), count, 4 * count)  # fmt: skip
    wanted = by_ggml("ggml_fp32_to_fp16_row", single, count, 2 * count)
    assert read_tensors(out)["output.weight"] == ("F16", wanted)


def test_what_llama_cpp_wants_as_it_is_stays_so_to_the_byte(tmp_path: Path) -> None:
    kept = {
        "output_norm.weight": (noise(64), Type.F32),
        "blk.0.attn_q.bias": (noise(64, seed=1).astype(np.float16), Type.F16),
        "blk.0.ffn_gate_inp.weight": (noise(8, 64, seed=2), Type.F32),
        "blk.0.ssm_conv1d.weight": (noise(64, 4, seed=3), Type.F32),
        "blk.0.attn_k_norm.weight": (noise(4, 64, seed=4), Type.F32),
        "token_types.weight": (noise(2, 64, seed=5), Type.F32),
        "rope_freqs.weight": (noise(1, 32, seed=6), Type.F32),
        "blk.0.tid2eid.weight": (np.arange(64, dtype=np.int32).reshape(2, 32), Type.I32),
        "blk.0.attn_k.weight": (gguf.quants.quantize(noise(4, 64, seed=7), Type.Q8_0), Type.Q8_0),
    }
    changed = {
        "token_embd.weight": (noise(100, 64, seed=8), Type.F32),
        "blk.0.attn_v.weight": (noise(4, 40, seed=9), Type.F32),
        "blk.0.ffn_up_exps.weight": (noise(3, 4, 64, seed=10), Type.F32),
    }
    model = write_gguf(tmp_path / "m.gguf", kept | changed)
    requantize.requantize("q8_0", [model], tmp_path / "out.gguf")
    before, after = read_tensors(model), read_tensors(tmp_path / "out.gguf")
    assert list(after) == list(before)
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    assert {name: after[name][0] for name in changed} == {
        "token_embd.weight": "Q8_0",
        "blk.0.attn_v.weight": "F16",  # its rows cannot be cut into blocks of 32
        "blk.0.ffn_up_exps.weight": "Q8_0",
    }


def test_the_key_values_stay_and_say_what_it_is_now(tmp_path: Path) -> None:
    model = tiny(tmp_path, "llama_7b_int8")
    requantize.requantize("f16", [model], tmp_path / "out.gguf")
    before, after = gguf.GGUFReader(model).fields, gguf.GGUFReader(tmp_path / "out.gguf").fields
    own = {"general.file_type", "general.quantization_version"}
    names = {name for name in before if not name.startswith("GGUF.")} - own
    assert {name for name in after if not name.startswith("GGUF.")} == names | own
    assert all(after[name].contents() == before[name].contents() for name in names)
    assert after["general.quantization_version"].contents() == 2


@pytest.mark.parametrize(
    ("kind", "value"), [("f16", 1e6), ("q8_0", 1e8), ("q8_0", float("nan")), ("f16", float("inf"))]
)
def test_numbers_that_do_not_fit_are_refused_not_broken(
    tmp_path: Path, kind: Kind, value: float
) -> None:
    values = noise(4, 64)
    values[2, 5] = value
    model = write_gguf(tmp_path / "m.gguf", {"output.weight": (values, Type.F32)})
    with pytest.raises(requantize.Refused, match=r"'output\.weight' holds numbers that are too"):
        requantize.requantize(kind, [model], tmp_path / "out.gguf")


def test_a_matrix_of_any_size_takes_little_memory(tmp_path: Path) -> None:
    """One matrix, one row, 256 MiB: neither it nor a row of it may be in memory as a whole."""
    model = write_gguf(tmp_path / "m.gguf", {"a.weight": (np.zeros((2, 32), np.float16), Type.F16)})
    raw = bytearray(model.read_bytes()[:-128])
    at = raw.index(struct.pack("<2Q", 32, 2))
    raw[at : at + 16] = struct.pack("<2Q", 64 << 20, 2)
    model.write_bytes(raw)
    os.truncate(model, len(raw) + (256 << 20))
    command = [sys.executable, "-c", PEAK, "q8_0", str(model), str(tmp_path / "out.gguf")]
    said = subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT)
    assert (tmp_path / "out.gguf").stat().st_size > (128 << 20)
    assert int(said.stdout.split()[-1]) < 120 * 1024, "KiB"


PEAK = """
import sys
from pathlib import Path
from pierhead.sources import requantize
assert requantize.main(sys.argv[1:]) == 0
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


# ---- split models ---------------------------------------------------------------------------------


def split(model: Path, folder: Path, count: int = 3) -> Path:
    """The parts of a model, as llama.cpp writes them: key-values in the first, tensors in all."""
    folder.mkdir()
    reader = gguf.GGUFReader(model)
    for number in range(count):
        path = folder / f"big-{number + 1:05d}-of-{count:05d}.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        for key, field in reader.fields.items() if number == 0 else ():
            if not key.startswith("GGUF.") and key != "general.architecture":
                inner = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
                writer.add_key_value(key, field.contents(), field.types[0], inner)
        writer.add_uint16("split.no", number)
        writer.add_uint16("split.count", count)
        writer.add_int32("split.tensors.count", len(reader.tensors))
        for tensor in reader.tensors[number::count]:
            writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return folder / f"big-00001-of-{count:05d}.gguf"


def test_a_split_model_becomes_one_file_that_answers(tmp_path: Path, shared: Path) -> None:
    first = split(demo_model(), tmp_path / "parts")
    made = converted(first, "q8_0", tmp_path / "cache")
    whole = converted(demo_model(), "q8_0", shared)
    assert not any(key.startswith("split.") for key in gguf_header(made))
    assert read_tensors(made) == read_tensors(whole)
    about = json.loads((made.parent / "about.json").read_text())
    assert [Path(part).name for part in about["origin"]] == [
        f"big-{number:05d}-of-00003.gguf" for number in (1, 2, 3)
    ]
    with serving(made, tmp_path / "log") as replica:
        assert replica.chat() == ANSWER


def test_parts_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    first = split(tiny(tmp_path), tmp_path / "parts")
    second = first.with_name("big-00002-of-00003.gguf")
    third = first.with_name("big-00003-of-00003.gguf")
    with pytest.raises(BadHeader, match="is a part of 3, and there are 1"):
        plan("f16", [first])
    shutil.copy(second, third)
    with pytest.raises(BadHeader, match="twice"):
        plan("f16", [first, second, third])


def test_any_part_that_changes_makes_a_new_conversion(tmp_path: Path) -> None:
    first = split(tiny(tmp_path), tmp_path / "parts")
    made = converted(first, "f16", tmp_path / "cache")
    last = first.with_name("big-00003-of-00003.gguf")
    os.utime(last, ns=(1, 1))
    assert converted(first, "f16", tmp_path / "cache") != made


# ---- what a service is told -----------------------------------------------------------------------


def tiny(folder: Path, spec: str = "llama_7b_fp16") -> Path:
    model = folder / f"{spec}.gguf"
    write_tiny_gguf(model, spec)
    return model


def test_first_a_hold_then_after_the_wake_up_the_files(tmp_path: Path) -> None:
    async def go() -> None:
        stage, model = Stage(tmp_path / "cache"), demo_model()
        hold = stage.hold(model, "f16")
        assert (hold.reason, hold.permanent, hold.progressing) == ("ConvertingWeights", False, True)
        assert hold.message == "Converting to F16 (model.gguf): it begins."
        seen: set[str] = set()
        # It may be there a moment before the wake-up.
        while isinstance(now := stage.conversions.ensure(files(model), "f16"), Hold):
            seen.add(now.message)
            await asyncio.sleep(0.02)
        await asyncio.wait_for(stage.woken.wait(), PATIENCE)
        told = [message for message in seen if " %" in message]
        assert told
        figures = r"\d+ %, [\d.]+ (MiB|KiB|B) of 258\.3 MiB(, \d+ s left)?\."
        note = "what 4 bits lost does not come back"
        for message in told:
            assert_matches(rf"Converting to F16 \(model\.gguf, Q4_1 -> F16, {note}\): {figures}", message)  # fmt: skip
        found = stage.conversions.ensure(files(model), "f16")
        assert isinstance(found, Files)
        assert found.env == {"A": "1"}
        assert stage.room == [found.bytes]
        about = json.loads((Path(found.folder) / "about.json").read_bytes())
        assert about["origin"] == [str(model)]
        assert (about["kind"], about["original_type"]) == ("f16", "Q4_1")
        assert about["note"] == f"{note.capitalize()}."
        assert (about["original_bytes"], about["bytes"]) == (model.stat().st_size, found.bytes)
        assert about["manifest"][0]["etag"] == sha256(Path(found.model))

    asyncio.run(go())


def assert_matches(pattern: str, text: str) -> None:
    with pytest.raises(AssertionError, match=f"^{pattern}$"):
        raise AssertionError(text)


def test_questions_never_wait_and_all_share_one_conversion(tmp_path: Path, large: Path) -> None:
    async def go() -> None:
        stage = Stage(tmp_path / "cache")
        began = time.monotonic()
        for _ in range(20):
            assert stage.hold(large).reason == "ConvertingWeights"
        assert time.monotonic() - began < 1.5, "most of it is the look's thread"
        await stage.wake()
        first = stage.conversions.ensure(files(large), "q8_0")
        assert isinstance(first, Files)
        assert first == stage.conversions.ensure(files(large), "q8_0")
        assert not stage.woken.is_set()
        assert len(list((tmp_path / "cache" / CONVERTED).glob("*/READY"))) == 1

    asyncio.run(go())


def test_both_kinds_of_one_model_live_side_by_side(tmp_path: Path) -> None:
    model = tiny(tmp_path)
    made = {converted(model, kind, tmp_path / "cache") for kind in ("f16", "q8_0")}
    assert len(made) == 2


def test_a_changed_original_is_converted_anew_and_the_old_one_let_go(tmp_path: Path) -> None:
    async def go() -> None:
        stage, model = Stage(tmp_path / "cache"), tiny(tmp_path)
        old = await stage.made(model)
        assert await stage.made(model) == old
        os.utime(model, ns=(1, 1))
        new = await stage.made(model)
        assert new != old
        assert [each.folder for each in stage.snapshots.prune(0)] == [old.parent]
        assert new.exists()

    asyncio.run(go())


def test_an_original_that_changes_meanwhile_gives_no_snapshot(tmp_path: Path, large: Path) -> None:
    async def go() -> None:
        stage, model = Stage(tmp_path / "cache"), tmp_path / "m.gguf"
        shutil.copy(large, model)
        stage.hold(model)
        await until(lambda: "%" in stage.hold(model).message)
        with model.open("r+b") as out:
            out.seek(-1, os.SEEK_END)
            out.write(b"x")
        await stage.wake()
        assert not list((tmp_path / "cache" / CONVERTED).glob("*/READY"))
        assert await stage.made(model)  # of the new content, at once

    asyncio.run(go())


def test_a_file_that_the_cache_names_by_content_is_known_wherever_it_is_fetched_anew(
    tmp_path: Path,
) -> None:
    async def go() -> None:
        stage = Stage(tmp_path)
        content = tiny(tmp_path).read_bytes()
        remote = Memory({"model.gguf": content})
        fetched = stage.snapshots.fetch(remote, nobody, never)
        stage.snapshots.use(fetched, "oss://bucket/llama/")
        made = await stage.made(fetched.files / "model.gguf")
        (snapshot,) = (each for each in stage.snapshots.all() if each.converted)
        assert snapshot.users == ("oss://bucket/llama/",), "who keeps the original"
        assert snapshot.name == "memory://test/model.gguf as Q8_0"
        stage.snapshots.remove(fetched, even_used=True)
        again = stage.snapshots.fetch(remote, nobody, never)
        stage.snapshots.use(again, "oss://bucket/llama/")
        found = stage.conversions.ensure(files(again.files / "model.gguf"), "q8_0")
        assert isinstance(found, Files)
        assert found.model == str(made)

    asyncio.run(go())


# ---- failures -------------------------------------------------------------------------------------


def test_without_numpy_and_gguf_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def go() -> None:
        stage, model = Stage(tmp_path / "cache"), tiny(tmp_path)
        found = conversion.find_spec
        with monkeypatch.context() as patch:
            patch.setattr(
                conversion, "find_spec", lambda name: None if name == "numpy" else found(name)
            )
            stage.hold(model)
            await stage.wake()
            hold = stage.hold(model)
        assert (hold.reason, hold.permanent) == ("ConversionFailed", True)
        assert "pip install 'pierhead[convert]'" in hold.message
        assert stage.hold(model) == hold
        stage.clock.advance(RETRY_AFTER)
        assert await stage.made(model), "it was installed meanwhile"

    asyncio.run(go())


def unknown_type(path: Path) -> Path:
    """A matrix of a type that llama.cpp knows and nothing here can read."""
    values = np.zeros((8, 32), np.uint16)
    write_gguf(path, {"output.weight": (values.view(np.float16), Type.F16)})
    raw = path.read_bytes()
    at = raw.index(struct.pack("<2QI", 32, 8, 1)) + 16
    # Q1_0 is 18 bytes for 128 numbers: fewer than there are.
    path.write_bytes(raw[: at - 16] + struct.pack("<2QI", 128, 2, 41) + raw[at + 4 :])
    return path


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (unknown_type, "Tensors of the type Q1_0 cannot be converted"),
        (lambda path: path.write_bytes(b"no model" * 100) and path, "is no GGUF file"),
        (lambda path: path.write_bytes(demo_model().read_bytes()[:2_000_000]) and path, "cannot be true"),
    ],
    ids=["type", "garbage", "truncated"],
)  # fmt: skip
def test_what_can_never_work_is_said_once_and_for_all(
    tmp_path: Path, make: Callable[[Path], Path], text: str
) -> None:
    async def go() -> None:
        stage, model = Stage(tmp_path / "cache"), make(tmp_path / "m.gguf")
        stage.hold(model)
        await stage.wake()
        hold = stage.hold(model)
        assert (hold.reason, hold.permanent) == ("ConversionFailed", True)
        assert text in hold.message
        assert hold.message.startswith("m.gguf cannot be converted to Q8_0: ")
        stage.clock.advance(10 * RETRY_AFTER)
        assert stage.hold(model) == hold
        assert not list((tmp_path / "cache").rglob("model.gguf*"))
        write_tiny_gguf(model, "llama_7b_fp16")
        assert await stage.made(model), "another file is another matter"

    asyncio.run(go())


def test_an_original_that_is_gone_is_a_hold(tmp_path: Path) -> None:
    async def go() -> None:
        stage = Stage(tmp_path / "cache")
        found = stage.conversions.ensure(Files("/no", "/no/model.gguf", 1, "gguf"), "f16")
        assert isinstance(found, Hold)
        assert found.reason == "ConversionFailed"
        assert "/no/model.gguf: No such file" in found.message

    asyncio.run(go())


def test_closing_ends_the_child(tmp_path: Path, large: Path) -> None:
    async def go() -> None:
        stage = Stage(tmp_path / "cache")
        stage.hold(large)
        pid = await child_of(stage)
        stage.conversions.close()
        await until(lambda: not alive(pid))
        assert not list((tmp_path / "cache").rglob("READY"))

    asyncio.run(go())


def test_what_nobody_waits_for_any_more_ends_and_leaves_no_weights(
    tmp_path: Path, large: Path
) -> None:
    async def go() -> None:
        stage = Stage(tmp_path / "cache")
        stage.hold(large)
        pid = await child_of(stage)
        stage.clock.now += FORSAKEN / 2
        stage.hold(large)
        stage.clock.now += FORSAKEN / 2 + 1
        assert alive(pid), "somebody asked for it since"
        stage.clock.now += FORSAKEN / 2
        await stage.wake()
        assert not alive(pid)
        assert not any(file.startswith(MODEL) for file in left_behind(stage.cache))
        await stage.made(large)  # as if it had never begun

    asyncio.run(go())


async def child_of(stage: Stage) -> int:
    works = stage.conversions._works  # pyright: ignore[reportPrivateUsage]
    (work,) = works.values()
    await until(lambda: work.programs.pids)
    return work.programs.pids[0]


async def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


# ---- a disk that is full --------------------------------------------------------------------------


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """A file system of that size, which can be made another."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"NO FULL DISK WAS TESTED: tmpfs cannot be mounted here: {done.stderr.strip()}")

    def resize(other: str) -> None:
        subprocess.run(
            ["mount", "-o", f"remount,size={other}", str(folder)], check=True, capture_output=True
        )

    try:
        yield resize
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True, capture_output=True)


def test_a_disk_that_is_too_small_is_told_with_both_numbers(tmp_path: Path, large: Path) -> None:
    async def go() -> None:
        with small_disk(tmp_path / "disk", "100m") as resize:
            stage = Stage(tmp_path / "disk" / "cache")
            stage.hold(large)
            await stage.wake()
            hold = stage.hold(large)
            assert (hold.reason, hold.permanent) == ("ConversionFailed", False)
            assert "MiB free, 290.0 MiB are needed" in hold.message
            assert "tried again every 15 seconds" in hold.message
            resize("400m")
            stage.clock.advance(RETRY_AFTER)
            assert await stage.made(large)

    asyncio.run(go())


def test_a_disk_that_fills_up_meanwhile_leaves_nothing_and_is_tried_again(
    tmp_path: Path, large: Path, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def go() -> None:
        with small_disk(tmp_path / "disk", "12m") as resize:
            stage = Stage(tmp_path / "disk" / "cache")
            with monkeypatch.context() as patch:
                patch.setattr(conversion.cache, "need_room", lambda *_: None)
                stage.hold(large)
                await stage.wake()
                hold = stage.hold(large)
            assert (hold.reason, hold.permanent) == ("ConversionFailed", False)
            assert "No space left on device" in hold.message
            assert not list((tmp_path / "disk").rglob("model.gguf*"))
            resize("400m")
            stage.clock.advance(RETRY_AFTER)
            assert sha256(await stage.made(large)) == expected

    asyncio.run(go())


# ---- killed, and two at once ----------------------------------------------------------------------

REQUANTIZE = [sys.executable, "-m", "pierhead.sources.requantize"]
PATHS = os.pathsep.join([str(TESTS), str(TESTS / "contract"), str(TESTS.parent / "src")])
ENVIRONMENT = {**os.environ, "PYTHONPATH": PATHS}
CONVERT = """
import asyncio, sys, time
from pathlib import Path
from pierhead.core.launch import Files
from pierhead.sources.conversions import Conversions
async def go():
    woken = asyncio.Event()
    conversions = Conversions(Path(sys.argv[2]), time.time, woken.set)
    files = Files("", sys.argv[1], 0, "gguf")
    conversions.ensure(files, "q8_0")
    print("begun", flush=True)
    await woken.wait()
    print(conversions.ensure(files, "q8_0").model)
asyncio.run(go())
"""


def converting(model: Path, cache: Path, cut: str = "") -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", CONVERT, str(model), str(cache)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, "PIERHEAD_FAILPOINT": cut},
    )


def never_wrong(cache: Path, expected: str) -> bool:
    """Law: under its final name is the right content, or nothing; gives whether it is there."""
    ready = list((cache / CONVERTED).glob("*/READY"))
    for model in (cache / CONVERTED).glob("*/model.gguf"):
        assert sha256(model) == expected
    assert all((mark.parent / MODEL).exists() for mark in ready)
    return bool(ready)


def test_whoever_is_killed_there_is_never_a_wrong_file(
    tmp_path: Path, large: Path, expected: str
) -> None:
    """Time and again the whole process, at random moments of what one takes from its first file on."""
    cache, chance = tmp_path / "cache", random.Random(SEED)
    with converting(large, cache) as child:
        began = begun(child)
        child.wait(PATIENCE)
    span = time.monotonic() - began
    halves = 0
    for _ in range(KILLS):
        shutil.rmtree(cache / CONVERTED) if never_wrong(cache, expected) else None
        with converting(large, cache) as child:
            begun(child)
            with suppress(subprocess.TimeoutExpired):
                child.wait(chance.uniform(0, span))
            child.kill()
        halves += any((cache / CONVERTED).glob("*/*.part"))
        never_wrong(cache, expected)
    assert halves >= 3, "the test is worth something only if it was amid its work"
    made = converted(large, "q8_0", cache)
    assert sha256(made) == expected
    assert left_behind(cache) >= {"model.gguf", "READY", "about.json", "began"}
    assert not list(cache.rglob("*.part"))


def test_one_that_dies_before_it_says_that_it_is_whole_is_begun_anew(
    tmp_path: Path, large: Path, expected: str
) -> None:
    """Law: what is not called whole is used by nobody, though all of it may be there."""
    cache = tmp_path / "cache"
    with converting(large, cache, "conversion.before_ready:kill") as child:
        assert child.wait(PATIENCE) == -signal.SIGKILL
    assert not never_wrong(cache, expected)
    assert sha256(converted(large, "q8_0", cache)) == expected


def begun(child: "subprocess.Popen[str]") -> float:
    """When its conversion began."""
    assert child.stdout is not None
    assert child.stdout.readline() == "begun\n"
    return time.monotonic()


def test_a_child_that_is_killed_is_told_and_begun_anew(
    tmp_path: Path, large: Path, expected: str
) -> None:
    """20 times, at random moments of its life."""

    async def go() -> None:
        stage, chance = Stage(tmp_path / "cache"), random.Random(SEED)
        began = time.monotonic()
        await stage.made(large)
        span = time.monotonic() - began
        shutil.rmtree(stage.cache / CONVERTED)
        killed = 0
        for _ in range(20):
            stage.hold(large)
            pid = await child_of(stage)
            await asyncio.sleep(chance.uniform(0, span))
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            await stage.wake()
            if never_wrong(stage.cache, expected):
                shutil.rmtree(stage.cache / CONVERTED)
                continue
            hold = stage.hold(large)
            assert (hold.reason, hold.permanent) == ("ConversionFailed", False)
            assert not list((stage.cache / CONVERTED).rglob("model.gguf*"))
            stage.clock.advance(RETRY_AFTER)
            killed += 1
        assert killed >= 10
        assert sha256(await stage.made(large)) == expected

    asyncio.run(go())


def test_two_processes_convert_once(tmp_path: Path, large: Path, expected: str) -> None:
    cache = tmp_path / "cache"
    with converting(large, cache) as first, converting(large, cache) as second:
        inodes: set[int] = set()
        while first.poll() is None or second.poll() is None:
            for part in cache.rglob("*.part"):
                with suppress(FileNotFoundError):
                    if part.name == "model.gguf.part":
                        inodes.add(part.stat().st_ino)
            time.sleep(0.005)
        answers = {child.communicate(timeout=PATIENCE)[0].split()[-1] for child in (first, second)}
    assert len(inodes) == 1
    (made,) = answers
    assert sha256(Path(made)) == expected


def test_the_child_does_not_outlive_its_parent(tmp_path: Path, large: Path) -> None:
    with converting(large, tmp_path / "cache") as parent:
        begun(parent)
        while not (children := psutil.Process(parent.pid).children()):
            time.sleep(0.005)
        parent.kill()
    deadline = time.monotonic() + 10
    while any(alive(child.pid) for child in children):
        assert time.monotonic() < deadline
        time.sleep(0.01)


# ---- hostile files --------------------------------------------------------------------------------


def spoilt(raw: bytes, chance: random.Random) -> bytes:
    """With a few bytes of the header changed, or cut somewhere."""
    content = bytearray(raw)
    for _ in range(chance.randint(1, 4)):
        at = chance.choice([chance.randrange(4, 64), chance.randrange(len(raw))])
        value = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        content[at : at + chance.choice([1, 1, 4, 8])] = bytes([value]) * chance.choice([1, 1, 4, 8])  # fmt: skip
    if chance.random() < 0.2:
        del content[chance.randrange(len(content)) :]
    return bytes(content)


def test_no_header_does_harm(tmp_path: Path) -> None:
    """400 spoilt files: each is refused in one sentence, or its result is a file that reads well."""
    raw = tiny(tmp_path).read_bytes()
    model, out = tmp_path / "spoilt.gguf", tmp_path / "out.gguf"
    chance, refused, done = random.Random(SEED), 0, 0
    head = raw.index(b"token_embd.weight")
    for _ in range(400):
        model.write_bytes(spoilt(raw[: head + 2000], chance) + raw[head + 2000 :])
        kind: Kind = chance.choice(["f16", "q8_0"])
        try:
            requantize.requantize(kind, [model], out)
        except (BadHeader, requantize.Refused) as problem:
            refused += 1
            assert len(str(problem)) < 500
            assert "\n" not in str(problem)
        else:
            done += 1
            again = plan(kind, [out])
            assert again.total == out.stat().st_size
            assert all(piece.type == piece.tensor.type for piece in again.pieces)
    assert refused > 50
    assert done > 5


def test_the_program_refuses_garbage_in_one_line(tmp_path: Path) -> None:
    cases = {
        b"": "is empty",
        b"no model": "is no GGUF file",
        b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1): "names 1 entries and 1152921504606846976",
        b"GGUF" + struct.pack("<IQQ", 9, 1, 1): "version 9",
        b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, 1 << 63): "cannot be true",
        b"GGUF" + struct.pack("<IQQ", 3, 0, 0) + b"\0" * 40: "does not say what model it is",
    }
    for content, text in cases.items():
        (tmp_path / "m.gguf").write_bytes(content)
        done = subprocess.run(
            [*REQUANTIZE, "f16", str(tmp_path / "m.gguf"), str(tmp_path / "out")],
            capture_output=True,
            text=True,
            check=False,
            env=ENVIRONMENT,
        )
        assert (done.returncode, done.stderr) == (3, "")
        assert text in done.stdout
        assert done.stdout.count("\n") == 1
    missing = subprocess.run(
        [*REQUANTIZE, "f16", "/no/such", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
        env=ENVIRONMENT,
    )
    assert (missing.returncode, missing.stdout) == (1, "/no/such: No such file or directory\n")


# ---- care -----------------------------------------------------------------------------------------


def cli(folder: Path, *words: str) -> str:
    done = CliRunner().invoke(app, ["cache", *words, "--data-dir", str(folder)])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a platform of this test's own."""
    monkeypatch.delenv("PIERHEAD_CACHE_DIR", raising=False)
    settings = Settings.load({"data_dir": tmp_path}, {})
    schema.migrate(settings.database)
    return settings


def test_conversions_are_listed_checked_and_mended(tmp_path: Path, home: Settings) -> None:
    model = tiny(tmp_path)
    made = converted(model, "q8_0", home.cache_dir)
    (row,) = json.loads(cli(tmp_path, "ls", "--json"))
    assert row["snapshot"] == f"{CONVERTED}/{made.parent.name}"
    assert row["name"] == f"{model} as Q8_0"
    assert (row["bytes"], row["whole"]) == (made.stat().st_size, True)
    assert row["kept_for"] == [], "no service names it"
    assert row["folder"] == str(made.parent)
    assert row["snapshot"] in cli(tmp_path, "ls")
    assert "is whole" in cli(tmp_path, "verify")
    content = bytearray(made.read_bytes())
    content[-100] ^= 1
    made.chmod(0o644)
    made.write_bytes(content)
    with pytest.raises(CacheDamaged, match="cache repair"):
        cli(tmp_path, "verify", row["snapshot"])
    assert "model.gguf: has other bytes than were made" in cli(tmp_path, "repair")
    assert not made.exists()
    assert converted(model, "q8_0", home.cache_dir) == made
    assert "is whole" in cli(tmp_path, "verify")


@pytest.mark.parametrize("how", ["folder", "file", "models", "package", "nas"])
def test_a_conversion_is_kept_as_long_as_a_service_names_its_original(
    tmp_path: Path, home: Settings, how: str
) -> None:
    version, model = named(home, how)
    model.parent.mkdir(parents=True, exist_ok=True)
    write_tiny_gguf(model, "llama_7b_fp16")
    made = converted(model, "q8_0", home.cache_dir)
    engine = db.connect(home.database, writing=True, box=BOX)
    service = a_service(current=version)
    db.run(engine, services.add, service)
    assert "0 snapshots" in cli(tmp_path, "prune")
    assert made.exists()
    db.run(engine, services.remove, service.id, service.revision)
    db.run(engine, services.add, a_service(current=a_version()))
    engine.dispose()
    assert "0 snapshots" in cli(tmp_path, "prune", "--limit", "20Gi")
    assert "1 snapshots were removed" in cli(tmp_path, "prune")
    assert not made.exists()


def named(home: Settings, how: str) -> tuple[Version, Path]:
    """A version whose weights are this file."""
    folder = home.data_dir / "weights"
    if how == "folder":
        return a_version(source=FolderSource(str(folder))), folder / "m.gguf"
    if how == "file":
        return a_version(source=FolderSource(str(folder / "m.gguf"))), folder / "m.gguf"
    if how == "models":
        return a_version(template=a_template(name="bare")), home.models_dir / "bare" / "m.gguf"
    if how == "nas":
        mount = home.data_dir / "mounts" / "one"
        return a_version(source=NasSource("nas.test", "/llama/7b")), mount / "llama/7b" / "m.gguf"
    source = BUILT_IN["smollm2_135m_q4"].source
    assert isinstance(source, PackageSource)
    folder = home.cache_dir / "package" / source.member_sha256[:16]
    return a_version(source=source), folder / MODEL


def test_one_that_is_used_is_not_removed_and_the_longest_unused_goes_first(tmp_path: Path) -> None:
    async def go() -> None:
        stage = Stage(tmp_path / "cache")
        made: list[Path] = []
        for number, spec in enumerate(("llama_7b_fp16", "llama_13b_fp16")):
            stage.clock.advance(100)
            made.append(await stage.made(tiny(tmp_path, spec)))
            assert number < 2
        stage.clock.advance(100)
        await stage.made(tmp_path / "llama_7b_fp16.gguf")  # asked for again: used last
        used = {each.folder.name: each for each in stage.snapshots.all()}
        assert stage.snapshots.prune(0) == []
        for each in used.values():
            with pytest.raises(InUse, match=r"is used by file://"):
                stage.snapshots.remove(each)
        for each in (made[1], made[0]):  # which was in use until now
            stage.clock.advance(1)
            found = stage.snapshots.at(each.parent)
            assert found is not None
            stage.snapshots.release(found, found.users[0])
        limit = made[0].stat().st_size
        assert [each.folder for each in stage.snapshots.prune(limit)] == [made[1].parent]
        assert [each.folder for each in stage.snapshots.prune(0)] == [made[0].parent]

    asyncio.run(go())


@pytest.mark.parametrize("how", ["gone", "short"])
def test_a_model_that_somebody_damaged_is_made_anew(tmp_path: Path, how: str) -> None:
    model = tiny(tmp_path)
    made = converted(model, "q8_0", tmp_path / "cache")
    wanted = sha256(made)
    if how == "gone":
        made.unlink()
    else:
        os.truncate(made, 1000)
    assert converted(model, "q8_0", tmp_path / "cache") == made
    assert sha256(made) == wanted


def test_the_child_never_gets_the_name_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: what is published is what its own child wrote: one that begins late, for a parent that was
    killed, would open a name, and empty what the next one is writing."""
    seen: list[list[str]] = []
    begin = subprocess.Popen

    def watched(command: list[str], **more: Any) -> Any:
        seen.append(command)
        return begin(command, **more)

    monkeypatch.setattr(conversion.subprocess, "Popen", watched)
    target = tmp_path / "model.gguf.part"
    conversion.run("q8_0", [demo_model()], target, lambda _done, _total: None, Programs())
    (command,) = seen
    assert str(target) not in command
    assert target.stat().st_size > 0
