"""Several gateways on one port: a small parent that keeps them running and ends them together.

It serves nothing itself. It holds the port, so that nobody else gets it while a worker starts again, and the
memory in which workers share what tokens used. If it is killed, the workers go with it.
"""

import os
import shutil
import socket
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import structlog

from pierhead.bootstrap.supervisor import CannotStart, Program, Supervisor, free_addresses
from pierhead.gateway.shared import SharedUse
from pierhead.gateway.workers import Worker
from pierhead.settings import Settings, split_address

#: Seconds beyond the drain that a worker gets; less than `up` gives the parent.
_GRACE = 3.0
_NAME = "gateway-"


def keep(settings: Settings, passed: Sequence[str]) -> int:
    """Run the workers until told to end; the exit code. `passed` are flags for each of them.

    Raises:
        CannotStart: the address cannot be used, or the data folder not be written.
    """
    log = structlog.get_logger("pierhead.gateway")
    (address,) = free_addresses([("--gateway-listen", settings.gateway_listen)])
    with _reserved(address), _folder(settings.data_dir):
        file = worker_of(settings, 0, os.getpid()).limits_file
        SharedUse.make(file, settings.gateway_workers)
        use = SharedUse(file, settings.gateway_workers)
        log.info("gateway workers start", address=address, workers=settings.gateway_workers)
        numbers = range(settings.gateway_workers)
        programs = [_program(settings, (number, address), passed, use) for number in numbers]
        return Supervisor(programs, log.info, lambda _seconds: None, together=True).run()


def worker_of(settings: Settings, number: int, parent: int) -> Worker:
    """What a worker of the process `parent` is told."""
    folder = settings.data_dir / "run" / f"{_NAME}{parent}"
    return Worker(number, settings.gateway_workers, folder)


def _program(
    settings: Settings, which: tuple[int, str], passed: Sequence[str], use: SharedUse
) -> Program:
    number, where = which
    argv = (
        *(sys.executable, "-m", "pierhead", "gateway"),
        f"--data-dir={settings.data_dir}",
        f"--listen={settings.listen}",
        f"--gateway-listen={where}",
        *passed,
        f"--die-with-parent={os.getpid()}",
        f"--worker={number}",
    )
    return Program(
        f"gateway worker {number}",
        argv,
        where,
        settings.drain_seconds + _GRACE,
        secure=settings.tls,
        on_death=partial(use.reset, number),
    )


@contextmanager
def _reserved(address: str) -> Generator[None]:
    """Holds a port without listening: workers of this user may listen there, and nobody else.

    Raises:
        CannotStart: somebody took it in the meantime.
    """
    host, port = split_address(address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            held.bind((host, port))
        except OSError as problem:
            raise CannotStart(f"Nothing can listen on {address} ({problem.strerror}).") from problem
        yield


@contextmanager
def _folder(data_dir: Path) -> Generator[None]:
    """What only these workers share; what parents that were killed left behind goes with it.

    Raises:
        CannotStart: it cannot be written.
    """
    folder = data_dir / "run" / f"{_NAME}{os.getpid()}"
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        for left in folder.parent.glob(f"{_NAME}*"):
            if not _lives(left.name.removeprefix(_NAME)):
                shutil.rmtree(left, ignore_errors=True)
        folder.mkdir(mode=0o700)
    except OSError as problem:
        raise CannotStart(f"{folder} cannot be written ({problem.strerror}).") from problem
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lives(number: str) -> bool:
    """Is there another process of this number? Should it be no gateway, its folder stays a while."""
    if not number.isdigit() or int(number) == os.getpid():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
