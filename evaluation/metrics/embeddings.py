"""How does a sound become a vector? Embeddings for CLAP similarity and FAD.

Weights come from a local folder or the hub's cache, never from the net.

Every embedding is taken over fixed windows: the first begins at 0, each next one where the one
before ended, and the last one ends where the sound ends. CLAP's own feature extractor would cut a
random 10 s out of anything longer, so the same file would get another score each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from evaluation.metrics.mel import MEL_HOP, MEL_RATE_HZ
from evaluation.metrics.sound import Sound

CLAP_WINDOW_SECONDS = 10.0  # what CLAP was trained on
MEL_WINDOW_SECONDS = 1.0


class Embedding(Protocol):
    """`name` goes into the report: a FAD without its embedding's name is no figure."""

    name: str

    def windows(self, sound: Sound) -> np.ndarray:
        """[windows, D]."""
        ...


class MissingWeights(Exception):
    """Why an embedding cannot be had here, and the command that mends it."""


class MelStatistics:
    """Mean and deviation of AudioLDM2's log-mel over 1 s: 128 numbers, no weights.

    It reflects level, shape and variation of the spectrum and nothing that has to be learned. It
    tells two versions of one system apart where there is no learned embedding. It is not comparable
    to any published FAD.
    """

    name = "mel statistics (64 bands, 1 s)"

    def windows(self, sound: Sound) -> np.ndarray:
        frames = int(MEL_WINDOW_SECONDS * MEL_RATE_HZ / MEL_HOP)
        mel = sound.log_mel
        starts = window_starts(mel.shape[1] - 1, frames)  # centred frames are one more than fit
        parts = (mel[:, start : start + frames] for start in starts)
        return np.stack([np.concatenate([part.mean(axis=1), part.std(axis=1)]) for part in parts])


class Clap:
    """transformers' ClapModel: sounds and words in one space."""

    def __init__(self, folder: str, device: str = "cpu") -> None:
        """A folder or a name in the hub's cache. MissingWeights."""
        self.name = f"CLAP ({folder})"
        self._device = device
        self._model, self._extractor = _load_pretrained(folder, "ClapModel", "AutoFeatureExtractor")
        self._tokenizer = _load_pretrained(folder, "AutoTokenizer")[0]
        self._model.to(device).eval()

    def windows(self, sound: Sound) -> np.ndarray:
        """[windows of 10 s, 512], each of norm 1; CLAP's extractor repeats a shorter sound."""
        rate_hz = self._extractor.sampling_rate
        return np.concatenate(
            [self._window(part) for part in cut_windows(sound, rate_hz, CLAP_WINDOW_SECONDS)]
        )

    def text(self, text: str) -> np.ndarray:
        """[512] of length 1."""
        import torch

        tokens = self._tokenizer(text, return_tensors="pt", truncation=True).to(self._device)
        with torch.inference_mode():
            return _unit(_vector(self._model.get_text_features(**tokens)))[0]

    def similarity(self, sound: Sound, text: str) -> float:
        """Cosine between the words and the mean of the sound's windows."""
        return float(_unit(self.windows(sound).mean(axis=0, keepdims=True))[0] @ self.text(text))

    def _window(self, samples: np.ndarray) -> np.ndarray:
        # One at a time: of a batch in which no sound is longer than 10 s, the extractor of a fused
        # CLAP marks a random one as longer.
        import torch

        values = self._extractor(
            samples, sampling_rate=self._extractor.sampling_rate, return_tensors="pt"
        )
        with torch.inference_mode():
            return _unit(_vector(self._model.get_audio_features(**values.to(self._device))))


class Encoder:
    """Any audio encoder of transformers (AST, wav2vec 2, …): the last layer's mean over 10 s."""

    def __init__(self, folder: str, device: str = "cpu") -> None:
        """A folder or a name in the hub's cache. MissingWeights."""
        self.name = f"last layer of {folder}"
        self._device = device
        self._model, self._extractor = _load_pretrained(folder, "AutoModel", "AutoFeatureExtractor")
        self._model.to(device).eval()

    def windows(self, sound: Sound) -> np.ndarray:
        import torch

        rate_hz, found = self._extractor.sampling_rate, []
        for samples in cut_windows(sound, rate_hz, CLAP_WINDOW_SECONDS):
            values = self._extractor(samples, sampling_rate=rate_hz, return_tensors="pt").to(
                self._device
            )
            with torch.inference_mode():
                found.append(
                    self._model(**values).last_hidden_state.mean(dim=1).float().cpu().numpy()
                )
        return np.concatenate(found)


@lru_cache(maxsize=4)
def load(name: str, device: str = "cpu") -> Embedding:
    """By name: mel, or the folder or cached hub name of an audio encoder. MissingWeights."""
    if name == "mel":
        return MelStatistics()
    config = _load_pretrained(name, "AutoConfig")[0]
    return (Clap if config.model_type == "clap" else Encoder)(name, device)


def window_starts(length: int, window: int) -> list[int]:
    """Where windows begin in `length`: one after the other, the last one moved back to the end."""
    if length <= window:
        return [0]
    starts = list(range(0, length - window + 1, window))
    return starts if starts[-1] + window == length else [*starts, length - window]


def cut_windows(sound: Sound, rate_hz: int, seconds: float) -> Sequence[np.ndarray]:
    """The sound at `rate_hz`, cut by `window_starts`; a shorter sound stays as short as it is."""
    samples, window = sound.at(rate_hz), int(seconds * rate_hz)
    return [samples[start : start + window] for start in window_starts(len(samples), window)]


def _load_pretrained(folder: str, *classes: str) -> list[Any]:
    """One object of each class of transformers, from local files alone."""
    try:
        import transformers
    except ImportError as error:
        raise MissingWeights("needs transformers; run: pip install 'retimbre[torch]'") from error
    try:
        return [
            getattr(transformers, name).from_pretrained(folder, local_files_only=True)
            for name in classes
        ]
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise MissingWeights(
            f"{folder} holds no model that transformers can load ({reason}); give a folder, "
            "or fetch one first, for example: hf download laion/larger_clap_music"
        ) from error


def _vector(output: Any) -> np.ndarray:
    """transformers 5 answers with an object, 4 with the tensor itself."""
    return getattr(output, "pooler_output", output).float().cpu().numpy()


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12)
