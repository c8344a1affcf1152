"""What the verbs on models and templates share: names or uuids, sizes, pairs, shared options."""

import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from pierhead.cli.client import Json, find_access
from pierhead.cli.screen import emit
from pierhead.cli.zstack_client import ZstackClient
from pierhead.core.errors import NotFound, PierheadError

#: Collections below /zstack/v1/.
CENTERS = "ai/model-centers"
DATASETS = "ai/datasets"
GROUPS = "ai/model-services/instances/groups"
MODELS = "ai/models"
TEMPLATES = "ai/model-services"
ZONES = "zones"

#: Collection -> what one of it is called in a sentence.
_WORDS = {
    CENTERS: "Model center",
    DATASETS: "Dataset",
    GROUPS: "Service",
    MODELS: "Model",
    TEMPLATES: "Template",
    ZONES: "Zone",
}
_UUID = re.compile(r"[0-9a-f]{32}")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b|i)?", re.IGNORECASE)
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}


class Ambiguous(PierheadError):
    """Several objects have the name; the message lists them."""


def connect(data_dir: Path | None, endpoint: str | None) -> ZstackClient:
    """The client of the hub that the options name.

    Raises:
        NoAccess: no endpoint or key is known.
    """
    return ZstackClient(find_access(data_dir, endpoint))


def pick(client: ZstackClient, collection: str, name: str) -> Json:
    """The one object of this uuid, or else of this name.

    Raises:
        NotFound: there is none.
        Ambiguous: the name fits several.
    """
    found: list[Json] = []
    if _UUID.fullmatch(name):
        found = client.page(collection, [f"uuid={name}"])
    found = found or client.page(collection, [f"name={name}"])
    if not found:
        raise NotFound(_WORDS[collection], name)
    if len(found) > 1:
        lines = [f"  {row['uuid']}  created {row.get('createDate', '-')}" for row in found]
        raise Ambiguous(
            f"{len(found)} objects have the name [{name}]; give the uuid of one of them:\n"
            + "\n".join(lines)
        )
    return found[0]


def uuid_of(client: ZstackClient, collection: str, name: str) -> str:
    """The uuid of the object that `pick` finds."""
    return str(pick(client, collection, name)["uuid"])


def uuids_of(client: ZstackClient, collection: str, names: Sequence[str] | None) -> list[str]:
    """The uuids of several objects, in their order."""
    return [uuid_of(client, collection, name) for name in names or ()]


def center_of(client: ZstackClient, name: str) -> str:
    """The uuid of the named model center, or of the hub's first one, which it made itself."""
    return uuid_of(client, CENTERS, name) if name else _first(client, CENTERS)


def zone_of(client: ZstackClient, name: str) -> str:
    """The uuid of the named zone, or of the hub's first one, which it made itself."""
    return uuid_of(client, ZONES, name) if name else _first(client, ZONES)


def _first(client: ZstackClient, collection: str) -> str:
    found = client.page(collection, limit=1)
    if not found:
        raise NotFound(_WORDS[collection], "default", "Name one")
    return str(found[0]["uuid"])


def size_of(text: str) -> int:
    """`512MiB`, `2g`, `1.5 GB`, `1073741824` in bytes; every unit is a power of 1024.

    Raises:
        typer.BadParameter: it is no size.
    """
    found = _SIZE.fullmatch(text.strip())
    size = int(float(found[1]) * 1024 ** _POWERS[found[2].lower()]) if found else 0
    if size <= 0:
        raise typer.BadParameter(f"[{text}] is no size such as 512MiB or 2GiB")
    return size


def pairs_of(flag: str, texts: Sequence[str] | None) -> dict[str, str]:
    """`KEY=VALUE` texts as a map; the value may be empty and may hold further `=`.

    Raises:
        typer.BadParameter: a text has no key.
    """
    found: dict[str, str] = {}
    for text in texts or ():
        key, equals, value = text.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"[{text}] is no KEY=VALUE", param_hint=flag)
        found[key] = value
    return found


def text_of(flag: str, file: Path) -> str:
    """A file's text; `-` is standard input.

    Raises:
        typer.BadParameter: it cannot be read.
    """
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except OSError as problem:
        raise typer.BadParameter(f"{file}: {problem.strerror}", param_hint=flag) from problem
    except UnicodeDecodeError as problem:
        raise typer.BadParameter(f"{file} is no UTF-8 text", param_hint=flag) from problem


def given(**fields: object) -> Json:
    """The fields that were given: everything but None, empty texts, lists and maps."""
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}


def remove(
    names: Sequence[str],
    collection: str,
    client: ZstackClient,
    *,
    enforce: bool,
    if_exists: bool,
) -> list[str]:
    """Deletes objects one after the other; gives what happened to each, a sentence each.

    Raises:
        NotFound: one of them does not exist, and `if_exists` is not set.
        ZstackRefused: the hub refused one; those before it are gone.
    """
    said: list[str] = []
    for name in names:
        try:
            uuid = uuid_of(client, collection, name)
        except NotFound as missing:
            if not if_exists:
                raise
            said.append(missing.message)
            continue
        mode = {"deleteMode": "Enforcing"} if enforce else None
        client.delete(f"{collection}/{uuid}", mode)
        said.append(f"{_WORDS[collection]} [{name}] is deleted.")
    return said


def tell(document: Json, sentence: str, *, as_json: bool) -> None:
    """What a change answered: the object as JSON, or a sentence."""
    if as_json:
        emit(document)
    else:
        print(sentence)


def complete(collection: str) -> Callable[[str], list[str]]:
    """Shell completion by name; nothing when no hub answers within a second."""

    def names(incomplete: str) -> list[str]:
        try:
            client = ZstackClient(find_access(None, None), timeout=1.0)
            found = client.page(collection, [f"name~={_escaped(incomplete)}%"])
            return [str(row["name"]) for row in found]
        except PierheadError:
            return []  # completion has nowhere to say why

    return names


def _escaped(text: str) -> str:
    """The wire's `like` has no escape: a wildcard in the text stands for any one character."""
    return text.replace("%", "_")


Model = Annotated[
    str, typer.Argument(help="Name or uuid of the model.", autocompletion=complete(MODELS))
]
Template = Annotated[
    str, typer.Argument(help="Name or uuid of the template.", autocompletion=complete(TEMPLATES))
]
Center = Annotated[
    str, typer.Option("--center", help="Model center, name or uuid; else the hub's own.")
]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="User tag; repeatable.")]
SystemTags = Annotated[
    list[str] | None, typer.Option("--system-tag", help="System tag, a::b; repeatable.")
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Enforce = Annotated[
    bool,
    typer.Option("--enforce", help="Delete it even if others depend on it: they are detached."),
]
IfExists = Annotated[bool, typer.Option("--if-exists", help="One that does not exist is no error.")]
