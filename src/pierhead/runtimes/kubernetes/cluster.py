"""What the manifests depend on besides the service: an operator's settings, and what discovery found."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pierhead.core.errors import Unsupported
from pierhead.core.fetches import WEIGHTS
from pierhead.core.resources import GIB

#: How files come into a pod: fetched by an init container, mounted by a CSI driver, or there on every node.
Weights = Literal["fetch", "csi", "host"]
Hpa = Literal["autoscaling/v2", "autoscaling/v2beta2", ""]
Pdb = Literal["policy/v1", "policy/v1beta1", ""]

_HPAS: tuple[Hpa, ...] = ("autoscaling/v2", "autoscaling/v2beta2")
_PDBS: tuple[Pdb, ...] = ("policy/v1", "policy/v1beta1")
_LWS, _KEDA = "leaderworkerset.x-k8s.io/v1", "keda.sh/v1alpha1"
#: Port that an engine listens on, where its template names none: each pod has an address of its own.
PORT = 8000
#: Vendor of GPUs where a template names none.
NVIDIA = "NVIDIA"


@dataclass(frozen=True, slots=True)
class GpuResource:
    """How a vendor's devices are asked for: extended resources of a node."""

    whole: str  #: resource of which 1 is one device
    part: str = (
        ""  #: resource of which some are a part of one device's memory; "" = it has no parts
    )
    part_bytes: int = GIB  #: bytes that 1 of `part` stands for

    def parts(self) -> str:
        """The resource of which some are a part of one device.

        Raises:
            Unsupported: these devices have no parts.
        """
        if not self.part:
            why = "name a vendor of which parts can be asked for, or ask for whole GPUs"
            raise Unsupported(f"A part of a device that is [{self.whole}]", why)
        return self.part


