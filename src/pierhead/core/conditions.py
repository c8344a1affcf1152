"""Conditions of policy statements: operators over what is known of a request.

Values of a key are alternatives; keys and operators must all hold. A key that the request does not
have fails every positive operator and satisfies every negated one.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any, cast

from pierhead.core.errors import Invalid

Context = Mapping[str, str]
#: One value of the request against one value of the policy, both as text; ValueError = not comparable.
Compare = Callable[[str, str], bool]
#: How a value is checked when a policy is written; ValueError = not legal.
Check = Callable[[str], object]

#: Condition keys of every service; `acs:ResourceTag/<key>` comes with any tail.
KEYS = ("acs:SourceIp", "acs:SecureTransport", "acs:CurrentTime", "acs:MFAPresent")
RESOURCE_TAG = "acs:ResourceTag/"


@dataclass(frozen=True, slots=True)
class Operator:
    """How a condition compares."""

    compare: Compare
    check: Check
    negated: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator, one key, its alternatives."""

    operator: str
    key: str
    values: tuple[str, ...]

    @property
    def of_labels(self) -> bool:
        """Does it depend on the object's labels?"""
        return self.key.startswith(RESOURCE_TAG)

    def holds(self, context: Context) -> bool:
        """Is it so for this request?"""
        operator = OPERATORS[self.operator]
        value = context.get(self.key)
        if value is None:
            return operator.negated
        return operator.negated is not any(
            _compared(operator.compare, value, each) for each in self.values
        )


def read(document: object, place: str) -> tuple[Condition, ...]:
    """A statement's Condition: `{operator: {key: value or values}}`.

    Raises:
        Invalid: an operator or a key is unknown, or a value is not of its kind.
    """
    found: list[Condition] = []
    for name, keys in _table(document, place).items():
        operator = OPERATORS.get(name)
        if operator is None:
            raise Invalid(f"{place}.{name[:64]}", "no such operator", ", ".join(OPERATORS))
        for key, raw in _table(keys, f"{place}.{name}").items():
            where = f"{place}.{name}.{key[:64]}"
            if key not in KEYS and not (
                key.startswith(RESOURCE_TAG) and len(key) > len(RESOURCE_TAG)
            ):
                raise Invalid(where, "no such key", ", ".join((*KEYS, RESOURCE_TAG + "<key>")))
            found.append(Condition(name, key, _values(raw, operator, where)))
    return tuple(found)


def pattern(text: str, *, ignore_case: bool = False) -> re.Pattern[str]:
    """`*` is any run, `?` any one character, all others themselves; for `fullmatch`."""
    return re.compile(glob(text), re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def glob(text: str) -> str:
    """The regular expression of a pattern with `*` and `?`; it takes linear time, whatever they wrote."""
    first, *rest = (
        "".join("." if letter == "?" else re.escape(letter) for letter in part)
        for part in re.split(r"\*+", text)
    )
    if not rest:
        return first
    # The first place where a part fits is as good as any later one: atomic, nothing is tried twice.
    return first + "".join(f"(?>.*?{part})" for part in rest[:-1]) + f".*{rest[-1]}"


def _compared(compare: Compare, value: str, wanted: str) -> bool:
    try:
        return compare(value, wanted)
    except ValueError:
        return False


def _table(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict) or not value:
        raise Invalid(place, "it is no object with entries", "{operator: {key: value}}")
    return cast("dict[str, Any]", value)


def _values(raw: object, operator: Operator, place: str) -> tuple[str, ...]:
    several = cast("list[object]", raw) if isinstance(raw, list) else [raw]
    if not several:
        raise Invalid(place, "it has no value", "a text, or a list of texts")
    for value in several:
        if not isinstance(value, str):
            raise Invalid(
                place, "a value is no text", "texts: numbers and true/false are quoted, too"
            )
        try:
            operator.check(value)
        except ValueError:
            raise Invalid(
                place, f"[{value[:80]}] is not of the kind this operator compares"
            ) from None
    return tuple(str(value) for value in several)


def _number(text: str) -> float:
    found = float(text)
    if found != found:  # noqa: PLR0124 - NaN is no number to compare with
        raise ValueError(text)
    return found


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _truth(text: str) -> bool:
    if text.lower() not in {"true", "false"}:
        raise ValueError(text)
    return text.lower() == "true"


def _inside(value: str, wanted: str) -> bool:
    address, network = ip_address(value), ip_network(wanted, strict=False)
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address) in network


def _like(value: str, wanted: str) -> bool:
    return pattern(wanted).fullmatch(value) is not None


def _by(kind: Callable[[str], Any], test: Callable[[Any, Any], bool]) -> Compare:
    return lambda value, wanted: test(kind(value), kind(wanted))


_ORDERS: Mapping[str, tuple[Callable[[Any, Any], bool], bool]] = {
    "Equals": (lambda a, b: a == b, False),
    "NotEquals": (lambda a, b: a == b, True),
    "LessThan": (lambda a, b: a < b, False),
    "LessThanEquals": (lambda a, b: a <= b, False),
    "GreaterThan": (lambda a, b: a > b, False),
    "GreaterThanEquals": (lambda a, b: a >= b, False),
}


def _ordered(prefix: str, kind: Callable[[str], Any]) -> dict[str, Operator]:
    return {
        f"{prefix}{name}": Operator(_by(kind, test), kind, negated)
        for name, (test, negated) in _ORDERS.items()
    }


OPERATORS: Mapping[str, Operator] = {
    "StringEquals": Operator(_by(str, lambda a, b: a == b), str),
    "StringNotEquals": Operator(_by(str, lambda a, b: a == b), str, negated=True),
    "StringEqualsIgnoreCase": Operator(_by(str.casefold, lambda a, b: a == b), str),
    "StringNotEqualsIgnoreCase": Operator(
        _by(str.casefold, lambda a, b: a == b), str, negated=True
    ),
    "StringLike": Operator(_like, str),
    "StringNotLike": Operator(_like, str, negated=True),
    **_ordered("Numeric", _number),
    **_ordered("Date", _moment),
    "Bool": Operator(_by(_truth, lambda a, b: a == b), _truth),
    "IpAddress": Operator(_inside, lambda text: ip_network(text, strict=False)),
    "NotIpAddress": Operator(_inside, lambda text: ip_network(text, strict=False), negated=True),
}
