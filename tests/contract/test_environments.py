"""Python environments: built once per content, whole or not in use, and a failure says what it was about."""

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path

import pytest

import wheel_index
from builders import FakeClock
from pierhead.core.launch import EnvironmentPath
from pierhead.core.services import Hold
from pierhead.core.templates import Environment
from pierhead.sources import cache, conda, distribution, uv
from pierhead.sources.environments import RETRY_FIRST, Environments, Options, digest
from pierhead.sources.folders import Folders
from pierhead.sources.tool import NotBuilt, Tool, last_words

PATIENCE = 60.0
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
TINY = wheel_index.wheel("tinyweb", "1.2", "ANSWER = 42\n")
PROGRAM = "import tinyweb, sys; print(tinyweb.ANSWER, sys.prefix)"
Story = Callable[[Environments, FakeClock], Awaitable[None]]


def tell(folder: Path, story: Story, **options: object) -> None:
    async def whole() -> None:
        clock = FakeClock(time.time())
        made = Environments(folder, clock, lambda: None, Options(**options))  # type: ignore[arg-type]
        try:
            await asyncio.wait_for(story(made, clock), PATIENCE)
        finally:
            made.close()

    asyncio.run(whole())


async def ended(made: Environments, wanted: Environment) -> EnvironmentPath | Hold:
    """What `ensure` says once nothing is on its way any more."""
    while True:
        found = made.ensure(wanted)
        if not (isinstance(found, Hold) and found.progressing):
            return found
        await asyncio.sleep(0.01)


async def there(made: Environments, wanted: Environment) -> Path:
    found = await ended(made, wanted)
    assert isinstance(found, EnvironmentPath), found
    return Path(found.folder)


async def refused(made: Environments, wanted: Environment) -> Hold:
    found = await ended(made, wanted)
    assert isinstance(found, Hold)
    assert (found.reason, found.permanent) == ("EnvironmentFailed", True)
    return found


