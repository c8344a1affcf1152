"""Two hubs on one PostgreSQL database, a cluster double in a thread of its own, and gateways that follow."""

import asyncio
import http.client
import json
import shutil
import signal
import ssl
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from aiohttp import web
from stage import Stage, get, until

from kube_double import KubeDouble
from pierhead.bootstrap import secret_files
from pierhead.bootstrap.credentials import load_or_create
from pierhead.cli.client import EasClient, find_access
from pierhead.settings import Settings

T = TypeVar("T")


class Cluster:
    """The API server's double, with something at each pod's address that answers."""

    def __init__(self, folder: Path, double: KubeDouble | None = None) -> None:
        self.double = double or KubeDouble()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._engines: dict[str, web.AppRunner] = {}
        self._thread.start()
        self.run(self.double.__aenter__())
        self.kubeconfig = folder / "kubeconfig"
        self.kubeconfig.write_text(json.dumps(self._config()))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do it in the double's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def ask(self, look: Callable[[], T]) -> T:
        """What `look` finds, in the double's loop."""

        async def asked() -> T:
            return look()

        return self.run(asked())

    def changes(self) -> list[tuple[str, str]]:
        """Every request so far that changed something: (method, path)."""
        return self.ask(
            lambda: [
                one
                for one in self.double.requests
                if one[0] in {"PATCH", "PUT", "DELETE"}
                or (one[0] == "POST" and "selfsubject" not in one[1])
            ]
        )

    def names(self, plural: str) -> list[str]:
        """Names of the objects of a kind."""
        return self.ask(lambda: sorted(one["metadata"]["name"] for one in self.double.all(plural)))

    def engines(self) -> int:
        """Let something answer at every pod's address; gives how many there are."""
        addresses = self.ask(
            lambda: [one["status"].get("podIP", "") for one in self.double.all("pods")]
        )
        for address in filter(None, addresses):
            if address not in self._engines:
                self._engines[address] = self.run(_engine(address))
        return len(self._engines)

    def close(self) -> None:
        """End all of it."""
        for engine in self._engines.values():
            self.run(engine.cleanup())
        self.run(self.double.__aexit__())
        self.run(_nothing_left())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    def _config(self) -> dict[str, Any]:
        cluster = {"server": f"http://127.0.0.1:{self.double.port}"}
        context = {"cluster": "c", "user": "u", "namespace": self.double.namespace}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": cluster}],
            "users": [{"name": "u", "user": {"token": "t"}}],
            "contexts": [{"name": "x", "context": context}],
            "current-context": "x",
        }


async def _nothing_left() -> None:
    left = asyncio.all_tasks() - {asyncio.current_task()}
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)


async def _engine(address: str) -> web.AppRunner:
    async def answer(_request: web.Request) -> web.Response:
        return web.json_response({"from": address})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, 8000).start()
    return runner


class Reached(Protocol):
    """A cluster, real or not."""

    @property
    def kubeconfig(self) -> Path:
        """How it is reached."""
        ...


@dataclass(frozen=True, slots=True)
class Certified:
    """Files with which hubs speak TLS."""

    authority: Path
    certificate: Path
    key: Path

    @property
    def flags(self) -> tuple[str, ...]:
        """What a hub is told of them."""
        return (f"--set=tls.certificate={self.certificate}", f"--set=tls.key={self.key}")


