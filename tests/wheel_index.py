"""A package index on loopback with wheels made on the spot: for environments without a network."""

import base64
import hashlib
import io
import threading
import zipfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def wheel(name: str, version: str, module: str) -> tuple[str, bytes]:
    """(file name, content) of a wheel whose one module `name` has this source text."""
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": module,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},{_digest(text)},{len(text)}\n" for path, text in files.items())
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return f"{name}-{version}-py3-none-any.whl", buffer.getvalue()


def _digest(text: str) -> str:
    raw = hashlib.sha256(text.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Index:
    """The index: its URL, and every file that was fetched from it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.fetched: list[str] = []


@contextmanager
def serving(wheels: Mapping[str, tuple[str, bytes]]) -> Generator[Index]:
    """Serve `project -> wheel` in the simple repository's form."""
    files = dict(wheels.values())
    index: Index

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = [part for part in self.path.split("?")[0].split("/") if part]
            if len(parts) == 2 and parts[0] == "simple" and parts[1] in wheels:
                name = wheels[parts[1]][0]
                page = f'<!DOCTYPE html><a href="/files/{name}">{name}</a>'
                self._answer(200, page.encode(), "text/html")
            elif len(parts) == 2 and parts[0] == "files" and parts[1] in files:
                index.fetched.append(parts[1])
                self._answer(200, files[parts[1]], "application/octet-stream")
            else:
                self._answer(404, b"", "text/plain")

        def do_HEAD(self) -> None:
            name = self.path.rpartition("/")[2]
            self.send_response(200 if name in files else 404)
            self.send_header("Content-Length", str(len(files.get(name, b""))))
            self.end_headers()

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    index = Index(f"http://127.0.0.1:{server.server_address[1]}/simple")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
