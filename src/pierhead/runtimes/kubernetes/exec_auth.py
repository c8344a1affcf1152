"""Bearer tokens that a command gives, as kubeconfig files name one (`users[].user.exec`).

Our own, since lightkube refuses `client.authentication.k8s.io/v1`, runs the command again only when a server
refuses, and lets pass what the system or a broken answer says.
"""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import Any, cast

import httpx2
from lightkube.config.models import UserExec
from lightkube.core.exceptions import ConfigError

from pierhead.core.redaction import one_line
from pierhead.runtimes.kubernetes import fields
from pierhead.runtimes.kubernetes.quantities import moment

_VERSIONS = tuple(f"client.authentication.k8s.io/{each}" for each in ("v1", "v1beta1", "v1alpha1"))
_LONGEST = 300  #: characters of what a command says
#: Seconds before its end from which on a token is not used any more.
_MARGIN = 30.0


class ExecAuth(httpx2.Auth):
    """Shows the token of a command, which is run again when the token ends or is refused."""

    def __init__(self, command: UserExec, clock: Callable[[], float]) -> None:
        """Of what `command` needs the environment is told as kubectl tells it; it cannot ask anybody anything.

        Raises:
            ConfigError: it speaks a version that we do not know.
        """
        if command.apiVersion not in _VERSIONS:
            known = ", ".join(_VERSIONS)
            raise ConfigError(
                f"the command [{command.command}] is to speak {command.apiVersion}; known are {known}"
            )
        self._command, self._clock = command, clock
        self._token, self._until = "", 0.0
        self._turn = asyncio.Lock()

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        """One request, and another one with a fresh token where the first is refused."""
        shown = await self._fresh("")
        request.headers["Authorization"] = f"Bearer {shown}"
        response = yield request
        if response.status_code == 401:
            request.headers["Authorization"] = f"Bearer {await self._fresh(shown)}"
            yield request

    async def _fresh(self, refused: str) -> str:
        """A token that is not `refused`, and has not ended.

        Raises:
            ConfigError: the command gives none.
        """
        async with self._turn:  # many requests begin at once, and the command is run once
            if self._token in {"", refused} or self._clock() > self._until - _MARGIN:
                self._token, self._until = self._read(await self._run())
            return self._token

    async def _run(self) -> bytes:
        command = self._command
        info = {
            "apiVersion": command.apiVersion,
            "kind": "ExecCredential",
            "spec": {"interactive": False},
        }
        given = {each.name: each.value for each in command.env or ()}
        try:
            process = await asyncio.create_subprocess_exec(
                command.command,
                *(command.args or ()),
                env={**os.environ, "KUBERNETES_EXEC_INFO": json.dumps(info), **given},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as error:
            hint = f": {one_line(command.installHint, _LONGEST)}" if command.installHint else ""
            raise ConfigError(f"{self._name} cannot be run: {error.strerror}{hint}") from error
        try:
            out, said = await process.communicate()
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                process.kill()
            raise
        if process.returncode != 0:
            last = (said.decode(errors="replace").strip().splitlines() or ["it says nothing"])[-1]
            raise ConfigError(
                f"{self._name} ended with {process.returncode}: {one_line(last, _LONGEST)}"
            )
        return out

    def _read(self, out: bytes) -> tuple[str, float]:
        """(token, when it ends in epoch seconds)."""
        try:
            found: Any = json.loads(out)
        except ValueError as error:
            raise ConfigError(f"{self._name} gives no JSON") from error
        told = cast("dict[str, Any]", found) if isinstance(found, dict) else {}
        token = fields.text(told, "status", "token")
        if not token:
            certificate = fields.at(told, "status", "clientCertificateData")
            instead = ", but a client certificate, which is not supported" if certificate else ""
            raise ConfigError(f"{self._name} gives no token{instead}")
        return token, moment(fields.text(told, "status", "expirationTimestamp")) or float("inf")

    @property
    def _name(self) -> str:
        return f"the command [{self._command.command}] of the configuration"
