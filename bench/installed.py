"""What `pip install pierhead` puts on the disk, without the engine."""

import compileall
import os
import subprocess
import sys
from pathlib import Path

from bench.figures import Figure, figure
from bench.processes import MB

ENGINE = "xllamacpp"
_UV = Path(sys.executable).with_name("uv")
_ROOT = Path(__file__).parent.parent


def measure(folder: Path) -> list[Figure]:
    """A fresh install of the locked versions into a folder of its own."""
    target, wanted = folder / "installed", folder / "wanted.txt"
    _uv("export", "--frozen", "--no-dev", "--no-emit-project", "--no-hashes", "--quiet",
        "--no-emit-package", ENGINE, "--output-file", str(wanted))  # fmt: skip
    _uv("pip", "install", "--quiet", "--no-deps", "--target", str(target), "--requirement",
        str(wanted), str(_ROOT))  # fmt: skip
    plain = size(target)
    largest = sorted(((size(part), part.name) for part in target.iterdir()), reverse=True)[:8]
    note = ", ".join(f"{name} {amount / MB:.1f}" for amount, name in largest)
    compileall.compile_dir(target, quiet=2)
    return [
        figure("install size without engines", "MB", [plain / MB], 60.0, note=note),
        figure("the same with compiled bytecode, as pip does", "MB", [size(target) / MB]),
    ]


def size(path: Path) -> int:
    """Bytes of a file, or of all files in a folder."""
    if not path.is_dir():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _uv(*arguments: str) -> None:
    # uv does not read pip's settings; whoever named an index for pip means it for this too.
    index = os.environ.get("UV_DEFAULT_INDEX") or os.environ.get("PIP_INDEX_URL")
    named = {"UV_DEFAULT_INDEX": index} if index else {}
    subprocess.run([_UV, *arguments], cwd=_ROOT, env=os.environ | named, check=True, timeout=180)
