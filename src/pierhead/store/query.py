"""`core/query.py` in SQL: the same rows in the same order, from an index where there is one."""

import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    Select,
    String,
    Table,
    Text,
    and_,
    case,
    cast,
    exists,
    func,
    literal,
    not_,
    null,
    or_,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction
from sqlalchemy.types import Integer, TypeEngine

from pierhead.core.comparing import Comparison, Kind, Op, Pattern, Wild, ascii_lower
from pierhead.core.query import SYSTEM_TAG, TAG_FIELDS, TAG_UUID, Demand, Query, understood
from pierhead.store.asking import Scope
from pierhead.store.registry_tables import tags

Truth = ColumnElement[bool]


@dataclass(frozen=True, slots=True)
class Field:
    """One of the wire's fields: where its value is."""

    column: ColumnElement[Any]
    kind: Kind

    @classmethod
    def of(cls, column: ColumnElement[Any]) -> "Field":
        """The field of a column, which is of the kind that the column is."""
        return cls(column, next(kind for type_, kind in _KINDS if isinstance(column.type, type_)))


@dataclass(frozen=True, slots=True)
class Relation:
    """What hangs below an object: any number of rows, or (`on` is None) parts of its own row."""

    fields: Mapping[str, Field]
    on: Truth | None = None  #: which rows are the object's
    #: Which of these rows a principal sees besides all others'; None = every one.
    seen_by: Callable[[str], Truth] | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of texts that an object has."""

    element: Field
    on: Truth  #: which elements are the object's


@dataclass(frozen=True, slots=True)
class Noun:
    """A table as clients ask for its rows. It has the columns `uuid` and `created`."""

    table: Table
    fields: Mapping[str, Field]
    relations: Mapping[str, Relation] = field(default_factory=dict[str, Relation])
    lists: Mapping[str, "Listed"] = field(default_factory=dict[str, "Listed"])
    #: Which rows a principal sees besides all others'; None = every row is everybody's.
    seen_by: Callable[[str], Truth] | None = None
    kinds: Mapping[str, Kind] = field(init=False)  #: of every field, nested ones with dots

    def __post_init__(self) -> None:
        own = {name: each.kind for name, each in self.fields.items()}
        nested = {
            f"{above}.{name}": each.kind
            for above, relation in self.relations.items()
            for name, each in relation.fields.items()
        }
        object.__setattr__(self, "kinds", own | nested | dict.fromkeys(self.lists, Kind.LIST))


def fields(table: Table, names: Mapping[str, str]) -> dict[str, Field]:
    """The fields of a table's columns, by the wire's names."""
    return {name: Field.of(table.c[column]) for name, column in names.items()}


def no_value(kind: TypeEngine[Any] | None = None) -> Field:
    """A field that no row has a value for."""
    return Field.of(cast(null(), kind or Text()))


def constant(value: str | int) -> Field:
    """A field that is the same in every row."""
    if isinstance(value, str):
        return Field.of(_CodePoints(literal(value, Text())))
    return Field.of(literal(value, BigInteger()))


def either(truth: ColumnElement[bool], yes: str, no: str) -> Field:
    """A field that puts a truth into words."""
    return Field.of(_CodePoints(case((truth, literal(yes, Text())), else_=literal(no, Text()))))


def rows(
    tx: Connection,
    noun: Noun,
    base: Select[Any],
    query: Query,
    scope: Scope,
    only: Iterable[Truth] = (),
) -> tuple[list[tuple[Any, ...]], int | None]:
    """One page of what `base` selects of the noun's table, and the total when it was asked for.

    `only` narrows what there is.

    Raises:
        Invalid: see `core.query.understood`.
    """
    wanted = [*only, *_conditions(noun, query, scope)]
    if scope.admits is not None:
        wanted.append(_admitted(tx, noun, scope, scope.admits))
    if query.group_by:
        wanted = [noun.table.c.uuid.in_(_first_of_each(noun, query.group_by, wanted))]
    total = _total(tx, noun, wanted) if query.count or query.reply_with_count else None
    if query.count or not query.limit:
        return [], total
    page = base.where(*wanted).order_by(*_order(noun, query)).limit(query.limit)
    found = tx.execute(page.offset(query.start) if query.start else page)
    return [tuple(row) for row in found.all()], total


def _total(tx: Connection, noun: Noun, wanted: Iterable[Truth]) -> int:
    return tx.execute(select(func.count()).select_from(noun.table).where(*wanted)).scalar_one()


def _conditions(noun: Noun, query: Query, scope: Scope) -> Iterable[Truth]:
    for demand in understood(query, noun.kinds):
        yield _condition(noun, demand, scope.owner)
    if scope.owner is not None and noun.seen_by is not None:
        yield noun.seen_by(scope.owner)


def _admitted(
    tx: Connection, noun: Noun, scope: Scope, admits: Callable[[str, str], bool]
) -> Truth:
    """Those of what the owner sees that a policy admits, one by one."""
    _T = noun.table.c
    seen = [] if scope.owner is None or noun.seen_by is None else [noun.seen_by(scope.owner)]
    found = tx.execute(select(_T.uuid, _T.name).where(*seen)).all()
    return _T.uuid.in_([uuid for uuid, name in found if admits(uuid, name)])


def _condition(noun: Noun, demand: Demand, owner: str | None) -> Truth:
    if demand.field in TAG_FIELDS:
        return _tagged(noun, demand)
    if demand.field in noun.lists:
        return _listed(noun.lists[demand.field], demand.comparison)
    above, dot, name = demand.field.rpartition(".")
    if not dot:
        return holds(noun.fields[name], demand.comparison)
    relation = noun.relations[above]
    condition = holds(relation.fields[name], demand.comparison)
    if relation.on is None:
        return condition
    # What may not be seen is not there to be asked about either.
    seen = () if owner is None or relation.seen_by is None else (relation.seen_by(owner),)
    return exists().where(relation.on, condition, *seen)


def _tagged(noun: Noun, demand: Demand) -> Truth:
    negated = demand.negated
    tag = tags.c.pattern if demand.field == TAG_UUID else tags.c.tag
    fits = [holds(Field.of(tag), (negated or demand).comparison)]
    if demand.field != TAG_UUID:
        fits.append(tags.c.system == literal(demand.field == SYSTEM_TAG, Boolean()))
    if negated:
        return not_(exists().where(tags.c.resource == noun.table.c.uuid, *fits))
    # The tags first, then their objects: an index finds the few tags among all objects' tags.
    return noun.table.c.uuid.in_(select(tags.c.resource).where(*fits))


def _listed(of: Listed, asked: Comparison) -> Truth:
    if asked.op is Op.IS_NULL:
        return not_(exists().where(of.on))
    return exists().where(of.on, holds(of.element, asked))


def holds(field: Field, asked: Comparison) -> Truth:
    """The comparison as a condition; no value fits none but `IS_NULL`."""
    column = field.column
    if asked.op is Op.IS_NULL:
        return column.is_(None)
    if asked.op is Op.NOT_NULL:
        return column.is_not(None)
    if asked.op in (Op.LIKE, Op.NOT_LIKE):
        fits = func.lower(column).like(_pattern(asked.pattern), escape="\\")
        return fits if asked.op is Op.LIKE else not_(fits)
    if asked.op in (Op.IN, Op.NOT_IN):
        among = _whole(field).in_(asked.values)
        return among if asked.op is Op.IN else not_(among)
    (value,) = asked.values
    if field.kind is Kind.TIME:
        return _at_second(column, asked.op, int(value))
    return _COMPARED[asked.op](column, literal(value, column.type))


def _at_second(column: ColumnElement[Any], op: Op, second: int) -> Truth:
    """Times count by whole seconds, 5.9 is 5: said as bounds, so that an index serves."""
    begun, over = column >= float(second), column >= float(second + 1)
    return {
        Op.EQUAL: and_(begun, not_(over)),
        Op.NOT_EQUAL: or_(not_(begun), over),
        Op.LESS: not_(begun),
        Op.AT_LEAST: begun,
        Op.AT_MOST: not_(over),
        Op.GREATER: over,
    }[op]


def _whole(field: Field) -> ColumnElement[Any]:
    return _Floor(field.column) if field.kind is Kind.TIME else field.column


def _pattern(pattern: Pattern) -> str:
    """In the databases' spelling, with the letters in lower case: their `lower` knows ASCII only."""
    return "".join(
        part.value if isinstance(part, Wild) else _QUOTED.get(part, ascii_lower(part))
        for part in pattern.parts
    )


