"""Starts the three processes that live long: up, hub, gateway; and turns errors into exit codes.

The command-line library costs 0.25 s and 25 MB per process. So the plain form of these verbs is
read here, by `plainly`; whatever is not plain (--help, a mistyped flag) goes to `main.app`. Heavy
modules are imported inside the functions, for the same reason.
"""

import gc
import os
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pierhead.core.errors import Invalid, PierheadError
from pierhead.settings import BadSetting, Settings

_RUNTIME = "--runtime"
#: Flag -> setting, for all three verbs; `--runtime` is the hub's business alone.
TEXTS: Mapping[str, str] = {
    _RUNTIME: "runtime",
    "--data-dir": "data_dir",
    "--listen": "listen",
    "--gateway-listen": "gateway_listen",
    "--region": "region",
    "--log-level": "log_level",
    "--log-format": "log_format",
}
_SWITCH = "--stop-replicas-on-exit"
_PARENT = "--die-with-parent"
_WORKER = "--worker"
#: Settings that `up` works out itself before it passes them on.
_RESOLVED = frozenset({"data_dir", "listen", "gateway_listen"})

Given = dict[str, Any]


@contextmanager
def _staying() -> Generator[None]:
    """What is imported inside stays until the end: it is not searched for garbage while it grows.

    That takes a sixth of a hub's start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def up(given: Given) -> None:
    """Run the supervisor until told to end, and exit."""
    from pierhead.bootstrap import supervisor

    flags = flags_of(given)
    settings = Settings.load(flags)
    sys.exit(supervisor.up(settings, _passed(flags), supervisor.speaker(sys.stdout)))


def hub(given: Given) -> None:
    """Run the control plane until told to end."""
    with _staying():
        settings = _begin("hub", given)
        import asyncio

        from pierhead.bootstrap.hub import serve

    asyncio.run(serve(settings))


def gateway(given: Given) -> None:
    """Run the data plane until told to end."""
    settings = _begin("gateway", given)
    number = given.get("worker")
    if settings.gateway_workers > 1 and number is None:
        from pierhead.bootstrap import workers

        sys.exit(workers.keep(settings, _passed(flags_of(given))))
    with _staying():
        import asyncio

        # Before anything of the gateway is imported.
        found = _compiled(settings)
        from pierhead.bootstrap.gateway import serve
        from pierhead.bootstrap.workers import worker_of
        from pierhead.gateway.main import new_loop

    worker = None if number is None else worker_of(settings, int(number), os.getppid())
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve(settings, worker, found))


def _compiled(settings: Settings) -> str:
    import structlog

    from pierhead import compiled

    found = compiled.use(settings.compiled)
    if found.wrong:
        structlog.get_logger("pierhead.gateway").warning("gateway runs uncompiled", why=found.why)
    return str(found)


VERBS: Mapping[str, Callable[[Given], None]] = {"up": up, "hub": hub, "gateway": gateway}


def _passed(flags: Mapping[str, Any]) -> list[str]:
    """Flags for children, without what their parent works out itself."""
    return [f"--set={name}={value}" for name, value in flags.items() if name not in _RESOLVED]


def flags_of(given: Given) -> dict[str, Any]:
    """Settings given on the command line; a flag of its own goes before the same by `--set`.

    Raises:
        BadSetting: a `--set` is not KEY=VALUE.
    """
    found: dict[str, Any] = {}
    for text in given.get("set_") or ():
        key, equals, value = str(text).partition("=")
        if not key or not equals:
            raise BadSetting(f"--set needs KEY=VALUE, not [{text}].")
        found[key] = value
    found |= {name: given[name] for name in TEXTS.values() if given.get(name) is not None}
    if given.get("stop_replicas_on_exit"):
        found["stop_replicas_on_exit"] = True
    return found


def _begin(process: str, given: Given) -> Settings:
    parent = given.get("die_with_parent")
    if parent is not None:
        from pierhead.bootstrap.supervisor import die_with

        die_with(int(parent))
    settings = Settings.load(flags_of(given))
    from pierhead import telemetry

    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    telemetry.configure(process, settings.log_level, settings.log_format)
    return settings


def plainly(arguments: Sequence[str]) -> Callable[[], None] | None:
    """What `up|hub|gateway --flag=value --flag value ...` asks for; None if it is not that plain."""
    if not arguments or arguments[0] not in VERBS:
        return None
    verb, given, rest = arguments[0], Given(set_=[]), list(arguments[1:])
    while rest:
        flag, equals, value = rest.pop(0).partition("=")
        if flag == _SWITCH and verb == "hub" and not equals:
            given["stop_replicas_on_exit"] = True
            continue
        if not equals and rest and not rest[0].startswith("-"):
            value = rest.pop(0)
        if not value or (flag == _RUNTIME and verb == "gateway") or not _take(flag, value, given):
            return None
    return lambda: VERBS[verb](given)


def _take(flag: str, value: str, given: Given) -> bool:
    if flag in TEXTS:
        given[TEXTS[flag]] = value
    elif flag == "--set":
        given["set_"].append(value)
    elif flag == _PARENT and value.isdigit():
        given["die_with_parent"] = value
    elif flag == _WORKER and value.isdigit():
        given["worker"] = value
    else:
        return False
    return True


def guarded(act: Callable[[], object]) -> None:
    """Run `act`; an error of ours becomes one sentence and exit code 1, bad usage 2."""
    try:
        act()
    except PierheadError as problem:
        print(f"pierhead: {problem.message}", file=sys.stderr)
        sys.exit(2 if isinstance(problem, BadSetting | Invalid) else 1)
