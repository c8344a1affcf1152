"""The keeper of one run: starts the engine, writes its log, records its end, hub or no hub.

A script of its own with the standard library alone (no pathlib: a keeper lives beside every
replica, so each MiB counts). Called as `keeper.py OWNER REPLICA RUN_FOLDER`, the launch as JSON on
standard input, so that neither arguments nor disk hold a secret. SIGTERM: the engine is told to
end and killed after its grace; SIGUSR1: it is killed now. The keeper ends after the engine.
"""
# ruff: noqa: PTH105, PTH110, PTH118, PTH120, PTH123, SIM105

import ctypes
import errno
import fcntl
import json
import os
import resource
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:  # the typing module itself would cost memory
    from typing import Any

DUPLICATE = 75  #: exit code: another keeper holds this replica
NOT_STARTED = 125  #: engine's exit code when a limit or folder could not be set up
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_CHUNK = 65536
_SWEEP = 5.0  # seconds to end what the engine left behind
_OURS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD)  # what a keeper listens to
_DEAF = (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)  # what it must outlive


def main(run: str) -> int:
    """Keep one run from start to end; the exit code says only whether it was kept."""
    lock = os.open(os.path.join(run, "..", "..", "lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return DUPLICATE
    spec = Spec(json.loads(_read_all(0)))
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    # The port's lease lives as long as this process, but the engine must not hold it.
    fcntl.fcntl(spec.lease, fcntl.F_SETFD, fcntl.FD_CLOEXEC)
    return Keeper(run, spec).keep()


def _read_all(fd: int) -> bytes:
    parts: list[bytes] = []
    while part := os.read(fd, _CHUNK):
        parts.append(part)
    return b"".join(parts)


class Spec:
    """What to run and how; the hub's side of it is spawn.py."""

    def __init__(self, found: "dict[str, Any]") -> None:
        self.argv: list[str] = found["argv"]
        self.env: dict[str, str] = found["env"]
        self.cwd: str = found["cwd"]
        self.grace: float = found["grace"]  # seconds from TERM to KILL
        self.log_bytes: int = found["log_bytes"]
        self.cgroups: list[str] = found["cgroups"]
        self.oom_file: str = found["oom_file"]
        self.data_bytes: int = found["data_bytes"]
        self.nice: int = found["nice"]
        self.open_files: int = found["open_files"]  # soft limit; 0 = as it is
        self.lease: int = found["lease"]  # descriptor that holds the port
        self.binds: list[list[str]] = found["binds"]  # [source, target] that the engine alone sees
        self.own_users: bool = found["own_users"]  # does that take a user namespace?
        self.closed: list[str] = found["closed"]  # folders in which nothing may be shown


class Log:
    """Lines with a timestamp, in two files of bounded size; a full disk costs lines, never time."""

    def __init__(self, path: str, limit: int) -> None:
        self.path, self.limit = path, limit
        self.fd = -1
        self.size = 0
        self.dropped = 0
        self.retry_at = 0.0
        self.torn = False  # the last write ended in mid-line
        self.rest = b""

    def feed(self, data: bytes, now: float) -> None:
        """Take what the engine wrote."""
        *lines, self.rest = (self.rest + data).split(b"\n")
        if len(self.rest) >= _CHUNK:  # a line without end: cut it, memory is bounded
            lines.append(self.rest)
            self.rest = b""
        if lines:
            self._write(lines, now)

    def close(self, now: float) -> None:
        """Write what has no line end yet."""
        if self.rest:
            self._write([self.rest], now)
            self.rest = b""
        if self.dropped:
            self._write([], now)

    def _write(self, lines: list[bytes], now: float) -> None:
        stamp = b"%.3f " % now
        out = [stamp + line.rstrip(b"\r") + b"\n" for line in lines]
        if self.dropped:
            out.insert(0, b"%s[pierhead] %d lines dropped: disk full\n" % (stamp, self.dropped))
        data = (b"\n" if self.torn else b"") + b"".join(out)
        if not self._put(data, now):
            self.dropped += len(lines)
        else:
            self.dropped = 0

    def _put(self, data: bytes, now: float) -> bool:
        try:
            if self.fd < 0:
                if now < self.retry_at:
                    return False
                self.fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                self.size = os.fstat(self.fd).st_size
            done = 0
            while done < len(data):
                done += os.write(self.fd, data[done:])
                self.torn = done < len(data)
            self.size += len(data)
            if self.size > self.limit:
                self._rotate()
        except OSError:  # disk full, quota, folder gone: the engine must not wait for us
            self.retry_at = now + 1.0
            return False
        return True

    def _rotate(self) -> None:
        os.replace(self.path, self.path + ".1")
        os.close(self.fd)
        self.fd = -1


class Keeper:
    """One engine process and what is known of it."""

    def __init__(self, run: str, spec: Spec) -> None:
        self.run = run
        self.spec = spec
        self.log = Log(os.path.join(run, "log"), spec.log_bytes)
        self.stop_asked = self.kill_asked = False
        self.kill_at: float | None = None
        self.killed = False
        self.engine = 0
        self.wake = os.pipe()
        self.output = os.pipe()
        self.oom_before = 0

    def keep(self) -> int:
        """Start, pump, wait, sweep, record."""
        self._reserve_exit()
        self._prepare_signals()
        self.oom_before = self._oom_kills()
        if self.stop_asked:
            self._record_exit(None, signal.SIGTERM)
            return 0
        self._start()
        status = self._pump_until_end()
        self._sweep()
        self._drain_output()
        self.log.close(time.time())  # noqa: TID251
        code = os.waitstatus_to_exitcode(status)
        self._record_exit(code if code >= 0 else None, -code if code < 0 else None)
        return 0

    def _reserve_exit(self) -> None:
        """Take the disk blocks for exit.json now: the end must be recorded on a full disk too."""
        self._replace_file("exit.json.part", b" " * 512, rename=False)

    def _prepare_signals(self) -> None:
        for fd in self.wake:
            os.set_blocking(fd, False)
        os.set_blocking(self.output[0], False)
        signal.set_wakeup_fd(self.wake[1], warn_on_full_buffer=False)
        signal.signal(signal.SIGTERM, self._on_stop)
        signal.signal(signal.SIGUSR1, self._on_kill)
        signal.signal(signal.SIGCHLD, self._on_child)
        for number in _DEAF:
            signal.signal(number, signal.SIG_IGN)
        # Orphans of the engine become our children, so that none of them can outlive it unseen.
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)

    def _on_stop(self, *_: object) -> None:
        self.stop_asked = True

    def _on_kill(self, *_: object) -> None:
        self.kill_asked = True

    def _on_child(self, *_: object) -> None:
        pass  # only so that the signal wakes the poll

    def _start(self) -> None:
        keeper = os.getpid()
        # Held back until the child is rid of our handlers: they would swallow a TERM meant for it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _OURS)
        self.engine = os.fork()
        if self.engine == 0:
            _become(self.spec, self.output[1], keeper)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS)
        try:
            os.setpgid(self.engine, self.engine)  # the child does it too: whoever comes first
        except OSError:
            pass  # it has exec'd or ended already, and then it has done it itself
        os.close(self.output[1])
        with open("/proc/sys/kernel/random/boot_id") as file:
            boot = file.read().strip()
        facts = {
            "keeper": [keeper, _ticks(keeper)],
            "engine": [self.engine, _ticks(self.engine)],
            "boot": boot,
        }
        self._replace_file("keeper.json", json.dumps(facts).encode())

    def _pump_until_end(self) -> int:
        poller = select.poll()
        poller.register(self.wake[0], select.POLLIN)
        poller.register(self.output[0], select.POLLIN)
        while True:
            for fd, _ in poller.poll(self._patience()):
                if fd == self.wake[0]:
                    _read_some(fd)
                elif self._pump() == b"":
                    poller.unregister(fd)
            self._obey()
            if self._engine_ended() and not self._others_end():
                # The zombie still holds its number, so the group is surely its own.
                self._kill_group(signal.SIGKILL)
                return os.waitpid(self.engine, 0)[1]

    def _patience(self) -> int | None:
        if self.kill_at is None:
            return None
        return max(0, int((self.kill_at - time.monotonic()) * 1000) + 1)

    def _obey(self) -> None:
        if self.stop_asked:
            self.stop_asked = False
            if self.kill_at is None:
                self.kill_at = time.monotonic() + self.spec.grace
            self._kill_group(signal.SIGTERM)
            self._kill_group(signal.SIGCONT)  # a stopped process hears TERM only when it goes on
        if self.kill_asked or (self.kill_at is not None and time.monotonic() >= self.kill_at):
            self.kill_asked = False
            self.killed = True
            self.kill_at = time.monotonic() + 1.0  # again, should a new child have come up
            self._kill_group(signal.SIGKILL)

    def _kill_group(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.engine, number)
        except (ProcessLookupError, PermissionError):
            pass  # nobody left, or only a set-uid child that is not ours to signal

    def _engine_ended(self) -> bool:
        """Look without reaping the engine; orphans it left behind are reaped on the way."""
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return True
            if found is None:
                return False
            if found.si_pid == self.engine:
                return True
            os.waitpid(found.si_pid, 0)

    def _others_end(self) -> bool:
        """A shell that was told to end is gone before its server, which has its grace all the same."""
        told = self.kill_at is not None and not self.killed
        return told and any(_runs_in(pid, self.engine) for pid in _children())

    def _sweep(self) -> None:
        """Kill what the engine left behind, in its group or not, in its cgroup or not."""
        give_up = time.monotonic() + _SWEEP
        while time.monotonic() < give_up:
            for pid in [*_children(), *self._cgroup_members()]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    time.sleep(0.005)
            except ChildProcessError:
                if not self._cgroup_members():
                    return
                time.sleep(0.005)

    def _cgroup_members(self) -> list[int]:
        pids: set[int] = set()
        for folder in self.spec.cgroups:
            try:
                with open(os.path.join(folder, "cgroup.procs")) as file:
                    pids.update(int(line) for line in file)
            except OSError:
                continue  # the cgroup is gone, so nobody is in it
        return [*pids]

    def _pump(self) -> bytes | None:
        data = _read_some(self.output[0])
        if data:
            self.log.feed(data, time.time())  # noqa: TID251 - a process of its own, no Clock to take
        return data

    def _drain_output(self) -> None:
        while self._pump():
            continue

    def _oom_kills(self) -> int:
        try:
            with open(self.spec.oom_file) as file:
                fields = dict(line.split() for line in file)
            return int(fields.get("oom_kill", 0))
        except (OSError, ValueError):
            return 0  # no memory cgroup here

    def _record_exit(self, code: int | None, number: int | None) -> None:
        facts = {
            "at": time.time(),  # noqa: TID251
            "code": code,
            "signal": number,
            "oom": self._oom_kills() > self.oom_before,
            "dropped": self.log.dropped,
        }
        self._replace_file("exit.json", json.dumps(facts).encode().ljust(512))

    def _replace_file(self, name: str, data: bytes, *, rename: bool = True) -> None:
        path = os.path.join(self.run, name)
        part = path + ".part" if rename else path
        try:
            fd = os.open(part, os.O_WRONLY | os.O_CREAT, 0o600)  # no O_TRUNC: keeps its blocks
            try:
                os.write(fd, data)
                if rename:
                    os.replace(part, path)
            finally:
                os.close(fd)
        except OSError as error:
            # The folder was removed or the disk is full: the hub then reports the end as unseen.
            print(f"{path}: {error}", file=sys.stderr)  # noqa: T201 - goes to keeper.err


