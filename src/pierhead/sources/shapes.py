"""From the headers of a model's files to its shape: what decides how much memory it needs.

Local files are read to the end of their headers. Of files far away a few KB are read, and what the
list of tensors would tell comes from their sizes.
"""

import json
import re
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any, cast

from pierhead.core.sizing import Shape
from pierhead.sources.gguf_header import Gguf, read_gguf, tables
from pierhead.sources.header_window import BadHeader, HeaderFile, Window, local_file, shown

_NAME = 64  #: characters of an architecture's name
_JSON_BYTES = 8 * 1024 * 1024
_PARTS = 400_000  #: objects and lists of a JSON header
_FILES = 10_000
_DIMENSIONS, _LARGEST = 64, 1 << 48  #: of a tensor, and numbers along one of them
_PICKLED = (".bin", ".pt", ".pth")
_SPLIT = re.compile(r"-\d{5}-of-\d{5}\.gguf$")
#: llama.cpp's number of a file's type -> the tensor type that most of it has.
_FILE_TYPES: Mapping[object, str] = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K",
    11: "Q3_K", 12: "Q3_K", 13: "Q3_K", 14: "Q4_K", 15: "Q4_K", 16: "Q5_K", 17: "Q5_K",
    18: "Q6_K", 25: "IQ4_NL", 30: "IQ4_XS", 32: "BF16",
}  # fmt: skip
#: Bits of one number, by the name that safetensors gives its type.
_BITS = {
    "F64": 64, "I64": 64, "U64": 64, "F32": 32, "I32": 32, "U32": 32, "F16": 16, "BF16": 16,
    "I16": 16, "U16": 16, "I8": 8, "U8": 8, "BOOL": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8,
    "F4": 4,
}  # fmt: skip
#: What a number of the shape can be at most.
_MOST = {
    "layers": 10_000, "heads": 1 << 16, "kv_heads": 1 << 16, "key_size": 1 << 16,
    "value_size": 1 << 16, "embedding": 1 << 20, "feed_forward": 1 << 24, "vocabulary": 1 << 24,
    "context": 1 << 30,
}  # fmt: skip
#: Number of the shape -> its names in config.json, the first that is there counts.
_CONFIG = {
    "layers": ("num_hidden_layers", "num_layers", "n_layer"),
    "heads": ("num_attention_heads", "n_head"),
    "kv_heads": ("num_key_value_heads", "multi_query_group_num", "num_kv_heads"),
    "key_size": ("head_dim", "kv_channels"),
    "embedding": ("hidden_size", "n_embd", "d_model"),
    "feed_forward": ("intermediate_size", "ffn_hidden_size", "inner_hidden_size", "n_inner"),
    "vocabulary": ("padded_vocab_size", "vocab_size"),
    "context": ("max_position_embeddings", "seq_length", "model_max_length", "max_sequence_length"),
}
#: Number of the shape -> its name in a GGUF header, after the architecture's.
_GGUF = {
    "layers": "block_count",
    "heads": "attention.head_count",
    "kv_heads": "attention.head_count_kv",
    "key_size": "attention.key_length",
    "value_size": "attention.value_length",
    "embedding": "embedding_length",
    "feed_forward": "feed_forward_length",
    "vocabulary": "vocab_size",
    "context": "context_length",
}


def shape_at(path: Path) -> Shape | None:
    """The shape of the model in a file or folder of this machine; None when it holds none. It blocks.

    Raises:
        BadHeader: a header cannot be true.
        OSError: it cannot be read.
    """
    if path.is_file():
        split = _SPLIT.search(path.name)
        parts = (
            sorted(path.parent.glob(f"{path.name[: split.start()]}-*.gguf")) if split else [path]
        )
        return shape_of([local_file(part) for part in parts[:_FILES]])
    files = (file for file in sorted(path.glob("*")) if file.is_file())
    return shape_of([local_file(file) for file in islice(files, _FILES)])


