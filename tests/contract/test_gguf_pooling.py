"""Which files the embedded engine takes for embedding models."""

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from parrot_gguf import write_parrot
from pierhead.core.resources import MIB
from pierhead.core.sizing import Load, Shape, estimate
from pierhead.engines.gguf_pooling import pools
from pierhead.sources.shapes import shape_at
from tiny_gguf import SHAPES, write_tiny_gguf


def entry(key: bytes, value: int, *, kind: int = 4, length: int | None = None) -> bytes:
    """An entry of a header, as the format writes it."""
    size = len(key) if length is None else length
    return struct.pack("<Q", size) + key + struct.pack("<II", kind, value)


@pytest.mark.parametrize("family", SHAPES)
def test_files_that_say_how_vectors_are_pooled(tmp_path: Path, family: str) -> None:
    for embeds in (False, True):
        file = tmp_path / f"{embeds}.gguf"
        write_tiny_gguf(file, f"{family}_fp16", embeds=embeds)
        assert pools(str(file)) is embeds


def test_a_model_that_talks_is_none(tmp_path: Path) -> None:
    write_parrot(tmp_path / "parrot.gguf", ["llama.pooling_type", "words"])
    assert not pools(str(tmp_path / "parrot.gguf"))


@pytest.mark.parametrize(
    ("header", "found"),
    [
        (entry(b"bert.pooling_type", 1), True),
        (entry(b"nomic-bert.pooling_type", 2), True),
        (entry(b"qwen3.pooling_type", 3), True),
        (entry(b"bert.pooling_type", 0), False),  # none
        (entry(b"bert.pooling_type", 1, kind=8), False),
        (entry(b"bert.pooling_type", 1, length=3), False),
        (entry(b"bert.causal", 1), False),
        (b"bert.pooling_type", False),
        (b"", False),
    ],
)
def test_entries_by_themselves(tmp_path: Path, header: bytes, found: bool) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"GGUF" + bytes(20) + header + bytes(64))
    assert pools(str(file)) is found


def test_memory_for_the_logits_of_all_tokens_is_counted(tmp_path: Path) -> None:
    """Measured: 573 MiB more after a text of 500 tokens, with a vocabulary of 150,016."""
    shapes: list[Shape] = []
    for embeds in (False, True):
        file = tmp_path / f"{embeds}.gguf"
        write_tiny_gguf(file, "llama_7b_fp16", embeds=embeds)
        shape = shape_at(file)
        assert shape
        shapes.append(replace(shape, vocabulary=150_016))
    assert [shape.pools for shape in shapes] == [False, True]
    load = Load(engine="llama_cpp", context=2048, slots=2)
    talking, embedding = (estimate(shape, load) for shape in shapes)
    assert talking and embedding
    extra = (embedding.total - talking.total) / MIB
    assert 573 <= extra <= 1.1 * 573
