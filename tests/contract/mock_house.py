"""The three apps as bootstrap builds them, over a real database, called in this process."""

import asyncio
import json
import secrets
import time
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from registry_world import World
from sqlalchemy import Connection, text

from pierhead.bootstrap.credentials import load_or_create
from pierhead.bootstrap.dialects import Dialects, Told, dialects
from pierhead.bootstrap.watching import watching
from pierhead.core.identities import User
from pierhead.core.principals import AccessKey, Principal
from pierhead.core.reference import Operation, Place, Style
from pierhead.dialects.signing import sign
from pierhead.dialects.watch import Watch
from pierhead.operations.accounts import wire_password
from pierhead.settings import Settings
from pierhead.store import db, keys, users

Json = dict[str, Any]
MOCK = {"x-pierhead-mock": "true"}
_HOST = "hub.test:8080"


@dataclass(frozen=True)
class Said:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Json:
        return json.loads(self.text)

    @property
    def code(self) -> str:
        return str(self.json.get("Code", ""))


@dataclass(frozen=True)
class Sent:
    """A request before it is signed; a query of pairs is for apps that take names more than once."""

    method: str
    path: str
    query: Mapping[str, str] | list[tuple[str, str]] = field(default_factory=dict[str, str])
    content: bytes = b""
    version: str = ""


@dataclass
class House:
    """The apps, and who may call them."""

    world: World
    apps: Dialects
    watch: Watch
    root: AccessKey
    stranger: AccessKey  #: a user who may do nothing
    password: str
    next_hub: Callable[[], AbstractAsyncContextManager[Dialects]]  #: on the same folder
    login: str = ""
    account: str = ""

    async def log_in(self) -> None:
        body = {"accountName": self.account, "password": wire_password(self.password)}
        login = Sent("PUT", "/zstack/v1/accounts/login", {}, _json({"logInByAccount": body}))
        said = await self.send(self.apps.zstack, login)
        self.login = said.json["inventory"]["uuid"]

    async def rows(self) -> dict[str, int]:
        """Rows of every table, once all that was noted is written."""
        await self.watch.settle()
        return await self.world.db.read(_rows)

    async def call(
        self,
        operation: Operation,
        given: Mapping[str, Any] | None = None,
        *,
        headers: Mapping[str, str] = MOCK,
        key: AccessKey | None = None,
        flat: bool = False,
    ) -> Said:
        """One call of an operation, its example unless others are given."""
        values = dict(operation.example if given is None else given)
        if operation.style is Style.ZSTACK:
            return await self._zstack(operation, values, headers, flat=flat)
        signed = self._roa if operation.style is Style.ROA else self._rpc
        return await signed(operation, values, headers, key or self.root)

    async def _roa(
        self, operation: Operation, values: Json, headers: Mapping[str, str], key: AccessKey
    ) -> Said:
        path, query, body = parts(operation, values)
        query = {name: _in_query(value) for name, value in query.items()}
        content = json.dumps(body).encode() if body else b""
        sent = Sent(operation.method, path, query, content, "2021-07-01")
        return await self.signed(self.apps.eas, sent, headers, key)

    async def _rpc(
        self, operation: Operation, values: Json, headers: Mapping[str, str], key: AccessKey
    ) -> Said:
        query = {name: _in_query(value) for name, value in values.items()}
        named = {"x-acs-action": operation.id, **headers}
        sent = Sent("POST", "/", query, b"", operation.version)
        return await self.signed(self.apps.ram, sent, named, key)

    async def signed(
        self, app: Any, sent: Sent, headers: Mapping[str, str], key: AccessKey, nonce: str = ""
    ) -> Said:
        given = {"host": _HOST, "x-acs-version": sent.version}
        assert isinstance(sent.query, Mapping)
        named = {name: value for name, value in headers.items() if name.startswith("x-acs")}
        signed = sign.sign_v3(
            sent.method,
            sent.path,
            sent.query,
            {**given, **named},
            sent.content,
            key,
            date=time.time(),
            nonce=nonce or secrets.token_hex(16),
        )
        return await self.send(app, sent, {**signed, **headers})

    async def _zstack(
        self, operation: Operation, values: Json, headers: Mapping[str, str], *, flat: bool
    ) -> Said:
        path, query, inner = parts(operation, values)
        pairs = [(name, each) for name, value in query.items() for each in _each(value)]
        body: Any = None
        if operation.wrapper:
            body = inner if flat else {operation.wrapper: inner}
        given = {"authorization": f"OAuth {self.login}", **headers}
        sent = Sent(operation.method, path, pairs, b"" if body is None else _json(body))
        return await self.send(self.apps.zstack, sent, given)

    async def send(self, app: Any, sent: Sent, headers: Mapping[str, str] = {}) -> Said:
        """One request, straight into an app."""
        content = sent.content
        query = urlencode(sent.query) if isinstance(sent.query, list) else sign.encode(sent.query)
        given = {"host": _HOST, "content-length": str(len(content)), **headers}
        scope: Json = {
            "type": "http",
            "method": sent.method,
            "path": sent.path,
            "raw_path": sent.path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "scheme": "http",
            "client": ("127.0.0.1", 4711),
            "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in given.items()],
        }
        came: list[Any] = []

        async def receive() -> Json:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            came.append(message)

        await app(scope, receive, send)
        start, rest = came
        told = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
        return Said(start["status"], told, rest["body"].decode())