def shape_of(files: Sequence[HeaderFile]) -> Shape | None:
    """The shape of the model that these files are; None when they are none, or several.

    Raises:
        BadHeader: a header cannot be true.
        OSError, RemoteError: a file cannot be read.
    """
    models = [file for file in files if file.name.lower().endswith(".gguf")]
    if models:
        return _gguf(models)
    config = next((file for file in files if file.name == "config.json"), None)
    tensors = [file for file in files if file.name.lower().endswith(".safetensors")]
    pickled = [file for file in files if file.name.lower().endswith(_PICKLED)]
    if config is None and not tensors:
        return None
    facts = _facts(config) if config is not None else {}
    if tensors and not tensors[0].far:
        parameters, weights = _safetensors(tensors)
    else:  # their headers say no more than their sizes do
        label = str(facts.get("torch_dtype") or facts.get("dtype") or "unknown")[:32]
        weights = {label: sum(file.size for file in tensors or pickled)}
        parameters = 0
    # Pickles have no format that an engine of ours reads: see `core.choice.PICKLED`.
    shape = _configured(facts, parameters, weights)
    return replace(shape, format="safetensors") if tensors else shape


# ---- GGUF --------------------------------------------------------------------------------------


def _gguf(files: Sequence[HeaderFile]) -> Shape | None:
    """One model, in one file or in parts; the first part tells what it is."""
    first, *others = sorted(files, key=lambda file: file.name)
    stem = _SPLIT.sub("", first.name)
    if any(_SPLIT.sub("", file.name) != stem for file in others):
        return None
    header = read_gguf(first)
    numbers = _gguf_numbers(header)
    if first.far or not header.whole:
        # What most tensors are can stand in the header, before the list of them.
        kind = _FILE_TYPES.get(header.facts.get("general.file_type"), "unknown")
        weights = Counter({kind: sum(file.size for file in files)})
        looked_up, parameters = Counter[str](), 0
    else:
        all_tensors = header.tensors + tuple(
            tensor for file in others for tensor in read_gguf(file).tensors
        )
        weights, looked_up = Counter[str](), Counter[str]()
        for tensor in all_tensors:
            weights[tensor.type] += tensor.bytes
        for tensor in tables(all_tensors):
            looked_up[tensor.type] += tensor.bytes
        parameters = sum(tensor.numbers for tensor in all_tensors)
    return Shape(
        architecture=shown(str(header.facts.get("general.architecture", "")), _NAME),
        format="gguf",
        parameters=parameters,
        weights=dict(weights),
        tables=dict(looked_up),
        pools=bool(
            header.facts.get(f"{header.facts.get('general.architecture', '')}.pooling_type")
        ),
        **_completed(numbers, header.lists.get(_key(header, "kv_heads"), ())),
    )


def _key(header: Gguf, number: str) -> str:
    return f"{header.facts.get('general.architecture', '')}.{_GGUF[number]}"


def _gguf_numbers(header: Gguf) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for name in _GGUF:
        listed = header.lists.get(_key(header, name))
        value = (
            max(listed, default=0) if listed is not None else header.facts.get(_key(header, name))
        )
        if value is not None:
            numbers[name] = _checked(name, value)
    words = header.counts.get("tokenizer.ggml.tokens", 0)
    numbers["vocabulary"] = _checked("vocabulary", words or numbers.get("vocabulary", 0))
    return numbers


# ---- config.json and safetensors ---------------------------------------------------------------


def _facts(config: HeaderFile) -> dict[str, Any]:
    facts = _json(config, config.size, 0)
    inner = facts.get("text_config")  # of a model that sees as well
    return cast("dict[str, Any]", inner) if isinstance(inner, dict) else facts


def _configured(facts: Mapping[str, Any], parameters: int, weights: Mapping[str, int]) -> Shape:
    numbers: dict[str, int] = {}
    for name, keys in _CONFIG.items():
        value = next((facts[key] for key in keys if facts.get(key) is not None), None)
        if value is not None:
            numbers[name] = _checked(name, value)
    if facts.get("multi_query_attention") is False:
        numbers.pop("kv_heads", None)
    return Shape(
        architecture=_architecture(facts),
        parameters=parameters,
        weights=weights,
        **_completed(numbers, ()),
    )


def _architecture(facts: Mapping[str, Any]) -> str:
    """As GGUF calls it. The first ChatGLM and its successors share a name, but not a setting."""
    classes: object = facts.get("architectures")
    first = str(cast("list[object]", classes)[0]) if isinstance(classes, list) and classes else ""
    kind = shown(str(facts.get("model_type") or first.split("For")[0]), _NAME).lower()
    if kind == "chatglm" and ("position_encoding_2d" in facts or "inner_hidden_size" in facts):
        return "chatglm-v1"
    return kind


