"""Gateways and two hubs that speak TLS: known by an authority of their own, followed when the active one is lost."""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_pair import Certified, Cluster, Pair
from stage import PATIENCE, Stage, get, until

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the keys")
SCRIPT = Path(__file__).parents[2] / "deploy" / "kubernetes" / "make-hub-certificate.sh"
TAKEOVER = 5.0 * PATIENCE  #: seconds


def document(name: str) -> dict[str, object]:
    """A service of one replica."""
    engine = {"image": "registry.example/engine:1", "command": ["/bin/engine"], "port": 8000}
    return {"metadata": {"name": name, "instance": 1}, "containers": [engine]}


def certified(folder: Path) -> Certified:
    """A certificate for this machine's own address, as an operator makes it."""
    subprocess.run(["sh", str(SCRIPT), str(folder), "127.0.0.1"], check=True, capture_output=True)
    return Certified(*(folder / name for name in ("ca.crt", "tls.crt", "tls.key")))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path)
    yield made
    made.close()


@pytest.fixture
def pair(tmp_path: Path, postgres_url: str, cluster: Cluster) -> Iterator[Pair]:
    made = Pair(tmp_path, postgres_url, cluster, certified=certified(tmp_path / "tls"))
    try:
        yield made
    finally:
        made.end()
        for stage in (*made.stages, made.gateway):
            print(stage.folder.name, stage.tail(60), sep="\n")


def serve(pair: Pair, cluster: Cluster, hub: int, name: str) -> str:
    """Make a service by a hub; its token."""
    client, there = pair.client(hub), cluster.engines()
    client.call("CreateService", "POST", "/api/v2/services", body=document(name))
    until(lambda: cluster.engines() == there + 1, "it gets no replica")
    return str(client.describe(name)["AccessToken"])


def served(gateway: Stage, name: str, token: str) -> bool:
    return get(gateway.gateway_listen, f"/api/predict/{name}/", token)[0] == 200


def test_a_gateway_follows_whichever_hub_is_active_over_tls(
    pair: Pair, cluster: Cluster, tmp_path: Path
) -> None:
    """Law: it knows hubs by the authority that it was told of, and by no other one."""
    first = serve(pair, cluster, 0, "first")
    pair.start_gateway()
    until(lambda: served(pair.gateway, "first", first), "it is not served")

    # Whoever trusts another authority believes neither of them.
    stranger = Stage(tmp_path / "stranger")
    other = certified(tmp_path / "other").authority
    flags = [f"--set=hub_url={pair.urls}", f"--set=tls.hub_ca={other}"]
    flags += [f"--set=secrets_dir={pair.secrets.with_name('gateway-secrets')}"]
    process = stranger.start("gateway", *flags)
    try:
        until(lambda: "CERTIFICATE_VERIFY_FAILED" in stranger.tail(), stranger.tail)
        assert process.poll() is None
        assert not served(stranger, "first", first)
    finally:
        stranger.end()

    pair.signal(0, signal.SIGKILL)
    began = time.monotonic()
    pair.becomes(1, "active")
    assert time.monotonic() - began < TAKEOVER
    assert served(pair.gateway, "first", first)
    second = serve(pair, cluster, 1, "second")
    until(lambda: served(pair.gateway, "second", second), "it follows nobody")
