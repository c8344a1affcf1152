"""A plain REST client of the ZStack door: login, calls, jobs; what it refuses comes as `ZRefused`."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import requests
from running_platform import Platform, until

Json = dict[str, Any]
T = TypeVar("T")


@dataclass
class ZRefused(Exception):
    """A business failure: HTTP 503 with an error object."""

    code: str
    details: str
    error: Json
    status: int = 503

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.details}"


@dataclass
class ZText(Exception):
    """A failure that is told as plain text."""

    status: int
    text: str

    def __str__(self) -> str:
        return f"{self.status}: {self.text}"


@dataclass
class ZStack:
    """One login: the administrator's, or a user's."""

    platform: Platform
    http: requests.Session = field(default_factory=requests.Session)
    login: str = ""

    @property
    def base(self) -> str:
        return self.platform.credentials["endpoints"]["zstack"]

    def log_in(self) -> "ZStack":
        """A new login; gives itself."""
        account = self.platform.credentials["zstack"]
        answer = self.call(
            "PUT",
            "/accounts/login",
            {
                "logInByAccount": {
                    "accountName": account["account"],
                    "password": sha512(account["password"]),
                }
            },
        )
        self.login = answer["inventory"]["uuid"]
        return self

    def log_in_as(self, user: str, password: str) -> "ZStack":
        """A login of a user of the account; gives itself."""
        wish = {"userName": user, "password": sha512(password)}
        wish["accountName"] = self.platform.credentials["zstack"]["account"]
        answer = self.call("PUT", "/accounts/users/login", {"logInByUser": wish})
        self.login = answer["inventory"]["uuid"]
        return self

    def call(
        self, method: str, path: str, body: Any = None, headers: Json | None = None, **query: Any
    ) -> Json:
        """The final answer of a call; a 202 is followed to its end.

        Raises:
            ZRefused, ZText: it was refused.
        """
        answer = self.raw(method, path, body, headers, **query)
        return self.final(answer)

    def raw(
        self, method: str, path: str, body: Any = None, headers: Json | None = None, **query: Any
    ) -> requests.Response:
        """The first answer, whatever it is."""
        authorization = {"Authorization": f"OAuth {self.login}"} if self.login else {}
        return self.http.request(
            method,
            f"{self.base}/v1{path}",
            json=body,
            params=query,
            headers={**authorization, **(headers or {})},
            timeout=30,
        )

    def final(self, answer: requests.Response) -> Json:
        """Follow a job, and take the answer apart."""
        if answer.status_code == 202:
            job = answer.json()
            assert set(job) == {"location", "apiTimeout"}, job
            (answer,) = until(lambda: self._polled(job["location"]), 30, "the job ends")
        if answer.status_code == 200:
            return answer.json()
        if answer.status_code == 503:
            error = answer.json()["error"]
            raise ZRefused(error["code"], error["details"], error)
        raise ZText(answer.status_code, answer.text)

    def _polled(self, location: str) -> list[requests.Response]:
        """The final answer, in a list: one that is a refusal counts as false by itself."""
        answer = self.http.get(location, timeout=30)
        return [] if answer.status_code == 202 else [answer]

    # ---- the usual calls ------------------------------------------------------------------

    def query(self, path: str, *conditions: str, **more: Any) -> list[Json]:
        """Inventories that meet all conditions."""
        return self.call("GET", path, q=list(conditions), **more)["inventories"]

    def one(self, path: str, uuid: str) -> Json | None:
        """The object of that uuid."""
        found = self.call("GET", f"{path}/{uuid}")["inventories"]
        return found[0] if found else None

    @property
    def zone(self) -> str:
        """uuid of the default zone."""
        return self.query("/zones", "isDefault=true")[0]["uuid"]

    @property
    def center(self) -> str:
        """uuid of the default model center."""
        return self.query("/ai/model-centers", "name=default")[0]["uuid"]

    def add_template(self, name: str, **fields: Any) -> Json:
        """AddModelService with little in it; `fields` go over it."""
        tags = {key: fields.pop(key) for key in ("systemTags", "userTags") if key in fields}
        param = {
            "name": name,
            "yaml": "services: []",
            "requestCpu": 1,
            "requestMemory": 256,
            "modelCenterUuid": fields.pop("modelCenterUuid", None) or self.center,
            "installPath": "",
            "startCommand": "",
            **fields,
        }
        return self.call("POST", "/ai/model-services", {"param": param, **tags})["inventory"]

    def deploy(self, template: str, name: str, **fields: Any) -> Json:
        """DeployModelService; the group as it was answered."""
        tags = {key: fields.pop(key) for key in ("systemTags", "userTags") if key in fields}
        body = {"name": name, "type": "Container", "zoneUuid": self.zone, **fields}
        path = f"/ai/model-services/{template}"
        return self.call("PUT", path, {"deployModelService": body, **tags})["inventory"]

    def group(self, uuid: str) -> Json | None:
        return self.one(GROUPS, uuid)

    def group_is(
        self, uuid: str, accept: Callable[[Json], T], why: str, seconds: float = 60.0
    ) -> Json:
        """Wait until `accept` likes the group; the group."""
        last: list[Json | None] = [None]

        def look() -> Json | None:
            last[0] = self.group(uuid)
            return last[0] if last[0] is not None and accept(last[0]) else None

        try:
            return until(look, seconds, why)
        except AssertionError as error:
            raise AssertionError(f"{error}; last seen: {last[0]}") from error

    def running(self, uuid: str, replicas: int = 1, seconds: float = 60.0) -> Json:
        """Wait until all replicas run."""
        return self.group_is(
            uuid,
            lambda group: group["status"] == "Running" and group["readyReplicas"] == replicas,
            f"group {uuid} runs with {replicas}",
            seconds,
        )

    def delete_group(self, uuid: str) -> float:
        """Delete it and wait until it is gone; the seconds it took."""
        began = time.monotonic()
        self.call("DELETE", f"{GROUPS}/{uuid}")
        until(lambda: self.group(uuid) is None, 30, f"group {uuid} is gone")
        return time.monotonic() - began


GROUPS = "/ai/model-services/instances/groups"


def sha512(text: str) -> str:
    """As every client of this door sends a password."""
    return hashlib.sha512(text.encode()).hexdigest()
