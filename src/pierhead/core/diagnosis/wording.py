"""From a reason and its facts to sentences, in three languages.

A sentence names the facts it needs in braces; one that needs a fact nobody knows is left out. Facts
are data: nothing in them is read as a place for another one, and nothing unprintable comes through.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pierhead.core.causes import Facts
from pierhead.core.languages import Language
from pierhead.core.redaction import masked_text, one_line

#: Alternatives, the one that says most first: the first counts whose facts are all known.
Sentence = str | tuple[str, ...]

_PLACE = re.compile(r"\{(\w+)\}")
_LONGEST = 400  #: characters of a fact


@dataclass(frozen=True, slots=True)
class Text:
    """What is said of a reason in one language."""

    error: Sentence
    causes: tuple[Sentence, ...]
    advices: tuple[Sentence, ...]

    def sentences(self) -> Iterable[str]:
        """Every sentence, all alternatives."""
        for sentence in (self.error, *self.causes, *self.advices):
            yield from alternatives(sentence)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is said of a reason."""

    reason: str
    en: Text
    zh_cn: Text
    zh_tw: Text

    def text(self, language: Language) -> Text:
        """In one language."""
        if language is Language.EN:
            return self.en
        return self.zh_cn if language is Language.ZH_CN else self.zh_tw


def entries(*each: Entry) -> Mapping[str, Entry]:
    """By reason."""
    return {entry.reason: entry for entry in each}


def alternatives(sentence: Sentence) -> tuple[str, ...]:
    """The forms of a sentence."""
    return (sentence,) if isinstance(sentence, str) else sentence


def places(text: str) -> frozenset[str]:
    """Names of the facts that a form needs."""
    return frozenset(_PLACE.findall(text))


def told(sentence: Sentence, facts: Facts) -> str:
    """The sentence with its facts; "" when a fact is missing for each of its forms."""
    for form in alternatives(sentence):
        if all(facts.get(name) for name in places(form)):
            return _PLACE.sub(lambda found: shown(facts[found[1]]), form)
    return ""


#: Facts that name amounts of a quota, and how their units are called elsewhere.
_AMOUNTS = ("limit", "whole", "used", "wanted")
_UNITS = {
    Language.ZH_CN: (("memory", "内存"), ("replica(s)", "个副本"), ("replicas", "副本数")),
    Language.ZH_TW: (("memory", "記憶體"), ("replica(s)", "個副本"), ("replicas", "副本數")),
}


def amounts(facts: Facts, language: Language) -> Facts:
    """The facts, with the units of amounts in a language."""
    units = _UNITS.get(language)
    if units is None:
        return facts
    named = {name: _own(facts[name], units) for name in _AMOUNTS if facts.get(name)}
    return {**facts, **named} if named else facts


def _own(text: str, units: tuple[tuple[str, str], ...]) -> str:
    for english, own in (*units, (" and ", "、"), (", ", "、"), ("GPUs", "GPU")):
        text = text.replace(english, own)
    return text


def shown(value: str) -> str:
    """A fact as part of a sentence: one line, not long, no secrets that can be recognised."""
    return one_line(masked_text(value.strip()[: 2 * _LONGEST]), _LONGEST).rstrip(".。")
