"""The steps of a run, on accelerate: mixed precision, accumulation, saved states. One card or the
processor.

    RUN/config.json              what was asked, with the data's fingerprint; a run is never overwritten
    RUN/checkpoints/step_000100  all that is needed to go on; renamed when whole, the last `keep` stay
    RUN/best.safetensors         the style at the lowest validation loss;   last.safetensors at the end
    RUN/samples/step_000250/     the same captions and seeds each time, step 0 is the base
    RUN/log.jsonl, tensorboard/  figures
    RUN/pause                    make this file (or press ctrl-C once): it saves and stops; the same command goes on

Rule: every random number of a step follows from the run's seed and the step. So a run that went on
is the run that was never interrupted, bit for bit on a CPU, and neither validation nor samples
disturb it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from training.adapt import memory
from training.adapt.config import Config, TrainError
from training.adapt.families import Arrays, Subject
from training.adapt.methods import Learner
from training.dataset.clips import Clip, write_text

CHECKPOINTS, LOG, PAUSE, BEST, LAST = (
    "checkpoints",
    "log.jsonl",
    "pause",
    "best.safetensors",
    "last.safetensors",
)
PRESET = "preset"  # folder in a run's folder: when it is there, the run is done
LOG_EVERY = 10
VALIDATION_DRAWS = 4  # of noise for each clip: the loss of one says little


@dataclass(frozen=True)
class Example:
    """A clip as features; `text` is features, or the caption itself where words are learned."""

    sound: Arrays
    text: Arrays | str
    clip: Clip


@dataclass(frozen=True)
class Data:
    train: Sequence[Example]
    validation: Sequence[Example]
    prior: Sequence[Example] = ()


@dataclass
class Progress:
    """What is remembered beside weights and optimiser; accelerate saves it."""

    step: int = 0
    best: float = float("inf")
    best_step: int = 0
    without_progress: int = 0
    outcome: str = ""  # finished, stopped_early; empty: it can go on
    losses: list[float] = field(default_factory=list)  # since the last line of the log

    def state_dict(self) -> dict[str, Any]:
        return dict(vars(self))

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        vars(self).update(state)


class Trained(nn.Module):
    """What learns, alone: a checkpoint holds this and not the gigabytes of the base."""

    def __init__(self, learner: Learner, subject: Subject) -> None:
        super().__init__()
        self.values = nn.ParameterDict(
            {name.replace(".", "/"): value for name, value in learner.parameters.items()}
        )
        self._parts = [learner, subject]  # in a list: no submodules

    def forward(self, examples: Sequence[Example], dropped: Tensor) -> Tensor:
        learner, subject = self._parts
        return subject.loss(
            [e.sound for e in examples], [e.text for e in examples], dropped, learner.words
        )


@dataclass
class Run:
    """One run in its folder. One thread."""

    folder: Path
    config: Config
    subject: Subject
    learner: Learner
    data: Data
    fingerprint: str
    notes: Mapping[str, str] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    _paused: bool = False

    def go(self) -> str:
        """Until done: finished, stopped_early or paused. TrainError run_exists, does_not_fit."""
        self._claim()
        with (
            _accelerator(self.folder, self.config) as accelerator,
            torch.random.fork_rng(),
            self._pausing(),
        ):
            return self._go(accelerator)

    def _go(self, accelerator: Any) -> str:
        config, progress = self.config, self.progress
        trained = Trained(self.learner, self.subject)
        optimiser = torch.optim.AdamW(
            trained.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
        )
        schedule = _schedule(optimiser, config)
        trained, optimiser = accelerator.prepare(trained, optimiser)
        accelerator.register_for_checkpointing(schedule, progress)
        if last := newest(self.folder):
            accelerator.load_state(str(last))
            self._forget_log()
        else:
            self._tell_memory(trained)
            self._look(accelerator, trained)
            self._sample(accelerator)
        from tqdm import tqdm

        bar = tqdm(
            total=config.steps,
            initial=progress.step,
            desc=self.folder.name,
            unit="step",
            disable=None,
        )
        with bar:
            while not progress.outcome:
                progress.losses.append(self._step(accelerator, trained, optimiser, schedule))
                progress.step += 1
                bar.update()
                if progress.step % LOG_EVERY == 0 or self._is_last:
                    bar.set_postfix(
                        loss=f"{np.mean(progress.losses):.4f}", best=f"{progress.best:.4f}"
                    )
                    self._log_losses(accelerator, schedule.get_last_lr()[0])
                if progress.step % config.evaluate_every == 0 or self._is_last:
                    self._look(accelerator, trained)
                if config.sample_every and progress.step % config.sample_every == 0:
                    self._sample(accelerator)
                if self._is_last:
                    progress.outcome = progress.outcome or "finished"
                is_paused = self._paused or (self.folder / PAUSE).exists()
                if progress.step % config.save_every == 0 or progress.outcome or is_paused:
                    self._save(accelerator)
                if is_paused and not progress.outcome:
                    (self.folder / PAUSE).unlink(missing_ok=True)
                    return "paused"
        self._write(LAST)
        return progress.outcome

    @property
    def _is_last(self) -> bool:
        return self.progress.step >= self.config.steps

    # -- one step --

    def _step(self, accelerator: Any, trained: nn.Module, optimiser: Any, schedule: Any) -> float:
        config, total = self.config, 0.0
        _set_dropout(self.subject.module, True)
        for part in range(config.accumulate):
            turn = self.progress.step * config.accumulate + part
            torch.manual_seed(_seed(config.seed, "step", turn))
            with accelerator.accumulate(trained):
                loss = trained(*self._batch(self.data.train, turn))
                if self.data.prior:
                    loss = loss + config.prior_weight * trained(*self._batch(self.data.prior, turn))
                if not torch.isfinite(loss):
                    raise TrainError(
                        "diverged",
                        f"the loss is {loss.item()} at step {self.progress.step}; the last "
                        "checkpoint is whole: begin a run with a tenth of the learning rate",
                    )
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(trained.parameters(), config.clip_norm)
                optimiser.step()
                optimiser.zero_grad()
            total += float(loss.detach()) / config.accumulate
        schedule.step()
        return total

    def _batch(self, examples: Sequence[Example], turn: int) -> tuple[list[Example], Tensor]:
        """Clips in a new order each time round, and which of them hear no words."""
        size = self.config.batch
        places = range(turn * size, (turn + 1) * size)
        chosen = [examples[_shuffled(len(examples), place, self.config.seed)] for place in places]
        return chosen, torch.rand(size) < self.config.condition_dropout

    # -- looking and listening --

    @torch.no_grad()
    def _look(self, accelerator: Any, trained: nn.Module) -> None:
        """Validation with the same noise each time, and whether it is time to stop."""
        _set_dropout(self.subject.module, False)
        values = []
        for draw in range(VALIDATION_DRAWS):
            for index, example in enumerate(self.data.validation):
                torch.manual_seed(
                    _seed(self.config.seed, "look", draw * len(self.data.validation) + index)
                )
                values.append(float(trained([example], torch.zeros(1, dtype=torch.bool))))
        loss, progress = float(np.mean(values)), self.progress
        is_better = loss < progress.best * (1 - self.config.least_progress)
        progress.without_progress = 0 if is_better else progress.without_progress + 1
        if is_better:
            progress.best, progress.best_step = loss, progress.step
            self._write(BEST)
        self._log(accelerator, {"validation": loss, "best": progress.best})
        if self.config.patience and progress.without_progress >= self.config.patience:
            progress.outcome = "stopped_early"

    def _sample(self, accelerator: Any) -> None:
        """The first validation captions, always with the same seed."""
        if not self.config.sample_every:
            return
        import soundfile

        _set_dropout(self.subject.module, False)
        folder = self.folder / "samples" / f"step_{self.progress.step:06d}"
        folder.mkdir(parents=True, exist_ok=True)
        clips = of_each_caption([example.clip for example in self.data.validation])[
            : self.config.samples
        ]
        for index, clip in enumerate(clips):
            torch.manual_seed(self.config.seed)
            samples = self.subject.play(
                clip.text,
                self.config.sample_seconds,
                self.config.seed,
                clip.path,
                self.learner.words,
            )
            limited = np.clip(samples, -1, 1)
            soundfile.write(folder / f"{index}.flac", limited, self.subject.rate_hz)
            write_text(folder / f"{index}.txt", clip.text + "\n")
            for tracker in accelerator.trackers:
                tracker.writer.add_audio(
                    f"sample {index}",
                    limited.mean(axis=1),
                    self.progress.step,
                    sample_rate=self.subject.rate_hz,
                )

    def _tell_memory(self, trained: nn.Module) -> None:
        one = lambda: trained(self.data.train[:1], torch.zeros(1, dtype=torch.bool))  # noqa: E731
        torch.manual_seed(self.config.seed)
        device = str(next(self.subject.module.parameters()).device)
        found = memory.estimate(
            self.subject.module, self.learner.parameters, one, self.config.batch, device
        )
        share = self.learner.count / sum(
            parameter.numel() for parameter in self.subject.module.parameters()
        )
        print(f"{self.learner.count:,} numbers learn ({share:.3%}); {found}")
        if found.needed > found.free:
            raise TrainError("does_not_fit", str(found))

    # -- on disk --

    def _claim(self) -> None:
        """The folder is new, or holds this very run, unfinished. TrainError run_exists."""
        from training.adapt.config import plain

        asked = {"config": plain(self.config), "data": self.fingerprint, **self.notes}
        path = self.folder / "config.json"
        if not path.exists():
            if self.folder.exists() and any(self.folder.iterdir()):
                raise TrainError(
                    "run_exists", f"{self.folder} is no run and not empty; choose another --name"
                )
            self.folder.mkdir(parents=True, exist_ok=True)
            write_text(path, json.dumps(asked, indent=2) + "\n")
            return
        before = json.loads(path.read_text(encoding="utf-8"))
        if before["data"] != asked["data"]:
            raise TrainError(
                "run_exists", f"{self.folder} was begun with other data; choose another --name"
            )
        old, new = before["config"], asked["config"]
        if changed := [
            f"{key} {old.get(key)} -> {new[key]}" for key in new if old.get(key) != new[key]
        ]:
            raise TrainError(
                "run_exists",
                f"{self.folder} is a run with other settings ({', '.join(changed)}); choose "
                "another --name, or the old settings to go on",
            )
        if (self.folder / PRESET).exists():
            raise TrainError(
                "run_exists",
                f"{self.folder} is done; nothing is overwritten: choose another --name",
            )

    def _save(self, accelerator: Any) -> None:
        final = self.folder / CHECKPOINTS / f"step_{self.progress.step:06d}"
        partial = final.with_name(f".{final.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        accelerator.save_state(str(partial))
        shutil.rmtree(final, ignore_errors=True)
        os.replace(partial, final)
        for old in _saved(self.folder)[: -self.config.keep]:
            shutil.rmtree(old)

    def _write(self, name: str) -> None:
        self.learner.write(
            self.folder / name, self.subject.prefix, {**self.notes, "step": str(self.progress.step)}
        )

    def _log(self, accelerator: Any, values: Mapping[str, float]) -> None:
        with open(self.folder / LOG, "a", encoding="utf-8") as log:
            log.write(json.dumps({"step": self.progress.step, **values}) + "\n")
        accelerator.log(dict(values), step=self.progress.step)

    def _log_losses(self, accelerator: Any, rate: float) -> None:
        values = {
            "loss": float(np.mean(self.progress.losses)),
            "rate": rate,
            "time": round(time.time(), 1),
        }
        self._log(accelerator, values)
        self.progress.losses = []

    def _forget_log(self) -> None:
        """What was logged after the checkpoint from which it goes on will be logged again."""
        path = self.folder / LOG
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = [line for line in lines if json.loads(line)["step"] <= self.progress.step]
        write_text(path, "".join(line + "\n" for line in kept))

    @contextmanager
    def _pausing(self) -> Iterator[None]:
        """Ctrl-C or a polite end: the step is finished and saved; a second ctrl-C breaks off. Main
        thread only.
        """

        def pause(number: int, _: Any) -> None:
            if self._paused:
                raise KeyboardInterrupt
            self._paused = True

        import threading

        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {
            number: signal.signal(number, pause) for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def device_of(config: Config) -> str:
    """cuda where there is one, else cpu: nothing was tried on Apple's graphics."""
    return config.device or ("cuda" if torch.cuda.is_available() else "cpu")


