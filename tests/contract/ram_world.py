"""RAM and STS behind the front door, on a real port over a real store; only the other dialects are stubs."""

import asyncio
import http.client
import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from admin_hash import put_known_admin
from front_door import an_inside
from on_port import Parser, on_port
from starlette.responses import PlainTextResponse

from builders import ACCOUNT, BOX, ROOT
from pierhead.bootstrap.dialects import twins
from pierhead.core.audit import Act, Source
from pierhead.core.policy import Request
from pierhead.core.principals import AccessKey, Principal
from pierhead.core.specs import BUILT_IN
from pierhead.dialects.bodies import BodyLimits
from pierhead.dialects.ram import handlers
from pierhead.dialects.ram.app import Doors, RamApp
from pierhead.dialects.ram.catalog import load
from pierhead.dialects.signing import sign
from pierhead.dialects.signing.callers import Callers
from pierhead.dialects.watch import Watch
from pierhead.operations import identity
from pierhead.operations.accounts import Hashing
from pierhead.operations.authority import Authority
from pierhead.operations.key_ring import KeyRing
from pierhead.operations.permission import Permission
from pierhead.operations.platform import Platform
from pierhead.runtimes.fake import FakeRuntime
from pierhead.store import keys
from pierhead.store.db import Database
from pierhead.web.app import FrontDoor
from ram_clients import Json, Keys, NewSdk, OldSdk

KEY = AccessKey("LTAI5tRootOfTheTests0001", "RootSecretOfTheTests", ROOT)
ROOT_KEYS = Keys(KEY.id, KEY.secret)
VERSIONS = {action: version for version, action in load().operations}
BODY_LIMIT = 64 * 1024


@dataclass
class Clock:
    """The real time, moved."""

    offset: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.offset


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: Json

    @property
    def code(self) -> str:
        return self.body.get("Code", "")


