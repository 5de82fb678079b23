"""What a server does by itself every so often: styles, uploads and old takes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from server.jobs.job import JobRegistry
from server.jobs.retention import WATCH_SECONDS as TAKES_SECONDS
from server.jobs.retention import owner
from server.jobs.spec import JobSpec
from server.services import STYLES_FRESH_SECONDS, Services
from server.wire.sessions import Sessions

log = logging.getLogger(__name__)

UPLOAD_SECONDS = 5.0  # while one is open
SPOOL_SECONDS = 60.0


def start(services: Services) -> None:
    """Begin all of it; it ends with the server."""
    services.spawn(_watch_styles(services), "style watch")
    services.spawn(_watch_uploads(services), "upload watch")
    services.spawn(_watch_takes(services), "take watch")


def jobs_to_keep(registry: JobRegistry, sessions: Sessions, takes: Path) -> set[str]:
    """Jobs whose takes are in use: just made, or the source of a job or a region."""
    folder = Path(os.path.realpath(takes))  # as the sandbox names files
    sources = (*_sources(registry), *sessions.regions())
    return {job.name for job in registry.all()} | {owner(path, folder) for path in sources}


def _sources(registry: JobRegistry) -> Iterator[str]:
    """The files that jobs without an end still read."""
    specs = (job.spec for job in registry.living())
    return (spec.audio.path for spec in specs if isinstance(spec, JobSpec))


async def _watch_styles(services: Services) -> None:
    """For clients that listen; the verbs in `table.NEED_STYLES` look for themselves."""
    sessions = services.sessions
    while True:
        sessions.has_new_listener.clear()
        if not any(sessions.listeners()):
            await sessions.has_new_listener.wait()
        await services.refresh_styles()
        await asyncio.sleep(STYLES_FRESH_SECONDS)


async def _watch_uploads(services: Services) -> None:
    uploads = services.uploads
    while True:
        uploads.has_new.clear()
        if uploads.open_count:
            await asyncio.sleep(UPLOAD_SECONDS)
        else:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(uploads.has_new.wait(), SPOOL_SECONDS)
        try:
            await uploads.expire(list(_sources(services.registry)))
        except OSError as error:
            log.warning("old uploads are not deleted", extra={"reason": error})
        with contextlib.suppress(OSError):  # no room for a reserve now
            await services.journal_thread(services.journal.refill)


async def _watch_takes(services: Services) -> None:
    while True:
        try:
            await services.retention.prune()
        except sqlite3.Error as error:
            log.warning("old takes are not deleted", extra={"reason": error})
        await asyncio.sleep(TAKES_SECONDS)