#: The command is there and yet cannot be run: 126, as shells say it.
_NOT_EXECUTABLE = frozenset({errno.EACCES, errno.ENOEXEC, errno.EPERM, errno.E2BIG})


def _become(spec: Spec, output: int, keeper: int) -> None:
    """In the child: take on limits and output, then turn into the engine. Never returns."""
    code = NOT_STARTED
    try:
        for number in (*_OURS, signal.SIGPIPE, signal.SIGXFSZ, *_DEAF):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS)
        os.setpgid(0, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        _end_with(keeper)
        _take_limits(spec)
        _show_files(spec)
        _end_with(keeper)  # again: kernels forget it where credentials change
        os.chdir(spec.cwd)
        code = 127
        os.execvpe(spec.argv[0], spec.argv, spec.env)  # noqa: S606 - no shell on purpose
    except OSError as error:
        if error.errno in _NOT_EXECUTABLE and code == 127:
            code = 126
        place = spec.argv[0] if code != NOT_STARTED else error.filename or "limits"
        why = _interpreter(place, spec.env) if code == 127 else ""
        os.write(2, f"[pierhead] cannot run {place}: {why or error.strerror}\n".encode())
    except ValueError as error:  # a NUL in an argument or a variable
        os.write(2, f"[pierhead] cannot run: {error}\n".encode())
    finally:
        os._exit(code)


def _interpreter(command: str, env: "dict[str, str]") -> str:
    """What is wrong with the first line of a script that is there and yet was not found; "" = nothing."""
    folders = [""] if "/" in command else env.get("PATH", os.defpath).split(":")
    for folder in folders:
        try:
            with open(os.path.join(folder, command), "rb") as file:
                first, end, _ = file.read(256).partition(b"\n")
        except OSError:
            continue
        if not first.startswith(b"#!") or not end:
            return ""
        if first.endswith(b"\r"):
            return "its first line has Windows line ends"
        named = os.fsdecode(first[2:].strip().partition(b" ")[0])
        return "" if os.path.exists(named) else f"its interpreter {named} does not exist"
    return ""


def _end_with(keeper: int) -> None:
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:  # the keeper died before the line above
        os._exit(NOT_STARTED)


def _take_limits(spec: Spec) -> None:
    for folder in spec.cgroups:
        with open(os.path.join(folder, "cgroup.procs"), "w") as file:
            file.write(str(os.getpid()))
    if spec.data_bytes:
        resource.setrlimit(resource.RLIMIT_DATA, (spec.data_bytes, spec.data_bytes))
    if spec.nice:
        os.nice(spec.nice)
    if spec.open_files:
        # The hub raised its own: who closes all descriptors up to the limit would take long over it.
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (spec.open_files, hard))


