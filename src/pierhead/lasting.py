"""What a power cut has to find: names of files that stay as they are."""

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make renames and removals in `folder` last.

    Raises:
        OSError: the disk refuses.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
