"""A mount namespace of one process's own: files shown read-only, where its document wants them.

The standard library alone: the keeper loads it in the engine's process, between fork and exec.
Called by itself: `namespace.py probe` tells what is possible here; `namespace.py run PID:TICKS CWD
COMMAND...` runs a command where that process lives. Whatever is mounted here is seen by the process
and its children only, and goes with the last of them; nothing is ever made on the host.

Wire facts: mount_namespaces(7), user_namespaces(7), mount(2), pivot_root(2), proc(5) on mountinfo.
"""
# ruff: noqa: PTH101, PTH102, PTH106, PTH110, PTH112, PTH115, PTH116, PTH118, PTH120, PTH123, PTH208, PTH211

import ctypes
import errno
import os
import stat
import sys

_NEW_MOUNTS, _NEW_USERS = 0x00020000, 0x10000000  # linux/sched.h
_READ_ONLY, _NO_SUID, _NO_DEV, _NO_EXEC = 1, 2, 4, 8  # linux/mount.h, to the end of this block
_REMOUNT, _BIND, _WITH_ALL_BELOW, _PRIVATE = 1 << 5, 1 << 12, 1 << 14, 1 << 18
_DETACH = 2
#: Options of a mount that a remount would drop, or may not drop in a namespace of one's own users.
_KEPT = {
    b"ro": _READ_ONLY,
    b"nosuid": _NO_SUID,
    b"nodev": _NO_DEV,
    b"noexec": _NO_EXEC,
    b"nosymfollow": 1 << 8,
    b"noatime": 1 << 10,
    b"nodiratime": 1 << 11,
    b"relatime": 1 << 21,
}
#: The kernel's own trees: what is mounted over them breaks every program.
KERNELS = ("/proc", "/sys", "/dev")
#: Entries a folder may hold for one more to be shown in it: each costs a mount.
MOST = 2000
_OLD_ROOT = "/.pierhead"

_libc = ctypes.CDLL(None, use_errno=True)
os.get_exec_path()  # loads what os.execvp needs: behind other mounts it may be out of reach


def show(binds: "list[list[str]]", closed: "list[str]", *, own_users: bool) -> None:
    """Take a namespace of one's own and mount each [source, target] in it, read-only.

    `own_users`: with a user namespace, for who may not mount otherwise; uid and gid stay the same.
    `closed`: folders in which nothing may be shown that does not lie there.

    Raises:
        OSError: the kernel refuses; `filename` says what it was about.
    """
    _leave_the_hosts(own_users=own_users)
    view = _View()
    # Opened first: a source may lie below another's target.
    opened = [(_opened(source, target), source, target) for source, target in binds]
    for number, source, target in sorted(opened, key=lambda each: each[2].count("/")):
        if number is not None:
            view.place(number, target, () if source == target else (*KERNELS, *closed))
    view.finish()
    for number, _source, _target in opened:
        if number is not None:
            os.close(number)


