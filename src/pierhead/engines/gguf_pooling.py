"""Whether a GGUF file is an embedding model: such a file says how the vectors of its tokens become one."""

import re
from pathlib import Path

#: The key stands among the model's own figures, long before the vocabulary, which is the bulk of a header.
_SEARCHED = 4 << 20
_UINT32 = b"\x04\x00\x00\x00"
#: As the format writes an entry: length of the key, key, type of the value, value.
_ENTRY = re.compile(rb"(.{8})([a-z0-9][a-z0-9_-]*\.pooling_type)" + _UINT32 + rb"(.{4})", re.DOTALL)


def pools(model: str) -> bool:
    """Does the file at `model` ask for its vectors to be pooled? `none` is no pooling.

    What is wrong with a file that cannot be read, the engine says itself, in words that are known.
    """
    try:
        with Path(model).open("rb") as file:
            header = file.read(_SEARCHED)
    except OSError:
        return False
    return any(
        int.from_bytes(length, "little") == len(key) and any(kind)
        for length, key, kind in _ENTRY.findall(header)
    )
