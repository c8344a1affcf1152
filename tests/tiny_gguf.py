"""Tiny files with the true architectures of the vendor's specs: random weights, a megabyte or two.

llama.cpp loads and generates from each GGUF file; what it writes is noise, so never judge an answer by
them. The first ChatGLM exists as a folder of safetensors only: there is no GGUF of it anywhere.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind

CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
FILE_TYPES = {
    "fp16": (Kind.F16, gguf.LlamaFileType.MOSTLY_F16),
    "int8": (Kind.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """An architecture in miniature."""

    architecture: str
    layers: int  #: llama.cpp tells Baichuan 7B (32) from 13B (40) by this alone
    width: int
    heads: int
    kv_heads: int
    feed_forward: int

    @property
    def head(self) -> int:
        return self.width // self.heads


SHAPES = {
    "llama_7b": Shape("llama", 2, 64, 4, 4, 160),
    "llama_13b": Shape("llama", 3, 128, 4, 4, 352),
    "chatglm2_6b": Shape("chatglm", 2, 64, 4, 2, 160),
    "baichuan_7b": Shape("baichuan", 32, 64, 2, 2, 96),
    "baichuan_13b": Shape("baichuan", 40, 64, 2, 2, 96),
}


def write_tiny_gguf(path: Path, spec: str, *, embeds: bool = False) -> None:
    """Write the miniature of a spec such as `llama_7b_fp16` to `path`; the same bytes every time.

    With `embeds` it says, as an embedding model does, that the vectors of a text are averaged.
    """
    family, _, precision = spec.rpartition("_")
    tensor_type, file_type = FILE_TYPES[precision]
    shape = SHAPES[family]
    writer = gguf.GGUFWriter(path, shape.architecture)
    vocabulary = _vocabulary(writer)
    _settings(writer, spec, shape, vocabulary)
    if embeds:
        writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(file_type)
    _Tensors(writer, tensor_type).of(shape, vocabulary)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


#: config.json of the first ChatGLM in miniature, with the keys that its successors have not.
FIRST_CHATGLM = {
    "architectures": ["ChatGLMModel"], "model_type": "chatglm", "position_encoding_2d": True,
    "num_layers": 2, "num_attention_heads": 4, "hidden_size": 64, "inner_hidden_size": 256,
    "vocab_size": 288, "max_sequence_length": 2048, "torch_dtype": "float16",
}  # fmt: skip


def write_tiny_chatglm_v1(folder: Path) -> None:
    """Write the miniature of ChatGLM-6B, as Hugging Face lays it out, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(FIRST_CHATGLM))
    sizes = {
        "transformer.word_embeddings.weight": (288, 64),
        "transformer.layers.0.attention.query_key_value.weight": (192, 64),
        "lm_head.weight": (288, 64),
    }
    random = np.random.default_rng(0)
    header: dict[str, object] = {}
    content = b""
    for name, size in sizes.items():
        tensor = (random.standard_normal(size) * 0.02).astype(np.float16).tobytes()
        place = [len(content), len(content) + len(tensor)]
        header[name] = {"dtype": "F16", "shape": size, "data_offsets": place}
        content += tensor
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + content)


def _vocabulary(writer: gguf.GGUFWriter) -> int:
    """Every byte, three marks of the chat template, and padding to a multiple of 32; its size."""
    tokens = [*_bytes(), "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    types = [gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL] * 3
    padding = -len(tokens) % 32
    tokens += [f"[PAD{number}]" for number in range(padding)]
    types += [gguf.TokenType.UNUSED] * padding
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(258)
    writer.add_pad_token_id(256)
    writer.add_add_bos_token(value=False)
    writer.add_chat_template(CHAT_TEMPLATE)
    return len(tokens)


def _bytes() -> list[str]:
    """The printable characters by which byte-level BPE writes the 256 bytes."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    spare = iter(range(256, 512))
    return [chr(byte if byte in plain else next(spare)) for byte in range(256)]


def _settings(writer: gguf.GGUFWriter, name: str, shape: Shape, vocabulary: int) -> None:
    writer.add_name(name)
    writer.add_context_length(2048)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(vocabulary)
    # ChatGLM rotates half of each head.
    chatglm = shape.architecture == "chatglm"
    writer.add_rope_dimension_count(shape.head // 2 if chatglm else shape.head)
    writer.add_rope_freq_base(10000.0)


class _Tensors:
    def __init__(self, writer: gguf.GGUFWriter, kind: Kind) -> None:
        self._writer, self._kind = writer, kind
        self._random = np.random.default_rng(0)

    def of(self, shape: Shape, vocabulary: int) -> None:
        self._matrix("token_embd.weight", vocabulary, shape.width)
        self._norm("output_norm.weight", shape.width)
        self._matrix("output.weight", vocabulary, shape.width)
        for layer in range(shape.layers):
            self._layer(f"blk.{layer}.", shape)

    def _layer(self, at: str, shape: Shape) -> None:
        width, narrow, inner = shape.width, shape.kv_heads * shape.head, shape.feed_forward
        self._norm(f"{at}attn_norm.weight", width)
        if shape.architecture == "chatglm":  # one matrix for q, k and v, one for gate and up
            fused = width + 2 * narrow
            self._matrix(f"{at}attn_qkv.weight", fused, width)
            self._writer.add_tensor(f"{at}attn_qkv.bias", np.zeros(fused, np.float32))
            self._matrix(f"{at}ffn_up.weight", 2 * inner, width)
        else:
            self._matrix(f"{at}attn_q.weight", width, width)
            self._matrix(f"{at}attn_k.weight", narrow, width)
            self._matrix(f"{at}attn_v.weight", narrow, width)
            self._matrix(f"{at}ffn_gate.weight", inner, width)
            self._matrix(f"{at}ffn_up.weight", inner, width)
        self._matrix(f"{at}attn_output.weight", width, width)
        self._norm(f"{at}ffn_norm.weight", width)
        self._matrix(f"{at}ffn_down.weight", width, inner)

    def _norm(self, name: str, size: int) -> None:
        self._writer.add_tensor(name, np.ones(size, np.float32))

    def _matrix(self, name: str, rows: int, columns: int) -> None:
        values = (self._random.standard_normal((rows, columns)) * 0.02).astype(np.float32)
        if self._kind is Kind.F16:
            self._writer.add_tensor(name, values.astype(np.float16))
        else:
            packed = gguf.quants.quantize(values, self._kind)
            self._writer.add_tensor(name, packed, raw_dtype=self._kind)
