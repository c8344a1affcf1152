"""The service JSON: every key has an effect, or is refused by name, or is reported by name."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pierhead.core.errors import Invalid, Missing, NotFound, PierheadError, Unsupported
from pierhead.core.mounts import FolderSource, NasSource, OssSource, Source
from pierhead.core.resources import GIB, MIB, Resources
from pierhead.core.scalers import AutoScaler, Metric, Strategy
from pierhead.core.services import Intake, Relaying
from pierhead.core.specs import BUILT_IN
from pierhead.core.templates import Probe, Rolling, Template
from pierhead.dialects.eas import service_document as sd

MINE = Template(name="mine", engine="custom", command=("serve", "{port}"), env={"A": "1"})
TEMPLATES = {**BUILT_IN, "mine": MINE}


def document(container: Any = None, **top: Any) -> dict[str, Any]:
    metadata = {"name": "foo", **top.pop("metadata", {})}
    return {"metadata": metadata, "containers": [container or {"script": "python app.py"}], **top}


def translate(content: dict[str, Any], **more: Any) -> sd.DocumentSpec:
    return sd.translate(content, TEMPLATES.get, **more)


def reasons(spec: sd.DocumentSpec) -> str:
    return "\n".join(notice.message for notice in spec.notices)


FULL = document(
    {
        "script": "python app.py --port 9000 --model /mnt/model/x.gguf",
        "port": 9000,
        "env": [{"name": "MODE", "value": "fast"}],
        "readiness_check": {"http_get": {"path": "/ready", "port": 9000}, "period_seconds": 3},
        "liveness_check": {"tcp_socket": {"port": 9001}, "failure_threshold": 7},
        "startup_check": {
            "exec": {"command": ["true"]},
            "initial_delay_seconds": 20,
            "period_seconds": 10,
            "failure_threshold": 60,
        },
    },
    metadata={
        "instance": 3,
        "cpu": 2,
        "memory": 4096,
        "gpu": 1,
        "group": "team_a",
        "workspace_id": "w1",
        "quota_id": "q1",
        "rolling_strategy": {"max_surge": "25%", "max_unavailable": 1},
        "rpc": {
            "keepalive": 120000,
            "max_queue_size": 7,
            "rate_limit": 20,
            "worker_threads": 3,
        },
    },
    storage=[
        {
            "mount_path": "/mnt/model/",
            "oss": {"path": "oss://bucket/llama/", "readOnly": True},
            "properties": {"resource_type": "model"},
        }
    ],
    runtime={"termination_grace_period": 45},
    token="secret-token",
)


def test_every_known_key_has_its_effect() -> None:
    spec = translate(FULL)
    assert (spec.name, spec.instance, spec.group) == ("foo", 3, "team_a")
    assert (spec.workspace_id, spec.quota_id, spec.token) == ("w1", "q1", "secret-token")
    assert spec.source == OssSource("bucket", "llama/")
    assert spec.rolling == Rolling("25%", 1)
    assert spec.request_timeout == 120.0
    assert spec.intake == Intake(queue=7, rate=20, workers=3)
    template = spec.template
    assert template.engine == "custom"
    assert template.command == (
        "python",
        "app.py",
        "--port",
        "{port}",
        "--model",
        "{model_dir}/x.gguf",
    )
    assert template.env == {"MODE": "fast"}
    assert template.resources == Resources(cpu=2.0, memory=4 * GIB, gpu=1)
    assert template.readiness == Probe(kind="http", path="/ready", period=3.0)
    assert template.liveness == Probe(kind="tcp", port=9001, failures=7)
    assert template.start_deadline == 620.0
    assert template.stop_grace == 45.0
    assert template.mount_path == "/mnt/model"
    for told in ("containers[0].port", "startup_check", "it runs as"):
        assert told in reasons(spec)


@pytest.mark.parametrize(
    ("metadata", "gpu", "part", "told"),
    [
        ({"gpu": 2}, 2, None, ""),
        ({"gpu_memory": 3}, 0, 3 * GIB, ""),
        ({"gpu": 0, "gpu_memory": 2.5}, 0, 5 * GIB // 2, ""),
        ({"gpu": 1, "gpu_memory": 3}, 1, None, "metadata.gpu_memory"),
        (
            {"gpu_memory": 3, "gpu_core_percentage": 10},
            0,
            3 * GIB,
            "metadata.gpu_core_percentage",
        ),
        ({"gpu": 0, "gpu_memory": 0}, 0, None, ""),
    ],
)
def test_gpus_are_whole_ones_or_a_part_of_one(
    metadata: dict[str, Any], gpu: int, part: int | None, told: str
) -> None:
    spec = translate(document(metadata=metadata))
    resources = spec.template.resources
    assert (resources.gpu, resources.gpu_memory) == (gpu, part)
    assert told in reasons(spec)
    assert bool(told) == bool(spec.notices)


def test_gpus_of_a_template_hold_until_others_are_asked_for() -> None:
    shared = replace(MINE, resources=Resources(gpu_memory=GIB))
    whole = replace(MINE, resources=Resources(gpu=2))
    found = {"shared": shared, "whole": whole}

    def of(image: str, **metadata: Any) -> tuple[int, int | None]:
        content = document({"image": f"pierhead/{image}"}, metadata=metadata)
        resources = sd.translate(content, found.get).template.resources
        return resources.gpu, resources.gpu_memory

    assert of("shared") == (0, GIB)
    assert of("shared", gpu=1) == (1, None)
    assert of("shared", gpu=0) == (0, None)
    assert of("whole") == (2, None)
    assert of("whole", gpu_memory=4) == (0, 4 * GIB)


def test_a_container_that_sets_the_devices_is_told_that_the_platform_does() -> None:
    env = [{"name": "CUDA_VISIBLE_DEVICES", "value": "0"}]
    spec = translate(document({"script": "python app.py", "env": env}))
    assert "CUDA_VISIBLE_DEVICES is set by the platform" in reasons(spec)


def test_a_minimal_document() -> None:
    spec = translate({"name": "foo", "containers": [{"command": ["serve", "now"], "args": ["-v"]}]})
    assert spec.template == Template(name="foo", engine="custom", command=("serve", "now", "-v"))
    assert (spec.instance, spec.request_timeout, spec.notices, spec.source) == (
        None,
        None,
        (),
        None,
    )


# --- commands ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "argv"),
    [
        ("serve --name 'a b'", ("serve", "--name", "a b")),
        ("serve --port {port}", ("serve", "--port", "{port}")),
        ("cd /x && serve", ("sh", "-c", "cd /x && serve")),
        ("serve | tee log", ("sh", "-c", "serve | tee log")),
        ("serve; sleep 1", ("sh", "-c", "serve; sleep 1")),
        ("serve $PORT", ("sh", "-c", "serve $PORT")),
        ("A=1 serve", ("sh", "-c", "A=1 serve")),
        ("serve >log", ("sh", "-c", "serve >log")),
        ("serve `x`", ("sh", "-c", "serve `x`")),
        ("a\nb", ("sh", "-c", "a\nb")),
        ("exec serve", ("sh", "-c", "exec serve")),
    ],
)
def test_scripts_need_a_shell_or_not(script: str, argv: tuple[str, ...]) -> None:
    assert translate(document({"script": script})).template.command == argv
    assert translate(document({"command": script})).template.command == argv


def test_arguments_follow_a_shell_script() -> None:
    spec = translate(document({"script": 'echo "$1" && serve', "args": ["x"]}))
    assert spec.template.command == ("sh", "-c", 'echo "$1" && serve', "sh", "x")


@pytest.mark.parametrize(
    ("container", "argv"),
    [
        ({"script": "serve --port 8000"}, ("serve", "--port", "{port}")),
        ({"script": "serve --port=8000 --max 8000"}, ("serve", "--port={port}", "--max", "8000")),
        ({"script": "serve -p 8000"}, ("serve", "-p", "{port}")),
        ({"script": "gunicorn -b 0.0.0.0:8000 app"}, ("gunicorn", "-b", "0.0.0.0:{port}", "app")),
        ({"script": "python -m http.server 8000"}, ("python", "-m", "http.server", "{port}")),
        (
            {"script": "python -m http.server 8000", "port": 9000},
            ("python", "-m", "http.server", "8000"),
        ),
        ({"script": "serve --port 80001"}, ("serve", "--port", "80001")),
        ({"script": "serve --port 8000 && true"}, ("sh", "-c", "serve --port {port} && true")),
    ],
)
def test_the_fixed_port_becomes_the_replicas_own(container: Any, argv: tuple[str, ...]) -> None:
    spec = translate(document(container))
    assert spec.template.command == argv
    assert ("it runs as" in reasons(spec)) == ("{port}" in str(argv))


def test_probes_that_run_a_command_find_port_and_files() -> None:
    check = {"exec": {"command": ["curl", "localhost:8000/x", "/mnt/m/f"]}}
    mount = [{"mount_path": "/mnt/m", "nfs": {"server": "s", "path": "/p"}}]
    spec = translate(document({"script": "serve", "health_check": check}, storage=mount))
    line = "curl 'localhost:'\"$PORT\"'/x' ''\"$MODEL_DIR\"'/f'"
    assert spec.template.readiness.command == ("sh", "-c", line)
    assert spec.source == NasSource("s", "/p")


# --- templates by image -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "image", ["pierhead/smollm2_135m_q4", "smollm2_135m_q4", "pierhead/smollm2_135m_q4:1"]
)
def test_an_image_names_a_template(image: str) -> None:
    spec = translate(document({"image": image, "env": [{"name": "B", "value": "2"}]}))
    assert replace(spec.template, env={}) == BUILT_IN["smollm2_135m_q4"]
    assert spec.template.env == {"B": "2"}
    sized = translate(document({"image": image}, metadata={"memory": 512}))
    assert sized.template.resources.memory == 512 * MIB


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, Intake()),
        ({"rpc": {}}, Intake(queue=64, rate=0, workers=0)),
        ({"rpc": {"max_queue_size": 0, "rate_limit": 0}}, Intake(queue=0)),
        ({"rpc.max_queue_size": 256, "rpc.rate_limit": 9}, Intake(queue=256, rate=9)),
        ({"rpc.max_queue_size": 256, "rpc": {"max_queue_size": 5}}, Intake(queue=5)),
    ],
    ids=["nothing", "an empty part", "zeros", "dotted keys", "the part before a dotted key"],
)
def test_what_a_service_takes_in(metadata: dict[str, Any], expected: Intake) -> None:
    spec = translate(document({"image": "smollm2_135m_q4"}, metadata=metadata))
    assert spec.intake == expected
    assert spec.notices == ()


def test_a_dotted_key_is_read_once_and_reported_under_the_name_of_its_part() -> None:
    spec = translate(document(metadata={"rpc.keepalive": 2000, "rpc.odd": 1}))
    assert spec.request_timeout == 2.0
    assert [notice.message for notice in spec.notices if "odd" in notice.message] == [
        "The parameter metadata.rpc.odd has no effect here: it is not known; it is kept and shown."
    ]


def test_a_queue_needs_to_know_how_many_are_worked_on_at_once() -> None:
    """Of a program of its owner's nobody knows it, unless it is told."""
    rpc = {"max_queue_size": 5}
    assert "metadata.rpc.worker_threads says it" in reasons(
        translate(document(metadata={"rpc": rpc}))
    )
    told = translate(document(metadata={"rpc": {**rpc, "worker_threads": 2}}))
    assert (told.intake, told.notices) == (Intake(queue=5, workers=2), ())


