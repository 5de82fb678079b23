"""MusicGen's decoder as the sampler wants it: the terms of the guidance as one batch, keys and
values in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.errors import EngineError
from engine.families.musicgen.conditions import Condition


class Decoder:
    """`factors` [B]: how much each row of the condition counts; `heard(first_frame)`: the condition
    of a window.
    """

    def __init__(
        self, decoder: Any, factors: np.ndarray, heard: Callable[[int], Condition]
    ) -> None:
        self._decoder, self._heard = decoder, heard
        self._factors = torch.from_numpy(np.asarray(factors, np.float32))[:, None, None]
        self._condition: Condition | None = None
        self._cache: Any = None

    def prefill(self, first_frame: int, steps: np.ndarray) -> np.ndarray:
        """Prediction [K, V] after the first steps [K, S]. EngineError out_of_memory."""
        self._condition = self._heard(first_frame).on(self._decoder.device)
        self._cache = None
        return self._predict(steps)

    def decode_step(self, step: np.ndarray) -> np.ndarray:
        """Prediction [K, V] after one more step [K]."""
        return self._predict(step[:, None])

    @torch.inference_mode()
    def _predict(self, steps: np.ndarray) -> np.ndarray:
        tokens = torch.from_numpy(np.ascontiguousarray(steps)).to(self._decoder.device)
        try:
            answer = self._decoder(
                input_ids=tokens.repeat(len(self._factors), 1),
                past_key_values=self._cache,
                use_cache=True,
                **self._keywords(),
            )
        except torch.OutOfMemoryError as error:
            self._cache = None
            torch.cuda.empty_cache()
            message = (
                f"the language model did not fit into the memory of {self._decoder.device}: {error}"
            )
            raise EngineError(
                "out_of_memory", f"{message}; close other programs, or fetch a smaller one"
            ) from error
        self._cache = answer.past_key_values
        return self._guide(answer.logits[:, -1], len(steps)).numpy()

    def _keywords(self) -> dict[str, Any]:
        """A melody model has its condition in front of the sequence, so it hears it in the first
        call and never again; the cross-attention of the others takes it from its memory, and
        asks for the mask each time.
        """
        assert self._condition is not None, "prefill comes first"
        if self._cache is not None and self._condition.mask is None:
            return {}
        return self._condition.keywords(self._decoder.dtype)

    def _guide(self, logits: Tensor, codebooks: int) -> Tensor:
        """The mixture [K, V] of rows [B * K, V]."""
        rows = logits.float().cpu().reshape(len(self._factors), codebooks, -1)
        return (self._factors * rows).sum(dim=0)