def output(folder: Path, *command: str) -> str:
    done = subprocess.run(
        [folder / "bin" / command[0], *command[1:]], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


# ---- built once ----------------------------------------------------------------------------------


def test_requirements_come_from_the_index_once_and_progress_is_told(tmp_path: Path) -> None:
    with wheel_index.serving({"tinyweb": TINY}) as index:
        wanted = Environment(requirements=("tinyweb==1.2",), index_url=f"{index.url}")
        same = Environment(requirements=("tinyweb==1.2",), index_url=f"{index.url}")

        async def story(made: Environments, clock: FakeClock) -> None:
            first = made.ensure(wanted)
            clock.advance(4)
            second = made.ensure(same)
            assert isinstance(first, Hold)
            assert isinstance(second, Hold)
            assert (first.reason, first.progressing) == ("InstallingEnvironment", True)
            assert second.message.endswith("for 4 s.")
            phases: set[str] = set()
            while isinstance(found := made.ensure(wanted), Hold):
                phases.add(found.message)
                await asyncio.sleep(0.005)
            assert any("installing 1 requirement," in phase for phase in phases), phases
            folder = Path(found.folder)
            assert output(folder, "python", "-c", PROGRAM) == f"42 {folder}"
            assert await there(made, same) == folder

        tell(tmp_path / "env", story)
        once = len(index.fetched)
        assert once
        tell(tmp_path / "env", story_of_reuse(wanted))
        assert len(index.fetched) == once


def story_of_reuse(wanted: Environment) -> Story:
    async def story(made: Environments, clock: FakeClock) -> None:
        del clock
        (before,) = made.listed()
        folder = await there(made, wanted)
        assert (before.folder, before.spec) == (folder, digest(wanted))

    return story


def test_two_hubs_that_need_the_same_build_it_once(tmp_path: Path) -> None:
    with wheel_index.serving({"tinyweb": TINY}) as index:
        wanted = Environment(requirements=("tinyweb",), index_url=index.url)

        async def alone(made: Environments, clock: FakeClock) -> None:
            del clock
            await there(made, wanted)

        async def story(one: Environments, clock: FakeClock) -> None:
            other = Environments(tmp_path / "env", clock, lambda: None)
            one.ensure(wanted)
            other.ensure(wanted)
            assert await there(one, wanted) == await there(other, wanted)
            assert len(one.listed()) == 1
            other.close()

        tell(tmp_path / "control", alone)
        once = len(index.fetched)
        tell(tmp_path / "env", story)
        assert len(index.fetched) == 2 * once


def test_another_content_is_another_environment(tmp_path: Path) -> None:
    async def story(made: Environments, clock: FakeClock) -> None:
        del clock
        one = await there(made, Environment(python=HERE))
        other = await there(made, Environment(python=HERE, trusted_host="index.test"))
        assert one != other
        assert (
            output(one, "python", "-c", "import sys; print('%d.%d' % sys.version_info[:2])") == HERE
        )

    tell(tmp_path, story)


def test_what_is_built_is_for_this_user_only_and_nothing_of_the_hub_reaches_the_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIERHEAD_SECRET", "hub-secret")
    monkeypatch.setenv("UV_CONCURRENT_BUILDS", "1")
    read, write = os.pipe()
    shown = Tool(10.0).run(
        (sys.executable, "-c", "import os; print(dict(os.environ))"), {"EXTRA": "1"}, (write,)
    )
    os.close(read)
    os.close(write)
    assert "hub-secret" not in shown
    assert "'UV_CONCURRENT_BUILDS': '1'" in shown
    assert "'EXTRA': '1'" in shown
    with wheel_index.serving({"tinyweb": TINY}) as index:
        wanted = Environment(requirements=("tinyweb",), index_url=index.url)

        async def story(made: Environments, clock: FakeClock) -> None:
            del clock
            folder = await there(made, wanted)
            assert stat.S_IMODE((folder / "requirements.txt").stat().st_mode) == 0o600

        tell(tmp_path / "env", story)
        assert stat.S_IMODE((tmp_path / "env").stat().st_mode) == 0o700


# ---- failures ------------------------------------------------------------------------------------


def test_a_requirement_that_nobody_has_is_quoted_and_tried_again_later(tmp_path: Path) -> None:
    with wheel_index.serving({"tinyweb": TINY}) as index:
        wanted = Environment(requirements=("tinyweb==9.9",), index_url=index.url)

        async def story(made: Environments, clock: FakeClock) -> None:
            found = await refused(made, wanted)
            assert found.message.count("tinyweb==9.9") >= 2, "in our words and in the tool's"
            clock.advance(RETRY_FIRST + 1)
            again = made.ensure(wanted)
            assert isinstance(again, Hold)
            assert again.reason == "EnvironmentFailed", "its error stands while it is tried again"
            assert "being tried again" in again.message
            made.retry(wanted)  # too early: it runs
            assert isinstance(again := made.ensure(wanted), Hold)
            assert again.reason == "EnvironmentFailed"

        tell(tmp_path, story)


def test_a_restart_tries_at_once_and_what_was_mended_works(tmp_path: Path) -> None:
    wheels = {"tinyweb": wheel_index.wheel("tinyweb", "1.0", "")}
    with wheel_index.serving(wheels) as index:
        wanted = Environment(requirements=("tinyweb==1.2",), index_url=index.url)

        async def story(made: Environments, clock: FakeClock) -> None:
            del clock
            await refused(made, wanted)
            made.retry(wanted)
            found = made.ensure(wanted)
            assert isinstance(found, Hold)
            assert found.reason == "InstallingEnvironment"
            await refused(made, wanted)

        tell(tmp_path, story)


def test_a_python_that_is_not_here_is_named_with_those_that_are(tmp_path: Path) -> None:
    async def story(made: Environments, clock: FakeClock) -> None:
        del clock
        found = await refused(made, Environment(python="3.99"))
        assert "Python 3.99 is not on this machine" in found.message
        assert f"there is {HERE}." in found.message or f", {HERE}." in found.message
        assert "environments.download" in found.message
        bad = await refused(made, Environment(python="--help"))
        assert "[--help] is no version" in bad.message
        assert made.listed() == []

    tell(tmp_path, story)


def test_without_uv_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))

    async def story(made: Environments, clock: FakeClock) -> None:
        del clock
        found = await refused(made, Environment(requirements=("six",)))
        assert "pip install 'pierhead[environments]'" in found.message

    tell(tmp_path / "env", story)