def test_an_image_and_a_script() -> None:
    spec = translate(document({"image": "vllm/vllm:1", "script": "serve"}))
    assert spec.template.command == ("serve",)
    assert "containers[0].image" in reasons(spec)
    mine = translate(document({"image": "mine", "script": "other"}))
    assert mine.template == replace(MINE, command=("other",))
    with pytest.raises(Invalid, match="not both"):
        translate(document({"image": "llama_7b_fp16", "script": "serve"}))


def test_where_images_run_a_command_runs_in_the_one_beside_it() -> None:
    here = sd.Here(images=True)
    content = {"image": "registry.example/team/vllm:1", "script": "serve"}
    spec = translate(document(content), here=here)
    assert spec.template.images == {"": "registry.example/team/vllm:1"}
    assert (spec.template.command, spec.notices) == (("serve",), ())
    shared = translate(document(content, metadata={"shm_size": 64}), here=here)
    assert (shared.template.resources.shm, shared.notices) == (64 * GIB, ())
    named = translate(document({"image": "llama_7b_fp16"}), here=here)
    assert named.template.images == {}, "a template's name is no image"
    bare = translate(document({"image": "registry.example/team/own:1", "port": 9000}), here=here)
    assert bare.template.images == {"": "registry.example/team/own:1"}
    assert (bare.template.command, bare.template.script, bare.template.engine) == ((), "", "custom")
    for misspelt in ("llama_7b_fp61", "pierhead/llama_7b_fp61:1"):
        with pytest.raises(Invalid, match="is no template"):
            translate(document({"image": misspelt}), here=here)
    with pytest.raises(Invalid, match="is no template"):
        translate(document({"image": "registry.example/team/own:1"}))
    told = translate(document(content) | {"dockerAuth": "hunter2"}, here=here)
    assert "kubernetes.image_pull_secrets" in reasons(told)
    assert "hunter2" not in reasons(told)


