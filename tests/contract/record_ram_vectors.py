"""Writes vectors/ram.json: what unmodified RAM and STS SDKs put on the wire, with a made-up key pair.

python tests/contract/record_ram_vectors.py     (needs the test dependencies; reaches 127.0.0.1 only)
"""

import json
import sys
import threading
import warnings
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))
from ram_clients import Keys, NewSdk, OldSdk

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from aliyunsdkcore.client import AcsClient
    from aliyunsdkcore.request import CommonRequest

FILE = Path(__file__).parent / "vectors" / "ram.json"
KEYS = Keys("LTAI5tFakeKeyForTests001", "FakeSecretForTests0000000001")
TOKEN = "CAISfakeSecurityToken/+=="
NOTE = [
    "Requests as unmodified official RAM and STS clients put them on the wire, with a made-up "
    "AccessKey pair that is valid nowhere. Written by record_ram_vectors.py.",
    "raw_target is the exact request-target. Set the verifier's clock to server_clock.",
]
CALLS: list[tuple[str, dict[str, Any]]] = [
    (
        "CreateUser",
        {"UserName": "al.ice", "DisplayName": "爱丽丝 +&=/~*'()!%20", "Comments": "a  b"},
    ),
    ("CreatePolicy", {"PolicyName": "p", "PolicyDocument": '{"Version": "1",\n "Statement": []}'}),
    ("ListUsers", {"MaxItems": 5, "Marker": "a=b&c"}),
    ("CreatePolicyVersion", {"PolicyName": "p", "PolicyDocument": "{}", "SetAsDefault": True}),
    ("AssumeRole", {"RoleArn": "acs:ram::1:role/r", "RoleSessionName": "a@b", "Policy": "*"}),
    ("GetCallerIdentity", {}),
]


class Recorder(BaseHTTPRequestHandler):
    """Answers everything with nothing, and remembers it."""

    protocol_version = "HTTP/1.1"
    seen: list[dict[str, Any]] = []  # noqa: RUF012 - one recorder per process

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.seen.append(
            {
                "method": self.command,
                "raw_target": self.path,
                "headers": [[name, value] for name, value in self.headers.items()],
                "body": body.decode(),
                "server_clock": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )
        content = b'{"RequestId": "R"}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = _serve

    def log_message(self, format: str, *args: object) -> None:
        pass


def by_form(address: str) -> None:
    """A call whose parameters are in a form: `CommonRequest` of the old core library."""
    client = AcsClient(KEYS.id, KEYS.secret, "local", auto_retry=False)
    request = CommonRequest(domain=address, version="2015-05-01", action_name="CreateUser")
    request.set_protocol_type("http")
    request.set_method("POST")
    request.add_query_param("Comments", "q")
    request.add_body_params("UserName", "al ice*~")
    client.do_action_with_exception(request)


def main() -> None:
    """Record and write."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"127.0.0.1:{server.server_address[1]}"
    vectors: list[dict[str, Any]] = []
    temporary = Keys(KEYS.id, KEYS.secret, TOKEN)
    new = f"alibabacloud-ram20150501=={version('alibabacloud-ram20150501')}"
    old = f"aliyun-python-sdk-ram=={version('aliyun-python-sdk-ram')}"
    clients = {
        "v3": (new, NewSdk(address, KEYS)),
        "v3-sts": (new, NewSdk(address, temporary)),
        "rpc": (new, NewSdk(address, KEYS, "v2")),
        "rpc-sts": (new, NewSdk(address, temporary, "v2")),
        "old": (old, OldSdk(address, KEYS)),
        "old-sts": (old, OldSdk(address, temporary)),
    }
    for name, (library, sdk) in clients.items():
        for action, parameters in CALLS:
            with suppress(AttributeError):  # an empty answer has no body to show
                sdk(action, **parameters)
            found = Recorder.seen.pop()
            vectors.append({"id": f"{name}-{action}", "client": library, "action": action, **found})
    by_form(address)
    found = Recorder.seen.pop()
    vectors.append({"id": "old-form", "client": old, "action": "CreateUser", **found})
    assert not Recorder.seen
    document = {
        "note": NOTE,
        "access_key_id": KEYS.id,
        "access_key_secret": KEYS.secret,
        "sts_token": TOKEN,
        "vectors": vectors,
    }
    FILE.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    server.shutdown()


if __name__ == "__main__":
    main()
