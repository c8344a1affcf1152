"""1,000 services of two replicas on a real Kubernetes control plane: `python -m bench kubernetes`.

Nodes and pods are of paper: they beat, are scheduled, become Ready, and sit out their grace as a container
does whose preStop hook sleeps, but no process runs in them. Everything else is real. Requests are counted in
the API server's own book, where the hub has an account of its own; times of a change are from there, too.
"""

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bench.client import ROOT, Client, passes
from bench.figures import Figure, figure, percentile, table
from bench.kubernetes_audit import Book, Request, told
from bench.kubernetes_cluster import Cluster, cluster, wall
from bench.platforms import Running, up
from bench.processes import MB, Spent, children, memory, peak, peak_anew, spending, until

SERVICES, REPLICAS = 1000, 2
#: The last of them are created at a steady pace, beside all the others.
PACED, PER_SECOND = 100, 2.0
CALLERS = 4  #: of those before, who ask at once, each for one after the other
CHANGED = 20  #: services that each kind of change is made to
IDLE_SECONDS = 60.0
APPLIED, REQUESTS = 1.0, 4.0  #: goals: seconds of a create, requests of a change
_PATIENCE, _POLL = 900.0, 0.1
_GRACE = 10  #: seconds that a replica may take to end
_REFLECTED = frozenset({"pods", "deployments", "nodes", "events"})


def measure(folder: Path, services: int = SERVICES) -> list[Figure]:
    """All of it on one cluster and one platform, one part after the other.

    Raises:
        RuntimeError: the control plane's servers are not built on this machine.
    """
    pods = REPLICAS * services + 2 * CHANGED
    place = folder / "platform"
    with cluster(folder / "cluster", pods) as made:
        try:
            with up(place, made.settings()) as running, Client(running) as client:
                return _figures(_Site(made, running, client, Book(made.audit), services))
        except BaseException:
            print((place / "log").read_text(errors="replace")[-3000:], file=sys.stderr)
            raise


@dataclass
class _Site:
    """What is measured, and what is known of it so far."""

    cluster: Cluster
    running: Running
    client: Client
    book: Book
    services: int
    ids: dict[str, str] = field(default_factory=dict[str, str])  # name -> id

    @property
    def hub(self) -> int:
        """Pid of the hub that is there now."""
        found = [pid for pid, argv in children(self.running.pid) if "hub" in argv[1:4]]
        if not found:
            raise RuntimeError("there is no hub just now")
        return found[0]

    @property
    def names(self) -> list[str]:
        """Of all services that there are to be."""
        return [f"bench_{number:04d}" for number in range(self.services)]

    def count(self, status: str = "") -> int:
        """Services that the hub has, of all or of one status."""
        return self.client.list(size=1, page=1, **({"ServiceStatus": status} if status else {}))[
            "TotalCount"
        ]

    def change(
        self, operation: str, name: str, tail: str = "", body: Mapping[str, Any] | None = None
    ) -> None:
        """One PUT to a service."""
        path = f"{ROOT}/{self.running.credentials['region']}/{name}{tail}"
        self.client.call(operation, "PUT", path, body)

    def delete(self, name: str) -> None:
        """DeleteService."""
        self.client.delete(name)

    def calm(self) -> None:
        """Until the hub spends less than a tenth of a core for a second: only its rounds are left."""

        def is_calm() -> bool:
            with spending(self.hub) as spent:
                time.sleep(1.0)
            return spent.cpu < 0.1 * spent.wall

        until(is_calm, _PATIENCE, "the hub's rest", 0.0)