# --- nothing is ignored -----------------------------------------------------------------------

REPORTED: dict[str, dict[str, Any]] = {
    "metadata.disk": document(metadata={"disk": "30Gi"}),
    "metadata.shm_size": document(metadata={"shm_size": 64}),
    "metadata.rdma": document(metadata={"rdma": 1}),
    "metadata.enable_webservice": document(metadata={"enable_webservice": True}),
    "metadata.enable_grpc": document(metadata={"enable_grpc": True}),
    "metadata.other": document(metadata={"other": 1}),
    "metadata.rpc.max_queue_size": document(metadata={"rpc": {"max_queue_size": 64}}),
    "metadata.rpc.worker_threads": document(
        {"image": "smollm2_135m_q4"}, metadata={"rpc": {"worker_threads": 5}}
    ),
    "metadata.rpc.max_batch_size": document(metadata={"rpc": {"max_batch_size": 5}}),
    "metadata.rpc.io_threads": document(metadata={"rpc": {"io_threads": 5}}),
    "metadata.rpc.other": document(metadata={"rpc": {"other": 5}}),
    "metadata.rolling_strategy.other": document(metadata={"rolling_strategy": {"other": 5}}),
    "containers[0].port": document({"script": "x", "port": 8000}),
    "containers[0].image": document({"script": "x", "image": "nginx"}),
    "containers[0].resources": document({"script": "x", "resources": {"cpu": 1}}),
    "containers[0].args": document({"image": "mine", "args": ["x"]}),
    "containers[0].other": document({"script": "x", "other": 0}),
    "containers[0].env[0]": document({"script": "x", "env": [{"name": "PORT", "value": "1"}]}),
    "containers[0].env[0].valueFrom": document(
        {"script": "x", "env": [{"name": "A", "valueFrom": {"x": 1}}]}
    ),
    "containers[0].health_check.other": document(
        {"script": "x", "health_check": {"tcp_socket": {"port": 1}, "other": 1}}
    ),
    "containers[0].health_check.http_get.scheme": document(
        {"script": "x", "health_check": {"http_get": {"path": "/", "scheme": "HTTPS"}}}
    ),
    "storage[0].oss.readOnly": document(
        storage=[{"oss": {"path": "oss://bucket/", "readOnly": False}}]
    ),
    "storage[0].oss.other": document(storage=[{"oss": {"path": "oss://bucket/", "other": 1}}]),
    "storage[0].empty_dir": document(
        storage=[{"mount_path": "/m", "empty_dir": {"medium": "memory"}}]
    ),
    "storage[0].other": document(storage=[{"oss": {"path": "oss://bucket/"}, "other": 1}]),
    "cloud.computing.instance_type": document(
        metadata={"cpu": 1, "memory": 1}, cloud={"computing": {"instance_type": "ecs.c6.large"}}
    ),
    "cloud.computing.instances": document(
        metadata={"cpu": 1, "memory": 1},
        cloud={"computing": {"instances": [{"type": "ecs.c6.large"}]}},
    ),
    "cloud.networking.vpc_id": document(cloud={"networking": {"vpc_id": "v"}}),
    "cloud.networking.vswitch_id": document(cloud={"networking": {"vswitch_id": "v"}}),
    "cloud.networking.security_group_id": document(
        cloud={"networking": {"security_group_id": "v"}}
    ),
    "cloud.other": document(cloud={"other": 1}),
    "networking.gateway": document(networking={"gateway": "gw-1"}),
    "networking.nlb": document(networking={"nlb": [{"id": "x"}]}),
    "runtime.other": document(runtime={"other": 1}),
    "features.eas.aliyun.com/x": document(features={"eas.aliyun.com/x": "y"}),
    "dockerAuth": document(dockerAuth="abc"),
    "oss_endpoint": document(oss_endpoint="x"),
    "warm_up_data_path": document(warm_up_data_path="x"),
    "labels": document(labels={"a": "b"}),
}


