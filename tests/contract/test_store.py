"""One suite for every database: what is written comes back, guards hold, races have one winner."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, func, inspect, select, text

from builders import ACCOUNT, BOX, ROOT, T0, a_replica, a_service, a_template, a_version
from pierhead import __version__
from pierhead.core import lifecycle
from pierhead.core.errors import Conflict, Invalid, PierheadError, Stale, Unavailable
from pierhead.core.events import Event
from pierhead.core.mounts import FolderSource, NasSource, OssSource, PackageSource, Source
from pierhead.core.principals import AccessKey, BearerToken, Principal
from pierhead.core.replicas import Exit, ReplicaState, ReplicaStatus
from pierhead.core.resources import Resources
from pierhead.core.services import (
    Change,
    Hold,
    Intake,
    Lock,
    Registration,
    Relaying,
    Seen,
    Service,
    Version,
    Wanted,
)
from pierhead.core.shares import Share
from pierhead.core.templates import Constraints, Environment, Link, Probe, Rolling, Template
from pierhead.store import codec, db, events, facts, keys, schema, services, tables
from pierhead.store import seen as seen_rows
from pierhead.store.db import Database
from pierhead.store.events import EventQuery
from pierhead.store.services import ServiceQuery
from postgres import PostgresServer

SOURCE = Path(__file__).parent.parent.parent / "src"
PATIENCE = 60.0
WORDS = "grüße, 世界, 🙂, zero\u200bwidth, quote's \" \\ % _ ; --"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database without tables."""
    if request.param == "sqlite":
        return db.sqlite_url(tmp_path / "pierhead.db")
    url: str = request.getfixturevalue("postgres_url")
    return url


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """The writing side of a database."""
    found = db.connect(url, writing=True, box=BOX)
    yield found
    found.dispose()


def add(engine: Engine, *many: Service) -> None:
    for service in many:
        db.run(engine, services.add, service)


def loaded(engine: Engine, service: Service) -> Service:
    pair = db.run(engine, services.load, service.id)
    assert pair is not None
    return pair[0]


def names(engine: Engine, **query: Any) -> list[str]:
    found, _total = db.run(engine, services.page, ServiceQuery(**query))
    return [service.name for service, _ in found]


# --- round trips ---------------------------------------------------------------------------------

PACKAGE = PackageSource("x==1", "a" * 64, "m/ü.gguf", "b" * 64, 7, "q8_0")
SOURCES: list[Source | None] = [
    None,
    PACKAGE,
    FolderSource("/srv/模型"),
    OssSource("bucket", "prefix/", "http://127.0.0.1:1"),
    NasSource("nas-1.local", "/exp"),
]
FULL_TEMPLATE = Template(
    name="full",
    engine="custom",
    family="llama_7b",
    precision="int8",
    source=PACKAGE,
    context=1,
    slots=2,
    command=("run", WORDS, ""),
    env={"A": WORDS, "": "empty"},
    resources=Resources(0.5, 2**40, 1, 2**31, cpu_request=0.25, memory_request=2**30, shm=2**26),
    mount_path="/mnt/模型",
    script='exec run "$@"',
    flags=("--f", WORDS),
    workdir="/srv/模型",
    environment=Environment("3.11", "24.1", ("six==1.16.0",), "https://i", "i", ("curl",)),
    ports=(3000, 3001),
    side_ports={"side": 3001},
    images={"X86_64": "r/i:1"},
    constraints=Constraints(("AARCH64",), "7.5", {"NVIDIA": ("a" * 32,), "AMD": ()}),
    links=(Link("data", "/srv/data"),),
    nodes=3,
    in_turn=True,
    framework="vLLM",
    routed="private",
    readiness=Probe("exec", "/r", 1, ("a", "b"), 1.0, 2.5, 3.5, 4, 5),
    liveness=Probe("http", "/l"),
    start_deadline=1.25,
    stop_grace=0.1,
)
FULL_VERSION = Version(
    number=3,
    template=FULL_TEMPLATE,
    source=FolderSource("/x"),
    rolling=Rolling(max_surge="25%", max_unavailable=2),
    request_timeout=0.1,
    intake=Intake(queue=3, rate=5, workers=7),
    relaying=Relaying(affinity="", repeats=False),
    submitted={"名": [1, 2.5, None, True, {"nested": WORDS}], "big": 2**70, "e": ""},
)
FULL_SERVICE = Service(
    id="f" * 32,
    name="full_service",
    account=ACCOUNT,
    caller="rôle/x",
    origin="eas.service",
    wanted=Wanted.STOPPED,
    change=Change.STOP,
    replicas=7,
    current=FULL_VERSION,
    latest=3,
    epoch=4,
    revision=9,
    token=WORDS,
    created=T0 + 0.1,
    updated=T0 + 0.123456,
    workspace=WORDS,
    quota="quota",
    group="team",
    labels={"k": "", "ключ": WORDS},
    registration=Registration(
        title=WORDS,
        description=WORDS,
        template="1" * 32,
        model="2" * 32,
        zone="3" * 32,
        kind="VirtualMachine",
        type="App",
        yaml="services: []",
        runtime="process",
        open=True,
        datasets=("4" * 32,),
        needs=("5" * 32, "6" * 32),
        share=Share(7, standalone=True),
        lock=Lock.DANGEROUS,
    ),
)
FULL_REPLICA = ReplicaStatus(
    id="r-1",
    service=FULL_SERVICE.id,
    rollout="3.4",
    state=ReplicaState.CRASHED,
    created=T0 - 0.1,
    node="n",
    host="127.0.0.1",
    port=1,
    pid=2,
    started=T0 + 0.1,
    ready_at=T0 + 0.2,
    runs=3,
    failures=4,
    retry_at=T0 + 0.3,
    reason="R",
    message=WORDS,
    last_exit=Exit(at=T0, code=1, signal=9, oom=True, lost=True, facts={"a": WORDS}),
    deadline=2300.5,
    unready_at=2200.25,
    members=("n2", ""),
    key_of="5e" * 16,
    last_lines=("", WORDS),
    limits="cgroup",
    keyed=True,
    api="openai",
    command=("python3", "server.py"),
    engine="transformers",
    model=".@main",
    devices=("GPU-1",),
)
FULL_SEEN = Seen(
    revision=9,
    settled=8,
    since=T0 + 0.7,
    hold=Hold(
        *("Reason", WORDS, True, True, True, "x"),
        facts={"a": WORDS},
        bytes=2**40,
        done=2**39,
        since=T0 + 0.8,
        asked=((T0 + 0.9, 3),),
    ),
    replicas=(FULL_REPLICA, a_replica(id="r-2")),
    failed_roll=True,
    served=True,
    broken=WORDS,
    granted=2,
)


