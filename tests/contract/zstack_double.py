"""A double of a hub's ZStack API for CLI tests: the wire's shapes, real signature checks, no engine."""

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

KEY_ID, SECRET = "testAccessKeyId0001", "testAccessKeySecret0001"
CREATED = "Nov 21, 2026 7:36:57 PM"
ROOT = "/zstack/v1/"

Json = dict[str, Any]


def uuid(number: int) -> str:
    return f"{number:032x}"


@dataclass
class ZstackDouble:
    """Objects by collection, and every request that came."""

    rows: dict[str, list[Json]] = field(
        default_factory=lambda: {
            "ai/model-centers": [{"uuid": uuid(1), "name": "default"}],
            "zones": [{"uuid": uuid(2), "name": "local"}],
            "ai/models": [],
            "ai/model-services": [],
            "ai/datasets": [],
            "ai/model-services/instances/groups": [],
        }
    )
    requests: list[tuple[str, str, list[tuple[str, str]], Any]] = field(default_factory=list)
    #: Path -> the refusal that it meets: status and body.
    refusals: dict[str, tuple[int, object]] = field(default_factory=dict)
    #: Statuses that a group shows at the next looks, oldest first.
    coming: list[tuple[str, str | None]] = field(default_factory=list)
    #: Changes are answered 202; the job's result comes at the third look.
    jobs: bool = False
    port: int = 0

    def __enter__(self) -> "ZstackDouble":
        double = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, answer = double.answer(self.command, self.path, self.headers, body)
                text = answer if isinstance(answer, str) else json.dumps(answer)
                self.send_response(status)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

            do_GET = do_PUT = do_POST = do_DELETE = _serve

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._pending: dict[str, list[tuple[int, object]]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def credentials(self) -> Json:
        base = f"http://127.0.0.1:{self.port}"
        return {
            "region": "local",
            "account_id": "1" * 16,
            "access_key_id": KEY_ID,
            "access_key_secret": SECRET,
            "zstack": {"account": "admin", "password": "zstack-password"},
            "endpoints": {"eas": base, "zstack": f"{base}/zstack", "gateway": f"{base}/gw"},
        }

    def add(self, collection: str, name: str, **fields: Any) -> Json:
        row = {
            "uuid": uuid(len(self.rows[collection]) + 100),
            "name": name,
            "createDate": CREATED,
            "lastOpDate": CREATED,
            **fields,
        }
        self.rows[collection].append(row)
        return row

    @property
    def changes(self) -> list[tuple[str, str, Any]]:
        """What came besides GETs: method, path below v1/, body."""
        return [(method, path, body) for method, path, _, body in self.requests if method != "GET"]

    def answer(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, object]:
        parts = urlsplit(target)
        _check(method, parts.path, headers)
        assert parts.path.startswith(ROOT)
        path = unquote(parts.path.removeprefix(ROOT))
        document = json.loads(body) if body else None
        query = parse_qsl(parts.query, keep_blank_values=True)
        if path.startswith("api-jobs/"):
            return self._pending[path.removeprefix("api-jobs/")].pop(0)
        self.requests.append((method, path, query, document))
        found = self.refusals.get(path) or (200, self._done(method, path, query, document))
        if method == "GET" or not self.jobs:
            return found
        self._pending[uuid(7)] = [(202, {}), (202, {}), found]
        # Another host stands in the location when a proxy is in front.
        return 202, {
            "location": f"http://elsewhere.example{ROOT}api-jobs/{uuid(7)}",
            "apiTimeout": 5000,
        }

    def _done(self, method: str, path: str, query: list[tuple[str, str]], document: Any) -> Json:
        if method == "GET":
            return {"success": True, "error": None, "inventories": self._found(path, query)}
        if "deployDistributedModelService" in (document or {}):
            return {"inventory": self._deployed(document["deployDistributedModelService"])}
        if path in self.rows:
            return {"inventory": self.add(path, **document["param"])}
        collection, _, last = path.rpartition("/")
        if collection not in self.rows:
            return {"success": True, "error": None}
        if method == "DELETE":
            self.rows[collection] = [row for row in self.rows[collection] if row["uuid"] != last]
            return {"success": True, "error": None}
        ((action, given),) = document.items()
        return {"inventory": self._acted(collection, last, action, given)}

    def _acted(self, collection: str, last: str, action: str, given: Json) -> Json:
        if action == "deployModelService":
            return self._deployed(given)
        if action == "params":
            return self.add(collection, **given)
        row = next(row for row in self.rows[collection] if row["uuid"] == last)
        row.update(given)
        return row

    def _deployed(self, given: Json) -> Json:
        return self.add(
            "ai/model-services/instances/groups",
            given["name"],
            serviceName=given["name"].replace("-", "_"),
            status="Deploying",
            replicas=1,
            readyReplicas=0,
            businessEndpoint="http://127.0.0.1:1/api/predict/x",
        )

    def _found(self, path: str, query: list[tuple[str, str]]) -> list[Json]:
        found = self.rows[path]
        for text in (value for key, value in query if key == "q"):
            for op in ("~=", "?=", "="):
                name, hit, value = text.partition(op)
                if hit:
                    found = [row for row in found if _meets(row.get(name), op, value)]
                    break
        paging = dict(query)
        start, limit = int(paging["start"]), int(paging["limit"])
        if path.endswith("/groups") and self.coming:
            status, message = self.coming.pop(0)
            found[0].update(status=status, message=message)
        return found[start : start + limit]


def _meets(has: object, op: str, value: str) -> bool:
    if op == "~=":
        return value.strip("%") in str(has)
    return str(has) in value.split(",") if op == "?=" else str(has) == value


def _check(method: str, path: str, headers: Mapping[str, str]) -> None:
    scheme, _, rest = headers["Authorization"].partition(" ")
    key, _, signed = rest.partition(":")
    text = f"{method}\n{headers['Date']}\n{path.removeprefix('/zstack')}".encode()
    right = base64.b64encode(hmac.new(SECRET.encode(), text, hashlib.sha1).digest()).decode()
    assert (scheme, key, signed) == ("ZStack", KEY_ID, right)


def refusal(code: str, description: str, details: str) -> tuple[int, Json]:
    error = {"code": code, "description": description, "details": details, "cause": None}
    return 503, {"success": False, "error": error}
