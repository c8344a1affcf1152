"""One option for the language of texts: spelled the same everywhere; without it the locale decides."""

from collections.abc import Iterator
from typing import Any

import pytest
import typer

from pierhead.cli.main import app
from pierhead.cli.options import language_of
from pierhead.core.languages import Language

#: Verbs that show texts which come in languages.
SPEAKING = {
    "why",
    "logs",
    "instances",
    "services list",
    "services show",
    "services logs",
    "services instances",
}


def _verbs(command: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    for word, each in getattr(command, "commands", {}).items():
        yield from _verbs(each, f"{name} {word}".strip())
    if not hasattr(command, "commands"):
        yield name, command


def test_it_is_the_same_wherever_it_is() -> None:
    found = {
        verb: (tuple(each.opts), each.help, each.envvar)
        for verb, command in _verbs(typer.main.get_command(app))
        for each in command.params
        if "--lang" in each.opts
    }
    assert set(found) == SPEAKING
    assert len(set(found.values())) == 1
    assert found["why"][0] == ("--lang",)
    assert "zh-TW" in found["why"][1]


@pytest.mark.parametrize(
    ("lang", "environment", "language"),
    [
        ("zh-TW", {"LANG": "en_US.UTF-8"}, Language.ZH_TW),
        ("zh", {}, Language.ZH_CN),
        ("", {"LANG": "zh_CN.UTF-8"}, Language.ZH_CN),
        ("", {"LANG": "zh_CN.UTF-8", "LC_ALL": "zh_TW.UTF-8"}, Language.ZH_TW),
        ("", {"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, Language.EN),
        ("", {"LANG": "zh_CN.UTF-8", "LC_ALL": ""}, Language.ZH_CN),
        ("", {"LC_MESSAGES": "zh_HK"}, Language.ZH_TW),
        ("", {}, Language.EN),
    ],
)
def test_without_it_the_locale_decides(
    lang: str, environment: dict[str, str], language: Language, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert language_of(lang) is language


def test_one_that_there_is_not_is_refused_with_those_there_are() -> None:
    with pytest.raises(typer.BadParameter, match="en, zh-CN, zh-TW"):
        language_of("fr")