def test_credentials_of_an_index_are_not_repeated() -> None:
    said = "error: Failed to fetch: `https://joe:s3cret@index.test/simple/x/`\n  ╰─▶ 401\n"
    assert last_words(said) == "error: Failed to fetch: `https://******@index.test/simple/x/` 401"


def test_a_tool_that_hangs_is_ended() -> None:
    began = time.monotonic()
    with pytest.raises(NotBuilt, match=r"longer than 0\.2 s"):
        Tool(0.2).run(("sleep", "60"), {}, ())
    assert time.monotonic() - began < 10


def test_closing_ends_what_is_being_built() -> None:
    tool = Tool(60.0)
    began = time.monotonic()
    stopper = threading.Timer(0.2, tool.stop)
    stopper.start()
    with pytest.raises(NotBuilt):
        tool.run(("sleep", "60"), {}, ())
    stopper.join()
    assert time.monotonic() - began < 10
    with pytest.raises(NotBuilt, match="ending"):
        tool.run(("true",), {}, ())


# ---- kill -9 in the middle -----------------------------------------------------------------------

CUT_OFF = """
import asyncio, sys, time
from pathlib import Path
from pierhead.core.templates import Environment
from pierhead.sources.environments import Environments
async def main():
    made = Environments(Path(sys.argv[1]), time.time, lambda: None)
    wanted = Environment(requirements=("tinyweb",), index_url=sys.argv[2])
    while True:
        print(made.ensure(wanted).message, flush=True)
        await asyncio.sleep(0.005)
asyncio.run(main())
"""


@pytest.mark.parametrize("point", ["", "environment.before_ready"])
def test_a_hub_killed_in_the_middle_leaves_no_half_environment_in_use(
    tmp_path: Path, point: str
) -> None:
    """Law: after kill -9 nothing half done is taken for whole."""
    with wheel_index.serving({"tinyweb": TINY}) as index:
        wanted = Environment(requirements=("tinyweb",), index_url=index.url)
        hub = subprocess.Popen(
            [sys.executable, "-c", CUT_OFF, str(tmp_path), index.url],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PIERHEAD_FAILPOINT": f"{point}:kill" if point else ""},
        )
        assert hub.stdout is not None
        for line in hub.stdout:  # to the end, if it is the failpoint that kills
            if b"installing" in line and not point:
                hub.send_signal(signal.SIGKILL)
                break
        assert hub.wait(60) == -signal.SIGKILL
        hub.stdout.close()
        (folder,) = (path.with_suffix("") for path in tmp_path.glob("*.lock"))
        assert folder.is_dir()
        assert not cache.is_ready(folder)

        async def story(made: Environments, clock: FakeClock) -> None:
            del clock
            assert made.listed() == []
            assert await there(made, wanted) == folder
            assert output(folder, "python", "-c", PROGRAM) == f"42 {folder}"

        tell(tmp_path, story)


def test_an_environment_whose_interpreter_is_gone_is_built_anew(tmp_path: Path) -> None:
    wanted = Environment(python=HERE)

    async def story(made: Environments, clock: FakeClock) -> None:
        del clock
        folder = await there(made, wanted)
        for name in ("python", "python3"):
            (folder / "bin" / name).unlink()
        assert isinstance(made.ensure(wanted), Hold)
        assert await there(made, wanted) == folder

    tell(tmp_path, story)


# ---- pruning -------------------------------------------------------------------------------------


