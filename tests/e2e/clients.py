"""The vendor's control-plane clients, unmodified, behind one call: operation, service, query, body.

What each of them raises is told as `Refused`, after it was checked to be the class that its users catch.
"""

import inspect
import json
import re
import subprocess
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast

from alibabacloud_eas20210701 import models
from alibabacloud_eas20210701.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config
from running_platform import Platform

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # their sources hold escapes that newer Pythons warn of
    from aliyunsdkcore.acs_exception.exceptions import ServerException
    from aliyunsdkcore.client import AcsClient
    from aliyunsdkcore.request import CommonRequest
    from aliyunsdkeas.request import v20210701 as old_requests
    from eas_prediction import PredictClient as PredictClient
    from eas_prediction import PredictException as PredictException
    from eas_prediction import StringRequest as StringRequest

Json = dict[str, Any]
NODE = Path(__file__).parent.parent / "contract" / "node"


@dataclass
class Refused(Exception):
    """A call that was refused."""

    code: str
    status: int
    message: str

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.message}"


class Sdk(Protocol):
    """One client."""

    def __call__(
        self,
        operation: str,
        service: str = "",
        /,
        *,
        query: Mapping[str, Any] = ...,
        body: Mapping[str, Any] | None = ...,
    ) -> Json:
        """The answer's fields.

        Raises:
            Refused: the platform refused it.
        """
        ...


def python_client(platform: Platform, **config: Any) -> Client:
    """The official Python SDK."""
    settings = {
        "access_key_id": platform.credentials["access_key_id"],
        "access_key_secret": platform.credentials["access_key_secret"],
        "endpoint": platform.address,
        "protocol": "HTTP",
    }
    return Client(Config(**{**settings, **config}))


class PythonSdk:
    """`alibabacloud_eas20210701`: signature V3, or ROA with `signature_algorithm='v2'`."""

    def __init__(self, platform: Platform, **config: Any) -> None:
        self.client = python_client(platform, **config)
        self.region = platform.region

    def __call__(
        self,
        operation: str,
        service: str = "",
        /,
        *,
        query: Mapping[str, Any] = {},
        body: Mapping[str, Any] | None = None,
    ) -> Json:
        method = getattr(self.client, snake(operation))
        parameters = inspect.signature(method).parameters
        arguments: list[Any] = [
            self.region if name == "cluster_id" else service
            for name in parameters
            if name != "request"
        ]
        if "request" in parameters:
            fields = dict(query)
            if operation in {"CreateService", "UpdateService"}:
                fields["body"] = json.dumps(body or {})
            else:
                fields |= body or {}
            arguments.append(getattr(models, f"{operation}Request")().from_map(fields))
        try:
            response = method(*arguments)
        except ClientException as error:
            raise Refused(error.code, error.status_code, error.message) from error
        assert response.status_code == 200
        return cast(Json, response.body.to_map())


class OldPythonSdk:
    """`aliyun-python-sdk-eas`: ROA, the body in a form, no nonce."""

    def __init__(self, platform: Platform) -> None:
        keys = platform.credentials
        self.client = AcsClient(keys["access_key_id"], keys["access_key_secret"], platform.region)
        self.address, self.region = platform.address, platform.region

    def __call__(
        self,
        operation: str,
        service: str = "",
        /,
        *,
        query: Mapping[str, Any] = {},
        body: Mapping[str, Any] | None = None,
    ) -> Json:
        request = self._request(operation, service)
        for name, value in query.items():
            getattr(request, f"set_{name}")(json.dumps(value) if isinstance(value, dict) else value)
        if body is not None:
            request.set_body(json.dumps(body))
        try:
            answer = self.client.do_action_with_exception(request)
        except ServerException as error:
            raise Refused(
                error.get_error_code(), error.get_http_status(), error.get_error_msg()
            ) from error
        return cast(Json, json.loads(answer))

    def _request(self, operation: str, service: str) -> Any:
        name = f"{old_requests.__name__}.{operation}Request"
        if find_spec(name) is None:  # younger than this client: its generic request makes the call
            method, path = ROUTES[operation]
            path = path.format(region=self.region, service=service)
            request = CommonRequest(self.address, "2021-07-01", operation, path)
            request.set_method(method)
        else:
            request = getattr(import_module(name), f"{operation}Request")()
            if hasattr(request, "set_ClusterId"):
                request.set_ClusterId(self.region)
                request.set_ServiceName(service)
            request.set_endpoint(self.address)
        request.set_protocol_type("http")
        return request


