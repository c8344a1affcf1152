"""What is registered, on every database: it comes back whole, and queries mean what `rows_of` says."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from alembic import command
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, event, text

from builders import ACCOUNT, BOX, T0, a_service
from pierhead.core.comparing import Kind, Op
from pierhead.core.errors import Duplicate, Invalid, NotFound, Taken
from pierhead.core.query import TAG_FIELDS, Condition, Query, rows_of
from pierhead.core.registry import (
    ArchitectureImage,
    Binding,
    Capacity,
    Dataset,
    Model,
    ModelCenter,
    RegisteredTemplate,
    ResourceType,
    Tag,
    TagPattern,
    Zone,
)
from pierhead.core.services import Registration
from pierhead.dialects.zstack.present import registry as present
from pierhead.dialects.zstack.present import tags as present_tags
from pierhead.store import (
    bindings,
    centers,
    datasets,
    db,
    keys,
    models,
    patterns,
    schema,
    services,
    tags,
    templates,
    zones,
)
from pierhead.store.asking import EVERYTHING, Scope
from pierhead.store.query import Noun
from postgres import PostgresServer

WORDS = "grüße, 世界, 🙂, zero\u200bwidth, quote's \" \\ % _ ; --"


def uuid(number: int) -> str:
    return f"{number:032x}"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Engine]:
    """One database for the module; PostgreSQL's in a locale that orders `a B c`, to be overruled."""
    if request.param == "sqlite":
        url = db.sqlite_url(tmp_path_factory.mktemp("registry") / "pierhead.db")
        yield from _open(url)
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    server.execute(
        "CREATE DATABASE registry TEMPLATE template0"
        " LOCALE_PROVIDER icu ICU_LOCALE 'en-US' ENCODING UTF8"
    )
    url = server.url("registry")
    yield from _open(url)
    server.drop(url)


