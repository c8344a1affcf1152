"""A namespace of one's own, for real: what is seen in it, and that the host sees nothing of it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ordinary_user
from pierhead.core.errors import Unsupported
from pierhead.core.launch import Bind, Files, Launch, Placement
from pierhead.core.templates import Link, Probe, Template
from pierhead.core.workloads import Workload
from pierhead.runtimes.process import mounting, namespace
from pierhead.runtimes.process.identity import stat
from pierhead.runtimes.process.mounting import Mounts

#: Takes a namespace, then tells what a few lines of Python find in it.
INSIDE = """
import errno, json, os, subprocess, sys
sys.path.append(sys.argv[1])
import namespace
def write(path):
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
    except OSError as error:
        return errno.errorcode[error.errno]
    return "written"
asked = json.loads(sys.argv[2])
try:
    namespace.show(asked["binds"], asked["closed"], own_users=asked["own_users"])
    exec(asked["code"], globals(), found := {})
    print(json.dumps(found["found"]))
except OSError as error:
    print(json.dumps([error.filename, error.strerror]))
"""


@pytest.fixture(params=["root", "user"])
def means(request: pytest.FixtureRequest) -> str:
    """Both ways; each is skipped where this kernel does not let us."""
    here = possible(request.param)
    if here != request.param:
        pytest.skip(f"{request.param}: not possible on this machine: {here}")
    return request.param


def possible(means: str) -> str:
    """What the probe says, as root or as an ordinary user."""
    if means == "root" and os.geteuid() != 0:
        return "none of root's ways for who is not root"
    if not interpreter(means):
        return "none: no interpreter that an ordinary user may start"
    return called(["probe"], means).stdout.strip()


def called(arguments: list[str], means: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    """namespace.py as a program."""
    return subprocess.run(
        [interpreter(means), "-I", "-S", namespace.__file__, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        **identity(means),
        **options,
    )


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


def identity(means: str) -> dict[str, Any]:
    return ordinary_user.identity() if means == "user" else {}


def interpreter(means: str) -> str:
    return ordinary_user.python() if means == "user" else sys.executable


@pytest.fixture
def place(means: str) -> Iterator[Path]:
    """A folder that the one who mounts may enter; pytest's own are root's alone."""
    with tempfile.TemporaryDirectory(prefix="namespace") as made:
        folder = Path(made).resolve()
        folder.chmod(0o755)
        weights = folder / "weights"
        (weights / "deep").mkdir(parents=True)
        (weights / "model.gguf").write_text("the model")
        (weights / "deep" / "part").write_text("a part")
        (folder / "lora").mkdir()
        (folder / "lora" / "adapter").write_text("a lora")
        for each in [folder, *folder.rglob("*")] if means == "user" and os.geteuid() == 0 else ():
            os.chown(each, ordinary_user.NOBODY, ordinary_user.NOBODY)
        yield folder


def inside(
    means: str, binds: list[tuple[Path | str, str]], code: str, closed: tuple[str, ...] = ()
) -> Any:
    """What `code` leaves in `found`; [filename, text] when the namespace cannot be made."""
    before = seen_by_the_host(binds)
    asked = {
        "binds": [(str(source), target) for source, target in binds],
        "closed": closed,
        "own_users": means == "user",
        "code": code,
    }
    done = subprocess.run(
        [
            *(interpreter(means), "-I", "-S", "-c", INSIDE),
            *(str(Path(namespace.__file__).parent), json.dumps(asked)),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        cwd="/",
        **identity(means),
    )
    assert done.returncode == 0, done.stderr
    assert seen_by_the_host(binds) == before, "a mount came out of its namespace"
    return json.loads(done.stdout)


TARGETS = ["/mnt/model", "/workspace/a/b", "/usr/share/pierhead-test/x", "/opt/pierhead test/模型"]


@pytest.mark.parametrize("target", TARGETS)
def test_a_path_that_the_host_lacks_is_there_and_read_only(
    means: str, place: Path, target: str
) -> None:
    assert not Path(target).exists(), "the test needs a path that is not there"
    top = names(Path("/"))
    code = f"""if True:
    there = {target!r}
    found = [open(there + "/model.gguf").read(), open(there + "/deep/part").read(), write(there + "/x"),
             write(there + "/deep/part"), os.getuid(), os.getgid(), sorted(os.listdir("/")),
             subprocess.run(["/bin/sh", "-c", 'echo x > "$0/y"', there], stderr=-3).returncode != 0]
    """
    found = inside(means, [(place / "weights", target)], code)
    text, part, new, old, uid, gid, seen, failed = found
    assert (text, part, new, old, failed) == ("the model", "a part", "EROFS", "EROFS", True)
    assert (uid, gid) == (
        (ordinary_user.NOBODY, ordinary_user.NOBODY)
        if identity(means)
        else (os.getuid(), os.getgid())
    )
    assert set(seen) == top | {target.split("/")[1]}, "all else is there as ever"
    assert not Path(target).exists()
    assert names(Path("/")) == top


def test_a_folder_that_is_there_is_covered_and_can_be_the_source_itself(
    means: str, place: Path
) -> None:
    weights, lora = place / "weights", place / "lora"
    code = f"found = [write({str(weights / 'x')!r}), os.listdir({str(lora)!r}), write({str(place / 'ok')!r})]"
    found = inside(means, [(weights, str(weights)), (weights / "deep", str(lora))], code)
    assert found == ["EROFS", ["part"], "written"]
    assert names(lora) == {"adapter"}


def test_a_file_is_shown_alone(means: str, place: Path) -> None:
    source = place / "weights" / "model.gguf"
    code = """found = [open("/mnt/only/one.gguf").read(), write("/mnt/only/one.gguf")]"""
    assert inside(means, [(source, "/mnt/only/one.gguf")], code) == ["the model", "EROFS"]


@pytest.mark.parametrize("inner", ["deep", "new/x"])
def test_one_is_shown_in_another(means: str, place: Path, inner: str) -> None:
    code = f"""if True:
    there = "/mnt/model/{inner}"
    found = [os.listdir(there), write(there + "/x"), open("/mnt/model/model.gguf").read(),
             write("/mnt/model/x"), write("/mnt/model/model.gguf")]
    """
    binds = [(place / "lora", f"/mnt/model/{inner}"), (place / "weights", "/mnt/model")]
    found = inside(means, binds, code)
    assert found == [["adapter"], "EROFS", "the model", "EROFS", "EROFS"]


def test_a_source_may_lie_below_what_another_covers(means: str, place: Path) -> None:
    code = f"found = [os.listdir({str(place / 'weights')!r}), os.listdir('/mnt/model')]"
    binds = [(place / "lora", str(place / "weights")), (place / "weights" / "deep", "/mnt/model")]
    assert inside(means, binds, code) == [["adapter"], ["part"]]


def test_what_is_mounted_in_the_source_is_read_only_too(means: str, place: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount on the host for this")
    below = place / "weights" / "deep"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=777", "test", str(below)], check=True)
    try:
        (below / "fresh").write_text("1")
        (below / "fresh").chmod(0o666)
        code = "found = [os.listdir('/mnt/m/deep'), write('/mnt/m/deep/fresh')]"
        found = inside(means, [(place / "weights", "/mnt/m")], code)
    finally:
        subprocess.run(["umount", str(below)], check=True)
    assert found == [["fresh"], "EROFS"]


def test_a_nas_that_root_mounted_is_shown(means: str, place: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount on the host for this")
    nas = place / "nas"
    nas.mkdir()
    subprocess.run(["mount", "--bind", str(place / "weights"), str(nas)], check=True)
    subprocess.run(
        ["mount", "-o", "remount,bind,noexec,nosuid,nodev", str(nas)],
        check=True,
    )
    try:
        code = "found = [open('/mnt/m/model.gguf').read(), write('/mnt/m/x'), os.statvfs('/mnt/m').f_flag & 15]"
        found = inside(means, [(nas, str(nas)), (nas, "/mnt/m")], code)
    finally:
        subprocess.run(["umount", str(nas)], check=True)
    assert found == ["the model", "EROFS", 15], "its own options stay"


def test_what_stands_beside_the_new_path_is_as_it_was(means: str, place: Path) -> None:
    (place / "link").symlink_to("weights")
    code = f"""if True:
    at = {str(place)!r}
    found = [sorted(os.listdir(at)), os.readlink(at + "/link"), open(at + "/link/model.gguf").read(),
             write(at + "/lora/mine")]
    """
    found = inside(means, [(place / "weights", str(place / "new" / "model"))], code)
    assert found == [["link", "lora", "new", "weights"], "weights", "the model", "written"]
    assert (place / "lora" / "mine").exists(), "a folder that is brought back is the host's own"
    assert not (place / "new").exists()


def test_refusals_say_what_they_are_about(means: str, place: Path) -> None:
    weights = place / "weights"
    (place / "kernel").symlink_to("/proc")
    many = place / "many"
    many.mkdir()
    for number in range(namespace.MOST + 1):
        (many / str(number)).touch()
    cases: list[tuple[Path, str, str]] = [
        (place / "absent", "/mnt/model", "No such file or directory"),
        (weights, str(place / "kernel"), "nothing may be shown there"),
        (weights, str(place / "kernel" / "x"), "nothing may be shown there"),
        (weights, "/", "nothing may be shown there"),
        (weights, "/dev/x", "nothing may be shown there"),
        (weights, str(place / "lora" / "x"), "nothing may be shown there"),
        (weights, str(weights / "model.gguf"), "Not a directory"),
        (weights, str(weights / "model.gguf" / "x"), "File exists"),
        (weights, str(many / "new"), "more than 2000 entries"),
    ]
    for source, target, problem in cases:
        filename, text = inside(
            means, [(source, target)], "found = 'shown'", (str(place / "lora"),)
        )
        assert problem in text, (target, text)
        assert filename
    absent = str(place / "absent")
    assert inside(means, [(absent, absent)], "found = 'fine'") == "fine", "nothing to protect"


def test_a_command_runs_where_a_process_lives(means: str, place: Path) -> None:
    code = """if True:
    import time
    print(os.getpid(), flush=True)
    sys.stdin.read()
    found = 1
    """
    asked = {"binds": [(str(place / "weights"), "/workspace/m")], "closed": []}
    asked |= {"own_users": means == "user", "code": code}
    folder = str(Path(namespace.__file__).parent)
    with subprocess.Popen(
        [interpreter(means), "-I", "-S", "-c", INSIDE, folder, json.dumps(asked)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd="/",
        **identity(means),
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        born = stat(process.pid)
        assert born is not None
        who = f"{process.pid}:{born.ticks}"
        show = ["sh", "-c", "pwd; cat model.gguf; touch x; id -u"]
        done = called(["run", who, "/workspace/m", *show], means)
        failed = called(["run", who, "/workspace/m", "sh", "-c", "exit 3"], means)
        stranger = called(["run", f"{process.pid}:1", "/", "true"], means)
        nowhere = called(["run", who, "/nowhere", "true"], means)
        process.communicate()
    uid = ordinary_user.NOBODY if identity(means) else os.getuid()
    assert done.stdout == f"/workspace/m\nthe model{uid}\n"
    assert "Read-only file system" in done.stderr
    assert (failed.returncode, stranger.returncode, nowhere.returncode) == (3, 125, 125)
    assert "No such process" in stranger.stderr
    assert "/nowhere" in nowhere.stderr


def seen_by_the_host(binds: list[tuple[Path | str, str]]) -> list[str]:
    """The host's mounts of these; other tests may mount what they like meanwhile."""
    names = [
        str(path).replace(" ", "\\040") for source, target in binds for path in (source, target)
    ]
    rows = Path("/proc/self/mountinfo").read_text().splitlines()
    return [row for row in rows if any(name in row.split() for name in names if name != "/")]


