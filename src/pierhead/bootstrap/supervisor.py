"""`pierhead up`: keeps the hub and the gateway running as children, and ends both in good order.

It stands on the standard library alone and does nothing else, so that it has no reason to die.
If it is killed all the same, the children go with it (see `die_with`), replicas stay, and the next
`up` adopts them.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

from pierhead import __version__
from pierhead.core.errors import PierheadError
from pierhead.settings import Settings, split_address, url_of

#: Seconds before the n-th restart in a row; a life of `GOOD_LIFE` seconds wipes the slate.
PAUSES = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 10.0)
GOOD_LIFE = 30.0
#: A child that ends by itself this often before the platform was ever ready will not get better.
HOPELESS = 3
#: Exit code by which a child says that its settings are not legal: trying again cannot help.
BAD_USAGE = 2
#: Seconds from the second Ctrl-C to SIGKILL.
HASTE = 3.0
#: Seconds between two "still waiting" lines.
PATIENCE = 10.0
_TICK = 0.1
_PR_SET_PDEATHSIG = 1


class CannotStart(PierheadError):
    """The platform cannot be started here and now; the message says what to do."""


Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """A child to keep running; `address` (host:port) answers /healthz once it is ready."""

    name: str
    argv: tuple[str, ...]
    address: str
    grace: float  #: seconds from SIGTERM to SIGKILL
    if_killed: str = ""  #: what it leaves behind when it could not end in good order
    secure: bool = False  #: it speaks HTTPS
    on_death: Callable[[], None] | None = None  #: called when it ended by itself


@dataclass(slots=True)
class _Child:
    program: Program
    process: subprocess.Popen[bytes] | None = None
    began: float = 0.0
    deaths: int = 0  #: in a row, without a good life between
    due: float | None = 0.0  #: when to start it (again); None while it runs
    ready: bool = False
    ending: float | None = None  #: since when it is told to end

    @property
    def alive(self) -> bool:
        return self.process is not None and self.process.poll() is None


@dataclass(slots=True)
class Supervisor:
    """Starts `programs` in the given order and ends them in the reverse one."""

    programs: Sequence[Program]
    say: Say
    on_ready: Callable[[float], None]  #: called once, with the seconds it took
    together: bool = False  #: all are told to end at once, not one after the other
    _children: list[_Child] = field(default_factory=list[_Child])
    _asked: int = 0  #: how often we were told to end
    _ever_ready: bool = False

    def run(self) -> int:
        """Until told to end. Returns the exit code: 0, or 1 when a child cannot be kept running."""
        self._children = [_Child(program) for program in self.programs]
        with _signals() as arrived:
            try:
                self._keep(arrived)
            except CannotStart as problem:
                self.say(problem.message)
                self._end(arrived)
                return 1
            self._end(arrived)
        return 0

    def _keep(self, arrived: "_Arrivals") -> None:
        began = time.monotonic()
        told = began
        while not self._asked:
            for child in self._children:
                self._tend(child)
            if not self._ever_ready:
                told = self._await_ready(began, told)
            self._asked += arrived.wait(_TICK if self._busy() else 60.0)

    def _busy(self) -> bool:
        return not self._ever_ready or any(child.due is not None for child in self._children)

    def _tend(self, child: _Child) -> None:
        now = time.monotonic()
        if child.due is None and not child.alive:
            self._bury(child, now)
        if child.due is not None and now >= child.due:
            child.process = _spawn(child.program)
            child.began, child.due, child.ready = now, None, False

    def _bury(self, child: _Child, now: float) -> None:
        process = child.process
        code = process.returncode if process is not None else 0
        if child.program.on_death is not None:
            child.program.on_death()
        child.deaths = 1 if now - child.began >= GOOD_LIFE else child.deaths + 1
        ended = f"{child.program.name} ended ({describe_exit(code)})"
        if not self._ever_ready and (code == BAD_USAGE or (code >= 0 and child.deaths >= HOPELESS)):
            raise CannotStart(f"{ended}; its own lines above say why.")
        pause = PAUSES[min(child.deaths, len(PAUSES)) - 1]
        self.say(f"{ended}; it starts again {f'in {pause:g} s' if pause else 'at once'}.")
        child.due = now + pause

    def _await_ready(self, began: float, told: float) -> float:
        for child in self._children:
            if not child.ready and child.alive:
                child.ready = answers(child.program.address, secure=child.program.secure)
        now = time.monotonic()
        if all(child.ready for child in self._children):
            self._ever_ready = True
            self.on_ready(now - began)
        elif now - told >= PATIENCE:
            late = " and ".join(c.program.name for c in self._children if not c.ready)
            self.say(f"still waiting for the {late} ({now - began:.0f} s)")
            return now
        return told

    def _end(self, arrived: "_Arrivals") -> None:
        for child in self._children if self.together else ():
            if child.process is not None and child.alive:
                child.process.terminate()
                child.ending = time.monotonic()
        for child in reversed(self._children):
            if child.process is not None:
                self._end_child(child, child.process, arrived)
        self.say("stopped.")

    def _end_child(
        self, child: _Child, process: subprocess.Popen[bytes], arrived: "_Arrivals"
    ) -> None:
        name, began = child.program.name, time.monotonic()
        if not child.alive:
            if child.ending is None:
                self.say(f"the {name} is not running. {child.program.if_killed}".rstrip())
            return
        self.say(f"stopping the {name} ...")
        if child.ending is None:  # a second signal would hasten it
            process.terminate()
        deadline, told = (child.ending or began) + child.program.grace, began
        while child.alive:
            now = time.monotonic()
            if now >= deadline:
                self.say(f"the {name} does not end; killing it. {child.program.if_killed}".rstrip())
                process.kill()
                process.wait()
                return
            if now - told >= PATIENCE:
                self.say(f"still stopping the {name} ({now - began:.0f} s); Ctrl-C again hastens.")
                told = now
            again = arrived.wait(_TICK)
            self._asked += again
            if self._asked > 1:
                deadline = min(deadline, now + (0 if again and self._asked > 2 else HASTE))


def _spawn(program: Program) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C in the terminal reaches the supervisor only, which keeps order.
    return subprocess.Popen(program.argv, stdin=subprocess.DEVNULL, start_new_session=True)


def describe_exit(code: int) -> str:
    """`exit code 3` or `killed by SIGKILL`, from Popen's return code."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"


