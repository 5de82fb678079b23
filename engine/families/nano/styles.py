"""What presets bring to nano: LoRA on its denoiser, and learned words in front of the others.
Without torch.

    adapters     packed -> inputs of the exported denoiser          every further preset: a change of pointers
    soft_prompt  tokens [n, 384] -> one more prompt in the row      its weight is a bias of log(weight), as any prompt's

The released graphs have no inputs for LoRA; `retimbre export nano` makes graphs that have. One
thread at a time.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.errors import EngineError
from engine.runtimes.runner import Runner
from presets.style import ResolvedStyle, StyleTensor

if TYPE_CHECKING:
    from engine.runtimes.exported import PackedWardrobe

TENSOR = "soft_prompt"  # as engine.adapters.soft_prompts calls it
EXPORT = "nano plays LoRA on graphs with inputs for it; run: retimbre export nano, then load the model again"

Prompts = tuple[tuple[str, float], ...]


class Wardrobe:
    """The styles of one loaded nano."""

    def __init__(self) -> None:
        self.prompts: Prompts = ()  # of what is worn, to go before the words
        self._packed: PackedWardrobe | None = None
        self._learned: dict[str, np.ndarray] = {}

    def wear(self, style: ResolvedStyle, denoiser: Runner) -> list[str]:
        """Exactly what this style brings; notes for the manifest. EngineError bad_preset,
        not_ready.
        """
        self.prompts = tuple(pair for file in style.soft_prompts for pair in self._words(file))
        if hasattr(denoiser, "take_style"):
            return self._packed_for(denoiser).wear(style.adapters)
        if style.adapters:
            raise EngineError("not_ready", EXPORT)
        return []

    def tokens(self, prompt: str) -> np.ndarray | None:
        """Learned tokens [n, 384] by the name that stands for them in `prompts`; None: plain words."""
        return self._learned.get(prompt)

    def _packed_for(self, denoiser: Any) -> PackedWardrobe:
        # is loaded already wherever there is such a denoiser
        from engine.runtimes.exported import PackedWardrobe

        self._packed = self._packed or PackedWardrobe([denoiser])
        return self._packed

    def _words(self, file: StyleTensor) -> Prompts:
        """No text that people send begins with a zero byte, so a learned prompt is never mistaken
        for words.
        """
        weight, name = file.weight, f"\0{file.path} {file.sha256}"
        if weight < 0:
            raise EngineError(
                "bad_preset", f"soft_prompt: expected a weight of 0 or more, got {weight:g}"
            )
        if not weight:
            return ()
        if name not in self._learned:
            self._learned[name] = _read(Path(file.path))
        return ((name, weight),)


def _read(path: Path) -> np.ndarray:
    from safetensors import SafetensorError, safe_open

    from engine.families.nano.stages import TOKEN_WIDTH

    try:
        with safe_open(str(path), "np") as file:
            found = file.get_tensor(TENSOR) if TENSOR in file.keys() else None  # noqa: SIM118
    except (OSError, TypeError, SafetensorError) as error:  # TypeError: numpy has no bfloat16
        raise EngineError(
            "bad_preset", f"{path} cannot be read as learned words: {error}"
        ) from error
    if found is None or found.ndim != 2 or found.shape[1] != TOKEN_WIDTH:
        shape = "no such tensor" if found is None else list(found.shape)
        raise EngineError(
            "bad_preset",
            f"{path}: expected `{TENSOR}` [any, {TOKEN_WIDTH}] for nano, found {shape}",
        )
    return found.astype(np.float32)
