"""What a program's log, a store's answer or a user may write costs no more than its length.

The bounds of time are those of the CPU, and far above what is measured (2 to 20 ms): a pattern that
goes over a text again from each of its characters takes seconds.
"""

import time
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pierhead.core.diagnosis import Cause, crash, explained
from pierhead.core.diagnosis.patterns import PATTERNS
from pierhead.core.diagnosis.phrases import LONGEST, Phrase, cut, in_small, phrase
from pierhead.core.diagnosis.wording import shown
from pierhead.core.redaction import MASK, masked_text, redacted
from pierhead.core.replicas import Exit

LINE = 65536  #: bytes of a line that a keeper writes at most
FAILED = Exit(0, code=3)
PHRASES = [words for pattern in PATTERNS for words in pattern.words]
ENDLESS = [
    "a", "a.", "A_", "a/", "so.", "A$", "Error ", "1", " ", "'", '"', "(", ":", "host='", "-token",
    "ForFor", "raise ", "sh: 1", "Model architectures ['a", "process signaled ",
    "resource temporarily unavailable", "pthread_create ", "unrecognized bad ",
]  # fmt: skip


def seconds(act: Callable[[], object]) -> float:
    """Of CPU."""
    begin = time.process_time()
    act()
    return time.process_time() - begin


@pytest.mark.parametrize("words", ENDLESS)
@pytest.mark.parametrize(
    "end", ["", ": cannot open shared object file", "No such file or directory"]
)
def test_law_no_log_holds_the_hub_up(words: str, end: str) -> None:
    lines = tuple(f"{n}{(words * LINE)[:LINE]}{end}" for n in range(50))
    assert seconds(lambda: crash(FAILED, lines)) < 0.5


@pytest.mark.parametrize(
    "words", [*ENDLESS, "secret=", "--token ", "token  ", "Bearer ", "acs a", "://a"]
)
def test_law_no_fact_holds_the_hub_up(words: str) -> None:
    text = (words * LINE)[:LINE]
    for reason in ("WeightsUnavailable", "EnvironmentFailed", "ModuleMissing", "NotReadyYet"):
        cause = Cause(reason, "", {"problem": text, "module": text, "path": text})
        assert seconds(lambda cause=cause: explained(cause)) < 0.5
    assert seconds(lambda: masked_text(text[:2400])) < 0.5
    assert seconds(lambda: redacted({text: text, "name": text, "value": text})) < 0.5


@given(st.text(max_size=2000), st.integers(40, 900))
def test_law_what_is_read_of_a_text_has_an_end(text: str, longest: int) -> None:
    found = cut(text, longest)
    assert len(found) <= longest
    assert found == text or (text.startswith(found[: longest // 2]) and text.endswith(found[-1:]))


@pytest.mark.parametrize(
    "line",
    [
        "ModuleNotFoundError: No module named 'torch' " + "x" * LINE,
        "x " * LINE + "ModuleNotFoundError: No module named 'torch'",
        "No module named 'torch'" + " " * LINE,
    ],
)
def test_the_cause_is_found_at_either_end_of_a_long_line(line: str) -> None:
    found = crash(FAILED, ("loading", line))
    assert found.reason == "ModuleMissing" and found.facts["module"] == "torch"
    assert all(len(value) <= LONGEST for value in found.facts.values())


def test_of_many_lines_the_last_ones_are_read() -> None:
    assert crash(FAILED, ("MemoryError", *["well"] * 50)).reason == "Crashed"


@settings(
    max_examples=400,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    deadline=None,
)
@given(st.data())
def test_law_what_every_match_holds_is_in_every_match(data: st.DataObject) -> None:
    """Else a pattern would not be tried on a line that it matches."""
    words = data.draw(st.sampled_from(PHRASES))
    small_letters = st.characters(min_codepoint=32, max_codepoint=126)
    text = data.draw(
        st.from_regex(words.words, fullmatch=True, alphabet=small_letters | st.just("\n"))
    )
    assert words.sure in in_small(text)
    assert "\n" in text or words.search(text, in_small(text)) is not None


def test_each_pattern_is_tried_on_few_lines_only() -> None:
    assert [each.words.pattern for each in PHRASES if len(each.sure) < 4] == []


@pytest.mark.parametrize(
    ("words", "sure"),
    [
        ("ab(?:cd)?efg+h", "efg"),
        (r"x\.so[.\d]*: no", "x.so"),
        ("left|right", ""),
        ("colou?rs", "colo"),
        ("a{2}bcd", "bcd"),
        (r"[]a]bc[^]b]", "bc"),
        ("LOUD (word)", "loud "),
    ],
)
def test_what_every_match_holds(words: str, sure: str) -> None:
    assert phrase(words).sure == sure


def test_a_phrase_is_found_in_the_line_that_has_it() -> None:
    def at(words: Phrase, text: str) -> int:
        found = words.search(text, in_small(text))
        return -1 if found is None else found.start()

    assert at(phrase("left|right"), "one\ntwo\nright") == 8
    assert at(phrase("left|right"), "one\ntwo\n") == -1
    assert at(phrase("key (?P<n>[a-z]+)!"), "key 1\nKEY it\nİ Key is!") == 15
    assert at(phrase(r"above.{0,9}\n.{0,9}below"), "above it\nis below") == 0


def test_secrets_are_hidden_also_where_a_fact_is_cut() -> None:
    secret = "s3cr3t" * 100
    for lead in ("token=", "--api-key ", "Authorization: Bearer ", "https://me:"):
        for before in range(0, 420, 7):
            assert "s3cr" not in shown("x" * before + " " + lead + secret)
    assert MASK in shown("token=" + secret)


def test_a_secrets_name_may_be_long() -> None:
    for name in ("x" * 70 + "_password", "password_" + "x" * 5000, "x" * 5000 + "token"):
        assert "hunter22" not in str(redacted({name: "hunter22"}))
        assert "hunter22" not in str(redacted({"name": name, "value": "hunter22"}))