def _open(url: str) -> Iterator[Engine]:
    assert schema.migrate(url)
    engine = db.connect(url, writing=True, box=BOX)
    yield engine
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without tables."""
    if request.param == "sqlite":
        return db.sqlite_url(tmp_path / "pierhead.db")
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def tx(database: Engine) -> Iterator[Connection]:
    """A transaction that is undone at the end."""
    with database.connect() as connection:
        begun = connection.begin()
        yield connection
        begun.rollback()


# --- round trips ---------------------------------------------------------------------------------

FULL_ZONE = Zone(uuid(1), WORDS, T0 + 0.1, T0 + 0.2, WORDS, default=True)
FULL_CENTER = ModelCenter(
    uuid=uuid(2),
    name=WORDS,
    url="file:///srv",
    management_ip="10.0.0.1",
    management_port=2**20,
    created=T0 + 0.1,
    updated=T0 + 0.2,
    description=WORDS,
    parameters="p",
    storage_network="s",
    service_network="n",
    container_registry="r",
    container_network="cn",
    container_storage_network="cs",
    zone=uuid(1),
    default=True,
    connected=False,
    capacity=Capacity(1, 2, 3, 4, 2**50, 2**51),
)
FULL_MODEL = Model(
    uuid=uuid(3),
    name=WORDS,
    install_path="m",
    center=uuid(2),
    owner="rôle/x",
    created=T0 + 0.1,
    updated=T0 + 0.2,
    description=WORDS,
    parameters="7B",
    logo="l",
    vendor="v",
    model_id="id",
    introduction="i",
    size=2**60,
    size_given=True,
    version="1.2.3",
    kind="System",
    share_mode="Public",
    recommended_gpu_num="2",
    gpu_constraint="c",
    classifications=("a", WORDS),
    fine_tuning={"x": WORDS},
    architecture="LlamaForCausalLM",
    pipeline_tag="text-generation",
    framework_version="4.1",
    accelerator="cuda",
    min_gpu_memory=2**35,
    checksum="s",
    measured_bytes=2**36,
)
FULL_TEMPLATE = RegisteredTemplate(
    uuid=uuid(4),
    name=WORDS,
    yaml="services:\n- x\n",
    request_cpu=2**31 + 1,
    request_memory=2**40,
    center=uuid(2),
    install_path="t",
    start_command=WORDS,
    owner="rôle/x",
    created=T0 + 0.1,
    updated=T0 + 0.2,
    description=WORDS,
    zone=uuid(1),
    gpu_capability="7.5",
    system=True,
    shipped=True,
    python_version="3.11",
    conda_version="24",
    type="App",
    framework="vLLM",
    source="Bentoml",
    images=(
        ArchitectureImage(uuid(41), "AARCH64", "i/a", "vm", T0 + 0.1, T0 + 0.2),
        ArchitectureImage(uuid(40), None, None, None, T0, T0),
        ArchitectureImage(uuid(42), "X86_64", "i/x"),
    ),
    support_distributed=True,
    container_command="c",
    container_args="a",
    vendor_specs={"NVIDIA": ("s1", "s2"), "AMD": ()},
    environment={"A": WORDS},
    startup_parameters={"--x": ""},
    inference_params={"t": "0.1"},
    cpu_architectures=("riscv",),
    readme=WORDS,
    readme_given=True,
    size=2**50,
    size_given=True,
    version="1.11.1",
)
FULL_DATASET = Dataset(
    uuid=uuid(5),
    name=WORDS,
    url="file:///d",
    center=uuid(2),
    owner="rôle/x",
    created=T0 + 0.1,
    updated=T0 + 0.2,
    description=WORDS,
    install_path="d",
    size=7,
    system=True,
    usage_scenarios=("train", "eval"),
    data_type="Text",
)
FULL_PATTERN = TagPattern(uuid(6), WORDS, "v{x}", T0 + 0.1, T0 + 0.2, WORDS, "#fff", "withToken")
FULL_TAG = Tag(
    uuid=uuid(7),
    resource=uuid(4),
    resource_type=ResourceType.TEMPLATE,
    tag="t" * 2048,
    system=True,
    created=T0 + 0.1,
    updated=T0 + 0.2,
    inherent=True,
    pattern=uuid(6),
)
FULL_BINDING = Binding(uuid(8), uuid(3), uuid(4), default=True)

PLAIN_MODEL = Model(uuid(13), "m", "p", uuid(2), ACCOUNT, T0, T0, model_id=uuid(13))
PLAIN_TEMPLATE = RegisteredTemplate(uuid(14), "t", "y", 1, 1024, uuid(2), "i", "c", ACCOUNT, T0, T0)
PLAIN_DATASET = Dataset(uuid(15), "d", "u", uuid(2), ACCOUNT, T0, T0)
PLAIN_TAG = Tag(uuid(17), uuid(4), ResourceType.TEMPLATE, "x", system=False, created=T0, updated=T0)
PAIRS: list[tuple[ModuleType, Any, Any]] = [
    (zones, FULL_ZONE, Zone(uuid(11), "z", T0, T0)),
    (centers, FULL_CENTER, ModelCenter(uuid(12), "c", "u", "i", 1, T0, T0)),
    (models, FULL_MODEL, PLAIN_MODEL),
    (templates, FULL_TEMPLATE, PLAIN_TEMPLATE),
    (datasets, FULL_DATASET, PLAIN_DATASET),
    (patterns, FULL_PATTERN, TagPattern(uuid(16), "p", "v", T0, T0)),
    (tags, FULL_TAG, PLAIN_TAG),
    (bindings, FULL_BINDING, Binding(uuid(18), uuid(13), uuid(14))),
]
every_kind = pytest.mark.parametrize(
    ("store", "full", "plain"), PAIRS, ids=[pair[0].__name__.rpartition(".")[2] for pair in PAIRS]
)


def prepare(tx: Connection, store: ModuleType) -> None:
    """What must be there before an object of this kind."""
    if store is bindings:
        for one in (FULL_MODEL, PLAIN_MODEL):
            models.add(tx, one)
        for one in (FULL_TEMPLATE, PLAIN_TEMPLATE):
            templates.add(tx, one)


@every_kind
def test_the_full_examples_leave_no_field_at_its_default(
    store: ModuleType, full: Any, plain: Any
) -> None:
    for field in fields(full):
        same = store is tags and field.name in ("resource", "resource_type")
        same = same or field.name == "center"
        assert same or getattr(full, field.name) != getattr(plain, field.name), field.name


@every_kind
def test_every_field_comes_back(tx: Connection, store: ModuleType, full: Any, plain: Any) -> None:
    prepare(tx, store)
    assert store.load(tx, full.uuid) is None
    for one in (full, plain):
        store.add(tx, one)
        assert store.load(tx, one.uuid) == one
    assert store.many(tx, [plain.uuid, uuid(999), full.uuid, plain.uuid]) == [plain, full]


@every_kind
def test_a_change_replaces_the_whole_object(
    tx: Connection, store: ModuleType, full: Any, plain: Any
) -> None:
    prepare(tx, store)
    if store is bindings:
        plain = replace(full, default=False)
    if store is models:
        plain = replace(plain, model_id=full.uuid)
    for before, after in ((full, plain), (plain, full)):
        changed = replace(after, uuid=before.uuid)
        if store is templates:
            images = tuple(
                replace(image, uuid=uuid(500 + at)) for at, image in enumerate(after.images)
            )
            changed = replace(changed, images=images)
        store.remove(tx, full.uuid)
        store.remove(tx, plain.uuid)
        store.add(tx, before)
        store.change(tx, changed)
        assert store.load(tx, before.uuid) == changed
    with pytest.raises(NotFound, match=uuid(999)):
        store.change(tx, replace(plain, uuid=uuid(999)))


@every_kind
def test_a_uuid_is_taken_once(database: Engine, store: ModuleType, full: Any, plain: Any) -> None:
    def twice(tx: Connection) -> None:
        prepare(tx, store)
        store.add(tx, full)
        with pytest.raises(Taken, match=full.uuid):
            store.add(tx, replace(plain, uuid=full.uuid))

    with database.connect() as tx, tx.begin() as begun:
        twice(tx)
        begun.rollback()


@every_kind
def test_what_is_removed_is_gone(tx: Connection, store: ModuleType, full: Any, plain: Any) -> None:
    prepare(tx, store)
    store.add(tx, full)
    store.add(tx, plain)
    assert store.remove(tx, full.uuid)
    assert not store.remove(tx, full.uuid)
    assert store.load(tx, full.uuid) is None
    assert store.load(tx, plain.uuid) == plain


def test_many_are_found_whatever_their_number(tx: Connection) -> None:
    made = [Zone(uuid(number), "z", T0, T0) for number in range(2500)]
    for zone in made:
        zones.add(tx, zone)
    assert zones.many(tx, [zone.uuid for zone in reversed(made)]) == made[::-1]


# --- what hangs together -------------------------------------------------------------------------


def test_templates_of_a_name_come_newest_first(tx: Connection) -> None:
    old, new, other = (
        replace(PLAIN_TEMPLATE, uuid=uuid(20 + n), created=T0 + n, name=name)
        for n, name in enumerate(["same", "same", "Same"])
    )
    for one in (old, new, other):
        templates.add(tx, one)
    assert templates.by_name(tx, "same") == [new, old]


@pytest.mark.parametrize(
    ("store", "plain"),
    [(models, PLAIN_MODEL), (templates, PLAIN_TEMPLATE), (datasets, PLAIN_DATASET)],
)
def test_a_center_knows_what_it_holds(tx: Connection, store: ModuleType, plain: Any) -> None:
    mine = [replace(plain, uuid=uuid(30 + n), created=T0 - n) for n in range(2)]
    if store is models:
        mine = [replace(one, model_id=one.uuid) for one in mine]
    for one in (*mine, replace(plain, center=uuid(77))):
        store.add(tx, one)
    assert store.in_center(tx, plain.center) == mine[::-1]


def test_bindings_are_found_from_both_sides_and_go_with_either(tx: Connection) -> None:
    prepare(tx, bindings)
    one = FULL_BINDING
    two = Binding(uuid(9), PLAIN_MODEL.uuid, one.template)
    three = Binding(uuid(10), one.model, PLAIN_TEMPLATE.uuid)
    for each in (three, two, one):
        bindings.add(tx, each)
    assert bindings.of_models(tx, [one.model, uuid(999)]) == [one, three]
    assert bindings.of_templates(tx, [one.template]) == [one, two]
    assert bindings.of_models(tx, []) == []
    assert bindings.find(tx, two.model, two.template) == two
    assert bindings.find(tx, two.model, three.template) is None
    templates.remove(tx, one.template)
    assert bindings.of_models(tx, [one.model, two.model]) == [three]
    models.remove(tx, three.model)
    assert bindings.load(tx, three.uuid) is None


def test_two_are_bound_once(tx: Connection) -> None:
    prepare(tx, bindings)
    bindings.add(tx, FULL_BINDING)
    with pytest.raises(Duplicate):
        bindings.add(tx, replace(FULL_BINDING, uuid=uuid(900)))


def test_services_are_found_by_what_they_were_made_from(tx: Connection) -> None:
    made = [
        a_service(name="svc_a", created=T0 + 1, registration=Registration(template=uuid(4))),
        a_service(name="svc_b", registration=Registration(template=uuid(4), model=uuid(3))),
        a_service(name="svc_c"),
    ]
    for service in made:
        services.add(tx, service)
    assert services.using_template(tx, uuid(4)) == [made[1], made[0]]
    assert services.using_model(tx, uuid(3)) == [made[1]]
    freed = replace(made[1], revision=2, registration=Registration(model=uuid(3)))
    services.change(tx, freed)
    assert services.using_template(tx, uuid(4)) == [made[0]]
    assert services.using_model(tx, uuid(3)) == [freed]
    assert services.using_template(tx, "") == []


# --- tags ----------------------------------------------------------------------------------------


def test_an_object_has_each_tag_once(tx: Connection) -> None:
    tags.add(tx, PLAIN_TAG)
    others = [
        replace(PLAIN_TAG, uuid=uuid(50), system=True),
        replace(PLAIN_TAG, uuid=uuid(51), resource=uuid(3)),
        replace(PLAIN_TAG, uuid=uuid(52), tag="X"),
        replace(PLAIN_TAG, uuid=uuid(53), pattern=uuid(6)),
    ]
    for tag in others:
        tags.add(tx, tag)
    for tag in (PLAIN_TAG, *others):
        with pytest.raises(Duplicate):
            tags.add(tx, replace(tag, uuid=uuid(60)))
    with pytest.raises(Duplicate):
        tags.change(tx, replace(others[2], tag=PLAIN_TAG.tag))
    tags.change(tx, replace(others[2], updated=T0 + 9))  # the transaction is still good


def test_tags_are_found_and_go_with_their_object(tx: Connection) -> None:
    made = [
        replace(PLAIN_TAG, uuid=uuid(50), tag="b", created=T0 + 1),
        replace(PLAIN_TAG, uuid=uuid(51), tag="a"),
        replace(PLAIN_TAG, uuid=uuid(52), resource=uuid(3)),
    ]
    for tag in made:
        tags.add(tx, tag)
    assert tags.of(tx, PLAIN_TAG.resource) == [made[1], made[0]]
    assert tags.of_many(tx, [uuid(3), PLAIN_TAG.resource]) == [made[1], made[2], made[0]]
    tags.remove_of(tx, PLAIN_TAG.resource)
    assert tags.of_many(tx, [uuid(3), PLAIN_TAG.resource]) == [made[2]]


def test_the_tag_of_the_replicas_follows_their_number(tx: Connection) -> None:
    service = uuid(70)
    texts = [("ai::replicas::1", True), ("ai::replicas::1", False), ("ai::gpus::1", True)]
    for number, (tag, system) in enumerate(texts):
        made = replace(PLAIN_TAG, uuid=uuid(71 + number), tag=tag, system=system)
        tags.add(tx, replace(made, resource=service, resource_type=ResourceType.GROUP))
    tags.set_replicas(tx, service, 12)
    tags.set_replicas(tx, uuid(99), 3)
    assert [tag.tag for tag in tags.of(tx, service)] == [
        "ai::replicas::12",
        "ai::replicas::1",
        "ai::gpus::1",
    ]


def test_system_and_user_tags_are_listed_apart(tx: Connection) -> None:
    user, system = PLAIN_TAG, replace(PLAIN_TAG, uuid=uuid(50), system=True, tag="a::b")
    for tag in (user, system):
        tags.add(tx, tag)
    assert tags.page(tx, Query(), system=True).rows == (system,)
    assert tags.page(tx, Query(), system=False).rows == (user,)
    assert set(tags.page(tx, Query()).rows) == {user, system}
    assert tags.page(tx, Query(count=True), system=True).total == 1


# --- who sees what -------------------------------------------------------------------------------

ME = Scope("me")


def test_others_see_their_own_and_what_is_the_systems_or_shared(tx: Connection) -> None:
    for number, (owner, system) in enumerate([("me", False), ("you", False), ("you", True)]):
        common = {"owner": owner, "name": f"{owner} {system}"}
        templates.add(tx, replace(PLAIN_TEMPLATE, uuid=uuid(100 + number), system=system, **common))
        datasets.add(tx, replace(PLAIN_DATASET, uuid=uuid(110 + number), system=system, **common))
        kind, share = ("System", None) if system else ("Custom", "Private")
        models.add(
            tx, replace(PLAIN_MODEL, uuid=uuid(120 + number), kind=kind, share_mode=share, **common)
        )
    models.add(
        tx, replace(PLAIN_MODEL, uuid=uuid(130), owner="you", share_mode="Public", name="shared")
    )
    for store, extra in ((templates, []), (datasets, []), (models, ["shared"])):
        query = Query(reply_with_count=True)
        seen = store.page(tx, query, ME)
        assert [one.name for one in seen.rows] == ["me False", "you True", *extra]
        assert seen.total == 2 + len(extra)
        assert store.page(tx, query, EVERYTHING).total == 3 + len(extra)


def test_others_see_the_tags_of_what_they_see(tx: Connection) -> None:
    mine, theirs = (
        replace(PLAIN_TEMPLATE, uuid=uuid(140 + n), owner=who)
        for n, who in enumerate(("me", "you"))
    )
    my_group, their_group = (
        a_service(name=f"svc_{who}", caller=who, origin="zstack") for who in ("me", "you")
    )
    for one in (mine, theirs):
        templates.add(tx, one)
    for one in (my_group, their_group):
        services.add(tx, one)
    centers.add(tx, FULL_CENTER)
    on = [mine.uuid, theirs.uuid, my_group.id, their_group.id, FULL_CENTER.uuid, uuid(999)]
    for number, resource in enumerate(on):
        tags.add(tx, replace(PLAIN_TAG, uuid=uuid(150 + number), resource=resource))
    seen = tags.page(tx, Query(), ME).rows
    assert [tag.resource for tag in seen] == [mine.uuid, my_group.id, FULL_CENTER.uuid]
    assert len(tags.page(tx, Query()).rows) == len(on)


# --- queries mean what `rows_of` says -------------------------------------------------------------

letters = st.text("aAbBäÄß%_\\ ,1.'🙂", max_size=3)
maybe_letters = st.none() | letters
# Made once: to make a strategy anew for every draw takes most of the time.
few = st.integers(0, 3)
few_or_none = st.none() | few
up_to_5 = st.integers(0, 5)
up_to_2 = st.integers(0, 2)
either = st.booleans()
moments = st.sampled_from([T0, T0 + 0.25, T0 + 0.75, T0 + 1, T0 + 2.5])
architectures = st.sampled_from(["X86_64", "x86_64", "AARCH64", "a"])
architecture_or_none = st.none() | architectures
two_architectures = st.lists(architectures, max_size=2)
model_versions = st.sampled_from([None, "1.0.0", "1", "10.0.0"])
template_versions = st.sampled_from([None, "1.9.0", "1.10.0"])
model_kinds = st.sampled_from(["System", "Custom"])
patterns = st.sampled_from([None, uuid(6), uuid(7)])


@dataclass(frozen=True)
class World:
    """What is registered in one example."""

    centers: list[ModelCenter]
    models: list[Model]
    templates: list[RegisteredTemplate]
    bindings: list[Binding]
    tags: list[Tag]

    def add(self, tx: Connection) -> None:
        for store, things in (
            (centers, self.centers),
            (models, self.models),
            (templates, self.templates),
            (bindings, self.bindings),
            (tags, self.tags),
        ):
            for thing in things:
                store.add(tx, thing)

    def tags_of(self, resource: str) -> list[Tag]:
        return [tag for tag in self.tags if tag.resource == resource]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Few objects with few different values, so that conditions meet equal ones."""
    some_centers = [
        ModelCenter(
            uuid(n),
            draw(letters),
            "file:///x",
            "::1",
            draw(few),
            draw(moments),
            T0,
            connected=draw(either),
            capacity=Capacity(models=draw(few)),
        )
        for n in range(draw(few))
    ]
    center = st.sampled_from([one.uuid for one in some_centers] or [uuid(9)])
    some_models = [
        Model(
            uuid(16 + n),
            draw(letters),
            draw(letters),
            draw(center),
            ACCOUNT,
            draw(moments),
            draw(moments),
            description=draw(maybe_letters),
            size=draw(few_or_none),
            version=draw(model_versions),
            kind=draw(model_kinds),
            model_id="id",
        )
        for n in range(draw(up_to_5))
    ]
    some_templates = [_a_template(draw, n, draw(center)) for n in range(draw(up_to_5))]
    pairs = [(model.uuid, template.uuid) for model in some_models for template in some_templates]
    bound = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=5)) if pairs else []
    return World(
        some_centers,
        some_models,
        some_templates,
        [Binding(uuid(96 + n), *pair, draw(either)) for n, pair in enumerate(bound)],
        _some_tags(draw, [one.uuid for one in (*some_centers, *some_models, *some_templates)]),
    )


