"""What opens a service's endpoint: use cases, the rows behind them, and what gateways are told."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from identity_stage import Stage

from builders import ACCOUNT, BOX, ROOT, FakeClock, FakeEntropy, a_replica, a_template
from pierhead.core.endpoint_tokens import DEFAULT, NO_LIMITS, EndpointToken, Limits
from pierhead.core.errors import Conflict, Duplicate, Invalid, NotFound, TooMany
from pierhead.core.identities import User
from pierhead.core.launch import Capabilities
from pierhead.core.principals import USER, Principal
from pierhead.core.routes import RouteTable, RouteToken
from pierhead.core.services import Service
from pierhead.engines import registry
from pierhead.operations import endpoint_tokens, services
from pierhead.operations.iam import users
from pierhead.operations.secret_box import SecretBox
from pierhead.operations.services import Draft
from pierhead.reconciler.routes import RouteBook
from pierhead.store import db, schema
from pierhead.store import endpoint_tokens as rows
from pierhead.store import events as event_rows
from pierhead.store import services as service_rows
from pierhead.store.events import EventQuery

CAPABILITIES: dict[str, Capabilities] = {
    name: engine.capabilities for name, engine in registry("python").items()
}
HOUR = 3600.0


class Hub(Stage):
    """The platform with a route book that hears of tokens, as bootstrap puts it together."""

    def __init__(self, url: str, clock: FakeClock, entropy: FakeEntropy) -> None:
        super().__init__(url, clock, entropy)
        self.book = RouteBook(clock, str, CAPABILITIES)
        self.platform.endings.hear_of_tokens(self.book.keyed)
        self.told: list[int] = []  # how many tokens, each time that somebody was told
        self.platform.endings.hear_of_tokens(self._count_tokens)

    def _count_tokens(self, _service: Service, present: Sequence[EndpointToken]) -> None:
        self.told.append(len(present))

    async def service(self, name: str = "svc_one", **fields: Any) -> Service:
        draft = Draft(name=name, origin="eas.app", template=a_template(), replicas=1, submitted={})
        made = await services.create(self.platform, ROOT, replace(draft, **fields))
        self.book.update(made, (a_replica(service=made.id),))
        return made

    async def user(self, name: str) -> Principal:
        made = await users.create_user(self.platform, ROOT, User("", name))
        return Principal(ACCOUNT, made.id, USER, name)

    def routed(self, name: str = "svc_one") -> list[RouteToken]:
        return list(self.book.table.routes[name].tokens)

    def open(self, name: str = "svc_one") -> list[str]:
        """The secrets that a gateway lets in now."""
        now = self.clock()
        return [one.secret for one in self.routed(name) if one.until is None or now < one.until]

    async def events(self) -> list[str]:
        found, _total = await self.db.read(event_rows.page, EventQuery())
        return [f"{one.reason} {one.message}" for one in found[::-1]]


Scene = Callable[[Hub], Coroutine[Any, Any, None]]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return db.sqlite_url(tmp_path / "pierhead.db")


@pytest.fixture
def play(url: str) -> Callable[[Scene], None]:
    def run(scene: Scene) -> None:
        schema.migrate(url)
        hub = Hub(url, FakeClock(), FakeEntropy())
        try:
            asyncio.run(scene(hub))
        finally:
            hub.close()

    return run


# --- further tokens ------------------------------------------------------------------------------


def test_a_token_from_its_beginning_to_its_end(play: Callable[[Scene], None]) -> None:
    async def scene(hub: Hub) -> None:
        made, limits = await hub.service(), Limits(rpm=60, concurrency=4)
        added = await endpoint_tokens.add(hub.platform, ROOT, "svc_one", "ci", limits=limits)
        secret = added.token.secret
        assert len(secret) == 56
        assert hub.routed() == [RouteToken(made.token), RouteToken(secret, "ci", limits=limits)]
        held = await endpoint_tokens.tokens(hub.platform, ROOT, "svc_one")
        assert [one.token.name for one in held] == [DEFAULT, "ci"]
        assert held[1] == added
        changed = await endpoint_tokens.limit(
            hub.platform, ROOT, "svc_one", "ci", {"rpm": float("inf"), "tpm": 10.0}
        )
        assert changed.token.limits == Limits(tpm=10, concurrency=4)
        assert hub.routed()[1].limits == changed.token.limits
        await endpoint_tokens.revoke(hub.platform, ROOT, "svc_one", "ci")
        assert hub.routed() == [RouteToken(made.token)]
        assert hub.told == [2, 2, 1]
        told = [one.split(" ", 1)[0] for one in await hub.events()]
        assert told[-3:] == ["TokenAdded", "TokenLimited", "TokenRevoked"]
        assert secret not in "".join(await hub.events())
        with pytest.raises(NotFound, match="ci"):
            await endpoint_tokens.revoke(hub.platform, ROOT, "svc_one", "ci")

    play(scene)


def test_a_change_of_tokens_touches_no_replica_and_makes_no_version(
    play: Callable[[Scene], None],
) -> None:
    async def scene(hub: Hub) -> None:
        made = await hub.service()
        await endpoint_tokens.add(hub.platform, ROOT, "svc_one", "ci")
        await endpoint_tokens.rotate(hub.platform, ROOT, "svc_one", overlap=60)
        after, _seen = await services.find(hub.platform, "svc_one")
        assert after.rollout == made.rollout
        assert after.latest == made.latest
        assert after.current == made.current

    play(scene)


@pytest.mark.parametrize("name", [DEFAULT, "ci"])
def test_a_rotated_token_opens_with_both_secrets_until_the_overlap_ends(
    play: Callable[[Scene], None], name: str
) -> None:
    async def scene(hub: Hub) -> None:
        made = await hub.service()
        first = made.token
        if name != DEFAULT:
            first = (await endpoint_tokens.add(hub.platform, ROOT, "svc_one", name)).token.secret
        second = (
            await endpoint_tokens.rotate(hub.platform, ROOT, "svc_one", name, 60)
        ).token.secret
        assert second != first
        assert {first, second} <= set(hub.open())
        hub.clock.advance(59.9)
        assert first in hub.open()
        hub.clock.advance(0.1)
        assert first not in hub.open()
        assert second in hub.open()
        read = await endpoint_tokens.token(hub.platform, ROOT, "svc_one", name)
        assert read.token.secret == second

    play(scene)


def test_rotating_again_ends_the_earlier_overlap(play: Callable[[Scene], None]) -> None:
    async def scene(hub: Hub) -> None:
        first = (await hub.service()).token
        second = (await endpoint_tokens.rotate(hub.platform, ROOT, "svc_one", overlap=HOUR)).token
        third = (await endpoint_tokens.rotate(hub.platform, ROOT, "svc_one", overlap=HOUR)).token
        assert hub.open() == [third.secret, second.secret]
        assert first not in hub.open()
        fourth = (await endpoint_tokens.rotate(hub.platform, ROOT, "svc_one")).token
        assert hub.open() == [fourth.secret]
        after, _seen = await services.find(hub.platform, "svc_one")
        assert after.token == fourth.secret

    play(scene)


def test_a_rotation_keeps_the_limits(play: Callable[[Scene], None]) -> None:
    async def scene(hub: Hub) -> None:
        await hub.service()
        for name in (DEFAULT, "ci"):
            if name != DEFAULT:
                await endpoint_tokens.add(hub.platform, ROOT, "svc_one", name)
            await endpoint_tokens.limit(hub.platform, ROOT, "svc_one", name, {"concurrency": 4})
            changed = await endpoint_tokens.rotate(hub.platform, ROOT, "svc_one", name, 60)
            assert changed.token.limits == Limits(concurrency=4)
        assert {one.limits for one in hub.routed()} == {Limits(concurrency=4)}
        assert len(hub.routed()) == 4

    play(scene)


def test_a_token_that_was_chosen_anew_ends_the_overlap_of_a_rotation(
    play: Callable[[Scene], None],
) -> None:
    """EAS clients may set a service's token with its document: what it was before is void."""

    async def scene(hub: Hub) -> None:
        first = (await hub.service()).token
        await endpoint_tokens.rotate(hub.platform, ROOT, "svc_one", overlap=HOUR)

        def choose(service: Service, _seen: Any, now: float) -> services.Decision:
            return services.touched(service, replace(service, token="mine"), now, ())

        changed = await services.change(hub.platform, ROOT, "svc_one", choose)
        hub.book.update(changed, (a_replica(service=changed.id),))
        assert hub.open() == ["mine"]
        held = await endpoint_tokens.tokens(hub.platform, ROOT, "svc_one")
        assert (held[0].token.secret, held[0].token.previous) == ("mine", "")
        assert first not in hub.open()

    play(scene)


