"""Becoming a role: who may, for how long, and what ends it."""

import json
from dataclasses import replace

import pytest
from identity_stage import Stage, play

from builders import ACCOUNT, ROOT, T0
from pierhead.core.errors import Forbidden, Invalid, NotFound
from pierhead.core.identities import Attachment, Role, User
from pierhead.core.policy import Request
from pierhead.core.principals import AccessKey, Principal
from pierhead.operations.authority import Authority
from pierhead.operations.iam import common, grants, policies, roles, users
from pierhead.operations.iam.assume import Wish, assume_role
from pierhead.operations.iam.roles import RoleChange
from pierhead.operations.key_ring import KeyRing
from pierhead.store import keys as key_rows

ARN = f"acs:ram::{ACCOUNT}:role/build"
USER_ARN = f"acs:ram::{ACCOUNT}:user/alice"
WISH = Wish(ARN, "ci-1")


def trust(*arns: str, effect: str = "Allow") -> str:
    """A trust document."""
    statement = {"Effect": effect, "Action": "sts:AssumeRole", "Principal": {"RAM": list(arns)}}
    return json.dumps({"Version": "1", "Statement": [statement]})


def allow(*actions: str) -> str:
    """A policy that allows these actions on everything."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    return json.dumps({"Version": "1", "Statement": [statement]})


class Scene:
    """Alice may become roles; `build` trusts her and may list services."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.platform = stage, stage.platform
        self.authority, self.ring = Authority(stage.platform), KeyRing(stage.platform)

    async def set(self) -> "Scene":
        made = await users.create_user(self.platform, ROOT, User("", "alice"))
        self.alice = common.principal_of(self.platform, made)
        self.role = await roles.create_role(
            self.platform, ROOT, Role("", "build", trust(USER_ARN), max_session=7200)
        )
        await policies.create_policy(self.platform, ROOT, "list", allow("eas:List*", "eas:Get*"))
        await self.give("AliyunSTSAssumeRoleAccess", "alice", "User")
        await grants.attach(self.platform, ROOT, Attachment("list", "Custom", "build", "Role"))
        return self

    async def give(self, policy: str, name: str, kind: str) -> None:
        given = Attachment(policy, "System", name, kind)  # type: ignore[arg-type]
        await grants.attach(self.platform, ROOT, given)

    async def become(self, wish: Wish = WISH, actor: Principal | None = None) -> AccessKey:
        return await assume_role(self.platform, actor or self.alice, self.authority, wish)

    async def may(self, principal: Principal, action: str) -> bool:
        asked = Request((action,), ("acs:eas:local:1:service/x",))
        return (await self.authority.decide(principal, asked)).allowed


def test_a_session_is_what_the_role_may_for_as_long_as_was_asked(url: str) -> None:
    async def act(stage: Stage) -> None:
        scene = await Scene(stage).set()
        key = await scene.become(replace(WISH, duration=900))
        assert key.id.startswith("STS.")
        assert (key.expires, key.created, key.active) == (T0 + 900, T0, True)
        assert len(key.session_token) >= 100
        found = await scene.ring.find(key.id)
        assert found == key
        principal = found.principal
        assert (principal.kind, principal.name) == ("assumed-role", "build/ci-1")
        assert principal.id == f"{scene.role.id}:ci-1"
        assert principal.arn == f"acs:ram::{ACCOUNT}:assumed-role/build/ci-1"
        assert await scene.may(principal, "eas:ListServices")
        assert not await scene.may(principal, "eas:CreateService")
        assert not await scene.may(scene.alice, "eas:ListServices"), "it is the role's, not hers"
        again = await scene.become()
        assert again.expires == T0 + 3600
        assert again.id != key.id
        assert again.secret != key.secret
        assert again.session_token != key.session_token
        # What expired is forgotten a day later; until then it can be told that it expired.
        stage.clock.advance(900 + 86400 - 1)
        await stage.db.write(key_rows.prune, stage.clock.now)
        assert await stage.db.read(key_rows.record, key.id) is not None
        stage.clock.advance(2)
        await stage.db.write(key_rows.prune, stage.clock.now)
        assert await stage.db.read(key_rows.record, key.id) is None

    play(url, act)


def test_a_session_policy_takes_away_and_gives_nothing(url: str) -> None:
    async def act(stage: Stage) -> None:
        scene = await Scene(stage).set()
        narrow = allow("eas:GetService", "eas:CreateService")
        key = await scene.become(replace(WISH, policy=narrow))
        found = await scene.ring.find(key.id)
        assert found is not None
        assert found.principal.session_policy == narrow
        asked = ("eas:GetService", "eas:ListServices", "eas:CreateService")
        assert [await scene.may(found.principal, action) for action in asked] == [
            True,
            False,
            False,
        ]
        with pytest.raises(Invalid):
            await scene.become(replace(WISH, policy="{}"))

    play(url, act)


