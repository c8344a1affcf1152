"""Turns a GGUF file into its F16 or Q8_0 form: `python -m pierhead.sources.requantize q8_0 IN OUT`.

A process of its own, because numpy and the tensors have no business in the hub's memory.
Every matrix gets the wanted type, vectors stay float32, as llama.cpp's own quantizer has it.
"""

import sys
from typing import Any

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind

KINDS = {
    "f16": (Kind.F16, gguf.LlamaFileType.MOSTLY_F16),
    "q8_0": (Kind.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
#: Keys the writer sets by itself.
_OWN = {"general.architecture", "general.file_type", "general.quantization_version"}


def requantize(wanted: str, source: str, target: str) -> None:
    """Write `source` to `target` with its matrices as `wanted` (`f16` or `q8_0`); one tensor in memory at a time."""
    kind, file_type = KINDS[wanted]
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    _copy_keys(reader, writer)
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    for tensor in reader.tensors:
        _announce(writer, tensor, _kind_of(tensor, kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in reader.tensors:
        writer.write_tensor_data(_converted(tensor, _kind_of(tensor, kind)))
    writer.close()


def _copy_keys(reader: Any, writer: Any) -> None:
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in _OWN:
            continue
        is_array = field.types[0] == gguf.GGUFValueType.ARRAY
        writer.add_key_value(
            key, field.contents(), field.types[0], field.types[-1] if is_array else None
        )


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(int(size) for size in reversed(tensor.shape))


def _kind_of(tensor: Any, wanted: Kind) -> Kind:
    shape = _shape(tensor)
    if len(shape) < 2:
        return Kind.F32
    # Q8_0 works on blocks of 32 along the row.
    return wanted if wanted is Kind.F16 or shape[-1] % 32 == 0 else Kind.F16


def _announce(writer: Any, tensor: Any, kind: Kind) -> None:
    shape = _shape(tensor)
    if kind in {Kind.F32, Kind.F16}:
        dtype = np.dtype(np.float32 if kind is Kind.F32 else np.float16)
        writer.add_tensor_info(tensor.name, shape, dtype, int(np.prod(shape)) * dtype.itemsize)
    else:
        packed = gguf.quants.quant_shape_to_byte_shape(shape, kind)
        writer.add_tensor_info(
            tensor.name, packed, np.dtype(np.uint8), int(np.prod(packed)), raw_dtype=kind
        )


def _converted(tensor: Any, kind: Kind) -> Any:
    values = (
        gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        .reshape(_shape(tensor))
        .astype(np.float32, copy=False)
    )
    if kind is Kind.F32:
        return np.ascontiguousarray(values)
    if kind is Kind.F16:
        return np.ascontiguousarray(values.astype(np.float16))
    return np.ascontiguousarray(gguf.quants.quantize(values, kind))


if __name__ == "__main__":
    requantize(*sys.argv[1:4])
