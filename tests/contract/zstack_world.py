"""A small platform behind the ZStack app: doors, jobs and a few real handlers, all in memory."""

import asyncio
import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, cast

from on_port import on_port
from sqlalchemy import Connection

from pierhead.core import errors as core
from pierhead.core.jobs import DuplicateJob, Job, JobState
from pierhead.core.permits import Deed
from pierhead.core.principals import AccessKey, LoginSession, Principal
from pierhead.core.query import Query, rows_of
from pierhead.dialects.bodies import BodyLimits
from pierhead.dialects.zstack.app import ZStackApp
from pierhead.dialects.zstack.calls import Call, Doors, Handler, Options
from pierhead.dialects.zstack.catalog import load
from pierhead.dialects.zstack.kinds import kinds
from pierhead.dialects.zstack.signature import Judge
from pierhead.dialects.zstack.times import time_text

NOW = 1_795_289_242.0
ACCOUNT = "36c27e8ff05c4780bf6d2fa65700f22e"
ADMIN = Principal("1234567890123456", "1234567890123456")
STRANGER = Principal("9999999999999999", "9999999999999999", kind="user")
LOGIN = "94bbe70174ab4a82b939bc5976a16f5b"
STRANGERS_LOGIN = "80556d8faeb04926ae5229d15dde1420"
CENTER = "4e250a4a75705a708bca567882f72dd4"
ZONE = "019568134b9e5638acc707fc61b0fda4"
TEMPLATE = "0123456789ab4def8123456789abcdef"
PASSWORD = hashlib.sha512(b"password").hexdigest()
KEY = AccessKey("testAccessKeyId0001", "testAccessKeySecret0001", ADMIN)
ALLOWED_HOOK = "http://hooks.example/"
Json = dict[str, Any]


def login_of(principal: Principal) -> LoginSession:
    return LoginSession("", principal, ACCOUNT, NOW, NOW + 7200)


@dataclass
class MemoryJobs:
    """The job rows as the app knows them."""

    rows: dict[str, Job] = field(default_factory=dict[str, Job])
    committed: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    async def begin(
        self, job: str, api: str, principal: Principal | None, webhook: str = ""
    ) -> None:
        if job in self.rows:
            raise DuplicateJob(job)
        caller = principal.id if principal else ""
        self.rows[job] = Job(job, api, caller, NOW, NOW + 10_800, webhook=webhook)

    def commit(self, tx: Connection, job: str, uuid: str) -> None:
        self.committed.append((job, uuid))

    async def finish(self, job: str, state: JobState, answer: Mapping[str, Any]) -> None:
        # What is stored is JSON: an answer that is none must fail here already.
        told = json.loads(json.dumps(answer))
        self.rows[job] = replace(self.rows[job], state=state, answer=told, finished=NOW + 1)

    async def find(self, job: str) -> Job | None:
        return self.rows.get(job)


