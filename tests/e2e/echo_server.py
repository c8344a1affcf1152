"""A user's own server, as the tests deploy it: answers every request with what it was asked, as JSON.

usage: echo_server.py [--port N]      (else the variable PORT); ready once the file in GATE exists, if that is set
"""

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        gate = os.environ.get("GATE")
        closed = self.path == "/ready" and gate is not None and not Path(gate).exists()
        if self.path.startswith("/slow"):
            time.sleep(float(self.path.rpartition("/")[2]))
        document = {
            "method": self.command,
            "path": self.path,
            "body": body.decode(errors="replace"),
            "authorization": self.headers.get("Authorization"),
            "request_id": self.headers.get("X-Request-Id"),
            "env": dict(os.environ),
            "argv": sys.argv,
            "pid": os.getpid(),
        }
        content = json.dumps(document).encode()
        self.send_response(503 if closed else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, format: str, *args: object) -> None:
        if self.path != "/ready":
            print(f"{self.command} {self.path}", flush=True)


class Server(ThreadingHTTPServer):
    request_queue_size = 128


def main() -> None:
    port = int(
        sys.argv[sys.argv.index("--port") + 1] if "--port" in sys.argv else os.environ["PORT"]
    )
    server = Server(("127.0.0.1", port), Echo)
    # At once, whatever is being answered: it must not be told to end before it has nothing to answer.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print("serving", os.environ.get("GREETING", "nobody"), flush=True)
    server.serve_forever()


main()
