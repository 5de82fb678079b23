"""Batches to losses, losses to gradients, gradients to a step, until the run is done or paused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from training.loop.optimisation import Optimisation
from training.loop.pause import Pause

FINISHED, PAUSED = "finished", "paused"

Losses = Mapping[str, Tensor]  # by name; `loss` is minimised, the others are only logged
Callback = Callable[["Loop"], None]  # after every step, in the order given


@dataclass
class Progress:
    """How far a run has come; saved with its weights."""

    step: int = 0
    best: float = float("inf")
    best_step: int = 0
    without_progress: int = 0
    outcome: str = ""  # finished, stopped_early; empty: it can go on
    losses: dict[str, list[float]] = field(default_factory=dict)  # since the log's last line

    def state_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)
        if isinstance(self.losses, list):  # older checkpoints keep `loss` alone
            self.losses = {"loss": self.losses}


@dataclass
class Loop:
    """One run from the step that `progress` names to `steps`.

    `losses_of(batch_number)` gives the losses of one batch; batches are counted from the first step
    on. A step is the mean over `accumulate` batches.
    """

    losses_of: Callable[[int], Losses]
    optimisation: Optimisation
    steps: int
    accumulate: int = 1
    callbacks: Sequence[Callback] = ()
    progress: Progress = field(default_factory=Progress)
    pause: Pause | None = None
    is_pausing: bool = False

    @property
    def is_last(self) -> bool:
        return self.progress.step >= self.steps

    def run(self) -> str:
        """The outcome: finished, stopped_early or paused."""
        progress = self.progress
        while not self.is_last and not progress.outcome:
            losses = self.step()
            progress.step += 1
            for name, value in losses.items():
                progress.losses.setdefault(name, []).append(value)
            if self.is_last:
                progress.outcome = FINISHED
            self.is_pausing = self.pause is not None and self.pause.is_requested
            for callback in self.callbacks:
                callback(self)
            if self.is_pausing and not progress.outcome:
                return PAUSED
        return progress.outcome or FINISHED

    def step(self) -> dict[str, float]:
        """The mean losses of one step, after which the weights are new."""
        losses: dict[str, Tensor] = {}
        for part in range(self.accumulate):
            batch = self.losses_of(self.progress.step * self.accumulate + part)
            for name, value in batch.items():
                mean = value.detach() / self.accumulate
                losses[name] = losses[name] + mean if name in losses else mean
            (batch["loss"] / self.accumulate).backward()
        norm = self.optimisation.step(self.progress.step)
        if norm is not None:
            losses["gradient_norm"] = norm
        return {name: float(value) for name, value in losses.items()}