def _leave_the_hosts(*, own_users: bool) -> None:
    uid, gid = os.geteuid(), os.getegid()
    wanted = _NEW_MOUNTS | (_NEW_USERS if own_users else 0)
    _checked(_libc.unshare(wanted), "a namespace of its own")
    if own_users:
        for name, text in (
            ("setgroups", "deny"),  # the kernel's condition for the line that follows
            ("gid_map", f"{gid} {gid} 1"),
            ("uid_map", f"{uid} {uid} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    # First of all: from here on no mount can reach the host.
    _mount(None, "/", _WITH_ALL_BELOW | _PRIVATE)


def _opened(source: str, target: str) -> "int | None":
    """A grip on what is to be shown; None when there is nothing to protect where it lies."""
    try:
        return os.open(source, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        if source == target:
            return None
        raise


class _View:
    """The file system as the process will see it, while it is being changed."""

    def __init__(self) -> None:
        self._own: set[int] = set()  # devices of folders that were made here
        self._sealed: list[str] = []  # of them, those that stand in a read-only folder
        self._moved = False  # has the root been replaced?

    def place(self, source: int, target: str, closed: "tuple[str, ...]") -> None:
        """Show what `source` has open at `target`, read-only with all that is mounted in it."""
        path = os.path.realpath(target)
        for folder in closed:
            if path in ("/", folder) or path.startswith(f"{folder}/"):
                raise OSError(errno.EPERM, "nothing may be shown there", target)
        if not os.path.exists(path):
            self._make(path, folder=stat.S_ISDIR(os.fstat(source).st_mode))
        _mount(f"/proc/self/fd/{source}", path, _BIND | _WITH_ALL_BELOW)
        for mounted, options in _mounts_at(path):
            _seal(mounted, options)

    def finish(self) -> None:
        """Let go of the host's root, and close folders that must not be written."""
        for folder in self._sealed:
            _seal(folder, 0)
        if self._moved:
            _checked(_libc.umount2(_OLD_ROOT.encode(), _DETACH), "the old root")
            os.rmdir(_OLD_ROOT)

    def _make(self, path: str, *, folder: bool) -> None:
        """A place to mount on that the host does not have."""
        above = [path]
        while not os.path.isdir(above[-1]):
            above.append(os.path.dirname(above[-1]))
        there = above.pop()
        if os.stat(there).st_dev not in self._own:
            self._widen(there)
        for missing in reversed(above[1:] if not folder else above):
            os.mkdir(missing)
            os.chmod(missing, 0o755)  # noqa: S103 - whatever our umask is
        if not folder:
            _touch(path)

    def _widen(self, folder: str) -> None:
        """Put a folder of our own in the place of `folder`, with all its entries, to add to it."""
        entries = list(os.scandir(folder))
        if len(entries) > MOST:
            text = f"it holds more than {MOST} entries, so nothing can be shown in it that is not there"
            raise OSError(errno.E2BIG, text, folder)
        mode = stat.S_IMODE(os.stat(folder).st_mode)
        if any(options & _READ_ONLY for _, options in _mounts_at(folder)[:1]):
            self._sealed.append(folder)
        if folder == "/":
            old, number = self._new_root(mode), -1
        else:
            number = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            old = f"/proc/self/fd/{number}"
            _mount_empty(folder, mode)
        self._own.add(os.stat(folder).st_dev)
        for entry in entries:
            _bring(entry, f"{old}/{entry.name}", os.path.join(folder, entry.name))
        if number >= 0:
            os.close(number)

    def _new_root(self, mode: int) -> str:
        """Where the old root is found from now on."""
        stage = "/proc"  # any folder will do: the new root leaves it at once
        _mount_empty(stage, mode)
        os.mkdir(stage + _OLD_ROOT)
        put_old = (stage + _OLD_ROOT).encode()
        _checked(_libc.pivot_root(stage.encode(), put_old), "a root of its own")
        os.chdir("/")
        self._moved = True
        return _OLD_ROOT


def _bring(entry: "os.DirEntry[str]", source: str, target: str) -> None:
    """One entry of the folder that was there before."""
    try:
        if entry.is_symlink():
            os.symlink(os.readlink(source), target)
            return
        if entry.is_dir(follow_symlinks=False):
            os.mkdir(target)
        else:
            _touch(target)
        _mount(source, target, _BIND | _WITH_ALL_BELOW)
    except FileNotFoundError:
        pass  # it was removed meanwhile


def _touch(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644))


def _mounts_at(path: str) -> "list[tuple[str, int]]":
    """(place, options) of the topmost mount at `path` and of those in it; else of the one it is in."""
    with open("/proc/self/mountinfo", "rb") as file:
        rows = [line.split(b" ", 6) for line in file]
    found = [(int(row[0]), int(row[1]), _plain(row[4]), _options(row[5])) for row in rows]
    while not any(place == path for *_, place, _ in found):
        if path == "/":
            return []  # not even the root is a mount of this namespace
        path = os.path.dirname(path)
    top = [each for each in found if each[2] == path][-1]
    ids, below = {top[0]}, [(top[2], top[3])]
    for id_, parent, place, options in found:  # parents come before what is mounted in them
        if parent in ids and id_ != top[0]:
            ids.add(id_)
            below.append((place, options))
    return below


def _plain(raw: bytes) -> str:
    r"""A path as mountinfo writes it: spaces and the like are \ooo."""
    first, *rest = raw.split(b"\\")
    return os.fsdecode(first + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest))


def _options(raw: bytes) -> int:
    return sum(_KEPT.get(name, 0) for name in raw.split(b","))


def _seal(path: str, options: int) -> None:
    _mount(None, path, _REMOUNT | _BIND | _READ_ONLY | _NO_SUID | _NO_DEV | options)


def _mount_empty(path: str, mode: int) -> None:
    _mount("tmpfs", path, _NO_SUID | _NO_DEV, "tmpfs", f"mode={mode:o}")


def _mount(
    source: "str | None", target: str, flags: int, kind: "str | None" = None, data: str = ""
) -> None:
    done = _libc.mount(
        None if source is None else os.fsencode(source),
        os.fsencode(target),
        None if kind is None else kind.encode(),
        ctypes.c_ulong(flags),
        data.encode() if data else None,
    )
    _checked(done, target)


def _checked(done: int, about: str) -> None:
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), about)


