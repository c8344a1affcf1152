"""Stand-ins for `up` and its children: the real supervisor over two tiny HTTP servers.

`python supervisor_double.py up FOLDER GRACE ADDRESS ADDRESS` runs it; the children write what they do to
FOLDER/journal, one line each: `<name> start <pid>`, `<name> end`.
"""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

from pierhead.bootstrap import supervisor


class Healthy(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def note(folder: Path, line: str) -> None:
    with (folder / "journal").open("a") as journal:
        journal.write(line + "\n")


def child(name: str, address: str, folder: Path, parent: int) -> None:
    supervisor.die_with(parent)
    note(folder, f"{name} start {os.getpid()}")
    if (folder / f"{name}.refuses").exists():
        sys.exit(int((folder / f"{name}.refuses").read_text()))

    def end(*_: object) -> None:
        note(folder, f"{name} end")
        sys.exit(0)

    stubborn = (folder / f"{name}.stubborn").exists()
    signal.signal(signal.SIGTERM, signal.SIG_IGN if stubborn else end)
    host, port = supervisor.split_address(address)
    HTTPServer((host, port), Healthy).serve_forever()


def up(folder: Path, grace: float, *addresses: str) -> int:
    say = supervisor.speaker(sys.stdout)
    with supervisor.only_one(folder):
        first, second = supervisor.free_addresses(
            list(zip(("--listen", "--gateway-listen"), addresses, strict=True))
        )
        programs = [
            supervisor.Program(
                name,
                (sys.executable, __file__, "child", name, at, str(folder), str(os.getpid())),
                at,
                grace,
            )
            for name, at in (("hub", first), ("gateway", second))
        ]
        return supervisor.Supervisor(programs, say, lambda s: say(f"ready {s:.1f}")).run()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["up", folder, grace, first, second]:
            # Who runs the tests under nohup ignores it, and so would `up`: rightly.
            signal.signal(signal.SIGHUP, signal.SIG_DFL)
            sys.exit(up(Path(folder), float(grace), first, second))
        case ["child", name, address, folder, parent]:
            child(name, address, Path(folder), int(parent))
        case other:
            sys.exit(f"what is {other}?")
