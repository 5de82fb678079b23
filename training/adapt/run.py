"""One run: a style is learned from clips, validated, heard now and then, and saved.

Every random number of a step follows from the run's seed and the number of the batch. So a run that
went on is the run that was never interrupted, bit for bit on a CPU, and neither validation nor
samples disturb it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.adapt.config import Config, TrainError, to_json
from training.adapt.examples import Data, Example, batch_of, seed_of
from training.adapt.families import TrainableModel
from training.adapt.methods import TrainableAdapter
from training.adapt.run_dir import (
    BEST,
    BOARD,
    CHECKPOINTS,
    LAST,
    LOG,
    PAUSE,
    SAMPLES,
    acquire_run_dir,
)
from training.adapt.samples import write_samples
from training.loop import (
    PAUSED,
    Log,
    Loop,
    Optimisation,
    Pause,
    Progress,
    ProgressBar,
    StateFolders,
    Validation,
    cosine_after_warmup,
    memory,
    open_board,
)

LOG_EVERY = 10
VALIDATION_DRAWS = 4  # of noise for each clip: the loss of one says little


class Trained(nn.Module):
    """What learns, alone: a checkpoint holds this and not the gigabytes of the base."""

    def __init__(self, adapter: TrainableAdapter, model: TrainableModel, precision: str) -> None:
        super().__init__()
        self.values = nn.ParameterDict(
            {name.replace(".", "/"): value for name, value in adapter.parameters.items()}
        )
        self._parts = (adapter, model)  # in a tuple: no submodules
        self._autocast = torch.autocast(
            next(model.module.parameters()).device.type, torch.bfloat16, enabled=precision == "bf16"
        )

    def forward(self, examples: Sequence[Example], dropped: Tensor) -> Tensor:
        """The mean loss of these clips, of which `dropped` [B] hear no words."""
        adapter, model = self._parts
        with self._autocast:
            loss = model.loss(
                [e.sound for e in examples], [e.text for e in examples], dropped, adapter.words
            )
        return loss.float()


@dataclass
class Run:
    """One run in its folder. One thread."""

    folder: Path
    config: Config
    model: TrainableModel
    adapter: TrainableAdapter
    data: Data
    fingerprint: str
    notes: Mapping[str, str] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)

    def run(self) -> str:
        """Until done: finished, stopped_early or paused. TrainError run_exists, does_not_fit."""
        asked = {"config": to_json(self.config), "data": self.fingerprint, **self.notes}
        acquire_run_dir(self.folder, asked)
        pause, board = Pause(self.folder / PAUSE), open_board(self.folder / BOARD)
        try:
            with torch.random.fork_rng(), pause.listen():
                return self._run(pause, Log(self.folder / LOG, LOG_EVERY, self._extra, board))
        finally:
            if board is not None:
                board.close()

    def _run(self, pause: Pause, log: Log) -> str:
        config, progress = self.config, self.progress
        trained = Trained(self.adapter, self.model, config.precision)
        optimisation = self._optimisation(trained)
        validation = self._validation(trained, log)
        checkpoints = StateFolders(
            self.folder / CHECKPOINTS, trained, optimisation, config.save_every, config.keep
        )
        if checkpoints.load(progress):
            log.forget_after(progress.step)
        else:
            self._check_memory(trained)
            validation.validate(progress)
            self._write_samples(log)
        loop = Loop(
            lambda number: self._losses(trained, number),
            optimisation,
            config.steps,
            config.accumulate,
            progress=progress,
            pause=pause,
        )
        with ProgressBar(self.folder.name, loop, quiet=True) as bar:
            listen = lambda loop: self._write_samples(log)  # noqa: E731
            loop.callbacks = (bar, log, validation, listen, checkpoints)
            outcome = loop.run()
        if outcome == PAUSED:
            pause.clear()
        else:
            self._write(LAST)
        return outcome

    def _optimisation(self, trained: nn.Module) -> Optimisation:
        config = self.config
        optimiser = torch.optim.AdamW(
            trained.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        return Optimisation(
            trained.parameters(), [optimiser], _rate_factor(config), config.clip_norm
        )

    # -- losses --

    def _losses(self, trained: nn.Module, number: int) -> dict[str, Tensor]:
        _set_dropout(self.model.module, True)
        torch.manual_seed(seed_of(self.config.seed, "step", number))
        loss = trained(*self._batch(self.data.train, number))
        if self.data.prior:
            prior = trained(*self._batch(self.data.prior, number))
            loss = loss + self.config.prior_weight * prior
        if not torch.isfinite(loss):
            raise TrainError(
                "diverged",
                f"the loss is {loss.item()} at step {self.progress.step}; the last checkpoint is "
                "whole: begin a run with a tenth of the learning rate",
            )
        return {"loss": loss}

    def _batch(self, examples: Sequence[Example], number: int) -> tuple[list[Example], Tensor]:
        """Clips, and which of them hear no words."""
        size = self.config.batch
        chosen = batch_of(examples, size, number, self.config.seed)
        return chosen, torch.rand(size) < self.config.condition_dropout

    def _validation(self, trained: nn.Module, log: Log) -> Validation:
        def report(progress: Progress, loss: float) -> None:
            log.write(progress.step, {"validation": loss, "best": progress.best})

        return Validation(
            lambda: self._validation_loss(trained),
            lambda: self._write(BEST),
            self.config.evaluate_every,
            self.config.patience,
            self.config.least_progress,
            report,
        )

    @torch.no_grad()
    def _validation_loss(self, trained: nn.Module) -> float:
        """The mean over the validation clips, with the same noise each time."""
        _set_dropout(self.model.module, False)
        clips, values = self.data.validation, []
        for draw in range(VALIDATION_DRAWS):
            for index, example in enumerate(clips):
                torch.manual_seed(seed_of(self.config.seed, "look", draw * len(clips) + index))
                values.append(float(trained([example], torch.zeros(1, dtype=torch.bool))))
        return float(np.mean(values))

    # -- what is told and written --

    def _write_samples(self, log: Log) -> None:
        every = self.config.sample_every
        if every and self.progress.step % every == 0:
            _set_dropout(self.model.module, False)
            clips = [example.clip for example in self.data.validation]
            folder = self.folder / SAMPLES / f"step_{self.progress.step:06d}"
            write_samples(
                folder, self.config, self.model, self.adapter, clips, self.progress.step, log.board
            )

    def _check_memory(self, trained: nn.Module) -> None:
        """TrainError does_not_fit."""
        torch.manual_seed(self.config.seed)
        parameters = list(self.model.module.parameters())
        found = memory.estimate(
            self.model.module,
            self.adapter.parameters,
            lambda: trained(self.data.train[:1], torch.zeros(1, dtype=torch.bool)),
            self.config.batch,
            str(parameters[0].device),
        )
        share = self.adapter.count / sum(parameter.numel() for parameter in parameters)
        print(f"{self.adapter.count:,} numbers learn ({share:.3%}); {found}")
        if found.needed > found.free:
            raise TrainError("does_not_fit", str(found))

    def _extra(self, progress: Progress) -> dict[str, float]:
        rate = self.config.learning_rate * _rate_factor(self.config)(progress.step)
        return {"rate": rate, "time": round(time.time(), 1)}

    def _write(self, name: str) -> None:
        notes = {**self.notes, "step": str(self.progress.step)}
        self.adapter.write(self.folder / name, self.model.prefix, notes)


def _rate_factor(config: Config) -> Callable[[int], float]:
    steps = max(config.steps, config.warmup + 1)
    return cosine_after_warmup(steps, config.warmup, config.last_rate)


def device_of(config: Config) -> str:
    """cuda if there is one, else cpu: Apple's graphics are untried."""
    return config.device or ("cuda" if torch.cuda.is_available() else "cpu")


def _set_dropout(module: nn.Module, is_on: bool) -> None:
    """LoRA's alone: the base stays as it plays."""
    for name, each in module.named_modules():
        if "lora_dropout" in name:
            each.train(is_on)
