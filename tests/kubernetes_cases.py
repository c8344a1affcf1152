"""Services on clusters, as the runtime would be asked for them: what the tests of manifests work with."""

from dataclasses import dataclass, field, replace
from typing import Any

from pierhead.core.connections import Account, Connection, Keys
from pierhead.core.fetches import Fetch
from pierhead.core.launch import Files, Launch, Placement, no_files
from pierhead.core.mounts import NasSource, OssSource, Source
from pierhead.core.resources import GIB, MIB, Resources
from pierhead.core.scalers import AutoScaler, Direction, Metric, Policy, Strategy
from pierhead.core.specs import BUILT_IN
from pierhead.core.templates import Constraints, Link, Probe, Rolling, Template
from pierhead.core.workloads import Workload
from pierhead.engines import registry
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.launching import launched
from pierhead.runtimes.kubernetes.objects import Manifest
from pierhead.runtimes.kubernetes.render import Extras, manifests

ID = "3f2a9c0d1e4b5a6978c0d1e2f3a4b5c6"
KEY = "0123456789abcdef"
CLUSTER = Cluster(image="registry.example/pierhead:1", python="/opt/pierhead/bin/python")
ENGINES = registry(CLUSTER.python)
OSS = Account(
    Connection(
        "models",
        "oss",
        "weights",
        "https://oss-cn-shanghai.aliyuncs.com",
        "cn-shanghai",
        "LTAI5tKey",
    ),
    Keys("the-secret"),
)


def fetched(source: Source, root: str, account: Account | None = None, file: str = "") -> Files:
    """Files as an init container brings them."""
    folder = f"{root}/0123abcd"
    model = f"{folder}/files/{file}".rstrip("/")
    return Files(f"{folder}/files", model, 2 * GIB, fetch=Fetch(source, folder, account))


def workload(template: Template, files: Files | None = None, **facts: Any) -> Workload:
    """A service's workload."""
    known: dict[str, Any] = {
        "service": ID,
        "name": "chat",
        "rollout": "2.1",
        "replicas": 1,
        **facts,
    }
    return Workload(template=template, files=files or no_files(), **known)


def ask(wanted: Workload, placement: Placement) -> Launch:
    """What the real engine answers."""
    return ENGINES[wanted.template.engine].launch(wanted.template, wanted.files, placement)


@dataclass(frozen=True)
class Case:
    """One service on one cluster."""

    workload: Workload
    cluster: Cluster = CLUSTER
    extras: Extras = field(default_factory=lambda: Extras(KEY))

    @property
    def launch(self) -> Launch:
        """As the runtime asks for it."""
        return launched(ask, self.workload, self.cluster)

    def made(self) -> tuple[Manifest, ...]:
        """Its objects."""
        return manifests(self.workload, self.launch, self.cluster, self.extras)


DEMO = replace(BUILT_IN["smollm2_135m_q4"], engine="llama_cpp")
MEASURED = replace(DEMO, resources=replace(DEMO.resources, cpu=1.0))
DEMO_FILES = fetched(DEMO.source, CLUSTER.weights_root, file="model.gguf") if DEMO.source else None
CACHED = replace(CLUSTER, cache_path="/var/cache/pierhead", network_policy=True)
VLLM = Template(
    name="qwen",
    engine="vllm",
    resources=Resources(cpu=8.0, memory=64 * GIB, gpu=2, cpu_request=4.0),
    constraints=Constraints(("X86_64",), "7.5", {"nvidia": ("a100",)}),
    mount_path="/mnt/model",
    env={"HF_TOKEN": "hf_secretsecret", "LOG_LEVEL": "info"},
)
GPUS = replace(
    CLUSTER,
    engine_images={"vllm": "registry.example/vllm:1"},
    gpu_labels={"a100": "nvidia.com/gpu.product=NVIDIA-A100-SXM4-80GB"},
    image_pull_secrets=("registry-login",),
    image_pull_policy="IfNotPresent",
    runtime_class="nvidia",
    node_selector={"pool": "models"},
    lws=True,
    keda=True,
    prometheus="http://prometheus.monitoring:9090",
)
CUSTOM = Template(
    name="own",
    engine="custom",
    script="serve --host {host} --port {port} --pid $$ --on $(hostname) --dir {model_dir}",
    flags=("--say", "$(POD_IP) costs $$5"),
    images={"AARCH64": "own/arm:1", "X86_64": "own/intel:1"},
    ports=(80,),
    side_ports={"metrics": 9090},
    links=(Link("corpus", "/data/corpus"),),
    workdir="/srv/app",
    env={"API_KEY": "an-own-secret", "DEBUG": "1", "PATTERN": "^a$"},
    resources=Resources(cpu=0.5, memory=512 * MIB),
    readiness=Probe(kind="exec", command=("ready", "--now"), initial_delay=3.0),
    liveness=Probe(kind="http", path="/alive", period=10.0, failures=5),
    stop_grace=600.0,
)
OLD = replace(
    CLUSTER,
    version=(1, 20),
    hpa="autoscaling/v2beta2",
    pdb="policy/v1beta1",
    host_folders=("/data",),
)
BY_CPU = AutoScaler(
    2, 8, (Strategy(Metric.CPU, 60.0),), down=Direction(120.0, (Policy("Pods", 1, 60.0),))
)
BY_LOAD = AutoScaler(0, 4, (Strategy(Metric.QUEUE, 2.0), Strategy(Metric.CPU, 80.0)))
NFS = Account(Connection("nas", "nas", mount_target="t", nfs="10.0.0.5:/models,version=3"), Keys())

CASES = {
    "demo": Case(workload(DEMO, DEMO_FILES)),
    "cached": Case(
        workload(
            DEMO,
            fetched(OssSource("weights", "chat/"), "/var/cache/pierhead", OSS, "model.gguf"),
            replicas=3,
            rolling=Rolling("25%", 1),
        ),
        CACHED,
    ),
    "bucket": Case(
        workload(VLLM, fetched(OssSource("weights", "qwen/"), GPUS.weights_root, OSS), replicas=2),
        replace(GPUS, weights="csi"),
    ),
    "nas": Case(
        workload(VLLM, fetched(NasSource("t", "/qwen"), GPUS.weights_root, NFS)),
        replace(GPUS, weights="csi"),
    ),
    "custom": Case(workload(CUSTOM, replicas=2), OLD, Extras(scaler=BY_CPU)),
    "by-load": Case(workload(MEASURED, DEMO_FILES), GPUS, Extras(KEY, BY_LOAD)),
    "several-nodes": Case(
        workload(
            replace(VLLM, mount_path="", nodes=2),
            fetched(OssSource("weights", "q/"), GPUS.weights_root, OSS),
        ),
        GPUS,
    ),
    "several-nodes-in-turn": Case(
        workload(
            replace(VLLM, mount_path="", nodes=3, in_turn=True),
            fetched(OssSource("weights", "q/"), GPUS.weights_root, OSS),
            replicas=2,
        ),
        replace(GPUS, version=(1, 31), network_policy=True, platform="9" * 8),
    ),
    "stopped": Case(workload(DEMO, DEMO_FILES, replicas=0), extras=Extras(KEY, BY_CPU)),
}
