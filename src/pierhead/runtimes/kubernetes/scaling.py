"""An owner's auto-scaler as the cluster's own: it then owns the count, and we leave `replicas` out.

The CPU is measured by the cluster, so a HorizontalPodAutoscaler will do; what our gateways measure is
asked of Prometheus by KEDA, which also takes the last replica. What neither can follow stays ours.

A CPU's threshold is a share of what pods ask for: where they ask for none, or nobody tells what they use, a
scaler of the cluster would never move.
"""

from dataclasses import replace
from math import ceil

from pierhead.core.events import Notice
from pierhead.core.resources import Resources
from pierhead.core.scalers import AutoScaler, Direction, Metric, Strategy
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import names
from pierhead.runtimes.kubernetes.cluster import Cluster
from pierhead.runtimes.kubernetes.objects import Manifest, manifest

#: Seconds between two questions of KEDA.
_POLLING = 5
_USUAL_TOLERANCE = 0.1
#: From here on one container can be measured: what a mesh puts beside it asks for no CPU.
_BY_CONTAINER = (1, 30)
_NO_SUCH = "it takes a HorizontalPodAutoscaler for cpu alone, or KEDA and a Prometheus"
_NO_CORES = "a share of the CPU is meant, and the service asks for none"
_NO_METRICS = "it does not tell what pods use: metrics.k8s.io is not there"
_QUERIES = {
    Metric.QPS: "sum(rate(pierhead_gateway_requests_total{{{0}}}[1m]))",
    Metric.TOKENS: 'sum(rate(pierhead_gateway_tokens_total{{{0},kind="completion"}}[1m]))',
    Metric.QUEUE: (
        "(sum(pierhead_gateway_queued{{{0}}}) or vector(0))"
        " + (sum(pierhead_gateway_held{{{0}}}) or vector(0))"
    ),
}


def scaling(
    workload: Workload, scaler: AutoScaler, cluster: Cluster, target: Manifest
) -> Manifest | None:
    """The object that follows the load in our place; None = the cluster has none that can."""
    makers = {"HorizontalPodAutoscaler": _hpa, "ScaledObject": _scaled_object}
    make = makers.get(follower(scaler, cluster, cores=asks_cores(workload.template.resources)))
    return None if make is None else make(workload, scaler, cluster, target)


def asks_cores(resources: Resources) -> bool:
    """Do pods with these resources ask for any CPU?"""
    return bool(resources.cpu if resources.cpu_request is None else resources.cpu_request)


def follower(scaler: AutoScaler, cluster: Cluster, *, cores: bool) -> str:
    """The kind of the object that can follow the load in our place; "" = the cluster has none.

    `cores`: do the service's pods ask for any CPU?
    """
    if any(map(_by_cpu, scaler.strategies)) and not (cores and cluster.metrics):
        return ""
    if cluster.hpa and scaler.low > 0 and all(map(_by_cpu, scaler.strategies)):
        return "HorizontalPodAutoscaler"
    able = all(_by_cpu(one) or one.metric in _QUERIES for one in scaler.strategies)
    return "ScaledObject" if cluster.keda and cluster.prometheus and able else ""


def told(scaler: AutoScaler, cluster: Cluster, *, cores: bool) -> list[Notice]:
    """What of the scaler the cluster's own does not follow; `cores` as `follower` takes it."""
    if not follower(scaler, cluster, cores=cores):
        metrics = ", ".join(sorted({str(one.metric) for one in scaler.strategies}))
        why = _why_not(scaler, cluster, cores=cores)
        text = f"The cluster does not follow {metrics} by itself ({why}): the count stays the platform's."
        return [Notice("ScalerStaysHere", text)]
    if any(one.tolerance != _USUAL_TOLERANCE for one in (scaler.up, scaler.down)):
        text = "The tolerance of the scaler is the cluster's own, which is 0.1 in most."
        return [Notice("ScalerTolerance", text)]
    return []


def _why_not(scaler: AutoScaler, cluster: Cluster, *, cores: bool) -> str:
    """What is missing first, in a clause."""
    able = replace(cluster, metrics=True)
    if not follower(scaler, able, cores=True):
        return _NO_SUCH
    return _NO_METRICS if cores else _NO_CORES


def _by_cpu(strategy: Strategy) -> bool:
    return strategy.metric is Metric.CPU and not strategy.service


def _cpu(strategy: Strategy, cluster: Cluster) -> Manifest:
    share = max(1, round(strategy.threshold))
    found = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": share}}
    if cluster.version < _BY_CONTAINER:
        return {"type": "Resource", "resource": found}
    own = {**found, "container": names.ENGINE_CONTAINER}
    return {"type": "ContainerResource", "containerResource": own}


def _hpa(workload: Workload, scaler: AutoScaler, cluster: Cluster, target: Manifest) -> Manifest:
    spec = {
        "scaleTargetRef": _reference(target),
        "minReplicas": scaler.low,
        "maxReplicas": scaler.high,
        # One metric is there once: of two thresholds the lower one asks for more.
        "metrics": [_cpu(min(scaler.strategies, key=lambda one: one.threshold), cluster)],
        "behavior": _behaviour(scaler),
    }
    head = manifest(cluster.hpa, "HorizontalPodAutoscaler", workload, namespace=cluster.namespace)
    return {**head, "spec": spec}


def _reference(target: Manifest) -> Manifest:
    name = target["metadata"]["name"]
    return {"apiVersion": target["apiVersion"], "kind": target["kind"], "name": name}


def _behaviour(scaler: AutoScaler) -> Manifest:
    return {"scaleUp": _direction(scaler.up), "scaleDown": _direction(scaler.down)}


def _direction(direction: Direction) -> Manifest:
    # Without policies any step is right: as many as there are, at once.
    policies = [
        {"type": policy.kind, "value": policy.value, "periodSeconds": ceil(policy.period)}
        for policy in direction.policies
    ] or [{"type": "Percent", "value": 10_000, "periodSeconds": 15}]
    return {
        "stabilizationWindowSeconds": ceil(direction.window),
        "selectPolicy": direction.select,
        "policies": policies,
    }


def _scaled_object(
    workload: Workload, scaler: AutoScaler, cluster: Cluster, target: Manifest
) -> Manifest:
    spec = {
        "scaleTargetRef": _reference(target),
        "minReplicaCount": scaler.low,
        "maxReplicaCount": scaler.high,
        "pollingInterval": _POLLING,
        "cooldownPeriod": ceil(scaler.grace),
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behaviour(scaler)}},
        "triggers": [_trigger(workload, one, cluster) for one in scaler.strategies],
    }
    head = manifest("keda.sh/v1alpha1", "ScaledObject", workload, namespace=cluster.namespace)
    return {**head, "spec": spec}


def _trigger(workload: Workload, strategy: Strategy, cluster: Cluster) -> Manifest:
    if _by_cpu(strategy):
        said = {"value": str(max(1, round(strategy.threshold)))}
        if cluster.version >= _BY_CONTAINER:
            said["containerName"] = names.ENGINE_CONTAINER
        return {"type": "cpu", "metricType": "Utilization", "metadata": said}
    label = f'service="{strategy.service or workload.name}"'
    return {
        "type": "prometheus",
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": cluster.prometheus,
            "query": _QUERIES[strategy.metric].format(label),
            "threshold": f"{strategy.threshold:g}",
            "ignoreNullValues": "true",
        },
    }
