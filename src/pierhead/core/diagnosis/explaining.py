"""From a cause to what people read: the error, what may have led to it, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from pierhead.core.causes import Cause, Facts
from pierhead.core.diagnosis.evidence import evidence
from pierhead.core.diagnosis.fact_words import retold
from pierhead.core.diagnosis.refining import refined
from pierhead.core.diagnosis.wording import Entry, amounts, told
from pierhead.core.languages import Language

UNKNOWN = "Unknown"  #: the entry of reasons that have none
_EVIDENCE = {Language.ZH_CN: "证据", Language.ZH_TW: "證據"}


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that is not as wanted, for people."""

    reason: str  #: one word, the finest that the facts allow
    error: str
    causes: tuple[str, ...]
    advices: tuple[str, ...]
    evidence: tuple[str, ...] = ()


def _entries() -> Mapping[str, Entry]:
    """The texts, in memory from the first diagnosis on: a platform where all is well needs none."""
    from pierhead.core.diagnosis.texts import ENTRIES

    return ENTRIES


def explained(cause: Cause, language: Language = Language.EN) -> Diagnosis:
    """What the table says of a cause, with its facts."""
    fine = refined(cause)
    entries = _entries()
    entry = entries.get(fine.reason)
    facts: Facts = fine.facts or {"problem": fine.message}
    if entry is None:
        entry, facts = entries[UNKNOWN], {**facts, "word": fine.reason, "message": fine.message}
    text, facts = entry.text(language), amounts(retold(facts, language), language)
    return Diagnosis(
        fine.reason,
        told(text.error, facts),
        tuple(filter(None, (told(each, facts) for each in text.causes))),
        tuple(filter(None, (told(each, facts) for each in text.advices))),
        evidence(facts, language),
    )


def proof(found: Diagnosis, language: Language) -> str:
    """The evidence in one line; "" when there is none."""
    if not found.evidence:
        return ""
    if language is Language.EN:
        return f"Evidence: {'; '.join(found.evidence)}."
    return f"{_EVIDENCE[language]}：{'；'.join(found.evidence)}。"


def sentence(cause: Cause, language: Language) -> str:
    """Error, advice and evidence as one Message."""
    found = explained(cause, language)
    gap = " " if language is Language.EN else ""
    said = gap.join((found.error, *found.advices))
    if not found.evidence:
        return said
    if language is Language.EN:
        return f"{said.removesuffix('.')} ({'; '.join(found.evidence)})."
    return f"{said.removesuffix('。')}（{'；'.join(found.evidence)}）。"


def worded(reason: str, facts: Facts) -> Cause:
    """A cause whose message is what the table says of it."""
    return Cause(reason, _said(reason, tuple(facts.items())), facts)


@lru_cache(2048)  # what ended a run is told again whenever its service is looked at
def _said(reason: str, facts: tuple[tuple[str, str], ...]) -> str:
    return sentence(Cause(reason, "", dict(facts)), Language.EN)
