"""Users, groups, roles, policies and keys as they are managed: what is refused, and what ends at once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from identity_stage import PASSWORD, Stage, play

from builders import ACCOUNT, BOX, ROOT, T0
from made_database import made_sqlite
from pierhead.core.errors import (
    Conflict,
    Duplicate,
    Forbidden,
    InUse,
    Invalid,
    LoginExpired,
    Missing,
    NotFound,
    TooMany,
    WrongLogin,
)
from pierhead.core.identities import Attachment, Group, Role, User
from pierhead.core.policy import Request
from pierhead.core.principals import AccessKey, Principal
from pierhead.core.registry import Extras
from pierhead.core.system_policies import DOCUMENTS
from pierhead.operations import access_keys, accounts
from pierhead.operations.access_keys import KeyWish
from pierhead.operations.accounts import ADMIN_UUID, wire_password
from pierhead.operations.authority import Authority
from pierhead.operations.iam import common, grants, groups, keys, policies, roles, users
from pierhead.operations.iam.groups import GroupChange
from pierhead.operations.iam.roles import RoleChange
from pierhead.operations.iam.users import UserChange
from pierhead.operations.key_ring import KeyRing
from pierhead.operations.logins import Logins
from pierhead.store import db
from pierhead.store import grants as grant_rows
from pierhead.store import keys as key_rows

TRUST = (
    '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",'
    f'"Principal":{{"RAM":["acs:ram::{ACCOUNT}:root"]}}}}]}}'
)
HEX = wire_password(PASSWORD)


def document(*actions: str, effect: str = "Allow") -> str:
    """A policy for everything that these actions do."""
    named = ",".join(f'"{action}"' for action in actions)
    return (
        f'{{"Version":"1","Statement":[{{"Effect":"{effect}","Action":[{named}],"Resource":"*"}}]}}'
    )


async def a_user(stage: Stage, name: str, *, password: bool = False) -> Principal:
    """A user, as who asks."""
    made = await users.create_user(stage.platform, ROOT, User("", name))
    if password:
        await users.create_login_profile(stage.platform, ROOT, stage.hashing, name, PASSWORD)
    return common.principal_of(stage.platform, made)


# --- users ---------------------------------------------------------------------------------------


def test_a_user_is_made_changed_listed_and_deleted(url: str) -> None:
    async def act(stage: Stage) -> None:
        platform = stage.platform
        wish = User("ignored", "alice", "Alice A", "c", "a@b.c", "86-1", last_login=1.0)
        made = await users.create_user(platform, ROOT, wish)
        assert made == replace(wish, id=made.id, created=T0, updated=T0, last_login=None)
        assert len(made.id) == 18
        assert made.id.isdigit()
        assert await users.get_user(platform, ROOT, "alice") == made
        stage.clock.advance(5)
        change = UserChange(name="alicia", comments="")
        changed = await users.update_user(platform, ROOT, "alice", change)
        assert changed == replace(made, name="alicia", comments="", updated=T0 + 5)
        with pytest.raises(NotFound, match=r"User \[alice\]"):
            await users.get_user(platform, ROOT, "alice")
        for name in ("b1", "b2", "b3"):
            await users.create_user(platform, ROOT, User("", name))
        first, marker = await users.list_users(platform, ROOT, max_items=3)
        second, end = await users.list_users(platform, ROOT, marker, 3)
        assert [user.name for user in first + second] == ["alicia", "b1", "b2", "b3"]
        assert (marker, end) == ("b2", "")
        for wrong in (0, 1001):
            with pytest.raises(Invalid, match="MaxItems"):
                await users.list_users(platform, ROOT, max_items=wrong)
        await users.delete_user(platform, ROOT, "alicia")
        for missing in ("alicia", "nobody"):
            with pytest.raises(NotFound):
                await users.delete_user(platform, ROOT, missing)

    play(url, act)


def test_a_name_is_unique_in_whatever_case_but_found_only_as_it_is_spelled(url: str) -> None:
    """Law: a policy that denies `user/Boss` is not got around by asking for `user/boss`."""

    async def act(stage: Stage) -> None:
        platform = stage.platform
        await a_user(stage, "Boss")
        await groups.create_group(platform, ROOT, Group("", "Team"))
        await roles.create_role(platform, ROOT, Role("", "Build", TRUST))
        await a_user(stage, "other")
        for attempt in (
            users.create_user(platform, ROOT, User("", "boss")),
            users.update_user(platform, ROOT, "other", UserChange(name="BOSS")),
            groups.create_group(platform, ROOT, Group("", "TEAM")),
            roles.create_role(platform, ROOT, Role("", "build", TRUST)),
        ):
            with pytest.raises(Duplicate):
                await attempt
        for reach in (
            users.get_user(platform, ROOT, "boss"),
            users.delete_user(platform, ROOT, "boss"),
            users.update_user(platform, ROOT, "boss", UserChange(comments="x")),
            groups.get_group(platform, ROOT, "team"),
            groups.add_user_to_group(platform, ROOT, "boss", "Team"),
            roles.get_role(platform, ROOT, "build"),
            keys.create_access_key(platform, ROOT, "boss"),
        ):
            with pytest.raises(NotFound):
                await reach
        assert (await users.update_user(platform, ROOT, "Boss", UserChange(name="boss"))).name == (
            "boss"
        )

    play(url, act)


@pytest.mark.parametrize(
    ("user", "field"),
    [
        (User("", ""), "UserName"),
        (User("", "a/b"), "UserName"),
        (User("", "x" * 65), "UserName"),
        (User("", "ok", display_name="x" * 129), "DisplayName"),
        (User("", "ok", comments="a\0b"), "Comments"),
        (User("", "ok", mobile="\r\n1"), "Mobile"),
    ],
)
def test_what_is_no_user_is_refused(tmp_path: Path, user: User, field: str) -> None:
    found = made_sqlite(tmp_path / "pierhead.db")

    async def act(stage: Stage) -> None:
        with pytest.raises(Invalid) as refusal:
            await users.create_user(stage.platform, ROOT, user)
        assert refusal.value.field == field
        assert await users.list_users(stage.platform, ROOT) == ([], "")

    play(found, act)


def test_a_user_goes_only_when_it_has_nothing_any_more(url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.with_admin()
        platform = stage.platform
        await a_user(stage, "alice", password=True)
        key = await keys.create_access_key(platform, ROOT, "alice")
        await groups.create_group(platform, ROOT, Group("", "team"))
        await groups.add_user_to_group(platform, ROOT, "alice", "team")
        given = Attachment("AdministratorAccess", "System", "alice", "User", "w1")
        await grants.attach(platform, ROOT, given)
        undo: list[tuple[str, str, Callable[[], Awaitable[Any]]]] = [
            ("AccessKey", key.id, lambda: keys.delete_access_key(platform, ROOT, key.id, "alice")),
            (
                "Group",
                "team",
                lambda: groups.remove_user_from_group(platform, ROOT, "alice", "team"),
            ),
            ("Policy", "AdministratorAccess", lambda: grants.detach(platform, ROOT, given)),
        ]
        for by, name, remove in undo:
            with pytest.raises(InUse, match=name) as refusal:
                await users.delete_user(platform, ROOT, "alice")
            assert (refusal.value.kind, refusal.value.by) == ("User", by)
            await remove()
        await users.delete_user(platform, ROOT, "alice")
        with pytest.raises(WrongLogin):
            await Logins(platform, stage.hashing).open(HEX, "admin", user_name="alice")
        # Another one of that name has nothing of it.
        await a_user(stage, "alice")
        with pytest.raises(NotFound, match="LoginProfile"):
            await users.get_login_profile(platform, ROOT, "alice")

    play(url, act)


# --- groups, roles -------------------------------------------------------------------------------


def test_a_group_lives_its_life(url: str) -> None:
    async def act(stage: Stage) -> None:
        platform = stage.platform
        await a_user(stage, "alice")
        made = await groups.create_group(platform, ROOT, Group("", "team", "c"))
        assert (len(made.id), made.created) == (18, T0)
        assert await groups.get_group(platform, ROOT, "team") == made
        await groups.add_user_to_group(platform, ROOT, "alice", "team")
        with pytest.raises(Duplicate) as twice:
            await groups.add_user_to_group(platform, ROOT, "alice", "team")
        assert twice.value.kind == "User.Group"
        changed = await groups.update_group(platform, ROOT, "team", GroupChange(name="crew"))
        assert changed == replace(made, name="crew")
        ((of, since),) = await groups.list_groups_for_user(platform, ROOT, "alice")
        assert (of, since) == (changed, T0)
        ((member, _),) = await groups.list_users_for_group(platform, ROOT, "crew")
        assert member.name == "alice"
        assert await groups.list_groups(platform, ROOT) == ([changed], "")
        await groups.remove_user_from_group(platform, ROOT, "alice", "crew")
        with pytest.raises(NotFound) as absent:
            await groups.remove_user_from_group(platform, ROOT, "alice", "crew")
        assert absent.value.kind == "User.Group"
        with pytest.raises(Invalid, match="GroupName"):
            await groups.create_group(platform, ROOT, Group("", "a_b"))

    play(url, act)


def test_a_group_goes_only_when_it_has_nothing_any_more(url: str) -> None:
    async def act(stage: Stage) -> None:
        platform = stage.platform
        await a_user(stage, "alice")
        await groups.create_group(platform, ROOT, Group("", "crew"))
        await groups.add_user_to_group(platform, ROOT, "alice", "crew")
        with pytest.raises(InUse, match="alice") as refusal:
            await groups.delete_group(platform, ROOT, "crew")
        assert refusal.value.by == "User"
        await groups.remove_user_from_group(platform, ROOT, "alice", "crew")
        given = Attachment("AdministratorAccess", "System", "crew", "Group")
        await grants.attach(platform, ROOT, given)
        with pytest.raises(InUse, match="AdministratorAccess"):
            await groups.delete_group(platform, ROOT, "crew")
        await grants.detach(platform, ROOT, given)
        await groups.delete_group(platform, ROOT, "crew")
        with pytest.raises(NotFound, match="Group"):
            await groups.list_users_for_group(platform, ROOT, "crew")

    play(url, act)


def test_a_role_lives_its_life(url: str) -> None:
    async def act(stage: Stage) -> None:
        platform = stage.platform
        made = await roles.create_role(platform, ROOT, Role("", "build", TRUST, "d"))
        assert (len(made.id), made.max_session) == (18, 3600)
        assert await roles.get_role(platform, ROOT, "build") == made
        change = RoleChange(max_session=43200, description="")
        changed = await roles.update_role(platform, ROOT, "build", change)
        assert changed == replace(made, max_session=43200, description="")
        assert await roles.list_roles(platform, ROOT) == ([changed], "")
        for wrong in (
            Role("", "x", "{}"),
            Role("", "x", TRUST.replace("RAM", "Service")),
            Role("", "x", TRUST, max_session=3599),
            Role("", "x", TRUST, max_session=43201),
            Role("", "x_y", TRUST),
        ):
            with pytest.raises(Invalid):
                await roles.create_role(platform, ROOT, wrong)
        with pytest.raises(Invalid):
            await roles.update_role(platform, ROOT, "build", RoleChange(trust="no"))
        given = Attachment("AdministratorAccess", "System", "build", "Role")
        await grants.attach(platform, ROOT, given)
        with pytest.raises(InUse, match="AdministratorAccess"):
            await roles.delete_role(platform, ROOT, "build")
        await grants.detach(platform, ROOT, given)
        await roles.delete_role(platform, ROOT, "build")
        with pytest.raises(NotFound, match="Role"):
            await roles.delete_role(platform, ROOT, "build")

    play(url, act)


# --- policies ------------------------------------------------------------------------------------


def test_a_policy_has_five_versions_of_which_one_counts(url: str) -> None:
    async def act(stage: Stage) -> None:
        platform = stage.platform
        first = document("eas:List*")
        made = await policies.create_policy(platform, ROOT, "p-1", first, "d")
        assert await policies.get_policy(platform, ROOT, "Custom", "p-1") == made
        assert (made.kind, made.default_version, made.created) == ("Custom", "v1", T0)
        for number in range(2, 6):
            added = await policies.create_policy_version(
                platform, ROOT, "p-1", document(f"eas:A{number}"), default=number == 3
            )
            assert (added.id, added.default) == (f"v{number}", number == 3)
        with pytest.raises(TooMany) as full:
            await policies.create_policy_version(platform, ROOT, "p-1", first)
        assert (full.value.kind, full.value.what, full.value.most) == ("Policy", "Version", 5)
        listed = await policies.list_policy_versions(platform, ROOT, "Custom", "p-1")
        assert [(one.id, one.default) for one in listed] == [
            (f"v{number}", number == 3) for number in range(1, 6)
        ]
        await policies.set_default_policy_version(platform, ROOT, "p-1", "v1")
        with pytest.raises(Conflict, match="default"):
            await policies.delete_policy_version(platform, ROOT, "p-1", "v1")
        for version in ("v9", "1", "v01", ""):
            with pytest.raises(NotFound) as missing:
                await policies.set_default_policy_version(platform, ROOT, "p-1", version)
            assert missing.value.kind == "Policy.Version"
        with pytest.raises(InUse, match=r"v2, v3") as refusal:
            await policies.delete_policy(platform, ROOT, "p-1")
        assert refusal.value.by == "Version"
        for number in range(2, 6):
            await policies.delete_policy_version(platform, ROOT, "p-1", f"v{number}")
        one = await policies.get_policy_version(platform, ROOT, "Custom", "p-1", "v1")
        assert one.document == first
        await policies.delete_policy(platform, ROOT, "p-1")
        with pytest.raises(NotFound, match="Policy"):
            await policies.get_policy(platform, ROOT, "Custom", "p-1")

    play(url, act)


def test_what_is_no_policy_is_not_stored(url: str) -> None:
    async def act(stage: Stage) -> None:
        platform = stage.platform
        for name, text in (
            ("p", "{}"),
            ("p", "no"),
            ("p", document("eas:*").replace("Allow", "allow")),
            ("p_1", document("eas:*")),
        ):
            with pytest.raises(Invalid):
                await policies.create_policy(platform, ROOT, name, text)
        await policies.create_policy(platform, ROOT, "p", document("eas:*"))
        with pytest.raises(Invalid, match="PolicyDocument"):
            await policies.create_policy_version(platform, ROOT, "p", "{}")
        with pytest.raises(Duplicate, match="Policy"):
            await policies.create_policy(platform, ROOT, "p", document("eas:*"))
        found, _ = await policies.list_policies(platform, ROOT, "Custom")
        assert [one.name for one in found] == ["p"]

    play(url, act)


def test_shipped_policies_are_listed_and_nobodys_to_change(url: str) -> None:
    async def act(stage: Stage) -> None:
        platform = stage.platform
        await policies.create_policy(platform, ROOT, "Mine", document("eas:*"))
        both, _ = await policies.list_policies(platform, ROOT)
        assert [one.name for one in both] == sorted([*DOCUMENTS, "Mine"])
        paged: list[str] = []
        marker = ""
        while True:
            page, marker = await policies.list_policies(platform, ROOT, "", marker, 2)
            paged += [one.name for one in page]
            if not marker:
                break
        assert paged == sorted([*DOCUMENTS, "Mine"])
        shipped, _ = await policies.list_policies(platform, ROOT, "System")
        assert {one.name for one in shipped} == set(DOCUMENTS)
        name = next(iter(DOCUMENTS))
        (version,) = await policies.list_policy_versions(platform, ROOT, "System", name)
        assert (version.document, version.default) == (DOCUMENTS[name][1], True)
        for attempt in (
            policies.delete_policy(platform, ROOT, name),
            policies.create_policy_version(platform, ROOT, name, document("*")),
            policies.set_default_policy_version(platform, ROOT, name, "v1"),
            policies.delete_policy_version(platform, ROOT, name, "v1"),
        ):
            with pytest.raises(Forbidden, match="shipped"):
                await attempt
        with pytest.raises(Duplicate, match="shipped"):
            await policies.create_policy(platform, ROOT, name, document("*"))
        with pytest.raises(NotFound):
            await policies.get_policy(platform, ROOT, "System", "Mine")

    play(url, act)


def test_a_policy_counts_from_the_next_call_on(url: str) -> None:
    async def act(stage: Stage) -> None:
        platform, authority = stage.platform, Authority(stage.platform)
        alice = await a_user(stage, "alice")
        await groups.create_group(platform, ROOT, Group("", "team"))
        await policies.create_policy(platform, ROOT, "p", document("eas:CreateService"))

        async def may(workspace: str = "") -> bool:
            asked = Request(("eas:CreateService",), ("acs:eas:local:1:service/x",))
            return (await authority.decide(alice, asked, workspace)).allowed

        assert not await may()
        bounded = Attachment("p", "Custom", "alice", "User", "w1")
        await grants.attach(platform, ROOT, bounded)
        assert [await may(), await may("w1"), await may("w2")] == [False, True, False]
        await grants.detach(platform, ROOT, bounded)
        assert not await may("w1")
        of_team = Attachment("p", "Custom", "team", "Group")
        await grants.attach(platform, ROOT, of_team)
        assert not await may()
        await groups.add_user_to_group(platform, ROOT, "alice", "team")
        assert await may()
        await policies.create_policy_version(platform, ROOT, "p", document("eas:X"), default=True)
        assert not await may()
        await policies.set_default_policy_version(platform, ROOT, "p", "v1")
        assert await may()
        await policies.create_policy(platform, ROOT, "no", document("*", effect="Deny"))
        await grants.attach(platform, ROOT, Attachment("no", "Custom", "alice", "User"))
        assert not await may()
        with pytest.raises(InUse, match="team") as refusal:
            await policies.delete_policy(platform, ROOT, "p")
        assert (refusal.value.kind, refusal.value.by) == ("Policy", "Group")

    play(url, act)


def test_who_has_what_is_listed_from_both_sides(url: str) -> None:
    async def act(stage: Stage) -> None:
        platform = stage.platform
        await a_user(stage, "alice")
        await groups.create_group(platform, ROOT, Group("", "team"))
        await roles.create_role(platform, ROOT, Role("", "build", TRUST))
        await policies.create_policy(platform, ROOT, "p", document("eas:*"), "d")
        mine = await grants.attach(platform, ROOT, Attachment("p", "Custom", "alice", "User", "w"))
        assert mine.created == T0
        with pytest.raises(Duplicate) as twice:
            await grants.attach(platform, ROOT, mine)
        assert twice.value.kind == "User.Policy"
        for kind, name in (("Group", "team"), ("Role", "build")):
            await grants.attach(platform, ROOT, Attachment("p", "Custom", name, kind))
        (one,) = await grants.list_policies_for(platform, ROOT, "User", "alice")
        assert one.attachment == mine
        assert (one.policy.description, one.policy.attachments) == ("d", 3)
        found = await grants.list_entities_for_policy(platform, ROOT, "Custom", "p")
        ((user, at),) = found.users
        assert (user.name, at) == ("alice", mine)
        assert [group.name for group, _ in found.groups] == ["team"]
        assert [role.name for role, _ in found.roles] == ["build"]
        for wrong in (
            replace(mine, policy="q"),
            replace(mine, policy_kind="System"),
            replace(mine, target="bob"),
            replace(mine, target_kind="Role"),
        ):
            with pytest.raises(NotFound):
                await grants.attach(platform, ROOT, wrong)
        with pytest.raises(NotFound) as absent:
            await grants.detach(platform, ROOT, replace(mine, workspace=""))
        assert absent.value.kind == "User.Policy"
        with pytest.raises(NotFound, match="Policy"):
            await grants.list_entities_for_policy(platform, ROOT, "System", "p")

    play(url, act)


# --- passwords -----------------------------------------------------------------------------------


def test_a_login_ends_with_the_password_the_name_and_the_user(url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.with_admin()
        platform, door = stage.platform, Logins(stage.platform, stage.hashing)
        await a_user(stage, "alice", password=True)
        name, text = "alice", PASSWORD

        async def rename() -> None:
            nonlocal name
            await users.update_user(platform, ROOT, "alice", UserChange(name="alicia"))
            name = "alicia"

        async def another() -> None:
            nonlocal text
            text = "another password"
            await users.update_login_profile(platform, ROOT, stage.hashing, name, text)

        async def take() -> None:
            await users.delete_login_profile(platform, ROOT, name)

        for end in (rename, another, take):
            login = await door.open(wire_password(text), "admin", user_name=name)
            assert (await door.find(login.uuid)).principal.name == name
            before = (name, text)
            await end()
            with pytest.raises(LoginExpired):  # in memory and in the database
                await door.find(login.uuid)
            with pytest.raises(WrongLogin):
                await door.open(wire_password(before[1]), "admin", user_name=before[0])

    play(url, act)


def test_a_deleted_users_logins_end_and_nobody_elses(url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.with_admin()
        platform, door = stage.platform, Logins(stage.platform, stage.hashing)
        opened: list[str] = []
        for name in ("alice", "bob"):
            await a_user(stage, name, password=True)
            opened.append((await door.open(HEX, "admin", user_name=name)).uuid)
        await users.update_user(platform, ROOT, "alice", UserChange(comments="no new name"))
        assert await door.find(opened[0]), "what does not matter ends nothing"
        await users.delete_user(platform, ROOT, "alice")
        with pytest.raises(LoginExpired):
            await door.find(opened[0])
        assert (await door.find(opened[1])).principal.name == "bob"

    play(url, act)


def test_a_password_that_changes_while_it_is_checked_opens_nothing(url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.with_admin()
        door = Logins(stage.platform, stage.hashing)
        await a_user(stage, "alice", password=True)
        fits = stage.hashing.fits

        async def late(known: str | None, text: str) -> bool:
            right = await fits(known, text)
            await users.delete_login_profile(stage.platform, ROOT, "alice")
            return right

        stage.hashing.fits = late  # type: ignore[method-assign]
        with pytest.raises(WrongLogin):
            await door.open(HEX, "admin", user_name="alice")

    play(url, act)


def test_a_login_profile_is_made_once_and_of_a_legal_password(url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.with_admin()
        platform, hashing = stage.platform, stage.hashing
        await a_user(stage, "alice")
        for missing in (
            users.get_login_profile(platform, ROOT, "alice"),
            users.delete_login_profile(platform, ROOT, "alice"),
            users.update_login_profile(platform, ROOT, hashing, "alice", PASSWORD),
        ):
            with pytest.raises(NotFound) as refusal:
                await missing
            assert refusal.value.kind == "User.LoginProfile"
        for wrong in ("short", "x" * 129, "12345678\n"):
            with pytest.raises(Invalid, match="Password") as told:
                await users.create_login_profile(platform, ROOT, hashing, "alice", wrong)
            assert wrong not in told.value.message
        assert not await users.has_login_profile(platform, ROOT, "alice")
        made = await users.create_login_profile(platform, ROOT, hashing, "alice", PASSWORD)
        assert await users.has_login_profile(platform, ROOT, "alice")
        assert made == await users.get_login_profile(platform, ROOT, "alice")
        assert (made.user, made.created) == ("alice", T0)
        with pytest.raises(Duplicate):
            await users.create_login_profile(platform, ROOT, hashing, "alice", PASSWORD)
        with pytest.raises(NotFound, match=r"User \[bob\]"):
            await users.create_login_profile(platform, ROOT, hashing, "bob", PASSWORD)

    play(url, act)


# --- keys ----------------------------------------------------------------------------------------


def test_a_user_has_two_keys_that_both_dialects_know(url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.with_admin()
        platform, ring = stage.platform, KeyRing(stage.platform)
        alice = await a_user(stage, "alice")  # without a password
        uuid = accounts.user_uuid(platform, alice)
        first = await keys.create_access_key(platform, ROOT, "alice")
        assert (first.principal, first.principal.name) == (alice, "alice")
        second = await access_keys.create(platform, ROOT, KeyWish(ADMIN_UUID, uuid), Extras())
        for attempt in (
            keys.create_access_key(platform, ROOT, "alice"),
            keys.create_access_key(platform, alice),
            access_keys.create(platform, ROOT, KeyWish(ADMIN_UUID, uuid), Extras()),
        ):
            with pytest.raises(TooMany) as refusal:
                await attempt
            assert (refusal.value.name, refusal.value.what) == ("alice", "AccessKey")
        listed = await keys.list_access_keys(platform, ROOT, "alice")
        assert {key.id for key in listed} == {first.id, second.id}
        assert {key.secret for key in listed} == {""}
        assert await keys.list_access_keys(platform, alice) == listed
        found = await ring.find(second.id)
        assert found is not None
        assert (found.principal.name, found.secret) == ("alice", second.secret)
        await users.update_user(platform, ROOT, "alice", UserChange(name="alicia"))
        again = await ring.find(second.id)
        assert again is not None
        assert again.principal.arn == f"acs:ram::{ACCOUNT}:user/alicia"
        await keys.delete_access_key(platform, ROOT, first.id, "alicia")
        assert await ring.find(first.id) is None
        for wrong in (first.id, "LTAInothing"):
            with pytest.raises(NotFound) as missing:
                await keys.delete_access_key(platform, ROOT, wrong, "alicia")
            assert missing.value.kind == "User.AccessKey"

    play(url, act)


def test_a_key_that_is_switched_off_is_off_at_once(url: str) -> None:
    async def act(stage: Stage) -> None:
        platform, ring = stage.platform, KeyRing(stage.platform)
        await a_user(stage, "alice")
        made = await keys.create_access_key(platform, ROOT, "alice")
        for active in (False, True):
            assert await ring.find(made.id)  # it is remembered now
            changed = await keys.update_access_key(platform, ROOT, made.id, "alice", active=active)
            assert (changed.active, changed.secret) == (active, "")
            found = await ring.find(made.id)
            assert found is not None
            assert found.active is active

    play(url, act)


def test_of_keys_made_at_once_a_user_gets_two(url: str) -> None:
    async def act(stage: Stage) -> None:
        await a_user(stage, "alice")
        stages = [stage, *(stage.again() for _ in range(3))]
        try:
            made = await asyncio.gather(
                *(keys.create_access_key(one.platform, ROOT, "alice") for one in stages * 2),
                return_exceptions=True,
            )
        finally:
            for one in stages[1:]:
                one.close()
        assert sum(isinstance(one, AccessKey) for one in made) == 2, made
        assert sum(isinstance(one, TooMany) for one in made) == 6, made

    play(url, act)


def test_of_two_hubs_one_makes_the_user_and_none_deletes_what_got_a_key(url: str) -> None:
    async def act(stage: Stage) -> None:
        other = stage.again()
        try:
            for number in range(5):
                name = f"user{number}"
                made = await asyncio.gather(
                    *(
                        users.create_user(one.platform, ROOT, User("", name))
                        for one in (stage, other)
                    ),
                    return_exceptions=True,
                )
                assert sorted(type(one).__name__ for one in made) == ["Duplicate", "User"], made
                key, gone = await asyncio.gather(
                    keys.create_access_key(stage.platform, ROOT, name),
                    users.delete_user(other.platform, ROOT, name),
                    return_exceptions=True,
                )
                assert isinstance(key, NotFound) == (gone is None), (key, gone)
                assert isinstance(gone, InUse) == isinstance(key, AccessKey), (key, gone)
        finally:
            other.close()

    play(url, act)


def test_nobody_but_the_account_changes_its_own_keys(url: str) -> None:
    async def act(stage: Stage) -> None:
        platform = stage.platform
        alice = await a_user(stage, "alice")
        await stage.db.write(key_rows.put_filed, BOX, AccessKey("LTAIfiled", "s", ROOT), T0)
        mine = await keys.create_access_key(platform, ROOT)
        assert mine.principal == ROOT
        for _ in range(3):
            await keys.create_access_key(platform, ROOT)
        listed = await keys.list_access_keys(platform, ROOT)
        assert len(listed) == 5
        # A user means its own keys when it names nobody, so it does not even reach them.
        for attempt in (
            keys.update_access_key(platform, alice, mine.id, active=False),
            keys.delete_access_key(platform, alice, mine.id),
            keys.last_used(platform, alice, mine.id),
        ):
            with pytest.raises(NotFound):
                await attempt

        def directly(tx: db.Connection) -> None:
            found = key_rows.record(tx, mine.id)
            assert found is not None
            keys.remove(tx, alice, found)

        with pytest.raises(Forbidden, match="only the account"):
            await stage.db.write(directly)
        with pytest.raises(Conflict, match=r"credentials\.json"):
            await keys.delete_access_key(platform, ROOT, "LTAIfiled")
        await keys.delete_access_key(platform, ROOT, mine.id)
        role = Principal(ACCOUNT, "3" * 18 + ":s", "assumed-role", "r/s")
        with pytest.raises(Missing, match="UserName"):
            await keys.create_access_key(platform, role)

    play(url, act)


def test_every_change_is_counted_and_no_look_is(url: str) -> None:
    """Law: Authority hears of every change."""

    async def act(stage: Stage) -> None:
        await stage.with_admin()
        p, h = stage.platform, stage.hashing
        given = Attachment("p", "Custom", "a", "User")
        changes: list[Callable[[], Awaitable[Any]]] = [
            lambda: users.create_user(p, ROOT, User("", "a")),
            lambda: users.update_user(p, ROOT, "a", UserChange(comments="x")),
            lambda: users.create_login_profile(p, ROOT, h, "a", PASSWORD),
            lambda: groups.create_group(p, ROOT, Group("", "g")),
            lambda: groups.update_group(p, ROOT, "g", GroupChange(comments="x")),
            lambda: groups.add_user_to_group(p, ROOT, "a", "g"),
            lambda: roles.create_role(p, ROOT, Role("", "r", TRUST)),
            lambda: roles.update_role(p, ROOT, "r", RoleChange(description="x")),
            lambda: policies.create_policy(p, ROOT, "p", document("eas:*")),
            lambda: policies.create_policy_version(p, ROOT, "p", document("eas:*")),
            lambda: policies.set_default_policy_version(p, ROOT, "p", "v2"),
            lambda: policies.delete_policy_version(p, ROOT, "p", "v1"),
            lambda: grants.attach(p, ROOT, given),
            lambda: grants.detach(p, ROOT, given),
            lambda: policies.delete_policy(p, ROOT, "p"),
            lambda: groups.remove_user_from_group(p, ROOT, "a", "g"),
            lambda: groups.delete_group(p, ROOT, "g"),
            lambda: roles.delete_role(p, ROOT, "r"),
            lambda: users.delete_user(p, ROOT, "a"),
        ]
        for number, change in enumerate(changes):
            before = await stage.db.read(grant_rows.revision)
            await change()
            assert await stage.db.read(grant_rows.revision) > before, number
        before = await stage.db.read(grant_rows.revision)
        await users.list_users(p, ROOT)
        await policies.list_policies(p, ROOT)
        with pytest.raises(NotFound):
            await users.delete_user(p, ROOT, "a")
        assert await stage.db.read(grant_rows.revision) == before

    play(url, act)
