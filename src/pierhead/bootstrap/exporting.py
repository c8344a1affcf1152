"""A service's manifests for a cluster, from a hub of any runtime: nothing is started, fetched or asked of a cluster."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, replace

from pierhead.bootstrap import kubernetes
from pierhead.bootstrap.runtimes import asks, places
from pierhead.bootstrap.storage import accounts, looking_only
from pierhead.core.choice import AUTO
from pierhead.core.connections import Account, kept_from, named
from pierhead.core.errors import Conflict, Unavailable
from pierhead.core.launch import Files, no_files
from pierhead.core.mounts import FolderSource, Source
from pierhead.core.principals import Principal
from pierhead.core.scalers import AutoScaler
from pierhead.core.services import HANGS, Hold, Seen, Service
from pierhead.core.spans import ENGINE
from pierhead.core.workloads import Workload
from pierhead.operations.platform import Platform
from pierhead.operations.premises import Exported, ExportWish
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.documents import HIDDEN_TEXT, without_secrets, yaml_text
from pierhead.runtimes.kubernetes.launching import launched
from pierhead.runtimes.kubernetes.render import Extras, manifests, notices
from pierhead.settings import Settings
from pierhead.sources.far_weights import FarWeights, Looks, Machines
from pierhead.store import connections, scalers

#: Seconds that far weights get to tell the names of their files.
_PATIENCE = 20.0
_AGAIN = 0.2  #: seconds between two looks at a folder
#: Form of weights -> engine of a service that never ran, and leaves the choice to the platform.
_USUAL = {"gguf": "llama_cpp", "safetensors": "vllm"}


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be written down, and for whom."""

    actor: Principal
    service: Service
    seen: Seen
    wish: ExportWish


async def export(platform: Platform, settings: Settings, order: Order) -> Exported:
    """The manifests of a service as it is wanted now.

    Raises:
        Conflict, Unsupported: it cannot be run on a cluster as it is.
        Unavailable: its weights, or the database, do not answer.
    """
    cluster = _cluster(settings, order.wish)
    files = await _files(platform, settings, order)
    workload = _workload(order, files)
    launch = launched(asks(kubernetes.engines(settings), 0), workload, cluster)
    extras = Extras(platform.entropy(24).hex(), await _scaler(platform, order.service))
    made = manifests(workload, launch, cluster, extras)
    told = [notice.message for notice in notices(workload, launch, cluster, extras)]
    told += _to_be_done(workload, settings, order)
    shown = made if order.wish.secrets else without_secrets(made)
    return Exported(yaml_text(shown), tuple(told))


def _cluster(settings: Settings, wish: ExportWish) -> Cluster:
    """A cluster of today, with all that it may have: this one is not asked, it may be any."""
    found = kubernetes.cluster(settings, wish.namespace)
    namespace = wish.namespace or found.namespace
    image = wish.image or found.image
    keda = bool(found.prometheus)
    # Folders of this machine are named in warnings; that they lie on every node is left to who applies it.
    return replace(
        found, namespace=namespace, image=image, keda=keda, lws=True, host_folders=("/",)
    )


async def _files(platform: Platform, settings: Settings, order: Order) -> Files:
    """Where replicas will have their files; far stores are listed, and nothing is fetched."""
    version = order.service.current
    own = version.template.engine == "custom"
    if own and version.weights is None:
        return no_files()
    if version.weights is not None:
        await _demand(platform, order.service, version.weights)
    came, loop = asyncio.Event(), asyncio.get_running_loop()
    looks = _looks(platform, settings)

    def wake() -> None:
        loop.call_soon_threadsafe(came.set)

    remote = looking_only(platform.db, settings, wake, looks)
    weights = FarWeights(replace(places(settings), demo=""), looks, remote)
    try:
        async with asyncio.timeout(_PATIENCE):
            while isinstance(found := weights.ensure(version.template, version.source), Hold):
                if not found.progressing and found.reason != HANGS:
                    raise Conflict("service", order.service.name, _not_now(found))
                with suppress(TimeoutError):  # nobody tells of a folder that answers at last
                    await asyncio.wait_for(came.wait(), _AGAIN)
                came.clear()
    except TimeoutError as error:
        raise Unavailable("The weights", f"no answer within {_PATIENCE:g} s") from error
    finally:
        weights.close()
    return _with_account(found, order)


