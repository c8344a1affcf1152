"""What every request to the hub meets first: hosts, proxies, security headers."""

import asyncio
import json
from typing import Any

import pytest

from pierhead.core.proxies import Proxies
from pierhead.web.edge import Edge, Rules, is_known, is_local

NAMES = frozenset({"pier.example", "*.apps.example"})
RULES = Rules(hosts=NAMES)


def ask(
    path: str = "/healthz",
    rules: Rules = RULES,
    *,
    client: str = "192.0.2.1",
    scheme: str = "http",
    said: list[tuple[bytes, bytes]] | None = None,
    scope: dict[str, Any] | None = None,
    **headers: str,
) -> tuple[int, dict[str, str], bytes, dict[str, Any]]:
    """Status, headers and body of the answer, and the scope that the app saw."""
    seen: dict[str, Any] = {}
    sent: list[dict[str, Any]] = []

    async def app(given: Any, _receive: Any, send: Any) -> None:
        seen.update(given)
        await send({"type": "http.response.start", "status": 200, "headers": said or []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    raw = [(k.replace("_", "-").encode(), v.encode("latin-1")) for k, v in headers.items()]
    asked = {
        "type": "http",
        "method": "GET",
        "query_string": b"",
        "path": path,
        "headers": raw,
        "client": (client, 1234),
        "scheme": scheme,
        **(scope or {}),
    }
    asyncio.run(Edge(app, rules)(asked, receive, send))
    told = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], told, sent[1]["body"], seen


KNOWN = [
    "localhost",
    "localhost:8080",
    "a.localhost",
    "127.0.0.1:8080",
    "127.8.8.8",
    "[::1]:8080",
    "[::1]",
    "10.1.2.3:80",
    "[2001:db8::1]:80",
    "pier.example",
    "PIER.EXAMPLE.:8080",
    "x.apps.example",
]
STRANGERS = [
    "evil.example",
    "evil.example:8080",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "pier.example.evil.example",
    "apps.example",
    "xapps.example",
    "evil.example@localhost",
    "localhost@evil.example",
    "[evil.example]",
    "pier.example:80:80",
    "127.1.evil",
]


@pytest.mark.parametrize("host", KNOWN)
def test_a_known_host_passes(host: str) -> None:
    assert is_known(host, NAMES) and ask(host=host)[0] == 200


@pytest.mark.parametrize("host", STRANGERS)
def test_law_a_name_that_an_attacker_gave_to_this_address_is_refused(host: str) -> None:
    status, headers, body, seen = ask(host=host)
    assert (status, headers["connection"]) == (421, "close") and seen == {}
    told = json.loads(body)
    assert told["Code"] == "InvalidHost" and "http.allowed_hosts" in told["Message"]
    assert ask("/zstack/v1/zones", host=host)[1]["content-type"] == "text/plain"


@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        ("/api/v2/services", {}, 200),
        ("/audit", {}, 200),
        ("/internal/routes", {}, 200),
        ("/", {"method": "POST"}, 200),
        ("/", {"query_string": b"Action=ListUsers"}, 200),
        ("/", {}, 421),
        ("/zstack/v1/accounts/login", {}, 421),
        ("/metrics", {}, 421),
        ("/apix", {}, 421),
    ],
)
def test_a_name_matters_where_no_key_is_needed(
    path: str, more: dict[str, Any], status: int
) -> None:
    assert ask(path, host="evil.example", scope=more)[0] == status


def test_any_host_may_be_allowed_and_none_is_needed() -> None:
    assert ask(rules=Rules(hosts=frozenset({"*"})), host="evil.example")[0] == 200
    assert ask()[0] == 200


@pytest.mark.parametrize("path", ["/healthz", "/api/v2/services", "/zstack/v1/zones"])
def test_law_two_hosts_are_refused_whatever_they_are(path: str) -> None:
    twice = [(b"host", b"localhost"), (b"host", b"evil.example")]
    for headers in (twice, twice[::-1], twice[:1] * 2):
        status, told, _, seen = ask(path, scope={"headers": headers})
        assert (status, told["connection"], seen) == (400, "close", {})


def test_law_a_refused_host_is_echoed_in_one_line() -> None:
    _, _, body, _ = ask(host="evil\x1b[31m\x85.example" + "x" * 500)
    assert body.isascii() and b"\n" not in body and len(body) < 600
    _, _, body, _ = ask("/zstack/", host="evil\x1b\x85.example")
    assert body.isascii() and len(body.splitlines()) == 1


def test_law_every_answer_has_the_security_headers() -> None:
    for host in ("localhost", "evil.example"):
        _, headers, _, _ = ask(host=host)
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers and "strict-transport-security" not in headers


def test_a_page_may_have_a_policy_of_its_own() -> None:
    said = [(b"content-security-policy", b"default-src 'self'"), (b"cache-control", b"max-age=5")]
    _, headers, _, _ = ask(said=said, host="localhost")
    assert headers["content-security-policy"] == "default-src 'self'"
    assert headers["cache-control"] == "max-age=5"


@pytest.mark.parametrize(
    ("scheme", "host", "hsts", "told"),
    [
        ("https", "pier.example", True, True),
        ("http", "pier.example", True, False),
        ("https", "pier.example", False, False),
        ("https", "localhost:8080", True, False),
        ("https", "127.0.0.1:8080", True, False),
        ("https", "[::1]:8080", True, False),
    ],
)
def test_law_hsts_is_told_over_https_and_never_of_loopback(
    scheme: str, host: str, *, hsts: bool, told: bool
) -> None:
    rules = Rules(hosts=NAMES, hsts=hsts)
    _, headers, _, _ = ask(rules=rules, scheme=scheme, host=host)
    assert ("strict-transport-security" in headers) is told


PROXIES = Rules(hosts=NAMES, proxies=Proxies(["10.0.0.0/8"]))


@pytest.mark.parametrize(
    ("client", "forwarded", "source"),
    [
        ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "1.1.1.1, nonsense", "10.0.0.1"),
        ("10.0.0.1", "2001:db8::9", "2001:db8::9"),
    ],
)
def test_law_only_a_trusted_proxy_says_where_a_call_came_from(
    client: str, forwarded: str, source: str
) -> None:
    _, _, _, seen = ask(rules=PROXIES, client=client, host="localhost", x_forwarded_for=forwarded)
    assert seen["client"][0] == source


def test_a_trusted_proxy_says_how_a_call_came() -> None:
    asked: dict[str, Any] = {"host": "localhost", "x_forwarded_proto": "http, https"}
    assert ask(rules=PROXIES, client="10.0.0.1", **asked)[3]["scheme"] == "https"
    assert ask(rules=PROXIES, client="192.0.2.1", **asked)[3]["scheme"] == "http"
    asked["x_forwarded_proto"] = "javascript"
    assert ask(rules=PROXIES, client="10.0.0.1", **asked)[3]["scheme"] == "http"


def test_loopback_is_known() -> None:
    assert is_local("LOCALHOST.:1") and not is_local("localhost.example") and not is_local("")