@dataclass
class World:
    """A platform with one account, and clients of it."""

    url: str
    options: sign.Options = field(default_factory=sign.Options)
    clock: Clock = field(default_factory=Clock)
    port: int = 0
    answered: list[tuple[str, str]] = field(default_factory=list)
    acts: list[tuple[Act, Principal | None, Source]] = field(default_factory=list)
    #: Raised by the next handler, in place of its answer.
    fails: Exception | None = None

    def __post_init__(self) -> None:
        self.db = Database(self.url, box=BOX)
        self.hashing = Hashing()
        self.platform = Platform(
            db=self.db,
            runtime=FakeRuntime(self.clock),
            templates=BUILT_IN,
            wake=lambda _service: None,
            clock=self.clock,
            entropy=secrets.token_bytes,
            account=ACCOUNT,
            region="local",
            gateway="http://127.0.0.1:8090",
            box=BOX,
        )
        asyncio.run(self._prepare())

    async def _prepare(self) -> None:
        await self.db.write(keys.put_filed, BOX, KEY, time.time())
        await put_known_admin(self.platform, "the password of the tests")

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def new_sdk(self, who: Keys = ROOT_KEYS, algorithm: str = "") -> NewSdk:
        return NewSdk(self.address, who, algorithm)

    def old_sdk(self, who: Keys = ROOT_KEYS) -> OldSdk:
        return OldSdk(self.address, who)

    def user(self, name: str, *statements: Mapping[str, Any]) -> Keys:
        """The keys of a new user with one policy of these statements."""
        root = self.new_sdk()
        root("CreateUser", UserName=name)
        if statements:
            document = json.dumps({"Version": "1", "Statement": list(statements)})
            root("CreatePolicy", PolicyName=f"of-{name}", PolicyDocument=document)
            root("AttachPolicyToUser", UserName=name, PolicyName=f"of-{name}", PolicyType="Custom")
        return keys_of(root("CreateAccessKey", UserName=name)["AccessKey"])

    def app(self) -> FrontDoor:
        """The front door as bootstrap builds it, over stubs of the other dialects."""
        ring = KeyRing(self.platform)
        authority = Authority(self.platform)
        permission = Permission(self.platform, authority, twins())

        async def authorize(principal: Principal, requests: Sequence[Request]) -> None:
            for request in requests:
                await authority.demand(principal, request)

        callers = Callers(
            find_key=ring.find,
            find_bearer=lambda token: identity.bearer(self.platform, token),
            record_nonce=ring.nonces.use,
            clock=self.clock,
            options=self.options,
            nonce_seconds=1800.0,
            read=sign.read_rpc_style,
        )
        doors = Doors(
            callers=callers,
            authorize=authorize,
            permit=permission.ask,
            clock=self.clock,
            entropy=secrets.token_bytes,
            answered=lambda action, code, _seconds: self.answered.append((action, code)),
            watch=Watch(note=lambda act, who, source: self.acts.append((act, who, source))),
        )
        table = {
            name: self._or_failing(handler)
            for name, handler in handlers.table(permission, self.hashing).items()
        }
        inside = an_inside()
        ram = RamApp(doors, table, BodyLimits(BODY_LIMIT, seconds=2.0))
        return FrontDoor(inside, PlainTextResponse("eas"), PlainTextResponse("zstack"), ram)

    def _or_failing(self, handler: handlers.Handler) -> handlers.Handler:
        async def handle(call: Any) -> Json:
            if self.fails is not None:
                raise self.fails
            return await handler(call)

        return handle

    # ---- by hand, for what no SDK sends --------------------------------------------------------

    def send(
        self,
        method: str,
        target: str,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes | Iterator[bytes] = b"",
    ) -> Answer:
        """Bytes as they are."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers:
                connection.putheader(name, value)
            if isinstance(body, bytes) and "content-length" not in dict(headers):
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        shown = {name.lower(): value for name, value in answer.getheaders()}
        json_type = shown.get("content-type", "").startswith("application/json")
        return Answer(
            answer.status, shown, json.loads(content) if json_type else {"Text": content.decode()}
        )

    def v3(
        self,
        action: str,
        parameters: Mapping[str, str] = {},
        *,
        key: AccessKey = KEY,
        headers: Mapping[str, str] = {},
        age: float = 0.0,
        nonce: str = "",
    ) -> Answer:
        """A call signed with ACS3-HMAC-SHA256."""
        given = {
            "host": self.address,
            "x-acs-action": action,
            "x-acs-version": VERSIONS.get(action, "2015-05-01"),
            **headers,
        }
        signed = sign.sign_v3(
            "POST",
            "/",
            parameters,
            given,
            b"",
            key,
            date=self.clock() - age,
            nonce=nonce or secrets.token_hex(16),
        )
        query = sign.encode(parameters)
        return self.send("POST", f"/?{query}" if query else "/", list(signed.items()))

    def rpc(
        self,
        action: str,
        parameters: Mapping[str, str] = {},
        *,
        key: AccessKey = KEY,
        method: str = "GET",
        form: bool = False,
        age: float = 0.0,
        nonce: str = "",
        changed: Mapping[str, str | None] = {},
    ) -> Answer:
        """A call signed with HMAC-SHA1; `changed` is what is sent instead of what was signed."""
        given = {
            "Action": action,
            "Version": VERSIONS.get(action, "2015-05-01"),
            "Format": "JSON",
            **parameters,
        }
        signed = sign.sign_rpc(
            method, given, key, date=self.clock() - age, nonce=nonce or secrets.token_hex(16)
        )
        sent = {name: value for name, value in {**signed, **changed}.items() if value is not None}
        text = sign.encode(sent)
        host = ("host", self.address)
        if not form:
            return self.send(method, f"/?{text}", [host])
        kind = ("content-type", "application/x-www-form-urlencoded")
        return self.send(method, "/", [host, kind], text.encode())


def keys_of(shown: Mapping[str, str]) -> Keys:
    """The keys in an answer of CreateAccessKey or AssumeRole."""
    return Keys(shown["AccessKeyId"], shown["AccessKeySecret"], shown.get("SecurityToken", ""))


def as_key(keys: Keys) -> AccessKey:
    """Keys, for signing by hand."""
    return AccessKey(keys.id, keys.secret, ROOT, session_token=keys.token)


@contextmanager
def serving(world: World, parser: Parser = "httptools") -> Iterator[World]:
    """The world on a port."""
    try:
        with on_port(world.app(), parser) as world.port:
            yield world
    finally:
        world.hashing.close()
        world.db.close()
