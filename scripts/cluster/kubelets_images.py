"""Images for the real nodes, made without a registry and without a tool for images.

`localhost/pierhead:test` has what Containerfile makes, in layers: Debian's packages, the locked wheels, ours.
The first two are kept in the cache; ours is built each time, and a test may lay files of its own on top.
"""

import compileall
import hashlib
import io
import json
import platform
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from py_compile import PycInvalidationMode
from tempfile import TemporaryDirectory

sys.path.append(str(Path(__file__).parent.parent))

from build_image import ROOT, collect

PAUSE, PIERHEAD = "localhost/pause:3.2", "localhost/pierhead:test"
#: Interpreter of the image that has Pierhead, and the user that it runs as.
PYTHON, USER = "/opt/pierhead/bin/python", 10001
_VENV = "opt/pierhead"
_SITE = f"{_VENV}/lib/python3.11/site-packages"
_ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}
_CONFIG: Mapping[str, object] = {
    "User": f"{USER}:{USER}",
    "Env": [
        f"PATH=/{_VENV}/bin:/usr/local/bin:/usr/bin:/bin",
        "LANG=C.UTF-8",
        "PYTHONDONTWRITEBYTECODE=1",
        "PIERHEAD_DATA_DIR=/var/lib/pierhead",
    ],
    "WorkingDir": "/var/lib/pierhead",
    "Entrypoint": [PYTHON, "-m", "pierhead"],
}


def make(cache: Path, folder: Path, files: Mapping[Path, str]) -> list[Path]:
    """Write both images as archives into `folder`; `files`: file here -> its path in our image."""
    folder.mkdir(parents=True, exist_ok=True)
    pause = folder / "pause.layer"
    with tarfile.open(pause, "w") as layer:
        layer.add(cache / "bin" / "pause", arcname="pause")
    own = folder / "own.layer"
    _own(cache / "node" / "base.tar", own, files)
    layers = [cache / "node" / "base.tar", _packages(cache / "node"), own]
    made = [folder / "pause.tar", folder / "pierhead.tar"]
    _archive(made[0], PAUSE, [pause], {"Entrypoint": ["/pause"]})
    _archive(made[1], PIERHEAD, layers, _CONFIG)
    return made


def _packages(cache: Path) -> Path:
    """The layer of the locked wheels, in a virtual environment."""
    digest = hashlib.sha256((ROOT / "uv.lock").read_bytes()).hexdigest()[:12]
    kept = cache / f"packages-{digest}.tar"
    if kept.exists():
        return kept
    with TemporaryDirectory(prefix="pierhead-node-") as made:
        wheels, tree = Path(made) / "wheels", Path(made) / "tree"
        collect(wheels, platform.machine())
        venv = tree / _VENV
        (venv / "bin").mkdir(parents=True)
        (venv / "bin" / "python").symlink_to("/usr/bin/python3")
        text = "home = /usr/bin\ninclude-system-site-packages = false\n"
        (venv / "pyvenv.cfg").write_text(text)
        _install(tree, wheels, f"--requirement={wheels / 'requirements.txt'}", "--require-hashes")
        written = kept.with_suffix(".new")
        _layer(written, tree)
        written.rename(kept)
    return kept


def _own(base: Path, out: Path, files: Mapping[Path, str]) -> None:
    """Our wheel, the image's user, and files of whoever asked for the image."""
    with TemporaryDirectory(prefix="pierhead-node-") as made:
        wheels, tree = Path(made) / "wheels", Path(made) / "tree"
        command = ["uv", "build", "--quiet", "--wheel", "--out-dir", wheels, ROOT]
        command[0] = Path(sys.executable).with_name("uv")
        subprocess.run(command, check=True, cwd=ROOT)
        (wheel,) = wheels.glob("pierhead-*.whl")
        _install(tree, wheels, str(wheel))
        (tree / "etc").mkdir()
        for name, line in (
            ("passwd", f"pierhead:x:{USER}:{USER}:Pierhead:/var/lib/pierhead:/usr/sbin/nologin"),
            ("group", f"pierhead:x:{USER}:"),
        ):
            (tree / "etc" / name).write_text(f"{_text(base, f'./etc/{name}')}{line}\n")
        (tree / "var/lib/pierhead").mkdir(parents=True)
        for source, target in files.items():
            place = tree / target.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place)
            place.chmod(0o644)
        _layer(out, tree)


def _install(tree: Path, wheels: Path, *what: str) -> None:
    site = tree / _SITE
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile")
    more = ("--no-index", f"--find-links={wheels}", "--root-user-action=ignore")
    subprocess.run([*pip, *more, f"--target={site}", *what], check=True)
    mode = PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(site, quiet=2, invalidation_mode=mode, stripdir=tree, workers=2)


def _layer(out: Path, tree: Path) -> None:
    def everybody(info: tarfile.TarInfo) -> tarfile.TarInfo:
        owner = USER if info.name.removeprefix("./").startswith("var/lib/pierhead") else 0
        info.uid = info.gid = owner
        info.uname = info.gname = ""
        if not info.issym():
            info.mode |= 0o755 if info.isdir() else 0o644
        return info

    with tarfile.open(out, "w") as layer:
        for each in sorted(tree.iterdir()):
            layer.add(each, arcname=f"./{each.name}", filter=everybody)


def _text(archive: Path, name: str) -> str:
    with tarfile.open(archive) as opened:
        found = opened.extractfile(name)
        assert found is not None, f"{archive} has no {name}"  # noqa: S101 - the base is ours
        return found.read().decode()


def _archive(out: Path, name: str, layers: Sequence[Path], config: Mapping[str, object]) -> None:
    """The form that `docker save` writes, which containerd imports."""
    digests = [_digest(each) for each in layers]
    body = {
        "architecture": _ARCHITECTURE.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{each}" for each in digests]},
        "history": [{"created": "2026-01-01T00:00:00Z"} for _ in layers],
    }
    text = json.dumps(body).encode()
    config_name = f"{hashlib.sha256(text).hexdigest()}.json"
    names = [f"{digest}/layer.tar" for digest in digests]
    listed = [{"Config": config_name, "RepoTags": [name], "Layers": names}]
    with tarfile.open(out, "w") as archive:
        for layer, path in zip(layers, names, strict=True):
            archive.add(layer, arcname=path)
        for path, data in ((config_name, text), ("manifest.json", json.dumps(listed).encode())):
            info = tarfile.TarInfo(path)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