def _a_template(draw: st.DrawFn, number: int, center: str) -> RegisteredTemplate:
    return RegisteredTemplate(
        uuid(48 + number),
        draw(letters),
        draw(letters),
        draw(few),
        draw(few),
        center,
        "i",
        "c",
        ACCOUNT,
        draw(moments),
        draw(moments),
        description=draw(maybe_letters),
        system=draw(either),
        readme=draw(maybe_letters),
        images=tuple(
            ArchitectureImage(
                uuid(256 + 16 * number + at),
                draw(architecture_or_none),
                draw(maybe_letters),
                None,
                draw(moments),
                T0,
            )
            for at in range(draw(up_to_2))
        ),
        cpu_architectures=tuple(draw(two_architectures)),
        size=draw(few),
        version=draw(template_versions),
    )


def _some_tags(draw: st.DrawFn, resources: list[str]) -> list[Tag]:
    if not resources:
        return []
    triples = st.tuples(st.sampled_from(resources), either, letters)
    return [
        Tag(uuid(128 + n), on, ResourceType.MODEL, tag, system, T0, T0, pattern=draw(patterns))
        for n, (on, system, tag) in enumerate(draw(st.lists(triples, unique=True, max_size=6)))
    ]


def template_rows(world: World) -> list[dict[str, Any]]:
    """As the wire shows them, with times as numbers and the center that queries may go into."""
    return [
        with_times(
            one,
            present.template(one, [each for each in world.bindings if each.template == one.uuid]),
        )
        | {
            "modelServiceImages": [
                with_times(image, present.image(image, one.uuid)) for image in one.images
            ],
            "modelCenter": center_of(world, one.center),
        }
        for one in world.templates
    ]