def test_a_pass_that_read_the_service_before_the_rotation_does_not_bring_the_old_secret_back(
    play: Callable[[Scene], None],
) -> None:
    async def scene(hub: Hub) -> None:
        before = await hub.service()
        after = (await endpoint_tokens.rotate(hub.platform, ROOT, "svc_one")).token
        hub.book.update(before, ())
        assert hub.open() == [after.secret]

    play(scene)


def test_a_hub_that_starts_again_knows_all_tokens(play: Callable[[Scene], None]) -> None:
    async def scene(hub: Hub) -> None:
        await hub.service()
        await endpoint_tokens.add(hub.platform, ROOT, "svc_one", "ci", limits=Limits(rpm=1))
        await endpoint_tokens.rotate(hub.platform, ROOT, "svc_one", overlap=HOUR)
        await endpoint_tokens.rotate(hub.platform, ROOT, "svc_one", "ci", overlap=HOUR)
        again = RouteBook(hub.clock, str, CAPABILITIES)
        again.know(await hub.db.read(rows.everything, BOX))
        for service, _seen in await hub.db.read(service_rows.everything):
            again.update(service, (a_replica(service=service.id),))
        assert again.table.routes == hub.book.table.routes
        assert len(hub.routed()) == 4

    play(scene)


def test_gateways_hear_of_a_change_at_once_and_of_nothing_else(
    play: Callable[[Scene], None],
) -> None:
    async def scene(hub: Hub) -> None:
        await hub.service()
        hub.book.begin()

        async def news(of: Coroutine[Any, Any, Any]) -> bool:
            before = hub.book.revision
            waiting = asyncio.create_task(hub.book.newer(before, 5.0))
            await asyncio.sleep(0)
            await of
            return hub.book.revision > before and await waiting is not None

        assert await news(endpoint_tokens.add(hub.platform, ROOT, "svc_one", "ci"))
        assert await news(endpoint_tokens.rotate(hub.platform, ROOT, "svc_one"))
        assert await news(endpoint_tokens.revoke(hub.platform, ROOT, "svc_one", "ci"))
        before = hub.book.revision
        after, _seen = await services.find(hub.platform, "svc_one")
        hub.book.update(after, (a_replica(service=after.id),))
        assert hub.book.revision == before

    play(scene)


