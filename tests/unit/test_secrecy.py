"""Secrets are known by their variables' names and never shown; ordinary words stay readable."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pierhead.core.secrecy import MASK, masked, masked_command, secrets, without_passwords

ENV = {
    "OPENAI_API_KEY": "sk-abcdef",
    "hf_token": "hf-xyz",
    "DB_PASSWORD": "sk-abcdef-longer",
    "CLIENT_SECRET": "hush!",
    "MAX_TOKENS": "5120",
    "TOKENIZERS_PARALLELISM": "false",
    "KEY": "abc",
    "PLAIN": "visible",
}


def test_values_of_secret_variables_are_found_longest_first() -> None:
    assert secrets(ENV) == ("sk-abcdef-longer", "sk-abcdef", "hf-xyz", "hush!")


def test_a_longer_secret_leaves_no_tail() -> None:
    text = masked("a sk-abcdef-longer b sk-abcdef c hush! 5120 false visible", secrets(ENV))
    assert text == f"a {MASK} b {MASK} c {MASK} 5120 false visible"


def test_command_lines_lose_secrets_and_values_of_options_that_take_one() -> None:
    argv = ("serve", "--api-key", "k1", "--hf_token=k2", "--max-tokens", "9", "--tokenizer", "t")
    shown = masked_command((*argv, "--note=sk-abcdef", "--key", "--fast"), secrets(ENV))
    assert shown == (
        *("serve", "--api-key", MASK, f"--hf_token={MASK}"),
        *("--max-tokens", "9", "--tokenizer", "t", f"--note={MASK}", "--key", "--fast"),
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://u:p@h", f"https://u:{MASK}@h"),
        ("https://u:p@ss@h/x@y", f"https://u:{MASK}@h/x@y"),
        ("http://:p@h", f"http://:{MASK}@h"),
        ("postgres://u:p#x@h/db", f"postgres://u:{MASK}@h/db"),
        ("amqp://u:p/x@h", f"amqp://u:{MASK}@h"),
        ("a=https://u:p@h b=https://v:q@i", f"a=https://u:{MASK}@h b=https://v:{MASK}@i"),
        ("https://hf_token@h/x", f"https://{MASK}@h/x"),
        ("ssh://git@h/x", "ssh://git@h/x"),
        ("http://h:8080/x@y", "http://h:8080/x@y"),
        ("docker://registry:5000/image@sha256:ab", "docker://registry:5000/image@sha256:ab"),
        ("https://h/x@y", "https://h/x@y"),
    ],
)
def test_passwords_of_urls(text: str, shown: str) -> None:
    assert without_passwords(text) == shown


@given(st.text(min_size=4), st.text(), st.text())
def test_no_secret_survives(secret: str, before: str, after: str) -> None:
    found = secrets({"X_SECRET": secret})
    if found and secret not in MASK:
        assert secret not in masked(before + secret + after, found).replace(MASK, "\0")