def model_rows(world: World) -> list[dict[str, Any]]:
    return [
        with_times(
            one, present.model(one, [each for each in world.bindings if each.model == one.uuid])
        )
        | {"modelCenter": center_of(world, one.center)}
        for one in world.models
    ]


def center_rows(world: World) -> list[dict[str, Any]]:
    return [with_times(one, present.center(one)) for one in world.centers]


def tag_rows(world: World) -> list[dict[str, Any]]:
    return [
        with_times(one, present_tags.system_tag(one)) | {"tagPatternUuid": one.pattern}
        for one in world.tags
    ]


def with_times(thing: Any, row: dict[str, Any]) -> dict[str, Any]:
    return row | {"createDate": thing.created, "lastOpDate": thing.updated}


def center_of(world: World, wanted: str) -> dict[str, Any] | None:
    return next((row for row in center_rows(world) if row["uuid"] == wanted), None)


texts_by_kind: dict[Kind, st.SearchStrategy[str]] = {
    Kind.TEXT: letters
    | st.sampled_from(["X86_64", "a%", "%A%", "_", "\\%", "a,b", "Custom", "1.0.0", uuid(16)])
    | letters.map(lambda text: f"%{text}%"),
    Kind.LIST: letters | st.sampled_from(["X86_64", "x86%", "AARCH64,a", "%"]),
    Kind.INTEGER: st.sampled_from(
        ["0", "1", " 2 ", "3.0", "1.5", "x", "", str(2**63), str(2**40), "1,2", "-1"]
    ),
    Kind.BOOLEAN: st.sampled_from(["true", "FALSE", "1", "maybe", "true,false", ""]),
    Kind.TIME: st.sampled_from(
        [str(int(T0 + n) * 1000) for n in range(4)]
        + [f"{int(T0)}000,{int(T0) + 2}999", "2026-09-21T13:33:20Z", "soon"]
    ),
}


