"""Logins, passwords and access keys: who gets in, for how long, and who does no more."""

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from identity_stage import PASSWORD, Stage, play, with_slow_reads
from sqlalchemy import select

from builders import ACCOUNT, BOX, ROOT, T0
from made_database import made_sqlite
from pierhead.core.errors import (
    Conflict,
    Duplicate,
    Forbidden,
    Invalid,
    LoginExpired,
    NotFound,
    Taken,
    TooManyLogins,
    Unavailable,
    Unsupported,
    WrongLogin,
)
from pierhead.core.identities import User
from pierhead.core.principals import AccessKey, LoginSession, Principal
from pierhead.core.registry import Extras
from pierhead.operations import access_keys, accounts, logins
from pierhead.operations.access_keys import KeyChange, KeyWish
from pierhead.operations.iam import common, users
from pierhead.operations.key_ring import KeyRing
from pierhead.operations.logins import Logins
from pierhead.store import db, keys, passwords, tables
from pierhead.store import logins as rows

HEX = hashlib.sha512(PASSWORD.encode()).hexdigest()
ADMIN = accounts.ADMIN_UUID
TIMEOUT = 7200.0


async def opened(stage: Stage, timeout: float = TIMEOUT) -> tuple[Logins, LoginSession]:
    """The logins of a hub, and one of admin."""
    await stage.with_admin()
    found = Logins(stage.platform, stage.hashing, timeout)
    return found, await found.open(HEX, "admin")


async def user(stage: Stage, name: str) -> Principal:
    """A user of the account with admin's password; in the database."""
    made = await users.create_user(stage.platform, ROOT, User("", name))
    await users.create_login_profile(stage.platform, ROOT, stage.hashing, name, PASSWORD)
    return common.principal_of(stage.platform, made)


# --- passwords -----------------------------------------------------------------------------------


