"""Scalers on the wire and in the domain's words. Pure.

Auto-scaler: {min, max, scaleStrategies: [{metricName, threshold, service}], behavior: {scaleUp, scaleDown, onZero}}
Cron-scaler: {ScaleJobs: [{Name, Schedule, TargetSize, TimeZone}], ExcludeDates: [...]}
"""

from collections.abc import Mapping
from typing import Any

from pierhead.core.autoscale import Outcome
from pierhead.core.cron_scalers import CronScaler, Job, Run
from pierhead.core.errors import Invalid
from pierhead.core.scalers import (
    MEANS,
    AutoScaler,
    Direction,
    Metric,
    Policy,
    Strategy,
    check,
)
from pierhead.core.services import Service
from pierhead.dialects.eas.catalog import load
from pierhead.dialects.eas.document_part import Part
from pierhead.dialects.eas.present import time_text
from pierhead.dialects.eas.reading import typed
from pierhead.store.scalers import ClockScaler, LoadScaler

_MAKES = "CreateServiceAutoScaler"
_UP, _DOWN = Direction(0.0), Direction(300.0)
_GRACE, _ACTIVATION = 600, 1
#: In answers two metrics are spelled otherwise than in requests.
_SHOWN = {Metric.QPS: "QPS", Metric.CPU: "CPU"}


def auto_scaler(body: Mapping[str, Any], field: str = "") -> AutoScaler:
    """The auto-scaler that a body asks for, as `reading` gives it; `field` goes before names in messages.

    Raises:
        Invalid: it cannot be followed.
    """
    behavior: Mapping[str, Any] = body.get("behavior", {})
    zero: Mapping[str, Any] = behavior.get("onZero", {})
    strategies = tuple(
        Strategy(
            _metric(one["metricName"], f"{field}scaleStrategies[{at}].metricName"),
            float(one["threshold"]),
            one.get("service", ""),
        )
        for at, one in enumerate(body["scaleStrategies"])
    )
    scaler = AutoScaler(
        low=body["min"],
        high=body["max"],
        strategies=strategies,
        up=_direction(behavior.get("scaleUp", {}), _UP),
        down=_direction(behavior.get("scaleDown", {}), _DOWN),
        grace=float(zero.get("scaleDownGracePeriodSeconds", _GRACE)),
        activation=zero.get("scaleUpActivationReplicas", _ACTIVATION),
    )
    return check(scaler, field)


def _metric(text: str, field: str) -> Metric:
    try:
        return Metric(text.lower())
    except ValueError as error:
        raise Invalid(field, f"[{text[:80]}]", ", ".join(Metric)) from error


def _direction(given: Mapping[str, Any], usual: Direction) -> Direction:
    return Direction(
        window=float(given.get("stabilizationWindowSeconds", usual.window)),
        policies=tuple(
            Policy(one["type"], one["value"], float(one["periodSeconds"]))
            for one in given.get("policies", ())
        ),
        select=given.get("selectPolicy", usual.select),
        tolerance=float(given.get("tolerance", usual.tolerance)),
    )


def autoscaler(part: Part) -> AutoScaler | None:
    """The auto-scaler in a service JSON; None where there is none.

    Raises:
        Missing, Invalid: it is not complete, or cannot be followed.
    """
    if not part.entries:
        return None
    body = load().by_id[_MAKES].body
    fields = body.fields if body is not None else ()
    path = f"{part.path}."
    found = typed(fields, part.entries, path)
    for item in fields:
        part.take(item.name)
    part.rest()
    return auto_scaler(found, path)


def cron_scaler(body: Mapping[str, Any]) -> CronScaler:
    """The cron-scaler that a body asks for, as `reading` gives it; jobs without a name are numbered."""
    return CronScaler(
        jobs=tuple(
            Job(
                name=one.get("Name") or f"job-{at}",
                schedule=one["Schedule"],
                target=one["TargetSize"],
                zone=one.get("TimeZone", ""),
            )
            for at, one in enumerate(body["ScaleJobs"], 1)
        ),
        excluded=tuple(body.get("ExcludeDates", ())),
    )


def shown_auto(service: Service, kept: LoadScaler, outcome: Outcome | None) -> dict[str, Any]:
    """The answer of DescribeServiceAutoScaler; `outcome`: what it came to last."""
    scaler = kept.scaler
    return {
        "ServiceName": service.name,
        "MinReplica": scaler.low,
        "MaxReplica": scaler.high,
        "ScaleStrategies": [
            _strategy(one, service) | {"threshold": one.threshold} for one in scaler.strategies
        ],
        "CurrentMetrics": _measured(service, outcome),
        "Behavior": {
            "onZero": {
                "scaleDownGracePeriodSeconds": int(scaler.grace),
                "scaleUpActivationReplicas": scaler.activation,
            },
            "scaleDown": _shown_direction(scaler.down),
            "scaleUp": _shown_direction(scaler.up),
        },
    }


def _strategy(strategy: Strategy, service: Service) -> dict[str, Any]:
    name = _SHOWN.get(strategy.metric, str(strategy.metric))
    return {"metricName": name, "service": strategy.service or service.name}


def _measured(service: Service, outcome: Outcome | None) -> list[dict[str, Any]]:
    """What was measured, per replica, as thresholds are; what is not known is left out."""
    shares = max(1, service.replicas)
    return [
        _strategy(one.strategy, service)
        | {"value": round(one.value / (1 if one.strategy.metric in MEANS else shares), 3)}
        for one in (outcome.findings if outcome is not None else ())
        if one.value is not None
    ]


def _shown_direction(direction: Direction) -> dict[str, Any]:
    """What is as usual is left out, but for the window: clients know no other part of it."""
    shown: dict[str, Any] = {"stabilizationWindowSeconds": int(direction.window)}
    if direction.policies:
        shown["policies"] = [
            {"type": one.kind, "value": one.value, "periodSeconds": int(one.period)}
            for one in direction.policies
        ]
    if direction.select != "Max":
        shown["selectPolicy"] = direction.select
    if direction.tolerance != _UP.tolerance:
        shown["tolerance"] = direction.tolerance
    return shown


def shown_cron(service: Service, kept: ClockScaler) -> dict[str, Any]:
    """The answer of DescribeServiceCronScaler."""
    return {
        "ServiceName": service.name,
        "ScaleJobs": [_job(job, kept) for job in kept.scaler.jobs],
        "ExcludeDates": list(kept.scaler.excluded),
    }


def _job(job: Job, kept: ClockScaler) -> dict[str, Any]:
    run = kept.runs.by_job.get(job.name) or Run("Submitted", "", kept.created)
    zone = {"TimeZone": job.zone} if job.zone else {}
    return {
        "Name": job.name,
        "Schedule": job.schedule,
        "TargetSize": job.target,
        **zone,
        "CreateTime": time_text(kept.created),
        "LastProbeTime": time_text(run.at),
        "State": run.state,
        "Message": run.message,
    }
