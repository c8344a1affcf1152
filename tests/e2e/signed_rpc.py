"""Calls in RPC style signed by hand, for what no SDK would send: HMAC-SHA1 over the parameters, as they are."""

import base64
import hmac
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import requests
from running_platform import Platform

from ram_clients import Keys

RAM, STS = "2015-05-01", "2015-04-01"


def pairs(
    keys: Keys,
    given: Mapping[str, str],
    *,
    method: str = "GET",
    age: float = 0.0,
    nonce: str = "",
) -> list[tuple[str, str]]:
    """All parameters of a call, the signature last; `given` wins over the usual ones."""
    then = datetime.now(UTC) - timedelta(seconds=age)
    whole = {
        "Format": "JSON",
        "Version": STS if given.get("Action") in {"AssumeRole", "GetCallerIdentity"} else RAM,
        "AccessKeyId": keys.id,
        "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0",
        "SignatureNonce": nonce or secrets.token_hex(16),
        "Timestamp": then.strftime("%Y-%m-%dT%H:%M:%SZ"),
        **({"SecurityToken": keys.token} if keys.token else {}),
        **given,
    }
    text = "&".join(f"{_percent(name)}={_percent(whole[name])}" for name in sorted(whole))
    string = f"{method}&%2F&{_percent(text)}".encode()
    signature = base64.b64encode(hmac.digest(f"{keys.secret}&".encode(), string, "sha1")).decode()
    return [*whole.items(), ("Signature", signature)]


def query(sent: Iterable[tuple[str, str]]) -> str:
    """Parameters as a query string."""
    return "&".join(f"{_percent(name)}={_percent(value)}" for name, value in sent)


def call(platform: Platform, keys: Keys, action: str, **given: str) -> requests.Response:
    """One call as an old SDK sends it."""
    sent = query(pairs(keys, {"Action": action, **given}))
    return requests.get(f"{platform.eas}/?{sent}", timeout=30)


def _percent(text: str) -> str:
    return quote(text.encode("utf-8", "surrogatepass"), safe="-_.~")
