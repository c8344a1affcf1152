"""The demo model in miniature: its words, its template and its limits, and next to no arithmetic.

A text has as many tokens as with the demo weights, and the real engine reads and writes them in a thirtieth
of the time. What it says is noise: only for tests that count.
"""

import struct
from pathlib import Path

import numpy as np

from demo_weights import demo_model
from pierhead.sources.conversion_plan import padded
from pierhead.sources.gguf_header import read_gguf
from pierhead.sources.header_window import local_file

_LAYERS, _WIDTH, _HEADS, _INNER = 2, 64, 1, 96
_INSTEAD = {
    "llama.block_count": _LAYERS,
    "llama.embedding_length": _WIDTH,
    "llama.feed_forward_length": _INNER,
    "llama.attention.head_count": _HEADS,
    "llama.attention.head_count_kv": _HEADS,
    "general.file_type": 0,
}
_UINT32, _F32 = 4, 0  #: GGUF's numbers of a kind of value, and of a kind of tensor


def write_demo_miniature(path: Path) -> Path:
    """Write it to `path`, which is given back; the same bytes every time.

    Raises:
        OSError: the demo weights cannot be read.
    """
    model = demo_model()
    header, content = read_gguf(local_file(model)), model.read_bytes()
    entries = [
        _number(key, _INSTEAD[key]) if key in _INSTEAD else content[begin:end]
        for key, begin, end in header.entries
    ]
    sizes = _sizes(int(header.facts["llama.vocab_size"]))
    infos, offset = bytearray(), 0
    for name, size in sizes.items():
        infos += _text(name) + struct.pack(f"<I{len(size)}Q", len(size), *reversed(size))
        infos += struct.pack("<IQ", _F32, offset)
        offset += padded(4 * int(np.prod(size)), header.alignment)
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(sizes), len(entries)) + b"".join(entries) + infos
    with path.open("wb") as out:
        out.write(head.ljust(padded(len(head), header.alignment), b"\0"))
        random = np.random.default_rng(0)
        for size in sizes.values():
            raw = _weights(random, size)
            out.write(raw.ljust(padded(len(raw), header.alignment), b"\0"))
    return path


def _sizes(words: int) -> dict[str, tuple[int, ...]]:
    """Rows and columns of each tensor; norms have columns only. The words' matrix serves at both ends."""
    found: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (words, _WIDTH),
        "output_norm.weight": (_WIDTH,),
    }
    for layer in range(_LAYERS):
        at = f"blk.{layer}."
        found |= {f"{at}{part}_norm.weight": (_WIDTH,) for part in ("attn", "ffn")}
        found |= {f"{at}attn_{part}.weight": (_WIDTH, _WIDTH) for part in ("q", "k", "v", "output")}
        found |= {f"{at}ffn_{part}.weight": (_INNER, _WIDTH) for part in ("gate", "up")}
        found |= {f"{at}ffn_down.weight": (_WIDTH, _INNER)}
    return found


def _weights(random: np.random.Generator, size: tuple[int, ...]) -> bytes:
    values = np.ones(size) if len(size) == 1 else random.standard_normal(size) * 0.02
    return values.astype("<f4").tobytes()


def _number(key: str, value: int) -> bytes:
    return _text(key) + struct.pack("<II", _UINT32, value)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()
