"""The survey on real folders: sizes, READMEs, capacities, copies, and what hangs or has gone."""

import asyncio
import hashlib
import json
import os
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from registry_world import PATIENCE, World

from builders import ROOT
from pierhead.core.errors import Conflict, Invalid
from pierhead.core.query import Query
from pierhead.core.registry import DeleteMode, Extras
from pierhead.operations import centers, metadata, models, templates
from pierhead.reconciler import survey as survey_module
from pierhead.reconciler.aside import Aside, Busy
from pierhead.reconciler.survey import Survey
from pierhead.sources import copying, headers
from pierhead.sources.measure import README_BYTES, measure, readme
from pierhead.store import datasets as dataset_rows
from pierhead.store import db, facts
from pierhead.store import templates as template_rows

Scene = Callable[[World, Survey], Coroutine[Any, Any, None]]
Run = Callable[[Scene], None]


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Run]:
    """Runs a scene in a world whose survey works in real time on a real folder."""

    def run(scene: Scene) -> None:
        world = World(db.sqlite_url(tmp_path / "pierhead.db"), tmp_path)

        async def whole() -> None:
            survey = Survey(world.db, cache=tmp_path / "cache")
            object.__setattr__(world.platform, "survey", survey.wake)
            await world.begin()
            await survey.start()
            try:
                await scene(world, survey)
            finally:
                await survey.close()

        try:
            asyncio.run(whole())
        finally:
            world.db.close()

    yield run


def names(folder: Path) -> list[str]:
    """What lies in a folder."""
    return sorted(path.name for path in folder.iterdir())


