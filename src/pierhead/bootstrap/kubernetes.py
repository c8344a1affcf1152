"""A hub whose replicas are pods: its client, what its cluster can do, and how pods find their files."""

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING

from pierhead import telemetry
from pierhead.bootstrap.credentials import Credentials
from pierhead.bootstrap.engines import Engines
from pierhead.bootstrap.runtimes import Ground, Means, Sight, Supplies, asks, places
from pierhead.bootstrap.storage import accounts, looking_only
from pierhead.core.errors import PierheadError, Refused, Unavailable
from pierhead.core.events import Notice
from pierhead.core.ids import engine_key
from pierhead.core.launch import Files
from pierhead.core.templates import Template
from pierhead.core.workloads import Workload
from pierhead.engines import offers, registry
from pierhead.engines.programs import Programs
from pierhead.runtimes.base import Runtime
from pierhead.runtimes.kubernetes import names
from pierhead.runtimes.kubernetes.cluster import GPU_RESOURCES, Cluster, GpuResource
from pierhead.runtimes.kubernetes.launching import Ask, launched
from pierhead.runtimes.kubernetes.render import notices
from pierhead.settings import BadSetting, Settings
from pierhead.sources.far_environments import NodeFolders, NoEnvironments
from pierhead.sources.far_weights import FarWeights, Looks, Machines

if TYPE_CHECKING:
    from pierhead.runtimes.kubernetes.lightkube_api import LightkubeApi
    from pierhead.runtimes.kubernetes.probe import Discovery
    from pierhead.runtimes.kubernetes.runtime import KubernetesRuntime

log = telemetry.logger("pierhead.hub")

#: How clusters call what they do with images, by what the setting says.
_POLICIES = {"always": "Always", "ifnotpresent": "IfNotPresent", "never": "Never"}
#: Below the cache's folder: names and sizes of what lies in stores.
SEEN = "seen"
EXTRA = "pip install 'pierhead[kubernetes]'"


#: Seconds that a cluster gets to answer when a hub starts.
_PATIENCE = 5.0
#: Seconds between two questions to a cluster that was not seen yet.
_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Connected:
    """A cluster that answers."""

    api: "LightkubeApi"
    cluster: Cluster
    found: "Discovery"


class _Seen:
    """A cluster as it is known by now: what the settings say, then what it says itself."""

    def __init__(self, api: "LightkubeApi", bare: Cluster) -> None:
        self.api, self.cluster, self.known = api, bare, False

    async def ask(self, patience: float | None = None) -> Cluster:
        """What it is, by its own word.

        Raises:
            Unavailable: it does not answer.
            Refused: it does not let us look at it.
        """
        self.cluster = (await _connected(self.api, self.cluster, patience)).cluster
        self.known = True
        return self.cluster

    async def look(self, *, waits: bool) -> None:
        """Ask it, for a moment; that it does not answer is no error where somebody `waits`.

        Raises:
            Unavailable, Refused: as `ask` does.
        """
        try:
            await self.ask(_PATIENCE)
        except PierheadError as error:
            if not waits or not isinstance(error, Unavailable):
                await self.api.close()
                raise
            log.warning("the cluster is not seen", problem=str(error))


async def ground(
    settings: Settings,
    credentials: Credentials,
    demand: Callable[[], float],
    *,
    waits: bool = False,
) -> Ground:
    """The runtime of the cluster that the settings lead to.

    `demand` tells for how many seconds the cluster may be changed; it raises Unavailable while none may be made.
    `waits`: where the cluster does not answer, its runtime is given all the same, and sees it later.

    Raises:
        BadSetting: a setting is missing, or lightkube is.
        Unavailable: no cluster is configured, or it does not answer and `waits` is not set.
        Refused: it does not let us look at it.
    """
    if not settings.kubernetes_image:
        raise BadSetting(
            "The runtime kubernetes needs the setting kubernetes.image: the image with Pierhead in it, "
            "which replicas are started from."
        )
    api = client(settings)
    api.before_change = demand
    bare = replace(cluster(settings, api.namespace), platform=names.bounded(credentials.account))
    seen = _Seen(api, bare)
    await seen.look(waits=waits)
    here = engines(settings)
    runtime = _runtime(settings, credentials, seen, here, demand)

    def told(template: Template, files: Files, engine: str) -> tuple[Notice, ...]:
        return lacking(runtime.cluster, asks(here, 0), template, files, engine)

    return Ground(
        runtime,
        here,
        partial(_supplies, machines(settings)),
        name="kubernetes",
        place=bare.namespace,
        lacking=told,
        sight=lambda: Sight(runtime.facts_age(), runtime.facts_problem()),
        adopted=partial(adopted, runtime),
        patience=_PATIENCE,
        follower=runtime,
        forget_others=runtime.forget_others,
    )


def _runtime(
    settings: Settings,
    credentials: Credentials,
    seen: _Seen,
    here: Engines,
    demand: Callable[[], float],
) -> "KubernetesRuntime":
    from pierhead.runtimes.kubernetes.fenced import FencedApi
    from pierhead.runtimes.kubernetes.runtime import KubernetesRuntime

    return KubernetesRuntime(
        FencedApi(seen.api, demand),
        seen.cluster,
        asks(here, 0),
        time.time,
        random.Random(secrets.randbits(64)),  # noqa: S311 - it spreads retries, and guards nothing
        partial(engine_key, credentials.engine_secret),
        settings.data_dir / "replicas",
        ask=None if seen.known else seen.ask,
    )


