"""Errors of both wires in three languages."""

import re

import pytest

from pierhead.core.errors import Missing, NotFound, PierheadError, Unavailable
from pierhead.core.languages import Language
from pierhead.dialects.eas import errors as eas
from pierhead.dialects.eas.chinese import MEANINGS
from pierhead.dialects.zstack import errors as zstack
from pierhead.dialects.zstack.elaborations import elaboration

_CHINESE = re.compile("[\u3400-\u9fff]")


def test_every_code_of_eas_has_its_meaning_in_chinese() -> None:
    assert set(MEANINGS) == set(eas.CODES)
    for simplified, traditional in MEANINGS.values():
        assert _CHINESE.search(simplified)
        assert _CHINESE.search(traditional)


def test_an_error_of_eas_keeps_what_is_particular_about_it() -> None:
    error = NotFound("service", "foo")
    english = eas.envelope(error, "R", "h")
    assert english["Message"] == "service [foo] does not exist."
    chinese = eas.envelope(error, "R", "h", None, Language.ZH_TW)
    assert chinese["Message"] == "服務不存在。（service [foo] does not exist.）"
    assert chinese["Code"] == english["Code"]


def test_a_fault_tells_nothing_of_the_inside_in_any_language() -> None:
    error = PierheadError("the password is hunter2")
    for language in Language:
        assert "hunter2" not in str(eas.envelope(error, "R", "h", None, language))


@pytest.mark.parametrize("language", ["en", "zh-CN", "zh-TW"])
def test_an_error_of_zstack_says_what_to_do(language: str) -> None:
    body = zstack.body_of(Missing("name"), language=language)
    assert bool(_CHINESE.search(body["elaboration"])) is (language != "en")
    assert body["i18nDetails"] == "字段[name]是必填项，不能为空"


def test_the_cause_of_an_error_has_its_own_elaboration() -> None:
    error = Unavailable("The store", "it is away")
    error.__cause__ = NotFound("model", "m")
    body = zstack.body_of(error)
    assert body["cause"]["elaboration"] != body["elaboration"]


@pytest.mark.parametrize("code", sorted(zstack.CODES))
def test_no_elaboration_sounds_like_an_ended_login(code: str) -> None:
    """The JavaScript client would log in again and repeat the call."""
    for language in ("en", "zh-CN", "zh-TW"):
        text = elaboration(code, language) or ""
        assert not re.search("session|token|401|403", text, re.IGNORECASE)
