"""Every reason that any code can give has its words, in three languages; facts are data in them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import pierhead
from pierhead.core import deadlines
from pierhead.core.diagnosis import UNTOLD, Cause, ends, explained, patterns, refining, sentence
from pierhead.core.diagnosis.texts import ENTRIES
from pierhead.core.diagnosis.wording import Entry, alternatives, places, shown, told
from pierhead.core.languages import Language, negotiated, of_locale, of_tag
from pierhead.core.status import ASLEEP, Status

SOURCE = Path(pierhead.__file__).parent
ENTRY = pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES.keys())
#: Characters of the simplified script that no traditional text has.
_SIMPLIFIED = frozenset(
    "无运进错为启务线这个时间会应执权误读写检种类储络证书没节点请关闭资载网页项监听结东车门问们来对开发现实际获数据库说让该变话"
)


# ---- every reason has an entry ---------------------------------------------------------------------


def _calls() -> Iterator[tuple[Path, ast.Call]]:
    for file in sorted(SOURCE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call):
                yield file, node


def _name(call: ast.Call) -> str:
    if isinstance(call.func, ast.Name):
        return call.func.id
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


#: What gives a reason -> which of its arguments is the word.
GIVERS = {
    "Hold": 0, "_hold": 0, "Cause": 0, "Occupied": 0, "worded": 0, "pattern": 0, "Stage": 1,
    "Verdict": 1, "_say": 0, "_change": 1, "_late": 0,
}  # fmt: skip
#: Of them, those whose word must not be a variable that nobody looked at.
MAKERS = {"Hold", "Cause", "Occupied", "Stage"}
#: Calls that pass on a reason which another call gave.
PASSED_ON = {
    ("core/choice.py", "reason"), ("core/devices.py", "WAITING"), ("sources/listings.py", "reason"),
    ("sources/model_files.py", "reason"), ("runtimes/process/allotment.py", "IN_PLACE"),
    ("core/quota_holds.py", "EXCEEDED"), ("reconciler/preflight.py", "HANGS"),
    ("core/diagnosis/replicas.py", "EJECTED"), ("core/quota_holds.py", "UNSAID"),
}  # fmt: skip


def given_reasons() -> Iterator[tuple[str, str]]:
    """(file, reason) of every word that stands in the code as a reason."""
    for file, call in _calls():
        if file.name in {"doctor.py", "audit.py"}:
            continue
        place = file.relative_to(SOURCE).as_posix()
        at = GIVERS.get(_name(call))
        if at is None or len(call.args) <= at:
            continue
        word = call.args[at]
        if isinstance(word, ast.Constant) and isinstance(word.value, str):
            yield place, word.value
        elif isinstance(word, ast.Name) and _name(call) in MAKERS:
            yield place, f"<{word.id}>"


def test_every_reason_in_the_code_has_an_entry() -> None:
    found = list(given_reasons())
    assert len(found) > 60
    words = [(place, word) for place, word in found if not word.startswith("<")]
    assert sorted({pair for pair in words if pair[1] and pair[1] not in ENTRIES}) == []
    variables = {(place, word[1:-1]) for place, word in found if word.startswith("<")}
    unknown = {pair for pair in variables if pair not in PASSED_ON and pair[1] != "reason"}
    assert unknown == set()


def test_every_reason_that_a_table_gives_has_an_entry() -> None:
    from pierhead.core.choice import UNSERVED
    from pierhead.core.devices import WAITING
    from pierhead.core.quotas import EXCEEDED, UNSAID
    from pierhead.runtimes.process.allotment import IN_PLACE

    words = {*ends.CODES.values(), *ends.SIGNALS.values(), *UNTOLD.values(), *refining.reasons()}
    words |= {pattern.reason for pattern in patterns.PATTERNS} | {UNSERVED, WAITING, IN_PLACE}
    words |= {EXCEEDED, UNSAID, ASLEEP}
    words |= {str(status) for status in Status} - {Status.FAILED}  # which always has a cause
    words |= {
        stage.overrun for stage in (*deadlines.STATUSES.values(), *deadlines.GOING_ON.values())
    }
    assert sorted(words - set(ENTRIES)) == []


# ---- every entry is whole --------------------------------------------------------------------------


@ENTRY
def test_each_has_error_causes_and_advices_in_each_language(entry: Entry) -> None:
    for language in Language:
        text = entry.text(language)
        assert all(alternatives(text.error))
        assert text.causes
        assert text.advices
        for form in text.sentences():
            assert form.strip() == form
            assert form.endswith((".", "。")) or form == "{message}", form


@ENTRY
def test_each_can_be_told_without_a_single_fact(entry: Entry) -> None:
    for language in Language:
        text = entry.text(language)
        assert told(text.error, {})
        assert any(told(advice, {}) for advice in text.advices)


@ENTRY
def test_the_languages_ask_for_the_same_facts(entry: Entry) -> None:
    needed = [[places(form) for form in entry.text(language).sentences()] for language in Language]
    assert needed[0] == needed[1] == needed[2]


@ENTRY
def test_each_language_is_itself(entry: Entry) -> None:
    english = " ".join(entry.en.sentences())
    assert not re.search("[\u3400-\u9fff]", english)
    simplified = " ".join(entry.zh_cn.sentences())
    traditional = " ".join(entry.zh_tw.sentences())
    assert _SIMPLIFIED & set(simplified)
    assert _SIMPLIFIED & set(traditional) == set()


# ---- facts are data --------------------------------------------------------------------------------


def test_a_fact_that_looks_like_a_place_is_not_filled() -> None:
    facts = {"module": "{log_line} {0.__class__} %s", "log_line": "secret"}
    text = explained(Cause("ModuleMissing", "", facts)).error
    assert "{log_line} {0.__class__} %s" in text


@given(st.text(max_size=60), st.sampled_from(list(Language)))
def test_whatever_a_fact_is_the_sentence_is_one_printable_line(
    value: str, language: Language
) -> None:
    said = sentence(Cause("ModuleMissing", "", {"module": value, "log_line": value}), language)
    assert not re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", said)


def test_a_secret_in_a_fact_is_masked() -> None:
    line = "401 from https://user:hunter2hunter2@host/ with Bearer abcdefghij"
    assert "hunter2hunter2" not in shown(line)
    assert "abcdefghij" not in shown(line)


def test_a_long_fact_is_cut() -> None:
    assert len(shown("x" * 10_000)) <= 400


def test_a_sentence_without_its_fact_is_left_out() -> None:
    assert told(("{a} and {b}.", "{a}."), {"a": "1"}) == "1."
    assert told("{a}.", {"a": ""}) == ""
    assert told(("{a}.", "plain."), {}) == "plain."


# ---- the last resort -------------------------------------------------------------------------------


def test_a_reason_of_another_release_is_told_as_it_is() -> None:
    found = explained(Cause("Bewitched", "The cauldron is cold."), Language.ZH_TW)
    assert "Bewitched" in found.error
    assert "The cauldron is cold" in found.causes[0]
    assert found.advices


# ---- which language --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", Language.EN),
        ("zh", Language.ZH_CN),
        ("zh-CN,zh;q=0.9,en;q=0.8", Language.ZH_CN),
        ("zh-Hant", Language.ZH_TW),
        ("zh-HK", Language.ZH_TW),
        ("zh_TW", Language.ZH_TW),
        ("en;q=0.5, zh-TW;q=0.8", Language.ZH_TW),
        ("fr, de;q=0.5", Language.EN),
        ("fr, zh-Hans;q=0.1", Language.ZH_CN),
        ("en, zh", Language.EN),
        ("zh;q=0, en", Language.EN),
        ("zh;q=nonsense, en;q=0.1", Language.EN),
        (";;;,=,", Language.EN),
        ("zh;q=inf, en;q=0.9", Language.EN),
        ("zh;q=1.5, en;q=0.1", Language.EN),
        ("zh;q=nan, en;q=0.1", Language.EN),
    ],
)
def test_the_language_that_is_liked_best(header: str, language: Language) -> None:
    assert negotiated(header) is language


def test_a_locale_names_a_language() -> None:
    assert of_locale("zh_TW.UTF-8") is Language.ZH_TW
    assert of_locale("C.UTF-8") is Language.EN
    assert of_tag("xx") is None
