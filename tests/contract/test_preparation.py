"""What a replica needs before it starts: each missing thing is told, waited for, and harms nothing that runs."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from reconciler_world import GATEWAY, World, fresh_database, tell

import virtual_time
from builders import ROOT, a_template
from pierhead.bootstrap.kubernetes import lacking
from pierhead.core.connections import Connection
from pierhead.core.events import Notice
from pierhead.core.launch import Launch, Placement
from pierhead.core.mounts import OssSource
from pierhead.core.replicas import Exit, Node, RuntimeInfo
from pierhead.core.resources import GIB, Resources
from pierhead.core.services import Hold, Registration, Service
from pierhead.core.status import Status
from pierhead.core.templates import Constraints, Environment, Link
from pierhead.core.workloads import Workload
from pierhead.engines.custom import Custom
from pierhead.operations import services
from pierhead.operations.services import Draft
from pierhead.reconciler.preparation import Preparation
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.sources.far_environments import NoEnvironments
from pierhead.store import connections, tags
from pierhead.store import services as rows
from pierhead.store.db import Database

PYTHON = Environment(python="3.11", requirements=("six==1.16.0",))
INSTALLING = Hold("InstallingEnvironment", "installing 1 requirement, for 4 s.", progressing=True)
FAILED = Hold("EnvironmentFailed", "six==99 is nowhere.", permanent=True)


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    yield from fresh_database(tmp_path_factory.mktemp("preparation"))


async def needing(its: World, name: str, *others: str, **template: Any) -> Service:
    """A service that needs others."""
    draft = Draft(name, "test", a_template(**{"stop_grace": 5.0} | template), 1, {})
    registration = Registration(needs=others, title=template.get("title", ""))
    return await services.create(its.platform, ROOT, replace(draft, registration=registration))


def applied(its: World) -> list[Workload]:
    """Every workload that the runtime is asked for from now on."""
    noted: list[Workload] = []
    apply = its.runtime.apply

    async def noting(workload: Workload) -> None:
        noted.append(workload)
        await apply(workload)

    its.runtime.apply = noting  # type: ignore[method-assign]
    return noted


def has_nodes(its: World, *nodes: Node) -> None:
    async def probe() -> RuntimeInfo:
        return RuntimeInfo("fake", nodes, "")

    its.runtime.probe = probe  # type: ignore[method-assign]


# ---- a runtime with images -----------------------------------------------------------------------


def on_a_cluster(its: World) -> Preparation:
    def ask(workload: Workload, placement: Placement) -> Launch:
        return Custom().launch(workload.template, workload.files, placement)

    parts = replace(
        its.parts,
        runtime_name="kubernetes",
        environments=NoEnvironments(),
        lacking=partial(lacking, Cluster(), ask),
    )
    return Preparation(parts)


def test_what_an_image_brings_is_not_looked_for_here(db: Database) -> None:
    async def story(its: World) -> None:
        asked: dict[str, Any] = {"environment": PYTHON, "workdir": "/app/nowhere"}
        service = await its.create("own", **asked, images={"": "registry.example/own:1"})
        made = on_a_cluster(its)
        found = await made.prepare(service, service.current, fresh=True)
        assert not isinstance(found, Hold), found
        reasons = [notice.reason for notice in found.notices]
        assert "InstallPathMissing" not in reasons
        assert "WorkingFolder" in reasons, "what a pod does not have is told"
        bare = await its.create("bare", **asked)
        held = await made.prepare(bare, bare.current, fresh=True)
        assert isinstance(held, Hold)
        assert (held.reason, held.permanent) == ("EnvironmentFailed", True)
        assert "image" in held.message
        silent = await its.create("silent", command=(), images={"": "registry.example/own:1"})
        runs = await made.prepare(silent, silent.current, fresh=True)
        assert not isinstance(runs, Hold), "it says itself what is to be run"
        nothing = await its.create("nothing", command=())
        idle = await made.prepare(nothing, nothing.current, fresh=True)
        assert isinstance(idle, Hold)
        assert idle.reason == "NoCommand"

    tell(db, story)


def test_who_asks_for_another_runtime_than_there_is_is_held_and_told(db: Database) -> None:
    async def story(its: World) -> None:
        service = await its.create("svc")
        asked = replace(service, registration=replace(service.registration, runtime="process"))
        held = await on_a_cluster(its).prepare(asked, asked.current, fresh=True)
        assert isinstance(held, Hold)
        assert "ai::runtime::process" in held.message
        here = await Preparation(its.parts).prepare(asked, asked.current, fresh=True)
        assert not isinstance(here, Hold)

    tell(db, story)


# ---- a command, a machine ------------------------------------------------------------------------


def test_without_a_command_it_fails_at_once_and_says_what_to_give(db: Database) -> None:
    async def story(its: World) -> None:
        service = await its.create("svc", command=())
        await asyncio.sleep(1)
        found = await its.verdict("svc")
        assert (found.status, found.reason) == (Status.FAILED, "NoCommand")
        assert "start command" in found.message
        assert its.runtime.observe(service.id) == []
        await its.update("svc", script="serve")
        await its.settled("svc", within=2)

    tell(db, story)


def test_law_what_is_kept_for_others_is_not_fetched_whenever_it_was_bound(db: Database) -> None:
    """A wish is judged when it is made; bindings change, and so it is judged again at each start."""
    kept = Connection("kept", "oss", "bkt", "https://s.example", "r", created=1.0)
    kept = replace(kept, workspaces=("team-a",))

    async def story(its: World) -> None:
        service = await its.create("svc", source=OssSource("bkt", "weights/"))
        await its.settled("svc", within=5)
        await its.db.write(connections.add, kept, b"sealed")
        before = {one.id for one in its.runtime.observe(service.id)}
        await its.restart("svc")
        await asyncio.sleep(30)
        _, seen = await its.look("svc")
        assert seen.hold is not None and seen.hold.reason == "StorageNotConnected"
        assert "team-a" not in seen.hold.message
        now = {one.id for one in its.runtime.observe(service.id)}
        assert now and now == before, "what runs goes on, and nothing else starts"
        await its.db.write(connections.remove, "kept")
        await its.settled("svc", within=60)

    tell(db, story)


UNMET = [
    ({"resources": Resources(gpu=1)}, "1 GPU wanted"),
    ({"constraints": Constraints(architectures=("AARCH64",))}, "architecture AARCH64"),
    (
        {"resources": Resources(gpu=1), "constraints": Constraints(gpu_capability="7.5")},
        "compute capability 7.5",
    ),
    (
        {"resources": Resources(gpu=1), "constraints": Constraints(gpu_specs={"NVIDIA": ("ab",)})},
        "NVIDIA (spec ab)",
    ),
]


@pytest.mark.parametrize(("template", "named"), UNMET)
def test_an_unmet_constraint_is_named_and_never_fails(
    db: Database, template: dict[str, Any], named: str
) -> None:
    async def story(its: World) -> None:
        has_nodes(its, Node("n1", cpu=8, memory=64 * GIB, memory_free=GIB, architecture="X86_64"))
        service = await its.create("svc", start_deadline=60.0, **template)
        await asyncio.sleep(600)
        found = await its.verdict("svc")
        assert (found.status, found.reason) == (Status.PENDING, "Unschedulable")
        assert named in found.message
        reasons = await its.reasons(service.id)
        assert reasons == ["ServiceCreated", "Unschedulable"], "told once, and no failure"
        assert its.runtime.observe(service.id) == []

    tell(db, story)


def test_it_goes_on_by_itself_when_a_fitting_machine_joins(db: Database) -> None:
    async def story(its: World) -> None:
        small = Node("n1", cpu=8, memory=64 * GIB, memory_free=GIB)
        has_nodes(its, small)
        await its.create("svc", resources=Resources(gpu=2))
        await asyncio.sleep(60)
        assert (await its.verdict("svc")).reason == "Unschedulable"
        has_nodes(its, small, replace(small, name="n2", gpus=2))
        await its.settled("svc", within=60)

    tell(db, story)


# ---- dependencies --------------------------------------------------------------------------------


def test_it_starts_when_what_it_needs_is_running_and_gets_its_address(db: Database) -> None:
    async def story(its: World) -> None:
        noted = applied(its)
        its.runtime.faults.ready_after = 30.0
        first = await its.create("vector_db")
        second = await needing(its, "chat_app", first.id)
        await asyncio.sleep(10)
        found = await its.verdict("chat_app")
        assert (found.status, found.reason) == (Status.CREATING, "DependencyNotRunning")
        assert "[vector_db]" in found.message
        assert its.runtime.observe(second.id) == []
        await its.settled("chat_app", within=90)
        env = next(w.files.env for w in noted if w.service == second.id and not w.held)
        assert env == {"DEP_VECTOR_DB_URL": f"{GATEWAY}/api/predict/vector_db"}
        assert all(w.files.env == {} for w in noted if w.service == first.id)

    tell(db, story)


def test_a_dependency_that_stops_later_stops_nobody_but_holds_the_next_start(db: Database) -> None:
    """Law: what serves is never taken down for what a new start would need."""

    async def story(its: World) -> None:
        first = await its.create("vector_db")
        second = await needing(its, "chat_app", first.id)
        await its.settled("chat_app")
        await its.stop("vector_db")
        await asyncio.sleep(120)
        (replica,) = its.ready(second)
        assert (await its.verdict("chat_app")).status is Status.RUNNING
        its.runtime.crash(replica.id, Exit(at=virtual_time.wall(), code=1))
        await asyncio.sleep(60)
        assert its.ready(second) == []
        assert (await its.verdict("chat_app")).reason in {"DependencyNotRunning", "Crashed"}
        await its.start("vector_db")
        await its.settled("chat_app", within=60)
        assert [r.id for r in its.ready(second)] == [replica.id]

    tell(db, story)


def test_a_dependency_that_was_removed_is_none_any_more(db: Database) -> None:
    async def story(its: World) -> None:
        first = await its.create("vector_db", command=())
        await needing(its, "chat_app", first.id)
        await asyncio.sleep(5)
        assert (await its.verdict("chat_app")).reason == "DependencyNotRunning"
        await its.delete("vector_db")
        await its.gone("vector_db", within=3)
        await its.settled("chat_app", within=60)

    tell(db, story)


def test_one_that_never_runs_fails_those_that_wait_at_their_deadline(db: Database) -> None:
    async def story(its: World) -> None:
        first = await its.create("vector_db", command=())
        await needing(its, "chat_app", first.id, start_deadline=40.0)
        await asyncio.sleep(60)
        found = await its.verdict("chat_app")
        assert (found.status, found.reason) == (Status.FAILED, "DependencyNotRunning")

    tell(db, story)


# ---- environments --------------------------------------------------------------------------------


def test_an_environment_on_its_way_has_no_deadline_and_then_reaches_the_replica(
    db: Database,
) -> None:
    async def story(its: World) -> None:
        noted = applied(its)
        its.environments.hold = INSTALLING
        service = await its.create("svc", environment=PYTHON, start_deadline=30.0)
        await asyncio.sleep(300)
        found = await its.verdict("svc")
        assert (found.status, found.reason) == (Status.CREATING, "InstallingEnvironment")
        assert set(its.environments.asked) == {PYTHON}
        its.environments.hold = None
        its.reconciler.hasten()
        await its.settled("svc", within=5)
        assert noted[0].files.environment == "/environments/3.11"
        reasons = await its.reasons(service.id)
        assert reasons[:3] == ["ServiceCreated", "InstallingEnvironment", "HoldEnded"]

    tell(db, story)


def test_one_that_cannot_be_built_is_a_failure_and_a_restart_tries_at_once(db: Database) -> None:
    async def story(its: World) -> None:
        its.environments.hold = FAILED
        await its.create("svc", environment=PYTHON)
        await asyncio.sleep(100)
        found = await its.verdict("svc")
        assert (found.status, found.reason) == (Status.FAILED, "EnvironmentFailed")
        assert "six==99" in found.message
        before = its.environments.retried
        await its.restart("svc")
        await asyncio.sleep(5)
        assert its.environments.retried == before + 1
        its.environments.hold = None
        await its.settled("svc", within=40)

    tell(db, story)


def test_what_runs_is_left_alone_whatever_becomes_of_its_environment(db: Database) -> None:
    """Law: a hold is about starting; it never ends a replica."""

    async def story(its: World) -> None:
        service = await its.create("svc", replicas=2, environment=PYTHON)
        await its.settled("svc")
        before = {replica.id for replica in its.ready(service)}
        its.environments.hold = FAILED
        asked = len(its.environments.asked)
        await asyncio.sleep(200)
        assert {replica.id for replica in its.ready(service)} == before
        assert len(its.environments.asked) == asked, "nothing is to be started, nothing is asked"
        await its.scale("svc", 3)
        await asyncio.sleep(40)
        assert {replica.id for replica in its.ready(service)} == before
        await its.scale("svc", 1)
        await its.settled("svc")
        assert {replica.id for replica in its.ready(service)} < before

    tell(db, story)


def test_an_update_whose_environment_cannot_be_built_leaves_the_old_version_serving(
    db: Database,
) -> None:
    async def story(its: World) -> None:
        service = await its.create("svc")
        await its.settled("svc")
        (before,) = its.ready(service)
        its.environments.hold = FAILED
        await its.update("svc", environment=PYTHON)
        await asyncio.sleep(60)
        assert its.ready(service) == [before]
        assert (await its.verdict("svc")).status is Status.FAILED
        its.environments.hold = None
        await its.settled("svc", within=60)
        assert {replica.rollout for replica in its.ready(service)} == {"2.0"}

    tell(db, story)


def test_environments_in_use_are_kept_when_old_ones_are_let_go(db: Database) -> None:
    async def story(its: World) -> None:
        older = replace(PYTHON, python="3.10")
        await its.create("svc", environment=older)
        await its.settled("svc")
        its.runtime.faults.never_ready.add("2.0")
        await its.update("svc", environment=PYTHON)
        await asyncio.sleep(2 * 3600)
        kept = its.environments.kept
        assert 1 <= len(kept) <= 2, "once an hour"
        assert kept[0] == {PYTHON, older}, "the version that still serves counts too"
        assert virtual_time.wall() - its.environments.before[0] > 29 * 86400

    tell(db, story)


# ---- folders -------------------------------------------------------------------------------------


def test_a_missing_working_folder_is_told_once_per_version(db: Database) -> None:
    async def story(its: World) -> None:
        its.folders.gone.add("/install/x")
        its.environments.notices = (Notice("DistroPackagesNotInstalled", "Not installed: curl."),)
        service = await its.create("svc", replicas=2, workdir="/install/x", environment=PYTHON)
        await its.settled("svc")
        await its.scale("svc", 3)
        await its.settled("svc")
        for replica in its.ready(service):
            its.runtime.crash(replica.id, Exit(at=virtual_time.wall(), code=1))
        await its.settled("svc")
        reasons = await its.reasons(service.id)
        assert reasons.count("InstallPathMissing") == 1
        assert reasons.count("DistroPackagesNotInstalled") == 1
        await its.restart("svc")
        await its.settled("svc")
        assert (await its.reasons(service.id)).count("InstallPathMissing") == 2

    tell(db, story)


def test_it_is_told_once_also_while_the_start_is_refused(db: Database) -> None:
    async def story(its: World) -> None:
        from pierhead.core.errors import Unavailable

        its.folders.gone.add("/install/x")
        its.runtime.faults.refuse_start["1.0"] = Unavailable("The ports", "none is free")
        service = await its.create("svc", workdir="/install/x")
        await asyncio.sleep(30)
        assert (await its.reasons(service.id)).count("InstallPathMissing") == 1

    tell(db, story)


def test_a_dataset_that_is_not_there_is_named_and_waited_for(db: Database) -> None:
    async def story(its: World) -> None:
        its.folders.gone.add("/data/corpus")
        await its.create("svc", links=(Link("corpus", "/data/corpus"), Link("b", "/data/b")))
        await asyncio.sleep(5)
        found = await its.verdict("svc")
        assert (found.status, found.reason) == (Status.FAILED, "DatasetMissing")
        assert "corpus (/data/corpus)" in found.message
        assert "/data/b" not in found.message
        its.folders.gone.clear()
        await its.settled("svc", within=40)

    tell(db, story)


def test_a_file_system_that_hangs_is_named_and_tried_again(db: Database) -> None:
    """Law: the service says which file system hangs, and goes on when it is back (F20)."""

    async def story(its: World) -> None:
        its.folders.hang.add("/nas/x")
        service = await its.create("svc", workdir="/nas/x")
        await asyncio.sleep(5)
        assert (await its.verdict("svc")).reason == "StorageHangs"
        assert "StorageHangs" in await its.reasons(service.id)
        its.folders.hang.clear()
        await its.settled("svc", within=5)

    tell(db, story)


# ---- routes and the end --------------------------------------------------------------------------


def test_open_and_private_services_are_routed_as_such(db: Database) -> None:
    async def story(its: World) -> None:
        draft = Draft("free", "test", a_template(routed="private"), 1, {})
        await services.create(
            its.platform, ROOT, replace(draft, registration=Registration(open=True))
        )
        await its.create("locked")
        await its.settled("free")
        await its.settled("locked")
        routes = its.routes.table.routes
        assert (routes["free"].open, routes["free"].listed) == (True, False)
        assert (routes["locked"].open, routes["locked"].listed) == (False, True)

    tell(db, story)


def test_tags_go_with_their_service(db: Database) -> None:
    async def story(its: World) -> None:
        service = await its.create("svc")
        await its.settled("svc")
        assert await its.db.read(tags.of, service.id)
        await its.delete("svc")
        await its.gone("svc")
        assert await its.db.read(tags.of, service.id) == []
        assert await its.db.read(rows.load, service.id) is None

    tell(db, story)
