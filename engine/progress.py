"""How does long work tell how far it is, and hear that it is to stop?"""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float], None]  # stage, fraction of the whole job done (-1: unknown)
Advance = Callable[[float], None]  # fraction of one stage done
IsCancelled = Callable[[], bool]  # asked between two steps


def ignore_progress(stage: str, fraction: float) -> None:
    """A Progress that nobody watches."""


def ignore_advance(fraction: float) -> None:
    """An Advance that nobody watches."""


def never_cancelled() -> bool:
    """An IsCancelled for work that nobody stops."""
    return False


def stage_progress(progress: Progress, stage: str, begin: float, end: float) -> Advance:
    """Start a stage that takes the job's fraction from `begin` to `end`."""
    progress(stage, begin)
    return lambda done: progress(stage, begin + (end - begin) * done)
