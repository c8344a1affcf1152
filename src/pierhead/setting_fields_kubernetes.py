"""Where replicas run, and what an operator can set where that is a Kubernetes cluster."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pierhead.setting_fields import SettingFields, about

RuntimeName = Literal["process", "kubernetes", "auto"]
ClusterWeights = Literal["fetch", "csi"]
PullPolicy = Literal["", "always", "ifnotpresent", "never"]
WhoScales = Literal["hub", "cluster"]


def _about(meaning: str, name: str) -> dict[str, str]:
    return about(meaning, f"kubernetes.{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesFields(SettingFields):
    """Those of `SettingFields`, and these."""

    runtime: RuntimeName = field(
        default="process",
        metadata=about(
            "where replicas run: process = this machine, kubernetes = a cluster, auto = a cluster if "
            "one answers, else this machine, and as long as there are services where those are"
        ),
    )
    kubernetes_kubeconfig: str = field(
        default="",
        metadata=_about(
            "file that says how the cluster is reached; empty: KUBECONFIG, ~/.kube/config, or the "
            "pod's own account",
            "kubeconfig",
        ),
    )
    kubernetes_context: str = field(
        default="", metadata=_about("context of that file; empty: its current one", "context")
    )
    kubernetes_namespace: str = field(
        default="",
        metadata=_about(
            "namespace that replicas run in; empty: the context's, or the pod's own", "namespace"
        ),
    )
    kubernetes_image: str = field(
        default="",
        metadata=_about("image with Pierhead in it, which replicas are started from", "image"),
    )
    kubernetes_python: str = field(
        default="/usr/bin/python3",
        metadata=_about("Python of that image: a path, or a name in its PATH", "python"),
    )
    kubernetes_engine_images: Mapping[str, str] = field(
        default_factory=dict[str, str],
        metadata=_about(
            "images of engines that run in one of their own (environment: vllm=image,...)",
            "engine_images",
        ),
    )
    kubernetes_image_pull_policy: PullPolicy = field(
        default="",
        metadata=_about(
            "when nodes pull images: Always, IfNotPresent or Never; empty: as the cluster does it",
            "image_pull_policy",
        ),
    )
    kubernetes_image_pull_secrets: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            "Secrets that open image registries (environment: name,...)", "image_pull_secrets"
        ),
    )
    kubernetes_weights: ClusterWeights = field(
        default="fetch",
        metadata=_about(
            "how weights far away come to a pod: fetch = a container that runs first brings them, "
            "csi = buckets and file systems are mounted by Alibaba Cloud's CSI drivers",
            "weights",
        ),
    )
    kubernetes_cache_path: str = field(
        default="",
        metadata=_about(
            "folder of each node that keeps fetched weights for its pods; empty: each pod fetches "
            "its own",
            "cache_path",
        ),
    )
    kubernetes_fetch_variables: Mapping[str, str] = field(
        default_factory=dict[str, str],
        repr=False,
        metadata=_about(
            "variables of the container that fetches weights, such as proxies "
            "(environment: HTTPS_PROXY=url,...)",
            "fetch_variables",
        ),
    )
    kubernetes_host_folders: tuple[str, ...] = field(
        default=(),
        metadata=_about(
            "folders that lie on every node at the same path, for weights and datasets that are "
            "given as paths (environment: path,...)",
            "host_folders",
        ),
    )
    kubernetes_gpu_resources: Mapping[str, str] = field(
        default_factory=dict[str, str],
        metadata=_about(
            "resource that stands for one GPU, by vendor, where it is another than usual "
            "(environment: NVIDIA=nvidia.com/gpu,...)",
            "gpu_resources",
        ),
    )
    kubernetes_node_labels: Mapping[str, str] = field(
        default_factory=dict[str, str],
        metadata=_about(
            "labels that a node must have to get replicas (environment: label=value,...)",
            "node_labels",
        ),
    )
    kubernetes_gpu_labels: Mapping[str, str] = field(
        default_factory=dict[str, str],
        metadata=_about(
            "labels that tell which nodes have which GPUs, by vendor or by uuid of a GPU spec "
            "(environment: NVIDIA=label=value,...)",
            "gpu_labels",
        ),
    )
    kubernetes_nodes_come: bool = field(
        default=False,
        metadata=_about(
            "nodes join the cluster for replicas that fit on none that is there (a cluster autoscaler): "
            "such replicas are asked for all the same, and wait for a node",
            "nodes_come",
        ),
    )
    kubernetes_runtime_class: str = field(
        default="",
        metadata=_about("RuntimeClass of replicas with GPUs; empty: none", "runtime_class"),
    )
    kubernetes_priority_class: str = field(
        default="", metadata=_about("PriorityClass of replicas; empty: none", "priority_class")
    )
    kubernetes_service_account: str = field(
        default="",
        metadata=_about(
            "ServiceAccount of replicas, which get no token of it; empty: the namespace's own",
            "service_account",
        ),
    )
    kubernetes_run_as_user: int = field(
        default=10001,
        metadata=_about(
            "user and group that replicas run as; 0: their image's, which must not be root",
            "run_as_user",
        ),
    )
    kubernetes_autoscaler: WhoScales = field(
        default="hub",
        metadata=_about(
            "who follows the load of services with an auto-scaler: hub, or cluster = its "
            "HorizontalPodAutoscaler (cpu) or KEDA (figures in Prometheus), and the hub for the rest",
            "autoscaler",
        ),
    )
    kubernetes_prometheus: str = field(
        default="",
        metadata=_about(
            "URL of the Prometheus that KEDA asks for the gateways' figures; empty: there is none",
            "prometheus",
        ),
    )
    # Short: by then the cluster has heard nothing of the node for its own grace, usually 40 s.
    kubernetes_toleration_seconds: int = field(
        default=3,
        metadata=_about(
            "seconds after the cluster calls a node unreachable until its replicas are replaced",
            "toleration_seconds",
        ),
    )
    # Longer: the node says so itself, and at once, as at each restart of its container runtime; what runs
    # there mostly runs on.
    kubernetes_not_ready_seconds: int = field(
        default=30,
        metadata=_about(
            "seconds after a node says that it is not ready until its replicas are replaced",
            "not_ready_seconds",
        ),
    )
    kubernetes_network_policy: bool = field(
        default=False,
        metadata=_about("let only gateways reach the ports of replicas", "network_policy"),
    )
