"""What is Stable Audio 3 asked for? A row for each task, by the names that presets have for it."""

from __future__ import annotations

from collections.abc import Mapping

from engine.families.shared.tasks import SceneTask

TASKS: Mapping[str, SceneTask] = {
    task.name: task
    for task in (
        SceneTask("timbre", 2.0),  # audio to audio: the region's latent, noised and denoised
        SceneTask("genre", 2.0),  # the same; presets differ in how much noise
        SceneTask("repaint", 30.0, refills=True, joins=("start", "end")),  # inpainting
        SceneTask("continue", 30.0, refills=True, hears_after=False, joins=("start",)),
    )
}