def _order(noun: Noun, query: Query) -> list[ColumnElement[Any]]:
    _T = noun.table.c
    if not query.sort:
        return [_T.created, _T.uuid]
    column = noun.fields[query.sort].column
    by = column.desc() if query.descending else column.asc()
    if not isinstance(column, Column) or column.nullable:
        by = by.nulls_last() if query.descending else by.nulls_first()
    return [by, _T.uuid]


def _first_of_each(noun: Noun, field: str, wanted: list[Truth]) -> Select[str]:
    """The uuids of the rows that come first among those with the same value."""
    _T = noun.table.c
    place = func.row_number().over(
        # In a list: of an AND it would take the parts for separate columns.
        partition_by=[_whole(noun.fields[field])],
        order_by=(_T.created, _T.uuid),
    )
    placed = select(_T.uuid, place.label("place")).where(*wanted).subquery()
    return select(placed.c.uuid).where(placed.c.place == 1)


class _Floor(GenericFunction[float]):
    """The whole seconds of a time after 1970."""

    type = Float()
    inherit_cache = True


@compiles(_Floor)
def _floor(element: _Floor, compiler: SQLCompiler, **how: Any) -> str:  # pyright: ignore[reportUnusedFunction]
    return f"floor({compiler.process(element.clauses, **how)})"


