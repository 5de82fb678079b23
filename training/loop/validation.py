"""The loss on held-out data, the best step so far, and early stopping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from training.loop.loop import Loop, Progress

STOPPED_EARLY = "stopped_early"


@dataclass
class Validation:
    """Measures now and then; keeps the best, and ends a run that no longer improves."""

    measure: Callable[[], float]
    keep_best: Callable[[], object]  # writes what has learned so far
    every: int
    patience: int = 0  # measurements without progress before the run ends; 0: never
    least_progress: float = 0.0  # relative fall of the loss that counts as progress
    report: Callable[[Progress, float], None] = lambda progress, loss: None

    def __call__(self, loop: Loop) -> None:
        if loop.progress.step % self.every == 0 or loop.is_last:
            self.validate(loop.progress)

    def validate(self, progress: Progress) -> None:
        loss = self.measure()
        is_better = loss < progress.best * (1 - self.least_progress)
        progress.without_progress = 0 if is_better else progress.without_progress + 1
        if is_better:
            progress.best, progress.best_step = loss, progress.step
            self.keep_best()
        self.report(progress, loss)
        if self.patience and progress.without_progress >= self.patience:
            progress.outcome = STOPPED_EARLY
