"""What shows people how things are: the board behind the console's live list, and figures over time."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from pierhead.bootstrap.premises import premises
from pierhead.operations.board import Board
from pierhead.operations.permission import Permission
from pierhead.operations.platform import Platform
from pierhead.operations.recording import Recording
from pierhead.runtimes.process.footprint import footprints
from pierhead.settings import Settings
from pierhead.store.series import SeriesFiles
from pierhead.web.console import Console
from pierhead.web.live import Live

#: Below the data folder.
FOLDER = "series"


def showing(platform: Platform, settings: Settings) -> Platform:
    """The platform as it can tell of its machine, its cache and what was."""
    files = SeriesFiles(settings.data_dir / FOLDER, settings.series_hours)
    return replace(
        platform,
        premises=premises(platform, settings),
        series=files if settings.series_hours else None,
    )


@asynccontextmanager
async def looking(
    platform: Platform, settings: Settings, permission: Permission, console: Console
) -> AsyncGenerator[Board]:
    """The board, with its path in the console; samples are taken meanwhile."""
    board = Board(platform)
    console.add(*Live(board, console.guard, permission.ask).routes())
    recording: asyncio.Task[None] | None = None
    if platform.series is not None:
        recording = asyncio.create_task(
            Recording(platform, platform.series, footprints).run(), name="series"
        )
    else:  # what was kept before it was switched off is nobody's any more
        with suppress(OSError):
            await asyncio.to_thread(SeriesFiles(settings.data_dir / FOLDER, 1).keep, ())
    try:
        yield board
    finally:
        board.end()
        if recording is not None:
            recording.cancel()
            await asyncio.gather(recording, return_exceptions=True)
