"""What ACE-Step 1.5 and Stable Audio 3 share as a run wants them: a rectified flow over latents.

    x_t = (1 - t) clip + t noise        loss = |velocity(x_t, t, words) - (noise - clip)|^2

Each clip goes through alone, so nothing is padded. The serving family's editor is at hand whole:
its stages make the features, and it plays samples on the transformer that learns.
"""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from engine.adapters.soft_prompts import SoftPrompt
from engine.audio.reading import resample
from engine.audio.scene import Scene
from engine.families.shared.weights import files_of
from engine.families.shared.window import window_of
from engine.knobs import Knobs, resolve
from training.adapt.families import Arrays
from training.dataset.clips import Clip, samples_of

LONGEST_SECONDS = 30.0
STEPS = 20  # of samples to hear


class TrainableFlow(ABC):
    """See families.TrainableModel; words are not learned here."""

    prefix = "transformer"
    licence: str
    sites: Mapping[str, str]
    least_seconds: float
    frames_at_once = 1

    def __init__(
        self, editor: Any, module: nn.Module, folder: Path, defaults: Mapping[str, Any]
    ) -> None:
        self.base, self._folder, self._editor, self._defaults = (
            folder.name,
            folder,
            editor,
            defaults,
        )
        self.module, self.device = module, "cpu"
        self.rate_hz: int = editor.sizes.rate_hz

    @abstractmethod
    def encode(self, samples: np.ndarray) -> np.ndarray:
        """The latent of samples [channels, n], as the transformer has it."""

    @abstractmethod
    def text_features(self, text: str) -> Arrays: ...

    @abstractmethod
    def empty_text_features(self) -> Arrays:
        """Text features of no words: what guidance leads away from."""

    @abstractmethod
    def draw_time(self) -> Tensor:
        """[1], between sound (0) and noise (1), as the authors draw it."""

    @abstractmethod
    def velocity(
        self, latent: Tensor, time: Tensor, said: Mapping[str, Tensor], clip: Tensor
    ) -> Tensor:
        """What the transformer answers; of the clip it may hear what would stay about a hole."""

    @abstractmethod
    def generate(self, scene: Scene, knobs: Knobs) -> np.ndarray:
        """Samples [n, channels] of words alone."""

    @abstractmethod
    def blocks(self) -> Iterable[nn.Module]: ...

    def to(self, device: str) -> None:
        self.device = device
        for runner in self._editor.runners.values():
            runner.device = device
            runner.module.to(device)

    def files(self) -> Mapping[str, Path]:
        return files_of(self._folder)

    def recipe(self) -> Mapping[str, Any]:
        sizes = {name: path.stat().st_size for name, path in self.files().items()}
        return {"base": self.base, "files": sizes, "seconds": LONGEST_SECONDS}

    def features(self, path: Path) -> Arrays:
        """The latent of the clip's first half minute; a mono clip stands on both channels."""
        samples, rate_hz = samples_of(Clip(path))
        samples = resample(samples[: round(LONGEST_SECONDS * rate_hz)], rate_hz, self.rate_hz)
        if samples.shape[1] != self._editor.sizes.channels:
            samples = np.repeat(
                samples.mean(axis=1, keepdims=True), self._editor.sizes.channels, axis=1
            )
        least = round(self.least_seconds * self.rate_hz)
        window = window_of(
            _scene_of(samples),
            self._editor.sizes.frame_samples,
            least,
            len(samples),
            self.frames_at_once,
        )
        return {"latent": self.encode(np.ascontiguousarray(window.samples.T, np.float32))}

    def loss(
        self,
        sounds: Sequence[Arrays],
        texts: Sequence[Arrays | str],
        dropped: Tensor,
        words: SoftPrompt | None,
    ) -> Tensor:
        told = [
            self._empty_text if drop else text
            for text, drop in zip(texts, dropped.tolist(), strict=True)
        ]
        return torch.stack([self._error(*row) for row in zip(sounds, told, strict=True)]).mean()

    @torch.inference_mode()
    def play(
        self, text: str, seconds: float, seed: int, source: Path, words: SoftPrompt | None = None
    ) -> np.ndarray:
        frames = round(seconds * self.rate_hz)
        knobs, _ = resolve(text, {"seed": seed, "steps": STEPS}, None, self._defaults)
        empty = np.zeros((max(frames, round(self.least_seconds * self.rate_hz)), 2), np.float32)
        return self.generate(_scene_of(empty), knobs)[:frames]

    def checkpoint_layers(self) -> None:
        for block in self.blocks():
            block.forward = functools.partial(checkpoint, block.forward, use_reentrant=False)

    @functools.cached_property
    def _empty_text(self) -> Arrays:
        return self.empty_text_features()

    def _error(self, sound: Arrays, text: Arrays | str) -> Tensor:
        """The loss of one clip."""
        assert not isinstance(text, str)
        clip = torch.from_numpy(sound["latent"])[None].to(self.device)
        said = {
            name: torch.from_numpy(values)[None].to(self.device) for name, values in text.items()
        }
        noise, time = torch.randn(clip.shape).to(self.device), self.draw_time().to(self.device)
        velocity = self.velocity((1 - time) * clip + time * noise, time, said, clip)
        return functional.mse_loss(velocity.float(), noise - clip)


def _scene_of(samples: np.ndarray) -> Scene:
    """A region with nothing about it."""
    return Scene(samples[:0], samples, samples[:0])