@dataclass
class World:
    """What the app is asked to do, and what was seen of it."""

    options: Options = field(default_factory=Options)
    clock: Any = lambda: NOW
    jobs: MemoryJobs = field(default_factory=MemoryJobs)
    calls: list[Call] = field(default_factory=list[Call])
    asked: list[tuple[tuple[str, ...], tuple[str, ...]]] = field(
        default_factory=list[tuple[tuple[str, ...], tuple[str, ...]]]
    )
    deeds: list[Deed] = field(default_factory=list[Deed])
    figures: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    logins: dict[str, LoginSession] = field(
        default_factory=lambda: {LOGIN: login_of(ADMIN), STRANGERS_LOGIN: login_of(STRANGER)}
    )
    rows: dict[str, Json] = field(default_factory=lambda: {TEMPLATE: row(TEMPLATE, "one")})
    fails: Exception | None = None
    gate: asyncio.Event | None = None  #: of calls that name themselves `slow`
    counter: int = 0

    @property
    def changed(self) -> bool:
        """Was a handler of a changing API run?"""
        return any(call.query is None for call in self.calls)

    def app(self) -> ZStackApp:
        async def find_login(uuid: str) -> LoginSession:
            if uuid not in self.logins:
                raise core.LoginExpired("The session is invalid or has expired: log in again.")
            return self.logins[uuid]

        async def find_key(key: str) -> AccessKey | None:
            return KEY if key == KEY.id else None

        async def authorize(principal: Principal, deed: Deed) -> Principal:
            told = tuple(target.told[1] for target in deed.targets)
            self.asked.append((deed.actions, told))
            self.deeds.append(deed)
            if principal == STRANGER:
                raise core.Forbidden(deed.actions[0], told[0])
            return principal

        async def check_webhook(url: str) -> None:
            if not url.startswith(ALLOWED_HOOK):
                raise core.Invalid("X-Web-Hook", f"[{url}] is not allowed")

        doors = Doors(
            find_login=find_login,
            judge_signature=Judge(find_key, self.clock),
            authorize=authorize,
            jobs=self.jobs,
            check_webhook=check_webhook,
            clock=self.clock,
            entropy=self.entropy,
            answered=lambda api, code, _seconds: self.figures.append((api, code)),
        )
        return ZStackApp(doors, self.handlers(), self.options)

    def entropy(self, count: int) -> bytes:
        self.counter += 1
        return self.counter.to_bytes(count, "big")

    def handlers(self) -> dict[str, Handler]:
        """Some that do something, for all other supported APIs one that says nothing."""
        own = {
            "GetVersion": self.version,
            "LogInByAccount": self.log_in,
            "LogOut": self.log_out,
            "ValidateSession": self.validate,
            "RenewSession": self.renew,
            "CreateAccessKey": self.create_key,
            "AddModelCenter": self.add_center,
            "AddModelService": self.add,
            "UpdateModelService": self.update,
            "DeleteModelService": self.delete,
            "DeleteModelServices": self.delete_many,
            "DeployModelService": self.deploy,
            "QueryModelService": self.query,
        }
        supported = {
            name: self.seen(self.nothing)
            for name, api in load().apis.items()
            if api.tier != 3 and name not in ("GetApiJob", "CreateZone")
        }
        return {**supported, **{name: self.seen(handler) for name, handler in own.items()}}

    def seen(self, handler: Handler) -> Handler:
        async def handle(call: Call) -> Json:
            self.calls.append(call)
            if call.params.get("name") == "slow" and self.gate is not None:
                await self.gate.wait()
            if self.fails is not None:
                raise self.fails
            return await handler(call)

        return handle

    async def nothing(self, call: Call) -> Json:
        return {"inventories": []} if call.query is not None else {}

    async def version(self, _call: Call) -> Json:
        return {"version": self.options.version}

    async def log_in(self, call: Call) -> Json:
        if (call.params["accountName"], call.params["password"]) != ("admin", PASSWORD):
            raise core.WrongLogin("The account name or the password is wrong.")
        uuid = self.entropy(16).hex()
        self.logins[uuid] = login_of(ADMIN)
        return {"inventory": session(uuid)}

    async def log_out(self, call: Call) -> Json:
        self.logins.pop(call.params["sessionUuid"], None)
        return {}

    async def validate(self, call: Call) -> Json:
        return {"valid": call.params["sessionUuid"] in self.logins}

    async def renew(self, call: Call) -> Json:
        return {"inventory": session(call.params["sessionUuid"])}

    async def create_key(self, call: Call) -> Json:
        call.also(cast(Connection, None), "k")
        return {"inventory": {"uuid": "k", "AccessKeyID": "id", "AccessKeySecret": "s3cret"}}

    async def add_center(self, call: Call) -> Json:
        uuid = self.entropy(16).hex()
        return {"inventory": {**call.params, "uuid": uuid, "status": "Connected", **dates()}}

    async def add(self, call: Call) -> Json:
        uuid = call.extras.uuid or self.entropy(16).hex()
        if uuid in self.rows:
            raise core.Taken("ModelServiceVO", uuid, "exists already")
        call.also(cast(Connection, None), uuid)
        self.rows[uuid] = {**row(uuid, call.params["name"]), **call.params, "uuid": uuid}
        return {"inventory": self.rows[uuid]}

    async def update(self, call: Call) -> Json:
        present = self.one(call)
        call.also(cast(Connection, None), present["uuid"])
        present.update(call.params)
        return {"inventory": present}

    def one(self, call: Call) -> Json:
        if call.params["uuid"] not in self.rows:
            raise core.NotFound("ModelServiceVO", call.params["uuid"])
        return self.rows[call.params["uuid"]]

    async def delete(self, call: Call) -> Json:
        self.rows.pop(call.params["uuid"], None)
        return {}

    async def delete_many(self, call: Call) -> Json:
        return {"results": [{"uuid": uuid, "success": True} for uuid in call.params["uuids"]]}

    async def deploy(self, call: Call) -> Json:
        template = self.one(call)
        group = {
            "uuid": self.entropy(16).hex(),
            "modelServiceUuid": template["uuid"],
            "name": call.params["name"],
            "type": call.params["type"],
            "status": "Deploying",
            "modelServiceType": "Endpoint",
            "instances": [],
            "accessToken": "t0ken",
        }
        return {"inventory": {**group, **dates()}}

    async def query(self, call: Call) -> Json:
        assert call.query is not None
        found = rows_of(list(self.rows.values()), call.query, kinds(call.api.inventory))
        if call.query.count:
            return {"total": found.total}
        return {"inventories": list(found.rows), "total": found.total}