# ---- what is possible here ---------------------------------------------------------------------


def possible() -> str:
    """`root`, `user`, or `none REASON`: tried for real, in children that take it all with them."""
    reason = ""
    for name, own_users in (("root", False), ("user", True)):
        reason = _tried(own_users=own_users)
        if not reason:
            return name
    return f"none {reason}"


def _tried(*, own_users: bool) -> str:
    """ "" when files can be shown read-only at a path that does not exist, else why not."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _trial(own_users=own_users)
            code = 0
        except OSError as error:
            os.write(tell, f"{error.filename or 'mount'}: {error.strerror}".encode())
        finally:
            os._exit(code)
    os.close(tell)
    with open(told) as file:
        reason = file.read()
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return reason or ("" if ended == 0 else f"the trial ended with {ended}")


def _trial(*, own_users: bool) -> None:
    source, target = os.path.dirname(os.path.realpath(__file__)), f"/.pierhead-{os.getpid()}/a/b"
    show([[source, target]], [], own_users=own_users)
    if not os.statvfs(target).f_flag & os.ST_RDONLY or not os.listdir(target):
        raise OSError(errno.EIO, "it could be mounted, but not read-only", target)


# ---- where another process lives ---------------------------------------------------------------


def run(process: str, cwd: str, command: "list[str]") -> None:
    """Turn into `command`, beside `process` (`PID:TICKS`, its start time). Never returns.

    Raises:
        OSError: the process is gone, or its namespaces are closed to us; or there is no such command.
    """
    pid, ticks = process.split(":")
    kinds = (("user", _NEW_USERS), ("mnt", _NEW_MOUNTS))
    grips = [(os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY), name, kind) for name, kind in kinds]
    with open(f"/proc/{pid}/stat") as file:
        born = file.read().rpartition(")")[2].split()[19]
    if born != ticks:  # another process with the same number
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), process)
    for grip, name, kind in grips:
        same = os.path.samestat(os.fstat(grip), os.stat(f"/proc/self/ns/{name}"))
        if not same:
            _checked(_libc.setns(grip, kind), f"the {name} namespace of {pid}")
        os.close(grip)
    os.chdir(cwd)
    os.execvp(command[0], command)  # noqa: S606 - no shell on purpose


def main(arguments: "list[str]") -> int:
    """The exit code is the command's own, or 125 when it could not be started."""
    if arguments == ["probe"]:
        print(possible())  # noqa: T201 - read by mounting.py
        return 0
    try:
        run(arguments[1], arguments[2], arguments[3:])
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)  # noqa: T201
    return 125


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