class NodeSdk:
    """npm `@alicloud/openapi-client`: the generic callApi; every body travels in chunks."""

    def __init__(self, platform: Platform) -> None:
        assert (NODE / "node_modules" / "@alicloud").is_dir(), (
            f"the npm clients are not installed: run `npm ci` in {NODE} (Node 18 or newer)"
        )
        self.region = platform.region
        self.process = subprocess.Popen(
            ("node", "lifecycle.mjs"),
            cwd=NODE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        keys = platform.credentials
        self._say(
            {
                "accessKeyId": keys["access_key_id"],
                "accessKeySecret": keys["access_key_secret"],
                "endpoint": platform.address,
                "protocol": "HTTP",
            }
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "{}\n", "it has not started"

    def __call__(
        self,
        operation: str,
        service: str = "",
        /,
        *,
        query: Mapping[str, Any] = {},
        body: Mapping[str, Any] | None = None,
    ) -> Json:
        method, path = ROUTES[operation]
        texts = {
            name: json.dumps(value) if isinstance(value, dict) else str(value)
            for name, value in query.items()
        }
        pathname = path.format(region=self.region, service=service)
        self._say(
            {
                "action": operation,
                "method": method,
                "pathname": pathname,
                "query": texts,
                "body": body,
            }
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"node ended with {self.process.wait(10)}"
        answer = json.loads(line)
        if "error" in answer:
            error = answer["error"]
            assert error["isError"], error
            raise Refused(error["code"], error["statusCode"], error["message"])
        assert answer["statusCode"] == 200
        return cast(Json, answer["body"])

    def _say(self, document: Json) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(document) + "\n")
        self.process.stdin.flush()

    def close(self) -> None:
        """End the client's process."""
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        assert self.process.wait(10) == 0


_SERVICES = "/api/v2/services"
_SERVICE = f"{_SERVICES}/{{region}}/{{service}}"
#: Operation -> method and path, for the client that has no classes of its own.
ROUTES = {
    "CreateAppService": ("POST", "/api/v2/app_services"),
    "UpdateAppService": ("PUT", "/api/v2/app_services/{region}/{service}"),
    "CreateService": ("POST", _SERVICES),
    "UpdateService": ("PUT", _SERVICE),
    "DescribeService": ("GET", _SERVICE),
    "ListServices": ("GET", _SERVICES),
    "DeleteService": ("DELETE", _SERVICE),
    "StartService": ("PUT", f"{_SERVICE}/start"),
    "StopService": ("PUT", f"{_SERVICE}/stop"),
    "RestartService": ("PUT", f"{_SERVICE}/restart"),
    "ListServiceInstances": ("GET", f"{_SERVICE}/instances"),
    "DescribeServiceLog": ("GET", f"{_SERVICE}/logs"),
    "DescribeServiceEvent": ("GET", f"{_SERVICE}/events"),
    "DescribeServiceEndpoints": ("GET", f"{_SERVICE}/endpoints"),
}


@contextmanager
def sdk(kind: str, platform: Platform) -> Iterator[Sdk]:
    """One of the clients, by a short name."""
    if kind == "node":
        node = NodeSdk(platform)
        try:
            yield node
        finally:
            node.close()
    elif kind == "old":
        yield OldPythonSdk(platform)
    else:
        yield PythonSdk(platform, **({"signature_algorithm": "v2"} if kind == "v2" else {}))


def snake(operation: str) -> str:
    """A method's name in the Python SDK."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", operation).lower()
