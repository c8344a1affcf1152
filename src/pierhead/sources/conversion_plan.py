"""What a converted GGUF file will look like, down to the last byte's place; decided from headers alone.

The key-values are taken over byte for byte, so nothing in them is misread. Which tensors get the
wanted type, and which stay as they are, follows llama.cpp's own quantizer.
"""

import re
import struct
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pierhead.sources.gguf_header import TYPES, Gguf, Tensor, read_gguf
from pierhead.sources.header_window import BadHeader, local_file

Kind = Literal["f16", "q8_0"]

NEVER = 3
"""Exit code of the process that converts: it can never be done."""

#: general.file_type of the results.
_FILE_TYPES = {"f16": 1, "q8_0": 7}
_NUMBERS = {label: number for number, (label, _, _) in TYPES.items()}
_UINT32, _QUANTIZATION_VERSION = 4, 2
#: Entries that the result has its own of, or none.
_OWN = frozenset({"general.file_type", "general.quantization_version"})
_SPLIT = "split."
_UNQUANTIZED = frozenset({"F32", "F16", "BF16", "F64"})
#: Integers, and what is made while computing: no weights.
_FIXED = frozenset({"I8", "I16", "I32", "I64", "F64", "Q8_K"})
#: Matrices that llama.cpp wants as they are: small ones, and those that its kernels take as F32 only.
_KEPT = re.compile(
    r"_norm\.weight$|ffn_gate_inp|altup|laurel|per_layer_model_proj|^(position_embd|token_types)\.weight$"
    r"|ssm_conv1d|shortconv\.conv\.weight$|time_mix_(first|[wvag][012]|decay_w[12]|lerp_fused)\.weight$"
    r"|attn_rel_b\.weight$|(?<!weight)$"
)
_PART = re.compile(r"-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf$")


@dataclass(frozen=True, slots=True)
class Piece:
    """One tensor: where it is read, and what it becomes."""

    tensor: Tensor
    part: int  #: index of its file
    begin: int  #: byte in that file
    type: str  #: that it will have
    bytes: int  #: that it will take


@dataclass(frozen=True, slots=True)
class Plan:
    """A conversion, ready to be done."""

    kind: Kind
    parts: tuple[Path, ...]
    head: bytes  #: all that comes before the tensors, padded
    pieces: tuple[Piece, ...]  #: in the order of the file
    alignment: int

    @property
    def total(self) -> int:
        """Bytes of the result."""
        return len(self.head) + sum(padded(piece.bytes, self.alignment) for piece in self.pieces)

    @property
    def original(self) -> str:
        """The type of most of what is converted: `F16`."""
        sizes = Counter[str]()
        for piece in self.pieces:
            if len(piece.tensor.sizes) > 1:
                sizes[piece.tensor.type] += piece.tensor.numbers
        return max(sizes, key=lambda label: sizes[label], default="F32")

    @property
    def lost(self) -> str:
        """What people should know of the result's quality, in a clause; "" when it is the best there is."""
        original = self.original
        bits = re.search(r"\d+", original)
        if original in _UNQUANTIZED or original == self.kind.upper() or bits is None:
            return ""
        return f"what {bits[0]} bits lost does not come back"


def plan(kind: Kind, parts: Sequence[Path]) -> Plan:
    """How the model in `parts` becomes one file of `kind`.

    Raises:
        BadHeader: they are no model, lack something, or a header cannot be true.
        OSError: they cannot be read.
    """
    headers = [read_gguf(local_file(part)) for part in parts]
    for part, header in zip(parts, headers, strict=True):
        if not header.whole:
            raise BadHeader(f"{part.name} is no whole GGUF file.")
    _all_there(parts, headers)
    alignment = headers[0].alignment
    pieces = tuple(_pieces(kind, headers))
    return Plan(kind, tuple(parts), _head(kind, parts[0], headers[0], pieces), pieces, alignment)


def parts_of(model: Path) -> tuple[Path, ...]:
    """The files of a model, of which `model` is the first."""
    split = _PART.search(model.name)
    if split is None:
        return (model,)
    count = int(split["count"])
    stem = model.name[: split.start()]
    return tuple(
        model.with_name(f"{stem}-{number:05d}-of-{count:05d}.gguf")
        for number in range(1, count + 1)
    )


def padded(count: int, alignment: int) -> int:
    """`count`, rounded up."""
    return -(-count // alignment) * alignment


def _all_there(parts: Sequence[Path], headers: Sequence[Gguf]) -> None:
    """Does it name a model, does each part say it is one of these, and does no tensor come twice?"""
    name, first = parts[0].name[:200], headers[0].facts
    if not isinstance(first.get("general.architecture"), str):
        raise BadHeader(f"{name} does not say what model it is.")
    counted = first.get("split.count", 1)
    if counted != len(parts) and not (counted == 0 and len(parts) == 1):
        raise BadHeader(f"{name} is a part of {counted}, and there are {len(parts)}.")
    names = Counter(tensor.name for header in headers for tensor in header.tensors)
    twice = next((each for each, count in names.items() if count > 1), None)
    if twice is not None:
        raise BadHeader(f"{name} has the tensor {twice[:80]!r} twice.")
    if not names or first.get("split.tensors.count", len(names)) != len(names):
        raise BadHeader(f"{name} lacks tensors: {len(names)} are there.")


def _pieces(kind: Kind, headers: Sequence[Gguf]) -> Iterator[Piece]:
    for part, header in enumerate(headers):
        for tensor in header.tensors:
            type_ = _wanted(kind, tensor)
            _, block, size = TYPES[_NUMBERS[type_]]
            yield Piece(
                tensor, part, header.begin + tensor.offset, type_, tensor.numbers // block * size
            )


def _wanted(kind: Kind, tensor: Tensor) -> str:
    # Dimensions of one at the end are none: a column of many rows is a matrix, a row is not.
    matrix = any(size > 1 for size in tensor.sizes[1:])
    if not matrix or tensor.type in _FIXED or _KEPT.search(tensor.name):
        return tensor.type
    _, block, _ = TYPES[_NUMBERS[kind.upper()]]
    return kind.upper() if tensor.sizes[0] % block == 0 else "F16"


def _head(kind: Kind, file: Path, header: Gguf, pieces: Sequence[Piece]) -> bytes:
    entries = list(_entries(kind, file, header))
    infos, offset = bytearray(), 0
    for piece in pieces:
        raw, sizes = piece.tensor.name.encode(), piece.tensor.sizes
        infos += struct.pack("<Q", len(raw)) + raw
        infos += struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes)
        infos += struct.pack("<IQ", _NUMBERS[piece.type], offset)
        offset += padded(piece.bytes, header.alignment)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(pieces), len(entries)) + b"".join(entries) + infos
    return head.ljust(padded(len(head), header.alignment), b"\0")


def _entries(kind: Kind, file: Path, header: Gguf) -> Iterator[bytes]:
    with file.open("rb") as stream:
        for key, begin, end in header.entries:
            if key not in _OWN and not key.startswith(_SPLIT):
                stream.seek(begin)
                yield stream.read(end - begin)
    yield _number("general.file_type", _FILE_TYPES[kind])
    yield _number("general.quantization_version", _QUANTIZATION_VERSION)


def _number(key: str, value: int) -> bytes:
    raw = key.encode()
    return struct.pack("<Q", len(raw)) + raw + struct.pack("<II", _UINT32, value)
