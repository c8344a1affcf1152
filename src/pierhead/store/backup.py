"""All rows of a database as lines of JSON, and back: the same form for SQLite and PostgreSQL.

One form, so that a backup of one can be restored into the other, and so that a schema is made by its
own migrations and never by a copy of somebody's DDL. Tables are looked up in the database, with the
columns that they have there: it may have the schema of an older release. Only names that the program
knows are taken, for a server's database may hold tables of others.
"""

import base64
import json
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any, cast

from sqlalchemy import Column, Connection, MetaData, Table, func, insert, inspect, select, text

from pierhead.core.errors import Unavailable
from pierhead.store import db, facts, schema, tables
from pierhead.store.sealing import SECRET_KEYS

#: Rows that are read, or inserted, at a time.
_BATCH = 500
#: The tag of a value that JSON has no form for.
_BYTES = "base64"
#: What becomes of a column's value in a backup without secrets.
Strip = Callable[[str], str]


@contextmanager
def snapshot(url: str) -> Generator[Connection]:
    """A connection that sees the database as it is now, whatever is written meanwhile.

    Raises:
        Unavailable: the database does not answer.
    """
    engine = db.connect(url, writing=False)
    try:
        with db.speaking(), engine.connect() as connection:
            if engine.dialect.name == "postgresql":
                connection.execution_options(
                    isolation_level="REPEATABLE READ", postgresql_readonly=True
                )
            # SQLite's own read transactions are snapshots: WAL keeps what they see.
            with connection.begin():
                yield connection
    finally:
        engine.dispose()


def ours(connection: Connection) -> list[Table]:
    """The tables of this program that the database has, each after those that it refers to."""
    known = set(tables.metadata.tables)
    there = [name for name in inspect(connection).get_table_names() if name in known]
    found = MetaData()
    if there:
        found.reflect(connection, only=there)
    return [table for table in found.sorted_tables if table.name in known]


def columns(table: Table) -> tuple[str, ...]:
    """The names of a table's columns, in the order of its rows' values."""
    return tuple(column.name for column in table.columns)


def in_plain(connection: Connection) -> Mapping[str, Mapping[str, Strip]]:
    """Columns that hold secrets which nothing seals, by table, and what a backup without secrets has of them."""
    return {
        table: names
        for table, names, sealed in _PLAIN
        if not sealed or facts.get(connection, sealed) is None
    }


def _nothing(_value: str) -> str:
    return ""


def _bare(content: str) -> str:
    """A version without the secrets of the document that a client submitted for it."""
    version: dict[str, Any] = json.loads(content)
    submitted: dict[str, Any] = version.get("submitted") or {}
    if not any(key in submitted for key in SECRET_KEYS):
        return content
    rest = {key: value for key, value in submitted.items() if key not in SECRET_KEYS}
    return json.dumps({**version, "submitted": rest}, ensure_ascii=False, separators=(",", ":"))


#: Columns that hold secrets in plain, by table, and the fact that says they are sealed by now.
_PLAIN: Sequence[tuple[str, Mapping[str, Strip], str]] = (
    ("access_keys", {"secret": _nothing, "session_token": _nothing}, "secrets_scrubbed"),
    ("services", {"token": _nothing, "content": _bare}, "service_secrets_sealed"),
    ("versions", {"content": _bare}, "service_secrets_sealed"),
    # A webhook's address may hold what lets in there, and nothing ever seals it.
    ("api_jobs", {"webhook": _nothing}, ""),
    ("api_jobs", {"webhook": _nothing, "answer": _nothing}, "service_secrets_sealed"),
)


def left_out(strips: Mapping[str, Mapping[str, Strip]]) -> tuple[str, ...]:
    """Names of what a backup without secrets does not have: `services.token`."""
    return tuple(
        name
        for table, columns_ in strips.items()
        for column, strip in columns_.items()
        for name in (
            [f"{table}.{column}.submitted.{key}" for key in SECRET_KEYS]
            if strip is _bare
            else [f"{table}.{column}"]
        )
    )


def lines(connection: Connection, table: Table, strip: Mapping[str, Strip]) -> Iterator[bytes]:
    """Every row, one a line; of the columns in `strip` what that leaves of them."""
    bare = [(number, strip[name]) for number, name in enumerate(columns(table)) if name in strip]
    # By key, so that the same rows give the same lines.
    wanted = select(table).order_by(*table.primary_key.columns)
    for row in connection.execution_options(yield_per=_BATCH).execute(wanted):
        values = [_plain(value) for value in row]
        for number, left in bare:
            values[number] = left(values[number])
        yield json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _plain(value: Any) -> Any:
    return {_BYTES: base64.b64encode(value).decode()} if isinstance(value, bytes) else value


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(cast("dict[str, str]", value)[_BYTES])
    if isinstance(
        value, list
    ):  # PostgreSQL's driver would make an array of it, and the server a text
        raise TypeError("a list is no value")
    return value


# ---- back -------------------------------------------------------------------------------------


def lay(connection: Connection, revision: str) -> dict[str, Table]:
    """Make the tables of a schema, empty, in place of all that are there; by name.

    Raises:
        TooNew: this release does not know the schema.
    """
    for table in reversed(ours(connection)):
        table.drop(connection)
    connection.execute(text("DROP TABLE IF EXISTS alembic_version"))
    schema.make(connection, revision)
    return {table.name: table for table in ours(connection)}


def fill(
    connection: Connection, table: Table, names: tuple[str, ...], rows: Iterable[list[Any]]
) -> int:
    """Insert the rows, whose values are of the columns `names`; gives how many.

    Raises:
        Unavailable: the table has no such columns.
        KeyError, TypeError, ValueError, OverflowError, sqlalchemy.exc.DatabaseError: the rows are not ours.
    """
    strange = sorted(set(names) - set(columns(table)))
    if strange:
        raise Unavailable(f"The table {table.name}", f"it has no column {strange[0]}")
    count, source = 0, iter(rows)
    while some := list(islice(source, _BATCH)):
        values = [dict(zip(names, map(_value, row), strict=True)) for row in some]
        connection.execute(insert(table), values)
        count += len(values)
    _count_on(connection, table)
    return count


def _count_on(connection: Connection, table: Table) -> None:
    """PostgreSQL numbers new rows from a sequence, which has to be told of the rows that came."""
    if connection.dialect.name != "postgresql":
        return
    for column in table.primary_key.columns:
        if column.type.python_type is int:
            _move_sequence(connection, table, column)


def _move_sequence(connection: Connection, table: Table, column: Column[Any]) -> None:
    wanted = select(func.pg_get_serial_sequence(f'"{table.name}"', column.name))
    sequence = connection.execute(wanted).scalar()
    highest = connection.execute(select(func.max(column))).scalar()
    if sequence is not None and highest is not None:
        connection.execute(select(func.setval(sequence, highest)))
