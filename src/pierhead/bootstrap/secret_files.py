"""Files that hold one secret each, readable by their owner alone.

Apart from the credentials because the gateway needs its key and no database: SQLAlchemy would cost
it 0.4 s and 11 MB.
"""

import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from pierhead.core.errors import Refused, Unavailable
from pierhead.lasting import sync_folder

CREDENTIALS = "credentials.json"
#: Below the data folder: what gateways have in common with their hubs, wherever they run, and what all
#: hubs have.
GATEWAYS = ("run/internal.key", "run/metrics.token")
SHARED = (CREDENTIALS, "run/engine.key", "run/storage.key", *GATEWAYS)


def internal_key(data_dir: Path) -> str:
    """The secret between hub and gateway; made by whichever of the two starts first."""
    return _secret(data_dir / "run" / "internal.key").hex()


def engine_secret(data_dir: Path) -> bytes:
    """What engines' own keys are derived from."""
    return _secret(data_dir / "run" / "engine.key")


def storage_key(data_dir: Path) -> bytes:
    """What secrets in the database are encrypted with: of access keys and of storage connections."""
    return _secret(data_dir / "run" / "storage.key")


def mark(data_dir: Path, credentials: str) -> str:
    """The same for all hubs that have the same secrets, and tells nothing else about them."""
    digest = hashlib.blake2b(credentials.encode(), digest_size=12)
    for secret in (internal_key(data_dir).encode(), engine_secret(data_dir), storage_key(data_dir)):
        digest.update(hashlib.blake2b(secret).digest())
    return digest.hexdigest()


def key_id(data_dir: Path) -> str:
    """Tells one storage key from another, and tells nothing else about it; "" when there is none."""
    try:
        key = (data_dir / "run" / "storage.key").read_bytes()
    except OSError:
        return ""
    return hashlib.blake2b(b"pierhead key id", key=key[:64], digest_size=16).hexdigest()


def metrics_token(data_dir: Path) -> str:
    """What a scraper shows to have the gateway's figures by name; the file holds it as text."""
    return _secret(data_dir / "run" / "metrics.token", secrets.token_hex(24).encode()).decode()


def take_over(secrets_dir: Path, data_dir: Path, names: Sequence[str]) -> None:
    """Copy the secrets that others made for this platform into its own folder, where they are missing.

    `names`: below the data folder; in `secrets_dir` they lie side by side.

    Raises:
        Unavailable: one of them cannot be read.
        Refused: the folder has another one: what was sealed with it could not be opened any more.
    """
    if secrets_dir == Path():
        return
    for name in names:
        given, own = secrets_dir / Path(name).name, data_dir / name
        try:
            content = given.read_bytes() if given.exists() else b""
        except OSError as error:
            raise Unavailable(f"The secret {given}", error.strerror or str(error)) from error
        if not content:
            continue
        if not own.exists():
            own.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_private(own, content)
        elif name != CREDENTIALS and own.read_bytes() != content:
            raise Refused(
                f"The secret {own} is another one than {given}: a platform keeps its secrets. Remove "
                "the one that is wrong."
            )


def _secret(path: Path, fresh: bytes = b"") -> bytes:
    """What lives in `path`, 32 secret bytes unless `fresh` is given; made once, whoever comes first."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        part = path.with_name(f"{path.name}.{os.getpid()}")
        write_private(part, fresh or secrets.token_bytes(32))
        try:
            os.link(part, path)  # fails when another process was first: then its secret counts
        except FileExistsError:
            pass
        finally:
            part.unlink()
    return path.read_bytes()


def write_private(path: Path, content: bytes) -> None:
    """Put `content` into a file of mode 0600, all of it or nothing."""
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        os.fchmod(out.fileno(), 0o600)
        out.write(content)
        out.flush()
        os.fsync(out.fileno())
    part.replace(path)
    sync_folder(path.parent)