def fill(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_md", ".md")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


async def template_is(world: World, uuid: str, **fields: Any) -> None:
    async def look() -> bool:
        found = await templates.find(world.platform, ROOT, uuid)
        return all(getattr(found, name) == value for name, value in fields.items())

    await world.until(look)


# ---- measuring


def test_files_are_measured_when_something_is_registered(play: Run) -> None:
    async def scene(world: World, _survey: Survey) -> None:
        root = Path(world.home.models)
        fill(root / "chat", a="12345", sub__b="678", README_md="# Hello\n")
        fill(root / "w", weights="x" * 100)
        made = await world.template(install_path="chat")
        assert (made.size, made.readme) == (0, None)
        model = await world.model(install_path="w")
        given = await world.model(install_path="w", size=7)
        data = await world.dataset(url="w")
        await template_is(world, made.uuid, size=16, readme="# Hello\n")
        found = await templates.find(world.platform, ROOT, made.uuid)
        assert found.updated == made.updated  # nobody changed it

        async def measured() -> bool:
            one = await models.find(world.platform, ROOT, model.uuid)
            other = await world.db.read(dataset_rows.load, data.uuid)
            return one.size == 100 and other is not None and other.size == 100

        await world.until(measured)
        assert (await models.find(world.platform, ROOT, given.uuid)).size == 7

    play(scene)


def test_another_path_is_measured_anew_and_a_given_readme_stays(play: Run) -> None:
    async def scene(world: World, _survey: Survey) -> None:
        root = Path(world.home.models)
        fill(root / "a", README_md="# A")
        fill(root / "b", README_md="# BB")
        made = await world.template(install_path="a")
        await template_is(world, made.uuid, size=3, readme="# A")
        await templates.update(world.platform, ROOT, made.uuid, {"install_path": "b"})
        await template_is(world, made.uuid, size=4, readme="# BB")
        copy = await templates.clone(world.platform, ROOT, made.uuid, {"readme": "mine"}, Extras())
        await template_is(world, copy.uuid, size=4, readme="mine")

    play(scene)


def test_the_center_tells_its_room_and_what_is_in_it(play: Run) -> None:
    async def scene(world: World, survey: Survey) -> None:
        root = Path(world.home.models)
        fill(root / "chat", a="12345")
        fill(root / "w", a="123")
        fill(world.folder / "cache", kept="1234567")
        template = await world.template(install_path="chat")
        await world.model(install_path="w")
        await world.dataset(url="w")
        await template_is(world, template.uuid, size=5)

        async def told() -> bool:
            survey.wake(f"center:{world.center}")
            held = (await centers.find(world.platform, world.center)).capacity
            return (held.models, held.templates, held.datasets, held.cache) == (3, 5, 3, 7)

        await world.until(told)
        center = await centers.find(world.platform, world.center)
        facts_ = os.statvfs(root)
        assert center.capacity.total == facts_.f_blocks * facts_.f_frsize
        assert 0 < center.capacity.available <= center.capacity.total
        assert center.connected

    play(scene)


def test_files_that_come_later_are_found_at_a_later_look(play: Run) -> None:
    async def scene(world: World, survey: Survey) -> None:
        made = await world.template(install_path="later")
        fill(Path(world.home.models) / "later", a="1234")
        survey._rounds.clear()  # pyright: ignore[reportPrivateUsage]  # as if its time had come
        survey.wake(f"center:{world.center}")
        await template_is(world, made.uuid, size=4)

    play(scene)


def test_a_root_that_is_not_there_is_disconnected_until_it_is(play: Run) -> None:
    async def scene(world: World, survey: Survey) -> None:
        root = world.folder / "disk"
        made = await world.add_center(url=f"file://{root}")

        async def connected(*, wanted: bool) -> None:
            async def look() -> bool:
                return (await centers.find(world.platform, made.uuid)).connected is wanted

            await world.until(look)

        await connected(wanted=False)
        root.mkdir()
        survey.wake(f"center:{made.uuid}")
        await connected(wanted=True)

    play(scene)


def test_another_machines_root_stays_connected_with_nothing_counted(play: Run) -> None:
    async def scene(world: World, survey: Survey) -> None:
        made = await world.add_center(url="10.0.0.1:/ai")
        template = await world.template(center=made.uuid, install_path="x")
        survey.wake(f"center:{made.uuid}")
        fill(Path(world.home.models) / "after", a="1")
        after = await world.template(install_path="after")
        await template_is(world, after.uuid, size=1)  # by now the others were looked at
        center = await centers.find(world.platform, made.uuid)
        assert (center.connected, center.capacity.total) == (True, 0)
        assert (await templates.find(world.platform, ROOT, template.uuid)).size == 0

    play(scene)


def test_what_was_deleted_meanwhile_is_no_error(
    play: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scene(world: World, survey: Survey) -> None:
        for kind in ("template", "model", "dataset", "center", "copy", "discard", "files"):
            survey.wake(f"{kind}:{'0' * 32}")
        gone = await world.template(install_path="gone")
        await templates.delete(world.platform, ROOT, gone.uuid, DeleteMode.ENFORCING)
        fill(Path(world.home.models) / "after", a="1")
        after = await world.template(install_path="after")
        await template_is(world, after.uuid, size=1)

    play(scene)
    assert "failed" not in capsys.readouterr().out


def test_a_disk_that_hangs_is_disconnected_and_delays_nothing_else(
    play: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Law: a disk that hangs delays nobody else (F20)."""
    hanging, released = Event(), Event()
    real = survey_module.room

    def room(folder: Path) -> Any:
        if folder.name == "hangs":
            hanging.set()
            released.wait(PATIENCE)
        return real(folder)

    monkeypatch.setattr(survey_module, "room", room)
    monkeypatch.setattr(survey_module, "PROBE_SECONDS", 0.05)

    async def scene(world: World, survey: Survey) -> None:
        (world.folder / "hangs").mkdir()
        made = await world.add_center(url=f"file://{world.folder}/hangs")

        async def disconnected() -> bool:
            return not (await centers.find(world.platform, made.uuid)).connected

        await world.until(disconnected)
        assert hanging.is_set()
        fill(Path(world.home.models) / "chat", a="1")
        template = await world.template(install_path="chat")
        await template_is(world, template.uuid, size=1)
        released.set()

        async def connected() -> bool:
            survey.wake(f"center:{made.uuid}")
            return (await centers.find(world.platform, made.uuid)).connected

        await world.until(connected)

    play(scene)


# ---- copies


def test_a_clones_files_are_copied_then_measured_and_removed_with_it(play: Run) -> None:
    async def scene(world: World, _survey: Survey) -> None:
        root = Path(world.home.models)
        source = fill(root / "chat", a="12345", sub__b="678", README_md="# Hi")
        (source / "run.sh").write_text("#!/bin/sh\n")
        (source / "run.sh").chmod(0o755)
        (source / "link").symlink_to("sub/b")
        (source / "out").symlink_to("../../pierhead.db")
        old = await world.template(install_path="chat")
        new = await templates.clone(
            world.platform, ROOT, old.uuid, {"install_path": "deep/copy"}, Extras()
        )
        await template_is(world, new.uuid, readme="# Hi")
        copy = root / "deep" / "copy"
        assert (copy / "sub" / "b").read_text() == "678"
        assert (copy / "link").read_text() == "678"
        assert names(copy) == [".pierhead-copy", "README.md", "a", "link", "run.sh", "sub"]
        assert os.access(copy / "run.sh", os.X_OK)
        assert names(copy.parent) == ["copy"]
        assert await world.db.read(facts.under, "copy:") == {}

        await templates.delete(world.platform, ROOT, old.uuid, DeleteMode.PERMISSIVE)
        await templates.delete(world.platform, ROOT, new.uuid, DeleteMode.PERMISSIVE)

        async def settled() -> bool:
            return await world.db.read(facts.under, "discard:") == {}

        await world.until(settled)
        assert not copy.exists()
        assert (source / "a").exists()  # nobody's copy: it stays

    play(scene)


def test_a_copy_that_somebody_needs_stays(play: Run) -> None:
    async def scene(world: World, _survey: Survey) -> None:
        root = Path(world.home.models)
        fill(root / "chat", README_md="# Hi")
        old = await world.template(install_path="chat")
        new = await templates.clone(
            world.platform, ROOT, old.uuid, {"install_path": "copy"}, Extras()
        )
        await template_is(world, new.uuid, readme="# Hi")
        await world.template(install_path="copy/sub")
        await templates.delete(world.platform, ROOT, new.uuid, DeleteMode.PERMISSIVE)

        async def settled() -> bool:
            return await world.db.read(facts.under, "discard:") == {}

        await world.until(settled)
        assert (root / "copy" / "README.md").exists()

    play(scene)


def test_files_that_lie_where_a_copy_should_go_are_used_as_they_are(play: Run) -> None:
    async def scene(world: World, _survey: Survey) -> None:
        root = Path(world.home.models)
        fill(root / "chat", README_md="# Chat")
        fill(root / "own", README_md="# Own")
        old = await world.template(install_path="chat")
        new = await templates.clone(
            world.platform, ROOT, old.uuid, {"install_path": "own"}, Extras()
        )
        await template_is(world, new.uuid, readme="# Own")
        assert names(root / "own") == ["README.md"]

    play(scene)


def test_a_clone_within_the_files_of_its_original_is_refused(play: Run) -> None:
    async def scene(world: World, _survey: Survey) -> None:
        fill(Path(world.home.models) / "chat", README_md="# Chat")
        old = await world.template(install_path="chat")
        for place in ("chat/copy", "./chat//copy", f"{world.home.models}/chat/a/b"):
            with pytest.raises(Invalid, match="installPath"):
                await templates.clone(
                    world.platform, ROOT, old.uuid, {"install_path": place}, Extras()
                )
        found = await world.db.read(template_rows.page, Query())
        assert [row.uuid for row in found.rows if not row.shipped] == [old.uuid]

    play(scene)


def test_a_restart_goes_on_with_a_copy(tmp_path: Path) -> None:
    world = World(db.sqlite_url(tmp_path / "pierhead.db"), tmp_path)

    async def whole() -> None:
        await world.begin()
        root = Path(world.home.models)
        fill(root / "chat", README_md="# Hi")
        old = await world.template(install_path="chat")
        new = await templates.clone(
            world.platform, ROOT, old.uuid, {"install_path": "copy"}, Extras()
        )
        fill(root / f"copy.{new.uuid}.part", half="x")  # as the killed hub left it
        survey = Survey(world.db)
        await survey.start()
        try:
            await template_is(world, new.uuid, readme="# Hi")
        finally:
            await survey.close()
        assert names(root) == ["chat", "copy"]
        assert not (root / "copy" / "half").exists()

    try:
        asyncio.run(whole())
    finally:
        world.db.close()


def test_a_copy_that_cannot_be_made_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="is no folder"):
        copying.copy(tmp_path / "none", tmp_path / "to", "u", lambda: False, lambda _: None)
    source = fill(tmp_path / "from", a="1")
    with pytest.raises(copying.Stopped):
        copying.copy(source, tmp_path / "to", "u", lambda: True, lambda _: None)
    assert not (tmp_path / "to").exists()
    copying.copy(source, tmp_path / "to", "u", lambda: False, lambda _: None)
    copying.copy(source, tmp_path / "to", "u", lambda: False, lambda _: None)
    with pytest.raises(Conflict):
        copying.copy(source, tmp_path / "to", "v", lambda: False, lambda _: None)
    for inside in (source / "new" / "er", source):
        with pytest.raises(Conflict):
            copying.copy(source, inside, "u", lambda: False, lambda _: None)
    assert names(source) == ["a"]
    assert not copying.discard(tmp_path / "to", "v")
    assert not copying.discard(source, "u")
    assert copying.discard(tmp_path / "to", "u")
    assert names(tmp_path) == ["from"]


# ---- what is read from files


def test_a_tree_is_counted_once_and_no_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    folder = fill(tmp_path / "f", a="12345", sub__b="678")
    (folder / "again").hardlink_to(folder / "a")
    (folder / "link").symlink_to("sub/b")
    (folder / "loop").symlink_to(".")
    (folder / "broken").symlink_to("nothing")
    os.mkfifo(folder / "pipe")
    found = measure(folder)
    assert (found.there, found.readme) == (True, None)
    assert found.size in {8, 11}  # a link met before its file counts as the file
    assert measure(folder / "a").size == 5
    assert not measure(tmp_path / "none").there
    assert not measure(Path("/x\0y")).there
    assert not measure(folder, stopped=lambda: True).whole


def test_a_readme_is_a_file_of_the_folder_and_bounded(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("password")
    folder = tmp_path / "f"
    folder.mkdir()
    assert readme(folder) is None
    (folder / "README.md").symlink_to(secret)
    assert readme(folder) is None
    (folder / "README.md").unlink()
    os.mkfifo(folder / "README.md")
    assert readme(folder) is None
    (folder / "README.md").unlink()
    (folder / "README.md").write_bytes(b"\xff\0" + b"x" * 2 * README_BYTES)
    text = readme(folder)
    assert text is not None
    assert text.startswith("\ufffdx")
    assert len(text) < README_BYTES + 1


def gguf(*pairs: bytes, version: int = 3) -> bytes:
    head = b"GGUF" + version.to_bytes(4, "little") + bytes(8) + len(pairs).to_bytes(8, "little")
    return head + b"".join(pairs)


def text_pair(key: str, value: str) -> bytes:
    return (
        len(key).to_bytes(8, "little")
        + key.encode()
        + (8).to_bytes(4, "little")
        + len(value).to_bytes(8, "little")
        + value.encode()
    )


def array_pair(key: str, element: int, count: int, content: bytes) -> bytes:
    return (
        len(key).to_bytes(8, "little")
        + key.encode()
        + (9).to_bytes(4, "little")
        + element.to_bytes(4, "little")
        + count.to_bytes(8, "little")
        + content
    )


def test_headers_of_gguf_tell_architecture_and_task(tmp_path: Path) -> None:
    tokens = array_pair("tokens", 8, 2, (1).to_bytes(8, "little") + b"a" + bytes(8))
    scores = array_pair("scores", 6, 3, bytes(12))
    file = tmp_path / "m.gguf"
    file.write_bytes(gguf(tokens, scores, text_pair("general.architecture", "llama")))
    found = headers.describe(file)
    assert found is not None
    assert (found.architecture, found.pipeline_tag) == ("llama", "text-generation")
    assert (found.framework_version, found.accelerator) == ("GGUF 3", None)
    assert found.min_gpu_memory == 1024 * 1024
    assert found.checksum == f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"
    assert found.size == file.stat().st_size


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GGUF",
        b"GGML" + bytes(100),
        gguf(version=9),
        gguf(array_pair("a", 9, 1, bytes(16))),
        gguf(array_pair("a", 4, 2**60, b"")),
        gguf(array_pair("a", 8, 2**60, b"")),
        gguf((2**62).to_bytes(8, "little")),
        gguf(b"\x01" + bytes(7) + b"k" + (77).to_bytes(4, "little")),
    ],
)
def test_a_broken_gguf_tells_nothing_and_costs_nothing(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(content)
    found = headers.describe(file)
    assert found is not None
    assert (found.architecture, found.framework_version) == (None, None)


def test_headers_of_a_transformers_folder(tmp_path: Path) -> None:
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "transformers_version": "4.41.0",
        "quantization_config": {"quant_method": "awq"},
    }
    fill(tmp_path, **{"config.json": json.dumps(config)})
    (tmp_path / "a.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}" + bytes(3 * 2**20))
    found = headers.describe(tmp_path)
    assert found is not None
    assert (found.architecture, found.pipeline_tag) == ("Qwen2ForCausalLM", "text-generation")
    assert (found.framework_version, found.accelerator) == ("transformers 4.41.0", "GPU")
    assert found.min_gpu_memory == 4 * 2**20
    before = found.checksum
    fill(tmp_path, README_md="---\npipeline_tag: 'feature-extraction'\n---\n# Hi\n")
    again = headers.describe(tmp_path)
    assert again is not None
    assert again.pipeline_tag == "feature-extraction"
    assert again.checksum not in {before, None}


@pytest.mark.parametrize("text", ["", "[]", "{", '{"architectures": "x"}', "[" * 100_000])
def test_a_config_of_another_shape_tells_nothing(tmp_path: Path, text: str) -> None:
    fill(tmp_path, **{"config.json": text})
    (tmp_path / "a.safetensors").write_bytes((2**63).to_bytes(8, "little") + b"{}")
    found = headers.describe(tmp_path)
    assert found is not None
    assert found.architecture is None
    assert headers.describe(tmp_path / "none") is None


def test_files_that_nobody_may_look_at_hide_no_others(tmp_path: Path) -> None:
    fill(tmp_path, **{"config.json": json.dumps({"architectures": ["LlamaForCausalLM"]})})
    fill(tmp_path / "sub", a="1")
    fill(tmp_path / ".git", b="2")
    plain = headers.describe(tmp_path)
    (tmp_path / ".git" / "b").write_text("3")
    (tmp_path / "long").symlink_to("x" * 300)  # its stat is refused, as a forbidden file's is
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dir").symlink_to(tmp_path)
    assert plain is not None
    assert plain.architecture == "LlamaForCausalLM"
    assert plain.checksum is not None
    assert headers.describe(tmp_path) == plain


def test_metadata_goes_into_the_models_rows(play: Run) -> None:
    async def scene(world: World, _survey: Survey) -> None:
        folder = Path(world.home.models) / "w"
        folder.mkdir()
        (folder / "m.gguf").write_bytes(gguf(text_pair("general.architecture", "llama")))
        model, absent = await world.model(), await world.model(install_path="none")
        world.clock.advance(1)
        found = await metadata.generate(world.platform, ROOT, world.center)
        assert [one.uuid for one in found] == [model.uuid, absent.uuid]
        assert (found[0].architecture, found[0].updated) == ("llama", world.clock.now)
        assert found[0].size == found[0].measured_bytes == (folder / "m.gguf").stat().st_size
        assert found[0] == await models.find(world.platform, ROOT, model.uuid)
        assert found[1].architecture is None
        with pytest.raises(Exception, match="ModelVO"):
            await metadata.generate(world.platform, ROOT, world.center, ["0" * 32])

    play(scene)


def test_work_aside_is_done_once_and_its_error_is_raised_where_it_is_waited_for() -> None:
    async def scene() -> None:
        aside, gate, calls = Aside(), Event(), []

        def work() -> int:
            calls.append(1)
            gate.wait(PATIENCE)
            return 7

        for _ in range(3):
            with pytest.raises(Busy):
                await aside.do("k", work, 0.01)
        gate.set()
        assert await aside.do("k", work, PATIENCE) == 7
        assert (len(calls), aside.busy("k")) == (1, False)
        with pytest.raises(ZeroDivisionError):
            await aside.do("k", lambda: 1 // 0, PATIENCE)

    asyncio.run(scene())
