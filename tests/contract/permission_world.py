"""Both doors over one real store, with users, roles and policies: who is let through, and to what.

Signatures are not what is tested here: everybody has a bearer token and a login that are called like
themselves. The engine is `FakeRuntime`; everything between it and the doors is the product's own.
"""

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from registry_world import World

from builders import ACCOUNT, ROOT, a_service
from pierhead.bootstrap.dialects import twins
from pierhead.core.errors import LoginExpired
from pierhead.core.identities import Attachment, PolicyKind, PolicyRecord, Role, TargetKind, User
from pierhead.core.principals import ROLE, USER, AccessKey, BearerToken, LoginSession, Principal
from pierhead.core.services import Registration, Seen, Service
from pierhead.dialects.eas import app as eas_door
from pierhead.dialects.eas.handlers import Handlers
from pierhead.dialects.zstack import handlers as zstack_handlers
from pierhead.dialects.zstack.app import ZStackApp
from pierhead.dialects.zstack.calls import Doors, Options, Signed
from pierhead.dialects.zstack.catalog import load
from pierhead.dialects.zstack.handlers.identity import Identity
from pierhead.operations.accounts import ADMIN_UUID, Hashing
from pierhead.operations.authority import Authority
from pierhead.operations.jobs import Jobs
from pierhead.operations.logins import Logins
from pierhead.operations.permission import Permission
from pierhead.runtimes.fake import FakeRuntime
from pierhead.store import grants, policies, roles, users
from pierhead.store import seen as seen_rows
from pierhead.store import services as service_rows

Json = dict[str, Any]
FULL = "AdministratorAccess"


@dataclass(frozen=True)
class Said:
    """An answer of either door."""

    status: int
    body: Json
    code: str  #: "OK", or the door's error code

    @property
    def allowed(self) -> bool:
        """Whatever became of it: was it let through?"""
        return self.code not in {"Forbidden.RAM", "ID.1002"}


@dataclass(frozen=True)
class Grant:
    """A policy that somebody gets: shipped by name, or statements of one's own."""

    statements: tuple[Json, ...] = ()
    name: str = ""
    workspace: str = ""


def allow(*actions: str, on: Any = "*", **more: Any) -> Json:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def deny(*actions: str, on: Any = "*", **more: Any) -> Json:
    return {"Effect": "Deny", "Action": list(actions), "Resource": on, **more}


def policy(*statements: Json, workspace: str = "") -> Grant:
    return Grant(statements, workspace=workspace)


def shipped(name: str, workspace: str = "") -> Grant:
    return Grant(name=name, workspace=workspace)