def test_its_auto_scaler() -> None:
    strategies = [{"metricName": "QPS", "threshold": 5}]
    wanted: dict[str, Any] = {"min": 0, "max": 4, "scaleStrategies": strategies, "luck": 1}
    spec = translate(document(autoscaler=wanted))
    assert spec.autoscaler == AutoScaler(0, 4, (Strategy(Metric.QPS, 5.0),))
    assert "autoscaler.luck" in reasons(spec)
    assert translate(document()).autoscaler is None
    with pytest.raises(Invalid) as caught:
        translate(document(autoscaler=wanted | {"max": 0}))
    assert caught.value.field == "autoscaler.max"
    with pytest.raises(Missing, match=r"autoscaler\.scaleStrategies"):
        translate(document(autoscaler={"min": 1, "max": 2}))


def test_the_count_that_a_scaler_came_to() -> None:
    two = document(metadata={"instance": 2})
    assert sd.counted(two, 2) is two
    assert sd.counted(two, 5)["metadata"]["instance"] == 5
    assert "instance" not in sd.counted(two, 0)["metadata"]
    assert sd.counted({"name": "foo"}, 1) == {"name": "foo"}
    assert sd.counted({"name": "foo"}, 3)["metadata"] == {"instance": 3}


def test_an_empty_folder_in_its_usual_form_is_reported_too() -> None:
    given = document(storage=[{"mount_path": "/m", "empty_dir": {}}])
    assert "storage[0].empty_dir" in reasons(translate(given))


