"""A hub whose replicas are pods: its client, what its cluster can do, and how pods find their files."""

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from pierhead.bootstrap.credentials import Credentials
from pierhead.bootstrap.engines import Engines
from pierhead.bootstrap.runtimes import Ground, Means, Supplies, asks, places
from pierhead.bootstrap.storage import accounts, looking_only
from pierhead.core.errors import PierheadError, Refused, Unavailable
from pierhead.core.events import Notice
from pierhead.core.ids import engine_key
from pierhead.core.launch import Files
from pierhead.core.templates import Template
from pierhead.core.workloads import Workload
from pierhead.engines import offers, registry
from pierhead.engines.programs import Programs
from pierhead.runtimes.kubernetes.cluster import GPU_RESOURCES, Cluster, GpuResource
from pierhead.runtimes.kubernetes.launching import Ask, launched
from pierhead.runtimes.kubernetes.render import notices
from pierhead.settings import BadSetting, Settings
from pierhead.sources.far_environments import NodeFolders, NoEnvironments
from pierhead.sources.far_weights import FarWeights, Looks, Machines

if TYPE_CHECKING:
    from pierhead.runtimes.kubernetes.lightkube_api import LightkubeApi
    from pierhead.runtimes.kubernetes.probe import Discovery

#: How clusters call what they do with images, by what the setting says.
_POLICIES = {"always": "Always", "ifnotpresent": "IfNotPresent", "never": "Never"}
#: Below the cache's folder: names and sizes of what lies in stores.
SEEN = "seen"
EXTRA = "pip install 'pierhead[kubernetes]'"


@dataclass(frozen=True, slots=True)
class Connected:
    """A cluster that answers."""

    api: "LightkubeApi"
    cluster: Cluster
    found: "Discovery"


async def ground(
    settings: Settings,
    credentials: Credentials,
    demand: Callable[[], None],
    patience: float | None = None,
) -> Ground:
    """The runtime of the cluster that the settings lead to.

    `demand` is asked before each change of the cluster; it raises Unavailable while none may be made.
    `patience`: seconds that it gets to answer; None = as long as its client waits.

    Raises:
        BadSetting: a setting is missing, or lightkube is.
        Unavailable: no cluster is configured, or it does not answer.
    """
    if not settings.kubernetes_image:
        raise BadSetting(
            "The runtime kubernetes needs the setting kubernetes.image: the image with Pierhead in it, "
            "which replicas are started from."
        )
    there = await connect(settings, patience)
    from pierhead.runtimes.kubernetes.fenced import FencedApi
    from pierhead.runtimes.kubernetes.runtime import KubernetesRuntime

    here = engines(settings)
    runtime = KubernetesRuntime(
        FencedApi(there.api, demand),
        there.cluster,
        asks(here, 0),
        time.time,
        random.Random(secrets.randbits(64)),  # noqa: S311 - it spreads retries, and guards nothing
        partial(engine_key, credentials.engine_secret),
        settings.data_dir / "replicas",
    )
    supplies = partial(_supplies, machines(settings))
    told = partial(lacking, there.cluster, asks(here, 0))

    def health() -> dict[str, Any]:
        age = runtime.facts_age()
        seen = {
            "facts_age_seconds": None if age is None else round(age, 1),
            "problem": runtime.facts_problem(),
        }
        return {"cluster": seen}

    return Ground(runtime, here, supplies, name="kubernetes", lacking=told, health=health)


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


async def connect(settings: Settings, patience: float | None = None) -> Connected:
    """The cluster that the settings lead to, and what it is.

    Raises:
        BadSetting: lightkube is missing.
        Unavailable: no cluster is configured, or it does not answer.
    """
    if find_spec("lightkube") is None:
        raise BadSetting(f"The runtime kubernetes needs more than is installed: {EXTRA}")
    from pierhead.runtimes.kubernetes.lightkube_api import LightkubeApi, configured
    from pierhead.runtimes.kubernetes.probe import discover

    config = configured(settings.kubernetes_kubeconfig, settings.kubernetes_context)
    api = LightkubeApi(config)
    try:
        found = await asyncio.wait_for(discover(api), patience)
    except (PierheadError, TimeoutError) as error:
        await api.close()
        if isinstance(error, PierheadError):
            raise
        why = f"{api.server} does not answer within {patience} s"
        raise Unavailable("The Kubernetes API server", why) from error
    bare = cluster(settings, api.namespace)
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
        run_as_user=settings.kubernetes_run_as_user,
        threads=settings.threads or Cluster().threads,
        network_policy=settings.kubernetes_network_policy,
        prometheus=settings.kubernetes_prometheus,
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
