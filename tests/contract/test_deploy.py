"""`deploy/kubernetes` as kustomize renders it: real objects, no more rights than the driver asks for, no setting that is none."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import kubernetes_validate
import pytest
import yaml

from kustomize import DEPLOY, OVERLAYS, overlay, rendered
from pierhead.bootstrap.kubernetes import cluster
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.probe import rights
from pierhead.settings import Settings

Json = dict[str, Any]
VERSIONS = ("1.29", "1.37")
#: Kinds of others, that Kubernetes has no schema of.
FOREIGN = {"PodMonitor"}


def _closed(**parts: Json) -> Json:
    """An object with these parts and no others."""
    return {"type": "object", "properties": parts, "additionalProperties": False}


_TEXT: Json = {"type": "string", "minLength": 1}
_TEXTS: Json = {"type": "array", "items": _TEXT, "minItems": 1}
_KEY: Json = {**_closed(name=_TEXT, key=_TEXT), "required": ["name", "key"]}
#: What we use of the Prometheus operator's kind, in our words: nobody packs its schema.
POD_MONITOR = _closed(
    apiVersion={"const": "monitoring.coreos.com/v1"},
    kind={"const": "PodMonitor"},
    metadata=_closed(name=_TEXT, namespace=_TEXT),
    spec=_closed(
        selector=_closed(
            matchLabels={"type": "object", "additionalProperties": _TEXT},
            matchExpressions={
                "type": "array",
                "items": _closed(key=_TEXT, operator={"enum": ["In", "NotIn"]}, values=_TEXTS),
            },
        ),
        podMetricsEndpoints={
            "type": "array",
            "items": _closed(
                port=_TEXT,
                path=_TEXT,
                interval={"type": "string", "pattern": "^[0-9]+(ms|s|m)$"},
                scheme={"enum": ["http", "https"]},
                authorization=_closed(type=_TEXT, credentials=_KEY),
                tlsConfig=_closed(
                    ca=_closed(secret=_KEY, configMap=_KEY),
                    serverName=_TEXT,
                    insecureSkipVerify={"type": "boolean"},
                ),
            ),
        },
    ),
)
HUB = ("StatefulSet", "pierhead-hub")
GATEWAY = ("Deployment", "pierhead-gateway")
PROBES = ("startup", "readiness", "liveness")


def with_components(folder: Path, *components: str) -> list[Json]:
    """What an operator's own overlay on `single` makes; kustomize wants relative paths."""
    copied = shutil.copytree(DEPLOY, folder / "kubernetes")
    own = copied / "overlays" / "own"
    own.mkdir()
    parts = [f"../../components/{name}" for name in components]
    text = {"resources": ["../single"], "components": parts}
    (own / "kustomization.yaml").write_text(yaml.safe_dump(text), "utf-8")
    return rendered(own)


def one(objects: Iterable[Json], kind: str, name: str) -> Json:
    found = [o for o in objects if (o["kind"], o["metadata"]["name"]) == (kind, name)]
    assert len(found) == 1, f"{kind}/{name}: {len(found)}"
    return found[0]