TELLING = [
    "name",
    "description",
    "tag",
    "createDate",
    "lastOpDate",
    "size",
    "system",
    "status",
    "cpuArchitectures",
    "capacity.modelUsedCapacity",
    "capacity.fineTuneUsedCapacity",
    "modelCenter.name",
    "modelServiceRefs.isDefault",
    "modelServiceImages.dockerImage",
    "modelServiceImages.cpuArchitecture",
]


operators = st.sampled_from(Op)
limits = st.sampled_from([1000, 1000, 1000, 2, 0])
starts = st.sampled_from([0, 0, 1])
counts = st.sampled_from([False, False, False, True])


def queries(noun: Noun) -> st.SearchStrategy[Query]:
    names = st.sampled_from(sorted(noun.kinds))
    # Those with the most to say: text, times, numbers and what is nested come as often as all others.
    telling = st.sampled_from([name for name in TELLING if name in noun.kinds] + [*TAG_FIELDS])
    fields = telling | telling | names | st.sampled_from(["nope", "nope.name"])
    natural = st.sampled_from(sorted(noun.fields))
    sorts = st.just("") | natural | names
    groups = st.just("") | st.just("") | natural

    @st.composite
    def one(draw: st.DrawFn) -> Query:
        def condition() -> Condition:
            field = draw(fields)
            value = draw(texts_by_kind[noun.kinds.get(field, Kind.TEXT)])
            return Condition(field, draw(operators), value)

        return Query(
            conditions=tuple(condition() for _ in range(draw(up_to_2))),
            limit=draw(limits),
            start=draw(starts),
            count=draw(counts),
            reply_with_count=draw(either),
            sort=draw(sorts),
            descending=draw(either),
            group_by=draw(groups),
        )

    return one()


