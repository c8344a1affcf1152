"""Makes core values for tests: every field has a sensible default, a test names only what it is about."""

from hashlib import shake_256
from typing import Any

from pierhead.core.principals import Principal
from pierhead.core.replicas import ReplicaState, ReplicaStatus
from pierhead.core.services import Change, Service, Version, Wanted
from pierhead.core.templates import Probe, Template
from pierhead.operations.secret_box import SecretBox

ACCOUNT = "1234567890123456"
ROOT = Principal(account=ACCOUNT, id=ACCOUNT)
#: Seals secrets with a key that everybody may know.
BOX_KEY = b"a key for tests, 32 bytes long.."
BOX = SecretBox(BOX_KEY)
#: A moment in 2026, exact as a float.
T0 = 1_790_000_000.0


class FakeClock:
    """A clock that moves only when it is told to."""

    def __init__(self, now: float = T0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> float:
        """Later by so many seconds; gives the new time."""
        self.now += seconds
        return self.now


class FakeEntropy:
    """Bytes that look random, differ at every call and are the same in every run."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, count: int) -> bytes:
        self.calls += 1
        return shake_256(self.calls.to_bytes(8, "big")).digest(count)


def a_template(**fields: Any) -> Template:
    """A custom engine's template: `sleep`, ready when its port answers."""
    defaults: dict[str, Any] = {
        "name": "echo",
        "engine": "custom",
        "command": ("sleep", "1000"),
        "readiness": Probe(kind="tcp", period=0.1),
        "start_deadline": 60.0,
        "stop_grace": 2.0,
    }
    return Template(**defaults | fields)


def a_version(**fields: Any) -> Version:
    """Version 1 of `a_template()`."""
    defaults: dict[str, Any] = {"number": 1, "template": a_template(), "source": None}
    return Version(**defaults | fields)


def a_service(**fields: Any) -> Service:
    """A service that was just created: one replica wanted, revision 1."""
    name = fields.get("name", "svc_one")
    defaults: dict[str, Any] = {
        "id": shake_256(name.encode()).hexdigest(16),
        "name": name,
        "account": ACCOUNT,
        "caller": ACCOUNT,
        "origin": "eas.app",
        "wanted": Wanted.RUNNING,
        "change": Change.CREATE,
        "replicas": 1,
        "current": a_version(),
        "latest": 1,
        "epoch": 0,
        "revision": 1,
        "token": "dG9rZW4=",
        "created": T0,
        "updated": T0,
    }
    return Service(**defaults | fields)


def a_replica(**fields: Any) -> ReplicaStatus:
    """A ready replica of `a_service()`, in its first run."""
    defaults: dict[str, Any] = {
        "id": "svc-one-aaaaaaaa",
        "service": a_service().id,
        "rollout": "1.0",
        "state": ReplicaState.READY,
        "created": T0,
        "host": "127.0.0.1",
        "port": 40001,
        "pid": 4242,
        "started": T0,
        "ready_at": T0 + 1
        if fields.get("state", ReplicaState.READY) is ReplicaState.READY
        else None,
        "runs": 1,
    }
    return ReplicaStatus(**defaults | fields)