def granted(objects: Iterable[Json], kind: str) -> set[tuple[str, str, str]]:
    return {
        (verb, group, resource)
        for rule in one(objects, kind, "pierhead-hub")["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def asked(of: Cluster, *, namespaced: bool) -> set[tuple[str, str, str]]:
    return {
        (right.access.verb, right.access.group, right.access.resource)
        for right in rights(of)
        if right.access.namespaced == namespaced
    }


def pod(objects: Iterable[Json], owner: tuple[str, str]) -> Json:
    return one(objects, *owner)["spec"]["template"]["spec"]


def variables(objects: list[Json], owner: tuple[str, str]) -> dict[str, str]:
    """The environment of an owner's container; what comes from elsewhere as the placeholder that fits it."""
    [container] = pod(objects, owner)["containers"]
    maps = {o["metadata"]["name"]: o["data"] for o in objects if o["kind"] == "ConfigMap"}
    found: dict[str, str] = {}
    for source in container["envFrom"]:
        found |= maps[source["configMapRef"]["name"]]
    elsewhere = {
        "PIERHEAD_DATABASE_URL": "postgresql+psycopg://pierhead:secret@db/pierhead",
        "PIERHEAD_KUBERNETES_NAMESPACE": "pierhead",
    }
    for each in container.get("env", ()):
        found[each["name"]] = each.get("value") or elsewhere[each["name"]]
    return found


def loaded(given: Mapping[str, str], folder: Path) -> Settings:
    """Settings of such an environment; each variable has to be one of them."""
    settings = Settings.load({"data_dir": folder}, given)
    read = {value.removeprefix("environment ") for value in settings.sources.values()}
    assert set(given) <= read, f"no settings: {sorted(set(given) - read)}"
    return settings


@pytest.mark.parametrize("name", OVERLAYS)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_fits_its_schema(name: str, version: str) -> None:
    objects = overlay(name)
    assert {"StatefulSet", "Deployment", "NetworkPolicy", "Role"} <= {o["kind"] for o in objects}
    for each in objects:
        kubernetes_validate.validate(each, version, strict=True)


@pytest.mark.parametrize("name", OVERLAYS)
def test_the_settings_exist_and_are_legal(name: str, tmp_path: Path) -> None:
    hub = loaded(variables(overlay(name), HUB), tmp_path)
    gateway = loaded(variables(overlay(name), GATEWAY), tmp_path)
    assert hub.runtime == "kubernetes"
    assert hub.kubernetes_image == pod(overlay(name), HUB)["containers"][0]["image"]
    assert not gateway.database_url
    grace = pod(overlay(name), GATEWAY)["terminationGracePeriodSeconds"]
    assert gateway.drain_seconds + 5 < grace
    hubs = one(overlay(name), *HUB)["spec"]["replicas"]
    assert len(gateway.hub_endpoints) == hubs
    for url in gateway.hub_endpoints:  # else the hub would refuse its name
        assert urlsplit(url).hostname in hub.allowed_hosts
        assert (urlsplit(url).scheme == "https") == hub.tls
    assert bool(hub.database_url) == (hubs > 1)


def test_gateways_get_the_hubs_authority_and_not_its_key(tmp_path: Path) -> None:
    """Hubs that speak TLS are known by it, asked over it by the cluster, and its files are where settings say."""
    objects = overlay("high-availability-tls")
    hub, gateway = (loaded(variables(objects, each), tmp_path) for each in (HUB, GATEWAY))
    assert hub.tls and not gateway.tls
    [asked] = pod(objects, HUB)["containers"]
    schemes = {asked[f"{kind}Probe"]["httpGet"]["scheme"] for kind in PROBES}
    assert schemes == {"HTTPS"}
    files = [mounted(objects, HUB, each) for each in (hub.tls_certificate, hub.tls_key)]
    assert files == [("pierhead-hub-tls", "tls.crt"), ("pierhead-hub-tls", "tls.key")]
    assert mounted(objects, GATEWAY, gateway.tls_hub_ca) == ("pierhead-hub-tls", "ca.crt")
    [volume] = [v for v in pod(objects, GATEWAY)["volumes"] if v["name"] == "hub-tls"]
    assert volume["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]


def mounted(objects: list[Json], owner: tuple[str, str], file: Path) -> tuple[str, str]:
    """The Secret and the key in it that a path in an owner's container stands for."""
    [container] = pod(objects, owner)["containers"]
    [mount] = [m for m in container["volumeMounts"] if m["mountPath"] == str(file.parent)]
    [volume] = [v for v in pod(objects, owner)["volumes"] if v["name"] == mount["name"]]
    return volume["secret"]["secretName"], file.name


def test_the_certificate_for_hubs_is_for_the_names_that_gateways_call(tmp_path: Path) -> None:
    """Made twice, it is another one of the same authority, and no key is anybody else's to read."""
    made, authorities = tmp_path / "made", set[bytes]()
    for _ in range(2):
        script = DEPLOY / "make-hub-certificate.sh"
        subprocess.run(["sh", str(script), str(made)], check=True, capture_output=True)
        authorities.add((made / "ca.crt").read_bytes())
    assert len(authorities) == 1
    assert sorted(each.name for each in made.iterdir()) == [
        "ca.crt",
        "ca.key",
        "tls.crt",
        "tls.key",
    ]
    assert all(each.stat().st_mode & 0o077 == 0 for each in made.iterdir())
    checked = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver"]
    gateway = loaded(variables(overlay("high-availability-tls"), GATEWAY), tmp_path)
    for url in gateway.hub_endpoints:
        name = f"-verify_hostname={urlsplit(url).hostname}"
        command = [
            *checked,
            *name.split("="),
            "-CAfile",
            str(made / "ca.crt"),
            str(made / "tls.crt"),
        ]
        subprocess.run(command, check=True, capture_output=True)


def test_the_hub_may_do_what_the_driver_asks_for_and_nothing_else(tmp_path: Path) -> None:
    settings = loaded(variables(overlay("single"), HUB), tmp_path)
    here = cluster(settings)
    assert here.network_policy
    assert granted(overlay("single"), "Role") == asked(here, namespaced=True)
    assert granted(overlay("single"), "ClusterRole") == asked(here, namespaced=False)


def test_components_add_what_they_say(tmp_path: Path) -> None:
    objects = with_components(tmp_path, "csi", "pod-monitor")
    settings = loaded(variables(objects, HUB), tmp_path)
    here = cluster(settings)
    assert here.weights == "csi"
    assert granted(objects, "Role") == asked(here, namespaced=True)
    assert granted(objects, "ClusterRole") == asked(here, namespaced=False)
    for each in objects:
        if each["kind"] not in FOREIGN:
            kubernetes_validate.validate(each, VERSIONS[-1], strict=True)
    monitor = one(objects, "PodMonitor", "pierhead")["spec"]
    ports = {
        port["name"]
        for owner in (HUB, GATEWAY)
        for port in pod(objects, owner)["containers"][0]["ports"]
    }
    assert {end["port"] for end in monitor["podMetricsEndpoints"]} == ports


@pytest.mark.parametrize("tls", [False, True])
def test_prometheus_asks_hubs_as_they_are_asked(tmp_path: Path, tls: bool) -> None:
    """Over TLS by the gateways' authority, and by a name that the script's certificate is for."""
    parts = ("hub-tls", "pod-monitor-tls") if tls else ("pod-monitor",)
    objects = with_components(tmp_path, *parts)
    hub = loaded(variables(objects, HUB), tmp_path)
    monitor = one(objects, "PodMonitor", "pierhead")
    jsonschema.validate(monitor, POD_MONITOR)
    ends = {each["port"]: each for each in monitor["spec"]["podMetricsEndpoints"]}
    assert (ends["control"].get("scheme", "http") == "https") == hub.tls == tls
    assert "scheme" not in ends["data"] and "tlsConfig" not in ends["data"], "a gateway's is HTTP"
    if tls:
        known = ends["control"]["tlsConfig"]
        where, file = mounted(objects, GATEWAY, Path("/hub-tls/ca.crt"))
        assert known["ca"] == {"secret": {"name": where, "key": file}}
        script = (DEPLOY / "make-hub-certificate.sh").read_text("utf-8")
        assert f"set -- {known['serverName']} " in script


def test_a_cluster_that_scales_gets_the_rights_for_its_scalers_and_no_others(
    tmp_path: Path,
) -> None:
    objects = with_components(tmp_path, "autoscaler")
    here = cluster(loaded(variables(objects, HUB), tmp_path))
    assert here.follows_load
    assert granted(objects, "Role") == asked(replace(here, keda=True), namespaced=True)
    assert granted(objects, "Role") > asked(replace(here, follows_load=False), namespaced=True)
    assert granted(objects, "ClusterRole") == asked(here, namespaced=False)


def test_a_cluster_with_leader_worker_sets_gets_the_rights_for_them_by_its_component(
    tmp_path: Path,
) -> None:
    objects = with_components(tmp_path, "leader-worker-sets")
    here = cluster(loaded(variables(objects, HUB), tmp_path))
    assert not here.lws, "discovery finds them"
    assert granted(objects, "Role") == asked(replace(here, lws=True), namespaced=True)
    assert granted(objects, "ClusterRole") == asked(here, namespaced=False)


@pytest.mark.parametrize("name", OVERLAYS)
@pytest.mark.parametrize("owner", [HUB, GATEWAY])
def test_pods_are_shut_in(name: str, owner: tuple[str, str]) -> None:
    """As the namespace's own level `restricted` asks, and a root that cannot be written."""
    spec = pod(overlay(name), owner)
    assert spec["automountServiceAccountToken"] == (owner == HUB)
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in spec["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    volumes = yaml.safe_dump(spec["volumes"])
    assert ("pierhead-hub-keys" in volumes) == (owner == HUB)  # gateways open no database


def test_only_gateways_and_named_namespaces_reach_the_hub() -> None:
    objects = overlay("single")
    deny = one(objects, "NetworkPolicy", "pierhead-deny")["spec"]
    assert deny == {"podSelector": {}, "policyTypes": ["Ingress"]}
    [rule] = one(objects, "NetworkPolicy", "pierhead-hub")["spec"]["ingress"]
    assert rule["from"] == [
        {"podSelector": {"matchLabels": Cluster().gateway_labels}},
        {"namespaceSelector": {"matchLabels": {"pierhead.dev/control-plane": "allowed"}}},
    ]
    labels = one(objects, *GATEWAY)["spec"]["template"]["metadata"]["labels"]
    assert Cluster().gateway_labels.items() <= labels.items()


def test_the_image_is_what_pods_expect() -> None:
    """Its user is theirs, and its packages are those of the base that we make ourselves."""
    text = (DEPLOY.parents[1] / "Containerfile").read_text("utf-8")
    script = (DEPLOY.parents[1] / "scripts" / "build_image.py").read_text("utf-8")
    user = Settings().kubernetes_run_as_user
    assert f"USER {user}:{user}" in text
    for owner in (HUB, GATEWAY):
        security = pod(overlay("single"), owner)["securityContext"]
        assert {security["runAsUser"], security["runAsGroup"], security["fsGroup"]} == {user}
    [installed] = re.findall(r"--no-install-recommends (.+) \\\n", text)
    [made] = re.findall(r"PACKAGES = \((.+)\)", script)
    assert sorted(installed.split()) == sorted(re.findall(r'"([^"]+)"', made))
