"""`pierhead export`: a service's manifests from a hub of any runtime, and who is told which secrets."""

import asyncio
import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from ram_world import KEY, World, as_key, serving

from builders import BOX_KEY, a_service, a_template, a_version
from made_database import made_sqlite
from oss_double import OssDouble
from pierhead.bootstrap.looking import showing
from pierhead.bootstrap.secret_files import write_private
from pierhead.cli.client import Access, HubRefused, Json
from pierhead.cli.export import export
from pierhead.cli.ram_client import RamClient
from pierhead.core.fetches import ACCOUNT
from pierhead.core.mounts import FolderSource, OssSource
from pierhead.core.principals import AccessKey
from pierhead.core.scalers import AutoScaler, Metric, Strategy
from pierhead.core.services import Service
from pierhead.core.specs import BUILT_IN
from pierhead.core.templates import Link, Template
from pierhead.settings import Settings
from pierhead.store import scalers
from pierhead.store import services as rows

OWN_SECRET = "an-own-secret"
STORE_SECRET = "SKTEST"
OWN = a_template(env={"API_KEY": OWN_SECRET}, links=(Link("corpus", "/data/corpus"),))


@dataclass
class Hub:
    """A platform behind a port; its replicas are a double's."""

    world: World
    folder: Path

    def __post_init__(self) -> None:
        settings = Settings(data_dir=self.folder / "data", cache_dir=self.folder / "cache")
        (settings.data_dir / "run").mkdir(parents=True)
        write_private(settings.data_dir / "run" / "storage.key", BOX_KEY)
        self.world.platform = showing(self.world.platform, settings)

    def client(self, key: AccessKey = KEY) -> RamClient:
        return RamClient(Access(f"http://{self.world.address}", "local", key))

    def user(self, name: str, *actions: str, on: str = "*") -> RamClient:
        statement = {"Effect": "Allow", "Action": list(actions), "Resource": on}
        return self.client(as_key(self.world.user(name, *((statement,) if actions else ()))))

    def service(self, name: str, template: Template = OWN, **fields: Any) -> Service:
        made = a_service(name=name, current=a_version(template=template, **fields))
        asyncio.run(self.world.db.write(rows.add, made))
        return made


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    url = made_sqlite(tmp_path / "pierhead.db")
    found = Hub(World(url), tmp_path)
    with serving(found.world):
        yield found


@pytest.fixture
def double(tmp_path: Path) -> Iterator[OssDouble]:
    (tmp_path / "store" / "weights").mkdir(parents=True)
    with OssDouble(tmp_path / "store") as made:
        yield made


def exported(client: RamClient, name: str, *, secrets: bool = False, **more: str) -> Json:
    action = "ExportServiceSecrets" if secrets else "ExportService"
    return client.own(action, ServiceName=name, **more)


def objects(answer: Json) -> dict[str, Json]:
    """The documents by their kind, all of them legal."""
    found = [*yaml.safe_load_all(answer["Content"])]
    for each in found:
        kubernetes_validate.validate(each, "1.37", strict=True)
    return {each["kind"]: each for each in found}


def plain(secret: Json, key: str) -> str:
    return base64.b64decode(secret["data"][key]).decode()


def refused(client: RamClient, action: str, **parameters: str) -> tuple[str, str]:
    with pytest.raises(HubRefused) as caught:
        client.own(action, **parameters)
    return caught.value.code, caught.value.message


def test_a_demo_service_is_a_deployment_that_fetches_its_weights(hub: Hub) -> None:
    demo = BUILT_IN["smollm2_135m_q4"]
    asks = replace(demo, resources=replace(demo.resources, cpu=1.0))
    made, bare = hub.service("svc_demo", asks), hub.service("svc_bare", demo)
    scaler = AutoScaler(1, 4, (Strategy(Metric.CPU, 70.0),))
    for each in (made, bare):
        asyncio.run(hub.world.db.write(scalers.put_load, each.id, scaler, 0.0))
    answer = exported(hub.client(), "svc_demo", Namespace="models", Image="registry/own:2")
    found = objects(answer)
    # There is no hub over there: the cluster follows the load.
    assert found["HorizontalPodAutoscaler"]["spec"]["maxReplicas"] == 4
    assert "replicas" not in found["Deployment"]["spec"]
    pod = found["Deployment"]["spec"]["template"]["spec"]
    assert {each["image"] for each in (*pod["initContainers"], *pod["containers"])} == {
        "registry/own:2"
    }
    assert pod["initContainers"][0]["command"][3] == "fetch"
    assert {each["metadata"]["namespace"] for each in found.values()} == {"models"}
    assert plain(found["Secret"], "engine-key") == "REPLACE-ME"
    assert "REPLACE-ME" in " ".join(answer["Warnings"]["Warning"])
    # A share of the CPU is one of what it asks for.
    answer = exported(hub.client(), "svc_bare", Namespace="models", Image="registry/own:2")
    assert "HorizontalPodAutoscaler" not in objects(answer)
    assert "the service asks for none" in " ".join(answer["Warnings"]["Warning"])


