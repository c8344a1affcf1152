"""What a scaler's decisions are told as: one sentence with the numbers they were made from. Pure."""

from pierhead.core.autoscale import Finding, Outcome, Why
from pierhead.core.scalers import MEANS, AutoScaler, Metric

_NAMES = {
    Metric.QPS: "requests per second",
    Metric.CPU: "CPU percent",
    Metric.GPU: "GPU percent",
    Metric.CONCURRENCY: "requests under way",
    Metric.QUEUE: "waiting requests",
    Metric.TOKENS: "tokens per second",
}


def changed(scaler: AutoScaler, before: int, outcome: Outcome) -> tuple[str, str]:
    """(reason in one word, sentence) of a decision that changes the count from `before`."""
    step = f"from {before} to {outcome.replicas} replicas"
    limits = f"The limits are {scaler.low} to {scaler.high}."
    if outcome.why is Why.IDLE:
        waited = f"there was no request for {scaler.grace:g} s"
        return "ScaledToZero", f"Auto-scaler: {step}, {waited}. The next request wakes it."
    if outcome.why is Why.BUSY:
        return "ServiceWoken", f"Auto-scaler: {step}, there are requests for it. {limits}"
    reason = "ScaledOut" if outcome.replicas > before else "ScaledIn"
    if outcome.why is Why.BOUNDS:
        return reason, f"Auto-scaler: {step}, {before} is outside its limits. {limits}"
    lead = _lead(outcome)
    because = f" {shown(lead, before)}." if lead else ""
    held = "" if reason == "ScaledOut" else f" It was so for {scaler.down.window:g} s."
    return reason, f"Auto-scaler: {step}.{because}{held} {limits}"


def by_cluster(before: int, after: int, scaler: AutoScaler | None) -> tuple[str, str]:
    """(reason in one word, sentence) of a change that the cluster's own scaler made."""
    reason = "ScaledOut" if after > before else "ScaledIn"
    limits = f" The limits are {scaler.low} to {scaler.high}." if scaler else ""
    text = f"The cluster's own scaler: from {before} to {after} replicas.{limits}"
    return ("ScaledToZero" if after == 0 else reason), text


def stays(why: str) -> str:
    """The sentence when the cluster does not follow a load that it was to follow."""
    return f"The hub follows the load, not the cluster. {why}"


def at_limit(scaler: AutoScaler, outcome: Outcome) -> str:
    """The sentence when the load asks for more than `max`."""
    lead = _lead(outcome)
    because = f" {shown(lead, outcome.replicas)}." if lead else ""
    return (
        f"The load asks for {outcome.asked} replicas, and the auto-scaler's max is {scaler.high}."
        f"{because} Raise max, or the threshold."
    )


def blind(outcome: Outcome) -> str:
    """The sentence when figures are missing."""
    names = ", ".join(dict.fromkeys(_NAMES[one.strategy.metric] for one in outcome.blind))
    return f"It is not known: {names}. Until it is, the auto-scaler takes no replica away."


def shown(finding: Finding, replicas: int) -> str:
    """One figure beside its threshold."""
    strategy = finding.strategy
    name = _NAMES[strategy.metric]
    of = f" of [{strategy.service}]" if strategy.service else ""
    if finding.value is None:
        return f"{name}{of}: not known"
    threshold = f"threshold {strategy.threshold:g} per replica"
    if strategy.metric in MEANS:
        return f"{name}{of}: {finding.value:.3g} on average, {threshold}"
    each = f", {finding.value / replicas:.3g} per replica" if replicas else ""
    return f"{name}{of}: {finding.value:.3g} in all{each}, {threshold}"


def _lead(outcome: Outcome) -> Finding | None:
    """The strategy that asks for the most."""
    known = [finding for finding in outcome.findings if finding.replicas is not None]
    return max(known, key=lambda finding: finding.replicas or 0, default=None)