def test_both_sides_must_agree(url: str) -> None:
    async def act(stage: Stage) -> None:
        scene = await Scene(stage).set()
        made = await users.create_user(scene.platform, ROOT, User("", "bob"))
        bob = common.principal_of(scene.platform, made)
        with pytest.raises(Forbidden) as no_policy:
            await scene.become(actor=bob)
        assert (no_policy.value.action, no_policy.value.resource) == ("sts:AssumeRole", ARN)
        missing = replace(WISH, role_arn=f"acs:ram::{ACCOUNT}:role/none")
        with pytest.raises(Forbidden):  # who may become none is not told which there are
            await scene.become(missing, bob)
        with pytest.raises(NotFound, match="Role"):
            await scene.become(missing)
        await scene.give("AliyunSTSAssumeRoleAccess", "bob", "User")
        with pytest.raises(Forbidden, match="trust document does not name") as no_trust:
            await scene.become(actor=bob)
        assert f"acs:ram::{ACCOUNT}:user/bob" in no_trust.value.message
        for document, expected in (
            (trust(f"acs:ram::{ACCOUNT}:root"), True),
            (trust(f"acs:ram::{ACCOUNT}:user/bob"), True),
            (trust(f"acs:ram::{ACCOUNT}:user/BOB"), False),
            (trust("acs:ram::9999999999999999:root"), False),
        ):
            change = RoleChange(trust=document)
            await roles.update_role(scene.platform, ROOT, "build", change)
            if expected:
                await scene.become(actor=bob)
            else:
                with pytest.raises(Forbidden):
                    await scene.become(actor=bob)

    play(url, act)


def test_a_role_becomes_another_but_the_account_itself_does_not(url: str) -> None:
    async def act(stage: Stage) -> None:
        scene = await Scene(stage).set()
        document = trust(f"acs:ram::{ACCOUNT}:role/build")
        await roles.create_role(scene.platform, ROOT, Role("", "second", document))
        second = replace(WISH, role_arn=f"acs:ram::{ACCOUNT}:role/second")
        session = (await scene.become()).principal
        with pytest.raises(Forbidden):
            await scene.become(second, session)
        await scene.give("AliyunSTSAssumeRoleAccess", "build", "Role")
        found = await scene.become(second, session)
        assert found.principal.name == "second/ci-1"
        with pytest.raises(Forbidden, match="account itself"):
            await scene.become(actor=ROOT)

    play(url, act)


def test_an_illegal_wish_opens_nothing(url: str) -> None:
    async def act(stage: Stage) -> None:
        scene = await Scene(stage).set()
        wishes = {
            "RoleArn": [
                replace(WISH, role_arn=arn)
                for arn in ("", "build", f"acs:ram::{ACCOUNT}:user/build", ARN + "/x", ARN + "\n")
            ],
            "RoleSessionName": [
                replace(WISH, session_name=name) for name in ("", "a", "a/b", "a:b")
            ],
            "DurationSeconds": [replace(WISH, duration=seconds) for seconds in (899, 7201, -1)],
        }
        for field, several in wishes.items():
            for wish in several:
                with pytest.raises(Invalid) as refusal:
                    await scene.become(wish)
                assert refusal.value.field == field, wish
        # A name in another case is another role: a policy may deny the one that there is.
        with pytest.raises(NotFound):
            await scene.become(replace(WISH, role_arn=ARN.replace("build", "BUILD")))
        assert (await scene.become(replace(WISH, duration=7200))).expires == T0 + 7200

    play(url, act)


def test_sessions_end_with_their_role_at_once(url: str) -> None:
    async def act(stage: Stage) -> None:
        scene = await Scene(stage).set()
        key = await scene.become()
        assert await scene.ring.find(key.id)
        await roles.update_role(scene.platform, ROOT, "build", RoleChange(trust=trust(ARN)))
        assert await scene.ring.find(key.id), "who is in stays in"
        gone = Attachment("list", "Custom", "build", "Role")
        await grants.detach(scene.platform, ROOT, gone)
        assert not await scene.may(key.principal, "eas:ListServices")
        await roles.delete_role(scene.platform, ROOT, "build")
        assert await scene.ring.find(key.id) is None
        # Another role of that name is not what the session was opened for.
        await roles.create_role(scene.platform, ROOT, Role("", "build", trust(USER_ARN)))
        await grants.attach(scene.platform, ROOT, gone)
        assert not await scene.may(key.principal, "eas:ListServices")

    play(url, act)
