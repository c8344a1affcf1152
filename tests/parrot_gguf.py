"""A model that says the same words to everything: a real GGUF file for the real engine, and no noise.

Each token is an axis of its own, attention and feed-forward add nothing, and the output matrix leads
from every token to the one that follows it: what is said depends on the last token alone.
"""

from pathlib import Path

import gguf
import numpy as np

#: Tools are shown and called in the way that many models share; the engine learns it from this text.
TOOL_TEMPLATE = """
{%- if tools %}
    {{- '<|im_start|>system\\nYou may call functions.\\n<tools>' }}
    {%- for tool in tools %}
        {{- '\\n' + (tool | tojson) }}
    {%- endfor %}
    {{- '\\n</tools>\\nAnswer with <tool_call>\\n{"name": ..., "arguments": ...}\\n</tool_call><|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' }}
    {%- if message.content %}
        {{- message.content }}
    {%- endif %}
    {%- for call in message.tool_calls or [] %}
        {{- '\\n<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
        {{- (call.function.arguments | tojson) + '}\\n</tool_call>' }}
    {%- endfor %}
    {{- '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}
"""
_MARKS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_END = 256 + _MARKS.index("<|im_end|>")
_HEAD = 64  #: numbers per attention head; the width must be a multiple
_CONTEXT = 2048
#: Far above the logits of all others, which are 0: no sampling gets past it.
_SURE = 4.0


def write_parrot(path: Path, says: list[str]) -> None:
    """Writes a model to `path` that answers with these tokens, one after the other, and ends."""
    letters = _letters()
    tokens = [*letters, *_MARKS, *("".join(letters[b] for b in text.encode()) for text in says)]
    types = [gguf.TokenType.NORMAL] * len(tokens)
    types[256 : 256 + len(_MARKS)] = [gguf.TokenType.CONTROL] * len(_MARKS)
    width = -(-len(tokens) // _HEAD) * _HEAD
    padding = width - len(tokens)
    tokens += [f"[PAD{number}]" for number in range(padding)]
    types += [gguf.TokenType.UNUSED] * padding
    writer = gguf.GGUFWriter(path, "llama")
    _describe(writer, tokens, types)
    _write_tensors(writer, width, _followers(width, len(says)))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _letters() -> list[str]:
    """How byte-level vocabularies write the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    spare = iter(range(256, 512))
    return [chr(byte if byte in plain else next(spare)) for byte in range(256)]


def _followers(width: int, count: int) -> list[int]:
    """The token that follows each: after the words the end, after anything else the first word."""
    first = 256 + len(_MARKS)
    followers = [first if count else _END] * width
    for place in range(count):
        followers[first + place] = first + place + 1 if place + 1 < count else _END
    return followers


def _describe(writer: gguf.GGUFWriter, tokens: list[str], types: list[gguf.TokenType]) -> None:
    width = len(tokens)
    writer.add_name("parrot")
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(width)
    writer.add_block_count(2)
    writer.add_feed_forward_length(32)
    writer.add_head_count(width // _HEAD)
    writer.add_head_count_kv(width // _HEAD)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(width)
    writer.add_rope_dimension_count(_HEAD)
    writer.add_rope_freq_base(10000.0)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(_END)
    writer.add_pad_token_id(256)
    writer.add_add_bos_token(value=False)
    writer.add_chat_template(TOOL_TEMPLATE)


def _write_tensors(writer: gguf.GGUFWriter, width: int, followers: list[int]) -> None:
    output = np.zeros((width, width), np.float16)
    output[followers, range(width)] = _SURE
    writer.add_tensor("token_embd.weight", np.eye(width, dtype=np.float16))
    writer.add_tensor("output_norm.weight", np.ones(width, np.float32))
    writer.add_tensor("output.weight", output)
    square, narrow = np.zeros((width, width), np.float16), np.zeros((32, width), np.float16)
    for layer in range(2):
        for part in ("attn", "ffn"):
            writer.add_tensor(f"blk.{layer}.{part}_norm.weight", np.ones(width, np.float32))
        for part in ("q", "k", "v", "output"):
            writer.add_tensor(f"blk.{layer}.attn_{part}.weight", square)
        for part in ("gate", "up"):
            writer.add_tensor(f"blk.{layer}.ffn_{part}.weight", narrow)
        writer.add_tensor(f"blk.{layer}.ffn_down.weight", np.ascontiguousarray(narrow.T))
