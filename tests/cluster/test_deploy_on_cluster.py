"""What `deploy/kubernetes` renders is taken by a real API server, and gives the hub what it asks for."""

import json
import subprocess
from typing import Any

import pytest
from hollow_cluster import HollowCluster

from kustomize import OVERLAYS, kubectl, overlay
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.probe import Right, rights

HUB = "system:serviceaccount:{}:pierhead-hub"
RIGHTS = {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
WHOLE = {"ClusterRole", "ClusterRoleBinding"}


def moved(objects: list[dict[str, Any]], namespace: str) -> list[dict[str, Any]]:
    """The same in the test's namespace, for a server that has budgets under their older version only."""
    text = json.dumps([each for each in objects if each["kind"] != "Namespace"])
    text = text.replace('"namespace": "pierhead"', f'"namespace": "{namespace}"')
    return json.loads(text.replace('"policy/v1"', '"policy/v1beta1"'))


def sent(cluster: HollowCluster, *words: str, objects: list[dict[str, Any]] | None = None) -> str:
    document = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects or []})
    command = [kubectl(), f"--kubeconfig={cluster.folder / 'kubeconfig'}", *words]
    ran = subprocess.run(
        command, input=document, capture_output=True, text=True, timeout=120, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


@pytest.mark.parametrize("name", OVERLAYS)
def test_a_server_takes_every_object(cluster: HollowCluster, namespace: str, name: str) -> None:
    objects = moved(overlay(name), namespace)
    told = sent(cluster, "apply", "--server-side", "--dry-run=server", "-f-", objects=objects)
    assert len(told.splitlines()) == len(objects)


def test_the_hub_is_permitted_what_it_asks_for(cluster: HollowCluster, namespace: str) -> None:
    objects = [each for each in moved(overlay("single"), namespace) if each["kind"] in RIGHTS]
    sent(cluster, "apply", "--server-side", "-f-", objects=objects)
    try:
        asked = [*rights(Cluster(network_policy=True))]
        refused = [each.sentence for each in asked if not permitted(cluster, namespace, each)]
        assert not refused
    finally:
        whole = [each for each in objects if each["kind"] in WHOLE]
        sent(cluster, "delete", "-f-", objects=whole)


def permitted(cluster: HollowCluster, namespace: str, right: Right) -> bool:
    access = right.access
    resource, _, part = access.resource.partition("/")
    asked: dict[str, Any] = {"verb": access.verb, "group": access.group, "resource": resource}
    asked |= {"namespace": namespace} if access.namespaced else {}
    asked |= {"subresource": part} if part else {}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": HUB.format(namespace), "resourceAttributes": asked},
    }
    answer = cluster.api("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer["status"]["allowed"])