# ---- what is possible, and what each replica is shown ------------------------------------------


def test_what_is_possible_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    found = mounting.possible()
    assert found.binds == (found.means != "none")
    monkeypatch.setattr(mounting, "_SCRIPT", "/nowhere.py")
    mounting.possible.cache_clear()
    try:
        none = mounting.possible()
    finally:
        mounting.possible.cache_clear()
    assert not none.binds
    assert "ended with 2" in none.sentence
    assert "unprivileged user namespaces" in none.sentence


PLACEMENT = Placement("s", "s-1", "127.0.0.1", 1, "", 1, folder="/data/replicas/s/s-1")
MOUNTS = Mounts("root", closed=("/data",))


def asked(workload: Workload, placement: Placement) -> Launch:
    """An engine that is shown nothing more, and tells what it was given."""
    files = workload.files
    return Launch((files.folder, files.model, str(placement.binds)), {}, Probe())


def launched(files: Files, mounts: Mounts = MOUNTS, **template: Any) -> Launch:
    made = Template("t", "custom", **template)
    return mounts.launched(asked, Workload("i", "s", "1.0", 1, made, files), PLACEMENT)


def test_weights_and_datasets_are_protected_where_they_lie() -> None:
    found = launched(Files("/w/a", "/w/a/m", 1), links=(Link("d", "/sets/d"),))
    assert found.argv == ("/w/a", "/w/a/m", "True")
    assert found.binds == (Bind("/w/a", "/w/a"), Bind("/sets/d", "/sets/d"))
    assert launched(Files("", "", 0)).binds == ()


