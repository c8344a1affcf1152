"""Platforms to be backed up, restored and compared, on both databases."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from builders import ACCOUNT, T0, a_service, a_version
from pierhead.bootstrap import backup as backups
from pierhead.bootstrap.audit import by_operator
from pierhead.bootstrap.credentials import load_or_create
from pierhead.bootstrap.database import migrate
from pierhead.bootstrap.storage import box
from pierhead.core.connections import Connection as Storage
from pierhead.core.connections import Keys
from pierhead.core.endpoint_tokens import EndpointToken, Limits
from pierhead.core.events import Event
from pierhead.core.jobs import Job, JobState
from pierhead.core.principals import AccessKey, BearerToken, Principal
from pierhead.core.quotas import Quota
from pierhead.core.usage import Meter, Usage
from pierhead.core.workspaces import Workspace
from pierhead.settings import Settings
from pierhead.store import (
    backup,
    connections,
    db,
    endpoint_tokens,
    events,
    facts,
    jobs,
    keys,
    quotas,
    services,
    usage,
    workspaces,
)
from pierhead.store.archive import Manifest
from postgres import PostgresServer

WORDS = "grüße, 世界, 🙂, quote's \" \\ % _ ; --\nnext line"
KINDS = ["sqlite", "postgresql"]


class World:
    """Makes platforms: a data folder and a database of either kind, the latter dropped afterwards."""

    def __init__(self, folder: Path, request: pytest.FixtureRequest) -> None:
        self._folder, self._request, self._made = folder, request, 0
        self.urls: list[str] = []

    def settings(self, kind: str) -> Settings:
        """An empty platform."""
        self._made += 1
        url = ""
        if kind == "postgresql":
            server: PostgresServer = self._request.getfixturevalue("postgres")
            url = server.database()
            self.urls.append(url)
        return Settings(data_dir=self._folder / f"platform{self._made}", database_url=url)

    def platform(self, kind: str) -> Settings:
        """A platform with twenty services, a key and some entries."""
        settings = self.settings(kind)
        migrate(settings)
        load_or_create(settings)
        run(settings, fill, settings)
        return settings

    def end(self) -> None:
        """Drop the databases."""
        for url in self.urls:
            self._request.getfixturevalue("postgres").drop(url)


def run(settings: Settings, fn: Callable[..., Any], *args: Any) -> Any:
    """`fn` in a transaction that may write, with the folder's own key."""
    engine = db.connect(settings.database, writing=True, box=box(settings))
    try:
        return db.run(engine, fn, *args)
    finally:
        engine.dispose()


def fill(tx: Connection, settings: Settings) -> None:
    for number in range(20):
        services.add(tx, a_service(name=f"svc_{number}", labels={"k": WORDS}))
        events.append(tx, Event(T0, "a" * 32, "svc", "Normal", "Made", WORDS, "me"))
    principal = Principal(account=ACCOUNT, id=ACCOUNT)
    key = AccessKey(id="LTAI5tTest", secret="s3cret", principal=principal, created=T0)
    keys.put(tx, box(settings), key)
    facts.put(tx, "fact", WORDS)
    for number in range(3):
        by_operator(settings, f"pierhead:Test{number}", "Thing/1", {"Text": WORDS})(tx)


def everything(settings: Settings) -> dict[str, list[Any]]:
    """Every row of every table, but the facts that tell of the backup itself."""

    def look(tx: Connection) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for table in backup.ours(tx):
            found[table.name] = sorted(
                json.dumps(json.loads(line)) for line in backup.lines(tx, table, {})
            )
        return found

    return run(settings, look)


def saved(settings: Settings, name: str = "a.backup", **options: Any) -> tuple[Path, Manifest]:
    path = settings.data_dir.parent / name
    return path, backups.save(settings, path, **options)


# --- secrets ---------------------------------------------------------------------------------------

SERVICE = a_service(
    name="furnished",
    token="t-of-the-service",
    current=a_version(submitted={"token": "t-submitted", "dockerAuth": "t-docker", "name": "x"}),
    workspace="lab",
    quota="team",
)
STS = AccessKey(
    id="STS.Test", secret="k-of-sts", principal=Principal(account=ACCOUNT, id=ACCOUNT), session_token="k-session"
)  # fmt: skip
TOKEN = EndpointToken(
    SERVICE.id, "ci", "t-of-ci", limits=Limits(rpm=7), previous="t-before-ci", previous_until=T0
)
JOB = Job(
    "1" * 32, "CreateX", ACCOUNT, T0, T0 + 9, JobState.DONE, ("a" * 32,), {"token": "j-answer"}, T0, "http://h/?k=j-hook"
)  # fmt: skip
#: Every secret of a furnished platform that stands in its database, sealed or not.
SECRETS = (
    "s3cret",
    *("t-of-the-service", "t-submitted", "t-docker", "t-of-ci", "t-before-ci"),
    *("k-of-sts", "k-session", "k-bearer", "c-of-the-bucket", "c-token"),
    *("j-answer", "j-hook"),
)


def furnish(settings: Settings) -> None:
    """A secret of every kind, and a row of everything that quotas and tokens brought."""
    run(settings, _furnish, box(settings))


def _furnish(tx: Connection, opener: Any) -> None:
    services.add(tx, SERVICE)
    endpoint_tokens.add(tx, opener, TOKEN)
    endpoint_tokens.put(tx, opener, replace(TOKEN, name="default", secret=SERVICE.token))
    keys.put(tx, opener, STS)
    bearer = BearerToken(digest=digest("k-bearer"), principal=STS.principal, expires=T0)
    keys.put_bearer(tx, bearer)
    sealed = opener.seal("bucket", Keys("c-of-the-bucket", "c-token"))
    connections.add(
        tx, Storage("bucket", "s3", "b", "https://s3.test", workspaces=("lab",)), sealed
    )
    jobs.add(tx, JOB)
    quotas.add(tx, Quota("team", cpu=4.0, memory=2**40, replicas=3, created=T0, updated=T0))
    workspaces.add(tx, Workspace("lab", WORDS, "team", T0, T0))
    usage.put(tx, "gw", [Meter(SERVICE.id, "ci", "2026-11", Usage(5, 6, 7, 1))], T0)


def digest(text: str) -> str:
    """What is kept of a bearer token."""
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Opened:
    """What a platform that was furnished opens with its key."""

    token: str
    submitted: Any
    endpoint_tokens: list[EndpointToken]
    access_keys: list[tuple[str, str] | None]
    connection: Keys
    job: Job | None


def opened_again(settings: Settings) -> Opened:
    """Everything that is sealed, opened.

    Raises:
        Unavailable: something does not open.
    """
    return run(settings, _opened, box(settings))


def _opened(tx: Connection, opener: Any) -> Opened:
    found = services.find(tx, "furnished")
    assert found is not None
    service = found[0]
    held = [keys.find(tx, opener, name) for name in ("LTAI5tTest", STS.id)]
    return Opened(
        service.token,
        service.current.submitted,
        endpoint_tokens.of_service(tx, opener, service),
        [one and (one.secret, one.session_token) for one in held],
        opener.open("bucket", connections.sealed(tx, "bucket")),
        jobs.load(tx, JOB.id),
    )