@pytest.mark.parametrize(
    ("full", "plain"),
    [
        (FULL_TEMPLATE, Template(name="", engine="")),
        (FULL_VERSION, a_version()),
        (FULL_SERVICE, a_service()),
        (FULL_REPLICA, a_replica()),
        (FULL_SEEN, Seen()),
        (FULL_SEEN.hold, Hold("", "")),
        (FULL_SERVICE.registration, Registration()),
        (FULL_TEMPLATE.constraints, Constraints()),
        (FULL_TEMPLATE.environment, Environment()),
        (FULL_TEMPLATE.resources, Resources()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_full_examples_leave_no_field_at_its_default(full: Any, plain: Any) -> None:
    """So that a field which is forgotten in the store is seen below."""
    same = {"account", "host"}  # one of each is enough
    for field in fields(full):
        if field.name not in same:
            assert getattr(full, field.name) != getattr(plain, field.name), field.name


@pytest.mark.parametrize("source", SOURCES, ids=str)
def test_every_field_of_a_service_comes_back(engine: Engine, source: Source | None) -> None:
    service = replace(FULL_SERVICE, current=replace(FULL_VERSION, source=source))
    add(engine, service)
    found, seen = db.run(engine, services.load, service.id) or pytest.fail("not found")
    assert found == service
    assert seen == Seen()
    assert db.run(engine, services.version, service.id, 3) == service.current


def test_every_field_of_what_was_seen_comes_back(engine: Engine) -> None:
    add(engine, FULL_SERVICE)
    for seen in (FULL_SEEN, replace(FULL_SEEN, hold=None, replicas=()), Seen()):
        db.run(engine, seen_rows.save, FULL_SERVICE.id, seen)
        assert db.run(engine, services.load, FULL_SERVICE.id) == (FULL_SERVICE, seen)


def test_writing_down_what_was_seen_of_a_removed_service_is_no_error(engine: Engine) -> None:
    db.run(engine, seen_rows.save, "0" * 32, FULL_SEEN)
    assert db.run(engine, services.everything) == []


plain_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | plain_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(plain_text, inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(plain_text, json_values, max_size=4),
    st.integers() | st.sampled_from(["0%", "25%"]),
)
def test_whatever_json_was_submitted_comes_back_word_for_word(
    submitted: dict[str, Any], surge: int | str
) -> None:
    before = a_version(submitted=submitted, rolling=Rolling(max_surge=surge))
    after = codec.version.validate_json(codec.text(codec.version, before))
    assert after == before
    assert type(after.rolling.max_surge) is type(surge)


# --- guarded writes --------------------------------------------------------------------------------


def test_a_name_is_taken_once(engine: Engine) -> None:
    add(engine, a_service())
    with pytest.raises(Conflict, match=r"service \[svc_one\] already exists"):
        add(engine, a_service(id="e" * 32))
    assert len(db.run(engine, services.everything)) == 1
    assert db.run(engine, services.load, "e" * 32) is None


def test_a_change_is_stored_when_it_follows_the_stored_revision(engine: Engine) -> None:
    service = a_service()
    add(engine, service)
    changed = lifecycle.scale(service, 5, T0 + 1)
    assert changed is not None
    db.run(engine, services.change, changed)
    assert loaded(engine, service) == changed


@pytest.mark.parametrize("revision", [1, 3, 99])
def test_a_change_that_does_not_is_stale_and_leaves_no_trace(engine: Engine, revision: int) -> None:
    service = a_service(labels={"a": "1"})
    add(engine, service)
    late = replace(
        service, revision=revision, latest=2, current=a_version(number=2), labels={"b": "2"}
    )
    with pytest.raises(Stale):
        db.run(engine, services.change, late)
    assert loaded(engine, service) == service
    assert db.run(engine, services.version, service.id, 2) is None
    assert names(engine, labels={"a": "1"}) == ["svc_one"]


def test_a_change_of_a_service_that_is_gone_is_stale(engine: Engine) -> None:
    with pytest.raises(Stale):
        db.run(engine, services.change, a_service(revision=2))


def race(count: int, contend: Callable[[int], bool]) -> int:
    """How many of `count` threads that all begin at once report success."""
    line = threading.Barrier(count, timeout=PATIENCE)

    def run(number: int) -> bool:
        line.wait()
        return contend(number)

    with ThreadPoolExecutor(count) as threads:
        return sum(threads.map(run, range(count), timeout=PATIENCE))


def alone(url: str, work: Callable[[Connection], Any]) -> Any:
    """`work` in a transaction of a connection of its own, as another hub would do it."""
    engine = db.connect(url, writing=True, box=BOX)
    try:
        return db.run(engine, work)
    finally:
        engine.dispose()


def test_of_two_changes_at_once_exactly_one_is_stored(url: str, engine: Engine) -> None:
    service = a_service()
    add(engine, service)
    for turn in range(5):
        now = loaded(engine, service)

        def contend(number: int, now: Service = now, turn: int = turn) -> bool:
            mine = replace(now, revision=now.revision + 1, replicas=100 * turn + number + 2)
            try:
                alone(url, lambda tx: services.change(tx, mine))
            except Stale:
                return False
            return True

        assert race(2, contend) == 1
        assert loaded(engine, service).revision == now.revision + 1


def test_of_many_services_with_one_name_exactly_one_is_made(url: str, engine: Engine) -> None:
    def contend(number: int) -> bool:
        try:
            alone(url, lambda tx: services.add(tx, a_service(id=f"{number:032x}")))
        except Conflict:
            return False
        return True

    assert race(6, contend) == 1
    assert len(db.run(engine, services.everything)) == 1


def test_a_record_is_removed_with_all_that_belongs_to_it(engine: Engine) -> None:
    service, other = a_service(labels={"a": "1"}), a_service(name="svc_two", labels={"a": "1"})
    add(engine, service, other)
    with pytest.raises(Stale):
        db.run(engine, services.remove, service.id, 2)
    db.run(engine, services.remove, service.id, 1)
    with pytest.raises(Stale):
        db.run(engine, services.remove, service.id, 1)
    for table in (tables.services, tables.versions, tables.labels, tables.seen):
        statement = select(func.count()).select_from(table)
        assert db.run(engine, lambda tx, one=statement: tx.execute(one).scalar()) == 1, table.name
    assert db.run(engine, services.ids) == [other.id]


def test_a_transaction_that_fails_leaves_nothing(engine: Engine) -> None:
    def half(tx: Connection) -> None:
        services.add(tx, a_service())
        events.append(tx, an_event())
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        db.run(engine, half)
    assert db.run(engine, services.everything) == []
    assert db.run(engine, events.page, EventQuery()) == ([], 0)


# --- versions ---------------------------------------------------------------------------------------


def test_the_history_keeps_every_version_as_it_was(engine: Engine) -> None:
    service = a_service()
    add(engine, service)
    history = [service.current]
    for number in range(2, 5):
        service = lifecycle.upgrade(
            service, a_version(template=a_template(name=f"t{number}")), T0 + number
        )
        history.append(service.current)
        db.run(engine, services.change, service)
        scaled = lifecycle.scale(service, number + 10, T0 + number)
        assert scaled is not None
        db.run(engine, services.change, scaled)
        service = scaled
    found = [db.run(engine, services.version, service.id, number) for number in range(6)]
    assert found == [None, *history, None]
    assert loaded(engine, service) == service


# --- finding ----------------------------------------------------------------------------------------


def test_a_service_is_found_by_name_by_group_and_name_and_by_id(engine: Engine) -> None:
    service = a_service(group="team")
    add(engine, service)
    for name in ("svc_one", "team.svc_one", service.id):
        found = db.run(engine, services.find, name)
        assert found is not None, name
        assert found[0] == service
    for name in ("svc", "SVC_ONE", "other.svc_one", ".svc_one", "", "%", "svc_on_"):
        assert db.run(engine, services.find, name) is None, name


def test_label_filters_are_exact_or_ask_for_the_key_and_all_must_hold(engine: Engine) -> None:
    add(
        engine,
        a_service(name="one", labels={"env": "prod", "tier": "a"}),
        a_service(name="two", labels={"env": "prod", "tier": "b"}),
        a_service(name="three", labels={"env": "test"}),
        a_service(name="four"),
    )
    asked: list[tuple[dict[str, str | None], set[str]]] = [
        ({}, {"one", "two", "three", "four"}),
        ({"env": "prod"}, {"one", "two"}),
        ({"env": None}, {"one", "two", "three"}),
        ({"env": "prod", "tier": "b"}, {"two"}),
        ({"env": None, "tier": None}, {"one", "two"}),
        ({"env": "pro"}, set()),
        ({"env": "PROD"}, set()),
        ({"env": ""}, set()),
        ({"tier": "prod"}, set()),
    ]
    for labels, expected in asked:
        assert set(names(engine, labels=labels)) == expected, labels
        assert db.run(engine, services.page, ServiceQuery(labels=labels))[1] == len(expected)


def test_changed_labels_are_found_and_old_ones_are_not(engine: Engine) -> None:
    service = a_service(labels={"env": "prod", "old": "1"})
    add(engine, service)
    db.run(engine, services.change, replace(service, revision=2, labels={"env": "test"}))
    assert names(engine, labels={"env": "test"}) == ["svc_one"]
    assert names(engine, labels={"env": "prod"}) == names(engine, labels={"old": None}) == []


def test_a_part_of_a_name_is_taken_literally_and_in_any_case(engine: Engine) -> None:
    add(engine, a_service(name="a_b"), a_service(name="axb"), a_service(name="a_b_c"))
    assert set(names(engine, contains="a_b")) == {"a_b", "a_b_c"}
    assert set(names(engine, contains="B")) == {"a_b", "axb", "a_b_c"}
    assert (
        names(engine, contains="%")
        == names(engine, contains="\\")
        == names(engine, contains="/")
        == []
    )
    assert set(names(engine, contains="_")) == {"a_b", "a_b_c"}


def test_exact_filters_each_hold(engine: Engine) -> None:
    mine = {"group": "g_1", "workspace": "w1", "quota": "q1", "caller": "me"}
    add(engine, a_service(name="one", **mine), a_service(name="two"))
    for name, value in {**mine, "name": "one", "id": a_service(name="one").id}.items():
        assert names(engine, **{name: value}) == ["one"], name
        assert names(engine, **{name: value + "x"}) == [], name
        assert names(engine, **{name: value, "contains": "two"}) == [], name


def test_pages_are_sorted_cut_and_counted(engine: Engine) -> None:
    for number, name in enumerate(["ccc", "aaa", "bbb", "ddd"]):
        add(engine, a_service(name=name, created=T0 + number, updated=T0 - number))
    assert names(engine) == ["ddd", "bbb", "aaa", "ccc"]
    assert names(engine, sort="updated") == ["ccc", "aaa", "bbb", "ddd"]
    assert names(engine, sort="name", descending=False) == ["aaa", "bbb", "ccc", "ddd"]
    assert names(engine, sort="name", offset=1, limit=2) == ["ccc", "bbb"]
    assert names(engine, offset=3) == ["ccc"]
    assert names(engine, offset=4) == names(engine, limit=0) == []
    page = db.run(engine, services.page, ServiceQuery(offset=1, limit=2, contains="d"))
    assert page == ([], 1)


def test_pages_of_services_made_at_the_same_moment_neither_repeat_nor_lose_one(
    engine: Engine,
) -> None:
    add(engine, *(a_service(name=f"svc_{number}") for number in range(7)))
    seen = [name for offset in range(0, 7, 2) for name in names(engine, offset=offset, limit=2)]
    assert sorted(seen) == [f"svc_{number}" for number in range(7)]


# --- what cannot be stored ---------------------------------------------------------------------------

BROKEN = "half \ud800 a pair"


@pytest.mark.parametrize(
    "attempt",
    [
        lambda tx: services.add(tx, a_service(workspace=BROKEN)),
        lambda tx: services.add(tx, a_service(labels={"k": BROKEN})),
        lambda tx: services.add(tx, a_service(current=a_version(submitted={"k": BROKEN}))),
        lambda tx: services.find(tx, BROKEN),
        lambda tx: services.page(tx, ServiceQuery(contains=BROKEN)),
        lambda tx: services.page(tx, ServiceQuery(offset=2**70)),
    ],
)
def test_what_no_database_can_hold_is_the_callers_mistake(
    engine: Engine, attempt: Callable[[Connection], object]
) -> None:
    with pytest.raises(Invalid):
        db.run(engine, attempt)
    assert db.run(engine, services.everything) == []


def test_a_nul_is_stored_as_it_is_or_refused_as_the_callers_mistake(engine: Engine) -> None:
    service = a_service(workspace="nul \x00 in it", current=a_version(submitted={"k": "\x00"}))
    if engine.dialect.name == "postgresql":
        with pytest.raises(Invalid, match="NUL"):
            add(engine, service)
        service = replace(service, workspace="")
    add(engine, service)
    assert loaded(engine, service) == service


# --- events --------------------------------------------------------------------------------------------


def an_event(**values: Any) -> Event:
    defaults: dict[str, Any] = {
        "at": T0,
        "service": "a" * 32,
        "name": "svc_one",
        "type": "Normal",
        "reason": "Running",
        "message": WORDS,
        "actor": ACCOUNT,
        "replica": "",
    }
    return Event(**defaults | values)


def test_events_come_back_newest_first_with_ids_of_their_own(engine: Engine) -> None:
    many = [
        an_event(at=T0 + number // 2, reason=f"r{number}", replica=f"p{number}")
        for number in range(6)
    ]
    db.run(engine, events.append, *many[:3])
    db.run(engine, events.append)
    db.run(engine, events.append, *many[3:])
    found, total = db.run(engine, events.page, EventQuery())
    assert total == 6
    assert [replace(event, id=0) for event in found] == many[::-1]
    assert len({event.id for event in found}) == 6
    assert 0 not in {event.id for event in found}
    page, total = db.run(engine, events.page, EventQuery(offset=1, limit=2))
    assert ([event.reason for event in page], total) == (["r4", "r3"], 6)


def test_event_filters_each_hold(engine: Engine) -> None:
    mine = an_event(at=T0 + 5, service="b" * 32, type="Warning", replica="p1", reason="mine")
    db.run(engine, events.append, an_event(at=T0), mine, an_event(at=T0 + 9))

    def reasons(**query: Any) -> list[str]:
        found, total = db.run(engine, events.page, EventQuery(**query))
        assert total == len(found)
        return [event.reason for event in found]

    for query in (
        {"service": "b" * 32},
        {"type": "Warning"},
        {"replica": "p1"},
        {"since": T0 + 5, "until": T0 + 5},
    ):
        assert reasons(**query) == ["mine"], query
    assert reasons(since=T0 + 5) == ["Running", "mine"]
    assert reasons(until=T0 + 5) == ["mine", "Running"]
    assert reasons(type="Normal", replica="p1") == []


def test_old_events_are_forgotten(engine: Engine) -> None:
    db.run(engine, events.append, *(an_event(at=T0 + number) for number in range(5)))
    assert db.run(engine, events.prune, T0 + 3) == 3
    assert db.run(engine, events.prune, T0 + 3) == 0
    assert [event.at for event in db.run(engine, events.page, EventQuery())[0]] == [T0 + 4, T0 + 3]


# --- keys ------------------------------------------------------------------------------------------------

ROLE = Principal(ACCOUNT, "318:sässion", "assumed-role", "rôle/世界", '{"Version": "1"}')


@pytest.mark.parametrize(
    "key",
    [
        AccessKey("AK1", "secret", ROOT),
        AccessKey(
            "STS.1",
            "sécret",
            ROLE,
            active=False,
            session_token="t" * 2000,
            expires=T0 + 0.5,
            created=T0,
            last_used=T0 + 0.25,
        ),
    ],
)
def test_an_access_key_comes_back_whole_and_is_replaced_whole(
    engine: Engine, key: AccessKey
) -> None:
    assert db.run(engine, keys.find, BOX, key.id) is None
    for one in (key, replace(key, secret="new", active=not key.active)):
        db.run(engine, keys.put, BOX, one)
        whole = replace(one, uuid=keys.uuid_of(one), updated=one.created)
        found = db.run(engine, keys.find, BOX, key.id)
        assert found == whole
        record = db.run(engine, keys.record, key.id)
        assert record == replace(whole, secret="", session_token="")
        for read in (found, record):  # what is not compared
            assert read is not None
            assert (read.uuid, read.updated) == (whole.uuid, whole.updated)
            assert read.last_used == key.last_used
            assert read.principal.name == key.principal.name
            assert read.principal.session_policy == key.principal.session_policy
    assert db.run(engine, keys.find, BOX, key.id.lower()) is None


def test_a_bearer_token_comes_back_whole(engine: Engine) -> None:
    for token in (BearerToken("d" * 64, ROOT), BearerToken("d" * 64, ROLE, expires=T0)):
        db.run(engine, keys.put_bearer, token)
        assert db.run(engine, keys.find_bearer, "d" * 64) == token
    assert db.run(engine, keys.find_bearer, "e" * 64) is None


def test_a_nonce_is_used_once_per_key(engine: Engine) -> None:
    assert db.run(engine, keys.use_nonce, "AK1", "n", T0)
    assert not db.run(engine, keys.use_nonce, "AK1", "n", T0 + 1)
    assert db.run(engine, keys.use_nonce, "AK2", "n", T0)
    assert db.run(engine, keys.use_nonce, "AK1", "N", T0)


@pytest.mark.parametrize("nonce", ["", "x" * 100_000, WORDS, "nul\x00", "half \udc80"])
def test_a_nonce_may_be_any_text(engine: Engine, nonce: str) -> None:
    assert db.run(engine, keys.use_nonce, "AK1", nonce, T0)
    assert not db.run(engine, keys.use_nonce, "AK1", nonce, T0)
    assert db.run(engine, keys.use_nonce, "AK1", nonce + "1", T0)


def test_of_twenty_who_use_one_nonce_at_once_exactly_one_may(url: str) -> None:
    """Law: of twenty who use one nonce at once exactly one may (F26)."""
    store = Database(url, box=BOX)

    async def contend() -> list[bool]:
        return await asyncio.gather(
            *(store.write(keys.use_nonce, "AK1", "n", T0) for _ in range(20))
        )

    try:
        assert asyncio.run(contend()).count(True) == 1
    finally:
        store.close()
    assert race(20, lambda _: alone(url, lambda tx: keys.use_nonce(tx, "AK1", "other", T0))) == 1


def test_what_has_expired_is_forgotten_and_nothing_else(engine: Engine) -> None:
    db.run(engine, keys.use_nonce, "AK1", "old", T0 - 1)
    db.run(engine, keys.use_nonce, "AK1", "new", T0)
    day = 86_400
    for name, expires in {"old": T0 - day - 1, "new": T0 - day + 1, "ever": None}.items():
        db.run(engine, keys.put, BOX, AccessKey(name, "s", ROOT, expires=expires))
        db.run(engine, keys.put_bearer, BearerToken(name, ROOT, expires=expires))
    db.run(engine, keys.prune, T0)
    assert db.run(engine, keys.use_nonce, "AK1", "old", T0)
    assert not db.run(engine, keys.use_nonce, "AK1", "new", T0)
    for find in (keys.record, keys.find_bearer):
        assert [db.run(engine, find, name) is not None for name in ("old", "new", "ever")] == [
            False,
            True,
            True,
        ]


def test_a_fact_is_kept_and_replaced(engine: Engine) -> None:
    assert db.run(engine, facts.get, "account") is None
    db.run(engine, facts.put, "account", "1")
    db.run(engine, facts.put, "other", "2")
    db.run(engine, facts.put, "account", WORDS)
    assert db.run(engine, facts.get, "account") == WORDS
    assert db.run(engine, facts.get, "other") == "2"


# --- the database as an outside part ------------------------------------------------------------------------


def test_reads_and_writes_run_in_threads_and_are_timed(url: str) -> None:
    timed: list[str] = []
    store = Database(
        url, timed=lambda kind, seconds: timed.append(f"{kind} {seconds >= 0}"), box=BOX
    )

    async def use() -> None:
        main = threading.get_ident()
        await store.write(services.add, a_service())
        pair = await store.read(services.find, "svc_one")
        assert pair is not None
        assert await store.read(lambda _tx: threading.get_ident()) != main
        with pytest.raises(Conflict):
            await store.write(services.add, a_service(id="e" * 32))

    try:
        asyncio.run(use())
    finally:
        store.close()
    assert timed == ["write True", "read True", "read True", "write True"]


def test_a_writer_that_waits_does_not_hold_up_readers(url: str) -> None:
    store = Database(url, box=BOX)
    entered, leave = threading.Event(), threading.Event()

    def long_write(tx: Connection) -> None:
        services.add(tx, a_service())
        entered.set()
        assert leave.wait(PATIENCE)

    async def use() -> tuple[object, object]:
        writing = asyncio.create_task(store.write(long_write))
        await asyncio.to_thread(entered.wait, PATIENCE)
        before = await asyncio.wait_for(store.read(services.find, "svc_one"), PATIENCE)
        leave.set()
        await writing
        return before, await store.read(services.find, "svc_one")

    try:
        before, after = asyncio.run(use())
    finally:
        leave.set()
        store.close()
    assert before is None
    assert after is not None


LOCKER = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("PRAGMA locking_mode=EXCLUSIVE")
held.execute("BEGIN EXCLUSIVE")
held.execute("INSERT INTO facts VALUES ('lock', 'er')")
print("locked", flush=True)
sys.stdin.read()
"""


def test_a_locked_sqlite_file_is_unavailable_and_works_again_when_it_is_free(
    tmp_path: Path,
) -> None:
    file = tmp_path / "pierhead.db"
    schema.migrate(db.sqlite_url(file))
    holder = subprocess.Popen(
        [sys.executable, "-c", LOCKER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    store = Database(db.sqlite_url(file), box=BOX)

    async def both() -> list[object]:
        return await asyncio.gather(
            store.write(facts.put, "a", "1"), store.read(facts.get, "a"), return_exceptions=True
        )

    try:
        assert holder.stdout.readline() == b"locked\n"
        for outcome in asyncio.run(both()):
            assert isinstance(outcome, Unavailable)
            assert outcome.message == "The database is not available: database is locked"
        holder.communicate(timeout=PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while asyncio.run(both())[0] is not None:  # one write a second tries whether it is over
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert store.writes.refusal is None
        assert asyncio.run(store.read(facts.get, "a")) == "1"
    finally:
        holder.kill()
        holder.communicate()
        store.close()


def test_a_file_that_is_no_database_is_unavailable_and_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "pierhead.db"
    file.write_bytes(b"this is no database" * 1000)
    with pytest.raises(Unavailable, match="file is not a database"):
        schema.migrate(db.sqlite_url(file))
    assert file.read_bytes() == b"this is no database" * 1000


def test_a_folder_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="unable to open database file"):
        schema.migrate(db.sqlite_url(tmp_path / "no" / "such" / "folder" / "x.db"))


def test_a_full_disk_is_unavailable_and_nothing_is_half_written(tmp_path: Path) -> None:
    url = db.sqlite_url(tmp_path / "pierhead.db")
    schema.migrate(url)
    engine = db.connect(url, writing=True, box=BOX)
    try:
        # The writer has one connection, so the limit holds for what follows.
        db.run(engine, lambda tx: tx.exec_driver_sql("PRAGMA max_page_count=40").close())
        huge = a_service(current=a_version(submitted={"x": "y" * 1_000_000}))
        with pytest.raises(Unavailable, match="full"):
            add(engine, huge)
        add(engine, a_service())
        assert loaded(engine, a_service()) == a_service()
    finally:
        engine.dispose()


def test_sqlite_syncs_every_commit_and_checks_references(tmp_path: Path) -> None:
    url = db.sqlite_url(tmp_path / "pierhead.db")
    schema.migrate(url)
    for writing in (True, False):
        engine = db.connect(url, writing=writing)
        try:

            def pragma(tx: Connection, name: str) -> object:
                return tx.exec_driver_sql(f"PRAGMA {name}").scalar()

            found = [
                db.run(engine, pragma, name)
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
            assert found == ["wal", 2, 1]
        finally:
            engine.dispose()


def test_a_stopped_postgresql_is_unavailable() -> None:
    with PostgresServer() as server:
        url = server.database()
        schema.migrate(url)
        store = Database(url, box=BOX)
        try:
            asyncio.run(store.write(services.add, a_service()))
            server.stop()
            for attempt in (
                lambda: store.read(services.everything),
                lambda: store.write(services.add, a_service(name="svc_two")),
                lambda: store.read(services.everything),
            ):
                with pytest.raises(Unavailable, match=r"The database is not available: .+"):
                    asyncio.run(attempt())
            with pytest.raises(Unavailable):
                schema.migrate(url)
        finally:
            store.close()


def test_a_session_that_the_server_ended_is_replaced(
    postgres: PostgresServer, postgres_url: str
) -> None:
    schema.migrate(postgres_url)
    store = Database(postgres_url, box=BOX)
    try:
        asyncio.run(store.write(facts.put, "a", "1"))
        name = postgres_url.rsplit("/", 1)[1]
        postgres.execute(
            f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )
        asyncio.run(store.write(facts.put, "a", "2"))
        assert asyncio.run(store.read(facts.get, "a")) == "2"
    finally:
        store.close()


def test_a_mistake_in_a_statement_is_not_called_an_outage(engine: Engine) -> None:
    with pytest.raises(Exception, match="no_such_table") as caught:
        db.run(engine, lambda tx: tx.execute(text("SELECT 1 FROM no_such_table")))
    if engine.dialect.name == "postgresql":
        assert not isinstance(caught.value, PierheadError)


# --- schema ------------------------------------------------------------------------------------------------


def scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(schema.config())


def test_head_is_the_newest_script() -> None:
    assert scripts().get_heads() == [schema.HEAD]


def test_migrating_does_all_once_and_nothing_twice(empty: str) -> None:
    assert schema.version(empty) is None
    assert schema.migrate(empty)
    assert schema.version(empty) == schema.HEAD
    assert not schema.migrate(empty)


def difference(tx: Connection) -> list[Any]:
    """What Alembic would change to make the database what the program knows."""
    options = {"compare_type": True, "compare_server_default": True}
    return compare_metadata(MigrationContext.configure(tx, opts=options), tables.metadata)


def test_the_tables_of_an_empty_database_are_the_tables_of_the_program(engine: Engine) -> None:
    assert db.run(engine, difference) == []


def test_each_step_of_the_schema_goes_up_down_and_up_again(empty: str) -> None:
    engine = db.connect(empty, writing=True, box=BOX)

    def move(tx: Connection, how: Callable[..., None], revision: str) -> None:
        config = schema.config()
        config.attributes["connection"] = tx
        how(config, revision)

    try:
        for script in reversed(list(scripts().walk_revisions())):
            below = script.down_revision or "base"
            db.run(engine, move, command.upgrade, script.revision)
            db.run(engine, move, command.downgrade, str(below))
            db.run(engine, move, command.upgrade, script.revision)
        assert db.run(engine, difference) == []
        add(engine, FULL_SERVICE)
        db.run(engine, move, command.downgrade, "base")
        assert db.run(engine, lambda tx: inspect(tx).get_table_names()) == ["alembic_version"]
    finally:
        engine.dispose()
    assert schema.version(empty) is None
    assert schema.migrate(empty)


def test_a_database_of_a_newer_release_is_refused_and_left_as_it_is(
    url: str, engine: Engine
) -> None:
    add(engine, FULL_SERVICE)
    db.run(engine, facts.put, schema.RELEASE, "9.9.9")
    db.run(engine, lambda tx: tx.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(schema.TooNew) as caught:
        schema.migrate(url)
    assert caught.value.message == (
        f"The database was written by Pierhead 9.9.9 (schema 9999), and this is Pierhead {__version__}"
        f" (schema {schema.HEAD}), which does not know it: run the newer one, or restore a backup."
    )
    assert schema.version(url) == "9999"
    assert loaded(engine, FULL_SERVICE) == FULL_SERVICE


MIGRATE = "import sys; from pierhead.store import schema; sys.stdin.read(); print(schema.migrate(sys.argv[1]))"


def test_processes_that_migrate_at_once_do_it_once(empty: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", MIGRATE, empty],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        for _ in range(4)
    ]
    for process in started:
        assert process.stdin is not None
        process.stdin.close()  # the starting gun
        process.stdin = None
    outcomes = [process.communicate(timeout=PATIENCE) for process in started]
    assert [process.returncode for process in started] == [0] * 4, outcomes
    assert sorted(output for output, _ in outcomes) == [b"False\n"] * 3 + [b"True\n"]
    assert schema.version(empty) == schema.HEAD


def test_on_postgresql_a_migration_waits_for_another_one_to_end(
    postgres: PostgresServer, postgres_url: str
) -> None:
    """The same race, held at its worst moment: all tables made, nothing committed."""
    name = postgres_url.rsplit("/", 1)[1]
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = :name"
    first, watcher = (
        db.connect(url, writing=True, box=BOX) for url in (postgres_url, postgres.url())
    )

    def others_wait(tx: Connection) -> bool:
        return tx.execute(text(waiting), {"name": name}).first() is not None

    try:
        with ThreadPoolExecutor(1) as second:
            with first.begin() as tx:
                assert schema.upgrade(tx)
                outcome = second.submit(schema.migrate, postgres_url)
                deadline = time.monotonic() + PATIENCE
                while not db.run(watcher, others_wait):
                    assert not outcome.done(), outcome.result()
                    assert time.monotonic() < deadline
                    time.sleep(0.01)
            assert outcome.result(PATIENCE) is False
    finally:
        first.dispose()
        watcher.dispose()


WRITE_ON = """
import sys
from builders import BOX, a_service, a_version
from pierhead.core.events import Event
from pierhead.core import lifecycle
from pierhead.store import db, events, services
engine = db.connect(sys.argv[1], writing=True, box=BOX)
def made(tx, service):
    services.add(tx, service)
    events.append(tx, Event(1.0, service.id, service.name, "Normal", "Created", "x" * 5000, "me"))
def updated(tx, service):
    services.change(tx, service)
    events.append(tx, Event(2.0, service.id, service.name, "Normal", "Updated", "x" * 5000, "me"))
for number in range(1_000_000):
    service = a_service(name=f"svc_{number}", labels={"n": str(number)})
    db.run(engine, made, service)
    print(number, flush=True)
    db.run(engine, updated, lifecycle.upgrade(service, a_version(), 2.0))
"""


@pytest.mark.parametrize("after", [1, 7, 23])
def test_kill_9_amid_writes_leaves_whole_transactions(tmp_path: Path, after: int) -> None:
    """Law: what was answered is on the disk, and nothing is there by halves."""
    file = tmp_path / "pierhead.db"
    schema.migrate(db.sqlite_url(file))
    paths = os.pathsep.join([str(SOURCE), str(Path(__file__).parent.parent)])
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_ON, db.sqlite_url(file)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    ) as writer:
        assert writer.stdout is not None
        for _ in range(after):
            assert writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        told = after + len(writer.stdout.read().splitlines())
    raw = sqlite3.connect(file)
    assert raw.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert raw.execute("PRAGMA foreign_key_check").fetchall() == []
    raw.close()
    engine = db.connect(db.sqlite_url(file), writing=True, box=BOX)
    try:
        kept = db.run(engine, services.everything)
        assert told <= len(kept) <= told + 1
        for service, _seen in kept:
            found, total = db.run(engine, events.page, EventQuery(service=service.id))
            assert total == service.revision == service.latest
            assert db.run(engine, services.version, service.id, service.latest) == service.current
            assert len(found) == total
            assert names(engine, labels=dict(service.labels)) == [service.name]
        add(engine, a_service(name="afterwards"))
    finally:
        engine.dispose()
