"""How objects of one kind are kept in one table: whole, and read by position."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter
from sqlalchemy import Connection, Select, Table, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from pierhead.core.errors import NotFound, Taken
from pierhead.core.query import Found, Query
from pierhead.store import codec
from pierhead.store import query as asked
from pierhead.store.asking import EVERYTHING, Scope
from pierhead.store.query import Noun

T = TypeVar("T")

#: So many uuids go into one statement.
BATCH = 1000


class Form(Generic[T]):
    """How an object becomes a row and a row an object.

    Columns are named as the fields are; those in `coded` hold JSON text. `build` takes the values
    in the order of the columns.
    """

    def __init__(
        self,
        build: Callable[..., T],
        columns: Sequence[str],
        coded: Mapping[str, TypeAdapter[Any]] | None = None,
    ) -> None:
        self.columns = tuple(columns)
        self._build = build
        self._coded = coded or {}
        self._places = [(self.columns.index(name), each) for name, each in self._coded.items()]

    def read(self, row: Sequence[Any]) -> T:
        """The object in a row."""
        return self._build(*self.values(row))

    def values(self, row: Sequence[Any]) -> list[Any]:
        """A row's values, those that are JSON decoded."""
        values = list(row)
        for place, adapter in self._places:
            text = values[place]
            if text == "{}":  # most are empty
                values[place] = {}
            else:
                values[place] = () if text == "[]" else adapter.validate_json(text)
        return values

    def write(self, thing: T) -> dict[str, Any]:
        """The row of an object.

        Raises:
            Invalid: a text in it is no Unicode.
        """
        row = {name: getattr(thing, name) for name in self.columns}
        for name, adapter in self._coded.items():
            row[name] = codec.text(adapter, row[name])
        return row


class Shelf(Generic[T]):
    """The objects of one kind. `kind` is what the wire calls it, for errors."""

    def __init__(self, kind: str, noun: Noun, form: Form[T]) -> None:
        self.noun = noun
        self.kind, self.form = kind, form
        _T: Table = noun.table
        # Made once: SQLAlchemy takes longer to build a statement than SQLite to run it.
        self._all = select(*(_T.c[name] for name in form.columns))
        self._some = self._all.where(_T.c.uuid.in_(bindparam("uuids", expanding=True)))
        self._one = self._all.where(_T.c.uuid == bindparam("wanted"))
        self._insert = insert(_T)
        self._update = update(_T).where(_T.c.uuid == bindparam("wanted"))
        self._delete = delete(_T).where(_T.c.uuid == bindparam("wanted"))

    def add(self, tx: Connection, thing: T) -> None:
        """Store a new object.

        Raises:
            Taken: its uuid is used.
        """
        row = self.row(thing)
        try:
            tx.execute(self._insert, row)
        except IntegrityError as error:
            raise self.refused(row["uuid"], error) from error

    def change(self, tx: Connection, thing: T) -> None:
        """Store an object in place of the one with its uuid.

        Raises:
            NotFound: there is none.
        """
        row = self.row(thing)
        wanted = row.pop("uuid")
        try:
            changed = tx.execute(self._update, row | {"wanted": wanted}).rowcount
        except IntegrityError as error:
            raise self.refused(wanted, error) from error
        if not changed:
            raise NotFound(self.kind, wanted)

    def remove(self, tx: Connection, uuid: str) -> bool:
        """Remove an object, and the rows that are parts of it; False when there was none."""
        return bool(tx.execute(self._delete, {"wanted": uuid}).rowcount)

    def load(self, tx: Connection, uuid: str) -> T | None:
        """An object by its uuid."""
        return next(iter(self.select(tx, self._one, {"wanted": uuid})), None)

    def many(self, tx: Connection, uuids: Iterable[str]) -> list[T]:
        """Those objects that exist, in the order of `uuids`."""
        wanted = list(dict.fromkeys(uuids))
        place = self.form.columns.index("uuid")
        found: dict[str, Any] = {}
        for batch in batches(wanted):
            rows = [tuple(row) for row in tx.execute(self._some, {"uuids": batch})]
            found |= {
                row[place]: thing for row, thing in zip(rows, self.read(tx, rows), strict=True)
            }
        return [found[uuid] for uuid in wanted if uuid in found]

    def page(self, tx: Connection, query: Query, scope: Scope = EVERYTHING) -> Found[T]:
        """One page of the objects that a query asks for.

        Raises:
            Invalid: a field is not known, or a value is not one of its kind.
        """
        rows, total = asked.rows(tx, self.noun, self._all, query, scope)
        return Found(tuple(self.read(tx, rows)), total)

    def select(self, tx: Connection, statement: Select[Any], values: dict[str, Any]) -> list[T]:
        """The objects that a statement on `base` finds."""
        return self.read(tx, [tuple(row) for row in tx.execute(statement, values)])

    def read(self, _tx: Connection, rows: Sequence[tuple[Any, ...]]) -> list[T]:
        """The objects in these rows; a noun with parts in other tables fetches them here."""
        return [self.form.read(row) for row in rows]

    def row(self, thing: T) -> dict[str, Any]:
        """The row of an object; a noun with columns that follow from others adds them here."""
        return self.form.write(thing)

    @property
    def base(self) -> Select[Any]:
        """The statement that selects all of them, to be narrowed."""
        return self._all

    def refused(self, uuid: str, error: IntegrityError) -> Exception:
        """What to say when the database will not have a new row."""
        return Taken(self.kind, uuid, "exists already")


def batches(uuids: Sequence[str]) -> Iterable[Sequence[str]]:
    """As many at a time as one statement takes."""
    return (uuids[at : at + BATCH] for at in range(0, len(uuids), BATCH))


def names_of(kind: type[Any], *, but: Iterable[str] = ()) -> tuple[str, ...]:
    """The fields of a dataclass, in order."""
    left_out = set(but)
    return tuple(each.name for each in fields(kind) if each.name not in left_out)
