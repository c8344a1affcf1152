"""Core values as JSON text and back, checked on the way in: what is stored is what the types say."""

from functools import lru_cache
from typing import TypeVar

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from pierhead.core.cron_scalers import CronScaler, Runs
from pierhead.core.errors import Invalid
from pierhead.core.replicas import ReplicaStatus
from pierhead.core.scalers import AutoScaler, Deeds
from pierhead.core.services import Hold, Registration, Version

T = TypeVar("T")

version: TypeAdapter[Version] = TypeAdapter(Version)
hold: TypeAdapter[Hold] = TypeAdapter(Hold)
replicas: TypeAdapter[tuple[ReplicaStatus, ...]] = TypeAdapter(tuple[ReplicaStatus, ...])
labels: TypeAdapter[dict[str, str]] = TypeAdapter(dict[str, str])
registration: TypeAdapter[Registration] = TypeAdapter(Registration)
auto_scaler: TypeAdapter[AutoScaler] = TypeAdapter(AutoScaler)
deeds: TypeAdapter[Deeds] = TypeAdapter(Deeds)
cron_scaler: TypeAdapter[CronScaler] = TypeAdapter(CronScaler)
runs: TypeAdapter[Runs] = TypeAdapter(Runs)
#: Maps and lists of what is registered.
strings: TypeAdapter[dict[str, str]] = labels
words: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[str, ...])
word_lists: TypeAdapter[dict[str, tuple[str, ...]]] = TypeAdapter(dict[str, tuple[str, ...]])

#: How many different contents are remembered; each is some kilobytes.
_REMEMBERED = 512


@lru_cache(_REMEMBERED)
def read_hold(text_: str) -> Hold:
    """A stored hold: services that wait for the same thing wait in the same words."""
    return hold.validate_json(text_)


@lru_cache(_REMEMBERED)
def read_registration(text_: str) -> Registration:
    """A stored registration; most services have the empty one."""
    return registration.validate_json(text_)


@lru_cache(_REMEMBERED)
def read_version(content: str) -> Version:
    """The `Version` in a text. A version never changes, so the same text is read only once."""
    return version.validate_json(content)


def text(adapter: TypeAdapter[T], value: T) -> str:
    """`value` as JSON text.

    Raises:
        Invalid: a text in it is no Unicode: half of a surrogate pair.
    """
    try:
        return adapter.dump_json(value).decode()
    except PydanticSerializationError as error:
        raise Invalid("values", f"one of them cannot be stored: {error}") from error