def test_old_ones_that_nobody_names_are_removed(tmp_path: Path) -> None:
    used, unused = Environment(python=HERE), Environment(trusted_host="index.test")

    async def story(made: Environments, clock: FakeClock) -> None:
        kept, gone = await there(made, used), await there(made, unused)
        assert made.prune([used], clock.now - 60) == [], "both were used just now"
        clock.advance(1000)
        assert made.prune([used], clock.now - 60) == [gone]
        assert [each.folder for each in made.listed()] == [kept]
        assert not gone.exists()
        assert await there(made, unused) == gone, "it comes back when somebody wants it"

    tell(tmp_path, story)


# ---- packages of the distribution, folders -------------------------------------------------------


@pytest.mark.skipif(not Path("/usr/bin/dpkg-query").exists(), reason="no Debian")
def test_packages_of_the_distribution_are_looked_at_and_named(tmp_path: Path) -> None:
    assert distribution.missing(("dpkg",)) == ()
    (notice,) = distribution.missing(("dpkg", "no-such-package-zz", "libno2=1.2", "--help"))
    assert notice.reason == "DistroPackagesNotInstalled"
    assert "no-such-package-zz, libno2, --help" in notice.message
    assert "dpkg," not in notice.message

    async def story(made: Environments, clock: FakeClock) -> None:
        del clock
        found = await ended(made, Environment(packages=("no-such-package-zz",)))
        assert isinstance(found, EnvironmentPath)
        assert [note.reason for note in found.notices] == ["DistroPackagesNotInstalled"]

    tell(tmp_path, story)


def test_where_nobody_knows_the_packages_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    (notice,) = distribution.missing(("curl",))
    assert "cannot be told" in notice.message


def test_a_file_system_that_hangs_costs_one_thread_and_no_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: a vanished network mount holds nobody up (F20)."""
    released = threading.Event()
    real = Path.exists

    def exists(path: Path) -> bool:
        return released.wait(30) if path == tmp_path / "nas" else real(path)

    monkeypatch.setattr(Path, "exists", exists)

    async def story() -> None:
        folders = Folders(patience=0.1)
        asked = [str(tmp_path), str(tmp_path / "no"), str(tmp_path / "nas")]
        for _ in range(3):
            assert await folders.missing(asked) == ([asked[1]], [asked[2]])
        assert sum(thread.name == "folder" for thread in threading.enumerate()) == 1
        released.set()
        assert await Folders(patience=20).there(asked[2])

    asyncio.run(asyncio.wait_for(story(), 30))


# ---- conda ---------------------------------------------------------------------------------------


def test_requirements_in_condas_words() -> None:
    asked = Environment(
        python="3.11", conda="24.1", requirements=("Six==1.16.0", "# a note", "numpy>=2, <3", "pip")
    )
    assert conda.specs(asked) == ("python 3.11.*", "six ==1.16.0", "numpy >=2,<3", "pip")
    assert conda.specs(Environment(conda="1", python=">=3.10")) == ("python >=3.10",)
    with pytest.raises(NotBuilt, match="git"):
        conda.specs(Environment(conda="1", requirements=("x @ git+https://git.test/x",)))


def test_conda_packages_of_a_local_channel_make_an_environment(tmp_path: Path) -> None:
    index = pytest.importorskip("rattler.index")
    channel = tmp_path / "channel"
    package(channel, "python", "3.11.4", {"bin/python": "#!/bin/sh\necho conda-python\n"})
    package(channel, "tinytool", "2.0", {"bin/tinytool": "#!/bin/sh\necho tool-2\n"})
    asyncio.run(index.index_fs(channel))
    wanted = Environment(python="3.11", conda="24.1.0", requirements=("tinytool==2.0",))

    async def story(made: Environments, clock: FakeClock) -> None:
        del clock
        folder = await there(made, wanted)
        assert output(folder, "python") == "conda-python"
        assert output(folder, "tinytool") == "tool-2"
        found = await refused(made, Environment(conda="24", requirements=("tinytool==3.0",)))
        assert "tinytool ==3.0" in found.message

    tell(tmp_path / "env", story, conda_channels=(f"file://{channel}",))


def test_without_rattler_conda_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rattler", None)

    async def story(made: Environments, clock: FakeClock) -> None:
        del clock
        found = await refused(made, Environment(conda="24.1.0"))
        assert "pierhead[conda]" in found.message
        assert "conda 24.1.0" in found.message

    tell(tmp_path, story)


def package(channel: Path, name: str, version: str, files: dict[str, str]) -> None:
    """A noarch package with executable files, in conda's older form."""
    about = {
        "name": name,
        "version": version,
        "build": "0",
        "build_number": 0,
        "subdir": "noarch",
        "noarch": "generic",
        "depends": [],
    }
    paths = [
        {
            "_path": path,
            "path_type": "hardlink",
            "sha256": __import__("hashlib").sha256(text.encode()).hexdigest(),
            "size_in_bytes": len(text.encode()),
        }
        for path, text in files.items()
    ]
    content = files | {
        "info/index.json": json.dumps(about),
        "info/files": "\n".join(files) + "\n",
        "info/paths.json": json.dumps({"paths": paths, "paths_version": 1}),
    }
    folder = channel / "noarch"
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / f"{name}-{version}-0.tar.bz2", "w:bz2") as archive:
        for path, text in content.items():
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(text.encode()), 0o755
            archive.addfile(entry, BytesIO(text.encode()))


