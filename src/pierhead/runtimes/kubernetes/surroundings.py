"""What stands around a service's pods: their name in the cluster, their secrets, and what keeps them safe."""

from collections.abc import Mapping

from pierhead.core.templates import Template
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import names
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.environment import encoded
from pierhead.runtimes.kubernetes.launching import engine_port
from pierhead.runtimes.kubernetes.objects import Manifest, manifest


def secret(workload: Workload, values: Mapping[str, str], cluster: Cluster) -> Manifest:
    """What pods of the service are given by reference only."""
    head = manifest("v1", "Secret", workload, "keys", namespace=cluster.namespace)
    return {**head, "type": "Opaque", "data": encoded(values)}


def service(workload: Workload, cluster: Cluster) -> Manifest:
    """Its name in the cluster's DNS, headless: the gateway asks pods at their own addresses."""
    ports = [
        {"name": name, "port": port, "targetPort": port, "protocol": "TCP"}
        for name, port in _ports(workload.template).items()
    ]
    selector = names.identity(workload.service)
    if workload.template.nodes > 1:  # what only computes for a replica has no port of its own
        selector[names.COMPONENT] = names.REPLICA
    spec = {"clusterIP": "None", "selector": selector, "ports": ports}
    head = manifest("v1", "Service", workload, namespace=cluster.namespace)
    return {**head, "spec": spec}


def _ports(template: Template) -> dict[str, int]:
    numbers = dict.fromkeys((engine_port(template), *template.side_ports.values()))
    return {"engine" if at == 0 else f"side-{at}": port for at, port in enumerate(numbers)}


def budget(workload: Workload, cluster: Cluster) -> Manifest:
    """One pod at a time may be taken away when a node is drained: its replica goes with it.

    It bounds the members of replicas on several nodes as well: whoever takes one ends the whole replica.
    """
    spec = {
        "maxUnavailable": 1,
        "selector": {"matchLabels": names.identity(workload.service)},
    }
    head = manifest(cluster.pdb, "PodDisruptionBudget", workload, namespace=cluster.namespace)
    return {**head, "spec": spec}


def policy(workload: Workload, cluster: Cluster) -> Manifest:
    """Gateways alone reach its ports, from whatever namespace they are in."""
    gateways = {
        "namespaceSelector": {},
        "podSelector": {"matchLabels": dict(sorted(cluster.gateway_labels.items()))},
    }
    ports = [{"port": port, "protocol": "TCP"} for port in _ports(workload.template).values()]
    # With the pods that only compute for a replica.
    own = {"podSelector": {"matchLabels": {names.SERVICE_ID: workload.service}}}
    spec = {
        **own,
        "policyTypes": ["Ingress"],
        "ingress": [{"from": [gateways], "ports": ports}, {"from": [own]}],
    }
    head = manifest("networking.k8s.io/v1", "NetworkPolicy", workload, namespace=cluster.namespace)
    return {**head, "spec": spec}
