"""What presets bring to nano: LoRA on its denoiser, and soft prompts. Needs no torch.

    adapters     packed -> inputs of the exported denoiser
    soft_prompt  tokens [n, 384] -> one more prompt, weighed by a bias of log(weight) as all are

The released graphs have no inputs for LoRA; `retimbre export nano` makes graphs that have.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.adapters.files import read_soft_prompt
from engine.adapters.graphs import GraphAdapterManager, LoraRunner
from engine.adapters.manager import ActiveAdapters, AdapterManager
from engine.errors import EngineError
from engine.families.nano.stages import TOKEN_WIDTH
from engine.runtimes.runner import Runner
from presets.style import ResolvedStyle, StyleTensor

EXPORT = (
    "nano plays LoRA on graphs with inputs for it; run: retimbre export nano, then load the model "
    "again"
)

Prompts = tuple[tuple[str, float], ...]


class NanoAdapters:
    """The adapters and soft prompts of one loaded nano. One thread at a time."""

    def __init__(self) -> None:
        self.prompts: Prompts = ()  # names of the soft prompts that go before the words
        self._manager: AdapterManager | None = None
        self._tokens: dict[str, np.ndarray] = {}

    def set_adapters(self, style: ResolvedStyle, denoiser: Runner) -> ActiveAdapters:
        """Play exactly what this style brings. EngineError bad_preset, not_ready."""
        self.prompts = tuple(pair for file in style.soft_prompts for pair in self._prompts_of(file))
        if isinstance(denoiser, LoraRunner):
            self._manager = self._manager or GraphAdapterManager([denoiser])
            return self._manager.set_adapters(style.adapters)
        if style.adapters:
            raise EngineError("not_ready", EXPORT)
        return ActiveAdapters()

    def tokens(self, prompt: str) -> np.ndarray | None:
        """Tokens [n, 384] of a soft prompt by its name in `prompts`; None: plain words."""
        return self._tokens.get(prompt)

    def _prompts_of(self, file: StyleTensor) -> Prompts:
        """No text that people send begins with a zero byte, so no name is taken for words."""
        weight, name = file.weight, f"\0{file.path} {file.sha256}"
        if weight < 0:
            message = f"soft_prompt: expected a weight of 0 or more, got {weight:g}"
            raise EngineError("bad_preset", message)
        if not weight:
            return ()
        if name not in self._tokens:
            self._tokens[name], _ = read_soft_prompt(Path(file.path), TOKEN_WIDTH)
        return ((name, weight),)
