"""What of a scene does a task hear, and where does its stem join the file?"""

from __future__ import annotations

from dataclasses import dataclass

from engine.audio.scene import Scene
from engine.errors import EngineError


@dataclass(frozen=True)
class SceneTask:
    """How a task differs from the others of its family."""

    name: str
    context_seconds: float  # of real audio on either side that it hears
    refills: bool = False  # hears only what lies around the region, not the region itself
    hears_after: bool = True
    joins: tuple[str, ...] = ()  # edges of the region at which the stem continues the file

    def hear(self, scene: Scene) -> Scene:
        """The part of a scene that the task hears. EngineError bad_args where it is empty."""
        after = scene.after if self.hears_after else scene.after[:0]
        if self.refills and not (len(scene.before) or len(after)):
            where = "about" if self.hears_after else "before"
            raise EngineError(
                "bad_args",
                f"{self.name} hears what lies {where} the region, and the file has nothing there; "
                "send the whole track and select the place to be filled",
            )
        return Scene(scene.before, scene.region, after)