def test_weights_are_seen_at_the_mount_path() -> None:
    found = launched(Files("/w/a", "/w/a/m", 1), mount_path="/mnt/model")
    assert found.argv == ("/mnt/model", "/mnt/model/m", "True")
    assert found.binds == (Bind("/w/a", "/w/a"), Bind("/w/a", "/mnt/model"))
    none = launched(Files("/w/a", "/w/a/m", 1), Mounts("none"), mount_path="/mnt/model")
    assert (none.argv, none.binds) == (("/w/a", "/w/a/m", "False"), ())
    assert launched(Files("", "", 0), mount_path="/mnt/model").binds == ()


def test_a_folder_in_which_the_replica_writes_is_not_closed() -> None:
    for folder in ("/", "/data", "/data/replicas/s/s-1", tempfile.gettempdir()):
        model = f"{folder.rstrip('/')}/m.gguf"
        assert launched(Files(folder, model, 1)).binds == (Bind(model, model),)
    assert launched(Files("/data/replicas", "/data/replicas", 1)).binds == ()


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        ("/data", "keeps its own data in [/data]"),
        ("/data/x/y", "keeps its own data in [/data]"),
        (sys.prefix, "which the replica needs"),
        (str(Path(mounting.__file__).parents[3]), "which the replica needs"),
        ("/envs", "would hide [/envs/1]"),
    ],
)
def test_no_mount_covers_what_is_needed(path: str, problem: str) -> None:
    with pytest.raises(Unsupported) as refusal:
        launched(Files("/w", "/w/m", 1, environment="/envs/1"), mount_path=path)
    assert f"The mount path [{path}]" in str(refusal.value)
    assert problem in str(refusal.value)
