"""A light signed client over one kept-alive connection; what it costs is not the hub's."""

import http.client
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, Self

from bench.platforms import Running
from pierhead.core.principals import AccessKey, Principal
from pierhead.dialects.signing.sign import encode, sign_v3

ROOT = "/api/v2/services"


class Client:
    """V3-signed calls, one after the other."""

    def __init__(self, running: Running) -> None:
        found = running.credentials
        self._host = running.listen
        self._region: str = found["region"]
        principal = Principal(found["account_id"], found["account_id"])
        self._key = AccessKey(found["access_key_id"], found["access_key_secret"], principal)
        self._connection = http.client.HTTPConnection(self._host, timeout=30)
        self._used = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def create(self, name: str, spec: str = "llama_7b_fp16") -> dict[str, Any]:
        """CreateAppService."""
        body = {"ServiceName": name, "AppType": "LLM", "AppVersion": "v1", "Replicas": 1}
        return self.call(
            "CreateAppService", "POST", "/api/v2/app_services", body | {"ServiceSpec": spec}
        )

    def create_own(self, name: str, command: str, replicas: int = 1) -> dict[str, Any]:
        """CreateService with a command of one's own."""
        document = {
            "metadata": {"name": name, "instance": replicas},
            "containers": [{"script": command}],
        }
        return self.call("CreateService", "POST", ROOT, document)

    def describe(self, name: str) -> dict[str, Any]:
        """DescribeService."""
        return self.call("DescribeService", "GET", f"{ROOT}/{self._region}/{name}")

    def instances(self, name: str) -> list[dict[str, Any]]:
        """ListServiceInstances."""
        path = f"{ROOT}/{self._region}/{name}/instances"
        return self.call("ListServiceInstances", "GET", path)["Instances"]

    def list(self, size: int = 100, page: int = 1, **filters: str) -> dict[str, Any]:
        """ListServices."""
        query = {"PageSize": str(size), "PageNumber": str(page), **filters}
        return self.call("ListServices", "GET", ROOT, query)

    def delete(self, name: str) -> dict[str, Any]:
        """DeleteService."""
        return self.call("DeleteService", "DELETE", f"{ROOT}/{self._region}/{name}")

    def gone(self, name: str) -> bool:
        """Is there no service of this name (any more)?"""
        return self.list(size=1, ServiceName=name)["TotalCount"] == 0

    def call(
        self, operation: str, method: str, path: str, given: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """One call; `given` is the query of a GET and else the body."""
        query = dict(given or {}) if method == "GET" else {}
        content = json.dumps(given).encode() if given and method != "GET" else b""
        headers = {"host": self._host, "x-acs-action": operation, "x-acs-version": "2021-07-01"}
        if content:
            headers["content-type"] = "application/json"
        signed = sign_v3(
            method,
            path,
            query,
            headers,
            content,
            self._key,
            date=time.time(),
            nonce=secrets.token_hex(16),
        )
        target = f"{path}?{encode(query)}" if query else path
        self._revive()
        self._connection.request(method, target, content or None, signed)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{operation}: {answer.status} {text[:300]!r}")
        return json.loads(text)

    def _revive(self) -> None:
        """A connection that was idle is made anew: the hub closes such ones."""
        if time.monotonic() - self._used > 2.0:
            self._connection.close()
        self._used = time.monotonic()


def passes(running: Running) -> float:
    """How often the reconciler has looked at a service so far."""
    connection = http.client.HTTPConnection(running.listen, timeout=30)
    try:
        connection.request("GET", "/metrics")
        lines = connection.getresponse().read().decode().splitlines()
    finally:
        connection.close()
    counts = [line for line in lines if line.startswith("pierhead_reconcile_passes_total{")]
    return sum(float(line.rsplit(" ", 1)[1]) for line in counts)
