"""The console's own paths behind the front door, with the real dialects, on a port over a real store."""

import asyncio
import http.client
import json
import secrets
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from socket import socket
from typing import Any, cast

import uvicorn
from front_door import an_inside
from on_port import BACKLOG, Server
from ram_world import Clock

from builders import BOX, ROOT
from made_database import made_sqlite
from pierhead.bootstrap.credentials import Credentials
from pierhead.bootstrap.dialects import Told, dialects
from pierhead.core.principals import AccessKey
from pierhead.core.specs import BUILT_IN
from pierhead.dialects.signing import sign
from pierhead.dialects.watch import Watch
from pierhead.listener import listen
from pierhead.operations.lockout import Lockout, Rules
from pierhead.operations.platform import Platform
from pierhead.runtimes.fake import FakeRuntime
from pierhead.settings import Settings
from pierhead.store import keys
from pierhead.store.db import Database
from pierhead.web.app import FrontDoor
from ram_clients import Json, NewSdk

PASSWORD = "the password of the tests"
KEY = AccessKey("LTAI5tRootOfTheTests0001", "RootSecretOfTheTests", ROOT)
API = "/console/api"
CONSOLE = {"X-Pierhead-Console": "1"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: Json
    cookies: tuple[str, ...]  #: the headers Set-Cookie

    @property
    def code(self) -> str:
        return self.body.get("Code", "")


@dataclass
class World:
    """A platform with one account, and a console."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    port: int = 0
    acts: list[tuple[Any, Any, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        url = made_sqlite(self.folder / "pierhead.db")
        self.db = Database(url, box=BOX)
        self.settings = Settings(data_dir=self.folder)
        self.platform = Platform(
            db=self.db,
            runtime=FakeRuntime(self.clock),
            templates=BUILT_IN,
            wake=lambda _service: None,
            clock=self.clock,
            entropy=secrets.token_bytes,
            account=ROOT.account,
            region="local",
            gateway="http://127.0.0.1:8090",
            box=BOX,
        )
        self.watch = Watch(
            note=lambda act, who, source: self.acts.append((act, who, source)),
            passwords=Lockout(Rules(failures=3, first=30.0, names=100)),
            keys=Lockout(Rules(failures=0)),
        )

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def root(self) -> NewSdk:
        return NewSdk(self.address, cast(Any, _Keys(KEY.id, KEY.secret)))

    def user(self, name: str, *actions: str, password: str = PASSWORD) -> None:
        """A user who may do so much; without a password it has no login profile."""
        self.root("CreateUser", UserName=name)
        if password:
            self.root("CreateLoginProfile", UserName=name, Password=password)
        if actions:
            statement = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
            document = json.dumps({"Version": "1", "Statement": [statement]})
            self.root("CreatePolicy", PolicyName=f"of-{name}", PolicyDocument=document)
            self.root(
                "AttachPolicyToUser", UserName=name, PolicyName=f"of-{name}", PolicyType="Custom"
            )

    def send(
        self,
        method: str,
        path: str,
        body: object = None,
        headers: Mapping[str, str] = {},
    ) -> Answer:
        """One request; bytes go as they are, whatever else as JSON."""
        content = body if isinstance(body, bytes) else b"" if body is None else _json(body)
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, content, dict(headers))
            found = connection.getresponse()
            text = found.read()
        finally:
            connection.close()
        shown = {name.lower(): value for name, value in found.getheaders()}
        cookies = tuple(found.headers.get_all("set-cookie") or ())
        told = json.loads(text) if text[:1] == b"{" else {"Text": text.decode()}
        return Answer(found.status, shown, told, cookies)

    def log_in(self, **body: str) -> "Browser":
        """A browser with a session: `UserName` and `Password`, or another of the ways in."""
        found = self.send("POST", f"{API}/login", body, CONSOLE)
        assert found.status == 200, found
        return Browser(self, found.cookies[0].partition(";")[0], found.body["Csrf"], found.body)

    def signed(self, path: str, key: AccessKey, *, secret: str = "") -> Answer:
        """A GET of the EAS API; with `secret` one that was signed with another than the key's."""
        signer = replace(key, secret=secret or key.secret)
        headers = {
            "host": self.address,
            "x-acs-action": "ListServices",
            "x-acs-version": "2021-07-01",
        }
        target, _, query = path.partition("?")
        pairs = dict(part.split("=") for part in query.split("&")) if query else {}
        made = sign.sign_v3(
            "GET", target, pairs, headers, b"", signer, date=time.time(), nonce=secrets.token_hex()
        )
        return self.send("GET", path, None, made)


@dataclass(frozen=True, slots=True)
class Browser:
    """Somebody with a session."""

    world: World
    cookie: str  #: the header
    csrf: str
    session: Json

    def get(self, path: str) -> Answer:
        return self.world.send("GET", f"{API}{path}", None, {"Cookie": self.cookie})

    def post(self, path: str, body: object = None, **headers: str) -> Answer:
        """A POST as the pages send it; `headers` with `_` for `-`, "" for none."""
        own = {"Cookie": self.cookie, "X-Pierhead-Csrf": self.csrf}
        own |= {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in own.items() if value}
        return self.world.send("POST", f"{API}{path}", body, sent)

    def credential(self) -> AccessKey:
        """What the pages sign with."""
        found = self.post("/credential", {})
        assert found.status == 200, found
        return AccessKey(
            found.body["AccessKeyId"],
            found.body["AccessKeySecret"],
            ROOT,
            session_token=found.body["SecurityToken"],
        )


@dataclass(frozen=True, slots=True)
class _Keys:
    id: str
    secret: str = field(repr=False)
    token: str = ""


def _json(body: object) -> bytes:
    return json.dumps(body).encode()


@contextmanager
def serving(world: World) -> Generator[World]:
    """The world on a port, put together as bootstrap does it."""
    listener = listen("127.0.0.1", 0, BACKLOG)
    world.port = listener.getsockname()[1]
    servers: list[Server] = []
    started = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(world, listener, servers, started)))
    thread.start()
    try:
        assert started.wait(20)
        assert servers[0].up.wait(20)
        yield world
    finally:
        for server in servers:
            server.end()
        thread.join(20)
        listener.close()
        world.db.close()


async def _serve(
    world: World, listener: socket, servers: list[Server], started: threading.Event
) -> None:
    await world.db.write(keys.put_filed, BOX, KEY, world.clock())
    credentials = Credentials(ROOT.account, KEY, "internal", b"e" * 32, "admin", PASSWORD)
    inside = an_inside()
    told = Told(lambda _action, _code, _seconds: None, world.watch)
    async with dialects(world.platform, world.settings, credentials, told) as doors:
        front = FrontDoor(inside, doors.eas, doors.zstack, doors.ram, doors.console)
        config = uvicorn.Config(
            cast(Any, front), log_config=None, lifespan="off", proxy_headers=False
        )
        server = Server(config)
        servers.append(server)
        started.set()
        await server.serve([listener])