#: Vendor, as templates name it -> its resource. An operator's own map goes before this one.
GPU_RESOURCES: Mapping[str, GpuResource] = {
    NVIDIA: GpuResource("nvidia.com/gpu", part="aliyun.com/gpu-mem"),
    "AMD": GpuResource("amd.com/gpu"),
    "Intel": GpuResource("gpu.intel.com/i915"),
    "Huawei": GpuResource("huawei.com/Ascend910"),
    "Hygon": GpuResource("hygon.com/dcu"),
    "Cambricon": GpuResource("cambricon.com/mlu"),
}


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster, as manifests are made for it. The defaults fit a cluster of today."""

    namespace: str = "pierhead"
    #: Account id of the platform whose objects these are; "" = nobody's, such as of an export.
    platform: str = ""
    #: Of our own containers (`pierhead fetch`, the embedded engine), and of commands that name none.
    image: str = "pierhead:latest"
    #: Engine -> image that has its program; one without runs in `image`.
    engine_images: Mapping[str, str] = field(default_factory=dict[str, str])
    image_pull_policy: Literal["", "Always", "IfNotPresent", "Never"] = (
        ""  #: "" = the cluster's own
    )
    image_pull_secrets: tuple[str, ...] = ()
    python: str = "/usr/bin/python3"  #: interpreter in `image` that has Pierhead
    service_account: str = ""  #: of the replicas; they get no token of it either way
    weights: Weights = "fetch"
    #: Folder of each node that its pods share for what they fetch; "" = each pod has its own.
    cache_path: str = ""
    #: Folders that lie on every node at the same path: what is named by a path must be in one of them.
    host_folders: tuple[str, ...] = ()
    #: Variables of the containers that fetch: proxies, package indexes.
    fetch_variables: Mapping[str, str] = field(default_factory=dict[str, str])
    gpu_resources: Mapping[str, GpuResource] = field(default_factory=lambda: {**GPU_RESOURCES})
    gpu_vendor: str = NVIDIA  #: of templates that name none
    #: GPU vendor or uuid of a GPU spec -> `label=value` that nodes with such a device carry.
    gpu_labels: Mapping[str, str] = field(default_factory=dict[str, str])
    #: Labels with the major and the minor number of a node's CUDA compute capability.
    capability_labels: tuple[str, str] = (
        "nvidia.com/gpu.compute.major",
        "nvidia.com/gpu.compute.minor",
    )
    node_selector: Mapping[str, str] = field(default_factory=dict[str, str])  #: of every replica
    runtime_class: str = ""  #: of pods that have GPUs
    priority_class: str = ""
    toleration_seconds: int = 3  #: until a replica on a node that is unreachable is replaced
    not_ready_seconds: int = 30  #: the same, on a node that says that it is not ready
    run_as_user: int = (
        10001  #: user and group of replicas; 0 = whatever their image says, but not root
    )
    read_only_root: bool = True
    threads: int = 2  #: CPU threads of an engine that has no limit
    shm_bytes: int = GIB  #: most of /dev/shm, which comes out of the replica's memory
    network_policy: bool = False
    #: Pods that may reach engines, where `network_policy` is set; in whatever namespace they are.
    gateway_labels: Mapping[str, str] = field(
        default_factory=lambda: {
            "app.kubernetes.io/name": "pierhead",
            "app.kubernetes.io/component": "gateway",
        }
    )
    #: Are services with an auto-scaler scaled by the cluster itself, where it can?
    follows_load: bool = False
    prometheus: str = ""  #: URL that KEDA asks for our gateway's figures; "" = there is none
    # What discovery found:
    version: tuple[int, int] = (1, 29)
    hpa: Hpa = "autoscaling/v2"
    pdb: Pdb = "policy/v1"
    lws: bool = False  #: are LeaderWorkerSets known?
    keda: bool = False  #: are ScaledObjects known?
    metrics: bool = True  #: is what pods use told (metrics.k8s.io)?

    @property
    def weights_root(self) -> str:
        """Below which a pod has what it fetches."""
        return self.cache_path or WEIGHTS

    def gpu(self, vendor: str) -> GpuResource:
        """The resource of a vendor's devices, whatever the case of its name.

        Raises:
            Unsupported: nobody said how they are asked for.
        """
        known = {each.casefold(): gpu for each, gpu in self.gpu_resources.items()}
        found = known.get(vendor.casefold())
        if found is None:
            why = "no resource of nodes is known for them; the setting kubernetes.gpu_resources has it"
            raise Unsupported(f"GPUs of {vendor[:80]}", why)
        return found

    def discovered(
        self, version: tuple[int, int], groups: Mapping[str, frozenset[str]]
    ) -> "Cluster":
        """With what the server serves; `groups`: `<group>/<version>` -> kinds."""

        def serves(group: str, kind: str) -> bool:
            return kind in groups.get(group, frozenset())

        return replace(
            self,
            version=version,
            hpa=next((each for each in _HPAS if serves(each, "HorizontalPodAutoscaler")), ""),
            pdb=next((each for each in _PDBS if serves(each, "PodDisruptionBudget")), ""),
            lws=serves(_LWS, "LeaderWorkerSet"),
            keda=serves(_KEDA, "ScaledObject"),
            metrics=any(version.startswith("metrics.k8s.io/") for version in groups),
        )

    def renewed(self, groups: Mapping[str, frozenset[str]]) -> "Cluster":
        """The same while objects are there: what is used under one version stays so.

        Of a group that is there but away nothing is told: what was known of it holds.
        """
        fresh = self.discovered(self.version, groups)

        def there(version: str, *, was: bool, now: bool) -> bool:
            return now or (was and groups.get(version) == frozenset())

        return replace(
            fresh,
            hpa=self.hpa or fresh.hpa,
            pdb=self.pdb or fresh.pdb,
            lws=there(_LWS, was=self.lws, now=fresh.lws),
            keda=there(_KEDA, was=self.keda, now=fresh.keda),
        )
