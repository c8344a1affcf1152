"""The vendor's RAM and STS clients, unmodified, behind one call: operation and parameters.

What each of them raises is told as `Refused`, after it was checked to be the class that its users catch.
"""

import json
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from alibabacloud_ram20150501 import models as ram_models
from alibabacloud_ram20150501.client import Client as RamClient
from alibabacloud_sts20150401 import models as sts_models
from alibabacloud_sts20150401.client import Client as StsClient
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.exceptions import ServerException as NewServerException
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.policy.retry import RetryOptions
from darabonba.runtime import ExtendsParameters, RuntimeOptions

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # their sources hold escapes that newer Pythons warn of
    from aliyunsdkcore.acs_exception.exceptions import ServerException
    from aliyunsdkcore.auth.credentials import AccessKeyCredential, StsTokenCredential
    from aliyunsdkcore.client import AcsClient

Json = dict[str, Any]
STS_ACTIONS = frozenset({"AssumeRole", "GetCallerIdentity"})


@dataclass(frozen=True, slots=True)
class Keys:
    """What a client signs with."""

    id: str
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


@dataclass
class Refused(Exception):
    """A call that was refused."""

    code: str
    status: int
    message: str
    denied: Json = field(default_factory=dict[str, Any])

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.message}"


class Sdk(Protocol):
    """One client."""

    def __call__(self, action: str, /, **parameters: Any) -> Json:
        """The answer's fields.

        Raises:
            Refused: the platform refused it.
        """
        ...


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


class NewSdk:
    """`alibabacloud_ram20150501` and `_sts20150401`: signature V3, or HMAC-SHA1 with algorithm `v2`."""

    def __init__(self, address: str, keys: Keys, algorithm: str = "") -> None:
        config = {
            "access_key_id": keys.id,
            "access_key_secret": keys.secret,
            "security_token": keys.token or None,
            "signature_algorithm": algorithm or None,
            "endpoint": address,
            "protocol": "HTTP",
            "retry_options": RetryOptions({"retryable": False}),
        }
        self._clients = {
            True: StsClient(Config(**config)),
            False: RamClient(Config(**config)),
        }

    def __call__(self, action: str, /, **parameters: Any) -> Json:
        return self.extended(action, {}, **parameters)

    def extended(self, action: str, extra: Mapping[str, str], /, **parameters: Any) -> Json:
        """A call with parameters that the SDK does not know."""
        sts = action in STS_ACTIONS
        runtime = RuntimeOptions(extends_parameters=ExtendsParameters(queries=dict(extra)))
        model = getattr(sts_models if sts else ram_models, f"{action}Request", None)
        call = getattr(self._clients[sts], f"{snake(action)}_with_options")
        request = [] if model is None else [model().from_map(parameters)]
        try:
            return call(*request, runtime).body.to_map()
        except (ClientException, NewServerException) as error:
            assert isinstance(error, ClientException) == (error.statusCode < 500)
            denied = getattr(error, "accessDeniedDetail", None) or {}
            raise Refused(str(error.code), error.statusCode, str(error.message), denied) from error


class OldSdk:
    """`aliyun-python-sdk-ram` and `-sts`: HMAC-SHA1 over the parameters."""

    def __init__(self, address: str, keys: Keys) -> None:
        self._address = address
        credential = (
            StsTokenCredential(keys.id, keys.secret, keys.token)
            if keys.token
            else AccessKeyCredential(keys.id, keys.secret)
        )
        self._client = AcsClient(region_id="local", credential=credential, auto_retry=False)

    def __call__(self, action: str, /, **parameters: Any) -> Json:
        package = (
            "aliyunsdksts.request.v20150401"
            if action in STS_ACTIONS
            else "aliyunsdkram.request.v20150501"
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = import_module(f"{package}.{action}Request")
        request = getattr(module, f"{action}Request")()
        request.set_protocol_type("http")
        request.set_endpoint(self._address)
        for name, value in parameters.items():
            getattr(request, f"set_{name}")(value)
        try:
            return json.loads(self._client.do_action_with_exception(request))
        except ServerException as error:
            raise Refused(
                error.get_error_code(), error.get_http_status(), error.get_error_msg()
            ) from error