def session(uuid: str) -> Json:
    told = {"uuid": uuid, "accountUuid": ACCOUNT, "userUuid": ACCOUNT}
    return {**told, "expiredDate": time_text(NOW + 7200), "createDate": time_text(NOW)}


def dates() -> Json:
    return {"createDate": time_text(NOW), "lastOpDate": time_text(NOW)}


def row(uuid: str, name: str) -> Json:
    """A ModelServiceInventory of which everything is there."""
    return {
        **{field.name: None for field in load().inventories["ModelServiceInventory"].fields},
        **{"uuid": uuid, "name": name, "requestCpu": 1, "requestMemory": 1024, "size": 0},
        **{"system": False, "hasNewVersion": False, "supportDistributed": False},
        **{"cpuArchitectures": [], "vendorToSpecUuidsMap": {}, "type": "Endpoint"},
        "modelServiceRefs": [{"uuid": "r", "modelUuid": "m", "modelServiceUuid": uuid}],
        "modelServiceImages": [],
        **dates(),
    }


@dataclass(frozen=True)
class Said:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()

    @property
    def json(self) -> Json:
        return json.loads(self.content)

    @property
    def code(self) -> str:
        return self.json["error"]["code"]


async def ask(
    app: ZStackApp,
    method: str,
    target: str,
    body: Any = None,
    headers: Mapping[str, str | None] | None = None,
) -> Said:
    """One request, straight into the app; a header of None is left out."""
    content = (
        body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    )
    path, _, query = target.partition("?")
    given = {"authorization": f"OAuth {LOGIN}", "host": "h:1", **(headers or {})}
    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "scheme": "http",
        "headers": [
            (name.lower().encode(), value.encode("latin-1"))
            for name, value in given.items()
            if value is not None
        ],
    }
    sent: list[Any] = []

    async def receive() -> Json:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, rest = sent
    told = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return Said(start["status"], told, rest["body"])


def say(world: World, method: str, target: str, body: Any = None, **headers: str | None) -> Said:
    """`ask` of a fresh app over `world`, in a loop of its own; `x_job_uuid` is X-Job-UUID."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    async def run() -> Said:
        app = world.app()
        try:
            return await ask(app, method, target, body, named)
        finally:
            await app.close(1)

    return asyncio.run(run())


@contextmanager
def serving(app: ZStackApp) -> Iterator[int]:
    """The app on a real port, under the hub's own HTTP parser."""
    with on_port(app, ws="none") as port:
        yield port


def small_bodies() -> Options:
    """Options under which a test need not send 8 MiB."""
    return Options(limits=BodyLimits(body=4096, seconds=1.0))


def only(query: Query | None) -> Query:
    assert query is not None
    return query