class Pair:
    """Two hubs with folders of their own, which share a database and secrets, and a gateway."""

    def __init__(
        self,
        folder: Path,
        database: str,
        cluster: Reached,
        flags: Sequence[str] = (),
        certified: Certified | None = None,
        first: Reached | None = None,
    ) -> None:
        """`flags`: of the hubs besides; `first`: by which the first hub reaches the cluster."""
        self.secrets = secrets_of_a_platform(folder)
        self._certified = certified
        self._kubeconfigs = ((first or cluster).kubeconfig, cluster.kubeconfig)
        self._flags = (
            f"--set=database_url={database}",
            f"--set=secrets_dir={self.secrets}",
            "--set=kubernetes.image=registry.example/pierhead:1",
            "--set=resync_seconds=300",
            "--log-level=info",
            *(certified.flags if certified else ()),
            *flags,
        )
        self.stages = [Stage(folder / "one"), Stage(folder / "two")]
        self.gateway = Stage(folder / "gateway")
        self.hubs = [self.start(0)]
        try:
            self.becomes(0, "active")
            self.hubs.append(self.start(1))
            self.becomes(1, "standby")
        except BaseException:
            self.end()  # nobody has it yet who could
            raise

    def start(self, number: int) -> Any:
        """Start a hub."""
        kubeconfig = f"--set=kubernetes.kubeconfig={self._kubeconfigs[number]}"
        return self.stages[number].start("hub", "--runtime=kubernetes", kubeconfig, *self._flags)

    def role(self, number: int) -> str:
        """What a hub says it is; "" while it says nothing."""
        return str(self.health(number).get("role", ""))

    def health(self, number: int) -> dict[str, Any]:
        """What a hub says of itself; nothing while it does not answer."""
        address = self.stages[number].listen
        if self._certified is None:
            status, body = get(address, "/healthz", timeout=1.0)
        else:
            status, body = _secure(address, "/healthz", self._certified.authority)
        found: dict[str, Any] = json.loads(body) if status == 200 else {}
        return found

    def becomes(self, number: int, role: str, within: float = 30.0) -> None:
        """Wait until a hub is that."""
        told = self.stages[number].tail
        until(lambda: self.role(number) == role, lambda: f"it is not {role}\n{told()}", within)

    def client(self, number: int) -> EasClient:
        """A signed client of a hub."""
        return EasClient(find_access(self.stages[number].folder, None, {}))

    def start_gateway(self) -> None:
        """Start a gateway that has nothing in common with the hubs but their addresses and one key."""
        own = self.secrets.with_name("gateway-secrets")
        own.mkdir(exist_ok=True)
        shutil.copy(self.secrets / "internal.key", own)
        flags = [f"--set=hub_url={self.urls}", f"--set=secrets_dir={own}"]
        if self._certified is not None:
            flags.append(f"--set=tls.hub_ca={self._certified.authority}")
        self.gateway.answering(self.gateway.gateway_listen, self.gateway.start("gateway", *flags))

    @property
    def urls(self) -> str:
        """Of both hubs, as a gateway is told of them."""
        scheme = "http" if self._certified is None else "https"
        return ",".join(f"{scheme}://{one.listen}" for one in self.stages)

    def signal(self, number: int, one: signal.Signals) -> None:
        """Signal a hub's process."""
        self.hubs[number].send_signal(one)

    def end(self) -> None:
        """End what still runs, also what was stopped."""
        for hub in self.hubs:
            if hub.poll() is None:
                hub.kill()
                hub.wait(10)
        for stage in (*self.stages, self.gateway):
            stage.end()


def _secure(address: str, path: str, authority: Path) -> tuple[int, str]:
    """A GET over TLS: status (0 = none) and body."""
    context = ssl.create_default_context(cafile=str(authority))
    connection = http.client.HTTPSConnection(address, timeout=1.0, context=context)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    except (OSError, http.client.HTTPException) as error:
        return 0, repr(error)
    finally:
        connection.close()


def secrets_of_a_platform(folder: Path) -> Path:
    """The secrets that all processes of a platform have in common, as files of one folder."""
    made = Settings(data_dir=folder / "first")
    load_or_create(made)
    for make in (secret_files.storage_key, secret_files.metrics_token):
        make(made.data_dir)
    into = folder / "secrets"
    into.mkdir()
    for name in secret_files.SHARED:
        shutil.copy(made.data_dir / name, into / Path(name).name)
    return into
