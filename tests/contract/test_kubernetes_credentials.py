"""Tokens that a command gives: when it is run, what is shown, and what is said when it gives none."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from lightkube.config.models import NameValue, UserExec

from kube_double import KubeDouble
from pierhead.core.errors import Unavailable
from pierhead.runtimes.kubernetes.exec_auth import ExecAuth
from pierhead.runtimes.kubernetes.lightkube_api import LightkubeApi, configured

V1 = "client.authentication.k8s.io/v1"
#: Counts its runs; each gives a token of its own, and the variables that it was run with.
SCRIPT = """#!/bin/sh
echo run >> {runs}
number=$(wc -l < {runs})
printf '%s' "$KUBERNETES_EXEC_INFO" > {runs}.info
printf '{{"status": {{"token": "%s-%s"{rest}}}}}' "$WHO" "$number"
"""


class Plugin:
    """A command that gives tokens."""

    def __init__(self, folder: Path, rest: str = "") -> None:
        self.runs = folder / "runs"
        self.file = folder / "plugin"
        self.file.write_text(SCRIPT.format(runs=self.runs, rest=rest))
        self.file.chmod(0o755)

    def auth(self, version: str = V1) -> ExecAuth:
        env = [NameValue(name="WHO", value="me")]
        return ExecAuth(UserExec(version, str(self.file), env=env), time.time)

    @property
    def count(self) -> int:
        return len(self.runs.read_text().splitlines()) if self.runs.exists() else 0


async def shown(auth: ExecAuth, times: int, refused: tuple[str, ...] = ()) -> list[str]:
    """The tokens of so many requests, all at once, as a server saw them."""
    seen: list[str] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        token = request.headers["Authorization"]
        seen.append(token)
        return httpx2.Response(401 if token in refused else 200)

    async with httpx2.AsyncClient(auth=auth, transport=httpx2.MockTransport(answer)) as client:
        await asyncio.gather(*(client.get("http://server/") for _ in range(times)))
    return seen


def in_seconds(seconds: float) -> str:
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
    return f', "expirationTimestamp": "{at}"'


@pytest.mark.parametrize("version", ["v1", "v1beta1", "v1alpha1"])
def test_a_command_is_run_once_for_many_requests(tmp_path: Path, version: str) -> None:
    plugin = Plugin(tmp_path, in_seconds(3600))
    auth = plugin.auth(f"client.authentication.k8s.io/{version}")
    assert set(asyncio.run(shown(auth, 5))) == {"Bearer me-1"}
    assert plugin.count == 1
    told = json.loads((tmp_path / "runs.info").read_text())
    assert told["apiVersion"] == f"client.authentication.k8s.io/{version}"
    assert told["spec"] == {"interactive": False}


def test_a_token_that_ends_or_is_refused_is_replaced(tmp_path: Path) -> None:
    ends = Plugin(tmp_path, in_seconds(10))

    async def twice() -> list[str]:
        auth = ends.auth()
        return [*await shown(auth, 1), *await shown(auth, 1)]

    assert asyncio.run(twice()) == ["Bearer me-1", "Bearer me-2"]
    lasts = Plugin(tmp_path, in_seconds(3600))
    lasts.runs.unlink()
    found = asyncio.run(shown(lasts.auth(), 1, refused=("Bearer me-1",)))
    assert found == ["Bearer me-1", "Bearer me-2"]
    assert lasts.count == 2


@contextmanager
def kubeconfig(folder: Path, port: int, **command: Any) -> Iterator[Path]:
    context = {"cluster": "c", "user": "u", "namespace": "pierhead"}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
        "users": [{"name": "u", "user": {"exec": {"apiVersion": V1, **command}}}],
        "contexts": [{"name": "x", "context": context}],
        "current-context": "x",
    }
    file = folder / "kubeconfig"
    file.write_text(json.dumps(content))
    yield file


def test_what_gives_no_token_is_said_in_one_sentence(tmp_path: Path) -> None:
    """Never a traceback: whoever set the cluster up reads which command it is, and what is wrong with it."""

    def written(name: str, text: str) -> str:
        file = tmp_path / name
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)
        return str(file)

    certificate = json.dumps({"status": {"clientCertificateData": "c", "clientKeyData": "k"}})
    cases: dict[str, dict[str, Any]] = {
        "No such file or directory: install it": {
            "command": "/nowhere/plugin",
            "installHint": "install it",
        },
        "ended with 3: you are not signed in": {
            "command": written("fails", "echo first >&2; echo you are not signed in >&2; exit 3")
        },
        "gives no JSON": {"command": written("speaks", "echo hello")},
        "gives no token": {"command": written("empty", "echo '[]'")},
        "but a client certificate": {"command": written("certified", f"echo '{certificate}'")},
        "known are": {"command": "x", "apiVersion": "client.authentication.k8s.io/v7"},
    }

    async def said(port: int, **command: Any) -> str:
        with kubeconfig(tmp_path, port, **command) as file:
            with pytest.raises(Unavailable) as caught:
                await LightkubeApi(configured(str(file)), time.time).version()
            return caught.value.message

    async def go() -> None:
        async with KubeDouble() as server:
            for words, command in cases.items():
                told = await said(server.port, **command)
                assert words in told
                assert "\n" not in told
            good = written("good", """echo '{"status": {"token": "t"}}'""")
            with kubeconfig(tmp_path, server.port, command=good) as file:
                api = LightkubeApi(configured(str(file)), time.time)
                assert (await api.version())[:2] == (1, 29)
                await api.close()

    asyncio.run(asyncio.wait_for(go(), 60))