def _figures(site: _Site) -> list[Figure]:
    paced = min(PACED, site.services // 2)
    began = time.monotonic()
    found: list[Figure] = []
    parts: Sequence[Callable[[], list[Figure]]] = (
        lambda: _bulk(site, site.names[: site.services - paced]),
        lambda: _paced(site, site.names[site.services - paced :]),
        lambda: _at_rest(site),
        lambda: _changes(site),
        lambda: _listed_anew(site),
        lambda: _restarted(site),
    )
    for part in parts:
        fresh = part()
        print(f"{time.monotonic() - began:6.0f} s\n{table(fresh)}", file=sys.stderr, flush=True)
        found += fresh
    return found


# ---- create ---------------------------------------------------------------------------------


def document(name: str) -> dict[str, Any]:
    """A service of two replicas that needs no weights."""
    return {
        "metadata": {"name": name, "instance": REPLICAS},
        "containers": [{"command": ["sleep", "infinity"]}],
        "runtime": {"termination_grace_period": _GRACE},
    }


def _create(client: Client, name: str) -> tuple[float, float]:
    """When it was asked for, and when that was answered."""
    began = wall()
    client.call("CreateService", "POST", ROOT, document(name))
    return began, wall()


def _bulk(site: _Site, names: Sequence[str]) -> list[Figure]:
    began, looks = time.monotonic(), passes(site.running)
    with spending(site.hub) as spent:
        with ThreadPoolExecutor(CALLERS) as callers:
            shares = [names[number::CALLERS] for number in range(CALLERS)]
            parts = list(callers.map(partial(_created, site.running), shares))
        asked = {name: times for part in parts for name, times in part.items()}
        answered = time.monotonic() - began
        until(lambda: site.count("Running") == len(names), _PATIENCE, "bulk", 1.0)
        running = time.monotonic() - began
    looks = passes(site.running) - looks
    site.calm()
    site.ids = site.cluster.deployments()
    requests = site.book.news()
    figures = _delays(f"{len(names)} at once", asked, _applied(site, requests))
    times = f"answered after {answered:.0f} s, {CALLERS} callers"
    return [
        figure(f"{len(names)} services created at once: all Running", "s", [running], note=times),
        figure(
            "hub CPU per service, create to Running",
            "ms",
            [1000 * spent.cpu / len(names)],
            note=f"{looks / len(names):.1f} looks at each",
        ),
        *(each for each in figures if each.goal is None),
    ]


def _created(running: Running, names: Iterable[str]) -> dict[str, tuple[float, float]]:
    with Client(running) as client:
        return {name: _create(client, name) for name in names}


def _paced(site: _Site, names: Sequence[str]) -> list[Figure]:
    there, began = site.services - len(names), time.monotonic()
    asked: dict[str, tuple[float, float]] = {}
    for number, name in enumerate(names):
        time.sleep(max(0.0, began + number / PER_SECOND - time.monotonic()))
        asked[name] = _create(site.client, name)
    until(lambda: site.count("Running") == site.services, _PATIENCE, "paced", 1.0)
    site.calm()
    site.ids = site.cluster.deployments()
    requests = site.book.news()
    label = f"{len(names)} more beside {there}, {PER_SECOND:g}/s"
    return [
        *_delays(label, asked, _applied(site, requests), APPLIED),
        _per_change(f"create of {REPLICAS} replicas", site, names, requests),
    ]


def _applied(site: _Site, requests: Iterable[Request]) -> dict[str, float]:
    """Service name -> when the server had taken the last of its objects."""
    name_of = {service: name for name, service in site.ids.items()}
    first: dict[str, dict[str, float]] = {}
    for each in requests:
        if each.writes and each.code < 300 and each.service in name_of:
            objects = first.setdefault(name_of[each.service], {})
            objects[each.what] = min(each.at, objects.get(each.what, each.at))
    return {name: max(times.values()) for name, times in first.items()}


def _delays(
    label: str,
    asked: Mapping[str, tuple[float, float]],
    applied: Mapping[str, float],
    goal: float | None = None,
) -> list[Figure]:
    if asked.keys() - applied.keys():
        raise RuntimeError(f"without objects: {sorted(asked.keys() - applied.keys())[:5]}")
    answer = [applied[name] - times[1] for name, times in asked.items()]
    request = [applied[name] - times[0] for name, times in asked.items()]
    name = "all objects of a service applied"
    worst = percentile(request, 0.99)
    return [
        figure(f"{name}, after the answer; {label}", "s", answer),
        figure(f"{name}, after the request; {label}", "s", request),
        figure(f"the same, p99; {label}", "s", [worst], goal, note=f"longest {max(request):.2f} s"),
    ]


# ---- change ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Change:
    """One kind of change: how it is asked for, when it is done, and how many pods there are then."""

    what: str
    act: Callable[[str], None]
    done: Callable[[str], bool]
    pods: int


def _kinds(site: _Site) -> list[_Change]:
    more, usual = REPLICAS + 1, REPLICAS
    env = [{"name": "A", "value": "1"}]

    def scaled(number: int, name: str) -> None:
        site.change("UpdateService", name, body={"metadata": {"instance": number}})

    def updated(name: str) -> None:
        body = {"containers": [{"command": ["sleep", "infinity"], "env": env}]}
        site.change("UpdateService", name, body=body)

    def put(operation: str, tail: str, name: str) -> None:
        site.change(operation, name, tail)

    def stopped(name: str) -> bool:
        return site.client.describe(name)["Status"] == "Stopped"

    runs = partial(_runs, site, usual)
    of = f"of {usual} replicas"
    return [
        _Change(
            f"scale {usual} to {more}", partial(scaled, more), partial(_runs, site, more), more
        ),
        _Change(f"scale {more} to {usual}", partial(scaled, usual), runs, usual),
        _Change(f"update {of}", updated, runs, usual),
        _Change(f"restart {of}", partial(put, "RestartService", "/restart"), runs, usual),
        _Change(f"stop {of}", partial(put, "StopService", "/stop"), stopped, 0),
        _Change(f"start {of}", partial(put, "StartService", "/start"), runs, usual),
        _Change(f"delete {of}", site.delete, site.client.gone, 0),
    ]


def _changes(site: _Site) -> list[Figure]:
    chosen = site.names[:: max(1, site.services // CHANGED)][:CHANGED]
    figures: list[Figure] = []
    site.book.news()
    for each in _kinds(site):
        for name in chosen:
            each.act(name)
        for name in chosen:
            until(partial(each.done, name), _PATIENCE, f"{each.what}: {name}", _POLL)
        pods = each.pods * len(chosen)
        until(lambda n=pods: _pods(site, chosen) == n, _PATIENCE, f"{each.what}: pods", 0.5)
        site.calm()
        figures.append(_per_change(each.what, site, chosen, site.book.news()))
    return figures


def _runs(site: _Site, replicas: int, name: str) -> bool:
    found = site.client.describe(name)
    return found["Status"] == "Running" and found["RunningInstance"] == replicas


def _pods(site: _Site, names: Iterable[str]) -> int:
    """Pods of these services that the cluster has, leaving ones included."""
    wanted = {site.ids[name] for name in names}
    found = site.cluster.call("GET", "/api/v1/namespaces/bench/pods?limit=5000")["items"]
    return sum(each["metadata"]["labels"]["pierhead.dev/service-id"] in wanted for each in found)


def _per_change(
    what: str, site: _Site, names: Sequence[str], requests: Sequence[Request]
) -> Figure:
    ids = {site.ids[name] for name in names}
    about = [each for each in requests if each.service in ids]
    counts = {service: 0 for service in ids}
    for each in about:
        counts[each.service] += 1
    note = f"of {len(names)} together: {told(about)}"
    return figure(f"API requests: {what}", "requests", list(counts.values()), REQUESTS, note=note)


# ---- rest, relist, restart ------------------------------------------------------------------


def _at_rest(site: _Site) -> list[Figure]:
    site.book.news()
    looks = passes(site.running)
    with spending(site.hub) as spent:
        time.sleep(IDLE_SECONDS)
    looks = passes(site.running) - looks
    requests = site.book.news()
    each = f"{looks / spent.wall:.0f} looks/s"
    share = 100 * spent.cpu / spent.wall
    return [
        figure(
            f"hub at rest, {site.services} services that run", "% of a core", [share], note=each
        ),
        figure(
            "API requests of the hub at rest",
            "a minute",
            [60 * len(requests) / spent.wall],
            note=told(requests),
        ),
    ]


def _listed_anew(site: _Site) -> list[Figure]:
    """The API server is killed and started again: every list and watch of the hub is made anew."""
    site.calm()
    site.book.news()
    hub = site.hub
    before = memory(hub).rss
    peak_anew(hub)
    found: list[Request] = []
    with spending(hub) as spent:
        site.cluster.restart_api()

        def listed() -> bool:
            found.extend(site.book.news())
            return {each.what for each in _lists(found)} >= _REFLECTED

        until(listed, _PATIENCE, "everything listed anew", _POLL)
        site.calm()
    times = [each.at for each in _lists(found)]
    return [
        *_cost("everything listed anew", spent, before, hub),
        figure(
            "the first of these lists to the last", "s", [max(times) - min(times)], note=told(found)
        ),
    ]


def _lists(requests: Iterable[Request]) -> list[Request]:
    return [
        each
        for each in requests
        if each.verb == "list" and each.what in _REFLECTED and each.code == 200
    ]


def _restarted(site: _Site) -> list[Figure]:
    site.calm()
    site.book.news()
    before, old, there = memory(site.hub).rss, site.hub, site.count()
    began = time.monotonic()
    os.kill(old, signal.SIGKILL)
    until(lambda: _another(site, old), _PATIENCE, "another hub", 0.02)
    hub = site.hub
    with spending(hub) as spent:
        until(lambda: _looked(site) >= there, _PATIENCE, "all looked at", 1.0)
        seconds = time.monotonic() - began
        site.calm()
    requests = site.book.news()
    running = site.count("Running")
    if running != there:
        raise RuntimeError(f"{running} services are Running after the restart")
    return [
        figure("hub killed to all services looked at again", "s", [seconds], note=told(requests)),
        *_cost("hub started again", spent, before, hub),
    ]


def _another(site: _Site, old: int) -> bool:
    return any(pid != old and "hub" in argv[1:4] for pid, argv in children(site.running.pid))


def _looked(site: _Site) -> float:
    try:
        return passes(site.running)
    except OSError:
        return 0.0


def _cost(what: str, spent: Spent, before: int, hub: int) -> list[Figure]:
    after = memory(hub).rss
    note = f"{before / MB:.0f} MB before, at most {peak(hub) / MB:.0f} MB meanwhile"
    return [
        figure(f"{what}: hub CPU time", "s", [spent.cpu], note=f"in {spent.wall:.0f} s"),
        figure(f"{what}: hub memory (RSS)", "MB", [after / MB], note=note),
    ]


def _end(_number: int, _frame: object) -> None:
    """Asked to end: what was started is stopped first."""
    sys.exit(143)


def main() -> int:
    """`python -m bench.kubernetes 100`: with so many services; 1 when a goal is missed."""
    signal.signal(signal.SIGTERM, _end)
    services = int(sys.argv[1]) if len(sys.argv) > 1 else SERVICES
    with tempfile.TemporaryDirectory(prefix="pierhead-bench-") as folder:
        figures = measure(Path(folder), services)
    print(table(figures))
    return int(any(each.verdict == "MISSED" for each in figures))


if __name__ == "__main__":
    sys.exit(main())
