"""Headers of model files: what they tell, near and far, and that a hostile one costs nothing."""

import json
import struct
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import pytest

from demo_weights import demo_model
from pierhead.core.choice import pickled, precision_of
from pierhead.core.families import FAMILIES
from pierhead.core.manifest import Entry, Manifest
from pierhead.core.mounts import FolderSource, OssSource
from pierhead.core.resources import MIB
from pierhead.core.sizing import Shape
from pierhead.core.specs import BUILT_IN
from pierhead.sources.gguf_header import TYPES, gguf_header
from pierhead.sources.header_window import BadHeader, HeaderFile, local_file
from pierhead.sources.model_shapes import FAR, ModelShapes, far_files, local_place
from pierhead.sources.remote import Remote
from pierhead.sources.shapes import safetensors_tensors, shape_at, shape_of
from pierhead.sources.weights import Places
from tiny_gguf import SHAPES, write_tiny_gguf

LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "hidden_size": 64,
    "intermediate_size": 160, "vocab_size": 288, "max_position_embeddings": 512,
    "torch_dtype": "float16",
}  # fmt: skip


def safetensors(header: object, content: bytes = b"", length: int | None = None) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + content


def tensor(begin: int, end: int, **more: Any) -> dict[str, Any]:
    return {"dtype": "F16", "shape": [(end - begin) // 2], "data_offsets": [begin, end]} | more


class FarFolder:
    """A remote folder that counts what is read of it."""

    name = identity = "oss://bucket/model/"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.read_bytes = 0

    def listing(self) -> Manifest:
        return Manifest(Entry(path.name, path.stat().st_size) for path in self._folder.iterdir())

    def read(self, entry: Entry, start: int, length: int) -> Iterator[bytes]:
        with (self._folder / entry.key).open("rb") as stream:
            stream.seek(start)
            self.read_bytes += length
            yield stream.read(length)

    def crc64(self, entry: Entry) -> int | None:
        del entry
        return None

    def check(self, entry: Entry) -> str:
        del entry
        return ""


# ---- what they tell ------------------------------------------------------------------------------


@pytest.mark.parametrize("family", sorted(SHAPES))
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_gguf_header_is_the_models_shape(tmp_path: Path, family: str, precision: str) -> None:
    file, tiny = tmp_path / "m.gguf", SHAPES[family]
    write_tiny_gguf(file, f"{family}_{precision}")
    shape = shape_at(file)
    assert shape is not None
    assert (shape.architecture, shape.layers, shape.heads) == (
        tiny.architecture, tiny.layers, tiny.heads,
    )  # fmt: skip
    assert (shape.kv_heads, shape.key_size, shape.value_size) == (
        (tiny.kv_heads,), tiny.head, tiny.head,
    )  # fmt: skip
    assert (shape.embedding, shape.feed_forward) == (tiny.width, tiny.feed_forward)
    assert (shape.vocabulary, shape.context) == (288, 2048)
    reader = gguf.GGUFReader(file)
    assert shape.weight_bytes == sum(int(tensor.n_bytes) for tensor in reader.tensors)
    assert shape.parameters == sum(int(tensor.n_elements) for tensor in reader.tensors)
    assert set(shape.weights) == {"F32", "F16" if precision == "fp16" else "Q8_0"}


def test_the_table_of_tensor_types_is_the_formats_own() -> None:
    known = {kind.value: (kind.name, *size) for kind, size in gguf.GGML_QUANT_SIZES.items()}
    assert {number: known[number] for number in TYPES} == TYPES


def test_the_demo_weights_near_and_far(tmp_path: Path) -> None:
    near = shape_at(demo_model())
    assert near is not None
    assert near.parameters == FAMILIES["smollm2_135m"].shape.parameters
    (tmp_path / "model.gguf").symlink_to(demo_model())
    remote = FarFolder(tmp_path)
    far = shape_of(far_files(remote))
    assert far is not None
    assert (far.layers, far.kv_heads, far.vocabulary) == (30, (3,), 49152)
    assert far.weight_bytes == pytest.approx(near.weight_bytes, rel=0.05)
    assert far.format == near.format == "gguf"
    assert precision_of(far) == precision_of(near) == "q4"
    assert remote.read_bytes <= 16 * 1024, "a few KB tell enough"


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_a_far_files_precision_is_what_its_header_says(tmp_path: Path, precision: str) -> None:
    write_tiny_gguf(tmp_path / "m.gguf", f"llama_7b_{precision}")
    far = shape_of(far_files(FarFolder(tmp_path)))
    assert far is not None
    assert precision_of(far) == precision
    # The list of tensors, once it can be read, knows better than the label.
    label = b"general.file_type"
    content = (tmp_path / "m.gguf").read_bytes()
    at = content.index(label) + len(label) + 4
    (tmp_path / "m.gguf").write_bytes(content[:at] + struct.pack("<I", 4711) + content[at + 4 :])
    far, near = shape_of(far_files(FarFolder(tmp_path))), shape_at(tmp_path)
    assert far is not None
    assert near is not None
    assert (precision_of(far), precision_of(near)) == ("", precision)


@pytest.mark.parametrize("there", ["near", "far"])
def test_pickles_are_weights_of_no_format(tmp_path: Path, there: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    (tmp_path / "pytorch_model.bin").write_bytes(b"x" * 100)
    files = far_files(FarFolder(tmp_path))
    shape = shape_at(tmp_path) if there == "near" else shape_of(files)
    assert shape is not None
    assert pickled(shape)
    (tmp_path / "pytorch_model.bin").unlink()
    shape = shape_at(tmp_path)
    assert shape is not None
    assert not pickled(shape), "nothing is known of weights that are not there"


def test_a_split_model_is_the_sum_of_its_parts(tmp_path: Path) -> None:
    for number in (1, 2):
        write_tiny_gguf(tmp_path / f"m-0000{number}-of-00002.gguf", "llama_7b_fp16")
    both, one = shape_at(tmp_path), shape_at(tmp_path / "m-00001-of-00002.gguf")
    assert both is not None
    assert both == one
    write_tiny_gguf(tmp_path / "other.gguf", "llama_7b_fp16")
    assert shape_at(tmp_path) is None, "several models are none"


def test_a_transformers_folder_near_and_far(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(LLAMA))
    header = {"__metadata__": {"format": "pt"}, "a": tensor(0, 200), "b": tensor(200, 1000)}
    for part in ("model-1.safetensors", "model-2.safetensors"):
        (tmp_path / part).write_bytes(safetensors(header, b"\0" * 1000))
    near, far = shape_at(tmp_path), shape_of(far_files(FarFolder(tmp_path)))
    assert near is not None
    assert far is not None
    assert near.format == far.format == "safetensors"
    assert near.weights == {"F16": 2000}
    assert near.parameters == 1000
    assert (near.layers, near.kv_heads, near.key_size, near.feed_forward) == (2, (2,), 16, 160)
    assert (far.layers, far.kv_heads) == (2, (2,))
    assert set(far.weights) == {"float16"}
    assert far.weight_bytes >= near.weight_bytes


@pytest.mark.parametrize(
    ("facts", "architecture"),
    [
        ({"model_type": "chatglm", "position_encoding_2d": True, "num_layers": 28}, "chatglm-v1"),
        ({"model_type": "chatglm", "multi_query_attention": True, "num_layers": 28}, "chatglm"),
        ({"architectures": ["BaiChuanForCausalLM"], "num_hidden_layers": 32}, "baichuan"),
        ({"text_config": {"model_type": "llama", "num_hidden_layers": 9}}, "llama"),
        ({}, ""),
    ],
)
def test_architectures_have_one_name(
    tmp_path: Path, facts: dict[str, Any], architecture: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(facts))
    shape = shape_at(tmp_path)
    assert shape is not None
    assert shape.architecture == architecture


def test_where_nothing_can_be_read_nothing_is_guessed(tmp_path: Path) -> None:
    """Smaller weights of a family are legal: nobody is held for weights that nobody has seen."""
    where = local_place(Places(tmp_path / "cache", tmp_path / "models", {}))
    shapes = ModelShapes(where)
    spec, demo = BUILT_IN["llama_7b_fp16"], BUILT_IN["smollm2_135m_int8"]
    for source in (None, OssSource("bucket", "x/"), FolderSource(str(tmp_path))):
        assert shapes.shape(spec, source) is None
    packed = replace(FAMILIES["smollm2_135m"].shape, format="gguf")
    assert shapes.shape(demo, None) == packed, "its package is pinned"
    (tmp_path / "models" / spec.name).mkdir(parents=True)
    write_tiny_gguf(tmp_path / "models" / spec.name / "m.gguf", "llama_7b_fp16")
    found = shapes.shape(spec, None)
    assert found is not None
    assert found.embedding == 64
    assert shapes.at(str(tmp_path / "models" / spec.name)) == found
    assert shapes.at(str(tmp_path / "nothing")) is None


# ---- hostile ones --------------------------------------------------------------------------------


def entry(key: str, kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", len(key)) + key.encode() + struct.pack("<I", kind) + value


def text(value: str) -> bytes:
    return struct.pack("<Q", len(value)) + value.encode()


def a_gguf(
    *entries: bytes, tensors: bytes = b"", count: int = 0, many: int | None = None, fill: int = 0
) -> bytes:
    head = b"GGUF" + struct.pack("<IQQ", 3, count, len(entries) if many is None else many)
    return head + b"".join(entries) + tensors + b"\0" * fill


ARCHITECTURE = entry("general.architecture", 8, text("llama"))


def number(key: str, value: int) -> bytes:
    return entry(f"llama.{key}", 10, struct.pack("<Q", value))


def listed(kind: int, count: int, content: bytes = b"") -> bytes:
    return entry("tokenizer.ggml.tokens", 9, struct.pack("<IQ", kind, count) + content)


def placed(name: str, sizes: tuple[int, ...], kind: int, offset: int) -> bytes:
    form = f"<I{len(sizes)}QIQ"
    return text(name) + struct.pack(form, len(sizes), *sizes, kind, offset)


HOSTILE: dict[str, bytes] = {
    "not a gguf": b"GGML" + b"\0" * 100,
    "empty": b"",
    "only magic": b"GGUF",
    "version": b"GGUF" + struct.pack("<IQQ", 99, 0, 0) + b"\0" * 64,
    "2^64 entries": a_gguf(many=2**64 - 1, fill=100),
    "2^64 tensors": a_gguf(ARCHITECTURE, count=2**64 - 1),
    "entries that are not there": a_gguf(ARCHITECTURE, many=4000),
    "a key of 2^63 bytes": a_gguf(struct.pack("<Q", 2**63), fill=100),
    "a text beyond the file": a_gguf(entry("a", 8, struct.pack("<Q", 1 << 40)), fill=100),
    "an unknown kind": a_gguf(entry("a", 77, b""), fill=100),
    "a list of 2^60 numbers": a_gguf(listed(4, 2**60), fill=100),
    "a list of 2^60 texts": a_gguf(listed(8, 2**60), fill=100),
    "a list of empty texts": a_gguf(listed(8, 3_000_000), fill=30 * MIB),
    "texts that run past the end": a_gguf(listed(8, 3, struct.pack("<Q", 1 << 50)), fill=99),
    "lists of lists": a_gguf(listed(9, 5), fill=1000),
    "a tensor of no dimension": a_gguf(
        ARCHITECTURE, tensors=text("t") + struct.pack("<I", 0), count=1, fill=99
    ),
    "a tensor of 2^32 dimensions": a_gguf(
        ARCHITECTURE, tensors=text("t") + struct.pack("<I", 2**32 - 1), count=1, fill=99
    ),
    "a tensor larger than the file": a_gguf(
        ARCHITECTURE, tensors=placed("t", (2**62, 2**62), 1, 0), count=1, fill=99
    ),
    "a tensor beyond the file": a_gguf(
        ARCHITECTURE, tensors=placed("t", (8,), 1, 2**63), count=1, fill=99
    ),
    "a tensor of an unknown type": a_gguf(
        ARCHITECTURE, tensors=placed("t", (8,), 4711, 0), count=1, fill=99
    ),
    "a row within a block": a_gguf(
        ARCHITECTURE, tensors=placed("t", (33,), 8, 0), count=1, fill=99
    ),
    "one tensor over the other": a_gguf(
        ARCHITECTURE,
        tensors=placed("t", (32,), 1, 0) + placed("u", (32,), 1, 32),
        count=2,
        fill=999,
    ),
    "an alignment of nothing": a_gguf(
        ARCHITECTURE, entry("general.alignment", 4, struct.pack("<I", 0)), fill=99
    ),
    "2^60 layers": a_gguf(ARCHITECTURE, number("block_count", 2**60), fill=99),
    "layers that are a text": a_gguf(
        ARCHITECTURE, entry("llama.block_count", 8, text("many")), fill=99
    ),
    "2^40 heads in a list": a_gguf(
        ARCHITECTURE,
        entry("llama.attention.head_count_kv", 9, struct.pack("<IQ2Q", 10, 2, 4, 2**40)),
        fill=99,
    ),
}


def guarded(act: Callable[[], object]) -> str:
    """The sentence in which it ends: soon, and without memory."""
    tracemalloc.start()
    began = time.thread_time()
    try:
        with pytest.raises(BadHeader) as found:
            act()
        took, (_, peak) = time.thread_time() - began, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert took < 1.0, f"{took:.1f} s"
    assert peak < 64 * MIB, f"{peak / MIB:.0f} MiB"
    said = str(found.value)
    assert said.endswith(".")
    assert len(said) < 500
    return said


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_gguf_ends_in_one_sentence(tmp_path: Path, name: str) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(HOSTILE[name])
    assert "m.gguf" in guarded(lambda: shape_at(file)) or "model's header" in guarded(
        lambda: shape_at(file)
    )
    assert isinstance(gguf_header(file), dict), "the registry takes what there is"


def test_a_huge_sparse_file_is_not_read_through(tmp_path: Path) -> None:
    """Its list of texts is as long as the file lets it be: a terabyte of zeros."""
    file = tmp_path / "m.gguf"
    file.write_bytes(a_gguf(ARCHITECTURE, listed(8, 10**11)))
    with file.open("r+b") as stream:
        stream.truncate(1 << 40)
    assert "list of 100000000000 texts" in guarded(lambda: shape_at(file))


NESTED = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
BAD_SAFETENSORS: dict[str, bytes] = {
    "empty": b"",
    "a length of 2^63": safetensors({}, length=2**63),
    "longer than the file": safetensors({}, length=5000),
    "no JSON": safetensors(b"{nonsense"),
    "a list": safetensors(b"[1, 2]"),
    "nested without end": safetensors(NESTED),
    "five million lists": safetensors(b'{"a":[' + b"[]," * 2_000_000 + b"[]]}"),
    "a tensor that is a number": safetensors({"a": 3}),
    "an unknown type": safetensors({"a": tensor(0, 8, dtype="X9")}, b"\0" * 8),
    "offsets backwards": safetensors({"a": tensor(0, 8, data_offsets=[8, 0])}, b"\0" * 8),
    "another size than its shape": safetensors({"a": tensor(0, 8, shape=[9])}, b"\0" * 8),
    "a negative shape": safetensors({"a": tensor(0, 8, shape=[-2, -2])}, b"\0" * 8),
    "past the end": safetensors({"a": tensor(0, 800)}, b"\0" * 8),
    "one over the other": safetensors({"a": tensor(0, 8), "b": tensor(4, 12)}, b"\0" * 12),
}


@pytest.mark.parametrize("name", BAD_SAFETENSORS)
def test_a_hostile_safetensors_file_ends_in_one_sentence(tmp_path: Path, name: str) -> None:
    file = tmp_path / "m.safetensors"
    file.write_bytes(BAD_SAFETENSORS[name])
    assert "m.safetensors" in guarded(lambda: safetensors_tensors(local_file(file)))


@pytest.mark.parametrize(
    "config",
    [
        b"{",
        b"[]",
        NESTED,
        json.dumps(LLAMA | {"num_hidden_layers": 10**30}).encode(),
        json.dumps(LLAMA | {"hidden_size": -5}).encode(),
        json.dumps(LLAMA | {"num_attention_heads": "four"}).encode(),
        json.dumps(LLAMA | {"vocab_size": True}).encode(),
        json.dumps(LLAMA | {"head_dim": 1.5}).encode(),
        json.dumps(LLAMA | {"num_key_value_heads": {"a": {}}}).encode(),
    ],
)
def test_a_hostile_config_ends_in_one_sentence(tmp_path: Path, config: bytes) -> None:
    (tmp_path / "config.json").write_bytes(config)
    guarded(lambda: shape_at(tmp_path))


def test_a_far_file_is_never_read_beyond_its_budget() -> None:
    asked: list[int] = []

    def read(start: int, length: int) -> bytes:
        asked.append(length)
        return (HOSTILE["a list of empty texts"] * 2)[start : start + length]

    file = HeaderFile("m.gguf", 1 << 40, read, FAR)
    assert "cannot be true" in guarded(lambda: shape_of([file]))
    lazy = a_gguf(entry("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 10**6)), fill=9 * MIB)
    late = HeaderFile("m.gguf", 1 << 40, lambda at, count: lazy[at : at + count], FAR)
    assert "does not say early" in guarded(lambda: shape_of([late]))
    assert sum(asked) <= FAR


def test_the_double_is_a_remote(tmp_path: Path) -> None:
    remote: Remote = FarFolder(tmp_path)
    assert shape_of(far_files(remote)) is None
    assert Shape().token_numbers == 0
