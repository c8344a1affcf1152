"""A stream's chunks that go on unread: what is known by its surroundings is what all of it would tell."""

import json

from hypothesis import given
from hypothesis import strategies as st

from pierhead.gateway.steady import Steady


def _chunk(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


def _token(text: str, **more: object) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    document = {"id": "c-1", "choices": [choice], "usage": None, **more}
    return b"data: %b\n\n" % json.dumps(document, separators=(",", ":")).encode()


def _is_one_token(data: bytes) -> bool:
    """The rule, without a memory."""
    size, end = len(data), data.find(b"\r\n", 1, 5)
    framed = end > 0 and data[:end] == b"%x" % (size - end - 4) and data.endswith(b"\r\n")
    one = framed and size >= 32 and data.find(b"\n\n") == size - 4
    return one and (b'"usage"' not in data or b'"usage":null' in data)


_TEXTS = st.text(st.sampled_from('ab"\\\né{}:,'), max_size=12) | st.sampled_from(
    ["usage", '"usage"', '"},"usage":{"a":1},"x":{"y":"', "\\", ""]
)
#: Raw, as no JSON would have it: what stands around the text is the same.
_RAW = st.sampled_from([b"\n", b"\n\n", b'"', b'"usage":{', b'"},"usage":{"b":2},"z":{"q":"'])


def _made(kind: str, texts: tuple[str, str], raw: bytes, cut: int) -> bytes:
    one, other = map(_token, texts)
    whole = _chunk(one)
    return {
        "whole": whole,
        "usage": _chunk(_token(texts[0], usage={"prompt_tokens": 3})),
        "two events": _chunk(one + other),
        "two chunks": whole + _chunk(other),
        "cut": whole[:-cut],
        "broken": whole.replace(b"data", b"\n\ndata", 1),
        "raw": _chunk(_token("@").replace(b"@", raw)),
    }[kind]


_KINDS = ("whole", "usage", "two events", "two chunks", "cut", "broken", "raw")
_ANY = st.builds(_made, st.sampled_from(_KINDS), st.tuples(_TEXTS, _TEXTS), _RAW, st.integers(1, 9))
_WHOLE = st.builds(_made, st.just("whole"), st.tuples(_TEXTS, _TEXTS), _RAW, st.just(1))
_ODD = st.binary(max_size=60) | st.sampled_from(
    [_chunk(b"data: [DONE]\n\n"), b"0\r\n\r\n", _chunk(b": still here\n\n"), b""]
)


@given(st.lists(_WHOLE | _ANY | _ODD, max_size=12))
def test_a_known_token_is_one(chunks: list[bytes]) -> None:
    went: list[bytes] = []
    steady = Steady(went.append)
    passed = [data for data in chunks if steady.passes(data)]
    assert passed == went
    assert steady.passed == len(went)
    assert passed == [data for data in chunks if _is_one_token(data)]


def test_large_ones_are_read() -> None:
    steady = Steady(lambda _: None)
    assert not steady.passes(_chunk(_token("x" * 5000)))
    assert steady.passes(_chunk(_token("x" * 3000)))
