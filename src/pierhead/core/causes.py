"""Why something is not as wanted: one word, one sentence, and the facts behind both."""

from collections.abc import Mapping
from dataclasses import dataclass, field

#: Name -> value as people read it: `{"needed": "12.0 GiB"}`. Values may come from outside.
Facts = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Cause:
    """What to show as Reason and Message; the facts fill the texts of other languages."""

    reason: str
    message: str
    facts: Facts = field(default_factory=dict[str, str])