def _looks(platform: Platform, settings: Settings) -> Looks:
    """Whatever lies on this machine counts as lying on every node: who applies it is told to see to it."""
    root = kubernetes.cluster(settings).weights_root
    machines = Machines(root, mounts=settings.kubernetes_weights == "csi", shared=("/",))
    kept = settings.cache_dir / kubernetes.SEEN
    return Looks(machines, accounts(platform.db, settings), time.time, kept)


def _not_now(hold: Hold) -> str:
    return f"cannot be exported as it is: {hold.message.rstrip('.')}"


async def _demand(platform: Platform, service: Service, source: Source) -> None:
    """Refuse to look over a connection that serves others, as for a service that starts."""
    known = tuple(await platform.db.read(connections.everything))
    if kept_from(source, service.workspace, known) is not None:
        problem = f"may not use the storage connection for [{named(source)}] in its workspace"
        raise Conflict("service", service.name, problem)


def _with_account(files: Files, order: Order) -> Files:
    """What opens a store is the account's own: who may export a service need not know it."""
    fetch = files.fetch
    if fetch is None or fetch.account is None or order.actor.admin:
        return files
    keys = fetch.account.keys
    hidden = replace(
        keys,
        secret=HIDDEN_TEXT if keys.secret else "",
        token=HIDDEN_TEXT if keys.token else "",
    )
    account = Account(fetch.account.connection, hidden)
    return replace(files, fetch=replace(fetch, account=account))


def _workload(order: Order, files: Files) -> Workload:
    service, template = order.service, order.service.current.template
    return Workload(
        service=service.id,
        name=service.name,
        rollout=service.rollout,
        replicas=service.wanted_replicas,
        template=replace(template, engine=_engine(order, files)),
        files=files,
        rolling=service.current.rolling,
    )


def _engine(order: Order, files: Files) -> str:
    """The one that serves it now, else the usual one for weights of its form."""
    template = order.service.current.template
    if template.engine != AUTO:
        return template.engine
    if template.nodes > 1:
        return ENGINE
    running = [one.engine for one in order.seen.of(order.service.rollout) if one.engine]
    found = running[0] if running else _USUAL.get(files.format)
    if found is None:
        raise Conflict(
            "service", order.service.name, "has no engine yet: it is chosen at its start"
        )
    return found


async def _scaler(platform: Platform, service: Service) -> AutoScaler | None:
    """There is no hub beside what is exported: the cluster has to follow the load."""
    found = await platform.db.read(scalers.load_of, service.id)
    return None if found is None else found.scaler


def _to_be_done(workload: Workload, settings: Settings, order: Order) -> list[str]:
    """What whoever applies it has to see to."""
    found: list[str] = []
    if not (settings.kubernetes_image or order.wish.image):
        found.append(
            "No image with Pierhead is set: put yours in the place of [pierhead:latest], or name it "
            "with --image or the setting kubernetes.image."
        )
    if not order.wish.secrets:
        found.append(f"Values of Secrets are replaced by [{HIDDEN_TEXT}].")
    elif not order.actor.admin and workload.files.fetch and workload.files.fetch.account:
        found.append(
            "The keys of the storage connection are replaced: only the account knows them."
        )
    if workload.template.nodes > 1:
        found.append(
            "The cluster has to have LeaderWorkerSets (leaderworkerset.x-k8s.io) and their controller."
        )
    source = order.service.current.weights
    if isinstance(source, FolderSource):
        found.append(f"The folder [{source.path}] has to be on every node.")
    found += [
        f"The dataset folder [{link.path}] has to be on every node."
        for link in workload.template.links
    ]
    return found
