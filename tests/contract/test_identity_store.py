"""Users, groups, roles and policies as stored, on every database; one of two who race is told so."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from builders import ACCOUNT, BOX, ROOT, T0
from pierhead.core.errors import Duplicate, PierheadError, Taken
from pierhead.core.identities import Attachment, Group, PolicyRecord, PolicyVersion, Role, User
from pierhead.core.principals import AccessKey, BearerToken, Principal
from pierhead.core.system_policies import DOCUMENTS
from pierhead.store import db, grants, keys, policies, roles, users

WORDS = "grüße, 世界, 🙂, quote's \" \\ % _ ; --"
ALICE = User("2" * 18, "Alice.A", WORDS, WORDS, "a@b", "86-1", T0, T0 + 0.5, T0 + 0.25)
BOB = User("3" * 18, "bob")
TEAM = Group("4" * 18, "Team", WORDS, T0, T0 + 1)
ROLE = Role("5" * 18, "Build", "{}", WORDS, 7200, T0, T0 + 1)
DOCUMENT = '{"Version":"1","Statement":[]}'
POLICY = PolicyRecord("Read-Only", "Custom", WORDS, DOCUMENT, created=T0, updated=T0)
PATIENCE = 60.0


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    """The writing side of a database."""
    found = db.connect(url, writing=True, box=BOX)
    yield found
    found.dispose()


@pytest.fixture
def tx(engine: Engine) -> Iterator[Connection]:
    """One transaction."""
    with engine.begin() as connection:
        yield connection


def grown(tx: Connection, act: Callable[[], object]) -> None:
    """`act` is a change that Authority must hear of."""
    before = grants.revision(tx)
    act()
    assert grants.revision(tx) > before


# --- round trips ---------------------------------------------------------------------------------


@pytest.mark.parametrize("full", [ALICE, TEAM, ROLE])
def test_the_full_examples_leave_no_field_at_its_default(full: Any) -> None:
    """So that a field which is forgotten in the store is seen below."""
    for field in fields(full):
        assert getattr(full, field.name) not in ("", 0.0, None, 3600), field.name


def test_a_user_lives_its_life(tx: Connection) -> None:
    grown(tx, lambda: users.add(tx, ALICE))
    for name in ("Alice.A", "alice.a", "ALICE.A"):
        assert users.find(tx, name) == ALICE
        with pytest.raises(Duplicate, match=r"User \[.*\] exists already"):
            users.add(tx, replace(BOB, name=name))
    assert users.load(tx, ALICE.id) == ALICE
    assert users.find(tx, "alice") is users.load(tx, "alice") is None
    users.add(tx, BOB)
    with pytest.raises(Duplicate):
        users.change(tx, replace(BOB, name="ALICE.a"))
    changed = replace(ALICE, name="aLICE.A", email="new")
    grown(tx, lambda: users.change(tx, changed))
    assert users.find(tx, "alice.a") == changed
    before = grants.revision(tx)
    users.logged_in(tx, ALICE.id, T0 + 9)
    assert users.find(tx, "alice.a") == replace(changed, last_login=T0 + 9)
    assert grants.revision(tx) == before, "a login changes nobody's rights"
    assert sorted(users.names(tx)) == [(ALICE.id, "aLICE.A"), (BOB.id, "bob")]
    grown(tx, lambda: users.remove(tx, ALICE.id))
    assert users.find(tx, "alice.a") is None
    assert users.find(tx, "bob") == BOB


def test_pages_go_by_name_whatever_its_case(tx: Connection) -> None:
    names = ["Zoe", "adam", "Bert", "bea", "x_1", "x-1", "x.1"]
    for number, name in enumerate(names):
        users.add(tx, User(f"{number:018}", name))
        users.add_group(tx, Group(f"{number:018}", name.replace("_", "")))
        roles.add(tx, Role(f"{number:018}", name.replace("_", ""), "{}"))
        policies.add(tx, replace(POLICY, name=name))
    ordered = ["adam", "bea", "Bert", "x-1", "x.1", "x_1", "Zoe"]
    seen: list[str] = []
    while page := users.page(tx, seen[-1] if seen else "", 2):
        assert len(page) <= 2
        seen += [user.name for user in page]
    assert seen == ordered
    ordered = [
        name.replace("_", "") for name in ["adam", "bea", "Bert", "x-1", "x.1", "x_1", "Zoe"]
    ]
    assert [group.name for group in users.group_page(tx, "", 9)] == ordered
    assert [role.name for role in roles.page(tx, "BEA", 9)] == ordered[2:]
    # Policies differ by case, and are ordered by code point in every database.
    assert [policy.name for policy in policies.page(tx, "", 9)] == sorted(names)


def test_groups_have_members_who_know_it(tx: Connection) -> None:
    users.add(tx, ALICE)
    users.add(tx, BOB)
    grown(tx, lambda: users.add_group(tx, TEAM))
    with pytest.raises(Duplicate, match="Group"):
        users.add_group(tx, Group("9" * 18, "TEAM"))
    assert users.find_group(tx, "team") == TEAM
    grown(tx, lambda: users.join(tx, TEAM.id, ALICE.id, T0))
    before = grants.revision(tx)
    assert users.join(tx, TEAM.id, ALICE.id, T0 + 1) is False
    assert grants.revision(tx) == before
    assert users.join(tx, TEAM.id, BOB.id, T0 + 2) is True
    assert users.members_of(tx, TEAM.id) == [(ALICE, T0), (BOB, T0 + 2)]
    assert users.groups_of(tx, BOB.id) == [(TEAM, T0 + 2)]
    assert users.size_of(tx, TEAM.id) == 2
    renamed = replace(TEAM, name="Crew", comments="")
    grown(tx, lambda: users.change_group(tx, renamed))
    assert users.groups_of(tx, ALICE.id) == [(renamed, T0)]
    grown(tx, lambda: users.leave(tx, TEAM.id, ALICE.id))
    assert users.leave(tx, TEAM.id, ALICE.id) is False
    grown(tx, lambda: users.remove_group(tx, TEAM.id))
    assert users.groups_of(tx, BOB.id) == []
    assert users.size_of(tx, TEAM.id) == 0


def test_a_role_lives_its_life(tx: Connection) -> None:
    grown(tx, lambda: roles.add(tx, ROLE))
    assert roles.find(tx, "BUILD") == ROLE
    with pytest.raises(Duplicate, match="Role"):
        roles.add(tx, Role("9" * 18, "build", "{}"))
    changed = replace(ROLE, trust='{"x":1}', description="", max_session=43200, updated=T0 + 9)
    grown(tx, lambda: roles.change(tx, changed))
    assert roles.find(tx, "build") == changed
    grown(tx, lambda: roles.remove(tx, ROLE.id))
    assert roles.find(tx, "build") is None


def test_a_policy_keeps_versions_and_counts_who_has_it(tx: Connection) -> None:
    grown(tx, lambda: policies.add(tx, POLICY))
    assert policies.find(tx, "Read-Only") == POLICY
    assert policies.find(tx, "read-only") is None
    with pytest.raises(Duplicate, match="Policy"):
        policies.add(tx, POLICY)
    second = policies.add_version(tx, POLICY.name, "two", T0 + 1, default=False)
    assert second == PolicyVersion("v2", "two", T0 + 1, default=False)
    assert policies.find(tx, POLICY.name) == replace(POLICY, updated=T0 + 1)
    grown(tx, lambda: policies.add_version(tx, POLICY.name, "three", T0 + 2, default=True))
    found = policies.find(tx, POLICY.name)
    assert found is not None
    assert (found.document, found.default_version, found.updated) == ("three", "v3", T0 + 2)
    grown(tx, lambda: policies.set_default(tx, POLICY.name, 1, T0 + 3))
    policies.remove_version(tx, POLICY.name, 3)
    fourth = policies.add_version(tx, POLICY.name, "four", T0 + 4, default=False)
    assert fourth.id == "v4", "a number is not used again"
    listed = [(one.id, one.default) for one in policies.versions(tx, POLICY.name)]
    assert listed == [("v1", True), ("v2", False), ("v4", False)]
    users.add(tx, BOB)
    grants.attach(tx, BOB.id, Attachment(POLICY.name, "Custom", "bob", "User"))
    grants.attach(tx, BOB.id, Attachment(POLICY.name, "System", "bob", "User"))  # another one
    assert [one.attachments for one in policies.page(tx, "", 9)] == [1]
    assert grants.number_of(tx, "Custom", POLICY.name) == 1
    grown(tx, lambda: policies.remove(tx, POLICY.name))
    assert policies.find(tx, POLICY.name) is None
    assert policies.versions(tx, POLICY.name) == []


# --- who has what --------------------------------------------------------------------------------


def everyone(tx: Connection) -> None:
    for user in (ALICE, BOB):
        users.add(tx, user)
    users.add_group(tx, TEAM)
    roles.add(tx, ROLE)
    policies.add(tx, POLICY)


def test_a_user_has_its_own_policies_and_its_groups(tx: Connection) -> None:
    everyone(tx)
    name = next(iter(DOCUMENTS))
    mine = Attachment(POLICY.name, "Custom", ALICE.name, "User", "w1", T0)
    of_team = Attachment(name, "System", TEAM.name, "Group", "", T0 + 1)
    of_role = Attachment(POLICY.name, "Custom", ROLE.name, "Role", "", T0 + 2)
    for target, attachment in ((ALICE.id, mine), (TEAM.id, of_team), (ROLE.id, of_role)):
        grown(tx, lambda: grants.attach(tx, target, attachment))  # noqa: B023 - called at once
        assert grants.attach(tx, target, replace(attachment, created=T0 + 9)) is False
    everywhere = replace(mine, workspace="")
    assert grants.attach(tx, ALICE.id, everywhere) is True
    users.join(tx, TEAM.id, ALICE.id, T0)

    def of(id_: str, kind: str) -> list[tuple[str, str, str, str]]:
        found = grants.documents(tx, Principal(ACCOUNT, id_, kind))
        return [(one.workspace, one.kind, one.name, one.document) for one in found]

    shipped, custom = ("", "System", name, ""), ("", "Custom", POLICY.name, DOCUMENT)
    assert sorted(of(ALICE.id, "user")) == sorted(
        [shipped, custom, ("w1", "Custom", POLICY.name, DOCUMENT)]
    )
    assert of(BOB.id, "user") == []
    assert of(f"{ROLE.id}:session", "assumed-role") == [custom]
    # Ids of one kind are not those of another.
    assert of(ROLE.id, "user") == of(f"{ALICE.id}:s", "assumed-role") == []
    policies.add_version(tx, POLICY.name, "newer", T0, default=True)
    assert of(f"{ROLE.id}:session", "assumed-role") == [("", "Custom", POLICY.name, "newer")]
    assert grants.of_target(tx, "User", ALICE.id) == [everywhere, mine] or grants.of_target(
        tx, "User", ALICE.id
    ) == [mine, everywhere]
    assert grants.of_policy(tx, "System", name) == [of_team]
    assert {one.target_kind for one in grants.of_policy(tx, "Custom", POLICY.name)} == {
        "User",
        "Role",
    }
    grown(tx, lambda: grants.detach(tx, ALICE.id, mine))
    assert grants.detach(tx, ALICE.id, mine) is False
    assert sorted(of(ALICE.id, "user")) == sorted([shipped, ("", "Custom", POLICY.name, "newer")])
    grown(tx, lambda: users.leave(tx, TEAM.id, ALICE.id))
    assert of(ALICE.id, "user") == [("", "Custom", POLICY.name, "newer")]


def test_what_is_removed_has_nothing_any_more(tx: Connection) -> None:
    everyone(tx)
    for target, kind, name in (
        (ALICE.id, "User", ALICE.name),
        (TEAM.id, "Group", TEAM.name),
        (ROLE.id, "Role", ROLE.name),
    ):
        grants.attach(tx, target, Attachment(POLICY.name, "Custom", name, kind))
    users.remove(tx, ALICE.id)
    users.remove_group(tx, TEAM.id)
    roles.remove(tx, ROLE.id)
    assert grants.of_policy(tx, "Custom", POLICY.name) == []
    assert grants.number_of(tx, "Custom", POLICY.name) == 0


# --- keys ----------------------------------------------------------------------------------------


def test_a_users_keys_and_tokens_know_its_present_name(tx: Connection) -> None:
    users.add(tx, ALICE)
    principal = Principal(ACCOUNT, ALICE.id, "user", "what it was called")
    keys.add(tx, BOX, AccessKey("AK1", "s", principal, created=T0))
    keys.put_bearer(tx, BearerToken("d" * 64, principal))

    def called() -> set[str]:
        key, token = keys.find(tx, BOX, "AK1"), keys.find_bearer(tx, "d" * 64)
        record = keys.record(tx, "AK1")
        assert key is not None
        assert token is not None
        assert record is not None
        listed = keys.of_principal(tx, principal) + keys.permanent(tx)
        assert [one.id for one in listed] == ["AK1", "AK1"]
        return {one.principal.name for one in (key, token, record, *listed)}

    assert called() == {"Alice.A"}
    users.change(tx, replace(ALICE, name="alicia"))
    assert called() == {"alicia"}


def test_a_session_key_knows_its_role_and_goes_with_it(tx: Connection) -> None:
    mine = Principal(ACCOUNT, f"{ROLE.id}:s_1", "assumed-role", "Build/s_1", "{}")
    other = Principal(ACCOUNT, f"{BOB.id}:s_1", "assumed-role", "Other/s_1")
    for id_, principal in (("STS.1", mine), ("STS.2", other), ("LTAI", ROOT)):
        expires = None if principal.admin else T0
        keys.add(tx, BOX, AccessKey(id_, "s", principal, session_token="t", expires=expires))
    found = keys.find(tx, BOX, "STS.1")
    assert found is not None
    assert found.principal.arn == f"acs:ram::{ACCOUNT}:assumed-role/Build/s_1"
    assert (found.principal.session_policy, found.session_token) == ("{}", "t")
    assert [key.id for key in keys.permanent(tx)] == ["LTAI"]
    assert keys.remove_sessions(tx, ROLE.id) == ["STS.1"]
    assert keys.remove_sessions(tx, ROLE.id) == []
    assert keys.record(tx, "STS.1") is None
    assert keys.record(tx, "STS.2") is not None


def test_the_last_use_only_moves_on(tx: Connection) -> None:
    for id_ in ("AK1", "AK2"):
        keys.add(tx, BOX, AccessKey(id_, "s", ROOT, created=T0))

    def times() -> list[float | None]:
        return [key.last_used for key in keys.of_principal(tx, ROOT)]

    keys.used(tx, {})
    assert times() == [None, None]
    keys.used(tx, {"AK1": T0 + 5, "gone": T0})
    assert set(times()) == {T0 + 5, None}
    keys.used(tx, {"AK1": T0 + 4, "AK2": T0 + 6})
    assert set(times()) == {T0 + 5, T0 + 6}


# --- races ---------------------------------------------------------------------------------------

ADDERS: dict[str, Callable[[Connection, int], object]] = {
    "user": lambda tx, at: users.add(tx, User(f"{at:018}", "same")),
    "group": lambda tx, at: users.add_group(tx, Group(f"{at:018}", "same")),
    "role": lambda tx, at: roles.add(tx, Role(f"{at:018}", "same", "{}")),
    "policy": lambda tx, at: policies.add(tx, replace(POLICY, name="same")),
    "key": lambda tx, at: keys.add(tx, BOX, AccessKey("AK1", f"{at}", ROOT)),
}


@pytest.mark.parametrize("kind", ADDERS)
def test_of_many_with_one_name_exactly_one_is_made(url: str, kind: str) -> None:
    line = threading.Barrier(6, timeout=PATIENCE)

    def contend(number: int) -> bool:
        engine = db.connect(url, writing=True, box=BOX)
        try:
            line.wait()
            db.run(engine, ADDERS[kind], number)
        except (Duplicate, Taken):
            return False
        finally:
            engine.dispose()
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(contend, range(6), timeout=PATIENCE)) == 1


def test_of_changes_at_once_each_is_counted(url: str) -> None:
    """A step that got lost would leave somebody's old rights in Authority's memory."""
    line = threading.Barrier(6, timeout=PATIENCE)

    def contend(_number: int) -> None:
        engine = db.connect(url, writing=True, box=BOX)
        try:
            line.wait()
            for _ in range(5):
                db.run(engine, grants.changed)
        finally:
            engine.dispose()

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(contend, range(6), timeout=PATIENCE))
    engine = db.connect(url, writing=False)
    try:
        assert db.run(engine, grants.revision) == 30
    finally:
        engine.dispose()


def test_a_change_keeps_others_out_until_it_is_done(url: str) -> None:
    """What a change found (two keys, nobody has it) still holds when it is written."""
    first, second = (db.connect(url, writing=True, box=BOX) for _ in range(2))
    inside, leave, order = threading.Event(), threading.Event(), list[str]()

    def slow(tx: Connection) -> None:
        grants.changed(tx)
        inside.set()
        assert leave.wait(PATIENCE)
        order.append("first")

    def quick(tx: Connection) -> None:
        grants.changed(tx)
        order.append("second")

    try:
        with ThreadPoolExecutor(2) as threads:
            one = threads.submit(db.run, first, slow)
            assert inside.wait(PATIENCE)
            two = threads.submit(db.run, second, quick)
            with pytest.raises(TimeoutError):
                two.result(0.3)  # it waits
            leave.set()
            one.result(PATIENCE)
            two.result(PATIENCE)
    except PierheadError:
        leave.set()
        raise
    finally:
        leave.set()
        first.dispose()
        second.dispose()
    assert order == ["first", "second"]
