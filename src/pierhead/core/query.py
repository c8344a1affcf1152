"""Questions about lists of objects: conditions, order, page. The meaning is `rows_of`; SQL must agree.

- All conditions hold (AND). A condition on a nested field (`instances.status`) holds when it does
  for some child, each condition for a child of its own; one on a list when it does for some element,
  and `is null` means that the list is empty.
- A condition on tags holds when some tag of the object fits; a negated one (`!=`, not in, not like)
  when none fits what is negated, so that objects without tags are in. `is null`: no such tag.
- A field without a value fits `is null` only.
- Order: by `sort`, what has no value first, then by uuid; without `sort` by creation, then uuid.
  Text goes by code point.
- `group_by`: of the rows that fit, the first one per value in the order of creation.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pierhead.core.comparing import Comparison, Kind, Op, Value, read, stored
from pierhead.core.errors import Invalid
from pierhead.core.registry import Tag

__all__ = [
    "CREATED",
    "MAX_CONDITIONS",
    "MAX_VALUES",
    "SYSTEM_TAG",
    "TAG_FIELDS",
    "TAG_UUID",
    "USER_TAG",
    "UUID",
    "Condition",
    "Demand",
    "Found",
    "Kind",
    "Op",
    "Query",
    "rows_of",
    "understood",
]

T = TypeVar("T")
Row = TypeVar("Row", bound=Mapping[str, Any])

UUID, CREATED = "uuid", "createDate"
SYSTEM_TAG, USER_TAG, TAG_UUID = "__systemTag__", "__userTag__", "__tagUuid__"
TAG_FIELDS = (SYSTEM_TAG, USER_TAG, TAG_UUID)
#: Databases take so many conditions, and so many values in all, in one statement.
MAX_CONDITIONS = 100
MAX_VALUES = 10_000


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison. `field` is the wire's name, dotted for what hangs below (`modelCenter.name`)."""

    field: str
    op: Op
    value: str = ""


@dataclass(frozen=True, slots=True)
class Query:
    """All conditions AND."""

    conditions: tuple[Condition, ...] = ()
    limit: int = 1000
    start: int = 0
    count: bool = False  #: only the total is wanted
    reply_with_count: bool = False
    sort: str = ""  #: field; "" = creation, then uuid
    descending: bool = False
    fields: tuple[str, ...] = ()  #: native fields to show; none = all
    group_by: str = ""  #: native field: the first row per value


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    """One page and, when it was asked for, how many there are in all."""

    rows: tuple[T, ...]
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Demand:
    """A condition that was understood: its field is known and its text was read."""

    field: str
    kind: Kind
    comparison: Comparison

    @property
    def negated(self) -> "Demand | None":
        """Of a negation that which it negates; None of others."""
        op = _NEGATED.get(self.comparison.op)
        if op is None:
            return None
        old = self.comparison
        return Demand(self.field, self.kind, Comparison(op, old.values, old.pattern))


_NEGATED: Mapping[Op, Op] = {
    Op.NOT_EQUAL: Op.EQUAL,
    Op.NOT_IN: Op.IN,
    Op.NOT_LIKE: Op.LIKE,
    Op.IS_NULL: Op.NOT_NULL,
}


def understood(query: Query, kinds: Mapping[str, Kind]) -> tuple[Demand, ...]:
    """The conditions, read as their fields' kinds; `sort` and `group_by` are looked at, too.

    `kinds` names every field that may be asked for, nested ones with dots, but not those of tags.

    Raises:
        Invalid: a field is not known, a value cannot be read, or there are too many.
    """
    asked = tuple(_understood(condition, kinds) for condition in query.conditions)
    if len(asked) > MAX_CONDITIONS:
        raise Invalid("q", f"there are more than {MAX_CONDITIONS} conditions")
    if sum(len(each.comparison.values) for each in asked) > MAX_VALUES:
        raise Invalid("q", f"there are more than {MAX_VALUES} values")
    for parameter, field in (("sort", query.sort), ("groupBy", query.group_by)):
        if field and (kinds.get(field, Kind.LIST) is Kind.LIST or "." in field):
            raise Invalid(parameter, f"`{field[:100]}` is no field of its own that has an order")
    return asked


def rows_of(
    rows: Sequence[Row],
    query: Query,
    kinds: Mapping[str, Kind],
    tags: Callable[[str], Iterable[Tag]] = lambda _uuid: (),
) -> Found[Row]:
    """The rows that the query asks for, of all there are; this is what a query means.

    Rows are as the wire has them: nested objects are mappings or lists of mappings, times are epoch
    seconds or the wire's text. `tags` gives the tags of the object with a uuid.

    Raises:
        Invalid: see `understood`.
    """
    asked = understood(query, kinds)
    fit = [row for row in rows if all(_fits(row, each, tags) for each in asked)]
    fit.sort(key=lambda row: (_order(row, CREATED, kinds), str(row.get(UUID))))
    if query.group_by:
        first: dict[Value | None, Row] = {}
        for row in fit:
            first.setdefault(stored(row.get(query.group_by), kinds[query.group_by]), row)
        fit = list(first.values())
    if query.sort:
        fit.sort(key=lambda row: str(row.get(UUID)))
        fit.sort(key=lambda row: _order(row, query.sort, kinds), reverse=query.descending)
    return _page(fit, query)


def _page(fit: list[Row], query: Query) -> Found[Row]:
    total = len(fit) if query.count or query.reply_with_count else None
    if query.count:
        return Found((), total)
    return Found(tuple(fit[query.start : query.start + query.limit]), total)


def _understood(condition: Condition, kinds: Mapping[str, Kind]) -> Demand:
    field = condition.field
    kind = Kind.TEXT if field in TAG_FIELDS else kinds.get(field)
    if kind is None:
        raise Invalid(field[:100], "there is no such field to ask for")
    return Demand(field, kind, read(field, condition.op, condition.value, kind))


def _fits(row: Mapping[str, Any], asked: Demand, tags: Callable[[str], Iterable[Tag]]) -> bool:
    if asked.field in TAG_FIELDS:
        positive = asked.negated or asked
        fits = any(map(positive.comparison.holds, _tag_texts(tags(str(row[UUID])), asked.field)))
        return fits is (asked.negated is None)
    if asked.kind is Kind.LIST and asked.comparison.op is Op.IS_NULL:
        return not _values(row, asked)
    return any(map(asked.comparison.holds, _values(row, asked)))


def _tag_texts(tags: Iterable[Tag], field: str) -> list[str]:
    if field == TAG_UUID:
        return [tag.pattern for tag in tags if tag.pattern]
    return [tag.tag for tag in tags if tag.system is (field == SYSTEM_TAG)]


def _values(row: Mapping[str, Any], asked: Demand) -> list[Value | None]:
    """The values under a field's path: one of the row's own field, any number of nested ones."""
    *above, last = asked.field.split(".")
    parents: list[Any] = [row]
    for name in above:
        parents = [child for parent in parents for child in _children(parent.get(name))]
    values = [parent.get(last) for parent in parents]
    if asked.kind is Kind.LIST:
        values = [element for value in values for element in value or ()]
    return [stored(value, asked.kind) for value in values]


def _children(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return [value]
    return list(value or ())


def _order(row: Mapping[str, Any], field: str, kinds: Mapping[str, Kind]) -> tuple[bool, Any]:
    """What a row is ordered by: without a value it comes before all that have one."""
    value = row.get(field)
    if not (kinds.get(field) is Kind.TIME and isinstance(value, int | float)):
        value = stored(value, kinds.get(field, Kind.TEXT))
    return value is not None, 0 if value is None else value