@pytest.mark.parametrize("key", REPORTED)
def test_keys_without_effect_are_reported_by_name(key: str) -> None:
    assert key in reasons(translate(REPORTED[key]))


REFUSED: list[tuple[type[PierheadError], str, dict[str, Any]]] = [
    *(
        (Unsupported, key, document(**{key: "x"}))
        for key in ("processor", "processor_path", "model_path", "model_entry", "model_config")
    ),
    (Unsupported, "metadata.type", document(metadata={"type": "Async"})),
    (Unsupported, "containers[1]", document(containers=[{"script": "a"}, {"script": "b"}])),
    (Unsupported, "prepare", document({"script": "x", "prepare": {"pythonRequirements": ["a"]}})),
    (Unsupported, "dataset", document(storage=[{"dataset": {"id": "d"}}])),
    (
        Unsupported,
        "resource_type",
        document(
            storage=[{"oss": {"path": "oss://bucket/"}, "properties": {"resource_type": "code"}}]
        ),
    ),
    (
        Unsupported,
        "storage",
        document(
            storage=[{"oss": {"path": "oss://bucket/"}}, {"nfs": {"server": "s", "path": "/"}}]
        ),
    ),
    (NotFound, "eas-r-x", document(metadata={"resource": "eas-r-x"})),
    (Missing, "metadata.name", {"containers": [{"script": "x"}]}),
    (Missing, "containers", {"name": "foo"}),
    (Missing, "containers[0].script", document({"env": []})),
    (Missing, "containers[0].script", document({"script": "  "})),
    (Missing, "storage[0].oss", document(storage=[{"mount_path": "/x"}])),
    (Missing, "storage[0].oss.path", document(storage=[{"oss": {"endpoint": "x"}}])),
    (Missing, "storage[0].nfs.server", document(storage=[{"nfs": {"path": "/"}}])),
    (Missing, "command", document({"script": "x", "health_check": {"exec": {"a": 1}}})),
    *(
        (Invalid, key, document(metadata=metadata))
        for key, metadata in (
            ("metadata.name", {"name": "Foo-1"}),
            ("metadata.name", {"name": 5}),
            ("metadata.group", {"group": "x y"}),
            ("metadata.instance", {"instance": 0}),
            ("metadata.instance", {"instance": 1.5}),
            ("metadata.instance", {"instance": "2"}),
            ("metadata.instance", {"instance": True}),
            ("metadata.cpu", {"cpu": 0}),
            ("metadata.cpu", {"cpu": "2"}),
            ("metadata.memory", {"memory": 0}),
            ("metadata.memory", {"memory": 1e300}),
            ("metadata.gpu", {"gpu": -1}),
            ("metadata.gpu", {"gpu": 0.5}),
            ("metadata.gpu_memory", {"gpu_memory": -1}),
            ("metadata.gpu_memory", {"gpu_memory": "3"}),
            ("metadata.rpc", {"rpc": 5}),
            ("metadata.rpc.keepalive", {"rpc": {"keepalive": 0}}),
            ("metadata.rpc.max_queue_size", {"rpc": {"max_queue_size": -1}}),
            ("metadata.rpc.max_queue_size", {"rpc": {"max_queue_size": "64"}}),
            ("metadata.rpc.rate_limit", {"rpc.rate_limit": 0.5}),
            ("metadata.rpc.worker_threads", {"rpc": {"worker_threads": 0}}),
            ("metadata.rolling_strategy", {"rolling_strategy": {"max_surge": 0}}),
            ("max_surge", {"rolling_strategy": {"max_surge": "x"}}),
            ("max_surge", {"rolling_strategy": {"max_surge": "200%"}}),
            ("max_surge", {"rolling_strategy": {"max_surge": -1}}),
            ("max_unavailable", {"rolling_strategy": {"max_unavailable": 0.5}}),
        )
    ),
    *(
        (Invalid, key, document(container))
        for key, container in (
            ("containers[0].image", {"image": "nginx:latest"}),
            ("containers[0]", {"script": "a", "command": "b"}),
            ("containers[0].script", {"script": "a 'b"}),
            ("containers[0].script", {"script": {"a": 1}}),
            ("containers[0].command", {"command": ["a", 1]}),
            ("containers[0].args", {"script": "a", "args": "x"}),
            ("containers[0].port", {"script": "a", "port": 70000}),
            ("containers[0].port", {"script": "a", "port": "8000"}),
            ("containers[0].env", {"script": "a", "env": {"A": "1"}}),
            ("containers[0].env[0]", {"script": "a", "env": ["A=1"]}),
            ("env[0].name", {"script": "a", "env": [{"value": "1"}]}),
            ("env[0].name", {"script": "a", "env": [{"name": "A B", "value": "1"}]}),
            ("env[0].value", {"script": "a", "env": [{"name": "A", "value": 1}]}),
            ("health_check", {"script": "a", "health_check": {"period_seconds": 1}}),
            (
                "health_check",
                {
                    "script": "a",
                    "health_check": {"tcp_socket": {"port": 1}, "http_get": {"path": "/"}},
                },
            ),
            ("path", {"script": "a", "health_check": {"http_get": {"path": "x"}}}),
            (
                "period_seconds",
                {"script": "a", "health_check": {"tcp_socket": {"port": 1}, "period_seconds": 0}},
            ),
            (
                "containers[0]",
                {"script": "a", "health_check": {"x": 1}, "readiness_check": {"x": 1}},
            ),
        )
    ),
    (Invalid, "name", {**document(), "name": "other"}),
    (Invalid, "metadata", {"metadata": [], "containers": [{"script": "x"}]}),
    (Invalid, "containers", {"name": "foo", "containers": {"script": "x"}}),
    (
        Invalid,
        "mount_path",
        document(storage=[{"mount_path": "m", "oss": {"path": "oss://bucket/"}}]),
    ),
    *(
        (
            Invalid,
            "storage[0].mount_path",
            document(storage=[{"mount_path": path, "oss": {"path": "oss://bucket/"}}]),
        )
        for path in ("/", "//", "/proc", "/dev/shm/x", "/sys/x", "/usr/", "/a/../b", "/x" * 600)
    ),
    (Invalid, "storage[0].oss.path", document(storage=[{"oss": {"path": "oss://bucket/../x"}}])),
    (Invalid, "storage[0].nfs.path", document(storage=[{"nfs": {"server": "s", "path": "/a/.."}}])),
    (
        Invalid,
        "storage[0]",
        document(storage=[{"oss": {"path": "oss://bucket/"}, "nfs": {"server": "s", "path": "/"}}]),
    ),
    (Invalid, "instance_type", document(cloud={"computing": {"instance_type": "ecs.c6.large"}})),
    (
        Invalid,
        "instance_type",
        document(metadata={"cpu": 1, "memory": 1}, cloud={"computing": {"instance_type": "big"}}),
    ),
    (Invalid, "token", document(token=5)),
    (Invalid, "termination_grace_period", document(runtime={"termination_grace_period": -1})),
]


