"""More injected faults, found by somebody who did not know the rules: what users see while it happens.

The cases are those of real programs that fail of themselves; words of products that are not on every
machine are judged by the pure rules, in tests/unit/test_diagnosis_speaking.py.
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corpus import Case

Json = dict[str, Any]

_HTTP = """
import http.server, os, sys, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        {answer}
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"""
_STATUS = (
    "self.send_response({}); self.send_header('Content-Length', '0'); self.end_headers()".format
)
_BARE = """
import os, socket, time
server = socket.create_server({where}{more})
while True:
    client, _ = server.accept()
    {answer}
    client.close()
"""
_HERE = "('127.0.0.1', int(os.environ['PORT']))"
#: Words that name faults which did not happen; the program then ends by a mistake of its own.
_INNOCENT = """
import sys
print('tip: if you see "CUDA out of memory" reduce the batch size', file=sys.stderr)
print('INFO No space left on device is handled by rotating logs', file=sys.stderr)
print('WARNING permission denied for the cache, continuing without it', file=sys.stderr)
{}['hidden_size']
"""


def _py(code: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", code)


def _case(
    name: str,
    injected: str,
    reason: str,
    command: tuple[str, ...],
    container: Mapping[str, Any] | None = None,
    needs: str = "",
) -> Case:
    return Case(name, injected, reason, "process", command, container or {}, needs=needs)


def _probe(name: str, injected: str, reason: str, code: str, timeout: float = 2) -> Case:
    get = {"http_get": {"path": "/health"}, "period_seconds": 0.5, "timeout_seconds": timeout}
    return _case(name, injected, reason, _py(code), {"readiness_check": get})


def _http(answer: str) -> str:
    return _HTTP.format(answer=answer)


def _bare(answer: str = "pass", where: str = _HERE, more: str = "") -> str:
    return _BARE.format(answer=answer, where=where, more=more)


MORE: tuple[Case, ...] = (
    _case("more_interpreter", "a script whose first line names an interpreter that is not there", "InterpreterMissing", ("{folder}/no-interpreter",)),
    _case("more_line_ends", "a script with Windows line ends", "WindowsLineEnds", ("{folder}/windows",)),
    _case("more_library", "a library that is an empty file", "LibraryMissing", (sys.executable, "-c", "import ctypes; ctypes.CDLL('{folder}/empty.so')")),
    _case("more_variable", "an environment variable that is not set", "VariableMissing", _py("import os; os.environ['NO_SUCH_NAME']")),
    _case("more_configuration", "a configuration that is not JSON", "ConfigurationBroken", _py("import json; json.loads('{,}')")),
    _case("more_address", "an address that the machine does not have", "AddressNotHere", _py("import socket; socket.create_server(('192.0.2.7', 8000))")),
    _case("more_input", "a program that asks for input", "NeedsTerminal", _py("input('Model? ')")),
    _case("more_encoding", "text that the encoding lacks", "EncodingWrong", _py("import sys; sys.stdout.reconfigure(encoding='ascii'); print(chr(0x4f60))")),
    _case("more_mistake", "a mistake in the program after words that blame others", "ProgramError", _py(_INNOCENT)),
    _case("more_late", "a program that fails a second after it was ready", "ProgramError", _py("import threading, os, sys\ndef die():\n    print('RuntimeError: no number', file=sys.stderr, flush=True); os._exit(1)\nthreading.Timer(1, die).start()" + _http(_STATUS(200)))),
    _case("more_app", "a web server that cannot import its application", "PartMissing", (sys.executable, "-m", "uvicorn", "no_such_app:app")),
    _case("more_node", "a Node module that is not installed", "PartMissing", ("node", "-e", "require('no-such-module')"), needs="node"),
    _probe("more_404", "a probe whose path is wrong, told at once", "ProbePathWrong", _http(_STATUS(404))),
    _probe("more_401", "a probe that is refused, told at once", "ProbeDenied", _http(_STATUS(401))),
    _probe("more_500", "a probe that meets an error", "ProbeMeetsError", _http(_STATUS(500))),
    _probe("more_silent", "a server that accepts and does not answer", "ProbeUnanswered", _http("time.sleep(600)"), 1),
    _probe("more_words", "a server of another protocol", "ProbeFindsNoHttp", _bare("client.sendall(b'SSH-2.0-OpenSSH_9.2' + bytes([13, 10]))")),
    _probe("more_http2", "a server of HTTP/2 alone", "ProbeFindsNoHttp", _bare("client.sendall(bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))")),
    _probe("more_hangs_up", "a server that closes every connection", "ProbeFindsNoHttp", _bare("client.recv(9999)")),
    _probe("more_port", "a server on another port", "ListensElsewhere", _bare(where="('127.0.0.1', 0)")),
    _probe("more_ipv6", "a server on IPv6 alone", "ListensElsewhere", _bare(where="('::1', int(os.environ['PORT']))", more=", family=socket.AF_INET6")),
)  # fmt: skip

WEIGHTS_MORE: tuple[Case, ...] = (
    Case("more_lfs", "a pointer of Git LFS", "GitLfsPointer", "weights"),
    Case("more_page", "a web page", "WebPageInstead", "weights"),
    Case("more_empty", "an empty file", "ModelFileEmpty", "weights"),
    Case("more_version", "a GGUF file of version 1", "GgufVersion", "weights"),
    Case("more_byte_order", "a GGUF file of the other byte order", "GgufVersion", "weights"),
)


def programs(folder: Path) -> None:
    """Files that cannot be run, each in its own way."""
    folder.mkdir()
    for name, text in (
        ("no-interpreter", "#!/no/such/python\npass\n"),
        ("windows", "#!/bin/sh\r\nexit 0\r\n"),
        ("empty.so", ""),
    ):
        (folder / name).write_bytes(text.encode())
        (folder / name).chmod(0o755)


def weights(folder: Path) -> None:
    """Folders of files that are no model."""
    contents = {
        "more_lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a21\nsize 4368438944\n",
        "more_page": b"<!DOCTYPE html>\n<html><head><title>Sign in</title></head></html>\n",
        "more_empty": b"",
        "more_version": b"GGUF\x01\x00\x00\x00" + bytes(64),
        "more_byte_order": b"GGUF\x00\x00\x00\x03" + bytes(64),
    }
    for name, content in contents.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "model.gguf").write_bytes(content)
