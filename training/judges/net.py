"""The judges' network: how it hears, how it is trained, how it is released with its card."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from evaluation.corpus.render import SOUNDFONTS
from evaluation.metrics.judge import WINDOW_FRAMES, Judge, normalise
from evaluation.metrics.mel import MEL_BANDS
from training.loop import Loop, Optimisation, ProgressBar, StateFile, part_of

RATE, WEIGHT_DECAY, LABEL_SMOOTHING = 3e-3, 0.02, 0.05
SAVE_EVERY = 200


class Recipe(NamedTuple):
    """How one judge is trained: `frames` of log-mel in each of `batch` crops."""

    name: str
    seed: int
    batch: int
    frames: int


class JudgeNet(nn.Module):
    """log-mel [B, 64, T] -> logits [B, names]; in 2-D, so that a transposed sound is the same."""

    def __init__(self, names: int, widths: tuple[int, ...] = (16, 32, 64, 96)) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after, kernel, stride in zip(
            (1, *widths[:-1]), widths, (5, 3, 3, 3), (2, 1, 1, 1), strict=True
        ):
            layers += [
                nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
            layers += [nn.MaxPool2d(2)] if stride == 1 else []
        self.body = nn.Sequential(*layers)  # [B, 96, 4, T / 16]
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * 4 * widths[-1], names))

    def forward(self, log_mel: torch.Tensor) -> torch.Tensor:
        heard = self.body(log_mel[:, None]).flatten(1, 2)  # register (4 bands) stays, time goes
        return self.head(torch.cat([heard.mean(-1), heard.amax(-1)], 1))


def disturb(batch: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Another microphone: level, tilt, a band edge and a noise floor on the log-mel [B, 64, T].

    The judge shall hear the instrument, not the polish of a soundfont: stems come out of a codec.
    """

    def draw(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(len(batch), *shape, generator=random)

    band = torch.linspace(-1, 1, MEL_BANDS)[None, :, None]
    batch = batch + draw(-0.7, 0.7, 1, 1) + draw(-1, 1, 1, 1) * band
    edge = draw(0.55, 1.6, 1, 1) * 2 - 1  # two in five have one
    batch = torch.where(band > edge, torch.full_like(batch, -11.5), batch)
    floor = draw(-13, -5.5, 1, 1) - 0.8 * (band + 1)
    return torch.logaddexp(batch, floor + 0.4 * torch.randn(batch.shape, generator=random))


def train(
    log_mel: np.ndarray,
    label: np.ndarray,
    names: int,
    steps: int,
    recipe: Recipe,
    checkpoint: Path | None = None,
) -> JudgeNet:
    """AdamW, one cycle; goes on from the checkpoint, if one is named and there."""
    torch.manual_seed(0)
    net = JudgeNet(names)
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps + 1)

    def losses_of(step: int) -> dict[str, torch.Tensor]:
        batch, chosen = _batch(log_mel, step, recipe)
        truth = torch.from_numpy(label[chosen])
        loss = nn.functional.cross_entropy(net(batch), truth, label_smoothing=LABEL_SMOOTHING)
        return {"loss": loss}

    loop = Loop(losses_of, Optimisation(net.parameters(), [optimiser]), steps)
    parts = {"net": net, "optimiser": optimiser, "schedule": schedule}
    savers = []
    if checkpoint is not None:
        saver = StateFile(
            checkpoint, {name: part_of(part) for name, part in parts.items()}, SAVE_EVERY
        )
        loop.progress.step = saver.load()
        savers.append(saver)
    with ProgressBar(recipe.name, loop) as bar:
        loop.callbacks = (lambda loop: schedule.step(), bar, *savers)
        loop.run()
    return net.eval()


def _batch(log_mel: np.ndarray, step: int, recipe: Recipe) -> tuple[torch.Tensor, np.ndarray]:
    """Normalised crops [B, 64, frames] of random rows, and which rows these are."""
    random, noise = np.random.default_rng([recipe.seed, step]), torch.Generator().manual_seed(step)
    chosen = random.integers(len(log_mel), size=recipe.batch)
    starts = random.integers(log_mel.shape[2] - recipe.frames, size=recipe.batch)
    crops = [
        log_mel[row, :, start : start + recipe.frames]
        for row, start in zip(chosen, starts, strict=True)
    ]
    heard = disturb(torch.from_numpy(np.stack(crops).astype(np.float32)), noise)
    return torch.from_numpy(normalise(heard.numpy())), chosen


def export(net: JudgeNet, path: Path) -> None:
    """One ONNX file; any length of 64 frames and more."""
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        net,
        (torch.zeros(1, MEL_BANDS, WINDOW_FRAMES),),
        str(path),
        input_names=["log_mel"],
        output_names=["logits"],
        dynamic_axes={"log_mel": {0: "batch", 2: "frames"}, "logits": {0: "batch"}},
        dynamo=False,
    )


def write_card(
    folder: Path,
    name: str,
    names: Sequence[str],
    measure: Callable[[Judge, str], tuple[int, list[str]]],
) -> None:
    """<name>.json: the names, and how good a judge the graph <name>.onnx is.

    `measure(judge, soundfont)`: how many renderings were heard, and the mistakes in words.
    """
    judge = Judge(tuple(names), {}, folder / f"{name}.onnx")
    card: dict[str, Any] = {
        "names": judge.names,
        "held_out_accuracy": {},
        "held_out_renderings": {},
        "mistakes": {},
    }
    for font in SOUNDFONTS:
        asked, mistakes = measure(judge, font)
        card["held_out_accuracy"][font] = round(1 - len(mistakes) / asked, 4)
        card["held_out_renderings"][font] = asked
        card["mistakes"][font] = dict(Counter(mistakes).most_common(8))
        print(
            f"{font}: {card['held_out_accuracy'][font]:.1%} of {asked} renderings; "
            f"{card['mistakes'][font]}"
        )
    (folder / f"{name}.json").write_text(json.dumps(card, indent=1) + "\n", encoding="utf-8")