# --- whose it is ---------------------------------------------------------------------------------


def test_a_users_token_ends_with_the_user_and_no_other_does(
    play: Callable[[Scene], None],
) -> None:
    async def scene(hub: Hub) -> None:
        one, two = await hub.service(), await hub.service("svc_two")
        await hub.user("alice")
        for name in ("svc_one", "svc_two"):
            await endpoint_tokens.add(hub.platform, ROOT, name, "laptop", "alice")
        hub.clock.advance(1)
        shared = await endpoint_tokens.add(hub.platform, ROOT, "svc_one", "ci")
        held = await endpoint_tokens.tokens(hub.platform, ROOT, "svc_one")
        assert [one.user for one in held] == ["", "alice", ""]
        await users.delete_user(hub.platform, ROOT, "alice")
        assert hub.open() == [one.token, shared.token.secret]
        assert hub.open("svc_two") == [two.token]
        assert not [
            one for one in await endpoint_tokens.tokens(hub.platform, ROOT, "svc_two") if one.user
        ]

    play(scene)


def test_a_token_is_issued_to_users_that_there_are(play: Callable[[Scene], None]) -> None:
    async def scene(hub: Hub) -> None:
        await hub.service()
        with pytest.raises(NotFound, match="nobody"):
            await endpoint_tokens.add(hub.platform, ROOT, "svc_one", "laptop", "nobody")
        assert hub.told == []

    play(scene)


def test_tokens_go_with_their_service(play: Callable[[Scene], None]) -> None:
    async def scene(hub: Hub) -> None:
        made = await hub.service()
        await endpoint_tokens.add(hub.platform, ROOT, "svc_one", "ci")
        gone = await services.delete(hub.platform, ROOT, "svc_one")
        hub.book.update(gone, ())
        assert "svc_one" not in hub.book.table.routes
        with pytest.raises(Conflict, match="deleted"):
            await endpoint_tokens.add(hub.platform, ROOT, "svc_one", "late")
        with pytest.raises(Conflict):
            await endpoint_tokens.rotate(hub.platform, ROOT, "svc_one")
        await hub.db.write(service_rows.remove, made.id, gone.revision)
        assert await hub.db.read(rows.everything, BOX) == {}

    play(scene)


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "ä", "a/b", "a\n"])
def test_names_are_short_and_plain(play: Callable[[Scene], None], name: str) -> None:
    async def scene(hub: Hub) -> None:
        await hub.service()
        with pytest.raises(Invalid, match="TokenName"):
            await endpoint_tokens.add(hub.platform, ROOT, "svc_one", name)

    play(scene)


