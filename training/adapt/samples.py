"""What a style sounds like while it is learned, and what the base says to the same words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from training.adapt.config import Config
from training.adapt.examples import first_of_each_caption
from training.adapt.families import TrainableModel
from training.adapt.methods import TrainableAdapter
from training.dataset.clips import Clip, write_text


def write_samples(
    folder: Path,
    config: Config,
    model: TrainableModel,
    adapter: TrainableAdapter,
    clips: Sequence[Clip],
    step: int,
    board: Any | None = None,
) -> None:
    """The first captions of these clips with the run's seed; `board`: TensorBoard's writer."""
    import soundfile

    folder.mkdir(parents=True, exist_ok=True)
    for index, clip in enumerate(first_of_each_caption(clips)[: config.samples]):
        torch.manual_seed(config.seed)
        samples = model.play(
            clip.text, config.sample_seconds, config.seed, clip.path, adapter.words
        )
        limited = np.clip(samples, -1, 1)
        soundfile.write(folder / f"{index}.flac", limited, model.rate_hz)
        write_text(folder / f"{index}.txt", clip.text + "\n")
        if board is not None:
            mono = limited.mean(axis=1)
            board.add_audio(f"sample {index}", mono, step, sample_rate=model.rate_hz)


def play_base_or_style(
    model: TrainableModel,
    adapter: TrainableAdapter,
    is_style: bool,
    text: str,
    seconds: float,
    seed: int,
    source: Path,
) -> np.ndarray:
    """Samples [n, channels] with the style, or of the base with the same words and seed."""
    adapter.set_active(is_style)
    torch.manual_seed(seed)
    words = adapter.words if is_style else None
    if words is None and adapter.words is not None:
        text = adapter.words.without_placeholder(text)
    return model.play(text, seconds, seed, source, words)
