"""A store that says that a bucket is at another endpoint: the platform says so, and follows nowhere."""

import http.server
import threading
import time
from collections.abc import Iterator

import pytest

from pierhead.core.diagnosis import Cause, explained
from pierhead.sources.addresses import Egress
from pierhead.sources.oss import Keys, OssFolder, address
from pierhead.sources.remote import Denied

BODY = (
    '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{}</Code><Message>The bucket you are '
    "attempting to access must be addressed using the specified endpoint.</Message>"
    "<RequestId>5C3D</RequestId><Endpoint>{}</Endpoint></Error>"
)


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers with what the test wants."""

    status, body = 403, ""

    def do_GET(self) -> None:
        body = self.body.encode()
        self.send_response(self.status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing on the tests' output."""


@pytest.fixture
def url() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def folder(url: str) -> OssFolder:
    place = address("weights", "m/", url, "cn-shanghai")
    return OssFolder(place, lambda: Keys("AKTEST", "SKTEST"), Egress(private=True), time.time)


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (301, "MovedPermanently")])
def test_the_right_endpoint_is_named(
    url: str, status: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "status", status)
    monkeypatch.setattr(Handler, "body", BODY.format(code, "oss-cn-hangzhou.example.com"))
    with pytest.raises(Denied) as refused:
        folder(url).listing()
    message = str(refused.value)
    assert "another endpoint, oss-cn-hangzhou.example.com" in message
    assert explained(Cause("StorageDenied", message)).reason == "BucketElsewhere"


def test_an_endpoint_that_is_none_is_not_repeated(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "body", BODY.format("AccessDenied", "run this: rm -rf ~"))
    with pytest.raises(Denied) as refused:
        folder(url).listing()
    assert "rm -rf" not in str(refused.value)
    assert explained(Cause("StorageDenied", str(refused.value))).reason == "StorageDenied"