def newest(folder: Path) -> Path | None:
    """The last whole checkpoint of a run."""
    return next(iter(_saved(folder)[::-1]), None)


def _saved(folder: Path) -> list[Path]:
    return sorted((folder / CHECKPOINTS).glob("step_*"))


@contextmanager
def _accelerator(folder: Path, config: Config) -> Iterator[Any]:
    """accelerate keeps its settings for the whole process; they are forgotten, so that another run
    may have others.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, GradientState
    from accelerate.utils import ProjectConfiguration, is_tensorboard_available

    settings = ProjectConfiguration(project_dir=str(folder), logging_dir=str(folder))
    has_board = is_tensorboard_available()
    accelerator = Accelerator(
        mixed_precision=config.precision,
        gradient_accumulation_steps=config.accumulate,
        project_config=settings,
        log_with="tensorboard" if has_board else None,
        cpu=not device_of(config).startswith("cuda"),
    )
    accelerator.init_trackers("tensorboard")
    try:
        yield accelerator
    finally:
        accelerator.end_training()
        AcceleratorState._reset_state(reset_partial_state=True)
        GradientState._reset_state()


def _schedule(optimiser: torch.optim.Optimizer, config: Config) -> Any:
    from transformers import get_cosine_with_min_lr_schedule_with_warmup

    return get_cosine_with_min_lr_schedule_with_warmup(
        optimiser, config.warmup, max(config.steps, config.warmup + 1), min_lr_rate=config.last_rate
    )


def _set_dropout(module: nn.Module, is_on: bool) -> None:
    """LoRA's alone: the base stays as it plays."""
    for name, each in module.named_modules():
        if "lora_dropout" in name:
            each.train(is_on)


def _seed(*parts: Any) -> int:
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8], "big") >> 1


def _shuffled(count: int, place: int, seed: int) -> int:
    """Which of `count` stands at a place of an endless row of shuffles."""
    epoch, index = divmod(place, count)
    return int(np.random.default_rng(_seed(seed, "order", epoch)).permutation(count)[index])


def examples(
    subject: Subject, clips: Sequence[Clip], cache: Any, learns_words: bool
) -> list[Example]:
    """Clips as features, from the cache where they were made before."""
    from tqdm import tqdm

    found = []
    for clip in tqdm(clips, desc="features", unit="clip", disable=None):
        sound = cache.of_sound(clip.path, functools.partial(subject.features, clip.path))
        encoded = functools.partial(subject.text_features, clip.text)
        found.append(
            Example(sound, clip.text if learns_words else cache.of_text(clip.text, encoded), clip)
        )
    return found


def of_each_caption(clips: Sequence[Clip]) -> list[Clip]:
    """The first clip of every caption."""
    return list({clip.text: clip for clip in reversed(clips)}.values())[::-1]