@pytest.mark.parametrize(("kind", "key", "content"), REFUSED)
def test_what_cannot_be_done_is_refused_by_name(
    kind: type[PierheadError], key: str, content: Any
) -> None:
    with pytest.raises(kind) as caught:
        translate(content)
    assert key in caught.value.message


def test_the_built_in_pool_may_be_named() -> None:
    content = document(metadata={"resource": "eas-r-pool"})
    assert translate(content, here=sd.Here("eas-r-pool")).notices == ()


def test_the_name_cannot_change() -> None:
    assert translate({"containers": [{"script": "x"}]}, name="bar").name == "bar"
    with pytest.raises(Invalid, match="cannot change"):
        translate(document(), name="bar")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 99999)
    | st.floats(allow_nan=False)
    | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "name",
                    "instance",
                    "script",
                    "command",
                    "args",
                    "env",
                    "value",
                    "oss",
                    "nfs",
                    "path",
                    "port",
                    "http_get",
                    "exec",
                    "health_check",
                    "rpc",
                    "type",
                    "mount_path",
                    "server",
                    "other",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["metadata", "containers", "storage", "cloud", "networking", "runtime", "token", "x"]
        ),
        JSON | st.lists(JSON, max_size=2),
    )
)
def test_any_document_is_translated_or_refused_on_purpose(content: dict[str, Any]) -> None:
    try:
        spec = translate({"name": "foo", **content})
    except PierheadError as error:
        assert error.message
    else:
        told = reasons(spec)
        assert "x" not in content or content["x"] in (None, "", [], {}) or "parameter x " in told


