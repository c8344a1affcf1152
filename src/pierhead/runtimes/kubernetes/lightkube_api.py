"""`KubeApi` over HTTP, as lightkube sets it up: its kubeconfig, its credentials, its TLS.

Of lightkube we use what is hard to get right (kubeconfig files, tokens that rotate, commands that give
credentials, client certificates); the requests are our own, since its client knows neither bookmarks
nor logs of the run before, and its watch goes on by itself where we want to list anew.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal, cast

import httpx2
import msgspec
from lightkube.config.client_adapter import user_auth, verify_cluster
from lightkube.config.kubeconfig import KubeConfig, SingleConfig
from lightkube.core.exceptions import ConfigError
from yaml import YAMLError

from pierhead.core.errors import NotFound, Refused, Unavailable
from pierhead.core.ids import Clock
from pierhead.runtimes.kubernetes import fields
from pierhead.runtimes.kubernetes.api import (
    EVENT,
    NOTHING_KNOWN,
    Access,
    Change,
    Kind,
    Listed,
    LogWish,
    Manifest,
    Selection,
    kind_of,
)
from pierhead.runtimes.kubernetes.exec_auth import ExecAuth
from pierhead.runtimes.kubernetes.names import MANAGER
from pierhead.runtimes.kubernetes.refusals import SERVER, refusal

_PAGE = 500  #: objects by page of a list
_TIMEOUT = 10.0  #: seconds a request may take, connecting included
#: Seconds of silence after which a watch is taken for broken: a server sends a bookmark each minute.
_SILENCE = 150.0
_SLACK = 15.0  #: seconds a watch may last longer than it was asked to
#: Largest part of a container's log that is fetched, in bytes.
_LOG_BYTES = 32 * 1024 * 1024
#: Keeps a connection to a server that vanished without a word from being believed in for long.
_KEEPALIVE = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)
#: What lightkube lets through of a configuration file that is none.
_UNREADABLE = (
    OSError,
    KeyError,
    TypeError,
    ValueError,
    AttributeError,
    YAMLError,
    msgspec.MsgspecError,
)
_APPLY, _MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
#: Groups whose kinds are looked up by `served`.
_GROUPS = frozenset(
    {
        "apps",
        "autoscaling",
        "policy",
        "networking.k8s.io",
        "storage.k8s.io",
        "metrics.k8s.io",
        "leaderworkerset.x-k8s.io",
        "keda.sh",
        "gateway.networking.k8s.io",
    }
)
#: Those of them that others add to a server: what it has of them may change under the same version.
_ADDED = frozenset({"leaderworkerset.x-k8s.io", "keda.sh"})
Method = Literal["GET", "POST", "PATCH", "DELETE"]


def configured(kubeconfig: str = "", context: str = "") -> SingleConfig:
    """Where a cluster is and who we are there; without a file, what a pod is given, else `kubectl`'s own.

    Raises:
        Unavailable: there is no such configuration, or it cannot be read.
    """
    try:
        found = KubeConfig.from_file(kubeconfig) if kubeconfig else KubeConfig.from_env()
        config = found.get(context or None)
    except ConfigError as error:
        raise Unavailable("A Kubernetes cluster", str(error)) from error
    except _UNREADABLE as error:
        why = f"its configuration cannot be read: {error}"
        raise Unavailable("A Kubernetes cluster", why) from error
    if config is None:
        raise Unavailable("A Kubernetes cluster", "its configuration names no context")
    return config


class LightkubeApi:
    """Implements api.KubeApi; made and used inside one event loop.

    Raises:
        Unavailable: the credentials of the configuration cannot be read.
    """

    def __init__(self, config: SingleConfig, clock: Clock, *, timeout: float = _TIMEOUT) -> None:
        self._timeout = timeout
        #: Asked when a change has its connection and is about to be sent; what it raises keeps it here.
        self.before_change: Callable[[], object] | None = None
        self.namespace = config.namespace
        self.server = config.cluster.server
        try:
            user = config.user
            verify = verify_cluster(config.cluster, user, config.abs_file) if user else True
            command = user.exec if user else None
            auth = ExecAuth(command, clock) if command else user_auth(user)
        except (ConfigError, OSError, ValueError) as error:
            raise Unavailable("The cluster's credentials", str(error)) from error
        transport = httpx2.AsyncHTTPTransport(
            verify=verify,
            limits=httpx2.Limits(max_connections=32, max_keepalive_connections=8),
            socket_options=_KEEPALIVE,
        )
        self._http = httpx2.AsyncClient(
            base_url=self.server, auth=auth, timeout=timeout, transport=transport
        )

    # ---- read -----------------------------------------------------------------------------

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Manifest:
        """One object.

        Raises:
            NotFound: there is none.
        """
        return await self._json("GET", kind.path(namespace, name))

    async def list(self, kind: Kind, selection: Selection) -> Listed:
        """All that are selected, asked for in pages."""
        found: list[Manifest] = []
        query = {**_query(selection), "limit": str(_PAGE)}
        while True:
            page = await self._json("GET", kind.path(selection.namespace), query=query)
            found += fields.many(page, "items")
            rest = fields.text(page, "metadata", "continue")
            if not rest:
                return Listed(tuple(found), fields.text(page, "metadata", "resourceVersion"))
            query["continue"] = rest

    async def watch(
        self, kind: Kind, selection: Selection, version: str, seconds: int
    ) -> AsyncIterator[Change]:
        """What changes after `version`, for so many seconds; ends by itself then.

        Raises:
            Expired: the server does not remember as much.
            Unavailable: the connection broke, or nothing came for too long.
        """
        query = {
            **_query(selection),
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(seconds),
        }
        # Of events no server keeps the cache that its bookmarks come from: where nothing happens, none is told.
        silence = seconds + _SLACK if kind == EVENT else _SILENCE
        patience = httpx2.Timeout(self._timeout, read=min(seconds + _SLACK, silence))
        path = kind.path(selection.namespace)
        async with self._sending("GET", path, query=query, timeout=patience) as answer:
            async for line in answer.aiter_lines():
                if line.strip():
                    yield _change(line, path)

    async def logs(self, pod: str, namespace: str, wish: LogWish) -> str:
        """What a container wrote, each line after its time; "" where it wrote nothing, or did not run.

        Raises:
            NotFound: there is no such pod.
        """
        query = {"timestamps": "true", "limitBytes": str(_LOG_BYTES)}
        if wish.container:
            query["container"] = wish.container
        if wish.previous:
            query["previous"] = "true"
        if wish.lines is not None:
            query["tailLines"] = str(wish.lines)
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/log"
        try:
            async with self._sending("GET", path, query=query) as answer:
                return (await answer.aread()).decode(errors="replace")
        except NotFound:
            raise
        except Refused as error:
            if type(error) is Refused:  # a container that did not start yet, or only once
                return ""
            raise

    # ---- write ----------------------------------------------------------------------------

    async def apply(
        self, manifest: Manifest, *, force: bool = False, dry_run: bool = False, manager: str = ""
    ) -> Manifest:
        """Server-side apply as a field manager ("" = `pierhead`); gives the object as it is then.

        Raises:
            OwnedElsewhere: another manager set one of its fields to something else, and no `force`.
            Invalid: a field is not legal; it is named.
            OverQuota: a quota of the namespace refuses.
        """
        meta = manifest["metadata"]
        path = kind_of(manifest).path(str(meta.get("namespace", "")), str(meta["name"]))
        query = {"fieldManager": manager or MANAGER, "force": "true" if force else "false"}
        if dry_run:
            query["dryRun"] = "All"
        return await self._json("PATCH", path, query=query, body=manifest, form=_APPLY)

    async def patch(
        self, kind: Kind, name: str, namespace: str, body: Manifest, part: str = ""
    ) -> Manifest:
        """Merge-patch of an object or of its `status` or `scale`.

        Raises:
            NotFound: there is none.
        """
        path = kind.path(namespace, name, part)
        query = {"fieldManager": MANAGER}
        return await self._json("PATCH", path, query=query, body=body, form=_MERGE)

    async def delete(
        self, kind: Kind, name: str, namespace: str = "", *, grace: int | None = None, uid: str = ""
    ) -> bool:
        """Delete it (`grace` seconds for a pod, what depends on it in the background); False = it is gone.

        `uid`: only the one with this uid, not one that was made since under its name.
        """
        body: Manifest = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Background",
        }
        if grace is not None:
            body["gracePeriodSeconds"] = grace
        if uid:
            body["preconditions"] = {"uid": uid}
        try:
            answer = await self._json("DELETE", kind.path(namespace, name), body=body)
        except NotFound:
            return False
        # One that somebody still has to finish, or that has a grace, is told of as the object that it is.
        return bool(fields.text(answer, "metadata", "deletionTimestamp"))

    # ---- what it is and lets us do ----------------------------------------------------------

    async def may(self, access: Access, namespace: str) -> bool:
        """Does the server permit us that (a SelfSubjectAccessReview)?"""
        resource, _, part = access.resource.partition("/")
        asked = {"verb": access.verb, "group": access.group, "resource": resource}
        if part:
            asked["subresource"] = part
        if access.namespaced:
            asked["namespace"] = namespace
        review = Kind(
            "authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews"
        )
        body = {
            "apiVersion": review.api_version,
            "kind": review.name,
            "spec": {"resourceAttributes": asked},
        }
        answer = await self._json("POST", review.path(), body=body)
        return fields.at(answer, "status", "allowed") is True

    async def version(self) -> tuple[int, int, str]:
        """Major and minor number, and what the server calls its version."""
        found = await self._json("GET", "/version")
        numbers = [
            "".join(sign for sign in str(found.get(part, "0")) if sign.isdigit())
            for part in ("major", "minor")
        ]
        return int(numbers[0] or 0), int(numbers[1] or 0), str(found.get("gitVersion", ""))

    async def served(
        self, known: Mapping[str, frozenset[str]] = NOTHING_KNOWN
    ) -> Mapping[str, frozenset[str]]:
        """`<group>/<version>` -> kinds, of the groups that we could use; none of one that is away.

        `known` is not asked for again, but for groups that others add: in the middle of their installation
        a part of their kinds is there.
        """
        groups = fields.many(await self._json("GET", "/apis"), "groups")
        versions = [
            fields.text(version, "groupVersion")
            for group in groups
            if fields.text(group, "name") in _GROUPS
            for version in fields.many(group, "versions")
        ]
        found: dict[str, frozenset[str]] = {}
        for version in versions:
            if known.get(version) and version.partition("/")[0] not in _ADDED:
                found[version] = known[version]
                continue
            try:
                answer = await self._json("GET", f"/apis/{version}")
            except NotFound:
                continue
            except (
                Unavailable
            ):  # an aggregated server that is away: it is to be there, with what is not known
                found[version] = frozenset()
                continue
            kinds = fields.many(answer, "resources")
            found[version] = frozenset(fields.text(each, "kind") for each in kinds)
        return found

    async def close(self) -> None:
        """Let go of all connections."""
        await self._http.aclose()

    # ---- requests ---------------------------------------------------------------------------

    async def _about_to(self, step: str, _facts: Mapping[str, Any]) -> None:
        if step.endswith(".send_request_headers.started") and self.before_change is not None:
            self.before_change()

    async def _json(
        self,
        method: Method,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        form: str = "application/json",
    ) -> Manifest:
        sending = self._sending(method, path, query=query, body=body, form=form)
        async with sending as answer:
            return _decoded(await answer.aread(), path)

    @asynccontextmanager
    async def _sending(
        self,
        method: Method,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        form: str = "application/json",
        timeout: httpx2.Timeout | None = None,
    ) -> AsyncGenerator[httpx2.Response]:
        """An answer whose body is still to be read; refusals are raised."""
        request = self._http.build_request(
            method,
            path,
            params=query,
            content=None if body is None else msgspec.json.encode(body),
            headers={"Content-Type": form} if body is not None else {},
            timeout=timeout or httpx2.Timeout(self._timeout),
            extensions={"trace": self._about_to} if method in {"PATCH", "DELETE"} else None,
        )
        try:
            # Also of a watch, which may be silent for long, the answer itself is there at once.
            async with asyncio.timeout(self._timeout):
                answer = await self._http.send(request, stream=True)
            try:
                if answer.is_error:
                    told = _told(await answer.aread())
                    raise refusal(answer.status_code, told, f"{method} {path}")
                yield answer
            finally:
                await answer.aclose()
        except TimeoutError as error:
            why = f"{self.server}: no answer within {self._timeout:g} s"
            raise Unavailable(SERVER, why) from error
        except httpx2.TransportError as error:
            why = str(error) or f"no answer ({type(error).__name__})"
            raise Unavailable(SERVER, f"{self.server}: {why}") from error
        except (httpx2.HTTPError, ConfigError, httpx2.InvalidURL) as error:
            raise Unavailable(SERVER, str(error)) from error


def _query(selection: Selection) -> dict[str, str]:
    query: dict[str, str] = {}
    if selection.labels:
        query["labelSelector"] = selection.labels
    if selection.fields:
        query["fieldSelector"] = selection.fields
    return query


def _change(line: str, path: str) -> Change:
    event = _decoded(line.encode(), path)
    found: Manifest = {**fields.mapping(event, "object")}
    if event.get("type") == "ERROR":
        raise refusal(fields.number(found, "code") or 500, found, f"watch {path}")
    if event.get("type") not in {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"}:
        raise Unavailable(SERVER, f"a watch told [{str(event.get('type'))[:40]}]")
    return Change(event["type"], found)


def _decoded(text: bytes, path: str) -> Manifest:
    try:
        found: Any = msgspec.json.decode(text or b"{}")
    except msgspec.DecodeError as error:
        raise Unavailable(SERVER, f"its answer to {path} is broken: {error}") from error
    if not isinstance(found, dict):
        raise Unavailable(SERVER, f"its answer to {path} is no object")
    return cast("Manifest", found)


def _told(text: bytes) -> Manifest:
    """The body of a refusal; what is no JSON (a proxy's page, say) is its message."""
    try:
        return _decoded(text, "a request")
    except Unavailable:
        return {"message": text[:400].decode(errors="replace")}
