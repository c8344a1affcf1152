"""The console's pages as browsers get them, and what hostile paths come to."""

import asyncio
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from front_door import an_inside
from starlette.responses import PlainTextResponse

from pierhead.web.app import FrontDoor
from pierhead.web.edge import Edge, Rules
from pierhead.web.static_files import BUILT, Pages, takes_gzip

PAGE = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SCRIPT = b"console.log('a page');" * 100
INDEX = b"<!doctype html><div id=root></div>"


class Site:
    """The front door with pages from `folder`, as a browser meets it."""

    def __init__(self, folder: Path) -> None:
        inside = an_inside()
        eas, zstack, ram, own = map(PlainTextResponse, ("eas", "zstack", "ram", "console"))
        self.door = Edge(FrontDoor(inside, eas, zstack, ram, own, Pages(folder)), Rules())

    def get(
        self, path: str, method: str = "GET", query: str = "", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body; no header may come twice."""
        sent: list[dict[str, Any]] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        raw = {"host": "localhost", **headers}
        asked: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in raw.items()],
            "client": ("127.0.0.1", 1),
            "scheme": "http",
        }
        asyncio.run(self.door(asked, receive, send))
        told = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
        assert len(dict(told)) == len(told), "a header came twice"
        return sent[0]["status"], dict(told), b"".join(one["body"] for one in sent[1:])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pages as the build leaves them, beside something that is nobody's business."""
    built = tmp_path / "static"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_bytes(INDEX)
    (built / "favicon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (built / ".stamp").write_text("secret")
    script = built / "assets" / "index-Ab_3-x.js"
    script.write_bytes(SCRIPT)
    script.with_name("index-Ab_3-x.js.gz").write_bytes(gzip.compress(SCRIPT))
    (tmp_path / "outside.txt").write_text("secret")
    (built / "assets" / "link.txt").symlink_to(tmp_path / "outside.txt")
    return built


@pytest.fixture
def site(folder: Path) -> Site:
    return Site(folder)


@pytest.mark.parametrize("path", ["/", "/services", "/services/chat", "/login", "/console", "/x.y"])
def test_every_page_is_the_one_page(site: Site, path: str) -> None:
    status, headers, body = site.get(path, **PAGE)
    assert (status, body) == (200, INDEX)
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["cache-control"] == "no-cache"
    policy = headers["content-security-policy"].split("; ")
    assert {"default-src 'self'", "frame-ancestors 'none'", "object-src 'none'"} <= set(policy)
    assert "script-src" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    _, elsewhere, _ = site.get(path, **{**PAGE, "host": "192.0.2.7:8080"})
    assert "cross-origin-opener-policy" not in elsewhere, "browsers call that an error"


def test_a_page_is_asked_for_again_and_not_sent_again(site: Site, folder: Path) -> None:
    _, headers, _ = site.get("/", **PAGE)
    tag = headers["etag"]
    status, headers, body = site.get("/services", **PAGE, if_none_match=f'"other", {tag}')
    assert (status, body, headers["etag"]) == (304, b"", tag)
    (folder / "index.html").write_bytes(INDEX + b"new")
    status, _, body = site.get("/", **PAGE, if_none_match=tag)
    assert (status, body) == (200, INDEX + b"new")


def test_an_asset_is_kept_for_good_and_comes_packed(site: Site) -> None:
    path = "/assets/index-Ab_3-x.js"
    status, headers, body = site.get(path, accept_encoding="br, gzip;q=0.5")
    assert (status, gzip.decompress(body)) == (200, SCRIPT)
    assert headers["content-encoding"] == "gzip"
    assert headers["vary"] == "Accept-Encoding"
    assert "immutable" in headers["cache-control"]
    assert headers["content-type"] == "text/javascript; charset=utf-8"
    status, headers, body = site.get(path, accept_encoding="gzip;q=0")
    assert (status, body) == (200, SCRIPT)
    assert "content-encoding" not in headers
    status, headers, body = site.get(path, "HEAD")
    assert (status, body, headers["content-length"]) == (200, b"", str(len(SCRIPT)))


def test_who_is_asked_at_each_path(site: Site) -> None:
    def answered(path: str, method: str = "GET", query: str = "", **headers: str) -> str:
        return site.get(path, method, query, **headers)[2].decode()

    page = INDEX.decode()
    assert answered("/") == answered("/", accept="*/*") == page
    assert answered("/favicon.svg", accept="image/*").startswith("<svg")
    assert answered("/", query="tab=logs") == page
    for query in ("Action=ListUsers", "x=1&Action", "AccessKeyId=a&Signature=b"):
        assert answered("/", query=query, **PAGE) in ("ram", "eas")
    assert answered("/", **PAGE, x_acs_action="ListUsers") == "ram"
    assert answered("/", **PAGE, authorization="acs a:b") == "eas"
    assert answered("/", "POST", **PAGE) == "ram"
    assert answered("/services", "POST", **PAGE) == "eas"
    assert answered("/services", accept="application/json") == "eas"
    assert answered("/zstack/v1/x", **PAGE) == answered("//zstack/v1", **PAGE) == "zstack"
    assert answered("/console/api/session", **PAGE) == "console"
    for path in (
        "/api/v2/services",
        "//api/v2",
        "/openapi/x",
        "/internal/x",
        "/audit",
        "/metrics/x",
    ):
        assert answered(path, **PAGE) == "eas"


@pytest.mark.skipif(not (BUILT / "index.html").is_file(), reason="the pages are not built here")
def test_the_licences_of_what_the_page_carries_are_served() -> None:
    status, headers, body = Site(BUILT).get("/licences.json", accept="*/*")
    assert (status, headers["content-type"]) == (200, "application/json")
    listed = json.loads(body)
    names = {one["name"] for one in listed}
    assert {"react", "antd", "@tanstack/react-query", "uplot"} <= names
    assert [one["name"] for one in listed if not one["identifier"]] == []


HOSTILE = [
    "/assets/../index.html",
    "/assets/../../outside.txt",
    "/assets/../.stamp",
    "/assets/link.txt",
    "/assets//etc/passwd",
    "/assets/",
    "/assets",
    "/assets/.",
    "/assets/index-Ab_3-x.js/",
    "/assets/index-Ab_3-x.js\0.txt",
    "/assets/..\\..\\outside.txt",
    "/assets/%2e%2e/outside.txt",
    "/assets/" + "a" * 5000,
    "/assets/" + "a/" * 2000 + "b",
    "/assets/\u202e\ufffd.js",
    "//assets/../../outside.txt",
]


@pytest.mark.parametrize("path", HOSTILE)
def test_a_hostile_path_gets_nothing(site: Site, path: str) -> None:
    for headers in (PAGE, {}):
        status, told, body = site.get(path, **headers)
        assert status == 404
        assert b"secret" not in body and INDEX not in body
        assert told["content-type"].startswith("text/plain")
        assert "immutable" not in told["cache-control"]


@pytest.mark.parametrize("path", ["/../outside.txt", "/.stamp", "/..", "/\0", "/assets.txt"])
def test_what_is_no_file_is_a_page_or_nothing(site: Site, path: str) -> None:
    assert site.get(path, **PAGE)[2] == INDEX
    assert site.get(path)[2] == b"eas"


def test_without_pages_one_page_says_how_to_build_them(tmp_path: Path) -> None:
    site = Site(tmp_path / "none")
    status, headers, body = site.get("/services", **PAGE)
    assert status == 503
    assert b"make install" in body
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert site.get("/assets/x.js")[0] == 404
    assert site.get("/api/v2/services", **PAGE)[2] == b"eas"
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "index.html").write_bytes(INDEX)
    assert site.get("/", **PAGE)[:1] == (200,), "nobody has to start the platform again"


ACCEPTED = {
    "": False,
    "gzip": True,
    "GZIP": True,
    "deflate, gzip ; q=1": True,
    "*": True,
    "*;q=0": False,
    "gzip;q=0, *": False,
    "gzip; q=0.000": False,
    "identity": False,
    "gzip;q=0.001": True,
}


@pytest.mark.parametrize(("accepted", "packed"), ACCEPTED.items())
def test_who_takes_gzip(accepted: str, packed: bool) -> None:
    assert takes_gzip(accepted) is packed