def parts(operation: Operation, values: Mapping[str, Any]) -> tuple[str, Json, Json]:
    """Path, query and body of a call."""
    places = {one.name: one.place for one in operation.parameters}
    path, query, body = operation.path, Json(), Json()
    for name, value in values.items():
        place = places.get(name, Place.BODY)
        if place is Place.PATH:
            path = path.replace(f"{{{name}}}", quote(str(value), safe=""))
        elif place is Place.QUERY:
            query[name] = value
        else:
            body[name] = value
    return path, query, body


def _in_query(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _each(value: Any) -> list[str]:
    several: list[Any] = value if isinstance(value, list) else [value]  # pyright: ignore[reportUnknownVariableType]
    return [_in_query(one) for one in several]


def _json(body: Any) -> bytes:
    return json.dumps(body).encode()


def _rows(tx: Connection) -> dict[str, int]:
    names = tx.execute(text("select name from sqlite_master where type = 'table'")).scalars().all()
    return {name: tx.execute(text(f'select count(*) from "{name}"')).scalar_one() for name in names}


def _unheard(_operation: str, _code: str, _seconds: float) -> None:
    """Nobody counts here."""


def play(folder: Path, scene: Callable[[House], Coroutine[Any, Any, None]]) -> None:
    """A scene in a house of its own."""
    settings = Settings(data_dir=folder)
    credentials = load_or_create(settings)
    world = World(db.sqlite_url(folder / "pierhead.db"), folder)
    platform = replace(world.platform, clock=time.time, account=credentials.account)
    stranger = Principal(credentials.account, "2" * 18, "user", "nobody")
    key = AccessKey("LTAI5tStrangerOfTheTests", "SecretOfAStranger", stranger)

    async def whole() -> None:
        await world.begin()
        await world.db.write(users.add, User(stranger.id, stranger.name))
        for one in (credentials.key, key):
            await world.db.write(keys.put, world.platform.box, one)
        async with watching(platform, settings) as watch, AsyncExitStack() as ending:

            def hub() -> AbstractAsyncContextManager[Dialects]:
                return dialects(platform, settings, credentials, Told(_unheard, watch))

            apps = await ending.enter_async_context(hub())
            house = House(
                world,
                apps,
                watch,
                credentials.key,
                key,
                credentials.zstack_password,
                hub,
                account=credentials.zstack_account,
            )
            await house.log_in()
            await scene(house)

    try:
        asyncio.run(whole())
    finally:
        world.db.close()
