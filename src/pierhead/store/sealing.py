"""Secrets in rows: sealed on the way in, opened on the way out, with the key of who opened the database.

What is sealed says so by its first letters. A text without them is of an older release, until the
first start seals it.
"""

import json
from collections.abc import Mapping
from typing import Any, Protocol, cast

from sqlalchemy import Connection

from pierhead.core.errors import Unavailable

#: The connections' option that holds the box.
OPTION = "pierhead_box"
SEALED = "sealed:"
#: What is secret in a document that a client submitted.
SECRET_KEYS = ("token", "dockerAuth")


class Texts(Protocol):
    """Seals texts under a name and opens them again; the same text looks the same each time."""

    def seal_text(self, name: str, text: str) -> str:
        """The text, encrypted."""
        ...

    def open_text(self, name: str, sealed: str) -> str:
        """The text that was sealed under this name."""
        ...


def box_of(tx: Connection) -> Texts | None:
    """What seals and opens here; None where the database was opened without its key."""
    return tx.get_execution_options().get(OPTION)


def seal(box: Texts | None, name: str, text: str) -> str:
    """`text` as it is stored; "" stays.

    Raises:
        Unavailable: the database was opened without its key.
    """
    if not text:
        return ""
    if box is None:
        raise Unavailable("The key of the database's secrets", "it was opened without it")
    return SEALED + box.seal_text(name, text)


def seal_once(box: Texts | None, name: str, text: str) -> str:
    """As `seal`; what was sealed so already stays as it is."""
    return text if _opens(box, name, text) else seal(box, name, text)


def unseal(box: Texts | None, name: str, stored: str) -> str:
    """What was stored by `seal`; where there is no box it stays sealed.

    Raises:
        Unavailable: it was sealed with another key.
    """
    if box is None or not stored.startswith(SEALED):
        return stored
    return box.open_text(name, stored.removeprefix(SEALED))


def unseal_or_none(box: Texts | None, name: str, stored: str) -> str:
    """As `unseal`; what cannot be opened is "", so that all else of its row can be used."""
    try:
        return unseal(box, name, stored)
    except Unavailable:
        return ""


def seal_document(box: Texts | None, name: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A submitted document whose secrets are sealed.

    Raises:
        Unavailable: it has some, and the database was opened without its key.
    """
    secret = {key: document[key] for key in SECRET_KEYS if document.get(key)}
    if not secret:
        return document
    sealed = {key: seal(box, name, json.dumps(value)) for key, value in secret.items()}
    return {**document, **sealed}


def seal_document_once(
    box: Texts | None, name: str, document: Mapping[str, Any]
) -> Mapping[str, Any]:
    """As `seal_document`; secrets that were sealed so already stay as they are."""
    kept = {key: document[key] for key in SECRET_KEYS if _opens(box, name, document.get(key))}
    return {**seal_document(box, name, document), **kept}


def unseal_document(box: Texts | None, name: str, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document that was sealed so; secrets that cannot be opened are left out."""
    sealed = [key for key in SECRET_KEYS if _is_sealed(document.get(key))]
    if not sealed or box is None:
        return document
    opened = {key: unseal_or_none(box, name, cast(str, document[key])) for key in sealed}
    rest = {key: value for key, value in document.items() if key not in opened}
    # In its own order: what a client submitted is shown as it was.
    return {
        key: json.loads(opened[key]) if key in opened else rest[key]
        for key in document
        if key in rest or opened[key]
    }


def _is_sealed(value: object) -> bool:
    return isinstance(value, str) and value.startswith(SEALED)


def _opens(box: Texts | None, name: str, value: object) -> bool:
    """Is it sealed under this name? Nobody makes such a text by chance."""
    return box is not None and _is_sealed(value) and bool(unseal_or_none(box, name, str(value)))
