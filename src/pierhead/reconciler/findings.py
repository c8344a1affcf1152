"""What the survey reads from and writes to the database: transactions only, no disk is touched here."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import Connection

from pierhead.core.query import Query
from pierhead.core.registry import Capacity, Dataset, Model, ModelCenter, RegisteredTemplate
from pierhead.operations import paths
from pierhead.sources.measure import Measured, Room
from pierhead.store import centers, datasets, models, templates

Row = RegisteredTemplate | Model | Dataset
KINDS = ("template", "model", "dataset")
_EVERYTHING = Query(limit=2**31 - 1)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the files of a row lie."""

    kind: Literal["template", "model", "dataset"]
    uuid: str
    center: str
    path: str  #: absolute
    size: int | None  #: as the row says
    readme: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found at a place."""

    place: Place
    measured: Measured

    @property
    def new(self) -> bool:
        """Is it something else than the row says?"""
        return (self.size, self.readme) != (self.place.size, self.place.readme)

    @property
    def size(self) -> int | None:
        """Bytes as the row is to say; of a model or dataset whose files are not there none."""
        if self.measured.there:
            return self.measured.size
        return 0 if self.place.kind == "template" else None

    @property
    def readme(self) -> str | None:
        """Only templates show one."""
        return self.measured.readme if self.place.kind == "template" else None


@dataclass(frozen=True, slots=True)
class Probe:
    """What a look at a center's root said."""

    url: str  #: of the center that was looked at
    connected: bool
    room: Room | None = None
    cache: int = 0  #: bytes


def all_centers(tx: Connection) -> list[str]:
    """Uuids of all centers."""
    return [center.uuid for center in centers.page(tx, _EVERYTHING).rows]


def named(tx: Connection, uuids: Iterable[str]) -> list[Place]:
    """Where the files of these rows lie, as far as they are to be measured and on this machine."""
    wanted = list(uuids)
    rows: list[Row] = [
        *templates.many(tx, wanted),
        *models.many(tx, wanted),
        *datasets.many(tx, wanted),
    ]
    return list(_places(tx, rows))


def in_center(tx: Connection, center: str) -> list[Place]:
    """Where the files of all rows of a center lie, as `named`."""
    return list(_places(tx, _held(tx, center)))


def save(tx: Connection, findings: Sequence[Finding]) -> None:
    """Write sizes and READMEs into the rows that are still there and still lie where they lay."""
    uuids = [finding.place.uuid for finding in findings]
    now = {place.uuid: place for place in named(tx, uuids)}
    for finding in findings:
        place = now.get(finding.place.uuid)
        if place is not None and place.path == finding.place.path:
            _save(tx, finding)


def save_probe(tx: Connection, uuid: str, probe: Probe) -> None:
    """Write a center's connection and capacity down; nothing when its root is another one by now."""
    center = centers.load(tx, uuid)
    if center is None or center.url != probe.url:
        return
    held = list(_held(tx, uuid))
    room = probe.room or Room(0, 0)
    capacity = Capacity(
        models=sum(row.size or 0 for row in held if isinstance(row, Model)),
        templates=sum(row.size for row in held if isinstance(row, RegisteredTemplate)),
        datasets=sum(row.size or 0 for row in held if isinstance(row, Dataset)),
        cache=probe.cache,
        available=room.available,
        total=room.total,
    )
    new = replace(center, connected=probe.connected, capacity=capacity)
    if new != center:
        centers.change(tx, new)


def _save(tx: Connection, finding: Finding) -> None:
    uuid = finding.place.uuid
    match finding.place.kind:
        case "template":
            template = templates.load(tx, uuid)
            if template is not None:
                size = template.size if template.size_given else finding.size or 0
                readme = template.readme if template.readme_given else finding.readme
                templates.change(tx, replace(template, size=size, readme=readme))
        case "model":
            model = models.load(tx, uuid)
            if model is not None and not model.size_given:
                models.change(tx, replace(model, size=finding.size))
        case "dataset":
            dataset = datasets.load(tx, uuid)
            if dataset is not None:
                datasets.change(tx, replace(dataset, size=finding.size))


def _held(tx: Connection, center: str) -> Iterator[Row]:
    yield from templates.in_center(tx, center)
    yield from models.in_center(tx, center)
    yield from datasets.in_center(tx, center)


def _places(tx: Connection, rows: Iterable[Row]) -> Iterator[Place]:
    known: dict[str, ModelCenter | None] = {}
    for row in rows:
        if row.center not in known:
            known[row.center] = centers.load(tx, row.center)
        center = known[row.center]
        path = paths.resolve(center, row.install_path or "") if center else None
        if path is not None and not _given(row):
            yield _place(row, path)


def _given(row: Row) -> bool:
    """Did the client say all that could be measured?"""
    if isinstance(row, RegisteredTemplate):
        return row.size_given and row.readme_given
    return isinstance(row, Model) and row.size_given


def _place(row: Row, path: str) -> Place:
    match row:
        case RegisteredTemplate():
            return Place("template", row.uuid, row.center, path, row.size, row.readme)
        case Model():
            return Place("model", row.uuid, row.center, path, row.size)
        case Dataset():
            return Place("dataset", row.uuid, row.center, path, row.size)