def _show_files(spec: Spec) -> None:
    """Give the engine a view of its own: ours stays the host's, where log and records belong."""
    if not spec.binds:
        return
    # Loaded here, after the fork: the keeper itself has no memory to spare for it. At the end of
    # the path, so that no neighbour of ours can be taken for a module of the standard library.
    sys.path.append(os.path.dirname(os.path.realpath(__file__)))
    try:
        __import__("namespace").show(spec.binds, spec.closed, own_users=spec.own_users)
    except (ImportError, OSError) as error:
        about = getattr(error, "filename", None) or "a view of its own"
        why = getattr(error, "strerror", None) or str(error)
        os.write(2, f"[pierhead] cannot run with its files at {about}: {why}\n".encode())
        os._exit(NOT_STARTED)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


def _runs_in(pid: int, group: int) -> bool:
    """Does this process run in that group? Zombies do not."""
    try:
        state, _parent, its_group = _stat(pid)[:3]
    except OSError:
        return False
    return int(its_group) == group and state not in "ZX"


def _ticks(pid: int) -> int:
    return int(_stat(pid)[19])


def _stat(pid: int) -> "list[str]":
    with open(f"/proc/{pid}/stat") as file:
        text = file.read()
    return text[text.rindex(")") + 2 :].split()


def _read_some(fd: int) -> bytes | None:
    """What is there, b"" at the end, None when there is nothing now."""
    try:
        return os.read(fd, _CHUNK)
    except BlockingIOError:
        return None


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[3]))
