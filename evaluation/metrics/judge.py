"""Which instrument is it? A small classifier that learned from true renderings alone.

`python -m training.judges.instrument` trains it on three soundfonts and scores that neither the
model's training nor the examination uses. It chooses among the model's target sounds and knows no
others: for a foreign sound it names the most similar one. It runs on onnxruntime; only its training
needs torch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.metrics.sound import Sound

if TYPE_CHECKING:
    import onnxruntime

WEIGHTS_FOLDER = Path(__file__).parents[1] / "weights"
WINDOW_FRAMES = 512  # 5.12 s
SHORTEST_FRAMES = 64  # four poolings by 2, with something left
TRAINED_BY = {
    "judge": "python -m training.judges.instrument",
    "genre": "python -m training.judges.genre",
}
LOG_MEL_MEAN, LOG_MEL_STD = -5.0, 3.0  # rough: batch normalisation does the rest


def features(sound: Sound) -> np.ndarray:
    """The judge's input, [64, frames]: AudioLDM2's log-mel at -20 dBFS, roughly normalised."""
    return normalise(sound.log_mel)


def normalise(log_mel: np.ndarray) -> np.ndarray:
    return ((log_mel - LOG_MEL_MEAN) / LOG_MEL_STD).astype(np.float32)


@dataclass(frozen=True)
class Judge:
    """`names`: instruments or genres in the order of the outputs; `card`: its own figures."""

    names: tuple[str, ...]
    card: dict[str, Any]
    model_path: Path

    @classmethod
    def load(cls, folder: Path = WEIGHTS_FOLDER, name: str = "judge") -> Judge:
        """`name`: a key of TRAINED_BY. Raises FileNotFoundError that says how to train it."""
        card_path, model_path = folder / f"{name}.json", folder / f"{name}.onnx"
        if not (card_path.is_file() and model_path.is_file()):
            raise FileNotFoundError(
                f"no {name}.onnx in {folder}: train it with '{TRAINED_BY[name]}'"
            )
        card = json.loads(card_path.read_text(encoding="utf-8"))
        return cls(tuple(card["names"]), card, model_path)

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        return onnxruntime.InferenceSession(
            str(self.model_path), options, providers=["CPUExecutionProvider"]
        )

    def probabilities(self, sound: Sound) -> np.ndarray:
        """[names]; the mean over windows of 5.12 s."""
        windows = [
            self._session.run(None, {"log_mel": window[None]})[0][0]
            for window in _windows(features(sound))
        ]
        logits = np.stack(windows)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (odds / odds.sum(axis=1, keepdims=True)).mean(axis=0)

    def name(self, sound: Sound) -> str:
        """The likeliest instrument."""
        return self.names[int(self.probabilities(sound).argmax())]


def _windows(frames: np.ndarray) -> list[np.ndarray]:
    """[64, T] cut into windows of 512 frames; a rest shorter than half a window is left out."""
    if frames.shape[1] < SHORTEST_FRAMES:
        frames = np.pad(frames, ((0, 0), (0, SHORTEST_FRAMES - frames.shape[1])), mode="edge")
    starts = range(0, max(1, frames.shape[1] - WINDOW_FRAMES // 2), WINDOW_FRAMES)
    return [np.ascontiguousarray(frames[:, start : start + WINDOW_FRAMES]) for start in starts]
