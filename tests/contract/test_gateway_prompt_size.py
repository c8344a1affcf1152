"""What a prompt is guessed to have whose engine did not come to tell: by its text, not by its JSON."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.gateway.asking import Asked
from pierhead.gateway.prompt_size import prompt_tokens

SAID = "What is the capital of France? Answer briefly."  # 46 bytes
TEXT = len(SAID) // 4
PICTURE = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 100_000}}


def guess(**document: Any) -> int:
    return Asked("POST", b"/v1/chat/completions", json.dumps(document).encode()).guess


@pytest.mark.parametrize(
    ("document", "tokens"),
    [
        ({"prompt": SAID}, TEXT),
        ({"prompt": [SAID, SAID]}, 2 * len(SAID) // 4),
        ({"prompt": [5, 6, 7]}, 3),
        ({"prompt": [[5, 6, 7], [8]]}, 4),
        ({"prompt": [5, SAID]}, 1 + TEXT),
        ({"input": SAID, "instructions": SAID}, 2 * TEXT),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": SAID}]}]}, TEXT),
        ({"messages": [{"role": "user", "content": SAID}]}, TEXT + 4),
        ({"messages": [{"role": "user", "content": SAID}], "system": SAID}, 2 * TEXT + 4),
        ({"messages": [{"content": [{"type": "text", "text": SAID}, PICTURE]}]}, TEXT + 4),
        ({"input_prefix": SAID, "input_suffix": SAID, "prompt": ""}, 2 * TEXT),
    ],
)
def test_each_protocol_s_text_counts(document: dict[str, Any], tokens: int) -> None:
    settings = {"model": "some_model", "temperature": 0.3, "stop": ["x" * 400], "user": "u" * 400}
    assert guess(**document) == tokens
    assert guess(**document, **settings, stream_options={"include_usage": True}) == tokens


def test_tools_and_their_calls_count() -> None:
    call = {"function": {"name": "weather", "arguments": '{"city": "Shanghai"}'}}
    asked = [{"role": "user", "content": SAID}, {"role": "assistant", "tool_calls": [call]}]
    plain = guess(messages=asked)
    assert plain == (len(SAID) + len('weather{"city": "Shanghai"}')) // 4 + 8
    tool = {"type": "function", "function": {"name": "weather", "description": "d" * 400}}
    assert 100 < guess(messages=asked, tools=[tool]) - plain < 120


def test_a_letter_of_three_bytes_is_most_of_a_token() -> None:
    assert guess(prompt="法国的首都是哪里") == 8 * 3 // 4


def test_what_has_no_text_is_guessed_by_its_size() -> None:
    assert prompt_tokens({}, 400) == 100
    assert guess(model="m", query=SAID) == len(json.dumps({"model": "m", "query": SAID})) // 4
    assert Asked("POST", b"/v1/completions", b"no JSON " * 10).guess == 20
    assert Asked("POST", b"/v1/completions", b"").guess == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["text"]), inner),
    max_leaves=20,
)


@given(
    st.dictionaries(
        st.sampled_from(["messages", "prompt", "input", "system", "tools"]), json_values
    )
)
def test_whatever_is_sent_it_has_one_token_at_least(document: dict[str, Any]) -> None:
    assert prompt_tokens(document, 3) >= 1
