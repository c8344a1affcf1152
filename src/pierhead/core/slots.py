"""How many requests a replica is given at once. Pure."""

from collections.abc import Iterable

from pierhead.core.launch import Capabilities
from pierhead.core.services import Version
from pierhead.core.templates import Template

#: Beyond those that an engine works on. When one ends, the next must lie there already: an engine that
#: first has to hear of it from the gateway computes a step with an empty slot each time.
WAITING_AT_HAND = 1


def slots_of(version: Version, engines: Iterable[Capabilities]) -> int:
    """Requests that one replica of `version` is given at once, whichever of `engines` it runs; 0 = any number.

    Only what is known for certain bounds anybody: one engine that does not tell is enough for 0.
    """
    known = [_at_work(version, engine) for engine in engines]
    return min(known) + WAITING_AT_HAND if known and all(known) else 0


def _at_work(version: Version, engine: Capabilities) -> int:
    if engine.slot_options is None:
        return version.intake.workers if engine.needs_command else 0
    template = version.template
    return 0 if _is_overridden(template, engine.slot_options) else template.slots


def _is_overridden(template: Template, options: frozenset[str]) -> bool:
    """Do the template's own flags, which come last, say another number?"""
    named = (flag.partition("=")[0].replace("_", "-") for flag in template.flags)
    return any(name in options for name in named)
