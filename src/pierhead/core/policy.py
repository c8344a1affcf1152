"""RAM policies: documents, and the decision over all that a principal has.

    explicit Deny wins  >  some Allow  >  nothing said: denied

A request names one or several actions (the same deed through either door) and every alias of its
object. A statement speaks of it when its Action matches any of the actions (NotAction: none of
them) and its Resource any of the aliases (NotResource: none of them), so no alias is a way around.
Wire facts: Alibaba Cloud RAM, policy language version 1.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, cast

from pierhead.core import conditions
from pierhead.core.conditions import Condition, Context
from pierhead.core.errors import Invalid

Effect = Literal["Allow", "Deny"]
#: Bytes of a document, statements of it, texts of one list: what RAM allows, rounded up.
MOST_BYTES, MOST_STATEMENTS, MOST_TEXTS = 6144, 100, 200
_ACTION = re.compile(r"\*|[A-Za-z0-9*?-]+:[A-Za-z0-9*?]+")
_RESOURCE = re.compile(r"\*|acs:[^\x00-\x1f\x7f]+")
_KEPT = 1024  #: combinations of actions whose statements are remembered


@dataclass(frozen=True, slots=True)
class Statement:
    """One rule of a policy."""

    effect: Effect
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    not_actions: bool = False  #: it speaks of all actions but these
    not_resources: bool = False  #: it speaks of all resources but these


@dataclass(frozen=True, slots=True)
class Policy:
    """A named document. `system` ones are shipped and nobody's to change."""

    name: str
    statements: tuple[Statement, ...]
    system: bool = False


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks for."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]  #: every alias of the object
    context: Context = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. `policy` and `statement` (from 1) name what decided; "" and 0 = nothing spoke of it."""

    allowed: bool
    policy: str = ""
    statement: int = 0

    @property
    def explicit(self) -> bool:
        """Did a statement say so? A denial that none said is implicit."""
        return bool(self.statement)


@dataclass(frozen=True, slots=True)
class Spoken:
    """A statement that speaks of what is asked."""

    policy: str
    statement: int  #: from 1
    effect: Effect
    object: bool  #: it speaks of this object, too
    held: bool  #: its conditions hold

    @property
    def applies(self) -> bool:
        """Does it take part in the decision?"""
        return self.object and self.held


def parse(name: str, text: str, *, system: bool = False) -> Policy:
    """A policy from its JSON document.

    Raises:
        Invalid: it is no policy; the message names the place.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        raise Invalid("PolicyDocument", f"it is longer than {MOST_BYTES} bytes")
    try:
        document: object = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise Invalid("PolicyDocument", f"it is no JSON: {str(error)[:120]}") from None
    if not isinstance(document, dict):
        raise Invalid("PolicyDocument", "it is no JSON object")
    table = cast("dict[str, Any]", document)
    _only(table, {"Version", "Statement"}, "PolicyDocument")
    if table.get("Version") != "1":
        raise Invalid("PolicyDocument.Version", f"[{str(table.get('Version'))[:20]}]", '"1"')
    raw = table.get("Statement")
    entries = cast("list[object]", raw) if isinstance(raw, list) else [raw]
    if not 1 <= len(entries) <= MOST_STATEMENTS:
        raise Invalid(
            "PolicyDocument.Statement", f"it has {len(entries)} entries", f"1 to {MOST_STATEMENTS}"
        )
    statements = tuple(
        _statement(entry, f"PolicyDocument.Statement[{at}]") for at, entry in enumerate(entries)
    )
    return Policy(name, statements, system)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key is given twice")
    return found


def _only(table: Mapping[str, Any], known: set[str], place: str) -> None:
    strange = sorted(set(table) - known)
    if strange:
        raise Invalid(
            place, f"it has unknown keys: {', '.join(strange)[:120]}", ", ".join(sorted(known))
        )


