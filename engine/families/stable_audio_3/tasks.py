"""What Stable Audio 3 is asked for, by the names that presets have for it: one row a task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Task:
    """How a task differs from the others."""

    name: str
    context_seconds: float  # of real audio on either side that it hears
    refills: bool = False  # the region's own sound is not heard, only what lies about it
    hears_after: bool = True
    joins: tuple[str, ...] = ()  # edges at which the stem goes on in the file


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task("timbre", 2.0),  # audio to audio: the region's latent, noised and cleaned again
        Task("genre", 2.0),  # the same; presets differ in how much noise
        Task("repaint", 30.0, refills=True, joins=("start", "end")),  # inpainting
        Task("continue", 30.0, refills=True, hears_after=False, joins=("start",)),
    )
}
