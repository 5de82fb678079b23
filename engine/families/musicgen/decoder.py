"""MusicGen's decoder on torch, with a key-value cache and the guidance's terms as one batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.errors import EngineError
from engine.families.musicgen.conditions import Condition, TensorCondition


class Decoder:
    """A sampler.CachedDecoder on transformers' module.

    `factors` [B]: the weight of each row of the condition; `condition_at(first_frame)`: the
    condition of a window.
    """

    def __init__(
        self, decoder: Any, factors: np.ndarray, condition_at: Callable[[int], Condition]
    ) -> None:
        self._decoder, self._condition_at = decoder, condition_at
        self._factors = torch.from_numpy(np.asarray(factors, np.float32))[:, None, None]
        self._condition: TensorCondition | None = None
        self._cache: Any = None

    def prefill(self, first_frame: int, steps: np.ndarray) -> np.ndarray:
        """Prediction [K, V] after the first steps [K, S]. EngineError out_of_memory."""
        self._condition = self._condition_at(first_frame).on(self._decoder.device)
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
        """The condition of a call.

        A melody model has it in front of the sequence, so only the first call takes it. The others'
        cross-attention reads it from the cache, but needs its mask every time.
        """
        assert self._condition is not None, "prefill comes first"
        if self._cache is not None and self._condition.mask is None:
            return {}
        return self._condition.keywords(self._decoder.dtype)

    def _guide(self, logits: Tensor, codebooks: int) -> Tensor:
        """The mixture [K, V] of rows [B * K, V]."""
        rows = logits.float().cpu().reshape(len(self._factors), codebooks, -1)
        return (self._factors * rows).sum(dim=0)