def _safetensors(files: Sequence[HeaderFile]) -> tuple[int, dict[str, int]]:
    """Parameters, and bytes by type, of all parts."""
    parameters, weights = 0, Counter[str]()
    for file in files:
        header = safetensors_tensors(file)
        parameters += sum(numbers for numbers, _, _ in header)
        for _, kind, size in header:
            weights[kind] += size
    return parameters, dict(weights)


def safetensors_tensors(file: HeaderFile) -> list[tuple[int, str, int]]:
    """(numbers, type, bytes) of every tensor of a safetensors file.

    Raises:
        BadHeader: it is none, or cannot be true.
    """
    window = Window(file)
    (length,) = window.numbers("<Q") if file.size >= struct.calcsize("<Q") else (0,)
    if not 2 <= length <= min(_JSON_BYTES, file.size - 8):
        raise window.bad(f"gives itself {length} bytes")
    header = _json(file, length, 8)
    header.pop("__metadata__", None)
    found = [_tensor(window, name, entry) for name, entry in header.items()]
    end = 0
    for begin, stop, name in sorted((begin, stop, name) for _, _, begin, stop, name in found):
        if begin < end:
            raise window.bad(f"puts {name[:80]!r} over another tensor")
        end = stop
    if end > file.size - 8 - length:
        raise window.bad(f"puts tensors up to {end}, with room for {file.size - 8 - length}")
    return [(numbers, kind, stop - begin) for numbers, kind, begin, stop, _ in found]


def _tensor(window: Window, name: str, entry: Any) -> tuple[int, str, int, int, str]:
    """(numbers, type, begin, end, name)."""
    try:
        kind, sizes, (begin, stop) = entry["dtype"], entry["shape"], entry["data_offsets"]
        numbers = _product(sizes)
        right = type(begin) is int and type(stop) is int and 0 <= begin <= stop and numbers >= 0
        if not right or numbers * _BITS[kind] != 8 * (stop - begin):
            raise ValueError
    except (KeyError, TypeError, ValueError):
        raise window.bad(f"describes {name[:80]!r} in a way that makes no sense") from None
    return numbers, kind, begin, stop, name


def _product(sizes: Any) -> int:
    """Below zero where they are no sizes; they are bounded first: huge ones take hours to multiply."""
    fits = len(sizes) <= _DIMENSIONS and all(
        type(size) is int and 0 <= size <= _LARGEST for size in sizes
    )
    return prod(sizes) if fits else -1


def _json(file: HeaderFile, length: int, begin: int) -> dict[str, Any]:
    """A JSON object of a file; counted before it is built, since a list takes 50 times its text."""
    if length > _JSON_BYTES:
        raise BadHeader(f"{file.shown} is larger than {_JSON_BYTES >> 20} MiB.")
    text = file.read(begin, length)
    if text.count(b"{") + text.count(b"[") > _PARTS or text.count(b",") > 8 * _PARTS:
        raise BadHeader(f"{file.shown} holds more parts than any model has.")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise BadHeader(f"{file.shown} holds no JSON.") from None
    if not isinstance(value, dict):
        raise BadHeader(f"{file.shown} holds no JSON object.")
    return cast("dict[str, Any]", value)


# ---- both --------------------------------------------------------------------------------------


def _checked(name: str, value: object) -> int:
    if type(value) is not int or not 0 <= value <= _MOST[name]:
        plain = isinstance(value, (int, float, str))
        shown = ascii(value)[:30] if plain else type(value).__name__
        raise BadHeader(f"The model's header cannot be true: its {name} is {shown}.")
    return value


def _completed(numbers: Mapping[str, int], kv_heads: tuple[int, ...]) -> dict[str, Any]:
    """What is not told follows from the rest."""
    heads = numbers.get("heads", 0)
    head = numbers.get("embedding", 0) // heads if heads else 0
    key = numbers.get("key_size") or head
    if any(not 0 <= count <= _MOST["kv_heads"] for count in kv_heads):
        raise BadHeader("The model's header cannot be true: it lists impossible kv_heads.")
    several = kv_heads or (numbers.get("kv_heads", heads),)
    known = {name: value for name, value in numbers.items() if name != "kv_heads"}
    value_size = numbers.get("value_size") or key
    return known | {"kv_heads": several, "key_size": key, "value_size": value_size}