def test_uv_finds_real_interpreters_and_no_shims(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "versions" / "3.12.1" / "bin").mkdir(parents=True)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}/shims:/usr/bin")
    asked: list[dict[str, str]] = []

    class Noting(Tool):
        def run(self, argv: object, env: object, keep: tuple[int, ...]) -> str:
            del argv, keep
            asked.append(dict(env))  # type: ignore[call-overload]
            return "uv 0.1.2 (abc)\n"

    made = uv.Uv("uv", Noting(1.0), tmp_path, downloads=False)
    assert made.version() == "uv 0.1.2"
    assert asked[0]["PATH"] == f"/usr/bin:{tmp_path}/versions/3.12.1/bin"
    assert asked[0]["UV_PYTHON_DOWNLOADS"] == "never"


def odd(path: Path, members: dict[str, tuple[bytes, str]]) -> None:
    """A package whose archive holds more than it says: `name -> (content, where a link leads)`."""
    with tarfile.open(path) as archive:
        found = {each.name: archive.extractfile(each).read() for each in archive.getmembers()}  # pyright: ignore[reportOptionalMemberAccess]
    with tarfile.open(path, "w:bz2") as archive:
        for name, (content, target) in {
            **members,
            **{name: (content, "") for name, content in found.items()},
        }.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            if target:
                entry.type, entry.linkname, entry.size = tarfile.SYMTYPE, target, 0
            archive.addfile(entry, BytesIO(content) if not target else None)


@pytest.mark.parametrize("way", ["parents", "absolute", "link"])
def test_a_conda_package_cannot_write_outside_its_environment(tmp_path: Path, way: str) -> None:
    index = pytest.importorskip("rattler.index")
    channel, evil = tmp_path / "channel", tmp_path / "evil"
    evil.mkdir()
    package(channel, "python", "3.11.4", {"bin/python": "#!/bin/sh\n"})
    package(channel, "tinytool", "2.0", {"bin/tinytool": "#!/bin/sh\n"})
    members = {
        "parents": {"../" * 30 + str(evil / "file").lstrip("/"): (b"evil", "")},
        "absolute": {str(evil / "file"): (b"evil", "")},
        "link": {"out": (b"", str(evil)), "out/file": (b"evil", "")},
    }[way]
    odd(channel / "noarch" / "tinytool-2.0-0.tar.bz2", members)
    asyncio.run(index.index_fs(channel))
    wanted = Environment(python="3.11", conda="24.1.0", requirements=("tinytool==2.0",))

    async def story(made: Environments, clock: FakeClock) -> None:
        del clock
        found = made.ensure(wanted)
        while not isinstance(found, Path) and getattr(found, "progressing", False):
            await asyncio.sleep(0.05)
            found = made.ensure(wanted)

    tell(tmp_path / "env", story, conda_channels=(f"file://{channel}",))
    assert list(evil.iterdir()) == []
