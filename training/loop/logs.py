"""What people see of a run: log.jsonl, TensorBoard and the progress bar."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from training.loop.loop import Loop, Progress

SHOWN_STEPS = 20  # over which the bar takes its means


class Log:
    """One JSON line every few steps: the mean of each loss since the line before."""

    def __init__(
        self,
        path: Path,
        every: int,
        extra: Callable[[Progress], Mapping[str, float]] = lambda progress: {},
        board: Any | None = None,
    ) -> None:
        """`extra`: further values of a line; `board`: TensorBoard's writer."""
        self.path, self.every, self.board = path, every, board
        self._extra = extra

    def __call__(self, loop: Loop) -> None:
        progress = loop.progress
        if progress.step % self.every == 0 or loop.is_last:
            means = {name: float(np.mean(values)) for name, values in progress.losses.items()}
            self.write(progress.step, {**means, **self._extra(progress)})
            progress.losses = {}

    def write(self, step: int, values: Mapping[str, float]) -> None:
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}) + "\n")
        if self.board is not None:
            for name, value in values.items():
                self.board.add_scalar(name, value, step)
            self.board.flush()

    def forget_after(self, step: int) -> None:
        """Drop the lines after a step from which a run goes on: they will be written again."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] <= step]
        partial = self.path.with_name(self.path.name + ".partial")
        partial.write_text("".join(line + "\n" for line in kept), encoding="utf-8")
        os.replace(partial, self.path)


def open_board(folder: Path) -> Any | None:
    """TensorBoard's writer, if TensorBoard is installed."""
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder))


class ProgressBar:
    """A bar on the terminal with recent losses; `quiet`: only where somebody watches."""

    def __init__(self, name: str, loop: Loop, quiet: bool = False) -> None:
        from tqdm import tqdm

        self._bar = tqdm(
            total=loop.steps,
            initial=loop.progress.step,
            desc=name,
            unit="step",
            smoothing=0.05,
            disable=None if quiet else False,
        )

    def __call__(self, loop: Loop) -> None:
        progress = loop.progress
        shown = {
            name: float(np.mean(values[-SHOWN_STEPS:])) for name, values in progress.losses.items()
        }
        if np.isfinite(progress.best):
            shown["best"] = progress.best
        self._bar.set_postfix({name: f"{value:.4f}" for name, value in shown.items()})
        self._bar.update()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()