async def adopted(runtime: Runtime) -> None:
    """Return when it is known what the cluster has of ours, however long the cluster is away."""
    told = ""
    while True:
        try:
            await runtime.adopt()
        except PierheadError as error:
            if str(error) != told:
                told = str(error)
                log.warning("the cluster is not seen; nothing is changed meanwhile", problem=told)
            await asyncio.sleep(_PAUSE)
        else:
            return


def lacking(
    cluster: Cluster, ask: Ask, template: Template, files: Files, engine: str
) -> tuple[Notice, ...]:
    """What pods are not given as the template has it; what they cannot be given is refused when they are made."""
    template = replace(template, engine=engine)
    workload = Workload("", template.name, "", 1, template, files)
    try:
        return notices(workload, launched(ask, workload, cluster), cluster)
    except Refused:
        return ()


def client(settings: Settings) -> "LightkubeApi":
    """What speaks to the cluster that the settings lead to; whether it answers is not asked.

    Raises:
        BadSetting: lightkube is missing.
        Unavailable: no cluster is configured, or its credentials cannot be read.
    """
    if find_spec("lightkube") is None:
        raise BadSetting(f"The runtime kubernetes needs more than is installed: {EXTRA}")
    from pierhead.runtimes.kubernetes.lightkube_api import LightkubeApi, configured

    return LightkubeApi(
        configured(settings.kubernetes_kubeconfig, settings.kubernetes_context), time.time
    )


async def connect(settings: Settings, patience: float | None = None) -> Connected:
    """The cluster that the settings lead to, and what it is.

    `patience`: seconds that it gets to answer; None = as long as its client waits.

    Raises:
        BadSetting: lightkube is missing.
        Unavailable: no cluster is configured, or it does not answer.
    """
    api = client(settings)
    try:
        return await _connected(api, cluster(settings, api.namespace), patience)
    except PierheadError:
        await api.close()
        raise


async def _connected(api: "LightkubeApi", bare: Cluster, patience: float | None) -> Connected:
    from pierhead.runtimes.kubernetes.probe import discover

    try:
        found = await asyncio.wait_for(discover(api), patience)
    except TimeoutError as error:
        why = f"{api.server} does not answer within {patience} s"
        raise Unavailable("The Kubernetes API server", why) from error
    return Connected(api, bare.discovered(found.version, found.kinds), found)


def cluster(settings: Settings, namespace: str = "") -> Cluster:
    """A cluster as the settings describe it, before it was asked; `namespace`: of the configuration."""
    return replace(
        Cluster(),
        namespace=settings.kubernetes_namespace or namespace or "default",
        image=settings.kubernetes_image or Cluster().image,
        engine_images=dict(settings.kubernetes_engine_images),
        image_pull_policy=_POLICIES.get(settings.kubernetes_image_pull_policy, ""),
        image_pull_secrets=settings.kubernetes_image_pull_secrets,
        python=settings.kubernetes_python,
        service_account=settings.kubernetes_service_account,
        weights=settings.kubernetes_weights,
        cache_path=settings.kubernetes_cache_path.rstrip("/"),
        host_folders=tuple(folder.rstrip("/") for folder in settings.kubernetes_host_folders),
        fetch_variables=dict(settings.kubernetes_fetch_variables),
        gpu_resources=_gpus(settings.kubernetes_gpu_resources),
        gpu_labels=dict(settings.kubernetes_gpu_labels),
        node_selector=dict(settings.kubernetes_node_labels),
        runtime_class=settings.kubernetes_runtime_class,
        priority_class=settings.kubernetes_priority_class,
        toleration_seconds=settings.kubernetes_toleration_seconds,
        not_ready_seconds=settings.kubernetes_not_ready_seconds,
        run_as_user=settings.kubernetes_run_as_user,
        threads=settings.threads or Cluster().threads,
        network_policy=settings.kubernetes_network_policy,
        prometheus=settings.kubernetes_prometheus,
        follows_load=settings.kubernetes_autoscaler == "cluster",
    )


def _gpus(named: Mapping[str, str]) -> Mapping[str, GpuResource]:
    """The usual resources, with those that the operator named in their place."""
    own = {
        vendor: replace(GPU_RESOURCES.get(vendor, GpuResource(resource)), whole=resource)
        for vendor, resource in named.items()
    }
    return {**GPU_RESOURCES, **own}


def machines(settings: Settings) -> Machines:
    """Where nodes have their files."""
    found = cluster(settings)
    return Machines(found.weights_root, found.weights == "csi", found.host_folders)


def engines(settings: Settings) -> Engines:
    """The engines of the images: the embedded one, and those whose programs the settings name."""
    programs = Programs(
        llama_server=settings.engines_llama_server,
        vllm=settings.engines_vllm or _in_own_image(settings, "vllm"),
        transformers=settings.engines_transformers or _in_own_image(settings, "transformers"),
    )
    adapters = registry(settings.kubernetes_python, programs)
    named = {programs.of(name) for name in adapters}
    # Nobody can look into an image from here: what the operator names is taken to be there.
    found = offers(adapters, programs, lambda name: name if name in named else None)
    return Engines(adapters, found, settings.engines_choice)


def _in_own_image(settings: Settings, engine: str) -> str:
    """An image of an engine's own has it in its PATH."""
    return engine if engine in settings.kubernetes_engine_images else ""


def _supplies(nodes: Machines, means: Means) -> Supplies:
    kept = means.settings.cache_dir / SEEN
    looks = Looks(nodes, accounts(means.db, means.settings), time.time, kept)
    remote = looking_only(means.db, means.settings, means.came, looks)
    return Supplies(
        weights=FarWeights(places(means.settings), looks, remote),
        environments=NoEnvironments(),
        folders=NodeFolders(nodes),
        conversions=None,
    )