@dataclass
class House:
    """A platform after its first start, and its two doors."""

    world: World
    known: dict[str, Principal] = field(default_factory=lambda: {"root": ROOT})
    #: (operation or API, principal's name) of calls that a stub was reached by.
    reached: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    client: str = "127.0.0.1"  #: address that calls come from
    scheme: str = "http"
    stubs: bool = False  #: handlers only note that they were reached
    policies: int = 0

    def __post_init__(self) -> None:
        self.platform = replace(self.world.platform, runtime=FakeRuntime(self.world.clock))
        self.permission = Permission(self.platform, Authority(self.platform), twins())
        self.jobs, self.hashing = Jobs(self.platform), Hashing()
        self.eas_app, self.zstack_app = self._eas(), self._zstack()

    # ---- who there is

    async def user(self, name: str, *given: Grant) -> Principal:
        """A user with these policies, who may call under this name."""
        id_ = f"2{len(self.known):017}"
        await self.world.db.write(users.add, User(id_, name))
        principal = Principal(ACCOUNT, id_, USER, name)
        await self.give(name, "User", id_, *given)
        self.known[name] = principal
        return principal

    async def role(self, name: str, *given: Grant, session: str = "") -> Principal:
        """An assumed role; `session` is the session's own policy."""
        id_ = f"3{len(self.known):017}"
        await self.world.db.write(roles.add, Role(id_, name, trust="{}"))
        await self.give(name, "Role", id_, *given)
        principal = Principal(ACCOUNT, f"{id_}:ses", ROLE, f"{name}/ses", session)
        self.known[name] = principal
        return principal

    async def give(self, name: str, kind: TargetKind, id_: str, *given: Grant) -> None:
        """More policies for somebody."""
        for one in given:
            custom: PolicyKind = "System" if one.name else "Custom"
            called = one.name or self._name()
            if not one.name:
                text = json.dumps({"Version": "1", "Statement": list(one.statements)})
                record = PolicyRecord(called, "Custom", document=text)
                await self.world.db.write(policies.add, record)
            attachment = Attachment(called, custom, name, kind, one.workspace)
            assert await self.world.db.write(grants.attach, id_, attachment)

    def _name(self) -> str:
        self.policies += 1
        return f"p{self.policies}"

    # ---- what there is

    async def service(self, name: str, **fields: Any) -> Service:
        """A service, seen, with one event and one line in its log."""
        title = fields.pop("title", "")
        made = a_service(name=name, registration=Registration(title=title), **fields)
        await self.world.db.write(service_rows.add, made)
        await self.world.db.write(seen_rows.save, made.id, Seen(revision=1))
        return made

    # ---- the doors

    async def eas(self, who: str, method: str, target: str, body: Any = None) -> Said:
        """One request to the EAS door."""
        content = b"" if body is None else json.dumps(body).encode()
        headers = {
            "host": "h",
            "x-acs-bearer-token": who,
            "x-acs-signature-type": "BEARERTOKEN",
            "x-acs-date": _iso(self.world.clock()),
            "x-acs-content-sha256": hashlib.sha256(content).hexdigest(),
        }
        status, raw = await self._send(self.eas_app, method, target, headers, content)
        answer = json.loads(raw)
        return Said(status, answer, answer.get("Code", "OK"))

    async def rpc(self, who: str, api: str, params: Mapping[str, Any] | None = None) -> Said:
        """One message to the ZStack door."""
        message = f"API{api}Msg"
        body = {message: {**(params or {}), "session": {"uuid": who}}}
        status, raw = await self._send(
            self.zstack_app, "POST", "/zstack/api", {"host": "h"}, json.dumps(body).encode()
        )
        if status != 200:
            return Said(status, {"text": raw.decode()}, str(status))
        answer = json.loads(raw)
        while answer["state"] != "Done":  # a job that takes longer than the door waits
            await asyncio.sleep(0.01)
            target = f"/zstack/api/result/{answer['uuid']}"
            _, raw = await self._send(self.zstack_app, "GET", target, {"host": "h"}, b"")
            answer = json.loads(raw)
        (inside,) = json.loads(answer["result"]).values()
        return Said(200, inside, "OK" if inside["success"] else inside["error"]["code"])

    async def rest(
        self, who: str, method: str, target: str, body: Any = None, **headers: str
    ) -> Said:
        """One request to the ZStack door's other half; `target` is below /zstack/v1."""
        content = b"" if body is None else json.dumps(body).encode()
        given = {"host": "h", **({"authorization": f"OAuth {who}"} if who else {})}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        status, raw = await self._send(
            self.zstack_app, method, f"/zstack/v1{target}", given, content
        )
        try:
            answer = json.loads(raw)
        except ValueError:
            return Said(status, {"text": raw.decode()}, str(status))
        error: Json | None = answer.get("error")
        return Said(status, answer, error["code"] if error else "OK")

    async def _send(
        self, app: Any, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        path, _, query = target.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "scheme": self.scheme,
            "client": (self.client, 4000),
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        sent: list[Json] = []

        async def receive() -> Json:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await app(scope, receive, send)
        return sent[0]["status"], sent[1]["body"]

    def _eas(self) -> eas_door.EasApp:
        async def find_key(_key: str) -> AccessKey | None:
            return None

        async def find_bearer(token: str) -> BearerToken | None:
            known = self.known.get(token)
            return None if known is None else BearerToken("", known)

        async def record_nonce(_key: str, _nonce: str, _expires: float) -> bool:
            return True

        doors = eas_door.Doors(
            find_key=find_key,
            find_bearer=find_bearer,
            record_nonce=record_nonce,
            authorize=self.permission.ask,
            clock=self.world.clock,
            entropy=self.platform.entropy,
            region="local",
        )
        table: Mapping[str, eas_door.Handler] = Handlers(self.platform).table()
        if self.stubs:
            known = eas_door.load().operations
            table = {one.id: self._stub(one.id) for one in known if one.tier != "3"}
        return eas_door.EasApp(doors, table)

    def _zstack(self) -> ZStackApp:
        async def find_login(uuid: str) -> LoginSession:
            if uuid not in self.known:
                raise LoginExpired("The session is invalid or has expired: log in again.")
            now = self.world.clock()
            return LoginSession("", self.known[uuid], ADMIN_UUID, now, now + 60)

        async def judge(_signed: Signed) -> Principal:
            raise AssertionError("nothing is signed here")

        async def check_webhook(_url: str) -> None:
            """No webhooks."""

        doors = Doors(
            find_login=find_login,
            judge_signature=judge,
            authorize=self.permission.ask,
            jobs=self.jobs,
            check_webhook=check_webhook,
            clock=self.world.clock,
            entropy=self.platform.entropy,
        )
        identity = Identity(self.platform, Logins(self.platform, self.hashing))
        table = zstack_handlers.table(self.platform, identity, Options())
        if self.stubs:
            table = {name: self._stub(name) for name in table}
        return ZStackApp(doors, table)

    def _stub(self, name: str) -> Any:
        """Notes that it was reached, and answers as little as the wire allows."""

        async def reached(call: Any) -> Json:
            self.reached.append((name, call.principal.name or "root"))
            if name not in load().apis:
                return {}
            response = load().apis[name].response
            empty: Json = {
                "inventories": [],
                "results": [],
                "inventory": {"uuid": "x"},
                "valid": True,
            }
            return {key: value for key, value in empty.items() if key in response}

        return reached

    async def close(self) -> None:
        """Waits for jobs."""
        await self.zstack_app.close(5)
        self.hashing.close()


Scene = Callable[[House], Coroutine[Any, Any, None]]


def play_house(url: str, folder: Path, scene: Scene, *, stubs: bool = False) -> None:
    """A scene in a house of its own."""
    world = World(url, folder)

    async def whole() -> None:
        await world.begin()
        house = House(world, stubs=stubs)
        try:
            await scene(house)
        finally:
            await house.close()

    try:
        asyncio.run(whole())
    finally:
        world.db.close()


def _iso(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