@compiles(_Floor, "sqlite")
def _truncated(element: _Floor, compiler: SQLCompiler, **how: Any) -> str:  # pyright: ignore[reportUnusedFunction]
    return f"CAST({compiler.process(element.clauses, **how)} AS INTEGER)"


class _CodePoints(GenericFunction[str]):
    """A text that stands in no column, in the order that our columns have."""

    type = Text()
    inherit_cache = True


@compiles(_CodePoints, "postgresql")
def _collated(element: _CodePoints, compiler: SQLCompiler, **how: Any) -> str:  # pyright: ignore[reportUnusedFunction]
    return f'({compiler.process(element.clauses, **how)} COLLATE "C")'


@compiles(_CodePoints)
def _bare(element: _CodePoints, compiler: SQLCompiler, **how: Any) -> str:  # pyright: ignore[reportUnusedFunction]
    return f"({compiler.process(element.clauses, **how)})"


_KINDS: tuple[tuple[type[TypeEngine[Any]], Kind], ...] = (
    (Boolean, Kind.BOOLEAN),
    (Float, Kind.TIME),
    (Integer, Kind.INTEGER),
    (String, Kind.TEXT),
)
_QUOTED: Mapping[str, str] = {"%": "\\%", "_": "\\_", "\\": "\\\\"}
_COMPARED: Mapping[Op, Callable[[ColumnElement[Any], ColumnElement[Any]], Truth]] = {
    Op.EQUAL: operator.eq,
    Op.NOT_EQUAL: operator.ne,
    Op.LESS: operator.lt,
    Op.AT_MOST: operator.le,
    Op.GREATER: operator.gt,
    Op.AT_LEAST: operator.ge,
}
