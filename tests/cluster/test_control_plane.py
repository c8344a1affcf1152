"""The test cluster's own start and end, with programs that only listen: ports that are taken, what follows what."""

import importlib
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest
from hollow_cluster import TOOL
from kube_client import KubeClient

#: Servers outlive whoever starts them, on purpose; here they are ended by the fixture.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

#: Each server: listens where it is told to, and says as the real ones do that it cannot.
SERVER = """#!{python} -IS
import http.server, ssl, sys, time
given = dict(word[2:].split("=", 1) for word in sys.argv[1:] if word.startswith("--") and "=" in word)
url = given.get("listen-client-urls", "")
port = int(url.rpartition(":")[2] or given.get("secure-port", "0"))
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers()
        self.wfile.write(b"ok")
if not port:
    time.sleep(600)
try:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Ready)
except OSError as error:
    sys.exit(f"listen tcp 127.0.0.1:{{port}}: bind: {{error.strerror.lower()}}")
if "cert-dir" in given:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain("{certificate}", "{key}")
    server.socket = tls.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """scripts/cluster/control_plane.py, imported as the tool imports it."""
    monkeypatch.syspath_prepend(str(TOOL))
    return importlib.import_module("control_plane")


@pytest.fixture
def plane(tool: ModuleType, tmp_path: Path) -> Iterator[Any]:
    """A control plane of such programs."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x"]
    command += ["-out", str(certificate), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    text = SERVER.format(python=sys.executable, certificate=certificate, key=key)
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        (tmp_path / "bin").mkdir(exist_ok=True)
        program = tmp_path / "bin" / name
        program.write_text(text)
        program.chmod(0o755)
    made = tool.ControlPlane(tmp_path / "bin", tmp_path / "run")
    yield made
    made.down()


def pids(tool: ModuleType, plane: Any) -> dict[str, int]:
    """Of the servers that run, by name."""
    found = {name: plane.daemon(name).process() for name in tool.COMPONENTS}
    return {name: process.pid for name, process in found.items() if process is not None}


@pytest.mark.parametrize("taken", [0, 2], ids=["etcd", "apiserver"])
def test_a_port_that_somebody_else_takes_meanwhile_is_passed_over(
    tool: ModuleType, plane: Any, taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = tool._free_ports
    with socket.create_server(("127.0.0.1", 0)) as other:
        first = free(3)
        first[taken] = other.getsockname()[1]
        given = [first]
        monkeypatch.setattr(
            tool, "_free_ports", lambda count: given.pop() if given else free(count)
        )
        plane.up()
    ports = json.loads((plane.folder / "ports.json").read_text())
    assert first[taken] not in ports.values()
    assert KubeClient(plane.kubeconfig).text("GET", "/readyz") == (200, "ok")
    assert pids(tool, plane).keys() == set(tool.COMPONENTS)


def test_what_follows_the_api_server_is_started_anew_with_it_and_nothing_else_is(
    tool: ModuleType, plane: Any
) -> None:
    plane.up()
    before = pids(tool, plane)
    plane.up()
    assert pids(tool, plane) == before
    server = psutil.Process(before["apiserver"])
    server.kill()
    server.wait(10)
    plane.up()
    after = pids(tool, plane)
    assert {name for name in before if after[name] == before[name]} == {"etcd"}
    # A cluster that is known under its ports keeps them, or says who is in the way.
    plane.down()
    assert pids(tool, plane) == {}
    port = json.loads((plane.folder / "ports.json").read_text())["apiserver"]
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(tool.ClusterError, match="address already in use"),
    ):
        plane.up()
