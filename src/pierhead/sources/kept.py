"""Whom snapshots are kept for: the sources that services name, and what lies where they look."""

from collections.abc import Iterable
from pathlib import Path

from pierhead.core.mounts import NasSource, Source
from pierhead.core.templates import Template
from pierhead.sources.model_shapes import Where
from pierhead.sources.snapshots import Snapshot

_FILE = "file://"


def users_of(
    found: Iterable[Snapshot], served: Iterable[tuple[Template, Source | None]], here: Where
) -> list[str]:
    """The users that count, while these are served: all others may be released.

    A snapshot is kept for a source, by its name. A conversion of a file on this machine is kept for
    the file, and so for every service whose weights `here` are that file or a folder above it.
    """
    names: set[str] = set()
    places: set[Path] = set()
    mounted: set[str] = set()
    for template, source in served:
        chosen = source or template.source
        if chosen is not None:
            names.add(str(chosen))
        if isinstance(chosen, NasSource):  # below whatever folder its file system is mounted at
            mounted.add(f"/{chosen.path.strip('/')}/".replace("//", "/"))
        place = here(template, source)
        if isinstance(place, Path):
            places.add(place)
    users = {user for each in found if each.converted for user in each.users}
    files = {user for user in users if user.startswith(_FILE)}
    for user in files:
        path = Path(user.removeprefix(_FILE))
        named = any(f"{folder}" in f"{path}/" for folder in mounted)
        if named or any(path.is_relative_to(place) for place in places):
            names.add(user)
    return sorted(names)