Outcome = tuple[list[str], int | None] | str


def outcome(work: Callable[[], Any], uuid_of: Callable[[Any], str]) -> Outcome:
    try:
        found = work()
    except Invalid as error:
        return error.message
    return [uuid_of(row) for row in found.rows], found.total


#: Of each noun in each database, with eight questions each.
WORLDS = int(os.environ.get("PIERHEAD_TEST_SCHEDULES", "120"))
NOUNS: list[tuple[ModuleType, Callable[[World], list[dict[str, Any]]]]] = [
    (templates, template_rows),
    (models, model_rows),
    (centers, center_rows),
    (tags, tag_rows),
]
ASKED = {store.__name__: queries(store.NOUN) for store, _ in NOUNS}
SOME_WORLD = worlds()


@pytest.mark.parametrize(
    ("store", "as_rows"), NOUNS, ids=["templates", "models", "centers", "tags"]
)
@settings(
    max_examples=WORLDS,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_every_query_finds_what_the_naive_one_finds(
    database: Engine,
    store: ModuleType,
    as_rows: Callable[[World], list[dict[str, Any]]],
    data: st.DataObject,
) -> None:
    world = data.draw(SOME_WORLD)
    asked = [data.draw(ASKED[store.__name__]) for _ in range(8)]
    rows = as_rows(world)
    with database.connect() as tx:
        begun = tx.begin()
        world.add(tx)
        for query in asked:
            got = outcome(lambda: store.page(tx, query), lambda thing: thing.uuid)  # noqa: B023
            naive = outcome(
                lambda: rows_of(rows, query, store.NOUN.kinds, world.tags_of),  # noqa: B023
                lambda row: row["uuid"],
            )
            assert got == naive, query
        begun.rollback()


def test_bounds_of_a_query_are_those_of_the_databases(tx: Connection) -> None:
    """So many conditions and values pass in one statement; more are refused before it is made."""
    zones.add(tx, Zone(uuid(1), "z", T0, T0))
    like = Condition("name", Op.NOT_LIKE, "%" * 2000 + "a" * 2000)
    among = Condition("createDate", Op.NOT_IN, ",".join(map(str, range(9900))))
    query = Query(conditions=(*[like] * 99, among))
    assert len(zones.page(tx, query).rows) == 1
    for more in (replace(query, conditions=(*query.conditions, like)), _values(10_001)):
        with pytest.raises(Invalid, match="more than"):
            zones.page(tx, more)


def _values(count: int) -> Query:
    return Query(conditions=(Condition("name", Op.IN, "," * (count - 1)),))


@pytest.mark.parametrize(("version", "newer"), [("1.9.0", True), ("1.10.0", False), (None, False)])
def test_a_system_template_knows_that_a_shipped_one_is_newer(
    tx: Connection, version: str | None, newer: bool
) -> None:
    shipped = replace(
        PLAIN_TEMPLATE, uuid=uuid(20), name="n", system=True, shipped=True, version="1.10.0"
    )
    mine = replace(PLAIN_TEMPLATE, uuid=uuid(21), name="n", system=True, version=version)
    not_system = replace(mine, uuid=uuid(22), system=False)
    other = replace(mine, uuid=uuid(23), name="N")
    for template in (shipped, mine, not_system, other):
        templates.add(tx, template)
    query = Query(conditions=(Condition("hasNewVersion", Op.EQUAL, "true"),))
    assert templates.page(tx, query).rows == ((mine,) if newer else ())
    for one in (shipped, mine, not_system, other):
        row = present.template(one, shipped={"n": "1.10.0"})
        assert row["hasNewVersion"] is (newer and one is mine)


@pytest.mark.parametrize(("count", "statements"), [(1, 2), (50, 2), (0, 1)])
def test_a_page_of_templates_takes_two_statements_whatever_its_size(
    database: Engine, tx: Connection, count: int, statements: int
) -> None:
    for number in range(count):
        image = ArchitectureImage(uuid(1000 + number), "X86_64", "i")
        templates.add(tx, replace(PLAIN_TEMPLATE, uuid=uuid(20 + number), images=(image,)))
    ran: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        ran.append(statement)

    event.listen(database, "before_cursor_execute", note)
    try:
        page = templates.page(tx, Query(limit=50))
    finally:
        event.remove(database, "before_cursor_execute", note)
    assert len(page.rows) == count
    assert all(len(template.images) == 1 for template in page.rows)
    assert len(ran) == statements


def test_keys_and_services_of_the_first_schema_are_carried_over(
    empty: str,
) -> None:
    engine = db.connect(empty, writing=True, box=BOX)
    try:
        db.run(engine, _move, "0001")
        db.run(engine, _first_rows)
        db.run(engine, _move, "head")
        for name in ("AK1", "AK2"):
            key = db.run(engine, keys.find, BOX, name)
            assert key is not None
            assert key.uuid == keys.uuid_of(replace(key, uuid=""))
            assert (key.created, key.updated, key.description) == (T0, T0, None)
        ((service, _seen),) = db.run(engine, services.everything)
        assert service.registration == Registration()
        assert service.token == "of-old"
    finally:
        engine.dispose()


def _move(tx: Connection, revision: str) -> None:
    config = schema.config()
    config.attributes["connection"] = tx
    command.upgrade(config, revision)


def _first_rows(tx: Connection) -> None:
    service = services._row(a_service(), BOX) | {"token": "of-old"}  # pyright: ignore[reportPrivateUsage]
    old = {
        name: value
        for name, value in service.items()
        if name not in {"registration", "template", "model"}
    }
    names = ", ".join(old)
    tx.execute(text(f"INSERT INTO services ({names}) VALUES (:{', :'.join(old)})"), old)
    tx.execute(
        text("INSERT INTO seen VALUES (:id, 0, 0, 0, '', '[]', :no, :no, '')"),
        {"id": old["id"], "no": False},
    )
    for key in ("AK1", "AK2"):
        tx.execute(
            text(
                "INSERT INTO access_keys VALUES (:id, 's', 'a', 'a', 'account', :yes, '', NULL, :at)"
            ),
            {"id": key, "yes": True, "at": T0},
        )