def test_secrets_take_a_right_of_their_own(hub: Hub) -> None:
    hub.service("svc_one")
    people = {
        "nobody": hub.user("nobody"),
        "reads": hub.user("reads", "eas:Describe*", "eas:List*"),
        "exports": hub.user("exports", "pierhead:ExportService"),
        "secrets": hub.user("secrets", "pierhead:ExportService*"),
        "root": hub.client(),
    }
    told: dict[str, list[str]] = {}
    for who, client in people.items():
        for secrets in (False, True):
            try:
                text = plain(
                    objects(exported(client, "svc_one", secrets=secrets))["Secret"], "env.API_KEY"
                )
            except HubRefused as refusal:
                text = refusal.code
            told.setdefault(who, []).append(text)
    assert told == {
        "nobody": ["NoPermission", "NoPermission"],
        "reads": ["REPLACE-ME", "NoPermission"],
        "exports": ["REPLACE-ME", "NoPermission"],
        "secrets": ["REPLACE-ME", OWN_SECRET],
        "root": ["REPLACE-ME", OWN_SECRET],
    }
    warnings = " ".join(exported(hub.client(), "svc_one")["Warnings"]["Warning"])
    assert "/data/corpus" in warnings and "kubernetes.image" in warnings


def test_what_opens_a_store_is_told_to_the_account_alone(hub: Hub, double: OssDouble) -> None:
    double.put("weights/chat/model.gguf", b"GGUF")
    root = hub.client()
    root.own(
        "CreateStorageConnection",
        ConnectionName="store",
        Kind="oss",
        Bucket="weights",
        Endpoint=double.url,
        StorageRegion="cn-test",
        StorageAccessKeyId="AKTEST",
        AccessKeySecret=STORE_SECRET,
        AllowPrivate="true",
    )
    hub.service("svc_far", BUILT_IN["llama_7b_fp16"], source=OssSource("weights", "chat/"))
    user = hub.user("secrets", "pierhead:ExportService*")
    for client, secret in ((root, STORE_SECRET), (user, "REPLACE-ME")):
        found = objects(exported(client, "svc_far", secrets=True))
        pod = found["Deployment"]["spec"]["template"]["spec"]
        assert pod["containers"][0]["command"][4].endswith("/files/model.gguf")
        named = pod["initContainers"][0]["env"][-1]
        assert named["name"] == ACCOUNT
        key = named["valueFrom"]["secretKeyRef"]["key"]
        assert json.loads(plain(found["Secret"], key))["keys"]["secret"] == secret


def test_what_cannot_be_exported_says_why(hub: Hub) -> None:
    hub.service("svc_bare", BUILT_IN["llama_7b_fp16"])
    hub.service("svc_amd", a_template(env={"A B": "x"}))
    root = hub.client()
    code, message = refused(root, "ExportService", ServiceName="svc_bare")
    assert "llama_7b_fp16" in message and not code.startswith(("Service", "Internal"))
    assert "A B" in refused(root, "ExportService", ServiceName="svc_amd")[1]
    assert refused(root, "ExportService", ServiceName="svc_none")[0].startswith("EntityNotExist")
    for wrong in ({"Namespace": "A_b"}, {"Image": "a b"}, {"ExportFormat": "swarm"}):
        assert refused(root, "ExportService", ServiceName="svc_amd", **wrong)[0].startswith(
            "Invalid"
        )


def test_a_folder_is_named_that_has_to_be_on_every_node(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    hub.service("svc_here", BUILT_IN["llama_7b_fp16"], source=FolderSource(str(tmp_path)))
    answer = exported(hub.client(), "svc_here")
    assert f"[{tmp_path}]" in " ".join(answer["Warnings"]["Warning"])
    volumes = objects(answer)["Deployment"]["spec"]["template"]["spec"]["volumes"]
    assert [each["hostPath"]["path"] for each in volumes if "hostPath" in each] == [str(tmp_path)]


def test_the_verb_prints_manifests_and_tells_the_rest_aside(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.service("svc_one")
    monkeypatch.setenv("PIERHEAD_ACCESS_KEY_ID", KEY.id)
    monkeypatch.setenv("PIERHEAD_ACCESS_KEY_SECRET", KEY.secret)
    export(name="svc_one", with_secrets=True, endpoint=f"http://{hub.world.address}")
    printed = capsys.readouterr()
    text = printed.out[printed.out.index("---") :]  # the hub writes its log here, too
    assert {each["kind"] for each in yaml.safe_load_all(text)} == {
        "Secret",
        "Service",
        "Deployment",
    }
    assert "kubernetes.image" in printed.err