def _statement(entry: object, place: str) -> Statement:
    if not isinstance(entry, dict):
        raise Invalid(place, "it is no JSON object")
    table = cast("dict[str, Any]", entry)
    _only(table, {"Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}, place)
    effect = table.get("Effect")
    if effect not in {"Allow", "Deny"}:
        raise Invalid(f"{place}.Effect", f"[{str(effect)[:20]}]", "Allow, Deny")
    actions, not_actions = _either(table, "Action", _ACTION, place)
    resources, not_resources = _either(table, "Resource", _RESOURCE, place)
    told = table.get("Condition")
    return Statement(
        effect=effect,
        actions=actions,
        resources=resources,
        conditions=()
        if told is None or told == {}
        else conditions.read(told, f"{place}.Condition"),
        not_actions=not_actions,
        not_resources=not_resources,
    )


def _either(
    table: Mapping[str, Any], key: str, legal: re.Pattern[str], place: str
) -> tuple[tuple[str, ...], bool]:
    """The texts of `key` or of `Not<key>`, and whether it is the latter."""
    if (key in table) == (f"Not{key}" in table):
        raise Invalid(
            place,
            f"it has {'both' if key in table else 'neither'} {key} and Not{key}",
            "one of them",
        )
    name = key if key in table else f"Not{key}"
    raw = table[name]
    several = cast("list[object]", raw) if isinstance(raw, list) else [raw]
    if not 1 <= len(several) <= MOST_TEXTS:
        raise Invalid(f"{place}.{name}", f"it has {len(several)} entries", f"1 to {MOST_TEXTS}")
    for text in several:
        if not isinstance(text, str) or legal.fullmatch(text) is None:
            raise Invalid(f"{place}.{name}", f"[{str(text)[:80]}]", f"`*`, or {_form(key)}")
    return tuple(str(text) for text in several), name != key


def _form(key: str) -> str:
    return "like `eas:CreateService`" if key == "Action" else "like `acs:eas:*:*:service/*`"


# ---- evaluation --------------------------------------------------------------------------------


class Rules:
    """All statements of a principal, made ready: a decision takes a few microseconds."""

    def __init__(self, policies: Sequence[Policy]) -> None:
        self._all = [
            _Ready(statement, policy.name, at)
            for policy in policies
            for at, statement in enumerate(policy.statements, 1)
        ]
        self._speaking: dict[tuple[str, ...], _Speaking] = {}

    def decide(self, request: Request) -> Decision:
        """Allowed or not, and what decided."""
        speaking = self._speaking.get(request.actions)
        if speaking is None:
            if len(self._speaking) >= _KEPT:
                self._speaking.clear()
            of = [ready for ready in self._all if ready.speaks(request.actions)]
            speaking = self._speaking[request.actions] = _Speaking(of)
        return speaking.decide(request)

    def mention(self, actions: Sequence[str], context: conditions.Context) -> bool:
        """Does a statement allow these actions on some object, under these circumstances?"""
        return any(
            one.decision.allowed and one.speaks(actions) and one.opens(context) for one in self._all
        )

    def sweeping(self, request: Request) -> bool:
        """Is the decision the same for every object like the ones that the request names?

        Its resources are to stand for all objects of a kind; no statement may tell these apart.
        """
        return all(one.sweeps(request) for one in self._all if one.speaks(request.actions))

    def spoken(self, request: Request) -> Iterator[Spoken]:
        """Every statement that speaks of the actions, in the order of the policies."""
        for one in self._all:
            if one.speaks(request.actions):
                yield one.spoken(request)


class _Ready:
    """A statement with its patterns."""

    def __init__(self, statement: Statement, policy: str, at: int) -> None:
        self.statement = statement
        self.decision = Decision(statement.effect == "Allow", policy, at)
        self._actions = _any_of(statement.actions, ignore_case=True)

    @cached_property
    def _resources(self) -> re.Pattern[str]:
        return _any_of(self.statement.resources)

    @property
    def literals(self) -> tuple[str, ...]:
        """Of these at least one is in a piece of every object that it speaks of: quicker to look for."""
        if self.statement.not_resources:
            return ("",)
        return tuple(dict.fromkeys(map(_literal, self.statement.resources)))

    def speaks(self, actions: Sequence[str]) -> bool:
        """Does it speak of these actions?"""
        hit = any(self._actions.fullmatch(action) for action in actions)
        return hit is not self.statement.not_actions

    def applies(self, request: Request) -> bool:
        """Does it speak of this object, under these circumstances?"""
        hit = any(map(self._resources.fullmatch, request.resources))
        return hit is not self.statement.not_resources and all(
            condition.holds(request.context) for condition in self.statement.conditions
        )

    def opens(self, context: conditions.Context) -> bool:
        """Can its conditions hold for some object? Those on labels depend on the object."""
        return all(each.of_labels or each.holds(context) for each in self.statement.conditions)

    def sweeps(self, request: Request) -> bool:
        """Does it speak of each of these resources, whatever labels it has?"""
        return (
            not self.statement.not_resources
            and not any(each.of_labels for each in self.statement.conditions)
            and all(map(self._resources.fullmatch, request.resources))
        )

    def spoken(self, request: Request) -> Spoken:
        """What it says of this request."""
        hit = any(map(self._resources.fullmatch, request.resources))
        return Spoken(
            self.decision.policy,
            self.decision.statement,
            self.statement.effect,
            hit is not self.statement.not_resources,
            all(each.holds(request.context) for each in self.statement.conditions),
        )


class _Speaking:
    """The statements that speak of certain actions, those that deny first."""

    def __init__(self, ready: Sequence[_Ready]) -> None:
        ordered = sorted(ready, key=lambda one: one.decision.allowed)
        self._entries = [(literal, one) for one in ordered for literal in one.literals]

    def decide(self, request: Request) -> Decision:
        if not self._entries:
            return _NOBODY_SAID
        # Aliases have most of their pieces in common: a third of the text is left to be looked through.
        text = "\n".join({part for one in request.resources for part in one.rpartition("/")[::2]})
        for literal, one in self._entries:
            if literal in text and one.applies(request):
                return one.decision
        return _NOBODY_SAID


_NOBODY_SAID = Decision(allowed=False)


def _literal(pattern: str) -> str:
    """The last text without wildcard and slash of a pattern: mostly a name, which few objects have."""
    runs = re.split(r"[*?/]+", pattern)
    return next((run for run in reversed(runs) if run), "")


def _any_of(texts: Sequence[str], *, ignore_case: bool = False) -> re.Pattern[str]:
    flags = re.DOTALL | (re.IGNORECASE if ignore_case else 0)
    unique = dict.fromkeys(conditions.glob(text) for text in texts)
    return re.compile("|".join(f"(?:{text})" for text in unique), flags)
