"""What came from outside is written down in one line, and without secrets."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.audit import LONGEST_DETAIL, detail_text
from pierhead.core.redaction import MASK, masked_text, one_line, redacted

SECRET = "s3cr3t-Value-90210"

HIDDEN = [
    {"AccessKeySecret": SECRET},
    {"accessKeySecret": SECRET},
    {"password": SECRET},
    {"Password": SECRET},
    {"token": SECRET},
    {"SecurityToken": SECRET},
    {"x-acs-security-token": SECRET},
    {"dockerAuth": SECRET},
    {"metadata": {"token": SECRET}},
    {"Authorization": SECRET},
    {"apiKey": SECRET},
    {"sessionUuid": SECRET},
    {"containers": [{"env": [{"name": "HF_TOKEN", "value": SECRET}]}]},
    {"containers": [{"env": [{"name": "PLAIN", "value": SECRET}]}]},
    {"environment": {"PLAIN": SECRET}},
    {"environment": f"A={SECRET}"},
    {"parameters": [{"key": "db_password", "value": SECRET}]},
    {"yaml": f"env:\n  - {SECRET}\n"},
    {"startCommand": f"serve --key {SECRET}"},
    {"command": ["serve", SECRET]},
    {"containerArgs": [SECRET]},
    {"script": SECRET},
    {"url": f"https://user:{SECRET}@host/path"},
    {"text": f"serve --api-key {SECRET}"},
    {"text": f"--hf_token={SECRET}"},
    {"text": f"Authorization: Bearer {SECRET}"},
    {"deep": {"er": {"and": [{"deeper": {"password": SECRET}}]}}},
    {"long": f"line one\nAPI={SECRET}\n"},
]


@pytest.mark.parametrize("value", HIDDEN, ids=json.dumps)
def test_law_a_secret_is_not_in_the_detail(value: object) -> None:
    assert SECRET not in detail_text(value)


def test_what_is_no_secret_stays() -> None:
    asked = {
        "ServiceName": "my_llm",
        "Replicas": 2,
        "UserAccessKeyId": "LTAI5t",
        "Labels": [{"LabelKey": "team", "LabelValue": "a"}],
        "max_tokens": 512,
        "none": None,
    }
    assert redacted(asked) == {**asked, "max_tokens": 512}
    assert redacted({"password": ""}) == {"password": ""}


def test_the_same_document_is_known_again() -> None:
    one, other = redacted({"yaml": "a: 1\n"}), redacted({"yaml": "a: 2\n"})
    assert one == redacted({"yaml": "a: 1\n"}) and one != other
    assert "5 characters" in one["yaml"]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=40,
)


@given(json_values)
def test_law_any_detail_is_bounded_json_in_one_line_of_ascii(value: object) -> None:
    text = detail_text(value)
    assert len(text) <= LONGEST_DETAIL + 4000 and text.isascii()
    assert text == "" or json.loads(text) is not None
    assert "\n" not in text and "\x1b" not in text


def test_a_detail_of_any_size_is_cut() -> None:
    text = detail_text({f"name{n}": "x" * 150 for n in range(1000)})
    assert len(text) < LONGEST_DETAIL and json.loads(text)["cut"] is True


@given(st.text())
def test_law_a_line_stays_a_line(text: str) -> None:
    shown = one_line(text)
    assert len(f"a{shown}b".splitlines()) == 1
    assert all(
        character.isprintable() or character == "\xad" or ord(character) > 159
        for character in shown
    )
    shown.encode()  # nothing that UTF-8 cannot hold


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\r\nb", "a\\r\\nb"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("\x9b2J", "\\x9b2J"),
        ("a\u2028b\u202eb", "a\\u2028b\\u202eb"),
        ("中文", "中文"),
        ("x" * 300, "x" * 199 + "…"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    assert one_line(text, 200) == shown


def test_running_text_loses_its_secrets() -> None:
    text = masked_text(
        f"OAuth {SECRET} acs AK:{SECRET} Signature={SECRET} max_tokens 5 tokenizer x"
    )
    assert SECRET not in text and text.count(MASK) == 3
    assert text.endswith("max_tokens 5 tokenizer x")
