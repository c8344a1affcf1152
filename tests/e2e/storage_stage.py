"""Storage connections of a platform under test, as its users make them, and what was fetched over them."""

from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from running_platform import Platform

from commands import pierhead
from oss_double import OssDouble

KEY, SECRET = "LTAI5tExampleOfATest", "a-secret-that-nobody-may-see"
BUCKET = "examplebucket"


def storage(platform: Platform, *words: str) -> str:
    """`pierhead storage ...`; what it says."""
    done = pierhead("storage", *words, "--data-dir", str(platform.folder))
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def connected(platform: Platform, kind: str, name: str, *words: str) -> Generator[None]:
    """A connection that is removed again."""
    storage(platform, "add", kind, name, *words)
    try:
        yield
    finally:
        storage(platform, "remove", name)


def bucket_words(double: OssDouble, folder: Path, bucket: str = BUCKET) -> tuple[str, ...]:
    """What connects a bucket on the double; the secret travels in a file below `folder`."""
    secret = folder / "secret"
    secret.write_text(f"{SECRET}\n")
    where = ("--bucket", bucket, "--endpoint", double.url, "--region", "cn-shanghai")
    keys = ("--access-key-id", KEY, "--access-key-secret-file", str(secret))
    return (*where, *keys, "--allow-private")


def remote_files(platform: Platform, name: str = "*.gguf") -> list[Path]:
    """Files that were fetched over connections, each copy on the disk once."""
    found = (platform.folder / "cache" / "remote").rglob(name)
    return list({path.stat().st_ino: path for path in found}.values())


def users_of(platform: Platform, file: Path) -> int:
    """How many processes of the platform have the file mapped."""
    family = psutil.Process(platform.process.pid).children(recursive=True)
    count = 0
    for each in family:
        with suppress(OSError):
            count += str(file) in Path(f"/proc/{each.pid}/maps").read_text()
    return count
