"""What the explorer says of every operation, parameter and field, in the languages that are written by hand."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from importlib import resources
from typing import Any

import pytest

from pierhead.bootstrap.explorer import explorer
from pierhead.core.languages import Language
from pierhead.core.reference import Operation
from pierhead.settings import Settings
from pierhead.web.explorer import Texts

WRITTEN = (Language.EN, Language.ZH_CN)
#: Products that share the texts of another one.
FAMILY = {"sts": "ram"}
FAMILIES = ("eas", "openai", "pierhead", "ram", "zstack")
PARTS = ("parameters", "fields", "groups")
#: What an operation that is not done here is answered with, which its description has to tell.
REFUSAL = {"eas": "UnsupportedOperation", "ram": "InvalidAction", "sts": "InvalidAction"}
CHINESE = re.compile("[\u4e00-\u9fff]")


class Heard(dict[str, Any]):
    """Texts that know which of them were read."""

    def __init__(self, texts: Mapping[str, Any]) -> None:
        super().__init__(texts)
        self.read = set[str]()

    def __getitem__(self, name: str) -> Any:
        self.read.add(name)
        return super().__getitem__(name)


Found = Mapping[Language, Mapping[str, Heard]]


@pytest.fixture(scope="module")
def texts() -> Mapping[str, Found]:
    """Family -> language -> part -> texts."""
    return {
        family: {
            language: {part: Heard(held) for part, held in _file(family, language).items()}
            for language in WRITTEN
        }
        for family in FAMILIES
    }


@pytest.fixture(scope="module")
def told(
    texts: Mapping[str, Found], tmp_path_factory: pytest.TempPathFactory
) -> Mapping[Language, list[dict[str, Any]]]:
    """Every operation as the explorer tells it; a text is never borrowed from another language."""
    made = explorer(Settings(data_dir=tmp_path_factory.mktemp("texts")))
    found: Mapping[Language, list[dict[str, Any]]] = {language: [] for language in WRITTEN}
    for product in made.products:
        for operation in product.operations():
            for language in WRITTEN:
                # The catalog is told once, not anew for each operation and language.
                one = replace(
                    product,
                    find=partial(_itself, operation),
                    texts=partial(_of, texts[FAMILY.get(product.id, product.id)], language),
                )
                alone = replace(made, products=(one,))
                found[language].append(alone.operation(product.id, operation.id, language))
    return found


def test_everything_is_said_in_both_languages(
    told: Mapping[Language, list[dict[str, Any]]],
) -> None:
    silent = {
        f"{language}: {place}"
        for language in WRITTEN
        for operation in told[language]
        for place, text in _texts(operation)
        if not text or text == operation["Id"]
    }
    assert silent == set()
    assert len(told[Language.EN]) == len(told[Language.ZH_CN]) > 250


def test_the_chinese_texts_are_chinese(told: Mapping[Language, list[dict[str, Any]]]) -> None:
    english = {place: text for one in told[Language.EN] for place, text in _texts(one)}
    foreign = {
        place
        for operation in told[Language.ZH_CN]
        for place, text in _texts(operation)
        # A term alone, such as an AccessKey ID, may be the same in both.
        if CHINESE.search(text) is None and (len(text.split()) > 2 or text == english[place])
    }
    assert foreign == set()
    mixed = {
        place
        for operation in told[Language.EN]
        for place, text in _texts(operation)
        if CHINESE.search(text)
    }
    assert mixed == set()


def test_no_text_is_left_over(
    texts: Mapping[str, Found], told: Mapping[Language, list[dict[str, Any]]]
) -> None:
    assert told
    for family, found in texts.items():
        for language in WRITTEN:
            held = found[language]
            for part in PARTS:
                assert set(held[part]) - held[part].read == set(), (family, language, part)
        assert {part: set(held) for part, held in found[Language.EN].items()} == {
            part: set(held) for part, held in found[Language.ZH_CN].items()
        }, family
    named = {one["Id"] for one in told[Language.EN]}
    written = {name for found in texts.values() for name in found[Language.EN]["operations"]}
    assert written - named == set()


def test_a_description_says_what_is_not_done_here(
    told: Mapping[Language, list[dict[str, Any]]],
) -> None:
    for operation in (one for language in WRITTEN for one in told[language]):
        code = REFUSAL.get(operation["Product"])
        if code is not None:
            says = code in operation["Description"]
            assert says == bool(operation["Unsupported"]), operation["Id"]


def _itself(operation: Operation, _name: str) -> Operation:
    return operation


def _of(found: Found, language: Language, _asked: Language) -> Texts:
    """The texts of one language alone, whichever is asked for: none is borrowed."""
    return found[language]


def _texts(operation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    name = f"{operation['Product']}.{operation['Id']}"
    for part in ("Title", "Description"):
        yield f"{name} {part}", operation[part]
    # A group that has no title is told by its name, which one group may be called by.
    yield f"{name} group", operation["GroupTitle"]
    for part in ("Parameters", "Response"):
        for field in operation[part]:
            yield from _of_field(f"{name} {part}", field)


def _of_field(place: str, field: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    here = f"{place}.{field['Name']}".rstrip(".")
    if field["Name"]:
        yield here, field["Description"]
    for one in (*field["Fields"], *filter(None, [field["Items"]])):
        yield from _of_field(here, one)


def _file(family: str, language: Language) -> dict[str, dict[str, Any]]:
    folder = resources.files("pierhead.web").joinpath("texts")
    found: dict[str, dict[str, Any]] = json.loads(
        folder.joinpath(f"{family}.{language.value}.json").read_bytes()
    )
    return found