def test_only_the_hash_of_the_right_password_opens(url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.with_admin()
        door = Logins(stage.platform, stage.hashing)
        wrong = hashlib.sha512(b"another").hexdigest()
        attempts = [(word, "admin") for word in (PASSWORD, HEX.upper(), HEX[:-1], "", wrong)]
        attempts += [(HEX, name) for name in ("Admin", "", "nobody", "a\0b", "\ud800", "x" * 9999)]
        attempts.append(("\ud800", "admin"))
        texts: set[str] = set()
        for password, name in attempts:
            with pytest.raises(WrongLogin) as refusal:
                await door.open(password, name)
            texts.add(refusal.value.message)
        assert len(texts) == 1, "it is not told what was wrong"
        login = await door.open(HEX, "admin")
        assert (login.principal, login.user, login.created, login.expires) == (
            ROOT,
            ADMIN,
            T0,
            T0 + TIMEOUT,
        )

    play(url, act)


def test_an_unknown_account_costs_what_a_wrong_password_costs() -> None:
    """Not measured but demanded: the same parameters, and the hash is computed for both."""
    parameters = accounts._HASHER.hash("x").split("$")[1:4]
    assert parameters == ["argon2id", "v=19", "m=19456,t=2,p=1"]
    assert accounts.NOBODY.split("$")[1:4] == parameters

    async def act() -> None:
        hashing = accounts.Hashing()
        known = await hashing.make("x")
        seen: list[str] = []
        real = accounts._fits
        accounts._fits = lambda hash_, text: bool(seen.append(hash_)) or real(hash_, text)
        try:
            assert not await hashing.fits(None, "x")
            assert not await hashing.fits(known, "y")
            assert await hashing.fits(known, "x")
        finally:
            accounts._fits = real
            hashing.close()
        assert seen == [accounts.NOBODY, known, known]

    asyncio.run(act())


def test_the_stored_hash_changes_only_with_the_password_and_then_ends_logins(url: str) -> None:
    async def act(stage: Stage) -> None:
        door, login = await opened(stage)
        before = await stage.db.read(passwords.find, "admin")
        assert before is not None
        assert HEX not in before.hash
        assert PASSWORD not in before.hash
        stage.clock.advance(10)
        assert not await accounts.put_admin(stage.platform, stage.hashing, "admin", PASSWORD)
        assert await stage.db.read(passwords.find, "admin") == before
        assert await door.find(login.uuid)

        assert await accounts.put_admin(stage.platform, stage.hashing, "root", PASSWORD)
        assert await stage.db.read(passwords.find, "admin") is None
        assert await stage.db.read(rows.find, login.digest), "a new name ends no login"

        assert await accounts.put_admin(stage.platform, stage.hashing, "root", "new")
        changed = await stage.db.read(passwords.find, "root")
        assert changed is not None
        assert changed.created == before.created
        assert await stage.db.read(rows.find, login.digest) is None
        await door.open(accounts.wire_password("new"), "root")
        with pytest.raises(WrongLogin):
            await door.open(HEX, "root")

    play(url, act)


def test_a_user_logs_in_by_the_accounts_name_or_uuid(url: str) -> None:
    async def act(stage: Stage) -> None:
        door, _ = await opened(stage)
        alice = await user(stage, "alice")
        with pytest.raises(Duplicate):
            await user(stage, "alice")
        uuid = accounts.user_uuid(stage.platform, alice)
        by_name = await door.open(HEX, "admin", user_name="alice")
        by_uuid = await door.open(HEX, "", account=ADMIN, user_name="alice")
        for login in (by_name, by_uuid):
            assert (login.principal, login.user) == (alice, uuid)
            found = (await door.find(login.uuid)).principal
            assert (found, found.name) == (alice, "alice")
            assert (await users.get_user(stage.platform, ROOT, "alice")).last_login == T0
        for name, account in (("admin", "nobody"), ("other", "alice")):
            with pytest.raises(WrongLogin):
                await door.open(HEX, name, user_name=account)
        with pytest.raises(WrongLogin):
            await door.open(HEX, "", account="f" * 32, user_name="alice")
        assert [one.user_name for one in await stage.db.read(passwords.of_account, ACCOUNT)] == [
            "",
            "alice",
        ]
        # A new password of the account is none of its users'.
        await accounts.put_admin(stage.platform, stage.hashing, "admin", "new")
        assert await door.open(HEX, "admin", user_name="alice")
        # Under another name of the account it is the account's user all the same.
        await accounts.put_admin(stage.platform, stage.hashing, "root", "new")
        assert await door.open(HEX, "root", user_name="alice")
        await users.delete_login_profile(stage.platform, ROOT, "alice")
        for account in ("root", "admin"):
            with pytest.raises(WrongLogin):
                await door.open(HEX, account, user_name="alice")

    play(url, act)


# --- the lives of logins --------------------------------------------------------------------------


def test_only_a_digest_of_the_uuid_is_stored(url: str) -> None:
    async def act(stage: Stage) -> None:
        _, login = await opened(stage)
        assert len(login.uuid) == 32
        assert set(login.uuid) <= set("0123456789abcdef")
        row = await stage.db.read(lambda tx: tx.execute(select(tables.logins)).mappings().one())
        assert login.uuid not in str(dict(row))
        assert row["digest"] == hashlib.sha256(login.uuid.encode()).hexdigest()

    play(url, act)


def test_each_call_moves_the_end_and_silence_comes_to_it(url: str) -> None:
    async def act(stage: Stage) -> None:
        door, login = await opened(stage)
        for _ in range(3):
            stage.clock.advance(TIMEOUT - 1)
            assert (await door.find(login.uuid)).expires == stage.clock.now + TIMEOUT
            assert (await door.find(login.uuid)).uuid == "", "it is shown once"
        stage.clock.advance(TIMEOUT - 1)
        assert await door.valid(login.uuid)
        stage.clock.advance(1)  # asking whether it is valid did not prolong it
        assert not await door.valid(login.uuid)
        for uuid in (login.uuid, "f" * 32, "", "null", "\ud800"):
            with pytest.raises(LoginExpired) as refusal:
                await door.find(uuid)
            # The words that clients look for.
            assert {"session", "expired", "invalid"} <= set(
                refusal.value.message.lower().replace(":", "").split()
            )

    play(url, act)


def test_the_database_hears_of_a_new_end_only_now_and_then(url: str) -> None:
    async def act(stage: Stage) -> None:
        door, login = await opened(stage)
        before = stage.writes
        for _ in range(100):
            stage.clock.advance(1)
            await door.find(login.uuid)
        assert stage.writes - before == 3
        assert (await door.find(login.uuid)).expires == stage.clock.now + TIMEOUT
        # A hub that is killed now loses at most what was not written.
        successor = stage.again()
        try:
            stage.clock.advance(TIMEOUT - 31)
            other = Logins(successor.platform, successor.hashing, TIMEOUT)
            assert await other.find(login.uuid)
        finally:
            successor.close()

    play(url, act)


def test_a_short_timeout_is_kept_as_exactly(url: str) -> None:
    async def act(stage: Stage) -> None:
        door, login = await opened(stage, timeout=10.0)
        for _ in range(20):
            stage.clock.advance(9)
            await door.find(login.uuid)
        stage.clock.advance(10)
        with pytest.raises(LoginExpired):
            await door.find(login.uuid)

    play(url, act)


def test_logins_survive_a_restart_and_a_logout_ends_them_for_good(url: str) -> None:
    async def act(stage: Stage) -> None:
        _, login = await opened(stage)
        successor = stage.again()
        try:
            door = Logins(successor.platform, successor.hashing, TIMEOUT)
            assert await door.valid(login.uuid)
            assert (await door.find(login.uuid)).principal == ROOT
            await door.close(login.uuid)
            await door.close(login.uuid)  # an unknown one, by now
            await door.close("never heard of")
            assert not await door.valid(login.uuid)
            with pytest.raises(LoginExpired):
                await door.find(login.uuid)
        finally:
            successor.close()

    play(url, act)


def test_a_login_that_ends_while_it_is_read_does_not_live_on_in_memory(url: str) -> None:
    async def act(stage: Stage) -> None:
        _, login = await opened(stage)
        platform, slow = with_slow_reads(stage.platform)
        door = Logins(platform, stage.hashing, TIMEOUT)
        reading = asyncio.create_task(door.find(login.uuid))
        await slow.done.wait()  # it was still there
        await door.close(login.uuid)
        slow.answer.set()
        with pytest.raises(LoginExpired):
            await reading
        with pytest.raises(LoginExpired):
            await door.find(login.uuid)

    play(url, act)


def test_another_hubs_logout_is_heard_at_the_next_write(url: str) -> None:
    async def act(stage: Stage) -> None:
        door, login = await opened(stage)
        await stage.db.write(rows.remove, login.digest)
        assert await door.find(login.uuid)
        stage.clock.advance(30)
        with pytest.raises(LoginExpired):
            await door.find(login.uuid)

    play(url, act)


def test_a_database_that_takes_no_writes_locks_nobody_out(url: str) -> None:
    async def act(stage: Stage) -> None:
        door, login = await opened(stage)

        class Full:
            async def write(self, *_: object) -> None:
                raise Unavailable("The database", "disk full")

        broken = replace(stage.platform, db=Full())  # pyright: ignore[reportArgumentType]
        door._platform = broken
        stage.clock.advance(60)
        assert (await door.find(login.uuid)).expires == stage.clock.now + TIMEOUT
        with pytest.raises(Unavailable):  # what was asked for is not said to be done
            await door.renew(login.uuid, ROOT, None, 60)

    play(url, act)


def test_a_principal_holds_five_hundred_logins(url: str) -> None:
    async def act(stage: Stage) -> None:
        door, login = await opened(stage)
        await user(stage, "alice")

        def fill(tx: db.Connection) -> None:
            for number in range(logins.MOST - 1):
                rows.add(tx, replace(login, digest=f"{number:064}"))

        await stage.db.write(fill)
        with pytest.raises(TooManyLogins) as refusal:
            await door.open(HEX, "admin")
        # Words that would make a client log in again.
        assert not {"session", "token"} & set(refusal.value.message.lower().split())
        assert await door.open(HEX, "admin", user_name="alice")
        await door.close(login.uuid)
        assert await door.open(HEX, "admin")
        stage.clock.advance(TIMEOUT)
        assert await door.open(HEX, "admin"), "expired ones do not count"

    play(url, act)


def test_renewal_sets_the_end_for_own_logins_and_for_admins(url: str) -> None:
    async def act(stage: Stage) -> None:
        door, admin = await opened(stage)
        alice = await user(stage, "alice")
        login = await door.open(HEX, "admin", user_name="alice")
        own = await door.find(login.uuid)
        renewed = await door.renew(login.uuid, alice, own, 31_536_000)
        assert (renewed.uuid, renewed.expires) == (login.uuid, T0 + 31_536_000)
        assert (await door.find(login.uuid)).expires == T0 + 31_536_000, "a call shortens no life"
        assert (await door.renew(login.uuid, ROOT, None, 60)).expires == T0 + 60
        assert (await door.renew(login.uuid, ROOT, None)).expires == T0 + TIMEOUT
        stored = await stage.db.read(rows.find, login.digest)
        assert stored is not None
        assert stored.expires == T0 + TIMEOUT
        for duration in (59, 31_536_001, -1):
            with pytest.raises(Invalid) as refusal:
                await door.renew(login.uuid, alice, own, duration)
            assert refusal.value.field == "duration"
        with pytest.raises(Forbidden):
            await door.renew(admin.uuid, alice, own, 100)
        with pytest.raises(NotFound):
            await door.renew("f" * 32, ROOT, None, 100)

    play(url, act)


def test_purging_forgets_what_expired_and_nothing_else(url: str) -> None:
    async def act(stage: Stage) -> None:
        door, old = await opened(stage)
        stage.clock.advance(TIMEOUT - 1)
        young = await door.open(HEX, "admin")
        stage.clock.advance(10)
        await logins.purge(stage.platform)
        assert await stage.db.read(rows.find, old.digest), "memory might know of a longer life"
        stage.clock.advance(30)
        await logins.purge(stage.platform)
        assert await stage.db.read(rows.find, old.digest) is None
        assert await stage.db.read(rows.find, young.digest)

    play(url, act)


def test_memory_holds_no_more_logins_than_it_should(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(logins, "_REMEMBERED", 3)

    async def act(stage: Stage) -> None:
        door, first = await opened(stage)
        for _ in range(5):
            await door.open(HEX, "admin")
            assert len(door._held) <= 3
        assert await door.find(first.uuid)

    play(url, act)


# --- access keys ---------------------------------------------------------------------------------

FILED = AccessKey("LTAI5tFiled", "filed-secret", ROOT)


def test_keys_are_made_shown_once_and_listed_without_temporary_ones(url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.with_admin()
        await stage.db.write(keys.put_filed, BOX, FILED, T0)
        await stage.db.write(
            keys.put, BOX, AccessKey("STS.1", "s", ROOT, session_token="t", expires=1e10)
        )
        made = await access_keys.create(
            stage.platform, ROOT, KeyWish(ADMIN, ADMIN, description="ci"), Extras()
        )
        assert 10 <= len(made.id) <= 20
        assert 10 <= len(made.secret) <= 40
        assert (made.principal, made.active, made.description) == (ROOT, True, "ci")
        stage.clock.advance(1)
        wish = KeyWish(ADMIN, ADMIN, id="testAccessKeyId0001", secret="testAccessKeySecret0001")
        wanted = "0123456789ab4def8123456789abcdef"
        named = await access_keys.create(stage.platform, ROOT, wish, Extras(uuid=wanted))
        assert (named.id, named.secret, named.uuid) == (wish.id, wish.secret, wanted)
        found = await access_keys.seen(stage.platform, ROOT)
        assert {key.id for key in found} == {FILED.id, made.id, named.id}
        assert found[-1].id == named.id, "oldest first"
        assert {key.secret for key in found} == {""}, "it was shown once"
        assert {key.uuid for key in found} >= {made.uuid, wanted}
        assert await KeyRing(stage.platform).find(wish.id) == named
        for again in (wish, replace(wish, id="another-id")):
            with pytest.raises(Taken):
                await access_keys.create(stage.platform, ROOT, again, Extras(uuid=wanted))
        assert await KeyRing(stage.platform).find("another-id") is None

    play(url, act)


@pytest.mark.parametrize(
    ("wish", "error", "word"),
    [
        (KeyWish(ADMIN, ADMIN, id="123456789"), Invalid, "AccessKeyID"),
        (KeyWish(ADMIN, ADMIN, id="1" * 21), Invalid, "AccessKeyID"),
        (KeyWish(ADMIN, ADMIN, id="with:colon-1"), Invalid, "AccessKeyID"),
        (KeyWish(ADMIN, ADMIN, secret="short"), Invalid, "AccessKeySecret"),
        (KeyWish(ADMIN, ADMIN, secret="s" * 41), Invalid, "AccessKeySecret"),
        (KeyWish(ADMIN, "f" * 32), NotFound, "f" * 32),
        (KeyWish("f" * 32, ADMIN), NotFound, ADMIN),
    ],
)
def test_illegal_wishes_make_no_key(
    tmp_path: Path, wish: KeyWish, error: type[Exception], word: str
) -> None:
    found = made_sqlite(tmp_path / "pierhead.db")

    async def act(stage: Stage) -> None:
        await stage.with_admin()
        with pytest.raises(error, match=word) as refusal:
            await access_keys.create(stage.platform, ROOT, wish, Extras())
        assert not wish.secret or wish.secret not in str(refusal.value)
        assert await access_keys.seen(stage.platform, ROOT) == []

    play(found, act)


def test_a_key_with_tags_is_refused_and_not_made_without(tmp_path: Path) -> None:
    found = made_sqlite(tmp_path / "pierhead.db")

    async def act(stage: Stage) -> None:
        await stage.with_admin()
        with pytest.raises(Unsupported):
            await access_keys.create(
                stage.platform, ROOT, KeyWish(ADMIN, ADMIN), Extras(user_tags=("t",))
            )
        assert await access_keys.seen(stage.platform, ROOT) == []

    play(found, act)


def test_a_change_of_a_key_counts_at_once(url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.with_admin()
        ring = KeyRing(stage.platform)
        done: list[str] = []
        made = await access_keys.create(stage.platform, ROOT, KeyWish(ADMIN, ADMIN), Extras())
        assert await ring.find(made.id) == made
        stage.clock.advance(0.25)

        async def switch(*, active: bool) -> AccessKey:
            change = KeyChange(made.uuid, active)
            return await access_keys.switch(
                stage.platform, ROOT, change, lambda _tx, uuid: done.append(uuid)
            )

        off = await switch(active=False)
        assert (off.active, off.updated, off.created) == (False, T0 + 0.25, T0)
        assert await ring.find(made.id) == replace(made, active=False)
        assert await switch(active=True) == replace(made, secret="")
        assert await ring.find(made.id) == made
        assert done == [made.uuid, made.uuid]

        async def remove() -> None:
            await access_keys.remove(
                stage.platform, ROOT, made.uuid, lambda _tx, uuid: done.append(uuid)
            )

        await remove()
        assert await ring.find(made.id) is None
        await remove()  # nothing to delete is no fault
        assert len(done) == 3
        with pytest.raises(NotFound):
            await switch(active=True)

    play(url, act)


def test_a_key_read_while_it_changes_is_not_remembered(url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.with_admin()
        made = await access_keys.create(stage.platform, ROOT, KeyWish(ADMIN, ADMIN), Extras())
        platform, slow = with_slow_reads(stage.platform)
        ring = KeyRing(platform)
        reading = asyncio.create_task(ring.find(made.id))
        await slow.done.wait()  # it was still there
        await access_keys.remove(stage.platform, ROOT, made.uuid)
        slow.answer.set()
        assert await reading == made
        assert await ring.find(made.id) is None

    play(url, act)


def test_nobody_touches_anothers_keys_but_the_account_itself(url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.with_admin()
        alice, bob = [await user(stage, name) for name in ("alice", "bob")]
        ids = {one: accounts.user_uuid(stage.platform, one) for one in (alice, bob)}
        made = await access_keys.create(stage.platform, alice, KeyWish(ADMIN, ids[alice]), Extras())
        record = replace(made, secret="")
        assert made.principal == alice
        for actor, wish in ((bob, KeyWish(ADMIN, ids[alice])), (alice, KeyWish(ADMIN, ADMIN))):
            with pytest.raises(Forbidden):
                await access_keys.create(stage.platform, actor, wish, Extras())
        with pytest.raises(Forbidden):
            await access_keys.remove(stage.platform, bob, made.uuid)
        with pytest.raises(Forbidden):
            await access_keys.switch(stage.platform, bob, KeyChange(made.uuid, active=False))
        assert await access_keys.seen(stage.platform, bob) == []
        assert await access_keys.seen(stage.platform, alice) == [record]
        assert await access_keys.seen(stage.platform, ROOT) == [record]
        await access_keys.create(stage.platform, ROOT, KeyWish(ADMIN, ids[bob]), Extras())
        await access_keys.remove(stage.platform, ROOT, made.uuid)

    play(url, act)


def test_the_credentials_files_pair_is_put_back_but_stays_as_it_was_switched(url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.db.write(keys.put_filed, BOX, FILED, T0)
        (first,) = await access_keys.seen(stage.platform, ROOT)
        assert (first.created, first.updated) == (T0, T0)
        with pytest.raises(Conflict, match=r"credentials\.json"):
            await access_keys.remove(stage.platform, ROOT, first.uuid)
        await access_keys.switch(stage.platform, ROOT, KeyChange(first.uuid, active=False))
        changed = replace(FILED, secret="changed in the file")
        await stage.db.write(keys.put_filed, BOX, changed, T0 + 99)
        (second,) = await access_keys.seen(stage.platform, ROOT)
        assert (second.uuid, second.created, second.active) == (first.uuid, T0, False)
        opened = await KeyRing(stage.platform).find(FILED.id)
        assert opened is not None
        assert (opened.secret, opened.active) == ("changed in the file", False)
        # Once the file names another pair, the former one is a key like others.
        await stage.db.write(keys.put_filed, BOX, replace(FILED, id="LTAI5tOther"), T0 + 100)
        await access_keys.remove(stage.platform, ROOT, first.uuid)

    play(url, act)


def test_accounts_are_listed_by_who_asks(url: str) -> None:
    async def act(stage: Stage) -> None:
        await stage.with_admin()
        for actor in (ROOT, Principal(ACCOUNT, "2" * 18, "user")):
            (one,) = await accounts.seen(stage.platform, actor)
            assert (one.account_name, one.user) == ("admin", ADMIN)
        assert await accounts.seen(stage.platform, Principal("9" * 16, "9", "user")) == []
        other = accounts.account_uuid(stage.platform, "9" * 16)
        assert other != ADMIN
        assert len(other) == 32

    play(url, act)
