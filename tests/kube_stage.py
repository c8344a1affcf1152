"""A Kubernetes runtime over the server double."""

import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any

from lightkube.config.kubeconfig import KubeConfig, SingleConfig

from kube_double import KubeDouble
from pierhead.core.ids import Clock, engine_key
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.lightkube_api import LightkubeApi
from pierhead.runtimes.kubernetes.reflector import Pace
from pierhead.runtimes.kubernetes.runtime import KubernetesRuntime
from replica_servers import launch

#: As in earnest, but no test waits for seconds.
QUICK = Pace(
    shortest_watch=2,
    longest_watch=3,
    first_pause=0.01,
    away_pause=0.1,
    refused_pause=0.1,
    good_watch=0.05,
)


def config_of(server: KubeDouble) -> SingleConfig:
    """How a double is reached."""
    config = KubeConfig.from_server(f"http://127.0.0.1:{server.port}").get()
    assert config is not None
    return config


def on_cluster(
    server: KubeDouble,
    folder: Path,
    *,
    clock: Clock = time.time,
    ask: Callable[[], Awaitable[Cluster]] | None = None,
    pace: Pace = QUICK,
    **cluster: Any,
) -> KubernetesRuntime:
    """A runtime over a double that is up; must be made and used inside its event loop."""
    return KubernetesRuntime(
        LightkubeApi(config_of(server), time.time, timeout=2.0),
        Cluster(**{"namespace": server.namespace, **cluster}),
        launch,
        clock,
        Random(7),
        lambda service: engine_key(b"a secret of this test", service),
        folder,
        pace=pace,
        patience=5.0,
        ask=ask,
    )
