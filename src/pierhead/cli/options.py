"""Arguments and options that several verbs share, with what they mean."""

import os
from pathlib import Path
from typing import Annotated

import typer

from pierhead.cli.client import EasClient, find_access
from pierhead.core.errors import PierheadError
from pierhead.core.languages import Language, of_locale, of_tag

#: What every client verb can raise is turned into one sentence and exit code 1 by `main.run`.


def complete_service(incomplete: str) -> list[str]:
    """Names of services for shell completion; none when no hub answers within a second."""
    try:
        client = EasClient(find_access(None, None), timeout=1.0)
        query = {"Filter": incomplete}
        found = client.pages("ListServices", "/api/v2/services", "Services", query)
        return [name for item in found if (name := str(item["ServiceName"])).startswith(incomplete)]
    except PierheadError:
        return []  # completion has nowhere to say why


def connect(data_dir: Path | None, endpoint: str | None, language: str = "") -> EasClient:
    """The client of the hub that the options name; `language`: tag of the one for its texts.

    Raises:
        NoAccess: no endpoint or key is known.
    """
    return EasClient(find_access(data_dir, endpoint), language=language)


def language_of(lang: str) -> Language:
    """What --lang names; without it, the language of the terminal's locale.

    Raises:
        BadParameter: there are no texts in it.
    """
    if not lang:
        # In the order in which the C library asks; an empty one counts as not set.
        named = (os.environ.get(name) for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
        return of_locale(next(filter(None, named), ""))
    found = of_tag(lang)
    if found is None:
        raise typer.BadParameter(f"[{lang}]; legal: {', '.join(Language)}", param_hint="--lang")
    return found


Name = Annotated[str, typer.Argument(help="Name of the service.", autocompletion=complete_service)]
DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        envvar="PIERHEAD_DATA_DIR",
        help="The platform's folder; endpoint and key are read from its credentials.json.",
        show_envvar=True,
    ),
]
Endpoint = Annotated[
    str | None,
    typer.Option(
        "--endpoint",
        envvar="PIERHEAD_ENDPOINT",
        help="URL of a hub; the key comes from PIERHEAD_ACCESS_KEY_ID and _SECRET.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Lang = Annotated[
    str,
    typer.Option(
        "--lang",
        envvar="PIERHEAD_LANG",
        help="Language of the texts: en, zh-CN or zh-TW. Else that of LC_ALL or LANG.",
        show_envvar=True,
        show_default=False,
    ),
]
Wait = Annotated[
    bool, typer.Option("--wait", help="Show progress until the change is done, or has failed.")
]
Timeout = Annotated[
    float, typer.Option("--timeout", min=1, help="Longest time that --wait waits, in seconds.")
]