class _Arrivals:
    """Signals as something to wait for, so that one thread sees everything in order."""

    def __init__(self, pipe: socket.socket) -> None:
        self._pipe = pipe

    def wait(self, seconds: float) -> int:
        """Wait for any signal (a child's end too); 1 if one of them told us to end, else 0."""
        if not select.select([self._pipe], [], [], seconds)[0]:
            return 0
        numbers = self._pipe.recv(256)
        return int(any(number != signal.SIGCHLD for number in numbers))


def _woken(_number: int, _frame: object) -> None:
    """The wake-up pipe tells; a handler has to exist, or the default action would be taken."""


@contextlib.contextmanager
def _signals() -> Generator[_Arrivals]:
    ours = [signal.SIGTERM, signal.SIGINT, signal.SIGCHLD]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup's choice is respected
        ours.append(signal.SIGHUP)
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)  # noqa: FBT003 - the standard library's signature
        writer.setblocking(False)  # noqa: FBT003 - the standard library's signature
        before = {number: signal.signal(number, _woken) for number in ours}
        wakeup = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        try:
            yield _Arrivals(reader)
        finally:
            signal.set_wakeup_fd(wakeup)
            for number, handler in before.items():
                signal.signal(number, handler)


def answers(address: str, *, secure: bool = False) -> bool:
    """Does GET /healthz on `address` answer 200? (A client of ten lines: the library costs 6 MB.)"""
    host, port = split_address(address)
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - called, not bound
    try:
        with _connected(host, port, secure=secure) as connection:
            connection.sendall(f"GET /healthz HTTP/1.0\r\nHost: {address}\r\n\r\n".encode())
            head = connection.recv(12)
    except OSError:
        return False  # not listening yet: what we are here to find out
    return head.startswith(b"HTTP/1.") and head.endswith(b" 200")


def _connected(host: str, port: int, *, secure: bool) -> socket.socket:
    connection = socket.create_connection((host, port), timeout=1.0)
    if not secure:
        return connection
    # A platform without TLS does not pay for the import.
    import ssl

    # Who answers on our own port is our own child; what it says is one word.
    context = ssl._create_unverified_context()  # noqa: S323 # pyright: ignore[reportPrivateUsage]
    try:
        return context.wrap_socket(connection)
    except OSError:
        connection.close()
        raise


def free_addresses(addresses: Sequence[tuple[str, str]]) -> list[str]:
    """Each (flag, host:port) with port 0 replaced by a free one; all others checked to be free.

    Raises:
        CannotStart: a port is taken, or the host is none of this machine's.
    """
    with contextlib.ExitStack() as held:  # together, so that two zeros give two ports
        return [_claim(flag, address, held) for flag, address in addresses]