def test_what_cannot_be(play: Callable[[Scene], None], monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(hub: Hub) -> None:
        await hub.service()
        act = endpoint_tokens
        with pytest.raises(NotFound):
            await act.add(hub.platform, ROOT, "svc_none", "ci")
        with pytest.raises(Conflict):
            await act.add(hub.platform, ROOT, "svc_one", DEFAULT)
        await act.add(hub.platform, ROOT, "svc_one", "ci")
        with pytest.raises(Duplicate):
            await act.add(hub.platform, ROOT, "svc_one", "ci")
        with pytest.raises(Conflict, match="rotate"):
            await act.revoke(hub.platform, ROOT, "svc_one", DEFAULT)
        for bad in ({"rpm": 0.0}, {"tpm": -1.0}, {"concurrency": 1e16}):
            with pytest.raises(Invalid):
                await act.limit(hub.platform, ROOT, "svc_one", "ci", bad)
        with pytest.raises(Invalid, match="Overlap"):
            await act.rotate(hub.platform, ROOT, "svc_one", overlap=31 * 86400)
        with pytest.raises(NotFound):
            await act.rotate(hub.platform, ROOT, "svc_one", "none")
        monkeypatch.setattr(act, "MOST", 2)
        with pytest.raises(TooMany):
            await act.add(hub.platform, ROOT, "svc_one", "more")
        held = await act.tokens(hub.platform, ROOT, "svc_one")
        assert [one.token.name for one in held] == [DEFAULT, "ci"]
        assert held[1].token.limits == NO_LIMITS

    play(scene)


def test_rotations_at_the_same_time_are_all_done_and_one_secret_is_left(
    play: Callable[[Scene], None],
) -> None:
    async def scene(hub: Hub) -> None:
        await hub.service()
        made = await asyncio.gather(
            *(endpoint_tokens.rotate(hub.platform, ROOT, "svc_one") for _ in range(8))
        )
        secrets = {one.token.secret for one in made}
        assert len(secrets) == 8
        after, _seen = await services.find(hub.platform, "svc_one")
        assert hub.open() == [after.token]
        assert after.token in secrets

    play(scene)


# --- rows ----------------------------------------------------------------------------------------


def test_two_services_may_share_a_secret_that_somebody_chose(
    play: Callable[[Scene], None],
) -> None:
    async def scene(hub: Hub) -> None:
        await hub.service(token="shared")
        await hub.service("svc_two", token="shared")
        assert hub.open() == hub.open("svc_two") == ["shared"]

    play(scene)


def test_a_token_that_cannot_be_opened_opens_nothing_and_can_be_rotated(
    play: Callable[[Scene], None],
) -> None:
    """The data folder's key was lost: what was sealed with it is, and everything else goes on."""

    async def scene(hub: Hub) -> None:
        made = await hub.service()
        await endpoint_tokens.add(hub.platform, ROOT, "svc_one", "ci")
        other = SecretBox(bytes(32))
        engine = db.connect(hub.url, writing=True, box=other)
        try:
            found, _seen = db.run(engine, service_rows.load, made.id) or (None, None)
            assert found is not None
            assert found.token == ""
            assert db.run(engine, service_rows.unreadable) == 1
            (held,) = db.run(engine, rows.everything, other).values()
            assert [one.secret for one in held] == [""]
            book = RouteBook(hub.clock, str, CAPABILITIES)
            book.know({made.id: held})
            book.update(found, (a_replica(service=made.id),))
            assert book.table.routes["svc_one"].tokens == ()
            # What is written meanwhile leaves the sealed token for the key that opens it.
            db.run(engine, service_rows.change, replace(found, replicas=3, revision=2))
            assert db.run(engine, service_rows.load, made.id) != (made, None)
        finally:
            engine.dispose()
        after, _seen = await services.find(hub.platform, "svc_one")
        assert (after.token, after.replicas) == (made.token, 3)

    play(scene)


def test_the_table_that_goes_out_tells_what_was_used_of_monthly_limits(url: str) -> None:
    schema.migrate(url)
    hub = Hub(url, FakeClock(), FakeEntropy())
    used = {"ci": 700}
    hub.book = book = RouteBook(hub.clock, str, CAPABILITIES, lambda _service, name: used[name])
    hub.platform.endings.hear_of_tokens(book.keyed)

    def shown(table: RouteTable) -> list[tuple[str, int, str]]:
        return [(one.name, one.spent, one.spent_in) for one in table.routes["svc_one"].tokens]

    async def scene() -> None:
        await hub.service()
        limits = Limits(monthly_tokens=1000)
        await endpoint_tokens.add(hub.platform, ROOT, "svc_one", "ci", limits=limits)
        assert shown(book.table) == [(DEFAULT, 0, ""), ("ci", 700, "2026-09")]
        before = book.revision
        used["ci"] = 900
        found, _seen = await services.find(hub.platform, "svc_one")
        book.update(found, (a_replica(service=found.id),))
        assert book.revision == before, "use alone is no news"
        assert shown(book.table)[1] == ("ci", 900, "2026-09")
        assert list(book.limited) == [(found.id, "ci")]

    try:
        asyncio.run(scene())
    finally:
        hub.close()
