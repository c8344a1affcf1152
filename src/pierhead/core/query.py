"""Questions about lists of objects: conditions, order, page. The meaning is `rows_of`; SQL must agree."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

T = TypeVar("T")


class Op(StrEnum):
    """How a field is compared; the values are the REST form's spelling."""

    NOT_EQUAL = "!="
    AT_LEAST = ">="
    AT_MOST = "<="
    NOT_IN = "!?="
    NOT_LIKE = "!~="
    LIKE = "~="
    IN = "?="
    EQUAL = "="
    GREATER = ">"
    LESS = "<"
    IS_NULL = "is null"
    NOT_NULL = "not null"


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