# --- merging and deriving ---------------------------------------------------------------------


def test_merge_patches() -> None:
    old = {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert sd.merge(old, {"a": {"c": [3], "e": {"f": None, "g": 1}}, "d": None}) == {
        "a": {"b": 1, "c": [3], "e": {"g": 1}}
    }
    assert sd.merge({"a": 1}, {"a": {"b": None}}) == {"a": {}}
    assert old == {"a": {"b": 1, "c": [1, 2]}, "d": 1}
    assert sd.merge({"a": "b"}, {"c": "d"}) == {"a": "b", "c": "d"}


def test_only_replicas_changed() -> None:
    more = sd.merge(FULL, {"metadata": {"instance": 5}})
    assert sd.only_replicas_changed(FULL, more)
    assert not sd.only_replicas_changed(FULL, FULL)
    assert not sd.only_replicas_changed(FULL, sd.merge(more, {"token": "x"}))
    assert sd.only_replicas_changed({"name": "foo"}, {"name": "foo", "metadata": {"instance": 2}})


def test_a_secret_is_not_shown() -> None:
    assert sd.shown({"dockerAuth": "x", "token": "y"}) == {"token": "y"}


def test_of_a_service_that_sleeps_a_document_tells_no_number() -> None:
    derived = sd.derive("foo", 0, "chatglm_6b_int8", None, {})
    assert "instance" not in derived["metadata"]
    assert translate(derived).instance is None


@pytest.mark.parametrize(
    "source",
    [
        None,
        OssSource("bucket", "路径/"),
        OssSource("bucket", "", "oss.example.com"),
        NasSource("0a.cn.nas.aliyuncs.com", "/models/x"),
    ],
)
def test_a_derived_document_makes_the_same_service(source: Source | None) -> None:
    owners = {"workspace_id": "w", "quota_id": "", "group": "team_a"}
    derived = sd.derive("foo", 2, "chatglm_6b_int8", source, owners)
    spec = translate(json.loads(json.dumps(derived)))
    assert (spec.name, spec.instance, spec.source) == ("foo", 2, source)
    assert (spec.workspace_id, spec.quota_id, spec.group) == ("w", "", "team_a")
    place = "/mnt/model" if source is not None else ""
    assert spec.template == replace(BUILT_IN["chatglm_6b_int8"], mount_path=place)


def test_weights_of_the_template_need_no_mount() -> None:
    derived = sd.derive("foo", 1, "mine", FolderSource("/models/x"), {})
    assert "storage" not in derived


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, Relaying()),
        ({"affinity": "prefix"}, Relaying("prefix")),
        ({"affinity": "none", "repeats": False}, Relaying("", repeats=False)),
        ({"affinity": None, "repeats": True}, Relaying()),
    ],
)
def test_the_platforms_own_part_says_how_requests_are_relayed(
    own: dict[str, Any], expected: Relaying
) -> None:
    assert translate(document(pierhead=own)).relaying == expected


def test_what_the_platforms_own_part_does_not_know_is_reported() -> None:
    assert "pierhead.colour" in reasons(translate(document(pierhead={"colour": "red"})))


@pytest.mark.parametrize(
    ("own", "named"),
    [
        ({"affinity": "session"}, "pierhead.affinity"),
        ({"affinity": True}, "pierhead.affinity"),
        ({"repeats": 1}, "pierhead.repeats"),
        ("prefix", "pierhead"),
    ],
)
def test_what_the_platforms_own_part_cannot_say_is_refused_by_name(own: Any, named: str) -> None:
    with pytest.raises(Invalid) as caught:
        translate(document(pierhead=own))
    assert caught.value.field == named