def _claim(flag: str, address: str, held: contextlib.ExitStack) -> str:
    host, port = split_address(address)
    try:
        family, *_, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        probe = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(where)
        # Only listening finds out about somebody else who listens and allows re-use too.
        probe.listen(1)
    except OSError as problem:
        raise CannotStart(_refusal(flag, address, port, problem)) from problem
    chosen = probe.getsockname()[1]
    return f"[{host}]:{chosen}" if ":" in host else f"{host}:{chosen}"


def _refusal(flag: str, address: str, port: int, problem: OSError) -> str:
    if problem.errno == errno.EADDRINUSE:
        return (
            f"Port {port} is already in use; choose another one with {flag} (0 takes a free one)."
        )
    if problem.errno == errno.EACCES:
        return f"Port {port} may not be opened by this user; choose one above 1023 with {flag}."
    return (
        f"Nothing can listen on {address} ({problem.strerror}); choose another address with {flag}."
    )


@contextlib.contextmanager
def only_one(folder: Path, name: str = "up.lock") -> Generator[None]:
    """Hold a lock in the data folder; the kernel lets go of it however this process ends.

    Raises:
        CannotStart: another process holds it, or the folder cannot be written.
    """
    path = folder / name
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = path.open("a+")
    except OSError as problem:
        raise CannotStart(
            f"{path} cannot be written ({problem.strerror}); choose a folder with --data-dir."
        ) from problem
    with lock:
        _take(lock, folder)
        yield


def _take(lock: TextIO, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.seek(0)
        holder = lock.read(20).strip() or "unknown"
        raise CannotStart(
            f"Pierhead already runs on {folder} (process {holder}); stop that one first, "
            "or choose another folder with --data-dir."
        ) from None
    with contextlib.suppress(OSError):  # on a full disk the lock holds without our number, too
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()


def die_with(parent: int) -> None:
    """Called by a child first of all: the kernel kills it when process `parent` dies.

    The child asks for that itself, because code between fork and exec is not safe; a parent that
    died before the asking is noticed by its number. Elsewhere than on Linux nothing happens.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit(1)


def speaker(stream: TextIO) -> Say:
    """Lines on `stream`; if nobody reads it any more, the platform goes on in silence."""

    def say(line: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            print(line, file=stream, flush=True)

    return say


def up(settings: Settings, passed: Sequence[str], say: Say) -> int:
    """Run hub and gateway until told to end; the exit code. `passed` are flags for both children.

    Raises:
        CannotStart: another `up` holds the folder, or an address cannot be used.
    """
    with only_one(settings.data_dir):
        listen, gateway_listen = free_addresses(
            [("--listen", settings.listen), ("--gateway-listen", settings.gateway_listen)]
        )
        say(f"starting Pierhead on {settings.data_dir} ...")
        common = (
            f"--data-dir={settings.data_dir}",
            f"--listen={listen}",
            f"--gateway-listen={gateway_listen}",
            *passed,
            f"--die-with-parent={os.getpid()}",
        )
        self_ = (sys.executable, "-m", "pierhead")
        # Pods are the cluster's: they serve on.
        ending = ("--stop-replicas-on-exit",) * (settings.runtime != "kubernetes")
        hub = Program(
            "hub",
            (*self_, "hub", *ending, *common),
            listen,
            settings.stop_seconds,
            "Replicas that still run are adopted by the next `pierhead up`.",
            settings.tls,
        )
        gateway = Program(
            "gateway",
            (*self_, "gateway", *common),
            gateway_listen,
            settings.drain_seconds + 5,
            secure=settings.tls,
        )
        return Supervisor(
            (hub, gateway), say, lambda seconds: say(_banner(settings, hub, gateway, seconds))
        ).run()


def _banner(settings: Settings, hub: Program, gateway: Program, seconds: float) -> str:
    folder = f" --data-dir {settings.data_dir}"
    url = url_of(hub.address, secure=hub.secure)
    return f"""Pierhead {__version__} is ready ({seconds:.1f} s).
  console        {settings.hub_endpoint if settings.hub_url else url}
  control plane  {url}
  data plane     {settings.advertise or url_of(gateway.address, secure=gateway.secure)}
  credentials    {settings.credentials_file}
Next, in another terminal:
  pierhead console --open{folder}
  pierhead services create my_llm --spec smollm2_135m_q4 --wait{folder}
  pierhead services token my_llm{folder}
Ctrl-C stops everything in good order; wanted state is kept."""
