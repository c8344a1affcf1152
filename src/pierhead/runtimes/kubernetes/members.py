"""The pods of one replica that computes on several machines: vLLM over Ray, a leader and its members. Pure.

The leader starts Ray's head and, beside it, the engine, which waits until its members' devices are there.
A member waits until that head answers, and ends as soon as it is gone: whatever ends in one of the pods,
the cluster makes all of them anew. So a member may not fail only because it comes first.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from pierhead.core.errors import Unsupported
from pierhead.core.workloads import Workload
from pierhead.runtimes.kubernetes import names
from pierhead.runtimes.kubernetes.objects import Manifest

_RAY_PORT = 6379
#: Seconds that a member gets to end: it has no requests of its own, and its leader is gone by then.
_GRACE = 5
#: The address that the others know a pod by, and no reports to Ray's makers.
_ALIKE = 'export VLLM_HOST_IP="$POD_IP" RAY_USAGE_STATS_ENABLED=0'
_REACHED = (
    "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 2).close()"
)
#: A leader that is being made has no name yet, and nothing that listens.
_WAIT = f"until python3 -c '{_REACHED}' \"$LWS_LEADER_ADDRESS\" {_RAY_PORT} 2>/dev/null; do sleep 1; done"
_HEAD = (
    f"{_ALIKE}\n"
    f'ray start --head --port={_RAY_PORT} --node-ip-address="$POD_IP" --include-dashboard=false'
    ' && exec "$0" "$@"'
)
_MEMBER = (
    f"{_ALIKE}\n{_WAIT}\n"
    f'exec ray start --block --address="$LWS_LEADER_ADDRESS:{_RAY_PORT}" --node-ip-address="$POD_IP"'
)
#: What an engine is told about its nodes by us -> other ways to say it.
_STAGES, _BACKEND = "--pipeline-parallel-size", "--distributed-executor-backend"
_ALIASES: Mapping[str, str] = {"-pp": _STAGES}


def spread(workload: Workload) -> Workload:
    """The workload whose engine is asked to compute on all of its nodes: a stage of the model on each.

    Raises:
        Unsupported: its own flags say something else about that.
    """
    template = workload.template
    if template.nodes == 1:
        return workload
    ours = {_BACKEND: "ray", _STAGES: str(template.nodes)}
    for flag, value in _given(template.flags):
        if ours.get(flag, value) != value:
            why = f"a replica on {template.nodes} nodes has it as {ours[flag]}"
            raise Unsupported(f"The flag [{flag} {value}]", why)
    flags = tuple(part for each in ours.items() for part in each)
    return replace(workload, template=replace(template, flags=(*flags, *template.flags)))


def _given(flags: tuple[str, ...]) -> list[tuple[str, str]]:
    """(name, value) of flags, written `--name value` or `--name=value`."""
    found: list[tuple[str, str]] = []
    for at, flag in enumerate(flags):
        name, equals, value = flag.partition("=")
        name = name.replace("_", "-") if name.startswith("--") else name
        following = flags[at + 1] if at + 1 < len(flags) else ""
        found.append((_ALIASES.get(name, name), value if equals else following))
    return found


def leader(pod: Manifest) -> Manifest:
    """The pod that has the engine, and takes the requests."""
    return _with_engine(pod, _leading)


def member(pod: Manifest, *, in_turn: bool) -> Manifest:
    """A pod that computes for a leader; its labels set it apart from a replica, nobody asks it anything.

    `in_turn`: it fetches its files and starts only once its leader has.
    """
    made = _with_engine(pod, _following)
    labels = {**pod["metadata"]["labels"], names.COMPONENT: names.MEMBER}
    spec: Manifest = {**made["spec"], "terminationGracePeriodSeconds": _GRACE}
    if in_turn:
        spec["initContainers"] = [_turn(spec["containers"][0]), *spec.get("initContainers", ())]
    return {"metadata": {**pod["metadata"], "labels": labels}, "spec": spec}


def _leading(engine: Manifest) -> Manifest:
    return {**engine, "command": ["/bin/sh", "-c", _HEAD, *engine["command"]]}


def _following(engine: Manifest) -> Manifest:
    """It has no engine of its own: nothing is asked of it, and nobody waits for its requests."""
    asked = {"startupProbe", "readinessProbe", "livenessProbe", "lifecycle", "ports"}
    kept = {name: value for name, value in engine.items() if name not in asked}
    return {**kept, "command": ["/bin/sh", "-c", _MEMBER]}


def _turn(engine: Manifest) -> Manifest:
    """What waits for the leader; its devices are asked for by the engine's container alone."""
    resources = {
        kind: {name: each for name, each in amounts.items() if name in {"cpu", "memory"}}
        for kind, amounts in engine.get("resources", {}).items()
    }
    mounts = [each for each in engine["volumeMounts"] if each["mountPath"] == engine["workingDir"]]
    return {
        **engine,
        "name": names.TURN_CONTAINER,
        "command": ["/bin/sh", "-c", _WAIT],
        "resources": resources,
        "volumeMounts": mounts,
    }


def _with_engine(pod: Manifest, change: Callable[[Manifest], Manifest]) -> Manifest:
    spec = pod["spec"]
    return {**pod, "spec": {**spec, "containers": [change(each) for each in spec["containers"]]}}
